//! Calls every public function of the crate with arguments that the compiler cannot know. The panic
//! handler calls an undefined function, so this fails to link if a function can panic.
//! `cargo xtask symbols` links and inspects it. Nothing runs it.
//!
//! Feature `printing` adds formatting, which calls functions of `core` that are not inline.

use barepoll::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use barepoll::raw::{Itimerspec, Siginfo, Timespec};
use barepoll::syscall::Arg;
use barepoll::{
    raw, syscall, BusyPoll, ChildStatus, CreateFlags, Deadline, Epoll, Errno, Event, EventData, EventFd, EventFdFlags,
    EventFlags, FlushError, InterestSet, PidFd, PidFdFlags, SigSet, SignalFd, SignalFdFlags, SignalInfo, Signals, Slot,
    Timeout, TimerSlot, Timers, Waker,
};
use barepoll::{Clock, TimerFd, TimerFdFlags, TimerSetting, TimerState};
use core::fmt::{self, Write};
use core::hash::{Hash, Hasher};
use core::hint::black_box;
use core::mem::MaybeUninit;
use core::time::Duration;

#[cfg(panic = "unwind")] // dev and test use std's panic handler
extern crate std;

#[cfg(panic = "abort")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    extern "C" {
        fn something_can_panic() -> !;
    }
    // SAFETY: it is undefined, so a program that keeps this handler does not link.
    unsafe { something_can_panic() }
}

/// The linker's entry point, except on MIPS (`__start`).
#[no_mangle]
extern "C" fn _start() -> ! {
    loop {
        let _ = black_box(safe_layer());
        let _ = black_box(timers());
        let _ = black_box(raw_calls());
        let _ = black_box(other_calls());
        values();
    }
}

#[no_mangle]
extern "C" fn __start() -> ! {
    _start()
}

/// Discards written and hashed data.
struct Nowhere;

impl Write for Nowhere {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        black_box(text);
        Ok(())
    }
}

impl Hasher for Nowhere {
    fn write(&mut self, bytes: &[u8]) {
        black_box(bytes);
    }

    fn finish(&self) -> u64 {
        any(0)
    }
}

macro_rules! print {
    ($($arguments:tt)*) => {
        if cfg!(feature = "printing") {
            let _ = black_box(write!(Nowhere, $($arguments)*));
        }
    };
}

/// Uses both forms of `Debug`.
fn show(what: impl fmt::Debug) {
    print!("{what:?} {what:#?}");
}

/// Compares, hashes and formats a value.
fn compare<T: Copy + Eq + Hash + fmt::Debug>(what: T) {
    black_box(any(what) == any(what));
    any(what).hash(&mut Nowhere);
    show(any(what));
}

/// Hides a value from the compiler.
fn any<T: Copy>(value: T) -> T {
    black_box(value)
}

fn any_timeout() -> Option<Duration> {
    any(Some(Duration::ZERO))
}

/// A buffer of unknown length.
fn any_room(buffer: &mut [MaybeUninit<Event>; 8]) -> &mut [MaybeUninit<Event>] {
    buffer.get_mut(..any(8)).unwrap_or(&mut [])
}

fn safe_layer() -> Result<(), Errno> {
    let mut buffer = Event::buffer::<8>();
    let epoll = Epoll::with_flags(any(CreateFlags::CLOEXEC)).or_else(|_| Epoll::new())?;
    let eventfd = EventFd::new(any(0), any(EventFdFlags::NONBLOCK))?;
    let (data, interest) = (any(EventData::new_u64(1)), any(EventFlags::IN));
    black_box(epoll.add(&eventfd, data, interest)?);
    black_box(epoll.modify(&eventfd, data, interest)?);
    black_box(epoll.delete(&eventfd)?);
    black_box(epoll.wait(any_room(&mut buffer), any_timeout())?);
    black_box(epoll.wait_masked(any_room(&mut buffer), any_timeout(), &any(SigSet::full()))?);
    black_box(epoll.wait_uninterrupted(any_room(&mut buffer), any_timeout())?);
    black_box(epoll.wait_spinning(any_room(&mut buffer), any_timeout(), any(1))?);
    black_box(epoll.busy_poll()?);
    black_box(epoll.set_busy_poll(any(BusyPoll::default()))?);
    black_box(eventfd.write(any(1))?);
    black_box(eventfd.read()?);

    let signalfd = SignalFd::new(&any(SigSet::empty()), any(SignalFdFlags::CLOEXEC))?;
    black_box(signalfd.set(&any(SigSet::empty()))?);
    let mut infos = SignalInfo::buffer::<8>();
    for info in signalfd.read(infos.get_mut(..any(8)).unwrap_or(&mut []))? {
        signal_info(any(*info));
    }
    show(&signalfd);
    black_box((lent(&signalfd), signalfd.as_raw_fd()));
    // SAFETY: `into_raw_fd` gives up ownership.
    let signalfd = unsafe { SignalFd::from_raw_fd(any(signalfd.into_raw_fd())) };
    black_box(SignalFd::from(OwnedFd::from(signalfd)));

    let pidfd = PidFd::open(any(1)).or_else(|_| PidFd::with_flags(any(1), any(PidFdFlags::NONBLOCK)))?;
    black_box(pidfd.send_signal(any(9))?);
    black_box(pidfd.wait()?);
    if let Some(status) = pidfd.try_wait()? {
        black_box((status.pid(), status.code(), status.signal(), status.core_dumped(), status.success()));
        compare(status);
    }
    show(&pidfd);
    // SAFETY: `into_raw_fd` gives up ownership.
    let pidfd = unsafe { PidFd::from_raw_fd(any(pidfd.into_raw_fd())) };
    black_box((lent(&pidfd), pidfd.as_raw_fd(), PidFd::from(OwnedFd::from(pidfd))));

    let waker = Waker::new(&epoll, data)?;
    black_box(waker.wake()?);
    waker.acknowledge();
    black_box((lent(&waker), waker.as_raw_fd()));
    show(&waker);
    let mut awake = waker.awake();
    let timeout = any(Timeout::new(any(Some(Duration::ZERO))));
    compare(timeout);
    black_box(timeout == Timeout::ZERO || timeout == any(Timeout::FOREVER));
    black_box(awake.wait(&epoll, any_room(&mut buffer), timeout)?);
    black_box(awake.wait(&epoll, any_room(&mut buffer), any(Some(Duration::ZERO)))?);
    black_box(awake.wait_until(&epoll, any_room(&mut buffer), any(Some(Deadline::ORIGIN)))?);
    black_box(awake.is_woken());
    show(&awake);
    drop(awake);

    let mut slots = [Slot::EMPTY; 8];
    show(any(Slot::EMPTY));
    let mut interests = InterestSet::new(slots.get_mut(..any(8)).unwrap_or(&mut []));
    black_box(interests.set(&eventfd, data, interest)?);
    black_box(interests.remove(&eventfd)?);
    interests.forget(any(3));
    show(&interests);
    let flushed: Result<(), FlushError> = interests.flush(&epoll);
    black_box(flushed?);

    let deadline = Deadline::after(any(Duration::ZERO))?;
    compare(deadline);
    black_box((deadline < any(Deadline::now()?), any(deadline) + any(Duration::ZERO)));
    black_box(any(deadline).saturating_duration_since(any(Deadline::ORIGIN)));
    black_box(epoll.wait_until(any_room(&mut buffer), any(Some(deadline)))?);
    let mut slots = [TimerSlot::EMPTY; 8];
    show(any(TimerSlot::EMPTY));
    let mut timers = Timers::new(slots.get_mut(..any(8)).unwrap_or(&mut []));
    let key = timers.add(any(deadline), data)?;
    compare(key);
    black_box((timers.cancel(any(key)), timers.pop_due(any(deadline))));
    black_box((timers.next_deadline(), timers.next_wait(any(Duration::ZERO))));
    black_box((timers.len(), timers.is_empty(), timers.capacity()));
    show(&timers);
    descriptors(epoll, eventfd);
    Ok(())
}

fn timers() -> Result<(), Errno> {
    let timer = TimerFd::new(any(Clock::from_raw(any(1))), any(TimerFdFlags::NONBLOCK))?;
    let time = any(Duration::ZERO);
    let settings = [TimerSetting::after(time), TimerSetting::at(time).cancel_on_set(), TimerSetting::every(time)];
    for setting in settings {
        compare(setting.repeat(any(time)));
        black_box(timer.set(any(setting))?);
    }
    let state: TimerState = timer.get()?;
    compare(state);
    compare(any(Clock::BOOTTIME));
    black_box((timer.disarm()?, timer.read()?, any(Clock::REALTIME).raw(), lent(&timer), timer.as_raw_fd()));
    show(&timer);
    // SAFETY: `into_raw_fd` gives up ownership.
    let timer = unsafe { TimerFd::from_raw_fd(any(timer.into_raw_fd())) };
    black_box(TimerFd::from(OwnedFd::from(timer)));
    Ok(())
}

fn signal_info(info: SignalInfo) {
    black_box((info.signal(), info.errno(), info.code(), info.sender_pid(), info.sender_uid(), info.child_status()));
    black_box((info.child_user_time(), info.child_system_time(), info.value_int(), info.value_ptr(), info.timer_id()));
    black_box((info.overrun(), info.fd(), info.band(), info.trap_no(), info.fault_address()));
    black_box(info.fault_address_lsb());
    show(info);
}

fn lent(source: impl AsFd) -> RawFd {
    source.as_fd().as_raw_fd()
}

/// Converts between owners and to and from descriptor numbers.
fn descriptors(mut epoll: Epoll, eventfd: EventFd) {
    show((&epoll, &eventfd));
    black_box((lent(&epoll), lent(&mut epoll), lent(&eventfd), epoll.as_raw_fd(), eventfd.as_raw_fd()));
    // SAFETY: `into_raw_fd` gives up ownership.
    let (epoll, eventfd) =
        unsafe { (Epoll::from_raw_fd(any(epoll.into_raw_fd())), EventFd::from_raw_fd(any(eventfd.into_raw_fd()))) };
    let (first, second) = (OwnedFd::from(epoll), OwnedFd::from(eventfd));
    // SAFETY: the descriptor's owner outlives the borrow.
    let borrowed = unsafe { BorrowedFd::borrow_raw(any(first.as_raw_fd())) };
    black_box((lent(borrowed), borrowed.as_raw_fd(), lent(&first)));
    show((borrowed, &first));
    // SAFETY: `into_raw_fd` gives up ownership.
    let first = unsafe { OwnedFd::from_raw_fd(any(first.into_raw_fd())) };
    black_box((Epoll::from(first), EventFd::from(second)));
    // SAFETY: a `RawFd` owns nothing.
    let number = unsafe { RawFd::from_raw_fd(any(3)) };
    black_box((number.as_raw_fd(), number.into_raw_fd()));
}

fn raw_calls() -> Result<(), Errno> {
    let fd: RawFd = any(3);
    let (mut buffer, mut bytes) = (Event::buffer::<8>(), [0_u8; 8]);
    let mut event = any(Event::new(EventFlags::IN, EventData::new_u32(1)));
    let (events, bytes) = (buffer.as_mut_ptr().cast(), bytes.as_mut_ptr());
    black_box(raw::epoll_create(any(1))?);
    black_box(raw::epoll_create1(any(0))?);
    black_box(raw::eventfd2(any(0), any(0))?);
    black_box(raw::pidfd_open(any(1), any(0))?);
    let mut info = any(Siginfo::EMPTY);
    let timeout = Timespec::from(any(Duration::ZERO));
    compare(timeout);
    black_box(raw::timerfd_create(any(1), any(0))?);
    let mut time = Itimerspec::default();
    compare(time);
    // SAFETY: nothing runs this. Each pointer has room for the length passed with it.
    unsafe {
        black_box(raw::epoll_ctl(fd, any(1), any(4), &mut event)?);
        black_box(raw::epoll_wait(fd, events, 8, any(0))?);
        black_box(raw::epoll_pwait(fd, events, 8, any(0), &SigSet::empty())?);
        black_box(raw::epoll_pwait2(fd, events, 8, &timeout, &SigSet::empty())?);
        black_box(raw::read(fd, bytes, 8)?);
        black_box(raw::write(fd, bytes, 8)?);
        black_box(raw::ioctl(fd, any(raw::EPIOCGPARAMS), bytes.cast())?);
        black_box(raw::timerfd_settime(fd, any(0), &any(time), &mut time)?);
        black_box(raw::timerfd_gettime(fd, &mut time)?);
        let mut signals = any(SigSet::empty());
        black_box(raw::rt_sigprocmask(any(0), &SigSet::empty(), &mut signals)?);
        black_box(raw::signalfd4(fd, &SigSet::empty(), any(0))?);
        black_box(raw::pidfd_send_signal(fd, any(9), core::ptr::null(), any(0))?);
        black_box(raw::waitid(any(raw::P_PID), any(1), &mut info, any(raw::WEXITED))?);
        black_box(raw::close(fd)?);
    }
    black_box((info.signo(), info.code(), info.pid(), info.uid(), info.status()));
    black_box(ChildStatus::from(info));
    show(info);
    Ok(())
}

/// The methods that `bitflags` generates.
macro_rules! flags {
    ($Flags:ident) => {
        let (mut one, other) = (any($Flags::all()), any($Flags::from_bits_truncate(any(1))));
        black_box(($Flags::default(), $Flags::empty(), $Flags::from_bits(any(1)), $Flags::from_bits_retain(any(1))));
        black_box(($Flags::from_name(any("CLOEXEC")), one.bits(), one.is_empty(), one.is_all()));
        black_box((
            one.contains(other),
            one.intersects(other),
            one.union(other),
            one.intersection(other),
            one.symmetric_difference(other),
            one.difference(other),
            one.complement(),
            one | other,
            one & other,
            one ^ other,
            one - other,
            !one,
        ));
        one.insert(other);
        one.remove(other);
        one.toggle(other);
        one.set(other, any(true));
        one |= other;
        one &= other;
        one ^= other;
        one -= other;
        one.extend([other]);
        for (flag, (name, named)) in one.iter().zip(one.iter_names()) {
            black_box((flag, name, named));
        }
        black_box(one.iter().collect::<$Flags>());
        print!("{one:b} {one:o} {one:x} {one:X}");
        compare(one);
    };
}

fn other_calls() -> barepoll::Result<usize> {
    const NR: usize = 1;
    let (epoll, word) = (Epoll::new()?, any(1_usize));
    #[cfg(all(target_pointer_width = "32", not(target_arch = "x86_64")))]
    let [high, low] = syscall::pair(any(1_u64));
    #[cfg(any(target_pointer_width = "64", target_arch = "x86_64"))]
    let [high, low] = [any(1_usize), any(2_usize)];
    // SAFETY: nothing runs this.
    unsafe {
        black_box(syscall::syscall0::<NR>())?;
        black_box(syscall::syscall1::<NR>((&epoll).word()))?;
        black_box(syscall::syscall2::<NR>(epoll.as_fd().word(), any(-1_i32).word()))?;
        black_box(syscall::syscall3::<NR>(any(1_u8).word(), any(1_i16).word(), core::ptr::null::<u8>().word()))?;
        black_box(syscall::syscall4::<NR>(word, word, high, low))?;
        black_box(syscall::syscall5::<NR>(word, word, word, word, word))?;
        black_box(syscall::syscall6::<NR>(word, word, word, word, word, word))?;
        syscall!(NR, &epoll, any(1_u32), core::ptr::null_mut::<u8>())
    }
}

fn values() {
    let event = any(Event::new(EventFlags::IN, EventData::new_fd(1)));
    black_box((event.flags(), event.data().u64(), event.data().u32(), event.data().fd(), event.data().ptr()));
    black_box((event.flags().is_readable(), event.flags().is_writable()));
    black_box(EventData::new_ptr(any(core::ptr::null_mut())));
    show((event, event.data()));
    let mut signals = any(SigSet::default());
    let _ = black_box((signals.insert(any(1)), signals.remove(any(1)), signals.contains(any(1))));
    compare(signals);
    signal_sets(signals, any(SigSet::full()));
    compare(BusyPoll::default());
    if let Some(errno) = Errno::from_raw(any(1)) {
        black_box((errno.raw(), errno.name()));
        compare(errno);
        let error = FlushError { fd: any(1), errno };
        compare(error);
        print!("{errno} {error}");
    }
    flags!(EventFlags);
    flags!(CreateFlags);
    flags!(EventFdFlags);
    flags!(TimerFdFlags);
    flags!(SignalFdFlags);
}

fn signal_sets(mut one: SigSet, other: SigSet) {
    let _ = black_box((one.block(), one.unblock(), one.set_thread_mask(), SigSet::thread_mask()));
    let _ = black_box(SigSet::from_signals([1, 2, 3].get(..any(3)).unwrap_or(&[])));
    black_box((one.is_empty(), one.union(other), one.intersection(other), one.difference(other)));
    black_box((one | other, one & other, one - other));
    let mut signals: Signals = one.iter();
    black_box((signals.next(), signals.len(), signals.clone().collect::<SigSet>()));
    show(&signals);
    one.extend(signals);
    for signal in one.into_iter().chain(&other) {
        black_box(signal);
    }
    black_box(one);
    flags!(PidFdFlags);
}
