//! The clock without std, read by a system call. With feature `std`, `with_std.rs` has the clock.

use crate::arch::{self, nr};
use crate::errno::{result, Errno, Result};
use crate::fallback;
use crate::timeout::Timespec;
use crate::uapi::CLOCK_MONOTONIC;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// A moment of `CLOCK_MONOTONIC`.
pub(crate) struct Moment(Timespec);

impl Moment {
    pub(crate) fn now() -> Result<Self> {
        now().map(Self)
    }

    pub(crate) fn elapsed(&self) -> Result<Timespec> {
        now().map(|now| now.saturating_sub(self.0))
    }
}

/// The time since `Deadline::ORIGIN`, the clock's own origin.
pub(crate) fn since_origin() -> Result<Timespec> {
    now()
}

/// Reads the clock by the machine's system call. A 32-bit machine has two calls. If the first is
/// missing, this remembers it for the process and uses the second.
fn now() -> Result<Timespec> {
    static FIRST_IS_MISSING: AtomicBool = AtomicBool::new(false);
    let time32 = match TIME32 {
        Some(time32) => time32,
        // There is no other call, so this returns an error and remembers nothing.
        None => return time64(),
    };
    // Older releases of Android kill apps for the newer call.
    let (first, second) = if arch::ANDROID { (time32, time64 as Clock) } else { (time64 as Clock, time32) };
    if !FIRST_IS_MISSING.load(Relaxed) {
        match first() {
            Err(errno) if fallback::is_missing(errno) => FIRST_IS_MISSING.store(true, Relaxed),
            answer => return answer,
        }
    }
    second()
}

type Clock = fn() -> Result<Timespec>;

/// Reads the clock by the call whose timespec has two 64-bit fields.
fn time64() -> Result<Timespec> {
    const NR: usize = match (nr::CLOCK_GETTIME64, nr::CLOCK_GETTIME) {
        (Some(nr), _) | (None, Some(nr)) => nr,
        (None, None) => panic!("a port has one of the two"),
    };
    // SAFETY: the call writes a timespec of 64-bit fields.
    unsafe { clock_gettime::<NR, Timespec>() }
}

/// Reads the clock by the older call of 32-bit machines, whose timespec is two `long`s. `None` on a
/// machine that never had it.
const TIME32: Option<Clock> = match (nr::CLOCK_GETTIME64, nr::CLOCK_GETTIME) {
    (Some(_), Some(_)) => Some(|| {
        const NR: usize = match nr::CLOCK_GETTIME {
            Some(nr) => nr,
            None => 0, // compiled but never called
        };
        // SAFETY: the call writes a timespec of two `long`s.
        let [seconds, nanos] = unsafe { clock_gettime::<NR, [isize; 2]>()? };
        Ok(Timespec { tv_sec: seconds as i64, tv_nsec: nanos as i64 })
    }),
    _ => None,
};

/// `CLOCK_MONOTONIC` by system call `NR`, a `clock_gettime` whose timespec is a `T`.
///
/// # Errors
///
/// `ENOSYS`: the kernel is too old for it. `EPERM`: an old container runtime refuses calls that it
/// does not know.
///
/// # Safety
///
/// The call must write a whole `T` and nothing else.
unsafe fn clock_gettime<const NR: usize, T: Default>() -> Result<T> {
    let mut time = T::default();
    // SAFETY: the caller says what the call writes, and `time` has room for it.
    match result(unsafe { arch::syscall2::<NR>(CLOCK_MONOTONIC as usize, ptr::addr_of_mut!(time) as usize) }) {
        Ok(0) => Ok(time),
        // csky's kernel returns the first argument for a call that it does not know.
        Ok(_) => Err(Errno::ENOSYS),
        Err(errno) => Err(errno),
    }
}
