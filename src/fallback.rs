//! `epoll_pwait2`, which an older kernel, emulator or container lacks, and its fallback. The crate
//! remembers for the process that the call is missing. (`clock.rs` and `timerfd/calls.rs` do the same
//! for calls of 32-bit machines.) And `pidfd_open`, which has no fallback: its absence becomes `ENOSYS`.

use crate::arch;
use crate::errno::{Errno, Result};
use crate::event::Event;
use crate::fd::RawFd;
use crate::raw;
use crate::signal::SigSet;
use crate::timeout::{ceil_ms, Timespec};
use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// Whether this error means that a call is missing. Older kernels return `ENOSYS`. Old container
/// runtimes return `EPERM`. Hexagon's kernel returns −1 for a call that it does not know, which is
/// `EPERM` too. If the call itself may return `EPERM`, its caller must find out more.
pub(crate) fn is_missing(errno: Errno) -> bool {
    matches!(errno, Errno::ENOSYS | Errno::EPERM)
}

/// Waits by `epoll_wait`, or with a mask by `epoll_pwait`: at most `timeout_ms` milliseconds, −1
/// for ever.
///
/// # Safety
///
/// As [`raw::epoll_wait`].
#[inline(always)]
pub(crate) unsafe fn wait_ms(
    epfd: RawFd,
    events: *mut Event,
    maxevents: i32,
    timeout_ms: i32,
    mask: Option<&SigSet>,
) -> Result<usize> {
    // SAFETY: the caller vouches for `events`, and a reference is valid for reads.
    unsafe {
        match mask {
            Some(mask) => raw::epoll_pwait(epfd, events, maxevents, timeout_ms, mask),
            None => raw::epoll_wait(epfd, events, maxevents, timeout_ms),
        }
    }
}

/// Waits by `epoll_pwait2`, or if that is missing, by [`wait_ms`] with the timeout rounded up (at
/// most `i32::MAX` milliseconds).
///
/// # Safety
///
/// As [`raw::epoll_wait`].
#[cold]
#[inline(never)]
pub(crate) unsafe fn wait_timespec(
    epfd: RawFd,
    events: *mut Event,
    maxevents: i32,
    timeout: Timespec,
    mask: Option<&SigSet>,
) -> Result<usize> {
    // Before Android 15, its sandbox kills apps for the call.
    if !arch::ANDROID && PWAIT2_STATE.load(Relaxed) != MISSING {
        let pointer = match mask {
            Some(mask) => mask,
            None => ptr::null(),
        };
        // SAFETY: the caller vouches for `events`, and the timeout outlives the call.
        let answer = unsafe { raw::epoll_pwait2(epfd, events, maxevents, &timeout, pointer) };
        match answer {
            // A count beyond `maxevents` is none.
            Ok(count) if count > maxevents as usize => {}
            Ok(count) if count == epfd as usize && !has_pwait2() => {}
            Err(errno) if is_missing(errno) => {}
            answer => return answer,
        }
        PWAIT2_STATE.store(MISSING, Relaxed);
    }
    // SAFETY: the caller vouches for `events`.
    unsafe { wait_ms(epfd, events, maxevents, ceil_ms(timeout), mask) }
}

/// Whether this process has `epoll_pwait2`: one of the constants below.
static PWAIT2_STATE: AtomicU8 = AtomicU8::new(UNKNOWN);
const UNKNOWN: u8 = 0;
const PRESENT: u8 = 1;
const MISSING: u8 = 2;

/// Whether the kernel has `epoll_pwait2`, if its result was the epoll's number. csky's kernel
/// returns the first argument for a call that it does not know. So this calls with −1, which is no
/// descriptor's number. csky's kernel returns it, which is `EPERM`. A kernel that has the call
/// returns `EBADF`.
fn has_pwait2() -> bool {
    if PWAIT2_STATE.load(Relaxed) == PRESENT {
        return true;
    }
    let (mut event, timeout) = (MaybeUninit::<Event>::uninit(), Timespec::default());
    // SAFETY: there is room for one event, and the timeout outlives the call.
    let answer = unsafe { raw::epoll_pwait2(-1, event.as_mut_ptr(), 1, &timeout, ptr::null()) };
    let is_present = !matches!(answer, Err(errno) if is_missing(errno));
    if is_present {
        PWAIT2_STATE.store(PRESENT, Relaxed);
    }
    is_present
}

/// Opens a pidfd. `ENOSYS` if the kernel lacks the call, on every machine.
pub(crate) fn pidfd_open(pid: i32, flags: u32) -> Result<RawFd> {
    match raw::pidfd_open(pid, flags) {
        // The call never returns `EPERM` itself.
        Err(errno) if is_missing(errno) => Err(Errno::ENOSYS),
        // Perhaps csky's kernel has returned its first argument. It does so with −1, which is
        // `EPERM`. A kernel that has the call returns `EINVAL`.
        Ok(fd) if fd == pid && matches!(raw::pidfd_open(-1, 0), Err(errno) if is_missing(errno)) => Err(Errno::ENOSYS),
        answer => answer,
    }
}
