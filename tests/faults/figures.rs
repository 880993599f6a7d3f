//! What checks measured, for the document that tells it.

use serde_json::{json, Value};
use std::fs::OpenOptions;
use std::io::Write;

/// Adds so many of these to the figures. Whoever reads them adds up what is of the same name.
pub fn count(what: &str, n: u64) {
    add(&json!({ "what": what, "n": n }));
}

/// Adds a line to the file that `BAREPOLL_FIGURES` names.
pub fn add(figure: &Value) {
    let Some(path) = std::env::var_os("BAREPOLL_FIGURES") else { return };
    let mut file = OpenOptions::new().append(true).create(true).open(path).expect("the file of figures opens");
    file.write_all(format!("{figure}\n").as_bytes()).expect("a figure is written");
}
