//! The programs that steps need on this machine.

use super::shell::{capture, ensure};
use std::path::Path;
use std::process::Command;

/// A program that a step needs.
pub struct Tool {
    pub name: &'static str,
    /// The tool works if this command succeeds.
    call: &'static [&'static str],
    /// The Debian packages to install as root. If empty, xtask does not install the tool.
    packages: &'static [&'static str],
    /// The command that installs it, for error messages and `doctor`.
    pub installed_by: &'static str,
}

const fn tool(
    name: &'static str,
    call: &'static [&'static str],
    packages: &'static [&'static str],
    installed_by: &'static str,
) -> Tool {
    Tool { name, call, packages, installed_by }
}

pub static RUSTUP: Tool = tool("rustup", &["rustup", "--version"], &[], "curl -sSf https://sh.rustup.rs | sh");
/// `machines::nightly` installs it, with the standard library's source.
pub static NIGHTLY: Tool = tool(
    "nightly Rust",
    &["rustup", "run", "nightly", "rustc", "--version"],
    &[],
    "rustup toolchain install nightly --component rust-src",
);
pub static CC: Tool = tool("cc", &["cc", "--version"], &["gcc", "libc6-dev"], "apt-get install gcc libc6-dev");
pub static CXX: Tool = tool("c++", &["c++", "--version"], &["g++"], "apt-get install g++");
pub static DPKG: Tool = tool("dpkg-deb", &["dpkg-deb", "--version"], &["dpkg"], "apt-get install dpkg");
pub static APT: Tool =
    tool("apt", &["apt-get", "--version"], &[], "docker run -it -v .:/barepoll -w /barepoll debian:12");
pub static TAR: Tool = tool("tar", &["tar", "--version"], &["tar", "xz-utils"], "apt-get install tar xz-utils");
pub static BASH: Tool = tool("bash", &["bash", "--version"], &["bash"], "apt-get install bash");
pub static GIT: Tool = tool("git", &["git", "--version"], &["git"], "apt-get install git");
pub static SCRIPT: Tool = tool("script", &["script", "--version"], &["bsdutils"], "apt-get install bsdutils");
pub static READELF: Tool = tool("readelf", &["readelf", "--version"], &["binutils"], "apt-get install binutils");
pub static MAKE: Tool = tool("make", &["make", "--version"], &["make"], "apt-get install make");
pub static FLEX: Tool = tool("flex", &["flex", "--version"], &["flex"], "apt-get install flex");
pub static BISON: Tool = tool("bison", &["bison", "--version"], &["bison"], "apt-get install bison");
pub static BC: Tool = tool("bc", &["bc", "--version"], &["bc"], "apt-get install bc");
pub static UNSHARE: Tool = tool("unshare", &["unshare", "--version"], &["util-linux"], "apt-get install util-linux");
pub static VALGRIND: Tool = tool("valgrind", &["valgrind", "--version"], &["valgrind"], "apt-get install valgrind");
pub static STRACE: Tool = tool("strace", &["strace", "--version"], &["strace"], "apt-get install strace");
pub static GDB: Tool = tool("gdb", &["gdb", "--version"], &["gdb"], "apt-get install gdb");
pub static OLDEST_RUSTC: Tool = tool(
    "rustc 1.63",
    &["sh", "-c", "/usr/bin/rustc --version | grep 1.63"],
    &["rustc", "cargo"],
    "apt-get install rustc cargo",
);

impl Tool {
    /// The first line that it prints, or `None` if it does not work.
    pub fn version(&self) -> Option<String> {
        let [program, arguments @ ..] = self.call else { return None };
        let output = capture(Command::new(program).args(arguments)).ok().filter(|output| output.status.success())?;
        let text = super::shell::both(&output);
        Some(text.lines().find(|line| !line.trim().is_empty()).unwrap_or("works").trim().to_string())
    }

    /// Ensures that the tool works. As root, installs its Debian packages if it does not.
    pub fn ensure(&self) -> Result<(), String> {
        ensure(|| self.version().is_some(), self.packages, self.name, self.installed_by)
    }
}

/// The command that runs this program as the first process of a container. It needs no root.
pub fn in_container(program: &Path) -> Command {
    let mut unshare = Command::new(UNSHARE.name);
    unshare.args(["--user", "--map-root-user", "--pid", "--fork", "--kill-child"]).arg(program);
    unshare
}
