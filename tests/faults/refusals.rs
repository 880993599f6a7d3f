//! Refused calls: which errors reach the caller, and which state stays unchanged.

use crate::seccomp::{intercepted, Call, Number};
use crate::Check;
use barepoll::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use barepoll::raw::{self, Itimerspec, Timespec};
use barepoll::{BusyPoll, CreateFlags, Epoll, Errno, Event, EventData, EventFd, EventFdFlags, EventFlags};
use barepoll::{
    Clock, FlushError, InterestSet, PidFd, SigSet, SignalFd, SignalFdFlags, SignalInfo, Slot, TimerFd, TimerFdFlags,
    TimerSetting, Waker,
};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::collections::BTreeMap;
use std::fs;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering::SeqCst};
use std::sync::Mutex;
use std::time::Duration;

const IN: EventFlags = EventFlags::IN;
const MS: Duration = Duration::from_millis(1);
const FINE: Duration = Duration::from_micros(100);
const OFTEN: TimerSetting = TimerSetting::every(FINE);

/// The call that `wait` makes for whole milliseconds. These machines lack `epoll_wait`.
#[cfg(any(target_arch = "aarch64", target_arch = "riscv64", target_arch = "loongarch64"))]
pub const SYS_WAIT: Number = libc::SYS_epoll_pwait;
#[cfg(not(any(target_arch = "aarch64", target_arch = "riscv64", target_arch = "loongarch64")))]
pub const SYS_WAIT: Number = libc::SYS_epoll_wait;

/// Every error number of the kernel, more than any call documents, and the largest possible one.
pub fn errnos() -> impl Iterator<Item = Errno> {
    (1..=133).chain([4095]).filter_map(Errno::from_raw)
}

pub fn counter(initial: u32) -> EventFd {
    EventFd::new(initial, EventFdFlags::CLOEXEC | EventFdFlags::NONBLOCK).expect("an eventfd")
}

/// The numbers of this process' open descriptors, including the one that this function uses.
pub fn descriptors() -> Vec<RawFd> {
    let names = fs::read_dir("/proc/self/fd").expect("/proc").map(|entry| entry.expect("an entry").file_name());
    let mut numbers: Vec<_> = names.filter_map(|name| name.to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}

/// The objects on which the refused calls are made.
struct Scene {
    /// Watches `ready`. `waker` wakes it.
    epoll: Epoll,
    ready: EventFd,
    unwatched: EventFd,
    waker: Waker,
    /// Expires again and again.
    timer: TimerFd,
    /// Of a signal that is blocked.
    signals: SignalFd,
    /// Open, without an owner.
    spare: RawFd,
}

impl Scene {
    fn new() -> Self {
        let (epoll, ready) = (Epoll::new().expect("an epoll"), counter(1));
        epoll.add(&ready, EventData::new_u64(1), IN).expect("added");
        let waker = Waker::new(&epoll, EventData::new_u64(2)).expect("a waker");
        let timer = TimerFd::new(Clock::MONOTONIC, TimerFdFlags::CLOEXEC).expect("a timer");
        timer.set(OFTEN).expect("set");
        let signals = SignalFd::new(&usr1(), SignalFdFlags::CLOEXEC | SignalFdFlags::NONBLOCK).expect("a signalfd");
        usr1().block().expect("blocked");
        Self { epoll, ready, unwatched: counter(0), waker, timer, signals, spare: counter(0).into_raw_fd() }
    }

    /// Reads a signal that is pending.
    fn read_signal(&self) -> Result<(), Errno> {
        // SAFETY: the call takes no pointer.
        assert_eq!(unsafe { libc::raise(libc::SIGUSR1) }, 0);
        self.signals.read(&mut SignalInfo::buffer::<2>()).map(|infos| assert_eq!(infos.len(), 1))
    }
}

/// The set of `SIGUSR1`.
fn usr1() -> SigSet {
    SigSet::from_signals(&[libc::SIGUSR1]).expect("a signal")
}

/// A call through one of the crate's functions.
struct Entry {
    name: &'static str,
    call: Number,
    run: fn(&Scene) -> Result<(), Errno>,
    /// Errors that do not reach the caller. Other checks cover them.
    handled: &'static [Errno],
}

/// The result of a wait through the raw call.
fn raw_wait(wait: impl FnOnce(*mut Event) -> Result<usize, Errno>) -> Result<(), Errno> {
    let mut event = MaybeUninit::<Event>::uninit();
    wait(event.as_mut_ptr()).map(drop)
}

macro_rules! entries {
    ($($call:path { $($name:literal $(($($handled:ident),*))?: $run:expr;)* })*) => {
        vec![$($(Entry { name: $name, call: $call, run: $run, handled: &[$($(Errno::$handled),*)?] }),*),*]
    };
}

#[rustfmt::skip] // one entry a line
fn entries() -> Vec<Entry> {
    const DATA: EventData = EventData::new_u64(3);
    const NONE: BusyPoll = BusyPoll { busy_poll_usecs: 0, busy_poll_budget: 0, prefer_busy_poll: false };
    #[allow(unused_mut)] // unused with std
    let mut entries = entries! {
        libc::SYS_epoll_create1 {
            "Epoll::new": |_| Epoll::new().map(drop);
            "Epoll::with_flags": |_| Epoll::with_flags(CreateFlags::empty()).map(drop);
            "raw::epoll_create": |_| raw::epoll_create(1).map(close);
            "raw::epoll_create1": |_| raw::epoll_create1(0).map(close);
        }
        libc::SYS_eventfd2 {
            "EventFd::new": |_| EventFd::new(1, EventFdFlags::CLOEXEC).map(drop);
            "Waker::new, its eventfd": |scene| Waker::new(&scene.epoll, DATA).map(drop);
            "raw::eventfd2": |_| raw::eventfd2(0, 0).map(close);
        }
        libc::SYS_signalfd4 {
            "SignalFd::new": |_| SignalFd::new(&SigSet::empty(), SignalFdFlags::CLOEXEC).map(drop);
            "SignalFd::set": |scene| scene.signals.set(&SigSet::full());
            // SAFETY: the set outlives the call.
            "raw::signalfd4": |_| unsafe { raw::signalfd4(-1, &SigSet::empty(), 0) }.map(close);
        }
        libc::SYS_rt_sigprocmask {
            "SigSet::block": |_| SigSet::empty().block().map(drop);
            "SigSet::unblock": |_| SigSet::empty().unblock().map(drop);
            "SigSet::set_thread_mask": |_| SigSet::empty().set_thread_mask().map(drop);
            "SigSet::thread_mask": |_| SigSet::thread_mask().map(drop);
            // SAFETY: both sets are null.
            "raw::rt_sigprocmask": |_| unsafe { raw::rt_sigprocmask(raw::SIG_BLOCK, ptr::null(), ptr::null_mut()) };
        }
        libc::SYS_epoll_ctl {
            "Epoll::add": |scene| scene.epoll.add(&scene.unwatched, DATA, IN);
            "Epoll::modify": |scene| scene.epoll.modify(&scene.ready, DATA, IN);
            "Epoll::delete": |scene| scene.epoll.delete(&scene.ready);
            "Waker::new, its registration": |scene| Waker::new(&scene.epoll, DATA).map(drop);
            // SAFETY: a delete reads no event.
            "raw::epoll_ctl": |scene| unsafe {
                raw::epoll_ctl(scene.epoll.as_raw_fd(), raw::EPOLL_CTL_DEL, scene.ready.as_raw_fd(), ptr::null_mut())
            };
        }
        SYS_WAIT {
            "Epoll::wait": |scene| scene.epoll.wait(&mut Event::buffer::<1>(), Some(MS)).map(drop);
            "Epoll::wait, for ever": |scene| scene.epoll.wait(&mut Event::buffer::<1>(), None).map(drop);
            "Epoll::wait_uninterrupted" (EINTR):
                |scene| scene.epoll.wait_uninterrupted(&mut Event::buffer::<1>(), Some(MS)).map(drop);
            "Epoll::wait_spinning": |scene| scene.epoll.wait_spinning(&mut Event::buffer::<1>(), Some(MS), 3).map(drop);
            // SAFETY: the pointer has room for one event.
            "raw::epoll_wait": |scene| raw_wait(|event| unsafe { raw::epoll_wait(scene.epoll.as_raw_fd(), event, 1, 0) });
        }
        libc::SYS_epoll_pwait {
            "Epoll::wait_masked":
                |scene| scene.epoll.wait_masked(&mut Event::buffer::<1>(), Some(MS), &SigSet::full()).map(drop);
            // SAFETY: as above, and the mask is null.
            "raw::epoll_pwait": |scene| raw_wait(|event| unsafe {
                raw::epoll_pwait(scene.epoll.as_raw_fd(), event, 1, 0, ptr::null())
            });
        }
        libc::SYS_epoll_pwait2 {
            "Epoll::wait, fine" (ENOSYS, EPERM): |scene| scene.epoll.wait(&mut Event::buffer::<1>(), Some(FINE)).map(drop);
            "Epoll::wait_masked, fine" (ENOSYS, EPERM):
                |scene| scene.epoll.wait_masked(&mut Event::buffer::<1>(), Some(FINE), &SigSet::full()).map(drop);
            "Epoll::wait_uninterrupted, fine" (ENOSYS, EPERM, EINTR):
                |scene| scene.epoll.wait_uninterrupted(&mut Event::buffer::<1>(), Some(FINE)).map(drop);
            "Epoll::wait_spinning, fine" (ENOSYS, EPERM):
                |scene| scene.epoll.wait_spinning(&mut Event::buffer::<1>(), Some(FINE), 0).map(drop);
            // SAFETY: as above, and the timeout is readable.
            "raw::epoll_pwait2": |scene| raw_wait(|event| unsafe {
                raw::epoll_pwait2(scene.epoll.as_raw_fd(), event, 1, &Timespec::default(), ptr::null())
            });
        }
        libc::SYS_timerfd_create {
            "TimerFd::new": |_| TimerFd::new(Clock::REALTIME, TimerFdFlags::CLOEXEC).map(drop);
            "raw::timerfd_create": |_| raw::timerfd_create(raw::CLOCK_MONOTONIC, 0).map(close);
        }
        libc::SYS_timerfd_settime {
            "TimerFd::set": |scene| scene.timer.set(OFTEN);
            "TimerFd::disarm": |scene| scene.timer.disarm();
            // SAFETY: the setting is readable, and the other pointer is null.
            "raw::timerfd_settime": |scene| unsafe {
                raw::timerfd_settime(scene.timer.as_raw_fd(), 0, &Itimerspec::default(), ptr::null_mut())
            };
        }
        libc::SYS_timerfd_gettime {
            "TimerFd::get": |scene| scene.timer.get().map(drop);
            // SAFETY: the pointer has room for the times.
            "raw::timerfd_gettime": |scene| unsafe {
                raw::timerfd_gettime(scene.timer.as_raw_fd(), &mut Itimerspec::default())
            };
        }
        libc::SYS_read {
            "TimerFd::read": |scene| scene.timer.read().map(drop);
            "EventFd::read": |scene| scene.ready.read().map(drop);
            "SignalFd::read": |scene| scene.read_signal();
            // SAFETY: the array has room for eight bytes.
            "raw::read": |scene| unsafe { raw::read(scene.ready.as_raw_fd(), [0; 8].as_mut_ptr(), 8) }.map(drop);
        }
        libc::SYS_write {
            "EventFd::write": |scene| scene.unwatched.write(1);
            "Waker::wake" (EAGAIN): |scene| scene.waker.wake();
            // SAFETY: the array has eight bytes.
            "raw::write": |scene| unsafe { raw::write(scene.unwatched.as_raw_fd(), [1; 8].as_ptr(), 8) }.map(drop);
        }
        libc::SYS_pidfd_open {
            "PidFd::open" (EPERM): |_| PidFd::open(process()).map(drop);
            "raw::pidfd_open": |_| raw::pidfd_open(process(), 0).map(close);
        }
        libc::SYS_pidfd_send_signal {
            "PidFd::send_signal": |_| this_process().send_signal(0);
            // SAFETY: the pointer is null.
            "raw::pidfd_send_signal": |_| unsafe {
                raw::pidfd_send_signal(this_process().as_raw_fd(), 0, ptr::null(), 0)
            };
        }
        libc::SYS_waitid {
            "PidFd::wait" (EINVAL): |_| this_process().wait().map(drop);
            "PidFd::try_wait" (EINVAL): |_| this_process().try_wait().map(drop);
            // SAFETY: the pointer is null, and this process is no child of its own.
            "raw::waitid": |_| unsafe { raw::waitid(raw::P_PID, process(), ptr::null_mut(), raw::WEXITED) };
        }
        libc::SYS_ioctl {
            "Epoll::busy_poll": |scene| scene.epoll.busy_poll().map(drop);
            "Epoll::set_busy_poll": |scene| scene.epoll.set_busy_poll(NONE);
            // SAFETY: the buffer has room for the request's bytes.
            "raw::ioctl": |scene| unsafe {
                raw::ioctl(scene.epoll.as_raw_fd(), raw::EPIOCGPARAMS, [0_u8; 8].as_mut_ptr().cast())
            }.map(drop);
        }
        libc::SYS_close {
            // SAFETY: the descriptor has no other owner.
            "raw::close": |scene| unsafe { raw::close(scene.spare) };
        }
    };
    // With std the clock is std's.
    #[cfg(not(feature = "std"))]
    entries.extend(entries! {
        libc::SYS_clock_gettime {
            "Epoll::wait_uninterrupted, its clock":
                |scene| scene.epoll.wait_uninterrupted(&mut Event::buffer::<1>(), Some(MS)).map(drop);
            "Epoll::wait_uninterrupted, its clock, fine":
                |scene| scene.epoll.wait_uninterrupted(&mut Event::buffer::<1>(), Some(FINE)).map(drop);
            "Epoll::wait_until, its clock":
                |scene| scene.epoll.wait_until(&mut Event::buffer::<1>(), Some(barepoll::Deadline::ORIGIN)).map(drop);
            "Deadline::after": |_| barepoll::Deadline::after(MS).map(drop);
        }
    });
    entries
}

fn process() -> i32 {
    std::process::id() as i32
}

fn this_process() -> PidFd {
    PidFd::open(process()).expect("a pidfd")
}

/// Closes a descriptor that was just made.
fn close(fd: RawFd) {
    // SAFETY: the number has no other owner.
    assert_eq!(unsafe { raw::close(fd) }, Ok(()));
}

/// The error to refuse calls with, and the number of refused calls.
#[derive(Default)]
struct Refusal {
    errno: AtomicI32,
    refused: AtomicU64,
}

impl Refusal {
    /// The error that refuses a call, if any.
    fn answer(&self) -> Option<Errno> {
        let errno = Errno::from_raw(self.errno.load(SeqCst));
        self.refused.fetch_add(errno.is_some().into(), SeqCst);
        errno
    }

    /// Refuses calls while `run` runs. Returns its result and the number of refused calls.
    fn during<T>(&self, errno: Errno, run: impl FnOnce() -> T) -> (T, u64) {
        let before = self.refused.load(SeqCst);
        self.errno.store(errno.raw(), SeqCst);
        let given = run();
        self.errno.store(0, SeqCst);
        (given, self.refused.load(SeqCst) - before)
    }
}

/// Refuses this call with every error. The error must reach the caller after a single attempt, and
/// no state may change.
fn is_refused(entry: &Entry) {
    let (scene, refusal) = (Scene::new(), Refusal::default());
    let run = || {
        let before = descriptors();
        for errno in errnos().filter(|errno| !entry.handled.contains(errno)) {
            assert_eq!(refusal.during(errno, || (entry.run)(&scene)), (Err(errno), 1), "{}, {errno}", entry.name);
        }
        assert_eq!(descriptors(), before, "{}: open descriptors before and after", entry.name);
        // Not every kernel has busy polling. No process is its own child.
        let afterwards = (entry.run)(&scene);
        assert!(
            matches!(afterwards, Ok(()) | Err(Errno::ENOTTY | Errno::EOPNOTSUPP | Errno::ECHILD)),
            "{}: {afterwards:?}",
            entry.name
        );
    };
    intercepted(&[entry.call], |_| refusal.answer(), run);
}

pub fn checks() -> Vec<Check> {
    let mut checks: Vec<Check> = crate::checks![
        an_owner_whose_close_is_refused_closes_once_and_says_nothing,
        a_waker_that_cannot_be_registered_closes_its_eventfd_once,
        a_wake_up_that_was_refused_goes_out_at_the_next_try,
        a_wake_up_to_a_full_counter_that_cannot_be_emptied_says_so_and_goes_out_at_the_next_try,
        a_wake_up_to_a_full_counter_whose_second_write_is_refused_says_so_and_goes_out_at_the_next_try,
        a_flush_names_the_refused_descriptor_and_tells_the_others,
        an_exclusive_one_whose_second_call_is_refused_is_not_watched,
        whatever_flushes_are_refused_the_next_one_brings_what_is_wanted,
        a_kernel_without_pidfds_or_without_their_wait_is_enosys,
    ];
    checks.extend(entries().into_iter().map(|entry| -> Check {
        (format!("{} says why, and leaks nothing", entry.name), Box::new(move || is_refused(&entry)))
    }));
    checks
}

fn an_owner_whose_close_is_refused_closes_once_and_says_nothing() {
    let refusal = Refusal::default();
    let epoll = Epoll::new().expect("an epoll");
    let run = || {
        let before = descriptors();
        for errno in errnos() {
            close_is_refused(&refusal, errno, Epoll::new().expect("an epoll"));
            close_is_refused(&refusal, errno, counter(0));
            close_is_refused(&refusal, errno, OwnedFd::from(counter(0)));
            close_is_refused(&refusal, errno, Waker::new(&epoll, EventData::new_u64(1)).expect("a waker"));
        }
        assert_eq!(descriptors(), before);
    };
    intercepted(&[libc::SYS_close], |_| refusal.answer(), run);
}

fn close_is_refused(refusal: &Refusal, errno: Errno, owner: impl AsRawFd) {
    let fd = owner.as_raw_fd();
    assert_eq!(refusal.during(errno, || drop(owner)), ((), 1), "{errno}");
    close(fd); // the filter kept it open, which the kernel never would
}

fn a_waker_that_cannot_be_registered_closes_its_eventfd_once() {
    let (epoll, mut made, mut closed) = (Epoll::new().expect("an epoll"), 0, 0);
    let calls = [libc::SYS_eventfd2, libc::SYS_epoll_ctl, libc::SYS_close];
    let answer = |call: &Call| {
        made += u32::from(call.number == libc::SYS_eventfd2);
        closed += u32::from(call.number == libc::SYS_close);
        Some(Errno::ENOSPC).filter(|_| call.number == libc::SYS_epoll_ctl)
    };
    let waker = intercepted(&calls, answer, || Waker::new(&epoll, EventData::new_u64(1)));
    assert_eq!((waker.err(), made, closed), (Some(Errno::ENOSPC), 1, 1));
}

/// The data of the ready events.
fn ready(epoll: &Epoll) -> Vec<u64> {
    let mut buffer = Event::buffer::<8>();
    let events = epoll.wait(&mut buffer, Some(Duration::ZERO)).expect("a wait");
    events.iter().map(|event| event.data().u64()).collect()
}

fn a_wake_up_that_was_refused_goes_out_at_the_next_try() {
    let refusal = Refusal::default();
    let epoll = Epoll::new().expect("an epoll");
    let waker = Waker::new(&epoll, EventData::new_u64(7)).expect("a waker");
    let run = || {
        for errno in errnos().filter(|errno| *errno != Errno::EAGAIN) {
            for _ in 0..2 {
                assert_eq!(refusal.during(errno, || waker.wake()), (Err(errno), 1));
                assert!(ready(&epoll).is_empty());
            }
            assert_eq!((waker.wake(), ready(&epoll)), (Ok(()), vec![7]), "{errno}");
            // A pending wake-up makes no call to refuse.
            assert_eq!(refusal.during(errno, || waker.wake()), (Ok(()), 0));
            waker.acknowledge();
        }
    };
    intercepted(&[libc::SYS_write], |_| refusal.answer(), run);
}

fn a_wake_up_to_a_full_counter_that_cannot_be_emptied_says_so_and_goes_out_at_the_next_try() {
    const MOST: [u8; 8] = (u64::MAX - 1).to_ne_bytes();
    let refusal = Refusal::default();
    let epoll = Epoll::new().expect("an epoll");
    let waker = Waker::new(&epoll, EventData::new_u64(7)).expect("a waker");
    let run = || {
        for errno in errnos().filter(|errno| *errno != Errno::EAGAIN) {
            // SAFETY: the array has eight bytes.
            assert_eq!(unsafe { raw::write(waker.as_raw_fd(), MOST.as_ptr(), 8) }, Ok(8));
            assert_eq!(ready(&epoll), [7]);
            assert_eq!(refusal.during(errno, || waker.wake()), (Err(errno), 1));
            assert_eq!((waker.wake(), ready(&epoll)), (Ok(()), vec![7]), "{errno}");
            waker.acknowledge();
            // SAFETY: the array has room for eight bytes.
            assert_eq!(unsafe { raw::read(waker.as_raw_fd(), [0; 8].as_mut_ptr(), 8) }, Ok(8));
        }
    };
    intercepted(&[libc::SYS_read], |_| refusal.answer(), run);
}

fn a_wake_up_to_a_full_counter_whose_second_write_is_refused_says_so_and_goes_out_at_the_next_try() {
    // The coming answers, the last one first.
    let answers = Mutex::new(Vec::new());
    let epoll = Epoll::new().expect("an epoll");
    let waker = Waker::new(&epoll, EventData::new_u64(7)).expect("a waker");
    let run = || {
        for errno in errnos() {
            *answers.lock().expect("no panic") = vec![errno, Errno::EAGAIN];
            assert_eq!(waker.wake(), Err(errno));
            assert!(answers.lock().expect("no panic").is_empty() && ready(&epoll).is_empty());
            assert_eq!((waker.wake(), ready(&epoll)), (Ok(()), vec![7]), "{errno}");
            waker.acknowledge();
        }
    };
    intercepted(&[libc::SYS_write], |_| answers.lock().expect("no panic").pop(), run);
}

/// Interest flags and data.
pub type Interest = (EventFlags, u64);

/// The kernel's interest list.
fn registered(epoll: &Epoll) -> BTreeMap<RawFd, Interest> {
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", epoll.as_raw_fd())).expect("/proc");
    let field =
        |line: &str, name: &str| line.split_whitespace().skip_while(|word| *word != name).nth(1).map(String::from);
    let parse = |line: &str| {
        let flags = u32::from_str_radix(&field(line, "events:")?, 16).ok()?;
        // The kernel adds these two.
        let flags = EventFlags::from_bits_retain(flags) - (EventFlags::ERR | EventFlags::HUP);
        let data = u64::from_str_radix(&field(line, "data:")?, 16).ok()?;
        Some((field(line, "tfd:")?.parse().ok()?, (flags, data)))
    };
    text.lines().filter_map(parse).collect()
}

/// Flushes until no change is pending, and returns the errors.
fn flush_all(interests: &mut InterestSet<'_>, epoll: &Epoll) -> Vec<FlushError> {
    std::iter::from_fn(|| interests.flush(epoll).err()).collect()
}

fn a_flush_names_the_refused_descriptor_and_tells_the_others() {
    // These errors tell the set to retry another way or to do nothing. The conformance list covers
    // them.
    const ADD: &[Errno] = &[Errno::EEXIST];
    const MODIFY: &[Errno] = &[Errno::ENOENT];
    const DELETE: &[Errno] = &[Errno::EBADF, Errno::EPERM, Errno::EINVAL, Errno::ENOENT];
    const OLD: Interest = (EventFlags::IN, 1);
    const NEW: Interest = (EventFlags::OUT, 2);

    let refusal = Refusal::default();
    let sources = [counter(0), counter(0), counter(0)];
    let [first, refused, last] = [0, 1, 2].map(|place: usize| sources[place].as_raw_fd());
    let run = || {
        for (before, after, handled) in
            [(None, Some(NEW), ADD), (Some(OLD), Some(NEW), MODIFY), (Some(OLD), None, DELETE)]
        {
            let list = |interests: [Option<Interest>; 3]| -> BTreeMap<RawFd, Interest> {
                let each = [first, refused, last].into_iter().zip(interests);
                each.filter_map(|(fd, interest)| Some((fd, interest?))).collect()
            };
            for errno in errnos().filter(|errno| !handled.contains(errno)) {
                let (epoll, mut slots) = (Epoll::new().expect("an epoll"), [Slot::EMPTY; 64]);
                let mut interests = InterestSet::new(&mut slots);
                for interest in [before, after] {
                    sources.iter().for_each(|source| tell(&mut interests, source, interest));
                    if interest == before {
                        assert_eq!(flush_all(&mut interests, &epoll), []);
                    }
                }
                let (errors, count) = refusal.during(errno, || flush_all(&mut interests, &epoll));
                assert_eq!((errors, count), (vec![FlushError { fd: refused, errno }], 1));
                assert_eq!(registered(&epoll), list([after, before, after]), "{errno}");
                tell(&mut interests, &sources[1], after);
                assert_eq!(flush_all(&mut interests, &epoll), []);
                assert_eq!(registered(&epoll), list([after; 3]), "{errno}");
            }
        }
    };
    intercepted(&[libc::SYS_epoll_ctl], |call| if call.argument(2) == refused { refusal.answer() } else { None }, run);
}

fn an_exclusive_one_whose_second_call_is_refused_is_not_watched() {
    let refusal = Refusal::default();
    let source = counter(0);
    let run = || {
        for errno in errnos().filter(|errno| *errno != Errno::EEXIST) {
            let (epoll, mut slots) = (Epoll::new().expect("an epoll"), [Slot::EMPTY; 64]);
            let mut interests = InterestSet::new(&mut slots);
            interests.set(&source, EventData::new_u64(1), IN).expect("room");
            assert_eq!(flush_all(&mut interests, &epoll), []);
            interests.set(&source, EventData::new_u64(2), IN | EventFlags::EXCLUSIVE).expect("room");
            let (errors, _) = refusal.during(errno, || flush_all(&mut interests, &epoll));
            assert_eq!(errors, [FlushError { fd: source.as_raw_fd(), errno }]);
            assert!(registered(&epoll).is_empty());
            interests.set(&source, EventData::new_u64(3), IN).expect("room");
            assert_eq!(flush_all(&mut interests, &epoll), []);
            assert_eq!(registered(&epoll)[&source.as_raw_fd()], (IN, 3));
        }
    };
    let is_add = |call: &Call| call.argument(1) == raw::EPOLL_CTL_ADD as i32;
    intercepted(&[libc::SYS_epoll_ctl], |call| if is_add(call) { refusal.answer() } else { None }, run);
}

/// A change: the place among the sources, and the desired interest.
type Change = (usize, Option<Interest>);

const SOURCES: usize = 5;

fn change() -> impl Strategy<Value = Change> {
    let flags = prop::sample::select(vec![
        IN,
        EventFlags::OUT,
        IN | EventFlags::ET,
        IN | EventFlags::ONESHOT,
        IN | EventFlags::EXCLUSIVE,
    ]);
    (0..SOURCES, prop::option::weighted(0.7, (flags, 0..3_u64)))
}

/// Lists of changes, with a flush after each. The other list says which of its calls are refused.
fn whatever_flushes_are_refused_the_next_one_brings_what_is_wanted() {
    let sources: Vec<EventFd> = (0..SOURCES).map(|_| counter(0)).collect();
    let refusals = prop::collection::vec(prop::option::weighted(0.4, 0..3_usize), 12);
    let rounds = prop::collection::vec((prop::collection::vec(change(), 0..8), refusals), 1..6);
    let config = ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&rounds, |rounds| {
            // Each flush takes its answers from here.
            let answers = Mutex::new(Vec::new());
            let answer = |_: &Call| {
                let place: Option<usize> = answers.lock().expect("no panic").pop().flatten();
                Some([Errno::ENOMEM, Errno::ENOSPC, Errno::EIO][place?])
            };
            intercepted(&[libc::SYS_epoll_ctl], answer, || follow(&sources, rounds, &answers))
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
}

type Round = (Vec<Change>, Vec<Option<usize>>);

/// Makes the changes, and compares the kernel's list with the promised one after each flush.
fn follow(sources: &[EventFd], rounds: Vec<Round>, answers: &Mutex<Vec<Option<usize>>>) -> Result<(), TestCaseError> {
    let (epoll, mut slots) = (Epoll::new().expect("an epoll"), [Slot::EMPTY; 64]);
    let mut interests = InterestSet::new(&mut slots);
    for (changes, refusals) in rounds {
        let before = registered(&epoll);
        let mut wanted = before.clone();
        for (place, interest) in changes {
            tell(&mut interests, &sources[place], interest);
            match interest {
                Some(interest) => wanted.insert(sources[place].as_raw_fd(), interest),
                None => wanted.remove(&sources[place].as_raw_fd()),
            };
        }
        *answers.lock().expect("no panic") = refusals;
        let errors = flush_all(&mut interests, &epoll);
        answers.lock().expect("no panic").clear();

        let after = registered(&epoll);
        for source in sources {
            let fd = source.as_raw_fd();
            if errors.iter().any(|error| error.fd == fd) {
                let (is, was) = (after.get(&fd), before.get(&fd));
                prop_assert!(is.is_none() || is == was, "{fd} was {was:?}, is {is:?}");
            } else {
                prop_assert_eq!(after.get(&fd), wanted.get(&fd), "{}", fd);
            }
        }
        if !errors.is_empty() {
            for source in sources {
                tell(&mut interests, source, wanted.get(&source.as_raw_fd()).copied());
            }
            prop_assert_eq!(flush_all(&mut interests, &epoll), []);
            prop_assert_eq!(registered(&epoll), wanted);
        }
    }
    Ok(())
}

pub fn tell(interests: &mut InterestSet<'_>, source: &EventFd, interest: Option<Interest>) {
    let answer = match interest {
        Some((flags, data)) => interests.set(source, EventData::new_u64(data), flags),
        None => interests.remove(source),
    };
    answer.expect("room");
}

/// Hexagon's kernel returns `EPERM` for an unknown call, as old container runtimes do. Linux 5.3 has
/// `pidfd_open`, but `waitid` takes no pidfd.
fn a_kernel_without_pidfds_or_without_their_wait_is_enosys() {
    let answer = |call: &Call| Some(if call.number == libc::SYS_waitid { Errno::EINVAL } else { Errno::EPERM });
    let this = this_process();
    let run = || {
        assert_eq!(PidFd::open(process()).err(), Some(Errno::ENOSYS));
        assert_eq!(this.wait().err(), Some(Errno::ENOSYS));
        assert_eq!(this.try_wait().err(), Some(Errno::ENOSYS));
        assert_eq!(this.send_signal(0), Err(Errno::EPERM), "which it returns itself");
    };
    intercepted(&[libc::SYS_pidfd_open, libc::SYS_pidfd_send_signal, libc::SYS_waitid], answer, run);
}
