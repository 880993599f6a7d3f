//! The program's entry and exit: all of its machine-dependent code.

use crate::linux::general::__NR_exit_group;
use barepoll::syscall;

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

/// Ends the program.
pub fn exit(status: usize) -> ! {
    loop {
        // SAFETY: the call takes no pointer, and nothing runs after it.
        let _ = unsafe { syscall!(__NR_exit_group, status) };
    }
}
