//! The results of the conformance program on all targets and kernels, as `cargo xtask test --json`
//! writes them.

use super::conformance::{Run, NO_CLOSING_COUNT};
use super::emulated::{Emulator, TargetResult};
use super::kernels;
use super::not_linux;
use super::targets::Target;
use super::worst;
use crate::kit::report;
use serde::{Deserialize, Serialize};

/// A kernel prints this when its first process dies.
const INIT_DIED: &str = "Attempted to kill init";

/// qemu-user prints this when the program dies.
const OF_QEMU: &str = "qemu: uncaught target signal";

fn is_kernel(run: &Run) -> bool {
    kernels::kernel_name(&run.on).is_some()
}

/// A message if the checks of the machine ran where no kernel started the program, or did not run
/// where one did.
pub fn wrong_machine_checks(run: &Run) -> Option<String> {
    let fault = match (is_kernel(run), run.has_machine_checks()) {
        (true, false) => "the `machine::` checks are missing",
        (false, true) => "`machine::` checks ran",
        _ => return None,
    };
    Some(format!("{} on {}: {fault}", run.target, run.on))
}

/// Runs of the conformance program, and their failures.
#[derive(Clone, Default, Deserialize, Serialize)]
pub struct Results {
    pub runs: Vec<Run>,
    pub failures: Vec<String>,
    /// The kernels that there was no time to build.
    #[serde(default)]
    pub not_built: Vec<String>,
}

impl Results {
    /// How many checks failed through the crate's fault, and the first of them whose name starts
    /// with `start`.
    pub fn failed(&self, start: &str) -> (usize, Option<String>) {
        let failed = || self.runs.iter().flat_map(Run::failed);
        let first = failed().find(|(name, _)| name.starts_with(start));
        (failed().count(), first.map(|(name, why)| format!("`{name}`: {why}")))
    }

    /// The last check of a program that crashed or hung: the first failure in its last lines, or
    /// else the last check that passed.
    pub fn last_check_before_crash(&self) -> Option<String> {
        let text = self.failures.iter().find(|failure| failure.contains(NO_CLOSING_COUNT))?;
        let failed = text.lines().find_map(|line| line.strip_prefix("FAILED ")?.split_once(": "));
        let last = text.lines().rev().find_map(|line| line.strip_prefix("ok "));
        Some(match (failed, last) {
            (Some((name, why)), _) => format!("`{name}`: {why}"),
            (None, Some(name)) => format!("nothing after `{name}`"),
            // The program started and died. An emulator or a kernel that does not start prints
            // another error.
            (None, None) => {
                let of_kernel = text.lines().find_map(|line| {
                    let end = line.find(INIT_DIED).map(|at| &line[at..])?;
                    Some(format!("nothing, before the kernel says `{}`", end.trim_end_matches([' ', ']', '-'])))
                });
                let has = |start: &str| text.lines().any(|line| line.starts_with(start));
                let has_started = || has("machine: ").then(|| "nothing after the program's first line".into());
                let died =
                    || (has(OF_QEMU) || has(worst::ENDED)).then(|| "nothing, not even the program's first line".into());
                of_kernel.or_else(has_started).or_else(died)?
            }
        })
    }

    /// Adds runs and their failures.
    fn add(&mut self, runs: &[Run]) {
        for run in runs {
            self.failures.extend(run.failures());
            self.failures.extend(wrong_machine_checks(run));
            // Kernels run more checks than emulators, but all kernels run the same, and so do all
            // emulators.
            let mut others = self.runs.iter().chain(runs).filter(|other| !not_linux::is_layer(&other.on));
            let first = others.find(|other| is_kernel(other) == is_kernel(run));
            let (here, elsewhere) = (run.checks.len(), first.map_or(0, |first| first.checks.len()));
            if here != elsewhere {
                self.failures
                    .push(format!("{} on {}: {here} checks ran, and {elsewhere} elsewhere", run.target, run.on));
            }
        }
        self.runs.extend(runs.iter().cloned());
    }

    /// Ends the failures since `before` with the command that repeats them.
    fn say_how_to_repeat(&mut self, before: usize, option: &str, name: &str) {
        if let Some(last) = self.failures[before..].last_mut() {
            *last += &format!("\nTo repeat: `cargo xtask test {option} {name}`");
        }
    }

    /// Adds the runs of targets under emulators, and prints a table of them.
    pub fn add_emulated(&mut self, emulators: &[Emulator], answers: Vec<(&'static Target, TargetResult)>) {
        let mut rows = Vec::new();
        for (target, answer) in answers {
            let before = self.failures.len();
            let runs = answer.unwrap_or_else(|why| {
                self.failures.push(why);
                Vec::new()
            });
            self.add(&runs);
            self.say_how_to_repeat(before, "--target", target.name);
            let first = runs.first().cloned().unwrap_or_default();
            let without = if self.failures.len() > before { "FAILED" } else { "compiles" };
            let seconds = runs.iter().map(|run| run.seconds).fold(0.0, f32::max);
            let rust = if target.stable { "stable" } else { "nightly" };
            let mut row = vec![target.name.into(), first.machine, rust.into()];
            row.extend((0..2).map(|index| runs.get(index).map_or(without.into(), Run::summary)));
            row.push(format!("{seconds:.1}"));
            rows.push(row);
        }
        let names: Vec<&str> = emulators.iter().map(|emulator| emulator.name.as_str()).collect();
        let [old, old_for_loongarch, new] = names[..] else { return };
        let old = format!("{old}, for loongarch64 {old_for_loongarch}");
        report::print(&["target", "machine", "Rust", &old, new, "seconds"], rows);
    }

    /// Adds the runs of targets under the worst kernel, and prints a table of them.
    pub fn add_worst(&mut self, answers: Vec<(&'static Target, Result<Run, String>)>) {
        let mut rows = Vec::new();
        for (target, answer) in answers {
            let before = self.failures.len();
            let result = match answer {
                Ok(run) => {
                    self.add(std::slice::from_ref(&run));
                    [run.summary(), format!("{:.1}", run.seconds)]
                }
                Err(why) => {
                    self.failures.push(why);
                    ["FAILED".into(), String::new()]
                }
            };
            if let Some(last) = self.failures[before..].last_mut() {
                *last += &format!("\nTo repeat: `cargo xtask worst --target {}`", target.name);
            }
            rows.push([vec![target.name.to_string()], result.to_vec()].concat());
        }
        report::print(&["target under the worst kernel", "checks", "seconds"], rows);
    }

    /// Adds the runs of kernels, and prints a table of them.
    pub fn add_booted(&mut self, answers: Vec<(String, Result<Run, String>)>) {
        let mut rows = Vec::new();
        for (name, answer) in answers {
            let before = self.failures.len();
            let run = answer.unwrap_or_else(|why| {
                self.failures.push(why);
                Run::default()
            });
            if !run.checks.is_empty() {
                self.add(std::slice::from_ref(&run));
            }
            self.say_how_to_repeat(before, "--kernel", name.split(' ').next().unwrap_or_default());
            let result = if run.checks.is_empty() { "FAILED".into() } else { run.summary() };
            let seconds = format!("{:.1}", run.seconds);
            rows.push(vec![name, run.machine, run.kernel, run.pages, run.processors, result, seconds]);
        }
        report::print(&["kernel and program", "machine", "release", "page", "CPUs", "checks", "seconds"], rows);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machines::conformance::Check;

    #[test]
    fn a_kernel_runs_the_checks_of_the_machine_and_no_container_does() {
        let fault = |on: &str, check: &str| {
            let checks = vec![Check { name: check.into(), failure: None, known: None }];
            wrong_machine_checks(&Run { on: on.into(), checks, ..Run::default() }).is_some()
        };
        assert!(!fault("Linux 6.1.0 (uml-6.1)", "machine::one") && fault("Linux 6.1.0 (uml-6.1)", "eventfd::one"));
        assert!(
            fault("gVisor 20240729 by ptrace", "machine::one") && !fault("gVisor 20240729 by ptrace", "eventfd::one")
        );
    }
}
