//! The seam: what a port provides, and which one this build uses.
//!
//! This is the only file where `cfg` chooses an architecture. A port is one file, and provides:
//!
//! - `syscall1` … `syscall4` and `syscall6`, `unsafe fn syscallN<const NR: usize>(...) -> isize`: issue call `NR` with its
//!   arguments and return what the kernel says, a failure as −errno *whatever the machine's own convention is*. They stand
//!   inside `trap! { ... }`, so that the host's tests can include every port's file and compare all their constants at once.
//!   The number is a parameter of the type, so a port may keep its trap out of line without passing it in a register.
//! - `nr`: the call numbers. A call that the machine may lack is an `Option`: `EPOLL_WAIT` (absent from the asm-generic
//!   table), `CLOCK_GETTIME` and `CLOCK_GETTIME64` (the first alone where `long` has 64 bits, and on x32).
//! - everything that [`generic`] defines, taken from there with `pub use` and shadowed where this machine differs.
//!
//! The safety contract of every trap function: the arguments are right for the call `NR`, and pointers among them are valid
//! for what the kernel does with them. A port owes in return that nothing but the result, memory that the kernel was
//! given, and what its `asm!` declares is changed by the call. Where the trap is out of line, that
//! is also what the ABI lets a call change.
//!
//! A port returns whatever its kernel answers to a number that it does not know. That is not
//! −ENOSYS on csky and hexagon: see their files, and `docs/porting.md`.

#[allow(dead_code)] // what every port shadows
pub mod generic;

/// Marks a port's trap functions. Here it changes nothing; `tests/support/ports.rs` defines it empty.
macro_rules! trap {
    ($($item:item)*) => { $($item)* };
}

#[cfg_attr(all(target_arch = "x86_64", target_pointer_width = "64"), path = "x86_64.rs")]
#[cfg_attr(all(target_arch = "x86_64", target_pointer_width = "32"), path = "x32.rs")]
#[cfg_attr(target_arch = "x86", path = "x86.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
#[cfg_attr(target_arch = "arm", path = "arm.rs")]
#[cfg_attr(target_arch = "riscv64", path = "riscv64.rs")]
#[cfg_attr(target_arch = "riscv32", path = "riscv32.rs")]
#[cfg_attr(target_arch = "loongarch64", path = "loongarch64.rs")]
#[cfg_attr(target_arch = "powerpc", path = "powerpc.rs")]
#[cfg_attr(target_arch = "powerpc64", path = "powerpc64.rs")]
#[cfg_attr(target_arch = "s390x", path = "s390x.rs")]
#[cfg_attr(any(target_arch = "mips", target_arch = "mips32r6"), path = "mips.rs")]
#[cfg_attr(any(target_arch = "mips64", target_arch = "mips64r6"), path = "mips64.rs")]
#[cfg_attr(target_arch = "sparc", path = "sparc.rs")]
#[cfg_attr(target_arch = "sparc64", path = "sparc64.rs")]
#[cfg_attr(target_arch = "m68k", path = "m68k.rs")]
#[cfg_attr(target_arch = "hexagon", path = "hexagon.rs")]
#[cfg_attr(target_arch = "csky", path = "csky.rs")]
#[cfg_attr(feature = "std", allow(dead_code))] // std has a clock of its own
mod port;

pub use port::*;

/// Whether to make only calls that every Android's C library makes. Its sandbox for apps kills for
/// others: `epoll_wait` on x86_64, `epoll_pwait2` before Android 15, and in older releases
/// `clock_gettime64`. `--cfg barepoll_android` lets a test on a host choose so.
pub const ANDROID: bool = cfg!(any(target_os = "android", barepoll_android));

/// Stands where a call failed. It is no instruction, but LLVM does not prepare what follows before it
/// knows of the failure. `core::hint` has nothing of the kind on stable Rust, and a fence is a call on
/// csky.
#[inline(always)]
pub fn unlikely() {
    // SAFETY: it does nothing.
    unsafe { core::arch::asm!("", options(nomem, nostack, preserves_flags)) }
}
