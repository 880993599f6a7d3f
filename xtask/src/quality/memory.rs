//! `cargo xtask memory`: tests under valgrind, which knows of every byte whether it was written. It sees one that the kernel is given and
//! nobody wrote, as well as one that is looked at and the kernel left as it was.

use crate::kit::progress::Progress;
use crate::kit::shell::{both, capture, cargo, run, tests_passed};
use std::process::Command;

/// What is tested: the conformance list, and what needs no other thread or process.
const FILES: [&str; 5] = ["native", "properties", "interest_set", "formatting", "without_std"];

/// In the names of checks that give the kernel an address that is nobody's, to see it refused.
const WILD: [&str; 2] = ["bad_address", "more_bytes_than_i32_max"];
/// What valgrind says of those.
const SEEN: &str = "points to unaddressable byte(s)";

/// How many tests passed of which valgrind had nothing to say.
pub fn run_checks(progress: &Progress) -> Result<usize, String> {
    let answer = progress.checks("memory", |job| {
        job.at("building and running");
        let others = WILD.iter().flat_map(|name| ["--skip", name]);
        let output = run(under_valgrind(&FILES).arg("--").args(others))?;
        // That it looks at the calls at all shows where it must find something.
        let wild = both(&capture(under_valgrind(&FILES[..1]).args(["--", WILD[0]]))?);
        if wild.contains(SEEN) {
            Ok(tests_passed(&output))
        } else {
            Err(format!("valgrind saw no address that is nobody's:\n{wild}"))
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
    // A program runs some thirty times slower.
    cargo.env("PROPTEST_CASES", "256");
    cargo
}
