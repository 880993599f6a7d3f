//! For an unknown system call, csky's kernel returns the first argument.

use crate::made_up::{counter, SYS_WAIT};
use crate::seccomp::{answered, Number};
use crate::{check, child, Check};
use barepoll::fd::{AsRawFd, FromRawFd, RawFd};
use barepoll::{Epoll, Event, EventData, EventFlags, SigSet};
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
