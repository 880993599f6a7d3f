//! `cargo xtask proof`: runs randomised tests at length and prints the figures that they count.
//! Each measurement has its own table in docs/proof.md.

use crate::kit::document::PROOF;
use crate::kit::progress::Progress;
use crate::kit::report;
use crate::kit::shell::{cargo, run};
use crate::step::{Run, World};
use clap::Args;
use serde::Deserialize;

#[derive(Args)]
pub struct Options {
    /// The measurements to run; all if none is given
    #[arg(value_parser = MEASUREMENTS.map(|measurement| measurement.name))]
    names: Vec<String>,
    /// The number of random cases of `model`, `threads` and `peers`; by default as many as take about a minute
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    cases: Option<u32>,
    /// The time of `faults`' storm of signals in seconds; by default a minute
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: Option<u32>,
    /// Write the tables into docs/proof.md
    #[arg(long)]
    write: bool,
}

/// A test that writes figures into the file that `BAREPOLL_FIGURES` names.
struct Measurement {
    /// The name of the measurement and its table.
    name: &'static str,
    /// The test's file.
    test: &'static str,
    amount: Amount,
}

/// The default length of a measurement.
enum Amount {
    Cases(u32),
    Seconds(u32),
}

impl Amount {
    /// The option for the length, the test's variable for it, and its value.
    fn setting(&self, options: &Options) -> (&'static str, &'static str, u32) {
        match *self {
            Self::Cases(usual) => ("--cases", "BAREPOLL_CASES", options.cases.unwrap_or(usual)),
            Self::Seconds(usual) => ("--seconds", "BAREPOLL_STORM_SECONDS", options.seconds.unwrap_or(usual)),
        }
    }
}

const MEASUREMENTS: [Measurement; 4] = [
    Measurement { name: "model", test: "histories", amount: Amount::Cases(40_000) },
    Measurement { name: "threads", test: "histories_with_threads", amount: Amount::Cases(100_000) },
    Measurement { name: "peers", test: "peers", amount: Amount::Cases(30_000) },
    Measurement { name: "faults", test: "faults", amount: Amount::Seconds(60) },
];

/// A line in the file of figures: a count, or percentiles.
#[derive(Deserialize)]
struct Figure {
    /// The measurement's name, if the test's file has several.
    measurement: Option<String>,
    /// The name of the figure.
    what: String,
    /// The variant, if there are several figures with this name.
    which: Option<String>,
    /// The count.
    n: Option<f64>,
    /// Percentiles and their values.
    percentiles: Option<Vec<(u64, f64)>>,
}

impl Run for Options {
    fn run(&self, world: &World) -> Result<(), String> {
        let progress = &world.progress;
        let is_selected = |name| self.names.is_empty() || self.names.iter().any(|selected| selected == name);
        for measurement in MEASUREMENTS.iter().filter(|measurement| is_selected(measurement.name)) {
            let (option, variable, amount) = measurement.amount.setting(self);
            let figures = measure(progress, measurement, variable, amount)?;
            let command = format!("`cargo xtask proof {} {option} {amount}`", measurement.name);
            let table = table(&figures, &command);
            report::say(format_args!("\n{table}\n"));
            if self.write {
                PROOF.write(measurement.name, &table)?;
            }
        }
        Ok(())
    }
}

fn measure(progress: &Progress, measurement: &Measurement, variable: &str, amount: u32) -> Result<Vec<Figure>, String> {
    let job = progress.job(measurement.name);
    job.at("building and running");
    let file = tempfile::NamedTempFile::new().map_err(|error| format!("cannot create a temporary file: {error}"))?;
    let mut test = cargo();
    test.args(["test", "--release", "--locked", "--test", measurement.test]);
    test.env("BAREPOLL_FIGURES", file.path()).env(variable, amount.to_string());
    let outcome = run(&mut test);
    job.done(if outcome.is_ok() { "measured" } else { "FAILED" });
    outcome?;
    let text = std::fs::read_to_string(file.path()).map_err(|error| format!("cannot read the figures: {error}"))?;
    let figures: Result<Vec<Figure>, _> = text.lines().map(serde_json::from_str).collect();
    let mut figures = figures.map_err(|error| format!("cannot parse the figures of {}: {error}", measurement.test))?;
    figures.retain(|figure| figure.measurement.as_ref().is_none_or(|name| name == measurement.name));
    if figures.is_empty() {
        return Err(format!("{} wrote no figures for {}", measurement.test, measurement.name));
    }
    Ok(figures)
}

/// A row for each figure, with counts of the same name added up, after rows for the command and the
/// machine.
fn table(figures: &[Figure], command: &str) -> String {
    let mut rows: Vec<(String, f64, Option<String>)> = Vec::new();
    for figure in figures {
        let several = figure.percentiles.as_ref().map(|percentiles| {
            let each = percentiles.iter().map(|(percent, n)| format!("{percent} %: {}", grouped(*n as u64)));
            each.collect::<Vec<_>>().join("; ")
        });
        let name = figure.which.as_ref().map_or(figure.what.clone(), |which| format!("{}: {which}", figure.what));
        match rows.iter_mut().find(|(row, _, text)| *row == name && text.is_none()) {
            Some((_, n, _)) => *n += figure.n.unwrap_or_default(),
            None => rows.push((name, figure.n.unwrap_or_default(), several)),
        }
    }
    let setup = [["command".into(), command.into()], ["on".into(), report::machine()]];
    let figures = rows.into_iter().map(|(name, n, several)| [name, several.unwrap_or_else(|| grouped(n as u64))]);
    report::figures("what", setup.into_iter().chain(figures))
}

/// Formats a number with a comma between groups of three digits.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
