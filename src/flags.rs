//! Flags: of an event, of a new epoll, of a new eventfd.

use crate::raw;
use bitflags::bitflags;
use core::fmt;

/// `Debug`: names, as `IN | RDHUP`, and bits without a name, as `0x1000000`. Inline, so that only who uses it compiles it.
macro_rules! show {
    ($flags:ident) => {
        impl fmt::Debug for $flags {
            #[inline]
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($flags), "("))?;
                bitflags::parser::to_writer(self, &mut *f)?;
                f.write_str(")")
            }
        }
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
/// let interest = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
/// assert!(interest.contains(EventFlags::IN));
/// assert_eq!(EventFlags::from_bits_retain(1 << 24).bits(), 1 << 24);
/// ```
///
/// See [`epoll_ctl(2)`](https://man7.org/linux/man-pages/man2/epoll_ctl.2.html).
#[derive(Copy, Clone, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct EventFlags(u32);

bitflags! {
    impl EventFlags: u32 {
        /// `EPOLLIN`: a read will not block at this moment. End of input and a pending connection are readable too.
        #[doc(alias = "EPOLLIN")]
        const IN = raw::EPOLLIN;
        /// `EPOLLPRI`: something exceptional: out-of-band data, a change in a `/proc` or cgroup file.
        #[doc(alias = "EPOLLPRI")]
        const PRI = raw::EPOLLPRI;
        /// `EPOLLOUT`: there is room: a nonblocking write takes at least something. A blocking one of more than that blocks.
        #[doc(alias = "EPOLLOUT")]
        const OUT = raw::EPOLLOUT;
        /// `EPOLLERR`: an error is pending, or nobody reads the other end of a pipe. Always reported.
        #[doc(alias = "EPOLLERR")]
        const ERR = raw::EPOLLERR;
        /// `EPOLLHUP`: hung up: the other end of a pipe is closed, both directions of a stream are shut. A stream socket that is neither
        /// connected nor listening is `OUT | HUP`. Always reported.
        #[doc(alias = "EPOLLHUP")]
        const HUP = raw::EPOLLHUP;
        /// `EPOLLNVAL`: poll's word for a descriptor that is not open; epoll says `EBADF` instead.
        #[doc(alias = "EPOLLNVAL")]
        const NVAL = raw::EPOLLNVAL;
        /// `EPOLLRDNORM`: as `IN`, for ordinary data.
        #[doc(alias = "EPOLLRDNORM")]
        const RDNORM = raw::EPOLLRDNORM;
        /// `EPOLLRDBAND`: priority data can be read.
        #[doc(alias = "EPOLLRDBAND")]
        const RDBAND = raw::EPOLLRDBAND;
        /// `EPOLLWRNORM`: as `OUT`, for ordinary data.
        #[doc(alias = "EPOLLWRNORM")]
        const WRNORM = raw::EPOLLWRNORM;
        /// `EPOLLWRBAND`: priority data can be written.
        #[doc(alias = "EPOLLWRBAND")]
        const WRBAND = raw::EPOLLWRBAND;
        /// `EPOLLMSG`: unused by the kernel.
        #[doc(alias = "EPOLLMSG")]
        const MSG = raw::EPOLLMSG;
        /// `EPOLLRDHUP`: the peer of a stream will send nothing more (it closed, or shut down its writing half).
        #[doc(alias = "EPOLLRDHUP")]
        const RDHUP = raw::EPOLLRDHUP;
        /// `EPOLL_URING_WAKE`: the kernel's own mark on a wake-up from io_uring; do not set it.
        #[doc(alias = "EPOLL_URING_WAKE")]
        const URING_WAKE = raw::EPOLL_URING_WAKE;
        /// `EPOLLEXCLUSIVE` (Linux 4.5): of several epolls that watch one descriptor, wake one or a few, not all. Only when
        /// adding, and only together with `IN`, `OUT`, `ERR`, `HUP`, `WAKEUP` and `ET`.
        #[doc(alias = "EPOLLEXCLUSIVE")]
        const EXCLUSIVE = raw::EPOLLEXCLUSIVE;
        /// `EPOLLWAKEUP` (Linux 3.5): keep the machine from suspending while this event is handled. Silently dropped
        /// without `CAP_BLOCK_SUSPEND`.
        #[doc(alias = "EPOLLWAKEUP")]
        const WAKEUP = raw::EPOLLWAKEUP;
        /// `EPOLLONESHOT`: after one report, stay silent until [`Epoll::modify`](crate::Epoll::modify) re-arms it.
        #[doc(alias = "EPOLLONESHOT")]
        const ONESHOT = raw::EPOLLONESHOT;
        /// `EPOLLET`: edge-triggered: report when something new arrives, not as long as something is there.
        #[doc(alias = "EPOLLET")]
        const ET = raw::EPOLLET;

        const _ = !0;
    }
}

show!(EventFlags);

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

bitflags! {
    impl CreateFlags: u32 {
        /// `EPOLL_CLOEXEC`: close the descriptor when this process executes another program.
        #[doc(alias = "EPOLL_CLOEXEC")]
        const CLOEXEC = raw::EPOLL_CLOEXEC;

        const _ = !0;
    }
}

show!(CreateFlags);

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

bitflags! {
    impl EventFdFlags: u32 {
        /// `EFD_SEMAPHORE`: a read takes 1 from the counter, not all of it (Linux 2.6.30; before it, `EINVAL`).
        #[doc(alias = "EFD_SEMAPHORE")]
        const SEMAPHORE = raw::EFD_SEMAPHORE;
        /// `EFD_NONBLOCK`: a read or write that would block says [`EAGAIN`](crate::Errno::EAGAIN).
        #[doc(alias = "EFD_NONBLOCK")]
        const NONBLOCK = raw::EFD_NONBLOCK;
        /// `EFD_CLOEXEC`: close the descriptor when this process executes another program.
        #[doc(alias = "EFD_CLOEXEC")]
        const CLOEXEC = raw::EFD_CLOEXEC;

        const _ = !0;
    }
}

show!(EventFdFlags);
