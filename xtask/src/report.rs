//! The table that a run ends in, and what it was run on.

use crate::shell::run;
use comfy_table::{presets, Table};
use std::io::Write;
use std::process::Command;

/// Where and when something was measured, in a few words.
pub fn machine() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let day = run(Command::new("date").args(["--utc", "+%F"])).unwrap_or_default();
    format!("Linux {}, {}, {processors} processors, {}", release.trim(), std::env::consts::ARCH, day.trim())
}

pub fn print(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    // Who reads it may have seen enough.
    let _ = writeln!(std::io::stdout(), "\n{}\n", markdown(header, rows));
}

pub fn markdown(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN).set_header(header.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    table.to_string()
}
