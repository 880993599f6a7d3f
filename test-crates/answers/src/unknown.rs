//! For an unknown system call, csky's kernel returns the first argument.

use crate::made_up::{counter, SYS_WAIT};
use crate::seccomp::{answered, Number};
use crate::{check, child, Check};
use barepoll::fd::{AsRawFd, FromRawFd, IntoRawFd, RawFd};
#[cfg(target_pointer_width = "32")]
use barepoll::{Clock, TimerFd, TimerFdFlags, TimerSetting};
use barepoll::{Epoll, Errno, Event, EventData, EventFlags, PidFd, SigSet};
use std::time::{Duration, Instant};

const PWAIT2: Number = libc::SYS_epoll_pwait2 as Number;
const FINE: Duration = Duration::from_micros(2_300);
const ROOM: usize = 64;

pub fn checks() -> Vec<Check> {
    if cfg!(barepoll_android) {
        return Vec::new(); // Android never makes the call
    }
    let mut checks = vec![
        check(
            "a count that is the epoll's number is a count where the call is there",
            a_count_that_is_the_epolls_number,
        ),
        #[cfg(all(not(feature = "std"), target_pointer_width = "32"))]
        check("the older clock serves where the newer one is unknown", the_older_clock_serves),
    ];
    #[cfg(target_pointer_width = "32")]
    checks.extend(timers());
    checks.push(check(
        "a pidfd whose number is the process's is a pidfd where the call is there",
        a_pidfd_that_is_the_processs_number,
    ));
    for pid in [1, 3, 500, i32::MAX] {
        checks
            .push(check(format!("an unknown pidfd_open of process {pid} is ENOSYS, and closes nothing"), move || {
                is_no_pidfd(pid)
            }));
    }
    // Up to ROOM, the result looks like a valid count. Above, it does not.
    for fd in [3, 7, ROOM as RawFd, ROOM as RawFd + 1, 500] {
        checks.push(check(format!("an unknown epoll_pwait2 of descriptor {fd} is taken for missing"), move || {
            is_missing(fd)
        }));
    }
    checks
}

/// An epoll with the descriptor number `fd`.
fn numbered(fd: RawFd) -> Epoll {
    let epoll = Epoll::new().expect("an epoll");
    if epoll.as_raw_fd() == fd {
        return epoll;
    }
    // SAFETY: no pointer. It closes any previous descriptor `fd`, which nothing here uses.
    assert_eq!(unsafe { libc::dup2(epoll.as_raw_fd(), fd) }, fd);
    // SAFETY: the descriptor is new and has no other owner.
    unsafe { Epoll::from_raw_fd(fd) }
}

/// Waits with a timeout finer than a millisecond, with each function.
fn waits(epoll: &Epoll, timeout: Duration) -> [usize; 4] {
    let (mut buffer, timeout) = (Event::buffer::<ROOM>(), Some(timeout));
    let count = |answer: barepoll::Result<&mut [Event]>| answer.expect("a wait").len();
    [
        count(epoll.wait(&mut buffer, timeout)),
        count(epoll.wait_masked(&mut buffer, timeout, &SigSet::empty())),
        count(epoll.wait_uninterrupted(&mut buffer, timeout)),
        count(epoll.wait_spinning(&mut buffer, timeout, 0)),
    ]
}

fn is_missing(fd: RawFd) {
    let (mut asked, mut served) = (Vec::new(), 0);
    let epoll = numbered(fd);
    let eventfd = counter(0);
    epoll.add(&eventfd, EventData::new_u64(1), EventFlags::IN).expect("added");
    let run = || {
        let start = Instant::now();
        assert_eq!(waits(&epoll, FINE), [0; 4], "nothing is ready");
        assert!(start.elapsed() >= 4 * FINE, "early: {:?}", start.elapsed());
        eventfd.write(1).expect("written");
        assert_eq!(waits(&epoll, FINE), [1; 4]);
    };
    let answer = |call: &crate::seccomp::Call| {
        if call.number != PWAIT2 {
            served += 1;
            return None;
        }
        asked.push(call.argument(0));
        Some(call.argument(0).into())
    };
    answered(&[PWAIT2, SYS_WAIT], answer, run);
    // The crate makes the call once. If the result may be a count, a second call with −1 tells.
    assert_eq!(asked, if fd as usize > ROOM { vec![fd] } else { vec![fd, -1] });
    assert!(served >= 6, "{served}");
}

/// The wait must report every event, because edge-triggered ones do not repeat.
fn a_count_that_is_the_epolls_number() {
    const FD: RawFd = 9;
    let epoll = numbered(FD);
    let sources: Vec<_> = (0..FD).map(|_| counter(1)).collect();
    for source in &sources {
        epoll.add(source, EventData::new_fd(source.as_raw_fd()), EventFlags::IN | EventFlags::ET).expect("added");
    }
    let mut asked = Vec::new();
    let note = |call: &crate::seccomp::Call| {
        asked.push(call.argument(0));
        None
    };
    answered(&[PWAIT2], note, || {
        for _ in 0..2 {
            let mut buffer = Event::buffer::<ROOM>();
            let ready = epoll.wait(&mut buffer, Some(FINE)).expect("a wait");
            let mut ready: Vec<RawFd> = ready.iter().map(|event| event.data().fd()).collect();
            ready.sort_unstable();
            assert_eq!(ready, sources.iter().map(AsRawFd::as_raw_fd).collect::<Vec<_>>());
            sources.iter().for_each(|source| source.write(1).expect("written"));
        }
    });
    // The crate checks only the first such count, with the call on −1.
    assert_eq!(asked, [FD, -1, FD]);
    assert_eq!(child::run(|| drop(epoll)), child::End::Exit(0));
}

#[cfg(all(not(feature = "std"), target_pointer_width = "32"))]
fn the_older_clock_serves() {
    const CLOCK_GETTIME64: Number = 403;
    let mut asked = 0;
    let answer = |call: &crate::seccomp::Call| {
        asked += 1;
        Some(call.argument(0).into())
    };
    let took = answered(&[CLOCK_GETTIME64], answer, || {
        let (epoll, start) = (Epoll::new().expect("an epoll"), Instant::now());
        for _ in 0..3 {
            assert_eq!(
                epoll.wait_uninterrupted(&mut Event::buffer::<1>(), Some(FINE)).map(|events| events.len()),
                Ok(0)
            );
        }
        start.elapsed()
    });
    assert!(took >= 3 * FINE, "{took:?}");
    assert_eq!(asked, 1);
}

/// The older calls of a timer, where the newer ones are missing.
#[cfg(target_pointer_width = "32")]
fn timers() -> Vec<Check> {
    let mut checks = vec![
        check("a timer's EPERM is an error where the newer calls are there", an_eperm_of_a_timer),
        check("a timer of descriptor 0 is set by the newer call where it is there", a_timer_of_descriptor_0),
    ];
    for (name, answer) in [("the first argument", None), ("ENOSYS", Some(-38)), ("EPERM", Some(-1))] {
        for fd in [0, 5] {
            checks
                .push(check(format!("a timer of descriptor {fd} is set by the older calls after {name}"), move || {
                    older_timer_calls_serve(fd, answer)
                }));
        }
    }
    checks
}

#[cfg(target_pointer_width = "32")]
const SETTIME64: Number = 411;
#[cfg(target_pointer_width = "32")]
const GETTIME64: Number = 410;

/// A timer with the descriptor number `fd`.
#[cfg(target_pointer_width = "32")]
fn timer_numbered(fd: RawFd) -> TimerFd {
    let timer = TimerFd::new(Clock::REALTIME, TimerFdFlags::CLOEXEC | TimerFdFlags::NONBLOCK).expect("a timer");
    // SAFETY: no pointer. It closes any previous descriptor `fd`, which nothing here uses.
    assert_eq!(unsafe { libc::dup2(timer.as_raw_fd(), fd) }, fd);
    // SAFETY: the descriptor is new and has no other owner.
    unsafe { TimerFd::from_raw_fd(fd) }
}

#[cfg(target_pointer_width = "32")]
fn older_timer_calls_serve(fd: RawFd, refusal: Option<i64>) {
    const HOUR: Duration = Duration::from_secs(3600);
    let (mut asked, in_2040) = (Vec::new(), Duration::from_secs(2_208_988_800));
    let answer = |call: &crate::seccomp::Call| {
        asked.push((call.number, call.argument(0)));
        refusal.or(Some(call.argument(0).into()))
    };
    answered(&[SETTIME64, GETTIME64], answer, || {
        let timer = timer_numbered(fd);
        timer.set(TimerSetting::after(HOUR).repeat(2 * HOUR + FINE)).expect("set");
        let state = timer.get().expect("its time");
        assert!(state.remaining > HOUR / 2 && state.remaining <= HOUR, "{state:?}");
        assert_eq!(state.interval, 2 * HOUR + FINE);
        let too_long =
            [TimerSetting::at(in_2040), TimerSetting::after(in_2040), TimerSetting::after(FINE).repeat(in_2040)];
        for setting in too_long {
            assert_eq!(timer.set(setting), Err(Errno::EOVERFLOW));
        }
        assert!(timer.get().expect("its time").remaining > HOUR / 2, "as before");
        timer.set(TimerSetting::at(Duration::from_secs(i32::MAX as u64))).expect("set");
        assert!(timer.get().expect("its time").remaining > Duration::ZERO);
        let start = Instant::now();
        timer.set(TimerSetting::after(FINE)).expect("set");
        while timer.read() == Err(Errno::EAGAIN) {
            std::thread::yield_now();
        }
        assert!(start.elapsed() >= FINE);
        timer.set(TimerSetting::every(HOUR)).expect("set");
        timer.disarm().expect("disarmed");
        assert_eq!(timer.get(), Ok(Default::default()));
    });
    // The second call, with −1, tells whether the newer one is missing. `ENOSYS` could do without.
    assert_eq!(asked, [(SETTIME64, fd), (SETTIME64, -1)]);
}

/// A timer of a clock of alarms answers `EPERM` if the capability is gone.
#[cfg(target_pointer_width = "32")]
fn an_eperm_of_a_timer() {
    let in_2040 = TimerSetting::at(Duration::from_secs(2_208_988_800));
    let answer = |call: &crate::seccomp::Call| Some(-1).filter(|_| call.argument(0) == 6);
    answered(&[SETTIME64], answer, || {
        let (refused, timer) = (timer_numbered(6), timer_numbered(7));
        assert_eq!(refused.set(in_2040), Err(Errno::EPERM));
        assert_eq!(timer.set(in_2040), Ok(()));
    });
}

#[cfg(target_pointer_width = "32")]
fn a_timer_of_descriptor_0() {
    let timer = timer_numbered(0);
    for _ in 0..2 {
        assert_eq!(timer.set(TimerSetting::at(Duration::from_secs(2_208_988_800))), Ok(()));
        assert!(timer.get().expect("its time").remaining > Duration::ZERO);
    }
}

const PIDFD_OPEN: Number = libc::SYS_pidfd_open as Number;
const CLOSE: Number = libc::SYS_close as Number;

fn is_no_pidfd(pid: i32) {
    let (mut asked, mut closed) = (Vec::new(), 0);
    let answer = |call: &crate::seccomp::Call| {
        if call.number == CLOSE {
            closed += 1;
            return None;
        }
        asked.push(call.argument(0));
        Some(call.argument(0).into())
    };
    let run = || assert_eq!(PidFd::open(pid).err(), Some(Errno::ENOSYS));
    answered(&[PIDFD_OPEN, CLOSE], answer, run);
    assert_eq!((asked, closed), (vec![pid, -1], 0));
}

fn a_pidfd_that_is_the_processs_number() {
    const NUMBER: i32 = 50;
    let epoll = numbered(NUMBER).into_raw_fd();
    let mut asked = Vec::new();
    let answer = |call: &crate::seccomp::Call| {
        asked.push(call.argument(0));
        Some(if call.argument(0) == -1 { (-Errno::EINVAL.raw()).into() } else { epoll.into() })
    };
    let pidfd = answered(&[PIDFD_OPEN], answer, || PidFd::open(NUMBER).expect("a pidfd"));
    assert_eq!(pidfd.as_raw_fd(), NUMBER);
    assert_eq!(asked, [NUMBER, -1]);
}
