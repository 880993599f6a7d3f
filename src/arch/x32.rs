//! x32: x86_64's `syscall` with 32-bit pointers.
//!
//! Registers, result and clobbers are x86_64's. Every number has bit 30 set. Arguments go in whole
//! 64-bit registers, so they are extended with zeros. `sc` does neither. The kernel runs such
//! programs when booted with `syscall.x32=y`.

pub use crate::arch::generic::*;

macro_rules! syscall {
    ($_name:ident [$($reg:tt = $arg:ident),*]) => {{
        let ret: u64;
        // SAFETY: the caller keeps the contract of `syscallN`. The `asm!` names every register that
        // changes.
        unsafe {
            core::arch::asm!("syscall", inlateout("rax") NR as u64 => ret, $(in($reg) $arg as u64,)*
                out("rcx") _, out("r11") _, options(nostack, preserves_flags));
        }
        ret as isize
    }};
}

syscalls! { #[inline(always)] fn by syscall("rdi" "rsi" "rdx" "r10" "r8" "r9") }

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
    pub const RT_SIGPROCMASK: usize = BIT_30 + 14;
    pub const CLOCK_GETTIME: Option<usize> = Some(BIT_30 + 228);
    pub const EPOLL_WAIT: Option<usize> = Some(BIT_30 + 232);
    pub const EPOLL_CTL: usize = BIT_30 + 233;
    pub const EPOLL_PWAIT: usize = BIT_30 + 281;
    pub const TIMERFD_CREATE: usize = BIT_30 + 283;
    pub const TIMERFD_SETTIME: Option<usize> = Some(BIT_30 + 286);
    pub const TIMERFD_GETTIME: Option<usize> = Some(BIT_30 + 287);
    pub const SIGNALFD4: usize = BIT_30 + 289;
    pub const EVENTFD2: usize = BIT_30 + 290;
    pub const EPOLL_CREATE1: usize = BIT_30 + 291;
    pub const IOCTL: usize = BIT_30 + 514;
    pub const WAITID: usize = BIT_30 + 529;

    since_5_1! { BIT_30, 64 bits }
}
