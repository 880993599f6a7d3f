//! Waking a wait from another thread, with the fewest system calls.

mod awake;
mod state;

use crate::epoll::Epoll;
use crate::errno::{Errno, Result};
use crate::event::EventData;
use crate::eventfd::EventFd;
use crate::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use crate::flags::{EventFdFlags, EventFlags};
use core::fmt;
use core::sync::atomic::AtomicU8;
use state::State;

pub use awake::Awake;

/// Wakes a waiting [`Epoll`] from any thread.
///
/// A wake-up costs two calls: a write here and a wait in the loop. While one is pending, another
/// costs none. If a loop says when it is [`awake`](Self::awake), wake-ups make no call during that
/// time.
///
/// A waker is an edge-triggered eventfd that is never read, and a state. A thread with work for the
/// loop makes the work visible, then calls [`wake`](Self::wake). When an event carries this waker's
/// data, the loop calls [`acknowledge`](Self::acknowledge) and *then* looks for work. It must take
/// all work, because many wake-ups can come as one event. In this order the loop misses no work,
/// however the threads interleave.
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
/// One waker serves one epoll. If several threads wait for that epoll, one of them gets the event.
/// If the loop does not acknowledge an event, the waker stays silent for good: every later `wake`
/// assumes that one is pending.
///
/// Dropping the waker closes the eventfd, and the epoll forgets it. You may borrow the descriptor
/// to [delete](Epoll::delete) it from the epoll earlier, or to watch it with another epoll too. Use
/// [`ET`](EventFlags::ET) for that: the eventfd stays readable, because nothing reads it. A direct
/// write to the eventfd wakes the loop, but does not count as a pending wake-up.
#[doc(alias = "eventfd")]
pub struct Waker {
    eventfd: EventFd,
    state: State,
}

impl Waker {
    /// Makes a waker for this epoll. Its events carry `data`.
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
    /// As [`EventFd::new`] (`EMFILE`, `ENFILE`, `ENODEV`, `ENOMEM`) and [`Epoll::add`] (`ENOSPC`,
    /// `ENOMEM`).
    ///
    /// See [`eventfd(2)`](https://man7.org/linux/man-pages/man2/eventfd.2.html) and
    /// [`epoll_ctl(2)`](https://man7.org/linux/man-pages/man2/epoll_ctl.2.html).
    pub fn new(epoll: &Epoll, data: EventData) -> Result<Self> {
        let eventfd = EventFd::new(0, EventFdFlags::CLOEXEC | EventFdFlags::NONBLOCK)?;
        epoll.add(&eventfd, data, EventFlags::IN | EventFlags::ET)?;
        Ok(Self { eventfd, state: State::new() })
    }

    /// Ends the epoll's current wait, or else its next.
    ///
    /// After the loop [acknowledges](Self::acknowledge), it sees all that this thread wrote before.
    ///
    /// ```
    /// use barepoll::{Epoll, Event, EventData, Waker};
    ///
    /// let epoll = Epoll::new()?;
    /// let waker = Waker::new(&epoll, EventData::new_u64(1))?;
    /// waker.wake()?;
    /// waker.wake()?; // no call: a wake-up is pending
    /// assert_eq!(epoll.wait(&mut Event::buffer::<8>(), None)?.len(), 1);
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// A signal handler may call it: it takes no lock. If a handler interrupts a `wake` that has
    /// set the flag but not written, the handler's call does nothing. The interrupted call writes
    /// when the handler returns.
    ///
    /// # Errors
    ///
    /// It fails if something forbids the write, such as a seccomp filter (`EPERM`), or if unsafe
    /// code has closed the descriptor (`EBADF`). Otherwise it does not fail, so `expect` is fine.
    /// After an error, another call tries again. If another thread's `wake` returned `Ok` because
    /// this one was under way, that wake-up is lost too. A full counter is no error: this empties
    /// it.
    ///
    /// See [`write(2)`](https://man7.org/linux/man-pages/man2/write.2.html).
    #[doc(alias = "eventfd_write")]
    #[inline]
    pub fn wake(&self) -> Result<()> {
        self.state.wake(|| self.write())
    }

    #[inline]
    fn write(&self) -> Result<()> {
        match self.eventfd.write(1) {
            Err(Errno::EAGAIN) => self.drain_and_write(),
            answer => answer,
        }
    }

    /// Empties a full counter and writes again. It is full after 2^64 wake-ups, or after other
    /// writes to the descriptor.
    #[cold]
    #[inline(never)]
    fn drain_and_write(&self) -> Result<()> {
        match self.eventfd.read() {
            // `EAGAIN`: something else has emptied it meanwhile.
            Ok(_) | Err(Errno::EAGAIN) => self.eventfd.write(1),
            Err(errno) => Err(errno),
        }
    }

    /// Lets the next [`wake`](Self::wake) write again.
    ///
    /// The loop calls it when it sees an event with this waker's data, *before* it looks for work.
    /// It makes no system call. Afterwards the loop sees all that was written before the wake-ups
    /// so far.
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
    ///         waker.acknowledge(); // otherwise the second wake does nothing
    ///         // ... then it looks for work
    ///     }
    /// }
    /// assert!(epoll.wait(&mut buffer, Some(Duration::ZERO))?.is_empty());
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    #[inline]
    pub fn acknowledge(&self) {
        self.state.fall_asleep();
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
