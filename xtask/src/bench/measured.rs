//! Collects the results of benchmarks: tables, and goals for their figures.

use super::Output;
use crate::kit::chart::{draw_bars, Bar};
use crate::kit::document::{Document, PERFORMANCE};
use crate::kit::file;
use crate::kit::report;
use serde::Serialize;
use serde_json::{json, Value};
use std::collections::BTreeMap;

pub struct Table {
    pub name: String,
    /// The JSON: an object for each row, with its `name` and its exact figures.
    pub rows: Value,
    /// The table in Markdown.
    pub text: String,
    /// The title and the bars of its chart.
    pub chart: Option<(String, Vec<Bar>)>,
    /// The documents that contain it.
    pub documents: &'static [Document],
}

/// A goal, and whether a run reached it.
#[derive(Serialize)]
pub struct Goal {
    pub name: String,
    pub goal: String,
    pub measured: String,
    /// The ratio of two identical ways in the same run, which shows its noise.
    pub null_pair: Option<f64>,
    pub reached: bool,
}

impl Goal {
    /// A goal for a figure, shown with `decimals` places, that must be at most `most`.
    pub fn at_most(name: String, most: f64, measured: f64, decimals: usize) -> Self {
        let (goal, shown) = (format!("≤ {most}"), format!("{measured:.decimals$}"));
        Self { name, goal, measured: shown, null_pair: None, reached: measured <= most }
    }

    /// The same for a figure that must be at least `least`.
    pub fn at_least(name: String, least: f64, measured: f64, decimals: usize) -> Self {
        let (goal, shown) = (format!("≥ {least}"), format!("{measured:.decimals$}"));
        Self { name, goal, measured: shown, null_pair: None, reached: measured >= least }
    }

    fn cells(&self) -> Vec<String> {
        let outcome = if self.reached { "reached" } else { "missed" };
        let null_pair = self.null_pair.map_or("–".into(), |ratio| format!("{ratio:.3}"));
        [&*self.name, &*self.goal, &*self.measured, &*null_pair, outcome].map(String::from).to_vec()
    }
}

/// The name of the table of goals, and its header.
const GOALS: &str = "goals";
const GOALS_HEADER: [&str; 5] = ["what is to be reached", "goal", "measured", "null pair", "outcome"];

/// The old rows, with each new one in the place of the old one of its name. The others follow.
fn merged(old: impl Iterator<Item = Vec<String>>, mut new: Vec<Vec<String>>) -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = old
        .map(|row| match new.iter().position(|other| other.first() == row.first()) {
            Some(place) => new.remove(place),
            None => row,
        })
        .collect();
    rows.append(&mut new);
    rows
}

#[derive(Default)]
pub struct Measured {
    tables: Vec<Table>,
    pub goals: Vec<Goal>,
    /// Errors on any machine: sizes and counts that are too high.
    pub wrong: Vec<String>,
    /// The errors of parts that were not measured.
    pub failed: Vec<String>,
}

impl Measured {
    /// Measures a part. If that fails, adds a missed goal, and the next part can run.
    pub fn part(&mut self, name: &str, measure: impl FnOnce(&mut Self) -> Result<(), String>) {
        if let Err(why) = measure(self) {
            let (goal, measured) = ("to be measured".into(), "not measured".into());
            self.goals.push(Goal { name: name.into(), goal, measured, null_pair: None, reached: false });
            self.failed.push(why);
        }
    }

    pub fn add(&mut self, table: Table) {
        report::say(format_args!("\n{}\n", table.text));
        self.tables.push(table);
    }

    /// Adds the table of goals. Without a run of everything, docs/performance.md keeps its rows of
    /// the goals that were not measured.
    pub fn add_goals(&mut self, is_everything: bool) -> Result<(), String> {
        let mut rows: Vec<Vec<String>> = self.goals.iter().map(Goal::cells).collect();
        report::say(format_args!("\n{}\n", report::markdown(&GOALS_HEADER, rows.clone())));
        if !is_everything {
            rows = merged(PERFORMANCE.rows(GOALS)?.into_iter().skip(1), rows);
        }
        let text = report::markdown(&GOALS_HEADER, rows);
        self.tables.push(Table {
            name: GOALS.into(),
            rows: json!(self.goals),
            text,
            chart: None,
            documents: &[PERFORMANCE],
        });
        Ok(())
    }

    /// A figure, or the median of its quartiles.
    pub fn figure(&self, table: &str, row: &str, column: &str) -> Result<f64, String> {
        let rows = self.tables.iter().find(|other| other.name == table).and_then(|table| table.rows.as_array());
        let row = rows.and_then(|rows| rows.iter().find(|other| other["name"] == row));
        let figure = row.and_then(|row| row[column].as_f64().or_else(|| row[column][1].as_f64()));
        figure.ok_or_else(|| format!("{column} of {table} was not measured"))
    }

    /// Writes the tables into their documents and the JSON file, as the options say.
    pub fn write(&self, output: &Output) -> Result<(), String> {
        let mut failed: Vec<String> = match output.write {
            true => self.tables.iter().filter_map(|table| table.write().err()).collect(),
            false => Vec::new(),
        };
        if let Some(file) = &output.json {
            let tables: BTreeMap<&str, &Value> = self.tables.iter().map(|table| (&*table.name, &table.rows)).collect();
            let text = serde_json::to_string_pretty(&tables).map_err(|error| format!("cannot write JSON: {error}"))?;
            failed.extend(file::write(file, &text).err());
        }
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
            let file = draw_bars(&self.name, title, bars)?;
            text = format!("{text}\n\n![{title}]({})", file.trim_start_matches("docs/"));
        }
        self.documents.iter().try_for_each(|document| document.write(&self.name, &text).map(drop))
    }
}

#[cfg(test)]
mod tests {
    use super::merged;

    #[test]
    fn a_new_row_takes_the_place_of_the_old_one_or_follows() {
        let rows = |rows: &[[&str; 2]]| rows.iter().map(|row| row.map(String::from).to_vec()).collect::<Vec<_>>();
        let old = rows(&[["a", "1"], ["b", "2"], ["c", "3"]]);
        let new = rows(&[["d", "4"], ["b", "5"]]);
        assert_eq!(merged(old.into_iter(), new), rows(&[["a", "1"], ["b", "5"], ["c", "3"], ["d", "4"]]));
    }
}
