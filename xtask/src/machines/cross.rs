//! Building for machines that this one is not: with the nightly compiler, `core` from source, and no C toolchain.

use crate::debian::{self, Cache, Suite};
use crate::kit::shell::{cargo_of, root, run};
use crate::machines::targets::Target;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;
use walkdir::WalkDir;

/// A static program without libc: no start files, fixed addresses. `barepoll_internals` shows the ports.
const FLAGS: &[&str] =
    &["--cfg=barepoll_internals", "-Cpanic=abort", "-Crelocation-model=static", "-Ctarget-feature=+crt-static"];

/// Cargo, set to `rustc` or `build` one package for a target with `core`. The flags are the same for every package, so that `core` is
/// compiled once a target; what it compiles is kept beside the downloads.
pub fn cargo(cache: &Cache, target: &Target, verb: &str) -> Result<Command, String> {
    let mut flags: Vec<String> = FLAGS.iter().chain(target.flags).map(ToString::to_string).collect();
    match linker(cache, target)? {
        Some(linker) => flags.extend([format!("-Clinker={}", linker.display()), "-Clinker-flavor=ld".into()]),
        None => {
            flags.extend(["-Clinker=rust-lld", "-Clinker-flavor=ld.lld", "-Clink-self-contained=no"].map(String::from))
        }
    }
    let mut cargo = cargo_of("nightly");
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f")).env_remove("RUSTFLAGS");
    cargo.args([verb, "--release", "--locked", "-Zbuild-std=core", "-Zbuild-std-features=compiler-builtins-mem"]);
    cargo.args(["--target", &target.triple(), "--target-dir"]).arg(target_dir(cache, target));
    Ok(cargo)
}

/// GNU's linker for it, where LLVM's cannot.
pub fn linker(cache: &Cache, target: &Target) -> Result<Option<PathBuf>, String> {
    let Some((package, name)) = target.linker else { return Ok(None) };
    let folder = cache.closure(Suite("bookworm"), debian::host(), &[package], &[])?;
    Ok(Some(folder.join("usr/bin").join(name)))
}

/// A variant has one of its own: other flags make another `core`.
pub fn target_dir(cache: &Cache, target: &Target) -> PathBuf {
    cache.root().join(format!("target{}", target.variant()))
}

/// The crate alone, allowed no unstable feature where stable Rust is said to do.
pub fn compile_crate(cache: &Cache, target: &Target) -> Result<(), String> {
    let allowed: &[&str] = if target.stable { &["-Zallow-features="] } else { &[] };
    run(cargo(cache, target, "rustc")?.args(["-p", "barepoll", "--lib", "--", "-Dwarnings"]).args(allowed)).map(drop)
}

/// The conformance program, where it can be run.
pub fn build_bare(cache: &Cache, target: &Target) -> Result<PathBuf, String> {
    // Another checkout's build may share what was compiled, but not the program.
    let programs = root().join("target/bare").join(target.name);
    if target.runs() {
        let mut build = cargo(cache, target, "build")?;
        run(build.args(["-p", "bare", "-Zunstable-options", "--artifact-dir"]).arg(&programs))?;
    }
    Ok(programs.join("bare"))
}

/// What rustc emits for a library: `asm` or `llvm-ir`.
pub fn emit(cache: &Cache, target: &Target, package: &str, what: &str) -> Result<String, String> {
    emit_with(cache, target, package, what, &[]).map(|(text, _)| text)
}

/// The same with more flags, and what rustc printed. Into another file each time: cargo, which knows nothing of it, would take the package
/// for fresh and write none.
pub fn emit_with(
    cache: &Cache,
    target: &Target,
    package: &str,
    what: &str,
    flags: &[&str],
) -> Result<(String, String), String> {
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let file = folder.path().join(what);
    let emit = format!("{what}={}", file.display());
    let mut rustc = cargo(cache, target, "rustc")?;
    let printed = run(rustc.args(["-p", package, "--lib", "--", "--emit", &emit]).args(flags))?;
    // What the assembler warns of is no lint, so `-Dwarnings` lets it pass.
    if printed.contains("instantiated into assembly here") {
        return Err(format!("the assembler warns about {package} for {}:\n{printed}", target.name));
    }
    let text = fs::read_to_string(&file);
    Ok((text.map_err(|error| format!("the compiler wrote no {what} for {}: {error}", target.name))?, printed))
}

/// The cache, with what other checkouts compiled into it made harmless. Cargo tells a package by its place in the repository and
/// its age by the clock, so it would take another checkout's for this one's wherever that is newer: when the folder changes
/// hands, this checkout's sources become new.
pub fn open_cache() -> Result<Cache, String> {
    let cache = Cache::open()?;
    let (owner, here) = (cache.root().join("checkout"), root().display().to_string());
    if fs::read_to_string(&owner).is_ok_and(|owner| owner == here) {
        return Ok(cache);
    }
    let renew = ["src", "tests", "test-crates", "examples", "benches", "barepoll-c", "build.rs"]
        .iter()
        .try_for_each(|place| touch(&root().join(place)));
    let claim = renew.and_then(|()| fs::create_dir_all(cache.root())).and_then(|()| fs::write(&owner, here));
    claim.map_err(|error| format!("cannot take the cache {} over: {error}", cache.root().display()))?;
    Ok(cache)
}

/// Makes a file, or all files in a folder, as new as now.
fn touch(place: &Path) -> std::io::Result<()> {
    let entries =
        WalkDir::new(place).into_iter().filter(|entry| entry.as_ref().is_ok_and(|entry| entry.file_type().is_file()));
    entries
        .into_iter()
        .try_for_each(|entry| File::options().append(true).open(entry?.path())?.set_modified(SystemTime::now()))
}
