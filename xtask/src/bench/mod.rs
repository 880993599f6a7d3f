//! Measures barepoll and its peers.

mod build;
mod instructions;
mod measured;
pub mod servers;
pub mod size;
pub mod wall;

pub use build::run_checks as cold_build;
pub use instructions::run_checks as instructions;
pub use measured::{Goal, Measured, Table};

use crate::kit::document::{PERFORMANCE, README};
use crate::kit::file;
use crate::kit::progress::Progress;
use crate::kit::report;
use crate::kit::shell::{cargo, run, target_dir};
use crate::step::{Run, World};
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::PathBuf;

#[derive(Subcommand)]
pub enum Benchmark {
    /// Count the user instructions of each call and its loop with valgrind
    Instructions(Output),
    /// Measure the CPU seconds, crates and build scripts of a cold release build
    Build(Output),
    /// Measure the size of the smallest static echo, with barepoll, with its peers, and for every
    /// target
    Size(Output),
    #[command(flatten)]
    Wall(wall::Benchmark),
    /// Load HTTP servers: the examples and their peers, on one processor and from the others
    Servers(servers::Options),
    /// Run all benchmarks, and list the machine and the goals
    Everything(Output),
    /// Run every scenario for a moment, only to check that it works
    Try,
}

#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    benchmark: Benchmark,
}

impl Run for Options {
    fn run(&self, world: &World) -> Result<(), String> {
        run_benchmark(world, &self.benchmark)
    }
}

/// Where to write the figures.
#[derive(Args)]
pub struct Output {
    /// Write the tables into their documents, and draw their charts
    #[arg(long)]
    write: bool,
    /// Write all figures as JSON to this file
    #[arg(long, value_name = "FILE", value_parser = file::writable)]
    json: Option<PathBuf>,
}

fn run_benchmark(world: &World, benchmark: &Benchmark) -> Result<(), String> {
    let progress = &world.progress;
    let mut measured = Measured::default();
    let (outcome, output) = match benchmark {
        Benchmark::Instructions(output) => (instructions::measure(progress, &mut measured), output),
        Benchmark::Build(output) => (build::measure(progress, &mut measured), output),
        Benchmark::Size(output) => (size::measure(progress, &mut measured), output),
        Benchmark::Wall(benchmark) => wall::measure(progress, &mut measured, benchmark),
        Benchmark::Servers(options) => (servers::measure(world, &mut measured, options), &options.output),
        Benchmark::Everything(output) => (everything(world, &mut measured), output),
        Benchmark::Try => return run_checks(progress).map(|figures| report::say(format_args!("{figures} figures"))),
    };
    if !matches!(benchmark, Benchmark::Everything(_)) && !measured.goals.is_empty() {
        measured.add_goals(false)?;
    }
    let wrong = match (benchmark, measured.wrong.as_slice()) {
        (Benchmark::Everything(_), _) | (_, []) => Ok(()), // its table of goals shows them
        (_, wrong) => Err(wrong.join("\n")),
    };
    outcome.and(measured.write(output)).and(wrong)
}

/// Runs every scenario, and some servers, for a moment.
pub fn run_checks(progress: &Progress) -> Result<usize, String> {
    Ok(wall::run_checks(progress)? + servers::run_checks(progress)?)
}

fn everything(world: &World, measured: &mut Measured) -> Result<(), String> {
    let progress = &world.progress;
    measured.add(machine());
    measured.part("instructions", |measured| instructions::measure(progress, measured));
    measured.part("cold builds", |measured| build::measure(progress, measured));
    measured.part("size", |measured| size::measure(progress, measured));
    for scenario in wall::all() {
        measured.part(&scenario.name(), |measured| wall::measure_scenario(progress, measured, scenario));
    }
    measured.part("servers", |measured| servers::measure_all(world, measured));
    measured.part("two numbers", two_numbers);
    measured.add_goals(true)?;
    match measured.failed.as_slice() {
        [] => Ok(()),
        failed => Err(failed.join("\n\n")),
    }
}

/// The table that describes this machine.
fn machine() -> Table {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let rows = [
        ("CPU", model.map_or("unknown".into(), |(_, model)| model.trim().to_string())),
        ("cores", report::processors()),
        ("kernel", report::kernel()),
        ("compiler", report::first_line("rustc", &["--version"])),
        ("C library", report::first_line("getconf", &["GNU_LIBC_VERSION"])),
        ("valgrind", report::first_line("valgrind", &["--version"])),
        ("day", report::today()),
    ];
    let text =
        report::markdown(&["this run", ""], rows.iter().map(|(name, value)| vec![name.to_string(), value.clone()]));
    let rows = rows.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    Table { name: "machine".into(), rows, text, chart: None, documents: &[PERFORMANCE] }
}

/// Adds README's summary of two figures.
fn two_numbers(measured: &mut Measured) -> Result<(), String> {
    let wait = measured.figure("call-wait-2", "libc", "ours")?;
    let calls = measured.figure("wakeup", "barepoll's Waker", "calls")?;
    let text = format!(
        "In a process of two threads, a wait takes **{wait:.2}** of the time that libc's takes; a wake-up, and the wait that it ends, are \
         **{calls:.0}** system calls."
    );
    let number = |name: &str, value: f64| json!({ "name": name, "value": value });
    let rows = json!([number("wait, to libc's", wait), number("calls of a wake-up", calls)]);
    measured.add(Table { name: "two numbers".into(), rows, text, chart: None, documents: &[README] });
    Ok(())
}

/// Builds the program that runs the measured code. With LTO, the flags apply to all code in it.
pub fn build_benches(profile: &str, flags: &[&str]) -> Result<PathBuf, String> {
    run(cargo().args(["rustc", "--profile", profile, "--locked", "-p", "benches", "--"]).args(flags))?;
    Ok(target_dir().join(profile).join("benches"))
}
