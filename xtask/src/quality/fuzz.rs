//! `cargo xtask fuzz`: fuzzes histories of calls with libFuzzer, against a model of the kernel and
//! against libc. The working corpus stays in `target/fuzz`, and the next run continues with it.

use crate::debian::cargo_tools::CargoTool;
use crate::debian::Cache;
use crate::kit::document::PROOF;
use crate::kit::progress::{Job, Progress};
use crate::kit::report;
use crate::kit::shell::{last_lines, root, run, run_within, LAST_LINES};
use crate::quality::coverage;
use crate::step::{Run, World};
use clap::Args;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

#[derive(Args)]
pub struct Options {
    /// The duration in minutes; all fuzz targets run at the same time
    #[arg(long, default_value_t = 1.0, value_parser = crate::step::minutes)]
    minutes: f64,
    /// Minimise the corpus into fuzz/corpus, and write the table into docs/proof.md
    #[arg(long)]
    write: bool,
}

const CARGO_FUZZ: CargoTool = CargoTool { name: "cargo-fuzz", version: "0.13.2" };

/// The programs in fuzz/fuzz_targets, and the tests that replay their corpora.
const TARGETS: [(&str, &str); 2] = [("model", "histories"), ("peers", "peers")];

/// No sanitizer, because sanitizers do not see system calls and report the tests' bad addresses.
const FUZZ_OPTIONS: [&str; 3] = ["--release", "--sanitizer", "none"];
/// The longest input: a byte, and 120 steps of four bytes.
const MAX_LENGTH: &str = "-max_len=481";

/// The result of fuzzing a target.
struct Outcome {
    runs: u64,
    inputs: usize,
}

impl Run for Options {
    fn run(&self, world: &World) -> Result<(), String> {
        check(&world.progress, world.cache()?, self).map(drop)
    }
}

/// A short run for a full test. Returns how many inputs it tried.
pub fn run_checks(progress: &Progress, cache: &Cache) -> Result<usize, String> {
    check(progress, cache, &Options { minutes: 0.1, write: false })
}

fn check(progress: &Progress, cache: &Cache, options: &Options) -> Result<usize, String> {
    let job = progress.job("fuzz");
    let outcomes = fuzz_all(&job, cache, options.minutes);
    job.done(if outcomes.is_ok() { "no failure found" } else { "FAILED" });
    let outcomes = outcomes?;
    let mut rows = vec![
        ["command".into(), format!("`cargo xtask fuzz --minutes {} --write`", options.minutes)],
        ["on".into(), report::machine()],
        ["minutes of each".into(), format!("{:.1}", options.minutes)],
    ];
    for ((name, _), outcome) in TARGETS.iter().zip(&outcomes) {
        rows.push([format!("{name}: executions"), outcome.runs.to_string()]);
        rows.push([format!("{name}: inputs that reach something new"), outcome.inputs.to_string()]);
    }
    let table = report::figures("fuzz", rows.clone());
    report::say(format_args!("\n{table}\n"));
    if options.write {
        // First without coverage, because the rest may fail.
        PROOF.write("fuzz", &table)?;
        TARGETS.iter().try_for_each(|(name, _)| minimise_corpus(cache, name))?;
        let job = progress.job("coverage");
        let tests: Vec<&str> = TARGETS.iter().flat_map(|(_, test)| ["--test", test]).collect();
        // Only the tests that replay a corpus.
        let commands = [[&["test"], &tests[..]].concat()];
        let lines = coverage::measure(&job, &commands, &["a_fuzzer"], Some(&working_corpus()));
        job.done(if lines.is_ok() { "counted" } else { "FAILED" });
        let (run, missed) = coverage::sum(&lines?);
        let name = "lines of `src/` that these inputs reach, of those that the two programs contain";
        rows.push([name.into(), format!("{run} of {}", run + missed)]);
        PROOF.write("fuzz", &report::figures("fuzz", rows))?;
    }
    Ok(outcomes.iter().map(|outcome| outcome.runs as usize).sum())
}

fn fuzz_all(job: &Job, cache: &Cache, minutes: f64) -> Result<Vec<Outcome>, String> {
    job.at("installing cargo-fuzz");
    let mut cargo = CARGO_FUZZ.cargo(cache)?;
    job.at("building");
    run(cargo.args(["fuzz", "build"]).args(FUZZ_OPTIONS))?;
    job.at(&format!("running for {minutes:.1} minutes"));
    thread::scope(|scope| {
        let threads = TARGETS.map(|(name, _)| scope.spawn(move || fuzz(cache, name, minutes)));
        let ended = threads.map(|thread| thread.join().unwrap_or_else(|_| Err("a thread of xtask panicked".into())));
        ended.into_iter().collect()
    })
}

/// The folder with all inputs that reached new code.
fn working_corpus() -> PathBuf {
    root().join("target/fuzz/corpus")
}

fn committed_corpus(name: &str) -> PathBuf {
    root().join("fuzz/corpus").join(name)
}

fn fuzz(cache: &Cache, name: &str, minutes: f64) -> Result<Outcome, String> {
    let corpus = working_corpus().join(name);
    fs::create_dir_all(&corpus).map_err(|error| format!("cannot create {}: {error}", corpus.display()))?;
    let seconds = (minutes * 60.0) as u64;
    let mut cargo = CARGO_FUZZ.cargo(cache)?;
    cargo.args(["fuzz", "run"]).args(FUZZ_OPTIONS).arg(name).arg(&corpus).arg(committed_corpus(name));
    cargo.args(["--", MAX_LENGTH, "-print_final_stats=1"]).arg(format!("-max_total_time={seconds}"));
    let output = run_within(&mut cargo, Duration::from_secs(seconds + 600))?;
    let runs =
        output.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:")?.trim().parse().ok());
    let is_over = output.lines().any(|line| line.starts_with("Done "));
    match runs.filter(|_| is_over) {
        Some(runs) => Ok(Outcome { runs, inputs: count(&corpus)? }),
        None => {
            let lines = output.lines().filter(|line| !line.starts_with('#'));
            Err(format!("fuzzing {name} failed:\n{}", last_lines(lines, LAST_LINES)))
        }
    }
}

fn count(folder: &Path) -> Result<usize, String> {
    fs::read_dir(folder).map(Iterator::count).map_err(|error| format!("cannot read {}: {error}", folder.display()))
}

/// Replaces the committed corpus with the fewest inputs that reach the same code as all known
/// inputs.
fn minimise_corpus(cache: &Cache, name: &str) -> Result<(), String> {
    let (old, new) = (committed_corpus(name), root().join("target/fuzz/kept").join(name));
    let failed = |error: std::io::Error| format!("cannot minimise the corpus of {name}: {error}");
    let _ = fs::remove_dir_all(&new);
    fs::create_dir_all(&new).map_err(failed)?;
    let mut merge = CARGO_FUZZ.cargo(cache)?;
    merge.args(["fuzz", "run"]).args(FUZZ_OPTIONS).arg(name).arg(&new).arg(working_corpus().join(name)).arg(&old);
    run(merge.args(["--", "-set_cover_merge=1", "-use_counters=0", MAX_LENGTH]))?;
    let names = |folder: &Path| {
        let files = fs::read_dir(folder).map_err(failed)?;
        files.map(|file| Ok(file.map_err(failed)?.file_name())).collect::<Result<BTreeSet<_>, String>>()
    };
    let (had, has) = (names(&old)?, names(&new)?);
    if has.is_empty() {
        return Err(format!("libFuzzer kept no input of {name}; fuzz/corpus is unchanged"));
    }
    has.iter().try_for_each(|file| fs::copy(new.join(file), old.join(file)).map(drop)).map_err(failed)?;
    had.difference(&has).try_for_each(|file| fs::remove_file(old.join(file))).map_err(failed)
}
