//! sparc64: `ta 0x6d`.
//!
//! The number goes in g1, arguments in o0–o5; the result comes back in o0. A failure sets the carry bit and leaves a *positive*
//! errno in o0, which is negated here. glibc takes g2–g6, the condition codes and all f registers for destroyed.
//!
//! rustc refuses g1 and the f registers as operands. So the trap is out of line: all of those die in any call, by the ABI.

pub use crate::arch::generic::*;

trap! {
    macro_rules! ta {
        ($a:ident $(, $reg:tt = $arg:ident)*) => {{
            let ret: usize;
            // SAFETY: the caller vouches for the call; every register that it changes is named or dies with this function.
            unsafe {
                core::arch::asm!("mov {nr}, %g1", "ta 0x6d", "bcs,a,pt %xcc, 2f", "sub %g0, %o0, %o0", "2:", nr = in(reg) NR,
                    inlateout("o0") $a => ret, $(in($reg) $arg,)* out("g2") _, out("g3") _, out("g4") _, options(nostack));
            }
            ret as isize
        }};
    }

    #[inline(never)]
    pub unsafe extern "C" fn syscall1<const NR: usize>(a: usize) -> isize {
        ta!(a)
    }

    #[inline(never)]
    pub unsafe extern "C" fn syscall2<const NR: usize>(a: usize, b: usize) -> isize {
        ta!(a, "o1" = b)
    }

    #[inline(never)]
    pub unsafe extern "C" fn syscall3<const NR: usize>(a: usize, b: usize, c: usize) -> isize {
        ta!(a, "o1" = b, "o2" = c)
    }

    #[inline(never)]
    pub unsafe extern "C" fn syscall4<const NR: usize>(a: usize, b: usize, c: usize, d: usize) -> isize {
        ta!(a, "o1" = b, "o2" = c, "o3" = d)
    }

    #[inline(never)]
    pub unsafe extern "C" fn syscall6<const NR: usize>(a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> isize {
        ta!(a, "o1" = b, "o2" = c, "o3" = d, "o4" = e, "o5" = f)
    }
}

pub const O_CLOEXEC: u32 = 0x40_0000;
pub const O_NONBLOCK: u32 = 0x4000;

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
    pub const EPOLL_CTL: usize = 194;
    pub const EPOLL_WAIT: Option<usize> = Some(195);
    pub const CLOCK_GETTIME: Option<usize> = Some(257);
    pub const CLOCK_GETTIME64: Option<usize> = None;
    pub const EPOLL_PWAIT: usize = 309;
    pub const EVENTFD2: usize = 318;
    pub const EPOLL_CREATE1: usize = 319;
    pub const EPOLL_PWAIT2: usize = 441;
}
