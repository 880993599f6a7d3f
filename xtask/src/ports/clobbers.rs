//! On any host, for every port: whether its trap tells the compiler what the kernel destroys, read in the LLVM IR of calls.
//!
//! A kernel shows a missing register only where a program happens to keep a value in it; this sees them all, and on machines
//! whose kernel runs nowhere here. It does not read the ports' own text, and its table is not theirs: it is what musl
//! (`arch/*/syscall_arch.h`) and glibc (`sysdeps/unix/sysv/linux/*/sysdep.h`) take for destroyed, and what kernels were seen
//! to destroy.
//!
//! Where the trap is out of line, its callers lose by the ABI what it does not name. LLVM's `-enable-ipra` goes by what a function
//! changes instead, and `-print-regusage` prints that: the second check.

use crate::debian::Cache;
use crate::kit::progress::Progress;
use crate::kit::report;
use crate::machines::cross;
use crate::machines::targets::{select, Target};
use crate::ports::asm::is_trap;
use crate::step::{Run, World};
use clap::Args;
use std::collections::BTreeMap;

#[derive(Args)]
pub struct Options {
    /// Only these targets: the start of a name will do
    #[arg(long)]
    target: Vec<String>,
}

/// What a trap must say. Registers are spelled as LLVM does in constraints.
struct Rule {
    ports: &'static [&'static str],
    /// The instruction that enters the kernel.
    trap: &'static str,
    /// What must be an output or a clobber: the result, and what the kernel destroys. `v0-v31` is a range.
    named: &'static str,
    /// A register that rustc takes for no operand, and that the template must save and put back, as the template spells it.
    saved: Option<&'static str>,
    /// Some of what is destroyed cannot be named. So the function that holds the trap must never be inlined: a call by the ABI
    /// destroys all of it. These are the registers that LLVM's `-enable-ipra` must take a call of it for changing, as LLVM calls them.
    out_of_line: Option<&'static str>,
}

const fn rule(ports: &'static [&'static str], trap: &'static str, named: &'static str) -> Rule {
    Rule { ports, trap, named, saved: None, out_of_line: None }
}

const RULES: &[Rule] = &[
    // The instruction itself keeps the return address and the flags in the two.
    rule(&["x86_64", "x32"], "syscall", "ax cx r11"),
    rule(&["x86"], "int 0x80", "ax"),
    // p0–p15, and z0–z31 where a name costs nothing; z8–z15's high parts and ffr are left.
    Rule { out_of_line: Some("x0 p0-p15 z0-z7 z16-z31"), ..rule(&["aarch64"], "svc 0", "x0 p0-p15 q0-q7 q16-q31") },
    // The number's register, which Thumb code needs for itself.
    Rule { saved: Some("r7"), ..rule(&["arm"], "svc 0", "r0") },
    rule(&["riscv64", "riscv32"], "ecall", "x10 v0-v31 vl vtype"),
    // a0, t0–t8.
    rule(&["loongarch64"], "syscall 0", "$r4 $r12-$r20"),
    rule(&["powerpc", "powerpc64"], "sc", "r0 r3-r12 cr0 ctr xer"),
    rule(&["s390x"], "svc 0", "r2"),
    // v0, v1, a3, t0–t9, whose numbers differ between o32 and n64; at, hi and lo are left.
    Rule { out_of_line: Some("v0 v1 a3 t0-t9"), ..rule(&["mips", "mips64"], "syscall", "$2 $3 $7-$15 $24 $25") },
    // o0–o5, g2–g5; g1, every f register and the condition codes are left.
    Rule { out_of_line: Some("o0-o5 g2-g5"), ..rule(&["sparc64"], "ta 0x6d", "r8-r13 r2-r5") },
    // The same but g5, which LLVM never uses here.
    Rule { out_of_line: Some("o0-o5 g2-g4"), ..rule(&["sparc"], "ta 0x10", "r8-r13 r2-r4") },
    rule(&["m68k"], "trap #0", "d0"),
    rule(&["hexagon"], "trap0(#1)", "r0"),
    Rule { saved: Some("r7"), ..rule(&["csky"], "trap32 0", "r0") },
];

/// How many different calls the two packages make, of every number of arguments: as many traps there are at least.
const CALLS: usize = 9;
/// How many of them the crate makes in its own code, whoever uses it.
const OWN_CALLS: usize = 8;

impl Run for Options {
    fn run(&self, world: &World) -> Result<(), String> {
        check(&world.progress, world.cache()?, &select(&self.target)?).map(drop)
    }
}

/// Checks these, and gives how many traps there were.
pub fn check(progress: &Progress, cache: &Cache, targets: &[&'static Target]) -> Result<usize, String> {
    let job = progress.job("registers of the traps");
    let (mut rows, mut wrong, mut count) = (Vec::new(), Vec::new(), 0);
    for target in targets {
        job.at(target.name);
        let port = target.port();
        let rule = RULES.iter().find(|rule| rule.ports.contains(&port.as_str()));
        let rule = rule.ok_or_else(|| format!("xtask/src/ports/clobbers.rs has no rule for the port {port}"))?;
        // Calls as users make them, and the crate's own: a trap function out of line stands where it was used first.
        let (calls, own) = (emit(cache, target, "codegen")?, emit(cache, target, "barepoll")?);
        let traps: Vec<Trap> = [&calls, &own].into_iter().flat_map(|ir| traps(ir, rule.trap)).collect();
        let mut complaints: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for trap in &traps {
            trap.complaints(rule).into_iter().for_each(|what| complaints.entry(what).or_default().push(trap.function));
        }
        for (what, functions) in complaints {
            wrong.push(format!("{}: {what}: in {}", target.name, functions.join(", ")));
        }
        if let Some(registers) = rule.out_of_line {
            wrong.extend(unseen(cache, target, registers)?.map(|what| format!("{}: {what}", target.name)));
        }
        if traps.len() < CALLS {
            wrong.push(format!("{}: {} traps (`{}`), not {CALLS} or more", target.name, traps.len(), rule.trap));
        }
        count += traps.len();
        let how = if rule.out_of_line.is_some() { "out of line" } else { "inlined" };
        rows.push([target.name, &traps.len().to_string(), rule.named, how].map(String::from).to_vec());
    }
    job.done(&if wrong.is_empty() { format!("{count} traps right") } else { "FAILED".into() });
    report::print(&["target", "traps", "registers named", "trap"], rows);
    match wrong.as_slice() {
        [] => Ok(count),
        wrong => Err(format!("a trap does not tell the compiler what it changes:\n{}", wrong.join("\n"))),
    }
}

fn emit(cache: &Cache, target: &Target, package: &str) -> Result<String, String> {
    cross::emit(cache, target, package, "llvm-ir")
}

/// With which LLVM looks into functions for the registers that a call changes, and prints them.
const IPRA: [&str; 2] = ["-Cllvm-args=-enable-ipra", "-Cllvm-args=-print-regusage"];

/// What is wrong where LLVM looks into the trap functions: which of these registers it would keep a value in across a call.
fn unseen(cache: &Cache, target: &Target, registers: &str) -> Result<Option<String>, String> {
    let (_, printed) = cross::emit_with(cache, target, "barepoll", "asm", &IPRA)?;
    let calls: Vec<_> = printed.lines().filter_map(|line| line.split_once(" Clobbered Registers: ")).collect();
    let traps = calls.iter().filter(|(function, _)| is_trap(function)).map(|(_, changed)| *changed);
    let changed: Vec<Vec<&str>> = traps.map(|changed| changed.split(' ').collect()).collect();
    if changed.len() < OWN_CALLS {
        return Ok(Some(format!("LLVM's -print-regusage tells of {} traps, not {OWN_CALLS} or more", changed.len())));
    }
    let is_kept = |register: &String| !changed.iter().all(|changed| changed.contains(&format!("${register}").as_str()));
    let kept: Vec<String> = expanded(registers).into_iter().filter(is_kept).collect();
    let complaint = || format!("with -enable-ipra a caller may keep a value across the trap in {}", kept.join(", "));
    Ok((!kept.is_empty()).then(complaint))
}

/// An `asm!` with the instruction that enters the kernel.
struct Trap<'a> {
    function: &'a str,
    is_function_noinline: bool,
    has_side_effects: bool,
    template: Vec<&'a str>,
    /// Where the instruction is in the template.
    place: usize,
    constraints: Vec<&'a str>,
}

/// The traps in LLVM IR, whose calls of assembly read `call T asm sideeffect "template", "constraints"(...)`.
fn traps<'a>(ir: &'a str, instruction: &str) -> Vec<Trap<'a>> {
    let is_noinline = |group: &str| {
        let mut groups = ir.lines().filter_map(|line| line.strip_prefix("attributes #")?.split_once(" = "));
        groups.any(|(name, attributes)| name == group && attributes.split(' ').any(|word| word == "noinline"))
    };
    let (mut traps, mut function, mut is_function_noinline) = (Vec::new(), "", false);
    for line in ir.lines() {
        if line.starts_with("define ") {
            function = line.split_once('@').and_then(|(_, rest)| rest.split('(').next()).unwrap_or_default();
            is_function_noinline = line.split(' ').filter_map(|word| word.strip_prefix('#')).any(is_noinline);
        }
        let Some((_, assembly)) = line.split_once(" asm ") else { continue };
        let [options, template, _, constraints, ..] = assembly.split('"').collect::<Vec<_>>()[..] else { continue };
        let template: Vec<&str> = template.split("\\0A").map(str::trim).collect();
        let Some(place) = template.iter().position(|line| *line == instruction) else { continue };
        let has_side_effects = options.contains("sideeffect");
        let constraints = constraints.split(',').collect();
        traps.push(Trap { function, is_function_noinline, has_side_effects, template, place, constraints });
    }
    traps
}

impl Trap<'_> {
    fn complaints(&self, rule: &Rule) -> Vec<String> {
        let mut complaints = Vec::new();
        if !self.has_side_effects {
            complaints.push("the trap is not `sideeffect`".into());
        }
        if rule.out_of_line.is_some() && !self.is_function_noinline {
            complaints.push("the trap may be inlined".into());
        }
        let mut missing = expanded(rule.named);
        missing.push("memory".into());
        missing.retain(|register| !self.names(register));
        if !missing.is_empty() {
            complaints.push(format!("the trap does not name {}", missing.join(", ")));
        }
        if let Some(register) = rule.saved.filter(|register| !self.saves(register)) {
            complaints.push(format!("the trap does not save {register} and put it back"));
        }
        complaints
    }

    fn names(&self, register: &str) -> bool {
        let name = |constraint: &str| {
            let kinds = ["~{", "={", "=&{"];
            let name = kinds.iter().find_map(|kind| constraint.strip_prefix(kind))?.strip_suffix('}')?;
            Some(name == register)
        };
        self.constraints.iter().any(|constraint| name(constraint) == Some(true))
    }

    /// Whether it is moved to an operand before the trap, and back from the same after it; and nothing else is in that
    /// operand meanwhile, for it is an output that LLVM may not give an input's register (`=&`).
    fn saves(&self, register: &str) -> bool {
        let moves = |lines: &[&str]| {
            let operands = |line: &&str| {
                let (_, operands) = line.split_once(' ')?;
                let (to, from) = operands.split_once(',')?;
                // A shift by nothing moves any of csky's registers.
                Some((to.trim().to_string(), from.trim().trim_end_matches(", 0").to_string()))
            };
            lines.iter().filter_map(operands).collect::<Vec<_>>()
        };
        let (before, after) = (moves(&self.template[..self.place]), moves(&self.template[self.place + 1..]));
        before.iter().filter(|(_, from)| from == register).any(|(keeper, _)| {
            let number =
                keeper.strip_prefix("${").and_then(|rest| rest.split(['}', ':']).next()?.parse::<usize>().ok());
            let constraint = number.and_then(|number| self.constraints.get(number));
            constraint.is_some_and(|constraint| constraint.starts_with("=&"))
                && after.iter().any(|(to, from)| to == register && from == keeper)
        })
    }
}

/// `r0 v0-v2` is r0, v0, v1, v2.
fn expanded(list: &str) -> Vec<String> {
    let one = |item: &str| {
        let number = |name: &str| name.trim_start_matches(|c: char| !c.is_ascii_digit()).parse::<u32>().ok();
        let range = item.split_once('-').and_then(|(first, last)| Some((number(first)?, number(last)?)));
        let stem = item.split(|c: char| c.is_ascii_digit()).next().unwrap_or_default().to_string();
        match range {
            Some((first, last)) => (first..=last).map(|number| format!("{stem}{number}")).collect(),
            None => vec![item.to_string()],
        }
    };
    list.split(' ').flat_map(one).collect()
}
