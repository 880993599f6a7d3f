//! What most machines share (`include/uapi/asm-generic/`). A port takes all of it and shadows what
//! differs there.

/// The calls that got their numbers since Linux 5.1. Every machine counts them alike, from its own
/// base.
macro_rules! since_5_1 {
    ($base:expr, 64 bits) => {
        since_5_1! { $base, None, None, None }
    };
    ($base:expr, 32 bits) => {
        since_5_1! { $base, Some($base + 403), Some($base + 410), Some($base + 411) }
    };
    ($base:expr, $clock_gettime:expr, $timerfd_gettime:expr, $timerfd_settime:expr) => {
        pub const CLOCK_GETTIME64: Option<usize> = $clock_gettime;
        pub const TIMERFD_GETTIME64: Option<usize> = $timerfd_gettime;
        pub const TIMERFD_SETTIME64: Option<usize> = $timerfd_settime;
        pub const PIDFD_SEND_SIGNAL: usize = $base + 424;
        pub const PIDFD_OPEN: usize = $base + 434;
        pub const EPOLL_PWAIT2: usize = $base + 441;
    };
}

/// Size of `struct epoll_event`, in bytes.
pub const EVENT_SIZE: usize = 16;
/// Offset of its field `data`.
pub const EVENT_DATA: usize = 8;
/// Size of the kernel's `sigset_t`, in bytes: an argument of every call with a signal mask.
pub const SIGSET_BYTES: usize = 8;
/// Offset of `si_code` in the kernel's `siginfo_t`, in bytes: after `si_signo` and `si_errno`.
pub const SI_CODE: usize = 8;

/// Where a word has 32 bits: whether a 64-bit argument starts at an even one, counted from 0.
pub const PAIRS_ARE_ALIGNED: bool = false;

/// The numbers of signals.
pub mod signals;
#[allow(unused_imports)] // mips and sparc have their own
pub use signals::most as signal;

/// What `rt_sigprocmask` does with a set.
pub const SIG_BLOCK: u32 = 0;
pub const SIG_UNBLOCK: u32 = 1;
pub const SIG_SETMASK: u32 = 2;

pub const O_CLOEXEC: u32 = 0x8_0000;
pub const O_NONBLOCK: u32 = 0x800;

/// `_IOW(0x8a, 1, struct epoll_params)`
pub const EPIOCSPARAMS: u32 = 0x4008_8a01;
/// `_IOR(0x8a, 2, struct epoll_params)`
pub const EPIOCGPARAMS: u32 = 0x8008_8a02;

pub mod errno {
    pub const EPERM: u16 = 1;
    pub const ENOENT: u16 = 2;
    pub const ESRCH: u16 = 3;
    pub const EINTR: u16 = 4;
    pub const EIO: u16 = 5;
    pub const EBADF: u16 = 9;
    pub const ECHILD: u16 = 10;
    pub const EAGAIN: u16 = 11;
    pub const ENOMEM: u16 = 12;
    pub const EACCES: u16 = 13;
    pub const EFAULT: u16 = 14;
    pub const EEXIST: u16 = 17;
    pub const ENODEV: u16 = 19;
    pub const EINVAL: u16 = 22;
    pub const ENFILE: u16 = 23;
    pub const EMFILE: u16 = 24;
    pub const ENOTTY: u16 = 25;
    pub const ENOSPC: u16 = 28;
    pub const EPIPE: u16 = 32;
    pub const ENOSYS: u16 = 38;
    pub const ELOOP: u16 = 40;
    pub const EOVERFLOW: u16 = 75;
    pub const EOPNOTSUPP: u16 = 95;
    pub const ENOBUFS: u16 = 105;
    pub const ETIMEDOUT: u16 = 110;
    pub const EDQUOT: u16 = 122;
    pub const ECANCELED: u16 = 125;
}

/// The numbers of the system calls (`asm-generic/unistd.h`), as a 64-bit machine has them.
///
/// A call that a machine may lack is an `Option`. The asm-generic table has no `EPOLL_WAIT`.
/// Machines with a 64-bit `long`, and x32, have `CLOCK_GETTIME` and its like alone; others have
/// `CLOCK_GETTIME64` and its like.
pub mod nr {
    pub const EVENTFD2: usize = 19;
    pub const EPOLL_CREATE1: usize = 20;
    pub const EPOLL_CTL: usize = 21;
    pub const EPOLL_WAIT: Option<usize> = None;
    pub const EPOLL_PWAIT: usize = 22;
    pub const IOCTL: usize = 29;
    pub const CLOSE: usize = 57;
    pub const READ: usize = 63;
    pub const WRITE: usize = 64;
    pub const CLOCK_GETTIME: Option<usize> = Some(113);
    pub const SIGNALFD4: usize = 74;
    pub const TIMERFD_CREATE: usize = 85;
    pub const TIMERFD_SETTIME: Option<usize> = Some(86);
    pub const TIMERFD_GETTIME: Option<usize> = Some(87);
    pub const WAITID: usize = 95;
    pub const RT_SIGPROCMASK: usize = 135;

    since_5_1! { 0, 64 bits }
}
