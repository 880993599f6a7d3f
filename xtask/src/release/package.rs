//! The package as crates.io would get it, with no file too many or too few and no link that leads out of it, by all that `cargo publish`
//! does but the upload; and its documentation as docs.rs would build it, for machines that this one is not too.

use crate::debian::Cache;
use crate::kit::progress::Progress;
use crate::kit::shell::{cargo, cargo_of, root, run, target};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// All of the package but what the crate is compiled of, which is every file of Rust in `src`, and the charts in `docs/bench`.
const FILES: [&str; 32] = [
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
    "docs/bare-cat/.cargo/config.toml",
    "docs/bare-cat/build.rs",
    "docs/bare-cat/src/main.rs",
    "docs/bare-cat/src/memory.rs",
    "docs/bare-cat/src/start.rs",
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

/// Where a document's short names are looked for.
const FOLDERS: [&str; 5] = ["", "src/", "src/arch/", "docs/", "docs/bare-cat/"];
/// What follows the name of a file that the package lacks, and what a document says that names many.
const ITS_PLACE: &str = " of the repository";
const THEIR_PLACE: &str = "The files named here are in the repository.";

/// Where the guide to programs without libc begins, in the package; the repository has it here as links.
const BEGINNING: &str = "docs/bare-cat";

/// A machine whose documentation needs a feature of nightly Rust. docs.rs has no std for it.
const UNSTABLE: &str = "mipsel-unknown-linux-gnu";

/// How many checks passed: the list of files, the links between them, the names of others, the builds of the package, the program that
/// the guide begins with, and the builds of the package's documentation.
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
    check_names(&files)?;
    at("publishing it, but for the upload");
    for features in ["", "std"] {
        cargo(&["publish", "--dry-run", "--quiet", "--locked", "--features", features])?;
    }
    // `publish` keeps no archive.
    cargo(&["package", "--no-verify", "--quiet", "--locked"])?;
    let manifest = fs::read_to_string(root().join("Cargo.toml"));
    let manifest = manifest.map_err(|error| format!("cannot read Cargo.toml: {error}"))?;
    let version = manifest.lines().find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
    let version = version.ok_or("Cargo.toml has no version")?;
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let archive = target().join("package").join(format!("barepoll-{version}.crate"));
    run(Command::new("tar").arg("-xzf").arg(archive).args(["--strip-components=1", "-C"]).arg(folder.path()))?;
    at("the program that the guide without libc begins with");
    begin(folder.path())?;
    at("its documentation");
    run(documentation(cache, folder.path()).arg("--all-features"))?;
    // For the others without std, whose source takes minutes a machine: a descriptor's types are then the crate's own.
    let list = manifest.split_once("\ntargets = [").and_then(|(_, rest)| Some(rest.split_once(']')?.0));
    let list = list.ok_or("Cargo.toml names no targets for docs.rs")?;
    let targets: Vec<&str> = list.split('"').skip(1).step_by(2).chain([UNSTABLE]).collect();
    for target in &targets {
        at(&format!("its documentation for {target}"));
        run(documentation(cache, folder.path()).args(["-Zbuild-std=core", "--target", target]))?;
    }
    Ok(7 + targets.len())
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

/// What a document names between backticks is in the package too, or said to be the repository's.
fn check_names(files: &BTreeSet<&str>) -> Result<(), String> {
    let folders = FOLDERS.iter().chain(&["tests/", "test-crates/", "xtask/src/"]).map(|folder| root().join(folder));
    let folders: Vec<PathBuf> = folders.collect();
    let is_in = |name: &str| files.iter().any(|file| *file == name || file.starts_with(&*format!("{name}/")));
    for document in files.iter().filter(|file| file.ends_with(".md")) {
        let text =
            fs::read_to_string(root().join(document)).map_err(|error| format!("cannot read {document}: {error}"))?;
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.contains(THEIR_PLACE) {
            continue;
        }
        // Every second piece is between backticks.
        let pieces: Vec<&str> = text.split('`').collect();
        for (piece, next) in pieces.iter().zip(&pieces[1..]).skip(1).step_by(2) {
            let name = piece.trim_end_matches('/');
            let is_path = !name.starts_with('/') && name.contains(['/', '.']) && !name.contains([' ', '*', '<']);
            let is_there = |folder: &PathBuf| folder.join(name).exists();
            if is_path
                && folders.iter().any(is_there)
                && !FOLDERS.iter().any(|folder| is_in(&format!("{folder}{name}")))
                && !next.starts_with(ITS_PLACE)
            {
                return Err(format!("{document} names `{name}`, which is not in the package: say `{name}`{ITS_PLACE}"));
            }
        }
    }
    Ok(())
}

/// What the guide says, with nothing but the package and the guide's own `Cargo.toml`.
fn begin(package: &Path) -> Result<(), String> {
    let says = |error: std::io::Error| format!("cannot copy {BEGINNING}: {error}");
    let folder = tempfile::tempdir().map_err(says)?;
    let copy = folder.path().join("my-program");
    run(Command::new("cp").arg("-rL").arg(package.join(BEGINNING)).arg(&copy))?;
    let guide = fs::read_to_string(package.join("docs/no-libc.md")).map_err(says)?;
    let manifest = guide.split_once("```toml\n").and_then(|(_, rest)| Some(rest.split_once("```")?.0));
    let manifest = manifest.ok_or("docs/no-libc.md has no Cargo.toml any more")?;
    // The crate from where this one is, as it is not in the registry yet.
    let path = format!("barepoll = {{ path = {:?} }}", package.display().to_string());
    let lines = manifest.lines().map(|line| if line.starts_with("barepoll = ") { &path } else { line });
    fs::write(copy.join("Cargo.toml"), lines.collect::<Vec<_>>().join("\n")).map_err(says)?;
    let (mut cargo, target) = (cargo(), folder.path().join("target"));
    cargo.current_dir(&copy).env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    run(cargo.args(["build", "--quiet", "--release", "--offline", "--target-dir"]).arg(&target))?;
    let printed =
        run(Command::new("sh").args(["-c", "echo as it is | \"$0\""]).arg(target.join("release/my-program")))?;
    match printed == "as it is\n" {
        true => Ok(()),
        false => Err(format!("the copy of {BEGINNING} printed {printed:?}")),
    }
}

/// docs.rs's command, in a package, where a warning is an error: nightly, and this cfg.
fn documentation(cache: &Cache, package: &Path) -> Command {
    let mut cargo = cargo_of("nightly");
    cargo.env_remove("CARGO_ENCODED_RUSTDOCFLAGS").env("RUSTDOCFLAGS", "--cfg docsrs -Dwarnings");
    cargo.args(["doc", "--quiet", "--locked", "--no-deps", "--target-dir"]).arg(cache.root().join("target-docs"));
    cargo.current_dir(package);
    cargo
}
