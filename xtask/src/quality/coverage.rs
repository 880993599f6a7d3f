//! Counts the lines of `src/` that the native tests run, with the compiler's counters and LLVM's
//! tools.

use crate::debian::Cache;
use crate::kit::document::PROOF;
use crate::kit::progress::{Job, Progress};
use crate::kit::report;
use crate::kit::shell::{capture, cargo, root, run};
use crate::machines::cross;
use crate::step::{Run, World};
use clap::Args;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Args)]
pub struct Options {
    /// Write the table into docs/proof.md
    #[arg(long)]
    write: bool,
}

/// The least percentage of lines that the tests must run. The other lines are for machines with 32
/// bits or without `epoll_wait`.
const MIN_PERCENT: f64 = 98.0;

/// The file that chooses between the calls of machines with 32 bits. It does not count: others make
/// the first call at once. The emulators' and kernels' checks run it.
const OF_32_BITS: &str = "timerfd/calls.rs";

/// The coverage of a file.
#[derive(Default)]
pub struct Lines {
    /// How many lines the tests ran.
    pub run: usize,
    /// The numbers of the other lines.
    pub missed: Vec<usize>,
}

impl Run for Options {
    fn run(&self, world: &World) -> Result<(), String> {
        let (_, table) = check(&world.progress)?;
        if self.write {
            PROOF.write("coverage", &table)?;
        }
        Ok(())
    }
}

/// How many lines the tests ran. Returns an error if those are too few.
pub fn run_checks(progress: &Progress) -> Result<usize, String> {
    check(progress).map(|(run, _)| run)
}

/// How many lines the tests ran, and the table.
fn check(progress: &Progress) -> Result<(usize, String), String> {
    let job = progress.job("coverage");
    let mut commands = Vec::new();
    for features in [&[][..], &["--features", "std"]] {
        // The examples' tests start the examples, and `--tests` does not build them. The tests with
        // made-up answers are another package.
        let each = [&["build", "--examples"][..], &["test", "--tests"], &["test", "-p", "answers"]];
        commands.extend(each.map(|words| [words, features].concat()));
    }
    let measured = measure(&job, &commands, &[], None).map(|mut files| {
        files.remove(OF_32_BITS);
        files
    });
    let percent = |run: usize, missed: usize| 100.0 * run as f64 / (run + missed).max(1) as f64;
    let all = measured.as_ref().map(sum).map_or(0.0, |(run, missed)| percent(run, missed));
    job.done(&if all < MIN_PERCENT { "FAILED".into() } else { format!("{all:.1} % of lines") });
    let files = measured?;
    let row = |name: &str, run: usize, missed: usize, which: String| {
        vec![name.to_string(), (run + missed).to_string(), format!("{:.1}", percent(run, missed)), which]
    };
    let mut rows: Vec<_> =
        files.iter().map(|(name, lines)| row(name, lines.run, lines.missed.len(), ranges(&lines.missed))).collect();
    let (run, missed) = sum(&files);
    rows.push(row("all", run, missed, String::new()));
    let table = report::markdown(&["file", "lines", "% run", "not run"], rows);
    report::say(format_args!("\n{table}\n"));
    if all < MIN_PERCENT {
        return Err(format!("the native tests run {all:.1} % of the lines of src/, expected at least {MIN_PERCENT} %"));
    }
    Ok((run, table))
}

/// Runs cargo commands, and returns the coverage of every file of `src/` with code.
///
/// `filters` are parts of the tests' names; if empty, all tests run. `corpus` replaces the
/// committed fuzzing corpus.
pub fn measure(
    job: &Job,
    commands: &[Vec<&str>],
    filters: &[&str],
    corpus: Option<&Path>,
) -> Result<BTreeMap<String, Lines>, String> {
    job.at("getting LLVM's tools");
    let tools = Tools::get()?;
    job.at("building and running");
    let folder = root().join("target/coverage");
    let profiles = folder.join("profiles");
    let _ = fs::remove_dir_all(&profiles);
    let mut objects = Vec::new();
    for words in commands {
        let command = || {
            let mut cargo = cargo();
            cargo.args(words).args(["--locked", "--target-dir"]).arg(&folder);
            // With `%c` the counters are the mapped file itself, so a child that ends without exit
            // handlers counts too.
            cargo.env("RUSTFLAGS", "-Cinstrument-coverage -Cllvm-args=-runtime-counter-relocation");
            cargo.env("LLVM_PROFILE_FILE", profiles.join("%c%m.profraw"));
            cargo.env("PROPTEST_CASES", "2000");
            cargo.envs(corpus.map(|corpus| ("BAREPOLL_CORPUS", corpus)));
            cargo
        };
        let only_build: &[&str] = if words[0] == "test" { &["--no-run"] } else { &[] };
        objects.extend(programs(command().args(only_build).args(["--message-format", "json"]))?);
        run(command().args(if words[0] == "test" { &["--"][..] } else { &[] }).args(filters))?;
    }
    job.at("counting");
    tools.lines(&profiles, &objects)
}

/// How many lines the tests ran, and how many they did not.
pub fn sum(files: &BTreeMap<String, Lines>) -> (usize, usize) {
    files.values().fold((0, 0), |(run, missed), file| (run + file.run, missed + file.missed.len()))
}

/// Formats 3, 4, 5, 9 as `3–5, 9`.
fn ranges(lines: &[usize]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for line in lines {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *line => *last = *line,
            _ => ranges.push((*line, *line)),
        }
    }
    let shown = ranges.iter().map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}–{last}"),
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// The test programs and examples that a cargo command builds.
fn programs(cargo: &mut Command) -> Result<Vec<PathBuf>, String> {
    let output = capture(cargo)?;
    let lines = String::from_utf8_lossy(&output.stdout);
    let messages = lines.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    Ok(messages.filter_map(|message| Some(message["executable"].as_str()?.into())).collect())
}

struct Tools {
    folder: PathBuf,
}

impl Tools {
    /// The tools of the compiler's LLVM version.
    fn get() -> Result<Self, String> {
        Ok(Self { folder: cross::llvm(&Cache::open()?, &mut Command::new("rustc"))? })
    }

    /// The coverage of every file of `src/` with code.
    fn lines(&self, profiles: &Path, objects: &[PathBuf]) -> Result<BTreeMap<String, Lines>, String> {
        let merged = profiles.join("all.profdata");
        let raw = fs::read_dir(profiles).map_err(|error| format!("the tests wrote no profiles: {error}"))?;
        let raw = raw.flatten().map(|file| file.path()).filter(|path| path.extension().is_some_and(|e| e == "profraw"));
        run(Command::new(self.folder.join("llvm-profdata")).args(["merge", "--sparse", "-o"]).arg(&merged).args(raw))?;
        let mut export = Command::new(self.folder.join("llvm-cov"));
        export.args(["export", "--format=lcov", "--instr-profile"]).arg(&merged);
        let [first, others @ ..] = objects else { return Err("cargo built no test program".into()) };
        export.arg(first);
        for object in others {
            export.arg("--object").arg(object);
        }
        let text = run(&mut export)?;
        let sources = root().join("src");
        let (mut files, mut current) = (BTreeMap::<String, BTreeMap<usize, bool>>::new(), None);
        for line in text.lines() {
            if let Some(path) = line.strip_prefix("SF:") {
                current = Path::new(path).strip_prefix(&sources).ok().map(|path| path.display().to_string());
            } else if let (Some(name), Some(count)) = (&current, line.strip_prefix("DA:")) {
                let Some((line, count)) = count.split_once(',') else { continue };
                let (Ok(line), is_run) = (line.parse(), count != "0") else { continue };
                // A file is listed once for each program that includes it.
                *files.entry(name.clone()).or_default().entry(line).or_default() |= is_run;
            }
        }
        if files.is_empty() {
            return Err("the profiles contain no file of src/".into());
        }
        let lines = |lines: BTreeMap<usize, bool>| {
            let missed: Vec<usize> = lines.iter().filter(|(_, is_run)| !**is_run).map(|(line, _)| *line).collect();
            Lines { run: lines.len() - missed.len(), missed }
        };
        Ok(files.into_iter().map(|(name, found)| (name, lines(found))).collect())
    }
}
