//! Every port compiled for its targets, with the nightly compiler allowed no unstable feature; and targets refused.

use crate::progress::Progress;
use crate::shell::{both, capture, cargo_of, root, run};
use std::path::PathBuf;
use std::process::Command;

/// A target for each way of each port.
pub const TARGETS: &[&str] = &[
    "x86_64-unknown-linux-gnu",
    "i686-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "armv7-unknown-linux-gnueabihf",
    "thumbv7neon-unknown-linux-gnueabihf",
    "armv5te-unknown-linux-gnueabi",
    "riscv64gc-unknown-linux-gnu",
];

/// Targets that build.rs must refuse, and a word of its reason.
const REFUSED: &[(&str, &str)] = &[("x86_64-pc-windows-msvc", "not Linux"), ("mips-unknown-linux-gnu", "has no port")];

/// The nightly cargo, set to compile for a target, `core` included. The flags are the same for all that is built this way, so
/// that `core` is compiled once a target.
pub fn cross(target: &str) -> Command {
    let mut cargo = cargo_of("nightly");
    cargo.env("RUSTFLAGS", "--cfg barepoll_internals -Cpanic=abort");
    cargo.args(["rustc", "--release", "-Zbuild-std=core", "--target", target, "--target-dir"]).arg(target_dir());
    cargo
}

/// Cross builds share `core` there.
pub fn target_dir() -> PathBuf {
    root().join("target/cross")
}

/// Compiles the crate for every target, and gives how many.
pub fn compile(progress: &Progress) -> Result<usize, String> {
    let job = progress.job("ports, no unstable feature");
    for target in TARGETS {
        job.at(target);
        if let Err(why) = run(cross(target).args(["--lib", "--", "-Zallow-features=", "-Dwarnings"])) {
            job.done("FAILED");
            return Err(why);
        }
    }
    for (target, reason) in REFUSED {
        job.at(target);
        let output = capture(cross(target).arg("--lib"))?;
        let text = both(&output);
        let refusal = text.lines().find(|line| line.trim_start().starts_with("error: ") && line.contains(target));
        if output.status.success() || !refusal.is_some_and(|line| line.contains(reason)) {
            job.done("FAILED");
            return Err(format!("build.rs does not refuse {target} in one sentence with its reason:\n{text}"));
        }
    }
    let count = TARGETS.len() + REFUSED.len();
    job.done(&format!("{count} targets"));
    Ok(count)
}
