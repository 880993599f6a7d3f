//! `cargo xtask supply`: what the crate brings with it, under which licenses and from where; and whether its interface is still what
//! it was.

use crate::debian::cargo_tools::CargoTool;
use crate::debian::Cache;
use crate::kit::copy::{changed, Change};
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
    /// Compare the public interface with this revision's too, as `v0.1.0`: what breaks a dependent must raise the version
    #[arg(long, value_name = "REVISION")]
    since: Option<String>,
    /// Write what that came to into docs/proof.md too
    #[arg(long, requires = "since")]
    write: bool,
}

const CARGO_DENY: CargoTool = CargoTool { name: "cargo-deny", version: "0.20.2" };
const CARGO_SEMVER_CHECKS: CargoTool = CargoTool { name: "cargo-semver-checks", version: "0.51.0" };

/// What cargo-deny looks at.
const CHECKS: [&str; 3] = ["bans", "licenses", "sources"];
/// All that a dependent of the crate compiles, on any machine.
const BROUGHT: [&str; 3] = ["barepoll", "bitflags", "sc"];

impl Run for Options {
    fn run(&self, world: &World) -> Result<(), String> {
        let (progress, cache) = (&world.progress, world.cache()?);
        run_checks(progress, cache)?;
        let Some(revision) = &self.since else { return Ok(()) };
        let job = progress.job("interface");
        let compared = compare(&job, cache, revision);
        job.done(if compared.is_ok() { "nothing breaks" } else { "FAILED" });
        let (now, hidden) = compared?;
        let rows = [
            ["command", &format!("`cargo xtask supply --since {revision} --write`")],
            ["on", &report::machine()],
            ["checks of what breaks a dependent", &now.passed.to_string()],
            ["of those, failed", &now.failed.to_string()],
            ["failed, in a copy without `Epoll::delete`", &hidden.failed.to_string()],
        ];
        let table = report::figures("interface", rows);
        println!("\n{table}\n");
        match self.write {
            true => PROOF.write("interface", &table).map(drop),
            false => Ok(()),
        }
    }
}

/// What cargo-semver-checks came to.
struct Compared {
    passed: usize,
    failed: usize,
}

/// Compares the interface with a revision's; and, to see that this finds anything, one without a method with this.
fn compare(job: &Job, cache: &Cache, revision: &str) -> Result<(Compared, Compared), String> {
    job.at("cargo-semver-checks");
    let breaks = |root: &Path, baseline: &[&OsStr]| {
        let mut cargo = CARGO_SEMVER_CHECKS.cargo(cache)?;
        cargo.current_dir(root).args(["semver-checks", "--package", "barepoll", "--all-features"]).args(baseline);
        let output = capture(&mut cargo)?;
        let said = both(&output);
        Compared::read(&said).map(|compared| (compared, said))
    };
    job.at(&format!("comparing with {revision}"));
    let (now, said) = breaks(&root(), &["--baseline-rev".as_ref(), revision.as_ref()])?;
    if now.failed > 0 {
        return Err(format!("the interface breaks dependents of {revision}:\n{said}"));
    }
    job.at("comparing a copy without a method");
    let folder = changed(&[Change::Replace("src/epoll.rs", "pub fn delete(", "fn delete(")])?;
    let (hidden, said) = breaks(folder.path(), &["--baseline-root".as_ref(), root().as_os_str()])?;
    match hidden.failed {
        0 => Err(format!("cargo-semver-checks finds nothing wrong with an interface that lacks a method:\n{said}")),
        _ => Ok((now, hidden)),
    }
}

impl Compared {
    /// Reads `196 checks: 195 pass, 1 fail, 0 warn, 49 skip`.
    fn read(output: &str) -> Result<Self, String> {
        let count = |what: &str| {
            let line = output.lines().find(|line| line.contains(" checks: "))?;
            let (before, _) = line.split_once(&format!(" {what}"))?;
            before.rsplit(' ').next()?.parse().ok()
        };
        match count("pass") {
            Some(passed) => Ok(Self { passed, failed: count("fail").unwrap_or(0) }),
            None => Err(format!("cargo-semver-checks did not end well:\n{output}")),
        }
    }
}

/// How many things were checked. What is known to be wrong with a crate (RustSec) is kept where only a network tells, so it is not among
/// them.
pub fn run_checks(progress: &Progress, cache: &Cache) -> Result<usize, String> {
    let job = progress.job("supply chain");
    let checked = dependencies().and_then(|()| {
        job.at("cargo-deny");
        let mut cargo = CARGO_DENY.cargo(cache)?;
        job.at("licenses, sources, versions");
        cargo.args(["deny", "--locked", "--workspace", "--log-level", "error", "check", "--hide-inclusion-graph"]);
        run(cargo.args(CHECKS))
    });
    job.done(if checked.is_ok() { "as it should be" } else { "FAILED" });
    checked.map(|_| CHECKS.len() + 1)
}

fn dependencies() -> Result<(), String> {
    let tree = ["tree", "--locked", "-p", "barepoll", "--edges", "normal,build", "--target", "all", "--prefix", "none"];
    let tree = run(cargo().args(tree).args(["--all-features", "--format", "{p}"]))?;
    let brought: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    if brought == BTreeSet::from(BROUGHT) {
        return Ok(());
    }
    Err(format!("the crate brings {brought:?}, and should bring {BROUGHT:?}"))
}
