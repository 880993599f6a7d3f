//! `cargo xtask bench wakeup` and the like: ways to do the same, timed beside each other in one run by `benches`.

use crate::bench::build_benches;
use crate::documents::PERFORMANCE;
use crate::progress::Progress;
use crate::report;
use crate::shell::capture;
use clap::{Args, Subcommand};
use serde::Deserialize;
use std::process::Command;

#[derive(Subcommand)]
pub enum What {
    /// One thread wakes another, and is woken
    Wakeup(Options),
    /// Eight wake-ups before the loop comes round
    Burst(Options),
    /// A wait that may block, with work ready
    Spin(Options),
    /// Changes of what descriptors are watched for
    Interest(Options),
}

#[derive(Args)]
pub struct Options {
    /// Write the tables into docs/performance.md too
    #[arg(long)]
    write: bool,
}

/// What `benches time` says of a way to do it.
#[derive(Deserialize)]
struct Way {
    way: String,
    ns: f64,
    /// Quartiles of its ratio to the first way, of the chunks of one round.
    ratio: [f64; 3],
}

pub fn run_alone(progress: &Progress, what: &What) -> Result<(), String> {
    let (scenarios, options): (&[&str], _) = match what {
        What::Wakeup(options) => (&["wakeup", "wakeup-calls"], options),
        What::Burst(options) => (&["burst"], options),
        What::Spin(options) => (&["spin"], options),
        What::Interest(options) => (&["interest", "interest-nothing-to-save"], options),
    };
    for scenario in scenarios {
        let table = measure(progress, scenario)?;
        println!("\n{table}\n");
        if options.write {
            PERFORMANCE.write(scenario, &table)?;
        }
    }
    Ok(())
}

fn measure(progress: &Progress, scenario: &str) -> Result<String, String> {
    let job = progress.job(scenario);
    job.at("building");
    let benches = build_benches()?;
    job.at("measuring");
    let output = capture(Command::new(benches).args(["time", scenario]))?;
    let ways: Vec<Way> = serde_json::from_slice(&output.stdout)
        .map_err(|_| format!("{scenario} was not measured: {}", String::from_utf8_lossy(&output.stderr)))?;
    job.done("measured");
    let rows = ways.into_iter().map(|Way { way, ns, ratio: [low, median, high] }| {
        vec![way, format!("{ns:.0}"), format!("{median:.3}"), format!("{low:.3} – {high:.3}")]
    });
    Ok(report::markdown(&[scenario, "ns", "ratio", "half of all ratios"], rows))
}
