//! `cargo xtask headers`: compares every port with the kernel's own headers, by a C compiler.
//!
//! Each fact of a port becomes a `_Static_assert` in a C file. The headers are Debian's
//! `linux-libc-dev`, which has those of every architecture in Debian. clang checks only the syntax,
//! so it needs no code generator and no C library for a target. Two exceptions:
//!
//! - m68k: clang aligns a `u64` to 8 bytes, so `struct epoll_event` has 16. The kernel is built with
//!   gcc, which aligns it to 2, so gcc compiles these facts. rustc aligns it to 4. Size and offsets
//!   are gcc's, as `src/event.rs` asserts. The alignment may differ: the kernel copies bytes.
//! - hexagon and csky: the package lacks them. Their kernels include `asm-generic/` for everything
//!   that is compared here, so a folder of such includes replaces theirs.

use super::facts;
use crate::all_ports::{self, Port};
use crate::debian::{self, Cache, Suite};
use crate::kit::progress::Progress;
use crate::kit::report;
use crate::kit::shell::{both, capture};
use crate::machines::targets::{Target, TARGETS};
use crate::step::{Run, World};
use barepoll::raw::{Itimerspec, Siginfo, Timespec};
use clap::Args;
use rayon::iter::Either;
use rayon::prelude::*;
use std::fs;
use std::mem::{offset_of, size_of};
use std::path::{Path, PathBuf};
use std::process::Command;

const INCLUDES: [&str; 13] = [
    "linux/eventpoll.h",
    "linux/eventfd.h",
    "linux/signalfd.h",
    "linux/timerfd.h",
    "linux/pidfd.h",
    "linux/wait.h",
    "linux/errno.h",
    "linux/fcntl.h",
    "linux/time.h",
    "linux/time_types.h",
    "linux/signal.h",
    "asm/ioctls.h",
    "asm/unistd.h",
];

/// A value that the kernel does not export to programs. A wrong one fails the conformance list on a
/// real kernel, in each call with a mask.
const SIGSET: &str = "sigset_t";
/// Folders whose `sigset_t` is libc 5's word of 32 signals, not the set of the system calls.
const OLD_SIGSET: [&str; 4] = ["arm", "m68k", "s390", "x86"];

/// The last assertion of every file fails. The facts agree if the compiler reports only this one.
const END: &str = "the end of the facts";

/// The result of a target.
struct Row {
    target: &'static str,
    compiler: String,
    headers: String,
    layout: String,
    facts: usize,
    left_out: Vec<&'static str>,
}

/// `cargo xtask headers`
#[derive(Args)]
pub struct Options {
    /// Write tests/data/uapi.json, the facts of every ABI, from the headers
    #[arg(long)]
    write: bool,
}

impl Run for Options {
    fn run(&self, world: &World) -> Result<(), String> {
        if self.write {
            let is_new = facts::write(&Tools::get(world.cache()?)?)?;
            report::say(format_args!("tests/data/uapi.json {}", if is_new { "is new" } else { "was right" }));
        }
        compare(&world.progress, world.cache()?)
    }
}

fn compare(progress: &Progress, cache: &Cache) -> Result<(), String> {
    let rows = check(progress, cache)?;
    let sum: usize = rows.iter().map(|row| row.facts).sum();
    let cells = |row: Row| {
        let left_out = row.left_out.join(", ");
        vec![row.target.into(), row.compiler, row.headers, row.layout, row.facts.to_string(), left_out]
    };
    report::print(
        &["target", "compiler", "headers", "epoll_event", "facts", "not in headers"],
        rows.into_iter().map(cells),
    );
    report::say(format_args!("{sum} facts agree"));
    Ok(())
}

/// Checks every target and returns the number of facts that agree.
pub fn run_checks(progress: &Progress, cache: &Cache) -> Result<usize, String> {
    Ok(check(progress, cache)?.iter().map(|row| row.facts).sum())
}

fn check(progress: &Progress, cache: &Cache) -> Result<Vec<Row>, String> {
    let job = progress.job("the kernel's headers");
    job.at("getting headers and compilers");
    let answer = Tools::get(cache).and_then(|tools| {
        job.at("compiling");
        facts::check(&tools)?;
        each_target(|target| tools.check(target))
    });
    job.done(&answer.as_ref().map_or("FAILED".into(), |rows| format!("{} targets", rows.len())));
    answer
}

/// Does `work` for every target, on all processors. The error has the errors of all.
fn each_target(work: impl Fn(&'static Target) -> Result<Row, String> + Sync) -> Result<Vec<Row>, String> {
    let (rows, failures): (Vec<Row>, Vec<String>) = TARGETS.par_iter().partition_map(|target| match work(target) {
        Ok(row) => Either::Left(row),
        Err(why) => Either::Right(why),
    });
    if failures.is_empty() {
        Ok(rows)
    } else {
        Err(failures.join("\n"))
    }
}

/// The compilers and the headers.
pub struct Tools {
    clang: PathBuf,
    /// `cc1`: the driver would need an assembler and a linker.
    gcc_m68k: PathBuf,
    /// `/usr` of `linux-libc-dev`.
    headers: PathBuf,
    /// The C files, and the `asm/` that replaces hexagon's and csky's.
    pub scratch: tempfile::TempDir,
}

impl Tools {
    fn get(cache: &Cache) -> Result<Self, String> {
        let closure = |package| cache.closure(Suite("trixie"), debian::host(), &[package], &[]);
        let headers = cache.package(Suite("testing"), debian::host(), "linux-libc-dev")?.dir.join("usr");
        let scratch = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
        generic_asm(&headers.join("include"), &scratch.path().join("asm"))
            .map_err(|error| format!("cannot write a replacement of hexagon's headers: {error}"))?;
        Ok(Self {
            clang: closure("clang-19")?.join("usr/bin/clang-19"),
            gcc_m68k: closure("cpp-14-m68k-linux-gnu")?.join("usr/libexec/gcc-cross/m68k-linux-gnu/14/cc1"),
            headers,
            scratch,
        })
    }

    /// The folder with the `asm/` of an architecture.
    fn asm(&self, folder: Option<&str>) -> PathBuf {
        folder.map_or(self.scratch.path().into(), |folder| self.headers.join("lib/linux/uapi").join(folder))
    }

    /// The compiler of a machine's facts, and its name. It is gcc for m68k: see above.
    pub fn compiler(&self, machine: &str, target: &str, folder: Option<&str>) -> (&'static str, Command) {
        let (name, mut compiler) = if machine == "m68k" {
            let mut cc1 = Command::new(&self.gcc_m68k);
            cc1.arg("-quiet");
            ("gcc 14", cc1)
        } else {
            let mut clang = Command::new(&self.clang);
            clang.arg(format!("--target={target}"));
            ("clang 19", clang)
        };
        compiler.args(["-std=gnu11", "-w", "-nostdinc", "-I"]).arg(self.asm(folder));
        compiler.arg("-I").arg(self.headers.join("include"));
        (name, compiler)
    }

    /// Compiles one target's facts.
    fn check(&self, target: &'static Target) -> Result<Row, String> {
        let port = target.port();
        let port = all_ports::port(&port).ok_or_else(|| format!("{}: no port is called {port}", target.name))?;
        let folder = uapi_folder(port.file);
        let facts = Facts::of(target, &port, folder)?;
        let file = self.scratch.path().join(format!("{}.c", target.name));
        fs::write(&file, &facts.code).map_err(|error| format!("cannot write {}: {error}", file.display()))?;

        let (name, mut compiler) = self.compiler(port.file, &triple(&target.triple()), folder);
        compiler.arg("-fsyntax-only").arg(&file);
        let text = both(&capture(&mut compiler)?);
        match disagreements(&text).as_slice() {
            [] => Ok(Row {
                target: target.name,
                compiler: name.into(),
                headers: folder.map_or("asm-generic".into(), |folder| format!("uapi/{folder}")),
                layout: facts.layout,
                facts: facts.count,
                left_out: facts.left_out,
            }),
            [first, more @ ..] => {
                let more = if more.is_empty() { String::new() } else { format!(" (and {} more)", more.len()) };
                Err(format!("{}: {name} and the kernel's headers differ from the crate: {first}{more}", target.name))
            }
        }
    }
}

/// The compiler's errors, without the one at the end. If that one is missing, it is an error.
fn disagreements(text: &str) -> Vec<String> {
    let errors = text.lines().filter_map(|line| Some(line.split_once("error: ")?.1.to_string()));
    let (ends, mut errors): (Vec<_>, Vec<_>) = errors.partition(|line| line.contains(END));
    if ends.is_empty() {
        let last = text.lines().last().unwrap_or("it printed nothing");
        errors.push(format!("it did not reach {END}: {last}"));
    }
    errors
}

/// Writes an `asm/` whose files include the generic ones, as the kernel's build system (Kbuild)
/// does. `arch/hexagon/kernel/Makefile.syscalls` and `arch/csky/kernel/Makefile.syscalls` name the
/// same groups of system calls.
fn generic_asm(include: &Path, asm: &Path) -> std::io::Result<()> {
    fs::create_dir(asm)?;
    for entry in fs::read_dir(include.join("asm-generic"))? {
        let name = entry?.file_name();
        let wants = if name == "unistd.h" {
            "#define __ARCH_WANT_TIME32_SYSCALLS\n#define __ARCH_WANT_STAT64\n#define __ARCH_WANT_SET_GET_RLIMIT\n"
        } else {
            ""
        };
        fs::write(asm.join(&name), format!("{wants}#include <asm-generic/{}>\n", name.to_string_lossy()))?;
    }
    Ok(())
}

/// The kernel's name of a port's architecture; `None` if the package lacks it.
fn uapi_folder(port: &str) -> Option<&str> {
    match port {
        "hexagon" | "csky" => None,
        "aarch64" => Some("arm64"),
        "loongarch64" => Some("loongarch"),
        "s390x" => Some("s390"),
        "x32" | "x86" | "x86_64" => Some("x86"),
        other => Some(other.trim_end_matches("32").trim_end_matches("64")),
    }
}

/// LLVM's name of a rustc target.
fn triple(target: &str) -> String {
    let renamed = [("riscv64gc", "riscv64"), ("riscv32gc", "riscv32"), ("thumbv7neon", "thumbv7"), ("gnuabiv2", "gnu")];
    renamed.iter().fold(target.into(), |triple: String, (rustc, llvm)| triple.replace(rustc, llvm))
}

/// A C file, while it is written.
struct Facts {
    code: String,
    count: usize,
    left_out: Vec<&'static str>,
    /// `12 bytes, data at 4`
    layout: String,
}

impl Facts {
    fn of(target: &Target, port: &Port, folder: Option<&str>) -> Result<Self, String> {
        let code = INCLUDES.map(|header| format!("#include <{header}>\n")).concat();
        let mut facts = Self { code, count: 0, left_out: Vec::new(), layout: String::new() };
        facts.machine(target)?;
        facts.port(port, folder);
        facts.everywhere(port);
        facts.code += &format!("_Static_assert(0, \"{END}\");\n");
        Ok(facts)
    }

    /// Asserts that the C `expression` for `name` has the value that `who` gives it.
    fn equal(&mut self, who: &str, name: &str, expression: &str, value: u64) {
        self.code += &format!("_Static_assert(({expression}) == {value}ULL, \"{who}: {name} is {value}\");\n");
        self.count += 1;
    }

    /// Asserts the number of a call, or that the machine lacks the call.
    fn call(&mut self, who: &str, call: &str, number: Option<u64>) {
        match number {
            Some(number) => self.equal(who, call, &format!("__NR_{call}"), number),
            None => {
                self.code += &format!("#ifdef __NR_{call}\n#error \"{who}: there is no {call}\"\n#endif\n");
                self.count += 1;
            }
        }
    }

    /// Asserts that clang's target is rustc's: byte order and widths.
    fn machine(&mut self, target: &Target) -> Result<(), String> {
        let mut rustc = Command::new("rustup");
        let output = capture(rustc.args(["run", "nightly", "rustc", "--print", "cfg", "--target", &target.triple()]))?;
        let text = both(&output);
        let value = |key| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix("=\"")?.strip_suffix('"'));
        let width = value("target_pointer_width").and_then(|width| width.parse::<u64>().ok());
        let (Some(width), Some(endian)) = (width, value("target_endian")) else {
            return Err(format!("rustc does not say what {} is:\n{text}", target.name));
        };
        let order = if endian == "big" { "__ORDER_BIG_ENDIAN__" } else { "__ORDER_LITTLE_ENDIAN__" };
        self.equal("rustc", "the size of a pointer", "sizeof(void *)", width / 8);
        self.equal("rustc", &format!("whether this is {endian}-endian"), &format!("__BYTE_ORDER__ == {order}"), 1);
        // The kernel's set of signals, and its time of 32-bit machines, are arrays of it.
        self.equal("src/signal.rs", "unsigned long, which is usize there,", "sizeof(unsigned long)", width / 8);
        Ok(())
    }

    /// Asserts every fact of the port.
    fn port(&mut self, port: &Port, folder: Option<&str>) {
        let who = &format!("src/arch/{}.rs", port.file);
        for fact in &port.facts {
            for name in fact.names {
                let expression = match *name {
                    "sizeof_epoll_event" => "sizeof(struct epoll_event)",
                    "offset_data" => "__builtin_offsetof(struct epoll_event, data)",
                    "offset_si_code" => "__builtin_offsetof(siginfo_t, si_code)",
                    "kernel_sigset_bytes" if folder == Some("sparc") => "sizeof(__new_sigset_t)",
                    "kernel_sigset_bytes" => "sizeof(sigset_t)",
                    constant => constant,
                };
                match fact.value {
                    _ if *name == "kernel_sigset_bytes" && folder.is_some_and(|it| OLD_SIGSET.contains(&it)) => {
                        self.left_out.push(SIGSET);
                    }
                    number if fact.section == "syscalls" => self.call(who, name, number),
                    Some(value) => self.equal(who, fact.constant, expression, value),
                    None => {}
                }
            }
        }
        let layout = |constant| port.facts.iter().find(|fact| fact.constant == constant).and_then(|fact| fact.value);
        if let (Some(size), Some(data)) = (layout("EVENT_SIZE"), layout("EVENT_DATA")) {
            self.layout = format!("{size} bytes, data at {data}");
        }
        if port.file == "m68k" {
            self.equal("xtask/src/headers.rs", "gcc's alignment of a u64", "_Alignof(__u64)", 2);
            self.layout += "; u64 aligned to 2";
        }
    }

    /// Asserts the constants and the layouts that are the same on every machine.
    fn everywhere(&mut self, port: &Port) {
        let of_the_port = |name| port.facts.iter().any(|fact| fact.names.contains(&name));
        for (name, value) in all_ports::raw_constants().into_iter().filter(|(name, _)| !of_the_port(name)) {
            self.equal("src/uapi.rs", name, name, value.into());
        }
        let event = "((struct epoll_event *)0)";
        self.equal("src/event.rs", "the size of events", &format!("sizeof({event}->events)"), 4);
        self.equal("src/event.rs", "the offset of events", "__builtin_offsetof(struct epoll_event, events)", 0);
        self.equal("src/event.rs", "the size of data", &format!("sizeof({event}->data)"), 8);

        let params = "src/epoll.rs";
        self.equal(params, "the size of EpollParams", "sizeof(struct epoll_params)", 8);
        for (field, size, offset) in
            [("busy_poll_usecs", 4, 0), ("busy_poll_budget", 2, 4), ("prefer_busy_poll", 1, 6), ("__pad", 1, 7)]
        {
            self.equal(params, field, &format!("sizeof(((struct epoll_params *)0)->{field})"), size);
            self.equal(params, field, &format!("__builtin_offsetof(struct epoll_params, {field})"), offset);
        }

        let info = "src/signalfd.rs";
        self.equal(info, "the size of SignalInfo", "sizeof(struct signalfd_siginfo)", 128);
        for (field, size, offset) in [
            ("signo", 4, 0),
            ("errno", 4, 4),
            ("code", 4, 8),
            ("pid", 4, 12),
            ("uid", 4, 16),
            ("fd", 4, 20),
            ("tid", 4, 24),
            ("band", 4, 28),
            ("overrun", 4, 32),
            ("trapno", 4, 36),
            ("status", 4, 40),
            ("int", 4, 44),
            ("ptr", 8, 48),
            ("utime", 8, 56),
            ("stime", 8, 64),
            ("addr", 8, 72),
            ("addr_lsb", 2, 80),
        ] {
            self.equal(info, field, &format!("sizeof(((struct signalfd_siginfo *)0)->ssi_{field})"), size);
            self.equal(info, field, &format!("__builtin_offsetof(struct signalfd_siginfo, ssi_{field})"), offset);
        }

        let child = "src/child.rs";
        self.equal(child, "the size of Siginfo", "sizeof(siginfo_t)", size_of::<Siginfo>() as u64);
        // `machine` compares the size of a pointer.
        for (field, from_pid) in [("si_pid", 0), ("si_uid", 4), ("si_status", 8)] {
            let offset = format!("__builtin_offsetof(siginfo_t, {field}) - (sizeof(void *) == 8 ? 16 : 12)");
            self.equal(child, &format!("{field}, from si_pid,"), &offset, from_pid);
        }

        let time = "src/timeout.rs";
        let sizes = [
            ("the size of Timespec", "sizeof(struct __kernel_timespec)", size_of::<Timespec>()),
            ("tv_sec", "__builtin_offsetof(struct __kernel_timespec, tv_sec)", offset_of!(Timespec, tv_sec)),
            ("tv_nsec", "__builtin_offsetof(struct __kernel_timespec, tv_nsec)", offset_of!(Timespec, tv_nsec)),
            ("the size of Itimerspec", "sizeof(struct __kernel_itimerspec)", size_of::<Itimerspec>()),
            (
                "it_interval",
                "__builtin_offsetof(struct __kernel_itimerspec, it_interval)",
                offset_of!(Itimerspec, it_interval),
            ),
            ("it_value", "__builtin_offsetof(struct __kernel_itimerspec, it_value)", offset_of!(Itimerspec, it_value)),
        ];
        for (name, expression, bytes) in sizes {
            self.equal(time, name, expression, bytes as u64);
        }
    }
}
