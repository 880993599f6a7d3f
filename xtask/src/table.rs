//! `cargo xtask table`: writes the tables that come from a full test run.

use crate::debian::Cache;
use crate::kit::document::{CONTRIBUTING, README};
use crate::kit::report;
use crate::machines::conformance::Run as Checked;
use crate::machines::kernels;
use crate::machines::targets::{short, TARGETS};
use crate::machines::worst;
use crate::step::{Run, Tier, World};
use crate::test::{last_run, needed_tools, Summary};
use clap::Args;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// README's table of tested architectures.
pub const ARCHITECTURES: &str = "architectures";
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
        let mut runs = Vec::new();
        for file in &self.from {
            runs.extend(Summary::read(file)?.into_runs());
        }
        if self.from.is_empty() {
            let last = Summary::read(&last_run())?;
            let changed = CONTRIBUTING.write(STEPS, &steps_table(world, &last)?)?;
            println!("CONTRIBUTING.md: the table of steps {}", state(changed));
            runs = last.into_runs();
        }
        let changed = README.write(ARCHITECTURES, &architectures_table(&runs))?;
        println!("README.md: the table of architectures {}", state(changed));
        Ok(())
    }
}

/// A row for each step, and one for the whole test.
fn steps_table(world: &World, last: &Summary) -> Result<String, String> {
    let row = |step: &crate::step::Step| {
        let test = step.test.as_ref()?;
        let outcome = last.steps.iter().find(|outcome| outcome.title == test.title)?;
        let tier = if test.tier == Tier::Here { "`test`" } else { "`test --everywhere`" };
        let seconds = format!("{:.0}", outcome.seconds);
        Some(vec![format!("`{}`", step.name), test.title.into(), tier.into(), needed_tools(step), seconds])
    };
    // A warm cache downloads less, so the table keeps the larger figure.
    let before = CONTRIBUTING.table(STEPS)?.get("all").and_then(|row| row["step"].split(' ').next()?.parse().ok());
    let downloaded = (Cache::open()?.fetched() as f64 / 1e6).max(before.unwrap_or_default());
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
pub fn architectures_table(runs: &[Checked]) -> String {
    #[derive(Default)]
    struct Row {
        targets: Vec<String>,
        machines: Vec<String>,
        emulated: Vec<String>,
        kernels: Vec<String>,
    }
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let mut order: Vec<String> = Vec::new();
    for target in TARGETS {
        let port = target.port();
        if !rows.contains_key(&port) {
            order.push(port.clone());
        }
        let row = rows.entry(port).or_default();
        push_new(&mut row.targets, short(target.name).to_string() + if target.stable { "" } else { " (nightly)" });
        for run in runs.iter().filter(|run| run.target == target.name && run.on != worst::ON) {
            push_new(&mut row.machines, run.machine.clone());
            match kernels::kernel_name(&run.on) {
                Some(kernel) => push_new(&mut row.kernels, kernel.into()),
                None => push_new(&mut row.emulated, run.summary()),
            }
        }
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
            or(&row.kernels, "–"),
        ])
    });
    let header = ["port", "targets", "machine", "checks under qemu-user, old and new", "real kernels, all checks"];
    report::markdown(&header, cells)
}

/// Appends an item that the list does not contain.
fn push_new(list: &mut Vec<String>, item: String) {
    if !list.contains(&item) {
        list.push(item);
    }
}
