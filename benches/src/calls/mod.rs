//! Single operations, repeated: by hand-written assembly, barepoll and its peers.

mod barepoll;
#[cfg(target_arch = "x86_64")]
#[path = "by_hand_x86_64.rs"]
mod by_hand;
// The same code at another address. The two differ only by the effect of code placement.
#[allow(clippy::duplicate_mod)]
#[cfg(target_arch = "x86_64")]
#[path = "by_hand_x86_64.rs"]
mod by_hand_again;
mod libc;
mod mio;
mod nix;
mod polling;
mod rustix;
mod sc;
mod syscalls;

use crate::wall::{Purpose, Way};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

/// The descriptors of every operation: an epoll that watches `empty` for reading, `full`, a
/// semaphore that never reaches zero, `empty`, a nonblocking eventfd at zero, `timer`, which does not
/// expire, and `signals`, which reads `SIGUSR1`. This thread blocks that signal.
pub struct Descriptors {
    epoll: ::barepoll::Epoll,
    full: ::barepoll::EventFd,
    empty: ::barepoll::EventFd,
    timer: ::barepoll::TimerFd,
    signals: ::barepoll::SignalFd,
    /// This process. Its first thread, which runs the operations, has the same number.
    pid: u32,
}

/// The time that `timerfd-set` sets.
const HOUR: Duration = Duration::from_secs(3600);
const SIGUSR1: i32 = ::libc::SIGUSR1;
/// The signal of `block-unblock`.
const SIGUSR2: i32 = ::libc::SIGUSR2;

/// Makes a signal pending in this thread, for `signalfd-read`. It is part of every implementation's
/// loop, and its code is the same in all.
#[inline(always)]
fn send_signal(at: &Descriptors) -> bool {
    // SAFETY: the call takes no pointer, and this thread blocks the signal.
    unsafe { ::barepoll::syscall!(::libc::SYS_tgkill, at.pid, at.pid, SIGUSR1) }.is_ok()
}

/// Runs an operation `n` times. Returns false if one of them gave a wrong result.
type Operation = fn(&Descriptors, u64) -> bool;

type Operations = [Option<Operation>; OPERATIONS.len()];

/// The operations, in the order of every implementation's table. The timeout of `wait-given` is not
/// a constant. After `black_box` the compiler must load it from memory for each wait. `timerfd-read`
/// reads a timer that has not expired, because an expiration takes far longer than the call.
const OPERATIONS: [&str; 11] = [
    "wait",
    "wait-given",
    "modify",
    "write",
    "read",
    "read-again",
    "create-close",
    "timerfd-set",
    "timerfd-read",
    "signalfd-read",
    "block-unblock",
];

/// Hand-written assembly comes first, as the lower bound.
const WHO: [(&str, Operations); 9] = [
    ("by-hand", by_hand::OPERATIONS),
    ("barepoll", barepoll::OPERATIONS),
    ("sc", sc::OPERATIONS),
    ("syscalls", syscalls::OPERATIONS),
    ("rustix", rustix::OPERATIONS),
    ("libc", libc::OPERATIONS),
    ("nix", nix::OPERATIONS),
    ("mio", mio::OPERATIONS),
    ("polling", polling::OPERATIONS),
];

/// Defines an implementation's operations. Each is `none` or an expression that is true if the call
/// gave the right result.
macro_rules! operations {
    ($($name:ident $(: $none:ident)? $(($at:ident) { $($before:stmt);* $(;)? } $call:expr)?;)*) => {
        $($(
            #[inline(never)]
            fn $name($at: &crate::calls::Descriptors, n: u64) -> bool {
                $($before)*
                let mut left = n;
                while left != 0 {
                    if !$call {
                        return false;
                    }
                    left -= 1;
                    // SAFETY: this emits no instruction. It hides the counter, so that the compiler
                    // builds each loop the same way. The module's name keeps the compiler from
                    // merging loops that are alike.
                    unsafe {
                        std::arch::asm!(
                            concat!("/* ", module_path!(), " {} */"), inout(reg) left, options(nomem, nostack, preserves_flags)
                        )
                    };
                }
                true
            }
        )?)*
        pub const OPERATIONS: crate::calls::Operations = [$(crate::calls::operations!(@one $name $($none)?)),*];
    };
    (@one $name:ident none) => { None };
    (@one $name:ident) => { Some($name) };
}
pub(crate) use operations;

/// The valid arguments, for error messages.
pub fn names() -> String {
    let who: Vec<&str> = WHO.iter().map(|(name, _)| *name).collect();
    format!("WHO is of {}, OPERATION of {}, THREADS 1 or 2", who.join(", "), OPERATIONS.join(", "))
}

/// Runs one operation `n` times in one or two threads, for a tool that counts instructions.
pub fn run(who: &str, operation: &str, n: &str, threads: &str) -> Result<(), String> {
    let (_, table) = WHO.iter().find(|(name, _)| *name == who).ok_or_else(names)?;
    let run = table[place(operation)?].ok_or_else(|| format!("{who} has no {operation}"))?;
    let n = n.parse().map_err(|_| names())?;
    let descriptors = descriptors().map_err(|errno| format!("no descriptors to work with: {errno}"))?;
    let done = match threads {
        "1" => run(&descriptors, n),
        "2" => crate::scenarios::beside_another_thread(|| run(&descriptors, n)),
        _ => return Err(names()),
    };
    if done {
        return Ok(());
    }
    Err(format!("{operation} by {who} did not do what it should"))
}

/// Compares every implementation's wall time of an operation with the hand-written assembly.
pub fn time(operation: &str, threads: &str, purpose: &Purpose) -> Result<serde_json::Value, String> {
    let place = place(operation)?;
    let descriptors = descriptors().map_err(|errno| format!("no descriptors to work with: {errno}"))?;
    let again = ("by-hand, again", by_hand_again::OPERATIONS);
    let ways = [&WHO[..1], &[again], &WHO[1..]].concat().into_iter().filter_map(|(name, table)| {
        let (run, descriptors) = (table[place]?, &descriptors);
        Some(Way::new(name, move |times| assert!(run(descriptors, times.into()), "{name} did not do what it should")))
    });
    let ways = ways.collect();
    match threads {
        "1" => Ok(purpose.of(ways)),
        "2" => Ok(crate::scenarios::beside_another_thread(|| purpose.of(ways))),
        _ => Err(names()),
    }
}

fn place(operation: &str) -> Result<usize, String> {
    OPERATIONS.iter().position(|name| *name == operation).ok_or_else(names)
}

/// A duplicate, owned by std's type.
fn std_fd(of: &impl ::barepoll::fd::AsRawFd) -> OwnedFd {
    // SAFETY: the borrow of its owner keeps the descriptor open.
    unsafe { BorrowedFd::borrow_raw(of.as_raw_fd()) }.try_clone_to_owned().expect("a descriptor is left")
}

fn descriptors() -> Result<Descriptors, ::barepoll::Errno> {
    use ::barepoll::{Clock, Epoll, EventData, EventFd, EventFdFlags, EventFlags};
    use ::barepoll::{SigSet, SignalFd, SignalFdFlags, TimerFd, TimerFdFlags};
    let full = EventFd::new(0, EventFdFlags::SEMAPHORE | EventFdFlags::NONBLOCK)?;
    full.write(1 << 60)?;
    let signals = SigSet::from_signals(&[SIGUSR1])?;
    signals.block()?;
    let made = Descriptors {
        epoll: Epoll::new()?,
        full,
        empty: EventFd::new(0, EventFdFlags::NONBLOCK)?,
        timer: TimerFd::new(Clock::MONOTONIC, TimerFdFlags::NONBLOCK)?,
        signals: SignalFd::new(&signals, SignalFdFlags::NONBLOCK)?,
        pid: std::process::id(),
    };
    made.epoll.add(&made.empty, EventData::new_u64(1), EventFlags::IN)?;
    Ok(made)
}
