//! Small programs for MemorySanitizer and ThreadSanitizer. `sanitized memory NAME` runs one, and
//! `sanitized memory` lists them. A right program has no fault, and a sanitizer must not report
//! any. A wrong one has a fault that the sanitizer must find.
//!
//! `cargo xtask sanitizers` runs all of them, and the right ones once more with a crate that tells
//! the sanitizers nothing. Then each must be reported.

/// The filter counts its calls here. Nothing writes these figures down.
mod figures {
    pub fn count(_name: &str, _count: u64) {}
}
mod memory;
mod order;
#[path = "../../../tests/faults/seccomp.rs"]
#[allow(dead_code)]
mod seccomp;

use barepoll::Result;
use std::process::ExitCode;

/// One of the programs.
struct Case {
    name: &'static str,
    is_right: bool,
    /// Part of the report of its fault, or of a right program's false fault.
    report: &'static str,
    run: fn() -> Result<()>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let cases = match arguments.first().map(String::as_str) {
        Some("memory") => memory::CASES,
        Some("thread") => order::CASES,
        _ => return failed("expected `memory` or `thread`, and then a name or nothing"),
    };
    let Some(name) = arguments.get(1) else {
        for case in cases {
            println!("{}\t{}\t{}", case.name, if case.is_right { "right" } else { "wrong" }, case.report);
        }
        return ExitCode::SUCCESS;
    };
    match cases.iter().find(|case| case.name == name).map(|case| (case.run)()) {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(errno)) => failed(&format!("{name}: {errno}")),
        None => failed(&format!("there is no program {name}")),
    }
}

fn failed(why: &str) -> ExitCode {
    eprintln!("error: {why}");
    ExitCode::FAILURE
}
