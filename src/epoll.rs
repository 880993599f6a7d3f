//! The safe interface of epoll.

use crate::arch::{self, nr};
use crate::clock::Moment;
use crate::deadline::Deadline;
use crate::errno::{Errno, Result};
use crate::event::{Event, EventData};
use crate::fallback;
use crate::fd::{self, impl_owned_fd, AsFd, AsRawFd, FromRawFd, OwnedFd};
use crate::flags::{CreateFlags, EventFlags};
use crate::raw;
use crate::signal::SigSet;
use crate::timeout::{Form, Timeout, Timespec};
use core::mem::{size_of, MaybeUninit};
use core::ptr;
use core::slice;

/// An epoll: an interest list in the kernel and the queue of its ready descriptors.
///
/// Dropping it closes it.
///
/// ```
/// use barepoll::{Epoll, Event, EventData, EventFd, EventFdFlags, EventFlags};
/// use core::time::Duration;
///
/// let epoll = Epoll::new()?;
/// let eventfd = EventFd::new(0, EventFdFlags::CLOEXEC | EventFdFlags::NONBLOCK)?;
/// epoll.add(&eventfd, EventData::new_u64(42), EventFlags::IN)?;
///
/// eventfd.write(1)?;
/// let mut buffer = Event::buffer::<8>();
/// for event in epoll.wait(&mut buffer, Some(Duration::from_secs(1)))? {
///     assert_eq!(event.data().u64(), 42);
///     assert!(event.flags().contains(EventFlags::IN));
/// }
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// # From several threads
///
/// Every method takes `&self`. Threads may call any of them at the same time:
///
/// - If you [add](Self::add) or [modify](Self::modify) a descriptor while another thread waits,
///   that wait sees the change. It ends if the descriptor is ready.
/// - After you [delete](Self::delete) a descriptor, no later wait reports it. A wait that has ended
///   or is ending may have its event in a buffer already. Keep alive what its data points to until
///   every waiting thread has started another wait.
/// - The kernel makes two concurrent changes of one descriptor one after the other. The second of
///   two adds fails with `EEXIST`. The last change stays in force.
/// - When several threads wait for one epoll, a level wakes one and, while it lasts, others too. An
///   [edge](EventFlags::ET) wakes one, and the next edge may wake another before the first is done.
///   A [one-shot](EventFlags::ONESHOT) wakes one until it is re-armed.
/// - Only an owner without borrows can drop the epoll, so no thread of safe code waits for it then.
///
/// See [`epoll(7)`](https://man7.org/linux/man-pages/man7/epoll.7.html).
#[doc(alias = "epoll")]
#[repr(transparent)]
pub struct Epoll(OwnedFd);

impl_owned_fd!(Epoll);

impl Epoll {
    /// Makes an epoll that is closed on exec.
    ///
    /// ```
    /// use barepoll::Epoll;
    ///
    /// let epoll = Epoll::new()?;
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - `EMFILE`: this process has no descriptor left. `ENFILE`: the system has no file left.
    /// - `ENOMEM`: the kernel has no memory for it.
    ///
    /// See [`epoll_create1(2)`](https://man7.org/linux/man-pages/man2/epoll_create.2.html).
    #[doc(alias = "epoll_create")]
    #[doc(alias = "epoll_create1")]
    #[inline]
    pub fn new() -> Result<Self> {
        Self::with_flags(CreateFlags::CLOEXEC)
    }

    /// Makes an epoll with these flags.
    ///
    /// With [`CreateFlags::empty`] it stays open across exec.
    ///
    /// ```
    /// use barepoll::{CreateFlags, Epoll};
    ///
    /// let inherited = Epoll::with_flags(CreateFlags::empty())?;
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and `EINVAL`: a flag is unknown.
    ///
    /// See [`epoll_create1(2)`](https://man7.org/linux/man-pages/man2/epoll_create.2.html).
    #[doc(alias = "epoll_create1")]
    #[doc(alias = "EPOLL_CLOEXEC")]
    #[inline]
    pub fn with_flags(flags: CreateFlags) -> Result<Self> {
        create(flags)
    }

    /// Registers a descriptor.
    ///
    /// Pass it by reference. A descriptor passed by value is closed, and so forgotten, at once.
    ///
    /// The registration belongs to the open file and the number together. It ends when the *last*
    /// duplicate of the file is closed. So [`delete`](Self::delete) a descriptor before you close
    /// it if it has duplicates. A fork's copy is one.
    ///
    /// ```
    /// use barepoll::{Epoll, Errno, EventData, EventFd, EventFdFlags, EventFlags};
    ///
    /// let (epoll, eventfd) = (Epoll::new()?, EventFd::new(0, EventFdFlags::CLOEXEC)?);
    /// let data = EventData::new_u64(1);
    /// epoll.add(&eventfd, data, EventFlags::IN)?;
    /// assert_eq!(epoll.add(&eventfd, data, EventFlags::IN), Err(Errno::EEXIST));
    /// # Ok::<(), Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - `EEXIST`: registered already.
    /// - `EINVAL`: `source` is this epoll. [`EventFlags::EXCLUSIVE`] is used with a flag that does
    ///   not go with it, or on an epoll. This was made `From` a descriptor that is no epoll's.
    /// - `ELOOP`: epolls would watch each other in a cycle, or nest more than five deep.
    /// - `EINVAL`: too many epolls (over 500 pairs) would reach `source`. A kernel before 6.17 may
    ///   also return it if those that watch this one nest too deep.
    /// - `EPERM`: a regular file, a directory or `/dev/null`, which is always ready and cannot be
    ///   watched.
    /// - `ENOSPC`: this user watches as many descriptors as `/proc/sys/fs/epoll/max_user_watches`
    ///   allows. `ENOMEM`: the kernel has no memory for one more.
    /// - `EBADF`: `source`, or the descriptor that this was made from, was opened with `O_PATH`.
    ///
    /// See [`epoll_ctl(2)`](https://man7.org/linux/man-pages/man2/epoll_ctl.2.html).
    #[doc(alias = "epoll_ctl")]
    #[doc(alias = "EPOLL_CTL_ADD")]
    #[inline]
    pub fn add(&self, source: impl AsFd, data: EventData, interest: EventFlags) -> Result<()> {
        self.ctl(raw::EPOLL_CTL_ADD, source, &mut Event::new(interest, data))
    }

    /// Changes the interest and data of a registered descriptor.
    ///
    /// This also re-arms a [one-shot](EventFlags::ONESHOT) or [edge-triggered](EventFlags::ET)
    /// descriptor: if it is ready now, the next wait reports it again.
    ///
    /// ```
    /// use barepoll::{Epoll, Errno, EventData, EventFd, EventFdFlags, EventFlags};
    ///
    /// let (epoll, eventfd) = (Epoll::new()?, EventFd::new(0, EventFdFlags::CLOEXEC)?);
    /// epoll.add(&eventfd, EventData::new_u64(1), EventFlags::IN | EventFlags::ONESHOT)?;
    /// epoll.modify(&eventfd, EventData::new_u64(2), EventFlags::OUT | EventFlags::ONESHOT)?;
    /// # Ok::<(), Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - `ENOENT`: not registered.
    /// - `EINVAL`: `source` is this epoll. The old or the new interest has
    ///   [`EventFlags::EXCLUSIVE`], which cannot be modified. This was made `From` a descriptor
    ///   that is no epoll's.
    /// - `EPERM`: a regular file, a directory or `/dev/null`.
    /// - `EBADF`: `source`, or the descriptor that this was made from, was opened with `O_PATH`.
    ///
    /// See [`epoll_ctl(2)`](https://man7.org/linux/man-pages/man2/epoll_ctl.2.html).
    #[doc(alias = "epoll_ctl")]
    #[doc(alias = "EPOLL_CTL_MOD")]
    #[inline]
    pub fn modify(&self, source: impl AsFd, data: EventData, interest: EventFlags) -> Result<()> {
        self.ctl(raw::EPOLL_CTL_MOD, source, &mut Event::new(interest, data))
    }

    /// Removes a descriptor from the interest list.
    ///
    /// Another thread's wait may have its event in a buffer already.
    ///
    /// ```
    /// use barepoll::{Epoll, Errno, EventData, EventFd, EventFdFlags, EventFlags};
    ///
    /// let (epoll, eventfd) = (Epoll::new()?, EventFd::new(0, EventFdFlags::CLOEXEC)?);
    /// epoll.add(&eventfd, EventData::new_u64(1), EventFlags::IN)?;
    /// epoll.delete(&eventfd)?;
    /// assert_eq!(epoll.delete(&eventfd), Err(Errno::ENOENT));
    /// # Ok::<(), Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - `ENOENT`: not registered.
    /// - `EINVAL`: `source` is this epoll, or this was made `From` a descriptor that is no epoll's.
    ///   `EPERM`: a regular file, a directory or `/dev/null`.
    /// - `EBADF`: `source`, or the descriptor that this was made from, was opened with `O_PATH`.
    ///
    /// See [`epoll_ctl(2)`](https://man7.org/linux/man-pages/man2/epoll_ctl.2.html).
    #[doc(alias = "epoll_ctl")]
    #[doc(alias = "EPOLL_CTL_DEL")]
    #[inline]
    pub fn delete(&self, source: impl AsFd) -> Result<()> {
        self.ctl(raw::EPOLL_CTL_DEL, source, ptr::null_mut())
    }

    #[inline(always)]
    fn ctl(&self, op: u32, source: impl AsFd, event: *mut Event) -> Result<()> {
        // SAFETY: `add` and `modify` pass a valid event. `delete` passes null with `EPOLL_CTL_DEL`.
        unsafe { raw::epoll_ctl(self.as_raw_fd(), op, source.as_fd().as_raw_fd(), event) }
    }

    /// Waits until a descriptor is ready, at most `timeout`, and returns the events.
    ///
    /// The events stand at the front of `events`. An empty slice means that the timeout has
    /// expired. `None` waits for ever, `Duration::ZERO` does not wait.
    ///
    /// Each wait is one system call. A timeout of whole milliseconds (up to `i32::MAX`) uses
    /// `epoll_wait`. A finer or longer one uses `epoll_pwait2`. A kernel before Linux 5.11 lacks
    /// that call, and a sandbox may refuse it with `EPERM`. The crate then remembers this, rounds
    /// the timeout *up* to a millisecond and cuts it to `i32::MAX` of them: there, a wait of more
    /// than 24 days may end early and empty. It remembers this for the process, so one sandboxed
    /// thread costs all threads the finer timeouts. (Before 2.6.37, timeouts beyond about half an
    /// hour never expired on some 32-bit machines.)
    ///
    /// `deadline - now` is seldom whole milliseconds, so it uses `epoll_pwait2`. If milliseconds
    /// are fine enough, round it up:
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use std::time::Instant;
    /// # let deadline = Instant::now() + Duration::from_micros(2_500);
    /// let left = deadline.saturating_duration_since(Instant::now());
    /// let timeout = Duration::from_millis(left.saturating_add(Duration::from_nanos(999_999)).as_millis() as u64);
    /// assert!(timeout >= left && timeout < left + Duration::from_millis(1));
    /// ```
    ///
    /// On Android, this uses `epoll_pwait` and rounds a finer timeout up in the same way. The
    /// sandbox there kills apps for `epoll_wait` on x86_64, and before Android 15 for
    /// `epoll_pwait2`.
    ///
    /// It never returns before the timeout. It may return later, because of load and the kernel's
    /// timer slack. The slack is the thread's (50 µs, or as set by `prctl` with
    /// `PR_SET_TIMERSLACK`), or a thousandth of the timeout if that is more (a two-hundredth in a
    /// niced process), at most 100 ms. Real-time threads have none.
    ///
    /// If more descriptors are ready than `events` has room for, the next wait reports the others.
    /// The kernel uses at most `i32::MAX` bytes of the buffer. A `Vec` with capacity and no length
    /// has no room: pass [`Vec::spare_capacity_mut`] or a buffer of [`Event::buffer`].
    ///
    /// [`Vec::spare_capacity_mut`]: https://doc.rust-lang.org/std/vec/struct.Vec.html#method.spare_capacity_mut
    ///
    /// ```
    /// use barepoll::{Epoll, Event};
    /// use core::time::Duration;
    ///
    /// let epoll = Epoll::new()?;
    /// let mut buffer = Event::buffer::<64>();
    /// let ready = epoll.wait(&mut buffer, Some(Duration::from_millis(5)))?;
    /// assert!(ready.is_empty());
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - `EINTR`: a signal handler ran, even one installed with `SA_RESTART`. Or the process was
    ///   stopped and continued (Ctrl-Z and `fg`), without a handler.
    ///   [`wait_uninterrupted`](Self::wait_uninterrupted) continues instead.
    /// - `EINVAL`: `events` is empty, or this was made `From` a descriptor that is no epoll's.
    ///   `EBADF`: this was made from one that was opened with `O_PATH`.
    ///
    /// See [`epoll_wait(2)`](https://man7.org/linux/man-pages/man2/epoll_wait.2.html).
    #[doc(alias = "epoll_wait")]
    #[doc(alias = "epoll_pwait2")]
    #[inline]
    pub fn wait<'b>(
        &self,
        events: &'b mut [MaybeUninit<Event>],
        timeout: impl Into<Timeout>,
    ) -> Result<&'b mut [Event]> {
        let ready = self.wait_once(events, timeout.into().0, None)?;
        // SAFETY: the kernel has written that many events, at most as many as there is room for.
        Ok(unsafe { assume_init(events, ready) })
    }

    /// Waits as [`wait`](Self::wait) does, with `mask` as this thread's signal mask during the
    /// wait.
    ///
    /// If a signal is blocked in this thread but absent from `mask`, its handler can run only
    /// during this wait. So a loop loses no signal between a check and the wait:
    ///
    /// 1. Before the loop, [`SigSet::block`] the signal. It returns the previous mask. Take the signal
    ///    out of that mask: the program may have been started with the signal blocked.
    /// 2. In the loop, check the flag that the handler sets.
    /// 3. Wait with that mask. If a signal has come since step 1, it is pending. Then its
    ///    handler runs, and the wait returns `EINTR` at once.
    ///
    /// With [`wait`](Self::wait) instead, a handler that runs between steps 2 and 3 sets a flag that
    /// the loop sees only after the wait. A [`SignalFd`](crate::SignalFd) needs no handler.
    ///
    /// The kernel checks for signals only before it sleeps. So if a descriptor is ready, or the
    /// timeout is zero, a pending signal stays pending and its handler does not run. A loop that
    /// always finds a ready descriptor must unblock such signals itself now and then.
    ///
    /// ```
    /// use barepoll::{signo::SIGTERM, Epoll, Errno, Event, SigSet};
    /// use std::sync::atomic::{AtomicBool, Ordering};
    ///
    /// static IS_OVER: AtomicBool = AtomicBool::new(false); // the handler of SIGTERM sets it
    ///
    /// fn run(epoll: &Epoll) -> barepoll::Result<()> {
    ///     let signals = SigSet::from_signals(&[SIGTERM])?;
    ///     let mask = signals.block()? - signals;
    ///     let mut buffer = Event::buffer::<64>();
    ///     while !IS_OVER.load(Ordering::Relaxed) {
    ///         match epoll.wait_masked(&mut buffer, None, &mask) {
    ///             Ok(ready) => println!("{ready:?}"),
    ///             Err(Errno::EINTR) => {} // a handler ran
    ///             Err(errno) => return Err(errno),
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// With a full mask nothing interrupts the wait:
    ///
    /// ```
    /// use barepoll::{Epoll, Event, SigSet};
    /// use core::time::Duration;
    ///
    /// let mut buffer = Event::buffer::<8>();
    /// let undisturbed = Epoll::new()?.wait_masked(&mut buffer, Some(Duration::from_millis(1)), &SigSet::full())?;
    /// assert!(undisturbed.is_empty());
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait). `ENOSYS`: ARM before Linux 2.6.32.
    ///
    /// See [`epoll_pwait(2)`](https://man7.org/linux/man-pages/man2/epoll_wait.2.html).
    #[doc(alias = "epoll_pwait")]
    #[doc(alias = "epoll_pwait2")]
    #[inline]
    pub fn wait_masked<'b>(
        &self,
        events: &'b mut [MaybeUninit<Event>],
        timeout: impl Into<Timeout>,
        mask: &SigSet,
    ) -> Result<&'b mut [Event]> {
        let ready = self.wait_once(events, timeout.into().0, Some(mask))?;
        // SAFETY: the kernel has written that many events, at most as many as there is room for.
        Ok(unsafe { assume_init(events, ready) })
    }

    /// Waits as [`wait`](Self::wait) does, but continues after a signal.
    ///
    /// It continues for the rest of the timeout, as measured by `CLOCK_MONOTONIC`. It reads the
    /// clock once before a finite wait and once after each interruption. With feature `std` this is
    /// std's clock, which needs no system call on machines with a vDSO. Without it, each reading is
    /// a system call, `clock_gettime`. A timeout of whole milliseconds stays so: each remainder
    /// rounds up.
    ///
    /// ```
    /// use barepoll::{Epoll, Event};
    /// use core::time::Duration;
    ///
    /// let mut buffer = Event::buffer::<8>();
    /// assert!(Epoll::new()?.wait_uninterrupted(&mut buffer, Some(Duration::from_millis(2)))?.is_empty());
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait), but no `EINTR`. If a sandbox forbids `clock_gettime`, the error of
    /// that call. With feature `std`, std's clock panics then if there is no vDSO.
    ///
    /// See [`epoll_wait(2)`](https://man7.org/linux/man-pages/man2/epoll_wait.2.html).
    #[doc(alias = "epoll_wait")]
    #[doc(alias = "EINTR")]
    #[inline]
    pub fn wait_uninterrupted<'b>(
        &self,
        events: &'b mut [MaybeUninit<Event>],
        timeout: impl Into<Timeout>,
    ) -> Result<&'b mut [Event]> {
        let timeout = timeout.into();
        let mut left = timeout.0;
        let begun = match timeout {
            _ if events.is_empty() => None, // `wait_once` returns an error
            Timeout::FOREVER | Timeout::ZERO => None,
            _ => Some(Moment::now()?),
        };
        loop {
            match self.wait_once(events, left, None) {
                Err(Errno::EINTR) => {}
                // SAFETY: the kernel has written that many events, at most as many as there is room
                // for.
                answer => return answer.map(|ready| unsafe { assume_init(events, ready) }),
            }
            if let Some(start) = &begun {
                left = left.with_remaining(timeout.0.timespec().saturating_sub(start.elapsed()?));
            }
        }
    }

    /// Waits as [`wait`](Self::wait) does, but until a moment.
    ///
    /// Use it in a loop that keeps the time of the next timer, as [`Timers`](crate::Timers) does.
    /// After a signal, call it again with the same deadline.
    ///
    /// `None` waits for ever and does not read the clock. With a deadline, each call reads the
    /// clock once. With feature `std` this is std's clock, which needs no system call on machines
    /// with a vDSO. Without it, the reading is a system call, `clock_gettime`. The wait uses
    /// `epoll_pwait2`, which has nanoseconds, or if that is missing rounds up as
    /// [`wait`](Self::wait) does. If the deadline is past, it does not block.
    ///
    /// ```
    /// use barepoll::{Deadline, Epoll, Errno, Event};
    /// use core::time::Duration;
    ///
    /// let (epoll, mut buffer) = (Epoll::new()?, Event::buffer::<8>());
    /// let deadline = Deadline::after(Duration::from_micros(1_500))?;
    /// loop {
    ///     match epoll.wait_until(&mut buffer, Some(deadline)) {
    ///         Err(Errno::EINTR) => {} // the deadline has not moved
    ///         answer => break assert!(answer?.is_empty()),
    ///     }
    /// }
    /// assert!(Deadline::now()? >= deadline);
    /// # Ok::<(), Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait). If a sandbox forbids `clock_gettime`, the error of that call. With
    /// feature `std`, std's clock panics then if there is no vDSO.
    ///
    /// See [`epoll_wait(2)`](https://man7.org/linux/man-pages/man2/epoll_wait.2.html).
    #[doc(alias = "epoll_wait")]
    #[doc(alias = "epoll_pwait2")]
    #[inline]
    pub fn wait_until<'b>(
        &self,
        events: &'b mut [MaybeUninit<Event>],
        deadline: Option<Deadline>,
    ) -> Result<&'b mut [Event]> {
        let timeout = match deadline {
            _ if events.is_empty() => Form::FOREVER, // `wait_once` returns an error
            None => Form::FOREVER,
            Some(deadline) => match deadline.since(Deadline::now()?) {
                Timespec { tv_sec: 0, tv_nsec: 0 } => Form::Millis(0),
                left => Form::Timespec(left),
            },
        };
        let ready = self.wait_once(events, timeout, None)?;
        // SAFETY: the kernel has written that many events, at most as many as there is room for.
        Ok(unsafe { assume_init(events, ready) })
    }

    /// Polls up to `spins` times, then waits as [`wait`](Self::wait) does.
    ///
    /// A wait that may block sets up a timer and a queue entry, even if a descriptor is ready. A
    /// poll does neither. Use 1 in a loop that is mostly busy: it saves that cost if work is ready,
    /// and costs one call more if not. Use 100 to 200 when another core is about to wake this
    /// thread: the thread is still awake then, at the price of this core's time. 0 is
    /// [`wait`](Self::wait).
    ///
    /// The polls do not count towards `timeout`: the wait ends later by their time, never earlier.
    /// With `Duration::ZERO` there is one poll, whatever `spins`.
    ///
    /// ```
    /// use barepoll::{Epoll, Event, EventData, EventFd, EventFdFlags, EventFlags};
    /// use core::time::Duration;
    ///
    /// let (epoll, eventfd) = (Epoll::new()?, EventFd::new(1, EventFdFlags::CLOEXEC)?);
    /// epoll.add(&eventfd, EventData::new_u64(1), EventFlags::IN)?;
    /// let mut buffer = Event::buffer::<8>();
    /// let ready = epoll.wait_spinning(&mut buffer, Some(Duration::from_millis(5)), 1)?; // by the first poll
    /// assert_eq!(ready.len(), 1);
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait), and an error ends the polls at once. A signal handler that runs
    /// between two polls is no error.
    ///
    /// See [`epoll_wait(2)`](https://man7.org/linux/man-pages/man2/epoll_wait.2.html).
    #[doc(alias = "epoll_wait")]
    #[doc(alias = "busy")]
    #[inline]
    pub fn wait_spinning<'b>(
        &self,
        events: &'b mut [MaybeUninit<Event>],
        timeout: impl Into<Timeout>,
        spins: u32,
    ) -> Result<&'b mut [Event]> {
        let timeout = timeout.into();
        if timeout != Timeout::ZERO {
            for _ in 0..spins {
                let ready = self.wait_once(events, Form::Millis(0), None)?;
                if ready > 0 {
                    // SAFETY: the kernel has written that many events, at most as many as there is
                    // room for.
                    return Ok(unsafe { assume_init(events, ready) });
                }
            }
        }
        self.wait(events, timeout)
    }

    /// Waits once, and returns the number of events that the kernel wrote.
    #[inline(always)]
    fn wait_once(&self, events: &mut [MaybeUninit<Event>], timeout: Form, mask: Option<&SigSet>) -> Result<usize> {
        const MAX_EVENTS: usize = i32::MAX as usize / size_of::<Event>();
        // By `match`, here and below. rustc gives core's generic `min` and `map_or` an unwinder's
        // personality, for any type and with `panic = "abort"` too. A function that inlines them
        // gets an unwind table.
        let room = match events.len() {
            0 => return Err(Errno::EINVAL),
            room @ 1..=MAX_EVENTS => room as i32,
            _ => MAX_EVENTS as i32,
        };
        let (epfd, events) = (self.as_raw_fd(), events.as_mut_ptr().cast());
        // SAFETY: `events` has that much room.
        unsafe {
            match timeout {
                Form::Millis(ms) => fallback::wait_ms(epfd, events, room, ms, mask),
                Form::Timespec(timeout) => fallback::wait_timespec(epfd, events, room, timeout, mask),
            }
        }
    }

    /// Returns how this epoll polls network devices while it waits (Linux 6.9).
    ///
    /// ```
    /// use barepoll::Epoll;
    ///
    /// match Epoll::new()?.busy_poll() {
    ///     Ok(params) => assert_eq!(params.busy_poll_usecs, 0),
    ///     Err(errno) => println!("this kernel cannot: {errno}"),
    /// }
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - `ENOTTY`: the kernel is older than 6.9, or this was made `From` a descriptor that is no
    ///   epoll's. `EINVAL` or `EOPNOTSUPP`: the kernel was built without busy polling. `ENOSYS`: an
    ///   emulator does not know the request.
    /// - For a descriptor of another kind, the errors of its driver. Results from −4095 to −1 are
    ///   errors, all others success.
    ///
    /// See [`ioctl_eventpoll(2)`](https://man7.org/linux/man-pages/man2/ioctl_eventpoll.2.html).
    #[doc(alias = "EPIOCGPARAMS")]
    #[doc(alias = "epoll_params")]
    #[inline]
    pub fn busy_poll(&self) -> Result<BusyPoll> {
        let mut params = EpollParams::default();
        // SAFETY: `params` is what this request writes.
        unsafe { raw::ioctl(self.as_raw_fd(), raw::EPIOCGPARAMS, ptr::addr_of_mut!(params).cast())? };
        Ok(BusyPoll {
            busy_poll_usecs: params.busy_poll_usecs,
            busy_poll_budget: params.busy_poll_budget,
            prefer_busy_poll: params.prefer_busy_poll != 0,
        })
    }

    /// Sets how this epoll polls network devices while it waits (Linux 6.9).
    ///
    /// ```
    /// use barepoll::{BusyPoll, Epoll};
    ///
    /// let params = BusyPoll { busy_poll_usecs: 50, busy_poll_budget: 8, prefer_busy_poll: true };
    /// match Epoll::new()?.set_busy_poll(params) {
    ///     Ok(()) => {}
    ///     Err(errno) => println!("this kernel cannot: {errno}"),
    /// }
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - `EINVAL`: `busy_poll_usecs` is above `i32::MAX`. `EPERM`: a budget above 64 without
    ///   `CAP_NET_ADMIN`.
    /// - `ENOTTY`: the kernel is older than 6.9, or this was made `From` a descriptor that is no
    ///   epoll's. `EINVAL` or `EOPNOTSUPP`: the kernel was built without busy polling. `ENOSYS`: an
    ///   emulator does not know the request.
    /// - For a descriptor of another kind, the errors of its driver. Results from −4095 to −1 are
    ///   errors, all others success.
    ///
    /// See [`ioctl_eventpoll(2)`](https://man7.org/linux/man-pages/man2/ioctl_eventpoll.2.html).
    #[doc(alias = "EPIOCSPARAMS")]
    #[doc(alias = "epoll_params")]
    #[inline]
    pub fn set_busy_poll(&self, params: BusyPoll) -> Result<()> {
        let mut params = EpollParams {
            busy_poll_usecs: params.busy_poll_usecs,
            busy_poll_budget: params.busy_poll_budget,
            prefer_busy_poll: params.prefer_busy_poll.into(),
            padding: 0,
        };
        // SAFETY: `params` is what this request reads.
        unsafe { raw::ioctl(self.as_raw_fd(), raw::EPIOCSPARAMS, ptr::addr_of_mut!(params).cast()) }.map(drop)
    }
}

/// Makes an epoll. It is generic because [`Epoll::new`] then has an instruction less on riscv64,
/// loongarch64 and powerpc64le.
#[inline(always)]
fn create<T: FromRawFd>(flags: CreateFlags) -> Result<T> {
    // SAFETY: the call takes no pointer, and a result that is no error is a new descriptor.
    unsafe { fd::from_returned(arch::syscall1::<{ nr::EPOLL_CREATE1 }>(flags.bits() as usize)) }
}

/// The first `ready` events, as initialised ones.
///
/// # Safety
///
/// The first `ready` events must be initialised. After a wait they are. The crate trusts the
/// kernel's count as it trusts its writes into the buffer. A check would cost every wait an
/// instruction and protect from nothing.
#[inline(always)]
unsafe fn assume_init(events: &mut [MaybeUninit<Event>], ready: usize) -> &mut [Event] {
    // SAFETY: the caller vouches for `ready`, and `MaybeUninit<Event>` is laid out as an `Event`.
    unsafe { slice::from_raw_parts_mut(events.as_mut_ptr().cast(), ready) }
}

/// How an epoll busy-polls network devices (NAPI) while it waits.
///
/// It polls instead of waiting for interrupts. All fields are zero by default: then the system-wide
/// `/proc/sys/net/core/busy_poll` applies, which is 0 (off) by default.
///
/// ```
/// use barepoll::{BusyPoll, Epoll};
///
/// let params = BusyPoll { busy_poll_usecs: 50, ..BusyPoll::default() };
/// if Epoll::new()?.set_busy_poll(params).is_err() {
///     println!("a kernel before 6.9, or one without networking");
/// }
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// See [`ioctl_eventpoll(2)`](https://man7.org/linux/man-pages/man2/ioctl_eventpoll.2.html).
#[doc(alias = "epoll_params")]
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct BusyPoll {
    /// The time to poll, in microseconds. 0 uses `/proc/sys/net/core/busy_poll`.
    pub busy_poll_usecs: u32,
    /// The number of packets to handle in one go. 0 is the kernel's default, 8.
    pub busy_poll_budget: u16,
    /// Whether to defer the device's interrupts while the application polls often enough.
    pub prefer_busy_poll: bool,
}

/// The kernel's `struct epoll_params`. Its flag is a byte, which may not be a valid `bool`.
#[derive(Default)]
#[repr(C)]
struct EpollParams {
    busy_poll_usecs: u32,
    busy_poll_budget: u16,
    prefer_busy_poll: u8,
    padding: u8,
}

const _: () = assert!(size_of::<EpollParams>() == 8);
