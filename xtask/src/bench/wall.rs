//! `cargo xtask bench echo` and the like: scenarios. `benches` times several ways to do the same in
//! one run.

use crate::bench::{build_benches, Goal, Measured, Output, Table};
use crate::kit::chart::Bar;
use crate::kit::document::PERFORMANCE;
use crate::kit::progress::{Job, Progress};
use crate::kit::report;
use crate::kit::shell::{both, capture, run};
use clap::{Args, Subcommand};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::Path;
use std::process::Command;

#[derive(Subcommand)]
pub enum Benchmark {
    /// Time each call
    #[command(visible_alias = "wall")]
    Calls(Output),
    /// Time a wake-up from one thread to another and back
    Wakeup(Output),
    /// Time eight wake-ups before one wait
    Burst(Output),
    /// Time a spinning wait: with work ready, and with a wake-up from another core
    Spin(Output),
    /// Time changes of descriptors' interests
    Interest(Output),
    /// Time cancelling and adding timers, among 10,000 and 100,000
    Deadlines(Output),
    /// Time an echo server's work for a request
    Echo(Output),
    /// Measure how late waits of 10 µs to 10 ms end
    Timers(Output),
    /// Time a wait with 1 to 100,000 registered descriptors, and with 1 to 1,024 ready ones
    Scale(Output),
    /// Time threads that share an epoll, wake one loop, or share a port
    Threads(Threads),
}

#[derive(Args)]
pub struct Threads {
    #[command(flatten)]
    output: Output,
    /// The most threads, up to 16 [default: the number of processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=16))]
    cores: Option<u32>,
}

/// One run of `benches time`.
pub struct Scenario {
    /// The arguments of `benches`. Joined by hyphens, they name the table and the chart.
    arguments: &'static [&'static str],
    /// The work that is timed.
    subject: &'static str,
    /// The figure in the chart.
    figure: &'static str,
    calls: Option<CallCount>,
    bounds: &'static [Bound],
}

/// How to count the system calls of a scenario.
#[derive(Clone, Copy)]
struct CallCount {
    /// The operations in one turn.
    operations: f64,
    /// The calls for each operation that do not belong to the measured way.
    others: f64,
}

/// An upper bound, the last value, for a figure.
enum Bound {
    /// The ratio of barepoll's time to this way's.
    RatioTo(&'static str, f64),
    /// The ratio of this way's time to the first way's.
    RatioOf(&'static str, f64),
    /// The system calls of this way.
    Calls(&'static str, f64),
    /// The ratio of barepoll's wait to its timeout, for a timeout of this many microseconds.
    Wait(f64, f64),
}
use Bound::{RatioOf, RatioTo, Wait};

const fn scenario(arguments: &'static [&'static str], subject: &'static str, figure: &'static str) -> Scenario {
    Scenario { arguments, subject, figure, calls: None, bounds: &[] }
}

const fn call(arguments: &'static [&'static str], subject: &'static str) -> Scenario {
    scenario(arguments, subject, "time, as a ratio to asm! by hand").within(&[TO_BY_HAND])
}
const TO_BY_HAND: Bound = RatioTo("by-hand", 1.025);

/// Two calls for each request are the client's: a write and a read.
const fn echo(arguments: &'static [&'static str], subject: &'static str) -> Scenario {
    scenario(arguments, subject, "the server's time, as a ratio to libc's").counted(1.0, 2.0)
}
/// The calls for each request with which a server and clients in separate processes synchronise:
/// each sends a line and gets one, before and after 64 requests.
const SYNCHRONISATION: f64 = 8.0 / 64.0;

impl Scenario {
    const fn counted(self, operations: f64, others: f64) -> Self {
        Self { calls: Some(CallCount { operations, others }), ..self }
    }

    const fn within(self, bounds: &'static [Bound]) -> Self {
        Self { bounds, ..self }
    }

    pub fn name(&self) -> String {
        self.arguments.join("-")
    }
}

const CALLS: &[Scenario] = &[
    call(&["call", "wait", "1"], "wait(0), one thread"),
    call(&["call", "modify", "1"], "modify, one thread"),
    call(&["call", "write", "1"], "write to an eventfd, one thread"),
    call(&["call", "read", "1"], "read of an eventfd, one thread"),
    call(&["call", "create-close", "1"], "create and close, one thread"),
    call(&["call", "wait", "2"], "wait(0), two threads").within(&[
        TO_BY_HAND,
        RatioTo("libc", 0.88),
        RatioTo("nix", 0.88),
    ]),
    call(&["call", "wait-given", "2"], "wait with a timeout known at run time, two threads"),
    call(&["call", "modify", "2"], "modify, two threads"),
    call(&["call", "write", "2"], "write to an eventfd, two threads").within(&[
        TO_BY_HAND,
        RatioTo("libc", 0.83),
        RatioTo("nix", 0.83),
    ]),
    call(&["call", "read", "2"], "read of an eventfd, two threads").within(&[
        TO_BY_HAND,
        RatioTo("libc", 0.85),
        RatioTo("nix", 0.85),
    ]),
    call(&["call", "read-again", "2"], "read of an empty eventfd, two threads"),
    call(&["call", "create-close", "2"], "create and close, two threads"),
    call(&["call", "timerfd-set", "2"], "setting of a timerfd, two threads"),
    call(&["call", "timerfd-read", "2"], "read of a timerfd that has not expired, two threads"),
    call(&["call", "signalfd-read", "2"], "a signal sent and read from a signalfd, two threads"),
    call(&["call", "block-unblock", "2"], "a signal blocked and unblocked, two threads"),
];
const READ: &str = "eventfd, level, read";
const WAKER: &str = "barepoll's Waker";
/// Wakes a loop that is awake, so the wait is the only call.
const AWAKE: &str = "barepoll's Awake";
const WAKEUP: &[Scenario] = &[
    scenario(&["wakeup"], "There and back between two threads", "time, as a ratio to an eventfd that is read")
        .counted(2.0, 0.0)
        .within(&[
            Bound::Calls(WAKER, 2.0),
            RatioTo(READ, 0.85),
            RatioTo("mio's Waker", 0.95),
            RatioTo("polling's notify", 0.55),
        ]),
    scenario(&["wakeup-calls"], "A wake-up and the wait that it ends", "time, as a ratio to an eventfd that is read")
        .counted(1.0, 0.0),
];
const BURST: &[Scenario] = &[scenario(&["burst"], "Eight wake-ups before a wait", "time, as a ratio to eight writes")
    .counted(1.0, 0.0)
    .within(&[RatioTo(READ, 0.32), Bound::Calls(AWAKE, 1.0)])];
const SPIN: &[Scenario] = &[
    scenario(&["spin"], "A wait of at most 5 ms with work ready", "time, as a ratio to wait")
        .within(&[RatioOf("wait_spinning, 1", 0.8)]),
    scenario(
        &["spin-across", "5"],
        "A wake-up from another core, 5 µs after the wait began",
        "time until it is over, as a ratio to wait",
    ),
    scenario(
        &["spin-across", "200"],
        "A wake-up from another core, 200 µs after the wait began",
        "time until it is over, as a ratio to wait",
    ),
];
const INTEREST: &[Scenario] = &[
    scenario(&["interest"], "Each descriptor removed and added again", "time, as a ratio to calls at once")
        .within(&[RatioOf("InterestSet", 0.4)]),
    scenario(&["interest-nothing-to-save"], "Each interest changed once", "time, as a ratio to calls at once")
        .within(&[RatioOf("InterestSet", 1.05)]),
];
const THIRD: &[Bound] = &[RatioTo("BTreeMap", 0.333)];
const DEADLINES: &[Scenario] = &[
    scenario(
        &["deadlines", "10000"],
        "One of 10,000 timers cancelled and another added",
        "time, as a ratio to a BTreeMap",
    )
    .within(THIRD),
    scenario(
        &["deadlines", "100000"],
        "One of 100,000 timers cancelled and another added",
        "time, as a ratio to a BTreeMap",
    )
    .within(THIRD),
];
const ECHO: &[Scenario] = &[
    echo(&["echo", "1", "64"], "Echo of 64 bytes, 1 connection"),
    echo(&["echo", "64", "64"], "Echo of 64 bytes, 64 connections").within(&[
        RatioTo("libc, level", 0.9),
        RatioTo("mio, read until empty", 0.8),
        RatioTo("polling, one-shot", 0.75),
    ]),
    echo(&["echo", "1024", "64"], "Echo of 64 bytes, 1,024 connections"),
    echo(&["echo", "10000", "64"], "Echo of 64 bytes, 10,000 connections").counted(1.0, 2.0 + SYNCHRONISATION),
    echo(&["echo", "1", "16384"], "Echo of 16 KiB, 1 connection"),
    echo(&["echo", "64", "16384"], "Echo of 16 KiB, 64 connections"),
    echo(&["echo", "1024", "16384"], "Echo of 16 KiB, 1,024 connections"),
];
const TIMERS: &str = "timers";
const TIMER: &[Scenario] = &[scenario(&[TIMERS], "A timer", "").within(&[Wait(100.0, 1.1)])];
const SCALE: &[Scenario] = &[
    scenario(&["idle"], "wait(0) with many registered", "time, as a ratio to one").within(&[RatioOf("100,000", 1.01)]),
    scenario(&["ready"], "A wait with many ready", "time an event, as a ratio to one"),
];

/// Scenarios by their numbers of threads.
const THREADS: [(u32, [Scenario; 3]); 5] =
    [(1, threads!("1")), (2, threads!("2")), (4, threads!("4")), (8, threads!("8")), (16, threads!("16"))];
/// docs/performance.md has the tables for up to this many threads, because the machine that wrote it
/// has as many processors.
const DOCUMENTED_THREADS: u32 = 2;

macro_rules! threads {
    ($threads:literal) => {
        [
            scenario(
                &["share", $threads],
                concat!("An event taken and made again, threads: ", $threads),
                "time, as a ratio to an epoll for each thread",
            ),
            scenario(
                &["producers", $threads],
                concat!("Work for one loop and a wake-up, threads: ", $threads),
                "time, as a ratio to an eventfd that is read",
            ),
            scenario(
                &["accept", $threads],
                concat!("A connection accepted and closed, threads: ", $threads),
                "time, as a ratio to a listener for each thread",
            ),
        ]
    };
}
use threads;

fn with_threads(most: u32) -> impl Iterator<Item = &'static Scenario> {
    THREADS.iter().filter(move |(threads, _)| *threads <= most).flat_map(|(_, scenarios)| scenarios)
}

/// All scenarios with a table in docs/performance.md.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    let others = [CALLS, WAKEUP, BURST, SPIN, INTEREST, DEADLINES, ECHO, TIMER, SCALE];
    others.into_iter().flatten().chain(with_threads(DOCUMENTED_THREADS))
}

/// The figures of `benches time` for a way.
#[derive(Deserialize, Serialize)]
struct Way {
    name: String,
    ns: f64,
    /// Quartiles of its ratio to the first way, from the chunks of one round.
    ratio: [f64; 3],
    /// Quartiles of barepoll's ratio to it.
    ours: Option<[f64; 3]>,
    /// The system calls, counted by strace afterwards.
    calls: Option<f64>,
}

/// The figures of `benches time` for a timeout.
#[derive(Deserialize, Serialize)]
struct Timer {
    /// The timer slack.
    name: String,
    /// The timeout.
    asked_us: f64,
    ways: Vec<String>,
    /// The time that each way waited.
    given_us: Vec<f64>,
}

/// Runs a benchmark's scenarios. Returns its options too.
pub fn measure<'o>(
    progress: &Progress,
    measured: &mut Measured,
    benchmark: &'o Benchmark,
) -> (Result<(), String>, &'o Output) {
    let (scenarios, output) = match benchmark {
        Benchmark::Threads(Threads { output, cores }) => {
            let processors = || std::thread::available_parallelism().map_or(1, |number| number.get() as u32);
            let most = cores.unwrap_or_else(processors);
            let measure = |scenario| measure_scenario(progress, measured, scenario);
            return (with_threads(most).try_for_each(measure), output);
        }
        Benchmark::Calls(output) => (CALLS, output),
        Benchmark::Wakeup(output) => (WAKEUP, output),
        Benchmark::Burst(output) => (BURST, output),
        Benchmark::Spin(output) => (SPIN, output),
        Benchmark::Interest(output) => (INTEREST, output),
        Benchmark::Deadlines(output) => (DEADLINES, output),
        Benchmark::Echo(output) => (ECHO, output),
        Benchmark::Timers(output) => (TIMER, output),
        Benchmark::Scale(output) => (SCALE, output),
    };
    (scenarios.iter().try_for_each(|scenario| measure_scenario(progress, measured, scenario)), output)
}

/// Measures a scenario, and adds its table and goals.
pub fn measure_scenario(progress: &Progress, measured: &mut Measured, scenario: &Scenario) -> Result<(), String> {
    let name = scenario.name();
    let job = progress.job(name.as_str());
    job.at("building");
    // Every loop starts at a cache line, so that equal instructions take equal time wherever the
    // linker puts them.
    let benches = build_benches("release", &["-Cllvm-args=-align-loops=64"])?;
    job.at("measuring");
    let (text, rows, chart, goals);
    if name == TIMERS {
        let timers: Vec<Timer> = run_benches(&benches, "time", scenario)?;
        (text, rows, chart) = (timers_text(&timers), json!(timers), None);
        goals = scenario.goals(|bound| bound.goal_for_timers(&timers))?;
    } else {
        let mut ways: Vec<Way> = run_benches(&benches, "time", scenario)?;
        for (index, way) in ways.iter_mut().enumerate() {
            job.at(&format!("counting calls of {}", way.name));
            way.calls = scenario.calls.map(|calls| count(&benches, scenario, calls, index)).transpose()?;
        }
        let bars = ways.iter().map(|way| Bar { name: way.name.clone(), ratio: way.ratio }).collect();
        let title = format!("{}: {}", scenario.subject, scenario.figure);
        (text, rows, chart) = (ways_text(&name, &ways), json!(ways), Some((title, bars)));
        goals = scenario.goals(|bound| bound.goal_for_ways(&ways))?;
    }
    job.done("measured");
    measured.add(Table { name, rows, text, chart, documents: &[PERFORMANCE] });
    measured.goals.extend(goals);
    Ok(())
}

/// Checks every scenario for a full test: it works, has a figure for each way and bound, and has a
/// table in docs/performance.md.
pub fn run_checks(progress: &Progress) -> Result<usize, String> {
    progress.count("scenarios", "figures", |job| {
        job.at("building");
        let benches = build_benches("release", &[])?;
        all().map(|scenario| check_scenario(job, &benches, scenario)).sum()
    })
}

/// Runs a scenario for a moment. Returns how many figures it has.
fn check_scenario(job: &Job, benches: &Path, scenario: &Scenario) -> Result<usize, String> {
    let name = scenario.name();
    job.at(&name);
    PERFORMANCE.table(&name)?;
    let measured: Vec<f64> = if name == TIMERS {
        let timers: Vec<Timer> = run_benches(benches, "try", scenario)?;
        scenario.goals(|bound| bound.goal_for_timers(&timers))?;
        timers.into_iter().flat_map(|timer| timer.given_us).collect()
    } else {
        let mut ways: Vec<Way> = run_benches(benches, "try", scenario)?;
        ways.iter_mut().for_each(|way| way.calls = Some(0.0)); // not counted here
        scenario.goals(|bound| bound.goal_for_ways(&ways))?;
        ways.iter().flat_map(|way| [way.ns, way.ratio[1], way.ours.map_or(1.0, |ours| ours[1])]).collect()
    };
    if measured.is_empty() || !measured.iter().all(|figure| figure.is_finite() && *figure > 0.0) {
        return Err(format!("{name} has a way without a positive figure: {measured:?}"));
    }
    Ok(measured.len())
}

/// Runs `benches` for a scenario, and parses its output.
fn run_benches<T: DeserializeOwned>(benches: &Path, command: &str, scenario: &Scenario) -> Result<T, String> {
    let output = capture(Command::new(benches).arg(command).args(scenario.arguments))?;
    serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("{} was not measured ({error}):\n{}", scenario.name(), both(&output)))
}

impl Scenario {
    fn goals(&self, goal_for: impl Fn(&Bound) -> Option<Goal>) -> Result<Vec<Goal>, String> {
        let goal = |bound| {
            let goal =
                goal_for(bound).ok_or_else(|| format!("{} lacks the figure of one of its goals", self.name()))?;
            Ok(Goal { name: format!("{}: {}", self.subject, goal.name), ..goal })
        };
        self.bounds.iter().map(goal).collect()
    }
}

impl Bound {
    fn goal_for_ways(&self, ways: &[Way]) -> Option<Goal> {
        let way = |name: &str| ways.iter().find(|way| way.name == name);
        let null_pair = ways.get(1).map(|again| again.ratio[1]);
        match *self {
            RatioTo(name, most) => {
                let ours = way(name)?.ours?[1];
                Some(Goal { null_pair, ..Goal::at_most(format!("barepoll to {name}"), most, ours, 3) })
            }
            RatioOf(name, most) => {
                let (ratio, first) = (way(name)?.ratio[1], &ways.first()?.name);
                Some(Goal { null_pair, ..Goal::at_most(format!("{name} to {first}"), most, ratio, 3) })
            }
            Bound::Calls(name, most) => {
                Some(Goal::at_most(format!("system calls of {name}"), most, way(name)?.calls?, 2))
            }
            Wait(..) => None,
        }
    }

    /// Uses the first timer with this timeout, which has a thread's default slack.
    fn goal_for_timers(&self, timers: &[Timer]) -> Option<Goal> {
        let Wait(asked, most) = *self else { return None };
        let timer = timers.iter().find(|timer| timer.asked_us == asked)?;
        let place = timer.ways.iter().position(|way| way == "barepoll")?;
        let ratio = timer.given_us.get(place)? / asked;
        Some(Goal::at_most(format!("given by barepoll, to the {asked} µs asked for"), most, ratio, 3))
    }
}

/// The system calls of an operation, counted by strace: (C(2N) − C(N)) / N.
fn count(benches: &Path, scenario: &Scenario, calls: CallCount, way: usize) -> Result<f64, String> {
    const N: u64 = 6400; // whole batches of any scenario
    let made = |times: u64| {
        let file =
            tempfile::NamedTempFile::new().map_err(|error| format!("cannot create a temporary file: {error}"))?;
        let mut strace = Command::new("strace");
        strace.args(["--follow-forks", "--summary-only", "--output"]).arg(file.path()).arg(benches).arg("repeat");
        run(strace.args([way.to_string(), times.to_string()]).args(scenario.arguments))?;
        let summary = std::fs::read_to_string(file.path()).unwrap_or_default();
        let total =
            summary.lines().find(|line| line.ends_with(" total")).and_then(|line| line.split_whitespace().nth(3));
        let total = total.and_then(|calls| calls.parse::<f64>().ok());
        total.ok_or_else(|| format!("strace printed no total:\n{summary}"))
    };
    let (once, twice) = (made(N)?, made(2 * N)?);
    Ok((twice - once) / N as f64 / calls.operations - calls.others)
}

fn ways_text(name: &str, ways: &[Way]) -> String {
    let mut header = vec![name, "ns", "ratio", "half of all ratios"];
    header.extend(ways.iter().any(|way| way.ours.is_some()).then_some("barepoll to this"));
    header.extend(ways.iter().any(|way| way.calls.is_some()).then_some("calls"));
    let rows = ways.iter().map(|Way { name, ns, ratio: [low, median, high], ours, calls }| {
        let mut row = vec![name.clone(), format!("{ns:.0}"), format!("{median:.3}"), format!("{low:.3} – {high:.3}")];
        row.extend(ours.map(|[_, median, _]| format!("{median:.3}")));
        row.extend(calls.map(|calls| format!("{calls:.2}")));
        row
    });
    report::markdown(&header, rows)
}

fn timers_text(timers: &[Timer]) -> String {
    let names = timers.first().map(|timer| timer.ways.clone()).unwrap_or_default();
    let header: Vec<&str> = ["timer slack", "asked, µs"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let rows = timers.iter().map(|timer| {
        let given = timer.given_us.iter().map(|given| format!("{given:.0}"));
        [timer.name.clone(), timer.asked_us.to_string()].into_iter().chain(given).collect()
    });
    report::markdown(&header, rows)
}
