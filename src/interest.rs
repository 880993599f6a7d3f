//! What each descriptor wants, and what of it the kernel has been told.

use crate::epoll::Epoll;
use crate::errno::{Errno, Result};
use crate::event::{Event, EventData};
use crate::fd::{AsFd, AsRawFd, RawFd};
use crate::flags::EventFlags;
use crate::raw;
use core::fmt;
use core::mem;
use core::ptr;

/// What a loop's descriptors want, told to the kernel once, before the wait: the net change of each, and nothing of what did
/// not change.
///
/// [`set`](Self::set) and [`remove`](Self::remove) make no call; [`flush`](Self::flush) makes the least that brings the kernel's
/// interest list to where one call each would have brought it:
///
/// | since the last flush | calls |
/// |---|---|
/// | set, and set again | one |
/// | set where nothing was, and removed | none |
/// | set to what it was | none; one where that re-arms: [`ET`](EventFlags::ET) and [`ONESHOT`](EventFlags::ONESHOT) |
/// | removed, and set | one, even to what it was: it may be another descriptor by now |
/// | any change from or to [`EXCLUSIVE`](EventFlags::EXCLUSIVE) | two: the kernel does not modify such a registration |
///
/// The storage is the caller's, one [`Slot`] for each descriptor's number from 0. A flush costs time for what changed, however
/// much storage there is.
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
/// # What it relies on
///
/// One set serves one epoll, always the same, and all that is registered there by these numbers is registered through it. The
/// kernel forgets a descriptor when its file is closed, and this set cannot see that:
///
/// - Say [`forget`](Self::forget) for a descriptor that was closed and not removed before, at the latest before its number is in
///   use again: the set would take what it was told of the old one for what the new one has.
/// - Flush before something is registered with this epoll directly, a new [`Waker`](crate::Waker) too: it may have got the number of a
///   descriptor that was removed and closed, and the flush would then change or end *its* registration.
/// - A file that has duplicates (of this process, or of a fork's child) is *not* forgotten with one of them. Remove it and flush
///   before you close it; afterwards nobody can name it.
///
/// Otherwise the wrong descriptor is watched, or none is; nothing worse.
pub struct InterestSet<'s> {
    slots: &'s mut [Slot],
    /// The first that has something to tell, or `NO_FD`; each slot names the next.
    queue: RawFd,
}

/// No descriptor's number.
const NO_FD: RawFd = -1;

/// The storage that an [`InterestSet`] needs for one descriptor: 32 bytes where an event has 12, 40 elsewhere.
///
/// ```
/// use barepoll::{InterestSet, Slot};
///
/// let mut slots = vec![Slot::EMPTY; 1024]; // or an array, or a static
/// let interests = InterestSet::new(&mut slots);
/// ```
#[derive(Copy, Clone)]
pub struct Slot {
    /// What the kernel was told, as far as `is_registered`.
    registered: Event,
    /// What it is to be told, as far as `is_desired`.
    desired: Event,
    /// The next in the queue, or `NO_FD`.
    next: RawFd,
    is_registered: bool,
    is_desired: bool,
    /// It was removed, or a change of it was refused, so that what was told may be another file's.
    may_be_stale: bool,
    is_queued: bool,
}

impl Slot {
    /// A slot for a descriptor that nothing is known of.
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

    /// Whether to modify it would change nothing.
    fn is_noop(&self) -> bool {
        let is_same = self.registered.flags() == self.desired.flags()
            && self.registered.data().u64() == self.desired.data().u64();
        is_same && !self.may_be_stale && !self.desired.flags().intersects(EventFlags::ET.union(EventFlags::ONESHOT))
    }

    /// Tells the kernel. What it knows then is what is wanted, so that a change that it refused is dropped.
    fn apply(&mut self, epoll: &Epoll, fd: RawFd) -> Result<()> {
        let answer = match (self.is_registered, self.is_desired) {
            (false, false) => Ok(()),
            (false, true) => self.add(epoll, fd),
            (true, false) => self.delete(epoll, fd),
            (true, true) if self.is_noop() => Ok(()),
            (true, true) if self.has_exclusive() => self.replace(epoll, fd),
            (true, true) => match self.ctl(epoll, raw::EPOLL_CTL_MOD, fd) {
                // The old one was closed, and this is another with its number.
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
                // One of the two is exclusive.
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
        // SAFETY: a removal has no event.
        match unsafe { raw::epoll_ctl(epoll.as_raw_fd(), raw::EPOLL_CTL_DEL, fd, ptr::null_mut()) } {
            // It was closed, and the number is nobody's, or a file's that cannot be registered, or one that is not.
            Ok(()) | Err(Errno::EBADF | Errno::EPERM | Errno::EINVAL | Errno::ENOENT) => {
                self.is_registered = false;
                Ok(())
            }
            Err(errno) => Err(errno),
        }
    }

    fn ctl(&mut self, epoll: &Epoll, op: u32, fd: RawFd) -> Result<()> {
        // SAFETY: the event is this slot's own.
        unsafe { raw::epoll_ctl(epoll.as_raw_fd(), op, fd, &mut self.desired)? };
        self.registered = self.desired;
        self.is_registered = true;
        Ok(())
    }
}

impl<'s> InterestSet<'s> {
    /// An empty set with this storage, whose slots it empties: room for the descriptors from 0 to `slots.len() - 1`.
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

    /// From the next flush on, watches a descriptor for this, whether it was watched before or not.
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
    /// `EINVAL`: the descriptor's number is beyond the storage; nothing has changed.
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

    /// From the next flush on, watches a descriptor no longer. Of one that is not watched, nothing.
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
    /// A descriptor without duplicates may be closed before the flush; its number may be in use again by then, and be
    /// [set](Self::set), but not be registered otherwise.
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

    /// Takes note that a descriptor has been closed, and is no longer watched: nothing of it is told to the kernel, which has
    /// forgotten it. A number beyond the storage was never in the set.
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

    /// Tells the kernel what has changed since the last flush, in no promised order.
    ///
    /// ```
    /// use barepoll::{Epoll, Errno, EventData, EventFlags, InterestSet, Slot};
    ///
    /// let epoll = Epoll::new()?;
    /// let mut slots = [Slot::EMPTY; 64];
    /// let mut interests = InterestSet::new(&mut slots);
    /// interests.set(&epoll, EventData::new_u64(1), EventFlags::IN)?; // no epoll watches itself
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
    /// The first error stops it, with the descriptor. That change is dropped: the descriptor is watched as it was before; where
    /// [`EXCLUSIVE`](EventFlags::EXCLUSIVE) came or went, or the registration was gone, it is no longer. All others stay: call it again.
    ///
    /// As [`Epoll::add`] and [`Epoll::modify`], and `EBADF`: the descriptor was closed after it was set. But that a descriptor is
    /// registered already, or no longer, is no error: it is then modified, or added. Nor is it one to remove what is gone
    /// (`EBADF`, `ENOENT`, and `EPERM` and `EINVAL` where the number is now a file's that no epoll, or not this one, can watch).
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

    /// The slot of a descriptor, which now has something to tell.
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

/// None for `NO_FD` too: as an index, a negative number is beyond any storage.
#[inline]
fn slot(slots: &mut [Slot], fd: RawFd) -> Option<&mut Slot> {
    slots.get_mut(fd as usize)
}

/// As an entry of a map shows itself: core's `DebugMap` asserts that keys and values take turns, and a panic would stay.
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

/// What stopped [`InterestSet::flush`].
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
    /// Why.
    pub errno: Errno,
}

impl fmt::Display for FlushError {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "descriptor {}: {}", self.fd, self.errno)
    }
}

/// For `?` where an [`Errno`] is enough: it forgets the descriptor.
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
