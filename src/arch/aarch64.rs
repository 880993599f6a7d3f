//! aarch64, both endiannesses: `svc 0`.
//!
//! The number goes in x8, arguments in x0–x5; the result comes back in x0, a failure as −errno. The
//! kernel keeps all other general registers (`arch/arm64/kernel/entry.S`, `kernel_exit`; musl and
//! glibc name none), the flags and the low 128 bits of v0–v31. On a machine with SVE it sets the
//! rest of z0–z31, p0–p15 and ffr to zero (`arch/arm64/kernel/entry-common.c`, `fp_user_discard`).
//!
//! That state cannot be named as a clobber everywhere: a function that enables SVE by attribute
//! holds values in z registers of which `out("v8")` … `out("v15")` would have every *other* caller
//! save the low halves. So the trap is out of line: a call already destroys, by the procedure call
//! standard, all that the kernel does. It costs `bl` and `ret`.
//!
//! p0–p15, v0–v7 and v16–v31 are named, which costs nothing: no caller may keep them anyway. The
//! high parts of z8–z15 and ffr are not. A compiler that goes by what the function really changes
//! (LLVM's `-enable-ipra`) could keep an SVE value in z8–z15, and is not supported.

pub use crate::arch::generic::*;

trap! {
    macro_rules! svc {
        ($a:ident $(, $reg:tt = $arg:ident)*) => {{
            let ret: usize;
            // SAFETY: the caller vouches for the call. Every register that it changes is named, or
            // dead after a call of this function by the ABI.
            unsafe {
                core::arch::asm!("svc 0", in("x8") NR, inlateout("x0") $a => ret, $(in($reg) $arg,)*
                    out("p0") _, out("p1") _, out("p2") _, out("p3") _, out("p4") _, out("p5") _, out("p6") _, out("p7") _,
                    out("p8") _, out("p9") _, out("p10") _, out("p11") _, out("p12") _, out("p13") _, out("p14") _, out("p15") _,
                    out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _, out("v6") _, out("v7") _,
                    out("v16") _, out("v17") _, out("v18") _, out("v19") _, out("v20") _, out("v21") _, out("v22") _, out("v23") _,
                    out("v24") _, out("v25") _, out("v26") _, out("v27") _, out("v28") _, out("v29") _, out("v30") _, out("v31") _,
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
