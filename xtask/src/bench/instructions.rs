//! `cargo xtask bench instructions`: counts the user instructions of each call by barepoll and its
//! peers, with valgrind.

use super::build_benches;
use super::measured::{Goal, Measured, Table};
use crate::kit::document::{Document, MACHINE_CODE, PERFORMANCE, README};
use crate::kit::progress::Progress;
use crate::kit::report;
use crate::kit::shell::{both, capture, run};
use crate::machines::targets::TARGETS;
use serde_json::{Map, Value};
use std::path::Path;
use std::process::Command;

/// The name of hand-written assembly in `benches`.
const BY_HAND: &str = "by-hand";
const OURS: &str = "barepoll";
const LIBRARIES: [&str; 9] = [BY_HAND, OURS, "sc", "syscalls", "rustix", "libc", "nix", "mio", "polling"];
const LIBRARIES_IN_README: [&str; 4] = [BY_HAND, OURS, "rustix", "libc"];
const OPERATIONS: [&str; 11] = [
    "wait",
    WAIT_GIVEN,
    "modify",
    "write",
    "read",
    "read-again",
    "create-close",
    "timerfd-set",
    "timerfd-read",
    "signalfd-read",
    "block-unblock",
];
/// README's table has only the first operations.
const OPERATIONS_IN_README: usize = 7;
const WAIT_GIVEN: &str = "wait-given";
/// How many instructions an operation may need more than hand-written assembly.
///
/// `wait-given` looks whether its `Timeout` is in milliseconds or finer, and the finer call leaves no
/// argument in its register. `read-again` and `timerfd-read` distinguish a value, a short read and
/// an error before their caller looks at the error. Hand-written assembly only does the last
/// comparison.
const ALLOWANCES: [(&str, u64); 3] = [(WAIT_GIVEN, 6), ("read-again", 2), ("timerfd-read", 2)];

fn allowance(operation: &str) -> u64 {
    ALLOWANCES.iter().find(|(name, _)| *name == operation).map_or(0, |(_, more)| *more)
}

/// How many operations are within their allowance. The error names the others.
type Compared = Result<usize, String>;

/// A measurement: the libraries, the number of threads, and the profile.
struct Count {
    libraries: &'static [&'static str],
    threads: u8,
    profile: &'static str,
}

/// The name of each table, its description, and its measurement.
const TABLES: [(&str, &str, Count); 3] = [
    ("instructions-1", "one thread", Count { libraries: &LIBRARIES, threads: 1, profile: "release" }),
    ("instructions-2", "two threads", Count { libraries: &LIBRARIES, threads: 2, profile: "release" }),
    (
        "instructions-as-it-comes",
        "one thread, without LTO",
        Count { libraries: &LIBRARIES, threads: 1, profile: "as-it-comes" },
    ),
];

pub fn measure(progress: &Progress, measured: &mut Measured) -> Result<(), String> {
    for (name, description, count) in TABLES {
        let counted = count.run(progress)?;
        measured.add(counted.table(name, &LIBRARIES, &OPERATIONS, &[PERFORMANCE]));
        if name == TABLES[0].0 {
            let operations = &OPERATIONS[..OPERATIONS_IN_README];
            measured.add(counted.table("instructions", &LIBRARIES_IN_README, operations, &[README]));
        }
        measured.goals.extend(counted.goals(description));
        measured.wrong.extend(counted.compared().err());
    }
    measured.goals.push(other_targets()?);
    Ok(())
}

/// Compares barepoll with hand-written assembly, for a full test.
pub fn run_checks(progress: &Progress) -> Compared {
    Count { libraries: &[BY_HAND, OURS], threads: 1, profile: "release" }.run(progress)?.compared()
}

type Row = [Option<u64>; OPERATIONS.len()];

struct Counted {
    rows: Vec<(&'static str, Row)>,
    /// One more instruction for each operation in other profiles than `release`, which lay out
    /// loops differently.
    tolerance: u64,
}

impl Count {
    fn run(&self, progress: &Progress) -> Result<Counted, String> {
        let job = progress.job("instructions per call");
        job.at("building");
        let program = build_benches(self.profile, &[])?;
        let mut rows = Vec::new();
        for library in self.libraries {
            let mut row = Row::default();
            for (cell, operation) in row.iter_mut().zip(OPERATIONS) {
                job.at(&format!("{library} {operation}"));
                *cell = self.per_call(&program, library, operation)?;
            }
            rows.push((*library, row));
        }
        job.done("counted");
        Ok(Counted { rows, tolerance: (self.profile != "release").into() })
    }

    /// The instructions of one turn of the loop, (I(2N) − I(N)) / N, or `None` if the library lacks
    /// the operation.
    fn per_call(&self, program: &Path, library: &str, operation: &str) -> Result<Option<u64>, String> {
        const N: u64 = 40_000; // large: a second thread adds instructions only once
        let arguments =
            |n: u64| ["count", library, operation, &n.to_string(), &self.threads.to_string()].map(String::from);
        if both(&capture(Command::new(program).args(arguments(1)))?).contains(" has no ") {
            return Ok(None);
        }
        let [once, twice] = [N, 2 * N].map(|n| counted(Command::new("valgrind"), program, &arguments(n)));
        // Rounded to nearest, because a second thread's start varies by a few instructions.
        Ok(Some((twice? - once? + N / 2) / N))
    }
}

impl Counted {
    fn table(&self, name: &str, libraries: &[&str], operations: &[&str], documents: &'static [Document]) -> Table {
        let rows = || self.rows.iter().filter(|(name, _)| libraries.contains(name));
        let shown = rows().map(|(name, row)| {
            let cells =
                row.iter().take(operations.len()).map(|cell| cell.map_or("–".into(), |count| count.to_string()));
            [name.to_string()].into_iter().chain(cells).collect()
        });
        let text = report::markdown(&[&["instructions a call"], operations].concat(), shown);
        let object = |(name, row): &(&str, Row)| {
            let cells = operations.iter().zip(row).map(|(operation, count)| (operation.to_string(), (*count).into()));
            Value::Object([("name".to_string(), Value::from(*name))].into_iter().chain(cells).collect::<Map<_, _>>())
        };
        Table { name: name.into(), rows: rows().map(object).collect(), text, chart: None, documents }
    }

    /// Each operation, with the counts of barepoll and of hand-written assembly.
    fn pairs(&self) -> impl Iterator<Item = (&'static str, u64, u64)> {
        let row =
            |library| self.rows.iter().find(|(name, _)| *name == library).map(|(_, row)| *row).unwrap_or_default();
        let counts = row(OURS).into_iter().zip(row(BY_HAND));
        OPERATIONS.into_iter().zip(counts).filter_map(|(operation, (ours, limit))| Some((operation, ours?, limit?)))
    }

    fn compared(&self) -> Compared {
        let more = self.pairs().filter(|(name, ours, limit)| *ours > limit + self.tolerance.max(allowance(name)));
        let more: Vec<String> =
            more.map(|(name, ours, limit)| format!("{name}: {ours}, hand-written {limit}")).collect();
        match more.as_slice() {
            [] => Ok(self.pairs().count()),
            more => Err(format!("barepoll needs more instructions than hand-written assembly: {}", more.join("; "))),
        }
    }

    /// One goal for `wait-given`, and one for all other operations. A count that misses it is in
    /// bold.
    fn goals(&self, description: &str) -> [Goal; 2] {
        let goal = |given: bool| {
            let more = if given { allowance(WAIT_GIVEN) } else { self.tolerance };
            let (mut names, mut most, mut measured, mut reached) = (Vec::new(), Vec::new(), Vec::new(), true);
            for (operation, ours, limit) in self.pairs().filter(|(operation, ..)| (*operation == WAIT_GIVEN) == given) {
                let missed = ours > limit + more;
                names.push(operation);
                most.push((limit + more).to_string());
                measured.push(if missed { format!("**{ours}**") } else { ours.to_string() });
                reached &= !missed;
            }
            Goal {
                name: format!("instructions of {}; {description}", names.join(", ")),
                goal: format!("≤ {}", most.join(", ")),
                measured: measured.join(", "),
                null_pair: None,
                reached,
            }
        };
        [false, true].map(goal)
    }
}

fn counted(mut valgrind: Command, program: &Path, arguments: &[String]) -> Result<u64, String> {
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program).args(arguments);
    let output = run(&mut valgrind)?;
    let number = output.lines().find_map(|line| line.split("Collected : ").nth(1)?.trim().parse().ok());
    number.ok_or_else(|| format!("valgrind printed no count:\n{output}"))
}

/// The goal for the counts of `cargo xtask asm`. A cell is a count, followed by the hand-written
/// count in brackets if that differs.
fn other_targets() -> Result<Goal, String> {
    let counts = MACHINE_CODE.table("machine code")?;
    let (mut functions, mut longer) = (0, Vec::new());
    for target in TARGETS.iter().filter(|target| target.stable) {
        for (call, cell) in counts.get(target.name).into_iter().flatten() {
            let (ours, by_hand) = cell.trim_end_matches(')').split_once(" (").unwrap_or((cell, cell));
            let [ours, by_hand] = [ours, by_hand].map(|count| count.parse::<u32>());
            functions += 1;
            if !matches!((ours, by_hand), (Ok(ours), Ok(by_hand)) if ours <= by_hand) {
                longer.push(format!("{call} of {}", target.name));
            }
        }
    }
    let of = format!("of {functions} functions, by `cargo xtask asm`");
    Ok(Goal {
        name: "instructions of each call, every target of stable Rust".into(),
        goal: "none more than by hand".into(),
        measured: if longer.is_empty() { format!("none {of}") } else { format!("{} {of}", longer.join(", ")) },
        null_pair: None,
        reached: longer.is_empty() && functions > 0,
    })
}
