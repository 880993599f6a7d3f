//! aarch64, both endiannesses: `svc 0`.
//!
//! The number goes in x8, arguments in x0–x5; the result comes back in x0, a failure as −errno. The kernel keeps all other
//! general registers, the flags and the low 128 bits of v0–v31. On a machine with SVE it sets the rest of z0–z31, p0–p15
//! and ffr to zero (`arch/arm64/kernel/entry-common.c`, `fp_user_discard`).
//!
//! That state cannot be named as a clobber everywhere: a function that enables SVE by attribute holds values in z
//! registers of which `out("v8")` … `out("v15")` would have every *other* caller save the low halves. So the trap is out of
//! line: a call already destroys, by the procedure call standard, all that the kernel does. It costs `bl` and `ret`.

pub use crate::arch::generic::*;

trap! {
    macro_rules! svc {
        ($a:ident $(, $reg:tt = $arg:ident)*) => {{
            let ret: usize;
            // SAFETY: the caller vouches for the call; every register that it changes is named or dies with this function.
            unsafe {
                core::arch::asm!("svc 0", in("x8") NR, inlateout("x0") $a => ret, $(in($reg) $arg,)*
                    options(nostack, preserves_flags));
            }
            ret as isize
        }};
    }

    #[inline(never)]
    pub unsafe extern "C" fn syscall1<const NR: usize>(a: usize) -> isize {
        svc!(a)
    }

    #[inline(never)]
    pub unsafe extern "C" fn syscall2<const NR: usize>(a: usize, b: usize) -> isize {
        svc!(a, "x1" = b)
    }

    #[inline(never)]
    pub unsafe extern "C" fn syscall3<const NR: usize>(a: usize, b: usize, c: usize) -> isize {
        svc!(a, "x1" = b, "x2" = c)
    }

    #[inline(never)]
    pub unsafe extern "C" fn syscall4<const NR: usize>(a: usize, b: usize, c: usize, d: usize) -> isize {
        svc!(a, "x1" = b, "x2" = c, "x3" = d)
    }

    #[inline(never)]
    pub unsafe extern "C" fn syscall6<const NR: usize>(a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> isize {
        svc!(a, "x1" = b, "x2" = c, "x3" = d, "x4" = e, "x5" = f)
    }
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
    pub const CLOCK_GETTIME: Option<usize> = Some(113);
    pub const CLOCK_GETTIME64: Option<usize> = None;
    pub const EPOLL_PWAIT2: usize = 441;
}
