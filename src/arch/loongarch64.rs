//! loongarch64: `syscall 0`.
//!
//! The number goes in a7, arguments in a0–a5; the result comes back in a0, an error as −errno. The
//! kernel destroys t0–t8 and keeps everything else, floating-point and vector registers included
//! (`arch/loongarch/kernel/entry.S`).

pub use crate::arch::generic::*;

macro_rules! syscall {
    ($_name:ident [$($reg:tt = $arg:ident),*]) => {{
        let ret: usize;
        // SAFETY: the caller keeps the contract of `syscallN`. The `asm!` names every register that
        // the kernel changes.
        unsafe {
            core::arch::asm!("syscall 0", in("$a7") NR, $(in($reg) $arg,)* lateout("$a0") ret,
                lateout("$t0") _, lateout("$t1") _, lateout("$t2") _, lateout("$t3") _, lateout("$t4") _,
                lateout("$t5") _, lateout("$t6") _, lateout("$t7") _, lateout("$t8") _,
                options(nostack, preserves_flags));
        }
        ret as isize
    }};
}

syscalls! { #[inline(always)] fn by syscall("$a0" "$a1" "$a2" "$a3" "$a4" "$a5") }
