//! aarch64, both endiannesses: `svc 0`.
//!
//! The number goes in x8, arguments in x0–x5; the result comes back in x0, an error as −errno. The
//! kernel keeps all other general registers (`arch/arm64/kernel/entry.S`, `kernel_exit`; musl and
//! glibc name none), the flags and the low 128 bits of v0–v31. On a machine with SVE it zeroes the
//! rest of z0–z31, p0–p15 and ffr (`arch/arm64/kernel/entry-common.c`, `fp_user_discard`).
//!
//! Not every caller could name that state as a clobber. A function that enables SVE by attribute
//! holds values in z registers. `out("v8")` … `out("v15")` would cover them, and would make every
//! *other* caller save the low halves. So the instruction is out of line: by the procedure call
//! standard, any call may destroy all that the kernel destroys. It costs `bl` and `ret`.
//!
//! The `asm!` names p0–p15, v0–v7 and v16–v31, which costs nothing: no caller may keep them across
//! a call. It does not name the high parts of z8–z15 and ffr.

pub use crate::arch::generic::*;

macro_rules! svc {
    ($_name:ident [$($reg:tt = $arg:ident),*]) => {{
        let ret: usize;
        // SAFETY: the caller keeps the contract of `syscallN`. The `asm!` names every register that
        // the kernel changes, or the ABI lets this function change it.
        unsafe {
            core::arch::asm!("svc 0", in("x8") NR, $(in($reg) $arg,)* lateout("x0") ret,
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

syscalls! { #[inline(never)] extern "C" fn by svc("x0" "x1" "x2" "x3" "x4" "x5") }
