//! `cargo xtask broken`: breaks ports in a copy of the repository, and checks that the conformance
//! program fails. An emulator keeps registers that a kernel destroys, so some faults need a real
//! kernel, or the worst one.

use crate::kit::copy::Change::{RemoveOperands, Replace};
use crate::kit::copy::{copy_with, Change};
use crate::kit::document::PROOF;
use crate::kit::progress::Progress;
use crate::kit::report;
use crate::kit::shell::{both, capture, ROOT_VARIABLE};
use crate::machines::results::Results;
use crate::machines::worst;
use crate::step::{Run, World};
use clap::Args;
use std::fs;
use std::process::Command;

#[derive(Args)]
pub struct Options {
    /// Try only the faults of a full test, which need no real kernel
    #[arg(long)]
    emulated: bool,
    /// Try only the faults whose description starts with this; may be repeated
    #[arg(long, value_name = "START", conflicts_with = "write")]
    fault: Vec<String>,
    /// Write the table into docs/proof.md
    #[arg(long, conflicts_with = "emulated")]
    write: bool,
}

/// A fault in a port.
struct Fault {
    description: &'static str,
    changes: &'static [Change],
    machine: Machine,
    /// The start of the names of the checks that must fail, unless the program crashes or hangs.
    caught_by: &'static str,
}

/// Where the broken port runs: an argument of `cargo xtask test`.
enum Machine {
    Emulator(&'static str),
    Kernel(&'static str),
    /// An argument of `cargo xtask worst`.
    Worst {
        target: &'static str,
        in_full_test: bool,
    },
}

impl Machine {
    /// Whether a full test runs it.
    fn is_in_full_test(&self) -> bool {
        matches!(self, Self::Emulator(_) | Self::Worst { in_full_test: true, .. })
    }
}

/// A fault that shows under the worst kernel.
const fn under_worst(description: &'static str, target: &'static str, changes: &'static [Change]) -> Fault {
    let machine = Machine::Worst { target, in_full_test: false };
    Fault { description, changes, machine, caught_by: "registers::" }
}

/// The same, and a full test runs it.
const fn worst_in_full_test(description: &'static str, target: &'static str, changes: &'static [Change]) -> Fault {
    Fault { machine: Machine::Worst { target, in_full_test: true }, ..under_worst(description, target, changes) }
}

/// Inlines the trap. Its callers then keep values in registers that `asm!` cannot name.
const fn inlined(file: &'static str) -> Change {
    Replace(file, "#[inline(never)]", "#[inline(always)]")
}

const FAULTS: &[Fault] = &[
    Fault {
        description: "s390x: the number of `epoll_ctl` off by one",
        changes: &[Replace("src/arch/s390x.rs", "EPOLL_CTL: usize = 250", "EPOLL_CTL: usize = 251")],
        machine: Machine::Emulator("s390x-unknown-linux-gnu"),
        caught_by: "calls::",
    },
    Fault {
        description: "s390x: two registers of the list exchanged",
        changes: &[Replace("src/arch/s390x.rs", "\"r6\" \"r7\"", "\"r7\" \"r6\"")],
        machine: Machine::Emulator("s390x-unknown-linux-gnu"),
        caught_by: "calls::",
    },
    Fault {
        description: "aarch64: `data` at 4, as where the event is packed",
        changes: &[
            Replace("src/event.rs", "#[cfg_attr(target_arch = \"x86_64\", repr(packed))]", "#[repr(packed)]"),
            Replace("src/arch/generic.rs", "EVENT_SIZE: usize = 16", "EVENT_SIZE: usize = 12"),
            Replace("src/arch/generic.rs", "EVENT_DATA: usize = 8", "EVENT_DATA: usize = 4"),
        ],
        machine: Machine::Emulator("aarch64-unknown-linux-gnu"),
        caught_by: "data::",
    },
    Fault {
        description: "mipsel: a signal mask of 8 bytes",
        changes: &[Replace("src/arch/mips.rs", "SIGSET_BYTES: usize = 16", "SIGSET_BYTES: usize = 8")],
        machine: Machine::Emulator("mipsel-unknown-linux-gnu"),
        caught_by: "signals::",
    },
    Fault {
        description: "powerpc: errors not negated",
        changes: &[Replace("src/arch/powerpc.rs", "\"bns 2f\", \"neg 3, 3\", \"2:\", ", "")],
        machine: Machine::Emulator("powerpc-unknown-linux-gnu"),
        caught_by: "calls::",
    },
    Fault {
        description: "mipsel: the fifth argument not on the stack",
        changes: &[Replace("src/arch/mips.rs", "[\"sw $8, 16($sp)\"]", "[]")],
        machine: Machine::Emulator("mipsel-unknown-linux-gnu"),
        caught_by: "syscalls::",
    },
    Fault {
        description: "arm: 64-bit arguments not aligned",
        changes: &[Replace("src/arch/arm.rs", "PAIRS_ARE_ALIGNED: bool = true", "PAIRS_ARE_ALIGNED: bool = false")],
        machine: Machine::Emulator("armv7-unknown-linux-gnueabihf"),
        caught_by: "syscalls::",
    },
    Fault {
        description: "i686: the fourth and fifth of five arguments exchanged",
        changes: &[Replace("src/arch/x86.rs", "let rest = [$d, NR]", "let (rest, $e) = ([$e, NR], $d)")],
        machine: Machine::Emulator("i686-unknown-linux-gnu"),
        caught_by: "syscalls::",
    },
    Fault {
        description: "mipsel: the trap inlined, without $1, hi and lo, which rustc refuses",
        changes: &[inlined("src/arch/mips.rs")],
        machine: Machine::Kernel("mipsel-6.1"),
        caught_by: "registers::",
    },
    Fault {
        description: "riscv64 with V: no clobber of v0–v31, as in `sc` 0.2.7",
        changes: &[RemoveOperands("src/arch/riscv64.rs", "out(\"v")],
        machine: Machine::Kernel("riscv64-7"),
        caught_by: "registers::",
    },
    Fault {
        description: "arm64: the trap inlined, without z8–z15",
        changes: &[inlined("src/arch/aarch64.rs")],
        machine: Machine::Kernel("arm64-7"),
        caught_by: "registers::",
    },
    Fault {
        description: "powerpc64le: no clobber of ctr and xer, as in `sc` 0.2.7",
        changes: &[
            RemoveOperands("src/arch/powerpc.rs", "lateout(\"ctr"),
            RemoveOperands("src/arch/powerpc.rs", "lateout(\"xer"),
        ],
        machine: Machine::Kernel("ppc64el-6.1"),
        caught_by: "registers::",
    },
    Fault {
        description: "loongarch64: no clobber of t0–t8",
        changes: &[RemoveOperands("src/arch/loongarch64.rs", "lateout(\"$t")],
        machine: Machine::Kernel("loong64-7"),
        caught_by: "registers::",
    },
    worst_in_full_test(
        "loongarch64: no clobber of t0–t8",
        "loongarch64-unknown-linux-gnu",
        &[RemoveOperands("src/arch/loongarch64.rs", "lateout(\"$t")],
    ),
    worst_in_full_test(
        "x86_64: no clobber of rcx and r11",
        "x86_64-unknown-linux-gnu",
        &[Replace(
            "src/arch/x86_64.rs",
            "unsafe { sc::$name(NR $(, $arg)*) as isize }",
            "unsafe {
                let ret: usize;
                core::arch::asm!(\"syscall\", inlateout(\"rax\") NR => ret, $(in($_reg) $arg,)* options(nostack));
                ret as isize
            }",
        )],
    ),
    under_worst(
        "aarch64: the trap inlined, without z8–z15",
        "aarch64-unknown-linux-gnu",
        &[inlined("src/arch/aarch64.rs")],
    ),
    under_worst(
        "riscv64 with V: no clobber of any v register",
        "riscv64gc+v-unknown-linux-gnu",
        &[RemoveOperands("src/arch/riscv64.rs", "out(\"v")],
    ),
    under_worst(
        "powerpc: no clobber of r9–r12",
        "powerpc-unknown-linux-gnu",
        &[RemoveOperands("src/arch/powerpc.rs", "lateout(\"r9"), RemoveOperands("src/arch/powerpc.rs", "lateout(\"r1")],
    ),
    under_worst(
        "powerpc64le: no clobber of xer and ctr",
        "powerpc64le-unknown-linux-gnu",
        &[
            RemoveOperands("src/arch/powerpc.rs", "lateout(\"ctr"),
            RemoveOperands("src/arch/powerpc.rs", "lateout(\"xer"),
        ],
    ),
    under_worst(
        "powerpc64le: no clobber of cr0",
        "powerpc64le-unknown-linux-gnu",
        &[RemoveOperands("src/arch/powerpc.rs", "lateout(\"cr0")],
    ),
    under_worst(
        "mips: the trap inlined, without $1, hi and lo",
        "mips-unknown-linux-gnu",
        &[inlined("src/arch/mips.rs")],
    ),
    under_worst(
        "mips64el: the trap inlined, without $1, hi and lo",
        "mips64el-unknown-linux-gnuabi64",
        &[inlined("src/arch/mips64.rs")],
    ),
    under_worst(
        "sparc64: the trap inlined, without the f registers",
        "sparc64-unknown-linux-gnu",
        &[inlined("src/arch/sparc64.rs")],
    ),
    under_worst(
        "sparc: the trap inlined, without the f registers",
        "sparc-unknown-linux-gnu",
        &[inlined("src/arch/sparc.rs")],
    ),
];

impl Run for Options {
    fn run(&self, world: &World) -> Result<(), String> {
        let (_, table) = check(&world.progress, |fault| self.selects(fault))?;
        report::say(format_args!("\n{table}\n"));
        if self.write {
            PROOF.write("broken on purpose", &table)?;
        }
        Ok(())
    }
}

impl Options {
    fn selects(&self, fault: &Fault) -> bool {
        let is_named = self.fault.is_empty() || self.fault.iter().any(|start| fault.description.starts_with(start));
        is_named && (!self.emulated || fault.machine.is_in_full_test())
    }
}

/// Tries the faults that need no real kernel, for a full test. Returns how many the checks caught.
pub fn run_checks(progress: &Progress) -> Result<usize, String> {
    check(progress, |fault| fault.machine.is_in_full_test()).map(|(caught, _)| caught)
}

fn check(progress: &Progress, selects: impl Fn(&Fault) -> bool) -> Result<(usize, String), String> {
    let job = progress.job("broken on purpose");
    let (mut rows, mut missed) = (Vec::new(), Vec::new());
    for fault in FAULTS.iter().filter(|fault| selects(fault)) {
        job.at(fault.description);
        match test_fault(fault) {
            Ok(row) => rows.push(row),
            Err(why) => missed.push(format!("{}: {why}", fault.description)),
        }
    }
    job.done(&if missed.is_empty() { format!("{} caught", rows.len()) } else { "FAILED".into() });
    if missed.is_empty() {
        return Ok((rows.len(), report::markdown(&["fault", "on", "failed checks", "one of them"], rows)));
    }
    Err(format!("the checks do not catch these faults:\n{}", missed.join("\n")))
}

/// Runs the conformance program on a broken port. Returns a row of the table.
fn test_fault(fault: &Fault) -> Result<Vec<String>, String> {
    let folder = copy_with(fault.changes)?;
    let results = folder.path().join("results.json");
    // Not by its path: another command may have built the program anew.
    let this = format!("/proc/{}/exe", std::process::id());
    let selection = match fault.machine {
        Machine::Emulator(target) => ["test", "--target", target],
        Machine::Kernel(kernel) => ["test", "--kernel", kernel],
        Machine::Worst { target, .. } => ["worst", "--target", target],
    };
    let mut test = Command::new(this);
    test.env(ROOT_VARIABLE, folder.path()).args(selection).arg("--json").arg(&results);
    let test = capture(&mut test)?;
    let text = fs::read_to_string(&results)
        .map_err(|error| format!("the test wrote no results ({error}):\n{}", both(&test)))?;
    let summary: Results =
        serde_json::from_str(&text).map_err(|error| format!("cannot parse the test's results: {error}"))?;
    let (failed, first) = summary.failed(fault.caught_by);
    let (count, first) = match (first, summary.last_check_before_crash()) {
        (Some(first), _) => (failed.to_string(), first),
        (None, Some(end)) => ("it does not end".into(), end),
        (None, None) => {
            let start = fault.caught_by;
            return Err(format!("{failed} checks fail, but none whose name starts with {start}:\n{}", both(&test)));
        }
    };
    let on = match fault.machine {
        Machine::Emulator(_) => "qemu-user".into(),
        Machine::Kernel(kernel) => format!("Linux, {kernel}"),
        Machine::Worst { .. } => worst::ON.into(),
    };
    // The bare program names a check's file by a path relative to its own source.
    Ok(vec![fault.description.into(), on, count, first.replace("test-crates/bare/src/../../../", "")])
}
