//! A storm of signals, in which `wait_uninterrupted` still returns on time.
//!
//! Some threads wait repeatedly, each with 10,000 signals a second. As many threads beside them
//! wait undisturbed in the same run. `BAREPOLL_STORM_SECONDS` sets the duration. The waits of all
//! threads are added up.
//!
//! Every run checks that no wait is early and that each ends while signals continue. Lateness also
//! depends on the scheduler, so only a long run checks it, on an otherwise idle machine.
//! `missing.rs` checks the part that does not depend on the scheduler: the timeout after each
//! interruption.

use crate::{child, figures, Check};
use barepoll::{Epoll, Event};
use serde_json::json;
use std::cell::Cell;
use std::mem::zeroed;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

pub fn checks() -> Vec<Check> {
    crate::checks![uninterrupted_waits_in_a_storm_of_signals_end_on_time]
}

pub const SIGNAL: i32 = libc::SIGUSR1;
/// Disturbed threads, and as many undisturbed ones.
const THREADS: usize = 4;
const MS: Duration = Duration::from_millis(1);
/// 10,000 signals a second.
const INTERVAL: Duration = Duration::from_micros(100);

/// A disturbed thread continues until it has caught this many signals.
const LEAST: u64 = 1000;
/// A run of at least this many seconds is long.
const MINUTE: u32 = 60;
/// The least signals a second and thread in a long run. A timer sends its next signal only after
/// the last one was caught, so a thread without a processor gets fewer.
const STORM: f64 = 9000.0;
/// For this many of [`PERCENTS`], a disturbed wait of a long run may be later than an undisturbed
/// one by at most the bound.
const PUNCTUAL: usize = 4;

/// The reported percentiles of lateness. The last one depends on the scheduler: a wait is late for
/// as long as its thread gets no processor, disturbed or not.
const PERCENTS: [usize; 5] = [25, 50, 75, 99, 100];

/// Caught signals, in all threads.
static CAUGHT: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Those that this thread caught.
    static MINE: Cell<u64> = const { Cell::new(0) };
}

extern "C" fn count(_signal: i32) {
    CAUGHT.fetch_add(1, Relaxed);
    MINE.with(|mine| mine.set(mine.get() + 1));
}

/// The number of caught signals.
pub fn caught() -> u64 {
    CAUGHT.load(Relaxed)
}

/// Counts the signal from now on. Without `SA_RESTART` in `flags`, it interrupts calls.
pub fn catch(flags: i32) {
    // SAFETY: all zero is a valid action, and the handler only adds to atomics and a thread-local.
    unsafe {
        let mut action: libc::sigaction = zeroed();
        action.sa_flags = flags;
        action.sa_sigaction = count as extern "C" fn(i32) as usize;
        assert_eq!(libc::sigaction(SIGNAL, &action, ptr::null_mut()), 0);
    }
}

/// Sends this thread the signal repeatedly until dropped.
pub struct Timer(libc::timer_t);

impl Timer {
    pub fn every(interval: Duration) -> Self {
        catch(0);
        let time = libc::timespec { tv_sec: interval.as_secs() as _, tv_nsec: interval.subsec_nanos().into() };
        // SAFETY: all zero is a valid event, and each call reads and writes only this function's
        // own variables.
        unsafe {
            let (mut event, mut timer): (libc::sigevent, libc::timer_t) = (zeroed(), ptr::null_mut());
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_signo = SIGNAL;
            event.sigev_notify_thread_id = libc::gettid();
            assert_eq!(libc::timer_create(libc::CLOCK_MONOTONIC, &mut event, &mut timer), 0);
            let times = libc::itimerspec { it_interval: time, it_value: time };
            assert_eq!(libc::timer_settime(timer, 0, &times, ptr::null_mut()), 0);
            Self(timer)
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: the timer exists and has no other owner.
        unsafe { libc::timer_delete(self.0) };
    }
}

/// The lateness of waits, and their total duration.
#[derive(Default)]
struct Waits {
    late: Vec<Duration>,
    took: Duration,
}

impl Waits {
    fn join(mut self, other: Self) -> Self {
        self.late.extend(other.late);
        self.took += other.took;
        self
    }

    /// Lateness by percentile.
    fn percentiles(&mut self) -> [Duration; PERCENTS.len()] {
        assert!(!self.late.is_empty(), "no wait ended");
        self.late.sort_unstable();
        let last = self.late.len() - 1;
        PERCENTS.map(|percent| self.late[last * percent / 100])
    }

    fn tell(&mut self, which: &str) -> [Duration; PERCENTS.len()] {
        let percentiles = self.percentiles();
        let us: Vec<_> = PERCENTS.iter().zip(percentiles).map(|(percent, late)| (percent, late.as_micros())).collect();
        figures::add(&json!({ "what": "late by no more than, µs", "which": which, "percentiles": us }));
        percentiles
    }
}

/// Waits for many durations in turn. Continues until `until` and until this thread has caught
/// `least` signals. No wait may be early.
fn waits(until: Instant, least: u64, is_fine: bool) -> Waits {
    let (epoll, mut buffer, mut waits) = (Epoll::new().expect("an epoll"), Event::buffer::<1>(), Waits::default());
    // 0.3 to 20 ms, each once before any repeats.
    for number in (0..).map(|number| number * 7 % 198) {
        let ms = number / 10 + 1;
        let timeout = if is_fine { Duration::from_micros(300 + number * 100) } else { Duration::from_millis(ms) };
        // The extra microsecond makes every timeout a fine one, because whole milliseconds use
        // another call.
        let timeout = timeout + Duration::from_micros(u64::from(is_fine));
        let start = Instant::now();
        if start >= until && MINE.with(Cell::get) >= least {
            return waits;
        }
        let events = epoll.wait_uninterrupted(&mut buffer, Some(timeout)).expect("no error");
        let took = start.elapsed();
        assert!(events.is_empty());
        assert!(took >= timeout, "early: {took:?} of {timeout:?}");
        waits.late.push(took - timeout);
        waits.took += took;
    }
    waits
}

/// 1/HZ: the resolution of the clock that advances with the tick.
fn tick() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes `time`.
    assert_eq!(unsafe { libc::clock_getres(libc::CLOCK_MONOTONIC_COARSE, &mut time) }, 0);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// No wait is early. In a long run, signals add at most a millisecond or a tick to the lateness of
/// undisturbed waits.
fn uninterrupted_waits_in_a_storm_of_signals_end_on_time() {
    let seconds = std::env::var("BAREPOLL_STORM_SECONDS").map_or(3, |text| text.parse().expect("seconds"));
    child::limit_to(seconds + 300);
    catch(0);
    let start = Instant::now();
    let until = start + Duration::from_secs(seconds.into());
    let run = |is_fine, is_disturbed: bool| {
        let _timer = is_disturbed.then(|| Timer::every(INTERVAL));
        waits(until, if is_disturbed { LEAST } else { 0 }, is_fine)
    };
    let kinds = [("whole", false, true), ("whole", false, false), ("fine", true, true), ("fine", true, false)];
    let results = thread::scope(|scope| {
        let threads = kinds.map(|(_, is_fine, is_disturbed)| {
            [0; THREADS / 2].map(|_| scope.spawn(move || run(is_fine, is_disturbed)))
        });
        threads.map(|kind| {
            let joined = kind.into_iter().map(|thread| thread.join().expect("no panic"));
            joined.fold(Waits::default(), Waits::join)
        })
    });
    let caught = caught();
    let rate = caught as f64 / start.elapsed().as_secs_f64() / THREADS as f64;
    let disturbed = results.iter().zip(kinds).filter(|(_, (.., is_disturbed))| *is_disturbed);
    figures::count("signals received", caught);
    figures::add(&json!({ "what": "signals a second and thread", "n": rate }));
    figures::count("seconds waited, disturbed", disturbed.map(|(waits, _)| waits.took).sum::<Duration>().as_secs());

    let bound = MS.max(tick());
    figures::add(&json!({ "what": "µs that a disturbed wait may be later", "n": bound.as_micros() }));
    let percentiles: Vec<_> = results
        .into_iter()
        .zip(kinds)
        .map(|(mut waits, (kind, _, is_disturbed))| {
            waits.tell(&format!("{kind}, {}", if is_disturbed { "disturbed" } else { "undisturbed" }))
        })
        .collect();
    if seconds < MINUTE {
        return;
    }
    for pair in percentiles.chunks(2) {
        let [disturbed, undisturbed] = pair else { unreachable!("two of a kind") };
        for at in 0..PUNCTUAL {
            assert!(disturbed[at] <= undisturbed[at] + bound, "late by {disturbed:?}, undisturbed by {undisturbed:?}");
        }
    }
    assert!(rate >= STORM, "only {rate:.0} signals a second and thread");
}
