//! A loop that says when it is awake.

use super::Waker;
use crate::deadline::Deadline;
use crate::epoll::Epoll;
use crate::errno::Result;
use crate::event::Event;
use crate::timeout::Timeout;
use core::fmt;
use core::mem::MaybeUninit;

/// A loop that is awake: [`Waker::wake`] makes no call.
///
/// [`Waker::awake`] makes it. The loop then waits by [`wait`](Self::wait) or
/// [`wait_until`](Self::wait_until), and sleeps only inside of them. With a timeout of zero it does
/// not sleep there either. After each wait it looks for
/// work if [`is_woken`](Self::is_woken), and takes all of it. Events with the waker's data need no
/// [acknowledgement](Waker::acknowledge).
///
/// ```
/// use barepoll::{Epoll, Event, EventData, Waker};
/// use std::sync::mpsc::channel;
///
/// let epoll = Epoll::new()?;
/// let waker = Waker::new(&epoll, EventData::new_u64(u64::MAX))?;
/// let (sender, work) = channel();
///
/// std::thread::scope(|scope| -> barepoll::Result<()> {
///     scope.spawn(|| {
///         for number in 0..1000 {
///             sender.send(number).expect("the loop lives");
///             waker.wake().expect("a write to an eventfd is permitted");
///         }
///     });
///     let (mut buffer, mut awake) = (Event::buffer::<8>(), waker.awake());
///     let mut done = 0;
///     while done < 1000 {
///         for _event in awake.wait(&epoll, &mut buffer, None)? { /* a socket, say */ }
///         if awake.is_woken() {
///             done += work.try_iter().count();
///         }
///     }
///     Ok(())
/// })
/// # ?; Ok::<(), barepoll::Errno>(())
/// ```
///
/// A wake-up that finds the loop awake is remembered, and the next wait does not block. So the loop
/// need not look for work just before it waits. If it drops this, such a wake-up is written to the
/// eventfd, and [`Epoll::wait`] finds it. So none is lost if a loop leaves early or panics.
///
/// While an `Awake` exists, a wake-up does not end a wait by other means, such as [`Epoll::wait`].
/// The wake-up is not lost: the next wait by the `Awake` returns at once. If you forget the `Awake`
/// ([`core::mem::forget`]), the waker takes the loop for awake for ever. If several threads wait
/// for one epoll, one of them may have an `Awake`. While it is awake, a wake-up does not end the
/// others' waits.
#[doc(alias = "epoll_wait")]
#[must_use = "the loop is awake while this lives"]
pub struct Awake<'w> {
    waker: &'w Waker,
    is_woken: bool,
}

impl Waker {
    /// Says that this thread's loop is awake, until the guard waits or is dropped.
    ///
    /// ```
    /// use barepoll::{Epoll, Event, EventData, Waker};
    ///
    /// let epoll = Epoll::new()?;
    /// let waker = Waker::new(&epoll, EventData::new_u64(1))?;
    /// let mut awake = waker.awake();
    /// for _ in 0..8 {
    ///     waker.wake()?; // no call
    /// }
    /// assert!(awake.wait(&epoll, &mut Event::buffer::<8>(), None)?.is_empty()); // it polls
    /// assert!(awake.is_woken());
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    #[inline]
    pub fn awake(&self) -> Awake<'_> {
        self.state.enter();
        Awake { waker: self, is_woken: false }
    }
}

impl Awake<'_> {
    /// Waits as [`Epoll::wait`], for the waker's epoll. If a wake-up has come since the last wait,
    /// it polls.
    ///
    /// ```
    /// use barepoll::{Epoll, Event, EventData, Waker};
    /// use core::time::Duration;
    ///
    /// let epoll = Epoll::new()?;
    /// let waker = Waker::new(&epoll, EventData::new_u64(1))?;
    /// let mut awake = waker.awake();
    /// awake.wait(&epoll, &mut Event::buffer::<8>(), Some(Duration::from_millis(1)))?;
    /// assert!(!awake.is_woken());
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Epoll::wait`]. A wake-up before or during a wait that fails is still there for the next.
    ///
    /// See [`epoll_wait(2)`](https://man7.org/linux/man-pages/man2/epoll_wait.2.html).
    #[inline]
    pub fn wait<'b>(
        &mut self,
        epoll: &Epoll,
        events: &'b mut [MaybeUninit<Event>],
        timeout: impl Into<Timeout>,
    ) -> Result<&'b mut [Event]> {
        let timeout = timeout.into();
        let polls = timeout == Timeout::ZERO;
        self.sleep(polls, |polls| epoll.wait(events, if polls { Timeout::ZERO } else { timeout }))
    }

    /// Waits as [`Epoll::wait_until`], for the waker's epoll. If a wake-up has come since the last
    /// wait, it polls.
    ///
    /// ```
    /// use barepoll::{Deadline, Epoll, Event, EventData, Waker};
    /// use core::time::Duration;
    ///
    /// let epoll = Epoll::new()?;
    /// let waker = Waker::new(&epoll, EventData::new_u64(1))?;
    /// let deadline = Deadline::after(Duration::from_millis(1))?;
    /// waker.awake().wait_until(&epoll, &mut Event::buffer::<8>(), Some(deadline))?;
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Epoll::wait_until`]. A wake-up before or during a wait that fails is still there for the
    /// next.
    ///
    /// See [`epoll_pwait2(2)`](https://man7.org/linux/man-pages/man2/epoll_pwait2.2.html).
    #[inline]
    pub fn wait_until<'b>(
        &mut self,
        epoll: &Epoll,
        events: &'b mut [MaybeUninit<Event>],
        deadline: Option<Deadline>,
    ) -> Result<&'b mut [Event]> {
        self.sleep(false, |polls| match polls {
            true => epoll.wait(events, Timeout::ZERO),
            false => epoll.wait_until(events, deadline),
        })
    }

    /// Whether the last wait reports a wake-up that no earlier wait reported. False before the
    /// first wait. That wait also reports wake-ups from before [`Waker::awake`].
    ///
    /// If so, the loop sees all that was written before the wake-up.
    ///
    /// ```
    /// use barepoll::{Epoll, Event, EventData, Waker};
    ///
    /// let epoll = Epoll::new()?;
    /// let waker = Waker::new(&epoll, EventData::new_u64(1))?;
    /// waker.wake()?;
    /// let mut awake = waker.awake();
    /// awake.wait(&epoll, &mut Event::buffer::<8>(), None)?;
    /// assert!(awake.is_woken());
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn is_woken(&self) -> bool {
        self.is_woken
    }

    #[inline(always)]
    fn sleep<T>(&mut self, polls: bool, wait: impl FnOnce(bool) -> Result<T>) -> Result<T> {
        let (answer, is_woken) = self.waker.state.sleep(polls, wait);
        self.is_woken = is_woken;
        answer
    }
}

impl Drop for Awake<'_> {
    #[inline]
    fn drop(&mut self) {
        // It fails only where something forbids the write: see `Waker::wake`.
        let _ = self.waker.state.leave(|| self.waker.write());
    }
}

impl fmt::Debug for Awake<'_> {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Awake").field("waker", &self.waker).field("is_woken", &self.is_woken).finish()
    }
}
