//! What `waitid` reports of a child: the kernel's structure, and what it means.

use crate::arch::SI_CODE;
use crate::uapi::{CLD_DUMPED, CLD_EXITED, CLD_KILLED};
use core::fmt;
use core::mem::size_of;

/// Size of `siginfo_t`, in words of 32 bits.
const WORDS: usize = 128 / size_of::<i32>();

/// The fields of a child, as indexes of such words. `si_pid` begins a union of structures. Some of
/// those begin with a pointer, so the union has a pointer's alignment.
const SIGNO: usize = 0;
const CODE: usize = SI_CODE / size_of::<i32>();
pub(crate) const PID: usize = if size_of::<usize>() == 8 { 4 } else { 3 };
const UID: usize = PID + 1;
const STATUS: usize = PID + 2;

/// The kernel's `siginfo_t`, with the fields that [`raw::waitid`](crate::raw::waitid) fills.
///
/// ```
/// use barepoll::raw::{self, Siginfo};
/// use std::process::Command;
///
/// # #[allow(clippy::zombie_processes)] // `waitid` reaps it
/// let child = Command::new("true").spawn().expect("`true` runs");
/// let mut info = Siginfo::EMPTY;
/// // SAFETY: the pointer is valid for writes, and no other code waits for this child.
/// unsafe { raw::waitid(raw::P_PID, child.id() as i32, &mut info, raw::WEXITED)? };
/// assert_eq!((info.pid(), info.code(), info.status()), (child.id() as i32, raw::CLD_EXITED as i32, 0));
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// See [`sigaction(2)`](https://man7.org/linux/man-pages/man2/sigaction.2.html) for the structure.
#[doc(alias = "siginfo_t")]
#[derive(Copy, Clone)]
#[repr(C)]
pub struct Siginfo {
    /// The alignment.
    pointers: [usize; 0],
    words: [i32; WORDS],
}

impl Siginfo {
    /// All zero.
    pub const EMPTY: Self = Self { pointers: [], words: [0; WORDS] };

    /// `si_signo`: `SIGCHLD` if `waitid` found a child, otherwise 0.
    ///
    /// ```
    /// assert_eq!(barepoll::raw::Siginfo::EMPTY.signo(), 0);
    /// ```
    #[must_use]
    #[inline]
    pub const fn signo(&self) -> i32 {
        self.words[SIGNO]
    }

    /// `si_code`: what happened, such as [`CLD_EXITED`](crate::raw::CLD_EXITED).
    ///
    /// ```
    /// assert_eq!(barepoll::raw::Siginfo::EMPTY.code(), 0);
    /// ```
    #[must_use]
    #[inline]
    pub const fn code(&self) -> i32 {
        self.words[CODE]
    }

    /// `si_pid`: the child's process number, or 0 if `waitid` found no child.
    ///
    /// ```
    /// assert_eq!(barepoll::raw::Siginfo::EMPTY.pid(), 0);
    /// ```
    #[must_use]
    #[inline]
    pub const fn pid(&self) -> i32 {
        self.words[PID]
    }

    /// `si_uid`: the child's real user.
    ///
    /// ```
    /// assert_eq!(barepoll::raw::Siginfo::EMPTY.uid(), 0);
    /// ```
    #[must_use]
    #[inline]
    pub const fn uid(&self) -> u32 {
        self.words[UID] as u32
    }

    /// `si_status`: the exit code, or the signal.
    ///
    /// ```
    /// assert_eq!(barepoll::raw::Siginfo::EMPTY.status(), 0);
    /// ```
    #[must_use]
    #[inline]
    pub const fn status(&self) -> i32 {
        self.words[STATUS]
    }
}

impl fmt::Debug for Siginfo {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Siginfo")
            .field("signo", &self.signo())
            .field("code", &self.code())
            .field("pid", &self.pid())
            .field("uid", &self.uid())
            .field("status", &self.status())
            .finish()
    }
}

/// How a child ended: it exited, or a signal killed it.
///
/// [`PidFd::wait`](crate::PidFd::wait) returns it. With feature `std` it converts into
/// `std::process::ExitStatus`.
///
/// ```
/// use barepoll::PidFd;
/// use std::process::Command;
///
/// # #[allow(clippy::zombie_processes)] // `wait` reaps it
/// let child = Command::new("false").spawn().expect("`false` runs");
/// let status = PidFd::open(child.id() as i32)?.wait()?;
/// assert_eq!((status.code(), status.signal()), (Some(1), None));
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// See [`waitid(2)`](https://man7.org/linux/man-pages/man2/waitid.2.html).
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
pub struct ChildStatus {
    pid: i32,
    code: i32,
    pub(crate) status: i32,
}

impl ChildStatus {
    /// The child's process number. Another process may have it now.
    ///
    /// ```
    /// use barepoll::{raw::Siginfo, ChildStatus};
    ///
    /// assert_eq!(ChildStatus::from(Siginfo::EMPTY).pid(), 0);
    /// ```
    #[must_use]
    #[inline]
    pub const fn pid(self) -> i32 {
        self.pid
    }

    /// Whether the child exited with 0.
    ///
    /// ```
    /// use barepoll::{raw::Siginfo, ChildStatus};
    ///
    /// assert!(!ChildStatus::from(Siginfo::EMPTY).success()); // of no child
    /// ```
    #[must_use]
    #[inline]
    pub const fn success(self) -> bool {
        self.code == CLD_EXITED as i32 && self.status == 0
    }

    /// The exit code, from 0 to 255, or `None` if the child did not exit.
    ///
    /// ```
    /// use barepoll::{raw::Siginfo, ChildStatus};
    ///
    /// assert_eq!(ChildStatus::from(Siginfo::EMPTY).code(), None); // of no child
    /// ```
    #[doc(alias = "WEXITSTATUS")]
    #[must_use]
    #[inline]
    pub const fn code(self) -> Option<i32> {
        if self.code == CLD_EXITED as i32 {
            Some(self.status)
        } else {
            None
        }
    }

    /// The signal that killed the child, or `None` if none did.
    ///
    /// ```
    /// use barepoll::{raw::Siginfo, ChildStatus};
    ///
    /// assert_eq!(ChildStatus::from(Siginfo::EMPTY).signal(), None); // of no child
    /// ```
    #[doc(alias = "WTERMSIG")]
    #[must_use]
    #[inline]
    pub const fn signal(self) -> Option<i32> {
        if self.code == CLD_KILLED as i32 || self.core_dumped() {
            Some(self.status)
        } else {
            None
        }
    }

    /// Whether a signal killed the child and the kernel dumped its memory.
    ///
    /// ```
    /// use barepoll::{raw::Siginfo, ChildStatus};
    ///
    /// assert!(!ChildStatus::from(Siginfo::EMPTY).core_dumped()); // of no child
    /// ```
    #[doc(alias = "WCOREDUMP")]
    #[must_use]
    #[inline]
    pub const fn core_dumped(self) -> bool {
        self.code == CLD_DUMPED as i32
    }
}

impl From<Siginfo> for ChildStatus {
    #[inline]
    fn from(info: Siginfo) -> Self {
        Self { pid: info.pid(), code: info.code(), status: info.status() }
    }
}

impl fmt::Debug for ChildStatus {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("ChildStatus");
        debug.field("pid", &self.pid);
        match (self.code(), self.signal()) {
            (Some(code), _) => debug.field("code", &code),
            (_, Some(signal)) => debug.field("signal", &signal).field("core_dumped", &self.core_dumped()),
            _ => debug.field("si_code", &self.code),
        };
        debug.finish()
    }
}
