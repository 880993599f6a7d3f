//! A seccomp notifier fakes the result of every system call.

use crate::seccomp::{answered, Call, Number};
use crate::{check, Check};
use barepoll::fd::{AsRawFd, IntoRawFd, RawFd};
use barepoll::raw::{self, Timespec};
use barepoll::{BusyPoll, Epoll, Errno, Event, EventData, EventFd, EventFdFlags, EventFlags};
use barepoll::{Clock, InterestSet, SigSet, Slot, TimerFd, TimerFdFlags, TimerSetting, TimerState, Waker};
use std::hint::black_box;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst};
use std::time::Duration;

/// `i32::MAX` must come last, because the crate then treats `epoll_pwait2` as missing.
pub const ANSWERS: [i32; 6] = [i32::MIN, -65536, -4096, -4095, 0, i32::MAX];

const IN: EventFlags = EventFlags::IN;
const DATA: EventData = EventData::new_u64(3);
const MS: Duration = Duration::from_millis(1);
const FINE: Duration = Duration::from_micros(100);
const OFTEN: TimerSetting = TimerSetting::every(FINE);

/// The call of `wait` for whole milliseconds. Some machines lack `epoll_wait`. Android kills for
/// it.
pub const SYS_WAIT: Number = if cfg!(any(barepoll_android, target_arch = "aarch64", target_arch = "riscv64")) {
    libc::SYS_epoll_pwait as Number
} else {
    SYS_EPOLL_WAIT
};
#[cfg(any(target_arch = "aarch64", target_arch = "riscv64"))]
pub const SYS_EPOLL_WAIT: Number = libc::SYS_epoll_pwait as Number;
#[cfg(not(any(target_arch = "aarch64", target_arch = "riscv64")))]
pub const SYS_EPOLL_WAIT: Number = libc::SYS_epoll_wait as Number;

/// The calls that set a timer and get its time. A 32-bit machine's newer calls have their numbers
/// from Linux 5.1. Older Android releases kill for those.
const HAS_NEWER_TIMER_CALLS: bool = cfg!(all(target_pointer_width = "32", not(barepoll_android)));
const SYS_TIMERFD_SETTIME: Number = if HAS_NEWER_TIMER_CALLS { 411 } else { libc::SYS_timerfd_settime as Number };
const SYS_TIMERFD_GETTIME: Number = if HAS_NEWER_TIMER_CALLS { 410 } else { libc::SYS_timerfd_gettime as Number };

/// Whether an uninterrupted wait's clock tries a second call if the first fails.
#[cfg(not(feature = "std"))]
const HAS_TWO_CLOCKS: bool = cfg!(target_pointer_width = "32");

/// The meaning of a call's result.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Kind {
    /// A count or a descriptor, or an unused value.
    Value,
    /// A count of events. The crate trusts the kernel that they fit the buffer.
    Events,
    /// A count of events that the cold path checks. If they exceed the buffer, the crate treats the
    /// call as missing and uses another.
    CheckedEvents,
    /// A count of bytes that must be eight.
    Eight,
    /// Only 0 is success.
    #[cfg(not(feature = "std"))]
    Zero,
    /// Any value of a driver's.
    Driver,
    /// The crate ignores the result.
    Ignored,
}

/// A way to make a call. `run` returns `Ok(None)` if it cannot observe the value.
struct Entry {
    name: &'static str,
    call: Number,
    kind: Kind,
    run: fn(&Scene) -> Result<Option<usize>, Errno>,
}

struct Scene {
    /// Watches `ready`.
    epoll: Epoll,
    ready: EventFd,
    waker: Waker,
    /// Expires again and again.
    timer: TimerFd,
}

impl Scene {
    fn new() -> Self {
        let (epoll, ready) = (Epoll::new().expect("an epoll"), counter(1));
        epoll.add(&ready, EventData::new_u64(1), IN).expect("added");
        let waker = Waker::new(&epoll, EventData::new_u64(2)).expect("a waker");
        let timer = TimerFd::new(Clock::MONOTONIC, TimerFdFlags::CLOEXEC).expect("a timer");
        timer.set(OFTEN).expect("set");
        Self { epoll, ready, waker, timer }
    }

    fn fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }
}

pub fn counter(initial: u32) -> EventFd {
    EventFd::new(initial, EventFdFlags::CLOEXEC | EventFdFlags::NONBLOCK).expect("an eventfd")
}

fn number(owner: impl IntoRawFd) -> Option<usize> {
    Some(owner.into_raw_fd() as usize)
}

fn count(answer: Result<&mut [Event], Errno>) -> Result<Option<usize>, Errno> {
    answer.map(|events| Some(events.len()))
}

fn flush(scene: &Scene, before: bool, after: bool) -> Result<Option<usize>, Errno> {
    let mut slots = [Slot::EMPTY; 64];
    let (mut interests, source) = (InterestSet::new(&mut slots), counter(0));
    if before {
        interests.set(&source, DATA, IN)?;
        silently(|| interests.flush(&scene.epoll))?;
    }
    match after {
        true => interests.set(&source, DATA, EventFlags::OUT)?,
        false => interests.remove(&source)?,
    }
    let answer = interests.flush(&scene.epoll).map_err(Errno::from);
    answer.map(|()| None)
}

macro_rules! entries {
    ($($call:path: $kind:ident { $($name:literal: $run:expr;)* })*) => {
        vec![$($(Entry { name: $name, call: $call as Number, kind: Kind::$kind, run: $run }),*),*]
    };
}

#[rustfmt::skip] // one line per entry
fn entries() -> Vec<Entry> {
    #[allow(unused_mut)]
    let mut entries = entries! {
        libc::SYS_epoll_create1: Value {
            "Epoll::new": |_| Epoll::new().map(number);
            "raw::epoll_create1": |_| raw::epoll_create1(0).map(|fd| Some(fd as usize));
        }
        libc::SYS_eventfd2: Value {
            "EventFd::new": |_| EventFd::new(1, EventFdFlags::CLOEXEC).map(number);
            "raw::eventfd2": |_| raw::eventfd2(0, 0).map(|fd| Some(fd as usize));
        }
        libc::SYS_epoll_ctl: Value {
            "Epoll::add": |scene| scene.epoll.add(&scene.ready, DATA, IN).map(|()| None);
            "Epoll::modify": |scene| scene.epoll.modify(&scene.ready, DATA, IN).map(|()| None);
            "Epoll::delete": |scene| scene.epoll.delete(&scene.ready).map(|()| None);
            "Waker::new": |scene| Waker::new(&scene.epoll, DATA).map(|_| None);
            "InterestSet::flush, of one to add": |scene| flush(scene, false, true);
            "InterestSet::flush, of one to modify": |scene| flush(scene, true, true);
            "InterestSet::flush, of one to delete": |scene| flush(scene, true, false);
            // SAFETY: EPOLL_CTL_DEL reads no event.
            "raw::epoll_ctl": |scene| unsafe { raw::epoll_ctl(scene.fd(), raw::EPOLL_CTL_DEL, 0, ptr::null_mut()) }.map(|()| None);
        }
        SYS_WAIT: Events {
            "Epoll::wait": |scene| count(scene.epoll.wait(&mut Event::buffer::<1>(), Some(MS)));
            "Epoll::wait, for ever": |scene| count(scene.epoll.wait(&mut Event::buffer::<1>(), None));
            "Epoll::wait_uninterrupted": |scene| count(scene.epoll.wait_uninterrupted(&mut Event::buffer::<1>(), Some(MS)));
            "Epoll::wait_spinning": |scene| count(scene.epoll.wait_spinning(&mut Event::buffer::<1>(), Some(MS), 3));
        }
        SYS_WAIT: Value {
            // SAFETY: room for one event.
            "raw::epoll_wait": |scene| unsafe { raw::epoll_wait(scene.fd(), Event::buffer::<1>().as_mut_ptr().cast(), 1, 0) }.map(Some);
        }
        libc::SYS_epoll_pwait: Events {
            "Epoll::wait_masked": |scene| count(scene.epoll.wait_masked(&mut Event::buffer::<1>(), Some(MS), &SigSet::full()));
        }
        libc::SYS_epoll_pwait: Value {
            // SAFETY: as above, and no mask.
            "raw::epoll_pwait": |scene| unsafe {
                raw::epoll_pwait(scene.fd(), Event::buffer::<1>().as_mut_ptr().cast(), 1, 0, ptr::null())
            }.map(Some);
        }
        libc::SYS_epoll_pwait2: Value {
            // SAFETY: as above, and a readable timeout.
            "raw::epoll_pwait2": |scene| unsafe {
                raw::epoll_pwait2(scene.fd(), Event::buffer::<1>().as_mut_ptr().cast(), 1, &Timespec::default(), ptr::null())
            }.map(Some);
        }
        libc::SYS_timerfd_create: Value {
            "TimerFd::new": |_| TimerFd::new(Clock::MONOTONIC, TimerFdFlags::CLOEXEC).map(number);
            "raw::timerfd_create": |_| raw::timerfd_create(raw::CLOCK_MONOTONIC, 0).map(|fd| Some(fd as usize));
        }
        SYS_TIMERFD_SETTIME: Value {
            "TimerFd::set": |scene| scene.timer.set(OFTEN).map(|()| None);
            "TimerFd::disarm": |scene| scene.timer.disarm().map(|()| None);
        }
        SYS_TIMERFD_GETTIME: Value {
            "TimerFd::get": |scene| scene.timer.get().map(|_| None);
        }
        libc::SYS_read: Eight {
            "TimerFd::read": |scene| scene.timer.read().map(|_| None);
            "EventFd::read": |scene| scene.ready.read().map(|_| None);
        }
        libc::SYS_read: Value {
            // SAFETY: room for eight bytes.
            "raw::read": |scene| unsafe { raw::read(scene.ready.as_raw_fd(), [0; 8].as_mut_ptr(), 8) }.map(Some);
        }
        libc::SYS_write: Value {
            "EventFd::write": |scene| scene.ready.write(1).map(|()| None);
            "Waker::wake": |scene| { scene.waker.acknowledge(); scene.waker.wake().map(|()| None) };
            // SAFETY: eight bytes.
            "raw::write": |scene| unsafe { raw::write(scene.ready.as_raw_fd(), [1; 8].as_ptr(), 8) }.map(Some);
        }
        libc::SYS_ioctl: Driver {
            "Epoll::busy_poll": |scene| scene.epoll.busy_poll().map(|_| None);
            "Epoll::set_busy_poll": |scene| scene.epoll.set_busy_poll(BusyPoll::default()).map(|()| None);
            "raw::ioctl": |scene| any_ioctl(scene.fd());
        }
        libc::SYS_close: Value {
            // SAFETY: no descriptor has this number.
            "raw::close": |_| unsafe { raw::close(-1) }.map(|()| None);
        }
        libc::SYS_close: Ignored {
            "drop of an Epoll": |_| { drop(silently(Epoll::new)?); Ok(None) };
        }
    };
    if !cfg!(barepoll_android) {
        entries.extend(entries! {
            libc::SYS_epoll_pwait2: CheckedEvents {
                "Epoll::wait, fine": |scene| count(scene.epoll.wait(&mut Event::buffer::<1>(), Some(FINE)));
                "Epoll::wait_masked, fine":
                    |scene| count(scene.epoll.wait_masked(&mut Event::buffer::<1>(), Some(FINE), &SigSet::full()));
                "Epoll::wait_uninterrupted, fine":
                    |scene| count(scene.epoll.wait_uninterrupted(&mut Event::buffer::<1>(), Some(FINE)));
                "Epoll::wait_spinning, fine":
                    |scene| count(scene.epoll.wait_spinning(&mut Event::buffer::<1>(), Some(FINE), 0));
            }
        });
    }
    // Feature `std` uses std's clock.
    #[cfg(not(feature = "std"))]
    if !HAS_TWO_CLOCKS {
        entries.extend(entries! {
            libc::SYS_clock_gettime: Zero {
                "Epoll::wait_uninterrupted, its clock":
                    |scene| scene.epoll.wait_uninterrupted(&mut Event::buffer::<1>(), Some(MS)).map(|_| None);
                "Epoll::wait_until, its clock":
                    |scene| scene.epoll.wait_until(&mut Event::buffer::<1>(), Some(barepoll::Deadline::ORIGIN)).map(|_| None);
                "Deadline::after": |_| barepoll::Deadline::after(MS).map(|_| None);
            }
        });
    }
    entries
}

/// Sends an epoll request to any descriptor.
pub fn any_ioctl(fd: RawFd) -> Result<Option<usize>, Errno> {
    // SAFETY: this request writes eight bytes.
    unsafe { raw::ioctl(fd, raw::EPIOCGPARAMS, [0_u8; 8].as_mut_ptr().cast()) }.map(Some)
}

/// The faked result, and whether calls get it now.
static ANSWER: AtomicI64 = AtomicI64::new(0);
static ANSWERS_NOW: AtomicBool = AtomicBool::new(false);

/// Runs without faked results.
fn silently<T>(run: impl FnOnce() -> T) -> T {
    let before = ANSWERS_NOW.swap(false, SeqCst);
    let given = run();
    ANSWERS_NOW.store(before, SeqCst);
    given
}

pub fn checks() -> Vec<Check> {
    let each = entries()
        .into_iter()
        .map(|entry| check(format!("{} makes sense of any answer", entry.name), move || is_right(&entry)));
    let each = each.chain([check("a time left that is none is zero", a_time_left_that_is_none)]);
    #[cfg(not(feature = "std"))]
    let each = each.chain([check("a time that is none makes no wait panic", a_time_that_is_none)]);
    each.collect()
}

/// The kernel writes extreme times into a timer's state.
fn a_time_left_that_is_none() {
    const EXTREMES: [[i64; 2]; 6] =
        [[-1, 0], [0, -1], [i64::MIN, i64::MIN], [1, 1_000_000_000], [i64::MAX, i64::MAX], [0, 1 << 32]];
    if cfg!(all(target_pointer_width = "32", barepoll_android)) {
        return; // those times are two words
    }
    for extreme in EXTREMES {
        let answer = |call: &Call| {
            let place = call.pointer::<[[i64; 2]; 2]>(1).cast_mut();
            // SAFETY: the calling thread waits for the result and has room for two times.
            unsafe { place.write_unaligned([extreme; 2]) };
            Some(0)
        };
        let state = answered(&[SYS_TIMERFD_GETTIME], answer, || Scene::new().timer.get());
        assert_eq!(state, Ok(TimerState::default()), "{extreme:?}");
    }
}

/// The clock returns extreme times, and a signal interrupts each wait once.
#[cfg(not(feature = "std"))]
fn a_time_that_is_none() {
    const CLOCKS: [Number; 2] = [libc::SYS_clock_gettime as Number, 403];
    const EXTREMES: [i64; 6] = [i64::MIN, i32::MIN as i64, -1, 0, u32::MAX as i64, i64::MAX];
    for first in EXTREMES {
        for second in EXTREMES {
            let mut times = [first, second].into_iter().cycle();
            let mut interruptions = [Some(-i64::from(libc::EINTR)), Some(0)].into_iter().cycle();
            let answer = |call: &Call| {
                if !CLOCKS.contains(&call.number) {
                    return interruptions.next().flatten();
                }
                let time = times.next().unwrap_or_default();
                let place = call.pointer::<[isize; 2]>(1).cast_mut();
                // SAFETY: the calling thread waits for the result and has room for two words.
                unsafe { place.write([time as isize; 2]) };
                Some(0)
            };
            let waits = [SYS_WAIT, libc::SYS_epoll_pwait2 as Number];
            answered(&[&waits[..], &CLOCKS].concat(), answer, || {
                let epoll = Epoll::new().expect("an epoll");
                for timeout in [MS, FINE, Duration::MAX] {
                    assert_eq!(count(epoll.wait_uninterrupted(&mut Event::buffer::<1>(), Some(timeout))), Ok(Some(0)));
                    let until = || {
                        let deadline = barepoll::Deadline::after(timeout).expect("a time");
                        let _ = deadline.saturating_duration_since(barepoll::Deadline::now().expect("a time"));
                        count(epoll.wait_until(&mut Event::buffer::<1>(), Some(deadline)))
                    };
                    assert_eq!([until(), until()], [Err(Errno::EINTR), Ok(Some(0))]);
                }
            });
        }
    }
}

fn is_right(entry: &Entry) {
    let scene = Scene::new();
    let run = || {
        for answer in ANSWERS {
            // The crate trusts the kernel's count of events, so a false one is undefined behaviour.
            // See SECURITY.md.
            if entry.kind == Kind::Events && answer > 0 {
                continue;
            }
            ANSWER.store(answer.into(), SeqCst);
            ANSWERS_NOW.store(true, SeqCst);
            let given = (entry.run)(&scene);
            ANSWERS_NOW.store(false, SeqCst);
            is_as_expected(entry, answer, given);
        }
    };
    answered(&[entry.call], |_| Some(ANSWER.load(SeqCst)).filter(|_| ANSWERS_NOW.load(SeqCst)), run);
}

fn is_as_expected(entry: &Entry, answer: i32, given: Result<Option<usize>, Errno>) {
    let what = format!("{}, answered with {answer}: {given:?}", entry.name);
    let is_value = |value: usize| matches!(given, Ok(None)) || given == Ok(Some(value));
    match (answer, entry.kind) {
        (_, Kind::Ignored) => assert_eq!(given, Ok(None), "{what}"),
        (..=-4096, Kind::Driver) => assert!(is_value(answer as usize), "{what}"),
        // The error may be any valid one.
        (..=-4096, _) => is_an_error(given, &what),
        (..=-1, _) => {
            is_an_error(given, &what);
            assert_eq!(given, Err(Errno::from_raw(-answer).expect("an error number")), "{what}");
        }
        (_, Kind::Eight) => assert_eq!(given, Err(Errno::EINVAL), "{what}"),
        #[cfg(not(feature = "std"))]
        (1.., Kind::Zero) => assert_eq!(given, Err(Errno::ENOSYS), "{what}"),
        // The fallback call returns the one ready event.
        (1.., Kind::CheckedEvents) => assert_eq!(given, Ok(Some(1)), "{what}"),
        _ => assert!(is_value(answer as usize), "{what}"),
    }
}

/// Checks for a valid error. An `Errno` of 0 would read as `None` in an `Option`.
pub fn is_an_error(given: Result<Option<usize>, Errno>, what: &str) {
    let errno = given.err().unwrap_or_else(|| panic!("{what}"));
    assert!(black_box(Some(errno)).is_some(), "{what}");
    assert!((1..=4095).contains(&errno.raw()), "{what}");
    assert_eq!(
        format!("{errno:?}"),
        Errno::from_raw(errno.raw()).map_or_else(String::new, |errno| format!("{errno:?}"))
    );
}
