//! What the commands print, tables of results, and a description of this machine.

use crate::kit::shell::{end, run};
use comfy_table::{presets, Table};
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::process::Command;

/// Prints a line. Ends this process, and the programs that it started, if standard output is closed
/// or full.
pub fn say(line: impl Display) {
    if let Err(error) = writeln!(io::stdout(), "{line}") {
        cannot_print(&error);
    }
}

/// Prints a line on standard error. No place is left to report a failure.
pub fn note(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Ends this process. Like other command line tools, it says nothing if the reader of a pipe has
/// gone.
pub fn cannot_print(error: &io::Error) -> ! {
    if error.kind() == ErrorKind::BrokenPipe {
        end(141); // as a shell reports a program that SIGPIPE killed
    }
    note(format_args!("error: cannot write to standard output: {error}; redirect it to another place"));
    end(1)
}

/// The first line that a program prints, or "unknown" if it fails.
pub fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = run(Command::new(program).args(arguments));
    output.ok().and_then(|text| Some(text.lines().next()?.trim().to_string())).unwrap_or_else(|| "unknown".into())
}

/// The running kernel's release.
pub fn kernel() -> String {
    first_line("uname", &["-r"])
}

/// The number of processors that this program may use.
pub fn processors() -> String {
    std::thread::available_parallelism().map_or("unknown".into(), |processors| processors.to_string())
}

/// The date, in UTC.
pub fn today() -> String {
    first_line("date", &["--utc", "+%F"])
}

/// The machine and the date of a measurement.
pub fn machine() -> String {
    format!("Linux {}, {}, {} processors, {}", kernel(), std::env::consts::ARCH, processors(), today())
}

pub fn print(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    say(format_args!("\n{}\n", markdown(header, rows)));
}

/// A table with a name and a figure in each row.
pub fn figures<T: Into<String>>(title: &str, rows: impl IntoIterator<Item = [T; 2]>) -> String {
    markdown(&[title, "figure"], rows.into_iter().map(|row| row.map(Into::into).to_vec()))
}

pub fn markdown(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN).set_header(header.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::shell::capture;
    use rustix::stdio::dup2_stdout;
    use std::fs::File;

    /// Standard output in a process that runs a test of this module.
    const OUTPUT: &str = "BAREPOLL_TEST_OUTPUT";

    #[test]
    fn the_end_of_standard_output_is_no_panic() {
        if let Ok(output) = std::env::var(OUTPUT) {
            let (_, closed) = io::pipe().expect("a pipe");
            let file = File::options().write(true).open(output);
            let redirected = file.map_or_else(|_| dup2_stdout(&closed), |file| dup2_stdout(&file));
            redirected.expect("standard output");
            say("a line");
            panic!("the process goes on");
        }
        let full = "error: cannot write to standard output: No space left on device (os error 28); \
                    redirect it to another place\n";
        for (output, status, message) in [("/dev/full", 1, full), ("a closed pipe", 141, "")] {
            let mut process = Command::new(std::env::current_exe().expect("a path"));
            process.args(["--exact", "kit::report::tests::the_end_of_standard_output_is_no_panic"]);
            let ended = capture(process.env(OUTPUT, output)).expect("it starts");
            assert_eq!((ended.status.code(), &*String::from_utf8_lossy(&ended.stderr)), (Some(status), message));
        }
    }
}
