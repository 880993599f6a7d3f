//! Feature `std`: conversions to the standard library's errors, from and to its child processes,
//! and its clock. Its descriptors are in [`crate::fd`].

use crate::child::ChildStatus;
use crate::errno::{Errno, Result};
use crate::pidfd::PidFd;
use crate::timeout::Timespec;
use std::cell::UnsafeCell;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::sync::Once;
use std::time::{Duration, Instant};

impl std::error::Error for Errno {}

impl From<Errno> for std::io::Error {
    fn from(errno: Errno) -> Self {
        Self::from_raw_os_error(errno.raw())
    }
}

/// Opens the child, as [`PidFd::open`] with its number.
///
/// The child must not have been waited for: after `Child::wait`, or a `try_wait` that returned a
/// status, the number may be another process's. Before, there is no race. Wait either with the
/// `Child` or with the `PidFd`: only one of them reaps it, and the other gets `ECHILD`.
///
/// ```
/// use barepoll::PidFd;
/// use std::process::{Command, ExitStatus};
///
/// let child = Command::new("true").spawn()?;
/// let status: ExitStatus = PidFd::try_from(&child)?.wait()?.into();
/// assert!(status.success());
/// # Ok::<(), std::io::Error>(())
/// ```
impl TryFrom<&Child> for PidFd {
    type Error = Errno;

    fn try_from(child: &Child) -> Result<Self> {
        Self::open(child.id() as i32)
    }
}

/// Makes the status that `waitpid` would have returned.
impl From<ChildStatus> for ExitStatus {
    fn from(status: ChildStatus) -> Self {
        const CORE_DUMPED: i32 = 0x80;
        const STOPPED: i32 = 0x7f;
        Self::from_raw(match (status.code(), status.signal()) {
            (Some(code), _) => code << 8,
            (_, Some(signal)) if status.core_dumped() => signal | CORE_DUMPED,
            (_, Some(signal)) => signal,
            _ => status.status << 8 | STOPPED,
        })
    }
}

/// A moment of std's clock, `CLOCK_MONOTONIC`. On a machine with a vDSO, std makes no system call.
pub(crate) struct Moment(Instant);

impl Moment {
    pub(crate) fn now() -> Result<Self> {
        Ok(Self(Instant::now()))
    }

    pub(crate) fn elapsed(&self) -> Result<Timespec> {
        Ok(self.0.elapsed().into())
    }
}

/// The time since `Deadline::ORIGIN`, which is [`origin`].
pub(crate) fn since_origin() -> Result<Timespec> {
    let origin = origin();
    Ok(Instant::now().saturating_duration_since(origin).into())
}

/// How long before the first call [`origin`] is: 34 years, longer than any machine has run. So each
/// `Instant` of a program is later. A 32-bit `time_t` has room for it.
const BEFORE: Duration = Duration::from_secs(1 << 30);

/// A moment before all others of this process. An `Instant` does not show its own origin.
pub(crate) fn origin() -> Instant {
    // By `Once`: `OnceLock` is newer than Rust 1.63.
    struct Origin(UnsafeCell<Option<Instant>>);
    // SAFETY: only the closure of `SET` writes it, and only once. Every reader waits for that.
    unsafe impl Sync for Origin {}
    static ORIGIN: Origin = Origin(UnsafeCell::new(None));
    static SET: Once = Once::new();

    let before = || {
        let now = Instant::now();
        now.checked_sub(BEFORE).unwrap_or(now)
    };
    // SAFETY: `Once` runs one closure at a time, and nothing reads before it has returned.
    SET.call_once(|| unsafe { *ORIGIN.0.get() = Some(before()) });
    // SAFETY: `call_once` has returned, so nothing writes any more.
    unsafe { *ORIGIN.0.get() }.unwrap_or_else(before)
}

/// The `Instant` this long after [`origin`].
pub(crate) fn after_origin(time: Duration) -> Instant {
    let origin = origin();
    // On a 32-bit machine, Rust 1.63's `Instant` has no later moment than this second one.
    origin.checked_add(time).or_else(|| origin.checked_add(BEFORE * 2)).unwrap_or(origin)
}
