//! x86_64: `syscall`.
//!
//! The number goes in rax, arguments in rdi, rsi, rdx, r10, r8, r9; the result comes back in rax, a failure as −errno. The
//! instruction itself destroys rcx (the return address) and r11 (the flags); the kernel keeps everything else, vector
//! state included. `sc` declares exactly that, so the traps are its own: see `arch/x86/entry/entry_64.S` and the System V
//! psABI, A.2.1.

pub use crate::arch::generic::*;

trap! {
    #[inline(always)]
    pub unsafe fn syscall1<const NR: usize>(a: usize) -> isize {
        // SAFETY: the caller keeps the seam's contract, which is `sc`'s too. So for each below.
        unsafe { sc::syscall1(NR, a) as isize }
    }

    #[inline(always)]
    pub unsafe fn syscall2<const NR: usize>(a: usize, b: usize) -> isize {
        // SAFETY: as above.
        unsafe { sc::syscall2(NR, a, b) as isize }
    }

    #[inline(always)]
    pub unsafe fn syscall3<const NR: usize>(a: usize, b: usize, c: usize) -> isize {
        // SAFETY: as above.
        unsafe { sc::syscall3(NR, a, b, c) as isize }
    }

    #[inline(always)]
    pub unsafe fn syscall4<const NR: usize>(a: usize, b: usize, c: usize, d: usize) -> isize {
        // SAFETY: as above.
        unsafe { sc::syscall4(NR, a, b, c, d) as isize }
    }

    #[inline(always)]
    pub unsafe fn syscall6<const NR: usize>(a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> isize {
        // SAFETY: as above.
        unsafe { sc::syscall6(NR, a, b, c, d, e, f) as isize }
    }
}

/// The x86_64 `epoll_event` is packed, so that 32-bit programs could share it.
pub const EVENT_SIZE: usize = 12;
pub const EVENT_DATA: usize = 4;

pub mod nr {
    pub const READ: usize = 0;
    pub const WRITE: usize = 1;
    pub const CLOSE: usize = 3;
    pub const IOCTL: usize = 16;
    pub const CLOCK_GETTIME: Option<usize> = Some(228);
    pub const CLOCK_GETTIME64: Option<usize> = None;
    pub const EPOLL_WAIT: Option<usize> = Some(232);
    pub const EPOLL_CTL: usize = 233;
    pub const EPOLL_PWAIT: usize = 281;
    pub const EVENTFD2: usize = 290;
    pub const EPOLL_CREATE1: usize = 291;
    pub const EPOLL_PWAIT2: usize = 441;
}
