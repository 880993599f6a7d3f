//! powerpc64, both endiannesses, both ELF ABIs: 32-bit powerpc's instruction, clobbers, constants
//! and numbers, with 64-bit registers and one clock. (`scv 0` would be faster on POWER9 and newer.
//! A library cannot know whether the machine has it.)

#[path = "powerpc.rs"]
#[allow(dead_code)] // it has one clock more
mod powerpc;

pub use powerpc::*;

pub mod nr {
    pub use super::powerpc::nr::*;

    since_5_1! { 0, 64 bits }
}
