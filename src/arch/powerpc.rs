//! 32-bit powerpc: `sc`.
//!
//! The number goes in r0, arguments in r3–r8; the result comes back in r3. A failure sets the summary overflow bit of cr0 and
//! leaves a *positive* errno in r3, which is negated here. The kernel destroys r0, r4–r12, cr0, ctr and xer, and keeps
//! everything else, vector registers included (`Documentation/arch/powerpc/syscall64-abi.rst`; glibc names the same).

pub use crate::arch::generic::*;

trap! {
    macro_rules! sc {
        ($a:ident $(, $reg:tt = $arg:ident)*; $($unused:tt),*) => {{
            let ret: usize;
            // SAFETY: the caller vouches for the call; every register that it changes is named.
            unsafe {
                core::arch::asm!("sc", "bns 2f", "neg 3, 3", "2:", inlateout("r0") NR => _, inlateout("r3") $a => ret,
                    $(inlateout($reg) $arg => _,)* $(lateout($unused) _,)* lateout("r9") _, lateout("r10") _,
                    lateout("r11") _, lateout("r12") _, lateout("cr0") _, lateout("ctr") _, lateout("xer") _,
                    options(nostack));
            }
            ret as isize
        }};
    }

    #[inline(always)]
    pub unsafe fn syscall1<const NR: usize>(a: usize) -> isize {
        sc!(a; "r4", "r5", "r6", "r7", "r8")
    }

    #[inline(always)]
    pub unsafe fn syscall2<const NR: usize>(a: usize, b: usize) -> isize {
        sc!(a, "r4" = b; "r5", "r6", "r7", "r8")
    }

    #[inline(always)]
    pub unsafe fn syscall3<const NR: usize>(a: usize, b: usize, c: usize) -> isize {
        sc!(a, "r4" = b, "r5" = c; "r6", "r7", "r8")
    }

    #[inline(always)]
    pub unsafe fn syscall4<const NR: usize>(a: usize, b: usize, c: usize, d: usize) -> isize {
        sc!(a, "r4" = b, "r5" = c, "r6" = d; "r7", "r8")
    }

    #[inline(always)]
    pub unsafe fn syscall6<const NR: usize>(a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> isize {
        sc!(a, "r4" = b, "r5" = c, "r6" = d, "r7" = e, "r8" = f;)
    }
}

/// `_IOW` and `_IOR` have other direction bits here.
pub const EPIOCSPARAMS: u32 = 0x8008_8a01;
pub const EPIOCGPARAMS: u32 = 0x4008_8a02;

pub mod nr {
    pub const READ: usize = 3;
    pub const WRITE: usize = 4;
    pub const CLOSE: usize = 6;
    pub const IOCTL: usize = 54;
    pub const EPOLL_CTL: usize = 237;
    pub const EPOLL_WAIT: Option<usize> = Some(238);
    pub const CLOCK_GETTIME: Option<usize> = Some(246);
    pub const EPOLL_PWAIT: usize = 303;
    pub const EVENTFD2: usize = 314;
    pub const EPOLL_CREATE1: usize = 315;
    pub const CLOCK_GETTIME64: Option<usize> = Some(403);
    pub const EPOLL_PWAIT2: usize = 441;
}
