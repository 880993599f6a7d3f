//! How long a wait lasts: at least its timeout by the host's clock.

use super::{count, counter, lasts, watching, Host, Outcome, LONG};
use barepoll::{Deadline, Epoll, Errno, Event, EventFlags, SigSet, Timeout};
use core::mem::MaybeUninit;
use core::time::Duration;

/// One of the three waits. Its mask, if any, changes nothing.
type Wait = fn(&Epoll, &mut [MaybeUninit<Event>], Option<Duration>) -> Result<usize, Errno>;

const PLAIN: Wait = |epoll, events, timeout| count(epoll.wait(events, timeout));
const MASKED: Wait = |epoll, events, timeout| count(epoll.wait_masked(events, timeout, &SigSet::empty()));
const UNINTERRUPTED: Wait = |epoll, events, timeout| count(epoll.wait_uninterrupted(events, timeout));
/// The wait until a moment, with the timeout's end as the moment.
const UNTIL: Wait = |epoll, events, timeout| {
    let deadline = timeout.map(Deadline::after).transpose()?;
    count(epoll.wait_until(events, deadline))
};
const WAITS: [Wait; 3] = [PLAIN, MASKED, UNINTERRUPTED];

/// The waits with a time that is converted before.
const CONVERTED: [Wait; 4] = [
    |epoll, events, timeout| count(epoll.wait(events, Timeout::new(timeout))),
    |epoll, events, timeout| count(epoll.wait_masked(events, Timeout::new(timeout), &SigSet::empty())),
    |epoll, events, timeout| count(epoll.wait_uninterrupted(events, Timeout::new(timeout))),
    |epoll, events, timeout| count(epoll.wait_spinning(events, Timeout::new(timeout), 1)),
];

const WHOLE: [Duration; 4] =
    [Duration::from_millis(1), Duration::from_millis(2), Duration::from_millis(7), Duration::from_millis(30)];

const FINE: [Duration; 6] = [
    Duration::from_nanos(1),
    Duration::from_micros(10),
    Duration::from_nanos(999_999),
    Duration::from_nanos(1_000_001),
    Duration::from_micros(1500),
    Duration::from_nanos(20_900_001),
];

/// Longer than `epoll_wait` accepts, or than an overflowing conversion would pass to it.
const LONGER: [Duration; 6] = [
    Duration::from_millis(i32::MAX as u64),
    Duration::from_millis(i32::MAX as u64 + 1),
    Duration::from_millis(1 << 32),
    Duration::from_secs(1 << 32),
    Duration::new(i64::MAX as u64 + 1, 1),
    Duration::MAX,
];

/// Each of these waits ends without an event, not early, and not always late.
fn ends_in_time(host: &mut dyn Host, wait: Wait, timeouts: &[Duration]) -> Outcome {
    let silent = counter(0)?;
    let epoll = watching(&silent, EventFlags::IN)?;
    let mut buffer = Event::buffer::<2>();
    for &timeout in timeouts {
        lasts(host, timeout, &mut || wait(&epoll, &mut buffer, Some(timeout)))?;
    }
    Ok(())
}

/// A write after `delay` ends each of these waits, and nothing ends it earlier.
fn ends_by_a_write(host: &mut dyn Host, wait: Wait, delay: Duration, timeouts: &[Option<Duration>]) -> Outcome {
    for &timeout in timeouts {
        let eventfd = counter(0)?;
        let epoll = watching(&eventfd, EventFlags::IN)?;
        let start = host.now();
        host.beside(
            &|other| {
                other.sleep(delay);
                let _ = eventfd.write(1);
            },
            &mut |host| {
                ensure_eq!(wait(&epoll, &mut Event::buffer::<2>(), timeout), Ok(1));
                ensure!(host.now() - start >= delay);
                Ok(())
            },
        )?;
    }
    Ok(())
}

checks! { by "fs/eventpoll.c: ep_poll";
    fn a_timeout_of_zero_does_not_wait(host) {
        let epoll = Epoll::new()?;
        for wait in WAITS {
            lasts(host, Duration::ZERO, &mut || wait(&epoll, &mut Event::buffer::<2>(), Some(Duration::ZERO)))?;
        }
    }

    fn every_timeout_finds_what_is_ready_already(host) {
        let eventfd = counter(1)?;
        let epoll = watching(&eventfd, EventFlags::IN)?;
        for wait in WAITS {
            for timeout in [Duration::ZERO].iter().chain(&WHOLE).chain(&FINE).chain(&LONGER) {
                ensure_eq!(wait(&epoll, &mut Event::buffer::<2>(), Some(*timeout)), Ok(1));
            }
            ensure_eq!(wait(&epoll, &mut Event::buffer::<2>(), None), Ok(1));
        }
    }

    fn a_wait_of_whole_milliseconds_is_never_early(host) by "fs/eventpoll.c: ep_timeout_to_timespec" {
        ends_in_time(host, PLAIN, &WHOLE)?;
        ends_in_time(host, MASKED, &WHOLE)?;
        ends_in_time(host, UNINTERRUPTED, &WHOLE)?;
    }

    fn a_time_that_is_converted_once_is_the_same_in_every_wait(host) by "src/timeout.rs: Timeout" {
        let eventfd = counter(1)?;
        let epoll = watching(&eventfd, EventFlags::IN)?;
        for wait in CONVERTED {
            ends_in_time(host, wait, &WHOLE[..2])?;
            ensure_eq!(wait(&epoll, &mut Event::buffer::<2>(), None), Ok(1));
        }
        for timeout in [Timeout::ZERO, Timeout::FOREVER] {
            ensure_eq!(count(epoll.wait(&mut Event::buffer::<2>(), timeout)), Ok(1));
        }
    }

    fn a_fine_or_long_time_that_is_converted_once_is_the_same_in_every_wait(host) by "src/timeout.rs: Timeout" {
        let eventfd = counter(1)?;
        let epoll = watching(&eventfd, EventFlags::IN)?;
        for wait in CONVERTED {
            ends_in_time(host, wait, &FINE[3..])?;
            for timeout in LONGER {
                ensure_eq!(wait(&epoll, &mut Event::buffer::<2>(), Some(timeout)), Ok(1));
            }
        }
    }

    fn a_fine_wait_is_never_early(host) by "fs/eventpoll.c: epoll_pwait2" {
        ends_in_time(host, PLAIN, &FINE)?;
        ends_in_time(host, MASKED, &FINE)?;
        ends_in_time(host, UNINTERRUPTED, &FINE)?;
    }

    fn a_wait_until_a_moment_is_never_early(host) by "src/epoll.rs: wait_until" {
        ends_in_time(host, UNTIL, &WHOLE)?;
        ends_in_time(host, UNTIL, &FINE)?;
        let epoll = Epoll::new()?;
        for timeout in FINE {
            let deadline = Deadline::after(timeout)?;
            ensure_eq!(count(epoll.wait_until(&mut Event::buffer::<2>(), Some(deadline))), Ok(0));
            ensure!(Deadline::now()? >= deadline);
        }
    }

    fn a_wait_until_a_past_moment_does_not_block(host) by "src/epoll.rs: wait_until" {
        let epoll = Epoll::new()?;
        for deadline in [Deadline::ORIGIN, Deadline::now()?] {
            lasts(host, Duration::ZERO, &mut || count(epoll.wait_until(&mut Event::buffer::<2>(), Some(deadline))))?;
        }
    }

    fn a_wait_until_any_moment_finds_what_is_ready_already(host) by "src/epoll.rs: wait_until" {
        let eventfd = counter(1)?;
        let epoll = watching(&eventfd, EventFlags::IN)?;
        ensure_eq!(count(epoll.wait_until(&mut Event::buffer::<2>(), Some(Deadline::ORIGIN))), Ok(1));
        for timeout in [Duration::ZERO].iter().chain(&WHOLE).chain(&FINE).chain(&LONGER) {
            ensure_eq!(UNTIL(&epoll, &mut Event::buffer::<2>(), Some(*timeout)), Ok(1));
        }
        ensure_eq!(UNTIL(&epoll, &mut Event::buffer::<2>(), None), Ok(1));
    }

    fn a_wait_until_a_moment_without_room_is_einval(host) by "fs/eventpoll.c: do_epoll_wait" {
        let epoll = Epoll::new()?;
        ensure_eq!(UNTIL(&epoll, &mut [], Some(LONG)), Err(Errno::EINVAL));
        ensure_eq!(UNTIL(&epoll, &mut [], None), Err(Errno::EINVAL));
    }

    fn an_event_ends_a_wait_until_a_later_moment(host) {
        let timeouts = [Some(LONG), Some(LONG + Duration::from_nanos(1)), Some(Duration::MAX), None];
        ends_by_a_write(host, UNTIL, Duration::from_millis(25), &timeouts)?;
    }

    fn an_event_ends_a_wait_before_its_time(host) {
        for wait in WAITS {
            ends_by_a_write(host, wait, Duration::from_millis(25), &[Some(LONG)])?;
        }
        for wait in WAITS {
            ends_by_a_write(host, wait, Duration::from_millis(25), &[Some(LONG + Duration::from_nanos(1))])?;
        }
    }

    fn a_wait_longer_than_i32_max_milliseconds_does_not_end_at_once(host) by "src/timeout.rs: Timeout" {
        ends_by_a_write(host, PLAIN, Duration::from_millis(25), &LONGER.map(Some))?;
        ends_by_a_write(host, MASKED, Duration::from_millis(25), &LONGER.map(Some))?;
        ends_by_a_write(host, UNINTERRUPTED, Duration::from_millis(25), &LONGER.map(Some))?;
    }

    fn no_timeout_outlasts_a_second(host) {
        ends_by_a_write(host, PLAIN, Duration::from_millis(1050), &[None])?;
    }

    fn no_timeout_waits_for_an_event_whatever_the_call(host) {
        ends_by_a_write(host, MASKED, Duration::from_millis(60), &[None])?;
        ends_by_a_write(host, UNINTERRUPTED, Duration::from_millis(60), &[None])?;
    }
}
