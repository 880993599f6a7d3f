//! `cargo xtask fuzz`: histories that libFuzzer thinks of, against the model of the kernel and against libc. What it finds worth
//! keeping stays in `target/fuzz`, and the next run goes on from there.

use crate::debian::cargo_tools::CargoTool;
use crate::debian::Cache;
use crate::kit::document::PROOF;
use crate::kit::progress::{Job, Progress};
use crate::kit::report;
use crate::kit::shell::{last, root, run, run_within, LAST_LINES};
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
    /// How long, in minutes; all that is fuzzed runs at the same time
    #[arg(long, default_value_t = 1.0, value_parser = crate::step::minutes)]
    minutes: f64,
    /// Keep the smallest inputs that reach all that was reached in fuzz/corpus, and write the table into docs/proof.md
    #[arg(long)]
    write: bool,
}

const CARGO_FUZZ: CargoTool = CargoTool { name: "cargo-fuzz", version: "0.13.2" };

/// What is fuzzed: the programs in fuzz/fuzz_targets, and the tests that replay their corpus.
const TARGETS: [(&str, &str); 2] = [("model", "histories"), ("peers", "peers")];

/// Without a sanitizer: those see no system call, and take a wild address for a fault of the test.
const HOW: [&str; 3] = ["--release", "--sanitizer", "none"];
/// The longest input: 120 steps of four bytes each, and a byte before them.
const LONGEST: &str = "-max_len=481";

/// What came of fuzzing one of them.
struct Outcome {
    runs: u64,
    inputs: usize,
}

impl Run for Options {
    fn run(&self, world: &World) -> Result<(), String> {
        check(&world.progress, world.cache()?, self).map(drop)
    }
}

/// A short one, for a full test: how many inputs were tried.
pub fn run_checks(progress: &Progress, cache: &Cache) -> Result<usize, String> {
    check(progress, cache, &Options { minutes: 0.1, write: false })
}

fn check(progress: &Progress, cache: &Cache, options: &Options) -> Result<usize, String> {
    let job = progress.job("fuzz");
    let outcomes = fuzz_all(&job, cache, options.minutes);
    job.done(if outcomes.is_ok() { "nothing found" } else { "FAILED" });
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
    println!("\n{table}\n");
    if options.write {
        // What comes now may fail, and the figures are there.
        PROOF.write("fuzz", &table)?;
        TARGETS.iter().try_for_each(|(name, _)| keep(cache, name))?;
        let job = progress.job("coverage");
        let tests: Vec<&str> = TARGETS.iter().flat_map(|(_, test)| ["--test", test]).collect();
        // The tests that replay a corpus, and no others.
        let lines = coverage::measure(&job, &[[&["test"], &tests[..]].concat()], &["a_fuzzer"], Some(&found()));
        job.done(if lines.is_ok() { "counted" } else { "FAILED" });
        let (run, missed) = coverage::sum(&lines?);
        let what = "lines of `src/` that these inputs reach, of those that the two programs contain";
        rows.push([what.into(), format!("{run} of {}", run + missed)]);
        PROOF.write("fuzz", &report::figures("fuzz", rows))?;
    }
    Ok(outcomes.iter().map(|outcome| outcome.runs as usize).sum())
}

fn fuzz_all(job: &Job, cache: &Cache, minutes: f64) -> Result<Vec<Outcome>, String> {
    job.at("cargo-fuzz");
    let mut cargo = CARGO_FUZZ.cargo(cache)?;
    job.at("building");
    run(cargo.args(["fuzz", "build"]).args(HOW))?;
    job.at(&format!("running for {minutes:.1} minutes"));
    thread::scope(|scope| {
        let threads = TARGETS.map(|(name, _)| scope.spawn(move || fuzz(cache, name, minutes)));
        let ended = threads.map(|thread| thread.join().unwrap_or_else(|_| Err("a thread of xtask's panicked".into())));
        ended.into_iter().collect()
    })
}

/// Where inputs that reach something new are kept.
fn found() -> PathBuf {
    root().join("target/fuzz/corpus")
}

fn kept(name: &str) -> PathBuf {
    root().join("fuzz/corpus").join(name)
}

fn fuzz(cache: &Cache, name: &str, minutes: f64) -> Result<Outcome, String> {
    let corpus = found().join(name);
    fs::create_dir_all(&corpus).map_err(|error| format!("cannot make {}: {error}", corpus.display()))?;
    let seconds = (minutes * 60.0) as u64;
    let mut cargo = CARGO_FUZZ.cargo(cache)?;
    cargo.args(["fuzz", "run"]).args(HOW).arg(name).arg(&corpus).arg(kept(name));
    cargo.args(["--", LONGEST, "-print_final_stats=1"]).arg(format!("-max_total_time={seconds}"));
    let output = run_within(&mut cargo, Duration::from_secs(seconds + 600))?;
    let runs =
        output.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:")?.trim().parse().ok());
    let is_over = output.lines().any(|line| line.starts_with("Done "));
    match runs.filter(|_| is_over) {
        Some(runs) => Ok(Outcome { runs, inputs: count(&corpus)? }),
        None => {
            let lines = output.lines().filter(|line| !line.starts_with('#'));
            Err(format!("fuzzing {name} did not end well:\n{}", last(lines, LAST_LINES)))
        }
    }
}

fn count(folder: &Path) -> Result<usize, String> {
    fs::read_dir(folder).map(Iterator::count).map_err(|error| format!("cannot read {}: {error}", folder.display()))
}

/// Replaces the committed inputs by the fewest that reach every place in the code that is reached.
fn keep(cache: &Cache, name: &str) -> Result<(), String> {
    let (old, new) = (kept(name), root().join("target/fuzz/kept").join(name));
    let says = |error: std::io::Error| format!("cannot keep the corpus of {name}: {error}");
    let _ = fs::remove_dir_all(&new);
    fs::create_dir_all(&new).map_err(says)?;
    let mut merge = CARGO_FUZZ.cargo(cache)?;
    merge.args(["fuzz", "run"]).args(HOW).arg(name).arg(&new).arg(found().join(name)).arg(&old);
    run(merge.args(["--", "-set_cover_merge=1", "-use_counters=0", LONGEST]))?;
    let names = |folder: &Path| {
        let files = fs::read_dir(folder).map_err(says)?;
        files.map(|file| Ok(file.map_err(says)?.file_name())).collect::<Result<BTreeSet<_>, String>>()
    };
    let (had, has) = (names(&old)?, names(&new)?);
    if has.is_empty() {
        return Err(format!("libFuzzer kept no input of {name}; fuzz/corpus is as it was"));
    }
    has.iter().try_for_each(|file| fs::copy(new.join(file), old.join(file)).map(drop)).map_err(says)?;
    had.difference(&has).try_for_each(|file| fs::remove_file(old.join(file))).map_err(says)
}
