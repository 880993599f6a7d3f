//! Measures barepoll beside its peers.

use crate::progress::Progress;
use crate::shell::{both, capture, cargo, ensure, root, run, target};
use crate::tables::{PERFORMANCE, README};
use crate::{report, size, wall};
use clap::Subcommand;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Subcommand)]
pub enum What {
    /// User instructions a call, loop included, counted by valgrind
    Instructions {
        /// Write the tables into docs/performance.md and README.md too
        #[arg(long)]
        write: bool,
    },
    /// CPU seconds of a cold release build, and the crates in it
    Build {
        /// Write README's table too
        #[arg(long)]
        write: bool,
    },
    /// Bytes of the smallest static echo, beside its peers' and for every target
    Size {
        /// Write the tables into docs/performance.md, and draw the chart, too
        #[arg(long)]
        write: bool,
    },
    /// Wall time of ways to do the same, beside each other
    #[command(flatten)]
    Wall(wall::What),
}

pub fn run_alone(what: &What) -> Result<(), String> {
    let progress = Progress::new();
    match what {
        What::Instructions { write } => {
            let mut compared = Vec::new();
            for (name, count) in [
                ("instructions-1", Count { who: &WHO, threads: 1, profile: "release" }),
                ("instructions-2", Count { who: &WHO, threads: 2, profile: "release" }),
                ("instructions-as-it-comes", Count { who: &WHO, threads: 1, profile: "as-it-comes" }),
            ] {
                let (table, outcome) = count.run(&progress)?;
                println!("\n{table}\n");
                if *write {
                    PERFORMANCE.write(name, &table)?;
                }
                compared.push(outcome);
            }
            let (table, _) = Count { who: &IN_README, threads: 1, profile: "release" }.run(&progress)?;
            keep("instructions", &table, *write)?;
            compared.into_iter().try_for_each(|outcome| outcome.map(drop))
        }
        What::Build { write } => keep("cold builds", &build(&progress)?, *write),
        What::Size { write } => size::run_alone(&progress, *write),
        What::Wall(what) => wall::run_alone(&progress, what),
    }
}

const LIMIT: &str = "by-hand";
const OURS: &str = "barepoll";
const WHO: [&str; 9] = [LIMIT, OURS, "sc", "syscalls", "rustix", "libc", "nix", "mio", "polling"];
const IN_README: [&str; 4] = [LIMIT, OURS, "rustix", "libc"];
const OPERATIONS: [&str; 6] = ["wait", "modify", "write", "read", "read-again", "create-close"];
/// What may be more than by hand, and why: `read` also tells a short read from an error, which one comparison by hand does not.
const ALLOWANCE: (&str, u64) = ("read-again", 1);

/// Prints a table, and writes it into README.md if asked to.
fn keep(name: &str, table: &str, write: bool) -> Result<(), String> {
    println!("\n{table}\n");
    if write {
        README.write(name, table)?;
    }
    Ok(())
}

/// How many operations cost no more than by hand; an error names those that cost more.
type Compared = Result<usize, String>;

/// For a full test: by hand and by barepoll.
pub fn instructions(progress: &Progress) -> Compared {
    Count { who: &[LIMIT, OURS], threads: 1, profile: "release" }.run(progress)?.1
}

/// Whose instructions are counted, in a process of how many threads, and how it was compiled.
struct Count {
    who: &'static [&'static str],
    threads: u8,
    profile: &'static str,
}

impl Count {
    /// Counts the instructions of every operation: a table, and what barepoll's row comes to.
    fn run(&self, progress: &Progress) -> Result<(String, Compared), String> {
        let job = progress.job("instructions a call");
        job.at("building");
        ensure_valgrind()?;
        let program = build_with(self.profile)?;
        let mut rows = Vec::new();
        let mut more = Vec::new();
        let mut limit = [0; OPERATIONS.len()];
        // Another profile lays a loop out otherwise.
        let spare = u64::from(self.profile != "release");
        for who in self.who {
            let mut row = vec![who.to_string()];
            for (place, operation) in OPERATIONS.into_iter().enumerate() {
                job.at(&format!("{who} {operation}"));
                let Some(counted) = self.a_call(&program, who, operation)? else {
                    row.push("–".into());
                    continue;
                };
                let allowed = limit[place] + spare + if operation == ALLOWANCE.0 { ALLOWANCE.1 } else { 0 };
                match *who {
                    LIMIT => limit[place] = counted,
                    OURS if counted > allowed => more.push(format!("{operation}: {counted}, by hand {}", limit[place])),
                    _ => {}
                }
                row.push(counted.to_string());
            }
            rows.push(row);
        }
        job.done(if more.is_empty() { "as by hand" } else { "FAILED" });
        let table = report::markdown(&[&["instructions a call"], &OPERATIONS[..]].concat(), rows);
        let compared = match more.as_slice() {
            [] => Ok(OPERATIONS.len()),
            more => Err(format!("barepoll needs more instructions than by hand: {}", more.join("; "))),
        };
        Ok((table, compared))
    }

    /// (I(2N) − I(N)) / N: what one turn of the loop adds; `None` for what somebody does not have.
    fn a_call(&self, program: &Path, who: &str, operation: &str) -> Result<Option<u64>, String> {
        const N: u64 = 10_000; // what a second thread adds is once, not a turn
        let arguments = |n: u64| ["count", who, operation, &n.to_string(), &self.threads.to_string()].map(String::from);
        if both(&capture(Command::new(program).args(arguments(1)))?).contains(" has no ") {
            return Ok(None);
        }
        let [once, twice] = [N, 2 * N].map(|n| counted(Command::new("valgrind"), program, &arguments(n)));
        // To the nearest: what else a second thread does at its start is a few instructions more or less.
        Ok(Some((twice? - once? + N / 2) / N))
    }
}

fn counted(mut valgrind: Command, program: &Path, arguments: &[String]) -> Result<u64, String> {
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program).args(arguments);
    let output = run(&mut valgrind)?;
    let number = output.lines().find_map(|line| line.split("Collected : ").nth(1)?.trim().parse().ok());
    number.ok_or_else(|| format!("valgrind printed no count:\n{output}"))
}

/// The program that does what is measured.
pub fn build_benches() -> Result<PathBuf, String> {
    build_with("release")
}

fn build_with(profile: &str) -> Result<PathBuf, String> {
    run(cargo().args(["build", "--profile", profile, "--locked", "-p", "benches"]))?;
    Ok(target().join(profile).join("benches"))
}

fn ensure_valgrind() -> Result<(), String> {
    let is_there = || capture(Command::new("valgrind").arg("--version")).is_ok_and(|output| output.status.success());
    ensure(is_there, &["valgrind"], "valgrind, which counts the instructions,")
}

/// Peers, as a manifest's dependency line names them.
const PEERS: [(&str, &str); 7] = [
    ("(nothing)", ""),
    ("barepoll", "barepoll = { path = \"ROOT\" }"),
    ("libc", "libc = \"0.2\""),
    ("rustix", "rustix = { version = \"1\", default-features = false, features = [\"event\"] }"),
    ("nix", "nix = { version = \"0.30\", features = [\"event\"] }"),
    ("mio", "mio = { version = \"1\", features = [\"os-poll\", \"os-ext\"] }"),
    ("polling", "polling = \"3\""),
];
const BUILDS: usize = 3;

fn build(progress: &Progress) -> Result<String, String> {
    let job = progress.job("cold builds");
    let mut rows = Vec::new();
    for (name, line) in PEERS {
        let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
        let line = line.replace("ROOT", &root().to_string_lossy());
        let manifest =
            format!("[package]\nname = \"cold\"\nversion = \"0.0.0\"\nedition = \"2021\"\n[dependencies]\n{line}\n");
        let write = |file: &str, text: &str| fs::write(folder.path().join(file), text);
        fs::create_dir(folder.path().join("src"))
            .and_then(|()| write("Cargo.toml", &manifest))
            .and_then(|()| write("src/lib.rs", ""))
            .map_err(|error| format!("cannot write a package: {error}"))?;
        run(cargo().arg("fetch").current_dir(folder.path()))?;
        let mut times = Vec::new();
        let mut crates = 0;
        for _ in 0..BUILDS {
            job.at(name);
            let _ = fs::remove_dir_all(folder.path().join("target"));
            let (seconds, compiled) = timed_build(&mut cargo(), folder.path())?;
            times.push(seconds);
            crates = compiled;
        }
        times.sort_by(f64::total_cmp);
        rows.push(vec![
            name.into(),
            (crates - 1).to_string(), // the package that measures is none of theirs
            format!("{:.2}", times[0]),
            format!("{:.2}", times[BUILDS / 2]),
        ]);
    }
    job.done("measured");
    Ok(report::markdown(&["cold release build", "crates brought", "CPU s, least", "CPU s, median"], rows))
}

/// The CPU seconds of one build, by the shell's own `times`, and how many crates it compiled.
fn timed_build(cargo: &mut Command, folder: &std::path::Path) -> Result<(f64, usize), String> {
    let mut shell = Command::new("sh");
    shell.args(["-c", "\"$0\" build --release --offline 2>&1 && times"]).arg(cargo.get_program()).current_dir(folder);
    shell.env_remove("RUSTFLAGS").env("CARGO_TARGET_DIR", folder.join("target"));
    let output = capture(&mut shell)?;
    let text = both(&output);
    let crates = text.lines().filter(|line| line.trim_start().starts_with("Compiling")).count();
    // The last line: user and system time of the children, as `0m1.230s`.
    let seconds = |word: &str| {
        let (minutes, rest) = word.split_once('m')?;
        Some(minutes.parse::<f64>().ok()? * 60.0 + rest.trim_end_matches('s').parse::<f64>().ok()?)
    };
    let last = text.lines().last().unwrap_or_default();
    let times: Option<Vec<f64>> = last.split_whitespace().map(seconds).collect();
    match times.as_deref() {
        Some([user, system]) if output.status.success() => Ok((user + system, crates)),
        _ => Err(format!("a cold build failed:\n{text}")),
    }
}
