//! Linker arguments for a program without libc, and cfgs.

use std::env::var;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(bare)");
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
    if var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("m68k") {
        // LLVM addresses statics within 32 KB, so the large one must come last: see `MEMORY`.
        println!("cargo:rustc-link-arg-bins=--sort-section=name");
    }
}
