//! The nightly toolchain and the standard library's source, to compile for other targets.

use crate::debian::{self, Cache, Suite};
use crate::kit::shell::{both, capture, run, run_within};
use serde_json::Value;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The variable with the path of an archive of the standard library's source (`rust/library/...`),
/// for machines without a network.
const ARCHIVE_VARIABLE: &str = "BAREPOLL_RUST_SRC";
/// The time limit for rustup, which may wait for ever without a network.
const LIMIT: Duration = Duration::from_secs(180);

/// Ensures that `-Zbuild-std` works.
pub fn ensure_nightly_with_source() -> Result<(), String> {
    let rustup = |arguments: &[&str]| {
        capture(Command::new("rustup").args(arguments)).map_err(|why| format!("{why}; get it from https://rustup.rs"))
    };
    let find_sysroot = || rustup(&["run", "nightly", "rustc", "--print", "sysroot"]);
    let mut sysroot = find_sysroot()?;
    if !sysroot.status.success() {
        // The next check reports a failure of this command, and of `component add` below.
        rustup(&["toolchain", "install", "nightly", "--profile", "minimal"])?;
        sysroot = find_sysroot()?;
    }
    if !sysroot.status.success() {
        return Err("cannot find a nightly toolchain; run `rustup toolchain install nightly`".into());
    }
    let sources = PathBuf::from(String::from_utf8_lossy(&sysroot.stdout).trim()).join("lib/rustlib/src");
    let is_installed = || sources.join("rust/library/core/Cargo.toml").exists();
    if is_installed() {
        return Ok(());
    }
    if let Some(archive) = std::env::var_os(ARCHIVE_VARIABLE) {
        replace_source(&sources, |folder| {
            run(Command::new("tar").arg("-xJf").arg(archive).arg("-C").arg(folder)).map(drop)
        })?;
        let missing = || format!("the archive that {ARCHIVE_VARIABLE} names has no rust/library");
        return is_installed().then_some(()).ok_or_else(missing);
    }
    run_within(Command::new("rustup").args(["component", "add", "rust-src", "--toolchain", "nightly"]), LIMIT)?;
    if is_installed() {
        return Ok(());
    }
    let why = match install_from_debian(&sources) {
        Ok(()) if is_installed() => return Ok(()),
        answer => answer.err().unwrap_or_default(),
    };
    Err(format!(
        "cannot find the standard library's source ({why}); run `rustup component add rust-src --toolchain nightly`"
    ))
}

/// rustc's specification of every target, by the target's name. The format is unstable.
pub fn target_specs() -> Result<HashMap<String, Value>, String> {
    let arguments = ["run", "nightly", "rustc", "-Zunstable-options", "--print", "all-target-specs-json"];
    let output = capture(Command::new("rustup").args(arguments))?;
    serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("cannot parse rustc's target specifications ({error}):\n{}", both(&output)))
}

/// Installs the source from Debian's package, if that has the compiler's version.
fn install_from_debian(sources: &Path) -> Result<(), String> {
    let version = run(Command::new("rustup").args(["run", "nightly", "rustc", "--version"]))?;
    // `rustc 1.97.0-nightly (...)`: 1.97
    let version =
        version.split_whitespace().nth(1).and_then(|version| version.rsplit_once('.')).map(|(start, _)| start);
    let version = version.ok_or("the nightly compiler prints no version")?;
    let package = Cache::open()?.files(Suite("testing"), debian::host(), "rust-src", "./usr/src/*/library/*")?;
    if !package.version.starts_with(&format!("{version}.")) {
        return Err(format!("Debian's rust-src is version {}, the compiler {version}", package.version));
    }
    let source = package.dir.join("usr/src");
    let entries = fs::read_dir(&source).map_err(|error| format!("cannot read {}: {error}", source.display()))?;
    let top = entries.flatten().next().ok_or("Debian's rust-src is empty")?.path();
    replace_source(sources, |folder| {
        let rust = folder.join("rust");
        fs::create_dir(&rust).map_err(|error| format!("cannot create {}: {error}", rust.display()))?;
        // Cargo gets the library's dependencies from the registry.
        run(Command::new("cp").arg("-r").arg(top.join("library")).arg(&rust))?;
        fs::remove_dir_all(rust.join("library/vendor")).or(Ok(()))
    })
}

/// Fills a temporary folder and renames it to `sources/rust`, so that an interrupted copy leaves no
/// partial source.
fn replace_source(sources: &Path, fill: impl FnOnce(&Path) -> Result<(), String>) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot unpack the standard library's source: {error}");
    fs::create_dir_all(sources).map_err(failed)?;
    let folder = tempfile::tempdir_in(sources).map_err(failed)?;
    fill(folder.path())?;
    let _ = fs::remove_dir_all(sources.join("rust"));
    fs::rename(folder.path().join("rust"), sources.join("rust")).map_err(failed)
}
