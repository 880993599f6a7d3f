//! mips64, ABI n64, both endiannesses, releases 2 to 6: `syscall`.
//!
//! As o32 (`mips.rs`, whose constants these are), except that arguments 5 and 6 go in a4 and a5
//! ($8, $9). musl and glibc take these two for kept (`arch/mips64/syscall_arch.h`,
//! `sysdeps/unix/sysv/linux/mips/mips64/sysdep.h`), and the trap names them too.

#[path = "mips.rs"]
#[allow(dead_code, unused_macros)] // its trap and numbers are not this port's
mod mips;

pub use mips::*;

trap! {
    macro_rules! syscall {
        ([$($reg:tt = $arg:ident),*] $a3:expr, $($operand:tt)*) => {{
            let (ret, failed): (usize, usize);
            // SAFETY: the caller vouches for the call. Every register that it changes is named, or
            // dead after a call of this function by the ABI.
            unsafe {
                core::arch::asm!("li $2, {nr}", "syscall", nr = const NR, out("$2") ret, inlateout("$7") $a3 => failed,
                    $(in($reg) $arg,)* lateout("$3") _, lateout("$10") _, lateout("$11") _, lateout("$12") _, lateout("$13") _,
                    lateout("$14") _, lateout("$15") _, lateout("$24") _, lateout("$25") _, $($operand)*, options(nostack));
            }
            if failed == 0 { ret as isize } else { (ret as isize).wrapping_neg() }
        }};
        ([$($reg:tt = $arg:ident),*] $a3:expr) => {
            syscall!([$($reg = $arg),*] $a3, lateout("$8") _, lateout("$9") _)
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
        syscall!(["$4" = a, "$5" = b, "$6" = c] d, inlateout("$8") e => _, inlateout("$9") f => _)
    }
}

pub mod nr {
    pub const READ: usize = 5000;
    pub const WRITE: usize = 5001;
    pub const CLOSE: usize = 5003;
    pub const IOCTL: usize = 5015;
    pub const EPOLL_CTL: usize = 5208;
    pub const EPOLL_WAIT: Option<usize> = Some(5209);
    pub const CLOCK_GETTIME: Option<usize> = Some(5222);
    pub const CLOCK_GETTIME64: Option<usize> = None;
    pub const EPOLL_PWAIT: usize = 5272;
    pub const EVENTFD2: usize = 5284;
    pub const EPOLL_CREATE1: usize = 5285;
    pub const EPOLL_PWAIT2: usize = 5441;
}
