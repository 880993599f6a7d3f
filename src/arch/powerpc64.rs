//! powerpc64, both endiannesses, both ELF ABIs: the trap, its clobbers and the constants are 32-bit powerpc's, with 64-bit
//! registers and one clock. (`scv 0` would be faster on POWER9 and newer; a library cannot know that it is there.)

#[path = "powerpc.rs"]
#[allow(dead_code)] // its numbers are not this port's
mod powerpc;

pub use powerpc::*;

pub mod nr {
    pub const READ: usize = 3;
    pub const WRITE: usize = 4;
    pub const CLOSE: usize = 6;
    pub const IOCTL: usize = 54;
    pub const EPOLL_CTL: usize = 237;
    pub const EPOLL_WAIT: Option<usize> = Some(238);
    pub const CLOCK_GETTIME: Option<usize> = Some(246);
    pub const CLOCK_GETTIME64: Option<usize> = None;
    pub const EPOLL_PWAIT: usize = 303;
    pub const EVENTFD2: usize = 314;
    pub const EPOLL_CREATE1: usize = 315;
    pub const EPOLL_PWAIT2: usize = 441;
}
