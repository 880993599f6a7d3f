//! `cargo xtask doctor`: which of the tools that the commands need are here, and how to get the others.

use crate::debian::Cache;
use crate::report;
use crate::shell::capture;
use std::process::Command;

/// A tool: how it is called to see whether it works, what needs it, and what gets it.
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

const TOOLS: &[Tool] = &[
    tool("rustup", &["rustup", "--version"], "test (all but native), asm, clobbers, symbols", "https://rustup.rs"),
    tool(
        "nightly Rust",
        &["rustup", "run", "nightly", "rustc", "--version"],
        "every target that is not this machine",
        "rustup toolchain install nightly",
    ),
    tool("cc", &["cc", "--version"], "c, headers, the linking of native programs", "apt-get install gcc libc6-dev"),
    tool("c++", &["c++", "--version"], "fuzz", "apt-get install g++"),
    tool("dpkg-deb", &["dpkg-deb", "--version"], "emulators, kernels, cross compilers", "apt-get install dpkg"),
    tool(
        "apt",
        &["apt-get", "--version"],
        "what is downloaded, and its signatures",
        "a Debian or a Debian-like system",
    ),
    tool("tar", &["tar", "--version"], "the standard library's source", "apt-get install tar xz-utils"),
    tool("script", &["script", "--version"], "cat, on a terminal", "apt-get install bsdutils"),
    tool("readelf", &["readelf", "--version"], "c", "apt-get install binutils"),
    tool("valgrind", &["valgrind", "--version"], "bench instructions", "apt-get install valgrind"),
    tool("rustc 1.63", &["/usr/bin/rustc", "--version"], "minimum", "apt-get install rustc cargo (Debian 12)"),
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
    let cache = Cache::open()?;
    let place = cache.root().display().to_string();
    rows.push(
        ["cache", &place, "emulators, kernels, compilers: they come by themselves", ""].map(String::from).to_vec(),
    );
    report::print(&["tool", "here", "needed by", "got by"], rows);
    match missing.as_slice() {
        [] => Ok(()),
        missing => Err(format!("missing: {}; the table says what gets each", missing.join(", "))),
    }
}
