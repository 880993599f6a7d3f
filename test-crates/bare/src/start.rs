//! The entry point. The stack pointer points to the argument count, and there is no return address.
//! On most machines the code only calls Rust. This and [`restorer`] are the program's only
//! machine-specific code.

// Aligns the stack as the ABI requires before a call.
#[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    #[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
    "and rsp, -16",
    #[cfg(not(all(target_arch = "x86_64", target_pointer_width = "64")))]
    "and esp, -16",
    "call {run}",
    run = sym crate::run,
);

// s390x: the caller reserves 160 bytes where the function saves the caller's registers.
#[cfg(target_arch = "s390x")]
core::arch::global_asm!(".globl _start", "_start:", "aghi %r15, -160", "brasl %r14, {run}", run = sym crate::run);

/// Elsewhere the kernel's stack is already aligned, and the compiler emits what the ABI requires,
/// such as a function descriptor on powerpc64 ELFv1. lld looks for `__start` on MIPS.
#[cfg(not(any(target_arch = "x86_64", target_arch = "x86", target_arch = "s390x")))]
#[cfg_attr(
    any(target_arch = "mips", target_arch = "mips32r6", target_arch = "mips64", target_arch = "mips64r6"),
    export_name = "__start"
)]
#[cfg_attr(
    not(any(target_arch = "mips", target_arch = "mips32r6", target_arch = "mips64", target_arch = "mips64r6")),
    no_mangle
)]
unsafe extern "C" fn _start() -> ! {
    crate::run()
}

/// The function that returns from a signal handler, and its flag, where the kernel requires one: on
/// x86_64 and SPARC. A SPARC handler returns to its address plus eight, as after a call. ARM's
/// kernel has its own, but big-endian qemu's (11.1) is sometimes an illegal instruction.
pub fn restorer() -> Option<(usize, usize)> {
    #[cfg(any(target_arch = "x86_64", target_arch = "arm", target_arch = "sparc", target_arch = "sparc64"))]
    {
        extern "C" {
            fn return_from_signal();
        }
        #[cfg(any(target_arch = "sparc", target_arch = "sparc64"))]
        const SA_RESTORER: u32 = 0;
        #[cfg(not(any(target_arch = "sparc", target_arch = "sparc64")))]
        use linux_raw_sys::general::SA_RESTORER;
        return Some((SA_RESTORER as usize, return_from_signal as *const () as usize));
    }
    #[allow(unreachable_code)]
    None
}

#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    "return_from_signal:",
    "mov eax, {nr}",
    "syscall",
    nr = const linux_raw_sys::general::__NR_rt_sigreturn,
);

// The handler returns to ARM code, even from Thumb code.
#[cfg(target_arch = "arm")]
core::arch::global_asm!(
    ".arm",
    ".balign 4",
    ".type return_from_signal, %function",
    "return_from_signal:",
    "mov r7, #{nr}",
    "svc #0",
    nr = const linux_raw_sys::general::__NR_sigreturn,
);

// 32-bit SPARC has two kinds of signal frame. A handler without siginfo gets the older kind, from
// which only `sigreturn` returns.
#[cfg(any(target_arch = "sparc", target_arch = "sparc64"))]
core::arch::global_asm!(
    "return_from_signal:",
    "nop",
    "nop",
    "mov {nr}, %g1",
    #[cfg(target_arch = "sparc64")]
    "ta 0x6d",
    #[cfg(target_arch = "sparc")]
    "ta 0x10",
    #[cfg(target_arch = "sparc64")]
    nr = const linux_raw_sys::general::__NR_rt_sigreturn,
    #[cfg(target_arch = "sparc")]
    nr = const linux_raw_sys::general::__NR_sigreturn,
);
