//! Random histories of `Timers`, beside a `BTreeMap`. And the wake-ups of many timers, counted.
#![allow(clippy::incompatible_msrv)] // the minimum Rust version is the library's; tests use the current one

#[path = "support/cases.rs"]
mod cases;

use barepoll::{Deadline, Errno, EventData, TimerKey, TimerSlot, Timers};
use cases::cases;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

/// A step of the caller. Times are milliseconds from the origin, and few, so that many are equal.
#[derive(Clone, Debug)]
enum Step {
    Add {
        deadline: u64,
    },
    /// Cancels by a key of this history, live or stale.
    Cancel {
        key: usize,
    },
    PopDue {
        now: u64,
    },
    NextWait {
        slack: u64,
    },
}

/// Slots, at most: more than one level of the heap.
const ROOM: usize = 40;

/// A step from a random number. A strategy for each step would take most of the test's time.
fn step(random: u16) -> Step {
    let (kind, random) = (random % 12, u64::from(random / 12));
    match kind {
        0..=5 => Step::Add { deadline: random % 60 },
        6..=8 => Step::Cancel { key: random as usize },
        9..=10 => Step::PopDue { now: random % 60 },
        _ => Step::NextWait { slack: random % 20 },
    }
}

fn at(ms: u64) -> Deadline {
    Deadline::ORIGIN + Duration::from_millis(ms)
}

/// A map from the deadline and the number of the timer, and all keys by these numbers.
#[derive(Default)]
struct Model {
    timers: BTreeMap<(u64, u64), ()>,
    keys: Vec<(TimerKey, u64)>,
}

impl Model {
    fn take(&mut self, step: &Step, timers: &mut Timers<'_>) -> Result<(), TestCaseError> {
        match *step {
            Step::Add { deadline } => {
                let number = self.keys.len() as u64;
                let answer = timers.add(at(deadline), EventData::new_u64(number));
                if self.timers.len() == timers.capacity() {
                    prop_assert_eq!(answer, Err(Errno::ENOBUFS));
                } else {
                    let key = answer.expect("room");
                    self.keys.push((key, deadline));
                    self.timers.insert((deadline, number), ());
                }
            }
            Step::Cancel { key } => {
                if let Some(number) = key.checked_rem(self.keys.len()) {
                    let (key, deadline) = self.keys[number];
                    let expected = self.timers.remove(&(deadline, number as u64)).map(|()| number as u64);
                    prop_assert_eq!(timers.cancel(key).map(EventData::u64), expected);
                }
            }
            Step::PopDue { now } => {
                let expected = self.timers.first_entry().filter(|first| first.key().0 <= now);
                let expected = expected.map(|first| first.remove_entry().0 .1);
                prop_assert_eq!(timers.pop_due(at(now)).map(EventData::u64), expected);
            }
            Step::NextWait { slack } => {
                let mut deadlines = self.timers.keys().map(|(deadline, _)| *deadline);
                let first = deadlines.next();
                let has_more = deadlines.next().zip(first).is_some_and(|(second, first)| second <= first + slack);
                let expected = first.map(|first| at(if has_more { first + slack } else { first }));
                prop_assert_eq!(timers.next_wait(Duration::from_millis(slack)), expected);
            }
        }
        prop_assert_eq!((timers.len(), timers.is_empty()), (self.timers.len(), self.timers.is_empty()));
        prop_assert_eq!(timers.next_deadline(), self.timers.keys().next().map(|(deadline, _)| at(*deadline)));
        Ok(())
    }
}

/// Moments near the origin, the last one, and whole seconds.
fn moment() -> impl Strategy<Value = Deadline> {
    duration().prop_map(|duration| Deadline::ORIGIN + duration)
}

fn duration() -> impl Strategy<Value = Duration> {
    let seconds = prop_oneof![0..3_u64, (1_u64 << 34) - 3..(1_u64 << 34) + 3, Just(u64::MAX), any::<u64>()];
    let nanos = prop_oneof![Just(0_u32), Just(1), Just(999_999_999), 0..1_000_000_000_u32];
    (seconds, nanos).prop_map(|(seconds, nanos)| Duration::new(seconds, nanos))
}

/// The last moment, as a time from the origin.
const LAST: Duration = Duration::new((1 << 34) - 1, 999_999_999);

proptest! {
    #![proptest_config(cases(20_000))]

    #[test]
    fn after_every_step_the_timers_are_those_of_a_map(room in 0..ROOM, steps in prop::collection::vec(any::<u16>(), 1..80)) {
        let mut slots = [TimerSlot::EMPTY; ROOM];
        let mut timers = Timers::new(&mut slots[..room]);
        prop_assert_eq!(timers.capacity(), room);
        let mut model = Model::default();
        for step in steps.into_iter().map(step) {
            model.take(&step, &mut timers)?;
        }
        // All that are left come in order.
        for ((_, number), ()) in model.timers {
            prop_assert_eq!(timers.pop_due(at(60)).map(EventData::u64), Some(number));
        }
        prop_assert!(timers.is_empty() && timers.pop_due(at(60)).is_none());
    }

    #[test]
    fn a_deadline_is_a_duration_from_the_origin_up_to_the_last(duration in duration()) {
        let since = (Deadline::ORIGIN + duration).saturating_duration_since(Deadline::ORIGIN);
        prop_assert_eq!(since, duration.min(LAST));
    }

    #[test]
    fn adding_to_a_deadline_adds_durations(moment in moment(), duration in duration()) {
        let origin = Deadline::ORIGIN;
        let expected = moment.saturating_duration_since(origin).saturating_add(duration).min(LAST);
        prop_assert_eq!((moment + duration).saturating_duration_since(origin), expected);
    }

    #[test]
    fn deadlines_compare_and_differ_as_durations_do(one in moment(), other in moment()) {
        let [a, b] = [one, other].map(|moment| moment.saturating_duration_since(Deadline::ORIGIN));
        prop_assert_eq!(one.cmp(&other), a.cmp(&b));
        prop_assert_eq!(one.saturating_duration_since(other), a.saturating_sub(b));
    }
}

/// The idle timeouts of as many connections: each a second, and begun at any moment of the first
/// second. Each is restarted whenever it is due, for `seconds`. A simulated loop counts its
/// wake-ups and the most that a timer was late.
fn wakeups(count: u64, seconds: u64, slack: Duration) -> (usize, Duration) {
    const SECOND: Duration = Duration::from_secs(1);
    let mut slots = vec![TimerSlot::EMPTY; count as usize];
    let mut timers = Timers::new(&mut slots);
    let mut deadlines = Vec::new();
    for number in 0..count {
        // A multiplier without a common factor scatters them.
        let begun = SECOND / count as u32 * (number * 7919 % count) as u32;
        deadlines.push(Deadline::ORIGIN + begun + SECOND);
        timers.add(deadlines[number as usize], EventData::new_u64(number)).expect("room");
    }
    let (mut woken, mut latest) = (0, Duration::ZERO);
    while let Some(now) = timers.next_wait(slack).filter(|wait| *wait < at(1000 * (seconds + 1))) {
        woken += 1;
        assert!(timers.next_deadline().is_some_and(|first| first <= now), "a wake-up for nothing");
        while let Some(number) = timers.pop_due(now) {
            let deadline = &mut deadlines[number.u64() as usize];
            latest = latest.max(now.saturating_duration_since(*deadline));
            *deadline = now + SECOND;
            timers.add(*deadline, number).expect("room");
        }
    }
    assert_eq!(timers.len() as u64, count);
    (woken, latest)
}

#[test]
fn with_a_slack_of_50_ms_100_000_timers_of_a_second_make_at_most_21_wakeups_a_second() {
    const SLACK: Duration = Duration::from_millis(50);
    let (woken, latest) = wakeups(100_000, 1, SLACK);
    assert!((10..=21).contains(&woken), "{woken} wake-ups");
    assert!(latest <= SLACK, "{latest:?} late");
    let (woken, latest) = wakeups(100_000, 5, SLACK);
    assert!((50..=105).contains(&woken), "{woken} wake-ups");
    assert!(latest <= SLACK, "{latest:?} late");
}

#[test]
fn without_slack_each_deadline_has_its_wakeup_and_no_timer_is_late() {
    assert_eq!(wakeups(1000, 1, Duration::ZERO), (1000, Duration::ZERO));
}
