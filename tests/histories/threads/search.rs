//! Finds an order of calls, or of their parts, in which the model gives the recorded answers.
//!
//! It is the search of Wing and Gong, with a memory of the states that it has seen: depth first,
//! always the thread that comes next in time first. A call that ended before another began comes
//! before it. The search is exhaustive: if it finds no order, there is none.

use super::call::THREADS;
use super::model::{History, State};
use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

/// What explains a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Explained {
    /// An order of whole calls.
    ByCalls,
    /// Only an order of the calls' parts.
    ByParts,
}

/// More states than a history of this size can have.
const MOST_STATES: usize = 5_000_000;

/// Firefox's hash function. The standard one takes most of the time of a search.
#[derive(Default)]
struct Quick(u64);

impl Hasher for Quick {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_ne_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(byte.into());
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(word.into());
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

type Seen = HashSet<State, BuildHasherDefault<Quick>>;

/// Returns what explains the history, if anything does.
pub fn explain(history: &History) -> Option<Explained> {
    if is_reachable(history, whole_call) {
        return Some(Explained::ByCalls);
    }
    is_reachable(history, part).then_some(Explained::ByParts)
}

/// Whether these steps lead to the end of all calls.
fn is_reachable(history: &History, step: impl Fn(&State, usize, &History) -> Option<State>) -> bool {
    let is_over = |state: &State| (0..THREADS).all(|thread| state.done(thread) == history[thread].len());
    let mut seen = Seen::default();
    let mut stack = vec![State::default()];
    while let Some(state) = stack.pop() {
        if is_over(&state) {
            return true;
        }
        let mut next: Vec<usize> = (0..THREADS).filter(|thread| state.done(*thread) < history[*thread].len()).collect();
        // The last one is taken first.
        next.sort_by_key(|thread| std::cmp::Reverse(history[*thread][state.done(*thread)].end));
        for thread in next {
            if let Some(state) = step(&state, thread, history) {
                if seen.insert(state) {
                    stack.push(state);
                }
            }
        }
        assert!(seen.len() < MOST_STATES, "the history is too long to check: {history:?}");
    }
    false
}

/// The thread's next part, unless a call that ended before it is still to come.
fn part(state: &State, thread: usize, history: &History) -> Option<State> {
    let made = &history[thread][state.done(thread)];
    let is_first = |other: usize| history[other].get(state.done(other)).is_none_or(|other| made.begin < other.end);
    let may_begin = !state.is_between(thread) || (0..THREADS).all(|other| other == thread || is_first(other));
    if may_begin {
        state.advance(thread, made)
    } else {
        None
    }
}

/// The thread's next call, up to its end or until it sleeps.
fn whole_call(state: &State, thread: usize, history: &History) -> Option<State> {
    let done = state.done(thread);
    let mut state = part(state, thread, history)?;
    while state.done(thread) == done && !state.sleeps(thread) {
        state = part(&state, thread, history)?;
    }
    Some(state)
}
