//! Measurements for `cargo xtask proof`, appended to the file in `BAREPOLL_FIGURES`, one line of
//! JSON each.
#![allow(dead_code)] // most tests use only some of these functions

use serde_json::{json, Value};
use std::fs::OpenOptions;
use std::io::Write;

/// Reports the figures of one measurement, each with a label.
pub fn report(measurement: &str, figures: &[(&str, usize)]) {
    figures.iter().for_each(|(what, n)| add(&json!({ "measurement": measurement, "what": what, "n": n })));
}

/// Adds a count. The reader sums the counts with the same label.
pub fn count(what: &str, n: u64) {
    add(&json!({ "what": what, "n": n }));
}

pub fn add(figure: &Value) {
    let Some(path) = std::env::var_os("BAREPOLL_FIGURES") else { return };
    let mut file = OpenOptions::new().append(true).create(true).open(path).expect("the file of figures opens");
    file.write_all(format!("{figure}\n").as_bytes()).expect("a figure is written");
}
