//! The nightly toolchain and the standard library's source, which compile for targets that this machine is not.

use crate::shell::{capture, root, run};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The standard library's source that the project keeps for machines that rustup cannot serve.
const KEPT_SOURCE: &str = "../shared/rust-src-1.97.1.tar.xz";

/// Makes sure that `-Zbuild-std` works.
pub fn ensure_nightly_with_source() -> Result<(), String> {
    let rustup = |arguments: &[&str]| {
        capture(Command::new("rustup").args(arguments)).map_err(|why| format!("{why}; get it from https://rustup.rs"))
    };
    let ask = || rustup(&["run", "nightly", "rustc", "--print", "sysroot"]);
    let mut sysroot = ask()?;
    if !sysroot.status.success() {
        // What this and the command below say matters only if what they get is not there afterwards.
        rustup(&["toolchain", "install", "nightly", "--profile", "minimal"])?;
        sysroot = ask()?;
    }
    if !sysroot.status.success() {
        return Err("there is no nightly toolchain: `rustup toolchain install nightly` gets it".into());
    }
    let sources = PathBuf::from(String::from_utf8_lossy(&sysroot.stdout).trim()).join("lib/rustlib/src");
    let have = || sources.join("rust/library/core/Cargo.toml").exists();
    if have() {
        return Ok(());
    }
    let kept = root().join(KEPT_SOURCE);
    if kept.exists() {
        unpack(&kept, &sources)?;
    } else {
        rustup(&["component", "add", "rust-src", "--toolchain", "nightly"])?;
    }
    if have() {
        return Ok(());
    }
    Err("the standard library's source is missing: `rustup component add rust-src --toolchain nightly` gets it".into())
}

/// Unpacks beside its place and renames, so that half a source is never taken for a whole one.
fn unpack(archive: &Path, sources: &Path) -> Result<(), String> {
    let says = |error: std::io::Error| format!("cannot unpack the standard library's source: {error}");
    std::fs::create_dir_all(sources).map_err(says)?;
    let folder = tempfile::tempdir_in(sources).map_err(says)?;
    run(Command::new("tar").arg("-xJf").arg(archive).arg("-C").arg(folder.path()))?;
    let _ = std::fs::remove_dir_all(sources.join("rust"));
    std::fs::rename(folder.path().join("rust"), sources.join("rust")).map_err(says)
}
