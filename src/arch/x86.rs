//! x86 (i386 … i686): `int 0x80`.
//!
//! The number goes in eax, arguments in ebx, ecx, edx, esi, edi, ebp; the result comes back in eax, a failure as −errno. The
//! kernel keeps everything else (`arch/x86/entry/entry_32.S`, `entry_64_compat.S`). The vDSO's faster entry would need
//! the auxiliary vector, which a library does not have.
//!
//! LLVM keeps esi for itself and ebp may be the frame pointer: rustc refuses both as operands. The fourth argument is
//! exchanged into esi and back; for six, eax points at what has no register left, and esi and ebp are saved on the stack.

pub use crate::arch::generic::*;

trap! {
    macro_rules! int80 {
        ($($text:literal),*; $($operand:tt)*) => {{
            let ret: usize;
            // SAFETY: the caller vouches for the call; esi and ebp are put back, and no other register but eax changes.
            unsafe { core::arch::asm!($($text),*, lateout("eax") ret, $($operand)*) }
            ret as isize
        }};
    }

    #[inline(always)]
    pub unsafe fn syscall1<const NR: usize>(a: usize) -> isize {
        int80!("int 0x80"; in("eax") NR, in("ebx") a, options(nostack, preserves_flags))
    }

    #[inline(always)]
    pub unsafe fn syscall2<const NR: usize>(a: usize, b: usize) -> isize {
        int80!("int 0x80"; in("eax") NR, in("ebx") a, in("ecx") b, options(nostack, preserves_flags))
    }

    #[inline(always)]
    pub unsafe fn syscall3<const NR: usize>(a: usize, b: usize, c: usize) -> isize {
        int80!("int 0x80"; in("eax") NR, in("ebx") a, in("ecx") b, in("edx") c, options(nostack, preserves_flags))
    }

    #[inline(always)]
    pub unsafe fn syscall4<const NR: usize>(a: usize, b: usize, c: usize, d: usize) -> isize {
        int80!("xchg esi, edi", "int 0x80", "xchg esi, edi";
            in("eax") NR, in("ebx") a, in("ecx") b, in("edx") c, in("edi") d, options(nostack, preserves_flags))
    }

    #[inline(always)]
    pub unsafe fn syscall6<const NR: usize>(a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> isize {
        let rest = [d, f, NR];
        int80!("push esi", "push ebp", "mov esi, [eax]", "mov ebp, [eax + 4]", "mov eax, [eax + 8]", "int 0x80", "pop ebp",
            "pop esi"; in("eax") &rest, in("ebx") a, in("ecx") b, in("edx") c, in("edi") e, options(preserves_flags))
    }
}

/// u64 aligns to 4 here, which gives what x86_64 packs.
pub const EVENT_SIZE: usize = 12;
pub const EVENT_DATA: usize = 4;

pub mod nr {
    pub const READ: usize = 3;
    pub const WRITE: usize = 4;
    pub const CLOSE: usize = 6;
    pub const IOCTL: usize = 54;
    pub const EPOLL_CTL: usize = 255;
    pub const EPOLL_WAIT: Option<usize> = Some(256);
    pub const CLOCK_GETTIME: Option<usize> = Some(265);
    pub const EPOLL_PWAIT: usize = 319;
    pub const EVENTFD2: usize = 328;
    pub const EPOLL_CREATE1: usize = 329;
    pub const CLOCK_GETTIME64: Option<usize> = Some(403);
    pub const EPOLL_PWAIT2: usize = 441;
}
