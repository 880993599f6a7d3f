//! The system calls themselves, one to one.
//!
//! Every function here makes the kernel's call of the same name with its arguments in order. It
//! checks nothing and retries nothing. An error is the kernel's [`Errno`]. [`Epoll`](crate::Epoll)
//! and [`EventFd`](crate::EventFd) are the safe layer above.
//!
//! ```
//! use barepoll::{raw, Event, EventData, EventFlags};
//!
//! let (epoll, eventfd) = (raw::epoll_create1(raw::EPOLL_CLOEXEC)?, raw::eventfd2(1, raw::EFD_CLOEXEC)?);
//! let mut event = Event::new(EventFlags::IN, EventData::new_fd(eventfd));
//! // SAFETY: `event` is valid for reads, and for writes of one event.
//! let ready = unsafe {
//!     raw::epoll_ctl(epoll, raw::EPOLL_CTL_ADD, eventfd, &mut event)?;
//!     raw::epoll_wait(epoll, &mut event, 1, -1)?
//! };
//! assert_eq!((ready, event.data().fd()), (1, eventfd));
//! for fd in [epoll, eventfd] {
//!     // SAFETY: this program owns both.
//!     unsafe { raw::close(fd)? };
//! }
//! # Ok::<(), barepoll::Errno>(())
//! ```
//!
//! The constants are those of the kernel's `linux/eventpoll.h`, `linux/eventfd.h`,
//! `linux/timerfd.h`, `linux/signal.h`, `linux/signalfd.h`, `linux/pidfd.h`, `linux/wait.h`,
//! `linux/time.h` and `asm-generic/siginfo.h`, with this machine's values. The numbers of signals
//! are in [`signo`](crate::signo).
//!
//! Under MemorySanitizer, the calls announce the memory that the kernel wrote. Under
//! ThreadSanitizer, they order threads: a write, for example, before a later read or wait. See
//! *Sanitizers* in `guide::testing`.

use crate::arch::{self, nr};
use crate::errno::{result, word, Errno, Result};
use crate::event::Event;
use crate::fd::{self, RawFd};
use crate::sanitizer;
use crate::signal::SigSet;
use core::ffi::c_void;
use core::mem::size_of;
use core::ptr;

pub use crate::child::Siginfo;
pub use crate::timeout::{Itimerspec, Timespec};
pub use crate::uapi::*;

/// [`epoll_create(2)`](https://man7.org/linux/man-pages/man2/epoll_create.2.html): makes an epoll
/// without close-on-exec.
///
/// The kernel ignores `size`, a hint from 2002. This calls [`epoll_create1`], which every machine
/// has.
///
/// ```
/// use barepoll::{raw, Errno};
///
/// let fd = raw::epoll_create(1)?;
/// assert_eq!(raw::epoll_create(0), Err(Errno::EINVAL));
/// // SAFETY: the descriptor is this program's own.
/// unsafe { raw::close(fd)? };
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// # Errors
///
/// `EINVAL`: `size` is not positive (no call is made). Otherwise as [`epoll_create1`].
#[inline]
pub fn epoll_create(size: i32) -> Result<RawFd> {
    if size <= 0 {
        return Err(Errno::EINVAL);
    }
    epoll_create1(0)
}

/// [`epoll_create1(2)`](https://man7.org/linux/man-pages/man2/epoll_create.2.html): makes an epoll.
///
/// The caller owns its descriptor.
///
/// ```
/// use barepoll::raw;
///
/// let fd = raw::epoll_create1(raw::EPOLL_CLOEXEC)?;
/// // SAFETY: the descriptor is this program's own.
/// unsafe { raw::close(fd)? };
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// # Errors
///
/// - `EINVAL`: a flag other than [`EPOLL_CLOEXEC`].
/// - `EMFILE`: this process has no descriptor left. `ENFILE`: the system has no file left.
/// - `ENOMEM`: the kernel has no memory for it.
#[inline]
pub fn epoll_create1(flags: u32) -> Result<RawFd> {
    // SAFETY: the call takes no pointer, and a result that is no error is a new descriptor.
    unsafe { fd::from_returned(arch::syscall1::<{ nr::EPOLL_CREATE1 }>(flags as usize)) }
}

/// [`epoll_ctl(2)`](https://man7.org/linux/man-pages/man2/epoll_ctl.2.html): changes the interest
/// list.
///
/// ```
/// use barepoll::fd::AsRawFd;
/// use barepoll::{raw, Epoll, Errno};
///
/// let (epoll, other) = (Epoll::new()?, Epoll::new()?);
/// // SAFETY: a removal needs no event.
/// let answer =
///     unsafe { raw::epoll_ctl(epoll.as_raw_fd(), raw::EPOLL_CTL_DEL, other.as_raw_fd(), core::ptr::null_mut()) };
/// assert_eq!(answer, Err(Errno::ENOENT));
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// # Errors
///
/// - `EBADF`: `epfd` or `fd` is not open.
/// - `EEXIST`: add of a descriptor that is registered already.
/// - `EINVAL`: `epfd` is no epoll, or is `fd`. `op` is unknown. The use of [`EPOLLEXCLUSIVE`] is
///   not allowed. Too many epolls (over 500 pairs) would reach `fd`, or, in kernels before 6.17,
///   those that watch `epfd` nest too deep.
/// - `ELOOP`: epolls would watch each other in a cycle, or nest more than five deep (a kernel before
///   6.17 may allow six).
/// - `ENOENT`: change or removal of a descriptor that is not registered.
/// - `ENOMEM`: the kernel has no memory for it. `ENOSPC`: this user watches as many descriptors as
///   `/proc/sys/fs/epoll/max_user_watches` allows.
/// - `EPERM`: `fd` is a file that is always ready (a regular file, a directory, `/dev/null`).
/// - `EFAULT`: `event` is not readable.
///
/// # Safety
///
/// `event` must be valid for reads of an [`Event`], or null where `op` is [`EPOLL_CTL_DEL`].
#[inline(always)] // at opt-level z LLVM would not, and the callers would be larger
pub unsafe fn epoll_ctl(epfd: RawFd, op: u32, fd: RawFd, event: *mut Event) -> Result<()> {
    sanitizer::released();
    // SAFETY: the caller vouches for `event`.
    let returned =
        unsafe { arch::syscall4::<{ nr::EPOLL_CTL }>(epfd as usize, op as usize, fd as usize, event as usize) };
    result(returned).map(drop)
}

/// [`epoll_wait(2)`](https://man7.org/linux/man-pages/man2/epoll_wait.2.html): waits for events,
/// and returns their number.
///
/// It waits at most `timeout_ms` milliseconds. A negative timeout waits for ever, 0 does not wait.
///
/// On machines without the call, and on Android, this is [`epoll_pwait`] without a mask. On x86_64,
/// Android's sandbox kills apps for `epoll_wait`.
///
/// ```
/// use barepoll::fd::AsRawFd;
/// use barepoll::{raw, Epoll, Event};
///
/// let epoll = Epoll::new()?;
/// let mut buffer = Event::buffer::<8>();
/// // SAFETY: there is room for eight events.
/// let ready = unsafe { raw::epoll_wait(epoll.as_raw_fd(), buffer.as_mut_ptr().cast(), 8, 0)? };
/// assert_eq!(ready, 0);
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// # Errors
///
/// - `EBADF`: `epfd` is not open. `EINVAL`: it is no epoll, or `maxevents` is not between 1 and
///   `i32::MAX / size_of::<Event>()`.
/// - `EFAULT`: `events` is not writable.
/// - `EINTR`: a signal handler ran, even one installed with `SA_RESTART`. Or the process was
///   stopped and continued, without a handler.
///
/// # Safety
///
/// `events` must be valid for writes of `maxevents` [`Event`]s.
#[inline]
pub unsafe fn epoll_wait(epfd: RawFd, events: *mut Event, maxevents: i32, timeout_ms: i32) -> Result<usize> {
    // Android's C library does not make this call, so Android's sandbox kills for it.
    const EPOLL_WAIT: Option<usize> = if arch::ANDROID { None } else { nr::EPOLL_WAIT };
    const NR: usize = match EPOLL_WAIT {
        Some(nr) => nr,
        None => nr::EPOLL_PWAIT,
    };
    if EPOLL_WAIT.is_none() {
        // SAFETY: the caller vouches for `events`; a null mask changes nothing.
        return unsafe { epoll_pwait(epfd, events, maxevents, timeout_ms, ptr::null()) };
    }
    // SAFETY: the caller vouches for `events`.
    let returned =
        unsafe { arch::syscall4::<NR>(epfd as usize, events as usize, maxevents as usize, timeout_ms as usize) };
    sanitizer::waited(result(returned), events)
}

/// [`epoll_pwait(2)`](https://man7.org/linux/man-pages/man2/epoll_wait.2.html): [`epoll_wait`] with
/// a signal mask.
///
/// `sigmask` is the thread's signal mask during the wait. Null leaves the mask unchanged.
///
/// ```
/// use barepoll::fd::AsRawFd;
/// use barepoll::{raw, Epoll, Event, SigSet};
///
/// let (epoll, mask) = (Epoll::new()?, SigSet::full());
/// let mut buffer = Event::buffer::<8>();
/// // SAFETY: there is room for eight events, and the mask outlives the call.
/// let ready = unsafe { raw::epoll_pwait(epoll.as_raw_fd(), buffer.as_mut_ptr().cast(), 8, 1, &mask)? };
/// assert_eq!(ready, 0);
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// # Errors
///
/// As [`epoll_wait`]. `EFAULT` also if `sigmask` is not readable. `ENOSYS`: ARM before Linux
/// 2.6.32.
///
/// # Safety
///
/// `events` must be valid for writes of `maxevents` [`Event`]s; `sigmask` valid for reads, or null.
#[inline]
pub unsafe fn epoll_pwait(
    epfd: RawFd,
    events: *mut Event,
    maxevents: i32,
    timeout_ms: i32,
    sigmask: *const SigSet,
) -> Result<usize> {
    // SAFETY: the caller vouches for both pointers, and the size is that of the kernel's set.
    let returned = unsafe {
        arch::syscall6::<{ nr::EPOLL_PWAIT }>(
            epfd as usize,
            events as usize,
            maxevents as usize,
            timeout_ms as usize,
            sigmask as usize,
            size_of::<SigSet>(),
        )
    };
    sanitizer::waited(result(returned), events)
}

/// [`epoll_pwait2(2)`](https://man7.org/linux/man-pages/man2/epoll_wait.2.html): [`epoll_pwait`]
/// with a timeout in nanoseconds (Linux 5.11).
///
/// A null `timeout` waits for ever.
///
/// ```
/// use barepoll::fd::AsRawFd;
/// use barepoll::{raw, Epoll, Errno, Event};
///
/// let (epoll, timeout) = (Epoll::new()?, raw::Timespec { tv_sec: 0, tv_nsec: 100_000 });
/// let mut buffer = Event::buffer::<8>();
/// let (events, mask) = (buffer.as_mut_ptr().cast(), core::ptr::null());
/// // SAFETY: there is room for eight events, and the timeout outlives the call.
/// let answer = unsafe { raw::epoll_pwait2(epoll.as_raw_fd(), events, 8, &timeout, mask) };
/// assert!(matches!(answer, Ok(0) | Err(Errno::ENOSYS | Errno::EPERM)));
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// # Errors
///
/// As [`epoll_pwait`], and:
/// - `EINVAL`: a field of `timeout` is negative, or `tv_nsec` is above 999,999,999.
/// - `ENOSYS`: the kernel is older than 5.11, or an emulator lacks the call. `EPERM`: an old
///   container runtime refuses calls that it does not know; or Hexagon's kernel is older than 5.11.
///
/// csky's kernel returns the first argument for a call that it does not know. Before 5.11 that is
/// `Ok(epfd as usize)`, and it writes no event. Before Android 15, Android's sandbox kills apps for
/// this call.
///
/// # Safety
///
/// `events` must be valid for writes of `maxevents` [`Event`]s; `timeout` and `sigmask` valid for
/// reads, or null.
#[inline]
pub unsafe fn epoll_pwait2(
    epfd: RawFd,
    events: *mut Event,
    maxevents: i32,
    timeout: *const Timespec,
    sigmask: *const SigSet,
) -> Result<usize> {
    // SAFETY: the caller vouches for the three pointers, and the size is that of the kernel's set.
    let returned = unsafe {
        arch::syscall6::<{ nr::EPOLL_PWAIT2 }>(
            epfd as usize,
            events as usize,
            maxevents as usize,
            timeout as usize,
            sigmask as usize,
            size_of::<SigSet>(),
        )
    };
    sanitizer::waited(result(returned), events)
}

/// [`eventfd2(2)`](https://man7.org/linux/man-pages/man2/eventfd.2.html): makes a counter.
///
/// The caller owns its descriptor.
///
/// ```
/// use barepoll::raw;
///
/// let fd = raw::eventfd2(0, raw::EFD_CLOEXEC | raw::EFD_NONBLOCK)?;
/// // SAFETY: the descriptor is this program's own.
/// unsafe { raw::close(fd)? };
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// # Errors
///
/// - `EINVAL`: an unknown flag.
/// - `EMFILE`: this process has no descriptor left. `ENFILE`: the system has no file left.
/// - `ENODEV`: the kernel could not mount its anonymous inodes. `ENOMEM`: it has no memory for the
///   counter.
#[inline]
pub fn eventfd2(initval: u32, flags: u32) -> Result<RawFd> {
    // SAFETY: the call takes no pointer, and a result that is no error is a new descriptor.
    unsafe { fd::from_returned(arch::syscall2::<{ nr::EVENTFD2 }>(initval as usize, flags as usize)) }
}

/// [`timerfd_create(2)`](https://man7.org/linux/man-pages/man2/timerfd_create.2.html): makes a
/// timer of this clock.
///
/// The caller owns its descriptor.
///
/// ```
/// use barepoll::raw;
///
/// let fd = raw::timerfd_create(raw::CLOCK_MONOTONIC, raw::TFD_CLOEXEC | raw::TFD_NONBLOCK)?;
/// // SAFETY: the descriptor is this program's own.
/// unsafe { raw::close(fd)? };
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// # Errors
///
/// - `EINVAL`: an unknown flag, or a clock that has no such timers. [`CLOCK_BOOTTIME`] has them
///   since Linux 3.15, the clocks of alarms since 3.11.
/// - `EPERM`: a clock of alarms without `CAP_WAKE_ALARM`.
/// - `EMFILE`: this process has no descriptor left. `ENFILE`: the system has no file left.
/// - `ENODEV`: the kernel could not mount its anonymous inodes. `ENOMEM`: it has no memory for the
///   timer.
/// - `ENOSYS`: a kernel that was built without timers as descriptors, or an emulator.
#[inline]
pub fn timerfd_create(clock: u32, flags: u32) -> Result<RawFd> {
    // SAFETY: the call takes no pointer, and a result that is no error is a new descriptor.
    unsafe { fd::from_returned(arch::syscall2::<{ nr::TIMERFD_CREATE }>(clock as usize, flags as usize)) }
}

/// [`timerfd_settime(2)`](https://man7.org/linux/man-pages/man2/timerfd_settime.2.html): arms or
/// disarms a timer.
///
/// A zero `new_value.it_value` disarms. If `old_value` is not null, the kernel writes the previous
/// time left and interval there. Expirations that nothing has read are forgotten.
///
/// On 32-bit machines this is `timerfd_settime64` (Linux 5.1).
/// [`TimerFd::set`](crate::TimerFd::set) replaces it on older kernels.
///
/// ```
/// use barepoll::fd::AsRawFd;
/// use barepoll::{raw, Clock, TimerFd, TimerFdFlags};
///
/// let timer = TimerFd::new(Clock::MONOTONIC, TimerFdFlags::CLOEXEC)?;
/// let soon = raw::Timespec { tv_sec: 0, tv_nsec: 100_000 };
/// let once = raw::Itimerspec { it_interval: raw::Timespec::default(), it_value: soon };
/// // SAFETY: `once` outlives the call, and a null pointer is allowed.
/// unsafe { raw::timerfd_settime(timer.as_raw_fd(), 0, &once, core::ptr::null_mut())? };
/// assert_eq!(timer.read()?, 1);
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// # Errors
///
/// - `EINVAL`: `fd` is no timer. A flag is unknown: [`TFD_TIMER_CANCEL_ON_SET`] is known since Linux
///   3.0. A field of `new_value` is negative, or a `tv_nsec` is above 999,999,999.
/// - `EBADF`: `fd` is not open.
/// - `EFAULT`: `new_value` is not readable, or `old_value` is not writable. After the second the
///   timer is set.
/// - `EPERM`: a timer of a clock of alarms, without `CAP_WAKE_ALARM`. `ECANCELED`: with
///   [`TFD_TIMER_CANCEL_ON_SET`], the clock was set and no read has said so. The timer is armed.
/// - `ENOSYS`: a 32-bit machine's kernel is older than 5.1, or an emulator lacks the call. `EPERM`:
///   an old container runtime refuses calls that it does not know; or Hexagon's kernel is older
///   than 5.1.
///
/// csky's kernel returns the first argument for a call that it does not know. Before 5.1, this is
/// `ENOSYS` unless `fd` is 0.
///
/// # Safety
///
/// `new_value` must be valid for reads of an [`Itimerspec`]; `old_value` valid for writes, or null.
#[inline]
pub unsafe fn timerfd_settime(
    fd: RawFd,
    flags: u32,
    new_value: *const Itimerspec,
    old_value: *mut Itimerspec,
) -> Result<()> {
    const NR: usize = newest(nr::TIMERFD_SETTIME64, nr::TIMERFD_SETTIME);
    sanitizer::released();
    // SAFETY: the caller vouches for both pointers.
    let returned = unsafe { arch::syscall4::<NR>(fd as usize, flags as usize, new_value as usize, old_value as usize) };
    let answer = unless_first_argument(nr::TIMERFD_SETTIME64, returned);
    if answer.is_ok() && !old_value.is_null() {
        sanitizer::written(old_value, 1);
    }
    answer
}

/// [`timerfd_gettime(2)`](https://man7.org/linux/man-pages/man2/timerfd_gettime.2.html): writes the
/// time left and the interval of a timer.
///
/// The time left is from now, even if the timer was set to a time of its clock. It is zero if the
/// timer is disarmed, or has expired and has no interval.
///
/// On 32-bit machines this is `timerfd_gettime64` (Linux 5.1).
/// [`TimerFd::get`](crate::TimerFd::get) replaces it on older kernels.
///
/// ```
/// use barepoll::fd::AsRawFd;
/// use barepoll::{raw, Clock, TimerFd, TimerFdFlags};
///
/// let timer = TimerFd::new(Clock::MONOTONIC, TimerFdFlags::CLOEXEC)?;
/// let mut left = raw::Itimerspec::default();
/// // SAFETY: `left` is valid for writes.
/// unsafe { raw::timerfd_gettime(timer.as_raw_fd(), &mut left)? };
/// assert_eq!(left, raw::Itimerspec::default());
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// # Errors
///
/// - `EINVAL`: `fd` is no timer. `EBADF`: it is not open.
/// - `EFAULT`: `current` is not writable.
/// - `ENOSYS`, `EPERM`: the call is missing, as for [`timerfd_settime`].
///
/// # Safety
///
/// `current` must be valid for writes of an [`Itimerspec`].
#[inline]
pub unsafe fn timerfd_gettime(fd: RawFd, current: *mut Itimerspec) -> Result<()> {
    const NR: usize = newest(nr::TIMERFD_GETTIME64, nr::TIMERFD_GETTIME);
    // SAFETY: the caller vouches for the pointer.
    let returned = unsafe { arch::syscall2::<NR>(fd as usize, current as usize) };
    let answer = unless_first_argument(nr::TIMERFD_GETTIME64, returned);
    if answer.is_ok() {
        sanitizer::written(current, 1);
    }
    answer
}

/// The call whose times have 64-bit fields.
const fn newest(of_32_bits: Option<usize>, of_64_bits: Option<usize>) -> usize {
    match (of_32_bits, of_64_bits) {
        (Some(nr), _) | (None, Some(nr)) => nr,
        (None, None) => panic!("a port has one of the two"),
    }
}

/// The result of a call that succeeds with 0 alone. A kernel may lack it if it is a newer one of
/// 32-bit machines. csky's kernel then returns the first argument.
#[inline(always)]
fn unless_first_argument(newer: Option<usize>, returned: isize) -> Result<()> {
    if newer.is_none() || returned == 0 {
        return result(returned).map(drop);
    }
    arch::unlikely();
    Err(if returned > 0 { Errno::ENOSYS } else { Errno::from_returned(returned) })
}

/// [`rt_sigprocmask(2)`](https://man7.org/linux/man-pages/man2/sigprocmask.2.html): changes this
/// thread's signal mask, and stores the one of before in `old`.
///
/// `how` is [`SIG_BLOCK`], [`SIG_UNBLOCK`] or [`SIG_SETMASK`]. A null `set` changes nothing, and
/// `how` does not matter. A null `old` stores nothing. The kernel ignores `SIGKILL` and `SIGSTOP` in
/// the set. See *The thread's mask* of [`SigSet`] for the signals of a libc.
///
/// If a signal that this unblocks is pending, its handler runs before this returns.
///
/// ```
/// use barepoll::{raw, signo::SIGTERM, SigSet};
///
/// let (signals, mut before) = (SigSet::from_signals(&[SIGTERM])?, SigSet::empty());
/// // SAFETY: both sets outlive the calls.
/// unsafe {
///     raw::rt_sigprocmask(raw::SIG_BLOCK, &signals, &mut before)?;
///     raw::rt_sigprocmask(raw::SIG_SETMASK, &before, core::ptr::null_mut())?;
/// }
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// # Errors
///
/// - `EINVAL`: `how` is none of the three, and `set` is not null.
/// - `EFAULT`: `set` is not readable. Or `old` is not writable, and the mask has changed all the
///   same.
///
/// # Safety
///
/// `set` must be valid for reads, or null; `old` valid for writes of a [`SigSet`], or null.
#[inline]
pub unsafe fn rt_sigprocmask(how: u32, set: *const SigSet, old: *mut SigSet) -> Result<()> {
    // SAFETY: the caller vouches for both pointers, and the size is that of the kernel's set.
    let returned = unsafe {
        arch::syscall4::<{ nr::RT_SIGPROCMASK }>(how as usize, set as usize, old as usize, size_of::<SigSet>())
    };
    sanitizer::returned();
    let answer = result(returned).map(drop);
    if answer.is_ok() && !old.is_null() {
        sanitizer::written(old, 1);
    }
    answer
}

/// [`signalfd4(2)`](https://man7.org/linux/man-pages/man2/signalfd.2.html): makes a descriptor that
/// reads these signals, or changes which ones `fd` reads.
///
/// `fd` is −1 for a new descriptor, which the caller owns. Otherwise the result is `fd`, and the
/// flags change nothing. The kernel ignores `SIGKILL` and `SIGSTOP` in the set. Each read takes
/// records of 128 bytes, [`SignalInfo`](crate::SignalInfo).
///
/// ```
/// use barepoll::{raw, signo::SIGTERM, SigSet};
///
/// let signals = SigSet::from_signals(&[SIGTERM])?;
/// // SAFETY: the set outlives the calls, and the descriptor is this program's own.
/// unsafe {
///     let fd = raw::signalfd4(-1, &signals, raw::SFD_CLOEXEC)?;
///     assert_eq!(raw::signalfd4(fd, &SigSet::empty(), 0)?, fd);
///     raw::close(fd)?;
/// }
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// # Errors
///
/// - `EBADF`: `fd` is neither open nor −1.
/// - `EINVAL`: an unknown flag, or `fd` is no signalfd.
/// - `EFAULT`: `mask` is not readable. Before Linux 4.18 that is `EINVAL`.
/// - `EMFILE`: this process has no descriptor left. `ENFILE`: the system has no file left.
/// - `ENODEV`: the kernel could not mount its anonymous inodes. `ENOMEM`: it has no memory for the
///   signalfd.
/// - `ENOSYS`: the kernel was built without `CONFIG_SIGNALFD`.
///
/// # Safety
///
/// `mask` must be valid for reads. `fd` must be −1, or a descriptor whose owner allows the change.
#[inline]
pub unsafe fn signalfd4(fd: RawFd, mask: *const SigSet, flags: u32) -> Result<RawFd> {
    sanitizer::released();
    // SAFETY: the caller vouches for the mask, and the size is that of the kernel's set. A result
    // that is no error is a new descriptor, or `fd` itself.
    unsafe {
        fd::from_returned(arch::syscall4::<{ nr::SIGNALFD4 }>(
            fd as usize,
            mask as usize,
            size_of::<SigSet>(),
            flags as usize,
        ))
    }
}

/// [`close(2)`](https://man7.org/linux/man-pages/man2/close.2.html): closes a descriptor.
///
/// The descriptor is closed after every result but `EBADF`. Never close it again.
///
/// If another thread's call is using the descriptor, that call continues, because the kernel keeps
/// the file until then. A wait on an epoll ends with an event or its timeout, as without the close.
/// Another file may get the number meanwhile.
///
/// ```
/// use barepoll::raw;
///
/// let fd = raw::eventfd2(0, 0)?;
/// // SAFETY: the descriptor is this program's own.
/// unsafe { raw::close(fd)? };
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// # Errors
///
/// `EBADF`: not open. `EINTR`, `EIO`, `ENOSPC`, `EDQUOT`: closed, but data written before was lost.
///
/// # Safety
///
/// The caller must own `fd`. Any other use of the number may afterwards reach another file.
#[inline]
pub unsafe fn close(fd: RawFd) -> Result<()> {
    // SAFETY: the caller owns the descriptor.
    result(unsafe { arch::syscall1::<{ nr::CLOSE }>(fd as usize) }).map(drop)
}

/// [`read(2)`](https://man7.org/linux/man-pages/man2/read.2.html): reads at most `len` bytes, and
/// returns their number.
///
/// 0 is the end of input.
///
/// ```
/// use barepoll::fd::AsRawFd;
/// use barepoll::{raw, EventFd, EventFdFlags};
///
/// let eventfd = EventFd::new(3, EventFdFlags::CLOEXEC)?;
/// let mut value = [0; 8];
/// // SAFETY: `value` has eight bytes.
/// assert_eq!(unsafe { raw::read(eventfd.as_raw_fd(), value.as_mut_ptr(), 8)? }, 8);
/// assert_eq!(u64::from_ne_bytes(value), 3);
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// # Errors
///
/// - `EAGAIN`: nothing is there, and the descriptor is nonblocking.
/// - `EBADF`: `fd` is not open, or not for reading. `EFAULT`: `buf` is not writable.
/// - `EINTR`: a signal handler ran before anything was read. After a handler installed with
///   `SA_RESTART`, the kernel continues instead, except for a socket with a timeout (`SO_RCVTIMEO`)
///   and some drivers.
/// - `EINVAL`: an eventfd with a `len` below eight, a signalfd with one below 128, or a kind of file
///   that cannot be read, such as an epoll.
/// - `EIO`: the device failed. Or it is a terminal, and this process is in the background and
///   ignores `SIGTTIN`.
/// - The errors of the descriptor's kind. For example, a socket reports that its peer has reset the
///   connection.
///
/// # Safety
///
/// `buf` must be valid for writes of `len` bytes.
#[inline]
pub unsafe fn read(fd: RawFd, buf: *mut u8, len: usize) -> Result<usize> {
    // SAFETY: the caller vouches for `buf`.
    let returned = unsafe { arch::syscall3::<{ nr::READ }>(fd as usize, buf as usize, len) };
    sanitizer::read(result(returned), buf)
}

/// [`write(2)`](https://man7.org/linux/man-pages/man2/write.2.html): writes at most `len` bytes,
/// and returns their number.
///
/// ```
/// use barepoll::fd::AsRawFd;
/// use barepoll::{raw, EventFd, EventFdFlags};
///
/// let eventfd = EventFd::new(0, EventFdFlags::CLOEXEC)?;
/// let value = 3_u64.to_ne_bytes();
/// // SAFETY: `value` has eight bytes.
/// assert_eq!(unsafe { raw::write(eventfd.as_raw_fd(), value.as_ptr(), 8)? }, 8);
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// # Errors
///
/// - `EAGAIN`: there is no room, and the descriptor is nonblocking.
/// - `EBADF`: `fd` is not open, or not for writing. `EFAULT`: `buf` is not readable.
/// - `EINTR`: a signal handler ran before anything was written. After a handler installed with
///   `SA_RESTART`, the kernel continues instead, except for a socket with a timeout (`SO_SNDTIMEO`)
///   and some drivers.
/// - `EINVAL`: an eventfd with a `len` below eight (since Linux 6.9: other than eight) or the value
///   `u64::MAX`. Or a kind of file that cannot be written, such as an epoll.
/// - `EIO`: the device failed. `ENOSPC`: the device is full. `EDQUOT`: this user's quota is used
///   up.
/// - `EPIPE`: the pipe or socket has no reader. `SIGPIPE` comes with it, and kills a program that
///   does not ignore it.
/// - The errors of the descriptor's kind. For example, a socket reports that its peer has reset the
///   connection.
///
/// # Safety
///
/// `buf` must be valid for reads of `len` bytes.
#[inline]
pub unsafe fn write(fd: RawFd, buf: *const u8, len: usize) -> Result<usize> {
    sanitizer::released();
    // SAFETY: the caller vouches for `buf`.
    result(unsafe { arch::syscall3::<{ nr::WRITE }>(fd as usize, buf as usize, len) })
}

/// [`ioctl(2)`](https://man7.org/linux/man-pages/man2/ioctl.2.html): makes a request that the
/// descriptor's kind defines.
///
/// The descriptor's driver may return any 32 bits. A result from −4095 to −1 is an [`Errno`]. Any
/// other result is a value, sign-extended: `result as i32` is what the driver returned.
///
/// MemorySanitizer learns what [`EPIOCGPARAMS`] writes. For another request that writes memory, call
/// `__msan_unpoison` yourself.
///
/// ```
/// use barepoll::fd::AsRawFd;
/// use barepoll::{raw, Epoll};
///
/// let (epoll, mut params) = (Epoll::new()?, [0_u8; 8]); // `struct epoll_params`
/// // SAFETY: the request writes eight bytes.
/// match unsafe { raw::ioctl(epoll.as_raw_fd(), raw::EPIOCGPARAMS, params.as_mut_ptr().cast()) } {
///     Ok(_) => assert_eq!(params, [0; 8]),
///     Err(errno) => println!("this kernel cannot: {errno}"),
/// }
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// # Errors
///
/// - `ENOTTY`: the descriptor's kind does not know the request. `EINVAL`: the request is not valid
///   with this `arg`, or an epoll does not know it.
/// - `EBADF`: `fd` is not open. `EFAULT`: the memory behind `arg` is not readable or writable.
/// - The errors of the request. [`Epoll::set_busy_poll`](crate::Epoll::set_busy_poll) lists those
///   of an epoll's two requests.
///
/// # Safety
///
/// `arg` must be what `request` takes: a number, or a pointer that is valid for its reads and
/// writes.
#[inline]
pub unsafe fn ioctl(fd: RawFd, request: u32, arg: *mut c_void) -> Result<usize> {
    // SAFETY: the caller vouches for `arg`.
    let returned = unsafe { arch::syscall3::<{ nr::IOCTL }>(fd as usize, request as usize, arg as usize) };
    // A driver, such as a FUSE server's, may return any 32 bits.
    let answer = word(returned);
    if answer.is_ok() {
        sanitizer::requested(request, arg);
    }
    answer
}

/// [`pidfd_open(2)`](https://man7.org/linux/man-pages/man2/pidfd_open.2.html): opens the process
/// with this number (Linux 5.3).
///
/// The caller owns its descriptor, which is closed on exec.
///
/// ```
/// use barepoll::raw;
///
/// let fd = raw::pidfd_open(std::process::id() as i32, 0)?;
/// // SAFETY: the descriptor is this program's own.
/// unsafe { raw::close(fd)? };
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// # Errors
///
/// - `ESRCH`: no process has this number. In older kernels that is `EINVAL`, if a process group or a
///   session still has it.
/// - `EINVAL`: `pid` is not positive, or the kernel does not know a flag. Or `pid` is the number of
///   a thread that does not lead its process (`ENOENT` in newer kernels).
/// - `EMFILE`: this process has no descriptor left. `ENFILE`: the system has no file left.
/// - `ENODEV`: the kernel could not mount its anonymous inodes. `ENOMEM`: it has no memory for the
///   descriptor.
/// - `ENOSYS`: the kernel is older than 5.3, or an emulator lacks the call. `EPERM`: an old
///   container runtime refuses calls that it does not know; or Hexagon's kernel is older than 5.3.
///
/// csky's kernel returns the first argument for a call that it does not know. Before 5.3 that is
/// `Ok(pid)`, which is no descriptor of this call. [`PidFd::open`](crate::PidFd::open) tells the
/// difference.
#[inline]
pub fn pidfd_open(pid: i32, flags: u32) -> Result<RawFd> {
    // SAFETY: the call takes no pointer.
    let returned = unsafe { arch::syscall2::<{ nr::PIDFD_OPEN }>(pid as usize, flags as usize) };
    result(returned).map(|fd| fd as RawFd)
}

/// [`pidfd_send_signal(2)`](https://man7.org/linux/man-pages/man2/pidfd_send_signal.2.html): sends
/// a signal to the process of a pidfd (Linux 5.1).
///
/// A null `info` sends what `kill` sends. Signal 0 sends nothing, and tests the process. `pidfd` may
/// also be a directory `/proc/PID`.
///
/// ```
/// use barepoll::fd::AsRawFd;
/// use barepoll::{raw, PidFd};
///
/// let this = PidFd::open(std::process::id() as i32)?;
/// // SAFETY: the pointer is null.
/// unsafe { raw::pidfd_send_signal(this.as_raw_fd(), 0, core::ptr::null(), 0)? };
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// # Errors
///
/// - `ESRCH`: the process has ended and was waited for.
/// - `EPERM`: this process may not send that process a signal, or not with this `info`. Or Hexagon's
///   kernel is older than 5.1.
/// - `EINVAL`: there is no such signal, `info` is of another signal, or the kernel does not know a
///   flag. Or the process is in a PID namespace that is not this one's or below it.
/// - `EAGAIN`: `info` is that of `sigqueue`, the signal is real-time, and the user has too many
///   pending or the kernel has no memory.
/// - `EBADF`: `pidfd` is not open, or is no pidfd. `EFAULT`: `info` is not readable.
/// - `ENOSYS`: the kernel is older than 5.1, or an emulator lacks the call.
///
/// csky's kernel returns the first argument for a call that it does not know. Before 5.1 that is
/// `Ok`, and no signal is sent.
///
/// # Safety
///
/// `info` must be valid for reads of a [`Siginfo`], or null.
#[inline]
pub unsafe fn pidfd_send_signal(pidfd: RawFd, signal: i32, info: *const c_void, flags: u32) -> Result<()> {
    sanitizer::released();
    // SAFETY: the caller vouches for `info`.
    let returned = unsafe {
        arch::syscall4::<{ nr::PIDFD_SEND_SIGNAL }>(pidfd as usize, signal as usize, info as usize, flags as usize)
    };
    result(returned).map(drop)
}

/// [`waitid(2)`](https://man7.org/linux/man-pages/man2/waitid.2.html): waits until a child has
/// ended, and reaps it.
///
/// `kind` says what `id` is: [`P_PIDFD`], [`P_PID`] or [`P_ALL`]. `options` has at least
/// [`WEXITED`]. With [`WNOHANG`] and no child that has ended, the kernel writes `info` with a
/// process number of 0. An emulator may write nothing then, so initialise `info`. The kernel's fifth
/// argument, for the child's use of resources, is null.
///
/// ```
/// use barepoll::raw::{self, Siginfo};
/// use barepoll::Errno;
///
/// // SAFETY: `info` may be null. This process is no child of its own, so the call reaps nothing.
/// let answer = unsafe {
///     raw::waitid(raw::P_PID, std::process::id() as i32, core::ptr::null_mut::<Siginfo>(), raw::WEXITED)
/// };
/// assert_eq!(answer, Err(Errno::ECHILD));
/// ```
///
/// # Errors
///
/// - `ECHILD`: no such child, or it was waited for already.
/// - `EAGAIN`: the child has not ended, and the pidfd has [`PIDFD_NONBLOCK`].
/// - `EINTR`: a signal handler, installed without `SA_RESTART`, ran while this waited.
/// - `EINVAL`: `kind`, `id` or `options` is not valid. [`P_PIDFD`] is unknown before Linux 5.4.
/// - `EBADF`: `id` is not open, or is no pidfd. `EFAULT`: `info` is not writable; the child was
///   reaped.
///
/// # Safety
///
/// `info` must be valid for writes of a [`Siginfo`], or null. No other code may rely on the number
/// of the child that the call reaps.
#[inline]
pub unsafe fn waitid(kind: u32, id: i32, info: *mut Siginfo, options: u32) -> Result<()> {
    // SAFETY: the caller vouches for `info`, and the last pointer is null.
    let returned =
        unsafe { arch::syscall5::<{ nr::WAITID }>(kind as usize, id as usize, info as usize, options as usize, 0) };
    sanitizer::waited_for_child(result(returned), info).map(drop)
}
