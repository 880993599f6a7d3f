//! The kernel's error numbers, by name, with this machine's values.

use crate::arch::errno;
use core::fmt;
use core::num::NonZeroU16;

/// The result of this crate's calls: a value or the kernel's [`Errno`].
///
/// ```
/// use barepoll::{Epoll, EventFd, EventFdFlags};
///
/// fn make() -> barepoll::Result<(Epoll, EventFd)> {
///     Ok((Epoll::new()?, EventFd::new(0, EventFdFlags::CLOEXEC)?))
/// }
/// # make().map(drop)?;
/// # Ok::<(), barepoll::Errno>(())
/// ```
pub type Result<T, E = Errno> = core::result::Result<T, E>;

/// An error number of the kernel, from 1 to 4095.
///
/// The crate has names for some. `EWOULDBLOCK` is `EAGAIN`, and `ENOTSUP` is `EOPNOTSUPP`. Values
/// differ between architectures (`ENOSYS` is 38, 89 on MIPS, 90 on SPARC), so compare with the
/// constants. A `Result<(), Errno>` is two bytes.
///
/// See [`errno(3)`](https://man7.org/linux/man-pages/man3/errno.3.html).
///
/// ```
/// use barepoll::{Epoll, Errno, EventFlags};
///
/// let epoll = Epoll::new()?;
/// // An epoll cannot watch itself.
/// assert_eq!(epoll.delete(&epoll), Err(Errno::EINVAL));
/// assert_eq!(Errno::EINVAL.name(), Some("EINVAL"));
/// # Ok::<(), Errno>(())
/// ```
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
#[doc(alias = "errno")]
#[doc(alias = "EWOULDBLOCK")]
#[doc(alias = "ENOTSUP")]
#[must_use]
pub struct Errno(NonZeroU16);

impl Errno {
    /// The largest error number that the kernel uses (`MAX_ERRNO` in `include/linux/err.h`).
    const MAX: i32 = 4095;

    /// The number itself, between 1 and 4095.
    ///
    /// ```
    /// use barepoll::Errno;
    ///
    /// assert_eq!(Errno::EBADF.raw(), 9); // on every machine
    /// ```
    #[must_use]
    pub const fn raw(self) -> i32 {
        let raw = self.0.get() as i32;
        // 4096 stands for a result that is no errno: see `from_returned`.
        if raw > Self::MAX {
            Self::MAX
        } else {
            raw
        }
    }

    /// The error with this number, or `None` if it is not between 1 and 4095.
    ///
    /// ```
    /// use barepoll::Errno;
    ///
    /// assert_eq!(Errno::from_raw(9), Some(Errno::EBADF));
    /// assert_eq!(Errno::from_raw(0), None);
    /// ```
    pub const fn from_raw(raw: i32) -> Option<Self> {
        match NonZeroU16::new(raw as u16) {
            Some(number) if raw >= 1 && raw <= Self::MAX => Some(Self(number)),
            _ => None,
        }
    }

    /// The error in a port's negative result, −errno.
    ///
    /// An emulator or a seccomp notifier can return less than −4095. That becomes some error, never
    /// an `Errno` of 0. This costs a failed call one instruction.
    #[inline(always)]
    pub(crate) fn from_returned(returned: isize) -> Self {
        let raw = (returned | !(Self::MAX as isize)).wrapping_neg();
        // SAFETY: all upper bits are set, so the negated value lies between 1 and 4096.
        Self(unsafe { NonZeroU16::new_unchecked(raw as u16) })
    }
}

/// A port's result as a `Result`, for a call that never succeeds with a negative value. The
/// comparison is shorter than [`word`]'s.
#[inline(always)]
pub(crate) fn result(returned: isize) -> Result<usize> {
    if returned >= 0 {
        Ok(returned as usize)
    } else {
        Err(Errno::from_returned(returned))
    }
}

/// The error of a read that returned an error, or fewer bytes than a value has. The latter is
/// `EINVAL`.
#[inline(always)]
pub(crate) fn error_of_read<T>(returned: isize) -> Result<T> {
    // An emulator or a seccomp notifier can return less than −4095. That is `EINVAL` too. Each branch
    // makes its own `Result`, so that LLVM joins the comparison with that of the caller.
    if is_errno(returned) {
        Err(Errno::from_returned(returned))
    } else {
        Err(Errno::EINVAL)
    }
}

/// Whether a port's result is −errno: from −4095 to −1.
#[inline(always)]
pub(crate) fn is_errno(returned: isize) -> bool {
    returned < 0 && returned >= -(Errno::MAX as isize)
}

/// A port's result as a `Result`, for a call that may succeed with any other word, such as an
/// address.
#[inline(always)]
pub(crate) fn word(returned: isize) -> Result<usize> {
    if is_errno(returned) {
        Err(Errno::from_returned(returned))
    } else {
        Ok(returned as usize)
    }
}

macro_rules! define_errnos {
    ($($name:ident: $meaning:literal)*) => {
        impl Errno {
            $(
                #[doc = concat!("`", stringify!($name), "`: ", $meaning, ".")]
                pub const $name: Self = Self(match NonZeroU16::new(errno::$name) {
                    Some(raw) => raw,
                    None => unreachable!(),
                });
            )*

            /// The name in C, such as `"EAGAIN"`, or `None` if the crate has no constant for it.
            ///
            /// ```
            /// use barepoll::Errno;
            ///
            /// assert_eq!(Errno::EAGAIN.name(), Some("EAGAIN"));
            /// assert_eq!(Errno::from_raw(4095).and_then(Errno::name), None);
            /// ```
            #[must_use]
            #[inline]
            pub fn name(self) -> Option<&'static str> {
                match self.0.get() {
                    $(errno::$name => Some(stringify!($name)),)*
                    _ => None,
                }
            }

            #[inline]
            fn description(self) -> Option<&'static str> {
                match self.0.get() {
                    $(errno::$name => Some($meaning),)*
                    _ => None,
                }
            }
        }
    };
}

define_errnos! {
    EACCES: "permission denied"
    EAGAIN: "not ready, try again"
    EBADF: "not an open descriptor"
    ECANCELED: "operation cancelled"
    ECHILD: "no such child"
    EDQUOT: "quota exceeded"
    EEXIST: "already there"
    EFAULT: "bad address"
    EINTR: "interrupted by a signal"
    EINVAL: "invalid argument"
    EIO: "input or output failed"
    ELOOP: "epolls would watch each other in a cycle, or nest too deep"
    EMFILE: "this process has too many open descriptors"
    ENFILE: "the system has too many open files"
    ENOBUFS: "no buffer space"
    ENODEV: "no such device"
    ENOENT: "not there"
    ENOMEM: "out of memory"
    ENOSPC: "no room left, or the user watches too many descriptors"
    ENOSYS: "no such system call"
    ENOTTY: "the descriptor does not know this request"
    EOPNOTSUPP: "operation not supported"
    EOVERFLOW: "value too large"
    EPERM: "operation not permitted"
    EPIPE: "nobody reads the other end"
    ESRCH: "no such process"
    ETIMEDOUT: "timed out"
}

impl fmt::Debug for Errno {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "Errno({})", self.raw()),
        }
    }
}

impl fmt::Display for Errno {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name(), self.description()) {
            (Some(name), Some(meaning)) => write!(f, "{meaning} ({name}, errno {})", self.raw()),
            _ => write!(f, "errno {}", self.raw()),
        }
    }
}
