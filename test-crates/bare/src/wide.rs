//! A function that enables vector registers by attribute, in a program that is compiled without them: SVE, on aarch64. (riscv's
//! V can be enabled so by unstable Rust only.)
//!
//! No function of the conformance list can: the attribute names an architecture's feature, which compiles for no other. It
//! stands here, in a program that names architectures already (`start.rs`), and not in a port, because it is a *caller* that
//! does this, and the port must be right whatever its caller enables.

pub use machine::run;

#[cfg(target_arch = "aarch64")]
mod machine {
    use crate::conformance::registers::Widened;
    use crate::system::nr;
    use barepoll::arch::syscall1;

    #[target_feature(enable = "sve")]
    unsafe fn widened(victim: Widened<'_>) -> bool {
        victim.run()
    }

    /// Runs the victim, where the machine has SVE in a function that may use it.
    pub fn run(victim: Widened<'_>) -> bool {
        /// An error where there is no SVE.
        const PR_SVE_GET_VL: usize = 51;
        // SAFETY: no pointer.
        let has_sve = unsafe { syscall1::<{ nr::PRCTL }>(PR_SVE_GET_VL) } > 0;
        if !has_sve {
            return victim.run();
        }
        // SAFETY: the machine has SVE.
        unsafe { widened(victim) }
    }
}

#[cfg(not(target_arch = "aarch64"))]
mod machine {
    pub fn run(victim: crate::conformance::registers::Widened<'_>) -> bool {
        victim.run()
    }
}
