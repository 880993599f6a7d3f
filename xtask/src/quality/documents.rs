//! Checks the cargo commands that documents name, and the generated tables in them.
//!
//! Each command runs as the document says, or a step runs the same. An xtask command is a step of a
//! full test, or runs here.

use crate::kit::document::TESTING;
use crate::kit::progress::Job;
use crate::kit::report;
use crate::kit::shell::{both, capture, cargo, cargo_of, root, run, start};
use crate::machines::toolchains;
use crate::machines::{built, differences, kernels, not_linux};
use crate::step::{self, Evidence, Run, World};
use clap::error::ErrorKind;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

#[derive(clap::Args)]
pub struct Options {
    /// Write the generated tables of docs/testing.md instead of checking them
    #[arg(long)]
    write: bool,
}

/// The folders and file extensions of documents with commands: Markdown, and examples with
/// comments.
const DOCUMENTS: [(&str, &str); 9] = [
    (".", "md"),
    ("docs", "md"),
    ("barepoll-c", "md"),
    ("test-crates/bare", "md"),
    (".github/ISSUE_TEMPLATE", "md"),
    ("examples", "rs"),
    ("examples/executor", "rs"),
    ("examples/bare-cat/src", "rs"),
    ("examples/bare-echo/src", "rs"),
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

/// How a command is checked.
enum Check {
    /// With these more arguments and this input, its output contains the last text.
    Prints(&'static [&'static str], &'static str, &'static str),
    /// It succeeds in the folder of `bare-cat`.
    Succeeds,
    /// The step with this name runs it or a similar command.
    TestedBy(&'static str),
}

/// Every command that documents name, except xtask's.
const COMMANDS: &[(&str, Check)] = &[
    // The port is not the default one, which may be in use.
    (
        "cargo run --release --features std --example echo",
        Check::Prints(&["--", "127.0.0.1:0"], "quit\n", "served 0 connections"),
    ),
    (
        "cargo run --release --features std --example echo -- [ADDR]",
        Check::Prints(&["127.0.0.1:0"], "quit\n", "listening on 127.0.0.1:"),
    ),
    (
        "cargo run --release --features std --example executor -- [--echo ADDR] [--http ADDR]",
        Check::Prints(&["--echo", "127.0.0.1:0"], "quit\n", "http listens on "),
    ),
    (
        "cargo run --release --features std --example workers -- [--exclusive] [--http ADDR] [ADDR]",
        Check::Prints(&["--exclusive", "--http", "127.0.0.1:0"], "quit\n", "worker 0 served 0 connections"),
    ),
    ("cargo run --example stdin -- edge", Check::Prints(&[], "one\ntwo\n", "one\ntwo\n")),
    ("cargo run --example wakeup", Check::Prints(&[], "", "the queue is shut down after 3 jobs")),
    ("cargo run --release -p bare-cat", Check::Prints(&[], "as it is", "as it is")),
    ("cargo run --release -p bare-echo -- 127.0.0.1:7777", Check::TestedBy("bare-echo")),
    ("cargo +nightly build --release --target x86_64-unknown-linux-none", Check::Succeeds),
    // These need an emulator in PATH and a `core` that not every machine has.
    ("cargo +nightly run --release --target s390x-unknown-linux-gnu", Check::TestedBy("cat")),
    ("cargo run --release --target s390x-unknown-linux-gnu", Check::TestedBy("cat")),
    ("cargo test --target aarch64-unknown-linux-gnu", Check::TestedBy("with-std")),
    ("cargo +nightly test -Zbuild-std --target mips64el-unknown-linux-gnuabi64", Check::TestedBy("with-std")),
    ("cargo +nightly test -Zbuild-std --target x86_64-unknown-linux-gnu", Check::TestedBy("sanitizers")),
    // No registry has Miri. The step tests the code that it would interpret.
    ("cargo +nightly miri test", Check::TestedBy("miri-port")),
    ("cargo test", Check::TestedBy("native")),
    ("cargo test --test native wakeups", Check::TestedBy("native")),
    ("cargo test --test oracles", Check::TestedBy("native")),
    ("cargo test --features std", Check::TestedBy("native-std")),
    ("cargo build --release -p barepoll-c", Check::TestedBy("c")),
    // `.ci/run` runs these, and a full test runs the last.
    ("cargo check --workspace", Check::TestedBy("workspace")),
    ("cargo clippy --workspace", Check::TestedBy("workspace")),
    ("cargo test --workspace", Check::TestedBy("workspace")),
    ("cargo publish", Check::TestedBy("package")),
    // This runs in a copy of the program that docs/no-libc.md starts with.
    ("cargo run --release", Check::TestedBy("package")),
];

/// The names and contents of the generated tables in docs/testing.md.
fn testing_tables() -> [(&'static str, String); 5] {
    [
        ("toolchains", toolchains::table()),
        ("boards", boards()),
        ("built", built::table()),
        ("layers", not_linux::layers_table()),
        ("differences", differences::table()),
    ]
}

impl Run for Options {
    fn run(&self, world: &World) -> Result<(), String> {
        if self.write {
            for (name, table) in testing_tables() {
                let changed = TESTING.write(name, &table)?;
                report::say(format_args!(
                    "the table of {name} {}",
                    if changed { "has changed" } else { "is unchanged" }
                ));
            }
            return Ok(());
        }
        report::say(format_args!("{} passed", run_checks(world)?));
        Ok(())
    }
}

/// How many commands and tables are right.
pub fn run_checks(world: &World) -> Result<usize, String> {
    world.progress.checks("documents", |job| check_all(world, job))
}

fn check_all(world: &World, job: &Job) -> Result<usize, String> {
    job.at("tables and commands");
    let cache = world.cache()?;
    let mut tables = toolchains::check(cache)?;
    for (name, table) in testing_tables() {
        tables += TESTING.check(name, &table, "cargo xtask documents --write")?;
    }
    let mut named = BTreeSet::new();
    for path in documents()? {
        let document = path.display();
        let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {document}: {error}"))?;
        for command in commands(&text) {
            check_command(world, &command).map_err(|why| format!("{document} names `{command}`: {why}"))?;
            named.insert(command);
        }
    }
    for (command, check) in COMMANDS {
        if !named.contains(*command) {
            return Err(format!("no document names `{command}`; remove it from xtask/src/quality/documents.rs"));
        }
        job.at(command);
        run_check(world, command, check).map_err(|why| format!("`{command}`: {why}"))?;
    }
    let mut steps = 0;
    for step in world.steps {
        for evidence in step.evidence {
            check_evidence(world, job, evidence).map_err(|why| format!("`cargo xtask {}`: {why}", step.name))?;
        }
        if step.test.is_none() && step.evidence.is_empty() {
            return Err(format!("nothing tests `cargo xtask {}`; add evidence in xtask/src/steps.rs", step.name));
        }
        steps += step.evidence.len();
    }
    Ok(tables + named.len() + steps)
}

/// The cargo commands in a text: in shell code blocks and between backticks.
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
        // Another program may pipe into the command, and a comment may follow it.
        let start = code.find("cargo ").filter(|start| *start == 0 || code[..*start].ends_with("| "))?;
        Some(code[start..].split(" #").next()?.trim().to_string())
    };
    found.iter().filter_map(command).collect()
}

/// Checks that a command is in [`COMMANDS`], or is an xtask command with valid arguments.
fn check_command(world: &World, command: &str) -> Result<(), String> {
    if COMMANDS.iter().any(|(known, _)| *known == command) {
        return Ok(());
    }
    match command.strip_prefix("cargo xtask") {
        Some(arguments) => check_xtask_command(world, arguments.trim()),
        None => Err("no check runs this command; add one to xtask/src/quality/documents.rs".into()),
    }
}

/// Checks that xtask accepts these arguments, and that the steps in them exist. Without arguments,
/// xtask prints its help.
fn check_xtask_command(world: &World, arguments: &str) -> Result<(), String> {
    let answer = step::cli(world.steps).try_get_matches_from(["xtask"].into_iter().chain(arguments.split_whitespace()));
    match answer {
        Err(_) if arguments.is_empty() => Ok(()),
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Err("the command only prints its help; name a subcommand".into())
        }
        Err(error) if error.use_stderr() => Err(error.to_string()),
        _ => {
            let after_only = arguments.split_once("--only ").map(|(_, rest)| rest);
            let names = after_only.and_then(|rest| rest.split(' ').next()).unwrap_or_default();
            match names.split(',').find(|name| !name.is_empty() && !is_tested(world, name)) {
                Some(name) => Err(format!("there is no step {name} in a test")),
                None => Ok(()),
            }
        }
    }
}

/// Whether the step with this name is part of a test.
fn is_tested(world: &World, name: &str) -> bool {
    world.step(name).is_some_and(|step| step.test.is_some())
}

fn check_tested(world: &World, name: &str) -> Result<(), String> {
    is_tested(world, name).then_some(()).ok_or_else(|| format!("there is no step {name} in a test"))
}

fn check_printed(printed: &str, expected: &str) -> Result<(), String> {
    let failure = || format!("the output {printed:?} does not contain {expected:?}");
    printed.contains(expected).then_some(()).ok_or_else(failure)
}

fn check_evidence(world: &World, job: &Job, evidence: &Evidence) -> Result<(), String> {
    match evidence {
        Evidence::TestedBy(name) => check_tested(world, name),
        Evidence::Prints(arguments, expected) => {
            job.at(&format!("cargo xtask {arguments}"));
            let printed = both(&capture(cargo().arg("xtask").args(arguments.split_whitespace()))?);
            check_printed(&printed, expected)
        }
    }
}

fn run_check(world: &World, command: &str, check: &Check) -> Result<(), String> {
    let words: Vec<&str> = command.split_whitespace().skip(1).filter(|word| *word != "+nightly").collect();
    // Arguments in brackets are optional.
    let words = words.join(" ");
    let words = words.split(" [").next().unwrap_or_default().split(' ');
    match check {
        Check::TestedBy(step) => check_tested(world, step),
        Check::Succeeds => {
            let mut cargo = cargo_of("nightly");
            cargo.args(words).current_dir(root().join("examples/bare-cat"));
            cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
            run(cargo.env("CARGO_TARGET_DIR", world.cache()?.root().join("target"))).map(drop)
        }
        Check::Prints(more, input, expected) => {
            check_printed(&output_for_input(cargo().args(words).args(*more), input)?, expected)
        }
    }
}

/// Runs a program with this input in a pipe. Returns its standard output, or an error if it fails.
fn output_for_input(command: &mut Command, input: &str) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("cannot run the command: {error}");
    let mut child = start(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    if let Some(mut pipe) = child.stdin.take() {
        // A program that does not read its input may have ended.
        let _ = pipe.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("the command failed ({}):\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
}

fn boards() -> String {
    let header =
        ["Debian's kernels, or a kernel's name", "emulator", "its arguments", "the kernel command line begins with"];
    report::markdown(&header, kernels::boards())
}
