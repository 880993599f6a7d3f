//! What time it is, without std: by a system call. With feature `std`, `with_std.rs` has this.

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

/// By the one call that a machine has. A 32-bit one has two: where the first is missing, which is
/// remembered once for the process, by the second.
fn now() -> Result<Timespec> {
    static FIRST_IS_MISSING: AtomicBool = AtomicBool::new(false);
    let time32 = match TIME32 {
        Some(time32) => time32,
        // Nothing could serve instead, so whatever refuses the call is told to the caller, and forgotten.
        None => return time64(),
    };
    // Older releases of Android kill for the newer call.
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

/// The call whose timespec has two 64-bit fields.
fn time64() -> Result<Timespec> {
    const NR: usize = match (nr::CLOCK_GETTIME64, nr::CLOCK_GETTIME) {
        (Some(nr), _) | (None, Some(nr)) => nr,
        (None, None) => panic!("a port has one of the two"),
    };
    // SAFETY: the call writes a timespec of 64-bit fields.
    unsafe { clock_gettime::<NR, Timespec>() }
}

/// The older call of 32-bit machines, whose timespec is two `long`s; none where a machine never had it.
const TIME32: Option<Clock> = match (nr::CLOCK_GETTIME64, nr::CLOCK_GETTIME) {
    (Some(_), Some(_)) => Some(|| {
        const NR: usize = match nr::CLOCK_GETTIME {
            Some(nr) => nr,
            None => 0, // and this is compiled, and never called
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
    match result(unsafe { arch::syscall2::<NR>(CLOCK_MONOTONIC, ptr::addr_of_mut!(time) as usize) }) {
        Ok(0) => Ok(time),
        // csky's kernel returns the first argument for a call that it does not know.
        Ok(_) => Err(Errno::ENOSYS),
        Err(errno) => Err(errno),
    }
}
