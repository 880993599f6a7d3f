//! `cargo xtask bench echo` and the like: ways to do the same, timed beside each other in one run by `benches`.

use crate::bench::build_benches;
use crate::chart::{draw, Bar};
use crate::progress::Progress;
use crate::report;
use crate::shell::{both, capture, ensure, run};
use crate::tables::PERFORMANCE;
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
    calls: Option<Calls>,
}

/// How system calls are counted: of how many things one turn is made, and how many calls of each are not the way's own.
#[derive(Clone, Copy)]
struct Calls {
    of: f64,
    others: f64,
}

const fn scenario(arguments: &'static [&'static str], title: &'static str) -> Scenario {
    Scenario { arguments, title, calls: None }
}

const fn counted(of: f64, others: f64, scenario: Scenario) -> Scenario {
    Scenario { calls: Some(Calls { of, others }), ..scenario }
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
    counted(
        2.0,
        0.0,
        scenario(&["wakeup"], "There and back between two threads: time, as a ratio to an eventfd that is read"),
    ),
    counted(
        1.0,
        0.0,
        scenario(&["wakeup-calls"], "A wake-up and the wait that it ends: time, as a ratio to an eventfd that is read"),
    ),
];
const BURST: &[Scenario] =
    &[counted(1.0, 0.0, scenario(&["burst"], "Eight wake-ups before a wait: time, as a ratio to eight writes"))];
const SPIN: &[Scenario] = &[scenario(&["spin"], "A wait of at most 5 ms with work ready: time, as a ratio to wait")];
const INTEREST: &[Scenario] = &[
    scenario(&["interest"], "Each descriptor removed and added again: time, as a ratio to calls at once"),
    scenario(&["interest-nothing-to-save"], "Each interest changed once: time, as a ratio to calls at once"),
];
/// Less a client's own calls for a request: it writes one, and reads the answer.
const fn echo(arguments: &'static [&'static str], title: &'static str) -> Scenario {
    counted(1.0, 2.0, scenario(arguments, title))
}
const ECHO: &[Scenario] = &[
    echo(&["echo", "1", "64"], "Echo of 64 bytes, 1 connection: the server's time, as a ratio to libc's"),
    echo(&["echo", "64", "64"], "Echo of 64 bytes, 64 connections: the server's time, as a ratio to libc's"),
    echo(&["echo", "1024", "64"], "Echo of 64 bytes, 1,024 connections: the server's time, as a ratio to libc's"),
    scenario(&["echo", "10000", "64"], "Echo of 64 bytes, 10,000 connections: the server's time, as a ratio to libc's"),
    echo(&["echo", "64", "16384"], "Echo of 16 KiB, 64 connections: the server's time, as a ratio to libc's"),
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
        let calls = scenario.calls.map(|calls| count(progress, scenario.arguments, calls, ways.len())).transpose()?;
        let bars: Vec<Bar> = ways.iter().map(|way| Bar { name: way.way.clone(), ratio: way.ratio }).collect();
        keep(*options, &name, &table(&name, ways, calls.as_deref()), Some((scenario.title, &bars)))?;
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
        .map_err(|error| format!("{name} was not measured ({error}):\n{}", both(&output)))?;
    job.done("measured");
    Ok(measured)
}

/// The system calls of each way, by strace: (C(2N) − C(N)) / N.
fn count(progress: &Progress, arguments: &[&str], calls: Calls, ways: usize) -> Result<Vec<f64>, String> {
    const N: u64 = 6400; // whole batches of any scenario
    let is_there = || capture(Command::new("strace").arg("--version")).is_ok_and(|output| output.status.success());
    ensure(is_there, &["strace"], "strace, which counts system calls,")?;
    let benches = build_benches()?;
    let job = progress.job(arguments.join(" "));
    job.at("counting calls");
    let made = |place: usize, times: u64| {
        let file = tempfile::NamedTempFile::new().map_err(|error| format!("no temporary file: {error}"))?;
        let mut strace = Command::new("strace");
        strace.args(["--follow-forks", "--summary-only", "--output"]).arg(file.path()).arg(&benches).arg("repeat");
        run(strace.args([place.to_string(), times.to_string()]).args(arguments))?;
        let summary = std::fs::read_to_string(file.path()).unwrap_or_default();
        let total =
            summary.lines().find(|line| line.ends_with(" total")).and_then(|line| line.split_whitespace().nth(3));
        let total = total.and_then(|calls| calls.parse::<f64>().ok());
        total.ok_or_else(|| format!("strace counted nothing:\n{summary}"))
    };
    let of_way = |place| {
        let (once, twice) = (made(place, N)?, made(place, 2 * N)?);
        Ok((twice - once) / N as f64 / calls.of - calls.others)
    };
    let counted = (0..ways).map(of_way).collect::<Result<_, String>>();
    job.done(if counted.is_ok() { "counted" } else { "FAILED" });
    counted
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

fn table(name: &str, ways: Vec<Way>, calls: Option<&[f64]>) -> String {
    let mut header = vec![name, "ns", "ratio", "half of all ratios"];
    header.extend(ways.iter().any(|way| way.ours.is_some()).then_some("barepoll to this"));
    header.extend(calls.map(|_| "calls"));
    let rows = ways.into_iter().enumerate().map(|(place, Way { way, ns, ratio: [low, median, high], ours })| {
        let mut row = vec![way, format!("{ns:.0}"), format!("{median:.3}"), format!("{low:.3} – {high:.3}")];
        row.extend(ours.map(|[_, median, _]| format!("{median:.3}")));
        row.extend(calls.map(|calls| format!("{:.2}", calls[place])));
        row
    });
    report::markdown(&header, rows)
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
