//! Refuses a target that has no port, in one sentence, before anything else can fail in a stranger way.

use std::env::var;

fn main() {
    println!("cargo:rerun-if-changed=src/arch");
    println!("cargo:rustc-check-cfg=cfg(barepoll_internals, barepoll_unstable_asm)");

    let set_by_cargo = |name: &str| var(name).unwrap_or_default();
    let (target, os) = (set_by_cargo("TARGET"), set_by_cargo("CARGO_CFG_TARGET_OS"));
    let arch = set_by_cargo("CARGO_CFG_TARGET_ARCH");

    // A port's file is named after its `target_arch`, except where one architecture has two ABIs.
    let port = match (&*arch, &*set_by_cargo("CARGO_CFG_TARGET_POINTER_WIDTH")) {
        ("x86_64", "32") => "x32",
        (arch, _) => arch,
    };
    let mut ports: Vec<String> = std::fs::read_dir("src/arch")
        .map(|files| files.filter_map(|file| file.ok()?.file_name().to_str()?.strip_suffix(".rs").map(String::from)))
        .map(|names| names.filter(|name| name != "mod" && name != "generic").collect())
        .unwrap_or_default();
    ports.sort();

    if os != "linux" && os != "android" {
        refuse(&format!("epoll is Linux's own, and {target} is not Linux (its operating system is {os:?})."));
    } else if !ports.iter().any(|known| known == port) {
        refuse(&format!("barepoll has no port for {target} yet ({port}); there are: {}.", ports.join(", ")));
    }
}

fn refuse(why: &str) {
    eprintln!("error: {why}");
    std::process::exit(1);
}
