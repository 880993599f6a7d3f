//! The C library's epoll, eventfd, signalfd and timerfd functions, built on barepoll, with C's names
//! and signatures.
//!
//! On failure they return −1 and set `errno`. They behave like glibc's, with three differences. None
//! is a cancellation point. A read or write of fewer than eight bytes sets `EINVAL`, but glibc
//! leaves `errno` unchanged. No eventfd returns fewer. On 32-bit machines, the timerfd functions for
//! a 64-bit `time_t` have no fallback before Linux 5.1.
//!
//! C's `int` is `i32` on every Linux.
#![no_std]
#![deny(missing_docs, unsafe_op_in_unsafe_fn)]

mod count;
mod itimerspec;
mod timespec;

use barepoll::raw;
use barepoll::{Errno, Event, Result, SigSet};
use core::mem::size_of;
use count::{count, Call};
use itimerspec::Itimerspec;
use timespec::{with_kernels, Timespec};

extern "C" {
    /// glibc and musl define it.
    fn __errno_location() -> *mut i32;
}

#[cfg(panic = "unwind")] // dev and test use std's panic handler
extern crate std;

/// Nothing here panics, so the linker drops it.
#[cfg(panic = "abort")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

// Without optimisation or with overflow checks, the linker keeps some of `core`. The prebuilt
// `core` refers to std's `rust_eh_personality`. Only unwinding would call it, and nothing here
// unwinds. The symbol is hidden, so that no other library finds it, and weak, so that it can
// coexist with std's.
#[cfg(all(panic = "abort", any(unoptimised, debug_assertions)))]
core::arch::global_asm!(
    ".pushsection .rodata",
    ".weak rust_eh_personality",
    ".hidden rust_eh_personality",
    "rust_eh_personality:",
    ".byte 0",
    ".popsection",
);

/// Converts a result to C's form. The kernel's counts and descriptors fit an `int`.
#[inline]
fn answer(result: Result<usize>) -> i32 {
    match result {
        Ok(value) => value as i32,
        Err(errno) => {
            // SAFETY: the C library returns the address of this thread's `errno`, which lives as
            // long as the thread.
            unsafe { *__errno_location() = errno.raw() };
            -1
        }
    }
}

/// Converts the length of an eventfd's read or write. Any length but eight is an error.
#[inline]
fn all_or_einval(result: Result<usize>) -> i32 {
    match result {
        Ok(length) if length == size_of::<u64>() => 0,
        Ok(_) => answer(Err(Errno::EINVAL)),
        error => answer(error),
    }
}

/// `int epoll_create(int size)`
#[no_mangle]
pub extern "C" fn epoll_create(size: i32) -> i32 {
    count(Call::EpollCreate);
    answer(raw::epoll_create(size).map(|fd| fd as usize))
}

/// `int epoll_create1(int flags)`
#[no_mangle]
pub extern "C" fn epoll_create1(flags: i32) -> i32 {
    count(Call::EpollCreate1);
    answer(raw::epoll_create1(flags as u32).map(|fd| fd as usize))
}

/// `int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)`
///
/// # Safety
///
/// `event` is readable. If `op` is `EPOLL_CTL_DEL`, it may be any pointer.
#[no_mangle]
pub unsafe extern "C" fn epoll_ctl(epfd: i32, op: i32, fd: i32, event: *mut Event) -> i32 {
    count(Call::EpollCtl);
    // SAFETY: the caller vouches for `event`.
    answer(unsafe { raw::epoll_ctl(epfd, op as u32, fd, event) }.map(|()| 0))
}

/// `int epoll_wait(int epfd, struct epoll_event *events, int maxevents, int timeout)`
///
/// # Safety
///
/// `events` has room for `maxevents` events.
#[no_mangle]
pub unsafe extern "C" fn epoll_wait(epfd: i32, events: *mut Event, maxevents: i32, timeout: i32) -> i32 {
    count(Call::EpollWait);
    // SAFETY: the caller vouches for `events`.
    answer(unsafe { raw::epoll_wait(epfd, events, maxevents, timeout) })
}

/// `int epoll_pwait(int epfd, struct epoll_event *events, int maxevents, int timeout, const
/// sigset_t *sigmask)`
///
/// # Safety
///
/// `events` has room for `maxevents` events. `sigmask` is null or readable. C's set has 1024
/// signals. The kernel reads only its own, which come first and have the same layout.
#[no_mangle]
pub unsafe extern "C" fn epoll_pwait(
    epfd: i32,
    events: *mut Event,
    maxevents: i32,
    timeout: i32,
    sigmask: *const SigSet,
) -> i32 {
    count(Call::EpollPwait);
    // SAFETY: the caller vouches for both pointers.
    answer(unsafe { raw::epoll_pwait(epfd, events, maxevents, timeout, sigmask) })
}

/// `int epoll_pwait2(int epfd, struct epoll_event *events, int maxevents, const struct timespec
/// *timeout, const sigset_t *sigmask)`
///
/// It has no fallback: before Linux 5.11 it fails with `ENOSYS`, as glibc's does.
///
/// # Safety
///
/// As for [`epoll_pwait`]. `timeout` is null or readable.
#[no_mangle]
pub unsafe extern "C" fn epoll_pwait2(
    epfd: i32,
    events: *mut Event,
    maxevents: i32,
    timeout: *const Timespec,
    sigmask: *const SigSet,
) -> i32 {
    count(Call::EpollPwait2);
    // SAFETY: the caller vouches for the pointers.
    let wait = |timeout| unsafe { raw::epoll_pwait2(epfd, events, maxevents, timeout, sigmask) };
    // SAFETY: the caller vouches for `timeout`.
    answer(unsafe { with_kernels(timeout, wait) })
}

/// [`epoll_pwait2`] for 32-bit programs with a 64-bit `time_t` (glibc's `_TIME_BITS=64`).
///
/// # Safety
///
/// As for [`epoll_pwait2`].
#[cfg(timespec_of_longs)]
#[no_mangle]
pub unsafe extern "C" fn __epoll_pwait2_time64(
    epfd: i32,
    events: *mut Event,
    maxevents: i32,
    timeout: *const raw::Timespec,
    sigmask: *const SigSet,
) -> i32 {
    count(Call::EpollPwait2);
    // C leaves the upper half of the nanoseconds undefined. A 32-bit kernel ignores it.
    // SAFETY: the caller vouches for the pointers.
    answer(unsafe { raw::epoll_pwait2(epfd, events, maxevents, timeout, sigmask) })
}

/// `int eventfd(unsigned int count, int flags)`
#[no_mangle]
pub extern "C" fn eventfd(initial: u32, flags: i32) -> i32 {
    count(Call::Eventfd);
    answer(raw::eventfd2(initial, flags as u32).map(|fd| fd as usize))
}

/// `int eventfd_read(int fd, eventfd_t *value)`
///
/// # Safety
///
/// `value` is writable.
#[no_mangle]
pub unsafe extern "C" fn eventfd_read(fd: i32, value: *mut u64) -> i32 {
    count(Call::EventfdRead);
    // SAFETY: the caller vouches for `value`, which is eight bytes long.
    all_or_einval(unsafe { raw::read(fd, value.cast(), size_of::<u64>()) })
}

/// `int eventfd_write(int fd, eventfd_t value)`
#[no_mangle]
pub extern "C" fn eventfd_write(fd: i32, value: u64) -> i32 {
    count(Call::EventfdWrite);
    // SAFETY: `value` is eight bytes long.
    all_or_einval(unsafe { raw::write(fd, (&value as *const u64).cast(), size_of::<u64>()) })
}

/// `int signalfd(int fd, const sigset_t *mask, int flags)`
///
/// # Safety
///
/// `mask` is readable, as for [`epoll_pwait`]. `fd` is −1, or a descriptor whose owner allows the
/// change.
#[no_mangle]
pub unsafe extern "C" fn signalfd(fd: i32, mask: *const SigSet, flags: i32) -> i32 {
    count(Call::Signalfd);
    // SAFETY: the caller vouches for `mask` and `fd`.
    answer(unsafe { raw::signalfd4(fd, mask, flags as u32) }.map(|fd| fd as usize))
}

/// `int timerfd_create(int clock, int flags)`
#[no_mangle]
pub extern "C" fn timerfd_create(clock: i32, flags: i32) -> i32 {
    count(Call::TimerfdCreate);
    answer(raw::timerfd_create(clock as u32, flags as u32).map(|fd| fd as usize))
}

/// `int timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old)`
///
/// # Safety
///
/// `new` is readable. `old` is null or writable.
#[no_mangle]
pub unsafe extern "C" fn timerfd_settime(fd: i32, flags: i32, new: *const Itimerspec, old: *mut Itimerspec) -> i32 {
    count(Call::TimerfdSettime);
    // SAFETY: the caller vouches for both pointers.
    answer(unsafe { itimerspec::set(fd, flags as u32, new, old) }.map(|()| 0))
}

/// [`timerfd_settime`] for 32-bit programs with a 64-bit `time_t` (glibc's `_TIME_BITS=64`, and
/// musl since 1.2).
///
/// It has no fallback: before Linux 5.1 it fails with `ENOSYS`.
///
/// # Safety
///
/// As for [`timerfd_settime`].
#[cfg(itimerspec_of_longs)]
#[no_mangle]
pub unsafe extern "C" fn __timerfd_settime64(
    fd: i32,
    flags: i32,
    new: *const raw::Itimerspec,
    old: *mut raw::Itimerspec,
) -> i32 {
    count(Call::TimerfdSettime);
    // C leaves the upper half of the nanoseconds undefined. A 32-bit kernel ignores it.
    // SAFETY: the caller vouches for both pointers.
    answer(unsafe { raw::timerfd_settime(fd, flags as u32, new, old) }.map(|()| 0))
}

/// `int timerfd_gettime(int fd, struct itimerspec *current)`
///
/// # Safety
///
/// `current` is writable.
#[no_mangle]
pub unsafe extern "C" fn timerfd_gettime(fd: i32, current: *mut Itimerspec) -> i32 {
    count(Call::TimerfdGettime);
    // SAFETY: the caller vouches for the pointer.
    answer(unsafe { itimerspec::get(fd, current) }.map(|()| 0))
}

/// [`timerfd_gettime`] for 32-bit programs with a 64-bit `time_t`. As [`__timerfd_settime64`], it
/// has no fallback.
///
/// # Safety
///
/// As for [`timerfd_gettime`].
#[cfg(itimerspec_of_longs)]
#[no_mangle]
pub unsafe extern "C" fn __timerfd_gettime64(fd: i32, current: *mut raw::Itimerspec) -> i32 {
    count(Call::TimerfdGettime);
    // SAFETY: the caller vouches for the pointer.
    answer(unsafe { raw::timerfd_gettime(fd, current) }.map(|()| 0))
}
