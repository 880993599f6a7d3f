//! Cfgs for a program without libc.

use std::env::var;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(bare)");
    // A debug build is empty: `cargo check --workspace` shares `bitflags` with packages that use
    // std, and then this program cannot do without std.
    if var("PROFILE").as_deref() == Ok("release") {
        println!("cargo:rustc-cfg=bare");
    }
    let cpu = var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    if ["sparc", "mips", "m68k", "hexagon"].iter().any(|unstable| cpu.starts_with(unstable)) {
        println!("cargo:rustc-cfg=barepoll_unstable_asm"); // this program has its own assembly for it
    }
}
