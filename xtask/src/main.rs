//! The project's own commands: `cargo xtask COMMAND`.

mod asm;
mod bench;
mod conformance;
mod cpio;
mod cross;
mod debian;
mod emulated;
mod everywhere;
mod kernels;
mod minimum;
mod native;
mod progress;
mod readme;
mod report;
mod shell;
mod std_emulated;
mod targets;
mod test;
mod toolchain;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "The project's own commands")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the tests and print a table of what passed
    Test(test::Options),
    /// Write README's table of architectures from the last full test run
    Table,
    /// Compare the machine code of each call with the same by hand, for each port
    Asm(asm::Options),
    /// Measure barepoll beside its peers
    #[command(subcommand)]
    Bench(bench::What),
    /// Compile the crate with the oldest compiler it promises, Debian's rustc 1.63
    Minimum,
    /// Compile the crate for every target that rustc calls Linux, or see it refused with its reason
    Everywhere,
    /// Run the ordinary tests with std on other machines, under emulators
    Std,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Test(options) => test::run(&options),
        Command::Table => test::table(),
        Command::Asm(options) => asm::run_alone(&options),
        Command::Bench(what) => bench::run_alone(&what),
        Command::Minimum => minimum::run_alone(),
        Command::Everywhere => everywhere::run_alone(),
        Command::Std => std_emulated::run_alone(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}
