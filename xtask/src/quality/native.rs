//! Runs `cargo test` on this machine, for the crate and for the other packages.

use crate::kit::shell::{cargo, run, tests_passed};
use crate::step::World;

/// The arguments of `cargo test` for the crate.
pub const CRATE: &[&str] = &["--locked"];
pub const CRATE_WITH_STD: &[&str] = &["--locked", "--features", "std"];
/// For the loom model of the waker's protocol.
pub const MODEL: &[&str] = &["--locked", "-p", "model"];
/// For the other packages of the workspace.
pub const OTHERS: &[&str] = &["--locked", "--workspace", "--exclude", "barepoll", "--exclude", "model"];

/// Runs `cargo test` with these arguments. Returns how many tests passed.
pub fn tests(world: &World, name: &str, arguments: &[&str]) -> Result<usize, String> {
    world.progress.checks(name, |job| {
        job.at("building and running");
        let output = run(cargo().args(["test", "--no-fail-fast"]).args(arguments))?;
        match tests_passed(&output) {
            0 => Err(format!("no test ran:\n{output}")),
            passed => Ok(passed),
        }
    })
}

/// The histories with threads of a test. `cargo test` runs fewer.
const HISTORIES: usize = 100_000;

/// Runs `tests/histories_with_threads.rs` at length. Returns the number of histories.
pub fn histories_with_threads(world: &World) -> Result<usize, String> {
    world.progress.count("histories with threads", "histories", |job| {
        job.at("building and running");
        let arguments = ["test", "--locked", "--test", "histories_with_threads"];
        let output = run(cargo().args(arguments).env("BAREPOLL_CASES", HISTORIES.to_string()))?;
        match tests_passed(&output) {
            0 => Err(format!("no test ran:\n{output}")),
            _ => Ok(HISTORIES),
        }
    })
}
