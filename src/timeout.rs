//! Converts a `Duration` to the timeouts of the kernel's waits, rounding up.

use core::fmt;
use core::time::Duration;

/// The kernel's `__kernel_timespec`.
///
/// It has two 64-bit fields on every architecture, whatever C's `time_t` is.
///
/// ```
/// use barepoll::raw::Timespec;
/// use core::time::Duration;
///
/// let time = Timespec::from(Duration::from_micros(1_500_000));
/// assert_eq!((time.tv_sec, time.tv_nsec), (1, 500_000_000));
/// ```
///
/// See [`timespec(3type)`](https://man7.org/linux/man-pages/man3/timespec.3type.html) for C's.
#[doc(alias = "__kernel_timespec")]
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Timespec {
    /// Whole seconds.
    pub tv_sec: i64,
    /// Nanoseconds, 0 to 999,999,999.
    pub tv_nsec: i64,
}

impl From<Duration> for Timespec {
    /// Clamps the seconds to `i64::MAX`.
    fn from(duration: Duration) -> Self {
        Self::new(duration)
    }
}

impl Timespec {
    /// As `From`, in a constant.
    #[inline]
    pub(crate) const fn new(duration: Duration) -> Self {
        // By comparison, for the reason in `Epoll::wait_once`.
        let seconds = duration.as_secs();
        let tv_sec = if seconds <= i64::MAX as u64 { seconds as i64 } else { i64::MAX };
        Self { tv_sec, tv_nsec: duration.subsec_nanos() as i64 }
    }
}

/// The kernel's `__kernel_itimerspec`: when a timer expires, and how often afterwards.
///
/// It has four 64-bit fields on every architecture.
///
/// ```
/// use barepoll::raw::{Itimerspec, Timespec};
///
/// let second = Timespec { tv_sec: 1, tv_nsec: 0 };
/// // Once, in a second. A zero `it_value` disarms the timer.
/// let once = Itimerspec { it_interval: Timespec::default(), it_value: second };
/// assert_ne!(once, Itimerspec::default());
/// ```
///
/// See [`itimerspec(3type)`](https://man7.org/linux/man-pages/man3/itimerspec.3type.html) for C's.
#[doc(alias = "__kernel_itimerspec")]
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Itimerspec {
    /// The time between expirations. Zero is a timer that expires once.
    pub it_interval: Timespec,
    /// The time of the first expiration. Zero is no expiration.
    pub it_value: Timespec,
}

// `Duration` could do this, but with little optimisation the compiler does not see that
// `Duration::new` cannot panic here.
impl Timespec {
    /// This time minus `part`, or zero if `part` is longer.
    pub(crate) fn saturating_sub(self, part: Self) -> Self {
        // Wrapping, here and below: an emulator may return an invalid time, and nothing here
        // panics.
        let (seconds, nanos) = (self.tv_sec.wrapping_sub(part.tv_sec), self.tv_nsec.wrapping_sub(part.tv_nsec));
        let left = if nanos >= 0 {
            Self { tv_sec: seconds, tv_nsec: nanos }
        } else {
            Self { tv_sec: seconds.wrapping_sub(1), tv_nsec: nanos + NANOS_PER_SECOND }
        };
        if left.tv_sec < 0 {
            Self::default()
        } else {
            left
        }
    }

    /// This time as a `Duration`. An invalid time becomes zero.
    pub(crate) fn duration(self) -> Duration {
        if self.tv_sec >= 0 && self.tv_nsec >= 0 && self.tv_nsec < NANOS_PER_SECOND {
            Duration::new(self.tv_sec as u64, self.tv_nsec as u32)
        } else {
            Duration::ZERO
        }
    }
}

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const NANOS_PER_MS: u32 = 1_000_000;
/// The inverse of the odd part of [`NANOS_PER_MS`] for multiplication in 32 bits.
const INVERSE: u32 = 1_757_569_337;
const _: () = assert!((NANOS_PER_MS >> NANOS_PER_MS.trailing_zeros()).wrapping_mul(INVERSE) == 1);

/// How long a wait waits at most: a `Duration` or for ever, in the form that the kernel takes.
///
/// [`Epoll::wait`](crate::Epoll::wait) and its kin take an `Option<Duration>` and convert it. A loop
/// that waits with the same time again and again can convert it once.
///
/// ```
/// use barepoll::{Epoll, Event, Timeout};
/// use core::time::Duration;
///
/// const TICK: Timeout = Timeout::new(Some(Duration::from_millis(2)));
///
/// let (epoll, mut buffer) = (Epoll::new()?, Event::buffer::<8>());
/// for _ in 0..3 {
///     assert!(epoll.wait(&mut buffer, TICK)?.is_empty());
/// }
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// See [`epoll_wait(2)`](https://man7.org/linux/man-pages/man2/epoll_wait.2.html).
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
pub struct Timeout(pub(crate) Form);

impl Timeout {
    /// No time: a wait returns at once.
    pub const ZERO: Self = Self(Form::Millis(0));

    /// No limit: a wait ends with an event or a signal.
    pub const FOREVER: Self = Self(Form::FOREVER);

    /// Converts a time, or `None` for [`FOREVER`](Self::FOREVER).
    ///
    /// A wait never ends early for it. `From` does the same.
    ///
    /// ```
    /// use barepoll::Timeout;
    /// use core::time::Duration;
    ///
    /// assert_eq!(Timeout::new(Some(Duration::ZERO)), Timeout::ZERO);
    /// assert_eq!(Timeout::from(None), Timeout::FOREVER);
    /// ```
    #[inline]
    #[must_use]
    pub const fn new(timeout: Option<Duration>) -> Self {
        Self(Form::new(timeout))
    }
}

impl From<Option<Duration>> for Timeout {
    #[inline]
    fn from(timeout: Option<Duration>) -> Self {
        Self::new(timeout)
    }
}

/// Prints seconds and nanoseconds, or `FOREVER`.
impl fmt::Debug for Timeout {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::FOREVER {
            return f.write_str("Timeout::FOREVER");
        }
        let Timespec { tv_sec, tv_nsec } = self.0.timespec();
        f.debug_struct("Timeout").field("seconds", &tv_sec).field("nanos", &tv_nsec).finish()
    }
}

/// A wait's timeout, in the form that its system call takes.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Form {
    /// Milliseconds, −1 for ever, for `epoll_wait`.
    Millis(i32),
    /// A time finer than a millisecond or longer than `i32::MAX` milliseconds, for `epoll_pwait2`.
    Timespec(Timespec),
}

impl Form {
    pub(crate) const FOREVER: Self = Self::Millis(-1);

    #[inline]
    pub(crate) const fn new(timeout: Option<Duration>) -> Self {
        let duration = match timeout {
            None => return Self::FOREVER,
            Some(duration) => duration,
        };
        let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
        // The quotient, below 1000, if there is no remainder. If there is one, a larger number.
        let ms = nanos.wrapping_mul(INVERSE).rotate_right(NANOS_PER_MS.trailing_zeros());
        // If the seconds alone fit, 32 bits hold the sum. Its sign shows whether it exceeds
        // `i32::MAX`.
        if ms < 1000 && seconds <= i32::MAX as u64 / 1000 {
            let whole = (seconds as u32 * 1000 + ms) as i32;
            if whole >= 0 {
                return Self::Millis(whole);
            }
        }
        Self::Timespec(Timespec::new(duration))
    }

    /// This time. For ever is a negative one.
    pub(crate) fn timespec(self) -> Timespec {
        match self {
            Self::Millis(ms) => {
                Timespec { tv_sec: (ms / 1000).into(), tv_nsec: (ms % 1000 * NANOS_PER_MS as i32).into() }
            }
            Self::Timespec(time) => time,
        }
    }

    /// The remaining time in the same form. A remainder in milliseconds rounds up.
    pub(crate) fn with_remaining(self, remaining: Timespec) -> Self {
        match self {
            Self::Millis(_) => Self::Millis(ceil_ms(remaining)),
            Self::Timespec(_) => Self::Timespec(remaining),
        }
    }
}

/// Milliseconds, rounded up, at most `i32::MAX`. Never below `time` if it fits, and 0 only for 0.
pub(crate) fn ceil_ms(time: Timespec) -> i32 {
    match i32::try_from(time.tv_sec) {
        Ok(seconds) => {
            let ms = (time.tv_nsec as u32).wrapping_add(NANOS_PER_MS - 1) / NANOS_PER_MS;
            seconds.saturating_mul(1000).saturating_add(ms as i32)
        }
        Err(_) => i32::MAX,
    }
}
