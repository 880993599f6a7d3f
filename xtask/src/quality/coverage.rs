//! Which lines of `src/` the native tests run, by the compiler's own counters and LLVM's tools.

use crate::debian::{self, Cache, Suite};
use crate::kit::document::PROOF;
use crate::kit::progress::{Job, Progress};
use crate::kit::report;
use crate::kit::shell::{capture, cargo, root, run};
use crate::step::{Run, World};
use clap::Args;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Args)]
pub struct Options {
    /// Write the table into docs/proof.md too
    #[arg(long)]
    write: bool,
}

/// Of a hundred lines, so many must be run. The others are what machines compile to that have 32 bits, or no `epoll_wait`.
const LEAST: f64 = 98.0;

/// A file's lines: those that were run, and the numbers of the others.
#[derive(Default)]
pub struct Lines {
    pub run: usize,
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

/// How many lines were run, where those are enough.
pub fn run_checks(progress: &Progress) -> Result<usize, String> {
    check(progress).map(|(run, _)| run)
}

/// The lines that were run, and the table of them.
fn check(progress: &Progress) -> Result<(usize, String), String> {
    let job = progress.job("coverage");
    let mut commands = Vec::new();
    for features in [&[][..], &["--features", "std"]] {
        // The tests of the examples start them, and `--tests` builds none. Made-up answers are a package of their own.
        let each = [&["build", "--examples"][..], &["test", "--tests"], &["test", "-p", "answers"]];
        commands.extend(each.map(|words| [words, features].concat()));
    }
    let measured = measure(&job, &commands, &[], None);
    let percent = |run: usize, missed: usize| 100.0 * run as f64 / (run + missed).max(1) as f64;
    let all = measured.as_ref().map(sum).map_or(0.0, |(run, missed)| percent(run, missed));
    job.done(&if all < LEAST { "FAILED".into() } else { format!("{all:.1} % of lines") });
    let files = measured?;
    let row = |name: &str, run: usize, missed: usize, which: String| {
        vec![name.to_string(), (run + missed).to_string(), format!("{:.1}", percent(run, missed)), which]
    };
    let mut rows: Vec<_> =
        files.iter().map(|(name, lines)| row(name, lines.run, lines.missed.len(), ranges(&lines.missed))).collect();
    let (run, missed) = sum(&files);
    rows.push(row("all", run, missed, String::new()));
    let table = report::markdown(&["file", "lines", "% run", "not run"], rows);
    println!("\n{table}\n");
    if all < LEAST {
        return Err(format!("the native tests run {all:.1} % of the lines of src/, not {LEAST} %"));
    }
    Ok((run, table))
}

/// Runs these commands of cargo's, the tests whose names hold one of `filters` (all, if there are none), and on this corpus of a
/// fuzzer's instead of the one that is kept; and gives the lines of every file of `src/` that has code.
pub fn measure(
    job: &Job,
    commands: &[Vec<&str>],
    filters: &[&str],
    corpus: Option<&Path>,
) -> Result<BTreeMap<String, Lines>, String> {
    job.at("LLVM's tools");
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
            // The counters are the file itself (`%c`), so that a child that ends without its parent's exit handlers counts too.
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

/// How many lines were run, and how many were not.
pub fn sum(files: &BTreeMap<String, Lines>) -> (usize, usize) {
    files.values().fold((0, 0), |(run, missed), file| (run + file.run, missed + file.missed.len()))
}

/// 3, 4, 5, 9 as `3–5, 9`.
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

/// The test programs and the examples that cargo has just built.
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
    /// The tools of the LLVM that this compiler has.
    fn get() -> Result<Self, String> {
        let about = run(Command::new("rustc").arg("-vV").current_dir(root()))?;
        let version = about.lines().find_map(|line| line.strip_prefix("LLVM version: ")?.split('.').next());
        let version = version.ok_or("rustc does not say which LLVM it has")?;
        let package = format!("llvm-{version}");
        let folder = Cache::open()?.closure(Suite("testing"), debian::host(), &[&package], &[])?;
        Ok(Self { folder: folder.join("usr/lib").join(package).join("bin") })
    }

    /// The lines of every file of `src/` that has code.
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
                // A file that several programs include is there several times.
                *files.entry(name.clone()).or_default().entry(line).or_default() |= is_run;
            }
        }
        if files.is_empty() {
            return Err("the profiles know no file of src/".into());
        }
        let lines = |lines: BTreeMap<usize, bool>| {
            let missed: Vec<usize> = lines.iter().filter(|(_, is_run)| !**is_run).map(|(line, _)| *line).collect();
            Lines { run: lines.len() - missed.len(), missed }
        };
        Ok(files.into_iter().map(|(name, found)| (name, lines(found))).collect())
    }
}
