//! `cargo xtask supply`: what the crate brings with it, under which licenses and from where; and whether its interface is still what
//! it was.

use crate::debian::Cache;
use crate::progress::Progress;
use crate::shell::{cargo, run};
use crate::tools::CargoTool;
use clap::Args;
use std::collections::BTreeSet;

#[derive(Args)]
pub struct Options {
    /// Compare the public interface with this revision's too, as `v0.1.0`: what breaks a dependent must raise the version
    #[arg(long, value_name = "REVISION")]
    since: Option<String>,
}

const CARGO_DENY: CargoTool = CargoTool { name: "cargo-deny", version: "0.20.2" };
const CARGO_SEMVER_CHECKS: CargoTool = CargoTool { name: "cargo-semver-checks", version: "0.51.0" };

/// All that a dependent of the crate compiles, on any machine.
const BROUGHT: [&str; 3] = ["barepoll", "bitflags", "sc"];

pub fn run_alone(options: &Options) -> Result<(), String> {
    let (progress, cache) = (Progress::new(), Cache::open()?);
    run_checks(&progress, &cache)?;
    let Some(revision) = &options.since else { return Ok(()) };
    let job = progress.job("interface");
    job.at("cargo-semver-checks");
    let compared = CARGO_SEMVER_CHECKS.cargo(&cache).and_then(|mut cargo| {
        job.at(&format!("comparing with {revision}"));
        run(cargo.args(["semver-checks", "--package", "barepoll", "--all-features", "--baseline-rev", revision]))
    });
    job.done(if compared.is_ok() { "nothing breaks" } else { "FAILED" });
    compared.map(drop)
}

/// How many things were checked. What is known to be wrong with a crate (RustSec) is kept where only a network tells, so it is not among
/// them.
pub fn run_checks(progress: &Progress, cache: &Cache) -> Result<usize, String> {
    let job = progress.job("supply chain");
    let checked = dependencies().and_then(|()| {
        job.at("cargo-deny");
        let mut cargo = CARGO_DENY.cargo(cache)?;
        job.at("licenses, sources, versions");
        run(cargo.args([
            "deny",
            "--locked",
            "--workspace",
            "--log-level",
            "error",
            "check",
            "--hide-inclusion-graph",
            "bans",
            "licenses",
            "sources",
        ]))
    });
    job.done(if checked.is_ok() { "as it should be" } else { "FAILED" });
    checked.map(|_| 4)
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
