//! `cargo xtask supply`: checks the crate's dependencies, their licenses and sources, and changes
//! of its public interface.

use crate::debian::cargo_tools::CargoTool;
use crate::debian::Cache;
use crate::kit::copy::{copy_with, Change};
use crate::kit::document::PROOF;
use crate::kit::progress::{Job, Progress};
use crate::kit::report;
use crate::kit::shell::{both, capture, cargo, root, run};
use crate::step::{Run, World};
use clap::Args;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;

#[derive(Args)]
pub struct Options {
    /// Also compare the public interface with this revision, such as `v0.1.0`, and fail if it
    /// breaks dependents
    #[arg(long, value_name = "REVISION")]
    since: Option<String>,
    /// Write the result of the comparison into docs/proof.md
    #[arg(long, requires = "since")]
    write: bool,
}

const CARGO_DENY: CargoTool = CargoTool { name: "cargo-deny", version: "0.20.2" };
const CARGO_SEMVER_CHECKS: CargoTool = CargoTool { name: "cargo-semver-checks", version: "0.51.0" };

/// The checks of cargo-deny.
const CHECKS: [&str; 3] = ["bans", "licenses", "sources"];
/// All crates that a dependent compiles, on any machine.
const CRATES: [&str; 3] = ["barepoll", "bitflags", "sc"];

impl Run for Options {
    fn run(&self, world: &World) -> Result<(), String> {
        let (progress, cache) = (&world.progress, world.cache()?);
        run_checks(progress, cache)?;
        let Some(revision) = &self.since else { return Ok(()) };
        let job = progress.job("interface");
        let compared = compare(&job, cache, revision);
        job.done(if compared.is_ok() { "no breaking change" } else { "FAILED" });
        let (now, broken) = compared?;
        let rows = [
            ["command", &format!("`cargo xtask supply --since {revision} --write`")],
            ["on", &report::machine()],
            ["checks of what breaks a dependent", &now.passed.to_string()],
            ["of those, failed", &now.failed.to_string()],
            ["failed, in a copy without `Epoll::delete`", &broken.failed.to_string()],
        ];
        let table = report::figures("interface", rows);
        report::say(format_args!("\n{table}\n"));
        match self.write {
            true => PROOF.write("interface", &table).map(drop),
            false => Ok(()),
        }
    }
}

/// The result of cargo-semver-checks.
struct Compared {
    passed: usize,
    failed: usize,
}

/// Compares the interface with a revision's. Also compares a copy without a method with this
/// interface, to prove that the comparison finds a breaking change.
fn compare(job: &Job, cache: &Cache, revision: &str) -> Result<(Compared, Compared), String> {
    job.at("installing cargo-semver-checks");
    let run = |root: &Path, baseline: &[&OsStr]| {
        let mut cargo = CARGO_SEMVER_CHECKS.cargo(cache)?;
        cargo.current_dir(root).args(["semver-checks", "--package", "barepoll", "--all-features"]).args(baseline);
        let output = capture(&mut cargo)?;
        let text = both(&output);
        Compared::read(&text).map(|compared| (compared, text))
    };
    job.at(&format!("comparing with {revision}"));
    let (now, text) = run(&root(), &["--baseline-rev".as_ref(), revision.as_ref()])?;
    if now.failed > 0 {
        return Err(format!("the interface breaks dependents of {revision}; raise the version or undo it:\n{text}"));
    }
    job.at("comparing a copy without a method");
    let folder = copy_with(&[Change::Replace("src/epoll.rs", "pub fn delete(", "fn delete(")])?;
    let (broken, text) = run(folder.path(), &["--baseline-root".as_ref(), root().as_os_str()])?;
    match broken.failed {
        0 => Err(format!("cargo-semver-checks does not report a missing method:\n{text}")),
        _ => Ok((now, broken)),
    }
}

impl Compared {
    /// Parses `196 checks: 195 pass, 1 fail, 0 warn, 49 skip`.
    fn read(output: &str) -> Result<Self, String> {
        let count = |result: &str| {
            let line = output.lines().find(|line| line.contains(" checks: "))?;
            let (before, _) = line.split_once(&format!(" {result}"))?;
            before.rsplit(' ').next()?.parse().ok()
        };
        match count("pass") {
            Some(passed) => Ok(Self { passed, failed: count("fail").unwrap_or(0) }),
            None => Err(format!("cargo-semver-checks printed no result:\n{output}")),
        }
    }
}

/// How many checks passed. Known vulnerabilities (RustSec) are not checked, because their list
/// needs a network.
pub fn run_checks(progress: &Progress, cache: &Cache) -> Result<usize, String> {
    let job = progress.job("supply chain");
    let checked = dependencies().and_then(|()| {
        job.at("installing cargo-deny");
        let mut cargo = CARGO_DENY.cargo(cache)?;
        job.at("checking licenses, sources and versions");
        cargo.args(["deny", "--locked", "--workspace", "--log-level", "error", "check", "--hide-inclusion-graph"]);
        run(cargo.args(CHECKS))
    });
    job.done(if checked.is_ok() { "nothing unexpected" } else { "FAILED" });
    checked.map(|_| CHECKS.len() + 1)
}

/// Checks that the crate has no other dependencies than [`CRATES`].
fn dependencies() -> Result<(), String> {
    // Without `--quiet`, cargo says that it waits for another cargo.
    let tree = [
        "tree",
        "--quiet",
        "--locked",
        "-p",
        "barepoll",
        "--edges",
        "normal,build",
        "--target",
        "all",
        "--prefix",
        "none",
    ];
    let tree = run(cargo().args(tree).args(["--all-features", "--format", "{p}"]))?;
    let crates: BTreeSet<&str> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    if crates == BTreeSet::from(CRATES) {
        return Ok(());
    }
    Err(format!("a dependent compiles the crates {crates:?}, expected {CRATES:?}"))
}
