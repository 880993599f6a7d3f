//! The C library's epoll and eventfd functions on barepoll, under C's names and with C's signatures. A failure is −1 and `errno`.
//!
//! What a C program sees is glibc's behaviour, with two differences: none of these is a cancellation point, and a read or write
//! that falls short of eight bytes, which no eventfd does, is `EINVAL` where glibc leaves `errno` as it was.
//!
//! C's `int` is `i32` on every Linux.
#![no_std]
#![deny(missing_docs, unsafe_op_in_unsafe_fn)]

mod count;
mod timespec;

use barepoll::raw;
use barepoll::{Errno, Event, Result, SigSet};
use core::mem::size_of;
use count::{count, Call};
use timespec::{with_kernels, Timespec};

extern "C" {
    /// glibc's and musl's.
    fn __errno_location() -> *mut i32;
}

#[cfg(panic = "unwind")] // dev and test: the handler is std's
extern crate std;

/// Nothing here panics, so that no linker keeps it.
#[cfg(panic = "abort")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

// Without optimisation, or with overflow checks, some of `core` stays. The prebuilt `core` needs
// std's `rust_eh_personality`. Only what unwinds would call it, and nothing here does. It is hidden,
// so that no other library finds it, and weak, so that std's may stand beside it.
#[cfg(all(panic = "abort", any(unoptimised, debug_assertions)))]
core::arch::global_asm!(
    ".pushsection .rodata",
    ".weak rust_eh_personality",
    ".hidden rust_eh_personality",
    "rust_eh_personality:",
    ".byte 0",
    ".popsection",
);

/// A call's answer as C has it. The kernel's counts and descriptors fit an `int`.
#[inline]
fn answer(result: Result<usize>) -> i32 {
    match result {
        Ok(value) => value as i32,
        Err(errno) => {
            // SAFETY: the C library gives the place of this thread's `errno`, which is there as long as the thread.
            unsafe { *__errno_location() = errno.raw() };
            -1
        }
    }
}

/// Of an eventfd's eight bytes: all or an error.
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
/// `event` is readable, or anything where `op` is `EPOLL_CTL_DEL`.
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
/// There is room for `maxevents` at `events`.
#[no_mangle]
pub unsafe extern "C" fn epoll_wait(epfd: i32, events: *mut Event, maxevents: i32, timeout: i32) -> i32 {
    count(Call::EpollWait);
    // SAFETY: the caller vouches for `events`.
    answer(unsafe { raw::epoll_wait(epfd, events, maxevents, timeout) })
}

/// `int epoll_pwait(int epfd, struct epoll_event *events, int maxevents, int timeout, const sigset_t *sigmask)`
///
/// # Safety
///
/// There is room for `maxevents` at `events`; `sigmask` is null or readable. Of C's 1024 signals the kernel reads its own, which are
/// the first, in the same words.
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

/// `int epoll_pwait2(int epfd, struct epoll_event *events, int maxevents, const struct timespec *timeout, const sigset_t *sigmask)`
///
/// It is the kernel's call and no other: `ENOSYS` before Linux 5.11, as in glibc.
///
/// # Safety
///
/// As [`epoll_pwait`]; `timeout` is null or readable.
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

/// [`epoll_pwait2`] of programs that glibc's headers give a 64-bit `time_t` on a 32-bit machine (`_TIME_BITS=64`).
///
/// # Safety
///
/// As [`epoll_pwait2`].
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
    // SAFETY: the caller vouches for the pointers. Upper halves of nanoseconds that C leaves undefined, a 32-bit kernel skips.
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
    // SAFETY: the caller vouches for `value`, which has as many bytes.
    all_or_einval(unsafe { raw::read(fd, value.cast(), size_of::<u64>()) })
}

/// `int eventfd_write(int fd, eventfd_t value)`
#[no_mangle]
pub extern "C" fn eventfd_write(fd: i32, value: u64) -> i32 {
    count(Call::EventfdWrite);
    // SAFETY: `value` has as many bytes.
    all_or_einval(unsafe { raw::write(fd, (&value as *const u64).cast(), size_of::<u64>()) })
}
