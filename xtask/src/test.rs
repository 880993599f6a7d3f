//! `cargo xtask test`: everything that decides whether a change is right.

use crate::conformance::{self, Run};
use crate::debian::Cache;
use crate::emulated::{self, Answer};
use crate::progress::Progress;
use crate::shell::root;
use crate::tables::{architectures, README};
use crate::targets::{select, Target, QUICK, TARGETS};
use crate::{
    answers, asm, bench, broken, cat, clobbers, coverage, cross, documents, drop_in, everywhere, fuzz, headers,
    kernels, memory, minimum, musl, mutants, native, package, report, serve, size, soak, std_emulated, supply, symbols,
    toolchain, wall,
};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(Args)]
pub struct Options {
    /// Native tests, and five targets of both endiannesses and widths
    #[arg(long, conflicts_with = "target")]
    quick: bool,
    /// Only these targets, and nothing native; the start of a name will do; may be given again
    #[arg(long)]
    target: Vec<String>,
    /// Only real kernels, booted by emulation: all of them
    #[arg(long, conflicts_with_all = ["quick", "target"])]
    kernels: bool,
    /// Only these kernels, as `arm64-5.10`; the start of a name will do; may be given again
    #[arg(long, value_name = "NAME", conflicts_with_all = ["quick", "target"])]
    kernel: Vec<String>,
    #[command(flatten)]
    doubts: emulated::Doubts,
    /// Print the targets, and run nothing
    #[arg(long, conflicts_with_all = ["target", "kernels", "kernel", "quick"])]
    list: bool,
    /// Write every check's result to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub fn run(options: &Options) -> Result<(), String> {
    if options.list {
        report::print(&["target", "emulator", "Rust", "why"], TARGETS.iter().map(list_row));
        return Ok(());
    }
    let some_targets = options.quick || !options.target.is_empty();
    let only_kernels = options.kernels || !options.kernel.is_empty();
    let everything = !some_targets && !only_kernels;
    let targets = select(&if options.quick { QUICK.map(String::from).to_vec() } else { options.target.clone() })?;
    let kernels = kernels::select(&options.kernel)?;

    let (start, progress, mut summary) = (Instant::now(), Progress::new(), Summary::default());
    if everything || options.quick {
        // The waker's model and xtask's own tests are other packages'.
        let packages: &[&str] = if everything { &["--workspace"] } else { &[] };
        summary.tests("native", || native::tests(&progress, "native", packages));
        summary.tests("native, feature std", || native::tests(&progress, "native, std", &["--features", "std"]));
    }
    if everything {
        summary.count("soak, a short one", "connections", || soak::run_checks(&progress));
        summary.count("oldest compiler", "builds", || minimum::run_checks(&progress));
        summary.step("memory, by valgrind", || memory::run_checks(&progress));
        summary.count("lines that tests run", "lines", || coverage::run_checks(&progress));
        summary.count("benches, a short run", "figures", || wall::run_checks(&progress));
        summary.count("size, beside rustix's", "programs", || size::run_checks(&progress));
        summary.count("a cold build", "crates", || bench::cold_build(&progress));
        summary.count("instructions a call", "calls", || bench::instructions(&progress));
    }
    match prepare(&progress, &targets) {
        Err(why) => summary.failures.push(why),
        Ok((cache, emulators)) => {
            if !only_kernels {
                let start = Instant::now();
                let answers = emulated::run_all(&progress, &cache, &emulators, &targets, &options.doubts);
                summary.emulated(&emulators, answers, start);
            }
            if everything {
                summary.step("answers made up", || answers::run_checks(&progress, &cache));
                summary.count("the kernel's headers", "facts", || headers::run_checks(&progress, &cache));
                summary.count("machine code", "calls", || asm::run_checks(&progress, &cache, &targets));
                summary.count("registers of the traps", "traps", || clobbers::check(&progress, &cache, &targets));
                summary.count("no panic, no libc", "programs", || symbols::check(&progress, &cache, &targets));
                summary.step("bare-cat", || cat::run_checks(&progress, &cache));
                summary.count("fuzz, a short one", "inputs", || fuzz::run_checks(&progress, &cache));
                summary.count("broken on purpose", "faults seen", || broken::run_checks(&progress));
                summary.count("mutants, of one file", "changes seen", || mutants::run_checks(&progress, &cache));
                summary.step("executor, under load", || serve::run_checks(&progress, &cache));
                summary.step("static musl", || musl::run_checks(&progress, &cache));
                summary.step("the package", || package::run_checks(&progress, &cache));
                summary.step("the supply chain", || supply::run_checks(&progress, &cache));
                summary.step("documents", || documents::run_checks(&progress, &cache));
                summary.step("programs in C", || drop_in::run_checks(&progress, &cache));
                summary.step("with std", || std_emulated::run_checks(&progress, &cache));
                summary.count("other Linux targets", "targets", || everywhere::run_checks(&progress, &cache));
            }
            if !some_targets {
                let start = Instant::now();
                summary.booted(kernels::run_all(&progress, &cache, &kernels), start);
            }
        }
    }
    if everything && summary.failures.is_empty() {
        summary.failures.extend(keep(&last_run(), &summary).err());
        let table = architectures(&summary.runs);
        summary.step("README's table", || README.check(TABLE, &table, "cargo xtask table"));
    }
    if let Some(file) = &options.json {
        summary.failures.extend(keep(file, &summary).err());
    }
    let all = vec!["all".into(), String::new(), format!("{:.1}", start.elapsed().as_secs_f32())];
    report::print(&["what", "result", "seconds"], summary.steps.iter().map(Step::row).chain([all]));
    match summary.failures.as_slice() {
        [] => Ok(()),
        failures => Err(failures.join("\n\n")),
    }
}

/// What the closing table says of a number of checks.
const PASSED: &str = "passed";

/// What a kernel says where its first process dies.
const KILLED: &str = "Attempted to kill init";

/// The name of README's table of what was proved.
const TABLE: &str = "architectures";

/// Where the last full run that passed is kept.
fn last_run() -> PathBuf {
    root().join("target/last-run.json")
}

fn keep(file: &Path, summary: &Summary) -> Result<(), String> {
    let text = serde_json::to_string_pretty(summary).map_err(|error| format!("cannot write JSON: {error}"))?;
    std::fs::write(file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))
}

/// `cargo xtask table`: writes README's table from these files of `--json`, or from the last full run.
pub fn table(from: &[PathBuf]) -> Result<(), String> {
    let last = [last_run()];
    let from = if from.is_empty() { &last[..] } else { from };
    let mut runs: Vec<Run> = Vec::new();
    for file in from {
        let text = std::fs::read_to_string(file)
            .map_err(|_| format!("there is no {}: `cargo xtask test --json {0}` writes it", file.display()))?;
        let read: Summary =
            serde_json::from_str(&text).map_err(|error| format!("{} holds no runs: {error}", file.display()))?;
        runs.extend(read.runs);
    }
    let changed = README.write(TABLE, &architectures(&runs))?;
    println!("README.md: the table of architectures {}", if changed { "is new" } else { "was right" });
    Ok(())
}

fn list_row(target: &Target) -> Vec<String> {
    let rust = if target.stable { "stable" } else { "nightly" };
    [target.name, &target.emulator.join(" "), rust, target.why].map(String::from).to_vec()
}

/// What the emulated runs need, fetched where it is missing.
fn prepare(progress: &Progress, targets: &[&Target]) -> Result<(Cache, Vec<emulated::Emulator>), String> {
    let job = progress.job("tools");
    job.at("nightly, the standard library's source, emulators, linkers");
    let get = || {
        toolchain::ensure_nightly_with_source()?;
        let cache = cross::open_cache()?;
        let emulators = emulated::emulators(&cache)?;
        targets.iter().try_for_each(|target| cross::cargo(&cache, target, "build").map(drop))?;
        Ok((cache, emulators))
    };
    let answer = get();
    job.done(if answer.is_ok() { "there" } else { "FAILED" });
    answer
}

/// What the run came to so far; `--json` writes it.
#[derive(Default, Deserialize, Serialize)]
pub struct Summary {
    steps: Vec<Step>,
    failures: Vec<String>,
    /// Every run of the conformance program, with its checks.
    runs: Vec<Run>,
}

/// A row of the closing table.
#[derive(Deserialize, Serialize)]
struct Step {
    what: String,
    /// How many checks passed, or of what else a step that was right gives the number; none of a step that failed.
    passed: Option<usize>,
    /// What is counted: [`PASSED`], where each one is a check.
    #[serde(default)]
    of: String,
    /// The names of tests that passed, where they are not in `runs`.
    tests: Vec<String>,
    seconds: f32,
}

impl Step {
    fn row(&self) -> Vec<String> {
        let result = self.passed.map_or("FAILED".into(), |passed| format!("{passed} {}", self.of));
        vec![self.what.clone(), result, format!("{:.1}", self.seconds)]
    }
}

impl Summary {
    /// How many checks failed that nobody but the crate is to blame for, and what the first of those said whose names start so.
    pub fn failed(&self, start: &str) -> (usize, Option<String>) {
        let failed = || self.runs.iter().flat_map(Run::failed);
        let first = failed().find(|(name, _)| name.starts_with(start));
        (failed().count(), first.map(|(name, why)| format!("`{name}`: {why}")))
    }

    /// Of a program that did not come to its end: the first check of its last lines that failed, or the last that did not.
    pub fn end_of_the_dead(&self) -> Option<String> {
        let text = self.failures.iter().find(|failure| failure.contains(conformance::NO_END))?;
        let failed = text.lines().find_map(|line| line.strip_prefix("FAILED ")?.split_once(": "));
        let last = text.lines().rev().find_map(|line| line.strip_prefix("ok "));
        Some(match (failed, last) {
            (Some((name, why)), _) => format!("`{name}`: {why}"),
            (None, Some(name)) => format!("nothing after `{name}`"),
            // It was started, and died: an emulator or a kernel that did not start says so otherwise.
            (None, None) => text.lines().find_map(|line| {
                let end = line.find(KILLED).map(|at| &line[at..])?;
                Some(format!("nothing, before the kernel says `{}`", end.trim_end_matches([' ', ']', '-'])))
            })?,
        })
    }

    /// A step of checks.
    fn step(&mut self, name: &str, work: impl FnOnce() -> Result<usize, String>) {
        self.count(name, PASSED, work);
    }

    /// A step that counts something else than checks.
    fn count(&mut self, name: &str, of: &str, work: impl FnOnce() -> Result<usize, String>) {
        self.run(name, of, || work().map(|passed| (passed, Vec::new())));
    }

    /// A step of tests that have names.
    fn tests(&mut self, name: &str, work: impl FnOnce() -> Result<(usize, Vec<String>), String>) {
        self.run(name, PASSED, work);
    }

    fn run(&mut self, name: &str, of: &str, work: impl FnOnce() -> Result<(usize, Vec<String>), String>) {
        let start = Instant::now();
        match work() {
            Ok((passed, tests)) => self.end(name, of, Some(passed), tests, start),
            Err(why) => {
                self.end(name, of, None, Vec::new(), start);
                self.failures.push(why);
            }
        }
    }

    fn end(&mut self, what: &str, of: &str, passed: Option<usize>, tests: Vec<String>, start: Instant) {
        self.steps.push(Step {
            what: what.into(),
            passed,
            of: of.into(),
            tests,
            seconds: start.elapsed().as_secs_f32(),
        });
    }

    /// Takes runs up, and whatever is wrong with them.
    fn take(&mut self, runs: &[Run]) {
        for run in runs {
            self.failures.extend(run.failures());
            let is_kernel = |run: &Run| kernels::of(&run.on).is_some();
            if run.has_machine() != is_kernel(run) {
                let what = if is_kernel(run) { "no checks of a machine" } else { "checks of a machine" };
                self.failures.push(format!("{} on {}: {what}", run.target, run.on));
            }
            // Kernels run more than emulators do; each kind runs the same everywhere.
            let first = self.runs.iter().chain(runs).find(|other| is_kernel(other) == is_kernel(run));
            let before = first.map_or(0, |first| first.checks.len());
            if run.checks.len() != before {
                self.failures.push(format!(
                    "{} on {}: {} checks, elsewhere {before}",
                    run.target,
                    run.on,
                    run.checks.len()
                ));
            }
        }
        self.runs.extend(runs.iter().cloned());
    }

    /// The table of targets under emulators.
    fn emulated(&mut self, emulators: &[emulated::Emulator], answers: Vec<(&'static Target, Answer)>, start: Instant) {
        let (count, before) = (answers.len(), self.failures.len());
        let mut rows = Vec::new();
        for (target, answer) in answers {
            let before = self.failures.len();
            let runs = answer.unwrap_or_else(|why| {
                self.failures.push(why);
                Vec::new()
            });
            self.take(&runs);
            let first = runs.first().cloned().unwrap_or_default();
            let without = if self.failures.len() > before { "FAILED" } else { "compiles" };
            let seconds = runs.iter().map(|run| run.seconds).fold(0.0, f32::max);
            let rust = if target.stable { "stable" } else { "nightly" };
            let mut row = vec![target.name.into(), first.machine, rust.into()];
            row.extend((0..2).map(|place| runs.get(place).map_or(without.into(), Run::summary)));
            row.push(format!("{seconds:.1}"));
            rows.push(row);
        }
        let names: Vec<&str> = emulators.iter().map(|emulator| emulator.name.as_str()).collect();
        let [old, old_for_loongarch, new] = names[..] else { return };
        let old = format!("{old}, for loongarch64 {old_for_loongarch}");
        report::print(&["target", "machine", "Rust", &old, new, "seconds"], rows);
        self.close("targets", count, before, start);
    }

    /// The table of kernels.
    fn booted(&mut self, answers: Vec<(String, Result<Run, String>)>, start: Instant) {
        let (count, before) = (answers.len(), self.failures.len());
        let mut rows = Vec::new();
        for (name, answer) in answers {
            let run = answer.unwrap_or_else(|why| {
                self.failures.push(why);
                Run::default()
            });
            if !run.checks.is_empty() {
                self.take(std::slice::from_ref(&run));
            }
            let result = if run.checks.is_empty() { "FAILED".into() } else { run.summary() };
            rows.push(vec![
                name,
                run.machine,
                run.kernel,
                run.pages,
                run.processors,
                result,
                format!("{:.1}", run.seconds),
            ]);
        }
        report::print(&["kernel and program", "machine", "release", "page", "CPUs", "checks", "seconds"], rows);
        self.close("kernels", count, before, start);
    }

    fn close(&mut self, what: &str, count: usize, failures_before: usize, start: Instant) {
        let failed = self.failures.len() > failures_before;
        self.end(what, what, if failed { None } else { Some(count) }, Vec::new(), start);
    }
}
