//! Linker arguments for a program without libc, and cfgs.

use std::env::var;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(bare, unstable_asm)");
    // A debug build has std and libc, because it unwinds. Also, `cargo check --workspace` shares
    // `bitflags` with packages that use std, so Cargo may have to link std.
    let mut arguments: &[&str] = &["-nostartfiles"];
    if var("PROFILE").as_deref() == Ok("release") {
        println!("cargo:rustc-cfg=bare");
        // No libc, no start files, fixed addresses, no symbols. Both a C compiler and a plain
        // linker accept these arguments.
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
