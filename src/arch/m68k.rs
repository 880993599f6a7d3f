//! m68k: `trap #0`.
//!
//! The number goes in d0, arguments in d1–d5 and a0; the result comes back in d0, an error as
//! −errno. The kernel keeps everything else (`arch/m68k/kernel/entry.S`).

pub use crate::arch::generic::*;

macro_rules! trap0 {
    ($_name:ident [$($reg:tt = $arg:ident),*]) => {{
        let ret: usize;
        // SAFETY: the caller keeps the contract of `syscallN`. Only d0 changes.
        unsafe {
            core::arch::asm!("trap #0", inlateout("d0") NR => ret, $(in($reg) $arg,)* options(nostack));
        }
        ret as isize
    }};
}

syscalls! { #[inline(always)] fn by trap0("d1" "d2" "d3" "d4" "d5" "a0") }

/// `u64` aligns to 2 in C and to 4 in rustc. Size and offsets are the same with both.
pub const EVENT_SIZE: usize = 12;
pub const EVENT_DATA: usize = 4;

pub mod nr {
    pub const READ: usize = 3;
    pub const WRITE: usize = 4;
    pub const CLOSE: usize = 6;
    pub const IOCTL: usize = 54;
    pub const RT_SIGPROCMASK: usize = 175;
    pub const EPOLL_CTL: usize = 250;
    pub const EPOLL_WAIT: Option<usize> = Some(251);
    pub const CLOCK_GETTIME: Option<usize> = Some(260);
    pub const WAITID: usize = 277;
    pub const EPOLL_PWAIT: usize = 315;
    pub const TIMERFD_CREATE: usize = 318;
    pub const TIMERFD_SETTIME: Option<usize> = Some(321);
    pub const TIMERFD_GETTIME: Option<usize> = Some(322);
    pub const SIGNALFD4: usize = 323;
    pub const EVENTFD2: usize = 324;
    pub const EPOLL_CREATE1: usize = 325;

    since_5_1! { 0, 32 bits }
}
