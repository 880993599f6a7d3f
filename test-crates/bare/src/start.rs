//! The entry point. The stack pointer points to the argument count, which the arguments' addresses
//! follow. There is no return address. This and [`restorer`] are the program's only
//! machine-specific code.

/// Defines the entry point: instructions that pass the stack pointer to [`crate::run`] by the ABI.
#[allow(unused_macros)]
macro_rules! enter {
    ($($line:literal),*) => {
        core::arch::global_asm!(
            ".globl _start", ".type _start, @function", "_start:",
            $($line,)*
            run = sym crate::run,
        );
    };
}

// x32's registers have 64 bits, of which the upper 32 are zero in an address.
#[cfg(target_arch = "x86_64")]
enter!("mov rdi, rsp", "and rsp, -16", "call {run}");
// The argument is on the stack, which is aligned to 16 bytes at the call.
#[cfg(target_arch = "x86")]
enter!("mov eax, esp", "and esp, -16", "sub esp, 12", "push eax", "call {run}");
#[cfg(target_arch = "aarch64")]
enter!("mov x0, sp", "bl {run}");
#[cfg(target_arch = "arm")]
core::arch::global_asm!(
    ".arm",
    ".globl _start",
    ".type _start, %function",
    "_start:",
    "mov r0, sp",
    "bl {run}",
    run = sym crate::run,
);
#[cfg(any(target_arch = "riscv64", target_arch = "riscv32"))]
enter!("mv a0, sp", "call {run}");
#[cfg(target_arch = "loongarch64")]
enter!("move $a0, $sp", "bl {run}");
// The caller reserves 160 bytes where the function saves the caller's registers.
#[cfg(target_arch = "s390x")]
enter!("lgr %r2, %r15", "aghi %r15, -160", "brasl %r14, {run}");
// A function saves its return address in its caller's frame, where the arguments would be.
#[cfg(target_arch = "powerpc")]
enter!("mr 3, 1", "li 0, 0", "stwu 0, -16(1)", "bl {run}");
// ELFv2: r12 has the entry's address, from which the table of contents has a fixed distance.
#[cfg(all(target_arch = "powerpc64", not(all(target_endian = "big", target_env = "gnu"))))]
enter!(
    "addis 2, 12, .TOC.-_start@ha",
    "addi 2, 2, .TOC.-_start@l",
    "mr 3, 1",
    "li 0, 0",
    "stdu 0, -32(1)",
    "bl {run}",
    "nop"
);
// ELFv1: the entry is a function descriptor, by which the kernel sets the table of contents.
#[cfg(all(target_arch = "powerpc64", target_endian = "big", target_env = "gnu"))]
core::arch::global_asm!(
    ".section .opd, \"aw\"",
    ".globl _start",
    "_start: .quad 1f, .TOC.@tocbase, 0",
    ".text",
    "1:",
    "mr 3, 1",
    "li 0, 0",
    "stdu 0, -112(1)",
    "bl {run}",
    "nop",
    run = sym crate::run,
);
// lld looks for `__start`. o32's caller reserves four words for the arguments in registers.
#[cfg(any(target_arch = "mips", target_arch = "mips32r6", target_arch = "mips64", target_arch = "mips64r6"))]
core::arch::global_asm!(
    ".globl __start",
    ".type __start, @function",
    "__start:",
    "move $4, $29",
    #[cfg(any(target_arch = "mips", target_arch = "mips32r6"))]
    "addiu $29, $29, -16",
    "jal {run}",
    "nop",
    run = sym crate::run,
);
// The arguments follow the window's sixteen registers. A 64-bit stack pointer is 2047 too low.
#[cfg(target_arch = "sparc64")]
enter!("add %sp, 2047 + 16 * 8, %o0", "sub %sp, 48, %sp", "call {run}", "nop");
#[cfg(target_arch = "sparc")]
enter!("add %sp, 16 * 4, %o0", "sub %sp, 32, %sp", "call {run}", "nop");
#[cfg(target_arch = "m68k")]
enter!("move.l %sp, %d0", "move.l %d0, -(%sp)", "jsr {run}");
#[cfg(target_arch = "hexagon")]
enter!("r0 = r29", "call {run}");

/// Elsewhere the compiler's own function, which has no arguments to pass on.
#[cfg(target_arch = "csky")]
#[no_mangle]
unsafe extern "C" fn _start() -> ! {
    crate::run(core::ptr::null())
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
