//! The flags of events, and of new epolls, eventfds, timers, signalfds and pidfds.

use crate::uapi;
use bitflags::{iter, parser, Flag, Flags};
use core::fmt;
use core::ops::{BitAnd, BitAndAssign, BitOr, BitOrAssign, BitXor, BitXorAssign, Not, Sub, SubAssign};

/// Implements what `bitflags!` does, for flags that keep every bit, with every function inline.
///
/// The functions of `bitflags!` that print are not inline. They would be in this crate's object
/// file, which would then need `core`'s. The prebuilt `core` is one object file that needs
/// `rust_eh_personality`, which only std has. So a library without std and without LTO could not be
/// loaded, even if it prints nothing. `cargo xtask symbols` checks that the crate's object file
/// needs nothing of `core`.
macro_rules! impl_flags {
    (impl $Flags:ident { $($(#[$meaning:meta])* const $NAME:ident = $bits:expr;)* }) => {
        impl $Flags {
            $($(#[$meaning])* pub const $NAME: Self = Self($bits);)*

            /// No flag.
            #[inline]
            #[must_use]
            pub const fn empty() -> Self {
                Self(0)
            }

            /// Every bit, with or without a name.
            #[inline]
            #[must_use]
            pub const fn all() -> Self {
                Self(!0)
            }

            /// The kernel's number.
            #[inline]
            #[must_use]
            pub const fn bits(&self) -> u32 {
                self.0
            }

            /// The flags with these bits. Never `None`: bits without a name stay.
            #[inline]
            #[must_use]
            pub const fn from_bits(bits: u32) -> Option<Self> {
                Some(Self(bits))
            }

            /// The flags with these bits. Truncates nothing: bits without a name stay.
            #[inline]
            #[must_use]
            pub const fn from_bits_truncate(bits: u32) -> Self {
                Self(bits)
            }

            /// The flags with these bits.
            #[inline]
            #[must_use]
            pub const fn from_bits_retain(bits: u32) -> Self {
                Self(bits)
            }

            /// The flag with this name.
            #[inline]
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $(stringify!($NAME) => Some(Self::$NAME),)*
                    _ => None,
                }
            }

            /// Whether no bit is set.
            #[inline]
            #[must_use]
            pub const fn is_empty(&self) -> bool {
                self.0 == 0
            }

            /// Whether every bit is set, with or without a name.
            #[inline]
            #[must_use]
            pub const fn is_all(&self) -> bool {
                self.0 == !0
            }

            /// Whether a bit is set in both.
            #[inline]
            #[must_use]
            pub const fn intersects(&self, other: Self) -> bool {
                self.0 & other.0 != 0
            }

            /// Whether every bit of `other` is set.
            #[inline]
            #[must_use]
            pub const fn contains(&self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// Sets the bits of `other`.
            #[inline]
            pub fn insert(&mut self, other: Self) {
                self.0 |= other.0;
            }

            /// Clears the bits of `other`.
            #[inline]
            pub fn remove(&mut self, other: Self) {
                self.0 &= !other.0;
            }

            /// Sets the bits of `other` that are clear, and clears those that are set.
            #[inline]
            pub fn toggle(&mut self, other: Self) {
                self.0 ^= other.0;
            }

            /// Sets or clears the bits of `other`.
            #[inline]
            pub fn set(&mut self, other: Self, value: bool) {
                if value {
                    self.insert(other);
                } else {
                    self.remove(other);
                }
            }

            /// The bits that are set in both (`&`).
            #[inline]
            #[must_use]
            pub const fn intersection(self, other: Self) -> Self {
                Self(self.0 & other.0)
            }

            /// The bits that are set in either (`|`).
            #[inline]
            #[must_use]
            pub const fn union(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            /// The bits that are set here and not in `other` (`-`).
            #[inline]
            #[must_use]
            pub const fn difference(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }

            /// The bits that are set in one of the two (`^`).
            #[inline]
            #[must_use]
            pub const fn symmetric_difference(self, other: Self) -> Self {
                Self(self.0 ^ other.0)
            }

            /// The bits that are clear here (`!`).
            #[inline]
            #[must_use]
            pub const fn complement(self) -> Self {
                Self(!self.0)
            }

            /// Each flag that is set, and then the bits without a name, as one.
            #[inline]
            pub fn iter(&self) -> iter::Iter<Self> {
                Flags::iter(self)
            }

            /// Each flag that is set, with its name.
            #[inline]
            pub fn iter_names(&self) -> iter::IterNames<Self> {
                Flags::iter_names(self)
            }
        }

        impl Flags for $Flags {
            const FLAGS: &'static [Flag<Self>] = &[$(Flag::new(stringify!($NAME), Self::$NAME),)* Flag::new("", Self(!0))];
            type Bits = u32;

            #[inline]
            fn bits(&self) -> u32 {
                self.0
            }

            #[inline]
            fn from_bits_retain(bits: u32) -> Self {
                Self(bits)
            }
        }

        impl_operators!($Flags: BitOr bitor union, BitOrAssign bitor_assign insert);
        impl_operators!($Flags: BitAnd bitand intersection);
        impl_operators!($Flags: BitXor bitxor symmetric_difference, BitXorAssign bitxor_assign toggle);
        impl_operators!($Flags: Sub sub difference, SubAssign sub_assign remove);

        impl BitAndAssign for $Flags {
            #[inline]
            fn bitand_assign(&mut self, other: Self) {
                self.0 &= other.0;
            }
        }

        impl Not for $Flags {
            type Output = Self;

            #[inline]
            fn not(self) -> Self {
                self.complement()
            }
        }

        impl Extend<Self> for $Flags {
            #[inline]
            fn extend<T: IntoIterator<Item = Self>>(&mut self, flags: T) {
                for flag in flags {
                    self.insert(flag);
                }
            }
        }

        impl FromIterator<Self> for $Flags {
            #[inline]
            fn from_iter<T: IntoIterator<Item = Self>>(flags: T) -> Self {
                let mut all = Self::empty();
                all.extend(flags);
                all
            }
        }

        impl IntoIterator for $Flags {
            type Item = Self;
            type IntoIter = iter::Iter<Self>;

            #[inline]
            fn into_iter(self) -> Self::IntoIter {
                self.iter()
            }
        }

        /// Prints names, such as `IN | RDHUP`, and bits without a name, such as `0x1000000`.
        impl fmt::Debug for $Flags {
            #[inline]
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($Flags), "("))?;
                parser::to_writer(self, &mut *f)?;
                f.write_str(")")
            }
        }

        impl_formats!($Flags: Binary Octal LowerHex UpperHex);
    };
}

/// Implements an operator, and its assigning form, by methods.
macro_rules! impl_operators {
    ($Flags:ident: $Operator:ident $operator:ident $method:ident $(, $Assign:ident $assign:ident $change:ident)?) => {
        impl $Operator for $Flags {
            type Output = Self;

            #[inline]
            fn $operator(self, other: Self) -> Self {
                self.$method(other)
            }
        }

        $(impl $Assign for $Flags {
            #[inline]
            fn $assign(&mut self, other: Self) {
                self.$change(other);
            }
        })?
    };
}

/// Implements these formats, which print the bits as a number.
macro_rules! impl_formats {
    ($Flags:ident: $($Format:ident)*) => {
        $(impl fmt::$Format for $Flags {
            #[inline]
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::$Format::fmt(&self.0, f)
            }
        })*
    };
}

/// The flags of an interest and of an event.
///
/// The kernel always reports [`ERR`](Self::ERR) and [`HUP`](Self::HUP). The crate keeps bits that
/// it has no name for, in both directions.
///
/// ```
/// use barepoll::EventFlags;
///
/// const INTEREST: EventFlags = EventFlags::IN.union(EventFlags::RDHUP);
/// let mut interest = INTEREST | EventFlags::ET;
/// assert!(interest.contains(EventFlags::IN) && !interest.intersects(EventFlags::OUT));
/// interest.remove(EventFlags::ET);
/// assert_eq!((interest - EventFlags::IN, interest.is_empty()), (EventFlags::RDHUP, false));
/// assert_eq!(interest.iter_names().map(|(name, _)| name).collect::<Vec<_>>(), ["IN", "RDHUP"]);
/// assert_eq!(EventFlags::from_bits_retain(1 << 24).bits(), 1 << 24);
/// ```
///
/// See [`epoll_ctl(2)`](https://man7.org/linux/man-pages/man2/epoll_ctl.2.html).
#[derive(Copy, Clone, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct EventFlags(u32);

impl_flags! {
    impl EventFlags {
        /// `EPOLLIN`: readable: a read does not block now. End of input and a pending connection
        /// are readable too.
        #[doc(alias = "EPOLLIN")]
        const IN = uapi::EPOLLIN;
        /// `EPOLLPRI`: an exceptional condition: out-of-band data, or a change in a `/proc` or
        /// cgroup file.
        #[doc(alias = "EPOLLPRI")]
        const PRI = uapi::EPOLLPRI;
        /// `EPOLLOUT`: writable: a nonblocking write takes at least one byte. A blocking write of
        /// more than fits blocks.
        #[doc(alias = "EPOLLOUT")]
        const OUT = uapi::EPOLLOUT;
        /// `EPOLLERR`: an error is pending, or a pipe has no reader. Always reported.
        #[doc(alias = "EPOLLERR")]
        const ERR = uapi::EPOLLERR;
        /// `EPOLLHUP`: hung up: the other end of a pipe is closed, or both directions of a stream
        /// are shut down. A stream socket that is neither connected nor listening is `OUT | HUP`.
        /// Always reported.
        #[doc(alias = "EPOLLHUP")]
        const HUP = uapi::EPOLLHUP;
        /// `EPOLLNVAL`: poll's flag for a descriptor that is not open. epoll returns `EBADF`
        /// instead.
        #[doc(alias = "EPOLLNVAL")]
        const NVAL = uapi::EPOLLNVAL;
        /// `EPOLLRDNORM`: as `IN`, for ordinary data.
        #[doc(alias = "EPOLLRDNORM")]
        const RDNORM = uapi::EPOLLRDNORM;
        /// `EPOLLRDBAND`: priority data can be read.
        #[doc(alias = "EPOLLRDBAND")]
        const RDBAND = uapi::EPOLLRDBAND;
        /// `EPOLLWRNORM`: as `OUT`, for ordinary data.
        #[doc(alias = "EPOLLWRNORM")]
        const WRNORM = uapi::EPOLLWRNORM;
        /// `EPOLLWRBAND`: priority data can be written.
        #[doc(alias = "EPOLLWRBAND")]
        const WRBAND = uapi::EPOLLWRBAND;
        /// `EPOLLMSG`: unused by the kernel.
        #[doc(alias = "EPOLLMSG")]
        const MSG = uapi::EPOLLMSG;
        /// `EPOLLRDHUP`: the peer of a stream will send nothing more (it closed, or shut down its
        /// writing half).
        #[doc(alias = "EPOLLRDHUP")]
        const RDHUP = uapi::EPOLLRDHUP;
        /// `EPOLL_URING_WAKE`: the kernel's mark on a wake-up from io_uring. Do not set it.
        #[doc(alias = "EPOLL_URING_WAKE")]
        const URING_WAKE = uapi::EPOLL_URING_WAKE;
        /// `EPOLLEXCLUSIVE` (Linux 4.5): if several epolls watch a descriptor, wake one or a few,
        /// not all. Allowed only when adding, and only with `IN`, `OUT`, `ERR`, `HUP`, `WAKEUP` and
        /// `ET`.
        #[doc(alias = "EPOLLEXCLUSIVE")]
        const EXCLUSIVE = uapi::EPOLLEXCLUSIVE;
        /// `EPOLLWAKEUP` (Linux 3.5): prevent the machine from suspending while the program handles
        /// this event. Without `CAP_BLOCK_SUSPEND` the kernel silently ignores it.
        #[doc(alias = "EPOLLWAKEUP")]
        const WAKEUP = uapi::EPOLLWAKEUP;
        /// `EPOLLONESHOT`: report once, then not until [`Epoll::modify`](crate::Epoll::modify)
        /// re-arms it.
        #[doc(alias = "EPOLLONESHOT")]
        const ONESHOT = uapi::EPOLLONESHOT;
        /// `EPOLLET`: edge-triggered: report a new arrival, not a lasting state.
        #[doc(alias = "EPOLLET")]
        const ET = uapi::EPOLLET;
    }
}

impl EventFlags {
    /// Whether a read does not block now. It returns data, the end of input or an error.
    ///
    /// Each of these bits is a reason:
    /// - [`IN`](Self::IN): there is data, the end of input, or a connection to accept.
    /// - [`RDHUP`](Self::RDHUP), if it is in the interest: the peer has shut down its writing side.
    ///   After the data that is left comes the end of input.
    /// - [`HUP`](Self::HUP): a pipe has no writer, or a socket is shut down in both directions. A
    ///   pipe that hung up has no `IN` when it is empty.
    /// - [`ERR`](Self::ERR): a socket's read returns the error. A socket with timestamps or
    ///   `MSG_ZEROCOPY` is an exception: there `ERR` may only mean that its error queue has messages.
    ///   Read them with `MSG_ERRQUEUE`, or the event stays.
    /// - [`RDNORM`](Self::RDNORM), if it is in the interest: as `IN`.
    ///
    /// [`PRI`](Self::PRI) is none of them: a read does not return out-of-band data.
    ///
    /// ```
    /// use barepoll::EventFlags;
    ///
    /// assert!(EventFlags::HUP.is_readable());
    /// assert!(!EventFlags::OUT.is_readable());
    /// ```
    #[inline]
    #[must_use]
    pub const fn is_readable(self) -> bool {
        self.0 & (uapi::EPOLLIN | uapi::EPOLLRDNORM | uapi::EPOLLRDHUP | uapi::EPOLLHUP | uapi::EPOLLERR) != 0
    }

    /// Whether a nonblocking write does something now. It takes bytes or returns an error.
    ///
    /// Each of these bits is a reason:
    /// - [`OUT`](Self::OUT): there is room, or a `connect` has ended.
    /// - [`HUP`](Self::HUP): a socket is shut down in both directions. A write returns `EPIPE`.
    /// - [`ERR`](Self::ERR): a pipe has no reader, and a write returns `EPIPE`. Or a socket's write
    ///   returns the error, with the exception that [`is_readable`](Self::is_readable) names.
    /// - [`WRNORM`](Self::WRNORM), if it is in the interest: as `OUT`.
    ///
    /// ```
    /// use barepoll::EventFlags;
    ///
    /// assert!((EventFlags::IN | EventFlags::ERR).is_writable());
    /// assert!(!EventFlags::RDHUP.is_writable());
    /// ```
    #[inline]
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.0 & (uapi::EPOLLOUT | uapi::EPOLLWRNORM | uapi::EPOLLHUP | uapi::EPOLLERR) != 0
    }
}

/// Flags of [`Epoll::with_flags`](crate::Epoll::with_flags).
///
/// ```
/// use barepoll::{CreateFlags, Epoll, Errno};
///
/// assert!(Epoll::with_flags(CreateFlags::CLOEXEC).is_ok());
/// assert_eq!(Epoll::with_flags(CreateFlags::from_bits_retain(1)).err(), Some(Errno::EINVAL));
/// ```
///
/// See [`epoll_create1(2)`](https://man7.org/linux/man-pages/man2/epoll_create.2.html).
#[derive(Copy, Clone, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct CreateFlags(u32);

impl_flags! {
    impl CreateFlags {
        /// `EPOLL_CLOEXEC`: close the descriptor when this process executes another program.
        #[doc(alias = "EPOLL_CLOEXEC")]
        const CLOEXEC = uapi::EPOLL_CLOEXEC;
    }
}

/// Flags of [`EventFd::new`](crate::EventFd::new).
///
/// ```
/// use barepoll::{EventFd, EventFdFlags};
///
/// let eventfd = EventFd::new(0, EventFdFlags::CLOEXEC | EventFdFlags::NONBLOCK)?;
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// See [`eventfd2(2)`](https://man7.org/linux/man-pages/man2/eventfd.2.html).
#[derive(Copy, Clone, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct EventFdFlags(u32);

impl_flags! {
    impl EventFdFlags {
        /// `EFD_SEMAPHORE` (Linux 2.6.30, `EINVAL` before): a read subtracts 1 instead of
        /// everything.
        #[doc(alias = "EFD_SEMAPHORE")]
        const SEMAPHORE = uapi::EFD_SEMAPHORE;
        /// `EFD_NONBLOCK`: a read or write that would block fails with
        /// [`EAGAIN`](crate::Errno::EAGAIN).
        #[doc(alias = "EFD_NONBLOCK")]
        const NONBLOCK = uapi::EFD_NONBLOCK;
        /// `EFD_CLOEXEC`: close the descriptor when this process executes another program.
        #[doc(alias = "EFD_CLOEXEC")]
        const CLOEXEC = uapi::EFD_CLOEXEC;
    }
}

/// Flags of [`TimerFd::new`](crate::TimerFd::new).
///
/// ```
/// use barepoll::{Clock, TimerFd, TimerFdFlags};
///
/// let timer = TimerFd::new(Clock::MONOTONIC, TimerFdFlags::CLOEXEC | TimerFdFlags::NONBLOCK)?;
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// See [`timerfd_create(2)`](https://man7.org/linux/man-pages/man2/timerfd_create.2.html).
#[derive(Copy, Clone, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct TimerFdFlags(u32);

impl_flags! {
    impl TimerFdFlags {
        /// `TFD_NONBLOCK`: a read that would block fails with [`EAGAIN`](crate::Errno::EAGAIN).
        #[doc(alias = "TFD_NONBLOCK")]
        const NONBLOCK = uapi::TFD_NONBLOCK;
        /// `TFD_CLOEXEC`: close the descriptor when this process executes another program.
        #[doc(alias = "TFD_CLOEXEC")]
        const CLOEXEC = uapi::TFD_CLOEXEC;
    }
}

/// Flags of [`SignalFd::new`](crate::SignalFd::new).
///
/// ```
/// use barepoll::{SigSet, SignalFd, SignalFdFlags};
///
/// let signalfd = SignalFd::new(&SigSet::empty(), SignalFdFlags::CLOEXEC | SignalFdFlags::NONBLOCK)?;
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// See [`signalfd4(2)`](https://man7.org/linux/man-pages/man2/signalfd.2.html).
#[derive(Copy, Clone, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct SignalFdFlags(u32);

impl_flags! {
    impl SignalFdFlags {
        /// `SFD_NONBLOCK`: a read while no signal is pending fails with
        /// [`EAGAIN`](crate::Errno::EAGAIN).
        #[doc(alias = "SFD_NONBLOCK")]
        const NONBLOCK = uapi::SFD_NONBLOCK;
        /// `SFD_CLOEXEC`: close the descriptor when this process executes another program.
        #[doc(alias = "SFD_CLOEXEC")]
        const CLOEXEC = uapi::SFD_CLOEXEC;
    }
}

/// Flags of [`PidFd::with_flags`](crate::PidFd::with_flags).
///
/// ```
/// use barepoll::{PidFd, PidFdFlags};
///
/// let this = PidFd::with_flags(std::process::id() as i32, PidFdFlags::NONBLOCK)?;
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// See [`pidfd_open(2)`](https://man7.org/linux/man-pages/man2/pidfd_open.2.html).
#[derive(Copy, Clone, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct PidFdFlags(u32);

impl_flags! {
    impl PidFdFlags {
        /// `PIDFD_NONBLOCK` (Linux 5.10, `EINVAL` before): a wait for a child that has not ended
        /// fails with [`EAGAIN`](crate::Errno::EAGAIN).
        #[doc(alias = "PIDFD_NONBLOCK")]
        const NONBLOCK = uapi::PIDFD_NONBLOCK;
    }
}
