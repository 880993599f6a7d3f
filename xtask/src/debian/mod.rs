//! Debian packages of any suite and architecture, unpacked into a cache folder: emulators, kernels,
//! cross linkers, headers.
//!
//! This installs nothing, needs no root, and neither reads nor writes the machine's own apt state.
//! apt runs with a state folder of its own. It fetches a suite's lists, checks their signature with
//! Debian's keyring, and resolves dependencies. The cache keeps the answers: a warm or an offline
//! run starts no program. apt's helper fetches each package and refuses a wrong SHA-256.
//!
//! The mirror is the one that the machine's apt uses.
//!
//! ```text
//! <cache>/suites/<suite>-<arch>/index           a line a package; its age decides when to renew
//! <cache>/suites/<suite>-<arch>/apt/            the lists that apt resolves dependencies from
//! <cache>/suites/<suite>-<arch>/closures/       a file a closure: what apt resolved it to
//! <cache>/packages/<suite>-<arch>/<name>_<version>[,<files>]/
//! <cache>/closures/<suite>-<arch>/<name>-<hash>/
//! <cache>/locks/  <cache>/tmp/                  no later run uses anything below tmp
//! ```
//!
//! Renewing an index replaces its folder, so that no closure outlives the lists it came from.

mod apt;
mod cache;
pub mod cargo_tools;
mod index;
mod packages;
mod system;
mod unpack;
mod version;
mod wrap;

pub use cache::Cache;

use std::path::PathBuf;

type Result<T> = std::result::Result<T, String>;

/// A suite of the main Debian archive, as an apt source calls it: `bookworm-backports`, `testing`.
#[derive(Clone, Copy)]
pub struct Suite(pub &'static str);

pub struct Package {
    pub name: String,
    pub version: String,
    /// What stands for `/` in the package.
    pub dir: PathBuf,
}

impl Package {
    /// The one file in it whose name starts with `start` (`vmlinu`), in whichever folder.
    pub fn find(&self, start: &str) -> Result<PathBuf> {
        let mut files = system::files(&self.dir)?;
        files.retain(|path| system::file_name(path).starts_with(start));
        match files.as_mut_slice() {
            [one] => Ok(std::mem::take(one)),
            found => Err(format!("{} has {} files named {start}*, not one", self.dir.display(), found.len())),
        }
    }
}

/// Debian's name for this machine's architecture, whose programs run here without an emulator.
pub fn host() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "i386",
        "arm" => "armhf",
        "powerpc64" => "ppc64el",
        "loongarch64" => "loong64",
        other => other,
    }
}
