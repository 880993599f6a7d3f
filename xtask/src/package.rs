//! The package as crates.io would get it, with no file too many or too few and no link that leads out of it, by all that `cargo publish`
//! does but the upload; and its documentation as docs.rs would build it, for machines that this one is not too.

use crate::cross;
use crate::debian::Cache;
use crate::progress::Progress;
use crate::shell::{cargo, cargo_of, root, run, target};
use crate::toolchain;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// All of the package but what the crate is compiled of, which is every file of Rust in `src`, and the charts in `docs/bench`.
const FILES: [&str; 27] = [
    ".cargo_vcs_info.json",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
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

/// A machine whose documentation needs a feature of nightly Rust. docs.rs has no std for it.
const UNSTABLE: &str = "mipsel-unknown-linux-gnu";

/// `cargo xtask package`
pub fn run_alone() -> Result<(), String> {
    toolchain::ensure_nightly_with_source()?;
    let passed = run_checks(&Progress::new(), &cross::open_cache()?)?;
    println!("{passed} passed");
    Ok(())
}

/// How many checks passed: the list of files, the links between them, the builds of the package, and those of its documentation.
pub fn run_checks(progress: &Progress, cache: &Cache) -> Result<usize, String> {
    let answer = progress.checks("package", |job| all(cache, |what| job.at(what)));
    answer.map_err(|why| format!("package: {why}"))
}

fn all(cache: &Cache, at: impl Fn(&str)) -> Result<usize, String> {
    // A check comes before a commit.
    let cargo = |arguments: &[&str]| run(cargo().args(arguments).args(["--package", "barepoll", "--allow-dirty"]));
    at("its files");
    let listed = cargo(&["package", "--list"])?;
    let files: BTreeSet<&str> = listed.lines().map(str::trim).collect();
    check_files(&files)?;
    check_links(&files)?;
    at("publishing it, but for the upload");
    for features in ["", "std"] {
        cargo(&["publish", "--dry-run", "--quiet", "--locked", "--features", features])?;
    }
    at("its documentation");
    // `publish` keeps no archive.
    cargo(&["package", "--no-verify", "--quiet", "--locked"])?;
    let manifest = fs::read_to_string(root().join("Cargo.toml"));
    let manifest = manifest.map_err(|error| format!("cannot read Cargo.toml: {error}"))?;
    let version = manifest.lines().find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
    let version = version.ok_or("Cargo.toml has no version")?;
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let archive = target().join("package").join(format!("barepoll-{version}.crate"));
    run(Command::new("tar").arg("-xzf").arg(archive).args(["--strip-components=1", "-C"]).arg(folder.path()))?;
    run(documentation(cache, folder.path()).arg("--all-features"))?;
    // For the others without std, whose source takes minutes a machine: a descriptor's types are then the crate's own.
    let list = manifest.split_once("\ntargets = [").and_then(|(_, rest)| Some(rest.split_once(']')?.0));
    let list = list.ok_or("Cargo.toml names no targets for docs.rs")?;
    let targets: Vec<&str> = list.split('"').skip(1).step_by(2).chain([UNSTABLE]).collect();
    for target in &targets {
        at(&format!("its documentation for {target}"));
        run(documentation(cache, folder.path()).args(["-Zbuild-std=core", "--target", target]))?;
    }
    Ok(5 + targets.len())
}

fn check_files(files: &BTreeSet<&str>) -> Result<(), String> {
    let is_expected = |file: &str| {
        file.starts_with("src/") && file.ends_with(".rs") || file.starts_with("docs/bench/") && file.ends_with(".svg")
    };
    let files: BTreeSet<&str> = files.iter().copied().filter(|file| !is_expected(file)).collect();
    let expected = BTreeSet::from(FILES);
    // What cargo warns of is in the list too, and is a difference.
    let list = |files: Vec<&&str>| files.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let (more, fewer) = (list(files.difference(&expected).collect()), list(expected.difference(&files).collect()));
    if more.is_empty() && fewer.is_empty() {
        return Ok(());
    }
    Err(format!("it holds too much ({more}) or too little ({fewer})"))
}

/// What a document links to, beside what is elsewhere, is in the package too.
fn check_links(files: &BTreeSet<&str>) -> Result<(), String> {
    for document in files.iter().filter(|file| file.ends_with(".md")) {
        let text =
            fs::read_to_string(root().join(document)).map_err(|error| format!("cannot read {document}: {error}"))?;
        let folder = document.rfind('/').map_or("", |slash| &document[..=slash]);
        let links = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        for link in links.filter(|link| !link.is_empty() && !link.contains("://")) {
            if !files.contains(&*format!("{folder}{link}")) {
                return Err(format!("{document} links to {link}, which is not in the package"));
            }
        }
    }
    Ok(())
}

/// docs.rs's command, in a package, where a warning is an error: nightly, and this cfg.
fn documentation(cache: &Cache, package: &Path) -> Command {
    let mut cargo = cargo_of("nightly");
    cargo.env_remove("CARGO_ENCODED_RUSTDOCFLAGS").env("RUSTDOCFLAGS", "--cfg docsrs -Dwarnings");
    cargo.args(["doc", "--quiet", "--locked", "--no-deps", "--target-dir"]).arg(cache.root().join("target-docs"));
    cargo.current_dir(package);
    cargo
}
