//! Linux's readiness interface, epoll and eventfd, by system calls of its own: no libc, no allocation, no panic.
//!
//! An [`Epoll`] watches descriptors and says which are ready; an [`EventFd`] is the cheapest thing that wakes it. Each method is
//! one system call, issued by the machine's own trap instruction, and compiles to what one would write by hand.
//!
//! A loop over a socket of the standard library's, with feature `std`
//! (`barepoll = { version = "0.1", features = ["std"] }`):
//!
#![cfg_attr(feature = "std", doc = "```")]
#![cfg_attr(not(feature = "std"), doc = "```ignore")]
//! use barepoll::{Epoll, Event, EventData, EventFlags};
//! use std::io::{Read, Write};
//! use std::os::unix::net::UnixStream;
//!
//! fn main() -> std::io::Result<()> {
//!     let (mut here, mut there) = UnixStream::pair()?;
//!     there.write_all(b"hello")?;
//!     drop(there); // the end of input
//!
//!     let epoll = Epoll::new()?;
//!     epoll.add(&here, EventData::new_u64(7), EventFlags::IN)?;
//!     let mut buffer = Event::buffer::<64>(); // on the stack, not zeroed
//!     loop {
//!         for event in epoll.wait_uninterrupted(&mut buffer, None)? {
//!             println!("{} is ready: {:?}", event.data().u64(), event.flags());
//!             match here.read(&mut [0; 64])? {
//!                 0 => return Ok(()),
//!                 count => println!("read {count} bytes"),
//!             }
//!         }
//!     }
//! }
//! ```
//!
//! The same calls without it, and without the standard library:
//!
//! ```
//! use barepoll::{Epoll, Event, EventData, EventFd, EventFdFlags, EventFlags};
//!
//! let epoll = Epoll::new()?;
//! let wakeup = EventFd::new(1, EventFdFlags::CLOEXEC | EventFdFlags::NONBLOCK)?;
//! epoll.add(&wakeup, EventData::new_u64(7), EventFlags::IN)?;
//!
//! let mut buffer = Event::buffer::<64>();
//! for event in epoll.wait(&mut buffer, None)? {
//!     assert_eq!((event.data().u64(), event.flags()), (7, EventFlags::IN));
//! }
//! # Ok::<(), barepoll::Errno>(())
//! ```
//!
//! # Promises
//!
//! - No libc, no allocation, no panic, nothing printed. Dependencies: `bitflags`, and `sc` on x86_64.
//! - What a descriptor's owner drops is closed, once; nothing else is. No event is dropped.
//! - Bits and error numbers that this crate does not know are kept.
//! - Rust 1.63 (loongarch64: 1.72, s390x: 1.84, powerpc: 1.95, as `asm!` came there; nightly for mips, sparc, m68k, hexagon,
//!   csky).
//! - Any Linux since 2.6.27; what is newer says so, and what is missing is an error or a documented fallback.
//! - LLVM's register allocation between functions (`-Cllvm-args=-enable-ipra`) is not supported on aarch64, MIPS and SPARC: their
//!   kernels destroy registers that `asm!` cannot name.
//!
//! # Where things are
//!
//! | | |
//! |---|---|
//! | [`Epoll`], [`EventFd`] | the safe interface |
//! | [`Event`], [`EventData`], [`EventFlags`], [`SigSet`], [`BusyPoll`] | what goes in and comes out, in the kernel's layout |
//! | [`Waker`] | wakes a loop from another thread, in the fewest calls |
//! | [`InterestSet`] | tells the kernel what changed, once, before the wait |
//! | [`Errno`] | errors: the kernel's numbers, with names |
//! | [`fd`] | owned and borrowed descriptors: the standard library's with feature `std`, their like without it |
//! | [`raw`] | the system calls themselves, one to one, and every constant of the kernel's headers |
#![cfg_attr(
    doc,
    doc = "| [`guide`] | epoll in ten minutes; migrating; runtimes; programs without libc; porting; testing |"
)]
//!
#![cfg_attr(doc, doc = include_str!("../docs/layers.svg"))]
//!
//! # Feature `std`
//!
//! Off by default. [`fd`] is then the standard library's own types, so that sockets and files can be watched
//! directly; [`Errno`] becomes a `std::error::Error` and turns into a `std::io::Error`; [`Epoll::wait_uninterrupted`] reads std's clock,
//! which makes no system call on most machines. A type that implements this crate's `AsFd` for
//! programs without it must not implement std's too: with the feature they are one.
//!
//! # Versions
//!
//! Cargo's rules: before 1.0 a new minor version may break a program, a new patch version does not. What may change in a patch version:
//! ports and constants that are added, names for error numbers that had none (and so what `Debug` and `Display` print), and how many
//! instructions or bytes anything takes. A newer oldest Rust is a minor version. What `--cfg barepoll_internals` shows is nobody's to use.
#![no_std]
#![cfg_attr(barepoll_unstable_asm, feature(asm_experimental_arch))]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(missing_docs, unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

// `build.rs` says so too, and better; some builds run no build script.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
compile_error!("barepoll makes Linux's system calls, and this target is neither Linux nor Android");

#[cfg(feature = "std")]
extern crate std;

#[cfg(not(barepoll_internals))]
mod arch;
/// The ports, for programs without libc that are tests of this crate.
#[cfg(barepoll_internals)]
#[doc(hidden)]
#[allow(missing_docs)]
pub mod arch;

#[cfg(not(feature = "std"))]
mod clock;
mod epoll;
mod errno;
mod event;
mod eventfd;
mod fallback;
pub mod fd;
mod flags;
#[cfg(all(doc, any(not(doctest), feature = "std")))]
pub mod guide;
mod interest;
pub mod raw;
mod signal;
mod timeout;
mod uapi;
mod waker;
#[cfg(feature = "std")]
mod with_std;
#[cfg(feature = "std")]
use with_std as clock;

pub use epoll::{BusyPoll, Epoll};
pub use errno::{Errno, Result};
pub use event::{Event, EventData};
pub use eventfd::EventFd;
pub use flags::{CreateFlags, EventFdFlags, EventFlags};
pub use interest::{FlushError, InterestSet, Slot};
pub use signal::SigSet;
pub use waker::Waker;
