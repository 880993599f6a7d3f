//! The same random calls through `barepoll::raw`, barepoll's types, rustix and libc, each with its
//! own descriptors and memory. After each call, results, errors, events and their order, and the
//! bytes in memory must be equal. Some arguments are invalid: closed descriptors, unknown
//! operations, every flag, every size, unmapped addresses.
#![allow(clippy::incompatible_msrv)] // the minimum Rust version is the library's; tests use the current one

#[path = "peers/by_libc.rs"]
mod by_libc;
#[path = "peers/by_raw.rs"]
mod by_raw;
#[path = "peers/by_rustix.rs"]
mod by_rustix;
#[path = "peers/by_types.rs"]
mod by_types;
#[path = "peers/call.rs"]
mod call;
#[path = "support/cases.rs"]
mod cases;
#[path = "support/corpus.rs"]
mod corpus;
#[path = "support/figures.rs"]
mod figures;
#[path = "peers/world.rs"]
mod world;

use call::{history, Call, Fd, Kind, FIRST};
use cases::cases;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseResult, TestRunner};
use std::cell::RefCell;
use std::sync::Mutex;
use std::thread;
use world::{Answer, FileType, Layout, World, BLANK};

/// The most calls of a history.
const MOST: usize = 120;

/// Makes a call on a world. `None` if its interface cannot express the call.
type By = fn(&mut World, &Layout, &Call) -> Option<Answer>;

/// The interfaces that are compared with libc.
const PEERS: [(&str, By); 3] = [("raw", by_raw::call), ("types", by_types::call), ("rustix", by_rustix::call)];

/// What was compared.
#[derive(Clone, Copy, Default)]
struct Compared {
    calls: usize,
    errors: usize,
    events: usize,
}

struct Worlds {
    libc: World,
    peers: [World; PEERS.len()],
    layout: Layout,
    compared: [Compared; PEERS.len()],
    made: usize,
}

impl Worlds {
    fn new() -> Self {
        Self {
            libc: World::new(0),
            peers: [1, 2, 3].map(World::new),
            layout: Layout::default(),
            compared: [Compared::default(); PEERS.len()],
            made: 0,
        }
    }

    /// Makes calls on new descriptors.
    fn check(&mut self, calls: &[Call]) -> TestCaseResult {
        let outcome = FIRST.iter().chain(calls).try_for_each(|call| self.make(call));
        let opened = std::mem::take(&mut self.layout);
        self.peers.iter().chain([&self.libc]).for_each(|world| world.close_all(&opened));
        outcome
    }

    /// Makes a call in every world and compares the results.
    fn make(&mut self, call: &Call) -> TestCaseResult {
        if let Call::Open(kind) = *call {
            self.open(kind);
            return Ok(());
        }
        self.libc.buffer().fill(BLANK);
        let expected = by_libc::call(&mut self.libc, &self.layout, call).expect("libc can express every call");
        for ((world, (name, by)), compared) in self.peers.iter_mut().zip(PEERS).zip(&mut self.compared) {
            world.buffer().fill(BLANK);
            let Some(answer) = by(world, &self.layout, call) else {
                // Keeps its world equal to the others.
                world.buffer().fill(BLANK);
                by_libc::call(world, &self.layout, call).expect("libc can express every call");
                continue;
            };
            prop_assert_eq!(&answer, &expected, "{}, and libc: {:?}", name, call);
            // Input buffers may differ: types and rustix keep input elsewhere.
            if !matches!(call, Call::Control { .. }) {
                prop_assert!(world.buffer() == self.libc.buffer(), "{}'s memory differs from libc's: {:?}", name, call);
            }
            compared.calls += 1;
            compared.errors += usize::from(answer.result.is_err());
            compared.events += if let Call::Wait { .. } = call { answer.events.len() } else { 0 };
        }
        self.made += 1;
        self.note(call, &expected);
        Ok(())
    }

    fn open(&mut self, kind: Kind) {
        let free = self.layout.free();
        let count = if kind == Kind::Directory { 1 } else { 2 };
        if let Some(slots) = free.get(..count) {
            self.peers.iter().chain([&self.libc]).for_each(|world| world.open(kind, slots));
            slots.iter().for_each(|slot| self.layout.slots[*slot] = Some(FileType::Other));
        }
    }

    /// Records which descriptors are open now.
    fn note(&mut self, call: &Call, answer: &Answer) {
        let slots = &mut self.layout.slots;
        if answer.result.is_err() {
            return;
        }
        let sort = match *call {
            Call::Create { .. } | Call::Create1 { .. } => FileType::Other,
            Call::Eventfd { .. } => FileType::Counter,
            Call::Duplicate { from, to } => return slots[to] = slots[from],
            Call::Close(Fd::Slot(slot)) => return slots[slot] = None,
            _ => return,
        };
        if let Some(slot) = slots.iter_mut().find(|slot| slot.is_none()) {
            *slot = Some(sort);
        }
    }
}

/// Serializes the tests, because all worlds of a process need the same descriptor numbers.
static ALONE: Mutex<()> = Mutex::new(());

/// Replays a fuzzer's calls.
pub fn replay(bytes: &[u8]) {
    thread_local!(static WORLDS: RefCell<Worlds> = RefCell::new(Worlds::new()));
    let mut calls = corpus::steps(&call::call(), bytes);
    calls.truncate(MOST);
    if let Err(error) = WORLDS.with(|worlds| worlds.borrow_mut().check(&calls)) {
        panic!("{error}, after {calls:?}");
    }
}

#[test]
fn what_a_fuzzer_found_is_as_by_libc() {
    let _alone = ALONE.lock();
    // The worlds belong to this thread, which closes their descriptors when it ends, before the
    // next test.
    thread::spawn(|| corpus::each("peers", replay)).join().expect("no panic");
}

#[test]
fn every_call_gives_what_it_gives_by_libc() {
    let _alone = ALONE.lock();
    let worlds = RefCell::new(Worlds::new());
    let check = |calls: Vec<Call>| worlds.borrow_mut().check(&calls);
    let cases = cases(1000);
    let histories = cases.cases as usize;
    if let Err(error) = TestRunner::new(cases).run(&history(MOST), check) {
        panic!("{error}");
    }
    let worlds = worlds.into_inner();
    let [raw, types, rustix] = worlds.compared;
    let figures = [
        ("random histories", histories),
        ("calls of each of the four", worlds.made),
        ("calls by `barepoll::raw`, compared with libc's", raw.calls),
        ("calls by barepoll's types, compared with libc's", types.calls),
        ("calls by rustix, compared with libc's", rustix.calls),
        ("calls by `barepoll::raw` that were refused", raw.errors),
        ("calls by barepoll's types that were refused", types.errors),
        ("calls by rustix that were refused", rustix.errors),
        ("events by `barepoll::raw`", raw.events),
        ("events by barepoll's types", types.events),
        ("events by rustix", rustix.events),
        ("answers other than libc's", 0), // a mismatch fails before this
    ];
    figures::report("peers", &figures);
}
