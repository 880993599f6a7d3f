//! The safe interface of signalfd.

use crate::arch::{self, nr};
use crate::errno::{error_of_read, Errno, Result};
use crate::fd::{self, impl_owned_fd, AsRawFd, OwnedFd};
use crate::flags::SignalFdFlags;
use crate::raw;
use crate::sanitizer;
use crate::signal::SigSet;
use core::fmt;
use core::mem::{size_of, MaybeUninit};
use core::slice;

/// A descriptor that reads pending signals.
///
/// Each thread must block the signals first. Otherwise a thread that does not block them runs their
/// handler or default action, and there is nothing to read. Block them before the program starts
/// threads, because a new thread inherits the mask.
///
/// ```
/// use barepoll::signo::{SIGINT, SIGTERM};
/// use barepoll::{Epoll, Event, EventData, EventFlags};
/// use barepoll::{SigSet, SignalFd, SignalFdFlags, SignalInfo};
/// # use barepoll::syscall;
/// # use linux_raw_sys::general::{__NR_getpid, __NR_kill};
///
/// let signals = SigSet::from_signals(&[SIGINT, SIGTERM])?;
/// signals.block()?;
/// let signalfd = SignalFd::new(&signals, SignalFdFlags::CLOEXEC | SignalFdFlags::NONBLOCK)?;
/// let epoll = Epoll::new()?;
/// epoll.add(&signalfd, EventData::new_u64(1), EventFlags::IN)?;
/// # // SAFETY: neither call takes a pointer.
/// # unsafe { syscall!(__NR_getpid).and_then(|pid| syscall!(__NR_kill, pid, SIGTERM))? };
///
/// assert_eq!(epoll.wait(&mut Event::buffer::<8>(), None)?.len(), 1);
/// let mut buffer = SignalInfo::buffer::<8>();
/// for info in signalfd.read(&mut buffer)? {
///     println!("signal {} of process {}", info.signal(), info.sender_pid());
/// }
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// # Which signals it reads
///
/// - A read takes the signals of the thread that reads, and those of its process. A signal that was
///   sent to another thread (`pthread_kill`) stays there. A wait on an epoll sees the signalfd ready
///   for the signals of the thread that waits, and of its process.
/// - If several threads wait on one epoll, a signal to one of them may wake another, which finds
///   nothing. Then no wait reports it. So send signals to the process, or give each thread an epoll.
/// - After `fork`, the child reads its own signals through the inherited descriptor. But the epoll
///   that watches the descriptor learns only of signals to the process that added it. So make a new
///   signalfd in the child, and add that.
/// - A read takes the thread's own signals first, then those of the process. Of each, it takes those
///   of faults first (`SIGSEGV`, …), then the one with the lowest number.
/// - A standard signal (below 32) is pending at most once for the thread, and once for the process:
///   several children that end may cause one `SIGCHLD`. So wait for children until none is left.
///   Real-time signals queue, in the order in which they were sent, up to `RLIMIT_SIGPENDING` for
///   each user.
/// - Where a program has set `SIG_IGN` for `SIGCHLD`, the kernel does not send it. With the default
///   action, which does nothing, a blocked `SIGCHLD` still becomes pending.
/// - A fault of a thread (`SIGSEGV`, `SIGBUS`, `SIGFPE`, `SIGILL`, `SIGTRAP`, `SIGSYS`) cannot be
///   read. While its signal is blocked it kills the process. A `SIGSEGV` that another process sent
///   can be read.
/// - A blocked signal stays blocked in a program that `execve` starts: see *The thread's mask* of
///   [`SigSet`].
///
/// Dropping it closes it. The signals stay blocked, and pending ones stay pending.
///
/// See [`signalfd(2)`](https://man7.org/linux/man-pages/man2/signalfd.2.html).
#[doc(alias = "signalfd")]
#[repr(transparent)]
pub struct SignalFd(OwnedFd);

impl_owned_fd!(SignalFd);

impl SignalFd {
    /// Makes a descriptor that reads these signals.
    ///
    /// The kernel ignores `SIGKILL` and `SIGSTOP` in the set.
    ///
    /// ```
    /// use barepoll::{signo::SIGTERM, SigSet, SignalFd, SignalFdFlags};
    ///
    /// let signals = SigSet::from_signals(&[SIGTERM])?;
    /// signals.block()?;
    /// let signalfd = SignalFd::new(&signals, SignalFdFlags::CLOEXEC | SignalFdFlags::NONBLOCK)?;
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - `EINVAL`: a flag is unknown.
    /// - `EMFILE`: this process has no descriptor left. `ENFILE`: the system has no file left.
    /// - `ENODEV`: the kernel could not mount its anonymous inodes. `ENOMEM`: it has no memory for
    ///   the signalfd. `ENOSYS`: it was built without `CONFIG_SIGNALFD`.
    ///
    /// See [`signalfd4(2)`](https://man7.org/linux/man-pages/man2/signalfd.2.html).
    #[doc(alias = "signalfd")]
    #[doc(alias = "signalfd4")]
    #[inline]
    pub fn new(signals: &SigSet, flags: SignalFdFlags) -> Result<Self> {
        let (signals, flags) = (signals as *const SigSet as usize, flags.bits() as usize);
        // SAFETY: the reference is valid for reads, and the size is that of the kernel's set. With
        // −1, a result that is no error is a new descriptor.
        unsafe {
            fd::from_returned(arch::syscall4::<{ nr::SIGNALFD4 }>(usize::MAX, signals, size_of::<SigSet>(), flags))
        }
    }

    /// Changes which signals this reads.
    ///
    /// A signal that is pending already can be read at once. An epoll that watches this learns of
    /// it.
    ///
    /// ```
    /// use barepoll::signo::{SIGINT, SIGTERM};
    /// use barepoll::{SigSet, SignalFd, SignalFdFlags};
    ///
    /// let signalfd = SignalFd::new(&SigSet::from_signals(&[SIGTERM])?, SignalFdFlags::CLOEXEC)?;
    /// signalfd.set(&SigSet::from_signals(&[SIGINT, SIGTERM])?)?;
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `EINVAL`: this was made `From` a descriptor that is no signalfd. `EBADF`: this was made from
    /// one that was opened with `O_PATH`.
    ///
    /// See [`signalfd4(2)`](https://man7.org/linux/man-pages/man2/signalfd.2.html).
    #[doc(alias = "signalfd4")]
    #[inline]
    pub fn set(&self, signals: &SigSet) -> Result<()> {
        // SAFETY: the reference is valid for reads, and this owns the descriptor.
        unsafe { raw::signalfd4(self.as_raw_fd(), signals, 0) }.map(drop)
    }

    /// Reads as many pending signals as there are and `infos` has room for. They are then no longer
    /// pending.
    ///
    /// Waits until a signal is pending. It does not wait for the buffer to fill.
    ///
    /// ```
    /// use barepoll::{signo::SIGTERM, Errno, SigSet, SignalFd, SignalFdFlags, SignalInfo};
    ///
    /// let signals = SigSet::from_signals(&[SIGTERM])?;
    /// signals.block()?;
    /// let signalfd = SignalFd::new(&signals, SignalFdFlags::CLOEXEC | SignalFdFlags::NONBLOCK)?;
    /// let mut buffer = SignalInfo::buffer::<8>();
    /// assert_eq!(signalfd.read(&mut buffer).err(), Some(Errno::EAGAIN)); // none is pending
    /// # Ok::<(), Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - `EAGAIN`: no signal is pending, and this is nonblocking. `EINTR`: the handler of another
    ///   signal, installed without `SA_RESTART`, ran while this waited.
    /// - `EINVAL`: `infos` is empty (no call is made). Or this was made `From` a descriptor that is
    ///   no signalfd and had fewer bytes than one [`SignalInfo`]. `EBADF`: this was made from one that
    ///   was opened with `O_PATH`.
    ///
    /// See [`read(2)`](https://man7.org/linux/man-pages/man2/read.2.html).
    #[inline]
    pub fn read<'b>(&self, infos: &'b mut [MaybeUninit<SignalInfo>]) -> Result<&'b mut [SignalInfo]> {
        if infos.is_empty() {
            return Err(Errno::EINVAL);
        }
        let start = infos.as_mut_ptr();
        // A slice has at most `isize::MAX` bytes.
        let room = infos.len() * size_of::<SignalInfo>();
        let (fd, buf) = (self.as_raw_fd() as usize, start as usize);
        // SAFETY: `infos` is valid for writes of that many bytes.
        let returned = unsafe { arch::syscall3::<{ nr::READ }>(fd, buf, room) };
        sanitizer::returned();
        // One comparison finds both an error and a short read.
        if returned >= size_of::<SignalInfo>() as isize {
            let count = returned as usize / size_of::<SignalInfo>();
            sanitizer::written(start, count);
            sanitizer::acquired();
            // SAFETY: the kernel has written that many infos, at most as many as there is room for.
            // Any bytes are a `SignalInfo`, and `MaybeUninit` has its layout.
            return Ok(unsafe { slice::from_raw_parts_mut(start.cast(), count) });
        }
        arch::unlikely();
        error_of_read(returned)
    }
}

/// What the kernel says of a signal: the `signalfd_siginfo` of its headers.
///
/// Which accessors mean something depends on the signal and on its [`code`](Self::code). The others
/// return 0.
///
/// | signal | accessors |
/// |---|---|
/// | of `kill`, `tgkill` | `sender_pid`, `sender_uid` |
/// | of `sigqueue`, a message queue | these two, `value_int`, `value_ptr` |
/// | of `timer_create` | `timer_id`, `overrun`, `value_int`, `value_ptr` |
/// | `SIGCHLD` | `sender_pid`, `sender_uid`, `child_status`, `child_user_time`, `child_system_time` |
/// | of `F_SETSIG` | `band`, `fd` |
/// | `SIGBUS` of broken memory | `fault_address`, `fault_address_lsb` |
///
/// ```
/// use barepoll::{signo::SIGTERM, syscall};
/// use barepoll::{SigSet, SignalFd, SignalFdFlags, SignalInfo};
/// use linux_raw_sys::general::{__NR_getpid, __NR_kill};
///
/// let signals = SigSet::from_signals(&[SIGTERM])?;
/// signals.block()?;
/// let signalfd = SignalFd::new(&signals, SignalFdFlags::CLOEXEC)?;
/// // SAFETY: neither call takes a pointer.
/// unsafe { syscall!(__NR_getpid).and_then(|pid| syscall!(__NR_kill, pid, SIGTERM))? };
///
/// let mut buffer = SignalInfo::buffer::<8>();
/// let infos = signalfd.read(&mut buffer)?;
/// assert_eq!((infos[0].signal(), infos[0].sender_pid()), (SIGTERM, std::process::id() as i32));
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// See [`signalfd(2)`](https://man7.org/linux/man-pages/man2/signalfd.2.html).
#[doc(alias = "signalfd_siginfo")]
#[doc(alias = "siginfo_t")]
#[derive(Copy, Clone)]
#[repr(C)]
pub struct SignalInfo {
    signo: u32,
    errno: i32,
    code: i32,
    pid: u32,
    uid: u32,
    fd: i32,
    tid: u32,
    band: u32,
    overrun: u32,
    trapno: u32,
    status: i32,
    int: i32,
    ptr: u64,
    utime: u64,
    stime: u64,
    addr: u64,
    addr_lsb: u16,
    /// `ssi_syscall`, `ssi_call_addr`, `ssi_arch` and padding. They belong to a `SIGSYS` that no
    /// program can block.
    rest: [u8; 46],
}

const _: () = assert!(size_of::<SignalInfo>() == 128);

impl SignalInfo {
    /// Room for `N` infos, uninitialised.
    ///
    /// ```
    /// use barepoll::SignalInfo;
    ///
    /// assert_eq!(SignalInfo::buffer::<8>().len(), 8); // 1024 bytes
    /// ```
    #[inline]
    #[must_use]
    pub const fn buffer<const N: usize>() -> [MaybeUninit<Self>; N] {
        [MaybeUninit::uninit(); N]
    }

    /// The signal's number.
    ///
    /// ```
    /// use barepoll::{signo::SIGINT, SignalInfo};
    ///
    /// fn is_interrupt(info: &SignalInfo) -> bool {
    ///     info.signal() == SIGINT
    /// }
    /// ```
    #[doc(alias = "ssi_signo")]
    #[inline]
    #[must_use]
    pub const fn signal(&self) -> i32 {
        self.signo as i32
    }

    /// An error number. The kernel leaves it 0, but a sender may set it.
    ///
    /// ```
    /// use barepoll::SignalInfo;
    ///
    /// fn print(info: &SignalInfo) {
    ///     println!("error {}", info.errno());
    /// }
    /// ```
    #[doc(alias = "ssi_errno")]
    #[inline]
    #[must_use]
    pub const fn errno(&self) -> i32 {
        self.errno
    }

    /// Why the signal was sent: 0 by `kill`, below 0 by another call, above 0 by the kernel.
    ///
    /// The signal says what a number above 0 means. The names are `SI_USER` and `CLD_EXITED`, for
    /// example.
    ///
    /// See [`sigaction(2)`](https://man7.org/linux/man-pages/man2/sigaction.2.html).
    ///
    /// ```
    /// use barepoll::SignalInfo;
    ///
    /// fn is_of_the_kernel(info: &SignalInfo) -> bool {
    ///     info.code() > 0
    /// }
    /// ```
    #[doc(alias = "ssi_code")]
    #[inline]
    #[must_use]
    pub const fn code(&self) -> i32 {
        self.code
    }

    /// The process that sent the signal, or the child that changed its state. 0 if its PID namespace
    /// is neither this one nor below it, or for a signal of the kernel.
    ///
    /// ```
    /// use barepoll::SignalInfo;
    ///
    /// fn is_own(info: &SignalInfo) -> bool {
    ///     info.sender_pid() == std::process::id() as i32
    /// }
    /// ```
    #[doc(alias = "ssi_pid")]
    #[inline]
    #[must_use]
    pub const fn sender_pid(&self) -> i32 {
        self.pid as i32
    }

    /// The real user of the sender or of the child.
    ///
    /// ```
    /// use barepoll::SignalInfo;
    ///
    /// fn is_of_user(info: &SignalInfo, user: u32) -> bool {
    ///     info.sender_uid() == user
    /// }
    /// ```
    #[doc(alias = "ssi_uid")]
    #[inline]
    #[must_use]
    pub const fn sender_uid(&self) -> u32 {
        self.uid
    }

    /// Of `SIGCHLD`: the child's exit status where the [`code`](Self::code) is 1 (`CLD_EXITED`).
    /// Otherwise the signal that killed, stopped or continued it.
    ///
    /// ```
    /// use barepoll::SignalInfo;
    ///
    /// fn exit_status(info: &SignalInfo) -> Option<i32> {
    ///     (info.code() == 1).then(|| info.child_status()) // CLD_EXITED
    /// }
    /// ```
    #[doc(alias = "ssi_status")]
    #[inline]
    #[must_use]
    pub const fn child_status(&self) -> i32 {
        self.status
    }

    /// Of `SIGCHLD`: the time that the child ran outside of the kernel, in clock ticks (100 a
    /// second).
    ///
    /// ```
    /// use barepoll::SignalInfo;
    ///
    /// fn milliseconds(info: &SignalInfo) -> u64 {
    ///     info.child_user_time() * 10
    /// }
    /// ```
    #[doc(alias = "ssi_utime")]
    #[inline]
    #[must_use]
    pub const fn child_user_time(&self) -> u64 {
        self.utime
    }

    /// Of `SIGCHLD`: the time that the kernel ran for the child, in clock ticks (100 a second).
    ///
    /// ```
    /// use barepoll::SignalInfo;
    ///
    /// fn milliseconds(info: &SignalInfo) -> u64 {
    ///     info.child_system_time() * 10
    /// }
    /// ```
    #[doc(alias = "ssi_stime")]
    #[inline]
    #[must_use]
    pub const fn child_system_time(&self) -> u64 {
        self.stime
    }

    /// The sender's value, if it sent an integer.
    ///
    /// ```
    /// use barepoll::SignalInfo;
    ///
    /// fn job(info: &SignalInfo) -> i32 {
    ///     info.value_int()
    /// }
    /// ```
    #[doc(alias = "ssi_int")]
    #[inline]
    #[must_use]
    pub const fn value_int(&self) -> i32 {
        self.int
    }

    /// The sender's value, if it sent a pointer: the address. Only the sender's own process may use
    /// it as a pointer.
    ///
    /// ```
    /// use barepoll::SignalInfo;
    ///
    /// fn print(info: &SignalInfo) {
    ///     println!("{:#x}", info.value_ptr());
    /// }
    /// ```
    #[doc(alias = "ssi_ptr")]
    #[inline]
    #[must_use]
    pub const fn value_ptr(&self) -> usize {
        if cfg!(target_pointer_width = "32") {
            // A 64-bit kernel keeps a 32-bit program's value as an `int`. On a big-endian machine,
            // that is the upper half of its pointer.
            self.int as u32 as usize
        } else {
            self.ptr as usize
        }
    }

    /// Of a timer of `timer_create`: the kernel's number of it, which is not C's `timer_t`.
    ///
    /// ```
    /// use barepoll::SignalInfo;
    ///
    /// fn print(info: &SignalInfo) {
    ///     println!("timer {}", info.timer_id());
    /// }
    /// ```
    #[doc(alias = "ssi_tid")]
    #[inline]
    #[must_use]
    pub const fn timer_id(&self) -> u32 {
        self.tid
    }

    /// Of a timer of `timer_create`: how many times it expired besides the time that this signal
    /// stands for.
    ///
    /// ```
    /// use barepoll::SignalInfo;
    ///
    /// fn expirations(info: &SignalInfo) -> u64 {
    ///     u64::from(info.overrun()) + 1
    /// }
    /// ```
    #[doc(alias = "ssi_overrun")]
    #[inline]
    #[must_use]
    pub const fn overrun(&self) -> u32 {
        self.overrun
    }

    /// Of a descriptor's signal (`F_SETSIG`): the descriptor's number.
    ///
    /// ```
    /// use barepoll::SignalInfo;
    ///
    /// fn print(info: &SignalInfo) {
    ///     println!("descriptor {}", info.fd());
    /// }
    /// ```
    #[doc(alias = "ssi_fd")]
    #[inline]
    #[must_use]
    pub const fn fd(&self) -> i32 {
        self.fd
    }

    /// Of a descriptor's signal (`F_SETSIG`): what it is ready for. `IN`, `PRI`, `OUT`, `ERR` and
    /// `HUP` have the bits of [`EventFlags`](crate::EventFlags).
    ///
    /// ```
    /// use barepoll::SignalInfo;
    ///
    /// use barepoll::EventFlags;
    ///
    /// fn is_readable(info: &SignalInfo) -> bool {
    ///     EventFlags::from_bits_retain(info.band()).contains(EventFlags::IN)
    /// }
    /// ```
    #[doc(alias = "ssi_band")]
    #[inline]
    #[must_use]
    pub const fn band(&self) -> u32 {
        self.band
    }

    /// Of a fault, on Alpha and SPARC: the trap's number. Only a program that sends itself such a
    /// signal reads it.
    ///
    /// ```
    /// use barepoll::SignalInfo;
    ///
    /// fn print(info: &SignalInfo) {
    ///     println!("trap {}", info.trap_no());
    /// }
    /// ```
    #[doc(alias = "ssi_trapno")]
    #[inline]
    #[must_use]
    pub const fn trap_no(&self) -> u32 {
        self.trapno
    }

    /// Of `SIGBUS` with code 5 (`BUS_MCEERR_AO`): the address whose memory has broken.
    ///
    /// ```
    /// use barepoll::{signo::SIGBUS, SignalInfo};
    ///
    /// fn broken(info: &SignalInfo) -> Option<usize> {
    ///     (info.signal() == SIGBUS && info.code() == 5).then(|| info.fault_address())
    /// }
    /// ```
    #[doc(alias = "ssi_addr")]
    #[inline]
    #[must_use]
    pub const fn fault_address(&self) -> usize {
        self.addr as usize
    }

    /// Of `SIGBUS` with code 5 (`BUS_MCEERR_AO`): how much memory is broken, as a power of two. 12 is
    /// a page of 4096 bytes.
    ///
    /// ```
    /// use barepoll::SignalInfo;
    ///
    /// fn broken_bytes(info: &SignalInfo) -> usize {
    ///     1 << info.fault_address_lsb()
    /// }
    /// ```
    #[doc(alias = "ssi_addr_lsb")]
    #[inline]
    #[must_use]
    pub const fn fault_address_lsb(&self) -> u16 {
        self.addr_lsb
    }
}

impl fmt::Debug for SignalInfo {
    /// The signal and its code, then what is not 0.
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("SignalInfo");
        debug.field("signal", &self.signal()).field("code", &self.code);
        let numbers: [(&str, i64); 9] = [
            ("errno", self.errno.into()),
            ("sender_pid", self.sender_pid().into()),
            ("sender_uid", self.uid.into()),
            ("child_status", self.status.into()),
            ("value_int", self.int.into()),
            ("timer_id", self.tid.into()),
            ("overrun", self.overrun.into()),
            ("fd", self.fd.into()),
            ("band", self.band.into()),
        ];
        for (name, number) in &numbers {
            if *number != 0 {
                debug.field(name, number);
            }
        }
        for (name, address) in &[("value_ptr", self.value_ptr()), ("fault_address", self.fault_address())] {
            if *address != 0 {
                debug.field(name, address);
            }
        }
        debug.finish()
    }
}
