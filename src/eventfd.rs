//! The safe interface of eventfd.

use crate::arch::{self, nr};
use crate::errno::{error_of_read, Result};
use crate::fd::{self, impl_owned_fd, AsRawFd, OwnedFd, RawFd};
use crate::flags::EventFdFlags;
use crate::raw;
use crate::sanitizer;
use core::mem::{size_of, MaybeUninit};
use core::ptr;

/// Size of a counter's value, in bytes.
const VALUE_BYTES: usize = size_of::<u64>();

/// A counter in the kernel that is readable when it is not zero.
///
/// It is the cheapest way to wake a waiting [`Epoll`](crate::Epoll) from another thread. Dropping
/// it closes it.
///
/// ```
/// use barepoll::{Errno, EventFd, EventFdFlags};
///
/// let eventfd = EventFd::new(2, EventFdFlags::CLOEXEC | EventFdFlags::NONBLOCK)?;
/// eventfd.write(3)?;
/// assert_eq!(eventfd.read()?, 5); // and the counter is zero again
/// assert_eq!(eventfd.read(), Err(Errno::EAGAIN));
/// # Ok::<(), Errno>(())
/// ```
///
/// See [`eventfd(2)`](https://man7.org/linux/man-pages/man2/eventfd.2.html).
#[doc(alias = "eventfd")]
#[repr(transparent)]
pub struct EventFd(OwnedFd);

impl_owned_fd!(EventFd);

impl EventFd {
    /// Makes a counter that starts at `initial`.
    ///
    /// ```
    /// use barepoll::{EventFd, EventFdFlags};
    ///
    /// let eventfd = EventFd::new(0, EventFdFlags::CLOEXEC | EventFdFlags::NONBLOCK)?;
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - `EINVAL`: a flag is unknown.
    /// - `EMFILE`: this process has no descriptor left. `ENFILE`: the system has no file left.
    /// - `ENODEV`: the kernel could not mount its anonymous inodes. `ENOMEM`: it has no memory for
    ///   the counter.
    ///
    /// See [`eventfd2(2)`](https://man7.org/linux/man-pages/man2/eventfd.2.html).
    #[doc(alias = "eventfd")]
    #[doc(alias = "eventfd2")]
    #[inline]
    pub fn new(initial: u32, flags: EventFdFlags) -> Result<Self> {
        // SAFETY: the call takes no pointer, and a result that is no error is a new descriptor.
        unsafe { fd::from_returned(arch::syscall2::<{ nr::EVENTFD2 }>(initial as usize, flags.bits() as usize)) }
    }

    /// Returns the counter's value and resets it to zero.
    ///
    /// With [`EventFdFlags::SEMAPHORE`], subtracts 1 and returns 1. Waits while the counter is
    /// zero.
    ///
    /// ```
    /// use barepoll::{EventFd, EventFdFlags};
    ///
    /// let eventfd = EventFd::new(2, EventFdFlags::CLOEXEC)?;
    /// assert_eq!(eventfd.read()?, 2);
    /// let permits = EventFd::new(2, EventFdFlags::CLOEXEC | EventFdFlags::SEMAPHORE)?;
    /// assert_eq!((permits.read()?, permits.read()?), (1, 1));
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - `EAGAIN`: the counter is zero and nonblocking. `EINTR`: a signal handler, installed
    ///   without `SA_RESTART`, ran while this waited.
    /// - `EINVAL`: this was made `From` a descriptor that is no eventfd and has fewer than eight
    ///   bytes.
    ///
    /// See [`read(2)`](https://man7.org/linux/man-pages/man2/read.2.html).
    #[doc(alias = "eventfd_read")]
    #[inline]
    pub fn read(&self) -> Result<u64> {
        read_value(self.as_raw_fd())
    }

    /// Adds to the counter.
    ///
    /// The counter holds at most `u64::MAX - 1`. Waits while there is no room.
    ///
    /// ```
    /// use barepoll::{Errno, EventFd, EventFdFlags};
    ///
    /// let eventfd = EventFd::new(0, EventFdFlags::CLOEXEC | EventFdFlags::NONBLOCK)?;
    /// eventfd.write(u64::MAX - 1)?;
    /// assert_eq!(eventfd.write(1), Err(Errno::EAGAIN)); // full
    /// assert_eq!(eventfd.write(u64::MAX), Err(Errno::EINVAL));
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - `EAGAIN`: there is no room and the counter is nonblocking. `EINTR`: a signal handler,
    ///   installed without `SA_RESTART`, ran while this waited.
    /// - `EINVAL`: `add` is `u64::MAX`.
    ///
    /// If this was made `From` a descriptor that is no eventfd, the write may take fewer than the
    /// eight bytes. That is no error.
    ///
    /// See [`write(2)`](https://man7.org/linux/man-pages/man2/write.2.html).
    #[doc(alias = "eventfd_write")]
    #[inline]
    pub fn write(&self, add: u64) -> Result<()> {
        // SAFETY: `add` is valid for reads of that many bytes.
        unsafe { raw::write(self.as_raw_fd(), ptr::addr_of!(add).cast(), VALUE_BYTES) }.map(drop)
    }
}

/// Reads the eight bytes that an eventfd or a timer gives.
///
/// # Errors
///
/// Those of `read`. `EINVAL`: the descriptor gave fewer bytes, so it is neither.
#[inline(always)]
pub(crate) fn read_value(fd: RawFd) -> Result<u64> {
    let mut value = MaybeUninit::<u64>::uninit();
    let (fd, buf) = (fd as usize, value.as_mut_ptr() as usize);
    // SAFETY: `value` is valid for writes of that many bytes.
    let returned = unsafe { arch::syscall3::<{ nr::READ }>(fd, buf, VALUE_BYTES) };
    sanitizer::returned();
    // One comparison finds both an error and a short read.
    if returned == VALUE_BYTES as isize {
        sanitizer::written(value.as_ptr(), 1);
        sanitizer::acquired();
        // SAFETY: the kernel has written all of its bytes, and any eight bytes are a `u64`.
        return Ok(unsafe { value.assume_init() });
    }
    arch::unlikely();
    error_of_read(returned)
}
