//! Linux's epoll and eventfd by the crate's own system calls: no libc, no allocation, no panic. With
//! timers, signals and children, which a loop waits for too.
//!
//! An [`Epoll`] watches descriptors and reports which are ready. An [`EventFd`] is the cheapest way
//! to wake it. Almost every method is one system call, in code about as short as hand-written
//! assembly.
//!
//! A loop over a socket of the standard library, with feature `std`
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
//! The same calls without the feature, and without the standard library:
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
//! - No libc, no allocation, no panic, nothing printed. One exception: with feature `std`, std's
//!   clock panics in `wait_uninterrupted`, `wait_until`, `Deadline::now` and `Deadline::after` if a
//!   sandbox refuses `clock_gettime` and there is no vDSO. Dependencies: `bitflags`, and `sc` on x86_64.
//! - Dropping an owned descriptor closes it exactly once. The crate closes nothing else, and drops
//!   no event that the kernel returned.
//! - Unknown bits and error numbers are kept.
//! - Rust 1.63, or the version that stabilized `asm!` (loongarch64: 1.72, s390x: 1.84,
//!   powerpc: 1.95). mips, mips64, sparc, sparc64, m68k, hexagon and csky need nightly.
//! - Linux 2.6.27 or later. Newer features say which kernel they need. On older kernels they return
//!   an error or use a documented fallback.
//! - LLVM's interprocedural register allocation (`-Cllvm-args=-enable-ipra`) is not supported on
//!   aarch64, MIPS and SPARC: their kernels destroy registers that `asm!` cannot name.
//!
//! # Where things are
//!
//! | | |
//! |---|---|
//! | [`Epoll`], [`EventFd`] | the safe interface |
//! | [`TimerFd`] | a timer to wait for like any descriptor |
//! | [`Event`], [`EventData`], [`EventFlags`] | events, in the kernel's layout |
//! | [`SigSet`], [`BusyPoll`], [`Timeout`] | other arguments, in the form that the kernel takes |
//! | [`SignalFd`], [`SignalInfo`] | reads signals, as any other descriptor's input |
//! | [`signo`] | the numbers of signals, by name |
//! | [`Waker`], [`Awake`] | wakes a loop from another thread; no call while the loop is awake |
//! | [`PidFd`] | a process: readable when it ends, with [`ChildStatus`] for how |
//! | [`InterestSet`] | collects changes of interest and applies them before the wait |
//! | [`Timers`], [`Deadline`] | the deadlines of a loop, and the moment until which it waits |
//! | [`Errno`] | the kernel's error numbers, by name |
//! | [`fd`] | owned and borrowed descriptors: the standard library's with feature `std`, equivalents without it |
//! | [`raw`] | the system calls themselves, one to one, and the constants of the kernel's headers |
//! | [`mod@syscall`] | any other system call, for programs without libc |
#![cfg_attr(
    doc,
    doc = "| [`guide`] | epoll in ten minutes, migrating, runtimes, programs without libc, porting, testing, kernels with known faults |"
)]
//!
#![cfg_attr(doc, doc = include_str!("../docs/layers.svg"))]
//!
//! # Feature `std`
//!
//! It is off by default. With it:
//!
//! - [`fd`] exports the standard library's own types, so [`Epoll`] can watch sockets and files
//!   directly.
//! - [`Errno`] implements `std::error::Error` and converts into `std::io::Error`.
//! - [`Deadline::now`], [`Epoll::wait_uninterrupted`] and [`Epoll::wait_until`] read std's clock,
//!   which makes no system call on most machines.
//!
//! If a type implements this crate's `AsFd` for programs without the feature, it must not implement
//! std's too. With the feature they are the same trait.
//!
//! # Versions
//!
//! The crate follows Cargo's rules: before 1.0 a new minor version may break a program, a new patch
//! version does not. A patch version may add ports and constants, name error numbers that had no
//! name (which changes what `Debug` and `Display` print), and change the number of instructions or
//! bytes of any function. Raising the minimum Rust version is a minor release. Items behind
//! `--cfg barepoll_internals` are private and exempt from semver.
#![no_std]
#![cfg_attr(barepoll_unstable_asm, feature(asm_experimental_arch))]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(missing_docs, unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

// `build.rs` has a better message, but some builds run no build script.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
compile_error!("barepoll makes Linux's system calls, and this target is neither Linux nor Android");

#[cfg(feature = "std")]
extern crate std;

#[cfg(not(barepoll_internals))]
#[macro_use]
mod arch;
/// The ports, for `test-crates/codegen`.
#[cfg(barepoll_internals)]
#[doc(hidden)]
#[allow(missing_docs)]
#[macro_use]
pub mod arch;

mod child;
#[cfg(not(feature = "std"))]
mod clock;
mod deadline;
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
mod pidfd;
pub mod raw;
mod sanitizer;
mod signal;
mod signalfd;
pub mod signo;
pub mod syscall;
mod timeout;
mod timerfd;
mod timers;
mod uapi;
mod waker;
#[cfg(feature = "std")]
mod with_std;
#[cfg(feature = "std")]
use with_std as clock;

pub use child::ChildStatus;
pub use deadline::Deadline;
pub use epoll::{BusyPoll, Epoll};
pub use errno::{Errno, Result};
pub use event::{Event, EventData};
pub use eventfd::EventFd;
pub use flags::{CreateFlags, EventFdFlags, EventFlags, PidFdFlags, SignalFdFlags, TimerFdFlags};
pub use interest::{FlushError, InterestSet, Slot};
pub use pidfd::PidFd;
pub use signal::{SigSet, Signals};
pub use signalfd::{SignalFd, SignalInfo};
pub use timeout::Timeout;
pub use timerfd::{Clock, TimerFd, TimerSetting, TimerState};
pub use timers::{TimerKey, TimerSlot, Timers};
pub use waker::{Awake, Waker};
