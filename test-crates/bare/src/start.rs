//! Where the kernel enters. The stack pointer stands at the argument count; there is no return address, and on most machines
//! no more to do than to call Rust. With [`restorer`], all that this program says to a particular machine.

// Enters at `_start`, aligns the stack as the ABI wants it before a call, and calls.
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

// s390x: a function saves its caller's registers in 160 bytes that the caller keeps free above it.
#[cfg(target_arch = "s390x")]
core::arch::global_asm!(".globl _start", "_start:", "aghi %r15, -160", "brasl %r14, {run}", run = sym crate::run);

/// Elsewhere the stack is right as the kernel leaves it, and the compiler emits what the ABI wants of a function (a descriptor
/// on powerpc64 ELFv1). lld looks for `__start` on MIPS.
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

/// What returns from a signal handler, and the flag that says so, on the architectures whose kernel leaves that to libc: x86_64, and
/// SPARC, where a handler returns to eight bytes behind it, as to behind a call. On ARM the kernel has one of its own, but qemu's (11.1,
/// big-endian) is now and then an illegal instruction.
pub fn restorer() -> Option<(usize, usize)> {
    #[cfg(any(target_arch = "x86_64", target_arch = "arm", target_arch = "sparc", target_arch = "sparc64"))]
    {
        extern "C" {
            fn return_from_signal();
        }
        const SA_RESTORER: usize = if crate::system::IS_SPARC { 0 } else { 0x0400_0000 };
        return Some((SA_RESTORER, return_from_signal as *const () as usize));
    }
    #[allow(unreachable_code)]
    None
}

#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    "return_from_signal:",
    "mov eax, {nr}",
    "syscall",
    nr = const crate::system::nr::RT_SIGRETURN,
);

// From Thumb code too the handler returns to ARM code.
#[cfg(target_arch = "arm")]
core::arch::global_asm!(
    ".arm",
    ".balign 4",
    ".type return_from_signal, %function",
    "return_from_signal:",
    "mov r7, #{nr}",
    "svc #0",
    nr = const SIGRETURN,
);

// 32-bit SPARC has two kinds of signal frame. A handler that takes no siginfo finds the older, which `sigreturn` alone undoes.
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
    nr = const crate::system::nr::RT_SIGRETURN,
    #[cfg(target_arch = "sparc")]
    nr = const SIGRETURN,
);

/// What undoes the older kind of signal frame, which a handler that takes no siginfo finds.
#[cfg(any(target_arch = "arm", target_arch = "sparc"))]
const SIGRETURN: usize = match crate::system::nr::SIGRETURN {
    Some(nr) => nr,
    None => panic!("a machine with such a frame has the call"),
};
