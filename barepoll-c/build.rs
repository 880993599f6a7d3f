//! Sets `timespec_of_longs` where the `struct timespec` of C's `epoll_pwait2` is two `long`s, not
//! the kernel's two 64-bit fields: with glibc on 32-bit machines, except x32 and riscv32, which
//! began with 64-bit time. Sets `itimerspec_of_longs` where the `struct itimerspec` of
//! `timerfd_settime` is four `long`s: there, and on the same machines with musl, which lacks
//! `epoll_pwait2`. hexagon's musl began with 64-bit time. Sets `unoptimised` for `OPT_LEVEL` 0.
//! Names the shared library.

use std::env::var;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(timespec_of_longs)");
    println!("cargo:rustc-check-cfg=cfg(itimerspec_of_longs)");
    println!("cargo:rustc-check-cfg=cfg(unoptimised)");
    // A linked program looks for this file name, not for the library's path at link time.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libbarepoll_c.so");
    if var("OPT_LEVEL").as_deref() == Ok("0") {
        println!("cargo:rustc-cfg=unoptimised");
    }
    let is = |what: &str, value: &str| var(format!("CARGO_CFG_TARGET_{what}")).as_deref() == Ok(value);
    let began_with_64_bits = ["x86_64", "riscv32", "hexagon"].iter().any(|arch| is("ARCH", arch));
    if is("POINTER_WIDTH", "32") && !began_with_64_bits {
        println!("cargo:rustc-cfg=itimerspec_of_longs");
        if is("ENV", "gnu") {
            println!("cargo:rustc-cfg=timespec_of_longs");
        }
    }
}
