//! The nightly toolchain and the standard library's source, to compile for other targets.

use crate::debian::{self, Cache, Suite};
use crate::kit::shell::{both, capture, command_line, run, run_within};
use serde_json::Value;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The variable with the path of an archive of the standard library's source (`rust/library/...`),
/// for machines without a network.
const ARCHIVE_VARIABLE: &str = "BAREPOLL_RUST_SRC";
/// The time limits for rustup, which may wait for ever without a network.
const TOOLCHAIN_LIMIT: Duration = Duration::from_secs(900);
const SOURCE_LIMIT: Duration = Duration::from_secs(180);

/// Ensures that `-Zbuild-std` works.
pub fn ensure_nightly_with_source() -> Result<(), String> {
    let find_sysroot = || {
        let mut rustup = Command::new("rustup");
        let answer = capture(rustup.args(["run", "nightly", "rustc", "--print", "sysroot"]));
        answer.map_err(|why| format!("{why}; get it from https://rustup.rs"))
    };
    let mut sysroot = find_sysroot()?;
    if !sysroot.status.success() {
        let mut rustup = Command::new("rustup");
        install(rustup.args(["toolchain", "install", "nightly", "--profile", "minimal"]), TOOLCHAIN_LIMIT)?;
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
    let mut rustup = Command::new("rustup");
    let by_rustup = install(rustup.args(["component", "add", "rust-src", "--toolchain", "nightly"]), SOURCE_LIMIT);
    if is_installed() {
        return Ok(());
    }
    let by_debian = install_from_debian(&sources);
    if is_installed() {
        return Ok(());
    }
    let why = [by_rustup, by_debian].into_iter().filter_map(Result::err).collect::<Vec<_>>().join("\n");
    Err(format!(
        "cannot find the standard library's source; {ARCHIVE_VARIABLE} may name an archive of it, without a network:\n\
         {why}"
    ))
}

/// Runs a command of rustup's that downloads.
fn install(rustup: &mut Command, limit: Duration) -> Result<(), String> {
    let output = run_within(rustup, limit)?;
    // `run_within` adds this line if the command fails.
    let Some(end) = output.lines().last().filter(|line| line.starts_with("[the program ")) else { return Ok(()) };
    let error = output.lines().find_map(|line| line.strip_prefix("error: ")).unwrap_or(end.trim_matches(['[', ']']));
    Err(format!("`{}` failed: {error}; check the network, and run it again", command_line(rustup)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::tool::{Tool, NIGHTLY};
    use crate::step::{self, Step};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn an_install_ends() {
        let shell = |script, limit| install(Command::new("sh").args(["-c", script]), Duration::from_secs(limit));
        assert_eq!(shell("echo error: none", 300), Ok(()));
        let hangs =
            "`sh -c exec sleep 600` failed: the program was killed after 1 s; check the network, and run it again";
        assert_eq!(shell("exec sleep 600", 1), Err(hangs.into()));
        let fails = "`sh -c exit 3` failed: the program failed: exit status: 3; check the network, and run it again";
        assert_eq!(shell("exit 3", 300), Err(fails.into()));
    }

    #[test]
    fn a_step_installs_the_nightly_toolchain_that_it_needs() {
        const INNER: &str = "BAREPOLL_TEST_NIGHTLY";
        if std::env::var_os(INNER).is_none() {
            let folder = tempfile::tempdir().expect("a folder");
            let rustup = folder.path().join("rustup");
            let script =
                "#!/bin/sh\n[ $1 = run ] || echo 'info: syncing\nerror: could not download it\n\nCaused by'\nexit 1\n";
            fs::write(&rustup, script).expect("a file");
            fs::set_permissions(&rustup, fs::Permissions::from_mode(0o755)).expect("a mode");
            let mut inner = Command::new(std::env::current_exe().expect("a path"));
            inner.args(["--exact", "machines::nightly::tests::a_step_installs_the_nightly_toolchain_that_it_needs"]);
            let output = run(inner.env(INNER, "").env("PATH", folder.path())).expect("it passes");
            assert!(output.contains("1 passed"), "{output}");
            return;
        }
        const NEEDS: &[&Tool] = &[&NIGHTLY];
        let step = Step { name: "", about: "", command: step::Command::None, test: None, evidence: &[], needs: NEEDS };
        let why = "`rustup toolchain install nightly --profile minimal` failed: could not download it; \
                   check the network, and run it again";
        assert_eq!(step.prepare(), Err(why.into()));
    }
}
