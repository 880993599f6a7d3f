//! csky: `trap 0`.
//!
//! The number goes in r7, arguments in r0–r5 (a0–a3, then r4, r5); the result comes back in r0, a
//! failure as −errno. The kernel keeps everything else (`arch/csky/kernel/entry.S`). rustc refuses
//! r7 as an operand: it is saved by hand, by shifts of nothing, as `mov16` takes r0–r15 alone.
//!
//! To a number beyond its table the kernel gives r0 back as it was: *the first argument is the
//! result* (`csky_systemcall`, from 4.20, the first, to this day). Neither a tracer nor a seccomp
//! filter sees such a call. So `epoll_pwait2` gives `epfd` before 5.11, and `clock_gettime64` gives
//! the clock's number before 5.1. A number within the table that has no call is `ENOSYS`
//! (`arch/csky/kernel/syscall_table.c`).

pub use crate::arch::generic::*;

trap! {
    macro_rules! trap0 {
        ($a:ident $(, $reg:tt = $arg:ident)*) => {{
            let ret: usize;
            // SAFETY: the caller vouches for the call; r7 is put back, and nothing else but r0 changes.
            unsafe {
                core::arch::asm!("lsli32 {r7}, r7, 0", "movi32 r7, {nr}", "trap32 0", "lsli32 r7, {r7}, 0", nr = const NR, r7 = out(reg) _,
                    inlateout("r0") $a => ret, $(in($reg) $arg,)* options(nostack));
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

/// u64 aligns to 4 here.
pub const EVENT_SIZE: usize = 12;
pub const EVENT_DATA: usize = 4;

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
