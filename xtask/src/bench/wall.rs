//! `cargo xtask bench echo` and the like: ways to do the same, timed beside each other in one run by `benches`.

use crate::bench::{build_benches, Goal, Measured, Sink, Table};
use crate::kit::chart::Bar;
use crate::kit::document::PERFORMANCE;
use crate::kit::progress::{Job, Progress};
use crate::kit::report;
use crate::kit::shell::{both, capture, run};
use clap::Subcommand;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::Path;
use std::process::Command;

#[derive(Subcommand)]
pub enum What {
    /// Each call by itself
    #[command(visible_alias = "wall")]
    Calls(Sink),
    /// One thread wakes another, and is woken
    Wakeup(Sink),
    /// Eight wake-ups before the loop comes round
    Burst(Sink),
    /// A wait that may block: with work ready, and with a wake-up on its way from another core
    Spin(Sink),
    /// Changes of what descriptors are watched for
    Interest(Sink),
    /// A server's own time for a request
    Echo(Sink),
    /// Waits until a time, from 10 µs to 10 ms: asked, and given
    Timers(Sink),
    /// A wait with 1 to 100,000 registered, and with 1 to 1,024 ready
    Scale(Sink),
}

/// What is measured in one run of `benches time`.
pub struct Scenario {
    /// The arguments; joined by hyphens, the name of the table and of the chart.
    arguments: &'static [&'static str],
    /// What is done, and what is measured of it.
    subject: &'static str,
    figure: &'static str,
    calls: Option<Calls>,
    bounds: &'static [Bound],
}

/// How system calls are counted: of how many things one turn is made, and how many calls of each are not the way's own.
#[derive(Clone, Copy)]
struct Calls {
    of: f64,
    others: f64,
}

/// What is to be at most so much.
enum Bound {
    /// barepoll's time, as a ratio to this way's.
    To(&'static str, f64),
    /// This way's time, as a ratio to the first way's.
    Of(&'static str, f64),
    /// The system calls of this way.
    Calls(&'static str, f64),
    /// What barepoll gives of so many microseconds asked for, as a ratio.
    Given(f64, f64),
}
use Bound::{Given, Of, To};

const fn scenario(arguments: &'static [&'static str], subject: &'static str, figure: &'static str) -> Scenario {
    Scenario { arguments, subject, figure, calls: None, bounds: &[] }
}

const fn call(arguments: &'static [&'static str], subject: &'static str) -> Scenario {
    scenario(arguments, subject, "time, as a ratio to asm! by hand").within(&[TO_BY_HAND])
}
const TO_BY_HAND: Bound = To("by-hand", 1.025);

/// Less a client's own calls for a request: it writes one, and reads the answer.
const fn echo(arguments: &'static [&'static str], subject: &'static str) -> Scenario {
    scenario(arguments, subject, "the server's time, as a ratio to libc's").counted(1.0, 2.0)
}
/// A server and its clients that are processes of their own say a line to each other, and one back, before and after each 64 requests.
const APART: f64 = 8.0 / 64.0;

impl Scenario {
    const fn counted(self, of: f64, others: f64) -> Self {
        Self { calls: Some(Calls { of, others }), ..self }
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
    call(&["call", "wait", "2"], "wait(0), two threads").within(&[TO_BY_HAND, To("libc", 0.88), To("nix", 0.88)]),
    call(&["call", "wait-given", "2"], "wait with a timeout known at run time, two threads"),
    call(&["call", "modify", "2"], "modify, two threads"),
    call(&["call", "write", "2"], "write to an eventfd, two threads").within(&[
        TO_BY_HAND,
        To("libc", 0.83),
        To("nix", 0.83),
    ]),
    call(&["call", "read", "2"], "read of an eventfd, two threads").within(&[
        TO_BY_HAND,
        To("libc", 0.85),
        To("nix", 0.85),
    ]),
    call(&["call", "read-again", "2"], "read of an empty eventfd, two threads"),
    call(&["call", "create-close", "2"], "create and close, two threads"),
];
const READ: &str = "eventfd, level, read";
const WAKER: &str = "barepoll's Waker";
const WAKEUP: &[Scenario] = &[
    scenario(&["wakeup"], "There and back between two threads", "time, as a ratio to an eventfd that is read")
        .counted(2.0, 0.0)
        .within(&[Bound::Calls(WAKER, 2.0), To(READ, 0.85), To("mio's Waker", 0.95), To("polling's notify", 0.55)]),
    scenario(&["wakeup-calls"], "A wake-up and the wait that it ends", "time, as a ratio to an eventfd that is read")
        .counted(1.0, 0.0),
];
const BURST: &[Scenario] = &[scenario(&["burst"], "Eight wake-ups before a wait", "time, as a ratio to eight writes")
    .counted(1.0, 0.0)
    .within(&[To(READ, 0.32)])];
const SPIN: &[Scenario] = &[
    scenario(&["spin"], "A wait of at most 5 ms with work ready", "time, as a ratio to wait")
        .within(&[Of("wait_spinning, 1", 0.8)]),
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
        .within(&[Of("InterestSet", 0.4)]),
    scenario(&["interest-nothing-to-save"], "Each interest changed once", "time, as a ratio to calls at once")
        .within(&[Of("InterestSet", 1.05)]),
];
const ECHO: &[Scenario] = &[
    echo(&["echo", "1", "64"], "Echo of 64 bytes, 1 connection"),
    echo(&["echo", "64", "64"], "Echo of 64 bytes, 64 connections").within(&[
        To("libc, level", 0.9),
        To("mio, read until empty", 0.8),
        To("polling, one-shot", 0.75),
    ]),
    echo(&["echo", "1024", "64"], "Echo of 64 bytes, 1,024 connections"),
    echo(&["echo", "10000", "64"], "Echo of 64 bytes, 10,000 connections").counted(1.0, 2.0 + APART),
    echo(&["echo", "1", "16384"], "Echo of 16 KiB, 1 connection"),
    echo(&["echo", "64", "16384"], "Echo of 16 KiB, 64 connections"),
    echo(&["echo", "1024", "16384"], "Echo of 16 KiB, 1,024 connections"),
];
const TIMERS: &str = "timers";
const TIMER: &[Scenario] = &[scenario(&[TIMERS], "A timer", "").within(&[Given(100.0, 1.1)])];
const SCALE: &[Scenario] = &[
    scenario(&["idle"], "wait(0) with many registered", "time, as a ratio to one").within(&[Of("100,000", 1.01)]),
    scenario(&["ready"], "A wait with many ready", "time an event, as a ratio to one"),
];

/// Every scenario.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    [CALLS, WAKEUP, BURST, SPIN, INTEREST, ECHO, TIMER, SCALE].into_iter().flatten()
}

/// What `benches time` says of a way to do it; the calls are counted afterwards.
#[derive(Deserialize, Serialize)]
struct Way {
    name: String,
    ns: f64,
    /// Quartiles of its ratio to the first way, of the chunks of one round.
    ratio: [f64; 3],
    /// Quartiles of barepoll's ratio to it.
    ours: Option<[f64; 3]>,
    calls: Option<f64>,
}

/// What it says of a time that was asked for; the name is how late a timer may be.
#[derive(Deserialize, Serialize)]
struct Timer {
    name: String,
    asked_us: f64,
    ways: Vec<String>,
    given_us: Vec<f64>,
}

/// What was asked for, by the options that came with it.
pub fn measure<'o>(progress: &Progress, measured: &mut Measured, what: &'o What) -> (Result<(), String>, &'o Sink) {
    let (scenarios, options) = match what {
        What::Calls(options) => (CALLS, options),
        What::Wakeup(options) => (WAKEUP, options),
        What::Burst(options) => (BURST, options),
        What::Spin(options) => (SPIN, options),
        What::Interest(options) => (INTEREST, options),
        What::Echo(options) => (ECHO, options),
        What::Timers(options) => (TIMER, options),
        What::Scale(options) => (SCALE, options),
    };
    (scenarios.iter().try_for_each(|scenario| one(progress, measured, scenario)), options)
}

/// One scenario, and what it is held against.
pub fn one(progress: &Progress, measured: &mut Measured, scenario: &Scenario) -> Result<(), String> {
    let name = scenario.name();
    let job = progress.job(name.as_str());
    job.at("building");
    // Every loop begins a line of the cache: then equal instructions take equal time, wherever the linker has put them.
    let benches = build_benches("release", &["-Cllvm-args=-align-loops=64"])?;
    job.at("measuring");
    let (text, rows, chart, goals);
    if name == TIMERS {
        let timers: Vec<Timer> = said(&benches, "time", scenario)?;
        (text, rows, chart) = (timers_text(&timers), json!(timers), None);
        goals = scenario.goals(|bound| bound.of_timers(&timers))?;
    } else {
        let mut ways: Vec<Way> = said(&benches, "time", scenario)?;
        for (place, way) in ways.iter_mut().enumerate() {
            job.at(&format!("counting calls of {}", way.name));
            way.calls = scenario.calls.map(|calls| count(&benches, scenario, calls, place)).transpose()?;
        }
        let bars = ways.iter().map(|way| Bar { name: way.name.clone(), ratio: way.ratio }).collect();
        let title = format!("{}: {}", scenario.subject, scenario.figure);
        (text, rows, chart) = (ways_text(&name, &ways), json!(ways), Some((title, bars)));
        goals = scenario.goals(|bound| bound.of_ways(&ways))?;
    }
    job.done("measured");
    measured.add(Table { name, rows, text, chart, documents: &[PERFORMANCE] });
    measured.goals.extend(goals);
    Ok(())
}

/// For a full test: every scenario works, has a figure for each of its ways and of what it is held against, and a place in the document.
pub fn run_checks(progress: &Progress) -> Result<usize, String> {
    progress.count("scenarios", "figures", |job| {
        job.at("building");
        let benches = build_benches("release", &[])?;
        all().map(|scenario| try_out(job, &benches, scenario)).sum()
    })
}

/// Runs a scenario for a moment, and gives how many figures it has.
fn try_out(job: &Job, benches: &Path, scenario: &Scenario) -> Result<usize, String> {
    let name = scenario.name();
    job.at(&name);
    PERFORMANCE.table(&name)?;
    let measured: Vec<f64> = if name == TIMERS {
        let timers: Vec<Timer> = said(benches, "try", scenario)?;
        scenario.goals(|bound| bound.of_timers(&timers))?;
        timers.into_iter().flat_map(|timer| timer.given_us).collect()
    } else {
        let mut ways: Vec<Way> = said(benches, "try", scenario)?;
        ways.iter_mut().for_each(|way| way.calls = Some(0.0)); // which nobody has counted
        scenario.goals(|bound| bound.of_ways(&ways))?;
        ways.iter().flat_map(|way| [way.ns, way.ratio[1], way.ours.map_or(1.0, |ours| ours[1])]).collect()
    };
    if measured.is_empty() || !measured.iter().all(|figure| figure.is_finite() && *figure > 0.0) {
        return Err(format!("{name} gives no figure for each way: {measured:?}"));
    }
    Ok(measured.len())
}

/// What `benches` says of a scenario.
fn said<T: DeserializeOwned>(benches: &Path, how: &str, scenario: &Scenario) -> Result<T, String> {
    let output = capture(Command::new(benches).arg(how).args(scenario.arguments))?;
    serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("{} was not measured ({error}):\n{}", scenario.name(), both(&output)))
}

impl Scenario {
    fn goals(&self, found: impl Fn(&Bound) -> Option<Goal>) -> Result<Vec<Goal>, String> {
        let goal = |bound| {
            let goal =
                found(bound).ok_or_else(|| format!("{} does not measure what it is held against", self.name()))?;
            Ok(Goal { name: format!("{}: {}", self.subject, goal.name), ..goal })
        };
        self.bounds.iter().map(goal).collect()
    }
}

impl Bound {
    fn of_ways(&self, ways: &[Way]) -> Option<Goal> {
        let way = |name: &str| ways.iter().find(|way| way.name == name);
        let null_pair = ways.get(1).map(|again| again.ratio[1]);
        match *self {
            To(name, most) => {
                let ours = way(name)?.ours?[1];
                Some(Goal { null_pair, ..Goal::at_most(format!("barepoll to {name}"), most, ours, 3) })
            }
            Of(name, most) => {
                let (ratio, first) = (way(name)?.ratio[1], &ways.first()?.name);
                Some(Goal { null_pair, ..Goal::at_most(format!("{name} to {first}"), most, ratio, 3) })
            }
            Bound::Calls(name, most) => {
                Some(Goal::at_most(format!("system calls of {name}"), most, way(name)?.calls?, 2))
            }
            Given(..) => None,
        }
    }

    /// With the slack that is first, which is what a thread has unless it asks.
    fn of_timers(&self, timers: &[Timer]) -> Option<Goal> {
        let Given(asked, most) = *self else { return None };
        let timer = timers.iter().find(|timer| timer.asked_us == asked)?;
        let place = timer.ways.iter().position(|way| way == "barepoll")?;
        let ratio = timer.given_us.get(place)? / asked;
        Some(Goal::at_most(format!("given by barepoll, to the {asked} µs asked for"), most, ratio, 3))
    }
}

/// The system calls of a way, by strace: (C(2N) − C(N)) / N.
fn count(benches: &Path, scenario: &Scenario, calls: Calls, place: usize) -> Result<f64, String> {
    const N: u64 = 6400; // whole batches of any scenario
    let made = |times: u64| {
        let file = tempfile::NamedTempFile::new().map_err(|error| format!("no temporary file: {error}"))?;
        let mut strace = Command::new("strace");
        strace.args(["--follow-forks", "--summary-only", "--output"]).arg(file.path()).arg(benches).arg("repeat");
        run(strace.args([place.to_string(), times.to_string()]).args(scenario.arguments))?;
        let summary = std::fs::read_to_string(file.path()).unwrap_or_default();
        let total =
            summary.lines().find(|line| line.ends_with(" total")).and_then(|line| line.split_whitespace().nth(3));
        let total = total.and_then(|calls| calls.parse::<f64>().ok());
        total.ok_or_else(|| format!("strace counted nothing:\n{summary}"))
    };
    let (once, twice) = (made(N)?, made(2 * N)?);
    Ok((twice - once) / N as f64 / calls.of - calls.others)
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
