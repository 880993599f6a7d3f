//! mips64, ABI n64, both endiannesses, releases 2 to 6: `syscall`.
//!
//! As o32 (`mips.rs`, whose trap and constants these are), except that arguments 5 and 6 go in a4 and a5
//! ($8, $9). musl and glibc take these two for kept (`arch/mips64/syscall_arch.h`,
//! `sysdeps/unix/sysv/linux/mips/mips64/sysdep.h`), and the trap names them too.

#[path = "mips.rs"]
#[macro_use]
#[allow(dead_code)] // its numbers are not this port's, nor its call of six arguments
mod mips;

pub use mips::*;

trap! {
    #[inline(never)]
    pub unsafe extern "C" fn syscall6<const NR: usize>(a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> isize {
        syscall!([] [] ["$4" = a, "$5" = b, "$6" = c] d, inlateout("$8") e => _, inlateout("$9") f => _, options(nostack))
    }
}

pub mod nr {
    pub const READ: usize = 5000;
    pub const WRITE: usize = 5001;
    pub const CLOSE: usize = 5003;
    pub const IOCTL: usize = 5015;
    pub const EPOLL_CTL: usize = 5208;
    pub const EPOLL_WAIT: Option<usize> = Some(5209);
    pub const CLOCK_GETTIME: Option<usize> = Some(5222);
    pub const CLOCK_GETTIME64: Option<usize> = None;
    pub const EPOLL_PWAIT: usize = 5272;
    pub const EVENTFD2: usize = 5284;
    pub const EPOLL_CREATE1: usize = 5285;
    pub const EPOLL_PWAIT2: usize = 5441;
}
