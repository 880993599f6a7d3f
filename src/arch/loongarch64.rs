//! loongarch64: `syscall 0`.
//!
//! The number goes in a7, arguments in a0–a5; the result comes back in a0, a failure as −errno. The kernel destroys t0–t8 and
//! keeps everything else, floating-point and vector registers included (`arch/loongarch/kernel/entry.S`).

pub use crate::arch::generic::*;

trap! {
    macro_rules! syscall {
        ($a:ident $(, $reg:tt = $arg:ident)*) => {{
            let ret: usize;
            // SAFETY: the caller vouches for the call; every register that it changes is named.
            unsafe {
                core::arch::asm!("syscall 0", in("$a7") NR, inlateout("$a0") $a => ret, $(in($reg) $arg,)*
                    lateout("$t0") _, lateout("$t1") _, lateout("$t2") _, lateout("$t3") _, lateout("$t4") _,
                    lateout("$t5") _, lateout("$t6") _, lateout("$t7") _, lateout("$t8") _,
                    options(nostack, preserves_flags));
            }
            ret as isize
        }};
    }

    #[inline(always)]
    pub unsafe fn syscall1<const NR: usize>(a: usize) -> isize {
        syscall!(a)
    }

    #[inline(always)]
    pub unsafe fn syscall2<const NR: usize>(a: usize, b: usize) -> isize {
        syscall!(a, "$a1" = b)
    }

    #[inline(always)]
    pub unsafe fn syscall3<const NR: usize>(a: usize, b: usize, c: usize) -> isize {
        syscall!(a, "$a1" = b, "$a2" = c)
    }

    #[inline(always)]
    pub unsafe fn syscall4<const NR: usize>(a: usize, b: usize, c: usize, d: usize) -> isize {
        syscall!(a, "$a1" = b, "$a2" = c, "$a3" = d)
    }

    #[inline(always)]
    pub unsafe fn syscall6<const NR: usize>(a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> isize {
        syscall!(a, "$a1" = b, "$a2" = c, "$a3" = d, "$a4" = e, "$a5" = f)
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
    pub const CLOCK_GETTIME64: Option<usize> = None;
    pub const EPOLL_PWAIT2: usize = 441;
}
