//! x32: x86_64's `syscall` with 32-bit pointers.
//!
//! Registers, result and clobbers are x86_64's; every number has bit 30 set. Arguments go in whole 64-bit registers, so they
//! are extended with zeros. `sc` knows neither. The kernel runs such programs when booted with `syscall.x32=y`.

pub use crate::arch::generic::*;

trap! {
    macro_rules! syscall {
        ($a:ident $(, $reg:tt = $arg:ident)*) => {{
            let ret: u64;
            // SAFETY: the caller vouches for the call; every register that it changes is named.
            unsafe {
                core::arch::asm!("syscall", inlateout("rax") NR as u64 => ret, in("rdi") $a as u64,
                    $(in($reg) $arg as u64,)* out("rcx") _, out("r11") _, options(nostack, preserves_flags));
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
        syscall!(a, "rsi" = b)
    }

    #[inline(always)]
    pub unsafe fn syscall3<const NR: usize>(a: usize, b: usize, c: usize) -> isize {
        syscall!(a, "rsi" = b, "rdx" = c)
    }

    #[inline(always)]
    pub unsafe fn syscall4<const NR: usize>(a: usize, b: usize, c: usize, d: usize) -> isize {
        syscall!(a, "rsi" = b, "rdx" = c, "r10" = d)
    }

    #[inline(always)]
    pub unsafe fn syscall6<const NR: usize>(a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> isize {
        syscall!(a, "rsi" = b, "rdx" = c, "r10" = d, "r8" = e, "r9" = f)
    }
}

/// Packed, as x86_64's.
pub const EVENT_SIZE: usize = 12;
pub const EVENT_DATA: usize = 4;

/// `__X32_SYSCALL_BIT`
const BIT_30: usize = 0x4000_0000;

pub mod nr {
    use super::BIT_30;

    pub const READ: usize = BIT_30;
    pub const WRITE: usize = BIT_30 + 1;
    pub const CLOSE: usize = BIT_30 + 3;
    pub const CLOCK_GETTIME: Option<usize> = Some(BIT_30 + 228);
    pub const CLOCK_GETTIME64: Option<usize> = None;
    pub const EPOLL_WAIT: Option<usize> = Some(BIT_30 + 232);
    pub const EPOLL_CTL: usize = BIT_30 + 233;
    pub const EPOLL_PWAIT: usize = BIT_30 + 281;
    pub const EVENTFD2: usize = BIT_30 + 290;
    pub const EPOLL_CREATE1: usize = BIT_30 + 291;
    pub const EPOLL_PWAIT2: usize = BIT_30 + 441;
    pub const IOCTL: usize = BIT_30 + 514;
}
