//! What the bare conformance program prints, and where an emulator is known not to be a kernel.

use crate::kit::shell::last;
use serde::{Deserialize, Serialize};

/// One run of the program: on an emulator, or on a kernel.
#[derive(Clone, Default, Deserialize, Serialize)]
pub struct Run {
    /// rustc's name of the target.
    pub target: String,
    /// `qemu-user 11.1.2`, `Linux 6.1.0-50-s390x`.
    pub on: String,
    /// As the program says: endianness, width, layout of the event.
    pub machine: String,
    /// The kernel's release, as it says; under qemu-user, this machine's.
    pub kernel: String,
    pub pages: String,
    /// How many processors the kernel runs on; an emulator's run does not say.
    #[serde(default)]
    pub processors: String,
    pub checks: Vec<Check>,
    pub seconds: f32,
}

#[derive(Clone, Deserialize, Serialize)]
pub struct Check {
    pub name: String,
    /// Why it failed; `None` where it passed.
    pub failure: Option<String>,
    /// Why the emulator, and not the crate, is to blame.
    pub known: Option<String>,
}

/// A difference of an emulator's: which (the start of [`Run::on`]), for which targets and machines, which check, and the reason.
pub struct Known {
    pub on: &'static str,
    pub targets: &'static [&'static str],
    /// A part of [`Run::machine`].
    pub machine: &'static str,
    pub check: &'static str,
    pub why: &'static str,
}

/// What of its output is shown then: as much as a kernel has to say of its first process' death, and a few lines before that.
const LINES: usize = 50;
/// What is said of a program that ended too soon.
pub const NO_END: &str = "printed no closing count";

impl Run {
    /// Reads the lines that a program printed. An error where they do not end in a closing count that is theirs.
    pub fn read(target: &str, on: &str, output: &str, seconds: f32, known: &'static [Known]) -> Result<Self, String> {
        let mut run = Self { target: target.into(), on: on.into(), seconds, ..Self::default() };
        let mut closing = None;
        for line in output.lines().map(|line| line.trim_end_matches('\r')) {
            if let Some(name) = line.strip_prefix("ok ") {
                run.checks.push(Check { name: name.into(), failure: None, known: None });
            } else if let Some((name, why)) = line.strip_prefix("FAILED ").and_then(|rest| rest.split_once(": ")) {
                let applies = |known: &&Known| {
                    known.check == name
                        && on.starts_with(known.on)
                        && run.machine.contains(known.machine)
                        && (known.targets.is_empty() || known.targets.iter().any(|start| target.starts_with(start)))
                };
                let known = known.iter().find(applies).map(|known| known.why.to_string());
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
            Some(closing) => Err(format!("{target} on {on} says {closing}, and its lines say {counted}")),
            None => Err(format!("{target} on {on} {NO_END}; its last lines:\n{}", last(output.lines(), LINES))),
        }
    }

    /// Both of two runs of one program: a check passed where it did in both.
    pub fn and(mut self, other: Self) -> Self {
        let mut others = other.checks.into_iter();
        for check in &mut self.checks {
            match others.next() {
                Some(other) if other.name == check.name => {
                    // A failure that nobody is known to be to blame for is the worst.
                    if check.failure.is_none() || other.failure.is_some() && other.known.is_none() {
                        *check = other;
                    }
                }
                other => {
                    let name = other.map_or("nothing".into(), |other| other.name);
                    check.failure = Some(format!("another run had {name} in its place"));
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

    pub fn excused(&self) -> usize {
        self.checks.iter().filter(|check| check.known.is_some()).count()
    }

    /// Whether it ran the checks of a machine, which only the first process of a kernel can.
    pub fn has_machine(&self) -> bool {
        self.checks.iter().any(|check| check.name.starts_with("machine::"))
    }

    /// What failed and nobody but the crate is to blame for.
    pub fn failures(&self) -> Vec<String> {
        self.failed().map(|(name, why)| format!("{} on {}: {name}: {why}", self.target, self.on)).collect()
    }

    /// The names of those, and why they failed.
    pub fn failed(&self) -> impl Iterator<Item = (&str, &str)> {
        let unknown = self.checks.iter().filter(|check| check.known.is_none());
        unknown.filter_map(|check| Some((check.name.as_str(), check.failure.as_deref()?)))
    }

    /// `200`, or `199 + 1 known`.
    pub fn summary(&self) -> String {
        match (self.passed(), self.excused(), self.failures().len()) {
            (passed, 0, 0) => passed.to_string(),
            (passed, known, 0) => format!("{passed} + {known} known"),
            (passed, _, failed) => format!("{passed}, {failed} FAILED"),
        }
    }
}
