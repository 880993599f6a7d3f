//! The waker between threads that share its flag, and from a signal handler: the tests that need
//! threads.

use barepoll::{Epoll, Errno, Event, EventData, Waker};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use std::{ptr, thread};

const WAKER: EventData = EventData::new_u64(7);
/// A loop without a wake-up for this long has lost one.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// Waits for wake-ups until all work is done. Each unit of work was announced by one.
fn work_until_done(epoll: &Epoll, waker: &Waker, work: &AtomicU64, all: u64) {
    let (mut done, mut buffer) = (0, Event::buffer::<8>());
    while done < all {
        let ready = epoll.wait_uninterrupted(&mut buffer, Some(FORGOTTEN)).expect("a wait");
        assert_eq!(ready.len(), 1, "{done} of {all} done, and no wake-up came");
        assert_eq!(ready[0].data().u64(), WAKER.u64());
        waker.acknowledge();
        done += work.swap(0, Ordering::Relaxed);
    }
    assert_eq!(done, all);
}

/// Four threads make ten million wake-ups of this loop.
fn ten_million_wake_ups_of_four_threads(until_done: fn(&Epoll, &Waker, &AtomicU64, u64)) {
    const THREADS: u64 = 4;
    const EACH: u64 = 2_500_000;
    let (epoll, work) = (Epoll::new().unwrap(), AtomicU64::new(0));
    let waker = Waker::new(&epoll, WAKER).unwrap();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..EACH {
                    work.fetch_add(1, Ordering::Relaxed);
                    waker.wake().unwrap();
                }
            });
        }
        until_done(&epoll, &waker, &work, THREADS * EACH)
    });
}

#[test]
fn ten_million_wake_ups_of_four_threads_lose_none() {
    ten_million_wake_ups_of_four_threads(work_until_done);
}

/// One unit at a time, so that each wake-up meets a loop that waits or is about to.
#[test]
fn each_of_many_single_wake_ups_arrives() {
    const TURNS: u64 = 100_000;
    let (ping, pong) = (Epoll::new().unwrap(), Epoll::new().unwrap());
    let (to_ping, to_pong) = (Waker::new(&ping, WAKER).unwrap(), Waker::new(&pong, WAKER).unwrap());
    let answer = |epoll: &Epoll, own: &Waker, other: &Waker| {
        let mut buffer = Event::buffer::<1>();
        for turn in 0..TURNS {
            let ready = epoll.wait_uninterrupted(&mut buffer, Some(FORGOTTEN)).unwrap();
            assert_eq!(ready.len(), 1, "turn {turn}");
            own.acknowledge();
            other.wake().unwrap();
        }
    };
    to_ping.wake().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| answer(&pong, &to_pong, &to_ping));
        answer(&ping, &to_ping, &to_pong);
    });
}

/// Tells the other threads to stop once this thread's part ends, even by a panic.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A waker that a signal handler wakes, and its count.
struct Handled {
    epoll: Epoll,
    waker: Waker,
    handled: AtomicU64,
}

thread_local! {
    /// The waker that a signal to this thread wakes.
    static HANDLED: Cell<Option<&'static Handled>> = const { Cell::new(None) };
}

extern "C" fn wake(_signal: i32) {
    let signalled = HANDLED.with(Cell::get).expect("only threads with a waker get signals");
    signalled.handled.fetch_add(1, Ordering::Relaxed);
    signalled.waker.wake().expect("a wake-up in a handler");
}

/// A thread that lives as long as it gets signals.
#[derive(Copy, Clone)]
struct Thread(libc::pthread_t);

// SAFETY: any thread may use a thread's identifier.
unsafe impl Send for Thread {}

impl Thread {
    fn signal(self) {
        // SAFETY: the thread is alive.
        assert_eq!(unsafe { libc::pthread_kill(self.0, libc::SIGUSR1) }, 0);
    }
}

impl Handled {
    /// Never dropped, because a signal may come late.
    fn new() -> &'static Self {
        // SAFETY: all zero is a valid action. The handler uses only atomics, a descriptor, and a
        // thread-local.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = wake as extern "C" fn(i32) as usize;
            assert_eq!(libc::sigaction(libc::SIGUSR1, &action, ptr::null_mut()), 0);
        }
        let epoll = Epoll::new().unwrap();
        let waker = Waker::new(&epoll, WAKER).unwrap();
        Box::leak(Box::new(Self { epoll, waker, handled: AtomicU64::new(0) }))
    }

    /// Lets this thread get signals from now on.
    fn is_this_threads(&'static self) -> Thread {
        HANDLED.with(|place| place.set(Some(self)));
        // SAFETY: the call takes no argument and cannot fail.
        Thread(unsafe { libc::pthread_self() })
    }

    fn handled(&self) -> u64 {
        self.handled.load(Ordering::Relaxed)
    }
}

/// Signals interrupt a thread that keeps waking, also between its flag and its write.
#[test]
fn a_signal_handler_wakes_a_thread_that_wakes_loses_none() {
    const SIGNALS: u64 = 20_000;
    let (wakes, work) = (Handled::new(), AtomicU64::new(0));
    let (stop, own) = (AtomicBool::new(false), AtomicU64::new(0));
    let (tell, told) = channel();
    thread::scope(|scope| {
        let busy = scope.spawn(|| {
            tell.send(wakes.is_this_threads()).unwrap();
            while !stop.load(Ordering::Relaxed) {
                work.fetch_add(1, Ordering::Relaxed);
                own.fetch_add(1, Ordering::Relaxed);
                wakes.waker.wake().unwrap();
            }
        });
        let end = Stop(&stop);
        let thread = told.recv().unwrap();
        let (mut buffer, mut done) = (Event::buffer::<2>(), 0);
        while wakes.handled() < SIGNALS {
            thread.signal();
            assert_eq!(wakes.epoll.wait_uninterrupted(&mut buffer, Some(FORGOTTEN)).unwrap().len(), 1);
            wakes.waker.acknowledge();
            done += work.swap(0, Ordering::Relaxed);
        }
        drop(end);
        busy.join().unwrap();
        let until = Instant::now() + FORGOTTEN;
        while done < own.load(Ordering::Relaxed) && Instant::now() < until {
            wakes.epoll.wait_uninterrupted(&mut buffer, Some(FORGOTTEN)).unwrap();
            wakes.waker.acknowledge();
            done += work.swap(0, Ordering::Relaxed);
        }
        assert_eq!(done, own.load(Ordering::Relaxed));
    });
}

/// Signals interrupt a thread that sleeps.
#[test]
fn each_wake_up_that_only_a_signal_handler_made_arrives() {
    const SIGNALS: u64 = 20_000;
    let (wakes, stop) = (Handled::new(), AtomicBool::new(false));
    let (tell, told) = channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            tell.send(wakes.is_this_threads()).unwrap();
            while !stop.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(10));
            }
        });
        let _end = Stop(&stop);
        let (thread, mut buffer) = (told.recv().unwrap(), Event::buffer::<2>());
        for number in 1..=SIGNALS {
            thread.signal();
            assert_eq!(wakes.epoll.wait_uninterrupted(&mut buffer, Some(FORGOTTEN)).unwrap().len(), 1);
            wakes.waker.acknowledge();
            assert_eq!(wakes.handled(), number);
        }
    });
}

/// Signals interrupt the waiting thread, in the wait or outside it.
#[test]
fn a_signal_handler_wakes_its_own_thread_whose_wait_is_interrupted_and_finds_the_event() {
    const EVENTS: u64 = 5_000;
    /// At least this many waits must meet a signal, however many events that takes.
    const INTERRUPTED: u32 = 100;
    let (wakes, stop) = (Handled::new(), AtomicBool::new(false));
    let (thread, mut interrupted) = (wakes.is_this_threads(), 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                thread.signal();
                thread::sleep(Duration::from_micros(50));
            }
        });
        let _end = Stop(&stop);
        let (mut buffer, start, mut number) = (Event::buffer::<2>(), Instant::now(), 0);
        while number < EVENTS || interrupted < INTERRUPTED {
            assert!(start.elapsed() < FORGOTTEN, "{number} events, {interrupted} interruptions");
            let handled = wakes.handled();
            let ready = match wakes.epoll.wait(&mut buffer, Some(FORGOTTEN)) {
                Err(errno) => {
                    assert_eq!(errno, Errno::EINTR);
                    if wakes.handled() == handled {
                        continue; // this process was stopped for a moment
                    }
                    interrupted += 1;
                    wakes.epoll.wait(&mut buffer, Some(Duration::ZERO))
                }
                ready => ready,
            };
            assert_eq!(ready.unwrap().len(), 1, "event {number}, {interrupted} interruptions");
            wakes.waker.acknowledge();
            number += 1;
        }
    });
    assert!(wakes.handled() >= EVENTS);
}

/// Runs a loop that is awake between its waits until all work is done. It looks for work only after
/// a wake-up.
fn work_awake_until_done(epoll: &Epoll, waker: &Waker, work: &AtomicU64, all: u64) {
    let (mut awake, mut done, mut buffer) = (waker.awake(), 0, Event::buffer::<8>());
    while done < all {
        let start = Instant::now();
        if let Err(errno) = awake.wait(epoll, &mut buffer, Some(FORGOTTEN)) {
            assert_eq!(errno, Errno::EINTR);
            continue;
        }
        if awake.is_woken() {
            done += work.swap(0, Ordering::Relaxed);
        }
        assert!(start.elapsed() < FORGOTTEN, "{done} of {all} done, and no wake-up came");
    }
    assert_eq!(done, all);
}

#[test]
fn ten_million_wake_ups_of_a_loop_that_is_awake_lose_none() {
    ten_million_wake_ups_of_four_threads(work_awake_until_done);
}

/// Each wake-up meets a loop that waits, is about to, or has just begun to be awake.
#[test]
fn each_of_many_single_wake_ups_of_loops_that_are_awake_arrives() {
    const TURNS: u64 = 100_000;
    let (ping, pong) = (Epoll::new().unwrap(), Epoll::new().unwrap());
    let (to_ping, to_pong) = (Waker::new(&ping, WAKER).unwrap(), Waker::new(&pong, WAKER).unwrap());
    let answer = |epoll: &Epoll, own: &Waker, other: &Waker| {
        let (mut awake, mut buffer) = (own.awake(), Event::buffer::<1>());
        let mut is_woken = false;
        for turn in 0..TURNS {
            let start = Instant::now();
            while !is_woken {
                awake.wait(epoll, &mut buffer, Some(FORGOTTEN)).unwrap();
                assert!(start.elapsed() < FORGOTTEN, "turn {turn}");
                is_woken = awake.is_woken();
            }
            is_woken = false;
            other.wake().unwrap();
        }
    };
    to_ping.wake().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| answer(&pong, &to_pong, &to_ping));
        answer(&ping, &to_ping, &to_pong);
    });
}

/// Signals interrupt the loop's thread while it is awake, falls asleep, sleeps or wakes up. No other
/// thread wakes it.
#[test]
fn a_signal_handler_wakes_its_own_thread_whose_loop_is_awake_and_loses_none() {
    const SIGNALS: u64 = 20_000;
    let (wakes, stop) = (Handled::new(), AtomicBool::new(false));
    let thread = wakes.is_this_threads();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut sent = 0;
            while !stop.load(Ordering::Relaxed) {
                // The next comes once the last one was handled, so each one counts.
                if wakes.handled() == sent {
                    sent += 1;
                    thread.signal();
                }
            }
        });
        let _end = Stop(&stop);
        let (mut awake, mut buffer, mut seen) = (wakes.waker.awake(), Event::buffer::<2>(), 0);
        while seen < SIGNALS {
            let start = Instant::now();
            match awake.wait(&wakes.epoll, &mut buffer, Some(FORGOTTEN)) {
                Ok(_) => assert!(start.elapsed() < FORGOTTEN, "{seen} signals seen, and no wake-up came"),
                Err(errno) => assert_eq!(errno, Errno::EINTR),
            }
            if awake.is_woken() {
                seen = wakes.handled();
            }
        }
    });
}
