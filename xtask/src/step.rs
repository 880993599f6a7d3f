//! A step: a command, a part of a test, or both. The table of all steps is `steps.rs`.

use crate::debian::Cache;
use crate::kit::progress::Progress;
use crate::kit::report;
use crate::kit::tool::{Tool, NIGHTLY};
use crate::machines::cross;
use crate::machines::emulated::Stress;
use crate::machines::kernels::Kernel;
use crate::machines::nightly;
use crate::machines::results::Results;
use crate::machines::targets::Target;
use clap::{ArgMatches, Args};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// A row of the table of steps.
pub struct Step {
    /// A command is called `cargo xtask NAME`, a part of a test `cargo xtask test --only NAME`.
    pub name: &'static str,
    /// The description for `--help`.
    pub about: &'static str,
    pub command: Command,
    pub test: Option<Test>,
    /// For a command that is not part of a test: evidence that it works.
    pub evidence: &'static [Evidence],
    pub needs: &'static [&'static Tool],
}

/// The command of a step.
pub enum Command {
    /// The step has no command: `cargo xtask test --only NAME` runs it.
    None,
    /// The command runs the step's test, and prints how many checks passed.
    Plain,
    WithOptions(CommandWithOptions),
}

/// A command with options.
pub struct CommandWithOptions {
    pub add_options: fn(clap::Command) -> clap::Command,
    pub run: fn(&ArgMatches, &World) -> Result<(), String>,
}

/// The options of a command.
pub trait Run: Args {
    fn run(&self, world: &World) -> Result<(), String>;
}

impl Command {
    pub const fn with<T: Run>() -> Self {
        Self::WithOptions(CommandWithOptions {
            add_options: T::augment_args,
            run: |matches, world| T::from_arg_matches(matches).map_err(|error| error.to_string())?.run(world),
        })
    }
}

/// A step as part of a test.
pub struct Test {
    /// The step's name in the table of results.
    pub title: &'static str,
    pub tier: Tier,
    /// The unit of the count that `check` returns, such as `passed` or `programs`.
    pub unit: &'static str,
    /// The places where it builds. Steps that build in the same place run one after another.
    pub builds: &'static [Place],
    /// The paths, or starts of paths, of all files that a long proof depends on.
    ///
    /// The proof runs again only if one of these files has changed since it passed on this machine.
    /// If empty, the step always runs.
    pub proof_inputs: &'static [&'static str],
    /// Returns how many checks passed.
    pub check: fn(&World) -> Result<usize, String>,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Tier {
    /// A step of `cargo xtask test`, which any Linux with a Rust toolchain can run.
    Here,
    /// A step of `cargo xtask test --everywhere`. It may need Debian, root or downloads.
    Everywhere,
}

/// Where a step builds.
#[derive(Clone, Copy, PartialEq)]
pub enum Place {
    /// The repository's `target/`.
    Native,
    /// The cache, for other machines without std.
    Cross,
    /// The cache, for other machines with std.
    Std,
    /// `target/coverage`, which the fuzzer uses too.
    Coverage,
}

/// Evidence that a command works.
pub enum Evidence {
    /// A test runs the step with this name, which does the same.
    TestedBy(&'static str),
    /// `cargo xtask` with the first text as its arguments prints the second.
    Prints(&'static str, &'static str),
}

/// The state and settings that all steps share.
pub struct World {
    pub steps: &'static [Step],
    pub progress: Progress,
    /// The targets and kernels that the conformance list runs on.
    pub targets: Vec<&'static Target>,
    pub kernels: Vec<&'static Kernel>,
    pub stress: Stress,
    results: Mutex<Results>,
    cache: OnceLock<Cache>,
    opening: Mutex<()>,
}

impl World {
    /// All targets and kernels, each once.
    pub fn new(steps: &'static [Step]) -> Self {
        Self {
            steps,
            progress: Progress::new(),
            targets: crate::machines::targets::TARGETS.iter().collect(),
            kernels: crate::machines::kernels::KERNELS.iter().collect(),
            stress: Stress::default(),
            results: Mutex::default(),
            cache: OnceLock::new(),
            opening: Mutex::default(),
        }
    }

    /// The cache of downloads and of code compiled for other machines.
    pub fn cache(&self) -> Result<&Cache, String> {
        let _one_at_a_time = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if self.cache.get().is_none() {
            let _ = self.cache.set(cross::open_cache()?);
        }
        self.cache.get().ok_or_else(|| "the cache did not open".into())
    }

    pub fn results(&self) -> MutexGuard<'_, Results> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn step(&self, name: &str) -> Option<&'static Step> {
        self.steps.iter().find(|step| step.name == name)
    }
}

impl Step {
    /// Ensures that the step's tools are installed. Steps run in parallel, but neither apt nor rustup
    /// installs for two at once.
    pub fn prepare(&self) -> Result<(), String> {
        static INSTALLING: Mutex<()> = Mutex::new(());
        let _one_at_a_time = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
        let is_nightly = |tool: &&&Tool| std::ptr::eq(**tool, &NIGHTLY);
        self.needs.iter().filter(|tool| !is_nightly(tool)).try_for_each(|tool| tool.ensure())?;
        if self.needs.iter().any(|tool| is_nightly(&tool)) {
            nightly::ensure_nightly_with_source()
        } else {
            Ok(())
        }
    }

    /// The command that repeats this step alone.
    pub fn repeat(&self) -> String {
        match self.command {
            Command::Plain => format!("cargo xtask {}", self.name),
            _ => format!("cargo xtask test --only {}", self.name),
        }
    }
}

/// The command line with the commands of all these steps.
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
            Command::WithOptions(options) => cli.subcommand((options.add_options)(command).about(step.about)),
        }
    })
}

/// Runs the command on the command line.
pub fn run(world: &World, matches: &ArgMatches) -> Result<(), String> {
    let (name, matches) = matches.subcommand().ok_or("the command is missing; `cargo xtask --help` lists them")?;
    let step =
        world.step(name).ok_or_else(|| format!("there is no command {name}; `cargo xtask --help` lists them"))?;
    if let Command::WithOptions(command) = &step.command {
        step.prepare()?;
        return (command.run)(matches, world);
    }
    let test = step.test.as_ref().ok_or_else(|| format!("{name} has no test to run; fix its row in steps.rs"))?;
    step.prepare()?;
    report::say(format_args!("{} {}", (test.check)(world)?, test.unit));
    Ok(())
}

/// Parses a duration in minutes, from a second to a week.
pub fn minutes(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(minutes) if (1.0 / 60.0..=7.0 * 24.0 * 60.0).contains(&minutes) => Ok(minutes),
        _ => Err("expected a number of minutes from 0.02 (a second) to 10080 (a week)".into()),
    }
}
