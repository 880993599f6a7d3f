//! The safe interface of pidfds.

use crate::child::{ChildStatus, Siginfo};
use crate::errno::{Errno, Result};
use crate::fallback;
use crate::fd::{impl_owned_fd, AsRawFd, FromRawFd, OwnedFd};
use crate::flags::PidFdFlags;
use crate::raw;
use core::ptr;

/// A descriptor of a process. It is readable when the process has ended.
///
/// An [`Epoll`](crate::Epoll) that watches it with [`EventFlags::IN`](crate::EventFlags::IN)
/// reports the end of a child, without `SIGCHLD`. The event stays until the descriptor is closed.
/// Since Linux 6.9, [`HUP`](crate::EventFlags::HUP) comes with it once the process has been reaped.
///
/// It always refers to the same process. A signal through it cannot reach a newer process with the
/// same number. Dropping it closes the descriptor, and does nothing to the process.
///
/// ```
/// use barepoll::signo::SIGKILL;
/// use barepoll::{Epoll, Event, EventData, EventFlags, PidFd};
/// use std::process::{Command, Stdio};
///
/// # #[allow(clippy::zombie_processes)] // `wait` reaps it
/// let child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("`cat` runs");
/// let pidfd = PidFd::open(child.id() as i32)?;
/// let epoll = Epoll::new()?;
/// epoll.add(&pidfd, EventData::new_u64(7), EventFlags::IN)?;
///
/// pidfd.send_signal(SIGKILL)?;
/// let mut buffer = Event::buffer::<1>();
/// assert_eq!(epoll.wait(&mut buffer, None)?.len(), 1);
/// assert_eq!(pidfd.wait()?.signal(), Some(SIGKILL));
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// # Which process it is
///
/// A process keeps its number until its parent has waited for it. So the parent opens a pidfd of
/// its own child without a race, also of one that has ended. The number of another process, or of a
/// child that was waited for, may belong to a new process.
///
/// With feature `std`, `PidFd::try_from(&child)` opens a `std::process::Child`.
///
/// # Who waits
///
/// A child is reaped once: by [`wait`](Self::wait), by `std::process::Child::wait`, or by any other
/// wait of this process. All later waits are `ECHILD`. Its number is free then, so do not call
/// `Child::kill` after a wait with the pidfd. If this process ignores `SIGCHLD` or has set
/// `SA_NOCLDWAIT`, the kernel reaps its children, and no wait learns how they ended.
///
/// # Older kernels
///
/// The calls need Linux 5.3, and the waits 5.4. Before, they are `ENOSYS`. Android's sandbox kills
/// apps for calls that Android's C library does not make. Older releases' library does not make
/// these calls.
///
/// See [`pidfd_open(2)`](https://man7.org/linux/man-pages/man2/pidfd_open.2.html).
#[doc(alias = "pidfd")]
#[repr(transparent)]
pub struct PidFd(OwnedFd);

impl_owned_fd!(PidFd);

impl PidFd {
    /// Opens the process with this number. The descriptor is closed on exec.
    ///
    /// ```
    /// use barepoll::{Errno, PidFd};
    ///
    /// let this = PidFd::open(std::process::id() as i32)?;
    /// this.send_signal(0)?; // it exists
    /// assert_eq!(PidFd::open(0).err(), Some(Errno::EINVAL));
    /// # Ok::<(), Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - `ESRCH`: no process has this number. In older kernels that is `EINVAL`, if a process group or
    ///   a session still has it.
    /// - `EINVAL`: `pid` is not positive. Or it is the number of a thread that does not lead its
    ///   process (`ENOENT` in newer kernels).
    /// - `EMFILE`: this process has no descriptor left. `ENFILE`: the system has no file left.
    /// - `ENODEV`: the kernel could not mount its anonymous inodes. `ENOMEM`: it has no memory for
    ///   the descriptor.
    /// - `ENOSYS`: the kernel is older than 5.3, or a sandbox or an emulator lacks the call.
    ///
    /// See [`pidfd_open(2)`](https://man7.org/linux/man-pages/man2/pidfd_open.2.html).
    #[doc(alias = "pidfd_open")]
    #[inline]
    pub fn open(pid: i32) -> Result<Self> {
        Self::with_flags(pid, PidFdFlags::empty())
    }

    /// As [`open`](Self::open), with flags.
    ///
    /// ```
    /// use barepoll::{Errno, PidFd, PidFdFlags};
    /// use std::process::{Command, Stdio};
    ///
    /// let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("`cat` runs");
    /// let pidfd = PidFd::with_flags(child.id() as i32, PidFdFlags::NONBLOCK)?;
    /// assert_eq!(pidfd.wait(), Err(Errno::EAGAIN));
    /// # child.kill().and_then(|()| child.wait()).expect("it ends");
    /// # Ok::<(), Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open). `EINVAL` also: the kernel does not know a flag.
    ///
    /// See [`pidfd_open(2)`](https://man7.org/linux/man-pages/man2/pidfd_open.2.html).
    #[doc(alias = "pidfd_open")]
    #[inline]
    pub fn with_flags(pid: i32, flags: PidFdFlags) -> Result<Self> {
        let fd = fallback::pidfd_open(pid, flags.bits())?;
        // SAFETY: the kernel has just made the descriptor, and nothing else owns it.
        Ok(unsafe { Self::from_raw_fd(fd) })
    }

    /// Sends the process a signal. Signal 0 sends nothing, and tests the process.
    ///
    /// A process that has ended and was not waited for still takes signals, and ignores them. If the
    /// user has too many signals pending (`RLIMIT_SIGPENDING`), a real-time signal does not queue: it
    /// is pending once, without its sender.
    ///
    /// ```
    /// use barepoll::{signo::SIGTERM, Errno, PidFd};
    /// use std::process::Command;
    ///
    /// let mut child = Command::new("true").spawn().expect("`true` runs");
    /// let pidfd = PidFd::open(child.id() as i32)?;
    /// pidfd.send_signal(SIGTERM)?;
    /// child.wait().expect("it ends");
    /// assert_eq!(pidfd.send_signal(SIGTERM), Err(Errno::ESRCH));
    /// # Ok::<(), Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - `ESRCH`: the process has ended and was waited for.
    /// - `EPERM`: this process may not send that process a signal.
    /// - `EINVAL`: there is no such signal. Or the process is in a PID namespace that is not this
    ///   one's or below it.
    /// - `EBADF`: this was made `From` a descriptor that is no pidfd.
    ///
    /// See [`pidfd_send_signal(2)`](https://man7.org/linux/man-pages/man2/pidfd_send_signal.2.html).
    #[doc(alias = "pidfd_send_signal")]
    #[doc(alias = "kill")]
    #[inline]
    pub fn send_signal(&self, signal: i32) -> Result<()> {
        // SAFETY: a null pointer stands for what `kill` sends.
        unsafe { raw::pidfd_send_signal(self.as_raw_fd(), signal, ptr::null(), 0) }
    }

    /// Waits until the child has ended, reaps it, and returns how it ended.
    ///
    /// ```
    /// use barepoll::{Errno, PidFd};
    /// use std::process::Command;
    ///
    /// # #[allow(clippy::zombie_processes)] // `wait` reaps it
    /// let child = Command::new("true").spawn().expect("`true` runs");
    /// let pidfd = PidFd::open(child.id() as i32)?;
    /// assert!(pidfd.wait()?.success());
    /// assert_eq!(pidfd.wait(), Err(Errno::ECHILD)); // only one wait reaps
    /// # Ok::<(), Errno>(())
    /// ```
    ///
    /// If this thread traces the process, the wait also ends when the process stops. Then
    /// [`ChildStatus`] has neither a code nor a signal, and the process was not reaped.
    ///
    /// # Errors
    ///
    /// - `ECHILD`: the process is no child of this process. Or it was waited for already, or the
    ///   kernel has reaped it because `SIGCHLD` is ignored. Or `clone` made it with another signal
    ///   than `SIGCHLD`.
    /// - `EAGAIN`: the child has not ended, and this was opened with [`PidFdFlags::NONBLOCK`].
    /// - `EINTR`: a signal handler, installed without `SA_RESTART`, ran while this waited.
    /// - `EBADF`: this was made `From` a descriptor that is no pidfd.
    /// - `ENOSYS`: the kernel is older than 5.4.
    ///
    /// See [`waitid(2)`](https://man7.org/linux/man-pages/man2/waitid.2.html).
    #[doc(alias = "waitid")]
    #[doc(alias = "waitpid")]
    #[inline]
    pub fn wait(&self) -> Result<ChildStatus> {
        self.wait_with(raw::WEXITED).map(ChildStatus::from)
    }

    /// As [`wait`](Self::wait), but returns `None` if the child has not ended.
    ///
    /// ```
    /// use barepoll::PidFd;
    /// use std::process::{Command, Stdio};
    ///
    /// # #[allow(clippy::zombie_processes)] // `wait` reaps it
    /// let child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("`cat` runs");
    /// let pidfd = PidFd::open(child.id() as i32)?;
    /// assert_eq!(pidfd.try_wait()?, None);
    /// # pidfd.send_signal(9).and_then(|()| pidfd.wait())?;
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait), but neither `EAGAIN` nor `EINTR`.
    ///
    /// See [`waitid(2)`](https://man7.org/linux/man-pages/man2/waitid.2.html).
    #[doc(alias = "waitid")]
    #[doc(alias = "WNOHANG")]
    #[inline]
    pub fn try_wait(&self) -> Result<Option<ChildStatus>> {
        let info = self.wait_with(raw::WEXITED | raw::WNOHANG)?;
        Ok(if info.pid() == 0 { None } else { Some(info.into()) })
    }

    fn wait_with(&self, options: u32) -> Result<Siginfo> {
        let mut info = Siginfo::EMPTY;
        // SAFETY: `info` is valid for writes. To reap a child of this process through its own pidfd
        // is what the caller asks for.
        match unsafe { raw::waitid(raw::P_PIDFD, self.as_raw_fd(), &mut info, options) } {
            Ok(()) => Ok(info),
            // The options are valid and the descriptor is not negative, so it is `P_PIDFD` that the
            // kernel does not know.
            Err(Errno::EINVAL) => Err(Errno::ENOSYS),
            Err(errno) => Err(errno),
        }
    }
}
