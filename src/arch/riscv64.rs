//! riscv64: `ecall`.
//!
//! The number goes in a7, arguments in a0–a5; the result comes back in a0, an error as −errno. The
//! kernel keeps the other x and f registers. With the V extension it discards the vector state at
//! *every* call: v0–v31 become all ones, vl 0 and vtype invalid (`arch/riscv/kernel/traps.c`,
//! `riscv_v_vstate_discard`). So the `asm!` names v0–v31 as clobbers, which builds and costs
//! nothing without V too. It lacks `preserves_flags`, which would promise that vl and vtype stay.

pub use crate::arch::generic::*;

macro_rules! ecall {
    ($_name:ident [$($reg:tt = $arg:ident),*]) => {{
        let ret: usize;
        // SAFETY: the caller keeps the contract of `syscallN`. The `asm!` names every register that
        // the kernel changes.
        unsafe {
            core::arch::asm!("ecall", in("a7") NR, $(in($reg) $arg,)* lateout("a0") ret,
                out("v0") _, out("v1") _, out("v2") _, out("v3") _, out("v4") _, out("v5") _, out("v6") _, out("v7") _,
                out("v8") _, out("v9") _, out("v10") _, out("v11") _, out("v12") _, out("v13") _, out("v14") _,
                out("v15") _, out("v16") _, out("v17") _, out("v18") _, out("v19") _, out("v20") _, out("v21") _,
                out("v22") _, out("v23") _, out("v24") _, out("v25") _, out("v26") _, out("v27") _, out("v28") _,
                out("v29") _, out("v30") _, out("v31") _, options(nostack));
        }
        ret as isize
    }};
}

syscalls! { #[inline(always)] fn by ecall("a0" "a1" "a2" "a3" "a4" "a5") }
