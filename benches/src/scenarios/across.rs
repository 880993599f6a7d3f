//! A wake-up that comes from another core: how long until the wait that it ends is over.

use super::{cpus, stay_on, ONE};
use crate::wall::{Purpose, Way};
use barepoll::{Epoll, Event, Waker};
use serde_json::Value;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::scope;
use std::time::{Duration, Instant};

/// How often a thread looks before it waits; some 25 µs long.
const SPINS: u32 = 200;

/// A thread that waits, again and again, and who wakes it.
struct Pair {
    epoll: Epoll,
    waker: Waker,
    spins: u32,
    /// What both count time from.
    start: Instant,
    waits: AtomicBool,
    /// When its wait was over, in nanoseconds; 0 until then.
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

    /// Wakes it, so long after it has begun to wait, and gives how long that took. This thread stays awake.
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
            // Since its last turn it has slept: that one does not count.
            self.wake(pause);
            (0..times).map(|_| self.wake(pause)).sum()
        })
    }
}

/// A thread is woken so many microseconds after it has begun to wait: while it would still look, or when it has long gone to sleep.
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
