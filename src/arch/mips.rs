//! mips, ABI o32, both endiannesses, releases 1 to 6: `syscall`.
//!
//! The number goes in v0 ($2), arguments in a0–a3 ($4–$7), the fifth and sixth on the stack at
//! 16($sp) and 20($sp). The result comes back in v0. A failure sets a3 and leaves a *positive*
//! errno in v0, which is negated here. Before 2.6.36 the kernel restarts a call one instruction
//! early, which must be the one that loads v0.
//!
//! musl and glibc take at ($1), v1 ($3), t0–t9 ($8–$15, $24, $25), hi and lo for destroyed
//! (`arch/mips/syscall_arch.h`, `sysdeps/unix/sysv/linux/mips/mips32/sysdep.h`). Linux 6.1 puts v1
//! and t9 back, and the others not (`arch/mips/include/asm/stackframe.h`, `RESTORE_SOME`). It keeps
//! a0–a2 and everything else. The trap names all of these that rustc takes. The fifth and sixth
//! argument have registers of their own: LLVM would give them at.
//!
//! rustc refuses at, hi and lo, and LLVM keeps live values in them across an `asm!`, a quotient
//! among them. So the trap is out of line: by the ABI they are dead after a call. A compiler that
//! goes by what the function really changes (LLVM's `-enable-ipra`) does not know that, and is not
//! supported.

pub use crate::arch::generic::*;

trap! {
    macro_rules! syscall {
        ([$($before:literal)*] [$($after:literal)*] [$($reg:tt = $arg:ident),*] $a3:expr, $($operand:tt)*) => {{
            let (ret, failed): (usize, usize);
            // SAFETY: the caller vouches for the call. Every register that it changes is named, or
            // dead after a call of this function by the ABI.
            unsafe {
                core::arch::asm!($($before,)* "li $2, {nr}", "syscall", $($after,)* nr = const NR, out("$2") ret,
                    inlateout("$7") $a3 => failed, $(in($reg) $arg,)* lateout("$3") _, lateout("$10") _, lateout("$11") _,
                    lateout("$12") _, lateout("$13") _, lateout("$14") _, lateout("$15") _, lateout("$24") _, lateout("$25") _,
                    $($operand)*);
            }
            if failed == 0 { ret as isize } else { (ret as isize).wrapping_neg() }
        }};
        ([$($reg:tt = $arg:ident),*] $a3:expr) => {
            syscall!([] [] [$($reg = $arg),*] $a3, lateout("$8") _, lateout("$9") _, options(nostack))
        };
    }

    #[inline(never)]
    pub unsafe extern "C" fn syscall1<const NR: usize>(a: usize) -> isize {
        syscall!(["$4" = a] 0_usize)
    }

    #[inline(never)]
    pub unsafe extern "C" fn syscall2<const NR: usize>(a: usize, b: usize) -> isize {
        syscall!(["$4" = a, "$5" = b] 0_usize)
    }

    #[inline(never)]
    pub unsafe extern "C" fn syscall3<const NR: usize>(a: usize, b: usize, c: usize) -> isize {
        syscall!(["$4" = a, "$5" = b, "$6" = c] 0_usize)
    }

    #[inline(never)]
    pub unsafe extern "C" fn syscall4<const NR: usize>(a: usize, b: usize, c: usize, d: usize) -> isize {
        syscall!(["$4" = a, "$5" = b, "$6" = c] d)
    }

    #[inline(never)]
    pub unsafe extern "C" fn syscall6<const NR: usize>(a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> isize {
        syscall!(["addiu $sp, $sp, -32" "sw $8, 16($sp)" "sw $9, 20($sp)"] ["addiu $sp, $sp, 32"]
            ["$4" = a, "$5" = b, "$6" = c] d, inlateout("$8") e => _, inlateout("$9") f => _)
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
