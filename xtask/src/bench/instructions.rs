//! `cargo xtask bench instructions`: user instructions a call, counted by valgrind, by barepoll and by its peers.

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

const LIMIT: &str = "by-hand";
const OURS: &str = "barepoll";
const WHO: [&str; 9] = [LIMIT, OURS, "sc", "syscalls", "rustix", "libc", "nix", "mio", "polling"];
const IN_README: [&str; 4] = [LIMIT, OURS, "rustix", "libc"];
const OPERATIONS: [&str; 7] = ["wait", GIVEN, "modify", "write", "read", "read-again", "create-close"];
const GIVEN: &str = "wait-given";
/// What may be more than by hand, by how much, and why: from a `Duration` that is no constant come milliseconds, or the finer call, around
/// which a loop keeps its values elsewhere than a trap wants them; `read` also tells a value and a short read from an error before its caller
/// asks which error, and by hand there is that one comparison.
const ALLOWANCES: [(&str, u64); 2] = [(GIVEN, 14), ("read-again", 2)];

/// How much more that should be.
const GIVEN_GOAL: u64 = 12;

fn allowance(operation: &str) -> u64 {
    ALLOWANCES.iter().find(|(of, _)| *of == operation).map_or(0, |(_, more)| *more)
}

/// How many operations cost no more than by hand; an error names those that cost more.
type Compared = Result<usize, String>;

/// Whose instructions are counted, in a process of how many threads, and how it was compiled.
struct Count {
    who: &'static [&'static str],
    threads: u8,
    profile: &'static str,
}

/// The tables, and what each is of.
const TABLES: [(&str, &str, Count); 3] = [
    ("instructions-1", "one thread", Count { who: &WHO, threads: 1, profile: "release" }),
    ("instructions-2", "two threads", Count { who: &WHO, threads: 2, profile: "release" }),
    ("instructions-as-it-comes", "one thread, without LTO", Count { who: &WHO, threads: 1, profile: "as-it-comes" }),
];

pub fn measure(progress: &Progress, measured: &mut Measured) -> Result<(), String> {
    for (name, of, count) in TABLES {
        let counted = count.run(progress)?;
        measured.add(counted.table(name, &WHO, &[PERFORMANCE]));
        if name == TABLES[0].0 {
            measured.add(counted.table("instructions", &IN_README, &[README]));
        }
        measured.goals.extend(counted.goals(of));
        measured.wrong.extend(counted.compared().err());
    }
    measured.goals.push(other_targets()?);
    Ok(())
}

/// For a full test: by hand and by barepoll.
pub fn run_checks(progress: &Progress) -> Compared {
    Count { who: &[LIMIT, OURS], threads: 1, profile: "release" }.run(progress)?.compared()
}

type Row = [Option<u64>; OPERATIONS.len()];

struct Counted {
    rows: Vec<(&'static str, Row)>,
    /// Another profile lays a loop out otherwise.
    spare: u64,
}

impl Count {
    fn run(&self, progress: &Progress) -> Result<Counted, String> {
        let job = progress.job("instructions a call");
        job.at("building");
        let program = build_benches(self.profile, &[])?;
        let mut rows = Vec::new();
        for who in self.who {
            let mut row = Row::default();
            for (cell, operation) in row.iter_mut().zip(OPERATIONS) {
                job.at(&format!("{who} {operation}"));
                *cell = self.a_call(&program, who, operation)?;
            }
            rows.push((*who, row));
        }
        job.done("counted");
        Ok(Counted { rows, spare: (self.profile != "release").into() })
    }

    /// (I(2N) − I(N)) / N: what one turn of the loop adds; `None` for what somebody does not have.
    fn a_call(&self, program: &Path, who: &str, operation: &str) -> Result<Option<u64>, String> {
        const N: u64 = 40_000; // what a second thread adds is once, not a turn
        let arguments = |n: u64| ["count", who, operation, &n.to_string(), &self.threads.to_string()].map(String::from);
        if both(&capture(Command::new(program).args(arguments(1)))?).contains(" has no ") {
            return Ok(None);
        }
        let [once, twice] = [N, 2 * N].map(|n| counted(Command::new("valgrind"), program, &arguments(n)));
        // To the nearest: what else a second thread does at its start is a few instructions more or less.
        Ok(Some((twice? - once? + N / 2) / N))
    }
}

impl Counted {
    fn table(&self, name: &str, who: &[&str], documents: &'static [Document]) -> Table {
        let rows = || self.rows.iter().filter(|(name, _)| who.contains(name));
        let shown = rows().map(|(name, row)| {
            let cells = row.iter().map(|cell| cell.map_or("–".into(), |count| count.to_string()));
            [name.to_string()].into_iter().chain(cells).collect()
        });
        let text = report::markdown(&[&["instructions a call"], &OPERATIONS[..]].concat(), shown);
        let object = |(name, row): &(&str, Row)| {
            let cells = OPERATIONS.iter().zip(row).map(|(operation, count)| (operation.to_string(), (*count).into()));
            Value::Object([("name".to_string(), Value::from(*name))].into_iter().chain(cells).collect::<Map<_, _>>())
        };
        Table { name: name.into(), rows: rows().map(object).collect(), text, chart: None, documents }
    }

    /// Each operation's count by barepoll, and by hand.
    fn both(&self) -> impl Iterator<Item = (&'static str, u64, u64)> {
        let row = |who| self.rows.iter().find(|(name, _)| *name == who).map(|(_, row)| *row).unwrap_or_default();
        let counts = row(OURS).into_iter().zip(row(LIMIT));
        OPERATIONS.into_iter().zip(counts).filter_map(|(operation, (ours, limit))| Some((operation, ours?, limit?)))
    }

    fn compared(&self) -> Compared {
        let more = self.both().filter(|(of, ours, limit)| *ours > limit + self.spare.max(allowance(of)));
        let more: Vec<String> = more.map(|(of, ours, limit)| format!("{of}: {ours}, by hand {limit}")).collect();
        match more.as_slice() {
            [] => Ok(self.both().count()),
            more => Err(format!("barepoll needs more instructions than by hand: {}", more.join("; "))),
        }
    }

    /// As by hand, but for a timeout that is no constant. What is more stands in bold.
    fn goals(&self, of: &str) -> [Goal; 2] {
        let goal = |given: bool| {
            let more = if given { GIVEN_GOAL } else { self.spare };
            let (mut names, mut most, mut measured, mut reached) = (Vec::new(), Vec::new(), Vec::new(), true);
            for (operation, ours, limit) in self.both().filter(|(operation, ..)| (*operation == GIVEN) == given) {
                let missed = ours > limit + more;
                names.push(operation);
                most.push((limit + more).to_string());
                measured.push(if missed { format!("**{ours}**") } else { ours.to_string() });
                reached &= !missed;
            }
            Goal {
                name: format!("instructions of {}; {of}", names.join(", ")),
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

/// What `cargo xtask asm` counted: a cell is a count, and by hand in brackets where that is another.
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
