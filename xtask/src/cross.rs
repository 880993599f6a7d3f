//! Building for machines that this one is not: with the nightly compiler, `core` from source, and no C toolchain.

use crate::debian::{self, Cache, Suite};
use crate::shell::{cargo_of, root, run};
use crate::targets::Target;
use std::path::PathBuf;
use std::process::Command;

/// A static program without libc: no start files, fixed addresses, LLVM's linker. `barepoll_internals` shows the ports.
const FLAGS: &[&str] = &[
    "--cfg=barepoll_internals",
    "-Cpanic=abort",
    "-Clinker-flavor=ld.lld",
    "-Crelocation-model=static",
    "-Ctarget-feature=+crt-static",
];

/// Cargo, set to `rustc` or `build` one package for a target with `core`. The flags are the same for every package, so that `core` is
/// compiled once a target; what it compiles is kept beside the downloads.
pub fn cargo(cache: &Cache, target: &Target, verb: &str) -> Result<Command, String> {
    let mut flags: Vec<String> = FLAGS.iter().chain(target.flags).map(ToString::to_string).collect();
    match target.linker {
        Some((package, name)) => {
            let folder = cache.closure(Suite("bookworm"), debian::host(), &[package], &[])?;
            flags.push(format!("-Clinker={}", folder.join("usr/bin").join(name).display()));
        }
        None => flags.extend(["-Clinker=rust-lld".into(), "-Clink-self-contained=no".into()]),
    }
    let mut cargo = cargo_of("nightly");
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f")).env_remove("RUSTFLAGS");
    cargo.args([verb, "--release", "--locked", "-Zbuild-std=core", "-Zbuild-std-features=compiler-builtins-mem"]);
    cargo.args(["--target", &target.triple(), "--target-dir"]).arg(target_dir(cache, target));
    Ok(cargo)
}

/// A variant has one of its own: other flags make another `core`.
pub fn target_dir(cache: &Cache, target: &Target) -> PathBuf {
    cache.root().join(format!("target{}", target.variant()))
}

/// The crate alone, allowed no unstable feature where stable Rust is said to do; then the conformance program, where it can be
/// linked.
pub fn build_bare(cache: &Cache, target: &Target) -> Result<PathBuf, String> {
    let allowed: &[&str] = if target.stable { &["-Zallow-features="] } else { &[] };
    run(cargo(cache, target, "rustc")?.args(["-p", "barepoll", "--lib", "--", "-Dwarnings"]).args(allowed))?;
    // Another checkout's build may share what was compiled, but not the program.
    let programs = root().join("target/bare").join(target.name);
    if target.links() {
        let mut build = cargo(cache, target, "build")?;
        run(build.args(["-p", "bare", "-Zunstable-options", "--artifact-dir"]).arg(&programs))?;
    }
    Ok(programs.join("bare"))
}

/// What rustc emits for a library: `asm` or `llvm-ir`. Into another file each time: cargo, which knows nothing of it, would take
/// the package for fresh and write none.
pub fn emit(cache: &Cache, target: &Target, package: &str, what: &str) -> Result<String, String> {
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let file = folder.path().join(what);
    let emit = format!("{what}={}", file.display());
    run(cargo(cache, target, "rustc")?.args(["-p", package, "--lib", "--", "--emit", &emit]))?;
    std::fs::read_to_string(&file).map_err(|error| format!("the compiler wrote no {what} for {}: {error}", target.name))
}
