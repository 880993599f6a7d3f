//! `cargo xtask table`: writes the tables that come from a full test run.

use crate::debian::Cache;
use crate::kit::document::{CONTRIBUTING, README};
use crate::kit::report;
use crate::machines::kernels::{self, KERNELS};
use crate::machines::results::Results;
use crate::machines::targets::{short, TARGETS};
use crate::machines::{not_linux, worst};
use crate::step::{Run, Tier, World};
use crate::test::{last_run, needed_tools, Summary};
use clap::Args;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// README's table of tested architectures.
pub const ARCHITECTURES: &str = "architectures";
/// Its column of kernels.
const KERNELS_COLUMN: &str = "real kernels, all checks";
/// CONTRIBUTING's table of the steps of a test, with their times.
pub const STEPS: &str = "steps";

#[derive(Args)]
pub struct Options {
    /// Result files of `test --json` for README's table, instead of the last full run
    from: Vec<PathBuf>,
}

impl Run for Options {
    fn run(&self, world: &World) -> Result<(), String> {
        let state = |changed| if changed { "has changed" } else { "is unchanged" };
        let mut results = Results::default();
        for file in &self.from {
            results.runs.extend(Summary::read(file)?.results.runs);
        }
        if self.from.is_empty() {
            let last = Summary::read(&last_run())?;
            let changed = CONTRIBUTING.write(STEPS, &steps_table(world, &last)?)?;
            report::say(format_args!("CONTRIBUTING.md: the table of steps {}", state(changed)));
            results = last.results;
        }
        let changed = README.write(ARCHITECTURES, &architectures_table(&results)?)?;
        report::say(format_args!("README.md: the table of architectures {}", state(changed)));
        Ok(())
    }
}

/// A row for each step, and one for the whole test.
fn steps_table(world: &World, last: &Summary) -> Result<String, String> {
    let before = CONTRIBUTING.table(STEPS)?;
    let row = |step: &crate::step::Step| {
        let test = step.test.as_ref()?;
        let outcome = last.steps.iter().find(|outcome| outcome.title == test.title)?;
        let tier = if test.tier == Tier::Here { "`test`" } else { "`test --everywhere`" };
        // A proof that did not run keeps the time of the last one that did.
        let kept = before.get(&format!("`{}`", step.name)).and_then(|row| row.get("seconds"));
        let seconds = kept.filter(|_| outcome.is_earlier).cloned();
        let seconds = seconds.unwrap_or_else(|| format!("{:.0}", outcome.seconds));
        Some(vec![format!("`{}`", step.name), test.title.into(), tier.into(), needed_tools(step), seconds])
    };
    // A warm cache downloads less, so the table keeps the larger figure.
    let kept = before.get("all").and_then(|row| row["step"].split(' ').next()?.parse().ok());
    let downloaded = (Cache::open()?.fetched() as f64 / 1e6).max(kept.unwrap_or_default());
    let machine = format!("{} processors", report::processors());
    let all = vec![
        "all".into(),
        format!("{downloaded:.0} MB of Debian's packages"),
        String::new(),
        machine,
        format!("{:.0}", last.seconds),
    ];
    let rows = world.steps.iter().filter_map(row).chain([all]);
    Ok(report::markdown(&["`--only`", "step", "in", "needs", "seconds"], rows))
}

/// A row for each architecture. It has no package versions, because those change from day to day.
///
/// It keeps what README says of the kernels that there was no time to build.
pub fn architectures_table(results: &Results) -> Result<String, String> {
    #[derive(Default)]
    struct Row {
        targets: Vec<String>,
        machines: Vec<String>,
        emulated: Vec<String>,
        worst: Vec<String>,
        kernels: Vec<String>,
        layers: Vec<String>,
    }
    let before = README.table(ARCHITECTURES)?;
    let is_in_readme = |port: &str, kernel: &str| {
        let kernels = before.get(&format!("`{port}`")).and_then(|row| row.get(KERNELS_COLUMN));
        kernels.is_some_and(|kernels| kernels.split(", ").any(|other| other == kernel))
    };
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let mut order: Vec<String> = Vec::new();
    for target in TARGETS {
        let port = target.port();
        if !rows.contains_key(&port) {
            order.push(port.clone());
        }
        let row = rows.entry(port.clone()).or_default();
        push_new(&mut row.targets, short(target.name).to_string() + if target.stable { "" } else { " (nightly)" });
        let runs = || results.runs.iter().filter(|run| run.target == target.name);
        for run in runs() {
            if run.on == worst::ON {
                // No count: how many of the emulator's known faults show depends on its speed.
                let outcome = if run.failed().next().is_none() { "passed" } else { "FAILED" };
                push_new(&mut row.worst, outcome.into());
            } else if not_linux::is_layer(&run.on) {
                push_new(&mut row.layers, not_linux::with_differences(&run.on));
            } else {
                push_new(&mut row.machines, run.machine.clone());
                if kernels::kernel_name(&run.on).is_none() {
                    push_new(&mut row.emulated, run.summary());
                }
            }
        }
        for kernel in KERNELS {
            let ran = runs().any(|run| kernels::kernel_name(&run.on) == Some(kernel.name));
            let kept = || {
                results.not_built.iter().any(|name| name == kernel.name)
                    && kernel.targets.contains(&target.name)
                    && is_in_readme(&port, kernel.name)
            };
            if ran || kept() {
                push_new(&mut row.kernels, kernel.name.into());
            }
        }
        // User-mode Linux is in no table of boards.
        runs().filter_map(|run| kernels::kernel_name(&run.on)).for_each(|name| push_new(&mut row.kernels, name.into()));
    }
    let cells = order.iter().filter_map(|port| {
        let row = rows.get(port)?;
        let or = |list: &[String], none: &str| if list.is_empty() { none.to_string() } else { list.join(", ") };
        let machines = row.machines.join("; ");
        Some(vec![
            format!("`{port}`"),
            row.targets.join(", "),
            if machines.is_empty() { "asserted when it compiles".into() } else { machines },
            or(&row.emulated, "–"),
            or(&row.worst, worst::nothing_to_destroy(port).unwrap_or("–")),
            or(&row.kernels, "–"),
            or(&row.layers, "x86_64 only"),
        ])
    });
    let header = ["port", "targets", "machine", "qemu-user, old and new", "worst kernel", KERNELS_COLUMN, "not Linux"];
    Ok(report::markdown(&header, cells))
}

/// Appends an item that the list does not contain.
fn push_new(list: &mut Vec<String>, item: String) {
    if !list.contains(&item) {
        list.push(item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_that_did_not_run_keeps_its_time() {
        let step = |title, is_earlier| {
            let json = serde_json::json!({ "title": title, "unit": "", "seconds": 0.1, "is_earlier": is_earlier });
            serde_json::from_value(json).expect("an outcome")
        };
        let steps = vec![step("broken on purpose", true), step("mutants of one file", false)];
        let last = Summary { steps, ..Summary::default() };
        let table = steps_table(&World::new(crate::steps::STEPS), &last).expect("a table");
        let seconds = |name: &str| {
            let row = table.lines().find(|line| line.contains(name)).expect("a row");
            row.trim_end_matches([' ', '|']).rsplit(' ').next().map(String::from)
        };
        let before = CONTRIBUTING.table(STEPS).expect("it is there");
        assert_eq!(seconds("`broken`").as_ref(), before["`broken`"].get("seconds"));
        assert_eq!(seconds("`mutants`").as_deref(), Some("0"));
    }
}
