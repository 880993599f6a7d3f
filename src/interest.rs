//! The interests of a loop's descriptors, applied to the kernel in batches.

use crate::epoll::Epoll;
use crate::errno::{Errno, Result};
use crate::event::{Event, EventData};
use crate::fd::{AsFd, AsRawFd, RawFd};
use crate::flags::EventFlags;
use crate::raw;
use core::fmt;
use core::mem;
use core::ptr;

/// Collects a loop's interests and applies their net changes to the kernel before a wait.
///
/// [`set`](Self::set) and [`remove`](Self::remove) make no system call. [`flush`](Self::flush)
/// makes the fewest calls that bring the kernel's interest list to the same state as one call for
/// each change:
///
/// | since the last flush | calls |
/// |---|---|
/// | set, and set again | one |
/// | set on an unregistered descriptor, and removed | none |
/// | set to its registered interest | none; one with [`ET`](EventFlags::ET) or [`ONESHOT`](EventFlags::ONESHOT), which re-arms |
/// | removed, and set | one, even to the same interest: the number may be another file's by now |
/// | any change from or to [`EXCLUSIVE`](EventFlags::EXCLUSIVE) | two: the kernel does not modify such a registration |
///
/// The caller provides the storage, one [`Slot`] for each descriptor number from 0. The time of a
/// flush depends on the number of changes, not on the size of the storage.
///
/// ```
/// use barepoll::{Epoll, EventData, EventFd, EventFdFlags, EventFlags, InterestSet, Slot};
///
/// let (epoll, eventfd) = (Epoll::new()?, EventFd::new(1, EventFdFlags::CLOEXEC)?);
/// let mut slots = [Slot::EMPTY; 64];
/// let mut interests = InterestSet::new(&mut slots);
///
/// interests.set(&eventfd, EventData::new_u64(1), EventFlags::IN)?;
/// interests.set(&eventfd, EventData::new_u64(1), EventFlags::IN | EventFlags::OUT)?;
/// interests.flush(&epoll)?; // one call
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// # Rules
///
/// Use one set with one epoll, always the same. Make all registrations of these numbers in that
/// epoll through the set. The kernel forgets a descriptor when its file is closed, and the set
/// cannot see that:
///
/// - Call [`forget`](Self::forget) for a descriptor that was closed without being removed, before
///   its number is in use again. Otherwise the set takes the old file's registration for the new
///   file's.
/// - Flush before you register something with this epoll directly, a new [`Waker`](crate::Waker)
///   too. Its descriptor may reuse the number of one that was removed and closed. The flush would
///   then change or end *its* registration.
/// - While a file has duplicates, in this process or in a fork's child, closing one of them does
///   *not* make the kernel forget it. Remove the descriptor and flush before you close it. After
///   the close, no call can remove it.
///
/// Breaking a rule can watch the wrong descriptor or none. It does nothing worse.
pub struct InterestSet<'s> {
    slots: &'s mut [Slot],
    /// The first descriptor with a pending change, or `NO_FD`. Each slot names the next.
    queue: RawFd,
}

/// The number of no descriptor.
const NO_FD: RawFd = -1;

/// An [`InterestSet`]'s storage for one descriptor.
///
/// 32 bytes where an event has 12, 40 elsewhere.
///
/// ```
/// use barepoll::{InterestSet, Slot};
///
/// let mut slots = vec![Slot::EMPTY; 1024]; // or an array, or a static
/// let interests = InterestSet::new(&mut slots);
/// ```
#[derive(Copy, Clone)]
pub struct Slot {
    /// The event in the kernel's list, if `is_registered`.
    registered: Event,
    /// The event that the next flush puts there, if `is_desired`.
    desired: Event,
    /// The next descriptor in the queue, or `NO_FD`.
    next: RawFd,
    is_registered: bool,
    is_desired: bool,
    /// The descriptor was removed or the kernel refused its last change, so `registered` may be
    /// another file's.
    may_be_stale: bool,
    is_queued: bool,
}

impl Slot {
    /// A slot for a descriptor that the set does not know.
    pub const EMPTY: Self = {
        let nothing = Event::new(EventFlags::empty(), EventData::new_u64(0));
        Self {
            registered: nothing,
            desired: nothing,
            next: NO_FD,
            is_registered: false,
            is_desired: false,
            may_be_stale: false,
            is_queued: false,
        }
    };

    /// Whether modifying the registration would change nothing.
    fn is_noop(&self) -> bool {
        let is_same = self.registered.flags() == self.desired.flags()
            && self.registered.data().u64() == self.desired.data().u64();
        is_same && !self.may_be_stale && !self.desired.flags().intersects(EventFlags::ET.union(EventFlags::ONESHOT))
    }

    /// Applies the pending change. If the kernel refuses it, drops it.
    fn apply(&mut self, epoll: &Epoll, fd: RawFd) -> Result<()> {
        let answer = match (self.is_registered, self.is_desired) {
            (false, false) => Ok(()),
            (false, true) => self.add(epoll, fd),
            (true, false) => self.delete(epoll, fd),
            (true, true) if self.is_noop() => Ok(()),
            (true, true) if self.has_exclusive() => self.replace(epoll, fd),
            (true, true) => match self.ctl(epoll, raw::EPOLL_CTL_MOD, fd) {
                // The old file was closed, and another has its number.
                Err(Errno::ENOENT) => {
                    self.is_registered = false;
                    self.add(epoll, fd)
                }
                answer => answer,
            },
        };
        self.may_be_stale = answer.is_err();
        if self.may_be_stale {
            self.desired = self.registered;
            self.is_desired = self.is_registered;
        }
        answer
    }

    fn has_exclusive(&self) -> bool {
        (self.registered.flags() | self.desired.flags()).contains(EventFlags::EXCLUSIVE)
    }

    fn add(&mut self, epoll: &Epoll, fd: RawFd) -> Result<()> {
        match self.ctl(epoll, raw::EPOLL_CTL_ADD, fd) {
            Err(Errno::EEXIST) => match self.ctl(epoll, raw::EPOLL_CTL_MOD, fd) {
                // The kernel's registration or the new one is exclusive.
                Err(Errno::EINVAL) => self.replace(epoll, fd),
                answer => answer,
            },
            answer => answer,
        }
    }

    fn replace(&mut self, epoll: &Epoll, fd: RawFd) -> Result<()> {
        self.delete(epoll, fd)?;
        self.ctl(epoll, raw::EPOLL_CTL_ADD, fd)
    }

    fn delete(&mut self, epoll: &Epoll, fd: RawFd) -> Result<()> {
        // SAFETY: `EPOLL_CTL_DEL` reads no event.
        match unsafe { raw::epoll_ctl(epoll.as_raw_fd(), raw::EPOLL_CTL_DEL, fd, ptr::null_mut()) } {
            // The file was closed. Its number is unused, or another file has it that cannot be
            // registered or is not.
            Ok(()) | Err(Errno::EBADF | Errno::EPERM | Errno::EINVAL | Errno::ENOENT) => {
                self.is_registered = false;
                Ok(())
            }
            Err(errno) => Err(errno),
        }
    }

    fn ctl(&mut self, epoll: &Epoll, op: u32, fd: RawFd) -> Result<()> {
        // SAFETY: `self.desired` is valid for reads.
        unsafe { raw::epoll_ctl(epoll.as_raw_fd(), op, fd, &mut self.desired)? };
        self.registered = self.desired;
        self.is_registered = true;
        Ok(())
    }
}

impl<'s> InterestSet<'s> {
    /// Makes an empty set for the descriptors from 0 to `slots.len() - 1`. It clears the slots.
    ///
    /// ```
    /// use barepoll::{InterestSet, Slot};
    ///
    /// let mut slots = [Slot::EMPTY; 64];
    /// let interests = InterestSet::new(&mut slots);
    /// ```
    pub fn new(slots: &'s mut [Slot]) -> Self {
        slots.fill(Slot::EMPTY);
        Self { slots, queue: NO_FD }
    }

    /// Watches a descriptor for `interest` from the next flush on.
    ///
    /// The descriptor may be in the set already or not.
    ///
    /// ```
    /// use barepoll::{Epoll, Errno, EventData, EventFlags, InterestSet, Slot};
    ///
    /// let mut slots = [Slot::EMPTY; 64];
    /// let mut interests = InterestSet::new(&mut slots);
    /// let epoll = Epoll::new()?;
    /// interests.set(&epoll, EventData::new_u64(1), EventFlags::IN)?;
    ///
    /// let mut none = InterestSet::new(&mut []);
    /// assert_eq!(none.set(&epoll, EventData::new_u64(1), EventFlags::IN), Err(Errno::EINVAL));
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `EINVAL`: the descriptor's number is beyond the storage. Nothing changes.
    #[doc(alias = "epoll_ctl")]
    #[doc(alias = "EPOLL_CTL_ADD")]
    #[doc(alias = "EPOLL_CTL_MOD")]
    #[inline]
    pub fn set(&mut self, source: impl AsFd, data: EventData, interest: EventFlags) -> Result<()> {
        let slot = self.enqueue(source.as_fd().as_raw_fd())?;
        slot.desired = Event::new(interest, data);
        slot.is_desired = true;
        Ok(())
    }

    /// Stops watching a descriptor from the next flush on.
    ///
    /// If it is not in the set, this does nothing.
    ///
    /// ```
    /// use barepoll::{Epoll, EventData, EventFd, EventFdFlags, EventFlags, InterestSet, Slot};
    ///
    /// let (epoll, eventfd) = (Epoll::new()?, EventFd::new(1, EventFdFlags::CLOEXEC)?);
    /// let mut slots = [Slot::EMPTY; 64];
    /// let mut interests = InterestSet::new(&mut slots);
    /// interests.set(&eventfd, EventData::new_u64(1), EventFlags::IN)?;
    /// interests.remove(&eventfd)?;
    /// interests.flush(&epoll)?; // no call: nothing has changed
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// You may close a descriptor without duplicates before the flush. Another file may reuse its
    /// number by then. You may [`set`](Self::set) that file, but not register it otherwise.
    ///
    /// # Errors
    ///
    /// `EINVAL`: the descriptor's number is beyond the storage.
    #[doc(alias = "epoll_ctl")]
    #[doc(alias = "EPOLL_CTL_DEL")]
    #[inline]
    pub fn remove(&mut self, source: impl AsFd) -> Result<()> {
        let slot = self.enqueue(source.as_fd().as_raw_fd())?;
        slot.is_desired = false;
        slot.may_be_stale = true;
        Ok(())
    }

    /// Forgets a descriptor that has been closed, without a system call.
    ///
    /// The kernel has forgotten it too. A number beyond the storage is no error.
    ///
    /// ```
    /// use barepoll::fd::AsRawFd;
    /// use barepoll::{Epoll, EventData, EventFd, EventFdFlags, EventFlags, InterestSet, Slot};
    ///
    /// let (epoll, eventfd) = (Epoll::new()?, EventFd::new(1, EventFdFlags::CLOEXEC)?);
    /// let mut slots = [Slot::EMPTY; 64];
    /// let mut interests = InterestSet::new(&mut slots);
    /// interests.set(&eventfd, EventData::new_u64(1), EventFlags::IN)?;
    /// interests.flush(&epoll)?;
    ///
    /// let number = eventfd.as_raw_fd();
    /// drop(eventfd);
    /// interests.forget(number);
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// See [`close(2)`](https://man7.org/linux/man-pages/man2/close.2.html).
    #[doc(alias = "close")]
    #[inline]
    pub fn forget(&mut self, fd: RawFd) {
        if let Some(slot) = slot(self.slots, fd) {
            *slot = Slot { next: slot.next, is_queued: slot.is_queued, ..Slot::EMPTY };
        }
    }

    /// Applies all changes since the last flush to the kernel, in no promised order.
    ///
    /// ```
    /// use barepoll::{Epoll, Errno, EventData, EventFlags, InterestSet, Slot};
    ///
    /// let epoll = Epoll::new()?;
    /// let mut slots = [Slot::EMPTY; 64];
    /// let mut interests = InterestSet::new(&mut slots);
    /// interests.set(&epoll, EventData::new_u64(1), EventFlags::IN)?; // an epoll cannot watch itself
    ///
    /// while let Err(error) = interests.flush(&epoll) {
    ///     assert_eq!(error.errno, Errno::EINVAL);
    ///     println!("not watched: {error}");
    /// }
    /// # Ok::<(), Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The first error ends the flush and names its descriptor. The flush drops that change, and
    /// the descriptor stays watched as before. If [`EXCLUSIVE`](EventFlags::EXCLUSIVE) was added or
    /// removed, or the registration was gone, the descriptor is no longer watched. Other changes
    /// stay pending: call `flush` again.
    ///
    /// The errors of [`Epoll::add`] and [`Epoll::modify`], and `EBADF`: the descriptor was closed
    /// after it was set. These are no errors:
    ///
    /// - A descriptor is already registered (`EEXIST`): the flush modifies it.
    /// - A registration is gone (`ENOENT`): the flush adds it.
    /// - A removed descriptor is gone (`EBADF`, `ENOENT`). With `EPERM` or `EINVAL`, its
    ///   number now belongs to a file that no epoll, or not this one, can watch.
    ///
    /// See [`epoll_ctl(2)`](https://man7.org/linux/man-pages/man2/epoll_ctl.2.html).
    #[doc(alias = "epoll_ctl")]
    pub fn flush(&mut self, epoll: &Epoll) -> Result<(), FlushError> {
        while let Some(slot) = slot(self.slots, self.queue) {
            let fd = mem::replace(&mut self.queue, slot.next);
            slot.is_queued = false;
            slot.apply(epoll, fd).map_err(|errno| FlushError { fd, errno })?;
        }
        Ok(())
    }

    /// Queues a descriptor for the next flush, and returns its slot.
    #[inline]
    fn enqueue(&mut self, fd: RawFd) -> Result<&mut Slot> {
        let slot = slot(self.slots, fd).ok_or(Errno::EINVAL)?;
        if !slot.is_queued {
            slot.is_queued = true;
            slot.next = mem::replace(&mut self.queue, fd);
        }
        Ok(slot)
    }
}

/// The slot of a descriptor. `None` for `NO_FD` too: as an index, it is beyond any storage.
#[inline]
fn slot(slots: &mut [Slot], fd: RawFd) -> Option<&mut Slot> {
    slots.get_mut(fd as usize)
}

/// Prints as an entry of a map. core's `DebugMap` asserts that keys and values alternate, and the
/// compiler would keep that panic.
struct Entry {
    fd: usize,
    desired: Event,
}

impl fmt::Debug for Entry {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fd.fmt(f)?;
        f.write_str(": ")?;
        self.desired.fmt(f)
    }
}

impl fmt::Debug for InterestSet<'_> {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let watched = self.slots.iter().enumerate().filter(|(_, slot)| slot.is_desired);
        f.debug_set().entries(watched.map(|(fd, slot)| Entry { fd, desired: slot.desired })).finish()
    }
}

impl fmt::Debug for Slot {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let desired = if self.is_desired { Some(self.desired) } else { None };
        f.debug_struct("Slot").field("desired", &desired).finish_non_exhaustive()
    }
}

/// The error of [`InterestSet::flush`]: the kernel refused a descriptor's change.
///
/// ```
/// use barepoll::{Errno, FlushError};
///
/// let error = FlushError { fd: 5, errno: Errno::EPERM };
/// assert!(error.to_string().starts_with("descriptor 5: operation not permitted"));
/// ```
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
#[must_use]
pub struct FlushError {
    /// The descriptor whose change the kernel refused.
    pub fd: RawFd,
    /// The kernel's reason.
    pub errno: Errno,
}

impl fmt::Display for FlushError {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "descriptor {}: {}", self.fd, self.errno)
    }
}

/// For `?` in functions that return an [`Errno`]. It drops the descriptor.
impl From<FlushError> for Errno {
    #[inline]
    fn from(error: FlushError) -> Self {
        error.errno
    }
}

#[cfg(feature = "std")]
impl std::error::Error for FlushError {}

/// As the conversion to [`Errno`].
#[cfg(feature = "std")]
impl From<FlushError> for std::io::Error {
    fn from(error: FlushError) -> Self {
        error.errno.into()
    }
}
