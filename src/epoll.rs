//! The safe interface of epoll.

use crate::arch::{self, nr};
use crate::clock::Moment;
use crate::errno::{Errno, Result};
use crate::event::{Event, EventData};
use crate::fallback;
use crate::fd::{self, impl_owned_fd, AsFd, AsRawFd, FromRawFd, OwnedFd};
use crate::flags::{CreateFlags, EventFlags};
use crate::raw;
use crate::signal::SigSet;
use crate::timeout::{Timeout, Timespec};
use core::mem::{size_of, MaybeUninit};
use core::ptr;
use core::slice;
use core::time::Duration;

/// An interest list in the kernel, and the queue of what is ready in it. Closed on drop.
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
/// Every method takes `&self`, and any of them may run at the same time:
///
/// - What is [added](Self::add) or [changed](Self::modify) while another thread waits counts for that wait: if it is ready, the wait
///   ends.
/// - What is [deleted](Self::delete) is reported by no wait that begins later. One that has ended, or is ending, may have its event in a
///   buffer already: what its data points to must live until every waiting thread has come round once more.
/// - Two changes of one descriptor at the same time happen one after the other. Of two adds the second is `EEXIST`, and what the last change
///   says stays.
/// - Of several threads that wait for one epoll, a level wakes one and then, as long as it lasts, others too; an
///   [edge](EventFlags::ET) wakes one, and the next edge perhaps another before the first is done; a
///   [one-shot](EventFlags::ONESHOT) wakes one until it is armed again.
/// - Dropping the epoll takes an impl_owned_fd that nobody borrows, so no thread of safe code waits for it then.
///
/// See [`epoll(7)`](https://man7.org/linux/man-pages/man7/epoll.7.html).
#[doc(alias = "epoll")]
#[repr(transparent)]
pub struct Epoll(OwnedFd);

impl_owned_fd!(Epoll);

impl Epoll {
    /// A new epoll that is closed on exec.
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

    /// A new epoll with these flags; [`CreateFlags::empty`] lets it live on across exec.
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
    /// As [`new`](Self::new), and `EINVAL`: an unknown flag.
    ///
    /// See [`epoll_create1(2)`](https://man7.org/linux/man-pages/man2/epoll_create.2.html).
    #[doc(alias = "epoll_create1")]
    #[doc(alias = "EPOLL_CLOEXEC")]
    #[inline]
    pub fn with_flags(flags: CreateFlags) -> Result<Self> {
        create(flags)
    }

    /// Registers a descriptor. Pass it by reference: a descriptor given away would be closed, and so forgotten, at once.
    ///
    /// The registration belongs to the open file and the number together. It ends when the *last* duplicate of the file is
    /// closed, so [`delete`](Self::delete) before closing one that has duplicates (a fork's copy is one).
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
    /// - `EINVAL`: `source` is this epoll; or [`EventFlags::EXCLUSIVE`] with a flag it does not go with, or on an epoll; or this was made
    ///   `From` a descriptor that is no epoll's.
    /// - `ELOOP`: epolls would watch each other in a circle, or nest too deep. `EINVAL`: so would epolls that watch this one; or more of
    ///   them than the kernel follows (500 pairs) would come to `source`.
    /// - `EPERM`: a regular file, a directory or `/dev/null`, which is always ready and cannot be watched.
    /// - `ENOSPC`: this user watches as many as `/proc/sys/fs/epoll/max_user_watches` allows. `ENOMEM`: the kernel has no memory for one
    ///   more.
    /// - `EBADF`: `source` was opened with `O_PATH`, or what this was made from.
    ///
    /// See [`epoll_ctl(2)`](https://man7.org/linux/man-pages/man2/epoll_ctl.2.html).
    #[doc(alias = "epoll_ctl")]
    #[doc(alias = "EPOLL_CTL_ADD")]
    #[inline]
    pub fn add(&self, source: impl AsFd, data: EventData, interest: EventFlags) -> Result<()> {
        self.ctl(raw::EPOLL_CTL_ADD, source, &mut Event::new(interest, data))
    }

    /// Changes what a registered descriptor is watched for, and its data. This also re-arms
    /// [one-shot](EventFlags::ONESHOT) and [edge-triggered](EventFlags::ET) ones: what is ready now is reported again.
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
    /// - `EINVAL`: `source` is this epoll; or [`EventFlags::EXCLUSIVE`] is asked for or was before: it cannot be changed; or this was made
    ///   `From` a descriptor that is no epoll's.
    /// - `EPERM`: a regular file, a directory or `/dev/null`.
    /// - `EBADF`: `source` was opened with `O_PATH`, or what this was made from.
    ///
    /// See [`epoll_ctl(2)`](https://man7.org/linux/man-pages/man2/epoll_ctl.2.html).
    #[doc(alias = "epoll_ctl")]
    #[doc(alias = "EPOLL_CTL_MOD")]
    #[inline]
    pub fn modify(&self, source: impl AsFd, data: EventData, interest: EventFlags) -> Result<()> {
        self.ctl(raw::EPOLL_CTL_MOD, source, &mut Event::new(interest, data))
    }

    /// Forgets a descriptor. Another thread's wait may have its event in a buffer already.
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
    /// - `EINVAL`: `source` is this epoll, or this was made `From` a descriptor that is no epoll's. `EPERM`: a regular file, a directory or
    ///   `/dev/null`.
    /// - `EBADF`: `source` was opened with `O_PATH`, or what this was made from.
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
        // SAFETY: `add` and `modify` give an event of their own, `delete` gives null.
        unsafe { raw::epoll_ctl(self.as_raw_fd(), op, source.as_fd().as_raw_fd(), event) }
    }

    /// Waits until something is ready, at most `timeout`, and gives what was: the front of `events`, filled. An empty slice
    /// says that the time is over. `None` waits for ever, `Duration::ZERO` not at all.
    ///
    /// One call, one trap. A timeout of whole milliseconds (up to `i32::MAX`) uses `epoll_wait`; a finer or longer one
    /// `epoll_pwait2`. A kernel without that (before Linux 5.11), or a sandbox that refuses it with `EPERM`, is remembered, and the
    /// timeout then rounds *up* to a millisecond, and is cut to `i32::MAX` of them: there, a wait of more than 24 days may end early
    /// and empty. It is remembered for the process, so one sandboxed thread costs all threads the finer timeouts. (Before 2.6.37,
    /// timeouts beyond some half an hour had no end on some 32-bit machines.)
    ///
    /// `deadline - now` is seldom whole milliseconds, so it asks for `epoll_pwait2`. Where milliseconds are fine enough, round it up:
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
    /// On Android, this uses `epoll_pwait`, and a finer timeout rounds up in the same way. The sandbox there kills apps for `epoll_wait` on
    /// x86_64, and before Android 15 for `epoll_pwait2`.
    ///
    /// It ends no earlier, and later by what the machine is busy with and by the kernel's slack: the thread's own (50 µs, unless `prctl` with
    /// `PR_SET_TIMERSLACK` says otherwise), or a thousandth of the timeout where that is more (a two-hundredth in a niced process), at most
    /// 100 ms. Real-time threads have none.
    ///
    /// More events than `events` has room for come with the next wait. A buffer longer than the kernel takes (`i32::MAX`
    /// bytes) is used as far as it takes it. A `Vec` with capacity and no length has no room: pass
    /// [`Vec::spare_capacity_mut`] or a buffer of [`Event::buffer`].
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
    /// - `EINTR`: a signal handler ran, even one that was installed with `SA_RESTART`; or the process was stopped and went on (Ctrl-Z and
    ///   `fg`), without any handler. [`wait_uninterrupted`](Self::wait_uninterrupted) goes on instead.
    /// - `EINVAL`: `events` is empty, or this was made `From` a descriptor that is no epoll's; `EBADF`: from one that was opened with
    ///   `O_PATH`.
    ///
    /// See [`epoll_wait(2)`](https://man7.org/linux/man-pages/man2/epoll_wait.2.html).
    #[doc(alias = "epoll_wait")]
    #[doc(alias = "epoll_pwait2")]
    #[inline]
    pub fn wait<'b>(&self, events: &'b mut [MaybeUninit<Event>], timeout: Option<Duration>) -> Result<&'b mut [Event]> {
        let ready = self.wait_once(events, Timeout::new(timeout), None)?;
        // SAFETY: the kernel has written that many events, at most as many as there is room for.
        Ok(unsafe { assume_init(events, ready) })
    }

    /// As [`wait`](Self::wait), with `mask` as this thread's signal mask while it waits, and only then. If a signal is blocked in this
    /// thread but absent from `mask`, its handler can run only during this wait.
    ///
    /// The kernel looks for signals only before it sleeps. So with something ready, or with a timeout of zero, a pending signal stays
    /// pending and its handler does not run. A loop that always finds something ready must unblock such signals itself now and then.
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
        timeout: Option<Duration>,
        mask: &SigSet,
    ) -> Result<&'b mut [Event]> {
        let ready = self.wait_once(events, Timeout::new(timeout), Some(mask))?;
        // SAFETY: the kernel has written that many events, at most as many as there is room for.
        Ok(unsafe { assume_init(events, ready) })
    }

    /// As [`wait`](Self::wait), but a signal does not end it: it goes on for what is left of the time, counted by
    /// `CLOCK_MONOTONIC`.
    ///
    /// The clock is read once before a finite wait and once after each interruption. With feature `std` this is std's clock, which
    /// the vDSO answers on most machines. Without it, each reading is a system call, `clock_gettime`. The wait asks for the rest as it
    /// asked for the whole: whole milliseconds stay so, each remainder rounded up.
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
    /// As [`wait`](Self::wait), but no `EINTR`. Where a sandbox forbids `clock_gettime`, its error; with feature `std` std's clock panics
    /// then, if there is no vDSO.
    ///
    /// See [`epoll_wait(2)`](https://man7.org/linux/man-pages/man2/epoll_wait.2.html).
    #[doc(alias = "epoll_wait")]
    #[doc(alias = "EINTR")]
    #[inline]
    pub fn wait_uninterrupted<'b>(
        &self,
        events: &'b mut [MaybeUninit<Event>],
        timeout: Option<Duration>,
    ) -> Result<&'b mut [Event]> {
        let mut left = Timeout::new(timeout);
        let begun = match timeout {
            _ if events.is_empty() => None, // an error without a call
            None | Some(Duration::ZERO) => None,
            Some(timeout) => Some((Moment::now()?, timeout)),
        };
        loop {
            match self.wait_once(events, left, None) {
                Err(Errno::EINTR) => {}
                // SAFETY: the kernel has written that many events, at most as many as there is room for.
                answer => return answer.map(|ready| unsafe { assume_init(events, ready) }),
            }
            if let Some((start, timeout)) = &begun {
                left = left.with_remaining(Timespec::from(*timeout).saturating_sub(start.elapsed()?));
            }
        }
    }

    /// As [`wait`](Self::wait), but looks up to `spins` times without waiting before it does.
    ///
    /// A wait that may block sets up a timer and a place in a queue, even where something is ready; a look does neither. 1 is for a
    /// loop that is mostly busy: with work ready it saves that cost, without it it costs one call more. 100 to 200 are for a wake-up from
    /// another core that is soon to come: it finds this thread awake, at the price of that core's time. 0 is
    /// [`wait`](Self::wait).
    ///
    /// The looks are not taken off `timeout`: it ends later by them, never earlier. With `Duration::ZERO` there is one look,
    /// whatever `spins`.
    ///
    /// ```
    /// use barepoll::{Epoll, Event, EventData, EventFd, EventFdFlags, EventFlags};
    /// use core::time::Duration;
    ///
    /// let (epoll, eventfd) = (Epoll::new()?, EventFd::new(1, EventFdFlags::CLOEXEC)?);
    /// epoll.add(&eventfd, EventData::new_u64(1), EventFlags::IN)?;
    /// let mut buffer = Event::buffer::<8>();
    /// let ready = epoll.wait_spinning(&mut buffer, Some(Duration::from_millis(5)), 1)?; // at the first look
    /// assert_eq!(ready.len(), 1);
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait), at once; but a handler that runs between two looks ends neither them nor the wait.
    ///
    /// See [`epoll_wait(2)`](https://man7.org/linux/man-pages/man2/epoll_wait.2.html).
    #[doc(alias = "epoll_wait")]
    #[doc(alias = "busy")]
    #[inline]
    pub fn wait_spinning<'b>(
        &self,
        events: &'b mut [MaybeUninit<Event>],
        timeout: Option<Duration>,
        spins: u32,
    ) -> Result<&'b mut [Event]> {
        if timeout != Some(Duration::ZERO) {
            for _ in 0..spins {
                let ready = self.wait_once(events, Timeout::Millis(0), None)?;
                if ready > 0 {
                    // SAFETY: the kernel has written that many events, at most as many as there is room for.
                    return Ok(unsafe { assume_init(events, ready) });
                }
            }
        }
        self.wait(events, timeout)
    }

    /// Waits once, and gives the number of events that the kernel wrote.
    #[inline(always)]
    fn wait_once(&self, events: &mut [MaybeUninit<Event>], timeout: Timeout, mask: Option<&SigSet>) -> Result<usize> {
        const MAX_EVENTS: usize = i32::MAX as usize / size_of::<Event>();
        // By `match`, here and below: rustc gives core's generic `min` and `map_or` an unwinder's personality, whatever their types and with
        // `panic = "abort"` too, and whoever inlines them an unwind table.
        let room = match events.len() {
            0 => return Err(Errno::EINVAL),
            room @ 1..=MAX_EVENTS => room as i32,
            _ => MAX_EVENTS as i32,
        };
        let (epfd, events) = (self.as_raw_fd(), events.as_mut_ptr().cast());
        // SAFETY: `events` has that much room.
        unsafe {
            match timeout {
                Timeout::Millis(ms) => fallback::wait_ms(epfd, events, room, ms, mask),
                Timeout::Timespec(timeout) => fallback::wait_timespec(epfd, events, room, timeout, mask),
            }
        }
    }

    /// How this epoll polls network devices while it waits (Linux 6.9).
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
    /// - `ENOTTY`: the kernel is older than 6.9, or this was made `From` a descriptor that is no epoll's. `EINVAL` or `EOPNOTSUPP`: the
    ///   kernel was built without busy polling.
    ///   `ENOSYS`: an emulator that does not know the request.
    /// - Whatever its driver answers, for a descriptor of another kind. The answers from −4095 to −1 are errors, and all others success.
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
    /// - `EINVAL`: `busy_poll_usecs` is above `i32::MAX`. `EPERM`: a budget above 64 without `CAP_NET_ADMIN`.
    /// - `ENOTTY`: the kernel is older than 6.9, or this was made `From` a descriptor that is no epoll's. `EINVAL` or `EOPNOTSUPP`: the
    ///   kernel was built without busy polling.
    ///   `ENOSYS`: an emulator that does not know the request.
    /// - Whatever its driver answers, for a descriptor of another kind. The answers from −4095 to −1 are errors, and all others success.
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
/// So many events of the slice must be initialised. After a wait they are: the kernel's count is trusted, as its writing
/// into the buffer is; checking it would cost every wait an instruction and protect from nothing.
#[inline(always)]
unsafe fn assume_init(events: &mut [MaybeUninit<Event>], ready: usize) -> &mut [Event] {
    // SAFETY: the caller vouches for `ready`, and `MaybeUninit<Event>` is laid out as an `Event`.
    unsafe { slice::from_raw_parts_mut(events.as_mut_ptr().cast(), ready) }
}

/// How an epoll polls network devices (NAPI) itself while it waits, instead of waiting for their interrupts.
///
/// All zero by default: as the system-wide `/proc/sys/net/core/busy_poll` says, which is 0 (off) unless somebody changes it.
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
    /// How long to poll, in microseconds; 0 leaves it to `/proc/sys/net/core/busy_poll`.
    pub busy_poll_usecs: u32,
    /// How many packets to handle in one go; 0 is the kernel's default, 8.
    pub busy_poll_budget: u16,
    /// Whether to hold the device's interrupts back while the application polls often enough.
    pub prefer_busy_poll: bool,
}

/// The kernel's `struct epoll_params`. Its flag is a byte, and not every byte is a `bool`.
#[derive(Default)]
#[repr(C)]
struct EpollParams {
    busy_poll_usecs: u32,
    busy_poll_budget: u16,
    prefer_busy_poll: u8,
    padding: u8,
}

const _: () = assert!(size_of::<EpollParams>() == 8);
