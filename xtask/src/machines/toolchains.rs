//! Debian's C compiler and libc for each target that has std: what a program with std is linked with for a machine that this one is not.

use crate::debian::{self, Cache, Suite};
use crate::kit::report;
use crate::kit::shell::{both, capture};
use crate::machines::targets::TARGETS;
use std::process::Command;

/// The suite that the guide's names are of. Older ones lack LoongArch, and newer ones MIPS.
const SUITE: Suite = Suite("trixie");

/// A target that Debian has a cross compiler for.
pub struct Toolchain {
    /// rustc's name.
    pub target: &'static str,
    /// GNU's name of it, as Debian writes it in paths.
    pub gnu: &'static str,
    /// Debian's name of it, in its packages.
    debian: &'static str,
    /// Whether rustup has its std.
    is_in_rustup: bool,
}

const fn by_rustup(target: &'static str, gnu: &'static str, debian: &'static str) -> Toolchain {
    Toolchain { target, gnu, debian, is_in_rustup: true }
}

const fn by_source(target: &'static str, gnu: &'static str, debian: &'static str) -> Toolchain {
    Toolchain { is_in_rustup: false, ..by_rustup(target, gnu, debian) }
}

/// Every one of the table of targets, but m68k, which LLVM miscompiles, and x32, which no emulator runs.
const TOOLCHAINS: [Toolchain; 19] = [
    by_rustup("aarch64-unknown-linux-gnu", "aarch64-linux-gnu", "arm64"),
    by_rustup("armv7-unknown-linux-gnueabihf", "arm-linux-gnueabihf", "armhf"),
    by_rustup("armv5te-unknown-linux-gnueabi", "arm-linux-gnueabi", "armel"),
    by_rustup("i686-unknown-linux-gnu", "i686-linux-gnu", "i386"),
    by_rustup("loongarch64-unknown-linux-gnu", "loongarch64-linux-gnu", "loong64"),
    by_source("mips-unknown-linux-gnu", "mips-linux-gnu", "mips"),
    by_source("mipsel-unknown-linux-gnu", "mipsel-linux-gnu", "mipsel"),
    by_source("mips64-unknown-linux-gnuabi64", "mips64-linux-gnuabi64", "mips64"),
    by_source("mips64el-unknown-linux-gnuabi64", "mips64el-linux-gnuabi64", "mips64el"),
    by_source("mipsisa32r6-unknown-linux-gnu", "mipsisa32r6-linux-gnu", "mipsr6"),
    by_source("mipsisa32r6el-unknown-linux-gnu", "mipsisa32r6el-linux-gnu", "mipsr6el"),
    by_source("mipsisa64r6-unknown-linux-gnuabi64", "mipsisa64r6-linux-gnuabi64", "mips64r6"),
    by_source("mipsisa64r6el-unknown-linux-gnuabi64", "mipsisa64r6el-linux-gnuabi64", "mips64r6el"),
    by_rustup("powerpc-unknown-linux-gnu", "powerpc-linux-gnu", "powerpc"),
    by_rustup("powerpc64-unknown-linux-gnu", "powerpc64-linux-gnu", "ppc64"),
    by_rustup("powerpc64le-unknown-linux-gnu", "powerpc64le-linux-gnu", "ppc64el"),
    by_rustup("riscv64gc-unknown-linux-gnu", "riscv64-linux-gnu", "riscv64"),
    by_rustup("s390x-unknown-linux-gnu", "s390x-linux-gnu", "s390x"),
    by_rustup("sparc64-unknown-linux-gnu", "sparc64-linux-gnu", "sparc64"),
];

impl Toolchain {
    pub fn of(target: &str) -> Result<&'static Self, String> {
        let found = TOOLCHAINS.iter().find(|toolchain| toolchain.target == target);
        found.ok_or_else(|| format!("xtask/src/machines/toolchains.rs names no C compiler for {target}"))
    }

    /// The compiler, and the libc that it only recommends.
    pub fn packages(&self) -> [String; 2] {
        [format!("gcc-{}", self.gnu), format!("libc6-dev-{}-cross", self.debian)]
    }

    /// As a row of the guide's table.
    fn row(&self) -> Option<Vec<String>> {
        let target = TARGETS.iter().find(|target| target.name == self.target)?;
        let std = if self.is_in_rustup { "rustup's" } else { "from source" };
        let code = |text: String| format!("`{text}`");
        Some(vec![
            code(self.target.into()),
            self.packages().map(code).join(", "),
            code(format!("{}-gcc", self.gnu)),
            code(format!("{} -L /usr/{}", target.emulator.join(" "), self.gnu)),
            std.into(),
        ])
    }
}

/// The guide's table.
pub fn table() -> String {
    let header = ["target", "Debian's packages, beside `qemu-user`", "`linker`", "`runner`", "std"];
    report::markdown(&header, TOOLCHAINS.iter().filter_map(Toolchain::row))
}

/// Debian has these packages, rustup these targets and no other of them, and the table of targets knows each.
pub fn check(cache: &Cache) -> Result<usize, String> {
    let output = capture(Command::new("rustup").args(["target", "list"]))?;
    let listed = both(&output);
    for toolchain in &TOOLCHAINS {
        let target = toolchain.target;
        toolchain.row().ok_or_else(|| format!("xtask/src/machines/targets.rs has no {target}"))?;
        for package in toolchain.packages() {
            cache.has(SUITE, debian::host(), &package)?;
        }
        let is_in_rustup = listed.lines().any(|line| line.split(' ').next() == Some(target));
        if is_in_rustup != toolchain.is_in_rustup {
            return Err(format!(
                "xtask/src/machines/toolchains.rs is wrong on whether rustup has {target}: it says {is_in_rustup}"
            ));
        }
    }
    Ok(TOOLCHAINS.len())
}
