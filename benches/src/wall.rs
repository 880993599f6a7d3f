//! Compares the wall time of several ways to do one thing.
//!
//! In each round every way runs one short chunk, and the order changes between rounds. So a
//! disturbance of the machine affects all ways. The result is each way's time in a round as a ratio
//! to the first way's. The second way repeats the first, so the distance of its ratio from 1 is the
//! error of the run.

use serde_json::{json, Value};
use std::time::{Duration, Instant};

/// One way to do it. `run` repeats it and returns the time taken.
pub struct Way<'a> {
    name: &'static str,
    run: Box<dyn FnMut(u32) -> Duration + 'a>,
    at_least: u32,
}

impl<'a> Way<'a> {
    pub fn new(name: &'static str, mut run: impl FnMut(u32) + 'a) -> Self {
        Self::timed(name, move |times| {
            let start = Instant::now();
            run(times);
            start.elapsed()
        })
    }

    /// A way that times itself, to exclude its preparation and cleanup.
    pub fn timed(name: &'static str, run: impl FnMut(u32) -> Duration + 'a) -> Self {
        Self { name, run: Box::new(run), at_least: 1 }
    }

    /// Sets the fewest repetitions in a chunk.
    pub fn at_least(self, times: u32) -> Self {
        Self { at_least: times, ..self }
    }
}

/// The prefix of barepoll's names.
const OURS: &str = "barepoll";

const ROUNDS: usize = 1200;
/// The intended duration of the first way's chunk.
const CHUNK: Duration = Duration::from_micros(120);
const WARM_UP: Duration = Duration::from_millis(50);

pub enum Purpose {
    /// Compare their times.
    Compare,
    /// Compare briefly, only to show that each way works. The figures are not reliable.
    Try,
    /// Repeat one way, for a tool that counts its system calls.
    Repeat { place: usize, times: u32 },
}

impl Purpose {
    pub fn of(&self, mut ways: Vec<Way<'_>>) -> Value {
        match *self {
            Purpose::Compare => compare(ways, ROUNDS, WARM_UP),
            Purpose::Try => compare(ways, 4, Duration::from_millis(1)),
            Purpose::Repeat { place, times } => ways.get_mut(place).map_or(Value::Null, |way| {
                (way.run)(times);
                json!({ "name": way.name, "times": times })
            }),
        }
    }
}

/// For each way: nanoseconds per repetition, and the quartiles of two ratios, its own to the first
/// way's and barepoll's to its own.
fn compare(mut ways: Vec<Way<'_>>, rounds: usize, warm_up: Duration) -> Value {
    let times = chunk(&mut ways, warm_up);
    let mut chunks: Vec<Vec<f64>> = vec![Vec::with_capacity(rounds); ways.len()];
    for round in 0..rounds {
        for place in 0..ways.len() {
            // Alternate the direction and rotate the first way.
            let turned = (place + round / 2) % ways.len();
            let place = if round % 2 == 0 { turned } else { ways.len() - 1 - turned };
            let took = (ways[place].run)(times);
            chunks[place].push(took.as_secs_f64() * 1e9 / f64::from(times));
        }
    }
    let ratios = |of: &[f64], to: &[f64]| quartiles(of.iter().zip(to).map(|(of, to)| of / to));
    let ours = ways.iter().position(|way| way.name.starts_with(OURS)).map(|place| &chunks[place]);
    let row = |(way, times): (&Way<'_>, &Vec<f64>)| {
        json!({
            "name": way.name,
            "ns": quartiles(times.iter().copied())[1],
            "ratio": ratios(times, &chunks[0]),
            "ours": ours.map(|ours| ratios(ours, times)),
        })
    };
    ways.iter().zip(&chunks).map(row).collect()
}

/// Warms up every way and returns the repetitions of a chunk.
fn chunk(ways: &mut [Way<'_>], warm_up: Duration) -> u32 {
    let least = ways.iter().map(|way| way.at_least).max().unwrap_or(1);
    let mut times = 1;
    for way in ways.iter_mut().rev() {
        let (start, mut done, mut took) = (Instant::now(), 0_u32, Duration::ZERO);
        while start.elapsed() < warm_up {
            took += (way.run)(least);
            done += least;
        }
        times = (f64::from(done) * CHUNK.as_secs_f64() / took.as_secs_f64()) as u32;
    }
    times.max(least)
}

pub fn quartiles(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[values.len() * quarter / 4])
}
