//! Debian's cross C compiler and libc for each target with std. A program with std links with them.

use crate::debian::{self, Cache, Suite};
use crate::kit::report;
use crate::kit::shell::{both, capture};
use crate::machines::targets::TARGETS;
use std::process::Command;

/// The suite for the package names in docs/testing.md. Older suites lack LoongArch, newer ones
/// MIPS.
const SUITE: Suite = Suite("trixie");

/// A target that Debian has a cross compiler for.
pub struct Toolchain {
    /// rustc's name.
    pub target: &'static str,
    /// GNU's name, as in Debian's paths.
    pub gnu: &'static str,
    /// Debian's name, as in package names.
    debian: &'static str,
    /// Whether rustup has its std. Otherwise, cargo builds it from source.
    is_in_rustup: bool,
}

const fn std_from_rustup(target: &'static str, gnu: &'static str, debian: &'static str) -> Toolchain {
    Toolchain { target, gnu, debian, is_in_rustup: true }
}

const fn std_from_source(target: &'static str, gnu: &'static str, debian: &'static str) -> Toolchain {
    Toolchain { is_in_rustup: false, ..std_from_rustup(target, gnu, debian) }
}

/// Not m68k, whose std LLVM miscompiles, and not x32, which no emulator runs.
const TOOLCHAINS: [Toolchain; 19] = [
    std_from_rustup("aarch64-unknown-linux-gnu", "aarch64-linux-gnu", "arm64"),
    std_from_rustup("armv7-unknown-linux-gnueabihf", "arm-linux-gnueabihf", "armhf"),
    std_from_rustup("armv5te-unknown-linux-gnueabi", "arm-linux-gnueabi", "armel"),
    std_from_rustup("i686-unknown-linux-gnu", "i686-linux-gnu", "i386"),
    std_from_rustup("loongarch64-unknown-linux-gnu", "loongarch64-linux-gnu", "loong64"),
    std_from_source("mips-unknown-linux-gnu", "mips-linux-gnu", "mips"),
    std_from_source("mipsel-unknown-linux-gnu", "mipsel-linux-gnu", "mipsel"),
    std_from_source("mips64-unknown-linux-gnuabi64", "mips64-linux-gnuabi64", "mips64"),
    std_from_source("mips64el-unknown-linux-gnuabi64", "mips64el-linux-gnuabi64", "mips64el"),
    std_from_source("mipsisa32r6-unknown-linux-gnu", "mipsisa32r6-linux-gnu", "mipsr6"),
    std_from_source("mipsisa32r6el-unknown-linux-gnu", "mipsisa32r6el-linux-gnu", "mipsr6el"),
    std_from_source("mipsisa64r6-unknown-linux-gnuabi64", "mipsisa64r6-linux-gnuabi64", "mips64r6"),
    std_from_source("mipsisa64r6el-unknown-linux-gnuabi64", "mipsisa64r6el-linux-gnuabi64", "mips64r6el"),
    std_from_rustup("powerpc-unknown-linux-gnu", "powerpc-linux-gnu", "powerpc"),
    std_from_rustup("powerpc64-unknown-linux-gnu", "powerpc64-linux-gnu", "ppc64"),
    std_from_rustup("powerpc64le-unknown-linux-gnu", "powerpc64le-linux-gnu", "ppc64el"),
    std_from_rustup("riscv64gc-unknown-linux-gnu", "riscv64-linux-gnu", "riscv64"),
    std_from_rustup("s390x-unknown-linux-gnu", "s390x-linux-gnu", "s390x"),
    std_from_rustup("sparc64-unknown-linux-gnu", "sparc64-linux-gnu", "sparc64"),
];

impl Toolchain {
    pub fn of(target: &str) -> Result<&'static Self, String> {
        let found = TOOLCHAINS.iter().find(|toolchain| toolchain.target == target);
        found.ok_or_else(|| format!("there is no C compiler for {target}; add it to xtask/src/machines/toolchains.rs"))
    }

    /// The compiler, and the libc, which the compiler's package only recommends.
    pub fn packages(&self) -> [String; 2] {
        [format!("gcc-{}", self.gnu), format!("libc6-dev-{}-cross", self.debian)]
    }

    /// A row of the table in docs/testing.md.
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

/// The table in docs/testing.md.
pub fn table() -> String {
    let header = ["target", "Debian's packages, beside `qemu-user`", "`linker`", "`runner`", "std"];
    report::markdown(&header, TOOLCHAINS.iter().filter_map(Toolchain::row))
}

/// Checks that Debian has these packages, that rustup has std for the targets that say so and for
/// no others, and that the table of targets has each target.
pub fn check(cache: &Cache) -> Result<usize, String> {
    let output = capture(Command::new("rustup").args(["target", "list"]))?;
    let listed = both(&output);
    for toolchain in &TOOLCHAINS {
        let target = toolchain.target;
        toolchain
            .row()
            .ok_or_else(|| format!("there is no target {target} in xtask/src/machines/targets.rs; add it there"))?;
        for package in toolchain.packages() {
            cache.has(SUITE, debian::host(), &package)?;
        }
        let is_in_rustup = listed.lines().any(|line| line.split(' ').next() == Some(target));
        if is_in_rustup != toolchain.is_in_rustup {
            let (function, verb) = if is_in_rustup { ("std_from_rustup", "has") } else { ("std_from_source", "lacks") };
            return Err(format!(
                "rustup {verb} std for {target}; use `{function}` for it in xtask/src/machines/toolchains.rs"
            ));
        }
    }
    Ok(TOOLCHAINS.len())
}
