//! Rejects a target without a port in one sentence, before a stranger error occurs. It runs in
//! every cold build, so it is small to compile.

use std::env::var;
use std::path::Path;

const PORTS: &str = "src/arch";

fn main() {
    println!("cargo:rerun-if-changed=src/arch");

    let os = var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if os != "linux" && os != "android" {
        refuse("is not Linux, and only Linux has epoll");
    }
    // A port's file is named after its `target_arch`, unless an architecture has two ABIs.
    let arch = var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let port = match (&*arch, &*var("CARGO_CFG_TARGET_POINTER_WIDTH").unwrap_or_default()) {
        ("x86_64", "32") => "x32",
        ("aarch64", "32") => refuse("has the ILP32 ABI, which no released Linux has"),
        ("mips64" | "mips64r6", "32") => refuse("has the n32 ABI, which no port supports"),
        ("wasm32", _) => refuse("makes its calls by imports, but every port needs a system call instruction"),
        ("mips32r6", _) => "mips",
        ("mips64r6", _) => "mips64",
        (arch, _) => arch,
    };
    if matches!(port, "csky" | "hexagon" | "m68k" | "mips" | "mips64" | "sparc" | "sparc64") {
        println!("cargo:rustc-cfg=barepoll_unstable_asm"); // `asm!` is unstable there
    }
    // What `src/sanitizer.rs` announces. Only nightly has sanitizers, and sets this.
    for sanitizer in var("CARGO_CFG_SANITIZE").unwrap_or_default().split(',') {
        match sanitizer {
            "memory" => println!("cargo:rustc-cfg=barepoll_msan"),
            "thread" => println!("cargo:rustc-cfg=barepoll_tsan"),
            _ => {}
        }
    }
    if !Path::new(PORTS).join(port).with_extension("rs").exists() {
        refuse("has no port in barepoll");
    }
}

fn refuse(why: &str) -> ! {
    eprint!("error: {} {why}; there are ports for:", var("TARGET").unwrap_or_default());
    for file in Path::new(PORTS).read_dir().into_iter().flatten().flatten() {
        let name = file.file_name();
        let name = name.to_str().unwrap_or_default().trim_end_matches(".rs");
        if !matches!(name, "mod" | "generic" | "through_libc") {
            eprint!(" {name}");
        }
    }
    eprintln!(".");
    std::process::exit(1);
}
