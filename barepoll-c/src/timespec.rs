//! C's and the kernel's `struct timespec`.

use barepoll::raw;

/// Two `long`s, on 32-bit machines that glibc supported before 64-bit time.
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

/// Calls `wait` with the timeout in the kernel's form.
///
/// # Safety
///
/// `timeout` is null or readable.
#[inline]
#[cfg(timespec_of_longs)]
pub unsafe fn with_kernels<T>(timeout: *const Timespec, wait: impl FnOnce(*const raw::Timespec) -> T) -> T {
    // SAFETY: the caller vouches for `timeout`.
    match unsafe { timeout.as_ref() } {
        None => wait(core::ptr::null()),
        Some(&Timespec { tv_sec, tv_nsec }) => wait(&raw::Timespec { tv_sec: tv_sec as i64, tv_nsec: tv_nsec as i64 }),
    }
}

/// Calls `wait` with the unchanged timeout. If it is unreadable, the kernel returns an error.
///
/// # Safety
///
/// No requirement: it is unsafe only to match the other definition.
#[inline]
#[cfg(not(timespec_of_longs))]
pub unsafe fn with_kernels<T>(timeout: *const Timespec, wait: impl FnOnce(*const raw::Timespec) -> T) -> T {
    wait(timeout)
}
