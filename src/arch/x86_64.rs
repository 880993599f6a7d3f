//! x86_64: `syscall`.
//!
//! The number goes in rax, arguments in rdi, rsi, rdx, r10, r8, r9; the result comes back in rax,
//! an error as −errno. The instruction itself destroys rcx (the return address) and r11 (the
//! flags). The kernel keeps everything else, vector state included. `sc` declares exactly that, so
//! this port calls `sc`: see `arch/x86/entry/entry_64.S` and the System V psABI, A.2.1.

pub use crate::arch::generic::*;

macro_rules! sc {
    ($name:ident [$($_reg:tt = $arg:ident),*]) => {
        // SAFETY: the caller keeps the contract of `syscallN`, which is `sc`'s too.
        unsafe { sc::$name(NR $(, $arg)*) as isize }
    };
}

syscalls! { #[inline(always)] fn by sc("rdi" "rsi" "rdx" "r10" "r8" "r9") }

/// The x86_64 `epoll_event` is packed, so that 32-bit programs can share it.
pub const EVENT_SIZE: usize = 12;
pub const EVENT_DATA: usize = 4;

pub mod nr {
    pub const READ: usize = 0;
    pub const WRITE: usize = 1;
    pub const CLOSE: usize = 3;
    pub const RT_SIGPROCMASK: usize = 14;
    pub const IOCTL: usize = 16;
    pub const CLOCK_GETTIME: Option<usize> = Some(228);
    pub const EPOLL_WAIT: Option<usize> = Some(232);
    pub const EPOLL_CTL: usize = 233;
    pub const WAITID: usize = 247;
    pub const EPOLL_PWAIT: usize = 281;
    pub const TIMERFD_CREATE: usize = 283;
    pub const TIMERFD_SETTIME: Option<usize> = Some(286);
    pub const TIMERFD_GETTIME: Option<usize> = Some(287);
    pub const SIGNALFD4: usize = 289;
    pub const EVENTFD2: usize = 290;
    pub const EPOLL_CREATE1: usize = 291;

    since_5_1! { 0, 64 bits }
}
