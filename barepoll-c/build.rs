//! Says where C's `struct timespec` is two `long`s and not the kernel's two 64-bit fields: glibc on 32-bit machines, but for x32
//! and riscv32, which came with 64-bit time. Says where nothing is optimised. Names the shared library.

use std::env::var;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(timespec_of_longs)");
    println!("cargo:rustc-check-cfg=cfg(unoptimised)");
    // A program that was linked with it looks for a file of this name, wherever the library was when it was linked.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libbarepoll_c.so");
    if var("OPT_LEVEL").as_deref() == Ok("0") {
        println!("cargo:rustc-cfg=unoptimised");
    }
    let is = |what: &str, value: &str| var(format!("CARGO_CFG_TARGET_{what}")).as_deref() == Ok(value);
    if is("ENV", "gnu") && is("POINTER_WIDTH", "32") && !is("ARCH", "x86_64") && !is("ARCH", "riscv32") {
        println!("cargo:rustc-cfg=timespec_of_longs");
    }
}
