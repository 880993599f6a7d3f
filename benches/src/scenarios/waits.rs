//! Waits: with work ready, with many registrations, with many ready, and with a timeout.

use super::{beside, counter, cpus, stay_on, ONE};
use crate::wall::{quartiles, Purpose, Way};
use barepoll::fd::{AsRawFd, BorrowedFd};
use barepoll::{Epoll, Event, EventFd, EventFlags, Result};
use serde_json::{json, Value};
use std::time::{Duration, Instant};

/// Waits of at most 5 ms with work ready. A wait with timeout 0 is their lower bound.
pub fn spin(purpose: &Purpose) -> Result<serde_json::Value> {
    const TIMEOUT: Option<Duration> = Some(Duration::from_millis(5));
    let (epoll, eventfd) = (Epoll::new()?, counter()?);
    eventfd.write(1)?;
    epoll.add(&eventfd, ONE, EventFlags::IN)?;
    let wait = |times| {
        for _ in 0..times {
            assert_eq!(epoll.wait(&mut Event::buffer::<64>(), TIMEOUT).unwrap().len(), 1);
        }
    };
    let look = |times| {
        for _ in 0..times {
            assert_eq!(epoll.wait(&mut Event::buffer::<64>(), Some(Duration::ZERO)).unwrap().len(), 1);
        }
    };
    let spinning = |times| {
        for _ in 0..times {
            assert_eq!(epoll.wait_spinning(&mut Event::buffer::<64>(), TIMEOUT, 1).unwrap().len(), 1);
        }
    };
    Ok(purpose.of(vec![
        Way::new("wait", wait),
        Way::new("the same again", wait),
        Way::new("wait_spinning, 1", spinning),
        Way::new("wait(0)", look),
    ]))
}

/// An epoll with `count` registrations, and the files that keep them alive. Each file is registered
/// under many descriptor numbers, each closed after its registration. So few descriptors suffice.
fn registered(count: usize) -> Result<(Epoll, Vec<EventFd>)> {
    const FILES: usize = 128;
    let (epoll, files) = (Epoll::new()?, (0..count.min(FILES)).map(|_| counter()).collect::<Result<Vec<_>>>()?);
    for place in 0..count {
        let file = files[place % files.len()].as_raw_fd();
        let lowest = (1000 + place / files.len()) as i32;
        // SAFETY: the descriptor is new and open until `close` below.
        unsafe {
            let number = libc::fcntl(file, libc::F_DUPFD_CLOEXEC, lowest);
            epoll.add(BorrowedFd::borrow_raw(number), ONE, EventFlags::IN)?;
            libc::close(number);
        }
    }
    Ok((epoll, files))
}

/// A wait with timeout 0 and nothing ready, by the number of registrations.
pub fn idle(purpose: &Purpose) -> Result<Value> {
    const REGISTERED: [(&str, usize); 5] =
        [("1 registered", 1), ("the same again", 1), ("100", 100), ("10,000", 10_000), ("100,000", 100_000)];
    let at = REGISTERED.iter().map(|(_, count)| registered(*count)).collect::<Result<Vec<_>>>()?;
    let ways = REGISTERED.iter().zip(&at).map(|((name, _), (epoll, _))| {
        Way::new(name, move |times| {
            let mut buffer = Event::buffer::<64>();
            for _ in 0..times {
                assert!(epoll.wait(&mut buffer, Some(Duration::ZERO)).unwrap().is_empty());
            }
        })
    });
    Ok(purpose.of(ways.collect()))
}

/// The cost of a wait per ready descriptor, by their number.
pub fn ready(purpose: &Purpose) -> Result<Value> {
    const READY: [(&str, usize); 6] =
        [("1 ready", 1), ("the same again", 1), ("4", 4), ("16", 16), ("128", 128), ("1,024", 1024)];
    let mut at: Vec<(Epoll, Vec<EventFd>)> = Vec::new();
    for (_, ready) in READY {
        let (epoll, eventfds) = (Epoll::new()?, (0..ready).map(|_| counter()).collect::<Result<Vec<_>>>()?);
        eventfds
            .iter()
            .try_for_each(|eventfd| epoll.add(eventfd, ONE, EventFlags::IN).and_then(|()| eventfd.write(1)))?;
        at.push((epoll, eventfds));
    }
    let ways = READY.iter().zip(&at).map(|((name, ready), (epoll, _))| {
        Way::new(name, move |times| {
            let mut buffer = Event::buffer::<1024>();
            // Every way reports as many events, but in fewer waits if more are ready.
            for _ in 0..times.div_ceil(*ready as u32) {
                assert_eq!(epoll.wait(&mut buffer, Some(Duration::ZERO)).unwrap().len(), *ready);
            }
        })
        .at_least(1024)
    });
    Ok(purpose.of(ways.collect()))
}

/// The requested and the actual time of a wait: with the default timer slack, with none, and with
/// none while the CPU does not go idle. A kernel may be late by the thread's timer slack.
pub fn timers(purpose: &Purpose) -> Result<Value> {
    const ASKED_US: [u64; 7] = [10, 50, 100, 500, 1000, 2500, 10_000];
    let times = if matches!(purpose, Purpose::Compare) { 60 } else { 2 };
    type Wait<'a> = Box<dyn FnMut(Duration) + 'a>;
    let epoll = Epoll::new()?;
    let (poller, mut events) = (polling::Poller::new().expect("polling"), polling::Events::new());
    let (mut poll, mut mio_events) = (mio::Poll::new().expect("mio"), mio::Events::with_capacity(8));
    let by_libc = |time: Duration| {
        let mut buffer = [libc::epoll_event { events: 0, u64: 0 }; 8];
        let ms = time.as_micros().div_ceil(1000) as i32;
        // SAFETY: room for eight events.
        unsafe { libc::epoll_wait(epoll.as_raw_fd(), buffer.as_mut_ptr(), 8, ms) };
    };
    let mut waits: [(&str, Wait<'_>); 4] = [
        ("barepoll", Box::new(|time| drop(epoll.wait(&mut Event::buffer::<8>(), Some(time))))),
        ("epoll_wait, rounded up", Box::new(by_libc)),
        ("mio", Box::new(|time| poll.poll(&mut mio_events, Some(time)).expect("mio's poll"))),
        (
            "polling",
            Box::new(|time| {
                events.clear(); // it holds polling's own timer events, though it hides them
                assert_eq!(poller.wait(&mut events, Some(time)).expect("polling's wait"), 0);
            }),
        ),
    ];
    let mut rows = Vec::new();
    let mut measure = |slack: &str, slack_ns: libc::c_ulong| {
        // SAFETY: the call takes two integers.
        unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, slack_ns) };
        for asked in ASKED_US {
            let mut given: [Vec<f64>; 4] = Default::default();
            for round in 0..times {
                for place in 0..waits.len() {
                    let place = (place + round) % waits.len();
                    let start = Instant::now();
                    (waits[place].1)(Duration::from_micros(asked));
                    given[place].push(start.elapsed().as_secs_f64() * 1e6);
                }
            }
            let medians: Vec<f64> = given.into_iter().map(|given| quartiles(given.into_iter())[1]).collect();
            let names: Vec<&str> = waits.iter().map(|(name, _)| *name).collect();
            rows.push(json!({ "name": slack, "asked_us": asked, "ways": names, "given_us": medians }));
        }
    };
    measure("50 µs", 50_000);
    measure("none", 1);
    stay_on(cpus()[0]);
    beside(busy_if_idle, || measure("none, CPU kept awake", 1));
    Ok(rows.into())
}

/// Keeps the CPU busy for a moment at the lowest priority.
fn busy_if_idle() {
    let last = libc::sched_param { sched_priority: 0 };
    // SAFETY: the call changes only this thread. The kernel reads `last`.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &last) };
    (0..100_000).for_each(|_| std::hint::spin_loop());
}
