//! 32-bit powerpc: `sc`.
//!
//! The number goes in r0, arguments in r3–r8; the result comes back in r3. On an error the kernel
//! sets the summary overflow bit of cr0 and leaves a *positive* errno in r3, which the port
//! negates. It destroys r0, r4–r12, cr0, ctr and xer, and keeps everything else, vector registers
//! included (`Documentation/arch/powerpc/syscall64-abi.rst`; glibc names the same).

pub use crate::arch::generic::*;

macro_rules! sc {
    ($_name:ident [$($reg:tt = $arg:ident),*]) => {{
        let ret: usize;
        // SAFETY: the caller keeps the contract of `syscallN`. The `asm!` names every register that
        // the kernel changes.
        unsafe {
            core::arch::asm!("sc", "bns 2f", "neg 3, 3", "2:", inlateout("r0") NR => _, $(in($reg) $arg,)*
                lateout("r3") ret, lateout("r4") _, lateout("r5") _, lateout("r6") _, lateout("r7") _, lateout("r8") _,
                lateout("r9") _, lateout("r10") _, lateout("r11") _, lateout("r12") _, lateout("cr0") _,
                lateout("ctr") _, lateout("xer") _, options(nostack));
        }
        ret as isize
    }};
}

syscalls! { #[inline(always)] fn by sc("r3" "r4" "r5" "r6" "r7" "r8") }

pub const PAIRS_ARE_ALIGNED: bool = true;

/// `_IOW` and `_IOR` have other direction bits here.
pub const EPIOCSPARAMS: u32 = 0x8008_8a01;
pub const EPIOCGPARAMS: u32 = 0x4008_8a02;

pub mod nr {
    pub const READ: usize = 3;
    pub const WRITE: usize = 4;
    pub const CLOSE: usize = 6;
    pub const IOCTL: usize = 54;
    pub const RT_SIGPROCMASK: usize = 174;
    pub const EPOLL_CTL: usize = 237;
    pub const EPOLL_WAIT: Option<usize> = Some(238);
    pub const CLOCK_GETTIME: Option<usize> = Some(246);
    pub const WAITID: usize = 272;
    pub const EPOLL_PWAIT: usize = 303;
    pub const TIMERFD_CREATE: usize = 306;
    pub const TIMERFD_SETTIME: Option<usize> = Some(311);
    pub const TIMERFD_GETTIME: Option<usize> = Some(312);
    pub const SIGNALFD4: usize = 313;
    pub const EVENTFD2: usize = 314;
    pub const EPOLL_CREATE1: usize = 315;

    since_5_1! { 0, 32 bits }
}
