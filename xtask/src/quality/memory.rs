//! `cargo xtask memory`: runs tests under valgrind, which tracks whether each byte was written. It
//! finds unwritten bytes that the crate passes to the kernel, and bytes that the crate reads but
//! the kernel did not write.

use crate::kit::progress::Progress;
use crate::kit::shell::{both, capture, cargo, run, tests_passed};
use std::process::Command;

/// The conformance list, and the tests without other threads and processes. `timers` is left out: it
/// takes a minute, and tests code without `unsafe` and calls.
const TEST_FILES: [&str; 5] = ["native", "properties", "interest_set", "formatting", "without_std"];

/// Parts of the names of checks that pass the kernel a bad address on purpose.
const BAD_ADDRESS_CHECKS: [&str; 2] = ["bad_address", "more_bytes_than_i32_max"];
/// The checks of pidfds. Debian bookworm's valgrind, 3.19, does not know `pidfd_open`.
const PIDFD_CHECKS: &str = "pidfd::";
/// valgrind's message for those with a bad address.
const BAD_ADDRESS: &str = "points to unaddressable byte(s)";

/// How many tests passed without a message from valgrind.
pub fn run_checks(progress: &Progress) -> Result<usize, String> {
    let answer = progress.checks("memory", |job| {
        job.at("building and running");
        let skip = BAD_ADDRESS_CHECKS.iter().chain([&PIDFD_CHECKS]).flat_map(|name| ["--skip", name]);
        let output = run(under_valgrind(&TEST_FILES).arg("--").args(skip))?;
        // This proves that valgrind checks the system calls.
        let bad = both(&capture(under_valgrind(&TEST_FILES[..1]).args(["--", BAD_ADDRESS_CHECKS[0]]))?);
        if bad.contains(BAD_ADDRESS) {
            Ok(tests_passed(&output))
        } else {
            Err(format!("valgrind did not report a bad address:\n{bad}"))
        }
    });
    answer.map_err(|why| format!("memory: {why}"))
}

fn under_valgrind(files: &[&str]) -> Command {
    let mut cargo = cargo();
    cargo.args([
        "test",
        "--locked",
        "--config",
        "target.'cfg(all())'.runner=['valgrind', '--quiet', '--error-exitcode=9']",
    ]);
    cargo.args(files.iter().flat_map(|file| ["--test", file]));
    // Few cases, because programs run about thirty times slower.
    cargo.env("PROPTEST_CASES", "256");
    cargo
}
