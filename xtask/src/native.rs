//! The ordinary tests on this machine, with and without feature `std`.

use crate::progress::Progress;
use crate::shell::{cargo, run};

/// Runs `cargo test` and gives how many tests passed.
pub fn test(progress: &Progress, name: &str, features: &[&str]) -> Result<usize, String> {
    let job = progress.job(name);
    job.at("building and running");
    let answer = run(cargo().arg("test").args(features)).and_then(|output| match passed(&output) {
        0 => Err(format!("no test ran:\n{output}")),
        passed => Ok(passed),
    });
    job.done(&match &answer {
        Ok(passed) => format!("{passed} passed"),
        Err(_) => "FAILED".into(),
    });
    answer
}

/// Sums the closing lines of all test programs in cargo's output.
pub fn passed(output: &str) -> usize {
    let closing = output.lines().filter_map(|line| line.trim().strip_prefix("test result: ok. "));
    closing.filter_map(|rest| rest.split(' ').next()?.parse::<usize>().ok()).sum()
}
