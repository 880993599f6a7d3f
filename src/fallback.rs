//! The two calls that an older kernel, emulator or container lacks, and what serves instead. What is missing is remembered
//! once for the process, so that it costs one refused call.

use crate::errno::{Errno, Result};
use crate::event::Event;
use crate::fd::RawFd;
use crate::raw;
use crate::signal::SigSet;
use crate::timeout::{ceil_ms, Timespec};
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Linux before 5.11 says `ENOSYS`; container runtimes of that age say `EPERM`, which is no error of either call.
fn is_missing<T>(answer: &Result<T>) -> bool {
    matches!(answer, Err(Errno::ENOSYS | Errno::EPERM))
}

/// Waits by `epoll_pwait2`, or by the call that a timeout of whole milliseconds uses, rounded up to one (at most `i32::MAX` of them).
///
/// # Safety
///
/// As [`raw::epoll_wait`].
#[cold]
#[inline(never)]
pub(crate) unsafe fn fine_wait(
    epfd: RawFd,
    events: *mut Event,
    maxevents: i32,
    timeout: Timespec,
    mask: Option<&SigSet>,
) -> Result<usize> {
    static MISSING: AtomicBool = AtomicBool::new(false);
    if !MISSING.load(Relaxed) {
        let pointer = match mask {
            Some(mask) => mask,
            None => ptr::null(),
        };
        // SAFETY: the caller vouches for `events`, and the timeout outlives the call.
        let answer = unsafe { raw::epoll_pwait2(epfd, events, maxevents, &timeout, pointer) };
        if !is_missing(&answer) {
            return answer;
        }
        MISSING.store(true, Relaxed);
    }
    // SAFETY: the caller vouches for `events`.
    unsafe { raw::wait(epfd, events, maxevents, ceil_ms(timeout), mask) }
}

/// The time since boot, or some other fixed moment; by the older call of a 32-bit machine where the newer is missing.
#[inline]
pub(crate) fn monotonic_time() -> Result<Timespec> {
    static MISSING: AtomicBool = AtomicBool::new(false);
    // Elsewhere nothing could serve instead, so whatever refuses the call is told to the caller, and forgotten.
    let has_older = raw::CLOCK_GETTIME_32.is_some();
    if !(has_older && MISSING.load(Relaxed)) {
        let answer = raw::clock_gettime_monotonic();
        if !(has_older && is_missing(&answer)) {
            return answer;
        }
        MISSING.store(true, Relaxed);
    }
    raw::clock_gettime_monotonic_32()
}
