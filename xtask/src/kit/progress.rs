//! Progress messages: a line with a spinner for each job on a terminal, plain lines elsewhere.

use crate::kit::report;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::io::{stderr, IsTerminal};
use std::time::{Duration, Instant};

#[derive(Clone)]
pub struct Progress {
    bars: Option<MultiProgress>,
}

/// A job, with its line.
pub struct Job {
    name: String,
    bar: Option<ProgressBar>,
    start: Instant,
}

impl Progress {
    pub fn new() -> Self {
        let on_terminal = stderr().is_terminal() && std::env::var_os("CI").is_none();
        Self { bars: on_terminal.then(MultiProgress::new) }
    }

    pub fn job(&self, name: impl Into<String>) -> Job {
        let name = name.into();
        let bar = self.bars.as_ref().map(|bars| {
            let style = ProgressStyle::with_template("{spinner} {prefix:32} {elapsed:>4} {msg}");
            let bar = bars.add(ProgressBar::new_spinner().with_prefix(name.clone()));
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Job { name, bar, start: Instant::now() }
    }

    /// Runs `work`, which returns how many checks passed. Its line ends with that count or
    /// `FAILED`.
    pub fn checks(
        &self,
        name: impl Into<String>,
        work: impl FnOnce(&Job) -> Result<usize, String>,
    ) -> Result<usize, String> {
        self.count(name, "passed", work)
    }

    /// Like [`checks`](Self::checks), for another unit than `passed`.
    pub fn count(
        &self,
        name: impl Into<String>,
        unit: &str,
        work: impl FnOnce(&Job) -> Result<usize, String>,
    ) -> Result<usize, String> {
        let job = self.job(name);
        let answer = work(&job);
        job.done(&answer.as_ref().map_or("FAILED".into(), |count| format!("{count} {unit}")));
        answer
    }
}

impl Job {
    /// Shows the current part of the job.
    pub fn at(&self, activity: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(activity.to_string()),
            None => report::note(format_args!("{:32} {activity} ...", self.name)),
        }
    }

    /// Ends the line with the job's result. Returns the time that the job took.
    pub fn done(self, result: &str) -> Duration {
        let took = self.start.elapsed();
        match &self.bar {
            Some(bar) => bar.finish_with_message(result.to_string()),
            None => report::note(format_args!("{:32} {result} ({:.1} s)", self.name, took.as_secs_f32())),
        }
        took
    }
}
