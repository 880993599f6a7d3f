//! C's `struct timespec`, and the kernel's.

use barepoll::raw;

/// Two `long`s, on 32-bit machines whose glibc was there before 64-bit time.
#[cfg(timespec_of_longs)]
#[derive(Copy, Clone)]
#[repr(C)]
pub struct Timespec {
    tv_sec: isize,
    tv_nsec: isize,
}

/// The kernel's own.
#[cfg(not(timespec_of_longs))]
pub use raw::Timespec;

/// Hands the timeout on in the kernel's form.
///
/// # Safety
///
/// `timeout` is null or readable.
#[inline]
#[cfg(timespec_of_longs)]
pub unsafe fn with_kernels<T>(timeout: *const Timespec, wait: impl FnOnce(*const raw::Timespec) -> T) -> T {
    // SAFETY: the caller says so.
    match unsafe { timeout.as_ref() } {
        None => wait(core::ptr::null()),
        Some(&Timespec { tv_sec, tv_nsec }) => wait(&raw::Timespec { tv_sec: tv_sec as i64, tv_nsec: tv_nsec as i64 }),
    }
}

/// Hands the timeout on untouched: where it is not readable, the kernel says so.
///
/// # Safety
///
/// None here; it is the other one's.
#[inline]
#[cfg(not(timespec_of_longs))]
pub unsafe fn with_kernels<T>(timeout: *const Timespec, wait: impl FnOnce(*const raw::Timespec) -> T) -> T {
    wait(timeout)
}
