//! The table that a run ends in.

use comfy_table::{presets, Table};
use std::io::Write;

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
