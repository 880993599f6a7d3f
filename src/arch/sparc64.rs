//! sparc64: `ta 0x6d`. The rest is as on 32 bits (`sparc.rs`, whose constants these are); the trap
//! names g5 too.

#[path = "sparc.rs"]
#[allow(dead_code, unused_macros)] // its trap and numbers are not this port's
mod sparc;

pub use sparc::*;

trap! {
    macro_rules! ta {
        ($a:ident $(, $reg:tt = $arg:ident)*; $($free:tt)*) => {{
            let ret: usize;
            // SAFETY: the caller vouches for the call. Every register that it changes is named, or
            // dead after a call of this function by the ABI.
            unsafe {
                core::arch::asm!("mov {nr}, %g1", "ta 0x6d", "bcs,a,pt %xcc, 2f", "sub %g0, %o0, %o0", "2:", nr = in(reg) NR,
                    inlateout("o0") $a => ret, $(inlateout($reg) $arg => _,)* $(lateout($free) _,)*
                    lateout("g2") _, lateout("g3") _, lateout("g4") _, lateout("g5") _, options(nostack));
            }
            ret as isize
        }};
    }

    #[inline(never)]
    pub unsafe extern "C" fn syscall1<const NR: usize>(a: usize) -> isize {
        ta!(a; "o1" "o2" "o3" "o4" "o5")
    }

    #[inline(never)]
    pub unsafe extern "C" fn syscall2<const NR: usize>(a: usize, b: usize) -> isize {
        ta!(a, "o1" = b; "o2" "o3" "o4" "o5")
    }

    #[inline(never)]
    pub unsafe extern "C" fn syscall3<const NR: usize>(a: usize, b: usize, c: usize) -> isize {
        ta!(a, "o1" = b, "o2" = c; "o3" "o4" "o5")
    }

    #[inline(never)]
    pub unsafe extern "C" fn syscall4<const NR: usize>(a: usize, b: usize, c: usize, d: usize) -> isize {
        ta!(a, "o1" = b, "o2" = c, "o3" = d; "o4" "o5")
    }

    #[inline(never)]
    pub unsafe extern "C" fn syscall6<const NR: usize>(a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> isize {
        ta!(a, "o1" = b, "o2" = c, "o3" = d, "o4" = e, "o5" = f;)
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
    pub const CLOCK_GETTIME64: Option<usize> = None;
    pub const EPOLL_PWAIT: usize = 309;
    pub const EVENTFD2: usize = 318;
    pub const EPOLL_CREATE1: usize = 319;
    pub const EPOLL_PWAIT2: usize = 441;
}
