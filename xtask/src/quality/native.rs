//! The ordinary tests on this machine, with and without feature `std`, and those of the other packages.

use crate::kit::shell::{cargo, run, tests_passed};
use crate::step::World;

/// Of cargo: the tests of the crate itself.
pub const CRATE: &[&str] = &["--locked"];
pub const CRATE_WITH_STD: &[&str] = &["--locked", "--features", "std"];
/// The waker's protocol, by loom.
pub const MODEL: &[&str] = &["--locked", "-p", "model"];
/// The other packages of the workspace.
pub const OTHERS: &[&str] = &["--locked", "--workspace", "--exclude", "barepoll", "--exclude", "model"];

/// Runs `cargo test` with these arguments, and gives how many tests passed.
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
