//! What the conformance program's runs came to, on all targets and kernels; `cargo xtask test --json` writes it.

use super::conformance::{Run, NO_END};
use super::emulated::{Answer, Emulator};
use super::kernels;
use super::targets::Target;
use crate::kit::report;
use serde::{Deserialize, Serialize};

/// What a kernel prints when its first process dies.
const KILLED: &str = "Attempted to kill init";

/// Runs of the conformance program, and what is wrong with them.
#[derive(Clone, Default, Deserialize, Serialize)]
pub struct Results {
    pub runs: Vec<Run>,
    pub failures: Vec<String>,
}

impl Results {
    /// How many checks failed through the crate's fault, and the message of the first whose name has this start.
    pub fn failed(&self, start: &str) -> (usize, Option<String>) {
        let failed = || self.runs.iter().flat_map(Run::failed);
        let first = failed().find(|(name, _)| name.starts_with(start));
        (failed().count(), first.map(|(name, why)| format!("`{name}`: {why}")))
    }

    /// The last words of a program that did not reach its end: the first failed check among its last lines, else its last check.
    pub fn end_of_the_dead(&self) -> Option<String> {
        let text = self.failures.iter().find(|failure| failure.contains(NO_END))?;
        let failed = text.lines().find_map(|line| line.strip_prefix("FAILED ")?.split_once(": "));
        let last = text.lines().rev().find_map(|line| line.strip_prefix("ok "));
        Some(match (failed, last) {
            (Some((name, why)), _) => format!("`{name}`: {why}"),
            (None, Some(name)) => format!("nothing after `{name}`"),
            // It was started, and died. An emulator or a kernel that does not start prints something else.
            (None, None) => text.lines().find_map(|line| {
                let end = line.find(KILLED).map(|at| &line[at..])?;
                Some(format!("nothing, before the kernel says `{}`", end.trim_end_matches([' ', ']', '-'])))
            })?,
        })
    }

    /// Adds runs, and says what is wrong with them.
    fn take(&mut self, runs: &[Run]) {
        for run in runs {
            self.failures.extend(run.failures());
            let is_kernel = |run: &Run| kernels::of(&run.on).is_some();
            if run.has_machine() != is_kernel(run) {
                let what = if is_kernel(run) { "no checks of a machine" } else { "checks of a machine" };
                self.failures.push(format!("{} on {}: {what}", run.target, run.on));
            }
            // Kernels run more checks than emulators do. Each kind runs the same checks everywhere.
            let first = self.runs.iter().chain(runs).find(|other| is_kernel(other) == is_kernel(run));
            let (here, elsewhere) = (run.checks.len(), first.map_or(0, |first| first.checks.len()));
            if here != elsewhere {
                self.failures.push(format!("{} on {}: {here} checks, elsewhere {elsewhere}", run.target, run.on));
            }
        }
        self.runs.extend(runs.iter().cloned());
    }

    /// Adds the runs of targets under emulators, and prints their table.
    pub fn emulated(&mut self, emulators: &[Emulator], answers: Vec<(&'static Target, Answer)>) {
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
    }

    /// Adds the runs of kernels, and prints their table.
    pub fn booted(&mut self, answers: Vec<(String, Result<Run, String>)>) {
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
            let seconds = format!("{:.1}", run.seconds);
            rows.push(vec![name, run.machine, run.kernel, run.pages, run.processors, result, seconds]);
        }
        report::print(&["kernel and program", "machine", "release", "page", "CPUs", "checks", "seconds"], rows);
    }
}
