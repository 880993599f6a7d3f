//! Waking a wait from another thread, in as few calls as can be.

mod pending;

use crate::epoll::Epoll;
use crate::errno::{Errno, Result};
use crate::event::EventData;
use crate::eventfd::EventFd;
use crate::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use crate::flags::{EventFdFlags, EventFlags};
use core::fmt;
use core::sync::atomic::AtomicBool;
use pending::Pending;

/// Wakes a waiting [`Epoll`] from any thread: two calls a wake-up (a write here, a wait there), and none while one is on its
/// way already.
///
/// It is an edge-triggered eventfd that nobody reads, and a flag. Whoever has work for the loop makes it visible, then calls
/// [`wake`](Self::wake). The loop, when an event carries this waker's data, calls [`acknowledge`](Self::acknowledge) and *then*
/// looks for work: all of it, for there is one event for many wake-ups. In this order no work is overlooked, however the
/// threads meet.
///
/// ```
/// use barepoll::{Epoll, Event, EventData, Waker};
/// use std::sync::mpsc::channel;
///
/// const WAKER: u64 = u64::MAX;
/// let epoll = Epoll::new()?;
/// let waker = Waker::new(&epoll, EventData::new_u64(WAKER))?;
/// let (sender, work) = channel();
///
/// std::thread::scope(|scope| -> barepoll::Result<()> {
///     scope.spawn(|| {
///         sender.send("something to do").expect("the loop lives");
///         waker.wake()
///     });
///     let mut buffer = Event::buffer::<8>();
///     for event in epoll.wait(&mut buffer, None)? {
///         if event.data().u64() == WAKER {
///             waker.acknowledge();
///             assert_eq!(work.try_iter().count(), 1);
///         }
///     }
///     Ok(())
/// })
/// # ?; Ok::<(), barepoll::Errno>(())
/// ```
///
/// One waker serves one epoll. Several threads that wait for that epoll get one event among them. An event that is seen and not
/// acknowledged silences the waker for good: every later `wake` takes it for one that is still on its way.
///
/// Dropping it closes the eventfd, and the epoll forgets it. It lends its descriptor, to be
/// [deleted](Epoll::delete) before that, or watched by another epoll too, with [`ET`](EventFlags::ET): it stays readable, as nobody reads it.
/// Who writes to it wakes the loop without the flag.
#[doc(alias = "eventfd")]
pub struct Waker {
    eventfd: EventFd,
    pending: Pending,
}

impl Waker {
    /// A waker of this epoll, whose events will carry `data`.
    ///
    /// ```
    /// use barepoll::{Epoll, EventData, Waker};
    ///
    /// let epoll = Epoll::new()?;
    /// let waker = Waker::new(&epoll, EventData::new_u64(u64::MAX))?;
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`EventFd::new`] (`EMFILE`, `ENFILE`, `ENODEV`, `ENOMEM`) and [`Epoll::add`] (`ENOSPC`, `ENOMEM`), which say what each means.
    ///
    /// See [`eventfd(2)`](https://man7.org/linux/man-pages/man2/eventfd.2.html) and
    /// [`epoll_ctl(2)`](https://man7.org/linux/man-pages/man2/epoll_ctl.2.html).
    pub fn new(epoll: &Epoll, data: EventData) -> Result<Self> {
        let eventfd = EventFd::new(0, EventFdFlags::CLOEXEC | EventFdFlags::NONBLOCK)?;
        epoll.add(&eventfd, data, EventFlags::IN | EventFlags::ET)?;
        Ok(Self { eventfd, pending: Pending::new() })
    }

    /// Ends the epoll's wait, the present one or else the next. What this thread did before is visible to whoever
    /// [acknowledges](Self::acknowledge).
    ///
    /// ```
    /// use barepoll::{Epoll, Event, EventData, Waker};
    ///
    /// let epoll = Epoll::new()?;
    /// let waker = Waker::new(&epoll, EventData::new_u64(1))?;
    /// waker.wake()?;
    /// waker.wake()?; // no call: one is on its way
    /// assert_eq!(epoll.wait(&mut Event::buffer::<8>(), None)?.len(), 1);
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// A signal handler may call it: it takes no lock. If the handler interrupted a `wake` of the same waker in its own thread,
    /// which had set the flag and not yet written, the wake-up is that one's, and goes out once the handler returns.
    ///
    /// # Errors
    ///
    /// Only where something forbids the write, as a seccomp filter (`EPERM`), or where unsafe code has closed the descriptor
    /// (`EBADF`): elsewhere, whoever cannot return an error may `expect` none. Another call tries again then. A `wake` of another thread
    /// that returned `Ok` because this one was under way is lost with it. A full counter is no error: it is emptied.
    ///
    /// See [`write(2)`](https://man7.org/linux/man-pages/man2/write.2.html).
    #[doc(alias = "eventfd_write")]
    #[inline]
    pub fn wake(&self) -> Result<()> {
        self.pending.wake(|| match self.eventfd.write(1) {
            Err(Errno::EAGAIN) => self.drain_and_write(),
            answer => answer,
        })
    }

    /// After 2^64 wake-ups, or when somebody else wrote to the descriptor.
    #[cold]
    #[inline(never)]
    fn drain_and_write(&self) -> Result<()> {
        match self.eventfd.read() {
            // Somebody has emptied it meanwhile.
            Ok(_) | Err(Errno::EAGAIN) => self.eventfd.write(1),
            Err(errno) => Err(errno),
        }
    }

    /// Lets the next [`wake`](Self::wake) write again. The loop calls it when it sees an event with this waker's data, *before* it
    /// looks for work. It makes no call, and what was done before the wake-ups so far is visible afterwards.
    ///
    /// ```
    /// use barepoll::{Epoll, Event, EventData, Waker};
    /// use core::time::Duration;
    ///
    /// let epoll = Epoll::new()?;
    /// let waker = Waker::new(&epoll, EventData::new_u64(1))?;
    /// let mut buffer = Event::buffer::<8>();
    /// for _ in 0..2 {
    ///     waker.wake()?;
    ///     for _ in epoll.wait(&mut buffer, Some(Duration::ZERO))? {
    ///         waker.acknowledge(); // or the second wake would be none
    ///         // ... and here it looks for work
    ///     }
    /// }
    /// assert!(epoll.wait(&mut buffer, Some(Duration::ZERO))?.is_empty());
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    #[inline]
    pub fn acknowledge(&self) {
        self.pending.acknowledge();
    }
}

impl AsFd for Waker {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.eventfd.as_fd()
    }
}

impl AsRawFd for Waker {
    #[inline]
    fn as_raw_fd(&self) -> RawFd {
        self.eventfd.as_raw_fd()
    }
}

impl fmt::Debug for Waker {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waker").field("fd", &self.as_raw_fd()).finish()
    }
}
