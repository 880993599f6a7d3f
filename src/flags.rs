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
        /// `EPOLLIN`: a read will not block. End of input and a pending connection are readable too.
        const IN = raw::EPOLLIN;
        /// `EPOLLPRI`: something exceptional: out-of-band data, a change in a `/proc` or cgroup file.
        const PRI = raw::EPOLLPRI;
        /// `EPOLLOUT`: a write will not block.
        const OUT = raw::EPOLLOUT;
        /// `EPOLLERR`: an error is pending, or nobody reads the other end of a pipe. Always reported.
        const ERR = raw::EPOLLERR;
        /// `EPOLLHUP`: hung up: the other end of a pipe is closed, both directions of a stream are shut. Always reported.
        const HUP = raw::EPOLLHUP;
        /// `EPOLLNVAL`: poll's word for a descriptor that is not open; epoll says `EBADF` instead.
        const NVAL = raw::EPOLLNVAL;
        /// `EPOLLRDNORM`: as `IN`, for ordinary data.
        const RDNORM = raw::EPOLLRDNORM;
        /// `EPOLLRDBAND`: priority data can be read.
        const RDBAND = raw::EPOLLRDBAND;
        /// `EPOLLWRNORM`: as `OUT`, for ordinary data.
        const WRNORM = raw::EPOLLWRNORM;
        /// `EPOLLWRBAND`: priority data can be written.
        const WRBAND = raw::EPOLLWRBAND;
        /// `EPOLLMSG`: unused by the kernel.
        const MSG = raw::EPOLLMSG;
        /// `EPOLLRDHUP`: the peer of a stream will send nothing more (it closed, or shut down its writing half).
        const RDHUP = raw::EPOLLRDHUP;
        /// `EPOLL_URING_WAKE`: the kernel's own mark on a wake-up from io_uring; do not set it.
        const URING_WAKE = raw::EPOLL_URING_WAKE;
        /// `EPOLLEXCLUSIVE` (Linux 4.5): of several epolls that watch one descriptor, wake one or a few, not all. Only when
        /// adding, and only together with `IN`, `OUT`, `ERR`, `HUP`, `WAKEUP` and `ET`.
        const EXCLUSIVE = raw::EPOLLEXCLUSIVE;
        /// `EPOLLWAKEUP` (Linux 3.5): keep the machine from suspending while this event is handled. Silently dropped
        /// without `CAP_BLOCK_SUSPEND`.
        const WAKEUP = raw::EPOLLWAKEUP;
        /// `EPOLLONESHOT`: after one report, stay silent until [`Epoll::modify`](crate::Epoll::modify) re-arms it.
        const ONESHOT = raw::EPOLLONESHOT;
        /// `EPOLLET`: edge-triggered: report when something new arrives, not as long as something is there.
        const ET = raw::EPOLLET;

        const _ = !0;
    }
}

show!(EventFlags);

/// Flags of [`Epoll::with_flags`](crate::Epoll::with_flags).
#[derive(Copy, Clone, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct CreateFlags(u32);

bitflags! {
    impl CreateFlags: u32 {
        /// `EPOLL_CLOEXEC`: close the descriptor when this process executes another program.
        const CLOEXEC = raw::EPOLL_CLOEXEC;

        const _ = !0;
    }
}

show!(CreateFlags);

/// Flags of [`EventFd::new`](crate::EventFd::new).
#[derive(Copy, Clone, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct EventFdFlags(u32);

bitflags! {
    impl EventFdFlags: u32 {
        /// `EFD_SEMAPHORE`: a read takes 1 from the counter, not all of it.
        const SEMAPHORE = raw::EFD_SEMAPHORE;
        /// `EFD_NONBLOCK`: a read or write that would block says [`EAGAIN`](crate::Errno::EAGAIN).
        const NONBLOCK = raw::EFD_NONBLOCK;
        /// `EFD_CLOEXEC`: close the descriptor when this process executes another program.
        const CLOEXEC = raw::EFD_CLOEXEC;

        const _ = !0;
    }
}

show!(EventFdFlags);
