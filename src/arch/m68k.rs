//! m68k: `trap #0`.
//!
//! The number goes in d0, arguments in d1–d5 and a0; the result comes back in d0, a failure as −errno. The kernel keeps
//! everything else (`arch/m68k/kernel/entry.S`).

pub use crate::arch::generic::*;

trap! {
    macro_rules! trap0 {
        ($a:ident $(, $reg:tt = $arg:ident)*) => {{
            let ret: usize;
            // SAFETY: the caller vouches for the call; nothing but d0 changes.
            unsafe {
                core::arch::asm!("trap #0", inlateout("d0") NR => ret, in("d1") $a, $(in($reg) $arg,)* options(nostack));
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
        trap0!(a, "d2" = b)
    }

    #[inline(always)]
    pub unsafe fn syscall3<const NR: usize>(a: usize, b: usize, c: usize) -> isize {
        trap0!(a, "d2" = b, "d3" = c)
    }

    #[inline(always)]
    pub unsafe fn syscall4<const NR: usize>(a: usize, b: usize, c: usize, d: usize) -> isize {
        trap0!(a, "d2" = b, "d3" = c, "d4" = d)
    }

    #[inline(always)]
    pub unsafe fn syscall6<const NR: usize>(a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> isize {
        trap0!(a, "d2" = b, "d3" = c, "d4" = d, "d5" = e, "a0" = f)
    }
}

/// u64 aligns to 2 in C and to 4 in rustc, which comes to the same here.
pub const EVENT_SIZE: usize = 12;
pub const EVENT_DATA: usize = 4;

pub mod nr {
    pub const READ: usize = 3;
    pub const WRITE: usize = 4;
    pub const CLOSE: usize = 6;
    pub const IOCTL: usize = 54;
    pub const EPOLL_CTL: usize = 250;
    pub const EPOLL_WAIT: Option<usize> = Some(251);
    pub const CLOCK_GETTIME: Option<usize> = Some(260);
    pub const EPOLL_PWAIT: usize = 315;
    pub const EVENTFD2: usize = 324;
    pub const EPOLL_CREATE1: usize = 325;
    pub const CLOCK_GETTIME64: Option<usize> = Some(403);
    pub const EPOLL_PWAIT2: usize = 441;
}
