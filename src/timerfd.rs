//! The safe interface of timerfd.

use crate::arch::{self, nr};
use crate::errno::Result;
use crate::eventfd::read_value;
use crate::fd::{self, impl_owned_fd, AsRawFd, OwnedFd};
use crate::flags::TimerFdFlags;
use crate::raw::{Itimerspec, Timespec};
use crate::uapi;
use core::fmt;
use core::time::Duration;

mod calls;

/// A timer in the kernel that is readable once it has expired.
///
/// An [`Epoll`](crate::Epoll) can watch it beside sockets. One timer does for a loop: set it to the
/// next deadline. Dropping it closes it.
///
/// ```
/// use barepoll::{Clock, Epoll, Event, EventData, EventFlags, TimerFd, TimerFdFlags, TimerSetting};
/// use core::time::Duration;
///
/// let (epoll, timer) = (Epoll::new()?, TimerFd::new(Clock::MONOTONIC, TimerFdFlags::CLOEXEC)?);
/// epoll.add(&timer, EventData::new_u64(7), EventFlags::IN)?;
/// timer.set(TimerSetting::after(Duration::from_millis(2)))?;
///
/// let mut buffer = Event::buffer::<8>();
/// for event in epoll.wait_uninterrupted(&mut buffer, None)? {
///     assert_eq!((event.data().u64(), timer.read()?), (7, 1));
/// }
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// See [`timerfd_create(2)`](https://man7.org/linux/man-pages/man2/timerfd_create.2.html).
#[doc(alias = "timerfd")]
#[repr(transparent)]
pub struct TimerFd(OwnedFd);

impl_owned_fd!(TimerFd);

impl TimerFd {
    /// Makes a timer of this clock. It is disarmed.
    ///
    /// ```
    /// use barepoll::{Clock, Errno, TimerFd, TimerFdFlags};
    ///
    /// let timer = TimerFd::new(Clock::MONOTONIC, TimerFdFlags::CLOEXEC | TimerFdFlags::NONBLOCK)?;
    /// assert_eq!(timer.read(), Err(Errno::EAGAIN));
    /// # Ok::<(), Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - `EINVAL`: a flag is unknown, or the clock has no timers in this kernel.
    /// - `EPERM`: a clock of alarms without `CAP_WAKE_ALARM`.
    /// - `EMFILE`: this process has no descriptor left. `ENFILE`: the system has no file left.
    /// - `ENODEV`: the kernel could not mount its anonymous inodes. `ENOMEM`: it has no memory for
    ///   the timer.
    /// - `ENOSYS`: a kernel that was built without timers as descriptors, or an emulator.
    ///
    /// See [`timerfd_create(2)`](https://man7.org/linux/man-pages/man2/timerfd_create.2.html).
    #[doc(alias = "timerfd_create")]
    #[inline]
    pub fn new(clock: Clock, flags: TimerFdFlags) -> Result<Self> {
        let (clock, flags) = (clock.raw() as usize, flags.bits() as usize);
        // SAFETY: the call takes no pointer, and a result that is no error is a new descriptor.
        unsafe { fd::from_returned(arch::syscall2::<{ nr::TIMERFD_CREATE }>(clock, flags)) }
    }

    /// Arms the timer, whatever it was set to before.
    ///
    /// Forgets expirations that nothing has read. The timer never expires early. It may expire
    /// later, because of load. It has no timer slack.
    ///
    /// ```
    /// use barepoll::{Clock, TimerFd, TimerFdFlags, TimerSetting};
    /// use core::time::Duration;
    ///
    /// let timer = TimerFd::new(Clock::MONOTONIC, TimerFdFlags::CLOEXEC)?;
    /// timer.set(TimerSetting::every(Duration::from_micros(500)))?;
    /// assert!(timer.read()? >= 1);
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - `ECANCELED`: the clock was set, and no [`read`](Self::read) has said so. None will. The timer
    ///   is armed all the same. Only for [`cancel_on_set`](TimerSetting::cancel_on_set).
    /// - `EINVAL`: [`cancel_on_set`](TimerSetting::cancel_on_set) before Linux 3.0. Or this was made
    ///   `From` a descriptor that is no timer. `EBADF`: this was made from one that was opened with
    ///   `O_PATH`.
    /// - `EOVERFLOW`: a 32-bit machine's kernel is older than 5.1, or its container runtime is old,
    ///   or the system is Android. A time has more than `i32::MAX` seconds, so an absolute time is
    ///   after January 2038. The timer is as before.
    /// - `EPERM`: a clock of alarms without `CAP_WAKE_ALARM`.
    ///
    /// See [`timerfd_settime(2)`](https://man7.org/linux/man-pages/man2/timerfd_settime.2.html).
    #[doc(alias = "timerfd_settime")]
    #[doc(alias = "timerfd_settime64")]
    #[inline]
    pub fn set(&self, setting: TimerSetting) -> Result<()> {
        // With a reference into `setting`, the compiler would store its flags too.
        let TimerSetting { times, flags } = setting;
        calls::set(self.as_raw_fd(), flags, &times)
    }

    /// Disarms the timer. It expires no more until it is [`set`](Self::set) again.
    ///
    /// Forgets expirations that nothing has read.
    ///
    /// ```
    /// use barepoll::{Clock, Errno, TimerFd, TimerFdFlags, TimerSetting};
    /// use core::time::Duration;
    ///
    /// let timer = TimerFd::new(Clock::MONOTONIC, TimerFdFlags::CLOEXEC | TimerFdFlags::NONBLOCK)?;
    /// timer.set(TimerSetting::after(Duration::ZERO))?; // it has expired
    /// timer.disarm()?;
    /// assert_eq!(timer.read(), Err(Errno::EAGAIN));
    /// # Ok::<(), Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - `EPERM`: a clock of alarms without `CAP_WAKE_ALARM`.
    /// - `EINVAL`: this was made `From` a descriptor that is no timer. `EBADF`: this was made from one
    ///   that was opened with `O_PATH`.
    ///
    /// See [`timerfd_settime(2)`](https://man7.org/linux/man-pages/man2/timerfd_settime.2.html).
    #[doc(alias = "timerfd_settime")]
    #[inline]
    pub fn disarm(&self) -> Result<()> {
        calls::set(self.as_raw_fd(), 0, &Itimerspec::default())
    }

    /// The time left until the next expiration, and the interval.
    ///
    /// ```
    /// use barepoll::{Clock, TimerFd, TimerFdFlags, TimerSetting};
    /// use core::time::Duration;
    ///
    /// const HOUR: Duration = Duration::from_secs(3600);
    /// let timer = TimerFd::new(Clock::MONOTONIC, TimerFdFlags::CLOEXEC)?;
    /// timer.set(TimerSetting::every(HOUR))?;
    /// let state = timer.get()?;
    /// assert!(state.remaining <= HOUR && state.interval == HOUR);
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - `EINVAL`: this was made `From` a descriptor that is no timer. `EBADF`: this was made from one
    ///   that was opened with `O_PATH`.
    /// - `EOVERFLOW`: the calls of this process have 32-bit times, as for [`set`](Self::set).
    ///   Another process has set a time that does not fit. The kernel then cuts the time, and only
    ///   half of such times look wrong. The others are too short here.
    ///
    /// See [`timerfd_gettime(2)`](https://man7.org/linux/man-pages/man2/timerfd_gettime.2.html).
    #[doc(alias = "timerfd_gettime")]
    #[doc(alias = "timerfd_gettime64")]
    #[inline]
    pub fn get(&self) -> Result<TimerState> {
        let time = calls::get(self.as_raw_fd())?;
        Ok(TimerState { remaining: time.it_value.duration(), interval: time.it_interval.duration() })
    }

    /// Returns how often the timer has expired since it was set or read.
    ///
    /// Waits while it has not expired, even if it is disarmed.
    ///
    /// ```
    /// use barepoll::{Clock, TimerFd, TimerFdFlags, TimerSetting};
    /// use core::time::Duration;
    ///
    /// let timer = TimerFd::new(Clock::MONOTONIC, TimerFdFlags::CLOEXEC)?;
    /// timer.set(TimerSetting::after(Duration::from_millis(1)))?;
    /// assert_eq!(timer.read()?, 1); // waits for a millisecond
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - `EAGAIN`: it has not expired, and is nonblocking. `EINTR`: a signal handler, installed
    ///   without `SA_RESTART`, ran while this waited.
    /// - `ECANCELED`: the clock was set, or the machine was suspended, for a timer with
    ///   [`cancel_on_set`](TimerSetting::cancel_on_set). An expiration that nothing has read is lost,
    ///   and a timer with an interval may have stopped. So set it again.
    /// - `EINVAL`: this was made `From` a descriptor that is no timer and has fewer than eight
    ///   bytes. `EBADF`: this was made from one that was opened with `O_PATH`.
    ///
    /// See [`read(2)`](https://man7.org/linux/man-pages/man2/read.2.html).
    #[inline]
    pub fn read(&self) -> Result<u64> {
        read_value(self.as_raw_fd())
    }
}

/// What [`TimerFd::set`] sets: when the timer expires, and how often.
///
/// ```
/// use barepoll::TimerSetting;
/// use core::time::Duration;
///
/// let (second, hour) = (Duration::from_secs(1), Duration::from_secs(3600));
/// // Once in a second. Then in a second, and each hour afterwards.
/// let (once, often) = (TimerSetting::after(second), TimerSetting::after(second).repeat(hour));
/// assert_eq!(TimerSetting::every(hour), TimerSetting::after(hour).repeat(hour));
/// # assert_ne!(once, often);
/// ```
///
/// Times are exact to the nanosecond. The kernel's clocks end after 292 years, so the timer does not
/// expire if the time is longer.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct TimerSetting {
    times: Itimerspec,
    flags: u32,
}

impl TimerSetting {
    /// Expires once, this time from now.
    ///
    /// [`Duration::ZERO`] expires at once. It does not disarm the timer.
    ///
    /// ```
    /// use barepoll::{Clock, TimerFd, TimerFdFlags, TimerSetting};
    /// use core::time::Duration;
    ///
    /// let timer = TimerFd::new(Clock::MONOTONIC, TimerFdFlags::CLOEXEC)?;
    /// timer.set(TimerSetting::after(Duration::ZERO))?;
    /// assert_eq!(timer.read()?, 1);
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    #[inline]
    pub const fn after(time: Duration) -> Self {
        Self::once(time, 0)
    }

    /// Expires once, when the clock shows this time.
    ///
    /// For [`Clock::REALTIME`] this is the time since 1970, and for the others the time since the
    /// machine started: what `clock_gettime` returns. A time in the past expires at once. If the
    /// clock is set, the timer follows it.
    ///
    /// ```
    /// use barepoll::{Clock, TimerFd, TimerFdFlags, TimerSetting};
    /// use std::time::{Duration, SystemTime};
    ///
    /// let timer = TimerFd::new(Clock::REALTIME, TimerFdFlags::CLOEXEC)?;
    /// let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    /// timer.set(TimerSetting::at(now + Duration::from_millis(1)))?;
    /// assert_eq!(timer.read()?, 1);
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    #[doc(alias = "TFD_TIMER_ABSTIME")]
    #[inline]
    pub const fn at(time: Duration) -> Self {
        Self::once(time, uapi::TFD_TIMER_ABSTIME)
    }

    /// Expires again and again, this time from now and after each expiration.
    ///
    /// [`Duration::ZERO`] expires once, at once.
    ///
    /// ```
    /// use barepoll::{Clock, TimerFd, TimerFdFlags, TimerSetting};
    /// use core::time::Duration;
    ///
    /// let timer = TimerFd::new(Clock::MONOTONIC, TimerFdFlags::CLOEXEC)?;
    /// timer.set(TimerSetting::every(Duration::from_millis(1)))?;
    /// let mut expirations = 0;
    /// while expirations < 3 {
    ///     expirations += timer.read()?;
    /// }
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    #[inline]
    pub const fn every(interval: Duration) -> Self {
        Self::after(interval).repeat(interval)
    }

    /// Also expires each `interval` after the first expiration.
    ///
    /// A late read does not shift later expirations. [`Duration::ZERO`] is no interval. A kernel
    /// without high-resolution timers counts an interval shorter than its tick (1 to 10 ms) as a
    /// tick.
    ///
    /// ```
    /// use barepoll::{Clock, TimerFd, TimerFdFlags, TimerSetting};
    /// use core::time::Duration;
    ///
    /// let timer = TimerFd::new(Clock::MONOTONIC, TimerFdFlags::CLOEXEC)?;
    /// timer.set(TimerSetting::after(Duration::ZERO).repeat(Duration::from_secs(60)))?;
    /// assert_eq!(timer.read()?, 1);
    /// assert_eq!(timer.get()?.interval, Duration::from_secs(60));
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    #[inline]
    pub const fn repeat(self, interval: Duration) -> Self {
        let times = Itimerspec { it_interval: Timespec::new(interval), it_value: self.times.it_value };
        Self { times, flags: self.flags }
    }

    /// Makes a [`read`](TimerFd::read) fail with [`ECANCELED`](crate::Errno::ECANCELED) once the
    /// clock was set (Linux 3.0).
    ///
    /// The timer is readable then, even before it expires. So a program learns that its wall clock
    /// times have changed. Resuming a suspended machine counts as setting the clock. The kernel ignores this except for [`at`](Self::at) and
    /// [`Clock::REALTIME`] or [`Clock::REALTIME_ALARM`].
    ///
    /// ```
    /// use barepoll::{Clock, Errno, TimerFd, TimerFdFlags, TimerSetting};
    /// use core::time::Duration;
    ///
    /// let timer = TimerFd::new(Clock::REALTIME, TimerFdFlags::CLOEXEC | TimerFdFlags::NONBLOCK)?;
    /// let in_2037 = Duration::from_secs(2_140_000_000);
    /// timer.set(TimerSetting::at(in_2037).cancel_on_set())?;
    /// match timer.read() {
    ///     Err(Errno::ECANCELED) => println!("the clock was set"),
    ///     Err(Errno::EAGAIN) => println!("not yet"),
    ///     answer => println!("{answer:?}"),
    /// }
    /// # Ok::<(), Errno>(())
    /// ```
    #[doc(alias = "TFD_TIMER_CANCEL_ON_SET")]
    #[inline]
    pub const fn cancel_on_set(self) -> Self {
        Self { times: self.times, flags: self.flags | uapi::TFD_TIMER_CANCEL_ON_SET }
    }

    #[inline]
    const fn once(time: Duration, flags: u32) -> Self {
        let mut first = Timespec::new(time);
        // A zero time would disarm the timer.
        if first.tv_sec == 0 && first.tv_nsec == 0 {
            first = Timespec { tv_sec: 0, tv_nsec: 1 };
        }
        Self { times: Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: first }, flags }
    }
}

/// What [`TimerFd::get`] returns.
///
/// ```
/// use barepoll::{Clock, TimerFd, TimerFdFlags, TimerState};
///
/// let timer = TimerFd::new(Clock::MONOTONIC, TimerFdFlags::CLOEXEC)?;
/// assert_eq!(timer.get()?, TimerState::default()); // disarmed
/// # Ok::<(), barepoll::Errno>(())
/// ```
#[derive(Copy, Clone, Default, PartialEq, Eq, Hash)]
pub struct TimerState {
    /// The time until the next expiration, even if the timer was set by [`TimerSetting::at`]. Zero
    /// if the timer is disarmed, or has no interval and has expired.
    pub remaining: Duration,
    /// The time between expirations. Zero if the timer expires once.
    pub interval: Duration,
}

/// Prints seconds and nanoseconds. The `Debug` of `Duration` has code that can panic.
impl fmt::Debug for TimerState {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [remaining, interval] = [Timespec::new(self.remaining), Timespec::new(self.interval)];
        f.debug_struct("TimerState").field("remaining", &remaining).field("interval", &interval).finish()
    }
}

/// A clock of a [`TimerFd`].
///
/// ```
/// use barepoll::{Clock, Errno, TimerFd, TimerFdFlags};
///
/// let timer = TimerFd::new(Clock::REALTIME, TimerFdFlags::CLOEXEC)?;
/// // A clock of processor time has no such timers.
/// assert_eq!(TimerFd::new(Clock::from_raw(2), TimerFdFlags::CLOEXEC).err(), Some(Errno::EINVAL));
/// # Ok::<(), Errno>(())
/// ```
///
/// See [`clock_gettime(2)`](https://man7.org/linux/man-pages/man2/clock_gettime.2.html).
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Clock(u32);

macro_rules! clocks {
    ($($(#[$meaning:meta])* $NAME:ident = $number:expr;)*) => {
        impl Clock {
            $($(#[$meaning])* pub const $NAME: Self = Self($number);)*
        }

        /// Prints a name, such as `MONOTONIC`, or a number, such as `Clock(2)`.
        impl fmt::Debug for Clock {
            #[inline]
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match *self {
                    $(Self::$NAME => f.write_str(stringify!($NAME)),)*
                    Self(number) => write!(f, "Clock({number})"),
                }
            }
        }
    };
}

clocks! {
    /// `CLOCK_REALTIME`: the time since 1970. Users and time servers set it.
    #[doc(alias = "CLOCK_REALTIME")]
    REALTIME = uapi::CLOCK_REALTIME;
    /// `CLOCK_MONOTONIC`: the time since the machine started. Nothing sets it. It stops while the
    /// machine is suspended.
    #[doc(alias = "CLOCK_MONOTONIC")]
    MONOTONIC = uapi::CLOCK_MONOTONIC;
    /// `CLOCK_BOOTTIME` (Linux 3.15): as `MONOTONIC`, but it runs while the machine is suspended.
    #[doc(alias = "CLOCK_BOOTTIME")]
    BOOTTIME = uapi::CLOCK_BOOTTIME;
    /// `CLOCK_REALTIME_ALARM` (Linux 3.11): as `REALTIME`, and its timers wake a suspended machine.
    /// Needs `CAP_WAKE_ALARM`, and a hardware clock that can wake the machine.
    #[doc(alias = "CLOCK_REALTIME_ALARM")]
    REALTIME_ALARM = uapi::CLOCK_REALTIME_ALARM;
    /// `CLOCK_BOOTTIME_ALARM` (Linux 3.11): as `BOOTTIME`, and its timers wake a suspended machine.
    /// Needs `CAP_WAKE_ALARM`, and a hardware clock that can wake the machine.
    #[doc(alias = "CLOCK_BOOTTIME_ALARM")]
    BOOTTIME_ALARM = uapi::CLOCK_BOOTTIME_ALARM;
}

impl Clock {
    /// The kernel's number.
    ///
    /// ```
    /// assert_eq!(barepoll::Clock::MONOTONIC.raw(), 1); // on every machine
    /// ```
    #[inline]
    #[must_use]
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// The clock with this number, whether the kernel has it or not.
    ///
    /// ```
    /// use barepoll::Clock;
    ///
    /// assert_eq!(Clock::from_raw(7), Clock::BOOTTIME);
    /// ```
    #[inline]
    #[must_use]
    pub const fn from_raw(number: u32) -> Self {
        Self(number)
    }
}
