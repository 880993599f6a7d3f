//! riscv64: `ecall`.
//!
//! The number goes in a7, arguments in a0–a5; the result comes back in a0, a failure as −errno. The kernel keeps the other
//! x and f registers. With the V extension it discards the vector state at *every* call: v0–v31 become all ones, vl 0 and
//! vtype invalid (`arch/riscv/kernel/traps.c`, `riscv_v_vstate_discard`). So v0–v31 are named as clobbers, which builds
//! and costs nothing without V too, and `preserves_flags`, which would promise vl and vtype, is absent.

pub use crate::arch::generic::*;

trap! {
    macro_rules! ecall {
        ($a:ident $(, $reg:tt = $arg:ident)*) => {{
            let ret: usize;
            // SAFETY: the caller vouches for the call; every register that it changes is named.
            unsafe {
                core::arch::asm!("ecall", in("a7") NR, inlateout("a0") $a => ret, $(in($reg) $arg,)*
                    out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _, out("v6") _, out("v7") _,
                    out("v8") _, out("v9") _, out("v10") _, out("v11") _, out("v12") _, out("v13") _, out("v14") _,
                    out("v15") _, out("v16") _, out("v17") _, out("v18") _, out("v19") _, out("v20") _, out("v21") _,
                    out("v22") _, out("v23") _, out("v24") _, out("v25") _, out("v26") _, out("v27") _, out("v28") _,
                    out("v29") _, out("v30") _, out("v31") _, options(nostack));
            }
            ret as isize
        }};
    }

    #[inline(always)]
    pub unsafe fn syscall1<const NR: usize>(a: usize) -> isize {
        ecall!(a)
    }

    #[inline(always)]
    pub unsafe fn syscall2<const NR: usize>(a: usize, b: usize) -> isize {
        ecall!(a, "a1" = b)
    }

    #[inline(always)]
    pub unsafe fn syscall3<const NR: usize>(a: usize, b: usize, c: usize) -> isize {
        ecall!(a, "a1" = b, "a2" = c)
    }

    #[inline(always)]
    pub unsafe fn syscall4<const NR: usize>(a: usize, b: usize, c: usize, d: usize) -> isize {
        ecall!(a, "a1" = b, "a2" = c, "a3" = d)
    }

    #[inline(always)]
    pub unsafe fn syscall6<const NR: usize>(a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> isize {
        ecall!(a, "a1" = b, "a2" = c, "a3" = d, "a4" = e, "a5" = f)
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
