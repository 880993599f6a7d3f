//! Checks the package that crates.io would get: its files, its links, and all that `cargo publish`
//! does except the upload. Builds its documentation as docs.rs does, for other machines too.

use crate::debian::Cache;
use crate::kit::progress::{Job, Progress};
use crate::kit::shell::{cargo, cargo_of, root, run, target_dir};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// All files of the package, except Rust files in `src` and charts in `docs/bench`.
const FILES: [&str; 51] = [
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
    "docs/bare-echo/.cargo/config.toml",
    "docs/bare-echo/build.rs",
    "docs/bare-echo/src/first.rs",
    "docs/bare-echo/src/init.rs",
    "docs/bare-echo/src/line.rs",
    "docs/bare-echo/src/linux.rs",
    "docs/bare-echo/src/main.rs",
    "docs/bare-echo/src/memory.rs",
    "docs/bare-echo/src/server.rs",
    "docs/bare-echo/src/start.rs",
    "docs/bare-echo/src/system.rs",
    "docs/epoll.md",
    "docs/kernels.md",
    "docs/layers.svg",
    "docs/machine-code.md",
    "docs/migrating.md",
    "docs/no-libc.md",
    "docs/peers.md",
    "docs/performance.md",
    "docs/porting.md",
    "docs/proof.md",
    "docs/runtime.md",
    "docs/testing.md",
    "examples/echo.rs",
    "examples/executor/main.rs",
    "examples/executor/net.rs",
    "examples/executor/program.rs",
    "examples/executor/reactor.rs",
    "examples/executor/slab.rs",
    "examples/executor/tasks.rs",
    "examples/executor/timers.rs",
    "examples/http/hello.rs",
    "examples/stdin.rs",
    "examples/wakeup.rs",
    "examples/workers.rs",
];

/// The package's folders in which documents may name files without a path.
const FOLDERS: [&str; 6] = ["", "src/", "src/arch/", "docs/", "docs/bare-cat/", "docs/bare-echo/"];
/// A document says this after the name of a file that the package lacks.
const IN_REPOSITORY: &str = " of the repository";
/// A document that names many such files says this once.
const ALL_IN_REPOSITORY: &str = "The files named here are in the repository.";

/// The programs that docs/no-libc.md copies, a command in a shell, and what it prints. In the
/// repository, their files are links.
const TEMPLATES: [(&str, &str, &str); 2] = [
    ("docs/bare-cat", r#"echo as it is | "$0""#, "as it is\n"),
    (
        "docs/bare-echo",
        r#""$0" nowhere 2>&1 || true"#,
        "bare-echo: the argument is no IPv4 address with a port up to 65535; \
         usage: bare-echo [ADDRESS:PORT], such as bare-echo 127.0.0.1:7777.\n",
    ),
];

/// A target whose documentation needs a nightly feature. docs.rs has no std for it.
const NIGHTLY_TARGET: &str = "mipsel-unknown-linux-gnu";

/// How many checks passed: the list of files, the links, the names of other files, the two builds,
/// the templates, and the documentation for each target.
pub fn run_checks(progress: &Progress, cache: &Cache) -> Result<usize, String> {
    let answer = progress.checks("package", |job| check_all(job, cache));
    answer.map_err(|why| format!("package: {why}"))
}

fn check_all(job: &Job, cache: &Cache) -> Result<usize, String> {
    // The working tree may be dirty, because this check runs before a commit.
    let cargo = |arguments: &[&str]| run(cargo().args(arguments).args(["--package", "barepoll", "--allow-dirty"]));
    job.at("checking its files");
    let listed = cargo(&["package", "--list"])?;
    let files: BTreeSet<&str> = listed.lines().map(str::trim).collect();
    check_files(&files)?;
    check_links(&files)?;
    check_names(&files)?;
    job.at("publishing without the upload");
    for features in ["", "std"] {
        cargo(&["publish", "--dry-run", "--quiet", "--locked", "--features", features])?;
    }
    // `publish` keeps no archive.
    cargo(&["package", "--no-verify", "--quiet", "--locked"])?;
    let manifest = fs::read_to_string(root().join("Cargo.toml"));
    let manifest = manifest.map_err(|error| format!("cannot read Cargo.toml: {error}"))?;
    let version = manifest.lines().find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
    let version = version.ok_or("Cargo.toml has no version")?;
    let folder = tempfile::tempdir().map_err(|error| format!("cannot create a temporary folder: {error}"))?;
    let archive = target_dir().join("package").join(format!("barepoll-{version}.crate"));
    run(Command::new("tar").arg("-xzf").arg(archive).args(["--strip-components=1", "-C"]).arg(folder.path()))?;
    for (template, command, expected) in TEMPLATES {
        job.at(&format!("building {template} as docs/no-libc.md says"));
        build_template(folder.path(), template, command, expected)?;
    }
    job.at("building its documentation");
    run(documentation(cache, folder.path()).arg("--all-features"))?;
    // Other targets without std, because std from source takes minutes for each. Without std, the
    // types of descriptors are the crate's own.
    let list = manifest.split_once("\ntargets = [").and_then(|(_, rest)| Some(rest.split_once(']')?.0));
    let list = list.ok_or("Cargo.toml names no targets for docs.rs")?;
    let targets: Vec<&str> = list.split('"').skip(1).step_by(2).chain([NIGHTLY_TARGET]).collect();
    for target in &targets {
        job.at(&format!("building its documentation for {target}"));
        run(documentation(cache, folder.path()).args(["-Zbuild-std=core", "--target", target]))?;
    }
    Ok(6 + TEMPLATES.len() + targets.len())
}

fn check_files(files: &BTreeSet<&str>) -> Result<(), String> {
    let is_expected = |file: &str| {
        file.starts_with("src/") && file.ends_with(".rs") || file.starts_with("docs/bench/") && file.ends_with(".svg")
    };
    let files: BTreeSet<&str> = files.iter().copied().filter(|file| !is_expected(file)).collect();
    let expected = BTreeSet::from(FILES);
    // Cargo's warnings are in the list too, and count as a difference.
    let list = |files: Vec<&&str>| files.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let (more, fewer) = (list(files.difference(&expected).collect()), list(expected.difference(&files).collect()));
    if more.is_empty() && fewer.is_empty() {
        return Ok(());
    }
    Err(format!("the package has unexpected files ({more}) or lacks files ({fewer}); fix `include` or FILES"))
}

/// Checks that the package has every file that a document links to.
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

/// Checks that each file that a document names between backticks is in the package, or that the
/// document says it is in the repository.
fn check_names(files: &BTreeSet<&str>) -> Result<(), String> {
    let folders = FOLDERS.iter().chain(&["tests/", "test-crates/", "xtask/src/"]).map(|folder| root().join(folder));
    let folders: Vec<PathBuf> = folders.collect();
    let is_in = |name: &str| files.iter().any(|file| *file == name || file.starts_with(&*format!("{name}/")));
    for document in files.iter().filter(|file| file.ends_with(".md")) {
        let text =
            fs::read_to_string(root().join(document)).map_err(|error| format!("cannot read {document}: {error}"))?;
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.contains(ALL_IN_REPOSITORY) {
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
                && !next.starts_with(IN_REPOSITORY)
            {
                return Err(format!(
                    "{document} names `{name}`, which is not in the package; write `{name}`{IN_REPOSITORY}"
                ));
            }
        }
    }
    Ok(())
}

/// Follows docs/no-libc.md: builds and runs a program from the package and the guide's
/// `Cargo.toml`.
fn build_template(package: &Path, template: &str, command: &str, expected: &str) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot copy {template}: {error}");
    let folder = tempfile::tempdir().map_err(failed)?;
    let copy = folder.path().join("my-program");
    run(Command::new("cp").arg("-rL").arg(package.join(template)).arg(&copy))?;
    let guide = fs::read_to_string(package.join("docs/no-libc.md")).map_err(failed)?;
    let manifest = guide.split_once("```toml\n").and_then(|(_, rest)| Some(rest.split_once("```")?.0));
    let manifest = manifest.ok_or("cannot find a Cargo.toml in docs/no-libc.md")?;
    // The package itself as a dependency, because the registry does not have this version yet.
    let path = format!("barepoll = {{ path = {:?} }}", package.display().to_string());
    let lines = manifest.lines().map(|line| if line.starts_with("barepoll = ") { &path } else { line });
    fs::write(copy.join("Cargo.toml"), lines.collect::<Vec<_>>().join("\n")).map_err(failed)?;
    let (mut cargo, target) = (cargo(), folder.path().join("target"));
    cargo.current_dir(&copy).env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    run(cargo.args(["build", "--quiet", "--release", "--offline", "--target-dir"]).arg(&target))?;
    let printed = run(Command::new("sh").args(["-c", command]).arg(target.join("release/my-program")))?;
    if printed == expected {
        return Ok(());
    }
    Err(format!("the copy of {template} printed {printed:?}, expected {expected:?}"))
}

/// docs.rs's command for a package: nightly, and `--cfg docsrs`. Here a warning is an error.
fn documentation(cache: &Cache, package: &Path) -> Command {
    let mut cargo = cargo_of("nightly");
    cargo.env_remove("CARGO_ENCODED_RUSTDOCFLAGS").env("RUSTDOCFLAGS", "--cfg docsrs -Dwarnings");
    cargo.args(["doc", "--quiet", "--locked", "--no-deps", "--target-dir"]).arg(cache.root().join("target-docs"));
    cargo.current_dir(package);
    cargo
}
