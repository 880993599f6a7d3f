//! `cargo xtask broken`: ports made wrong on purpose, in a copy of the repository, and the checks that see it: under an emulator, or on a real
//! kernel where an emulator keeps what a kernel destroys.

use crate::kit::copy::Change::{Replace, Without};
use crate::kit::copy::{changed, Change};
use crate::kit::document::PROOF;
use crate::kit::progress::Progress;
use crate::kit::report;
use crate::kit::shell::{both, capture, ROOT};
use crate::machines::cross;
use crate::machines::results::Results;
use crate::step::{Run, World};
use clap::Args;
use std::fs;
use std::process::Command;

#[derive(Args)]
pub struct Options {
    /// Only those that are seen under an emulator
    #[arg(long)]
    emulated: bool,
    /// Write the table into docs/proof.md too
    #[arg(long, conflicts_with = "emulated")]
    write: bool,
}

/// A port made wrong.
struct Fault {
    what: &'static str,
    changes: &'static [Change],
    on: On,
    /// The start of the names of the checks that must see it, unless the program is too broken to come to its end.
    seen_by: &'static str,
}

/// Where it runs, as `cargo xtask test` is told.
enum On {
    Emulator(&'static str),
    Kernel(&'static str),
}

const fn inlined(file: &'static str) -> Change {
    Replace(file, "#[inline(never)]", "#[inline(always)]")
}

const FAULTS: &[Fault] = &[
    Fault {
        what: "s390x: the number of `epoll_ctl` off by one",
        changes: &[Replace("src/arch/s390x.rs", "EPOLL_CTL: usize = 250", "EPOLL_CTL: usize = 251")],
        on: On::Emulator("s390x-unknown-linux-gnu"),
        seen_by: "calls::",
    },
    Fault {
        what: "aarch64: `data` at 4, as where the event is packed",
        changes: &[
            Replace("src/event.rs", "#[cfg_attr(target_arch = \"x86_64\", repr(packed))]", "#[repr(packed)]"),
            Replace("src/arch/generic.rs", "EVENT_SIZE: usize = 16", "EVENT_SIZE: usize = 12"),
            Replace("src/arch/generic.rs", "EVENT_DATA: usize = 8", "EVENT_DATA: usize = 4"),
        ],
        on: On::Emulator("aarch64-unknown-linux-gnu"),
        seen_by: "data::",
    },
    Fault {
        what: "mipsel: a signal mask of 8 bytes",
        changes: &[Replace("src/arch/mips.rs", "SIGSET_BYTES: usize = 16", "SIGSET_BYTES: usize = 8")],
        on: On::Emulator("mipsel-unknown-linux-gnu"),
        seen_by: "signals::",
    },
    Fault {
        what: "powerpc: the sign of an error forgotten",
        changes: &[Replace("src/arch/powerpc.rs", "\"bns 2f\", \"neg 3, 3\", \"2:\", ", "")],
        on: On::Emulator("powerpc-unknown-linux-gnu"),
        seen_by: "calls::",
    },
    Fault {
        what: "mipsel: the trap inlined, all named that rustc takes: $1, hi and lo are not",
        changes: &[inlined("src/arch/mips.rs")],
        on: On::Kernel("mipsel-6.1"),
        seen_by: "registers::",
    },
    Fault {
        what: "riscv64 with V: v0–v31 not named, as `sc` 0.2.7 has it",
        changes: &[Without("src/arch/riscv64.rs", "out(\"v")],
        on: On::Kernel("riscv64-7"),
        seen_by: "registers::",
    },
    Fault {
        what: "arm64: the trap inlined, all named that costs nothing: z8–z15 are not",
        changes: &[inlined("src/arch/aarch64.rs")],
        on: On::Kernel("arm64-7"),
        seen_by: "registers::",
    },
    Fault {
        what: "powerpc64le: ctr and xer not named, as `sc` 0.2.7 has it",
        changes: &[Without("src/arch/powerpc.rs", "lateout(\"ctr"), Without("src/arch/powerpc.rs", "lateout(\"xer")],
        on: On::Kernel("ppc64el-6.1"),
        seen_by: "registers::",
    },
    Fault {
        what: "loongarch64: t0–t8 not named",
        changes: &[Without("src/arch/loongarch64.rs", "lateout(\"$t")],
        on: On::Kernel("loong64-7"),
        seen_by: "registers::",
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

/// For a full test: how many were seen, of those that an emulator shows.
pub fn run_checks(progress: &Progress) -> Result<usize, String> {
    check(progress, true).map(|(seen, _)| seen)
}

fn check(progress: &Progress, emulated: bool) -> Result<(usize, String), String> {
    let job = progress.job("broken on purpose");
    let (mut rows, mut unseen) = (Vec::new(), Vec::new());
    for fault in FAULTS.iter().filter(|fault| !emulated || matches!(fault.on, On::Emulator(_))) {
        job.at(fault.what);
        match try_out(fault) {
            Ok(row) => rows.push(row),
            Err(why) => unseen.push(format!("{}: {why}", fault.what)),
        }
    }
    // What was made wrong stands in the cache, and is newer than what is right.
    let is_mine = cross::open_cache();
    let is_right = unseen.is_empty() && is_mine.is_ok();
    job.done(&if is_right { format!("{} were seen", rows.len()) } else { "FAILED".into() });
    is_mine?;
    if unseen.is_empty() {
        return Ok((rows.len(), report::markdown(&["made wrong", "on", "checks that fail", "one of them"], rows)));
    }
    Err(format!("no check sees what is broken on purpose:\n{}", unseen.join("\n")))
}

/// Makes one port wrong, and gives a row of what its checks said.
fn try_out(fault: &Fault) -> Result<Vec<String>, String> {
    let folder = changed(fault.changes)?;
    let results = folder.path().join("results.json");
    let this = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let on = match fault.on {
        On::Emulator(target) => ["--target", target],
        On::Kernel(kernel) => ["--kernel", kernel],
    };
    let test = capture(Command::new(this).env(ROOT, folder.path()).arg("test").args(on).arg("--json").arg(&results))?;
    let text =
        fs::read_to_string(&results).map_err(|error| format!("it was not tested ({error}):\n{}", both(&test)))?;
    let summary: Results = serde_json::from_str(&text).map_err(|error| format!("the results are none: {error}"))?;
    let (failed, first) = summary.failed(fault.seen_by);
    let (count, first) = match (first, summary.end_of_the_dead()) {
        (Some(first), _) => (failed.to_string(), first),
        (None, Some(end)) => ("it does not end".into(), end),
        (None, None) => return Err(format!("{failed} checks fail, and not as they should:\n{}", both(&test))),
    };
    let on = match fault.on {
        On::Emulator(_) => "qemu-user".into(),
        On::Kernel(kernel) => format!("Linux, {kernel}"),
    };
    // The program without libc names a check's file by the way to it from its own.
    Ok(vec![fault.what.into(), on, count, first.replace("test-crates/bare/src/../../../", "")])
}
