//! riscv32: riscv64's instruction and numbers, with 32-bit registers. The architecture is younger
//! than the 64-bit time calls, so it has no call with a 32-bit time.

#[path = "riscv64.rs"]
mod riscv64;

pub use riscv64::*;

pub mod nr {
    pub use crate::arch::generic::nr::*;

    pub const TIMERFD_SETTIME: Option<usize> = None;
    pub const TIMERFD_GETTIME: Option<usize> = None;
    pub const CLOCK_GETTIME: Option<usize> = None;

    since_5_1! { 0, 32 bits }
}
