//! A static program with std and musl, which uses barepoll and musl's own epoll at once: built for two machines, run here and under
//! emulators, and looked into for an interpreter, a library or a symbol that is there twice.

use crate::debian::{Cache, Suite};
use crate::kit::progress::Progress;
use crate::kit::shell::{cargo_of, checks_passed, root, run, run_within};
use crate::machines::emulated;
use crate::machines::targets::{select, Target};
use object::{elf, Endianness, Object, ObjectSymbol, SymbolScope};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Rust's target, Debian's name of the machine, and the row of the table whose emulators run it.
const TARGETS: [(&str, &str, &str); 2] = [
    ("x86_64-unknown-linux-musl", "amd64", "x86_64-unknown-linux-gnu"),
    ("aarch64-unknown-linux-musl", "arm64", "aarch64-unknown-linux-gnu"),
];
const SUITE: Suite = Suite("bookworm");
/// Only a hang takes this long.
const LIMIT: Duration = Duration::from_secs(600);

/// musl's own, each of which must be in the program once.
const CLAIMED: [&str; 5] = ["epoll_create1", "epoll_ctl", "epoll_wait", "eventfd", "eventfd_write"];

/// How many checks passed, of the programs when they ran and of their files.
pub fn run_checks(progress: &Progress, cache: &Cache) -> Result<usize, String> {
    let answer = progress.checks("static, with musl", |job| all(cache, |what| job.at(what)));
    answer.map_err(|why| format!("musl: {why}"))
}

fn all(cache: &Cache, at: impl Fn(&str)) -> Result<usize, String> {
    let emulators = emulated::emulators(cache)?;
    let mut sum = 0;
    for (triple, debian, row) in TARGETS {
        at(&format!("building for {triple}"));
        let program = build(cache, triple, debian)?;
        sum += check_file(&program).map_err(|why| format!("{triple}: {why}"))?;
        at(&format!("running for {triple}"));
        if debian == crate::debian::host() {
            sum += checks_passed(&run_within(&mut Command::new(&program), LIMIT)?)
                .map_err(|why| format!("{triple}: {why}"))?;
        }
        let rows: Vec<&Target> = select(&[row.to_string()])?;
        let target = rows.first().ok_or_else(|| format!("no row of the table is {row}"))?;
        for emulator in emulators.iter().filter(|emulator| emulator.serves(target)) {
            let output = run_within(&mut emulator.command(target, &program), LIMIT)?;
            sum += checks_passed(&output).map_err(|why| format!("{triple} under {}: {why}", emulator.name))?;
        }
    }
    Ok(sum)
}

/// With std from its source, LLVM's linker, and musl and LLVM's unwinder from Debian: rustc brings its own only with its prebuilt std.
fn build(cache: &Cache, triple: &str, debian: &str) -> Result<PathBuf, String> {
    let libc = cache.package(SUITE, debian, "musl-dev")?.find("libc.a")?;
    let unwinder = cache.files(SUITE, debian, "libunwind-14-dev", "*/libunwind.a")?.find("libunwind.a")?;
    let programs = root().join("target/musl").join(triple);
    let mut flags = vec!["-Clinker=rust-lld".to_string(), "-Clinker-flavor=ld.lld".into()];
    flags.extend(["-Clink-self-contained=no", "-Crelocation-model=static"].map(String::from));
    for archive in [&libc, &unwinder] {
        flags.push(format!("-Lnative={}", archive.parent().unwrap_or(archive).display()));
    }
    let start = |file| libc.with_file_name(file).display().to_string();
    flags.extend(["crt1.o", "crti.o"].map(|file| format!("-Zpre-link-arg={}", start(file))));
    flags.push(format!("-Clink-arg={}", start("crtn.o")));

    let mut cargo = cargo_of("nightly");
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f")).env_remove("RUSTFLAGS");
    cargo.args(["build", "--release", "--locked", "--package", "musl", "--features", "std"]);
    cargo
        .args(["-Zbuild-std=std,panic_abort", "--target", triple, "--target-dir"])
        .arg(cache.root().join("target-musl"));
    run(cargo.args(["-Zunstable-options", "--artifact-dir"]).arg(&programs))?;
    Ok(programs.join("musl"))
}

/// The file asks for no interpreter and no library, no global symbol is there twice, and musl's functions are there.
fn check_file(program: &Path) -> Result<usize, String> {
    let bytes = fs::read(program).map_err(|error| format!("cannot read the program: {error}"))?;
    let says = |error: object::Error| format!("the program does not read: {error}");
    let file = object::read::elf::ElfFile64::<Endianness>::parse(&*bytes).map_err(says)?;
    let asked = [(elf::PT_INTERP, "an interpreter"), (elf::PT_DYNAMIC, "a dynamic linker")];
    for (kind, what) in asked {
        if file.elf_program_headers().iter().any(|header| header.p_type.get(file.endian()) == kind) {
            return Err(format!("it asks for {what}"));
        }
    }
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for symbol in file.symbols().filter(|symbol| symbol.is_definition() && symbol.scope() != SymbolScope::Compilation) {
        *counts.entry(symbol.name().map_err(says)?).or_default() += 1;
    }
    if let Some((name, count)) = counts.iter().find(|(_, count)| **count > 1) {
        return Err(format!("{name} is there {count} times"));
    }
    match CLAIMED.iter().find(|name| !counts.contains_key(*name)) {
        Some(name) => Err(format!("musl's {name} is not there")),
        None => Ok(asked.len() + 1 + CLAIMED.len()),
    }
}
