//! On aarch64, a function that enables SVE by attribute in a program compiled without it. Enabling
//! riscv's V this way requires unstable Rust.
//!
//! The conformance checks cannot contain it, because the attribute compiles for one architecture
//! only. It is not part of a port, because it is a *caller*, and a port must work for any caller's
//! features.

pub use machine::run;

#[cfg(target_arch = "aarch64")]
mod machine {
    use crate::conformance::registers::Widened;
    use barepoll::syscall;
    use linux_raw_sys::general::__NR_prctl;
    use linux_raw_sys::prctl::PR_SVE_GET_VL;

    #[target_feature(enable = "sve")]
    unsafe fn widened(victim: Widened<'_>) -> bool {
        victim.run()
    }

    /// Runs the victim, and if the machine has SVE, inside a function that may use it.
    pub fn run(victim: Widened<'_>) -> bool {
        // It fails on a machine without SVE.
        // SAFETY: no pointer.
        let has_sve = unsafe { syscall!(__NR_prctl, PR_SVE_GET_VL) }.is_ok();
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
