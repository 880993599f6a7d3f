//! The two calls with a time in them. A 32-bit machine has two of each: the newer ones, since Linux
//! 5.1, have 64-bit times. If they are missing, this remembers it for the process and makes the
//! older ones. (`fallback.rs` and `clock.rs` do the same for other calls.)

use crate::arch::{self, nr};
use crate::errno::{result, Errno, Result};
use crate::fallback;
use crate::fd::RawFd;
use crate::raw::{self, Itimerspec, Timespec};
use crate::sanitizer;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Sets a timer.
#[inline]
pub(super) fn set(fd: RawFd, flags: u32, time: &Itimerspec) -> Result<()> {
    if HAS_OLDER && NEWER_IS_MISSING.load(Relaxed) {
        return older::set(fd, flags, time);
    }
    match newer_set(fd, flags, time) {
        Ok(()) if !HAS_OLDER || fd != 0 => Ok(()),
        answer if HAS_OLDER => set_by_older(answer, fd, flags, time),
        answer => answer,
    }
}

/// Sets a timer by the older call, if the newer one's answer means that it is missing.
#[cold]
#[inline(never)]
fn set_by_older(answer: Result<()>, fd: RawFd, flags: u32, time: &Itimerspec) -> Result<()> {
    if is_missing(fd, answer.err(), || newer_set(-1, flags, time).err()) {
        return older::set(fd, flags, time);
    }
    answer
}

#[inline]
fn newer_set(fd: RawFd, flags: u32, time: &Itimerspec) -> Result<()> {
    // SAFETY: a reference is valid for reads, and the other pointer may be null.
    unsafe { raw::timerfd_settime(fd, flags, time, ptr::null_mut()) }
}

/// The time left and the interval of a timer.
#[inline]
pub(super) fn get(fd: RawFd) -> Result<Itimerspec> {
    let newer = |fd| {
        let mut time = Itimerspec::default();
        // SAFETY: `time` is valid for writes.
        unsafe { raw::timerfd_gettime(fd, &mut time) }.map(|()| time)
    };
    if HAS_OLDER && NEWER_IS_MISSING.load(Relaxed) {
        return older::get(fd);
    }
    let answer = newer(fd);
    if HAS_OLDER && is_missing(fd, answer.err(), || newer(-1).err()) {
        return older::get(fd);
    }
    answer
}

/// Whether this machine has older calls beside the newer ones.
const HAS_OLDER: bool = nr::TIMERFD_SETTIME64.is_some() && nr::TIMERFD_SETTIME.is_some();

/// Older releases of Android kill apps for the newer calls.
static NEWER_IS_MISSING: AtomicBool = AtomicBool::new(arch::ANDROID);

/// Whether the newer calls are missing, by one's error for this descriptor and, if that is in doubt,
/// for −1. Remembers it.
#[inline]
fn is_missing(fd: RawFd, error: Option<Errno>, error_of_minus_one: impl FnOnce() -> Option<Errno>) -> bool {
    let is_in_doubt = match error {
        None => fd == 0, // csky's kernel returns the first argument for a call that it lacks
        Some(errno) => fallback::is_missing(errno),
    };
    // `EPERM` is an error of the newer call too. −1 is no descriptor's number, so a kernel that has
    // the call returns `EBADF`. csky's kernel returns −1, which is `EPERM`.
    if !is_in_doubt || !error_of_minus_one().map_or(false, fallback::is_missing) {
        return false;
    }
    NEWER_IS_MISSING.store(true, Relaxed);
    true
}

/// The older calls of 32-bit machines. Their `struct itimerspec` is four `long`s.
mod older {
    use super::*;

    type Times = [isize; 4];

    /// # Errors
    ///
    /// `EOVERFLOW`: a time does not fit. A shorter one would be early.
    #[cold]
    #[inline(never)]
    pub fn set(fd: RawFd, flags: u32, time: &Itimerspec) -> Result<()> {
        let (interval, value) = (time.it_interval, time.it_value);
        let longest = isize::MAX as i64;
        if interval.tv_sec > longest || value.tv_sec > longest {
            return Err(Errno::EOVERFLOW);
        }
        let part = |part: i64| part as isize;
        let times: Times = [part(interval.tv_sec), part(interval.tv_nsec), part(value.tv_sec), part(value.tv_nsec)];
        sanitizer::released();
        // SAFETY: the call reads four `long`s, and its last pointer may be null.
        result(unsafe { arch::syscall4::<SETTIME>(fd as usize, flags as usize, times.as_ptr() as usize, 0) }).map(drop)
    }

    /// # Errors
    ///
    /// `EOVERFLOW`: another program set a time that does not fit.
    #[cold]
    #[inline(never)]
    pub fn get(fd: RawFd) -> Result<Itimerspec> {
        let mut times: Times = [0; 4];
        // SAFETY: the call writes four `long`s.
        result(unsafe { arch::syscall2::<GETTIME>(fd as usize, times.as_mut_ptr() as usize) })?;
        sanitizer::written(times.as_ptr(), times.len());
        let [interval, interval_nanos, value, value_nanos] = times;
        if interval < 0 || value < 0 {
            return Err(Errno::EOVERFLOW);
        }
        let timespec = |seconds, nanos| Timespec { tv_sec: seconds as i64, tv_nsec: nanos as i64 };
        Ok(Itimerspec { it_interval: timespec(interval, interval_nanos), it_value: timespec(value, value_nanos) })
    }

    const SETTIME: usize = number(nr::TIMERFD_SETTIME);
    const GETTIME: usize = number(nr::TIMERFD_GETTIME);

    const fn number(call: Option<usize>) -> usize {
        match call {
            Some(nr) => nr,
            None => 0, // compiled but never called
        }
    }
}
