//! The safe interface of eventfd.

use crate::arch::{self, nr};
use crate::errno::{is_errno, Errno, Result};
use crate::fd::{self, impl_owned_fd, AsRawFd, OwnedFd};
use crate::flags::EventFdFlags;
use crate::raw;
use core::mem::{size_of, MaybeUninit};
use core::ptr;

/// Bytes of a counter's value.
const VALUE_BYTES: usize = size_of::<u64>();

/// A counter in the kernel that is readable when it is not zero: the cheapest thing that wakes a waiting
/// [`Epoll`](crate::Epoll) from another thread. Closed on drop.
///
/// ```
/// use barepoll::{Errno, EventFd, EventFdFlags};
///
/// let eventfd = EventFd::new(2, EventFdFlags::CLOEXEC | EventFdFlags::NONBLOCK)?;
/// eventfd.write(3)?;
/// assert_eq!(eventfd.read()?, 5); // all of it, and it is zero again
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
    /// A new counter that starts at `initial`.
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
    /// - `EINVAL`: an unknown flag.
    /// - `EMFILE`: this process has no descriptor left. `ENFILE`: the system has no file left.
    /// - `ENODEV`: the kernel could not mount its anonymous inodes. `ENOMEM`: it has no memory for the counter.
    ///
    /// See [`eventfd2(2)`](https://man7.org/linux/man-pages/man2/eventfd.2.html).
    #[doc(alias = "eventfd")]
    #[doc(alias = "eventfd2")]
    #[inline]
    pub fn new(initial: u32, flags: EventFdFlags) -> Result<Self> {
        // SAFETY: the call takes no pointer, and a result that is no error is a new descriptor.
        unsafe { fd::from_returned(arch::syscall2::<{ nr::EVENTFD2 }>(initial as usize, flags.bits() as usize)) }
    }

    /// Takes the counter: gives its value and leaves zero; with [`EventFdFlags::SEMAPHORE`], takes 1 of it and gives 1.
    /// Waits while the counter is zero.
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
    /// - `EAGAIN`: it is zero, and nonblocking. `EINTR`: a signal handler ran while it waited, unless it was installed with
    ///   `SA_RESTART`.
    /// - `EINVAL`: this was made `From` a descriptor that is no eventfd and has fewer than eight bytes.
    ///
    /// See [`read(2)`](https://man7.org/linux/man-pages/man2/read.2.html).
    #[doc(alias = "eventfd_read")]
    #[inline]
    pub fn read(&self) -> Result<u64> {
        let mut value = MaybeUninit::<u64>::uninit();
        let (fd, buf) = (self.as_raw_fd() as usize, value.as_mut_ptr() as usize);
        // SAFETY: `value` has that many bytes.
        let returned = unsafe { arch::syscall3::<{ nr::READ }>(fd, buf, VALUE_BYTES) };
        // One comparison finds both an error and a read that fell short.
        if returned == VALUE_BYTES as isize {
            // SAFETY: the kernel has written all of its bytes, and any eight are a u64.
            return Ok(unsafe { value.assume_init() });
        }
        arch::unlikely();
        // A made-up answer of less than −4095 is no value, and so `EINVAL` too.
        if is_errno(returned) {
            Err(Errno::from_returned(returned))
        } else {
            Err(Errno::EINVAL)
        }
    }

    /// Adds to the counter. Waits while there is no room: it holds at most `u64::MAX - 1`.
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
    /// - `EAGAIN`: no room, and nonblocking. `EINTR`: a signal handler ran while it waited, unless it was installed with
    ///   `SA_RESTART`.
    /// - `EINVAL`: `add` is `u64::MAX`.
    ///
    /// A descriptor that is no eventfd's, made one by `From<OwnedFd>`, may take fewer than the eight bytes, and that is no error.
    ///
    /// See [`write(2)`](https://man7.org/linux/man-pages/man2/write.2.html).
    #[doc(alias = "eventfd_write")]
    #[inline]
    pub fn write(&self, add: u64) -> Result<()> {
        // SAFETY: `add` has that many bytes.
        unsafe { raw::write(self.as_raw_fd(), ptr::addr_of!(add).cast(), VALUE_BYTES) }.map(drop)
    }
}
