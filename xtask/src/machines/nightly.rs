//! The nightly toolchain and the standard library's source, which compile for targets that this machine is not.

use crate::debian::{self, Cache, Suite};
use crate::kit::shell::{capture, run, run_within};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Names an archive of the standard library's source (`rust/library/...` in it), for machines without a network.
const ARCHIVE: &str = "BAREPOLL_RUST_SRC";
/// How long rustup may try: without a network it may wait for ever.
const LIMIT: Duration = Duration::from_secs(180);

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
    if let Some(archive) = std::env::var_os(ARCHIVE) {
        in_its_place(&sources, |folder| {
            run(Command::new("tar").arg("-xJf").arg(archive).arg("-C").arg(folder)).map(drop)
        })?;
        return if have() { Ok(()) } else { Err(format!("{ARCHIVE} names an archive without rust/library")) };
    }
    run_within(Command::new("rustup").args(["component", "add", "rust-src", "--toolchain", "nightly"]), LIMIT)?;
    if have() {
        return Ok(());
    }
    let why = match of_debian(&sources) {
        Ok(()) if have() => return Ok(()),
        answer => answer.err().unwrap_or_default(),
    };
    Err(format!(
        "the standard library's source is missing: `rustup component add rust-src --toolchain nightly` gets it ({why})"
    ))
}

/// Debian's package of the source, where it is of the compiler's version.
fn of_debian(sources: &Path) -> Result<(), String> {
    let version = run(Command::new("rustup").args(["run", "nightly", "rustc", "--version"]))?;
    // `rustc 1.97.0-nightly (...)`: 1.97
    let version =
        version.split_whitespace().nth(1).and_then(|version| version.rsplit_once('.')).map(|(start, _)| start);
    let version = version.ok_or("the nightly compiler does not say its version")?;
    let package = Cache::open()?.files(Suite("testing"), debian::host(), "rust-src", "./usr/src/*/library/*")?;
    if !package.version.starts_with(&format!("{version}.")) {
        return Err(format!("Debian's is of {}, and the compiler of {version}", package.version));
    }
    let entries = fs::read_dir(package.dir.join("usr/src")).map_err(|error| format!("cannot read it: {error}"))?;
    let top = entries.flatten().next().ok_or("Debian's package of it is empty")?.path();
    in_its_place(sources, |folder| {
        let rust = folder.join("rust");
        fs::create_dir(&rust).map_err(|error| format!("cannot make {}: {error}", rust.display()))?;
        // Cargo gets the crates that the library needs from the registry.
        run(Command::new("cp").arg("-r").arg(top.join("library")).arg(&rust))?;
        fs::remove_dir_all(rust.join("library/vendor")).or(Ok(()))
    })
}

/// Fills a folder beside its place and renames it, so that half a source is never taken for a whole one.
fn in_its_place(sources: &Path, fill: impl FnOnce(&Path) -> Result<(), String>) -> Result<(), String> {
    let says = |error: std::io::Error| format!("cannot unpack the standard library's source: {error}");
    fs::create_dir_all(sources).map_err(says)?;
    let folder = tempfile::tempdir_in(sources).map_err(says)?;
    fill(folder.path())?;
    let _ = fs::remove_dir_all(sources.join("rust"));
    fs::rename(folder.path().join("rust"), sources.join("rust")).map_err(says)
}
