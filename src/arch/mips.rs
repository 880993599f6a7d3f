//! mips, ABI o32, both endiannesses, releases 1 to 6: `syscall`.
//!
//! The number goes in v0 ($2), arguments in a0–a3 ($4–$7), the fifth and sixth on the stack at
//! 16($sp) and 20($sp). The result comes back in v0. On an error the kernel sets a3 and leaves a
//! *positive* errno in v0, which the port negates. Before 2.6.36 the kernel restarts a call one
//! instruction early, so that instruction must be the one that loads v0.
//!
//! musl and glibc treat at ($1), v1 ($3), t0–t9 ($8–$15, $24, $25), hi and lo as destroyed
//! (`arch/mips/syscall_arch.h`, `sysdeps/unix/sysv/linux/mips/mips32/sysdep.h`). Linux 6.1 restores
//! v1 and t9 but not the others (`arch/mips/include/asm/stackframe.h`, `RESTORE_SOME`). It keeps
//! a0–a2 and everything else. The `asm!` names all of these that rustc accepts. It also fixes the
//! registers of the fifth and sixth argument, where LLVM would choose at.
//!
//! rustc refuses at, hi and lo, and LLVM keeps live values in them across an `asm!`, for example a
//! quotient. So the instruction is out of line: by the ABI, any call may destroy them.

pub use crate::arch::generic::*;

macro_rules! syscall {
    (syscall6 $args:tt [$fifth:tt $sixth:tt] $frame:tt) => { syscall!([$fifth $sixth] $frame $args) };
    (syscall5 $args:tt [$fifth:tt $sixth:tt] $frame:tt) => { syscall!([$fifth] $frame $args) };
    (syscall4 $args:tt $($_stack:tt)*) => { syscall!([] [[] [] [options(nostack)]] $args) };
    ($_fewer:ident $args:tt $($_stack:tt)*) => { syscall!([] [[] [] [in("$7") 0_usize, options(nostack)]] $args) };
    ([$([$($store:literal)?])*] [[$($push:literal)?] [$($pop:literal)?] [$($operand:tt)*]]
        [$($reg:tt = $arg:ident),*]) => {{
        let (ret, failed): (usize, usize);
        // SAFETY: the caller keeps the contract of `syscallN`. The `asm!` names every register that
        // the kernel changes, or the ABI lets this function change it.
        unsafe {
            core::arch::asm!($($push,)? $($($store,)?)* "li $2, {nr}", "syscall", $($pop,)? nr = const NR,
                out("$2") ret, $(in($reg) $arg,)* lateout("$3") _, lateout("$7") failed, lateout("$8") _,
                lateout("$9") _, lateout("$10") _, lateout("$11") _, lateout("$12") _, lateout("$13") _,
                lateout("$14") _, lateout("$15") _, lateout("$24") _, lateout("$25") _, $($operand)*);
        }
        if failed == 0 { ret as isize } else { (ret as isize).wrapping_neg() }
    }};
}

syscalls! {
    #[inline(never)] extern "C" fn by syscall("$4" "$5" "$6" "$7" "$8" "$9")
    [["sw $8, 16($sp)"] ["sw $9, 20($sp)"]] [["addiu $sp, $sp, -32"] ["addiu $sp, $sp, 32"] []]
}

pub const PAIRS_ARE_ALIGNED: bool = true;
pub const O_NONBLOCK: u32 = 0x80;
/// 128 signals.
pub const SIGSET_BYTES: usize = 16;
/// Before `si_errno`.
pub const SI_CODE: usize = 4;

pub use crate::arch::generic::signals::mips as signal;

pub const SIG_BLOCK: u32 = 1;
pub const SIG_UNBLOCK: u32 = 2;
pub const SIG_SETMASK: u32 = 3;

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
    pub const RT_SIGPROCMASK: usize = 4195;
    pub const EPOLL_CTL: usize = 4249;
    pub const EPOLL_WAIT: Option<usize> = Some(4250);
    pub const CLOCK_GETTIME: Option<usize> = Some(4263);
    pub const WAITID: usize = 4278;
    pub const EPOLL_PWAIT: usize = 4313;
    pub const TIMERFD_CREATE: usize = 4321;
    pub const TIMERFD_GETTIME: Option<usize> = Some(4322);
    pub const TIMERFD_SETTIME: Option<usize> = Some(4323);
    pub const SIGNALFD4: usize = 4324;
    pub const EVENTFD2: usize = 4325;
    pub const EPOLL_CREATE1: usize = 4326;

    since_5_1! { 4000, 32 bits }
}
