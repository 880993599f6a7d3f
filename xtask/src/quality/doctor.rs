//! `cargo xtask doctor`: lists the tools that the commands need, how to install the missing ones,
//! and the downloads in the cache.

use crate::debian::Cache;
use crate::kit::report;
use crate::kit::tool::Tool;
use crate::step::{Run, Step, World};
use clap::Args;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

#[derive(Args)]
pub struct Options {}

impl Run for Options {
    fn run(&self, world: &World) -> Result<(), String> {
        let mut tools: Vec<&Tool> = Vec::new();
        for tool in world.steps.iter().flat_map(|step| step.needs) {
            if !tools.iter().any(|other| other.name == tool.name) {
                tools.push(tool);
            }
        }
        let (mut missing, mut rows) = (Vec::new(), Vec::new());
        for tool in tools {
            let needs_it = |step: &&Step| step.needs.iter().any(|need| need.name == tool.name);
            let steps: Vec<&str> = world.steps.iter().filter(needs_it).map(|step| step.name).collect();
            let version = tool.version();
            if version.is_none() {
                missing.push(tool.name);
            }
            let (state, by) = version.map_or(("MISSING".into(), tool.installed_by), |version| (version, ""));
            rows.push([tool.name, &state, &steps.join(", "), by].map(String::from).to_vec());
        }
        report::print(&["tool", "version", "needed by", "installed by"], rows);
        let cache = Cache::open()?;
        report::say(format_args!(
            "Downloads in the cache ({}). The steps get the missing ones:",
            cache.root().display()
        ));
        report::print(&["download", "versions", "needed by"], downloads(cache.root()));
        match missing.as_slice() {
            [] => Ok(()),
            missing => Err(format!("cannot find {}; the table shows how to install each", missing.join(", "))),
        }
    }
}

/// Crates with a cargo subcommand, and the steps that run them.
const CARGO_TOOLS: [(&str, &str); 4] = [
    ("cargo-fuzz", "fuzz"),
    ("cargo-mutants", "mutants"),
    ("cargo-deny", "supply"),
    ("cargo-semver-checks", "supply --since"),
];

/// A row for each kind of download.
fn downloads(cache: &Path) -> Vec<Vec<String>> {
    let top = names(cache);
    let (mut emulators, mut kernels) = (BTreeSet::new(), BTreeMap::<String, BTreeSet<String>>::new());
    for suite in names(&cache.join("packages")) {
        let machine = suite.rsplit('-').next().unwrap_or_default();
        for package in names(&cache.join("packages").join(&suite)) {
            // Such as `qemu-user_1%3a10.0.13+ds-0` or
            // `linux-image-6.1.0-37-cloud-amd64_6.1.140-1,vmlinu`.
            let (name, version) = package.split_once('_').unwrap_or((&package, ""));
            let version = version.rsplit("%3a").next().unwrap_or_default();
            let short = version.split(['.', '+', '-']).take(2).collect::<Vec<_>>().join(".");
            if name.starts_with("qemu-user") {
                emulators.insert(format!("{name} {short}"));
            } else if name.starts_with("linux-image") || name.starts_with("linux-binary") {
                kernels.entry(machine.into()).or_default().insert(short);
            }
        }
    }
    for suite in names(&cache.join("closures")) {
        if names(&cache.join("closures").join(suite)).iter().any(|name| name.starts_with("qemu-system")) {
            emulators.insert("qemu-system".into());
        }
    }
    let kernels = kernels.into_iter().map(|(machine, versions)| format!("{machine} {}", list(versions)));
    let row = |name: &str, versions: String, needed_by: &str| {
        vec![name.into(), if versions.is_empty() { "–".into() } else { versions }, needed_by.into()]
    };
    let tool = |(name, needed_by): (&str, &str)| {
        let versions = top.iter().filter_map(|folder| folder.strip_prefix(name)?.strip_prefix('-').map(String::from));
        row(name, list(versions), needed_by)
    };
    let mut rows: Vec<_> = CARGO_TOOLS.map(tool).into();
    rows.push(row("emulators", list(emulators), "targets, cat, with-std, musl, c"));
    rows.push(row("kernels", kernels.collect::<Vec<_>>().join("; "), "kernels"));
    rows
}

fn list(names: impl IntoIterator<Item = String>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// The names in a folder. Empty if there is no such folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}
