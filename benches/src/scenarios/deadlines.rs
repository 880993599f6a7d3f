//! Cancelling a timer and adding another: by a `BTreeMap`, by `Timers`, and by tokio's wheel.

use crate::wall::{Purpose, Way};
use barepoll::{Deadline, EventData, Result, TimerKey, TimerSlot, Timers};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;
use tokio_util::time::DelayQueue;

/// The next of a sequence of random numbers below `end` (xorshift64*), without a division.
fn random(state: &mut u64, end: u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    let random = state.wrapping_mul(0x2545_f491_4f6c_dd1d);
    ((u128::from(random) * u128::from(end)) >> 64) as u64
}

/// What a way does at each turn. Every way has its own, from the same seed.
struct Turns {
    state: u64,
    now: Deadline,
    timers: u64,
}

impl Turns {
    fn new(timers: usize) -> Self {
        Self { state: 88_172_645_463_325_252, now: Deadline::ORIGIN, timers: timers as u64 }
    }

    /// A deadline within a second from now. Each turn, a microsecond passes.
    fn deadline(&mut self) -> Deadline {
        self.now += Duration::from_micros(1);
        self.now + Duration::from_nanos(random(&mut self.state, 1_000_000_000))
    }

    /// Any of the timers.
    fn timer(&mut self) -> usize {
        random(&mut self.state, self.timers) as usize
    }
}

/// Among this many timers, cancels any and adds another, with a deadline within a second.
pub fn deadlines(timers: usize, purpose: &Purpose) -> Result<serde_json::Value> {
    let mut slots = vec![TimerSlot::EMPTY; timers];
    let mut ours = Timers::new(&mut slots);
    let mut turns = Turns::new(timers);
    let mut keys: Vec<TimerKey> = (0..timers as u64)
        .map(|number| ours.add(turns.deadline(), EventData::new_u64(number)))
        .collect::<Result<_>>()?;
    // tokio's wheel of timers that are not tasks. A queue makes its timer in a runtime, which need
    // not run.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let _inside = runtime.enter();
    Ok(purpose.of(vec![
        map("BTreeMap", timers),
        map("the same again", timers),
        Way::new("barepoll's Timers", |times| {
            for _ in 0..times {
                let key = &mut keys[turns.timer()];
                let data = ours.cancel(*key).expect("a timer");
                *key = ours.add(turns.deadline(), black_box(data)).expect("room");
            }
        }),
        wheel("tokio's DelayQueue", timers),
    ]))
}

/// The same by a map from deadlines, with the number of the turn to tell equal ones apart.
fn map<'a>(name: &'static str, timers: usize) -> Way<'a> {
    let (mut turns, mut turn) = (Turns::new(timers), 0_u64);
    let mut map = BTreeMap::new();
    let mut keys: Vec<(Deadline, u64)> = Vec::new();
    for number in 0..timers as u64 {
        turn += 1;
        keys.push((turns.deadline(), turn));
        map.insert(keys[number as usize], EventData::new_u64(number));
    }
    Way::new(name, move |times| {
        for _ in 0..times {
            let key = &mut keys[turns.timer()];
            let data = map.remove(key).expect("a timer");
            turn += 1;
            *key = (turns.deadline(), turn);
            map.insert(*key, black_box(data));
        }
    })
}

/// The same by tokio's wheel, whose deadlines round up to milliseconds.
fn wheel<'a>(name: &'static str, timers: usize) -> Way<'a> {
    let (mut turns, mut queue) = (Turns::new(timers), DelayQueue::with_capacity(timers));
    let start = tokio::time::Instant::now();
    let at = move |deadline: Deadline| start + deadline.saturating_duration_since(Deadline::ORIGIN);
    let mut keys: Vec<_> =
        (0..timers as u64).map(|number| queue.insert_at(EventData::new_u64(number), at(turns.deadline()))).collect();
    Way::new(name, move |times| {
        for _ in 0..times {
            let key = &mut keys[turns.timer()];
            let data = queue.remove(key).into_inner();
            *key = queue.insert_at(black_box(data), at(turns.deadline()));
        }
    })
}
