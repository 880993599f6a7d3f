//! Owned and borrowed descriptors.
//!
//! With feature `std` they are the standard library's own. Without it, the crate's own types have
//! the same names, and those of std's functions that a crate without libc can offer.
//!
//! ```
//! use barepoll::fd::{AsFd, AsRawFd, OwnedFd};
//! use barepoll::{EventFd, EventFdFlags};
//!
//! let eventfd = EventFd::new(0, EventFdFlags::CLOEXEC)?;
//! assert_eq!(eventfd.as_fd().as_raw_fd(), eventfd.as_raw_fd());
//! let owned: OwnedFd = eventfd.into(); // dropping it closes the descriptor
//! # Ok::<(), barepoll::Errno>(())
//! ```
//!
//! # Differences without std
//!
//! The types and traits have the implementations of std 1.63. `&dyn AsFd` is `AsFd` too, as in
//! newer versions of std: with the feature, Rust 1.63 refuses it. These differ on purpose:
//!
//! - `OwnedFd::try_clone` and `BorrowedFd::try_clone_to_owned` are missing. The crate does not make
//!   the system call that duplicates.
//! - `Option<OwnedFd>` is larger than an `OwnedFd`. Only std can tell the compiler that a
//!   descriptor is never −1.
//! - `from_raw_fd` and `borrow_raw` accept −1. std panics, and this crate does not.
//! - Dropping an `OwnedFd` whose descriptor is closed already does nothing. Newer versions of std
//!   abort a debug build there.
//! - Outside of this crate, only [`RawFd`] and references implement the traits. With newer versions
//!   of std `Box`, `Rc` and `Arc` do too: pass `&*shared`. `IsTerminal` is in std alone.

#[cfg(feature = "std")]
pub use std::os::unix::io::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

#[cfg(not(feature = "std"))]
pub use bare::*;

use crate::errno::{result, Result};

/// The result of a system call that makes a descriptor, as the type that owns it.
///
/// The conversion is direct, because LLVM does not see through two `Result`s if it optimises for
/// size.
///
/// # Safety
///
/// A `returned` that is no error must be an open descriptor that nothing else owns.
#[inline(always)]
pub(crate) unsafe fn from_returned<T: FromRawFd>(returned: isize) -> Result<T> {
    match result(returned) {
        // SAFETY: the caller vouches for the descriptor.
        Ok(fd) => Ok(unsafe { T::from_raw_fd(fd as RawFd) }),
        Err(errno) => Err(errno),
    }
}

#[cfg(not(feature = "std"))]
mod bare {
    use crate::arch::{self, nr};
    use core::fmt;
    use core::marker::PhantomData;
    use core::mem;

    /// A descriptor's number.
    ///
    /// ```
    /// use barepoll::fd::{AsRawFd, RawFd};
    /// use barepoll::Epoll;
    ///
    /// let epoll = Epoll::new()?;
    /// let number: RawFd = epoll.as_raw_fd();
    /// drop(epoll);
    /// println!("{number} is closed now, and may soon be another file's");
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    pub type RawFd = i32;

    /// A type that lends its descriptor.
    ///
    /// The standard library's sockets and files implement it with feature `std`.
    ///
    /// ```
    /// use barepoll::fd::{AsFd, BorrowedFd};
    /// use barepoll::{Epoll, EventData, EventFd, EventFdFlags, EventFlags};
    ///
    /// struct Queue {
    ///     filled: EventFd,
    /// }
    ///
    /// impl AsFd for Queue {
    ///     fn as_fd(&self) -> BorrowedFd<'_> {
    ///         self.filled.as_fd()
    ///     }
    /// }
    ///
    /// let queue = Queue { filled: EventFd::new(0, EventFdFlags::CLOEXEC)? };
    /// Epoll::new()?.add(&queue, EventData::new_u64(1), EventFlags::IN)?;
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    pub trait AsFd {
        /// Lends the descriptor.
        fn as_fd(&self) -> BorrowedFd<'_>;
    }

    /// A type that has a descriptor's number.
    ///
    /// ```
    /// use barepoll::fd::AsRawFd;
    /// use barepoll::{Epoll, EventData, EventFd, EventFdFlags, EventFlags};
    ///
    /// let (epoll, eventfd) = (Epoll::new()?, EventFd::new(0, EventFdFlags::CLOEXEC)?);
    /// // Its events carry the descriptor's number.
    /// epoll.add(&eventfd, EventData::new_fd(eventfd.as_raw_fd()), EventFlags::IN)?;
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    pub trait AsRawFd {
        /// The number. It is valid as long as the descriptor stays open.
        fn as_raw_fd(&self) -> RawFd;
    }

    /// A type made from a descriptor's number.
    ///
    /// ```
    /// use barepoll::fd::FromRawFd;
    /// use barepoll::{raw, EventFd};
    ///
    /// let fd = raw::eventfd2(3, raw::EFD_CLOEXEC)?;
    /// // SAFETY: the call has just made the descriptor, and nothing else owns it.
    /// let eventfd = unsafe { EventFd::from_raw_fd(fd) };
    /// assert_eq!(eventfd.read()?, 3);
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    pub trait FromRawFd {
        /// Takes ownership of the descriptor.
        ///
        /// # Safety
        ///
        /// `fd` must be open, and nothing else may own it: the result closes it.
        unsafe fn from_raw_fd(fd: RawFd) -> Self;
    }

    /// A type that gives up its descriptor.
    ///
    /// ```
    /// use barepoll::fd::IntoRawFd;
    /// use barepoll::{raw, Epoll};
    ///
    /// let fd = Epoll::new()?.into_raw_fd(); // it stays open
    /// // SAFETY: this program owns it now.
    /// unsafe { raw::close(fd)? };
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    pub trait IntoRawFd {
        /// Gives up the descriptor. The caller owns it.
        #[must_use = "without its number the descriptor is never closed"]
        fn into_raw_fd(self) -> RawFd;
    }

    /// A descriptor that its owner keeps open for `'fd`.
    ///
    /// ```
    /// use barepoll::fd::{AsFd, BorrowedFd};
    /// use barepoll::{Epoll, Errno, EventData, EventFd, EventFdFlags, EventFlags};
    ///
    /// fn watch(epoll: &Epoll, source: BorrowedFd<'_>) -> barepoll::Result<()> {
    ///     epoll.add(source, EventData::new_u64(1), EventFlags::IN)
    /// }
    ///
    /// let (epoll, eventfd) = (Epoll::new()?, EventFd::new(0, EventFdFlags::CLOEXEC)?);
    /// let lent = eventfd.as_fd();
    /// watch(&epoll, lent)?; // a copy: dropping it closes nothing
    /// assert_eq!(watch(&epoll, lent), Err(Errno::EEXIST));
    /// # Ok::<(), Errno>(())
    /// ```
    #[derive(Copy, Clone)]
    #[repr(transparent)]
    pub struct BorrowedFd<'fd> {
        fd: RawFd,
        owner: PhantomData<&'fd OwnedFd>,
    }

    impl BorrowedFd<'_> {
        /// Borrows a descriptor by its number.
        ///
        /// ```
        /// use barepoll::fd::BorrowedFd;
        /// use barepoll::{Epoll, EventData, EventFlags};
        ///
        /// // SAFETY: nothing here closes standard output.
        /// let stdout = unsafe { BorrowedFd::borrow_raw(1) };
        /// match Epoll::new()?.add(stdout, EventData::new_fd(1), EventFlags::OUT) {
        ///     Ok(()) => {}
        ///     Err(errno) => println!("a file, or closed: {errno}"),
        /// }
        /// # Ok::<(), barepoll::Errno>(())
        /// ```
        ///
        /// # Safety
        ///
        /// `fd` must stay open while the result is in use, and must not be −1.
        #[inline]
        #[must_use]
        pub const unsafe fn borrow_raw(fd: RawFd) -> Self {
            Self { fd, owner: PhantomData }
        }
    }

    /// A descriptor that is closed on drop.
    ///
    /// Dropping it ignores errors of the close: on Linux the descriptor is closed all the same.
    ///
    /// ```
    /// use barepoll::fd::OwnedFd;
    /// use barepoll::{EventFd, EventFdFlags};
    ///
    /// let owned: OwnedFd = EventFd::new(2, EventFdFlags::CLOEXEC)?.into();
    /// let eventfd = EventFd::from(owned); // the same descriptor, and no call
    /// assert_eq!(eventfd.read()?, 2);
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// See [`close(2)`](https://man7.org/linux/man-pages/man2/close.2.html).
    #[repr(transparent)]
    pub struct OwnedFd {
        fd: RawFd,
    }

    impl Drop for OwnedFd {
        #[inline]
        fn drop(&mut self) {
            // SAFETY: this owns the descriptor, and nothing can use it after this.
            let _ = unsafe { arch::syscall1::<{ nr::CLOSE }>(self.fd as usize) };
        }
    }

    impl AsFd for OwnedFd {
        #[inline]
        fn as_fd(&self) -> BorrowedFd<'_> {
            // SAFETY: the descriptor stays open as long as `self`, which the result borrows.
            unsafe { BorrowedFd::borrow_raw(self.fd) }
        }
    }

    impl AsFd for BorrowedFd<'_> {
        #[inline]
        fn as_fd(&self) -> BorrowedFd<'_> {
            *self
        }
    }

    impl<T: AsFd + ?Sized> AsFd for &T {
        #[inline]
        fn as_fd(&self) -> BorrowedFd<'_> {
            T::as_fd(self)
        }
    }

    impl<T: AsFd + ?Sized> AsFd for &mut T {
        #[inline]
        fn as_fd(&self) -> BorrowedFd<'_> {
            T::as_fd(self)
        }
    }

    impl AsRawFd for OwnedFd {
        #[inline]
        fn as_raw_fd(&self) -> RawFd {
            self.fd
        }
    }

    impl AsRawFd for BorrowedFd<'_> {
        #[inline]
        fn as_raw_fd(&self) -> RawFd {
            self.fd
        }
    }

    impl AsRawFd for RawFd {
        #[inline]
        fn as_raw_fd(&self) -> RawFd {
            *self
        }
    }

    impl FromRawFd for OwnedFd {
        #[inline]
        unsafe fn from_raw_fd(fd: RawFd) -> Self {
            Self { fd }
        }
    }

    impl FromRawFd for RawFd {
        #[inline]
        unsafe fn from_raw_fd(fd: RawFd) -> Self {
            fd
        }
    }

    impl IntoRawFd for OwnedFd {
        #[inline]
        fn into_raw_fd(self) -> RawFd {
            let fd = self.fd;
            mem::forget(self);
            fd
        }
    }

    impl IntoRawFd for RawFd {
        #[inline]
        fn into_raw_fd(self) -> RawFd {
            self
        }
    }

    impl fmt::Debug for OwnedFd {
        #[inline]
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("OwnedFd").field("fd", &self.fd).finish()
        }
    }

    impl fmt::Debug for BorrowedFd<'_> {
        #[inline]
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("BorrowedFd").field("fd", &self.fd).finish()
        }
    }
}

/// Implements the traits of descriptor owners for a struct whose only field is an `OwnedFd`.
macro_rules! impl_owned_fd {
    ($owner:ident) => {
        impl $crate::fd::AsFd for $owner {
            #[inline]
            fn as_fd(&self) -> $crate::fd::BorrowedFd<'_> {
                $crate::fd::AsFd::as_fd(&self.0)
            }
        }

        impl $crate::fd::AsRawFd for $owner {
            #[inline]
            fn as_raw_fd(&self) -> $crate::fd::RawFd {
                $crate::fd::AsRawFd::as_raw_fd(&self.0)
            }
        }

        impl $crate::fd::FromRawFd for $owner {
            #[inline]
            unsafe fn from_raw_fd(fd: $crate::fd::RawFd) -> Self {
                // SAFETY: the caller gives up this descriptor, as the trait requires.
                Self(unsafe { $crate::fd::FromRawFd::from_raw_fd(fd) })
            }
        }

        impl $crate::fd::IntoRawFd for $owner {
            #[inline]
            fn into_raw_fd(self) -> $crate::fd::RawFd {
                $crate::fd::IntoRawFd::into_raw_fd(self.0)
            }
        }

        impl From<$crate::fd::OwnedFd> for $owner {
            #[inline]
            fn from(fd: $crate::fd::OwnedFd) -> Self {
                Self(fd)
            }
        }

        impl From<$owner> for $crate::fd::OwnedFd {
            #[inline]
            fn from(owner: $owner) -> Self {
                owner.0
            }
        }

        impl core::fmt::Debug for $owner {
            #[inline]
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.debug_struct(stringify!($owner)).field("fd", &$crate::fd::AsRawFd::as_raw_fd(self)).finish()
            }
        }
    };
}
pub(crate) use impl_owned_fd;
