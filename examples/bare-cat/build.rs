//! What rustc must be told to link a program without libc, and of this machine's `asm!`.

use std::env::var;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(bare, unstable_asm)");
    // A debug build has std and libc. It unwinds, and Cargo may have to link std anyway:
    // `cargo check --workspace` builds packages that use std with the same `bitflags`.
    let mut arguments: &[&str] = &["-nostartfiles"];
    if var("PROFILE").as_deref() == Ok("release") {
        println!("cargo:rustc-cfg=bare");
        // No libc and no start files, fixed addresses, no symbols. A C compiler and a bare linker
        // both understand these words.
        arguments = &["-nostdlib", "-static", "-no-pie", "-s", "-e", "_start"];
    }
    for argument in arguments {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
    let arch = var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    if ["mips", "sparc", "m68k", "hexagon", "csky"].iter().any(|unstable| arch.starts_with(unstable)) {
        println!("cargo:rustc-cfg=unstable_asm");
    }
}
