//! The crate, as published, with the oldest compiler it promises.

use crate::progress::Progress;
use crate::shell::{capture, cargo, ensure, root, run};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Debian 12's own compiler.
const VERSION: &str = "1.63";
const VENDORED: &str =
    "[source.crates-io]\nreplace-with = \"vendored-sources\"\n[source.vendored-sources]\ndirectory = \"vendor\"\n";
const BIN: &str = "/usr/bin";

/// What a dependent of the crate sees of the manifest.
const SECTIONS_LEFT_OUT: &[&str] =
    &["[dev-dependencies", "[[test]]", "[[example]]", "[lints]", "[workspace", "[profile"];

/// Features and flags.
const BUILDS: [(&str, &str); 3] = [("", ""), ("std", ""), ("", "--cfg=barepoll_internals")];

pub fn run_checks(progress: &Progress) -> Result<usize, String> {
    let job = progress.job(format!("rustc {VERSION}"));
    job.at("building");
    let answer = check();
    job.done(if answer.is_ok() { "compiles without a warning" } else { "FAILED" });
    answer.map(|()| BUILDS.len())
}

pub fn run_alone() -> Result<(), String> {
    run_checks(&Progress::new()).map(drop)
}

fn check() -> Result<(), String> {
    ensure_compiler()?;
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    copy(folder.path()).map_err(|error| format!("cannot copy the crate: {error}"))?;
    // The new cargo knows the registry's protocol; what it brings, the old one reads from a folder.
    run(cargo().args(["vendor", "--quiet", "vendor"]).current_dir(folder.path()))?;
    let config = folder.path().join(".cargo");
    let written = fs::create_dir_all(&config).and_then(|()| fs::write(config.join("config.toml"), VENDORED));
    written.map_err(|error| format!("cannot write cargo's configuration: {error}"))?;
    for (features, flags) in BUILDS {
        let mut old = Command::new(Path::new(BIN).join("cargo"));
        old.args(["check", "--offline", "--locked", "--features", features]).current_dir(folder.path());
        for (variable, _) in std::env::vars().filter(|(name, _)| name.starts_with("CARGO") || name.starts_with("RUST"))
        {
            old.env_remove(variable);
        }
        // Cargo caps the lints of what comes from a registry, but not those of a crate by its path, such as this one.
        run(old.env("RUSTFLAGS", format!("-Dwarnings {flags}")).env("RUSTC", Path::new(BIN).join("rustc")))?;
    }
    Ok(())
}

fn ensure_compiler() -> Result<(), String> {
    let compiler = Path::new(BIN).join("rustc");
    let is_there = || {
        capture(Command::new(&compiler).arg("--version"))
            .is_ok_and(|o| String::from_utf8_lossy(&o.stdout).contains(VERSION))
    };
    ensure(is_there, &["rustc", "cargo"], &format!("rustc {VERSION}"))
}

/// The crate without what only its own tests use, and with the lock file that they share.
pub fn copy(to: &Path) -> std::io::Result<()> {
    let from = root();
    let manifest = fs::read_to_string(from.join("Cargo.toml"))?;
    let mut kept = String::new();
    let mut keep = true;
    for line in manifest.lines() {
        if line.starts_with('[') {
            keep = !SECTIONS_LEFT_OUT.iter().any(|section| line.starts_with(section));
        }
        if keep {
            kept += line;
            kept.push('\n');
        }
    }
    fs::write(to.join("Cargo.toml"), kept + "[workspace]\n")?;
    for file in ["Cargo.lock", "build.rs", "README.md"] {
        fs::copy(from.join(file), to.join(file))?;
    }
    copy_folder(&from.join("src"), &to.join("src"))
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
