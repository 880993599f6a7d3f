//! With feature `std`, an uninterrupted wait uses std's clock, which uses the vDSO if there is one.

use crate::seccomp::{intercepted, Number};
use crate::{check, Check};
use barepoll::{Deadline, Epoll, Event};
use std::time::{Duration, Instant};

/// The system calls that std's clock may make. Only 32-bit machines use the number 403.
const CLOCKS: [Number; 2] = [libc::SYS_clock_gettime as Number, 403];
const MS: Duration = Duration::from_millis(1);

pub fn checks() -> Vec<Check> {
    vec![
        check("an uninterrupted wait makes no more calls for the time than std", no_more_calls_than_std),
        check("a wait until a moment makes no more calls for the time than std", until_with_no_more_calls_than_std),
    ]
}

fn no_more_calls_than_std() {
    let std = calls(|| {
        std::hint::black_box(Instant::now());
    });
    let own = calls(|| {
        let epoll = Epoll::new().expect("an epoll");
        let ready = epoll.wait_uninterrupted(&mut Event::buffer::<1>(), Some(MS)).map(|events| events.len());
        assert_eq!(ready, Ok(0));
    });
    assert_eq!(own, std);
}

fn until_with_no_more_calls_than_std() {
    let std = calls(|| {
        std::hint::black_box(Instant::now());
    });
    let deadline = Deadline::after(MS).expect("a time");
    let own = calls(|| {
        let epoll = Epoll::new().expect("an epoll");
        let ready = epoll.wait_until(&mut Event::buffer::<1>(), Some(deadline)).map(|events| events.len());
        assert_eq!(ready, Ok(0));
    });
    assert_eq!(own, std);
}

/// Counts the clock's system calls in `run`.
fn calls(run: impl FnOnce() + Send) -> usize {
    let mut calls = 0;
    let count = |_: &_| {
        calls += 1;
        None
    };
    intercepted(&CLOCKS, count, run);
    calls
}
