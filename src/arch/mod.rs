//! What a port provides, and which port this build uses.
//!
//! This is the only file where `cfg` chooses an architecture. A port is one file. It provides:
//!
//! - `syscall0` … `syscall6`, `unsafe fn syscallN<const NR: usize>(...) -> isize`. They issue system
//!   call `NR` and return the kernel's result, an error as −errno *whatever the machine's own
//!   convention is*. `syscalls!` writes them. The number is a const parameter, so a port may keep
//!   its instruction out of line without passing the number in a register.
//! - Everything that [`generic`] defines, taken from there with `pub use` and shadowed where this
//!   machine differs: the system call numbers (`nr`), error numbers (`errno`), flags and layout.
//!
//! The safety contract of every `syscallN`: the arguments are right for the call `NR`, and pointers
//! among them are valid for what the kernel does with them. In return, the port guarantees that the
//! call changes only its result, memory that the kernel was given, and what the `asm!` declares.
//! Where the instruction is out of line, the call may also change what the ABI lets any call
//! change: the kernels of aarch64, MIPS and SPARC destroy registers that `asm!` cannot name. LLVM's
//! `-enable-ipra` goes by what a function really changes, misses these, and is not supported there.
//!
//! A port returns whatever its kernel answers to a number that it does not know. That is not
//! −ENOSYS on csky and hexagon: see their files, and `docs/porting.md`.

#[macro_use]
#[allow(dead_code)] // what every port shadows
pub mod generic;

/// Defines a port's seven `syscallN` functions. The port names their attribute and ABI, the macro
/// that issues its instruction, and the registers of the six arguments.
///
/// Each function expands that macro with its own name, its arguments and their registers, and any
/// further tokens, which are the port's own:
///
/// ```text
/// svc!(syscall2 ["r2" = a, "r3" = b])
/// ```
///
/// The expansion is an expression of type `isize`; it may use `NR`. `tests/support/ports.rs`
/// defines this macro empty, so that tests on one host can compare the constants of every port.
macro_rules! syscalls {
    (
        #[$inline:meta] $(extern $abi:tt)? fn by
        $issue:ident($r1:tt $r2:tt $r3:tt $r4:tt $r5:tt $r6:tt) $($own:tt)*
    ) => {
        syscalls! { @each (#[$inline] $(extern $abi)?) $issue [$($own)*]
            syscall0()
            syscall1(a: $r1)
            syscall2(a: $r1, b: $r2)
            syscall3(a: $r1, b: $r2, c: $r3)
            syscall4(a: $r1, b: $r2, c: $r3, d: $r4)
            syscall5(a: $r1, b: $r2, c: $r3, d: $r4, e: $r5)
            syscall6(a: $r1, b: $r2, c: $r3, d: $r4, e: $r5, f: $r6)
        }
    };
    (@each $how:tt $issue:ident $own:tt $($name:ident $args:tt)*) => {
        $(syscalls! { @one $how $issue $own $name $args })*
    };
    (@one (#[$inline:meta] $(extern $abi:tt)?) $issue:ident [$($own:tt)*] $name:ident($($arg:ident: $reg:tt),*)) => {
        #[$inline]
        pub unsafe $(extern $abi)? fn $name<const NR: usize>($($arg: usize),*) -> isize {
            $issue!($name [$($reg = $arg),*] $($own)*)
        }
    };
}

/// Defines items only where a register has 32 bits, so that a 64-bit argument takes two. x32's have
/// 64.
macro_rules! where_registers_have_32_bits {
    ($($item:item)*) => {$(
        #[cfg(any(doc, all(target_pointer_width = "32", not(target_arch = "x86_64"))))]
        #[cfg_attr(docsrs, doc(cfg(target_pointer_width = "32")))]
        $item
    )*};
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
#[allow(dead_code)] // not every build makes every call: std has a clock of its own
mod port;

pub use port::*;

/// Under Miri, C functions make the calls. `--cfg barepoll_libc` lets a test without Miri choose
/// this. These names shadow the port's. The rest stays the port's.
#[cfg(any(miri, barepoll_libc))]
mod through_libc;
#[cfg(any(miri, barepoll_libc))]
pub use through_libc::{syscall0, syscall1, syscall2, syscall3, syscall4, syscall5, syscall6};

/// Whether to make only system calls that every Android's C library makes. Android's sandbox kills
/// apps for others: `epoll_wait` on x86_64, `epoll_pwait2` before Android 15, and `clock_gettime64`
/// in older releases. `--cfg barepoll_android` lets a test on a host choose this.
pub const ANDROID: bool = cfg!(any(target_os = "android", barepoll_android));

/// Marks the path of a failed call. It emits no instruction, but LLVM prepares nothing for that
/// path before the branch. Stable Rust has no such hint in `core::hint`, and a fence is a call on
/// csky.
#[inline(always)]
pub fn unlikely() {
    // SAFETY: the template is empty.
    #[cfg(not(any(miri, barepoll_libc)))]
    unsafe {
        core::arch::asm!("", options(nomem, nostack, preserves_flags))
    }
}
