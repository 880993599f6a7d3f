//! The commands of cargo's that documents name: each is run as it stands there, or is one that another command of this project runs; this
//! project's own are steps of a full test, or are run. And the tables in documents that come from this project's own.

use crate::kit::document::TESTING;
use crate::kit::report;
use crate::kit::shell::{both, capture, cargo, cargo_of, root, run};
use crate::machines::kernels;
use crate::machines::toolchains;
use crate::step::{self, Run, Shown, World};
use clap::error::ErrorKind;
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
    /// This step runs it, or the like of it.
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
    ("cargo test --target aarch64-unknown-linux-gnu", Proof::By("with-std")),
    ("cargo +nightly test -Zbuild-std --target mips64el-unknown-linux-gnuabi64", Proof::By("with-std")),
    ("cargo test", Proof::By("native")),
    ("cargo test --test native wakeups", Proof::By("native")),
    ("cargo test --features std", Proof::By("native-std")),
    ("cargo build --release -p barepoll-c", Proof::By("c")),
    // By `.ci/run`, and the last by a full test too.
    ("cargo check --workspace", Proof::By("workspace")),
    ("cargo clippy --workspace", Proof::By("workspace")),
    ("cargo test --workspace", Proof::By("workspace")),
    ("cargo publish", Proof::By("package")),
    // In a copy of what the guide without libc begins with.
    ("cargo run --release", Proof::By("package")),
];

/// The tables of the guide to testing, by their names.
fn tables_of_testing() -> [(&'static str, String); 2] {
    [("toolchains", toolchains::table()), ("boards", boards())]
}

/// `cargo xtask documents`
impl Run for Options {
    fn run(&self, world: &World) -> Result<(), String> {
        if self.write {
            for (name, table) in tables_of_testing() {
                let changed = TESTING.write(name, &table)?;
                println!("the table of {name} {}", if changed { "is new" } else { "was right" });
            }
            return Ok(());
        }
        println!("{} passed", run_checks(world)?);
        Ok(())
    }
}

/// How many commands and tables are right.
pub fn run_checks(world: &World) -> Result<usize, String> {
    world.progress.checks("documents", |job| all(world, |what| job.at(what)))
}

fn all(world: &World, at: impl Fn(&str)) -> Result<usize, String> {
    at("what they name");
    let cache = world.cache()?;
    let mut tables = toolchains::check(cache)?;
    for (name, table) in tables_of_testing() {
        tables += TESTING.check(name, &table, "cargo xtask documents --write")?;
    }
    let mut named = BTreeSet::new();
    for path in documents()? {
        let document = path.display();
        let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {document}: {error}"))?;
        for command in commands(&text) {
            known(world, &command).map_err(|why| format!("{document} names `{command}`: {why}"))?;
            named.insert(command);
        }
    }
    for (command, proof) in COMMANDS {
        if !named.contains(*command) {
            return Err(format!("no document names `{command}` any more"));
        }
        at(command);
        prove(world, command, proof).map_err(|why| format!("`{command}`: {why}"))?;
    }
    let mut steps = 0;
    for step in world.steps {
        let shown = step.shown.iter().map(|shown| prove_own(world, shown, &at)).collect::<Result<Vec<()>, _>>();
        let is_shown = shown.map_err(|why| format!("`cargo xtask {}`: {why}", step.name))?;
        if step.test.is_none() && is_shown.is_empty() {
            return Err(format!("nothing shows that `cargo xtask {}` works (see xtask/src/steps.rs)", step.name));
        }
        steps += is_shown.len();
    }
    Ok(tables + named.len() + steps)
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
fn known(world: &World, command: &str) -> Result<(), String> {
    if COMMANDS.iter().any(|(known, _)| *known == command) {
        return Ok(());
    }
    match command.strip_prefix("cargo xtask") {
        Some(words) => known_of_own(world, words.trim()),
        None => Err("nothing is known to run it (see xtask/src/quality/documents.rs)".into()),
    }
}

/// These are words that this program takes, and the steps that they name are there. Without any, it prints what there is.
fn known_of_own(world: &World, words: &str) -> Result<(), String> {
    let answer = step::cli(world.steps).try_get_matches_from(["xtask"].into_iter().chain(words.split_whitespace()));
    match answer {
        Err(_) if words.is_empty() => Ok(()),
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            Err("it does nothing but say what may follow".into())
        }
        Err(error) if error.use_stderr() => Err(error.to_string()),
        _ => {
            let only = words.split_once("--only ").map_or("", |(_, rest)| rest.split(' ').next().unwrap_or_default());
            let is_there = |name: &str| world.step(name).is_some_and(|step| step.test.is_some());
            match only.split(',').find(|name| !name.is_empty() && !is_there(name)) {
                Some(name) => Err(format!("no step is called {name}")),
                None => Ok(()),
            }
        }
    }
}

fn prove_own(world: &World, shown: &Shown, at: impl Fn(&str)) -> Result<(), String> {
    match shown {
        Shown::By(name) => match world.step(name).is_some_and(|step| step.test.is_some()) {
            true => Ok(()),
            false => Err(format!("no test runs {name}")),
        },
        Shown::Prints(words, output) => {
            at(&format!("cargo xtask {words}"));
            let printed = both(&capture(cargo().arg("xtask").args(words.split_whitespace()))?);
            match printed.contains(output) {
                true => Ok(()),
                false => Err(format!("it printed {printed:?} and not {output:?}")),
            }
        }
    }
}

fn prove(world: &World, command: &str, proof: &Proof) -> Result<(), String> {
    let words: Vec<&str> = command.split_whitespace().skip(1).filter(|word| *word != "+nightly").collect();
    // What stands in brackets may be left out.
    let words = words.join(" ");
    let words = words.split(" [").next().unwrap_or_default().split(' ');
    match proof {
        Proof::By(step) => prove_own(world, &Shown::By(step), |_| {}),
        Proof::EndsWell => {
            let mut cargo = cargo_of("nightly");
            cargo.args(words).current_dir(root().join("examples/bare-cat"));
            cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
            run(cargo.env("CARGO_TARGET_DIR", world.cache()?.root().join("target"))).map(drop)
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
