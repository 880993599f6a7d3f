//! Android's app sandbox kills a process for system calls that its C library does not make. With
//! `--cfg barepoll_android` the crate makes none of them. Without it, these checks test the filter.

use crate::made_up::{counter, SYS_EPOLL_WAIT};
use crate::seccomp::{intercepted, kill_at, Call, Number};
use crate::{check, child, Check};
use barepoll::fd::{AsFd, AsRawFd};
use barepoll::{
    raw, BusyPoll, CreateFlags, Epoll, Errno, Event, EventData, EventFlags, InterestSet, SigSet, Slot, Waker,
};
use barepoll::{Clock, TimerFd, TimerFdFlags, TimerSetting};
use std::time::Duration;

const IS_ANDROID: bool = cfg!(barepoll_android);
/// Only 32-bit machines have `clock_gettime64` (403), `timerfd_gettime64` (410) and
/// `timerfd_settime64` (411). Older Android releases kill for them.
const KILLED: &[Number] = &[
    SYS_EPOLL_WAIT,
    libc::SYS_epoll_pwait2 as Number,
    #[cfg(target_pointer_width = "32")]
    403,
    #[cfg(target_pointer_width = "32")]
    410,
    #[cfg(target_pointer_width = "32")]
    411,
];
const MS: Duration = Duration::from_millis(1);
const FINE: Duration = Duration::from_micros(1_300);

type Part = (&'static str, bool, fn());

/// Uses of the crate, and whether the filter kills them without `--cfg barepoll_android`.
const PARTS: [Part; 9] = [
    ("an epoll and its interest list", false, control),
    ("a wait of whole milliseconds", true, || waits(MS, |epoll, buffer, timeout| epoll.wait(buffer, timeout))),
    ("a fine wait", true, || waits(FINE, |epoll, buffer, timeout| epoll.wait(buffer, timeout))),
    ("a masked wait", false, || {
        waits(MS, |epoll, buffer, timeout| epoll.wait_masked(buffer, timeout, &SigSet::empty()))
    }),
    ("a fine masked wait", true, || {
        waits(FINE, |epoll, buffer, timeout| epoll.wait_masked(buffer, timeout, &SigSet::empty()))
    }),
    ("an uninterrupted wait", true, || waits(MS, Epoll::wait_uninterrupted)),
    ("a spinning wait", true, || waits(MS, |epoll, buffer, timeout| epoll.wait_spinning(buffer, timeout, 3))),
    ("a timer", cfg!(target_pointer_width = "32"), timer),
    ("the raw wait, a waker and an interest set", true, others),
];

pub fn checks() -> Vec<Check> {
    let mut checks: Vec<Check> = PARTS
        .map(|(name, is_killed, run)| {
            let expected =
                if is_killed && !IS_ANDROID { child::End::Signal(libc::SIGSYS) } else { child::End::Exit(0) };
            let fate = if is_killed && !IS_ANDROID { "is killed" } else { "lives" };
            check(format!("{name} {fate}"), move || {
                let end = child::run(|| {
                    kill_at(KILLED);
                    run();
                });
                assert_eq!(end, expected);
            })
        })
        .into();
    if IS_ANDROID {
        checks.push(check("a fine timeout is rounded up to milliseconds", a_fine_timeout_is_rounded_up));
        #[cfg(all(not(feature = "std"), target_pointer_width = "32"))]
        checks.push(check(
            "the older clock is asked first, and the newer where that is missing",
            the_older_clock_is_first,
        ));
    }
    checks
}

fn control() {
    let (epoll, eventfd) = (Epoll::new().expect("an epoll"), counter(1));
    let inherited = Epoll::with_flags(CreateFlags::empty()).expect("an epoll");
    epoll.add(&inherited, EventData::new_u64(1), EventFlags::IN).expect("added");
    epoll.add(&eventfd, EventData::new_u64(1), EventFlags::IN).expect("added");
    epoll.modify(&eventfd, EventData::new_u64(2), EventFlags::OUT).expect("modified");
    epoll.delete(&eventfd).expect("deleted");
    assert_eq!(eventfd.read(), Ok(1));
    // Some kernels lack busy polling.
    let _ = (epoll.busy_poll(), epoll.set_busy_poll(BusyPoll::default()));
}

type Buffer = [std::mem::MaybeUninit<Event>];

/// Waits with and without work, with timeout 0 and without a timeout.
fn waits(
    timeout: Duration,
    wait: for<'b> fn(&Epoll, &'b mut Buffer, Option<Duration>) -> barepoll::Result<&'b mut [Event]>,
) {
    let (epoll, eventfd) = (Epoll::new().expect("an epoll"), counter(0));
    epoll.add(&eventfd, EventData::new_u64(1), EventFlags::IN).expect("added");
    let mut buffer = Event::buffer::<2>();
    let mut count = |timeout| wait(&epoll, &mut buffer, timeout).map(|events| events.len());
    assert_eq!([count(Some(timeout)), count(Some(Duration::ZERO))], [Ok(0); 2]);
    eventfd.write(1).expect("written");
    assert_eq!([count(Some(timeout)), count(Some(Duration::ZERO)), count(None)], [Ok(1); 3]);
}

fn timer() {
    let timer = TimerFd::new(Clock::MONOTONIC, TimerFdFlags::CLOEXEC).expect("a timer");
    timer.set(TimerSetting::every(MS)).expect("set");
    assert_eq!(timer.get().map(|state| state.interval), Ok(MS));
    assert!(timer.read().expect("a count") > 0);
    timer.disarm().expect("disarmed");
}

fn others() {
    let (epoll, mut buffer) = (Epoll::new().expect("an epoll"), Event::buffer::<2>());
    let waker = Waker::new(&epoll, EventData::new_u64(1)).expect("a waker");
    waker.wake().expect("woken");
    // SAFETY: there is room for two events.
    assert_eq!(unsafe { raw::epoll_wait(epoll.as_raw_fd(), buffer.as_mut_ptr().cast(), 2, 0) }, Ok(1));
    let (mut slots, eventfd) = ([Slot::EMPTY; 64], counter(1));
    let mut interests = InterestSet::new(&mut slots);
    interests.set(eventfd.as_fd(), EventData::new_u64(2), EventFlags::IN).expect("room");
    interests.flush(&epoll).expect("flushed");
    assert_eq!(epoll.wait(&mut buffer, None).map(|events| events.len()), Ok(1));
}

fn a_fine_timeout_is_rounded_up() {
    let mut asked = Vec::new();
    let note = |call: &Call| {
        asked.push(call.argument(3));
        Some(Errno::ECANCELED) // avoids a wait of 24 days
    };
    let timeouts = [Duration::from_nanos(1), FINE, MS, Duration::from_nanos(20_000_001), Duration::MAX];
    intercepted(&[libc::SYS_epoll_pwait as Number], note, || {
        let epoll = Epoll::new().expect("an epoll");
        for timeout in timeouts {
            assert_eq!(epoll.wait(&mut Event::buffer::<1>(), Some(timeout)).err(), Some(Errno::ECANCELED));
        }
    });
    assert_eq!(asked, [1, 2, 1, 21, i32::MAX]);
}

#[cfg(all(not(feature = "std"), target_pointer_width = "32"))]
fn the_older_clock_is_first() {
    let (mut asked, older) = (Vec::new(), libc::SYS_clock_gettime as Number);
    let refuse = |call: &Call| {
        asked.push(call.number);
        Some(Errno::ENOSYS).filter(|_| call.number == older)
    };
    intercepted(&[older, 403], refuse, || {
        let epoll = Epoll::new().expect("an epoll");
        for _ in 0..2 {
            assert_eq!(epoll.wait_uninterrupted(&mut Event::buffer::<1>(), Some(MS)).map(|events| events.len()), Ok(0));
        }
    });
    assert_eq!(asked, [older, 403, 403]);
}
