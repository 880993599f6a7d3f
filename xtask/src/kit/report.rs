//! Tables of results, and a description of this machine.

use crate::kit::shell::run;
use comfy_table::{presets, Table};
use std::io::Write;
use std::process::Command;

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
    // The reader of a pipe may have closed it.
    let _ = writeln!(std::io::stdout(), "\n{}\n", markdown(header, rows));
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
