//! `cargo xtask answers`: tests the crate with made-up answers, unknown calls and Android's
//! sandbox, in each build of the crate.

use crate::debian::Cache;
use crate::kit::progress::Progress;
use crate::kit::shell::{cargo, root, run, tests_passed};
use crate::programs::with_std::{self, Target};
use std::process::Command;

/// The flag that makes the crate choose its calls as on Android.
const ANDROID_FLAG: &str = "--cfg=barepoll_android";
/// A 32-bit target whose programs this kernel runs. An emulator would not do, because none has
/// seccomp.
const TARGET_32_BITS: &str = "i686-unknown-linux-gnu";

/// How many checks passed, in all builds together.
pub fn run_checks(progress: &Progress, cache: &Cache) -> Result<usize, String> {
    let answer = progress.checks("answers", |job| {
        let mut all = 0;
        for (name, mut cargo) in builds(cache)? {
            job.at(name);
            let output = run(&mut cargo).map_err(|why| format!("{name}: {why}"))?;
            match tests_passed(&output) {
                0 => return Err(format!("{name}: no check ran:\n{output}")),
                passed => all += passed,
            }
        }
        Ok(all)
    });
    answer.map_err(|why| format!("answers: {why}"))
}

/// The name and the command of each build of the checks.
fn builds(cache: &Cache) -> Result<Vec<(&'static str, Command)>, String> {
    let native = |arguments: &[&str]| {
        let mut cargo = cargo();
        cargo.args(["test", "--locked", "-p", "answers"]).args(arguments);
        cargo
    };
    let mut android = native(&["--target-dir"]);
    android.arg(root().join("target/android")).env("RUSTFLAGS", ANDROID_FLAG).env_remove("CARGO_ENCODED_RUSTFLAGS");
    let mut android_32_bits = cargo_32_bits(cache)?;
    // Only these two packages get the flag, so cargo compiles the standard library once for both
    // builds.
    android_32_bits.arg("-Zprofile-rustflags");
    for package in ["barepoll", "answers"] {
        android_32_bits.arg("--config").arg(format!(r#"profile.dev.package.{package}.rustflags=["{ANDROID_FLAG}"]"#));
    }
    Ok(vec![
        ("debug", native(&[])),
        ("debug, feature std", native(&["--features", "std"])),
        ("release", native(&["--release"])),
        ("as on Android", android),
        ("32 bits", cargo_32_bits(cache)?),
        ("32 bits, as on Android", android_32_bits),
    ])
}

/// The command that runs the checks as 32-bit programs on this kernel.
fn cargo_32_bits(cache: &Cache) -> Result<Command, String> {
    let target = with_std::TARGETS.iter().find(|target| target.name == TARGET_32_BITS);
    let target: &Target =
        target.ok_or_else(|| format!("there is no target {TARGET_32_BITS} in xtask/src/programs/with_std.rs"))?;
    with_std::cargo_native(cache, target, &["test", "-Zbuild-std", "-p", "answers"])
}
