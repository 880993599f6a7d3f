//! The table that a run ends in, and what it was run on.

use crate::kit::shell::run;
use comfy_table::{presets, Table};
use std::io::Write;
use std::process::Command;

/// The first line that a program says, or that it cannot be asked.
pub fn said(program: &str, arguments: &[&str]) -> String {
    let output = run(Command::new(program).args(arguments));
    output.ok().and_then(|text| Some(text.lines().next()?.trim().to_string())).unwrap_or_else(|| "unknown".into())
}

/// The running kernel's release.
pub fn kernel() -> String {
    said("uname", &["-r"])
}

/// How many processors this program may use.
pub fn processors() -> String {
    std::thread::available_parallelism().map_or("unknown".into(), |processors| processors.to_string())
}

/// Today.
pub fn day() -> String {
    said("date", &["--utc", "+%F"])
}

/// Where and when something was measured, in a few words.
pub fn machine() -> String {
    format!("Linux {}, {}, {} processors, {}", kernel(), std::env::consts::ARCH, processors(), day())
}

pub fn print(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    // Who reads it may have seen enough.
    let _ = writeln!(std::io::stdout(), "\n{}\n", markdown(header, rows));
}

/// A table of what was measured: a name and a figure each.
pub fn figures<T: Into<String>>(what: &str, rows: impl IntoIterator<Item = [T; 2]>) -> String {
    markdown(&[what, "figure"], rows.into_iter().map(|row| row.map(Into::into).to_vec()))
}

pub fn markdown(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN).set_header(header.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    table.to_string()
}
