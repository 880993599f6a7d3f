//! The programs of the machine that steps need.

use super::shell::{capture, ensure};
use std::process::Command;

/// A program: how to see whether it works, and what installs it.
pub struct Tool {
    pub name: &'static str,
    /// It works if this ends well.
    call: &'static [&'static str],
    /// Debian's packages, which root can have installed; of none, somebody else installs it.
    packages: &'static [&'static str],
    /// The command that installs it, for who reads it.
    pub installed_by: &'static str,
}

const fn of_debian(
    name: &'static str,
    call: &'static [&'static str],
    packages: &'static [&'static str],
    installed_by: &'static str,
) -> Tool {
    Tool { name, call, packages, installed_by }
}

pub static RUSTUP: Tool = of_debian("rustup", &["rustup", "--version"], &[], "curl -sSf https://sh.rustup.rs | sh");
/// `machines::nightly` installs it, and the standard library's source with it.
pub static NIGHTLY: Tool = of_debian(
    "nightly Rust",
    &["rustup", "run", "nightly", "rustc", "--version"],
    &[],
    "rustup toolchain install nightly --component rust-src",
);
pub static CC: Tool = of_debian("cc", &["cc", "--version"], &["gcc", "libc6-dev"], "apt-get install gcc libc6-dev");
pub static CXX: Tool = of_debian("c++", &["c++", "--version"], &["g++"], "apt-get install g++");
pub static DPKG: Tool = of_debian("dpkg-deb", &["dpkg-deb", "--version"], &["dpkg"], "apt-get install dpkg");
pub static APT: Tool =
    of_debian("apt", &["apt-get", "--version"], &[], "docker run -it -v .:/barepoll -w /barepoll debian:12");
pub static TAR: Tool = of_debian("tar", &["tar", "--version"], &["tar", "xz-utils"], "apt-get install tar xz-utils");
pub static SCRIPT: Tool = of_debian("script", &["script", "--version"], &["bsdutils"], "apt-get install bsdutils");
pub static READELF: Tool = of_debian("readelf", &["readelf", "--version"], &["binutils"], "apt-get install binutils");
pub static VALGRIND: Tool =
    of_debian("valgrind", &["valgrind", "--version"], &["valgrind"], "apt-get install valgrind");
pub static STRACE: Tool = of_debian("strace", &["strace", "--version"], &["strace"], "apt-get install strace");
pub static OLDEST_RUSTC: Tool = of_debian(
    "rustc 1.63",
    &["sh", "-c", "/usr/bin/rustc --version | grep 1.63"],
    &["rustc", "cargo"],
    "apt-get install rustc cargo",
);

impl Tool {
    /// The first line that it prints; `None` where it does not work.
    pub fn version(&self) -> Option<String> {
        let [program, arguments @ ..] = self.call else { return None };
        let output = capture(Command::new(program).args(arguments)).ok().filter(|output| output.status.success())?;
        let text = super::shell::both(&output);
        Some(text.lines().find(|line| !line.trim().is_empty()).unwrap_or("works").trim().to_string())
    }

    /// Makes sure of it: root has Debian install what is missing, and anybody else reads what installs it.
    pub fn ensure(&self) -> Result<(), String> {
        ensure(|| self.version().is_some(), self.packages, self.name, self.installed_by)
    }
}
