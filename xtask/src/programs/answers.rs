//! `cargo xtask answers`: made-up answers, unknown calls and Android's sandbox, in each way in which the crate is compiled for them.

use crate::debian::Cache;
use crate::kit::progress::Progress;
use crate::kit::shell::{cargo, root, run, tests_passed};
use crate::programs::with_std::{self, Target};
use std::process::Command;

/// What lets the crate choose its calls as on Android.
const ANDROID: &str = "--cfg=barepoll_android";
/// The machine of 32 bits whose programs this kernel runs, with filters, which no emulator has.
const NARROW: &str = "i686-unknown-linux-gnu";

/// How many checks passed, in all ways together.
pub fn run_checks(progress: &Progress, cache: &Cache) -> Result<usize, String> {
    let answer = progress.checks("answers", |job| {
        let mut all = 0;
        for (name, mut cargo) in ways(cache)? {
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

/// Each way to compile the checks, and its name.
fn ways(cache: &Cache) -> Result<Vec<(&'static str, Command)>, String> {
    let wide = |arguments: &[&str]| {
        let mut cargo = cargo();
        cargo.args(["test", "--locked", "-p", "answers"]).args(arguments);
        cargo
    };
    let mut android = wide(&["--target-dir"]);
    android.arg(root().join("target/android")).env("RUSTFLAGS", ANDROID).env_remove("CARGO_ENCODED_RUSTFLAGS");
    let mut narrow_android = narrow(cache)?;
    // Of all the crates these two alone, so that the standard library is compiled once for both ways.
    narrow_android.arg("-Zprofile-rustflags");
    for package in ["barepoll", "answers"] {
        narrow_android.arg("--config").arg(format!(r#"profile.dev.package.{package}.rustflags=["{ANDROID}"]"#));
    }
    Ok(vec![
        ("debug", wide(&[])),
        ("debug, feature std", wide(&["--features", "std"])),
        ("release", wide(&["--release"])),
        ("as on Android", android),
        ("32 bits", narrow(cache)?),
        ("32 bits, as on Android", narrow_android),
    ])
}

/// Cargo, set to run the checks as programs of 32 bits on this kernel.
fn narrow(cache: &Cache) -> Result<Command, String> {
    let target = with_std::TARGETS.iter().find(|target| target.name == NARROW);
    let target: &Target = target.ok_or_else(|| format!("xtask/src/programs/with_std.rs has no {NARROW}"))?;
    with_std::cargo_native(cache, target, &["test", "-Zbuild-std", "-p", "answers"])
}
