//! mips64, ABI n64, both endiannesses, releases 2 to 6: `syscall`.
//!
//! As o32 (`mips.rs`, whose macro and constants these are), except that the fifth and sixth
//! argument go in a4 and a5 ($8, $9). musl and glibc treat these two as kept
//! (`arch/mips64/syscall_arch.h`, `sysdeps/unix/sysv/linux/mips/mips64/sysdep.h`). The `asm!` names
//! them too.

#[path = "mips.rs"]
#[macro_use]
#[allow(dead_code)] // its functions and numbers are not this port's
mod mips;

pub use mips::*;

syscalls! { #[inline(never)] extern "C" fn by syscall("$4" "$5" "$6" "$7" "$8" "$9") [[] []] [[] [] [options(nostack)]] }

pub mod nr {
    pub const READ: usize = 5000;
    pub const WRITE: usize = 5001;
    pub const CLOSE: usize = 5003;
    pub const RT_SIGPROCMASK: usize = 5014;
    pub const IOCTL: usize = 5015;
    pub const EPOLL_CTL: usize = 5208;
    pub const EPOLL_WAIT: Option<usize> = Some(5209);
    pub const CLOCK_GETTIME: Option<usize> = Some(5222);
    pub const WAITID: usize = 5237;
    pub const EPOLL_PWAIT: usize = 5272;
    pub const TIMERFD_CREATE: usize = 5280;
    pub const TIMERFD_GETTIME: Option<usize> = Some(5281);
    pub const TIMERFD_SETTIME: Option<usize> = Some(5282);
    pub const SIGNALFD4: usize = 5283;
    pub const EVENTFD2: usize = 5284;
    pub const EPOLL_CREATE1: usize = 5285;

    since_5_1! { 5000, 64 bits }
}
