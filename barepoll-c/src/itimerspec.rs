//! C's `struct itimerspec`, and the two calls that take it.
//!
//! Where C's is four `long`s, the older calls of these machines take the same. The newer ones, for
//! a 64-bit `time_t`, have names of their own in `lib.rs`.

#[cfg(not(itimerspec_of_longs))]
pub use barepoll::raw::{timerfd_gettime as get, timerfd_settime as set, Itimerspec};

#[cfg(itimerspec_of_longs)]
pub use of_longs::{get, set, Itimerspec};

#[cfg(itimerspec_of_longs)]
mod of_longs {
    use barepoll::{syscall, Result};
    use linux_raw_sys::general::{__NR_timerfd_gettime, __NR_timerfd_settime};

    /// Seconds and nanoseconds of the interval, then of the first expiration.
    pub type Itimerspec = [isize; 4];

    /// # Safety
    ///
    /// As for `barepoll::raw::timerfd_settime`.
    #[inline]
    pub unsafe fn set(fd: i32, flags: u32, new: *const Itimerspec, old: *mut Itimerspec) -> Result<()> {
        // SAFETY: the caller vouches for both pointers. The call touches nothing else in memory.
        unsafe { syscall!(__NR_timerfd_settime, fd, flags, new, old) }.map(drop)
    }

    /// # Safety
    ///
    /// As for `barepoll::raw::timerfd_gettime`.
    #[inline]
    pub unsafe fn get(fd: i32, current: *mut Itimerspec) -> Result<()> {
        // SAFETY: the caller vouches for the pointer. The call writes nothing else.
        unsafe { syscall!(__NR_timerfd_gettime, fd, current) }.map(drop)
    }
}
