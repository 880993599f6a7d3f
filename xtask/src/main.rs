//! The project's own commands: `cargo xtask COMMAND`.

mod answers;
mod asm;
mod bench;
mod broken;
mod cat;
mod chart;
mod clobbers;
mod conformance;
mod coverage;
mod cpio;
mod cross;
mod debian;
mod doctor;
mod documents;
mod drop_in;
mod emulated;
mod everywhere;
mod fuzz;
mod headers;
mod kernels;
mod memory;
mod minimum;
mod musl;
mod mutants;
mod native;
mod new_port;
mod package;
#[path = "../../tests/support/ports.rs"]
mod ports;
mod progress;
mod proof;
mod report;
mod serve;
mod shell;
mod size;
mod soak;
mod std_emulated;
mod supply;
mod symbols;
mod tables;
mod targets;
mod test;
mod toolchain;
mod toolchains;
mod tools;
mod wall;

use crate::ports::arch; // where the ports look for what they share
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
    Table {
        /// Files of `test --json` to write it from instead
        from: Vec<std::path::PathBuf>,
    },
    /// Compare the machine code of each call with the same by hand, for each port
    Asm(asm::Options),
    /// Compare every port with the kernel's own headers, by a C compiler
    Headers,
    /// Check that each port's trap names every register that a kernel destroys
    Clobbers(clobbers::Options),
    /// Link every public function into a program that does not link if one can panic, for every target of stable Rust
    Symbols(symbols::Options),
    /// Answer the crate's calls as no kernel of this machine would, and kill for those that Android kills for
    Answers,
    /// Run tests under valgrind, which sees bytes that are read and nobody wrote
    Memory,
    /// Count the lines of `src/` that the native tests run
    Coverage(coverage::Options),
    /// Change `src/` in one place at a time, and see that a test fails
    Mutants(mutants::Options),
    /// Make ports wrong in a copy, and see that a check fails
    Broken(broken::Options),
    /// Let libFuzzer think of histories: against the model of the kernel, and against libc
    Fuzz(fuzz::Options),
    /// Keep the echo server busy for a long time, and see that it stays as it was
    Soak(soak::Options),
    /// Write the file of a new port, its lines and its row, and say what is left to do
    NewPort(new_port::Options),
    /// Say which tools the commands need, which of them are here, and what gets the others
    Doctor,
    /// Measure barepoll beside its peers
    #[command(subcommand)]
    Bench(bench::What),
    /// Count what the tests of random histories try, in docs/proof.md
    Proof(proof::Options),
    /// Run `bare-cat`, the example without libc, on every kind of stream, here and for other machines
    Cat,
    /// Serve HTTP with the example runtime, to curl and wrk
    Serve,
    /// Compile the crate with the oldest compiler it promises, Debian's rustc 1.63
    Minimum,
    /// Compile the crate for every target that rustc calls Linux, or see it refused with its reason
    Everywhere,
    /// Run the ordinary tests with std on other machines, under emulators
    Std,
    /// Run C's functions on barepoll: checks in C, CPython's own tests, a Redis server under load
    C,
    /// Build a static program with std and musl that uses barepoll and musl's epoll, and run it here and under emulators
    Musl,
    /// Make the package that crates.io would get: its files, its build by itself, its documentation as docs.rs builds it
    Package,
    /// Check what the crate brings with it: crates, licenses, sources; and whether its interface is still what it was
    Supply(supply::Options),
    /// Run the commands that documents name, and check the tables in them that come from this project's own
    Documents(documents::Options),
}

/// How long a command is to go on, in minutes: from a second to a week.
fn minutes(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(minutes) if (1.0 / 60.0..=7.0 * 24.0 * 60.0).contains(&minutes) => Ok(minutes),
        _ => Err("a number of minutes, from 0.02 (a second) to 10080 (a week)".into()),
    }
}

fn main() -> ExitCode {
    if let Err(error) = ctrlc::set_handler(shell::interrupt) {
        eprintln!("Ctrl-C will leave programs behind: {error}");
    }
    let outcome = match Arguments::parse().command {
        Command::Test(options) => test::run(&options),
        Command::Table { from } => test::table(&from),
        Command::Asm(options) => asm::run_alone(&options),
        Command::Headers => headers::run_alone(),
        Command::Clobbers(options) => clobbers::run_alone(&options),
        Command::Symbols(options) => symbols::run_alone(&options),
        Command::Answers => cross::run_alone(answers::run_checks),
        Command::Memory => memory::run_alone(),
        Command::Coverage(options) => coverage::run_alone(&options),
        Command::Mutants(options) => mutants::run_alone(&options),
        Command::Broken(options) => broken::run_alone(&options),
        Command::Fuzz(options) => fuzz::run_alone(&options),
        Command::Soak(options) => soak::run_alone(&options),
        Command::NewPort(options) => new_port::run_alone(&options),
        Command::Doctor => doctor::run_alone(),
        Command::Bench(what) => bench::run_alone(&what),
        Command::Proof(options) => proof::run_alone(&options),
        Command::Cat => cat::run_alone(),
        Command::Serve => serve::run_alone(),
        Command::Minimum => minimum::run_alone(),
        Command::Everywhere => everywhere::run_alone(),
        Command::Std => cross::run_alone(std_emulated::run_checks),
        Command::C => cross::run_alone(drop_in::run_checks),
        Command::Musl => cross::run_alone(musl::run_checks),
        Command::Package => cross::run_alone(package::run_checks),
        Command::Supply(options) => supply::run_alone(&options),
        Command::Documents(options) => documents::run_alone(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}
