//! The call that an older kernel, emulator or container lacks, and what serves instead. That it is
//! missing is remembered once for the process. (`clock.rs` does so for the clock of 32-bit machines.)

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

/// Whether this refuses a call as unknown. Older kernels say `ENOSYS`. Old container runtimes say
/// `EPERM`, which is no error of the calls that this is asked of. Hexagon's kernel says −1 to a call
/// that it does not know, which is `EPERM` too.
pub(crate) fn is_missing(errno: Errno) -> bool {
    matches!(errno, Errno::ENOSYS | Errno::EPERM)
}

/// Waits by `epoll_wait`, or with a mask by `epoll_pwait`: at most `timeout_ms` milliseconds, −1 for
/// ever.
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

/// Waits by `epoll_pwait2`, or by the call that a timeout of whole milliseconds uses, rounded up to one (at most `i32::MAX` of them).
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
    // Before Android 15, its sandbox kills for the call.
    if !arch::ANDROID && PWAIT2_STATE.load(Relaxed) != MISSING {
        let pointer = match mask {
            Some(mask) => mask,
            None => ptr::null(),
        };
        // SAFETY: the caller vouches for `events`, and the timeout outlives the call.
        let answer = unsafe { raw::epoll_pwait2(epfd, events, maxevents, &timeout, pointer) };
        match answer {
            // More than there is room for is no count.
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

/// What is known of `epoll_pwait2`.
static PWAIT2_STATE: AtomicU8 = AtomicU8::new(UNKNOWN);
const UNKNOWN: u8 = 0;
const PRESENT: u8 = 1;
const MISSING: u8 = 2;

/// Whether a count that is the epoll's number is a count. csky's kernel gives the first argument back
/// for a call that it does not know. So this asks with −1, which is no descriptor's number and becomes
/// `EPERM` there. A kernel that has the call says `EBADF`.
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
