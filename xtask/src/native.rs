//! The ordinary tests on this machine, with and without feature `std`.

use crate::progress::Progress;
use crate::shell::{cargo, run};

/// Runs `cargo test` and gives how many tests passed, and their names.
pub fn tests(progress: &Progress, name: &str, arguments: &[&str]) -> Result<(usize, Vec<String>), String> {
    let job = progress.job(name);
    job.at("building and running");
    let answer = run(cargo().arg("test").args(arguments)).and_then(|output| match passed(&output) {
        0 => Err(format!("no test ran:\n{output}")),
        passed => Ok((passed, names(&output))),
    });
    job.done(&answer.as_ref().map_or("FAILED".into(), |(passed, _)| format!("{passed} passed")));
    answer
}

/// The names in lines like `test fine_waits_are_never_early ... ok`.
fn names(output: &str) -> Vec<String> {
    let name = |line: &str| {
        Some(line.trim().strip_prefix("test ")?.strip_suffix("ok")?.trim().strip_suffix("...")?.trim().to_string())
    };
    output.lines().filter_map(name).collect()
}

/// Sums the closing lines of all test programs in cargo's output.
pub fn passed(output: &str) -> usize {
    let closing = output.lines().filter_map(|line| line.trim().strip_prefix("test result: ok. "));
    closing.filter_map(|rest| rest.split(' ').next()?.parse::<usize>().ok()).sum()
}
