//! The output of the bare conformance program, and emulators' known differences from a kernel.

use crate::kit::shell::last_lines;
use serde::{Deserialize, Serialize};

/// A run of the program on an emulator or a kernel.
#[derive(Clone, Default, Deserialize, Serialize)]
pub struct Run {
    /// rustc's name of the target.
    pub target: String,
    /// The emulator or the kernel: `qemu-user 11.1.2`, `Linux 6.1.0-50-s390x`.
    pub on: String,
    /// Endianness, width and layout of the event, as the program prints them.
    pub machine: String,
    /// The release that the kernel reports. Under qemu-user, this machine's kernel reports it.
    pub kernel: String,
    /// The page size in bytes.
    pub pages: String,
    /// The number of the kernel's processors. Empty for an emulator.
    #[serde(default)]
    pub processors: String,
    pub checks: Vec<Check>,
    pub seconds: f32,
}

#[derive(Clone, Deserialize, Serialize)]
pub struct Check {
    pub name: String,
    /// The reason for the failure, or `None` if the check passed.
    pub failure: Option<String>,
    /// The emulator's known fault that caused the failure.
    pub known: Option<String>,
}

/// A known fault of an emulator.
pub struct KnownFault {
    /// The start of [`Run::on`].
    pub on: &'static str,
    /// The starts of the targets' names. If empty, all targets.
    pub targets: &'static [&'static str],
    /// A part of [`Run::machine`].
    pub machine: &'static str,
    /// The check that fails.
    pub check: &'static str,
    pub reason: &'static str,
}

/// How many lines of output an error shows: a kernel's report of its first process's death, and the
/// few lines before it.
const SHOWN_LINES: usize = 50;
/// The error for a program that ended too soon contains this.
pub const NO_CLOSING_COUNT: &str = "printed no closing count";

/// Whether the output has the program's last line.
pub fn has_closing_count(output: &str) -> bool {
    output.split_inclusive('\n').any(|line| line.starts_with("conformance: ") && line.ends_with('\n'))
}

impl Run {
    /// Parses the program's output. Returns an error if its closing count is missing or wrong.
    pub fn read(
        target: &str,
        on: &str,
        output: &str,
        seconds: f32,
        known: &'static [KnownFault],
    ) -> Result<Self, String> {
        let mut run = Self { target: target.into(), on: on.into(), seconds, ..Self::default() };
        let mut closing = None;
        for line in output.lines().map(|line| line.trim_end_matches('\r')) {
            if let Some(name) = line.strip_prefix("ok ") {
                run.checks.push(Check { name: name.into(), failure: None, known: None });
            } else if let Some((name, why)) = line.strip_prefix("FAILED ").and_then(|rest| rest.split_once(": ")) {
                let applies = |known: &&KnownFault| {
                    known.check == name
                        && on.starts_with(known.on)
                        && run.machine.contains(known.machine)
                        && (known.targets.is_empty() || known.targets.iter().any(|start| target.starts_with(start)))
                };
                let known = known.iter().find(applies).map(|known| known.reason.to_string());
                run.checks.push(Check { name: name.into(), failure: Some(why.into()), known });
            } else if let Some(machine) = line.strip_prefix("machine: ") {
                run.machine = machine.into();
            } else if let Some(kernel) = line.strip_prefix("kernel: ") {
                run.kernel = kernel.into();
            } else if let Some(pages) = line.strip_prefix("pages: ") {
                run.pages = pages.into();
            } else if let Some(processors) = line.strip_prefix("processors: ") {
                run.processors = processors.into();
            } else if let Some(count) = line.strip_prefix("conformance: ") {
                closing = Some(count.to_string());
            }
        }
        let passed = run.checks.iter().filter(|check| check.failure.is_none()).count();
        let counted = format!("{passed} passed, {} failed", run.checks.len() - passed);
        match closing {
            Some(closing) if closing == counted && passed > 0 => Ok(run),
            Some(closing) => Err(format!("{target} on {on} reports {closing}, but its lines count {counted}")),
            None => {
                let lines = last_lines(output.lines(), SHOWN_LINES);
                Err(format!("{target} on {on} {NO_CLOSING_COUNT}; its last lines:\n{lines}"))
            }
        }
    }

    /// Merges two runs of one program: a check passed if it passed in both.
    pub fn merge(mut self, other: Self) -> Self {
        let mut others = other.checks.into_iter();
        for check in &mut self.checks {
            match others.next() {
                Some(other) if other.name == check.name => {
                    // An unknown failure takes precedence over a known one.
                    if check.failure.is_none() || other.failure.is_some() && other.known.is_none() {
                        *check = other;
                    }
                }
                other => {
                    let name = other.map_or("no check".into(), |other| other.name);
                    check.failure = Some(format!("another run printed {name} here"));
                }
            }
        }
        self.checks.extend(others);
        self.seconds += other.seconds;
        self
    }

    pub fn passed(&self) -> usize {
        self.checks.iter().filter(|check| check.failure.is_none()).count()
    }

    pub fn known_failures(&self) -> usize {
        self.checks.iter().filter(|check| check.known.is_some()).count()
    }

    /// Whether it ran the checks of the whole machine, which only a kernel's first process can run.
    pub fn has_machine_checks(&self) -> bool {
        self.checks.iter().any(|check| check.name.starts_with("machine::"))
    }

    /// A message for each failure that is not known.
    pub fn failures(&self) -> Vec<String> {
        self.failed().map(|(name, why)| format!("{} on {}: {name}: {why}", self.target, self.on)).collect()
    }

    /// The name of each check with a failure that is not known, and the reason.
    pub fn failed(&self) -> impl Iterator<Item = (&str, &str)> {
        let unknown = self.checks.iter().filter(|check| check.known.is_none());
        unknown.filter_map(|check| Some((check.name.as_str(), check.failure.as_deref()?)))
    }

    /// `200`, or `199 + 1 known`.
    pub fn summary(&self) -> String {
        match (self.passed(), self.known_failures(), self.failures().len()) {
            (passed, 0, 0) => passed.to_string(),
            (passed, known, 0) => format!("{passed} + {known} known"),
            (passed, _, failed) => format!("{passed}, {failed} FAILED"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_last_line_is_a_closing_count() {
        assert!(has_closing_count("ok a\r\nconformance: 1 passed, 0 failed\r\n"));
        assert!(!has_closing_count("ok a\nconformance: 1 passed, 0 fai"));
        assert!(!has_closing_count("ok conformance: 1\n"));
    }
}
