//! `cargo xtask table`: the tables that a whole test run is the source of.

use crate::debian::Cache;
use crate::kit::document::{CONTRIBUTING, README};
use crate::kit::report;
use crate::machines::conformance::Run as Checked;
use crate::machines::kernels;
use crate::machines::targets::{short, TARGETS};
use crate::step::{Run, Tier, World};
use crate::test::{last_run, needs, Summary};
use clap::Args;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// README's table of what was proved.
pub const ARCHITECTURES: &str = "architectures";
/// CONTRIBUTING's table of what a test takes.
pub const STEPS: &str = "steps";

#[derive(Args)]
pub struct Options {
    /// Files of `test --json` to write README's table from, instead of the last whole run
    from: Vec<PathBuf>,
}

impl Run for Options {
    fn run(&self, world: &World) -> Result<(), String> {
        let says = |changed| if changed { "is new" } else { "was right" };
        let mut runs = Vec::new();
        for file in &self.from {
            runs.extend(Summary::read(file)?.into_runs());
        }
        if self.from.is_empty() {
            let last = Summary::read(&last_run())?;
            let changed = CONTRIBUTING.write(STEPS, &steps(world, &last)?)?;
            println!("CONTRIBUTING.md: the table of steps {}", says(changed));
            runs = last.into_runs();
        }
        let changed = README.write(ARCHITECTURES, &architectures(&runs))?;
        println!("README.md: the table of architectures {}", says(changed));
        Ok(())
    }
}

/// What each step took, and all of them.
fn steps(world: &World, last: &Summary) -> Result<String, String> {
    let row = |step: &crate::step::Step| {
        let test = step.test.as_ref()?;
        let outcome = last.steps.iter().find(|outcome| outcome.what == test.title)?;
        let tier = if test.tier == Tier::Here { "`test`" } else { "`test --everywhere`" };
        let seconds = format!("{:.0}", outcome.seconds);
        Some(vec![format!("`{}`", step.name), test.title.into(), tier.into(), needs(step), seconds])
    };
    let fetched = Cache::open()?.fetched() as f64 / 1e6;
    let machine = format!("{} processors", report::processors());
    let all = vec![
        "all".into(),
        format!("{fetched:.0} MB of Debian's packages"),
        String::new(),
        machine,
        format!("{:.0}", last.seconds),
    ];
    let rows = world.steps.iter().filter_map(row).chain([all]);
    Ok(report::markdown(&["`--only`", "step", "in", "needs", "seconds"], rows))
}

/// What a run proved, a row an architecture. No version of a package stands in it: those change from day to day.
pub fn architectures(runs: &[Checked]) -> String {
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
        push(&mut row.targets, short(target.name).to_string() + if target.stable { "" } else { " (nightly)" });
        for run in runs.iter().filter(|run| run.target == target.name) {
            push(&mut row.machines, run.machine.clone());
            match kernels::of(&run.on) {
                Some(kernel) => push(&mut row.kernels, kernel.into()),
                None => push(&mut row.emulated, run.summary()),
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

fn push(list: &mut Vec<String>, item: String) {
    if !list.contains(&item) {
        list.push(item);
    }
}
