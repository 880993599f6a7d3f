//! What a test measured, for `cargo xtask proof`: a line of JSON each, at the end of the file that `BAREPOLL_FIGURES` names.

use std::fs::OpenOptions;
use std::io::Write;

/// Figures of one measurement, each with what it counts.
pub fn report(measurement: &str, figures: &[(&str, usize)]) {
    let Some(file) = std::env::var_os("BAREPOLL_FIGURES") else { return };
    let lines: String = figures
        .iter()
        .map(|(what, n)| serde_json::json!({ "measurement": measurement, "what": what, "n": n }).to_string() + "\n")
        .collect();
    let written =
        OpenOptions::new().append(true).create(true).open(file).and_then(|mut file| file.write_all(lines.as_bytes()));
    written.expect("a file for the figures");
}
