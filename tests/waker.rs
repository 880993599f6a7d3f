//! The waker between threads that share its flag, and from a signal handler: what needs more than one process without libc has.

use barepoll::{Epoll, Event, EventData, Waker};
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use std::{ptr, thread};

const WAKER: EventData = EventData::new_u64(7);
/// A loop that is not woken for so long was forgotten.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// Waits for wake-ups until all work is done, each unit of which was announced by one; gives how many events there were.
fn work_until_done(epoll: &Epoll, waker: &Waker, work: &AtomicU64, all: u64) -> u64 {
    let (mut done, mut events, mut buffer) = (0, 0, Event::buffer::<8>());
    while done < all {
        let ready = epoll.wait_uninterrupted(&mut buffer, Some(FORGOTTEN)).expect("a wait");
        assert_eq!(ready.len(), 1, "{done} of {all} done, and no wake-up came");
        assert_eq!(ready[0].data().u64(), WAKER.u64());
        events += 1;
        waker.acknowledge();
        done += work.swap(0, Ordering::Relaxed);
    }
    assert_eq!(done, all);
    events
}

#[test]
fn ten_million_wake_ups_of_four_threads_lose_none() {
    const THREADS: u64 = 4;
    const EACH: u64 = 2_500_000;
    let (epoll, work) = (Epoll::new().unwrap(), AtomicU64::new(0));
    let waker = Waker::new(&epoll, WAKER).unwrap();
    let events = thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..EACH {
                    work.fetch_add(1, Ordering::Relaxed);
                    waker.wake().unwrap();
                }
            });
        }
        work_until_done(&epoll, &waker, &work, THREADS * EACH)
    });
    assert!(events <= THREADS * EACH);
}

/// One unit at a time, so that each wake-up meets a loop that is about to wait, or waits.
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

static IN_HANDLER: AtomicPtr<Waker> = AtomicPtr::new(ptr::null_mut());
static FROM_HANDLER: AtomicU64 = AtomicU64::new(0);

extern "C" fn wake(_signal: i32) {
    FROM_HANDLER.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the test that sets the handler sets the pointer first, and its waker is never dropped.
    unsafe { (*IN_HANDLER.load(Ordering::Acquire)).wake() }.expect("a wake-up in a handler");
}

/// The signals meet a thread that itself wakes without a pause: between its flag and its write, too.
#[test]
fn a_signal_handler_wakes_a_thread_that_wakes_loses_none() {
    const SIGNALS: u64 = 20_000;
    let (epoll, work) = (Epoll::new().unwrap(), AtomicU64::new(0));
    let waker: &'static Waker = Box::leak(Box::new(Waker::new(&epoll, WAKER).unwrap()));
    IN_HANDLER.store(ptr::from_ref(waker).cast_mut(), Ordering::Release);
    // SAFETY: all zero is an action, and the handler touches nothing but atomics and a descriptor.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = wake as extern "C" fn(i32) as usize;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &action, ptr::null_mut()), 0);
    }
    let (stop, own) = (AtomicU64::new(0), AtomicU64::new(0));
    let (tell, told) = channel();
    thread::scope(|scope| {
        let busy = scope.spawn(|| {
            // SAFETY: no argument, and no error.
            tell.send(unsafe { libc::pthread_self() }).unwrap();
            while stop.load(Ordering::Relaxed) == 0 {
                work.fetch_add(1, Ordering::Relaxed);
                own.fetch_add(1, Ordering::Relaxed);
                waker.wake().unwrap();
            }
        });
        let thread = told.recv().unwrap();
        let (mut buffer, mut done) = (Event::buffer::<2>(), 0);
        while FROM_HANDLER.load(Ordering::Relaxed) < SIGNALS {
            // SAFETY: the thread lives until it is told to stop, below.
            unsafe { libc::pthread_kill(thread, libc::SIGUSR1) };
            assert_eq!(epoll.wait_uninterrupted(&mut buffer, Some(FORGOTTEN)).unwrap().len(), 1);
            waker.acknowledge();
            done += work.swap(0, Ordering::Relaxed);
        }
        stop.store(1, Ordering::Relaxed);
        busy.join().unwrap();
        let until = Instant::now() + FORGOTTEN;
        while done < own.load(Ordering::Relaxed) && Instant::now() < until {
            epoll.wait_uninterrupted(&mut buffer, Some(FORGOTTEN)).unwrap();
            waker.acknowledge();
            done += work.swap(0, Ordering::Relaxed);
        }
        assert_eq!(done, own.load(Ordering::Relaxed));
    });
}
