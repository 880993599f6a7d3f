pub mod asm;
pub mod broken;
pub mod clobbers;
pub mod conformance;
pub mod headers;
pub mod linux;
pub mod new_port;
pub mod symbols;
