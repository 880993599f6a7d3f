//! hexagon: `trap0(#1)`.
//!
//! The number goes in r6, arguments in r0–r5; the result comes back in r0, an error as −errno. The
//! kernel keeps everything else (`arch/hexagon/kernel/vm_entry.S`).
//!
//! To a number beyond its table the kernel returns −1, which is −EPERM
//! (`arch/hexagon/kernel/traps.c`, `do_trap0`). So `epoll_pwait2` is `EPERM` before 5.11, and
//! `clock_gettime64` before 5.1. Linux 3.4 overwrites the −1 with 0, 3.10 does not.

pub use crate::arch::generic::*;

macro_rules! trap0 {
    ($_name:ident [$($reg:tt = $arg:ident),*]) => {{
        let ret: usize;
        // SAFETY: the caller keeps the contract of `syscallN`. Only r0 changes.
        unsafe {
            core::arch::asm!("trap0(#1)", in("r6") NR, $(in($reg) $arg,)* lateout("r0") ret,
                options(nostack));
        }
        ret as isize
    }};
}

syscalls! { #[inline(always)] fn by trap0("r0" "r1" "r2" "r3" "r4" "r5") }

pub const PAIRS_ARE_ALIGNED: bool = true;

pub mod nr {
    pub use crate::arch::generic::nr::*;

    since_5_1! { 0, 32 bits }
}
