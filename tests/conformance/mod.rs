//! The conformance list: barepoll's promises, one check each. It needs only `core`, and the numbers
//! of `linux-raw-sys`.
//!
//! Every runner runs this list: `tests/native.rs` under `cargo test`, and a program without libc
//! under an emulator or as `/init` of a real kernel. A check's name states the promise. The
//! runner's [`Host`] supplies everything barepoll does not offer: pipes, signals, concurrency.

use barepoll::fd::{BorrowedFd, OwnedFd, RawFd};
use barepoll::{Epoll, Errno, Event, EventData, EventFd, EventFdFlags, EventFlags};
use core::fmt::{self, Write};
use core::panic::Location;
use core::time::Duration;

/// The operating system services that checks need besides epoll and eventfd.
pub trait Host {
    /// Makes a blocking pipe: the reading end, then the writing end.
    fn pipe(&mut self) -> Result<(OwnedFd, OwnedFd), Errno>;
    /// Makes two connected, blocking `AF_UNIX` stream sockets.
    fn socketpair(&mut self) -> Result<(OwnedFd, OwnedFd), Errno>;
    /// Shuts down the socket's writing side.
    fn shutdown_writing(&mut self, socket: BorrowedFd<'_>) -> Result<(), Errno>;
    /// Duplicates the descriptor to the lowest free number.
    fn duplicate(&mut self, fd: BorrowedFd<'_>) -> Result<OwnedFd, Errno>;
    /// Opens the root directory for reading.
    fn root_directory(&mut self) -> Result<OwnedFd, Errno>;
    /// Whether the descriptor is closed on exec.
    fn is_close_on_exec(&mut self, fd: BorrowedFd<'_>) -> Result<bool, Errno>;
    /// Whether the descriptor's file is nonblocking.
    fn is_nonblocking(&mut self, fd: BorrowedFd<'_>) -> Result<bool, Errno>;
    /// Sets the soft `RLIMIT_NOFILE` and returns the previous one. Descriptors stay below it.
    fn limit_descriptors(&mut self, limit: u64) -> Result<u64, Errno>;

    /// Catches and counts the signal from now on, without `SA_RESTART`.
    fn catch(&mut self, signal: i32) -> Result<(), Errno>;
    /// How many signals were caught so far.
    fn caught(&mut self) -> u32;
    /// Blocks or unblocks the signal in this thread.
    fn block(&mut self, signal: i32, block: bool) -> Result<(), Errno>;
    /// Sends the signal to this thread.
    fn raise(&mut self, signal: i32) -> Result<(), Errno>;

    /// Makes a child process, which ends as asked. Returns its number.
    fn child(&mut self, end: ChildEnd) -> Result<i32, Errno>;

    /// The time of `CLOCK_MONOTONIC`.
    fn now(&mut self) -> Duration;
    /// Runs `other` in another thread or process, so the two may share only descriptors. Runs
    /// `here` in this thread at the same time and passes it the host. `here` may call `beside`
    /// again. Returns `here`'s result once both are done. A signal does not end the wait for
    /// `other`.
    fn beside(
        &mut self,
        other: &(dyn Fn(&dyn Other) + Sync),
        here: &mut dyn FnMut(&mut dyn Host) -> Outcome,
    ) -> Outcome;

    /// Runs the victim in a function compiled for more registers than the rest of the program,
    /// where the machine has them.
    fn widened(&mut self, victim: registers::Widened<'_>) -> bool {
        victim.run()
    }
}

/// What a child process does.
#[derive(Copy, Clone)]
pub enum ChildEnd {
    /// Exits at once with this code.
    Exit(i32),
    /// Waits for a signal that kills it. Exits after [`LONG`], if a check has failed.
    Signal,
}

/// What the other side of [`Host::beside`] can do.
pub trait Other {
    /// Sleeps for this time.
    fn sleep(&self, time: Duration);
    /// Sends a signal to the thread that runs `here`.
    fn signal(&self, signal: i32);
}

/// Services of a dedicated machine: the first process of a kernel, with `/proc` and `/sys` mounted.
#[allow(dead_code)] // only a program that runs as the first process implements it
pub trait Machine: Host {
    /// The kernel's version: `(6, 12)` for 6.12.9.
    fn version(&mut self) -> (u32, u32);
    /// Reads a file from its beginning and returns the number of bytes read.
    fn read_file(&mut self, path: fmt::Arguments<'_>, text: &mut [u8]) -> Result<usize, Errno>;
    /// Writes `text` to a file in one call.
    fn write_file(&mut self, path: fmt::Arguments<'_>, text: &[u8]) -> Result<(), Errno>;
    /// Makes a capability of this process effective or not. It stays permitted.
    fn use_capability(&mut self, capability: u32, is_used: bool) -> Result<(), Errno>;
    /// The time of `CLOCK_REALTIME`.
    fn wall_clock(&mut self) -> Result<Duration, Errno>;
    /// Sets `CLOCK_REALTIME`.
    fn set_wall_clock(&mut self, time: Duration) -> Result<(), Errno>;
}

/// A real-time signal. Where a word has 32 bits, it lies in the mask's second word.
pub const SIGREALTIME: i32 = 40;

/// A check's result.
pub type Outcome = Result<(), Failure>;

/// A check of one promise.
pub struct Check {
    /// A sentence with underscores.
    pub name: &'static str,
    /// The function that decides it: of Linux 6.12, or of this crate if its file is in `src/`.
    pub source: &'static str,
    pub run: fn(&mut dyn Host) -> Outcome,
}

/// A check that needs a dedicated machine.
#[allow(dead_code)]
pub struct MachineCheck {
    pub name: &'static str,
    pub source: &'static str,
    pub run: fn(&mut dyn Machine) -> Outcome,
}

/// Where a check failed and which values it found.
pub struct Failure {
    at: &'static Location<'static>,
    text: [u8; 96],
    used: usize,
}

// Out of line, because the compiler would copy them to a thousand places, for each target.
impl Failure {
    #[cold]
    #[inline(never)]
    #[track_caller]
    pub fn new(what: fmt::Arguments<'_>) -> Self {
        let mut failure = Self { at: Location::caller(), text: [0; 96], used: 0 };
        let _ = failure.write_fmt(what); // a long text is cut
        failure
    }

    #[cold]
    #[inline(never)]
    #[track_caller]
    pub fn is_false(condition: &str) -> Self {
        Self::new(format_args!("false: {condition}"))
    }

    #[cold]
    #[inline(never)]
    #[track_caller]
    pub fn differs(what: &str, found: &dyn fmt::Debug, expected: &dyn fmt::Debug) -> Self {
        Self::new(format_args!("{what}: {found:?}, not {expected:?}"))
    }

    /// The values that the check found.
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

/// A call that a check expects to succeed returned an error.
impl From<Errno> for Failure {
    #[cold]
    #[inline(never)]
    #[track_caller]
    fn from(errno: Errno) -> Self {
        Self::new(format_args!("{errno}"))
    }
}

/// Fails the check if the condition is false.
macro_rules! ensure {
    ($condition:expr) => {
        if !$condition {
            return Err(crate::conformance::Failure::is_false(stringify!($condition)));
        }
    };
}

/// Fails the check if the two differ, and reports both.
macro_rules! ensure_eq {
    ($found:expr, $expected:expr) => {
        match (&$found, &$expected) {
            (found, expected) if found != expected => {
                return Err(crate::conformance::Failure::differs(stringify!($found), &found, &expected));
            }
            _ => {}
        }
    };
}

/// Defines the checks of one subject as `CHECKS`, with the source that decides them. A check may
/// name its own: `fn name(host) by "fs/eventpoll.c: ep_insert" { … }`. Prefix `for Machine,
/// MachineCheck,` for checks that need a machine.
macro_rules! checks {
    (
        for $kind:ident, $check:ident, by $source:expr;
        $($(#[$doc:meta])* fn $name:ident($host:ident) $(by $own:literal)? $body:block)*
    ) => {
        $($(#[$doc])* fn $name($host: &mut dyn crate::conformance::$kind) -> crate::conformance::Outcome {
            let _ = &$host;
            $body
            Ok(())
        })*
        pub const CHECKS: &[crate::conformance::$check] = &[$(crate::conformance::$check {
            name: stringify!($name),
            source: [$($own,)? $source][0],
            run: $name,
        }),*];
    };
    (by $($checks:tt)*) => {
        checks! { for Host, Check, by $($checks)* }
    };
}

/// The function of Linux that enters and leaves a system call on this machine. It decides which
/// registers survive.
pub const ENTRY: &str = if cfg!(target_arch = "x86_64") {
    "arch/x86/entry/entry_64.S: entry_SYSCALL_64"
} else if cfg!(target_arch = "x86") {
    "arch/x86/entry/entry_32.S: entry_INT80_32"
} else if cfg!(target_arch = "aarch64") {
    "arch/arm64/kernel/entry.S: kernel_exit"
} else if cfg!(target_arch = "arm") {
    "arch/arm/kernel/entry-common.S: vector_swi"
} else if cfg!(any(target_arch = "riscv64", target_arch = "riscv32")) {
    "arch/riscv/kernel/entry.S: handle_exception"
} else if cfg!(target_arch = "loongarch64") {
    "arch/loongarch/kernel/entry.S: handle_syscall"
} else if cfg!(target_arch = "powerpc") {
    "arch/powerpc/kernel/entry_32.S: transfer_to_syscall"
} else if cfg!(target_arch = "powerpc64") {
    "arch/powerpc/kernel/interrupt_64.S: system_call_common"
} else if cfg!(target_arch = "s390x") {
    "arch/s390/kernel/entry.S: system_call"
} else if cfg!(any(target_arch = "mips", target_arch = "mips32r6")) {
    "arch/mips/kernel/scall32-o32.S: handle_sys"
} else if cfg!(any(target_arch = "mips64", target_arch = "mips64r6")) {
    "arch/mips/kernel/scall64-n64.S: handle_sys64"
} else if cfg!(target_arch = "sparc") {
    "arch/sparc/kernel/syscalls.S: linux_sparc_syscall32"
} else if cfg!(target_arch = "sparc64") {
    "arch/sparc/kernel/syscalls.S: linux_sparc_syscall"
} else if cfg!(target_arch = "m68k") {
    "arch/m68k/kernel/entry.S: system_call"
} else if cfg!(target_arch = "hexagon") {
    "arch/hexagon/kernel/vm_entry.S: event_dispatch"
} else {
    "arch/csky/kernel/entry.S: csky_systemcall"
};

/// A number that belonged to a descriptor until just now.
pub fn closed_number() -> Result<RawFd, Errno> {
    use barepoll::fd::AsRawFd;
    Ok(Epoll::new()?.as_raw_fd())
}

/// Whether the number is an open descriptor.
pub fn is_open(fd: RawFd) -> Result<bool, Errno> {
    let epoll = Epoll::new()?;
    if barepoll::fd::AsRawFd::as_raw_fd(&epoll) == fd {
        return Ok(false); // the number was free until now
    }
    // SAFETY: the kernel only looks the number up, and returns an error if it is not open.
    match epoll.delete(unsafe { BorrowedFd::borrow_raw(fd) }) {
        Err(Errno::EBADF) => Ok(false),
        Err(Errno::ENOENT) => Ok(true),
        Err(errno) => Err(errno),
        Ok(()) => Err(Errno::EEXIST),
    }
}

/// An unmapped address.
pub fn unmapped_address<T>() -> *mut T {
    let address = 8_usize; // qemu-user and the kernel map nothing there, and no compiler takes it for null
    address as *mut T
}

/// Makes a nonblocking counter, readable unless `initial` is 0.
pub fn counter(initial: u32) -> Result<EventFd, Errno> {
    EventFd::new(initial, EventFdFlags::CLOEXEC | EventFdFlags::NONBLOCK)
}

/// Makes an epoll that watches only this, with 1 as its data.
pub fn watching(source: impl barepoll::fd::AsFd, interest: EventFlags) -> Result<Epoll, Errno> {
    let epoll = Epoll::new()?;
    epoll.add(source, EventData::new_u64(1), interest)?;
    Ok(epoll)
}

/// The events of a wait: data and flags of each, sorted by data, because the kernel's order may
/// differ.
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

/// Returns the events that are ready now.
pub fn ready(epoll: &Epoll) -> Result<Ready, Errno> {
    ready_within(epoll, Duration::ZERO)
}

/// Returns the events that become ready within this time.
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

/// How many events a wait returned.
pub fn count(answer: Result<&mut [Event], Errno>) -> Result<usize, Errno> {
    answer.map(|events| events.len())
}

/// Far longer than any step takes on the slowest machine. Only a hang lasts this long.
pub const LONG: Duration = Duration::from_secs(60);

/// Too late for a step of milliseconds.
pub const LATE: Duration = Duration::from_secs(8);

/// Runs the closure and returns the time it took by the host's clock, and its result.
pub fn timed<T>(host: &mut dyn Host, run: impl FnOnce() -> T) -> (Duration, T) {
    let start = host.now();
    let given = run();
    (host.now().saturating_sub(start), given)
}

/// Checks that this wait finds nothing and never ends early. A busy machine may delay one of the
/// three waits. A wrong timeout delays them all.
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

/// Repeats the attempt until it returns true. Fails after [`LONG`] and 100 attempts.
#[track_caller]
pub fn until(host: &mut dyn Host, attempt: &mut dyn FnMut(&mut dyn Host) -> Result<bool, Failure>) -> Outcome {
    const MOST: u32 = 100;
    let (start, mut attempts) = (host.now(), 1);
    while !attempt(host)? {
        attempts += 1;
        if attempts > MOST && host.now() - start > LONG {
            return Err(Failure::new(format_args!("no attempt succeeded")));
        }
    }
    Ok(())
}

/// Sends the signal every 20 ms until `done` is written, because a single signal could precede the
/// wait that it must interrupt. Gives up after twice [`LONG`] and writes `gave_up`.
pub fn keep_signalling(other: &dyn Other, signal: i32, done: &EventFd, gave_up: &EventFd) {
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

/// Runs `each` `count` times beside `here`, all at the same time, with numbers from 0.
pub fn beside_many(
    host: &mut dyn Host,
    count: usize,
    each: &(dyn Fn(usize, &dyn Other) + Sync),
    here: &mut dyn FnMut(&mut dyn Host) -> Outcome,
) -> Outcome {
    match count.checked_sub(1) {
        None => here(host),
        Some(number) => host.beside(&|other| each(number, other), &mut |host| beside_many(host, number, each, here)),
    }
}

/// Reads a nonblocking counter until its values sum to `expected`, and returns the sum. The sum is
/// lower if nothing more came within [`LONG`].
pub fn gather(counter: &EventFd, expected: u64) -> Result<u64, Errno> {
    let epoll = watching(counter, EventFlags::IN)?;
    let mut sum = 0;
    while sum < expected && count(epoll.wait_uninterrupted(&mut Event::buffer::<1>(), Some(LONG)))? == 1 {
        sum += counter.read()?;
    }
    Ok(sum)
}

/// Sleeps for this time, so that other threads can run.
pub fn pause(host: &mut dyn Host, time: Duration) -> Outcome {
    host.beside(&|other| other.sleep(time), &mut |_| Ok(()))
}

/// Runs the check with these signals caught and blocked, then unblocks them whatever its result.
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

/// Runs the closure while every new descriptor must be below `limit`.
pub fn with_limit<T>(host: &mut dyn Host, limit: RawFd, run: impl FnOnce() -> T) -> Result<T, Errno> {
    let before = host.limit_descriptors(limit as u64)?;
    let given = run();
    host.limit_descriptors(before)?;
    Ok(given)
}

/// Whether the text is written as expected.
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
mod pidfd;
mod readiness;
pub mod registers;
mod sharing;
mod signalfd;
mod signals;
mod spinning;
mod syscalls;
mod timeouts;
mod timerfd;
mod timers;
mod triggers;
mod values;
mod waker;
mod wakeups;

/// Every check, by subject.
pub const SUBJECTS: &[(&str, &[Check])] = &[
    ("values", values::CHECKS),
    ("calls", calls::CHECKS),
    ("syscalls", syscalls::CHECKS),
    ("descriptors", descriptors::CHECKS),
    ("eventfd", eventfd::CHECKS),
    ("timerfd", timerfd::CHECKS),
    ("pidfd", pidfd::CHECKS),
    ("interest", interest::CHECKS),
    ("data", data::CHECKS),
    ("readiness", readiness::CHECKS),
    ("triggers", triggers::CHECKS),
    ("nested", nested::CHECKS),
    ("buffers", buffers::CHECKS),
    ("timeouts", timeouts::CHECKS),
    ("spinning", spinning::CHECKS),
    ("signals", signals::CHECKS),
    ("signalfd", signalfd::CHECKS),
    ("sharing", sharing::CHECKS),
    ("wakeups", wakeups::CHECKS),
    ("waker", waker::CHECKS),
    ("interest_set", interest_set::CHECKS),
    ("timers", timers::CHECKS),
    ("busy_poll", busy_poll::CHECKS),
    ("registers", registers::CHECKS),
];

/// Every check that needs a dedicated machine. Other runners leave them out.
#[allow(dead_code)]
pub const MACHINE: &[(&str, &[MachineCheck])] = &[("machine", machine::CHECKS)];
