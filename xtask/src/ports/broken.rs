//! `cargo xtask broken`: breaks ports in a copy of the repository, and checks that the conformance
//! program fails. An emulator keeps registers that a kernel destroys, so some faults need a real
//! kernel.

use crate::kit::copy::Change::{RemoveOperands, Replace};
use crate::kit::copy::{copy_with, Change};
use crate::kit::document::PROOF;
use crate::kit::progress::Progress;
use crate::kit::report;
use crate::kit::shell::{both, capture, ROOT_VARIABLE};
use crate::machines::cross;
use crate::machines::results::Results;
use crate::step::{Run, World};
use clap::Args;
use std::fs;
use std::process::Command;

#[derive(Args)]
pub struct Options {
    /// Try only the faults that an emulator shows
    #[arg(long)]
    emulated: bool,
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
];

impl Run for Options {
    fn run(&self, world: &World) -> Result<(), String> {
        let (_, table) = check(&world.progress, self.emulated)?;
        println!("\n{table}\n");
        if self.write {
            PROOF.write("broken on purpose", &table)?;
        }
        Ok(())
    }
}

/// Tries the faults that an emulator shows, for a full test. Returns how many the checks caught.
pub fn run_checks(progress: &Progress) -> Result<usize, String> {
    check(progress, true).map(|(caught, _)| caught)
}

fn check(progress: &Progress, emulated: bool) -> Result<(usize, String), String> {
    let job = progress.job("broken on purpose");
    let (mut rows, mut missed) = (Vec::new(), Vec::new());
    for fault in FAULTS.iter().filter(|fault| !emulated || matches!(fault.machine, Machine::Emulator(_))) {
        job.at(fault.description);
        match test_fault(fault) {
            Ok(row) => rows.push(row),
            Err(why) => missed.push(format!("{}: {why}", fault.description)),
        }
    }
    // The broken builds in the cache are newer than this checkout's sources.
    let cache = cross::open_cache();
    let is_right = missed.is_empty() && cache.is_ok();
    job.done(&if is_right { format!("{} caught", rows.len()) } else { "FAILED".into() });
    cache?;
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
        Machine::Emulator(target) => ["--target", target],
        Machine::Kernel(kernel) => ["--kernel", kernel],
    };
    let mut test = Command::new(this);
    test.env(ROOT_VARIABLE, folder.path()).arg("test").args(selection).arg("--json").arg(&results);
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
    };
    // The bare program names a check's file by a path relative to its own source.
    Ok(vec![fault.description.into(), on, count, first.replace("test-crates/bare/src/../../../", "")])
}
