//! The package as crates.io would get it, with no file too many or too few, built by itself; and its documentation as docs.rs would
//! build it, for machines that this one is not too.

use crate::cross;
use crate::debian::Cache;
use crate::progress::Progress;
use crate::shell::{cargo, cargo_of, root, run, target};
use crate::targets::{select, Target};
use crate::toolchain;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// All of the package but what the crate is compiled of, which is every file of Rust in `src`.
const FILES: [&str; 26] = [
    ".cargo_vcs_info.json",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "Cargo.toml.orig",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "SECURITY.md",
    "build.rs",
    "docs/epoll.md",
    "docs/layers.svg",
    "docs/machine-code.md",
    "docs/migrating.md",
    "docs/no-libc.md",
    "docs/performance.md",
    "docs/porting.md",
    "docs/proof.md",
    "docs/runtime.md",
    "docs/testing.md",
    "examples/echo.rs",
    "examples/executor.rs",
    "examples/executor/program.rs",
    "examples/stdin.rs",
    "examples/wakeup.rs",
    "examples/workers.rs",
];

/// Machines whose documentation is built without std: a descriptor's types are then the crate's own. One of them needs a feature of
/// nightly Rust.
const TARGETS: [&str; 3] = ["riscv64gc-unknown-linux-gnu", "s390x-unknown-linux-gnu", "mipsel-unknown-linux-gnu"];

/// `cargo xtask package`
pub fn run_alone() -> Result<(), String> {
    toolchain::ensure_nightly_with_source()?;
    let passed = run_checks(&Progress::new(), &cross::open_cache()?)?;
    println!("{passed} passed");
    Ok(())
}

/// How many checks passed: the list of files, the builds of the package, and those of its documentation.
pub fn run_checks(progress: &Progress, cache: &Cache) -> Result<usize, String> {
    let job = progress.job("package");
    let answer = all(cache, |what| job.at(what));
    job.done(&answer.as_ref().map_or("FAILED".into(), |passed| format!("{passed} passed")));
    answer.map_err(|why| format!("package: {why}"))
}

fn all(cache: &Cache, at: impl Fn(&str)) -> Result<usize, String> {
    // A check comes before a commit.
    let cargo = |arguments: &[&str]| run(cargo().args(arguments).args(["--package", "barepoll", "--allow-dirty"]));
    at("its files");
    check_files(&cargo(&["package", "--list"])?)?;
    at("building it by itself");
    for features in ["", "std"] {
        cargo(&["package", "--quiet", "--locked", "--features", features])?;
    }
    at("its documentation");
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let archive = target().join("package").join(format!("barepoll-{}.crate", version()?));
    run(Command::new("tar").arg("-xzf").arg(archive).args(["--strip-components=1", "-C"]).arg(folder.path()))?;
    run(documentation(cache, folder.path()).arg("--all-features"))?;
    let targets: Vec<&Target> = select(&TARGETS.map(String::from))?;
    for target in &targets {
        at(&format!("its documentation for {}", target.name));
        run(documentation(cache, folder.path()).args(["-Zbuild-std=core", "--target", target.name]))?;
    }
    Ok(4 + targets.len())
}

fn check_files(listed: &str) -> Result<(), String> {
    let is_source = |file: &&str| file.starts_with("src/") && file.ends_with(".rs");
    let files: BTreeSet<&str> = listed.lines().map(str::trim).filter(|file| !is_source(file)).collect();
    let expected = BTreeSet::from(FILES);
    // What cargo warns of is in the list too, and is a difference.
    let list = |files: Vec<&&str>| files.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let (more, fewer) = (list(files.difference(&expected).collect()), list(expected.difference(&files).collect()));
    if more.is_empty() && fewer.is_empty() {
        return Ok(());
    }
    Err(format!("it holds too much ({more}) or too little ({fewer})"))
}

/// docs.rs's command, in a package, where a warning is an error: nightly, and this cfg.
fn documentation(cache: &Cache, package: &Path) -> Command {
    let mut cargo = cargo_of("nightly");
    cargo.env_remove("CARGO_ENCODED_RUSTDOCFLAGS").env("RUSTDOCFLAGS", "--cfg docsrs -Dwarnings");
    cargo.args(["doc", "--quiet", "--locked", "--no-deps", "--target-dir"]).arg(cache.root().join("target-docs"));
    cargo.current_dir(package);
    cargo
}

fn version() -> Result<String, String> {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml"));
    let manifest = manifest.map_err(|error| format!("cannot read Cargo.toml: {error}"))?;
    let version = manifest.lines().find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
    version.map(String::from).ok_or_else(|| "Cargo.toml has no version".into())
}
