//! A moment until which a loop waits.

use crate::clock;
use crate::errno::Result;
use crate::timeout::Timespec;
use core::fmt;
use core::ops::{Add, AddAssign};
use core::time::Duration;

/// A moment of `CLOCK_MONOTONIC`, for [`Epoll::wait_until`](crate::Epoll::wait_until) and
/// [`Timers`](crate::Timers).
///
/// ```
/// use barepoll::{Deadline, Epoll, Event};
/// use core::time::Duration;
///
/// let deadline = Deadline::after(Duration::from_millis(2))?;
/// assert!(Epoll::new()?.wait_until(&mut Event::buffer::<8>(), Some(deadline))?.is_empty());
/// assert!(Deadline::now()? >= deadline);
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// It counts nanoseconds from an [origin](Self::ORIGIN), for up to 544 years. Later moments become
/// the last one. Without std the origin is the clock's own, about the machine's start. With feature
/// `std` it is 34 years before this process first used a `Deadline`, and an [`Instant`] converts to a
/// `Deadline` and back. Processes have different origins, so use a `Deadline` in one process only.
/// That first use takes a lock, so do not leave it to a signal handler.
///
/// [`Instant`]: https://doc.rust-lang.org/std/time/struct.Instant.html
///
/// It has eight bytes, and a comparison of two is one of two integers.
#[doc(alias = "CLOCK_MONOTONIC")]
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline(
    /// The seconds above `NANOS_BITS` bits of nanoseconds: it is ordered as the time is, and no
    /// conversion divides.
    u64,
);

const NANOS_BITS: u32 = 30;
const NANOS_MASK: u64 = (1 << NANOS_BITS) - 1;
const NANOS_PER_SECOND: u64 = 1_000_000_000;
const MAX_SECONDS: u64 = u64::MAX >> NANOS_BITS;
const _: () = assert!(NANOS_PER_SECOND <= NANOS_MASK);

impl Deadline {
    /// The moment from which deadlines count. It is past.
    ///
    /// ```
    /// use barepoll::Deadline;
    /// use core::time::Duration;
    ///
    /// assert!(Deadline::ORIGIN <= Deadline::now()?);
    /// let simulated = Deadline::ORIGIN + Duration::from_secs(5); // a test's own clock
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    pub const ORIGIN: Self = Self(0);

    const LAST: Self = Self(MAX_SECONDS << NANOS_BITS | (NANOS_PER_SECOND - 1));

    /// Reads the clock.
    ///
    /// With feature `std` this is std's clock, which needs no system call on machines with a vDSO.
    /// Without it, this is a system call, `clock_gettime`.
    ///
    /// ```
    /// use barepoll::Deadline;
    ///
    /// let start = Deadline::now()?;
    /// println!("{:?}", Deadline::now()?.saturating_duration_since(start));
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If a sandbox forbids `clock_gettime`, the error of that call. With feature `std`, std's
    /// clock panics then if there is no vDSO.
    ///
    /// See [`clock_gettime(2)`](https://man7.org/linux/man-pages/man2/clock_gettime.2.html).
    #[doc(alias = "clock_gettime")]
    #[inline]
    pub fn now() -> Result<Self> {
        clock::since_origin().map(|time| Self::new(time.tv_sec as u64, time.tv_nsec as u64 & NANOS_MASK))
    }

    /// Reads the clock and adds `duration`.
    ///
    /// ```
    /// use barepoll::Deadline;
    /// use core::time::Duration;
    ///
    /// let deadline = Deadline::after(Duration::from_secs(30))?;
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`now`](Self::now).
    #[inline]
    pub fn after(duration: Duration) -> Result<Self> {
        Ok(Self::now()? + duration)
    }

    /// The time from `earlier` to this, or zero if `earlier` is later.
    ///
    /// ```
    /// use barepoll::Deadline;
    /// use core::time::Duration;
    ///
    /// let (first, second) = (Deadline::ORIGIN, Deadline::ORIGIN + Duration::from_millis(1_500));
    /// assert_eq!(second.saturating_duration_since(first), Duration::from_millis(1_500));
    /// assert_eq!(first.saturating_duration_since(second), Duration::ZERO);
    /// ```
    #[inline]
    #[must_use]
    pub fn saturating_duration_since(self, earlier: Self) -> Duration {
        let time = self.since(earlier);
        // The compiler sees that this cannot overflow: see `Timespec::saturating_sub`.
        Duration::new(time.tv_sec as u64 & MAX_SECONDS, time.tv_nsec as u32 & NANOS_MASK as u32)
    }

    /// The same as the kernel takes it.
    #[inline]
    pub(crate) fn since(self, earlier: Self) -> Timespec {
        self.timespec().saturating_sub(earlier.timespec())
    }

    #[inline]
    fn timespec(self) -> Timespec {
        Timespec { tv_sec: (self.0 >> NANOS_BITS) as i64, tv_nsec: (self.0 & NANOS_MASK) as i64 }
    }

    #[inline]
    fn new(seconds: u64, nanos: u64) -> Self {
        if seconds <= MAX_SECONDS {
            Self(seconds << NANOS_BITS | nanos)
        } else {
            Self::LAST
        }
    }
}

/// Adds a time. If there is no such moment, this is the last one.
impl Add<Duration> for Deadline {
    type Output = Self;

    #[inline]
    fn add(self, duration: Duration) -> Self {
        let seconds = (self.0 >> NANOS_BITS).saturating_add(duration.as_secs());
        let nanos = (self.0 & NANOS_MASK) + u64::from(duration.subsec_nanos());
        if nanos < NANOS_PER_SECOND {
            Self::new(seconds, nanos)
        } else {
            Self::new(seconds.saturating_add(1), nanos - NANOS_PER_SECOND)
        }
    }
}

/// Adds a time, as `+` does. A timer with an interval adds it to its own deadline, and not to the
/// time at which it is taken, so that delays do not add up.
impl AddAssign<Duration> for Deadline {
    #[inline]
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl fmt::Debug for Deadline {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Timespec { tv_sec, tv_nsec } = self.timespec();
        f.debug_struct("Deadline").field("seconds", &tv_sec).field("nanos", &tv_nsec).finish()
    }
}

/// Reads no clock, except to set the origin in the first use of a `Deadline`.
#[cfg(feature = "std")]
impl From<std::time::Instant> for Deadline {
    #[inline]
    fn from(instant: std::time::Instant) -> Self {
        Self::ORIGIN + instant.saturating_duration_since(clock::origin())
    }
}

/// Reads no clock, except to set the origin in the first use of a `Deadline`.
#[cfg(feature = "std")]
impl From<Deadline> for std::time::Instant {
    #[inline]
    fn from(deadline: Deadline) -> Self {
        clock::after_origin(deadline.saturating_duration_since(Deadline::ORIGIN))
    }
}
