//! A refused `epoll_pwait2` and a refused clock: which fallback serves, which waits never try the
//! call, and the remaining timeout that a wait passes after an interruption.

use crate::child::{self, End};
use crate::figures;
use crate::refusals::{counter, errnos, SYS_WAIT};
use crate::seccomp::{intercepted, kill_at, Call, Number};
use crate::storm::Timer;
use crate::Check;
use barepoll::raw::Timespec;
use barepoll::{Epoll, Errno, Event, EventData, EventFd, EventFlags, SigSet};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

const PWAIT2: Number = libc::SYS_epoll_pwait2;
/// The call of a fine wait, and its fallbacks without and with a mask.
const SERVE: [Number; 3] = [PWAIT2, SYS_WAIT, libc::SYS_epoll_pwait];
const MS: Duration = Duration::from_millis(1);
/// Longer than any wait here takes on the slowest machine.
const LONG: Duration = Duration::from_secs(120);
const LONG_AND_FINE: Duration = Duration::from_nanos(120_000_000_001);

pub fn checks() -> Vec<Check> {
    let mut checks: Vec<Check> = crate::checks![
        a_timeout_that_only_epoll_pwait2_could_do_is_rounded_up_where_it_is_missing,
        a_mask_is_in_force_where_epoll_pwait2_is_missing,
        an_error_of_what_serves_instead_comes_through,
        a_fine_wait_without_a_mask_needs_no_call_that_a_whole_one_does_not,
        another_error_of_epoll_pwait2_is_not_taken_for_its_absence,
        a_fine_timeout_is_killed_where_epoll_pwait2_kills,
        an_interrupted_wait_of_whole_milliseconds_asks_for_what_is_left,
        an_interrupted_fine_wait_asks_for_what_is_left,
    ];
    // With std the clock is std's, which `test-crates/answers` covers.
    #[cfg(not(feature = "std"))]
    checks.extend(crate::checks![
        a_clock_that_is_refused_once_is_asked_again,
        a_clock_that_is_refused_after_an_interruption_says_so,
        no_clock_is_asked_where_there_is_no_room_for_an_event,
        a_wait_until_a_moment_asks_the_clock_once,
    ]);
    for errno in [Errno::ENOSYS, Errno::EPERM] {
        checks.push((
            format!("{} of epoll_pwait2 is remembered, and no wait is early", errno.name().unwrap_or_default()),
            Box::new(move || is_remembered(errno)),
        ));
    }
    for wait in WAITS {
        checks.push((
            format!("{} of whole milliseconds never reaches epoll_pwait2", wait.name),
            Box::new(move || never_reaches(&wait)),
        ));
    }
    checks
}

/// One of the four waits. It returns the number of events.
#[derive(Copy, Clone)]
struct Wait {
    name: &'static str,
    run: fn(&Epoll, Option<Duration>) -> Result<usize, Errno>,
    /// Whether the wait resumes after a signal.
    goes_on: bool,
}

const WAITS: [Wait; 4] = [
    Wait { name: "wait", run: |epoll, timeout| count(epoll.wait(&mut Event::buffer::<2>(), timeout)), goes_on: false },
    Wait {
        name: "wait_masked",
        run: |epoll, timeout| count(epoll.wait_masked(&mut Event::buffer::<2>(), timeout, &SigSet::empty())),
        goes_on: false,
    },
    Wait {
        name: "wait_uninterrupted",
        run: |epoll, timeout| count(epoll.wait_uninterrupted(&mut Event::buffer::<2>(), timeout)),
        goes_on: true,
    },
    Wait {
        name: "wait_spinning",
        run: |epoll, timeout| count(epoll.wait_spinning(&mut Event::buffer::<2>(), timeout, 2)),
        goes_on: false,
    },
];

fn count(answer: Result<&mut [Event], Errno>) -> Result<usize, Errno> {
    answer.map(|events| events.len())
}

/// Makes an epoll that watches a counter.
fn watching(initial: u32) -> (Epoll, EventFd) {
    let (epoll, eventfd) = (Epoll::new().expect("an epoll"), counter(initial));
    epoll.add(&eventfd, EventData::new_u64(1), EventFlags::IN).expect("added");
    (epoll, eventfd)
}

/// Makes these waits in turn. The first finds the call missing, and the others do not try it.
fn is_remembered(errno: Errno) {
    let mut asked = 0;
    let refuse = |_: &Call| {
        asked += 1;
        Some(errno)
    };
    intercepted(&[PWAIT2], refuse, || each_wait_is_right(50));
    assert_eq!(asked, 1);
    // Other threads do not try it either.
    kill_at(&[PWAIT2]);
    thread::scope(|scope| scope.spawn(|| each_wait_is_right(50)).join()).expect("no panic");
}

/// Fine waits without an event are never early. Those with an event return it.
fn each_wait_is_right(times: u32) {
    for time in 0..times {
        for wait in WAITS {
            let (epoll, eventfd) = watching(0);
            let timeout = Duration::from_nanos([1, 300_000, 999_999, 1_000_001, 2_500_000][time as usize % 5]);
            let start = Instant::now();
            assert_eq!((wait.run)(&epoll, Some(timeout)), Ok(0), "{}", wait.name);
            assert!(start.elapsed() >= timeout, "{}: {:?} of {timeout:?}", wait.name, start.elapsed());
            eventfd.write(1).expect("written");
            assert_eq!((wait.run)(&epoll, Some(LONG_AND_FINE)), Ok(1), "{}", wait.name);
        }
    }
}

fn a_timeout_that_only_epoll_pwait2_could_do_is_rounded_up_where_it_is_missing() {
    const MOST: Duration = Duration::from_millis(i32::MAX as u64);
    const NANO: Duration = Duration::from_nanos(1);
    let cases = [
        (NANO, 1),
        (MS - NANO, 1),
        (MS + NANO, 2),
        (Duration::from_micros(2500), 3),
        (Duration::from_secs(3) + NANO, 3001),
        (MOST - NANO, i32::MAX),
        (MOST + NANO, i32::MAX),
        (MOST + MS, i32::MAX),
        (Duration::MAX, i32::MAX),
    ];
    let mut asked = Vec::new();
    let refuse = |call: &Call| {
        if call.number == PWAIT2 {
            return Some(Errno::ENOSYS);
        }
        // The fourth argument of both calls.
        asked.push(call.argument(3));
        Some(Errno::ECANCELED) // nothing waits for 24 days
    };
    let run = || {
        let (epoll, _eventfd) = watching(0);
        for (timeout, _) in cases {
            for wait in WAITS {
                let answer = if wait.name == "wait_spinning" {
                    count(epoll.wait_spinning(&mut Event::buffer::<2>(), Some(timeout), 0))
                } else {
                    (wait.run)(&epoll, Some(timeout))
                };
                assert_eq!(answer, Err(Errno::ECANCELED), "{}", wait.name);
            }
        }
    };
    intercepted(&SERVE, refuse, run);
    let expected: Vec<i32> = cases.iter().flat_map(|(_, ms)| [*ms; WAITS.len()]).collect();
    assert_eq!(asked, expected);
}

fn a_mask_is_in_force_where_epoll_pwait2_is_missing() {
    let run = || {
        let (epoll, _eventfd) = watching(0);
        let (short, mut buffer) = (Duration::from_micros(5_500), Event::buffer::<1>());
        // The wait learns that the call is missing before signals start, since they would also
        // interrupt that first call.
        assert_eq!(count(epoll.wait(&mut buffer, Some(short))), Ok(0));
        let _timer = Timer::every(Duration::from_micros(300));
        for _ in 0..20 {
            assert_eq!(count(epoll.wait_masked(&mut buffer, Some(short), &SigSet::full())), Ok(0));
            assert_eq!(count(epoll.wait_masked(&mut buffer, Some(LONG_AND_FINE), &SigSet::empty())), Err(Errno::EINTR));
        }
    };
    intercepted(&[PWAIT2], |_| Some(Errno::ENOSYS), run);
}

fn an_error_of_what_serves_instead_comes_through() {
    let refusal = Mutex::new(None);
    let refuse =
        |call: &Call| if call.number == PWAIT2 { Some(Errno::EPERM) } else { *refusal.lock().expect("no panic") };
    intercepted(&SERVE, refuse, || {
        let (epoll, _eventfd) = watching(0);
        for errno in errnos() {
            *refusal.lock().expect("no panic") = Some(errno);
            for wait in WAITS.iter().filter(|wait| errno != Errno::EINTR || !wait.goes_on) {
                assert_eq!((wait.run)(&epoll, Some(Duration::from_micros(1500))), Err(errno), "{}", wait.name);
            }
        }
    });
}

fn a_fine_wait_without_a_mask_needs_no_call_that_a_whole_one_does_not() {
    let newer: Vec<_> = [PWAIT2, libc::SYS_epoll_pwait].into_iter().filter(|number| *number != SYS_WAIT).collect();
    intercepted(
        &newer,
        |_| Some(Errno::EPERM),
        || {
            let (epoll, _eventfd) = watching(0);
            for wait in WAITS {
                let expected = if wait.name == "wait_masked" && newer.len() == 2 { Err(Errno::EPERM) } else { Ok(0) };
                assert_eq!((wait.run)(&epoll, Some(Duration::from_micros(1500))), expected, "{}", wait.name);
            }
        },
    );
}

fn another_error_of_epoll_pwait2_is_not_taken_for_its_absence() {
    let mut asked = 0;
    let refuse = |_: &Call| {
        asked += 1;
        Some(Errno::EINTR).filter(|_| asked < 4)
    };
    let run = || {
        let (epoll, _eventfd) = watching(0);
        let fine = Some(Duration::from_micros(500));
        assert_eq!([0; 3].map(|_| (WAITS[0].run)(&epoll, fine)), [Err(Errno::EINTR); 3]);
        assert_eq!((WAITS[0].run)(&epoll, fine), Ok(0));
    };
    intercepted(&[PWAIT2], refuse, run);
    assert_eq!(asked, 4);
}

/// Tries every timeout in whole milliseconds: without an event, with an event, and amid signals if
/// the wait resumes.
fn never_reaches(wait: &Wait) {
    kill_at(&[PWAIT2]);
    let whole = [Duration::ZERO, MS, 7 * MS, 20 * MS];
    let (epoll, eventfd) = watching(0);
    for timeout in whole {
        assert_eq!((wait.run)(&epoll, Some(timeout)), Ok(0));
    }
    {
        let _timer = Timer::every(Duration::from_micros(700));
        if wait.goes_on {
            assert_eq!([20 * MS, 1003 * MS].map(|timeout| (wait.run)(&epoll, Some(timeout))), [Ok(0); 2]);
        } else {
            assert_eq!((wait.run)(&epoll, Some(LONG)), Err(Errno::EINTR));
        }
    }
    eventfd.write(1).expect("written");
    let longest = Duration::from_millis(i32::MAX as u64);
    for timeout in whole.into_iter().chain([longest]).map(Some).chain([None]) {
        assert_eq!((wait.run)(&epoll, timeout), Ok(1));
    }
}

/// Shows that the filter of [`never_reaches`] works.
fn a_fine_timeout_is_killed_where_epoll_pwait2_kills() {
    for wait in WAITS {
        for timeout in [Duration::from_nanos(1), MS + Duration::from_nanos(1), Duration::MAX] {
            let end = child::run(|| {
                kill_at(&[PWAIT2]);
                let _ = (wait.run)(&watching(0).0, Some(timeout));
            });
            assert_eq!(end, End::Signal(libc::SIGSYS), "{}, {timeout:?}", wait.name);
            figures::count("processes killed at a call", 1);
        }
    }
}

/// These machines have no fallback, so the crate need not remember the refusal.
#[cfg(not(feature = "std"))]
fn a_clock_that_is_refused_once_is_asked_again() {
    for errno in [Errno::ENOSYS, Errno::EPERM] {
        let mut asked = 0;
        let refuse = |_: &Call| {
            asked += 1;
            Some(errno).filter(|_| asked == 1)
        };
        let answers = intercepted(&[libc::SYS_clock_gettime], refuse, || {
            let (epoll, _eventfd) = watching(0);
            [0; 2].map(|_| count(epoll.wait_uninterrupted(&mut Event::buffer::<1>(), Some(MS))))
        });
        assert_eq!((answers, asked), ([Err(errno), Ok(0)], 2));
    }
}

#[cfg(not(feature = "std"))]
fn no_clock_is_asked_where_there_is_no_room_for_an_event() {
    let refuse = |_: &Call| Some(Errno::EPERM);
    let answer =
        intercepted(&[libc::SYS_clock_gettime], refuse, || watching(0).0.wait_uninterrupted(&mut [], Some(MS)).err());
    assert_eq!(answer, Some(Errno::EINVAL));
    let answer = intercepted(&[libc::SYS_clock_gettime], refuse, || {
        watching(0).0.wait_until(&mut [], Some(barepoll::Deadline::ORIGIN)).err()
    });
    assert_eq!(answer, Some(Errno::EINVAL));
}

/// Without a deadline, none.
#[cfg(not(feature = "std"))]
fn a_wait_until_a_moment_asks_the_clock_once() {
    for (deadline, expected) in
        [(Some(barepoll::Deadline::ORIGIN), 1), (Some(barepoll::Deadline::ORIGIN + MS), 1), (None, 0)]
    {
        let mut asked = 0;
        let count_calls = |_: &Call| {
            asked += 1;
            None
        };
        let answer = intercepted(&[libc::SYS_clock_gettime], count_calls, || {
            let (epoll, _eventfd) = watching(1);
            count(epoll.wait_until(&mut Event::buffer::<1>(), deadline))
        });
        assert_eq!((answer, asked), (Ok(1), expected));
    }
}

#[cfg(not(feature = "std"))]
fn a_clock_that_is_refused_after_an_interruption_says_so() {
    for errno in errnos() {
        let mut asked = 0;
        let refuse = |call: &Call| {
            if call.number == SYS_WAIT {
                return Some(Errno::EINTR);
            }
            asked += 1;
            Some(errno).filter(|_| asked == 2)
        };
        let answer = intercepted(&[SYS_WAIT, libc::SYS_clock_gettime], refuse, || {
            count(watching(0).0.wait_uninterrupted(&mut Event::buffer::<1>(), Some(10 * MS)))
        });
        assert_eq!((answer, asked), (Err(errno), 2));
    }
}

/// The timeouts, and their times, that an uninterrupted wait passes if each call is interrupted
/// after 3 ms until its timeout is over.
fn asked_for(timeout: Duration, number: Number, asked: fn(&Call) -> Duration) -> Vec<(Duration, Duration)> {
    let (mut list, start) = (Vec::new(), Instant::now());
    let interrupt = |call: &Call| {
        let left = asked(call);
        list.push((start.elapsed(), left));
        thread::sleep(3 * MS);
        Some(Errno::EINTR).filter(|_| left > Duration::ZERO)
    };
    let answer = intercepted(&[number], interrupt, || {
        count(watching(0).0.wait_uninterrupted(&mut Event::buffer::<1>(), Some(timeout)))
    });
    assert_eq!(answer, Ok(0));
    list
}

/// The first call passes the whole timeout. Each later one passes less by the time that elapsed,
/// and never too little.
fn each_asks_for_the_rest(timeout: Duration, list: &[(Duration, Duration)], rounding: Duration) {
    assert_eq!(list[0].1, timeout);
    for pair in list.windows(2) {
        let [(_, before), (at, left)] = pair else { unreachable!("two") };
        assert!(*at + *left >= timeout, "after {at:?}, {left:?} of {timeout:?} is too little: {list:?}");
        assert!(*left <= before.saturating_sub(3 * MS) + rounding, "{list:?}");
    }
    assert_eq!(list.last().map(|(_, left)| *left), Some(Duration::ZERO));
}

fn an_interrupted_wait_of_whole_milliseconds_asks_for_what_is_left() {
    let asked = |call: &Call| Duration::from_millis(call.argument(3) as u64);
    let list = asked_for(20 * MS, SYS_WAIT, asked);
    each_asks_for_the_rest(20 * MS, &list, Duration::ZERO);
}

fn an_interrupted_fine_wait_asks_for_what_is_left() {
    let asked = |call: &Call| {
        // SAFETY: the calling thread waits for the answer, and the timeout is on its stack.
        let time = unsafe { call.pointer::<Timespec>(3).read() };
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    };
    let timeout = Duration::from_micros(20_300);
    let list = asked_for(timeout, PWAIT2, asked);
    each_asks_for_the_rest(timeout, &list, Duration::ZERO);
}
