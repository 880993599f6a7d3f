//! Checks that each port's `asm!` declares every register that the kernel destroys. It reads the
//! LLVM IR of calls, so it runs on any host for every port.
//!
//! On a kernel, a missing register shows only if a program keeps a value in it. This check finds
//! all missing registers, also for machines without a kernel to boot. Its rules do not come from
//! the ports: they come from musl (`arch/*/syscall_arch.h`), from glibc
//! (`sysdeps/unix/sysv/linux/*/sysdep.h`), and from registers that kernels were seen to destroy.
//!
//! An out-of-line trap relies on the ABI: its callers expect all caller-saved registers to be lost,
//! also those that `asm!` cannot name. LLVM's `-enable-ipra` replaces the ABI by the registers that
//! a function changes, and `-print-regusage` prints those. A second check reads that list.

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
    /// Check only targets whose name starts with this; may be repeated
    #[arg(long)]
    target: Vec<String>,
}

/// What a trap, a port's `asm!`, must declare. Registers are spelled as in LLVM's constraints.
pub(super) struct Rule {
    ports: &'static [&'static str],
    /// The instruction that enters the kernel.
    pub(super) trap: &'static str,
    /// The outputs and clobbers: the result, and the registers that the kernel destroys. `v0-v31`
    /// is a range.
    pub(super) named: &'static str,
    /// A register that rustc refuses as an operand, in the template's spelling. The template must
    /// save and restore it.
    pub(super) saved: Option<&'static str>,
    /// Set if `asm!` cannot name some destroyed registers. The trap's function must never be
    /// inlined, because only a call by the ABI destroys them all. LLVM's `-enable-ipra` must list
    /// these registers, in LLVM's spelling, as changed by the function.
    out_of_line: Option<&'static str>,
}

const fn rule(ports: &'static [&'static str], trap: &'static str, named: &'static str) -> Rule {
    Rule { ports, trap, named, saved: None, out_of_line: None }
}

const RULES: &[Rule] = &[
    // The instruction saves the return address in cx and the flags in r11.
    rule(&["x86_64", "x32"], "syscall", "ax cx r11"),
    rule(&["x86"], "int 0x80", "ax"),
    // p0–p15, and the z registers whose names cost nothing. Not named: the high parts of z8–z15,
    // and ffr.
    Rule { out_of_line: Some("x0 p0-p15 z0-z7 z16-z31"), ..rule(&["aarch64"], "svc 0", "x0 p0-p15 q0-q7 q16-q31") },
    // r7 holds the call's number, but it is Thumb code's frame pointer.
    Rule { saved: Some("r7"), ..rule(&["arm"], "svc 0", "r0") },
    rule(&["riscv64", "riscv32"], "ecall", "x10 v0-v31 vl vtype"),
    // a0, t0–t8.
    rule(&["loongarch64"], "syscall 0", "$r4 $r12-$r20"),
    rule(&["powerpc", "powerpc64"], "sc", "r0 r3-r12 cr0 ctr xer"),
    rule(&["s390x"], "svc 0", "r2"),
    // v0, v1, a3 and t0–t9, whose numbers differ between o32 and n64. Not named: at, hi and lo.
    Rule { out_of_line: Some("v0 v1 a3 t0-t9"), ..rule(&["mips", "mips64"], "syscall", "$2 $3 $7-$15 $24 $25") },
    // o0–o5, g2–g5. Not named: g1, the f registers and the condition codes.
    Rule { out_of_line: Some("o0-o5 g2-g5"), ..rule(&["sparc64"], "ta 0x6d", "r8-r13 r2-r5") },
    // The same without g5, which LLVM never uses here.
    Rule { out_of_line: Some("o0-o5 g2-g4"), ..rule(&["sparc"], "ta 0x10", "r8-r13 r2-r4") },
    rule(&["m68k"], "trap #0", "d0"),
    rule(&["hexagon"], "trap0(#1)", "r0"),
    Rule { saved: Some("r7"), ..rule(&["csky"], "trap32 0", "r0") },
];

/// The number of different calls in the two packages, and so the least number of traps. They cover
/// every number of arguments.
const MIN_TRAPS: usize = 15;
/// The least number of traps in the crate alone.
const MIN_CRATE_TRAPS: usize = 8;

impl Run for Options {
    fn run(&self, world: &World) -> Result<(), String> {
        check(&world.progress, world.cache()?, &select(&self.target)?).map(drop)
    }
}

/// Checks the ports of these targets. Returns how many traps there are.
pub fn check(progress: &Progress, cache: &Cache, targets: &[&'static Target]) -> Result<usize, String> {
    let job = progress.job("clobbered registers");
    let (mut rows, mut wrong, mut count) = (Vec::new(), Vec::new(), 0);
    for target in targets {
        job.at(target.name);
        let rule = rule_of(target)?;
        // An out-of-line trap is in the package that used it first: a user's or the crate itself.
        let (calls, own) = (emit(cache, target, "codegen")?, emit(cache, target, "barepoll")?);
        let traps: Vec<Trap> = [&calls, &own].into_iter().flat_map(|ir| traps(ir, |line| line == rule.trap)).collect();
        let mut complaints: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for trap in &traps {
            let found = trap.complaints(rule).into_iter();
            found.for_each(|complaint| complaints.entry(complaint).or_default().push(trap.function));
        }
        for (complaint, functions) in complaints {
            wrong.push(format!("{}: {complaint}: in {}", target.name, functions.join(", ")));
        }
        if let Some(registers) = rule.out_of_line {
            let complaint = check_ipra(cache, target, registers)?;
            wrong.extend(complaint.map(|complaint| format!("{}: {complaint}", target.name)));
        }
        if traps.len() < MIN_TRAPS {
            let count = traps.len();
            wrong.push(format!("{}: {count} traps (`{}`), expected at least {MIN_TRAPS}", target.name, rule.trap));
        }
        count += traps.len();
        let how = if rule.out_of_line.is_some() { "out of line" } else { "inlined" };
        rows.push([target.name, &traps.len().to_string(), rule.named, how].map(String::from).to_vec());
    }
    job.done(&if wrong.is_empty() { format!("{count} traps are right") } else { "FAILED".into() });
    report::print(&["target", "traps", "registers named", "trap"], rows);
    match wrong.as_slice() {
        [] => Ok(count),
        wrong => Err(format!("a port's `asm!` does not declare all that a system call changes:\n{}", wrong.join("\n"))),
    }
}

/// The rule of the target's port.
pub(super) fn rule_of(target: &Target) -> Result<&'static Rule, String> {
    let port = target.port();
    let rule = RULES.iter().find(|rule| rule.ports.contains(&port.as_str()));
    rule.ok_or_else(|| format!("there is no rule for the port {port}; add it to xtask/src/ports/clobbers.rs"))
}

fn emit(cache: &Cache, target: &Target, package: &str) -> Result<String, String> {
    cross::emit(cache, target, package, "llvm-ir")
}

/// Flags that make LLVM compute and print the registers that each function changes.
const IPRA_FLAGS: [&str; 2] = ["-Cllvm-args=-enable-ipra", "-Cllvm-args=-print-regusage"];

/// Which of these registers a caller of an out-of-line trap may keep a value in, under
/// `-enable-ipra`.
fn check_ipra(cache: &Cache, target: &Target, registers: &str) -> Result<Option<String>, String> {
    let (_, printed) = cross::emit_with(cache, target, "barepoll", "asm", &IPRA_FLAGS)?;
    let calls: Vec<_> = printed.lines().filter_map(|line| line.split_once(" Clobbered Registers: ")).collect();
    let traps = calls.iter().filter(|(function, _)| is_trap(function)).map(|(_, changed)| *changed);
    let changed: Vec<Vec<&str>> = traps.map(|changed| changed.split(' ').collect()).collect();
    if changed.len() < MIN_CRATE_TRAPS {
        let count = changed.len();
        return Ok(Some(format!("-print-regusage lists {count} traps, expected at least {MIN_CRATE_TRAPS}")));
    }
    let is_kept = |register: &String| !changed.iter().all(|changed| changed.contains(&format!("${register}").as_str()));
    let kept: Vec<String> = expanded(registers).into_iter().filter(is_kept).collect();
    let complaint = || format!("with -enable-ipra a caller may keep a value across the trap in {}", kept.join(", "));
    Ok((!kept.is_empty()).then(complaint))
}

/// An `asm!` with the instruction that enters the kernel, in LLVM IR.
pub(super) struct Trap<'a> {
    pub(super) function: &'a str,
    pub(super) is_function_noinline: bool,
    pub(super) has_side_effects: bool,
    /// Whether LLVM expects it to write memory: not with `options(nomem)` or `options(readonly)`.
    pub(super) writes_memory: bool,
    /// Whether it returns: not with `options(noreturn)`.
    pub(super) returns: bool,
    template: Vec<&'a str>,
    /// The index of the instruction in the template.
    index: usize,
    constraints: Vec<&'a str>,
}

/// The traps in LLVM IR: assembly with a line that enters the kernel. It reads `call T asm
/// sideeffect "template", "constraints"(...) #7`. `attributes #7 = { ... }` stands further down.
pub(super) fn traps<'a>(ir: &'a str, enters_kernel: impl Fn(&str) -> bool) -> Vec<Trap<'a>> {
    let attributes: BTreeMap<&str, &str> =
        ir.lines().filter_map(|line| line.strip_prefix("attributes #")?.split_once(" = ")).collect();
    // Whether the attributes that a line names contain this text.
    let has = |line: &str, text: &str| {
        let groups = line.split([' ', ',']).filter_map(|word| attributes.get(word.strip_prefix('#')?));
        groups.into_iter().any(|group| group.contains(text))
    };
    let (mut traps, mut function, mut is_function_noinline) = (Vec::new(), "", false);
    let mut lines = ir.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("define ") {
            function = line.split_once('@').and_then(|(_, rest)| rest.split('(').next()).unwrap_or_default();
            is_function_noinline = has(line, " noinline ");
        }
        let Some((_, assembly)) = line.split_once(" asm ") else { continue };
        let [options, template, _, constraints, operands, ..] = assembly.split('"').collect::<Vec<_>>()[..] else {
            continue;
        };
        let template: Vec<&str> = template.split("\\0A").map(str::trim).collect();
        let Some(index) = template.iter().position(|line| enters_kernel(line)) else { continue };
        let has_side_effects = options.contains("sideeffect");
        let constraints: Vec<&str> = constraints.split(',').collect();
        let writes_memory = constraints.contains(&"~{memory}") && !has(operands, "memory(read");
        let returns = lines.peek().is_none_or(|next| next.trim() != "unreachable");
        traps.push(Trap {
            function,
            is_function_noinline,
            has_side_effects,
            writes_memory,
            returns,
            template,
            index,
            constraints,
        });
    }
    traps
}

impl Trap<'_> {
    fn complaints(&self, rule: &Rule) -> Vec<String> {
        let mut complaints = Vec::new();
        if !self.has_side_effects {
            complaints.push("the trap lacks `sideeffect`".into());
        }
        if rule.out_of_line.is_some() && !self.is_function_noinline {
            complaints.push("the trap may be inlined".into());
        }
        let mut missing = self.missing(rule);
        if !self.writes_memory {
            missing.push("memory".into());
        }
        if !missing.is_empty() {
            complaints.push(format!("the trap does not name {}", missing.join(", ")));
        }
        if let Some(register) = rule.saved.filter(|register| !self.saves(register)) {
            complaints.push(format!("the trap does not save and restore {register}"));
        }
        complaints
    }

    /// The registers that the trap must name, and does not.
    pub(super) fn missing(&self, rule: &Rule) -> Vec<String> {
        expanded(rule.named).into_iter().filter(|register| !self.names(register)).collect()
    }

    /// Whether the compiler itself loads this register with an argument.
    pub(super) fn takes(&self, register: &str) -> bool {
        self.constraints.contains(&format!("{{{register}}}").as_str())
    }

    fn names(&self, register: &str) -> bool {
        let name = |constraint: &str| {
            let kinds = ["~{", "={", "=&{"];
            let name = kinds.iter().find_map(|kind| constraint.strip_prefix(kind))?.strip_suffix('}')?;
            Some(name == register)
        };
        self.constraints.iter().any(|constraint| name(constraint) == Some(true))
    }

    /// Whether the template moves the register to an operand before the instruction, and back after
    /// it.
    ///
    /// The operand must be an early-clobber output (`=&`), so that LLVM gives it no input's
    /// register.
    pub(super) fn saves(&self, register: &str) -> bool {
        let moves = |lines: &[&str]| {
            let operands = |line: &&str| {
                let (_, operands) = line.split_once(' ')?;
                let (to, from) = operands.split_once(',')?;
                // csky moves a register with a shift by zero.
                Some((to.trim().to_string(), from.trim().trim_end_matches(", 0").to_string()))
            };
            lines.iter().filter_map(operands).collect::<Vec<_>>()
        };
        let (before, after) = (moves(&self.template[..self.index]), moves(&self.template[self.index + 1..]));
        before.iter().filter(|(_, from)| from == register).any(|(operand, _)| {
            let number =
                operand.strip_prefix("${").and_then(|rest| rest.split(['}', ':']).next()?.parse::<usize>().ok());
            let constraint = number.and_then(|number| self.constraints.get(number));
            constraint.is_some_and(|constraint| constraint.starts_with("=&"))
                && after.iter().any(|(to, from)| to == register && from == operand)
        })
    }
}

/// Expands the ranges in a list: `r0 v0-v2` becomes r0, v0, v1, v2.
pub(super) fn expanded(list: &str) -> Vec<String> {
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
