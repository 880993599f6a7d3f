//! `cargo xtask test`: everything that decides whether a change is right.

use crate::progress::Progress;
use crate::{asm, bench, minimum, native, ports, report, toolchain};
use clap::Args;
use std::time::Instant;

#[derive(Args)]
pub struct Options {
    /// Only what runs on this machine, natively
    #[arg(long)]
    quick: bool,
}

pub fn run(options: &Options) -> Result<(), String> {
    let progress = Progress::new();
    let mut rows = Vec::new();
    let mut failures = Vec::new();
    let mut step = |name: &str, work: &dyn Fn() -> Result<usize, String>| {
        let start = Instant::now();
        let outcome = work();
        let result = match &outcome {
            Ok(passed) => format!("{passed} passed"),
            Err(_) => "FAILED".into(),
        };
        rows.push(vec![name.to_string(), result, format!("{:.1}", start.elapsed().as_secs_f32())]);
        failures.extend(outcome.err());
    };

    step("native", &|| native::test(&progress, "native", &[]));
    step("native, feature std", &|| native::test(&progress, "native, feature std", &["--features", "std"]));
    if !options.quick {
        step("instructions a call", &|| bench::instructions(&progress));
        step("oldest compiler", &|| minimum::run_checks(&progress));
        step("ports and refusals", &|| {
            toolchain::ensure_nightly_with_source()?;
            ports::compile(&progress)
        });
        step("machine code", &|| asm::compare(&progress, ports::TARGETS, false));
    }

    report::print(&["what", "result", "seconds"], rows);
    if failures.is_empty() {
        Ok(())
    } else {
        Err(failures.join("\n\n"))
    }
}
