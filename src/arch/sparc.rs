//! 32-bit sparc (v8plus): `ta 0x10`.
//!
//! The number goes in g1, arguments in o0–o5; the result comes back in o0. On an error the kernel
//! sets the carry bit and leaves a *positive* errno in o0, which the port negates.
//!
//! glibc treats g1, the condition codes and all f registers as destroyed (`__SYSCALL_CLOBBERS` in
//! `sysdeps/unix/sysv/linux/sparc/sparc32/sysdep.h` and `sparc64/sysdep.h`). Linux 6.1 restores
//! g1–g7 and o1–o5 (`arch/sparc/kernel/rtrap_64.S`; `arch/sparc/include/asm/winmacro.h`,
//! `LOAD_PT_ALL`). Naming them costs nothing in a function of their own, so the `asm!` names o0–o5,
//! g2–g4 and, on 64 bits, g5. rustc refuses g1, g6, g7 and 32-bit g5, which LLVM never allocates.
//!
//! rustc refuses the f registers too. So the instruction is out of line: by the ABI, any call may
//! destroy them.

pub use crate::arch::generic::*;

macro_rules! ta {
    ($_name:ident [$($reg:tt = $arg:ident),*] $trap:tt, $branch:tt $(, $clobber:tt)*) => {{
        let ret: usize;
        // SAFETY: the caller keeps the contract of `syscallN`. The `asm!` names every register that
        // the kernel changes, or the ABI lets this function change it.
        unsafe {
            core::arch::asm!("mov {nr}, %g1", $trap, $branch, "sub %g0, %o0, %o0", "2:", nr = in(reg) NR,
                $(in($reg) $arg,)* lateout("o0") ret, lateout("o1") _, lateout("o2") _, lateout("o3") _,
                lateout("o4") _, lateout("o5") _, lateout("g2") _, lateout("g3") _, lateout("g4") _, $(lateout($clobber) _,)* options(nostack));
        }
        ret as isize
    }};
}

syscalls! { #[inline(never)] extern "C" fn by ta("o0" "o1" "o2" "o3" "o4" "o5") "ta 0x10", "bcs,a 2f" }

pub const O_CLOEXEC: u32 = 0x40_0000;
pub const O_NONBLOCK: u32 = 0x4000;

pub use crate::arch::generic::signals::sparc as signal;

pub const SIG_BLOCK: u32 = 1;
pub const SIG_UNBLOCK: u32 = 2;
pub const SIG_SETMASK: u32 = 4;

/// `_IOW` and `_IOR` have other direction bits here.
pub const EPIOCSPARAMS: u32 = 0x8008_8a01;
pub const EPIOCGPARAMS: u32 = 0x4008_8a02;

pub mod errno {
    pub use crate::arch::generic::errno::*;

    pub const EOPNOTSUPP: u16 = 45;
    pub const ENOBUFS: u16 = 55;
    pub const ETIMEDOUT: u16 = 60;
    pub const ELOOP: u16 = 62;
    pub const EDQUOT: u16 = 69;
    pub const ENOSYS: u16 = 90;
    pub const EOVERFLOW: u16 = 92;
    pub const ECANCELED: u16 = 127;
}

pub mod nr {
    pub const READ: usize = 3;
    pub const WRITE: usize = 4;
    pub const CLOSE: usize = 6;
    pub const IOCTL: usize = 54;
    pub const RT_SIGPROCMASK: usize = 103;
    pub const EPOLL_CTL: usize = 194;
    pub const EPOLL_WAIT: Option<usize> = Some(195);
    pub const CLOCK_GETTIME: Option<usize> = Some(257);
    pub const WAITID: usize = 279;
    pub const EPOLL_PWAIT: usize = 309;
    pub const TIMERFD_CREATE: usize = 312;
    pub const TIMERFD_SETTIME: Option<usize> = Some(315);
    pub const TIMERFD_GETTIME: Option<usize> = Some(316);
    pub const SIGNALFD4: usize = 317;
    pub const EVENTFD2: usize = 318;
    pub const EPOLL_CREATE1: usize = 319;

    since_5_1! { 0, 32 bits }
}
