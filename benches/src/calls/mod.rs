//! One operation, N times, by hand, by barepoll or by a peer: for a counter of instructions.

mod barepoll;
#[cfg(target_arch = "x86_64")]
#[path = "by_hand_x86_64.rs"]
mod by_hand;
mod libc;
mod rustix;

/// What is done `n` times. Descriptors: an epoll that watches the eventfd for reading; `full`, a semaphore that never runs
/// dry; `empty`, nonblocking and zero.
pub struct Descriptors {
    epoll: ::barepoll::Epoll,
    full: ::barepoll::EventFd,
    empty: ::barepoll::EventFd,
}

/// Runs an operation `n` times; false if one of them did not do what it should.
type Operation = fn(&Descriptors, u64) -> bool;

/// The operations, in the order of every implementor's table.
const OPERATIONS: [&str; 6] = ["wait", "modify", "write", "read", "read-again", "create-close"];

const WHO: [(&str, [Operation; 6]); 4] = [
    ("by-hand", by_hand::OPERATIONS),
    ("barepoll", barepoll::OPERATIONS),
    ("rustix", rustix::OPERATIONS),
    ("libc", libc::OPERATIONS),
];

/// Defines an implementor's operations: each an expression that is true where the call did what it should.
macro_rules! operations {
    ($($name:ident($at:ident) { $($before:stmt)* } $call:expr;)*) => {
        $(
            #[inline(never)]
            fn $name($at: &crate::calls::Descriptors, n: u64) -> bool {
                $($before)*
                let mut left = n;
                while left != 0 {
                    if !$call {
                        return false;
                    }
                    left -= 1;
                    // SAFETY: no instruction. It hides the counter, or each loop would be turned round in another way.
                    unsafe { std::arch::asm!("/* {} */", inout(reg) left, options(nomem, nostack, preserves_flags)) };
                }
                true
            }
        )*
        pub const OPERATIONS: [crate::calls::Operation; 6] = [$($name),*];
    };
}
pub(crate) use operations;

/// What `WHO` and `OPERATION` may be.
pub fn names() -> String {
    let who: Vec<&str> = WHO.iter().map(|(name, _)| *name).collect();
    format!("WHO of {}, OPERATION of {}", who.join(", "), OPERATIONS.join(", "))
}

pub fn run(who: &str, operation: &str, n: &str) -> Result<(), String> {
    let (_, table) = WHO.iter().find(|(name, _)| *name == who).ok_or_else(names)?;
    let place = OPERATIONS.iter().position(|name| *name == operation).ok_or_else(names)?;
    let n = n.parse().map_err(|_| names())?;
    let descriptors = descriptors().map_err(|errno| format!("no descriptors to work with: {errno}"))?;
    if table[place](&descriptors, n) {
        return Ok(());
    }
    Err(format!("{operation} by {who} did not do what it should"))
}

fn descriptors() -> Result<Descriptors, ::barepoll::Errno> {
    use ::barepoll::{Epoll, EventData, EventFd, EventFdFlags, EventFlags};
    let full = EventFd::new(0, EventFdFlags::SEMAPHORE | EventFdFlags::NONBLOCK)?;
    full.write(1 << 60)?;
    let made = Descriptors { epoll: Epoll::new()?, full, empty: EventFd::new(0, EventFdFlags::NONBLOCK)? };
    made.epoll.add(&made.empty, EventData::new_u64(1), EventFlags::IN)?;
    Ok(made)
}
