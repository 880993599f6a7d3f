//! 32-bit arm, both endiannesses, ARM and Thumb code: `svc 0` (EABI).
//!
//! The number goes in r7, arguments in r0–r5; the result comes back in r0, an error as −errno. The
//! kernel keeps everything else, flags included (`arch/arm/kernel/entry-common.S`).
//!
//! r7 is the frame pointer of Thumb code, and rustc refuses it as an operand there. The target's
//! name does not tell whether this code is Thumb. So the template always saves r7 in a scratch
//! register, which is right in both. Thumb code of ARMv4T and ARMv5TE is not supported: its `mov`
//! takes no two low registers, and the assembler refuses it. rustc makes ARM code for those
//! machines.

pub use crate::arch::generic::*;

macro_rules! svc {
    ($_name:ident [$($reg:tt = $arg:ident),*]) => {{
        let ret: usize;
        // SAFETY: the caller keeps the contract of `syscallN`. The template restores r7, and the
        // `asm!` names every other register that changes.
        unsafe {
            core::arch::asm!("mov {r7}, r7", "mov r7, {nr}", "svc 0", "mov r7, {r7}", nr = in(reg) NR, r7 = out(reg) _,
                $(in($reg) $arg,)* lateout("r0") ret, options(nostack, preserves_flags));
        }
        ret as isize
    }};
}

syscalls! { #[inline(always)] fn by svc("r0" "r1" "r2" "r3" "r4" "r5") }

/// By the procedure call standard. A kernel function gets its arguments as they are.
pub const PAIRS_ARE_ALIGNED: bool = true;

pub mod nr {
    pub const READ: usize = 3;
    pub const WRITE: usize = 4;
    pub const CLOSE: usize = 6;
    pub const IOCTL: usize = 54;
    pub const RT_SIGPROCMASK: usize = 175;
    pub const EPOLL_CTL: usize = 251;
    pub const EPOLL_WAIT: Option<usize> = Some(252);
    pub const CLOCK_GETTIME: Option<usize> = Some(263);
    pub const WAITID: usize = 280;
    pub const EPOLL_PWAIT: usize = 346;
    pub const TIMERFD_CREATE: usize = 350;
    pub const TIMERFD_SETTIME: Option<usize> = Some(353);
    pub const TIMERFD_GETTIME: Option<usize> = Some(354);
    pub const SIGNALFD4: usize = 355;
    pub const EVENTFD2: usize = 356;
    pub const EPOLL_CREATE1: usize = 357;

    since_5_1! { 0, 32 bits }
}
