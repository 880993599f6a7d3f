//! Runs the crate's tests, including proptest, with std and glibc for other machines. It uses
//! `-Zbuild-std`, Debian's cross gcc as linker with its libc, and qemu-user as runner.

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
    /// The Debian suite of the emulator.
    suite: &'static str,
}

/// qemu 11.1, which has `epoll_pwait2`.
const NEW: &str = "testing";
/// qemu 10.0, which lacks it, so the fallback runs. It is for 32 bits, because the new qemu reads
/// that call's timespec as two 32-bit fields (see `emulated.rs`).
///
/// bookworm's 7.2 does not work for i686. Its threads share the segment that identifies a thread,
/// so after the first `spawn` each thread takes itself for the last one (`pthread_join`: EDEADLK).
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
    /// GNU's name for the target.
    fn gnu(&self) -> Result<&'static str, String> {
        Ok(Toolchain::of(self.name)?.gnu)
    }
}

/// The test files to run. Feature `std` adds one.
///
/// The others cannot run under an emulator, or are for native runs. Tests that start programs would
/// need the emulator's path, which only cargo knows. `faults` needs seccomp, which emulators lack.
/// `histories` and `peers` compare with a kernel's exact answers. Others make millions of wake-ups
/// or timers, or need two gigabytes.
const TEST_FILES: [&str; 6] = ["native", "layout", "oracles", "properties", "interest_set", "formatting"];

/// The time limit for a test program in seconds. A test that waits for a descriptor could wait for
/// ever.
const LIMIT: u32 = 1200;

/// How many tests passed, on all targets, with feature `std` and without.
///
/// Cargo's lock makes the targets compile one after another. Meanwhile, others run.
pub fn run_checks(progress: &Progress, cache: &Cache) -> Result<usize, String> {
    thread::scope(|scope| {
        let each = TARGETS.map(|target| scope.spawn(move || test(progress, cache, &target)));
        let panicked = |_| Err("the thread that ran a target panicked".into());
        let answers = each.map(|thread| thread.join().unwrap_or_else(panicked));
        let failed: Vec<String> = answers.iter().filter_map(|answer| answer.clone().err()).collect();
        if failed.is_empty() {
            answers.into_iter().sum()
        } else {
            Err(failed.join("\n\n"))
        }
    })
}

/// How many tests of one target passed.
fn test(progress: &Progress, cache: &Cache, target: &Target) -> Result<usize, String> {
    let answer = progress.checks(format!("std, {}", target.name), |job| {
        job.at("building and running");
        let cargo = || cargo(cache, target, &["test", "-Zbuild-std"]);
        let with = run_files(cargo()?.args(["--features", "std"]), &[&TEST_FILES[..], &["with_std"]].concat())?;
        Ok(with + run_files(&mut cargo()?, &TEST_FILES)?)
    });
    answer.map_err(|why| format!("std for {}: {why}", target.name))
}

/// How many tests passed. Returns an error if a test file printed no result, because an emulator's
/// exit status is not reliable.
fn run_files(cargo: &mut Command, files: &[&str]) -> Result<usize, String> {
    cargo.args(files.iter().flat_map(|file| ["--test", file]));
    // The step `targets` sees these fail under the same emulators.
    cargo.arg("--").args(emulated::failing_everywhere().flat_map(|check| ["--skip", check]));
    let output = run(cargo)?;
    match output.matches("test result: ok. ").count() {
        closed if closed == files.len() => Ok(tests_passed(&output)),
        closed => Err(format!("only {closed} of {} test files printed `ok` as their result:\n{output}", files.len())),
    }
}

/// The sysroot of the target's C compiler, with its libc.
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

/// Cargo's target directory, for all targets.
pub fn target_dir(cache: &Cache) -> PathBuf {
    cache.root().join("target-std")
}

/// A cargo command for a target. The emulator runs its programs.
pub fn cargo(cache: &Cache, target: &Target, arguments: &[&str]) -> Result<Command, String> {
    let (folder, emulator) = (sysroot(cache, target)?, emulator(cache, target)?);
    let (emulator, folder) = (emulator.display(), folder.display());
    let runner = format!(r#"["timeout", "{LIMIT}", "{emulator}", "-L", "{folder}/usr/{}"]"#, target.gnu()?);
    cargo_with(cache, target, &runner, arguments)
}

/// A cargo command for a target whose programs this kernel runs.
pub fn cargo_native(cache: &Cache, target: &Target, arguments: &[&str]) -> Result<Command, String> {
    let libraries = sysroot(cache, target)?.join("usr").join(target.gnu()?).join("lib");
    let runner = format!(r#"["{0}/ld-linux.so.2", "--library-path", "{0}"]"#, libraries.display());
    cargo_with(cache, target, &runner, arguments)
}

fn cargo_with(cache: &Cache, target: &Target, runner: &str, arguments: &[&str]) -> Result<Command, String> {
    let (name, gnu) = (target.name, target.gnu()?);
    let folder = sysroot(cache, target)?;
    let folder = folder.display();

    let mut cargo = cargo_of("nightly");
    // These variables would override the configuration below.
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    // Few, because these tests run without optimisation under an emulator. Native runs have 20000
    // cases.
    cargo.env("PROPTEST_CASES", "256");
    cargo.args(arguments).args(["--quiet", "--locked", "--target", name, "--target-dir"]).arg(target_dir(cache));
    // This halves the size of the target directory.
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
