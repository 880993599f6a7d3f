//! The program's entry and exit: all of its machine-dependent code.

use core::arch::asm;

/// Defines the entry point, which prepares stack and registers for a call by the ABI, then calls
/// `main`.
#[allow(unused_macros)]
macro_rules! enter {
    ($($text:literal),*) => {
        core::arch::global_asm!(".globl _start", ".type _start, @function", "_start:", $($text,)* main = sym crate::main);
    };
}

#[cfg(target_arch = "x86_64")]
enter!("and rsp, -16", "call {main}");
#[cfg(target_arch = "x86")]
enter!("and esp, -16", "call {main}");
// The ABI: a function saves registers in 160 bytes that its caller reserves above the stack
// pointer.
#[cfg(target_arch = "s390x")]
enter!("aghi %r15, -160", "brasl %r14, {main}");
// GNU's linker relaxes addresses to offsets from gp.
#[cfg(any(target_arch = "riscv64", target_arch = "riscv32"))]
enter!(".option push", ".option norelax", "la gp, __global_pointer$", ".option pop", "tail {main}");

/// Elsewhere the kernel's state suits the ABI, so the compiler can emit the entry point.
#[cfg(not(any(
    target_arch = "x86_64",
    target_arch = "x86",
    target_arch = "s390x",
    target_arch = "riscv64",
    target_arch = "riscv32"
)))]
#[no_mangle]
extern "C" fn _start() -> ! {
    crate::main()
}

/// Ends the program with `exit_group`, which never returns. So the assembly needs no clobbers.
pub fn exit(status: usize) -> ! {
    // SAFETY: the call uses no memory and never returns.
    unsafe {
        #[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
        asm!("mov eax, 231", "syscall", in("rdi") status, options(noreturn));
        #[cfg(all(target_arch = "x86_64", target_pointer_width = "32"))]
        asm!("mov eax, 0x400000e7", "syscall", in("rdi") status as u64, options(noreturn));
        #[cfg(target_arch = "x86")]
        asm!("mov ebx, ecx", "mov eax, 252", "int 0x80", in("ecx") status, options(noreturn));
        #[cfg(target_arch = "aarch64")]
        asm!("mov x8, 94", "svc 0", in("x0") status, options(noreturn));
        #[cfg(target_arch = "arm")]
        asm!("mov r7, #248", "svc 0", in("r0") status, options(noreturn));
        #[cfg(any(target_arch = "riscv64", target_arch = "riscv32"))]
        asm!("li a7, 94", "ecall", in("a0") status, options(noreturn));
        #[cfg(target_arch = "loongarch64")]
        asm!("li.w $a7, 94", "syscall 0", in("$a0") status, options(noreturn));
        #[cfg(any(target_arch = "powerpc", target_arch = "powerpc64"))]
        asm!("li 0, 234", "sc", in("r3") status, options(noreturn));
        #[cfg(target_arch = "s390x")]
        asm!("svc 248", in("r2") status, options(noreturn));
        #[cfg(any(target_arch = "mips", target_arch = "mips32r6"))]
        asm!("li $2, 4246", "syscall", in("$4") status, options(noreturn));
        #[cfg(any(target_arch = "mips64", target_arch = "mips64r6"))]
        asm!("li $2, 5205", "syscall", in("$4") status, options(noreturn));
        #[cfg(target_arch = "sparc")]
        asm!("mov 188, %g1", "ta 0x10", in("o0") status, options(noreturn));
        #[cfg(target_arch = "sparc64")]
        asm!("mov 188, %g1", "ta 0x6d", in("o0") status, options(noreturn));
        #[cfg(target_arch = "m68k")]
        loop {
            // LLVM appends a call of libc's `abort` to assembly with `noreturn`.
            asm!("move.l #247, %d0", "trap #0", in("d1") status, out("d0") _);
        }
        #[cfg(target_arch = "hexagon")]
        asm!("r6 = #94", "trap0(#1)", in("r0") status, options(noreturn));
        #[cfg(target_arch = "csky")]
        asm!("movi r7, 94", "trap32 0", in("r0") status, options(noreturn));
    }
}
