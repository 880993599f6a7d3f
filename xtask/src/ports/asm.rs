//! Machine code: each call as a user writes it against the same by hand, in every port.

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
    /// Only these targets: the start of a name will do
    #[arg(long)]
    target: Vec<String>,
    /// Print the machine code of each function too
    #[arg(long)]
    show: bool,
    /// Write the counts into docs/machine-code.md too
    #[arg(long, conflicts_with = "target")]
    write: bool,
}

const BY_HAND: &str = "_by_hand";
/// Words that no function here may contain: nothing panics, and no buffer is cleared.
const FORBIDDEN: &[&str] = &["panic", "memset", "memcpy", "bzero", "unwrap_failed", "slice_index"];
/// How the compiler's functions are called that divide 64 bits in a loop. Nothing may call one, inlined or not.
const DIVISIONS: &[&str] = &["divdi3", "moddi3", "ldivmod"];

/// What has no like by hand: that it has no forbidden word, and does not grow, is all.
const WITHOUT_TWIN: &str = "wait_given";

/// Where the straight path is longer, and by how much: on mips64 before release 6, of the same comparison LLVM makes conditional
/// moves by hand, and a branch here, for which it keeps the 8 in a register of its caller's.
const ALLOWANCES: [(&str, &str, usize); 2] = [("mips64-", "read", 2), ("mips64el-", "read", 2)];

/// How functions return, by name or by the end of the operands, across architectures.
const RETURNS: &[&str] = &["ret", "retq", "retl", "blr", "rts", "rts16", "dealloc_return"];
const RETURNS_BY_OPERAND: &[&str] = &["lr", "pc}", "$ra", "%r14", "r31", "%i7+8"];

/// The name of the table of counts in its document, which a full test holds against what it finds.
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

/// Compares all, and the counts with those that the repository keeps; gives how many pairs there are.
pub fn run_checks(progress: &Progress, cache: &Cache, targets: &[&'static Target]) -> Result<usize, String> {
    let counts = compare(progress, cache, targets, false)?;
    let kept = MACHINE_CODE.table(TABLE)?;
    let mut risen = Vec::new();
    for (target, calls) in &counts {
        for (call, (ours, _)) in calls {
            let before = kept.get(*target).and_then(|row| row.get(call));
            if before.is_none_or(|before| *ours > number(before)) {
                risen.push(format!("{target}: {call}: {ours}, not {}", before.map_or("any", String::as_str)));
            }
        }
    }
    if risen.is_empty() {
        return Ok(counts.values().map(BTreeMap::len).sum());
    }
    Err(format!(
        "more instructions than docs/machine-code.md keeps (`cargo xtask asm --write`, if that is meant):\n{}",
        risen.join("\n")
    ))
}

/// The number that a cell begins with.
fn number(cell: &str) -> usize {
    cell.split(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// For each target, of each call, the instructions that lead straight to the return, ours and by hand.
type Counts = BTreeMap<&'static str, BTreeMap<String, (usize, usize)>>;

/// Compares every pair of functions on every target, prints the counts, and gives them.
fn compare(progress: &Progress, cache: &Cache, targets: &[&'static Target], show: bool) -> Result<Counts, String> {
    let job = progress.job("machine code");
    let (mut counts, mut wrong) = (Counts::new(), Vec::new());
    for target in targets {
        job.at(target.name);
        let text = cross::emit(cache, target, "codegen", "asm")?;
        let mut functions = functions(&text);
        // A trap out of line stands where it was used first.
        functions.extend(traps(&cross::emit(cache, target, "barepoll", "asm")?));
        let target = target.name;
        let divisions = text.lines().filter(|line| DIVISIONS.iter().any(|word| line.contains(word)));
        wrong.extend(divisions.map(|line| format!("{target}: 64 bits are divided: {}", line.trim())));
        for (name, code) in functions.iter().filter(|(name, _)| !name.ends_with(BY_HAND) && !is_trap(name)) {
            let by_hand = functions.get(&format!("{name}{BY_HAND}")).map_or(&[][..], Vec::as_slice);
            let ours = straight(code, &functions);
            let limit = if name == WITHOUT_TWIN { ours } else { straight(by_hand, &functions) };
            counts.entry(target).or_default().insert(name.clone(), (ours, limit));
            let more = ALLOWANCES.iter().find(|(cpu, call, _)| target.starts_with(cpu) && call == name);
            let allowed = limit + more.map_or(0, |(_, _, more)| *more);
            let forbidden = code.iter().any(|line| FORBIDDEN.iter().any(|word| line.contains(word)));
            let both = format!("{}\nby hand:\n{}", code.join("\n"), by_hand.join("\n"));
            if ours > allowed || forbidden || code.is_empty() {
                wrong.push(format!("{target}: {name}: {ours} instructions, {limit} by hand:\n{both}"));
            } else if show {
                println!("{target}: {name}\n{both}\n");
            }
        }
    }
    let calls = |target: &str| counts.get(target).map(|row| row.keys().collect::<Vec<_>>()).unwrap_or_default();
    let first = targets.first().map(|target| calls(target.name)).unwrap_or_default();
    for target in targets.iter().filter(|target| calls(target.name).is_empty() || calls(target.name) != first) {
        wrong.push(format!(
            "{}: the calls {:?} were found in its assembly, not {first:?}",
            target.name,
            calls(target.name)
        ));
    }
    job.done(&if wrong.is_empty() { "as by hand".to_string() } else { "FAILED".into() });
    println!("\n{}\n", table(&counts));
    if wrong.is_empty() {
        Ok(counts)
    } else {
        Err(format!("machine code is longer than by hand, or has what it must not:\n{}", wrong.join("\n")))
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

/// How many instructions lead straight to the first return: what a call that succeeds executes, in a trap out of line too.
fn straight(code: &[String], functions: &Functions) -> usize {
    let is_return = |line: &String| {
        let mut words = line.split_whitespace();
        let (name, operands) = (words.next().unwrap_or_default(), words.collect::<String>());
        RETURNS.contains(&name) || RETURNS_BY_OPERAND.iter().any(|end| operands.ends_with(end))
    };
    let own = code.iter().position(is_return).map_or(code.len(), |at| at + 1);
    let is_called = |name: &str| is_trap(name) && code[..own].iter().any(|line| line.contains(name));
    let called = functions.iter().filter(|(name, _)| is_called(name));
    own + called.map(|(_, trap)| straight(trap, &Functions::new())).sum::<usize>()
}

/// The instructions of each function, by its name.
type Functions = BTreeMap<String, Vec<String>>;

/// Whether this is what the compiler calls a port's function that traps.
pub fn is_trap(name: &str) -> bool {
    name.contains("port") && name.contains("syscall")
}

/// The traps out of line among the functions of assembly.
fn traps(text: &str) -> Functions {
    functions(text).into_iter().filter(|(name, _)| is_trap(name)).collect()
}

/// Splits assembly into the functions with plain names, and the traps, and their instructions.
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
