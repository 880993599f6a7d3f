//! Compiles the published crate with its minimum Rust version.

use crate::kit::copy::copy_published_crate;
use crate::kit::progress::Progress;
use crate::kit::shell::{cargo, run};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The version of Debian 12's compiler.
const VERSION: &str = "1.63";
const VENDOR_CONFIG: &str =
    "[source.crates-io]\nreplace-with = \"vendored-sources\"\n[source.vendored-sources]\ndirectory = \"vendor\"\n";
const BIN: &str = "/usr/bin";

/// Features and flags.
const BUILDS: [(&str, &str); 4] =
    [("", ""), ("std", ""), ("", "--cfg=barepoll_internals"), ("", "--cfg=barepoll_libc")];

pub fn run_checks(progress: &Progress) -> Result<usize, String> {
    let job = progress.job(format!("rustc {VERSION}"));
    job.at("building");
    let answer = check();
    job.done(if answer.is_ok() { "compiles without a warning" } else { "FAILED" });
    answer.map(|()| BUILDS.len())
}

fn check() -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| format!("cannot create a temporary folder: {error}"))?;
    copy_published_crate(folder.path()).map_err(|error| format!("cannot copy the crate: {error}"))?;
    // The old cargo does not support the registry's protocol. So the new one downloads the
    // dependencies into a folder.
    run(cargo().args(["vendor", "--quiet", "vendor"]).current_dir(folder.path()))?;
    let config = folder.path().join(".cargo");
    let written = fs::create_dir_all(&config).and_then(|()| fs::write(config.join("config.toml"), VENDOR_CONFIG));
    written.map_err(|error| format!("cannot write cargo's configuration: {error}"))?;
    for (features, flags) in BUILDS {
        let mut old = Command::new(Path::new(BIN).join("cargo"));
        old.args(["check", "--offline", "--locked", "--features", features]).current_dir(folder.path());
        for (variable, _) in std::env::vars().filter(|(name, _)| name.starts_with("CARGO") || name.starts_with("RUST"))
        {
            old.env_remove(variable);
        }
        // Cargo caps lints in dependencies from a registry, but not in this crate.
        run(old.env("RUSTFLAGS", format!("-Dwarnings {flags}")).env("RUSTC", Path::new(BIN).join("rustc")))?;
    }
    Ok(())
}
