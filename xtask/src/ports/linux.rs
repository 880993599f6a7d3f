//! Checks that the crate compiles for every Linux target of rustc, or that build.rs refuses it with
//! a reason.
//!
//! The nightly compiler lists the targets, so this check includes new ones. The settings for a
//! target, a nightly feature or flags to compile `core`, come from the first row of
//! `machines/targets.rs` with the same architecture.

use crate::debian::Cache;
use crate::kit::copy::copy_published_crate;
use crate::kit::progress::Progress;
use crate::kit::report;
use crate::kit::shell::{both, capture, cargo_of};
use crate::machines::nightly::target_specs;
use crate::machines::targets::{Target, TARGETS};
use crate::step::{Run, World};
use clap::Args;
use serde_json::Value;
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// The targets that build.rs must refuse, and a part of each reason. The first stands for all
/// targets that are not Linux.
const REFUSED: [(&str, &str); 4] = [
    ("x86_64-pc-windows-msvc", "not Linux"),
    ("aarch64-unknown-linux-gnu_ilp32", "no released Linux"),
    ("aarch64_be-unknown-linux-gnu_ilp32", "no released Linux"),
    ("wasm32-wali-linux-musl", "by imports"),
];

/// A target that must compile.
struct LinuxTarget {
    name: String,
    /// The first row of `machines/targets.rs` with the same architecture.
    row: &'static Target,
}

#[derive(Args)]
pub struct Options {}

impl Run for Options {
    fn run(&self, world: &World) -> Result<(), String> {
        check(&world.progress, world.cache()?, &linux_targets()?).map(drop)
    }
}

/// Checks the targets without a row in `machines/targets.rs`. A full test compiles the others, as
/// strictly, to run them.
pub fn run_checks(progress: &Progress, cache: &Cache) -> Result<usize, String> {
    let mut targets = linux_targets()?;
    targets.retain(|target| TARGETS.iter().all(|row| row.triple() != target.name));
    check(progress, cache, &targets)
}

fn check(progress: &Progress, cache: &Cache, targets: &[LinuxTarget]) -> Result<usize, String> {
    let job = progress.job(format!("{} targets", targets.len()));
    job.at("compiling; the first run takes minutes to compile core");
    let (stable, nightly): (Vec<&LinuxTarget>, Vec<&LinuxTarget>) =
        targets.iter().partition(|target| target.row.stable);
    let answer = || {
        let (mut ports, mut errors) = (HashMap::new(), String::new());
        for group in [stable, nightly] {
            let output = compile(cache, &group)?;
            ports.extend(ports_used(&output));
            errors += &String::from_utf8_lossy(&output.stderr);
        }
        let refusals = refusals(cache)?;
        refused_without_build_script(cache)?;
        report::print(&["target", "port", "Rust", "result"], rows(targets, &ports, &refusals));
        verdict(targets, &ports, &refusals, &errors)
    };
    let answer = answer();
    job.done(if answer.is_ok() { "all compile or are refused" } else { "FAILED" });
    answer
}

/// The Linux targets of the nightly compiler, without those that build.rs must refuse.
fn linux_targets() -> Result<Vec<LinuxTarget>, String> {
    let specs = target_specs()?;
    let arch = |name: &str| specs.get(name).and_then(|spec| spec["arch"].as_str());
    let is_linux = |spec: &Value| matches!(spec["os"].as_str(), Some("linux" | "android"));
    let wanted = |name: &str| REFUSED.iter().all(|(refused, _)| *refused != name);

    let mut names: Vec<&String> = specs.keys().filter(|name| is_linux(&specs[*name]) && wanted(name)).collect();
    names.sort();
    if names.is_empty() {
        return Err(
            "cannot find a Linux target in rustc's list, whose format is unstable; fix the parsing in linux.rs".into(),
        );
    }
    let target = |name: &String| match TARGETS.iter().find(|row| arch(row.name) == arch(name)) {
        Some(row) => Ok(LinuxTarget { name: name.clone(), row }),
        None => Err(format!("the Linux target {name} has no port; write one, or refuse the target in build.rs")),
    };
    names.into_iter().map(target).collect()
}

/// Compiles the crate for all targets with one cargo command, in parallel. If all of them work on
/// stable Rust, unstable features are forbidden.
fn compile(cache: &Cache, targets: &[&LinuxTarget]) -> Result<Output, String> {
    let mut cargo = check_command(cache, "--message-format=json-render-diagnostics");
    cargo.args(["-Zbuild-std=core", "-Zprofile-rustflags"]);
    let allowed = if targets.iter().all(|target| target.row.stable) { r#", "-Zallow-features=""# } else { "" };
    cargo.arg("--config").arg(format!(r#"profile.dev.package.barepoll.rustflags=["-Dwarnings"{allowed}]"#));
    for LinuxTarget { name, row } in targets {
        // Even for `check`, cargo compiles all of `core`. Its machine code is not needed.
        let flags: Vec<&str> = ["-Zno-codegen"].iter().chain(row.flags).copied().collect();
        cargo.args(["--target", name, "--config"]).arg(format!("target.{name}.rustflags={flags:?}"));
    }
    capture(&mut cargo)
}

/// A `cargo check` command for only the crate, which goes on after a target fails.
fn check_command(cache: &Cache, messages: &str) -> Command {
    let mut cargo = cargo_of("nightly");
    // These variables would override the targets' flags.
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    cargo.args(["check", "--locked", "-p", "barepoll", "--lib", "--keep-going", messages]);
    // These settings make each `core` a third smaller.
    for setting in ["debug=0", "debug-assertions=false", "overflow-checks=false"] {
        cargo.arg(format!("--config=profile.dev.{setting}"));
    }
    cargo.arg("--target-dir").arg(cache.root().join("target-everywhere"));
    cargo
}

/// The targets for which cargo compiled the crate, and the port that the compiler read.
fn ports_used(output: &Output) -> HashMap<String, String> {
    let lines = String::from_utf8_lossy(&output.stdout);
    let messages = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let artifacts =
        messages.filter(|message| message["reason"] == "compiler-artifact" && message["target"]["name"] == "barepoll");
    artifacts.filter_map(|message| port_used(Path::new(message["filenames"][0].as_str()?))).collect()
}

/// The target and the port of an artifact, `…/TARGET/debug/deps/libbarepoll-HASH.rmeta`. The file
/// with the extension `d` in the same folder lists its sources.
fn port_used(artifact: &Path) -> Option<(String, String)> {
    let target = artifact.ancestors().nth(3)?.file_name()?.to_str()?;
    let name = artifact.file_stem()?.to_str()?.strip_prefix("lib")?;
    let sources = fs::read_to_string(artifact.with_file_name(format!("{name}.d"))).ok()?;
    let ports = sources.lines().filter_map(|line| line.strip_prefix("src/arch/")?.strip_suffix(".rs:"));
    let port = ports.into_iter().find(|file| !["mod", "generic", "through_libc"].contains(file))?;
    Some((target.into(), port.into()))
}

/// The message with which build.rs refuses each target, or `None` if it does not refuse it for this
/// reason.
///
/// build.rs runs before the crate compiles, so this needs no `core`.
fn refusals(cache: &Cache) -> Result<Vec<Option<String>>, String> {
    let mut cargo = check_command(cache, "--message-format=short");
    cargo.args(REFUSED.iter().flat_map(|(name, _)| ["--target", name]));
    let text = both(&capture(&mut cargo)?);
    let sentence = |(name, reason): &(&str, &str)| {
        let mut sentences = text.lines().filter_map(|line| line.trim().strip_prefix("error: ")?.strip_prefix(name));
        let sentence = sentences.find(|rest| rest.starts_with(' ') && rest.contains(reason))?;
        Some(sentence.split(';').next()?.trim().to_string())
    };
    Ok(REFUSED.iter().map(sentence).collect())
}

/// Checks that the crate refuses another system without build.rs too, in a copy without that file.
fn refused_without_build_script(cache: &Cache) -> Result<(), String> {
    const TARGET: &str = "x86_64-unknown-freebsd";
    const SENTENCE: &str = "this target is neither Linux nor Android";
    let folder = tempfile::tempdir().map_err(|error| format!("cannot create a temporary folder: {error}"))?;
    let copied = copy_published_crate(folder.path()).and_then(|()| fs::remove_file(folder.path().join("build.rs")));
    copied.map_err(|error| format!("cannot copy the crate: {error}"))?;
    let mut cargo = cargo_of("nightly");
    cargo.current_dir(folder.path()).env("RUSTFLAGS", "-Zno-codegen").env_remove("CARGO_ENCODED_RUSTFLAGS");
    cargo.args(["check", "-Zbuild-std=core", "--target", TARGET, "--target-dir"]);
    let text = both(&capture(cargo.arg(cache.root().join("target-everywhere")))?);
    match text.contains(SENTENCE) {
        true => Ok(()),
        false => Err(format!("without build.rs, the crate does not refuse {TARGET} with \"{SENTENCE}\":\n{text}")),
    }
}

fn rows(targets: &[LinuxTarget], ports: &HashMap<String, String>, refusals: &[Option<String>]) -> Vec<Vec<String>> {
    let compiled = targets.iter().map(|LinuxTarget { name, row }| {
        let rust = if row.stable { "stable" } else { "nightly" };
        let (port, result) = ports.get(name).map_or(("", "FAILED"), |port| (port, "compiles"));
        [name, port, rust, result].map(String::from).to_vec()
    });
    let refused = REFUSED.iter().zip(refusals).map(|((name, _), refusal)| {
        let result = refusal.as_ref().map_or("NOT REFUSED".into(), |refusal| format!("refused: it {refusal}"));
        vec![name.to_string(), String::new(), String::new(), result]
    });
    compiled.chain(refused).collect()
}

fn verdict(
    targets: &[LinuxTarget],
    ports: &HashMap<String, String>,
    refusals: &[Option<String>],
    errors: &str,
) -> Result<usize, String> {
    let failed: Vec<&str> =
        targets.iter().map(|target| &*target.name).filter(|name| !ports.contains_key(*name)).collect();
    if !failed.is_empty() {
        return Err(format!("barepoll does not compile for {}:\n{errors}", failed.join(", ")));
    }
    match REFUSED.iter().zip(refusals).find(|(_, refusal)| refusal.is_none()) {
        Some(((name, reason), _)) => Err(format!("build.rs does not refuse {name} for the reason \"{reason}\"")),
        None => Ok(targets.len() + REFUSED.len() + 1),
    }
}
