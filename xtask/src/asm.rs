//! Machine code: each call as a user writes it against the same by hand, in every port.

use crate::cross;
use crate::debian::Cache;
use crate::progress::Progress;
use crate::targets::{select, Target};
use crate::{report, toolchain};
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
}

const BY_HAND: &str = "_by_hand";
/// Words that no function here may contain: nothing panics, and no buffer is cleared.
const FORBIDDEN: &[&str] = &["panic", "memset", "memcpy", "bzero", "unwrap_failed", "slice_index"];

/// Where the straight path is longer, and by how much: on mips64 before release 6, of the same comparison LLVM makes conditional
/// moves by hand, and a branch here, for which it keeps the 8 in a register of its caller's.
const ALLOWANCES: [(&str, &str, usize); 2] = [("mips64-", "read", 2), ("mips64el-", "read", 2)];

/// How functions return, by name or by the end of the operands, across architectures.
const RETURNS: &[&str] = &["ret", "retq", "retl", "blr", "rts", "rts16", "dealloc_return"];
const RETURNS_BY_OPERAND: &[&str] = &["lr", "pc}", "$ra", "%r14", "r31", "%i7+8"];

pub fn run_alone(options: &Options) -> Result<(), String> {
    toolchain::ensure_nightly_with_source()?;
    compare(&Progress::new(), &cross::open_cache()?, &select(&options.target)?, options.show).map(drop)
}

/// Compares every pair of functions on every target, prints the counts, and gives how many pairs are equal.
pub fn compare(progress: &Progress, cache: &Cache, targets: &[&'static Target], show: bool) -> Result<usize, String> {
    let job = progress.job("machine code");
    let mut counts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut pairs = 0;
    for target in targets {
        job.at(target.name);
        let functions = compile(cache, target)?;
        let target = target.name;
        for (name, code) in functions.iter().filter(|(name, _)| !name.ends_with(BY_HAND)) {
            let none = Vec::new();
            let by_hand = functions.get(&format!("{name}{BY_HAND}")).unwrap_or(&none);
            let (ours, limit) = (straight(code), straight(by_hand));
            counts.entry(name.clone()).or_default().push(format!("{ours} ({limit})"));
            pairs += 1;
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
    job.done(&if wrong.is_empty() { format!("{pairs} pairs alike") } else { "FAILED".into() });
    let header: Vec<&str> =
        ["instructions (by hand)"].into_iter().chain(targets.iter().map(|target| target.name)).collect();
    report::print(&header, counts.into_iter().map(|(name, row)| [name].into_iter().chain(row).collect()));
    if wrong.is_empty() && pairs > 0 {
        Ok(pairs)
    } else {
        Err(format!("machine code is longer than by hand, or has what it must not:\n{}", wrong.join("\n")))
    }
}

/// How many instructions lead straight to the first return: what a call that succeeds executes.
fn straight(code: &[String]) -> usize {
    let is_return = |line: &String| {
        let mut words = line.split_whitespace();
        let (name, operands) = (words.next().unwrap_or_default(), words.collect::<String>());
        RETURNS.contains(&name) || RETURNS_BY_OPERAND.iter().any(|end| operands.ends_with(end))
    };
    code.iter().position(is_return).map_or(code.len(), |at| at + 1)
}

/// The instructions of each function of the `codegen` package, compiled for a target.
fn compile(cache: &Cache, target: &Target) -> Result<BTreeMap<String, Vec<String>>, String> {
    Ok(functions(&cross::emit(cache, target, "codegen", "asm")?))
}

/// Splits assembly into the functions with plain names and their instructions.
fn functions(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut functions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut current = None;
    for line in text.lines() {
        if let Some(label) = line.strip_suffix(':') {
            if label.starts_with(|c: char| c.is_ascii_lowercase()) {
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
