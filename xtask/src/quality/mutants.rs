//! `cargo xtask mutants`: changes `src/` in one place at a time, and checks that a test fails.

use crate::debian::cargo_tools::CargoTool;
use crate::debian::Cache;
use crate::kit::document::PROOF;
use crate::kit::progress::{Job, Progress};
use crate::kit::report;
use crate::kit::shell::{root, run_watched, target_dir};
use crate::step::{Run, World};
use clap::Args;
use serde::Deserialize;
use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

#[derive(Args)]
pub struct Options {
    /// Change only this file, such as `src/timeout.rs`; may be repeated
    #[arg(long)]
    file: Vec<String>,
    /// Test this many changes in parallel; with too many, a test may time out only because of the
    /// load
    #[arg(long, default_value = "1")]
    jobs: NonZeroUsize,
    /// Write the table into docs/proof.md
    #[arg(long, conflicts_with = "file")]
    write: bool,
}

/// Its settings, and the mutants to skip with the reasons, are in .cargo/mutants.toml.
const CARGO_MUTANTS: CargoTool = CargoTool { name: "cargo-mutants", version: "27.1.0" };
/// The time limit for all mutants.
const LIMIT: Duration = Duration::from_secs(5 * 3600);

impl Run for Options {
    fn run(&self, world: &World) -> Result<(), String> {
        check(&world.progress, world.cache()?, self).map(drop)
    }
}

/// Tests the mutants of one file, for a full test. Returns how many the tests caught.
pub fn run_checks(progress: &Progress, cache: &Cache) -> Result<usize, String> {
    // Many of its mutants never end, so this runs only the tests of wakers, with a short limit.
    let more = &[
        "--no-config",
        "--timeout-multiplier=2",
        "--cargo-test-arg=--test=waker",
        "--cargo-test-arg=--test=native",
        "--cargo-test-arg=wak",
    ];
    let part = Part { name: "mutants-of-one-file", files: vec!["src/waker/state.rs"], more };
    match caught(&[part.run(progress, cache, NonZeroUsize::MIN)?])? {
        0 => Err("none of the changes compiled, so no test ran".into()),
        caught => Ok(caught),
    }
}

/// The file that only feature `std` compiles. That feature removes the code that replaces this file
/// without std, so the file is tested alone.
const WITH_STD: &str = "src/with_std.rs";

/// cargo-mutants' `outcomes.json`, which it updates after each mutant.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Outcomes {
    outcomes: Vec<Outcome>,
    caught: usize,
    timeout: usize,
    unviable: usize,
    missed: usize,
}

#[derive(Deserialize)]
struct Outcome {
    scenario: serde_json::Value,
    summary: String,
}

impl Outcomes {
    fn read(folder: &Path) -> Self {
        let text = fs::read_to_string(folder.join("outcomes.json")).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    fn ended(&self) -> usize {
        self.caught + self.timeout + self.unviable + self.missed
    }

    /// The names of the mutants with this outcome.
    fn names<'s>(&'s self, summary: &'s str) -> impl Iterator<Item = &'s str> {
        let outcomes = self.outcomes.iter().filter(move |outcome| outcome.summary == summary);
        outcomes.map(|outcome| outcome.scenario["Mutant"]["name"].as_str().unwrap_or("a mutant without a name"))
    }
}

/// The names of the changes with this outcome, a line each.
fn names(outcomes: &[Outcomes], summary: &str) -> String {
    outcomes.iter().flat_map(|outcomes| outcomes.names(summary)).collect::<Vec<_>>().join("\n")
}

/// How many changes the tests caught. The error names those that no test saw.
fn caught(outcomes: &[Outcomes]) -> Result<usize, String> {
    if outcomes.iter().any(|outcomes| outcomes.missed > 0) {
        return Err(format!("no test fails with these changes:\n{}", names(outcomes, "MissedMutant")));
    }
    Ok(outcomes.iter().map(|outcomes| outcomes.caught + outcomes.timeout).sum())
}

fn check(progress: &Progress, cache: &Cache, options: &Options) -> Result<usize, String> {
    if let Some(missing) = options.file.iter().find(|file| !root().join(file).is_file()) {
        return Err(format!(
            "there is no file {missing}; give the path from the top of the repository, such as src/timeout.rs"
        ));
    }
    let (with_std, others): (Vec<&str>, Vec<&str>) =
        options.file.iter().map(String::as_str).partition(|file| *file == WITH_STD);
    let is_all = options.file.is_empty();
    let mut parts = Vec::new();
    if is_all || !others.is_empty() {
        let files = if is_all { vec!["src/**/*.rs"] } else { others };
        parts.push(Part { name: "mutants", files, more: &["--exclude", WITH_STD] });
    }
    if is_all || !with_std.is_empty() {
        let more = &["--no-config", "--features", "std", "--cargo-test-arg=--test=with_std"];
        parts.push(Part { name: "mutants-with-std", files: vec![WITH_STD], more });
    }
    let run = |part: &Part| part.run(progress, cache, options.jobs);
    let outcomes = parts.iter().map(run).collect::<Result<Vec<_>, _>>()?;
    let sum = |count: fn(&Outcomes) -> usize| outcomes.iter().map(count).sum::<usize>();
    let files = if is_all { "all".into() } else { options.file.join(", ") };
    let rows = [
        ["files", &files],
        ["on", &report::machine()],
        ["changes", &sum(Outcomes::ended).to_string()],
        ["tests failed", &sum(|outcomes| outcomes.caught).to_string()],
        ["tests did not end", &sum(|outcomes| outcomes.timeout).to_string()],
        ["did not compile", &sum(|outcomes| outcomes.unviable).to_string()],
        ["not seen", &sum(|outcomes| outcomes.missed).to_string()],
    ];
    let table = report::figures("mutants", rows);
    report::say(format_args!("\n{table}\n"));
    if sum(|outcomes| outcomes.timeout) > 0 {
        report::say(format_args!("With these changes, the tests timed out:\n{}\n", names(&outcomes, "Timeout")));
    }
    let caught = caught(&outcomes)?;
    if options.write {
        PROOF.write("mutants", &table)?;
    }
    Ok(caught)
}

/// Files that are tested in one run of cargo-mutants.
struct Part<'f> {
    /// The name of the job, and of the folder in `target/` with the changes and the tests' output.
    name: &'static str,
    files: Vec<&'f str>,
    /// More arguments for cargo-mutants.
    more: &'static [&'static str],
}

impl Part<'_> {
    fn run(&self, progress: &Progress, cache: &Cache, jobs: NonZeroUsize) -> Result<Outcomes, String> {
        let job = progress.job(self.name);
        let outcomes = self.test(&job, cache, jobs);
        job.done(match &outcomes {
            Ok(outcomes) if outcomes.missed == 0 => "all caught",
            _ => "FAILED",
        });
        outcomes
    }

    fn test(&self, job: &Job, cache: &Cache, jobs: NonZeroUsize) -> Result<Outcomes, String> {
        job.at("installing cargo-mutants");
        let output = target_dir().join(self.name);
        let folder = output.join("mutants.out");
        let _ = fs::remove_dir_all(&folder);
        let mut cargo = CARGO_MUTANTS.cargo(cache)?;
        // A failing test needs no debug information here.
        cargo.env("CARGO_PROFILE_DEV_DEBUG", "0");
        cargo.args(["mutants", "--no-shuffle", "--colors", "never", "--jobs", &jobs.to_string(), "--output"]);
        cargo.arg(output).args(self.more).args(self.files.iter().flat_map(|file| ["--file", file]));
        let count = || {
            let text = fs::read_to_string(folder.join("mutants.json")).ok()?;
            serde_json::from_str::<Vec<serde_json::Value>>(&text).ok().map(|mutants| mutants.len())
        };
        let (mut all, mut reported) = (None, None);
        let text = run_watched(&mut cargo, LIMIT, || {
            all = all.or_else(count);
            // One message at the start, and one for every ten mutants.
            let now = all.map(|all| (Outcomes::read(&folder).ended() / 10 * 10, all));
            if let Some((ended, all)) = now.filter(|_| now != reported) {
                job.at(&format!("{ended} of {all}"));
            }
            reported = now;
        })?;
        let outcomes = Outcomes::read(&folder);
        match all.or_else(count) {
            Some(all) if all > 0 && outcomes.ended() == all => Ok(outcomes),
            _ => Err(format!("cargo-mutants did not test all changes:\n{text}")),
        }
    }
}
