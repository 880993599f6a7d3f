//! `cargo xtask proof`: how much was tried, in figures that the tests themselves count. Each measurement has its own table in
//! docs/proof.md.

use crate::progress::Progress;
use crate::report;
use crate::shell::{cargo, run};
use crate::tables::PROOF;
use clap::Args;
use serde::Deserialize;

#[derive(Args)]
pub struct Options {
    /// Only these measurements
    #[arg(value_parser = MEASUREMENTS.map(|measurement| measurement.name))]
    names: Vec<String>,
    /// Random cases of each, or seconds of the storm, instead of as many as take about a minute
    #[arg(long)]
    cases: Option<u32>,
    /// Write the tables into docs/proof.md too
    #[arg(long)]
    write: bool,
}

/// A test that counts what it tries, and reports it where `BAREPOLL_FIGURES` is set.
struct Measurement {
    /// The name of its table, too.
    name: &'static str,
    /// The test's file.
    test: &'static str,
    cases: u32,
    /// The variable that tells the test how many.
    variable: &'static str,
}

const fn measurement(name: &'static str, test: &'static str, cases: u32) -> Measurement {
    Measurement { name, test, cases, variable: "BAREPOLL_CASES" }
}

const MEASUREMENTS: [Measurement; 3] = [
    measurement("model", "histories", 40_000),
    measurement("peers", "peers", 30_000),
    Measurement { variable: "BAREPOLL_STORM_SECONDS", ..measurement("faults", "faults", 60) },
];

/// A line that a test reports: a count, or quartiles.
#[derive(Deserialize)]
struct Figure {
    /// Where a test has several.
    measurement: Option<String>,
    what: String,
    /// Of what there is more than one.
    which: Option<String>,
    n: Option<f64>,
    /// The least, the quartiles and the most, in microseconds.
    us: Option<[f64; 5]>,
}

pub fn run_alone(options: &Options) -> Result<(), String> {
    let progress = Progress::new();
    let is_asked = |name| options.names.is_empty() || options.names.iter().any(|asked| asked == name);
    for measurement in MEASUREMENTS.iter().filter(|measurement| is_asked(measurement.name)) {
        let cases = options.cases.unwrap_or(measurement.cases);
        let table = table(&measure(&progress, measurement, cases)?, &command(measurement, cases));
        println!("\n{table}\n");
        if options.write {
            PROOF.write(measurement.name, &table)?;
        }
    }
    Ok(())
}

fn command(measurement: &Measurement, cases: u32) -> String {
    format!("`cargo xtask proof {} --cases {cases}`", measurement.name)
}

fn measure(progress: &Progress, measurement: &Measurement, cases: u32) -> Result<Vec<Figure>, String> {
    let job = progress.job(measurement.name);
    job.at("building and running");
    let file = tempfile::NamedTempFile::new().map_err(|error| format!("no temporary file: {error}"))?;
    let mut test = cargo();
    test.args(["test", "--release", "--locked", "--test", measurement.test]);
    test.env("BAREPOLL_FIGURES", file.path()).env(measurement.variable, cases.to_string());
    let outcome = run(&mut test);
    job.done(if outcome.is_ok() { "measured" } else { "FAILED" });
    outcome?;
    let text = std::fs::read_to_string(file.path()).map_err(|error| format!("cannot read the figures: {error}"))?;
    let figures: Result<Vec<Figure>, _> = text.lines().map(serde_json::from_str).collect();
    let mut figures = figures.map_err(|error| format!("{} reported no figures: {error}", measurement.test))?;
    figures.retain(|figure| figure.measurement.as_ref().is_none_or(|name| name == measurement.name));
    if figures.is_empty() {
        return Err(format!("{} reported no figures of {}", measurement.test, measurement.name));
    }
    Ok(figures)
}

/// A row a figure, what is of the same name added up; the command stands in the first.
fn table(figures: &[Figure], command: &str) -> String {
    let mut rows: Vec<(String, f64, Option<String>)> = Vec::new();
    for figure in figures {
        let quartiles = figure.us.map(|us| {
            let ms = us[4] / 1000.0;
            format!("{:.0} – {:.0} – {:.0} µs, {ms:.0} ms at most", us[1], us[2], us[3])
        });
        let name = figure.which.as_ref().map_or(figure.what.clone(), |which| format!("{}: {which}", figure.what));
        match rows.iter_mut().find(|(row, _, text)| *row == name && text.is_none()) {
            Some((_, n, _)) => *n += figure.n.unwrap_or_default(),
            None => rows.push((name, figure.n.unwrap_or_default(), quartiles)),
        }
    }
    let rows = rows.into_iter().enumerate().map(|(place, (name, n, quartiles))| {
        let command = if place == 0 { command } else { "" };
        vec![name, quartiles.unwrap_or_else(|| grouped(n as u64)), command.into()]
    });
    report::markdown(&["what", "figure", "command"], rows)
}

/// A number with a comma before each three digits.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
