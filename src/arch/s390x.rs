//! s390x: `svc 0`.
//!
//! The number goes in r1, arguments in r2–r7; the result comes back in r2, a failure as −errno. The kernel keeps everything
//! else, the condition code included (`arch/s390/kernel/entry.S`).

pub use crate::arch::generic::*;

trap! {
    macro_rules! svc {
        ($a:ident $(, $reg:tt = $arg:ident)*) => {{
            let ret: usize;
            // SAFETY: the caller vouches for the call; nothing but r2 changes.
            unsafe {
                core::arch::asm!("svc 0", in("r1") NR, inlateout("r2") $a => ret, $(in($reg) $arg,)*
                    options(nostack, preserves_flags));
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
        svc!(a, "r3" = b)
    }

    #[inline(always)]
    pub unsafe fn syscall3<const NR: usize>(a: usize, b: usize, c: usize) -> isize {
        svc!(a, "r3" = b, "r4" = c)
    }

    #[inline(always)]
    pub unsafe fn syscall4<const NR: usize>(a: usize, b: usize, c: usize, d: usize) -> isize {
        svc!(a, "r3" = b, "r4" = c, "r5" = d)
    }

    #[inline(always)]
    pub unsafe fn syscall6<const NR: usize>(a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> isize {
        svc!(a, "r3" = b, "r4" = c, "r5" = d, "r6" = e, "r7" = f)
    }
}

pub mod nr {
    pub const READ: usize = 3;
    pub const WRITE: usize = 4;
    pub const CLOSE: usize = 6;
    pub const IOCTL: usize = 54;
    pub const EPOLL_CTL: usize = 250;
    pub const EPOLL_WAIT: Option<usize> = Some(251);
    pub const CLOCK_GETTIME: Option<usize> = Some(260);
    pub const CLOCK_GETTIME64: Option<usize> = None;
    pub const EPOLL_PWAIT: usize = 312;
    pub const EVENTFD2: usize = 323;
    pub const EPOLL_CREATE1: usize = 327;
    pub const EPOLL_PWAIT2: usize = 441;
}
