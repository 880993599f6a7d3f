//! The time from a wake-up on one core to the end of the wait on another.

use super::{cpus, stay_on, ONE};
use crate::wall::{Purpose, Way};
use barepoll::{Epoll, Event, Waker};
use serde_json::Value;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::scope;
use std::time::{Duration, Instant};

/// How often a thread polls before it sleeps, which takes about 25 µs.
const SPINS: u32 = 200;

/// The shared state of a thread that waits in a loop and the thread that wakes it.
struct Pair {
    epoll: Epoll,
    waker: Waker,
    spins: u32,
    /// The origin of both threads' times.
    start: Instant,
    waits: AtomicBool,
    /// The time the wait ended, in nanoseconds, and 0 until then.
    over: AtomicU64,
    stop: AtomicBool,
}

impl Pair {
    fn new(spins: u32) -> barepoll::Result<Self> {
        let epoll = Epoll::new()?;
        let (waits, stop) = (AtomicBool::new(false), AtomicBool::new(false));
        let (start, over) = (Instant::now(), AtomicU64::new(0));
        Ok(Self { waker: Waker::new(&epoll, ONE)?, epoll, spins, start, waits, over, stop })
    }

    fn wait(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            self.waits.store(true, Ordering::Release);
            let mut buffer = Event::buffer::<16>();
            let woken = match self.spins {
                0 => self.epoll.wait(&mut buffer, None),
                spins => self.epoll.wait_spinning(&mut buffer, None, spins),
            };
            self.over.store(self.start.elapsed().as_nanos() as u64, Ordering::Release);
            assert_eq!(woken.unwrap().len(), 1);
            self.waker.acknowledge();
        }
    }

    /// Wakes the other thread `pause` after its wait began. Returns the time until that wait ended.
    /// This thread never sleeps.
    fn wake(&self, pause: Duration) -> Duration {
        while !self.waits.load(Ordering::Acquire) {
            spin_loop();
        }
        self.waits.store(false, Ordering::Relaxed);
        self.over.store(0, Ordering::Relaxed);
        let begun = Instant::now();
        while begun.elapsed() < pause {
            spin_loop();
        }
        let rung = self.start.elapsed();
        self.waker.wake().unwrap();
        loop {
            match self.over.load(Ordering::Acquire) {
                0 => spin_loop(),
                over => return Duration::from_nanos(over).saturating_sub(rung),
            }
        }
    }

    fn way(&self, name: &'static str, pause: Duration) -> Way<'_> {
        Way::timed(name, move |times| {
            // The thread has slept since its last chunk, so its first wake-up does not count.
            self.wake(pause);
            (0..times).map(|_| self.wake(pause)).sum()
        })
    }
}

/// Wakes a thread `pause_us` after its wait began: while it would still poll, or long after it
/// slept.
pub fn spin_across(pause_us: usize, purpose: &Purpose) -> Result<Value, String> {
    let [here, there, ..] = cpus()[..] else {
        return Err("a wake-up from another core takes two, and there is one for this process".into());
    };
    let pause = Duration::from_micros(pause_us as u64);
    let pair = |spins| Pair::new(spins).map_err(|errno| format!("nothing to wake: {errno}"));
    let pairs = [pair(0)?, pair(0)?, pair(SPINS)?];
    stay_on(here);
    Ok(scope(|scope| {
        for pair in &pairs {
            scope.spawn(|| {
                stay_on(there);
                pair.wait();
            });
        }
        let names = ["wait", "the same again", "wait_spinning, 200"];
        let measured = purpose.of(pairs.iter().zip(names).map(|(pair, name)| pair.way(name, pause)).collect());
        for pair in &pairs {
            pair.stop.store(true, Ordering::Relaxed);
            pair.waker.wake().unwrap();
        }
        measured
    }))
}
