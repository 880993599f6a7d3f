//! Random histories of two or three threads that share epolls. For some order of the calls that is
//! consistent with time, the kernel's answers are the model's.
//!
//! A history has at most five calls a thread, so the search for an order is exhaustive. A history
//! that it refuses is a failure at once: nothing is tried again. The model's comment lists the
//! answers that need an order of the calls' parts. No call has a timeout, and no test waits for a
//! time: a thread that sleeps is seen to sleep, and then a bell ends its wait.
//!
//! The number of a history is the seed of its calls. `BAREPOLL_CASES` is the number of histories.
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
#[path = "histories/threads/faulty.rs"]
mod faulty;
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

use barepoll::raw::{EPOLLET, EPOLLIN, EPOLLOUT};
use call::{plan, plan_in_turns, short, Call, Plan, COUNTER, READER, THREADS, WRITER};
use cases::cases;
use crew::{world, Calls, Crew};
use faulty::{Fault, Faulty};
use kernel::Answer;
use model::{History, Made};
use search::{explain, Explained};
use std::sync::Mutex;
use step::Step;

/// Histories of an ordinary test run.
const HISTORIES: u32 = 2000;

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
        let event = |(flags, data): &(u32, u64)| match flags {
            0 => data.to_string(), // what was read
            _ => format!("{flags:x}:{}", data >> 32),
        };
        let events: Vec<String> = made.answer.events.iter().map(event).collect();
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

/// A plan and its history, which nothing explains.
struct Refused {
    plan: Plan,
    history: History,
}

/// Runs a plan up to this many times, until a history is refused.
fn refused(crew: &Crew, plan: &Plan, times: usize, calls: &dyn Fn() -> Box<dyn Calls>) -> Option<Refused> {
    let histories = (0..times).map(|_| crew.run(plan, calls()));
    let mut refused = histories.filter(|history| explain(history).is_none());
    refused.next().map(|history| Refused { plan: plan.clone(), history })
}

/// Leaves out calls for as long as a history without them is refused in one of `times` runs.
fn shrunk(crew: &Crew, mut refused_before: Refused, times: usize, calls: &dyn Fn() -> Box<dyn Calls>) -> Refused {
    loop {
        let smaller = refused_before.plan.smaller();
        match smaller.iter().find_map(|plan| refused(crew, plan, times, calls)) {
            Some(smaller) => refused_before = smaller,
            None => return refused_before,
        }
    }
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
            let first = table(&history);
            let Refused { history, .. } = shrunk(&crew, Refused { plan, history }, 300, &|| Box::new(world()));
            panic!(
                "no order of the calls of history {number} gives these answers:\n{first}\n\n\
                 The shortest like it:\n{}",
                table(&history)
            )
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

/// Plans that a fault is looked for in.
const PLANS: u64 = 300;

/// Each fault shows when one call ends before the next begins, so the plans are run in turns. The
/// calls and their order are then the same in every run. So are the answers, and the plan that
/// finds the fault.
#[test]
fn a_fault_put_in_on_purpose_is_found() {
    let _alone = ALONE.lock();
    let crew = Crew::new();
    let find = |fault| {
        let faulty = move || -> Box<dyn Calls> { Box::new(Faulty::new(fault)) };
        let found = (0..PLANS).find_map(|number| Some((number, refused(&crew, &plan_in_turns(number), 1, &faulty)?)));
        found.map(|(number, found)| (number, shrunk(&crew, found, 1, &faulty).history))
    };
    if let Some((number, history)) = find(Fault::None) {
        panic!("history {number} has no fault, and nothing explains it:\n{}", table(&history));
    }
    for fault in Fault::ALL {
        let (number, history) = find(fault).unwrap_or_else(|| panic!("{fault:?} is in none of {PLANS} histories"));
        println!("\n{fault:?} is found in history {number}, whose core is:\n{}", table(&history));
    }
}

/// A call of a history that is written by hand: its begin, its end, its answer.
fn made(call: Step, (begin, end): (u64, u64), result: usize, events: &[(u32, u64)]) -> Made {
    Made { call: Call::Take(call), answer: Answer { result: Ok(result), events: events.to_vec() }, begin, end }
}

const IN: u32 = EPOLLIN;
const COUNT: Step = Step::Count { slot: COUNTER, add: 1 };
const WAIT: Step = Step::Wait { epoll: 0, room: 16 };

fn add(slot: usize, events: u32) -> Step {
    Step::Add { epoll: 0, slot, events, data: slot as u64 }
}

#[test]
fn a_wait_may_find_nothing_only_beside_another_wait() {
    let history = |second| -> History {
        let main = vec![made(add(COUNTER, IN), (0, 1), 0, &[]), made(COUNT, (2, 3), 8, &[])];
        [vec![made(WAIT, (4, 7), 1, &[(IN, 3)])], vec![made(WAIT, second, 0, &[])], vec![], main]
    };
    assert_eq!(explain(&history((5, 6))), Some(Explained::ByParts));
    assert_eq!(explain(&history((8, 9))), None);
}

#[test]
fn an_edge_may_be_reported_twice_only_during_its_write() {
    let history = |write, first, second| -> History {
        let both = IN | EPOLLOUT;
        let waits = vec![made(WAIT, first, 1, &[(both, 3)]), made(WAIT, second, 1, &[(both, 3)])];
        // The counter is writable, so it is on the ready list.
        let main = vec![made(add(COUNTER, both | EPOLLET), (0, 1), 0, &[])];
        [vec![made(COUNT, write, 8, &[])], waits, vec![], main]
    };
    assert_eq!(explain(&history((2, 7), (3, 4), (5, 6))), Some(Explained::ByParts));
    assert_eq!(explain(&history((2, 3), (4, 5), (6, 7))), None);
}

#[test]
fn the_events_of_a_wait_may_be_of_different_moments_only_during_the_calls() {
    let (write, bytes) = (Step::Write { slot: WRITER, bytes: 1 }, 8);
    let (read, read_counter) = (Step::Read { slot: READER, bytes }, Step::Read { slot: COUNTER, bytes });
    let history = |wait| -> History {
        let main = vec![
            made(add(COUNTER, IN), (0, 1), 0, &[]),
            made(add(READER, IN), (2, 3), 0, &[]),
            made(COUNT, (4, 5), 8, &[]),
            made(write, (6, 7), 1, &[]),
            // The reader stays on the ready list.
            made(read, (8, 9), 1, &[]),
        ];
        let changes = vec![made(read_counter, (11, 12), 8, &[(0, 1)]), made(write, (13, 14), 1, &[])];
        [vec![made(WAIT, wait, 2, &[(IN, 3), (IN, 4)])], changes, vec![], main]
    };
    assert_eq!(explain(&history((10, 15))), Some(Explained::ByParts));
    assert_eq!(explain(&history((15, 16))), None);
}
