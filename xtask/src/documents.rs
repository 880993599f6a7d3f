//! The commands of cargo's that documents name: each is run as it stands there, or is one that another command of this project runs; this
//! project's own are steps of a full test, or are run. And the tables in documents that come from this project's own.

use crate::cross;
use crate::debian::Cache;
use crate::progress::Progress;
use crate::shell::{both, capture, cargo, cargo_of, root, run};
use crate::tables::TESTING;
use crate::{kernels, report, toolchain, toolchains, Arguments};
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

#[derive(clap::Args)]
pub struct Options {
    /// Write the tables that this project's own tables are the source of
    #[arg(long)]
    write: bool,
}

/// Where commands are looked for: Markdown, and the comments at the top of examples. Of a folder, every file with such a name.
const DOCUMENTS: [(&str, &str); 6] = [
    (".", "md"),
    ("docs", "md"),
    ("barepoll-c", "md"),
    (".github/ISSUE_TEMPLATE", "md"),
    ("examples", "rs"),
    ("examples/bare-cat/src", "rs"),
];

fn documents() -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for (folder, extension) in DOCUMENTS {
        let entries = fs::read_dir(root().join(folder)).map_err(|error| format!("cannot read {folder}: {error}"))?;
        let files = entries.flatten().map(|entry| entry.path());
        found.extend(files.filter(|path| path.extension().is_some_and(|end| end == extension)));
    }
    found.sort();
    Ok(found)
}

/// How a command is known to work.
enum Proof {
    /// Run with these words more, it is given this and prints that.
    Prints(&'static [&'static str], &'static str, &'static str),
    /// Run in the folder of `bare-cat`, it ends well.
    EndsWell,
    /// This command of the project runs it, or the like of it.
    By(&'static str),
}

/// Every command that documents name, but this project's own.
const COMMANDS: &[(&str, Proof)] = &[
    // Another port than the usual, which may be taken.
    (
        "cargo run --release --features std --example echo",
        Proof::Prints(&["--", "127.0.0.1:0"], "quit\n", "served 0 connections"),
    ),
    (
        "cargo run --release --features std --example echo -- [ADDR]",
        Proof::Prints(&["127.0.0.1:0"], "quit\n", "listening on 127.0.0.1:"),
    ),
    (
        "cargo run --release --features std --example executor -- [--echo ADDR] [--http ADDR]",
        Proof::Prints(&["--echo", "127.0.0.1:0"], "quit\n", "http listens on "),
    ),
    (
        "cargo run --release --features std --example workers -- [--exclusive] [ADDR]",
        Proof::Prints(&["--exclusive"], "quit\n", "worker 0 served 0 connections"),
    ),
    ("cargo run --example stdin -- edge", Proof::Prints(&[], "one\ntwo\n", "one\ntwo\n")),
    ("cargo run --example wakeup", Proof::Prints(&[], "", "the queue is shut down after 3 jobs")),
    ("cargo run --release -p bare-cat", Proof::Prints(&[], "as it is", "as it is")),
    ("cargo +nightly build --release --target x86_64-unknown-linux-none", Proof::EndsWell),
    // With an emulator and a `core` that not every machine has in its place.
    ("cargo +nightly run --release --target s390x-unknown-linux-gnu", Proof::By("cat")),
    ("cargo run --release --target s390x-unknown-linux-gnu", Proof::By("cat")),
    ("cargo test --target aarch64-unknown-linux-gnu", Proof::By("std")),
    ("cargo +nightly test -Zbuild-std --target mips64el-unknown-linux-gnuabi64", Proof::By("std")),
    ("cargo test", Proof::By("test")),
    ("cargo test --features std", Proof::By("test")),
    ("cargo build --release -p barepoll-c", Proof::By("c")),
    // By `.ci/run`, and the last by a full test too.
    ("cargo check --workspace", Proof::By("test")),
    ("cargo clippy --workspace", Proof::By("test")),
    ("cargo test --workspace", Proof::By("test")),
    ("cargo publish", Proof::By("package")),
    // In a copy of what the guide without libc begins with.
    ("cargo run --release", Proof::By("package")),
];

/// What shows that a command of this project's own works.
enum Own {
    /// A full test calls this function, which is the command or does the same for a shorter time.
    In(&'static str),
    /// Run with these words, it prints that, however it ends.
    Prints(&'static str, &'static str),
}

/// Every command of this project's own, by the words that it begins with; the longer before the shorter.
const OWN: &[(&str, Own)] = &[
    ("", Own::Prints("", "The project's own commands")),
    ("test --list", Own::Prints("test --list", "qemu-s390x")),
    ("test --kernel", Own::In("kernels::run_all")),
    ("test --target", Own::In("emulated::run_all")),
    ("test", Own::In("native::tests")),
    ("table", Own::In("README.check")),
    ("asm", Own::In("asm::run_checks")),
    ("headers", Own::In("headers::run_checks")),
    ("clobbers", Own::In("clobbers::check")),
    ("symbols", Own::In("symbols::check")),
    ("broken", Own::In("broken::run_checks")),
    ("answers", Own::In("answers::run_checks")),
    ("memory", Own::In("memory::run_checks")),
    ("coverage", Own::In("coverage::run_checks")),
    ("mutants", Own::In("mutants::run_checks")),
    ("fuzz", Own::In("fuzz::run_checks")),
    ("soak", Own::In("soak::run_checks")),
    // By its own tests, which are xtask's.
    ("new-port", Own::In("native::tests")),
    // What is missing on this machine is no fault of a document's.
    ("doctor", Own::Prints("doctor", "rustup")),
    ("bench instructions", Own::In("bench::instructions")),
    ("bench build", Own::In("bench::cold_build")),
    ("bench size", Own::In("size::run_checks")),
    ("bench", Own::In("wall::run_checks")),
    ("proof", Own::Prints("proof model --cases 10", "random histories")),
    ("cat", Own::In("cat::run_checks")),
    ("serve", Own::In("serve::run_checks")),
    ("minimum", Own::In("minimum::run_checks")),
    ("everywhere", Own::In("everywhere::run_checks")),
    ("std", Own::In("std_emulated::run_checks")),
    ("c", Own::In("drop_in::run_checks")),
    ("musl", Own::In("musl::run_checks")),
    ("package", Own::In("package::run_checks")),
    ("supply", Own::In("supply::run_checks")),
    ("documents", Own::In("documents::run_checks")),
];

/// What a full test does.
const FULL_TEST: &str = include_str!("test.rs");

/// The tables of the guide to testing, by their names.
fn tables_of_testing() -> [(&'static str, String); 2] {
    [("toolchains", toolchains::table()), ("boards", boards())]
}

/// `cargo xtask documents`
pub fn run_alone(options: &Options) -> Result<(), String> {
    if options.write {
        for (name, table) in tables_of_testing() {
            let changed = TESTING.write(name, &table)?;
            println!("the table of {name} {}", if changed { "is new" } else { "was right" });
        }
        return Ok(());
    }
    toolchain::ensure_nightly_with_source()?;
    let passed = run_checks(&Progress::new(), &cross::open_cache()?)?;
    println!("{passed} passed");
    Ok(())
}

/// How many commands and tables are right.
pub fn run_checks(progress: &Progress, cache: &Cache) -> Result<usize, String> {
    let answer = progress.checks("documents", |job| all(cache, |what| job.at(what)));
    answer.map_err(|why| format!("documents: {why}"))
}

fn all(cache: &Cache, at: impl Fn(&str)) -> Result<usize, String> {
    at("what they name");
    let mut tables = toolchains::check(cache)?;
    for (name, table) in tables_of_testing() {
        tables += TESTING.check(name, &table, "cargo xtask documents --write")?;
    }
    let mut named = BTreeSet::new();
    for path in documents()? {
        let document = path.display();
        let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {document}: {error}"))?;
        for command in commands(&text) {
            known(&command).map_err(|why| format!("{document} names `{command}`: {why}"))?;
            named.insert(command);
        }
    }
    for (command, proof) in COMMANDS {
        if !named.contains(*command) {
            return Err(format!("no document names `{command}` any more"));
        }
        at(command);
        prove(cache, command, proof).map_err(|why| format!("`{command}`: {why}"))?;
    }
    for command in Arguments::command().get_subcommands() {
        shown(command.get_name())?;
    }
    for (command, proof) in OWN {
        if let Own::Prints(words, _) = proof {
            at(format!("cargo xtask {words}").trim_end());
        }
        prove_own(proof).map_err(|why| format!("`cargo xtask {command}`: {why}"))?;
    }
    Ok(tables + named.len())
}

/// The commands of cargo's in a text: lines of a shell's code, and what stands between backticks.
fn commands(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut fence = None;
    for line in text.lines() {
        let line = line.trim_start_matches("//!").trim();
        if let Some(language) = line.strip_prefix("```") {
            fence = if fence.is_some() { None } else { Some(language) };
        } else if fence == Some("sh") {
            found.push(line);
        } else if fence.is_none() {
            found.extend(line.split('`').skip(1).step_by(2));
        }
    }
    let command = |code: &&str| {
        // What comes before is another program's, and a comment's after.
        let start = code.find("cargo ").filter(|start| *start == 0 || code[..*start].ends_with("| "))?;
        Some(code[start..].split(" #").next()?.trim().to_string())
    };
    found.iter().filter_map(command).collect()
}

/// It stands in the table, or is one of this project's, with arguments that it takes.
fn known(command: &str) -> Result<(), String> {
    if COMMANDS.iter().any(|(known, _)| *known == command) {
        return Ok(());
    }
    let Some(words) = command.strip_prefix("cargo xtask") else {
        return Err("nothing is known to run it (see xtask/src/documents.rs)".into());
    };
    known_of_own(words.trim())
}

/// These are words that this program takes, and something shows that it does what they say. Without any it prints what there is.
fn known_of_own(words: &str) -> Result<(), String> {
    match Arguments::try_parse_from(["xtask"].into_iter().chain(words.split_whitespace())) {
        Err(_) if words.is_empty() => shown(words),
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Err("it does nothing but say what may follow".into())
        }
        Err(error) if error.use_stderr() => Err(error.to_string()),
        _ => shown(words),
    }
}

fn shown(words: &str) -> Result<(), String> {
    let is_meant = |name: &str| words.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
    match OWN.iter().any(|(name, _)| is_meant(name)) {
        true => Ok(()),
        false => Err(format!("nothing is known to run `cargo xtask {words}` (see xtask/src/documents.rs)")),
    }
}

fn prove_own(proof: &Own) -> Result<(), String> {
    match proof {
        Own::In(function) if FULL_TEST.contains(&format!("{function}(")) => Ok(()),
        Own::In(function) => Err(format!("a full test does not call {function} any more")),
        Own::Prints(words, output) => {
            let printed = both(&capture(cargo().arg("xtask").args(words.split_whitespace()))?);
            match printed.contains(output) {
                true => Ok(()),
                false => Err(format!("it printed {printed:?} and not {output:?}")),
            }
        }
    }
}

fn prove(cache: &Cache, command: &str, proof: &Proof) -> Result<(), String> {
    let words: Vec<&str> = command.split_whitespace().skip(1).filter(|word| *word != "+nightly").collect();
    // What stands in brackets may be left out.
    let words = words.join(" ");
    let words = words.split(" [").next().unwrap_or_default().split(' ');
    match proof {
        Proof::By(xtask) => known_of_own(xtask),
        Proof::EndsWell => {
            let mut cargo = cargo_of("nightly");
            cargo.args(words).current_dir(root().join("examples/bare-cat"));
            cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
            run(cargo.env("CARGO_TARGET_DIR", cache.root().join("target"))).map(drop)
        }
        Proof::Prints(more, input, output) => {
            let printed = feed(cargo().args(words).args(*more), input)?;
            if printed.contains(output) {
                return Ok(());
            }
            Err(format!("it printed {printed:?} and not {output:?}"))
        }
    }
}

/// What a program prints that reads this from a pipe and ends well.
fn feed(command: &mut Command, input: &str) -> Result<String, String> {
    let says = |error: std::io::Error| format!("it does not run: {error}");
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(says)?;
    if let Some(mut pipe) = child.stdin.take() {
        // Who reads nothing may be gone already.
        let _ = pipe.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(says)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("it failed ({}):\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
}

fn boards() -> String {
    report::markdown(&["Debian's kernels", "emulator", "its words", "the kernel's line begins"], kernels::boards())
}
