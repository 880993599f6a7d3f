//! s390x: `svc 0`.
//!
//! The number goes in r1, arguments in r2–r7; the result comes back in r2, an error as −errno. The
//! kernel keeps everything else, the condition code included (`arch/s390/kernel/entry.S`).

pub use crate::arch::generic::*;

macro_rules! svc {
    ($_name:ident [$($reg:tt = $arg:ident),*]) => {{
        let ret: usize;
        // SAFETY: the caller keeps the contract of `syscallN`. Only r2 changes.
        unsafe {
            core::arch::asm!("svc 0", in("r1") NR, $(in($reg) $arg,)* lateout("r2") ret,
                options(nostack, preserves_flags));
        }
        ret as isize
    }};
}

syscalls! { #[inline(always)] fn by svc("r2" "r3" "r4" "r5" "r6" "r7") }

pub mod nr {
    pub const READ: usize = 3;
    pub const WRITE: usize = 4;
    pub const CLOSE: usize = 6;
    pub const IOCTL: usize = 54;
    pub const RT_SIGPROCMASK: usize = 175;
    pub const EPOLL_CTL: usize = 250;
    pub const EPOLL_WAIT: Option<usize> = Some(251);
    pub const CLOCK_GETTIME: Option<usize> = Some(260);
    pub const WAITID: usize = 281;
    pub const EPOLL_PWAIT: usize = 312;
    pub const TIMERFD_CREATE: usize = 319;
    pub const TIMERFD_SETTIME: Option<usize> = Some(320);
    pub const TIMERFD_GETTIME: Option<usize> = Some(321);
    pub const SIGNALFD4: usize = 322;
    pub const EVENTFD2: usize = 323;
    pub const EPOLL_CREATE1: usize = 327;

    since_5_1! { 0, 64 bits }
}
