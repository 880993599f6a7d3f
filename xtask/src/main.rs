//! The project's own commands: `cargo xtask COMMAND`.

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
use crate::kit::shell;
use crate::step::World;
use crate::steps::STEPS;
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Err(error) = ctrlc::set_handler(shell::interrupt) {
        eprintln!("warning: Ctrl-C will leave child processes running: {error}");
    }
    let matches = step::cli(STEPS).get_matches();
    match step::run(&World::new(STEPS), &matches) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
