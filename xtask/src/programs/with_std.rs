//! The ordinary tests, proptest included, with std and glibc, for machines that this one is not: `-Zbuild-std`, Debian's cross
//! gcc as linker and its libc, qemu-user as runner.

use crate::debian::{self, Cache, Suite};
use crate::kit::progress::Progress;
use crate::kit::shell::{cargo_of, run, tests_passed};
use crate::machines::emulated;
use crate::machines::toolchains::Toolchain;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

/// A target that has std, glibc and a cross compiler.
pub struct Target {
    /// rustc's name.
    pub name: &'static str,
    emulator: &'static str,
    /// The suite of Debian's whose emulator it is.
    suite: &'static str,
}

/// qemu 11.1, which has `epoll_pwait2`.
const NEW: &str = "testing";
/// qemu 10.0, which has not, so the fallback runs. It is for 32 bits, where the new one reads that call's timespec as two 32-bit
/// fields (see `emulated.rs`). bookworm's 7.2 does not do for i686: its threads share the segment that tells one from another,
/// so that after the first `spawn` each takes itself for the last (`pthread_join`: EDEADLK).
const OLD: &str = "trixie";

pub const TARGETS: [Target; 4] = [
    target("aarch64-unknown-linux-gnu", "qemu-aarch64", NEW),
    target("s390x-unknown-linux-gnu", "qemu-s390x", NEW),
    target("armv7-unknown-linux-gnueabihf", "qemu-arm", OLD),
    target("i686-unknown-linux-gnu", "qemu-i386", OLD),
];

const fn target(name: &'static str, emulator: &'static str, suite: &'static str) -> Target {
    Target { name, emulator, suite }
}

impl Target {
    /// GNU's name of it.
    fn gnu(&self) -> Result<&'static str, String> {
        Ok(Toolchain::of(self.name)?.gnu)
    }
}

/// The test files that run in a process of their own; with feature `std` it is one more. Those that start programs need the
/// emulator in front of them, and only cargo knows it. Faults need seccomp, which emulators have not; histories and peers are held against
/// the kernel's own answers, which theirs are not; millions of wake-ups and a buffer of two gigabytes are for native runs.
const FILES: [&str; 6] = ["native", "layout", "oracles", "properties", "interest_set", "formatting"];

/// The seconds that a test program may take: what waits for a descriptor might wait for ever.
const LIMIT: u32 = 1200;

/// Tests passed, on all targets, with feature `std` and without. The targets wait for each other to compile, by cargo's lock,
/// and run beside that.
pub fn run_checks(progress: &Progress, cache: &Cache) -> Result<usize, String> {
    thread::scope(|scope| {
        let each = TARGETS.map(|target| scope.spawn(move || test(progress, cache, &target)));
        let answers = each.map(|one| one.join().unwrap_or_else(|_| Err("the thread that ran it panicked".into())));
        let failed: Vec<String> = answers.iter().filter_map(|answer| answer.clone().err()).collect();
        if failed.is_empty() {
            answers.into_iter().sum()
        } else {
            Err(failed.join("\n\n"))
        }
    })
}

/// How many passed, of one target.
fn test(progress: &Progress, cache: &Cache, target: &Target) -> Result<usize, String> {
    let answer = progress.checks(format!("std, {}", target.name), |job| {
        job.at("building and running");
        let cargo = || cargo(cache, target, &["test", "-Zbuild-std"]);
        let with = run_files(cargo()?.args(["--features", "std"]), &[&FILES[..], &["with_std"]].concat())?;
        Ok(with + run_files(&mut cargo()?, &FILES)?)
    });
    answer.map_err(|why| format!("std for {}: {why}", target.name))
}

/// How many passed; each file must have said so, whatever its exit status is under an emulator.
fn run_files(cargo: &mut Command, files: &[&str]) -> Result<usize, String> {
    let output = run(cargo.args(files.iter().flat_map(|file| ["--test", file])))?;
    match output.matches("test result: ok. ").count() {
        closed if closed == files.len() => Ok(tests_passed(&output)),
        closed => Err(format!("{closed} of {} test files ended with their result:\n{output}", files.len())),
    }
}

/// What stands for `/` to the target's C compiler, and holds its libc.
fn sysroot(cache: &Cache, target: &Target) -> Result<PathBuf, String> {
    let packages = Toolchain::of(target.name)?.packages();
    cache.closure(Suite("bookworm"), debian::host(), &packages.each_ref().map(String::as_str), &[])
}

pub fn gcc(cache: &Cache, target: &Target) -> Result<Command, String> {
    let sysroot = sysroot(cache, target)?;
    let mut gcc = Command::new(sysroot.join(format!("usr/bin/{}-gcc", target.gnu()?)));
    gcc.arg(format!("--sysroot={}", sysroot.display()));
    Ok(gcc)
}

pub fn emulator(cache: &Cache, target: &Target) -> Result<PathBuf, String> {
    Ok(emulated::emulator(cache, target.suite, "qemu-user", "")?.program(target.emulator))
}

/// Where cargo compiles for all of them.
pub fn target_dir(cache: &Cache) -> PathBuf {
    cache.root().join("target-std")
}

/// Cargo, set to do this for a target, whose programs an emulator runs.
pub fn cargo(cache: &Cache, target: &Target, what: &[&str]) -> Result<Command, String> {
    let (folder, emulator) = (sysroot(cache, target)?, emulator(cache, target)?);
    let (emulator, folder) = (emulator.display(), folder.display());
    let runner = format!(r#"["timeout", "{LIMIT}", "{emulator}", "-L", "{folder}/usr/{}"]"#, target.gnu()?);
    cargo_with(cache, target, &runner, what)
}

/// The same, whose programs this kernel runs.
pub fn cargo_native(cache: &Cache, target: &Target, what: &[&str]) -> Result<Command, String> {
    let libraries = sysroot(cache, target)?.join("usr").join(target.gnu()?).join("lib");
    let runner = format!(r#"["{0}/ld-linux.so.2", "--library-path", "{0}"]"#, libraries.display());
    cargo_with(cache, target, &runner, what)
}

fn cargo_with(cache: &Cache, target: &Target, runner: &str, what: &[&str]) -> Result<Command, String> {
    let (name, gnu) = (target.name, target.gnu()?);
    let folder = sysroot(cache, target)?;
    let folder = folder.display();

    let mut cargo = cargo_of("nightly");
    // What the caller's shell says of flags would win over the configuration below.
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    // proptest without optimisation under an emulator: 20000 cases are for native runs.
    cargo.env("PROPTEST_CASES", "256");
    cargo.args(what).args(["--quiet", "--locked", "--target", name, "--target-dir"]).arg(target_dir(cache));
    // Half of what is written.
    cargo.args(["--config", "profile.dev.debug=0"]);
    for (key, value) in [
        ("linker", format!("\"{folder}/usr/bin/{gnu}-gcc\"")),
        ("rustflags", format!("[\"-Clink-arg=--sysroot={folder}\"]")),
        ("runner", runner.to_string()),
    ] {
        cargo.arg("--config").arg(format!("target.{name}.{key}={value}"));
    }
    Ok(cargo)
}
