//! A step: what one command does, and what it is in a test. The table of all steps is `steps.rs`.

use crate::debian::Cache;
use crate::kit::progress::Progress;
use crate::kit::tool::{Tool, NIGHTLY};
use crate::machines::cross;
use crate::machines::emulated::Doubts;
use crate::machines::kernels::Kernel;
use crate::machines::nightly;
use crate::machines::results::Results;
use crate::machines::targets::Target;
use clap::{ArgMatches, Args};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// A row of the table of steps.
pub struct Step {
    /// `cargo xtask NAME`, where it has a command, and `cargo xtask test --only NAME`, where it is part of a test.
    pub name: &'static str,
    /// What it does, for `--help`.
    pub about: &'static str,
    pub command: Command,
    pub test: Option<Test>,
    /// What shows that the command does what documents say of it, where it is no part of a test.
    pub shown: &'static [Shown],
    pub needs: &'static [&'static Tool],
}

/// The command of a step.
pub enum Command {
    /// There is none: `cargo xtask test --only NAME` runs the step.
    None,
    /// It runs what a test runs, and prints how much passed.
    Plain,
    /// It has options of its own.
    With(Own),
}

/// A command with options.
pub struct Own {
    pub add_options: fn(clap::Command) -> clap::Command,
    pub run: fn(&ArgMatches, &World) -> Result<(), String>,
}

/// The options of a command, which runs with them.
pub trait Run: Args {
    fn run(&self, world: &World) -> Result<(), String>;
}

impl Command {
    pub const fn with<T: Run>() -> Self {
        Self::With(Own {
            add_options: T::augment_args,
            run: |matches, world| T::from_arg_matches(matches).map_err(|error| error.to_string())?.run(world),
        })
    }
}

/// What a step is in a test.
pub struct Test {
    /// What the closing table calls it.
    pub title: &'static str,
    pub tier: Tier,
    /// What is counted, as `passed` or `programs`.
    pub counts: &'static str,
    /// Where it builds. Steps that build in the same place run one after another.
    pub builds: &'static [Place],
    /// The files that decide what comes of a long proof: while they are as they were when it passed on this machine, it is not
    /// repeated. Every other step has none, and always runs.
    pub proves: &'static [&'static str],
    /// Gives how many passed.
    pub check: fn(&World) -> Result<usize, String>,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Tier {
    /// Any Linux with a Rust toolchain runs it: `cargo xtask test`.
    Here,
    /// It needs Debian, root or downloads: `cargo xtask test --everywhere`.
    Everywhere,
}

/// Where a step builds.
#[derive(Clone, Copy, PartialEq)]
pub enum Place {
    /// `target/` of the repository.
    Native,
    /// The cache, for machines without a C toolchain.
    Cross,
    /// The cache, with std.
    Std,
    /// `target/coverage`, where the fuzzer builds too.
    Coverage,
}

/// What shows that a command works.
pub enum Shown {
    /// A test runs this step, which does the same.
    By(&'static str),
    /// With these words it prints this text.
    Prints(&'static str, &'static str),
}

/// What every step is given.
pub struct World {
    pub steps: &'static [Step],
    pub progress: Progress,
    /// What of the conformance list is to run, and how often.
    pub targets: Vec<&'static Target>,
    pub kernels: Vec<&'static Kernel>,
    pub doubts: Doubts,
    results: Mutex<Results>,
    cache: OnceLock<Cache>,
    is_opening: Mutex<()>,
}

impl World {
    /// Everything, once.
    pub fn new(steps: &'static [Step]) -> Self {
        Self {
            steps,
            progress: Progress::new(),
            targets: crate::machines::targets::TARGETS.iter().collect(),
            kernels: crate::machines::kernels::KERNELS.iter().collect(),
            doubts: Doubts::default(),
            results: Mutex::default(),
            cache: OnceLock::new(),
            is_opening: Mutex::default(),
        }
    }

    /// The cache of downloads and of what was compiled for other machines.
    pub fn cache(&self) -> Result<&Cache, String> {
        let _one_at_a_time = self.is_opening.lock().unwrap_or_else(PoisonError::into_inner);
        if self.cache.get().is_none() {
            let _ = self.cache.set(cross::open_cache()?);
        }
        self.cache.get().ok_or_else(|| "the cache is not open".into())
    }

    pub fn results(&self) -> MutexGuard<'_, Results> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn step(&self, name: &str) -> Option<&'static Step> {
        self.steps.iter().find(|step| step.name == name)
    }
}

impl Step {
    /// Makes sure of what it needs.
    pub fn prepare(&self) -> Result<(), String> {
        self.needs.iter().try_for_each(|tool| tool.ensure())?;
        let needs_nightly = self.needs.iter().any(|tool| std::ptr::eq(*tool, &NIGHTLY));
        if needs_nightly {
            nightly::ensure_nightly_with_source()
        } else {
            Ok(())
        }
    }

    /// The command that repeats it alone.
    pub fn repeat(&self) -> String {
        match self.command {
            Command::Plain => format!("cargo xtask {}", self.name),
            _ => format!("cargo xtask test --only {}", self.name),
        }
    }
}

/// The command line, of all these steps.
pub fn cli(steps: &'static [Step]) -> clap::Command {
    let cli = clap::Command::new("cargo xtask")
        .bin_name("cargo xtask")
        .about("The project's own commands")
        .subcommand_required(true)
        .arg_required_else_help(true);
    steps.iter().fold(cli, |cli, step| {
        let command = clap::Command::new(step.name);
        match &step.command {
            Command::None => cli,
            Command::Plain => cli.subcommand(command.about(step.about)),
            Command::With(own) => cli.subcommand((own.add_options)(command).about(step.about)),
        }
    })
}

/// Runs the command that was asked for.
pub fn run(world: &World, matches: &ArgMatches) -> Result<(), String> {
    let (name, matches) = matches.subcommand().ok_or("no command was given")?;
    let step = world.step(name).ok_or_else(|| format!("there is no command {name}"))?;
    if let Command::With(own) = &step.command {
        step.prepare()?;
        return (own.run)(matches, world);
    }
    let test = step.test.as_ref().ok_or_else(|| format!("{name} does nothing"))?;
    step.prepare()?;
    println!("{} {}", (test.check)(world)?, test.counts);
    Ok(())
}

/// How long a command is to go on, in minutes: from a second to a week.
pub fn minutes(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(minutes) if (1.0 / 60.0..=7.0 * 24.0 * 60.0).contains(&minutes) => Ok(minutes),
        _ => Err("a number of minutes, from 0.02 (a second) to 10080 (a week)".into()),
    }
}
