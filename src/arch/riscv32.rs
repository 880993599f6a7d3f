//! riscv32: the trap is riscv64's, with 32-bit registers. The numbers are too, except that this architecture came after 2038
//! was thought of: it has no call with a 32-bit time.

pub use crate::arch::generic::*;

trap! {
    #[path = "riscv64.rs"]
    #[allow(dead_code, unused_imports)] // its constants are not this port's
    mod riscv64;

    pub use riscv64::{syscall1, syscall2, syscall3, syscall4, syscall6};
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
    pub const CLOCK_GETTIME: Option<usize> = None;
    pub const CLOCK_GETTIME64: Option<usize> = Some(403);
    pub const EPOLL_PWAIT2: usize = 441;
}
