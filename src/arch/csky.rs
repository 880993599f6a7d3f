//! csky: `trap 0`.
//!
//! The number goes in r7, arguments in r0–r5 (a0–a3, then r4, r5); the result comes back in r0, an
//! error as −errno. The kernel keeps everything else (`arch/csky/kernel/entry.S`). rustc refuses r7
//! as an operand. The template saves it by shifts by 0, because `mov16` takes r0–r15 alone.
//!
//! To a number beyond its table the kernel returns r0 as it was: *the first argument is the result*
//! (`csky_systemcall`, from 4.20, the first, to this day). Neither a tracer nor a seccomp filter
//! sees such a call. So `epoll_pwait2` returns `epfd` before 5.11, and `clock_gettime64` returns
//! the clock's number before 5.1. A number within the table that has no call is `ENOSYS`
//! (`arch/csky/kernel/syscall_table.c`).

pub use crate::arch::generic::*;

macro_rules! trap0 {
    ($_name:ident [$($reg:tt = $arg:ident),*]) => {{
        let ret: usize;
        // SAFETY: the caller keeps the contract of `syscallN`. The template restores r7, and only
        // r0 changes besides.
        unsafe {
            core::arch::asm!("lsli32 {r7}, r7, 0", "movi32 r7, {nr}", "trap32 0", "lsli32 r7, {r7}, 0", nr = const NR,
                r7 = out(reg) _, $(in($reg) $arg,)* lateout("r0") ret, options(nostack));
        }
        ret as isize
    }};
}

syscalls! { #[inline(always)] fn by trap0("r0" "r1" "r2" "r3" "r4" "r5") }

/// `u64` aligns to 4.
pub const EVENT_SIZE: usize = 12;
pub const EVENT_DATA: usize = 4;

pub mod nr {
    pub use crate::arch::generic::nr::*;

    since_5_1! { 0, 32 bits }
}
