//! Measures barepoll beside its peers.

mod build;
mod instructions;
mod measured;
pub mod size;
pub mod wall;

pub use build::run_checks as cold_build;
pub use instructions::run_checks as instructions;
pub use measured::{Goal, Measured, Table};

use crate::kit::document::{PERFORMANCE, README};
use crate::kit::progress::Progress;
use crate::kit::report;
use crate::kit::shell::{cargo, run, target};

use crate::step::{Run, World};
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::PathBuf;

#[derive(Subcommand)]
pub enum What {
    /// User instructions a call, loop included, counted by valgrind
    Instructions(Sink),
    /// CPU seconds of a cold release build, and the crates and build scripts in it
    Build(Sink),
    /// Bytes of the smallest static echo, beside its peers' and for every target
    Size(Sink),
    /// Wall time of ways to do the same, beside each other
    #[command(flatten)]
    Wall(wall::What),
    /// All of these; and what they ran on, and which goals they reach
    Everything(Sink),
    /// Try every scenario for a moment: that it works is all that this shows
    Try,
}

#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

impl Run for Options {
    fn run(&self, world: &World) -> Result<(), String> {
        run_alone(&world.progress, &self.what)
    }
}

/// Where the figures go.
#[derive(Args)]
pub struct Sink {
    /// Write the tables into their documents, and draw their charts, too
    #[arg(long)]
    write: bool,
    /// Write everything that was measured to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn run_alone(progress: &Progress, what: &What) -> Result<(), String> {
    let mut measured = Measured::default();
    let (outcome, options) = match what {
        What::Instructions(options) => (instructions::measure(progress, &mut measured), options),
        What::Build(options) => (build::measure(progress, &mut measured), options),
        What::Size(options) => (size::measure(progress, &mut measured), options),
        What::Wall(what) => wall::measure(progress, &mut measured, what),
        What::Everything(options) => (everything(progress, &mut measured), options),
        What::Try => return wall::run_checks(progress).map(|figures| println!("{figures} figures")),
    };
    if !matches!(what, What::Everything(_)) && !measured.goals.is_empty() {
        measured.add_goals(&[]); // of this part alone: the document's are of one run
    }
    let wrong = match (what, measured.wrong.as_slice()) {
        (What::Everything(_), _) | (_, []) => Ok(()), // there, it is a goal that is missed
        (_, wrong) => Err(wrong.join("\n")),
    };
    outcome.and(measured.keep(options)).and(wrong)
}

fn everything(progress: &Progress, measured: &mut Measured) -> Result<(), String> {
    measured.add(machine());
    measured.part("instructions", |measured| instructions::measure(progress, measured));
    measured.part("cold builds", |measured| build::measure(progress, measured));
    measured.part("size", |measured| size::measure(progress, measured));
    for scenario in wall::all() {
        measured.part(&scenario.name(), |measured| wall::one(progress, measured, scenario));
    }
    measured.part("three numbers", three_numbers);
    measured.add_goals(&[PERFORMANCE]);
    match measured.failed.as_slice() {
        [] => Ok(()),
        failed => Err(failed.join("\n\n")),
    }
}

/// What the run was on.
fn machine() -> Table {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let rows = [
        ("CPU", model.map_or("unknown".into(), |(_, model)| model.trim().to_string())),
        ("cores", report::processors()),
        ("kernel", report::kernel()),
        ("compiler", report::said("rustc", &["--version"])),
        ("C library", report::said("getconf", &["GNU_LIBC_VERSION"])),
        ("valgrind", report::said("valgrind", &["--version"])),
        ("day", report::day()),
    ];
    let text =
        report::markdown(&["this run", ""], rows.iter().map(|(name, value)| vec![name.to_string(), value.clone()]));
    let rows = rows.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    Table { name: "machine".into(), rows, text, chart: None, documents: &[PERFORMANCE] }
}

/// What README says of it all.
fn three_numbers(measured: &mut Measured) -> Result<(), String> {
    let wait = measured.figure("call-wait-2", "libc", "ours")?;
    let calls = measured.figure("wakeup", "barepoll's Waker", "calls")?;
    let bytes = measured.figure("size", "barepoll", "file")?;
    let text = format!(
        "In a process of two threads, a wait takes **{wait:.2}** of the time that libc's takes; a wake-up, and the wait that it ends, are \
         **{calls:.0}** system calls; the static echo is **{bytes}** bytes."
    );
    let number = |name: &str, value: f64| json!({ "name": name, "value": value });
    let rows = json!([number("wait, to libc's", wait), number("calls of a wake-up", calls), number("bytes", bytes)]);
    measured.add(Table { name: "three numbers".into(), rows, text, chart: None, documents: &[README] });
    Ok(())
}

/// The program that does what is measured. The flags are its own: with LTO, they are for all that is compiled into it.
pub fn build_benches(profile: &str, flags: &[&str]) -> Result<PathBuf, String> {
    run(cargo().args(["rustc", "--profile", profile, "--locked", "-p", "benches", "--"]).args(flags))?;
    Ok(target().join(profile).join("benches"))
}
