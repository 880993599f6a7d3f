//! `cargo xtask doctor`: which of the tools that the commands need are here, and how to get the others; and which of those that the
//! commands fetch by themselves are in the cache.

use crate::debian::Cache;
use crate::report;
use crate::shell::capture;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

/// A tool: how it is called to see whether it works, what needs it, and the one command that gets it.
struct Tool {
    name: &'static str,
    call: &'static [&'static str],
    needed_by: &'static str,
    got_by: &'static str,
}

const fn tool(
    name: &'static str,
    call: &'static [&'static str],
    needed_by: &'static str,
    got_by: &'static str,
) -> Tool {
    Tool { name, call, needed_by, got_by }
}

const RUSTUP: &str = "curl -sSf https://sh.rustup.rs | sh";

const TOOLS: &[Tool] = &[
    tool("rustup", &["rustup", "--version"], "test (all but native), asm, clobbers, symbols", RUSTUP),
    tool(
        "nightly Rust",
        &["rustup", "run", "nightly", "rustc", "--version"],
        "every target that is not this machine",
        "rustup toolchain install nightly",
    ),
    tool("cc", &["cc", "--version"], "c, headers, the linking of native programs", "apt-get install gcc libc6-dev"),
    tool("c++", &["c++", "--version"], "fuzz, c", "apt-get install g++"),
    tool("dpkg-deb", &["dpkg-deb", "--version"], "emulators, kernels, cross compilers", "apt-get install dpkg"),
    tool(
        "apt",
        &["apt-get", "--version"],
        "what is downloaded, and its signatures",
        "docker run -it -v .:/barepoll -w /barepoll debian:12",
    ),
    tool("tar", &["tar", "--version"], "the standard library's source", "apt-get install tar xz-utils"),
    tool("script", &["script", "--version"], "cat, on a terminal", "apt-get install bsdutils"),
    tool("readelf", &["readelf", "--version"], "c", "apt-get install binutils"),
    tool("valgrind", &["valgrind", "--version"], "memory, bench instructions", "apt-get install valgrind"),
    tool("strace", &["strace", "--version"], "bench wakeup, burst, echo", "apt-get install strace"),
    tool("rustc 1.63", &["sh", "-c", "/usr/bin/rustc --version | grep 1.63"], "minimum", "apt-get install rustc cargo"),
];

pub fn run_alone() -> Result<(), String> {
    let mut missing = Vec::new();
    let mut rows = Vec::new();
    for tool in TOOLS {
        let [program, arguments @ ..] = tool.call else { continue };
        let output = capture(Command::new(program).args(arguments)).ok().filter(|output| output.status.success());
        let version = output.map(|output| {
            let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            text.lines().find(|line| !line.trim().is_empty()).unwrap_or("there").trim().to_string()
        });
        if version.is_none() {
            missing.push(tool.name);
        }
        let (state, get) = version.map_or(("MISSING".into(), tool.got_by), |version| (version, ""));
        rows.push([tool.name, &state, tool.needed_by, get].map(String::from).to_vec());
    }
    report::print(&["tool", "here", "needed by", "got by"], rows);
    let cache = Cache::open()?;
    println!("What the commands fetch themselves, into the cache ({}):", cache.root().display());
    report::print(&["what", "is there", "needed by"], fetched(cache.root()));
    match missing.as_slice() {
        [] => Ok(()),
        missing => Err(format!("missing: {}; the table says what gets each", missing.join(", "))),
    }
}

/// Crates with a subcommand of cargo's, and what runs them.
const CARGO_TOOLS: [(&str, &str); 4] = [
    ("cargo-fuzz", "fuzz"),
    ("cargo-mutants", "mutants"),
    ("cargo-deny", "supply"),
    ("cargo-semver-checks", "supply --since"),
];

/// What the cache has of each kind.
fn fetched(cache: &Path) -> Vec<Vec<String>> {
    let top = names(cache);
    let (mut emulators, mut kernels) = (BTreeSet::new(), BTreeMap::<String, BTreeSet<String>>::new());
    for suite in names(&cache.join("packages")) {
        let machine = suite.rsplit('-').next().unwrap_or_default();
        for package in names(&cache.join("packages").join(&suite)) {
            // As `qemu-user_1%3a10.0.13+ds-0`, `linux-image-6.1.0-37-cloud-amd64_6.1.140-1,vmlinu`.
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
    let row = |what: &str, there: String, needed_by: &str| {
        vec![what.into(), if there.is_empty() { "–".into() } else { there }, needed_by.into()]
    };
    let tool = |(name, needed_by): (&str, &str)| {
        let versions = top.iter().filter_map(|folder| folder.strip_prefix(name)?.strip_prefix('-').map(String::from));
        row(name, list(versions), needed_by)
    };
    let mut rows: Vec<_> = CARGO_TOOLS.map(tool).into();
    rows.push(row("emulators", list(emulators), "test, cat, std, musl, c"));
    rows.push(row("kernels", kernels.collect::<Vec<_>>().join("; "), "test"));
    rows
}

fn list(names: impl IntoIterator<Item = String>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// What is in a folder; nothing where there is none.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}
