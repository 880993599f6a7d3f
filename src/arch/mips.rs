//! mips, ABI o32, both endiannesses, releases 1 to 6: `syscall`.
//!
//! The number goes in v0 ($2), arguments in a0–a3 ($4–$7), the fifth and sixth on the stack at 16($sp) and 20($sp). The result
//! comes back in v0; a failure sets a3 and leaves a *positive* errno in v0, which is negated here. The kernel destroys at, v1,
//! t0–t9, hi and lo (`arch/mips/kernel/scall32-o32.S`; musl and glibc name the same). Before 2.6.36 it restarts a call one
//! instruction early, which must be the one that loads v0.
//!
//! LLVM keeps live values in at ($1), hi and lo across an `asm!`, a quotient among them, and rustc refuses all three as clobbers. So the
//! trap is out of line: they die in any call, by the ABI.

pub use crate::arch::generic::*;

trap! {
    macro_rules! syscall {
        ([$($before:literal)*] [$($after:literal)*] [$($reg:tt = $arg:ident),*] $a3:expr, $($operand:tt)*) => {{
            let (ret, failed): (usize, usize);
            // SAFETY: the caller vouches for the call; every register that it changes is named or dies with this function.
            unsafe {
                core::arch::asm!($($before,)* "li $2, {nr}", "syscall", $($after,)* nr = const NR, out("$2") ret,
                    inlateout("$7") $a3 => failed, $(in($reg) $arg,)* $($operand)*);
            }
            if failed == 0 { ret as isize } else { (ret as isize).wrapping_neg() }
        }};
    }

    #[inline(never)]
    pub unsafe extern "C" fn syscall1<const NR: usize>(a: usize) -> isize {
        syscall!([] [] ["$4" = a] 0_usize, options(nostack))
    }

    #[inline(never)]
    pub unsafe extern "C" fn syscall2<const NR: usize>(a: usize, b: usize) -> isize {
        syscall!([] [] ["$4" = a, "$5" = b] 0_usize, options(nostack))
    }

    #[inline(never)]
    pub unsafe extern "C" fn syscall3<const NR: usize>(a: usize, b: usize, c: usize) -> isize {
        syscall!([] [] ["$4" = a, "$5" = b, "$6" = c] 0_usize, options(nostack))
    }

    #[inline(never)]
    pub unsafe extern "C" fn syscall4<const NR: usize>(a: usize, b: usize, c: usize, d: usize) -> isize {
        syscall!([] [] ["$4" = a, "$5" = b, "$6" = c] d, options(nostack))
    }

    #[inline(never)]
    pub unsafe extern "C" fn syscall6<const NR: usize>(a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> isize {
        syscall!(["addiu $sp, $sp, -32" "sw {e}, 16($sp)" "sw {f}, 20($sp)"] ["addiu $sp, $sp, 32"]
            ["$4" = a, "$5" = b, "$6" = c] d, e = in(reg) e, f = in(reg) f)
    }
}

pub const O_NONBLOCK: u32 = 0x80;
/// 128 signals.
pub const SIGSET_BYTES: usize = 16;

/// `_IOW` and `_IOR` have other direction bits here.
pub const EPIOCSPARAMS: u32 = 0x8008_8a01;
pub const EPIOCGPARAMS: u32 = 0x4008_8a02;

pub mod errno {
    pub use crate::arch::generic::errno::*;

    pub const EOVERFLOW: u16 = 79;
    pub const ENOSYS: u16 = 89;
    pub const ELOOP: u16 = 90;
    pub const EOPNOTSUPP: u16 = 122;
    pub const ENOBUFS: u16 = 132;
    pub const ETIMEDOUT: u16 = 145;
    pub const ECANCELED: u16 = 158;
    pub const EDQUOT: u16 = 1133;
}

pub mod nr {
    pub const READ: usize = 4003;
    pub const WRITE: usize = 4004;
    pub const CLOSE: usize = 4006;
    pub const IOCTL: usize = 4054;
    pub const EPOLL_CTL: usize = 4249;
    pub const EPOLL_WAIT: Option<usize> = Some(4250);
    pub const CLOCK_GETTIME: Option<usize> = Some(4263);
    pub const EPOLL_PWAIT: usize = 4313;
    pub const EVENTFD2: usize = 4325;
    pub const EPOLL_CREATE1: usize = 4326;
    pub const CLOCK_GETTIME64: Option<usize> = Some(4403);
    pub const EPOLL_PWAIT2: usize = 4441;
}
