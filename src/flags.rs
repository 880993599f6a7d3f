//! Flags: of an event, of a new epoll, of a new eventfd.

use crate::uapi;
use bitflags::{iter, parser, Flag, Flags};
use core::fmt;
use core::ops::{BitAnd, BitAndAssign, BitOr, BitOrAssign, BitXor, BitXorAssign, Not, Sub, SubAssign};

/// What `bitflags!` writes, for flags of which every bit is kept, and with every function inline.
///
/// Those of `bitflags!` that print are not inline. They would be in this crate's object file, which then needs `core`'s. The prebuilt
/// `core` is one object file that needs `rust_eh_personality`, and only std has that. So a library without std and without LTO
/// could not be loaded, even if it prints nothing. `cargo xtask symbols` checks that the crate's object file needs nothing of `core`.
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

            /// Every bit, those without a name too.
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

            /// The flags with these bits. It is never `None`, because bits without a name are kept.
            #[inline]
            #[must_use]
            pub const fn from_bits(bits: u32) -> Option<Self> {
                Some(Self(bits))
            }

            /// The flags with these bits. Nothing is cut off, because bits without a name are kept.
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

            /// Whether every bit is set, those without a name too.
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

        /// Names, as `IN | RDHUP`, and bits without a name, as `0x1000000`.
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

/// An operator, and the like that assigns: each is a method.
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

/// The bits as a number, in each of these formats.
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

/// What to watch a descriptor for, and what it was found ready for.
///
/// [`ERR`](Self::ERR) and [`HUP`](Self::HUP) are reported whether asked for or not. Bits that this crate has no name for
/// are kept, in both directions.
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
        /// `EPOLLIN`: a read will not block at this moment. End of input and a pending connection are readable too.
        #[doc(alias = "EPOLLIN")]
        const IN = uapi::EPOLLIN;
        /// `EPOLLPRI`: something exceptional: out-of-band data, a change in a `/proc` or cgroup file.
        #[doc(alias = "EPOLLPRI")]
        const PRI = uapi::EPOLLPRI;
        /// `EPOLLOUT`: there is room: a nonblocking write takes at least something. A blocking one of more than that blocks.
        #[doc(alias = "EPOLLOUT")]
        const OUT = uapi::EPOLLOUT;
        /// `EPOLLERR`: an error is pending, or nobody reads the other end of a pipe. Always reported.
        #[doc(alias = "EPOLLERR")]
        const ERR = uapi::EPOLLERR;
        /// `EPOLLHUP`: hung up: the other end of a pipe is closed, both directions of a stream are shut. A stream socket that is neither
        /// connected nor listening is `OUT | HUP`. Always reported.
        #[doc(alias = "EPOLLHUP")]
        const HUP = uapi::EPOLLHUP;
        /// `EPOLLNVAL`: poll's word for a descriptor that is not open; epoll says `EBADF` instead.
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
        /// `EPOLLRDHUP`: the peer of a stream will send nothing more (it closed, or shut down its writing half).
        #[doc(alias = "EPOLLRDHUP")]
        const RDHUP = uapi::EPOLLRDHUP;
        /// `EPOLL_URING_WAKE`: the kernel's own mark on a wake-up from io_uring; do not set it.
        #[doc(alias = "EPOLL_URING_WAKE")]
        const URING_WAKE = uapi::EPOLL_URING_WAKE;
        /// `EPOLLEXCLUSIVE` (Linux 4.5): of several epolls that watch one descriptor, wake one or a few, not all. Only when
        /// adding, and only together with `IN`, `OUT`, `ERR`, `HUP`, `WAKEUP` and `ET`.
        #[doc(alias = "EPOLLEXCLUSIVE")]
        const EXCLUSIVE = uapi::EPOLLEXCLUSIVE;
        /// `EPOLLWAKEUP` (Linux 3.5): keep the machine from suspending while this event is handled. Silently dropped
        /// without `CAP_BLOCK_SUSPEND`.
        #[doc(alias = "EPOLLWAKEUP")]
        const WAKEUP = uapi::EPOLLWAKEUP;
        /// `EPOLLONESHOT`: after one report, stay silent until [`Epoll::modify`](crate::Epoll::modify) re-arms it.
        #[doc(alias = "EPOLLONESHOT")]
        const ONESHOT = uapi::EPOLLONESHOT;
        /// `EPOLLET`: edge-triggered: report when something new arrives, not as long as something is there.
        #[doc(alias = "EPOLLET")]
        const ET = uapi::EPOLLET;
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
        /// `EFD_SEMAPHORE`: a read takes 1 from the counter, not all of it (Linux 2.6.30; before it, `EINVAL`).
        #[doc(alias = "EFD_SEMAPHORE")]
        const SEMAPHORE = uapi::EFD_SEMAPHORE;
        /// `EFD_NONBLOCK`: a read or write that would block says [`EAGAIN`](crate::Errno::EAGAIN).
        #[doc(alias = "EFD_NONBLOCK")]
        const NONBLOCK = uapi::EFD_NONBLOCK;
        /// `EFD_CLOEXEC`: close the descriptor when this process executes another program.
        #[doc(alias = "EFD_CLOEXEC")]
        const CLOEXEC = uapi::EFD_CLOEXEC;
    }
}
