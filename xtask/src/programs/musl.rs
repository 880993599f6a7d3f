//! Builds a static program with std and musl that uses barepoll and musl's epoll, for two machines.
//! Runs it natively and under emulators, and checks that its file has no interpreter, no library
//! and no symbol twice.

use crate::debian::{Cache, Suite};
use crate::kit::progress::{Job, Progress};
use crate::kit::shell::{cargo_of, checks_passed, root, run, run_within};
use crate::machines::emulated;
use crate::machines::targets::{select, Target};
use object::{elf, Endianness, Object, ObjectSymbol, SymbolScope};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Rust's target, Debian's name of the machine, and the row of `machines/targets.rs` whose
/// emulators run it.
const TARGETS: [(&str, &str, &str); 2] = [
    ("x86_64-unknown-linux-musl", "amd64", "x86_64-unknown-linux-gnu"),
    ("aarch64-unknown-linux-musl", "arm64", "aarch64-unknown-linux-gnu"),
];
const SUITE: Suite = Suite("bookworm");
/// Only a hang takes this long.
const LIMIT: Duration = Duration::from_secs(600);

/// musl's functions that the program uses. Each must be in it once.
const MUSL_FUNCTIONS: [&str; 5] = ["epoll_create1", "epoll_ctl", "epoll_wait", "eventfd", "eventfd_write"];

/// How many checks passed, in the programs and of their files.
pub fn run_checks(progress: &Progress, cache: &Cache) -> Result<usize, String> {
    let answer = progress.checks("static, with musl", |job| check_all(job, cache));
    answer.map_err(|why| format!("musl: {why}"))
}

fn check_all(job: &Job, cache: &Cache) -> Result<usize, String> {
    let emulators = emulated::emulators(cache)?;
    let mut sum = 0;
    for (triple, debian, row) in TARGETS {
        job.at(&format!("building for {triple}"));
        let program = build(cache, triple, debian)?;
        sum += check_file(&program).map_err(|why| format!("{triple}: {why}"))?;
        job.at(&format!("running for {triple}"));
        if debian == crate::debian::host() {
            sum += checks_passed(&run_within(&mut Command::new(&program), LIMIT)?)
                .map_err(|why| format!("{triple}: {why}"))?;
        }
        let rows: Vec<&Target> = select(&[row.to_string()])?;
        let target =
            rows.first().ok_or_else(|| format!("there is no target {row} in xtask/src/machines/targets.rs"))?;
        for emulator in emulators.iter().filter(|emulator| emulator.is_for(target)) {
            let output = run_within(&mut emulator.command(target, &program), LIMIT)?;
            sum += checks_passed(&output).map_err(|why| format!("{triple} under {}: {why}", emulator.name))?;
        }
    }
    Ok(sum)
}

/// Builds std from source, and links with LLVM's linker, Debian's musl and Debian's copy of LLVM's
/// unwinder. rustc has its own copies only with the prebuilt std.
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

/// Checks that the file has no interpreter, no dynamic section and no global symbol twice, and that
/// it has musl's functions.
fn check_file(program: &Path) -> Result<usize, String> {
    let bytes = fs::read(program).map_err(|error| format!("cannot read {}: {error}", program.display()))?;
    let failed = |error: object::Error| format!("cannot parse {}: {error}", program.display());
    let file = object::read::elf::ElfFile64::<Endianness>::parse(&*bytes).map_err(failed)?;
    let forbidden = [(elf::PT_INTERP, "an interpreter"), (elf::PT_DYNAMIC, "a dynamic section")];
    for (kind, name) in forbidden {
        if file.elf_program_headers().iter().any(|header| header.p_type.get(file.endian()) == kind) {
            return Err(format!("the program has {name}"));
        }
    }
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for symbol in file.symbols().filter(|symbol| symbol.is_definition() && symbol.scope() != SymbolScope::Compilation) {
        *counts.entry(symbol.name().map_err(failed)?).or_default() += 1;
    }
    if let Some((name, count)) = counts.iter().find(|(_, count)| **count > 1) {
        return Err(format!("the program has {count} symbols {name}"));
    }
    match MUSL_FUNCTIONS.iter().find(|name| !counts.contains_key(*name)) {
        Some(name) => Err(format!("the program has no {name} from musl")),
        None => Ok(forbidden.len() + 1 + MUSL_FUNCTIONS.len()),
    }
}
