//! `cargo xtask bench build`: measures a cold release build with barepoll, each of its parts, and
//! its peers.

use super::measured::{Goal, Measured, Table};
use crate::kit::document::{PERFORMANCE, README};
use crate::kit::progress::Progress;
use crate::kit::report;
use crate::kit::shell::{both, capture, cargo, root, run};
use serde::Serialize;
use std::fs;
use std::path::Path;
use std::process::Command;

const OURS: &str = "barepoll";
const RUSTIX: &str = "rustix";
/// A package that contains only barepoll's build script.
const BUILD_SCRIPT: &str = "barepoll's build.rs";
/// The name of what is built, and its dependency in a manifest.
const BAREPOLL: (&str, &str) = (OURS, "barepoll = { path = \"ROOT\" }");
const BUILDS_WITH: [(&str, &str); 11] = [
    ("(nothing)", ""),
    BAREPOLL,
    (BUILD_SCRIPT, ""),
    ("bitflags", "bitflags = { version = \"2.4\", default-features = false }"),
    ("sc", "sc = \"0.2.7\""),
    ("syscalls", "syscalls = \"0.8\""),
    ("libc", "libc = \"0.2\""),
    (RUSTIX, "rustix = { version = \"1\", default-features = false, features = [\"event\"] }"),
    ("nix", "nix = { version = \"0.30\", features = [\"event\"] }"),
    ("mio", "mio = { version = \"1\", features = [\"os-poll\", \"os-ext\"] }"),
    ("polling", "polling = \"3\""),
];
const REPEATS: usize = 3;

/// The most crates in a build with barepoll, and the highest ratio of its CPU seconds to rustix's.
const MAX_CRATES: f64 = 3.0;
const MAX_RATIO_TO_RUSTIX: f64 = 0.33;

#[derive(Serialize)]
struct ColdBuild {
    name: &'static str,
    crates: usize,
    build_scripts: usize,
    /// CPU seconds, least first.
    seconds: Vec<f64>,
}

impl ColdBuild {
    fn cells(&self) -> Vec<String> {
        let seconds = [self.seconds[0], self.seconds[REPEATS / 2]].map(|seconds| format!("{seconds:.2}"));
        let counts = [self.crates, self.build_scripts].map(|count| count.to_string());
        [self.name.to_string()].into_iter().chain(counts).chain(seconds).collect()
    }
}

pub fn measure(progress: &Progress, measured: &mut Measured) -> Result<(), String> {
    let job = progress.job("cold builds");
    let mut built = Vec::new();
    for (name, line) in BUILDS_WITH {
        job.at(name);
        built.push(build(name, line, REPEATS)?);
    }
    job.done("measured");
    let header = ["cold release build", "crates brought", "build scripts", "CPU s, least", "CPU s, median"];
    let text = report::markdown(&header, built.iter().map(ColdBuild::cells));
    let least = |name: &str| built.iter().find(|cold| cold.name == name).map_or(f64::NAN, |cold| cold.seconds[0]);
    let ratio = least(OURS) / least(RUSTIX);
    measured.goals.push(Goal::at_most("cold build: CPU seconds, to rustix's".into(), MAX_RATIO_TO_RUSTIX, ratio, 2));
    let crates = built.iter().find(|cold| cold.name == OURS).map_or(f64::NAN, |cold| cold.crates as f64);
    measured.goals.push(Goal::at_most("cold build: crates brought".into(), MAX_CRATES, crates, 0));
    let rows = serde_json::to_value(&built).map_err(|error| format!("cannot write JSON: {error}"))?;
    measured.add(Table { name: "cold builds".into(), rows, text, chart: None, documents: &[PERFORMANCE, README] });
    Ok(())
}

/// Builds once with barepoll, for a full test. Returns how many crates it compiles.
pub fn run_checks(progress: &Progress) -> Result<usize, String> {
    progress.count("cold build", "crates", |job| {
        let (name, line) = BAREPOLL;
        job.at(name);
        match build(name, line, 1)?.crates {
            crates if crates as f64 <= MAX_CRATES => Ok(crates),
            crates => Err(format!("a build with {name} compiles {crates} crates, expected at most {MAX_CRATES}")),
        }
    })
}

/// Builds a package with this dependency `times` times, from an empty target directory.
fn build(name: &'static str, line: &str, times: usize) -> Result<ColdBuild, String> {
    cold_build(name, line, times).map_err(|why| format!("the cold build with {name}: {why}"))
}

fn cold_build(name: &'static str, line: &str, times: usize) -> Result<ColdBuild, String> {
    let folder = tempfile::tempdir().map_err(|error| format!("cannot create a temporary folder: {error}"))?;
    let line = line.replace("ROOT", &root().to_string_lossy());
    let manifest =
        format!("[package]\nname = \"cold\"\nversion = \"0.0.0\"\nedition = \"2021\"\n[dependencies]\n{line}\n");
    let write = |file: &str, text: &str| fs::write(folder.path().join(file), text);
    fs::create_dir_all(folder.path().join("src/arch"))
        .and_then(|()| write("Cargo.toml", &manifest))
        .and_then(|()| write("src/lib.rs", ""))
        .map_err(|error| format!("cannot write a package: {error}"))?;
    if name == BUILD_SCRIPT {
        let copy = fs::copy(root().join("build.rs"), folder.path().join("build.rs"));
        // The port that the script looks for.
        copy.and_then(|_| write(&format!("src/arch/{}.rs", std::env::consts::ARCH), ""))
            .map_err(|error| format!("cannot copy build.rs: {error}"))?;
    }
    run(cargo().arg("fetch").current_dir(folder.path()))?;
    let mut cold = ColdBuild { name, crates: 0, build_scripts: 0, seconds: Vec::new() };
    for _ in 0..times {
        let _ = fs::remove_dir_all(folder.path().join("target"));
        let (seconds, output) = timed_build(&mut cargo(), folder.path())?;
        let lines = |wanted: &str| output.lines().filter(|line| line.trim_start().starts_with(wanted)).count();
        cold.seconds.push(seconds);
        cold.crates = lines("Compiling").saturating_sub(1); // without the package itself
        cold.build_scripts = lines("{\"reason\":\"build-script-executed\"");
    }
    cold.seconds.sort_by(f64::total_cmp);
    Ok(cold)
}

/// The CPU seconds of a build, measured by the shell's `times`, and its output.
fn timed_build(cargo: &mut Command, folder: &Path) -> Result<(f64, String), String> {
    const BUILD: &str = "\"$0\" build --release --offline --message-format=json 2>&1 && times";
    let mut shell = Command::new("sh");
    shell.args(["-c", BUILD]).arg(cargo.get_program()).current_dir(folder);
    shell.env_remove("RUSTFLAGS").env("CARGO_TARGET_DIR", folder.join("target"));
    let output = capture(&mut shell)?;
    let text = both(&output);
    // The last line has the user and system time of the children, such as `0m1.230s`.
    let seconds = |word: &str| {
        let (minutes, rest) = word.split_once('m')?;
        Some(minutes.parse::<f64>().ok()? * 60.0 + rest.trim_end_matches('s').parse::<f64>().ok()?)
    };
    let last = text.lines().last().unwrap_or_default();
    let times: Option<Vec<f64>> = last.split_whitespace().map(seconds).collect();
    match times.as_deref() {
        Some([user, system]) if output.status.success() => Ok((user + system, text)),
        _ => Err(format!("the build failed:\n{text}")),
    }
}
