//! sparc64: `ta 0x6d`. Everything else is as on 32 bits (`sparc.rs`, whose macro, constants and
//! numbers these are), except that there is one clock, and the `asm!` names g5 too.

#[path = "sparc.rs"]
#[macro_use]
#[allow(dead_code)] // its functions are not this port's
mod sparc;

pub use sparc::*;

syscalls! { #[inline(never)] extern "C" fn by ta("o0" "o1" "o2" "o3" "o4" "o5") "ta 0x6d", "bcs,a,pt %xcc, 2f", "g5" }

pub mod nr {
    pub use super::sparc::nr::*;

    since_5_1! { 0, 64 bits }
}
