//! `cargo xtask bench size`: measures the smallest static echo program with barepoll and with its
//! peers, and barepoll's for every target. On this machine, each program must work.

use crate::bench::{Goal, Measured, Table};
use crate::debian::{self, Cache, Suite};
use crate::kit::chart::Bar;
use crate::kit::document::{PERFORMANCE, README};
use crate::kit::progress::Progress;
use crate::kit::report;
use crate::kit::shell::{cargo, root, run, start};
use crate::machines::cross;
use crate::machines::nightly;
use crate::machines::targets::{Target, TARGETS};
use object::{Object, ObjectSection, ObjectSegment, SectionKind};
use serde_json::{json, Value};
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const SUITE: Suite = Suite("bookworm");
const NOLIBC: &str = "*/tools/include/nolibc";
/// Only a hang takes this long.
const LIMIT: Duration = Duration::from_secs(120);

/// The most bytes of barepoll's program on x86_64, and its highest ratios to peers.
const MAX_BYTES: f64 = 800.0;
const MAX_RATIOS: [(&str, f64); 2] = [(RUSTIX, 0.55), (C_NOLIBC, 1.15)];

const BY_HAND: &str = "asm! by hand";
const OURS: &str = "barepoll";
const RUSTIX: &str = "rustix";
const C_NOLIBC: &str = "C, the kernel's nolibc";
/// The number of bars in the chart. The larger programs would dwarf them.
const IN_CHART: usize = 6;

/// Options for GNU's and LLVM's linkers and for C compilers: text and data in one segment, not
/// aligned to pages. No segment contains the program headers.
const LINK: [&str; 5] = ["-static", "-s", "-N", "-z", "norelro"];
/// The same for musl and glibc, which read their program headers in memory.
const LINK_LIBC: [&str; 6] = ["-static", "-s", "-z", "norelro", "-z", "noseparate-code"];
/// Linker scripts: with unwind tables, which the compiler emits in spite of its flags, and without.
const KEPT_TABLES: &str = "link.ld";
const NO_TABLES: &str = "without_tables.ld";
/// The packages that are compiled for size. `core` has its default level.
const PACKAGES: [&str; 4] = ["size", "barepoll", "bitflags", "sc"];

/// A program's size in bytes.
struct Size {
    file: usize,
    /// The size without section headers, which running the program does not need.
    cut: usize,
    /// The size of the instructions.
    text: usize,
}

impl Size {
    fn of(bytes: &[u8]) -> Result<Self, String> {
        let file = object::File::parse(bytes).map_err(|error| format!("cannot parse the program: {error}"))?;
        let ends = file.segments().map(|segment| segment.file_range()).map(|(start, length)| start + length);
        let texts = file.sections().filter(|section| section.kind() == SectionKind::Text);
        Ok(Self {
            file: bytes.len(),
            cut: ends.max().unwrap_or_default() as usize,
            text: texts.map(|section| section.size() as usize).sum(),
        })
    }

    fn cells(&self) -> [String; 3] {
        [self.file, self.cut, self.text].map(|bytes| bytes.to_string())
    }
}

pub fn measure(progress: &Progress, measured: &mut Measured) -> Result<(), String> {
    nightly::ensure_nightly_with_source()?;
    let cache = cross::open_cache()?;
    let sizes = measure_peers(progress, Some(&cache))?;
    let ours = bytes(&sizes, OURS).ok_or("barepoll was not measured")?;
    let goals = goals(&sizes);
    measured.wrong.extend(missed(&goals));
    measured.goals.extend(goals);
    let ratio = |size: &Size| size.file as f64 / ours;
    let rows = sizes.iter().map(|(name, size)| {
        let cells = size.cells().into_iter().chain([format!("{:.2}", ratio(size))]);
        [name.to_string()].into_iter().chain(cells).collect()
    });
    let header = ["static echo, x86_64", "bytes", "without section headers", "of instructions", "ratio to barepoll's"];
    let text = report::markdown(&header, rows);
    let bar = |(name, size): &(&str, Size)| Bar { name: name.to_string(), ratio: [ratio(size); 3] };
    let title = "A static echo: bytes of the file, as a ratio to barepoll's".to_string();
    let chart = Some((title, sizes.iter().take(IN_CHART).map(bar).collect()));
    let rows = sizes.iter().map(|(name, size)| row(name, Some(size))).collect();
    measured.add(Table { name: "size".into(), rows, text, chart, documents: &[PERFORMANCE] });
    let text = format!("The static echo is **{ours}** bytes.");
    measured.add(Table { name: "static echo".into(), rows: json!([]), text, chart: None, documents: &[README] });
    measured.add(for_every_target(progress, &cache)?);
    Ok(())
}

/// Measures hand-written assembly, barepoll and rustix, which need no download, for a full test.
pub fn run_checks(progress: &Progress) -> Result<usize, String> {
    let sizes = measure_peers(progress, None)?;
    let mut missed = missed(&goals(&sizes));
    let documented = PERFORMANCE.table("size")?;
    let documented = documented.get(OURS).and_then(|row| row.get("bytes")?.parse::<f64>().ok());
    if bytes(&sizes, OURS) > documented {
        missed.push(format!(
            "the static echo has {:?} bytes, and docs/performance.md says {documented:?}; if that is right, run \
             `cargo xtask bench size --write`",
            bytes(&sizes, OURS)
        ));
    }
    match missed.as_slice() {
        [] => Ok(sizes.len()),
        missed => Err(missed.join("\n")),
    }
}

/// The goals whose peers were measured.
fn goals(sizes: &[(&'static str, Size)]) -> Vec<Goal> {
    let Some(ours) = bytes(sizes, OURS) else { return Vec::new() };
    let ratio_to = |(peer, most)| {
        let ratio = ours / bytes(sizes, peer)?;
        Some(Goal::at_most(format!("static echo, x86_64: bytes, to {peer}"), most, ratio, 2))
    };
    let bytes = Goal::at_most("static echo, x86_64: bytes".into(), MAX_BYTES, ours, 0);
    [bytes].into_iter().chain(MAX_RATIOS.into_iter().filter_map(ratio_to)).collect()
}

fn bytes(sizes: &[(&'static str, Size)], name: &str) -> Option<f64> {
    sizes.iter().find(|(other, _)| *other == name).map(|(_, size)| size.file as f64)
}

fn missed(goals: &[Goal]) -> Vec<String> {
    let missed = goals.iter().filter(|goal| !goal.reached);
    missed.map(|goal| format!("{}: {}, expected {}", goal.name, goal.measured, goal.goal)).collect()
}

/// A row of the JSON.
fn row(name: &str, size: Option<&Size>) -> Value {
    json!({ "name": name, "file": size.map(|size| size.file), "cut": size.map(|size| size.cut), "text": size.map(|size| size.text) })
}

/// Measures the programs on this machine, the smallest kinds first. Without a cache, only those
/// that need no download.
fn measure_peers(progress: &Progress, cache: Option<&Cache>) -> Result<Vec<(&'static str, Size)>, String> {
    let job = progress.job("size of a static echo");
    let folder = tempfile::tempdir().map_err(|error| format!("cannot create a temporary folder: {error}"))?;
    let mut sizes = Vec::new();
    let mut measure = |name: &'static str, program: Result<PathBuf, String>| {
        job.at(name);
        let size = program.and_then(|program| size_if_it_works(folder.path(), &program));
        sizes.push((name, size.map_err(|why| format!("the echo with {name}: {why}"))?));
        Ok::<_, String>(())
    };
    measure(BY_HAND, rust(folder.path(), "echo-by-hand", KEPT_TABLES))?;
    measure(OURS, rust(folder.path(), "echo-barepoll", KEPT_TABLES))?;
    if let Some(cache) = cache {
        measure(C_NOLIBC, with_nolibc(folder.path(), cache))?;
    }
    measure(RUSTIX, rust(folder.path(), "echo-rustix", KEPT_TABLES))?;
    if let Some(cache) = cache {
        measure("rustix, unwind tables discarded", rust(folder.path(), "echo-rustix", NO_TABLES))?;
        measure("C, musl", with_musl(folder.path(), cache))?;
        measure("C, glibc", compile_c(folder.path(), &LINK_LIBC, &[], &[]))?;
        measure("Rust's std, glibc", rust_std(folder.path()))?;
    }
    job.done("measured");
    Ok(sizes)
}

/// Checks a program with and without its section headers. Returns its size.
fn size_if_it_works(folder: &Path, program: &Path) -> Result<Size, String> {
    check_echo(folder, program)?;
    let bytes = fs::read(program).map_err(|error| format!("cannot read the program: {error}"))?;
    let size = Size::of(&bytes)?;
    let cut = folder.join("cut");
    let kept = bytes.get(..size.cut).ok_or("the program's segments end after its end")?;
    let copied = fs::copy(program, &cut).and_then(|_| fs::write(&cut, kept));
    copied.map_err(|error| format!("cannot copy the program: {error}"))?;
    check_echo(folder, &cut).map_err(|why| format!("without section headers: {why}"))?;
    Ok(size)
}

/// Checks that a program copies more bytes than a pipe holds and succeeds, and that it fails if
/// epoll refuses its input.
fn check_echo(folder: &Path, program: &Path) -> Result<(), String> {
    let sent: Vec<u8> = (0..300_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let failed = |error: std::io::Error| format!("cannot run the program: {error}");
    let output = folder.join("output");
    let to = File::create(&output).map_err(failed)?;
    let mut child = start(Command::new(program).stdin(Stdio::piped()).stdout(to))?;
    let (input, copy) = (child.stdin.take(), sent.clone());
    let feeding = thread::spawn(move || std::io::Write::write_all(&mut input?, &copy).ok());
    let begin = Instant::now();
    let status = loop {
        match child.try_wait().map_err(failed)? {
            Some(status) => break status,
            None if begin.elapsed() < LIMIT => thread::sleep(Duration::from_millis(2)),
            None => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("the program did not end within {} s", LIMIT.as_secs()));
            }
        }
    };
    let _ = feeding.join();
    if !status.success() || fs::read(&output).map_err(failed)? != sent {
        return Err(format!("the program failed, or its output differs from its input ({status})"));
    }
    // epoll refuses a regular file.
    let file = File::open(&output).map_err(failed)?;
    let mut refused = start(Command::new(program).stdin(file).stdout(Stdio::null()))?;
    match refused.wait().map_err(failed)?.code() {
        Some(1) => Ok(()),
        code => Err(format!("if epoll refuses the input, the program exits with {code:?}, expected 1")),
    }
}

// Rust.

fn sources() -> PathBuf {
    root().join("benches/size")
}

/// The C compiler's option for a linker script.
fn script(name: &str) -> String {
    format!("-Wl,-T,{}", sources().join(name).display())
}

fn host_triple() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// Builds a program without libc, with the stable compiler.
fn rust(folder: &Path, name: &str, script: &str) -> Result<PathBuf, String> {
    let link = ["-nostdlib", "-no-pie", "-e", "_start", "-Wl,--no-eh-frame-hdr"];
    build(folder, name, &[], &[&link[..], &LINK, &[&self::script(script)]].concat())
}

fn rust_std(folder: &Path) -> Result<PathBuf, String> {
    build(
        folder,
        "echo-std",
        &["-Ctarget-feature=+crt-static"],
        &[&["-no-pie"], &LINK_LIBC[..], &[&script(KEPT_TABLES)]].concat(),
    )
}

fn build(folder: &Path, name: &str, flags: &[&str], link: &[&str]) -> Result<PathBuf, String> {
    // With `--target`, cargo does not pass these flags to build scripts.
    let always = ["-Cforce-unwind-tables=no", "-Crelocation-model=static"];
    let mut cargo = cargo();
    cargo.env("CARGO_ENCODED_RUSTFLAGS", always.iter().chain(flags).copied().collect::<Vec<_>>().join("\x1f"));
    cargo.args(["rustc", "--profile", "smallest", "--locked", "-p", "size", "--bin", name, "--target", &host_triple()]);
    // A new output file, because cargo does not track the linker script and could consider the
    // program fresh.
    let program = folder.join(name);
    cargo.args(["--", "--emit"]).arg(format!("link={}", program.display()));
    run(cargo.args(link.iter().map(|argument| format!("-Clink-arg={argument}"))))?;
    Ok(program)
}

// C.

/// Compiles and links the C source, with arguments before and after it.
fn compile_c(folder: &Path, link: &[&str], before: &[OsString], after: &[OsString]) -> Result<PathBuf, String> {
    const FLAGS: [&str; 8] = [
        "-Os",
        "-fno-asynchronous-unwind-tables",
        "-fno-stack-protector",
        "-fno-pie",
        "-no-pie",
        "-ffunction-sections",
        "-fdata-sections",
        "-Wl,--gc-sections,--no-warn-rwx-segments",
    ];
    let program = folder.join("echo");
    let mut cc = Command::new("cc");
    cc.args(FLAGS).args(link).arg(script(KEPT_TABLES)).args(before).arg(sources().join("echo.c")).args(after);
    run(cc.arg("-o").arg(&program))?;
    Ok(program)
}

fn with_nolibc(folder: &Path, cache: &Cache) -> Result<PathBuf, String> {
    let nolibc = cache.kernel_source(SUITE, NOLIBC)?.dir.join("tools/include/nolibc");
    let headers = cache.package(Suite("testing"), debian::host(), "linux-libc-dev")?.dir.join("usr/include");
    let machine = headers.join(format!("{}-linux-gnu", std::env::consts::ARCH));
    let mut before = ["-nostdlib", "-DNOLIBC", "-DNOLIBC_IGNORE_ERRNO"].map(OsString::from).to_vec();
    for place in [&nolibc, &machine, &headers] {
        before.extend(["-isystem".into(), place.into()]);
    }
    before.extend(["-include", "nolibc.h"].map(OsString::from));
    compile_c(folder, &LINK, &before, &["-lgcc".into()])
}

fn with_musl(folder: &Path, cache: &Cache) -> Result<PathBuf, String> {
    let musl = cache.package(SUITE, debian::host(), "musl-dev")?;
    let libc = musl.find("libc.a")?;
    let parts = libc.parent().unwrap_or(&musl.dir);
    let headers = musl.dir.join("usr/include").join(parts.file_name().unwrap_or_default());
    let mut before = ["-nostdlib", "-nostdinc", "-isystem"].map(OsString::from).to_vec();
    before.push(headers.into());
    before.extend(["crt1.o", "crti.o"].map(|part| parts.join(part).into()));
    compile_c(folder, &LINK_LIBC, &before, &[libc.clone().into(), "-lgcc".into(), parts.join("crtn.o").into()])
}

// Other machines.

fn for_every_target(progress: &Progress, cache: &Cache) -> Result<Table, String> {
    let job = progress.job("size for every target");
    let (mut shown, mut rows) = (Vec::new(), Vec::new());
    for target in TARGETS {
        job.at(target.name);
        let size = target.links().then(|| link(cache, target).map_err(|why| format!("{}: {why}", target.name)));
        let size = size.transpose()?;
        let cells = size.as_ref().map_or(["–"; 3].map(String::from), Size::cells);
        shown.push([target.name.to_string()].into_iter().chain(cells).collect());
        rows.push(row(target.name, size.as_ref()));
    }
    job.done("linked");
    let header = ["static echo by barepoll", "bytes", "without section headers", "of instructions"];
    let text = report::markdown(&header, shown);
    Ok(Table { name: "size of every target".into(), rows: rows.into(), text, chart: None, documents: &[PERFORMANCE] })
}

fn link(cache: &Cache, target: &Target) -> Result<Size, String> {
    let folder = tempfile::tempdir().map_err(|error| format!("cannot create a temporary folder: {error}"))?;
    let program = folder.path().join("echo");
    let mut cargo = cross::cargo(cache, target, "rustc")?;
    for package in PACKAGES {
        cargo.arg("--config").arg(format!("profile.release.package.{package}.opt-level=\"z\""));
    }
    cargo.args(["-p", "size", "--bin", "echo-barepoll", "--", "--emit"]).arg(format!("link={}", program.display()));
    let script = sources().join(NO_TABLES).display().to_string();
    let arguments = LINK.into_iter().chain(["-e", "_start", "--no-eh-frame-hdr", "-T", &script]);
    run(cargo.args(arguments.map(|argument| format!("-Clink-arg={argument}"))))?;
    let bytes = fs::read(&program).map_err(|error| format!("the linker wrote no program: {error}"))?;
    Size::of(&bytes)
}
