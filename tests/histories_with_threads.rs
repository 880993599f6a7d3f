//! Random histories of threads that share epolls. The kernel's answers are those of the model for
//! some order of the calls.
#![allow(clippy::incompatible_msrv)] // the minimum Rust version is the library's; tests use the current one

#[path = "histories/threads/call.rs"]
mod call;
#[path = "support/cases.rs"]
mod cases;
#[path = "support/corpus.rs"]
#[allow(dead_code)] // a fuzzer's histories have one thread
mod corpus;
#[path = "histories/threads/crew.rs"]
mod crew;
#[path = "support/figures.rs"]
mod figures;
#[path = "histories/kernel.rs"]
#[allow(dead_code)] // only the type of an answer is used
mod kernel;
#[path = "histories/threads/model.rs"]
mod model;
#[path = "histories/threads/search.rs"]
mod search;
#[path = "histories/step.rs"]
#[allow(dead_code)] // the histories of one thread
mod step;
#[path = "histories/world.rs"]
#[allow(dead_code)]
mod world;

use call::{plan, short, THREADS};
use cases::cases;
use crew::{world, Crew};
use model::{History, Made};
use search::{explain, Explained};
use std::sync::Mutex;

/// Histories of an ordinary test run.
const HISTORIES: u32 = 10_000;

/// Serializes the tests, because histories use the same descriptors.
static ALONE: Mutex<()> = Mutex::new(());

fn calls(history: &History) -> impl Iterator<Item = (usize, &Made)> {
    history.iter().enumerate().flat_map(|(thread, calls)| calls.iter().map(move |made| (thread, made)))
}

/// Calls of different threads that were made at the same time, in pairs.
fn overlaps(history: &History) -> usize {
    let pairs = calls(history).flat_map(|one| calls(history).map(move |other| (one, other)));
    let overlap = |((thread, one), (other_thread, other)): &((usize, &Made), (usize, &Made))| {
        thread < other_thread && one.begin < other.end && other.begin < one.end
    };
    pairs.filter(overlap).count()
}

/// A row for each begin and end, a column for each thread.
fn table(history: &History) -> String {
    const WIDTH: usize = 34;
    let mut rows: Vec<(u64, usize, String)> = Vec::new();
    for (thread, made) in calls(history) {
        let events: Vec<String> =
            made.answer.events.iter().map(|(flags, data)| format!("{flags:x}:{}", data >> 32)).collect();
        let result = made.answer.result.map_or_else(|errno| format!("{errno:?}"), |count| count.to_string());
        rows.push((made.begin, thread, short(&made.call)));
        rows.push((made.end, thread, format!("= {result} {}", events.join(" "))));
    }
    rows.sort_unstable_by_key(|(time, ..)| *time);
    let heads =
        (0..THREADS).map(|thread| if thread + 1 == THREADS { "main".into() } else { format!("thread {thread}") });
    let line =
        |cells: &[String]| cells.iter().map(|cell| format!("{cell:<WIDTH$}")).collect::<String>().trim_end().to_owned();
    let mut lines = vec![line(&heads.collect::<Vec<_>>())];
    for (_, thread, text) in rows {
        let mut cells = vec![String::new(); THREADS];
        cells[thread] = text;
        lines.push(line(&cells));
    }
    lines.join("\n")
}

#[derive(Default)]
struct Counted {
    calls: usize,
    events: usize,
    overlapping: usize,
    pairs: usize,
    by_parts: usize,
}

#[test]
fn each_answer_is_one_that_an_order_of_the_calls_allows() {
    let _alone = ALONE.lock();
    let histories = cases(HISTORIES).cases;
    let (crew, mut counted) = (Crew::new(), Counted::default());
    for number in 0..u64::from(histories) {
        let plan = plan(number);
        let history = crew.run(&plan, Box::new(world()));
        let Some(explained) = explain(&history) else {
            panic!("no order of the calls of history {number} gives these answers:\n{}", table(&history))
        };
        let pairs = overlaps(&history);
        counted.calls += calls(&history).count();
        counted.events += calls(&history).map(|(_, made)| made.answer.events.len()).sum::<usize>();
        counted.overlapping += usize::from(pairs > 0);
        counted.pairs += pairs;
        counted.by_parts += usize::from(explained == Explained::ByParts);
    }
    let Counted { calls, events, overlapping, pairs, by_parts } = counted;
    println!("{calls} calls {events} events {overlapping} overlapping {pairs} pairs {by_parts} by parts");
    figures::report(
        "threads",
        &[
            ("random histories", histories as usize),
            ("calls", calls),
            ("events", events),
            ("histories with calls at the same time", overlapping),
            ("pairs of calls at the same time", pairs),
            ("histories that only parts of calls explain", by_parts),
            ("histories that nothing explains", 0), // such a history fails before this
        ],
    );
}
