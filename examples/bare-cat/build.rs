//! What rustc must be told to link a program without libc, and of this machine's `asm!`.

use std::env::var;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // No libc and no start files, fixed addresses, no symbols: words that a C compiler and a bare linker both understand.
    for argument in ["-nostdlib", "-static", "-no-pie", "-s", "-e", "_start"] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
    println!("cargo:rustc-check-cfg=cfg(unstable_asm)");
    let arch = var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    if ["mips", "sparc", "m68k", "hexagon", "csky"].iter().any(|unstable| arch.starts_with(unstable)) {
        println!("cargo:rustc-cfg=unstable_asm");
    }
}
