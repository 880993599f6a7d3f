//! What benchmarks measured: tables, printed as they come and kept together at the end; and the goals that they are held against, each of
//! which stands beside what it is of.

use super::Sink;
use crate::kit::chart::{draw, Bar};
use crate::kit::document::Document;
use crate::kit::report;
use serde::Serialize;
use serde_json::{json, Value};
use std::collections::BTreeMap;

/// A table, and the documents that it stands in.
pub struct Table {
    pub name: String,
    /// An object for each row: its `name`, and its figures as they were measured.
    pub rows: Value,
    /// As it is shown.
    pub text: String,
    /// Its title and its bars.
    pub chart: Option<(String, Vec<Bar>)>,
    pub documents: &'static [Document],
}

/// A goal, and what came of it.
#[derive(Serialize)]
pub struct Goal {
    pub name: String,
    pub goal: String,
    pub measured: String,
    /// The ratio of two that are the same, of the run that this is a ratio of.
    pub null_pair: Option<f64>,
    pub reached: bool,
}

impl Goal {
    /// A figure, shown with so many decimals, and what it is to be at most.
    pub fn at_most(name: String, most: f64, measured: f64, decimals: usize) -> Self {
        let (goal, shown) = (format!("≤ {most}"), format!("{measured:.decimals$}"));
        Self { name, goal, measured: shown, null_pair: None, reached: measured <= most }
    }

    fn cells(&self) -> Vec<String> {
        let outcome = if self.reached { "reached" } else { "missed" };
        let null_pair = self.null_pair.map_or("–".into(), |ratio| format!("{ratio:.3}"));
        [&*self.name, &*self.goal, &*self.measured, &*null_pair, outcome].map(String::from).to_vec()
    }
}

#[derive(Default)]
pub struct Measured {
    tables: Vec<Table>,
    pub goals: Vec<Goal>,
    /// What no machine excuses: sizes and counts that are more than they may be.
    pub wrong: Vec<String>,
    /// Why parts were not measured.
    pub failed: Vec<String>,
}

impl Measured {
    /// Measures a part. Where that fails it is a goal that is missed, and keeps no other from being measured.
    pub fn part(&mut self, name: &str, measure: impl FnOnce(&mut Self) -> Result<(), String>) {
        if let Err(why) = measure(self) {
            let (goal, measured) = ("to be measured".into(), "not measured".into());
            self.goals.push(Goal { name: name.into(), goal, measured, null_pair: None, reached: false });
            self.failed.push(why);
        }
    }

    pub fn add(&mut self, table: Table) {
        println!("\n{}\n", table.text);
        self.tables.push(table);
    }

    pub fn add_goals(&mut self, documents: &'static [Document]) {
        let header = ["what is to be reached", "goal", "measured", "null pair", "outcome"];
        let text = report::markdown(&header, self.goals.iter().map(Goal::cells));
        self.add(Table { name: "goals".into(), rows: json!(self.goals), text, chart: None, documents });
    }

    /// A figure, of quartiles the median.
    pub fn figure(&self, table: &str, row: &str, column: &str) -> Result<f64, String> {
        let rows = self.tables.iter().find(|one| one.name == table).and_then(|table| table.rows.as_array());
        let row = rows.and_then(|rows| rows.iter().find(|one| one["name"] == row));
        let figure = row.and_then(|row| row[column].as_f64().or_else(|| row[column][1].as_f64()));
        figure.ok_or_else(|| format!("{column} of {table} was not measured"))
    }

    /// Into the documents and the file that were asked for.
    pub fn keep(&self, options: &Sink) -> Result<(), String> {
        if let Some(file) = &options.json {
            let tables: BTreeMap<&str, &Value> = self.tables.iter().map(|one| (&*one.name, &one.rows)).collect();
            let text = serde_json::to_string_pretty(&tables).map_err(|error| format!("cannot write JSON: {error}"))?;
            std::fs::write(file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
        }
        let failed: Vec<String> = match options.write {
            true => self.tables.iter().filter_map(|table| table.write().err()).collect(),
            false => Vec::new(),
        };
        if failed.is_empty() {
            return Ok(());
        }
        Err(failed.join("\n"))
    }
}

impl Table {
    fn write(&self) -> Result<(), String> {
        let mut text = self.text.clone();
        if let Some((title, bars)) = &self.chart {
            let file = draw(&self.name, title, bars)?;
            text = format!("{text}\n\n![{title}]({})", file.trim_start_matches("docs/"));
        }
        self.documents.iter().try_for_each(|document| document.write(&self.name, &text).map(drop))
    }
}
