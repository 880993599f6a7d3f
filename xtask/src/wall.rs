//! `cargo xtask bench echo` and the like: ways to do the same, timed beside each other in one run by `benches`.

use crate::bench::build_benches;
use crate::chart::{draw, Bar};
use crate::documents::PERFORMANCE;
use crate::progress::Progress;
use crate::report;
use crate::shell::capture;
use clap::{Args, Subcommand};
use serde::de::DeserializeOwned;
use serde::Deserialize;
use std::process::Command;

#[derive(Subcommand)]
pub enum What {
    /// Each call by itself
    Calls(Options),
    /// One thread wakes another, and is woken
    Wakeup(Options),
    /// Eight wake-ups before the loop comes round
    Burst(Options),
    /// A wait that may block, with work ready
    Spin(Options),
    /// Changes of what descriptors are watched for
    Interest(Options),
    /// A server's own time for a request
    Echo(Options),
    /// Waits until a time, from 10 µs to 10 ms: asked, and given
    Timers(Options),
    /// A wait with 1 to 100,000 registered, and with 1 to 1,024 ready
    Scale(Options),
    /// All of these
    Everything(Options),
}

#[derive(Args, Clone, Copy)]
pub struct Options {
    /// Write the tables into docs/performance.md, and draw their charts, too
    #[arg(long)]
    write: bool,
}

/// What is measured in one run of `benches time`.
struct Scenario {
    /// The arguments; joined by hyphens, the name of the table and of the chart.
    arguments: &'static [&'static str],
    title: &'static str,
}

const fn scenario(arguments: &'static [&'static str], title: &'static str) -> Scenario {
    Scenario { arguments, title }
}

const CALLS: &[Scenario] = &[
    scenario(&["call", "wait", "1"], "wait(0), one thread: time, as a ratio to asm! by hand"),
    scenario(&["call", "wait", "2"], "wait(0), two threads: time, as a ratio to asm! by hand"),
    scenario(&["call", "modify", "2"], "modify, two threads: time, as a ratio to asm! by hand"),
    scenario(&["call", "write", "2"], "write to an eventfd, two threads: time, as a ratio to asm! by hand"),
    scenario(&["call", "read", "2"], "read of an eventfd, two threads: time, as a ratio to asm! by hand"),
    scenario(&["call", "create-close", "2"], "create and close, two threads: time, as a ratio to asm! by hand"),
];
const WAKEUP: &[Scenario] = &[
    scenario(&["wakeup"], "There and back between two threads: time, as a ratio to an eventfd that is read"),
    scenario(&["wakeup-calls"], "A wake-up and the wait that it ends: time, as a ratio to an eventfd that is read"),
];
const BURST: &[Scenario] = &[scenario(&["burst"], "Eight wake-ups before a wait: time, as a ratio to eight writes")];
const SPIN: &[Scenario] = &[scenario(&["spin"], "A wait of at most 5 ms with work ready: time, as a ratio to wait")];
const INTEREST: &[Scenario] = &[
    scenario(&["interest"], "Each descriptor removed and added again: time, as a ratio to calls at once"),
    scenario(&["interest-nothing-to-save"], "Each interest changed once: time, as a ratio to calls at once"),
];
const ECHO: &[Scenario] = &[
    scenario(&["echo", "1", "64"], "Echo of 64 bytes, 1 connection: the server's time, as a ratio to libc's"),
    scenario(&["echo", "64", "64"], "Echo of 64 bytes, 64 connections: the server's time, as a ratio to libc's"),
    scenario(&["echo", "1024", "64"], "Echo of 64 bytes, 1,024 connections: the server's time, as a ratio to libc's"),
    scenario(&["echo", "64", "16384"], "Echo of 16 KiB, 64 connections: the server's time, as a ratio to libc's"),
];
const SCALE: &[Scenario] = &[
    scenario(&["idle"], "wait(0) with many registered: time, as a ratio to one"),
    scenario(&["ready"], "A wait with many ready: time an event, as a ratio to one"),
];

/// What `benches time` says of a way to do it.
#[derive(Deserialize)]
struct Way {
    way: String,
    ns: f64,
    /// Quartiles of its ratio to the first way, of the chunks of one round.
    ratio: [f64; 3],
    /// Quartiles of barepoll's ratio to it.
    ours: Option<[f64; 3]>,
}

/// What it says of a time that was asked for.
#[derive(Deserialize)]
struct Timer {
    slack: String,
    asked_us: f64,
    ways: Vec<String>,
    given_us: Vec<f64>,
}

pub fn run_alone(progress: &Progress, what: &What) -> Result<(), String> {
    let (scenarios, options): (&[&[Scenario]], _) = match what {
        What::Calls(options) => (&[CALLS], options),
        What::Wakeup(options) => (&[WAKEUP], options),
        What::Burst(options) => (&[BURST], options),
        What::Spin(options) => (&[SPIN], options),
        What::Interest(options) => (&[INTEREST], options),
        What::Echo(options) => (&[ECHO], options),
        What::Scale(options) => (&[SCALE], options),
        What::Timers(options) => (&[], options),
        What::Everything(options) => (&[CALLS, WAKEUP, BURST, SPIN, INTEREST, ECHO, SCALE], options),
    };
    for scenario in scenarios.iter().copied().flatten() {
        let name = scenario.arguments.join("-");
        let ways: Vec<Way> = measure(progress, scenario.arguments)?;
        let bars: Vec<Bar> = ways.iter().map(|way| Bar { name: way.way.clone(), ratio: way.ratio }).collect();
        keep(*options, &name, &table(&name, ways), Some((scenario.title, &bars)))?;
    }
    if let What::Timers(options) | What::Everything(options) = what {
        let timers: Vec<Timer> = measure(progress, &["timers"])?;
        keep(*options, "timers", &timers_table(&timers), None)?;
    }
    Ok(())
}

fn measure<T: DeserializeOwned>(progress: &Progress, arguments: &[&str]) -> Result<T, String> {
    let name = arguments.join(" ");
    let job = progress.job(name.as_str());
    job.at("building");
    let benches = build_benches()?;
    job.at("measuring");
    let output = capture(Command::new(benches).arg("time").args(arguments))?;
    let measured = serde_json::from_slice(&output.stdout)
        .map_err(|_| format!("{name} was not measured: {}", String::from_utf8_lossy(&output.stderr)))?;
    job.done("measured");
    Ok(measured)
}

fn keep(options: Options, name: &str, table: &str, chart: Option<(&str, &[Bar])>) -> Result<(), String> {
    println!("\n{table}\n");
    if !options.write {
        return Ok(());
    }
    let mut block = table.to_string();
    if let Some((title, bars)) = chart {
        let file = draw(name, title, bars)?;
        block = format!("{block}\n\n![{title}]({})", file.trim_start_matches("docs/"));
    }
    PERFORMANCE.write(name, &block).map(drop)
}

fn table(name: &str, ways: Vec<Way>) -> String {
    let has_ours = ways.iter().any(|way| way.ours.is_some());
    let rows = ways.into_iter().map(|Way { way, ns, ratio: [low, median, high], ours }| {
        let ours = ours.map(|[_, median, _]| format!("{median:.3}"));
        let row = vec![way, format!("{ns:.0}"), format!("{median:.3}"), format!("{low:.3} – {high:.3}")];
        row.into_iter().chain(ours).collect()
    });
    let header = [name, "ns", "ratio", "half of all ratios", "barepoll to this"];
    report::markdown(if has_ours { &header } else { &header[..4] }, rows)
}

fn timers_table(timers: &[Timer]) -> String {
    let names = timers.first().map(|timer| timer.ways.clone()).unwrap_or_default();
    let header: Vec<&str> = ["timer slack", "asked, µs"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let rows = timers.iter().map(|timer| {
        let given = timer.given_us.iter().map(|given| format!("{given:.0}"));
        [timer.slack.clone(), timer.asked_us.to_string()].into_iter().chain(given).collect()
    });
    report::markdown(&header, rows)
}
