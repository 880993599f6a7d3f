//! Every target that rustc calls Linux: the crate compiles for it, or build.rs refuses it with its reason.
//!
//! The nightly compiler says which targets those are, so that a new one is met the day it appears. What a target's architecture
//! wants (a nightly feature, flags to compile `core`) is what the cross-test table says of the first row that has it.

use crate::debian::Cache;
use crate::kit::copy::published;
use crate::kit::progress::Progress;
use crate::kit::report;
use crate::kit::shell::{both, capture, cargo_of};
use crate::machines::targets::{Target, TARGETS};
use crate::step::{Run, World};
use clap::Args;
use serde_json::Value;
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// What build.rs must refuse, and a part of its reason; first a target that is not Linux, for all of those.
const REFUSED: [(&str, &str); 4] = [
    ("x86_64-pc-windows-msvc", "not Linux"),
    ("aarch64-unknown-linux-gnu_ilp32", "no released Linux"),
    ("aarch64_be-unknown-linux-gnu_ilp32", "no released Linux"),
    ("wasm32-wali-linux-musl", "by imports"),
];

/// A target that must compile, and the row of the table whose architecture it has.
struct Linux {
    name: String,
    row: &'static Target,
}

/// `cargo xtask linux`: the targets of the cross-test table too.
#[derive(Args)]
pub struct Options {}

impl Run for Options {
    fn run(&self, world: &World) -> Result<(), String> {
        check(&world.progress, world.cache()?, &linux_targets()?).map(drop)
    }
}

/// The targets that have no row in the cross-test table: a full test compiles that one's, as strictly, to run them.
pub fn run_checks(progress: &Progress, cache: &Cache) -> Result<usize, String> {
    let mut targets = linux_targets()?;
    targets.retain(|target| TARGETS.iter().all(|row| row.triple() != target.name));
    check(progress, cache, &targets)
}

fn check(progress: &Progress, cache: &Cache, targets: &[Linux]) -> Result<usize, String> {
    let job = progress.job(format!("{} targets", targets.len()));
    job.at("compiling, where core is new for minutes");
    let (stable, nightly): (Vec<&Linux>, Vec<&Linux>) = targets.iter().partition(|target| target.row.stable);
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
    job.done(if answer.is_ok() { "compile or are refused" } else { "FAILED" });
    answer
}

/// The Linux targets of the nightly compiler, without those that build.rs must refuse.
fn linux_targets() -> Result<Vec<Linux>, String> {
    let arguments = ["run", "nightly", "rustc", "-Zunstable-options", "--print", "all-target-specs-json"];
    let output = capture(Command::new("rustup").args(arguments))?;
    let specs: HashMap<String, Value> = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("rustc's list of targets does not read ({error}):\n{}", both(&output)))?;
    let arch = |name: &str| specs.get(name).and_then(|spec| spec["arch"].as_str());
    let is_linux = |spec: &Value| matches!(spec["os"].as_str(), Some("linux" | "android"));
    let wanted = |name: &str| REFUSED.iter().all(|(refused, _)| *refused != name);

    let mut names: Vec<&String> = specs.keys().filter(|name| is_linux(&specs[*name]) && wanted(name)).collect();
    names.sort();
    if names.is_empty() {
        return Err("rustc's list of targets, whose form is unstable, names no Linux one that is read here".into());
    }
    let target = |name: &String| match TARGETS.iter().find(|row| arch(row.name) == arch(name)) {
        Some(row) => Ok(Linux { name: name.clone(), row }),
        None => Err(format!("{name} is a Linux target of an architecture that is neither ported nor refused")),
    };
    names.into_iter().map(target).collect()
}

/// One cargo for all targets, which are compiled beside each other. Those that stable Rust can serve are allowed no feature.
fn compile(cache: &Cache, targets: &[&Linux]) -> Result<Output, String> {
    let mut cargo = check_command(cache, "--message-format=json-render-diagnostics");
    cargo.args(["-Zbuild-std=core", "-Zprofile-rustflags"]);
    let allowed = if targets.iter().all(|target| target.row.stable) { r#", "-Zallow-features=""# } else { "" };
    cargo.arg("--config").arg(format!(r#"profile.dev.package.barepoll.rustflags=["-Dwarnings"{allowed}]"#));
    for Linux { name, row } in targets {
        // Cargo compiles `core` wholly even to check what uses it; nobody needs its machine code.
        let flags: Vec<&str> = ["-Zno-codegen"].iter().chain(row.flags).copied().collect();
        cargo.args(["--target", name, "--config"]).arg(format!("target.{name}.rustflags={flags:?}"));
    }
    capture(&mut cargo)
}

/// `cargo check` of the crate alone, for all its targets whatever becomes of the first.
fn check_command(cache: &Cache, messages: &str) -> Command {
    let mut cargo = cargo_of("nightly");
    // What the caller's shell says of flags would win over the targets' own.
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    cargo.args(["check", "--locked", "-p", "barepoll", "--lib", "--keep-going", messages]);
    // A third less to write of each `core`.
    for setting in ["debug=0", "debug-assertions=false", "overflow-checks=false"] {
        cargo.arg(format!("--config=profile.dev.{setting}"));
    }
    cargo.arg("--target-dir").arg(cache.root().join("target-everywhere"));
    cargo
}

/// The targets for which cargo says that it compiled the crate, and the port that the compiler then read.
fn ports_used(output: &Output) -> HashMap<String, String> {
    let lines = String::from_utf8_lossy(&output.stdout);
    let messages = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let artifacts =
        messages.filter(|message| message["reason"] == "compiler-artifact" && message["target"]["name"] == "barepoll");
    artifacts.filter_map(|message| port_used(Path::new(message["filenames"][0].as_str()?))).collect()
}

/// `…/TARGET/debug/deps/libbarepoll-HASH.rmeta` has a list of sources beside it.
fn port_used(artifact: &Path) -> Option<(String, String)> {
    let target = artifact.ancestors().nth(3)?.file_name()?.to_str()?;
    let name = artifact.file_stem()?.to_str()?.strip_prefix("lib")?;
    let sources = fs::read_to_string(artifact.with_file_name(format!("{name}.d"))).ok()?;
    let ports = sources.lines().filter_map(|line| line.strip_prefix("src/arch/")?.strip_suffix(".rs:"));
    let port = ports.into_iter().find(|file| !["mod", "generic"].contains(file))?;
    Some((target.into(), port.into()))
}

/// What build.rs says of each target that it must refuse; `None` where it does not, or not with this reason. Without `core`, which
/// would take long and is missing to others, but build.rs needs nothing.
fn refusals(cache: &Cache) -> Result<Vec<Option<String>>, String> {
    let mut cargo = check_command(cache, "--message-format=short");
    cargo.args(REFUSED.iter().flat_map(|(name, _)| ["--target", name]));
    let text = both(&capture(&mut cargo)?);
    let sentence = |(name, reason): &(&str, &str)| {
        let mut sentences = text.lines().filter_map(|line| line.trim().strip_prefix("error: ")?.strip_prefix(name));
        let said = sentences.find(|rest| rest.starts_with(' ') && rest.contains(reason))?;
        Some(said.split(';').next()?.trim().to_string())
    };
    Ok(REFUSED.iter().map(sentence).collect())
}

/// What the crate itself says where no build script runs: a copy without it is compiled for a system that is not Linux.
fn refused_without_build_script(cache: &Cache) -> Result<(), String> {
    const TARGET: &str = "x86_64-unknown-freebsd";
    const SENTENCE: &str = "this target is neither Linux nor Android";
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let copied = published(folder.path()).and_then(|()| fs::remove_file(folder.path().join("build.rs")));
    copied.map_err(|error| format!("cannot copy the crate: {error}"))?;
    let mut cargo = cargo_of("nightly");
    cargo.current_dir(folder.path()).env("RUSTFLAGS", "-Zno-codegen").env_remove("CARGO_ENCODED_RUSTFLAGS");
    cargo.args(["check", "-Zbuild-std=core", "--target", TARGET, "--target-dir"]);
    let text = both(&capture(cargo.arg(cache.root().join("target-everywhere")))?);
    match text.contains(SENTENCE) {
        true => Ok(()),
        false => Err(format!("without build.rs, {TARGET} is not refused by \"{SENTENCE}\":\n{text}")),
    }
}

fn rows(targets: &[Linux], ports: &HashMap<String, String>, refusals: &[Option<String>]) -> Vec<Vec<String>> {
    let compiled = targets.iter().map(|Linux { name, row }| {
        let rust = if row.stable { "stable" } else { "nightly" };
        let (port, result) = ports.get(name).map_or(("", "FAILED"), |port| (port, "compiles"));
        [name, port, rust, result].map(String::from).to_vec()
    });
    let refused = REFUSED.iter().zip(refusals).map(|((name, _), said)| {
        let result = said.as_ref().map_or("NOT REFUSED".into(), |said| format!("refused: it {said}"));
        vec![name.to_string(), String::new(), String::new(), result]
    });
    compiled.chain(refused).collect()
}

fn verdict(
    targets: &[Linux],
    ports: &HashMap<String, String>,
    refusals: &[Option<String>],
    errors: &str,
) -> Result<usize, String> {
    let failed: Vec<&str> =
        targets.iter().map(|target| &*target.name).filter(|name| !ports.contains_key(*name)).collect();
    if !failed.is_empty() {
        return Err(format!("barepoll does not compile for {}:\n{errors}", failed.join(", ")));
    }
    match REFUSED.iter().zip(refusals).find(|(_, said)| said.is_none()) {
        Some(((name, reason), _)) => Err(format!("build.rs does not refuse {name} with its reason ({reason})")),
        None => Ok(targets.len() + REFUSED.len() + 1),
    }
}
