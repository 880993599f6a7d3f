//! `cargo xtask worst`: the worst kernel that an ABI allows.
//!
//! A kernel destroys some registers today. Its ABI lets it destroy more. This command runs the
//! conformance program under qemu-user's gdb stub. After each system call it overwrites every
//! register that the ABI lets a call destroy, so a port that declares too few fails its checks.
//!
//! The registers come from the kernel's documents and sources and from the C libraries' lists, not
//! from the ports. A forked child runs without the stub, so its calls destroy nothing.

use crate::debian::Cache;
use crate::kit::document::PORTING;
use crate::kit::file;
use crate::kit::progress::Progress;
use crate::kit::random::Numbers;
use crate::kit::report;
use crate::kit::shell::{conformance_limit, Background};
use crate::machines::conformance::Run as Checked;
use crate::machines::cross;
use crate::machines::emulated::{self, Emulator};
use crate::machines::gdb::{Client, Stop, GO_ON};
use crate::machines::results::Results;
use crate::machines::targets::{select, short, Target, TARGETS};
use crate::ports::conformance::record;
use crate::step::{Run, World};
use clap::Args;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

/// [`Checked::on`] of these runs.
pub const ON: &str = "the worst kernel";

#[derive(Args)]
pub struct Options {
    /// Run only targets whose name starts with this; may be repeated
    #[arg(long)]
    target: Vec<String>,
    /// Write the results into this file
    #[arg(long, value_name = "FILE", value_parser = file::writable)]
    json: Option<PathBuf>,
    /// Write the table of registers into docs/porting.md
    #[arg(long)]
    write: bool,
}

/// What the ABI of a port's machine says of the registers after a system call.
struct Abi {
    ports: &'static [&'static str],
    /// The arguments of qemu-user, beside its name, if the target's are too weak.
    cpu: &'static [&'static str],
    /// What a call may destroy besides the result. Empty if it must keep all.
    destroyed: &'static [Registers],
    /// The numbers of `rt_sigreturn` and `sigreturn`, which set every register.
    returns_from_signals: &'static [u32],
    source: &'static str,
}

/// Registers with consecutive numbers in the gdb stub.
struct Registers {
    name: &'static str,
    first: usize,
    count: usize,
    bits: Bits,
    /// Whether they hold the call's number and arguments. If a signal comes before the call, the
    /// emulator makes it again, so it needs them.
    is_restored: bool,
}

#[derive(Clone, Copy)]
enum Bits {
    All,
    /// The second half of a vector of 32 bytes.
    SecondHalf,
    /// Of a flag register.
    Mask(u64),
}

const fn one(name: &'static str, first: usize) -> Registers {
    several(name, first, 1)
}

const fn several(name: &'static str, first: usize, count: usize) -> Registers {
    Registers { name, first, count, bits: Bits::All, is_restored: false }
}

/// 64-bit flags of SPARC: the program's `ccr` is in bits 32–39 of the stub's `state`. The emulator
/// writes the carry bits later.
const SPARC64_FLAGS: Registers =
    Registers { bits: Bits::Mask(0xee << 32), ..one("the condition codes but carry, which is the result", 82) };
/// The same in `psr`.
const SPARC_FLAGS: Registers =
    Registers { bits: Bits::Mask(0x00e0_0000), ..one("the condition codes but carry, which is the result", 65) };

const NOTHING: Abi = Abi { ports: &[], cpu: &[], destroyed: &[], returns_from_signals: &[], source: "" };

const ABIS: &[Abi] = &[
    Abi {
        ports: &["x86_64"],
        destroyed: &[one("rcx", 2), one("r11", 11)],
        returns_from_signals: &[15],
        source: "the instruction; `arch/x86/entry/entry_64.S`",
        ..NOTHING
    },
    Abi { ports: &["x86"], source: "`arch/x86/entry/entry_32.S`; glibc's `i386/sysdep.h`", ..NOTHING },
    Abi {
        ports: &["aarch64"],
        cpu: &["-cpu", "max,sve-max-vq=2"],
        destroyed: &[
            Registers { bits: Bits::SecondHalf, ..several("z0–z31 beyond their low 128 bits", 34, 32) },
            several("p0–p15", 68, 16),
            one("ffr", 84),
        ],
        returns_from_signals: &[139],
        source: "`Documentation/arch/arm64/sve.rst`, *System call behaviour*",
    },
    Abi { ports: &["arm"], source: "`arch/arm/kernel/entry-common.S`; glibc's `arm/sysdep.h`", ..NOTHING },
    Abi {
        ports: &["riscv64"],
        cpu: &["-cpu", "rv64,v=true"],
        destroyed: &[several("v0–v31", 65, 32)],
        returns_from_signals: &[139],
        source: "`Documentation/arch/riscv/vector.rst`; glibc's `riscv/sysdep.h`",
    },
    Abi {
        ports: &["riscv32"],
        cpu: &["-cpu", "rv32,v=true"],
        destroyed: &[several("v0–v31", 65, 32)],
        returns_from_signals: &[139],
        source: "`Documentation/arch/riscv/vector.rst`; glibc's `riscv/sysdep.h`",
    },
    Abi {
        ports: &["loongarch64"],
        destroyed: &[several("t0–t8", 12, 9)],
        returns_from_signals: &[139],
        source: "glibc's `loongarch/sysdep.h` and musl's `SYSCALL_CLOBBERLIST`",
        ..NOTHING
    },
    Abi {
        ports: &["powerpc", "powerpc64"],
        destroyed: &[
            Registers { is_restored: true, ..one("r0", 0) },
            Registers { is_restored: true, ..several("r4–r8", 4, 5) },
            several("r9–r12", 9, 4),
            Registers { bits: Bits::Mask(0xe000_0000), ..one("cr0 but its flag SO, which is the result", 66) },
            one("ctr", 68),
            one("xer", 69),
        ],
        returns_from_signals: &[172, 119],
        source: "`Documentation/arch/powerpc/syscall64-abi.rst`; glibc's `powerpc/sysdep.h`",
        ..NOTHING
    },
    Abi { ports: &["s390x"], source: "`arch/s390/kernel/entry.S`", ..NOTHING },
    Abi {
        ports: &["mips"],
        destroyed: &[
            one("$1", 1),
            one("$3", 3),
            several("$8–$15", 8, 8),
            several("$24, $25", 24, 2),
            several("lo, hi", 33, 2),
        ],
        returns_from_signals: &[4193, 4119],
        source: "musl's `SYSCALL_CLOBBERLIST`; glibc's `mips/mips32/sysdep.h`",
        ..NOTHING
    },
    Abi {
        ports: &["mips64"],
        destroyed: &[
            one("$1", 1),
            one("$3", 3),
            several("$10–$15", 10, 6),
            several("$24, $25", 24, 2),
            several("lo, hi", 33, 2),
        ],
        returns_from_signals: &[5211],
        source: "musl's `SYSCALL_CLOBBERLIST`; glibc's `mips/mips64/sysdep.h`",
        ..NOTHING
    },
    Abi {
        ports: &["sparc64"],
        destroyed: &[several("g2–g6", 2, 5), several("all f registers", 32, 48), SPARC64_FLAGS],
        returns_from_signals: &[101],
        source: "glibc's `__SYSCALL_CLOBBERS` in `sparc/sparc64/sysdep.h`",
        ..NOTHING
    },
    Abi {
        ports: &["sparc"],
        destroyed: &[several("g2–g6", 2, 5), several("f0–f31", 32, 32), SPARC_FLAGS],
        returns_from_signals: &[101, 216],
        source: "glibc's `__SYSCALL_CLOBBERS` in `sparc/sparc32/sysdep.h`",
        ..NOTHING
    },
    Abi { ports: &["m68k"], source: "`arch/m68k/kernel/entry.S`", ..NOTHING },
    Abi { ports: &["hexagon"], source: "`arch/hexagon/kernel/vm_entry.S`", ..NOTHING },
    Abi { ports: &["csky"], source: "`arch/csky/kernel/entry.S`", ..NOTHING },
    Abi {
        ports: &["x32"],
        source: "as x86_64; no emulator runs it",
        destroyed: &[one("rcx", 2), one("r11", 11)],
        ..NOTHING
    },
];

impl Run for Options {
    fn run(&self, world: &World) -> Result<(), String> {
        if self.write {
            PORTING.write(TABLE, &table())?;
        }
        let runs = run_all(&world.progress, world.cache()?, &select(&self.target)?)?;
        let mut results = Results::default();
        let count = runs.len();
        results.add_worst(runs);
        if let Some(file) = &self.json {
            let text = serde_json::to_string(&results).map_err(|error| format!("cannot print the results: {error}"))?;
            results.failures.extend(file::write(file, &text).err());
        }
        match results.failures.as_slice() {
            [] => report::say(format_args!("{count} targets")),
            failures => return Err(failures.join("\n\n")),
        }
        Ok(())
    }
}

/// The table's name in docs/porting.md.
const TABLE: &str = "worst kernel";

/// The table of registers, for docs/porting.md.
fn table() -> String {
    let row = |abi: &Abi| {
        let ports: Vec<String> = abi.ports.iter().map(|port| format!("`{port}`")).collect();
        let names: Vec<&str> = abi.destroyed.iter().map(|registers| registers.name).collect();
        let destroyed = if names.is_empty() { "none".into() } else { names.join(", ") };
        let targets = TARGETS.iter().filter(|target| abi.ports.contains(&target.port().as_str()) && abi.runs(target));
        let mut targets: Vec<&str> = targets.map(|target| short(target.name)).collect();
        targets.dedup();
        let ran = if targets.is_empty() { "–".into() } else { targets.join(", ") };
        vec![ports.join(", "), destroyed, abi.source.into(), ran]
    };
    report::markdown(&["port", "registers overwritten", "source", "targets"], ABIS.iter().map(row))
}

/// What README's table says of a port whose kernel destroys nothing that the ABI preserves.
pub fn nothing_to_destroy(port: &str) -> Option<&'static str> {
    let abi = ABIS.iter().find(|abi| abi.ports.contains(&port))?;
    abi.destroyed.is_empty().then_some("nothing to destroy")
}

impl Abi {
    fn of(target: &Target) -> Result<&'static Self, String> {
        let port = target.port();
        let abi = ABIS.iter().find(|abi| abi.ports.contains(&port.as_str()));
        abi.ok_or_else(|| format!("there is no ABI for the port {port}; add it to xtask/src/machines/worst.rs"))
    }

    /// Whether the target has something to overwrite, and an emulator. If there is nothing to
    /// overwrite, the step `targets` runs the same.
    fn runs(&self, target: &Target) -> bool {
        !self.destroyed.is_empty() && !target.emulator.is_empty() && target.links()
    }
}

/// Runs the world's targets, for a full test. Returns how many there are.
pub fn on_targets(world: &World) -> Result<usize, String> {
    let runs = run_all(&world.progress, world.cache()?, &world.targets)?;
    record(world, runs.len(), |results| results.add_worst(runs))
}

type Answer = (&'static Target, Result<Checked, String>);

/// The emulator makes a call again if a signal comes before it. If the signal is blocked, there is no
/// stop in between, and nothing restores the call's number.
const LOST: &str = "the emulator made a call again whose number was overwritten; run it again";
/// How often a target runs if a call is lost, which is rare.
const TRIES: usize = 3;

/// What follows the last lines of a program that a signal ended: the emulator says nothing under gdb.
pub const ENDED: &str = "The program ended after ";

/// How many targets run at the same time. The program waits more than it computes.
const WORKERS: usize = 3;

fn run_all(progress: &Progress, cache: &Cache, targets: &[&'static Target]) -> Result<Vec<Answer>, String> {
    let emulator = emulated::emulator(cache, "testing", "qemu-user", "")?;
    let mut waiting = Vec::new();
    for target in targets {
        let abi = Abi::of(target)?;
        if abi.runs(target) {
            waiting.push((*target, abi));
        }
    }
    let queue = Mutex::new(waiting.into_iter());
    let building = Mutex::new(());
    let work = || {
        let mut answers = Vec::new();
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((target, abi)) = next else { return answers };
            let job = progress.job(format!("{} under the worst", short(target.name)));
            job.at("building");
            let built = {
                let _one_at_a_time = building.lock().unwrap_or_else(PoisonError::into_inner);
                cross::build_bare(cache, target)
            };
            let answer = built.and_then(|program| {
                job.at("running");
                let mut answers = (0..TRIES).map(|_| run_one(&emulator, target, abi, &program));
                let is_lost = |answer: &Result<_, String>| answer.as_ref().is_err_and(|why| why.contains(LOST));
                answers.find(|answer| !is_lost(answer)).unwrap_or_else(|| Err(format!("{}: {LOST}", target.name)))
            });
            let summary = |(run, calls): &(Checked, usize)| format!("{}, after {calls} calls", run.summary());
            job.done(&answer.as_ref().map_or("FAILED".into(), summary));
            answers.push((target, answer.map(|(run, _)| run)));
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        let lost = |_| "a thread that ran targets panicked".to_string();
        let answers: Result<Vec<_>, _> = workers.into_iter().map(|worker| worker.join().map_err(lost)).collect();
        Ok(answers?.into_iter().flatten().collect())
    })
}

/// Runs the conformance program. Returns after how many calls registers were overwritten.
fn run_one(emulator: &Emulator, target: &Target, abi: &Abi, program: &Path) -> Result<(Checked, usize), String> {
    let folder = tempfile::tempdir().map_err(|error| format!("cannot create a temporary folder: {error}"))?;
    let (socket, output) = (folder.path().join("gdb"), folder.path().join("output"));
    let [name, own @ ..] = target.emulator else { return Err(format!("{} has no emulator", target.name)) };
    let streams = File::create(&output).and_then(|first| Ok((first.try_clone()?, first)));
    let (stdout, stderr) = streams.map_err(|error| format!("cannot create a temporary file: {error}"))?;
    let mut command = Command::new(emulator.program(name));
    command.args(if abi.cpu.is_empty() { own } else { abi.cpu }).arg("-g").arg(&socket).arg(program);
    let start = Instant::now();
    let running = Background::start(command.stdin(Stdio::null()).stdout(stdout).stderr(stderr))?;
    let calls = Client::connect(&socket, conformance_limit()).and_then(|client| {
        let is_big = fs::read(program).is_ok_and(|elf| elf.get(5) == Some(&2));
        Kernel { client, abi, is_big, random: Numbers::new(1), values: Vec::new(), before: Vec::new(), calls: 0 }
            .serve()
    });
    drop(running);
    let text = fs::read(&output).map_err(|error| format!("cannot read a temporary file: {error}"))?;
    let (text, seconds) = (String::from_utf8_lossy(&text), start.elapsed().as_secs_f32());
    let run = Checked::read(target.name, &emulator.name, &text, seconds, emulated::KNOWN_FAULTS);
    match (run, calls) {
        (Ok(run), Ok(calls)) => Ok((Checked { on: ON.into(), ..run }, calls)),
        (Err(why), Ok(calls)) => Err(format!("{why}\n{ENDED}{calls} calls")),
        (Ok(_), Err(why)) => Err(format!("{}: {why}", target.name)),
        (Err(why), Err(stub)) => Err(format!("{why}\n{stub}")),
    }
}

/// What follows each call of a running program.
struct Kernel<'a> {
    client: Client,
    abi: &'a Abi,
    is_big: bool,
    random: Numbers,
    /// What it wrote last into each register, by its number.
    values: Vec<(usize, Vec<u8>)>,
    /// The number and the arguments that the last call destroyed, as they were.
    before: Vec<(usize, Vec<u8>)>,
    calls: usize,
}

impl Kernel<'_> {
    /// Lets the program run to its end. Returns after how many calls it overwrote registers.
    fn serve(mut self) -> Result<usize, String> {
        let mut packet = GO_ON.to_string();
        while let Some(stop) = self.client.go_on(&packet)? {
            packet = GO_ON.into();
            match stop {
                Stop::Entry(number) => {
                    if !self.before.is_empty() && self.is_overwritten(number) {
                        return Err(LOST.into());
                    }
                    self.before.clear();
                }
                Stop::Return(number) => {
                    if !self.abi.returns_from_signals.contains(&number) {
                        self.destroy()?;
                    }
                }
                Stop::Signal(deliver) => {
                    // The emulator may be about to make the call again.
                    self.client.write(&std::mem::take(&mut self.before))?;
                    packet = deliver;
                }
            }
        }
        if self.calls == 0 {
            return Err("the program made no system call under the gdb stub; run it again".into());
        }
        Ok(self.calls)
    }

    /// Whether this is the number that the last call's was overwritten with. Its register is the
    /// first of its row.
    fn is_overwritten(&self, number: u32) -> bool {
        let (bytes, is_big) = (self.values.first().map_or(&[][..], |(_, value)| value), self.is_big);
        let low =
            |byte: u32| bytes.get(if is_big { bytes.len().wrapping_sub(1 + byte as usize) } else { byte as usize });
        (0..4).all(|byte| low(byte).is_some_and(|low| *low == (number >> (8 * byte)) as u8))
    }

    fn destroy(&mut self) -> Result<(), String> {
        let is_first = self.values.is_empty();
        if is_first {
            let numbers =
                self.abi.destroyed.iter().flat_map(|registers| registers.first..registers.first + registers.count);
            self.values = numbers.map(|number| (number, Vec::new())).collect();
        }
        let each = || self.abi.destroyed.iter().flat_map(|registers| std::iter::repeat_n(registers, registers.count));
        // The others get random bits whatever they hold.
        let is_read: Vec<bool> =
            each().map(|registers| is_first || registers.is_restored || !matches!(registers.bits, Bits::All)).collect();
        let read = self.values.iter_mut().zip(&is_read).filter(|(_, is_read)| **is_read);
        let (numbers, places): (Vec<usize>, Vec<&mut Vec<u8>>) =
            read.map(|((number, value), _)| (*number, value)).unzip();
        let old = self.client.read(&numbers)?;
        places.into_iter().zip(&old).for_each(|(place, value)| place.clone_from(value));
        for ((number, value), registers) in self.values.iter_mut().zip(each()) {
            if registers.is_restored {
                self.before.push((*number, value.clone()));
            }
            match registers.bits {
                Bits::All => destroy_bytes(value, &mut self.random),
                Bits::SecondHalf => destroy_bytes(value.get_mut(16..).unwrap_or_default(), &mut self.random),
                Bits::Mask(mask) => flip(value, mask, self.is_big),
            }
        }
        self.client.write(&self.values)?;
        if is_first {
            let now = self.client.read(&numbers)?;
            if let Some((number, _)) = numbers.iter().zip(old.iter().zip(&now)).find(|(_, (old, now))| old == now) {
                return Err(format!("the gdb stub did not overwrite register {number}; fix its row in worst.rs"));
            }
        }
        self.calls += 1;
        Ok(())
    }
}

/// Changes every byte.
fn destroy_bytes(value: &mut [u8], random: &mut Numbers) {
    for bytes in value.chunks_mut(8) {
        let changes = (random.next() | 0x0101_0101_0101_0101).to_le_bytes();
        bytes.iter_mut().zip(changes).for_each(|(byte, change)| *byte ^= change);
    }
}

/// Flips these bits of a number.
fn flip(value: &mut [u8], mask: u64, is_big: bool) {
    let mask = mask.to_le_bytes();
    let length = value.len();
    for (place, bits) in mask.iter().enumerate().take(length) {
        value[if is_big { length - 1 - place } else { place }] ^= bits;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_in_the_document_is_this_one() {
        PORTING.check(TABLE, &table(), "cargo xtask worst --write").expect("the table is current");
    }

    #[test]
    fn every_target_has_an_abi() {
        for target in TARGETS {
            Abi::of(target).expect("a row");
        }
    }

    #[test]
    fn bits_are_flipped_in_the_targets_byte_order() {
        let (mut little, mut big) = ([0; 4], [0; 4]);
        flip(&mut little, 0xe000_0000, false);
        flip(&mut big, 0xe000_0000, true);
        assert_eq!((little, big), ([0, 0, 0, 0xe0], [0xe0, 0, 0, 0]));
    }

    #[test]
    fn every_byte_changes() {
        let mut value = [7; 64];
        destroy_bytes(&mut value, &mut Numbers::new(1));
        assert!(!value.contains(&7));
    }
}
