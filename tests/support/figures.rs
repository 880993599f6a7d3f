//! What a test measured, for `cargo xtask proof`: a line of JSON each, at the end of the file that `BAREPOLL_FIGURES` names.
#![allow(dead_code)] // some tests have figures of one kind, and some of another

use serde_json::{json, Value};
use std::fs::OpenOptions;
use std::io::Write;

/// Figures of one measurement, each with what it counts.
pub fn report(measurement: &str, figures: &[(&str, usize)]) {
    figures.iter().for_each(|(what, n)| add(&json!({ "measurement": measurement, "what": what, "n": n })));
}

/// Adds so many of these to the figures. Whoever reads them adds up what is of the same name.
pub fn count(what: &str, n: u64) {
    add(&json!({ "what": what, "n": n }));
}

pub fn add(figure: &Value) {
    let Some(path) = std::env::var_os("BAREPOLL_FIGURES") else { return };
    let mut file = OpenOptions::new().append(true).create(true).open(path).expect("the file of figures opens");
    file.write_all(format!("{figure}\n").as_bytes()).expect("a figure is written");
}
