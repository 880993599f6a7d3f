//! `Timers` and `Deadline`: order, keys, storage, slack, and the wait between them.

use super::{count, counter, lasts, watching, Outcome, LONG};
use barepoll::{Deadline, Epoll, Errno, Event, EventData, EventFlags, TimerKey, TimerSlot, Timers};
use core::time::Duration;

/// More slots than two levels of the heap.
const ROOM: usize = 100;

fn at(ms: u64) -> Deadline {
    Deadline::ORIGIN + Duration::from_millis(ms)
}

fn add(timers: &mut Timers<'_>, ms: u64, data: u64) -> Result<TimerKey, Errno> {
    timers.add(at(ms), EventData::new_u64(data))
}

/// Takes a due timer and returns its data.
fn pop(timers: &mut Timers<'_>, ms: u64) -> Option<u64> {
    timers.pop_due(at(ms)).map(EventData::u64)
}

/// Takes all timers, which must be due by `ms`, and checks that they are these in this order.
fn drains(timers: &mut Timers<'_>, ms: u64, expected: impl Iterator<Item = u64>) -> Outcome {
    for expected in expected {
        ensure_eq!(pop(timers, ms), Some(expected));
    }
    ensure_eq!(pop(timers, u64::MAX), None);
    ensure!(timers.is_empty());
    Ok(())
}

/// Scatters the numbers below [`ROOM`].
fn scattered() -> impl Iterator<Item = u64> {
    (0..ROOM as u64).map(|number| number * 37 % ROOM as u64)
}

checks! { by "src/timers.rs: Timers";
    fn due_timers_come_in_the_order_of_their_deadlines(host) {
        let mut slots = [TimerSlot::EMPTY; ROOM];
        let mut timers = Timers::new(&mut slots);
        for number in scattered() {
            add(&mut timers, number, number)?;
        }
        drains(&mut timers, 99, 0..ROOM as u64)?;
    }

    fn timers_of_one_deadline_come_in_the_order_in_which_they_were_added(host) {
        let mut slots = [TimerSlot::EMPTY; ROOM];
        let mut timers = Timers::new(&mut slots);
        for number in 0..ROOM as u64 {
            add(&mut timers, 5, number)?;
        }
        drains(&mut timers, 5, 0..ROOM as u64)?;
    }

    fn a_timer_is_due_at_its_deadline_and_not_before(host) {
        let mut slots = [TimerSlot::EMPTY; 2];
        let mut timers = Timers::new(&mut slots);
        timers.add(at(7) + Duration::from_nanos(1), EventData::new_u64(1))?;
        ensure_eq!(pop(&mut timers, 7), None);
        ensure_eq!(timers.len(), 1);
        ensure_eq!(timers.pop_due(at(7) + Duration::from_nanos(1)).map(EventData::u64), Some(1));
        ensure_eq!(pop(&mut timers, 8), None);
    }

    fn a_cancelled_timer_does_not_come(host) {
        let mut slots = [TimerSlot::EMPTY; ROOM];
        let mut timers = Timers::new(&mut slots);
        let mut odd = [None; ROOM];
        for number in scattered() {
            let key = add(&mut timers, number, number)?;
            if number % 2 == 1 {
                odd[number as usize] = Some(key);
            }
        }
        for (number, key) in (0..).zip(odd) {
            if let Some(key) = key {
                ensure_eq!(timers.cancel(key).map(EventData::u64), Some(number));
            }
        }
        ensure_eq!(timers.len(), ROOM / 2);
        drains(&mut timers, 99, (0..ROOM as u64).step_by(2))?;
    }

    fn the_key_of_a_cancelled_timer_cancels_nothing(host) {
        let mut slots = [TimerSlot::EMPTY; 1];
        let mut timers = Timers::new(&mut slots);
        let stale = add(&mut timers, 1, 1)?;
        ensure!(timers.cancel(stale).is_some());
        ensure!(timers.cancel(stale).is_none());
        add(&mut timers, 1, 2)?; // in the same slot
        ensure!(timers.cancel(stale).is_none());
        drains(&mut timers, 1, 2..3)?;
    }

    fn the_key_of_a_timer_that_came_cancels_nothing(host) {
        let mut slots = [TimerSlot::EMPTY; 2];
        let mut timers = Timers::new(&mut slots);
        let stale = [add(&mut timers, 1, 1)?, add(&mut timers, 2, 2)?];
        ensure_eq!((pop(&mut timers, 2), pop(&mut timers, 2)), (Some(1), Some(2)));
        for key in stale {
            ensure!(timers.cancel(key).is_none());
        }
        let fresh = [add(&mut timers, 2, 3)?, add(&mut timers, 1, 4)?];
        for key in stale {
            ensure!(timers.cancel(key).is_none());
        }
        for (key, data) in fresh.into_iter().zip([3, 4]) {
            ensure_eq!(timers.cancel(key).map(EventData::u64), Some(data));
        }
    }

    fn a_timer_more_than_there_are_slots_is_enobufs_and_changes_nothing(host) {
        let mut slots = [TimerSlot::EMPTY; 3];
        let mut timers = Timers::new(&mut slots);
        let keys = [add(&mut timers, 3, 3)?, add(&mut timers, 2, 2)?, add(&mut timers, 4, 4)?];
        ensure_eq!(add(&mut timers, 1, 1), Err(Errno::ENOBUFS));
        ensure_eq!((timers.len(), timers.capacity(), timers.next_deadline()), (3, 3, Some(at(2))));
        ensure!(timers.cancel(keys[1]).is_some());
        add(&mut timers, 5, 5)?;
        drains(&mut timers, 5, 3..6)?;
    }

    fn without_slots_there_is_no_timer(host) {
        let mut timers = Timers::new(&mut []);
        ensure_eq!(add(&mut timers, 1, 1), Err(Errno::ENOBUFS));
        ensure_eq!((timers.capacity(), timers.next_deadline(), timers.next_wait(LONG)), (0, None, None));
        ensure_eq!(pop(&mut timers, u64::MAX), None);
    }

    fn slots_that_were_used_before_are_empty(host) {
        let mut slots = [TimerSlot::EMPTY; 8];
        let mut before = Timers::new(&mut slots);
        for number in 0..8 {
            add(&mut before, 8 - number, number)?;
        }
        let mut timers = Timers::new(&mut slots);
        ensure!(timers.is_empty() && pop(&mut timers, u64::MAX).is_none());
        for number in 0..8 {
            add(&mut timers, number, number)?;
        }
        drains(&mut timers, 8, 0..8)?;
    }

    fn the_next_deadline_is_the_earliest_that_is_left(host) {
        let mut slots = [TimerSlot::EMPTY; 8];
        let mut timers = Timers::new(&mut slots);
        ensure_eq!(timers.next_deadline(), None);
        add(&mut timers, 5, 5)?;
        let earliest = add(&mut timers, 3, 3)?;
        ensure_eq!(timers.next_deadline(), Some(at(3)));
        ensure!(timers.cancel(earliest).is_some());
        ensure_eq!(timers.next_deadline(), Some(at(5)));
        ensure_eq!(pop(&mut timers, 5), Some(5));
        ensure_eq!(timers.next_deadline(), None);
    }

    fn a_wait_with_slack_serves_all_timers_up_to_its_end(host) {
        let mut slots = [TimerSlot::EMPTY; 8];
        let mut timers = Timers::new(&mut slots);
        let slack = Duration::from_millis(10);
        for ms in [120, 100, 111, 110] {
            add(&mut timers, ms, ms)?;
        }
        ensure_eq!(timers.next_wait(Duration::ZERO), Some(at(100)));
        ensure_eq!(timers.next_wait(slack), Some(at(110)));
        ensure_eq!((pop(&mut timers, 110), pop(&mut timers, 110), pop(&mut timers, 110)), (Some(100), Some(110), None));
        ensure_eq!(timers.next_wait(slack), Some(at(121)));
    }

    fn a_wait_with_slack_delays_no_timer_that_is_alone(host) {
        let mut slots = [TimerSlot::EMPTY; 8];
        let mut timers = Timers::new(&mut slots);
        for ms in [100, 200] {
            add(&mut timers, ms, ms)?;
            ensure_eq!(timers.next_wait(Duration::from_millis(99)), Some(at(100)));
        }
        ensure_eq!(timers.next_wait(Duration::from_millis(100)), Some(at(200)));
    }

    fn a_deadline_is_ordered_as_its_time(host) by "src/deadline.rs: Deadline" {
        let second = Duration::from_secs(1);
        let nano = Duration::from_nanos(1);
        let moments = [Deadline::ORIGIN, at(0) + nano, at(999), at(0) + (second - nano), at(0) + second, at(1001)];
        for (earlier, later) in moments.iter().zip(&moments[1..]) {
            ensure!(earlier < later);
            ensure_eq!(earlier.saturating_duration_since(*later), Duration::ZERO);
        }
        ensure_eq!(at(1000).saturating_duration_since(at(999) + nano), Duration::from_nanos(999_999));
        ensure_eq!(at(999) + Duration::from_millis(2), at(1001));
    }

    fn a_deadline_beyond_the_last_moment_is_the_last(host) by "src/deadline.rs: Deadline" {
        let last = Deadline::ORIGIN + Duration::MAX;
        let mut later = at(1);
        later += Duration::from_millis(1);
        ensure_eq!(later, at(2));
        later += Duration::MAX;
        ensure_eq!(later, last);
        ensure_eq!(last + Duration::from_nanos(1), last);
        ensure_eq!(Deadline::after(Duration::MAX)?, last);
        ensure!(last.saturating_duration_since(Deadline::ORIGIN) > Duration::from_secs(500 * 365 * 24 * 60 * 60));
    }

    fn a_deadline_follows_the_hosts_clock(host) by "src/deadline.rs: Deadline" {
        let (outer, start) = (host.now(), Deadline::now()?);
        let (silent, three) = (Epoll::new()?, Duration::from_millis(3));
        lasts(host, three, &mut || count(silent.wait(&mut Event::buffer::<1>(), Some(three))))?;
        let took = Deadline::now()?.saturating_duration_since(start);
        ensure!(took >= Duration::from_millis(9));
        ensure!(took <= host.now() - outer);
    }

    fn a_loop_takes_each_timer_at_its_deadline_or_later(host) {
        let mut slots = [TimerSlot::EMPTY; 16];
        let mut timers = Timers::new(&mut slots);
        let silent = counter(0)?;
        let epoll = watching(&silent, EventFlags::IN)?;
        let start = Deadline::now()?;
        for number in scattered().take(16) {
            timers.add(start + Duration::from_micros(number * 300), EventData::new_u64(number))?;
        }
        let mut before = 0;
        while !timers.is_empty() {
            let found = epoll.wait_until(&mut Event::buffer::<2>(), timers.next_wait(Duration::from_millis(2)))?.len();
            ensure_eq!(found, 0);
            let now = Deadline::now()?;
            ensure!(timers.next_deadline() <= Some(now));
            while let Some(data) = timers.pop_due(now) {
                ensure!(data.u64() >= before);
                ensure!(now >= start + Duration::from_micros(data.u64() * 300));
                before = data.u64();
            }
        }
    }
}
