//! hexagon: `trap0(#1)`.
//!
//! The number goes in r6, arguments in r0–r5; the result comes back in r0, a failure as −errno. The
//! kernel keeps everything else (`arch/hexagon/kernel/vm_entry.S`).
//!
//! To a number beyond its table the kernel says −1, which is `EPERM`
//! (`arch/hexagon/kernel/traps.c`, `do_trap0`). So `epoll_pwait2` is `EPERM` before 5.11, and
//! `clock_gettime64` before 5.1. Linux 3.4 overwrites the −1 with 0, 3.10 does not.

pub use crate::arch::generic::*;

trap! {
    macro_rules! trap0 {
        ($a:ident $(, $reg:tt = $arg:ident)*) => {{
            let ret: usize;
            // SAFETY: the caller vouches for the call; nothing but r0 changes.
            unsafe {
                core::arch::asm!("trap0(#1)", in("r6") NR, inlateout("r0") $a => ret, $(in($reg) $arg,)* options(nostack));
            }
            ret as isize
        }};
    }

    #[inline(always)]
    pub unsafe fn syscall1<const NR: usize>(a: usize) -> isize {
        trap0!(a)
    }

    #[inline(always)]
    pub unsafe fn syscall2<const NR: usize>(a: usize, b: usize) -> isize {
        trap0!(a, "r1" = b)
    }

    #[inline(always)]
    pub unsafe fn syscall3<const NR: usize>(a: usize, b: usize, c: usize) -> isize {
        trap0!(a, "r1" = b, "r2" = c)
    }

    #[inline(always)]
    pub unsafe fn syscall4<const NR: usize>(a: usize, b: usize, c: usize, d: usize) -> isize {
        trap0!(a, "r1" = b, "r2" = c, "r3" = d)
    }

    #[inline(always)]
    pub unsafe fn syscall6<const NR: usize>(a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> isize {
        trap0!(a, "r1" = b, "r2" = c, "r3" = d, "r4" = e, "r5" = f)
    }
}

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
    pub const CLOCK_GETTIME64: Option<usize> = Some(403);
    pub const EPOLL_PWAIT2: usize = 441;
}
