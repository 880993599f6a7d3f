//! The project's own commands: `cargo xtask COMMAND`.

// These panic if the stream is closed or full. `kit::report` prints.
#![deny(clippy::print_stdout, clippy::print_stderr)]

#[path = "../../tests/support/ports.rs"]
mod all_ports;
mod bench;
mod debian;
mod kit;
mod machines;
mod ports;
mod programs;
mod proved;
mod quality;
mod release;
mod step;
mod steps;
mod table;
mod test;

use crate::all_ports::arch; // the ports' modules import it by this path
use crate::kit::report;
use crate::kit::shell;
use crate::step::World;
use crate::steps::STEPS;
use std::process::ExitCode;

fn main() -> ExitCode {
    shell::end_programs_on_interrupt();
    let matches = step::cli(STEPS).try_get_matches().unwrap_or_else(|error| {
        if let Err(error) = error.print() {
            report::cannot_print(&error);
        }
        std::process::exit(error.exit_code());
    });
    let outcome = step::run(&World::new(STEPS), &matches);
    // The programs that an interrupt ends have failed. It ends this process.
    let _not_interrupted = shell::not_interrupted();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::note(format_args!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}
