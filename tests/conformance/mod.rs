//! The conformance list: what barepoll promises, one check a promise, with nothing but `core`.
//!
//! Every runner runs this same list: `tests/native.rs` under `cargo test`, and a program without libc under an emulator or as
//! `/init` of a real kernel. A check's name is a sentence that is true. What a check needs and barepoll does not offer (a
//! pipe, a signal, something that happens at the same time) comes from the runner's [`Host`].

use barepoll::fd::{BorrowedFd, OwnedFd, RawFd};
use barepoll::{Epoll, Errno, Event, EventData, EventFd, EventFdFlags, EventFlags};
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
    /// the same time; gives what `here` gives, once both are done. `here` gets the host back, for its clock; it may have
    /// somebody beside it in turn. Waiting for `other` to be done may meet a signal, and goes on.
    fn beside(
        &mut self,
        other: &(dyn Fn(&dyn Other) + Sync),
        here: &mut dyn FnMut(&mut dyn Host) -> Outcome,
    ) -> Outcome;

    /// Runs the victim in a function that may use registers which the rest of the program does without, where there are such.
    fn widened(&mut self, victim: registers::Widened<'_>) -> bool {
        victim.run()
    }
}

/// What the other side of [`Host::beside`] can do.
pub trait Other {
    /// Waits.
    fn sleep(&self, time: Duration);
    /// Sends a signal to the thread that is `here`.
    fn signal(&self, signal: i32);
}

/// What the owner of a machine can do besides: the first process of a kernel, with `/proc` and `/sys` mounted.
#[allow(dead_code)] // only a program that may be the first process has one
pub trait Machine: Host {
    /// The kernel's version: 6.12.9 is `(6, 12)`.
    fn version(&mut self) -> (u32, u32);
    /// Reads a file from its beginning, and gives how many bytes it read.
    fn read_file(&mut self, path: fmt::Arguments<'_>, text: &mut [u8]) -> Result<usize, Errno>;
    /// Writes to a file, all at once.
    fn write_file(&mut self, path: fmt::Arguments<'_>, text: &[u8]) -> Result<(), Errno>;
    /// Uses a capability of this process from now on, or does without it; it stays permitted.
    fn use_capability(&mut self, capability: u32, is_used: bool) -> Result<(), Errno>;
}

/// The numbers of signals that checks use; they are the same on every architecture.
pub const SIGPIPE: i32 = 13;
pub const SIGALRM: i32 = 14;
pub const SIGTERM: i32 = 15;
/// A real-time signal: in the second word of the mask where a word has 32 bits.
pub const SIGREALTIME: i32 = 40;

/// What a check gives.
pub type Outcome = Result<(), Failure>;

/// One promise.
pub struct Check {
    /// A sentence, with underscores.
    pub name: &'static str,
    pub run: fn(&mut dyn Host) -> Outcome,
}

/// One promise that only a machine of one's own can show.
#[allow(dead_code)]
pub struct MachineCheck {
    pub name: &'static str,
    pub run: fn(&mut dyn Machine) -> Outcome,
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

    /// What was found.
    pub fn text(&self) -> Option<&str> {
        self.text.get(..self.used).and_then(|text| core::str::from_utf8(text).ok())
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
        write!(f, "{}:{}: {}", self.at.file(), self.at.line(), self.text().unwrap_or("(cut)"))
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

/// Defines the checks of one subject, and its list `CHECKS`. `for Machine, MachineCheck:` makes them checks of a machine.
macro_rules! checks {
    (for $kind:ident, $check:ident: $($(#[$doc:meta])* fn $name:ident($host:ident) $body:block)*) => {
        $($(#[$doc])* fn $name($host: &mut dyn crate::conformance::$kind) -> crate::conformance::Outcome {
            let _ = &$host;
            $body
            Ok(())
        })*
        pub const CHECKS: &[crate::conformance::$check] =
            &[$(crate::conformance::$check { name: stringify!($name), run: $name }),*];
    };
    ($($checks:tt)*) => {
        checks! { for Host, Check: $($checks)* }
    };
}

/// A number that was a descriptor's and is one no longer.
pub fn closed_number() -> Result<RawFd, Errno> {
    use barepoll::fd::AsRawFd;
    Ok(Epoll::new()?.as_raw_fd())
}

/// Whether the number is an open descriptor's.
pub fn is_open(fd: RawFd) -> Result<bool, Errno> {
    let epoll = Epoll::new()?;
    if barepoll::fd::AsRawFd::as_raw_fd(&epoll) == fd {
        return Ok(false); // it was free until now
    }
    // SAFETY: the number is only asked about; where nothing is open, the kernel says so.
    match epoll.delete(unsafe { BorrowedFd::borrow_raw(fd) }) {
        Err(Errno::EBADF) => Ok(false),
        Err(Errno::ENOENT) => Ok(true),
        Err(errno) => Err(errno),
        Ok(()) => Err(Errno::EEXIST),
    }
}

/// An address where nothing is.
pub fn nowhere<T>() -> *mut T {
    let address = 8_usize; // qemu-user and the kernel map nothing there, and no compiler takes it for null
    address as *mut T
}

/// A nonblocking counter: readable unless `initial` is 0.
pub fn counter(initial: u32) -> Result<EventFd, Errno> {
    EventFd::new(initial, EventFdFlags::CLOEXEC | EventFdFlags::NONBLOCK)
}

/// An epoll that watches nothing but this, with 1 as its data.
pub fn watching(source: impl barepoll::fd::AsFd, interest: EventFlags) -> Result<Epoll, Errno> {
    let epoll = Epoll::new()?;
    epoll.add(source, EventData::new_u64(1), interest)?;
    Ok(epoll)
}

/// What a wait found: the data and flags of each event, in the order of the data, which is not the kernel's.
pub struct Ready {
    events: [(u64, EventFlags); 16],
    used: usize,
}

/// The empty [`Ready`].
pub const NOTHING: [(u64, EventFlags); 0] = [];

impl Ready {
    fn list(&self) -> &[(u64, EventFlags)] {
        &self.events[..self.used]
    }
}

impl<const N: usize> PartialEq<[(u64, EventFlags); N]> for Ready {
    fn eq(&self, expected: &[(u64, EventFlags); N]) -> bool {
        self.list() == expected
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.list().fmt(f)
    }
}

/// What is ready now.
pub fn ready(epoll: &Epoll) -> Result<Ready, Errno> {
    ready_within(epoll, Duration::ZERO)
}

/// What is ready within this time.
pub fn ready_within(epoll: &Epoll, timeout: Duration) -> Result<Ready, Errno> {
    let mut buffer = Event::buffer::<16>();
    let found = epoll.wait(&mut buffer, Some(timeout))?;
    let mut ready = Ready { events: [(0, EventFlags::empty()); 16], used: found.len() };
    for (place, event) in ready.events.iter_mut().zip(&*found) {
        *place = (event.data().u64(), event.flags());
    }
    ready.events[..ready.used].sort_unstable_by_key(|(data, _)| *data);
    Ok(ready)
}

/// How many events a wait gave.
pub fn count(answer: Result<&mut [Event], Errno>) -> Result<usize, Errno> {
    answer.map(|events| events.len())
}

/// A time that nothing here takes, be the machine ever so slow. Only a hang meets it.
pub const LONG: Duration = Duration::from_secs(60);

/// Later than this is too late for what takes milliseconds.
pub const LATE: Duration = Duration::from_secs(8);

/// Runs this, and gives how long it took, by the host's clock, and what it gave.
pub fn timed<T>(host: &mut dyn Host, run: impl FnOnce() -> T) -> (Duration, T) {
    let start = host.now();
    let given = run();
    (host.now().saturating_sub(start), given)
}

/// This wait finds nothing, and is never early. A busy machine may make it late, but a wrong timeout is late each time.
pub fn lasts(host: &mut dyn Host, timeout: Duration, wait: &mut dyn FnMut() -> Result<usize, Errno>) -> Outcome {
    let mut least = Duration::MAX;
    for _ in 0..3 {
        let (took, answer) = timed(host, &mut *wait);
        ensure_eq!(answer, Ok(0));
        ensure!(took >= timeout);
        least = least.min(took);
    }
    ensure!(least < LATE);
    Ok(())
}

/// Does this again and again until it is true. What it needs comes sooner or later; [`LONG`] is the bound, and so many attempts.
#[track_caller]
pub fn until(host: &mut dyn Host, attempt: &mut dyn FnMut(&mut dyn Host) -> Result<bool, Failure>) -> Outcome {
    const MOST: u32 = 100;
    let (start, mut attempts) = (host.now(), 1);
    while !attempt(host)? {
        attempts += 1;
        if attempts > MOST && host.now() - start > LONG {
            return Err(Failure::new(format_args!("it never came to what the check needs")));
        }
    }
    Ok(())
}

/// Sends the signal every 20 ms until `done` is written: one alone could come before the wait that it is to interrupt.
/// Gives up after more than [`LONG`], and writes `gave_up`: what goes on until then would never end.
pub fn pester(other: &dyn Other, signal: i32, done: &EventFd, gave_up: &EventFd) {
    const PAUSE: Duration = Duration::from_millis(20);
    for _ in 0..2 * LONG.as_millis() / PAUSE.as_millis() {
        other.sleep(PAUSE);
        if done.read().is_ok() {
            return;
        }
        other.signal(signal);
    }
    let _ = gave_up.write(1);
}

/// Runs `each` so many times beside `here`, all at the same time, and tells each its number.
pub fn crowd(
    host: &mut dyn Host,
    count: usize,
    each: &(dyn Fn(usize, &dyn Other) + Sync),
    here: &mut dyn FnMut(&mut dyn Host) -> Outcome,
) -> Outcome {
    match count.checked_sub(1) {
        None => here(host),
        Some(number) => host.beside(&|other| each(number, other), &mut |host| crowd(host, number, each, here)),
    }
}

/// Reads a nonblocking counter until it has given so many in all, and gives how many: fewer where nothing more came.
pub fn gather(counter: &EventFd, expected: u64) -> Result<u64, Errno> {
    let epoll = watching(counter, EventFlags::IN)?;
    let mut sum = 0;
    while sum < expected && count(epoll.wait_uninterrupted(&mut Event::buffer::<1>(), Some(LONG)))? == 1 {
        sum += counter.read()?;
    }
    Ok(sum)
}

/// Does nothing for this time: time for the others.
pub fn pause(host: &mut dyn Host, time: Duration) -> Outcome {
    host.beside(&|other| other.sleep(time), &mut |_| Ok(()))
}

/// Runs the check with these signals blocked (and caught once they no longer are), and no longer, however it ends.
pub fn with_blocked(host: &mut dyn Host, signals: &[i32], check: fn(&mut dyn Host) -> Outcome) -> Outcome {
    for &signal in signals {
        host.catch(signal)?;
        host.block(signal, true)?;
    }
    let outcome = check(host);
    for &signal in signals {
        host.block(signal, false)?;
    }
    outcome
}

/// Runs this while no descriptor may be `limit` or above.
pub fn with_limit<T>(host: &mut dyn Host, limit: RawFd, run: impl FnOnce() -> T) -> Result<T, Errno> {
    let before = host.limit_descriptors(limit as u64)?;
    let given = run();
    host.limit_descriptors(before)?;
    Ok(given)
}

/// Whether something is written as expected.
pub fn reads(written: fmt::Arguments<'_>, expected: &str) -> bool {
    struct Left<'a>(&'a str);

    impl Write for Left<'_> {
        fn write_str(&mut self, more: &str) -> fmt::Result {
            self.0 = self.0.strip_prefix(more).ok_or(fmt::Error)?;
            Ok(())
        }
    }

    let mut left = Left(expected);
    left.write_fmt(written).is_ok() && left.0.is_empty()
}

mod buffers;
mod busy_poll;
mod calls;
mod data;
mod descriptors;
mod eventfd;
mod interest;
mod interest_set;
#[allow(dead_code)]
mod machine;
mod nested;
mod readiness;
pub mod registers;
mod sharing;
mod signals;
mod spinning;
mod timeouts;
mod triggers;
mod values;
mod waker;
mod wakeups;

/// Every check, a subject after another.
pub const SUBJECTS: &[(&str, &[Check])] = &[
    ("values", values::CHECKS),
    ("calls", calls::CHECKS),
    ("descriptors", descriptors::CHECKS),
    ("eventfd", eventfd::CHECKS),
    ("interest", interest::CHECKS),
    ("data", data::CHECKS),
    ("readiness", readiness::CHECKS),
    ("triggers", triggers::CHECKS),
    ("nested", nested::CHECKS),
    ("buffers", buffers::CHECKS),
    ("timeouts", timeouts::CHECKS),
    ("spinning", spinning::CHECKS),
    ("signals", signals::CHECKS),
    ("sharing", sharing::CHECKS),
    ("wakeups", wakeups::CHECKS),
    ("waker", waker::CHECKS),
    ("interest_set", interest_set::CHECKS),
    ("busy_poll", busy_poll::CHECKS),
    ("registers", registers::CHECKS),
];

/// Every check of a machine. Who has none leaves them out: they are not his, and no list of his names them.
#[allow(dead_code)]
pub const MACHINE: &[(&str, &[MachineCheck])] = &[("machine", machine::CHECKS)];
