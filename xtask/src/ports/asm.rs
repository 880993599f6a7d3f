//! Compares the machine code of each call with hand-written assembly, for every port.

use crate::debian::Cache;
use crate::kit::document::MACHINE_CODE;
use crate::kit::progress::Progress;
use crate::kit::report;
use crate::machines::cross;
use crate::machines::targets::{select, Target};
use crate::step::{Run, World};
use clap::Args;
use std::collections::BTreeMap;

#[derive(Args)]
pub struct Options {
    /// Check only targets whose name starts with this; may be repeated
    #[arg(long)]
    target: Vec<String>,
    /// Print the machine code of each function
    #[arg(long)]
    show: bool,
    /// Write the counts into docs/machine-code.md
    #[arg(long, conflicts_with = "target")]
    write: bool,
}

/// The end of a hand-written function's name in test-crates/codegen.
const BY_HAND: &str = "_by_hand";
/// No function may contain these words: it would panic, or clear or copy a buffer.
const FORBIDDEN: &[&str] = &["panic", "memset", "memcpy", "bzero", "unwrap_failed", "slice_index"];
/// Parts of the names of the compiler's functions that divide 64 bits in a loop. No function may
/// call one.
const DIVISIONS: &[&str] = &["divdi3", "moddi3", "ldivmod"];

/// Functions without a hand-written counterpart. The only checks are their words and that their
/// counts do not rise.
const WITHOUT_COUNTERPART: [&str; 2] = ["wait_given", "timer_given"];
/// A part of the names of `TimerFd`'s fallbacks to a call with 32-bit times. A function that may
/// call one has no counterpart either: hand-written code makes one call only.
const FALLBACK: &str = "older";

/// Targets and calls whose straight path may be longer, and by how many instructions.
///
/// On mips64 before release 6, LLVM compiles the same comparison to conditional moves in the
/// hand-written function, and to a branch here. For the branch it keeps the 8 in a callee-saved
/// register.
///
/// csky's code names the functions that it calls outside of the function, so `FALLBACK` is not seen.
const ALLOWANCES: [(&str, &str, usize); 5] = [
    ("mips64-", "read", 2),
    ("mips64el-", "read", 2),
    ("mips64-", "timer_read", 2),
    ("mips64el-", "timer_read", 2),
    ("csky-", "timer_set", 17),
];

/// Return instructions of all architectures, by name or by the end of their operands.
const RETURNS: &[&str] = &["ret", "retq", "retl", "blr", "rts", "rts16", "dealloc_return"];
const RETURNS_BY_OPERAND: &[&str] = &["lr", "pc}", "$ra", "%r14", "r31", "%i7+8"];

/// The name of the table of counts in docs/machine-code.md. A full test fails if a count is higher.
const TABLE: &str = "machine code";

impl Run for Options {
    fn run(&self, world: &World) -> Result<(), String> {
        let counts = compare(&world.progress, world.cache()?, &select(&self.target)?, self.show)?;
        if self.write {
            MACHINE_CODE.write(TABLE, &table(&counts))?;
        }
        Ok(())
    }
}

/// Compares all pairs, and their counts with docs/machine-code.md. Returns how many pairs there
/// are.
pub fn run_checks(progress: &Progress, cache: &Cache, targets: &[&'static Target]) -> Result<usize, String> {
    let counts = compare(progress, cache, targets, false)?;
    let documented = MACHINE_CODE.table(TABLE)?;
    let mut risen = Vec::new();
    for (target, calls) in &counts {
        for (call, (ours, _)) in calls {
            let before = documented.get(*target).and_then(|row| row.get(call));
            if before.is_none_or(|before| *ours > number(before)) {
                risen.push(format!("{target}: {call}: {ours}, before {}", before.map_or("none", String::as_str)));
            }
        }
    }
    if risen.is_empty() {
        return Ok(counts.values().map(BTreeMap::len).sum());
    }
    Err(format!(
        "more instructions than docs/machine-code.md says; if that is right, run `cargo xtask asm --write`:\n{}",
        risen.join("\n")
    ))
}

/// The number at the start of a cell.
fn number(cell: &str) -> usize {
    cell.split(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// For each target and call, the instructions of the straight path to the return: ours and
/// hand-written.
type Counts = BTreeMap<&'static str, BTreeMap<String, (usize, usize)>>;

/// Compares every pair of functions on every target. Prints and returns the counts.
fn compare(progress: &Progress, cache: &Cache, targets: &[&'static Target], show: bool) -> Result<Counts, String> {
    let job = progress.job("machine code");
    let (mut counts, mut wrong) = (Counts::new(), Vec::new());
    for target in targets {
        job.at(target.name);
        let text = cross::emit(cache, target, "codegen", "asm")?;
        let mut functions = functions(&text);
        // An out-of-line trap is in the crate that used it first.
        functions.extend(traps(&cross::emit(cache, target, "barepoll", "asm")?));
        let target = target.name;
        let divisions = text.lines().filter(|line| DIVISIONS.iter().any(|word| line.contains(word)));
        wrong.extend(divisions.map(|line| format!("{target}: a call divides 64 bits: {}", line.trim())));
        for (name, code) in functions.iter().filter(|(name, _)| !name.ends_with(BY_HAND) && !is_trap(name)) {
            let by_hand = functions.get(&format!("{name}{BY_HAND}")).map_or(&[][..], Vec::as_slice);
            let ours = path_length(code, &functions);
            let is_without =
                WITHOUT_COUNTERPART.contains(&name.as_str()) || code.iter().any(|line| line.contains(FALLBACK));
            let limit = if is_without { ours } else { path_length(by_hand, &functions) };
            counts.entry(target).or_default().insert(name.clone(), (ours, limit));
            let more = ALLOWANCES.iter().find(|(cpu, call, _)| target.starts_with(cpu) && call == name);
            let allowed = limit + more.map_or(0, |(_, _, more)| *more);
            let forbidden = code.iter().any(|line| FORBIDDEN.iter().any(|word| line.contains(word)));
            let both = format!("{}\nhand-written:\n{}", code.join("\n"), by_hand.join("\n"));
            if ours > allowed || forbidden || code.is_empty() {
                wrong.push(format!("{target}: {name}: {ours} instructions, hand-written {limit}:\n{both}"));
            } else if show {
                report::say(format_args!("{target}: {name}\n{both}\n"));
            }
        }
    }
    let calls = |target: &str| counts.get(target).map(|row| row.keys().collect::<Vec<_>>()).unwrap_or_default();
    let first = targets.first().map(|target| calls(target.name)).unwrap_or_default();
    for target in targets.iter().filter(|target| calls(target.name).is_empty() || calls(target.name) != first) {
        wrong.push(format!(
            "{}: its assembly has the calls {:?}, but the first target's has {first:?}",
            target.name,
            calls(target.name)
        ));
    }
    job.done(if wrong.is_empty() { "as short as hand-written" } else { "FAILED" });
    report::say(format_args!("\n{}\n", table(&counts)));
    if wrong.is_empty() {
        Ok(counts)
    } else {
        Err(format!("machine code is longer than hand-written, or has a forbidden word:\n{}", wrong.join("\n")))
    }
}

fn table(counts: &Counts) -> String {
    let calls: Vec<&String> = counts.values().next().into_iter().flat_map(BTreeMap::keys).collect();
    let header = ["target"].into_iter().chain(calls.iter().map(|call| call.as_str())).collect::<Vec<_>>();
    let rows = counts.iter().map(|(target, row)| {
        let cell = |call: &&String| match row.get(*call) {
            Some((ours, limit)) if ours == limit => ours.to_string(),
            Some((ours, limit)) => format!("{ours} ({limit})"),
            None => String::new(),
        };
        [target.to_string()].into_iter().chain(calls.iter().map(cell)).collect()
    });
    report::markdown(&header, rows)
}

/// The number of instructions up to the first return, including those of an out-of-line trap. A call
/// that succeeds executes them.
fn path_length(code: &[String], functions: &Functions) -> usize {
    let is_return = |line: &String| {
        let mut words = line.split_whitespace();
        let (name, operands) = (words.next().unwrap_or_default(), words.collect::<String>());
        RETURNS.contains(&name) || RETURNS_BY_OPERAND.iter().any(|end| operands.ends_with(end))
    };
    let own = code.iter().position(is_return).map_or(code.len(), |at| at + 1);
    let is_called = |name: &str| is_trap(name) && code[..own].iter().any(|line| line.contains(name));
    let called = functions.iter().filter(|(name, _)| is_called(name));
    own + called.map(|(_, trap)| path_length(trap, &Functions::new())).sum::<usize>()
}

/// The instructions of each function, by its name.
type Functions = BTreeMap<String, Vec<String>>;

/// Whether this is the mangled name of a port's function with a system call instruction.
pub fn is_trap(name: &str) -> bool {
    name.contains("port") && name.contains("syscall")
}

/// The out-of-line traps in assembly.
fn traps(text: &str) -> Functions {
    functions(text).into_iter().filter(|(name, _)| is_trap(name)).collect()
}

/// The functions with unmangled names and the traps in assembly.
fn functions(text: &str) -> Functions {
    let mut functions = Functions::new();
    let mut current = None;
    for line in text.lines() {
        if let Some(label) = line.strip_suffix(':') {
            if label.starts_with(|c: char| c.is_ascii_lowercase()) || is_trap(label) {
                current = Some(label.to_string());
                functions.insert(label.to_string(), Vec::new());
            } else if label.starts_with(".Lfunc_end") || label.starts_with("_ZN") || label.starts_with("_R") {
                current = None;
            }
        } else if let Some(name) = &current {
            let code = line.trim();
            let is_instruction = line.starts_with('\t') && code.starts_with(|c: char| c.is_ascii_lowercase());
            if is_instruction {
                functions.entry(name.clone()).or_default().push(line.to_string());
            }
        }
    }
    functions
}
