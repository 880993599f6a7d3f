//! 32-bit sparc (v8plus): `ta 0x10`. Registers, result, clobbers and constants are sparc64's (`sparc64.rs`).

#[path = "sparc64.rs"]
#[allow(dead_code, unused_macros)] // its trap and numbers are not this port's
mod sparc64;

pub use sparc64::*;

trap! {
    macro_rules! ta {
        ($a:ident $(, $reg:tt = $arg:ident)*) => {{
            let ret: usize;
            // SAFETY: the caller vouches for the call; every register that it changes is named or dies with this function.
            unsafe {
                core::arch::asm!("mov {nr}, %g1", "ta 0x10", "bcs,a 2f", "sub %g0, %o0, %o0", "2:", nr = in(reg) NR,
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

pub mod nr {
    pub const READ: usize = 3;
    pub const WRITE: usize = 4;
    pub const CLOSE: usize = 6;
    pub const IOCTL: usize = 54;
    pub const EPOLL_CTL: usize = 194;
    pub const EPOLL_WAIT: Option<usize> = Some(195);
    pub const CLOCK_GETTIME: Option<usize> = Some(257);
    pub const EPOLL_PWAIT: usize = 309;
    pub const EVENTFD2: usize = 318;
    pub const EPOLL_CREATE1: usize = 319;
    pub const CLOCK_GETTIME64: Option<usize> = Some(403);
    pub const EPOLL_PWAIT2: usize = 441;
}
