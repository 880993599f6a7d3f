//! 32-bit arm, both endiannesses, ARM and Thumb code: `svc 0` (EABI).
//!
//! The number goes in r7, arguments in r0–r5; the result comes back in r0, a failure as −errno. The kernel keeps everything
//! else, flags included (`arch/arm/kernel/entry-common.S`).
//!
//! r7 is the frame pointer of Thumb code, and rustc refuses it as an operand there; whether this code is Thumb cannot be
//! told from the target's name. So r7 is always saved through a scratch register, which is right in
//! both. Thumb code of ARMv4T and ARMv5TE is not supported: its `mov` takes no two low registers, and
//! the assembler refuses it. ARM code is what rustc makes for those machines.

pub use crate::arch::generic::*;

trap! {
    macro_rules! svc {
        ($a:ident $(, $reg:tt = $arg:ident)*) => {{
            let ret: usize;
            // SAFETY: the caller vouches for the call; r7 is put back, and every other register that changes is named.
            unsafe {
                core::arch::asm!("mov {r7}, r7", "mov r7, {nr}", "svc 0", "mov r7, {r7}", nr = in(reg) NR, r7 = out(reg) _,
                    inlateout("r0") $a => ret, $(in($reg) $arg,)* options(nostack, preserves_flags));
            }
            ret as isize
        }};
    }

    #[inline(always)]
    pub unsafe fn syscall1<const NR: usize>(a: usize) -> isize {
        svc!(a)
    }

    #[inline(always)]
    pub unsafe fn syscall2<const NR: usize>(a: usize, b: usize) -> isize {
        svc!(a, "r1" = b)
    }

    #[inline(always)]
    pub unsafe fn syscall3<const NR: usize>(a: usize, b: usize, c: usize) -> isize {
        svc!(a, "r1" = b, "r2" = c)
    }

    #[inline(always)]
    pub unsafe fn syscall4<const NR: usize>(a: usize, b: usize, c: usize, d: usize) -> isize {
        svc!(a, "r1" = b, "r2" = c, "r3" = d)
    }

    #[inline(always)]
    pub unsafe fn syscall6<const NR: usize>(a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> isize {
        svc!(a, "r1" = b, "r2" = c, "r3" = d, "r4" = e, "r5" = f)
    }
}

pub mod nr {
    pub const READ: usize = 3;
    pub const WRITE: usize = 4;
    pub const CLOSE: usize = 6;
    pub const IOCTL: usize = 54;
    pub const EPOLL_CTL: usize = 251;
    pub const EPOLL_WAIT: Option<usize> = Some(252);
    pub const CLOCK_GETTIME: Option<usize> = Some(263);
    pub const EPOLL_PWAIT: usize = 346;
    pub const EVENTFD2: usize = 356;
    pub const EPOLL_CREATE1: usize = 357;
    pub const CLOCK_GETTIME64: Option<usize> = Some(403);
    pub const EPOLL_PWAIT2: usize = 441;
}
