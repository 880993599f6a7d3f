//! mips64, ABI n64, both endiannesses, releases 2 to 6: `syscall`.
//!
//! As o32 (`mips.rs`, whose constants these are), except that arguments 5 and 6 go in a4 and a5 ($8, $9). Out of line for the same reason.

#[path = "mips.rs"]
#[allow(dead_code, unused_macros)] // its trap and numbers are not this port's
mod mips;

pub use mips::*;

trap! {
    macro_rules! syscall {
        ([$($reg:tt = $arg:ident),*] $a3:expr) => {{
            let (ret, failed): (usize, usize);
            // SAFETY: the caller vouches for the call; every register that it changes is named or dies with this function.
            unsafe {
                core::arch::asm!("li $2, {nr}", "syscall", nr = const NR, out("$2") ret,
                    inlateout("$7") $a3 => failed, $(in($reg) $arg,)* options(nostack));
            }
            if failed == 0 { ret as isize } else { (ret as isize).wrapping_neg() }
        }};
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
        syscall!(["$4" = a, "$5" = b, "$6" = c, "$8" = e, "$9" = f] d)
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
