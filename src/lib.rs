//! Linux's readiness interface, epoll and eventfd, by system calls of its own: no libc, no allocation, no panic.
#![no_std]
#![cfg_attr(barepoll_unstable_asm, feature(asm_experimental_arch))]
#![deny(missing_docs, unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

#[cfg(feature = "std")]
extern crate std;

#[cfg(not(barepoll_internals))]
mod arch;
/// The ports, for programs without libc that are tests of this crate.
#[cfg(barepoll_internals)]
#[doc(hidden)]
#[allow(missing_docs)]
pub mod arch;

mod epoll;
mod errno;
mod event;
mod eventfd;
mod fallback;
pub mod fd;
mod flags;
pub mod raw;
mod signal;
mod timeout;
#[cfg(feature = "std")]
mod with_std;

pub use epoll::{BusyPoll, Epoll};
pub use errno::{Errno, Result};
pub use event::{Event, EventData};
pub use eventfd::EventFd;
pub use flags::{CreateFlags, EventFdFlags, EventFlags};
pub use signal::SigSet;
