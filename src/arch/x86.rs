//! x86 (i386 … i686): `int 0x80`.
//!
//! The number goes in eax, arguments in ebx, ecx, edx, esi, edi, ebp; the result comes back in eax,
//! an error as −errno. The kernel keeps everything else (`arch/x86/entry/entry_32.S`,
//! `entry_64_compat.S`). The vDSO's faster entry would need the auxiliary vector, which a library
//! does not have.
//!
//! LLVM reserves esi, and ebp may be the frame pointer: rustc refuses both as operands. With four
//! arguments, the template exchanges edi and esi, and exchanges them back. With five or six, no
//! register is left for two or three values: eax points at them, and the template saves esi and ebp
//! on the stack.

pub use crate::arch::generic::*;

macro_rules! int80 {
    (syscall6 ["ebx" = $a:ident, "ecx" = $b:ident, "edx" = $c:ident,
        "esi" = $d:ident, "edi" = $e:ident, "ebp" = $f:ident]) => {{
        let rest = [$d, $f, NR];
        int80!(["push esi", "push ebp", "mov esi, [eax]", "mov ebp, [eax + 4]", "mov eax, [eax + 8]",
            "int 0x80", "pop ebp", "pop esi"] in("eax") &rest, in("ebx") $a, in("ecx") $b, in("edx") $c, in("edi") $e,
            options(preserves_flags))
    }};
    (syscall5 ["ebx" = $a:ident, "ecx" = $b:ident, "edx" = $c:ident, "esi" = $d:ident, "edi" = $e:ident]) => {{
        let rest = [$d, NR];
        int80!(["push esi", "mov esi, [eax]", "mov eax, [eax + 4]", "int 0x80", "pop esi"]
            in("eax") &rest, in("ebx") $a, in("ecx") $b, in("edx") $c, in("edi") $e, options(preserves_flags))
    }};
    (syscall4 ["ebx" = $a:ident, "ecx" = $b:ident, "edx" = $c:ident, "esi" = $d:ident]) => {
        int80!(["xchg esi, edi", "int 0x80", "xchg esi, edi"]
            in("eax") NR, in("ebx") $a, in("ecx") $b, in("edx") $c, in("edi") $d, options(nostack, preserves_flags))
    };
    ($_fewer:ident [$($reg:tt = $arg:ident),*]) => {
        int80!(["int 0x80"] in("eax") NR, $(in($reg) $arg,)* options(nostack, preserves_flags))
    };
    ([$($text:literal),*] $($operand:tt)*) => {{
        let ret: usize;
        // SAFETY: the caller keeps the contract of `syscallN`. The template restores esi and ebp,
        // and no other register but eax changes.
        unsafe { core::arch::asm!($($text),*, lateout("eax") ret, $($operand)*) }
        ret as isize
    }};
}

syscalls! { #[inline(always)] fn by int80("ebx" "ecx" "edx" "esi" "edi" "ebp") }

/// `u64` aligns to 4 here, so the layout is the one that x86_64 packs.
pub const EVENT_SIZE: usize = 12;
pub const EVENT_DATA: usize = 4;

pub mod nr {
    pub const READ: usize = 3;
    pub const WRITE: usize = 4;
    pub const CLOSE: usize = 6;
    pub const IOCTL: usize = 54;
    pub const RT_SIGPROCMASK: usize = 175;
    pub const EPOLL_CTL: usize = 255;
    pub const EPOLL_WAIT: Option<usize> = Some(256);
    pub const CLOCK_GETTIME: Option<usize> = Some(265);
    pub const WAITID: usize = 284;
    pub const EPOLL_PWAIT: usize = 319;
    pub const TIMERFD_CREATE: usize = 322;
    pub const TIMERFD_SETTIME: Option<usize> = Some(325);
    pub const TIMERFD_GETTIME: Option<usize> = Some(326);
    pub const SIGNALFD4: usize = 327;
    pub const EVENTFD2: usize = 328;
    pub const EPOLL_CREATE1: usize = 329;

    since_5_1! { 0, 32 bits }
}
