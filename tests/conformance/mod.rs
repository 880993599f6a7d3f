//! The conformance list: what barepoll promises, one check a promise, with nothing but `core`.
//!
//! Every runner runs this same list: `tests/native.rs` under `cargo test`, and a program without libc under an emulator or as
//! `/init` of a real kernel. A check's name is a sentence that is true. What a check needs and barepoll does not offer (a
//! pipe, a signal, something that happens at the same time) comes from the runner's [`Host`].

use barepoll::fd::{BorrowedFd, OwnedFd, RawFd};
use barepoll::Errno;
use core::fmt::{self, Write};
use core::panic::Location;
use core::time::Duration;

/// What the operating system does for a check besides epoll and eventfd.
pub trait Host {
    /// A pipe: its reading end, its writing end. Both blocking.
    fn pipe(&mut self) -> Result<(OwnedFd, OwnedFd), Errno>;
    /// Two connected stream sockets of `AF_UNIX`. Both blocking.
    fn socketpair(&mut self) -> Result<(OwnedFd, OwnedFd), Errno>;
    /// Nothing more will be written to this socket.
    fn shutdown_writing(&mut self, socket: BorrowedFd<'_>) -> Result<(), Errno>;
    /// Another descriptor of the same open file, the lowest number that is free.
    fn duplicate(&mut self, fd: BorrowedFd<'_>) -> Result<OwnedFd, Errno>;
    /// The root directory, open for reading.
    fn root_directory(&mut self) -> Result<OwnedFd, Errno>;
    /// Whether the descriptor is closed on exec.
    fn is_close_on_exec(&mut self, fd: BorrowedFd<'_>) -> Result<bool, Errno>;
    /// Sets the lowest number that no descriptor may have (the soft `RLIMIT_NOFILE`), and gives the one before.
    fn limit_descriptors(&mut self, limit: u64) -> Result<u64, Errno>;

    /// From now on the signal is caught and counted, and interrupts what it meets (no `SA_RESTART`).
    fn catch(&mut self, signal: i32) -> Result<(), Errno>;
    /// How many signals were caught since the start.
    fn caught(&mut self) -> u32;
    /// Blocks the signal in this thread, or no longer.
    fn block(&mut self, signal: i32, block: bool) -> Result<(), Errno>;
    /// Sends the signal to this thread.
    fn raise(&mut self, signal: i32) -> Result<(), Errno>;

    /// `CLOCK_MONOTONIC`.
    fn now(&mut self) -> Duration;
    /// Runs `other` in another thread or process (so it may share only descriptors with `here`), and `here` in this one at
    /// the same time; gives what `here` gives, once both are done.
    fn beside(&mut self, other: &(dyn Fn(&dyn Other) + Sync), here: &mut dyn FnMut() -> Outcome) -> Outcome;
}

/// What the other side of [`Host::beside`] can do.
pub trait Other {
    /// Waits.
    fn sleep(&self, time: Duration);
    /// Sends a signal to the thread that is `here`.
    fn signal(&self, signal: i32);
}

/// The numbers of signals that checks use; they are the same on every architecture.
pub const SIGALRM: i32 = 14;
pub const SIGTERM: i32 = 15;

/// What a check gives.
pub type Outcome = Result<(), Failure>;

/// One promise.
pub struct Check {
    /// A sentence, with underscores.
    pub name: &'static str,
    pub run: fn(&mut dyn Host) -> Outcome,
}

/// Where a check failed, and what it found there.
pub struct Failure {
    at: &'static Location<'static>,
    text: [u8; 96],
    used: usize,
}

impl Failure {
    #[track_caller]
    pub fn new(what: fmt::Arguments<'_>) -> Self {
        let mut failure = Self { at: Location::caller(), text: [0; 96], used: 0 };
        let _ = failure.write_fmt(what); // cut where it is too long
        failure
    }
}

impl Write for Failure {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        for byte in more.bytes() {
            *self.text.get_mut(self.used).ok_or(fmt::Error)? = byte;
            self.used += 1;
        }
        Ok(())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text.get(..self.used).and_then(|text| core::str::from_utf8(text).ok());
        write!(f, "{}:{}: {}", self.at.file(), self.at.line(), text.unwrap_or("(cut)"))
    }
}

/// A call that a check expects to succeed did not.
impl From<Errno> for Failure {
    #[track_caller]
    fn from(errno: Errno) -> Self {
        Self::new(format_args!("{errno}"))
    }
}

/// Fails the check where the condition is false.
macro_rules! ensure {
    ($condition:expr) => {
        if !$condition {
            return Err(crate::conformance::Failure::new(format_args!("not so: {}", stringify!($condition))));
        }
    };
}
pub(crate) use ensure;

/// Fails the check where the two differ, and tells both.
macro_rules! ensure_eq {
    ($found:expr, $expected:expr) => {
        match (&$found, &$expected) {
            (found, expected) if found != expected => {
                let what = stringify!($found);
                return Err(crate::conformance::Failure::new(format_args!("{what}: {found:?}, not {expected:?}")));
            }
            _ => {}
        }
    };
}
pub(crate) use ensure_eq;

/// Defines the checks of one subject, and its list `CHECKS`.
macro_rules! checks {
    ($($(#[$doc:meta])* fn $name:ident($host:ident) $body:block)*) => {
        $($(#[$doc])* fn $name($host: &mut dyn crate::conformance::Host) -> crate::conformance::Outcome {
            let _ = &$host;
            $body
            Ok(())
        })*
        pub const CHECKS: &[crate::conformance::Check] =
            &[$(crate::conformance::Check { name: stringify!($name), run: $name }),*];
    };
}
pub(crate) use checks;

/// A number that was a descriptor's and is one no longer.
pub fn closed_number() -> Result<RawFd, Errno> {
    use barepoll::fd::AsRawFd;
    Ok(barepoll::Epoll::new()?.as_raw_fd())
}

mod eventfd;

/// Every check, a subject after another.
pub const SUBJECTS: &[(&str, &[Check])] = &[("eventfd", eventfd::CHECKS)];
