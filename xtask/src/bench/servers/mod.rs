//! `cargo xtask bench servers`: an HTTP greeting by the examples and by peers, in processes of their
//! own.

mod cores;
mod load;
mod program;

use crate::bench::{Goal, Measured, Output, Table};
use crate::kit::chart::Bar;
use crate::kit::document::PERFORMANCE;
use crate::kit::progress::{Job, Progress};
use crate::kit::report;
use crate::step::World;
use clap::Args;
use cores::Cores;
use load::{Load, Loader};
use program::{same_answer, Programs, Running, Server, FIRST, SERVERS};
use serde::Serialize;
use serde_json::json;

/// The numbers of connections that docs/performance.md has tables of.
const CONNECTIONS: [usize; 5] = [1, 64, 512, 4096, 10_000];
/// With fewer connections, the memory of one is less than what else a server takes.
const LEAST_FOR_MEMORY: usize = 64;
/// The part of the slowest server's throughput that all get to measure latencies.
const PART_OF_SLOWEST: f64 = 0.5;
/// If servers use less of their processors, the load generator limits their throughput.
const SATURATED: f64 = 0.9;
/// The connections and seconds of a run under strace. A server under strace is slow, so more
/// connections would wait.
const TRACED: (usize, f64) = (64, 0.3);
/// The servers that use more than one processor, and the connections of their run on all of them.
const ON_ALL: ([&str; 3], usize) = (["workers", "tokio-many", "nginx"], 512);
/// The table of that run.
const ALL_TABLE: &str = "servers-all-processors";
/// The name of the second run of the first server.
const AGAIN: &str = "the same again";

#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    pub output: Output,
    /// The numbers of connections
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_values_t = CONNECTIONS)]
    connections: Vec<usize>,
    /// How long to load a server, twice in each round: as fast as it can, and at a fixed rate
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// How often to load each server
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Only this server, and the example `executor`; may be repeated
    #[arg(long, value_name = "NAME", value_parser = program::names(), conflicts_with = "write")]
    only: Vec<String>,
    /// The processors for the server; the load generator has the others
    #[arg(long, value_name = "N", default_value_t = 1)]
    cores: usize,
    /// The requests that a client sends at once under full load
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
    pipeline: u8,
    /// Load with wrk. It sends no request while it waits for an answer, so its percentiles omit
    /// the requests that a slow server keeps others from sending
    #[arg(long, conflicts_with_all = ["pipeline", "write"])]
    wrk: bool,
}

/// The figures of a server for a number of connections.
#[derive(Serialize)]
struct Row {
    name: &'static str,
    /// Why the server does not run on this machine. Then there is no figure.
    refused: Option<String>,
    /// Quartiles over all rounds.
    requests_per_second: [f64; 3],
    /// Quartiles of its ratio to the first server, in the same round.
    ratio: [f64; 3],
    /// At the fixed rate, or wrk's own.
    rate: Option<f64>,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
    cpu_us: f64,
    /// The part of its cores that the server used under full load.
    busy: f64,
    /// The part of all processors that other programs used. Not known of wrk's runs.
    others: Option<f64>,
    calls: Option<f64>,
    bytes_a_connection: Option<f64>,
}

/// A server, and the figures of all its runs with a number of connections.
struct Subject {
    name: &'static str,
    server: &'static Server,
    refused: Option<String>,
    full: Vec<Load>,
    fixed: Vec<Load>,
    calls: Option<f64>,
}

/// How to measure all servers with one number of connections.
struct Plan<'p> {
    job: &'p Job,
    programs: &'p Programs,
    cores: &'p Cores,
    seconds: f64,
    rounds: usize,
    pipeline: u8,
    wrk: bool,
    strace: bool,
}

pub fn measure(world: &World, measured: &mut Measured, options: &Options) -> Result<(), String> {
    let job = world.progress.job("servers");
    let most = options.connections.iter().copied().max().unwrap_or(1);
    let bounds = options.seconds > 0.0 && options.rounds > 0 && options.connections.iter().all(|number| *number > 0);
    if !bounds {
        return Err("--connections, --seconds and --rounds must be more than 0".into());
    }
    cores::raise_descriptor_limit(most)?;
    let cores = Cores::split(options.cores)?;
    let chosen: Vec<&Server> = SERVERS.iter().filter(|server| server.is_chosen(&options.only)).collect();
    job.at("building");
    let programs = Programs::build(Some(world.cache()?), &chosen, "release", options.wrk)?;
    let (seconds, rounds, pipeline, wrk) = (options.seconds, options.rounds, options.pipeline, options.wrk);
    let plan = Plan { job: &job, programs: &programs, cores: &cores, seconds, rounds, pipeline, wrk, strace: true };
    for &connections in &options.connections {
        let rows = plan.measure(&chosen, connections)?;
        measured.goals.extend(goals(connections, &rows));
        add(measured, table_name(connections), subject(connections), rows);
    }
    // With the defaults, what docs/performance.md has of all processors.
    if options.only.is_empty() && options.cores == 1 {
        let (names, connections) = ON_ALL;
        let cores = Cores::split(cores.all().len())?;
        let many: Vec<&Server> = chosen.into_iter().filter(|server| names.contains(&server.name)).collect();
        let rows = Plan { cores: &cores, ..plan }.measure(&many, connections)?;
        let what = format!("{} on all {} processors", subject(connections), cores.server.len());
        add(measured, ALL_TABLE.into(), what, rows);
    }
    job.done("measured");
    Ok(())
}

/// All defaults, for `cargo xtask bench everything`.
pub fn measure_all(world: &World, measured: &mut Measured) -> Result<(), String> {
    #[derive(clap::Parser)]
    struct Defaults {
        #[command(flatten)]
        options: Options,
    }
    let defaults = <Defaults as clap::Parser>::parse_from(["servers"]);
    measure(world, measured, &defaults.options)
}

/// Measures some servers for a moment, for a full test. Returns how many figures there are.
///
/// It takes only servers and a load generator that cargo builds.
pub fn run_checks(progress: &Progress) -> Result<usize, String> {
    const NAMES: [&str; 3] = ["executor", "tokio", "mio"];
    const SECONDS: f64 = 0.25;
    progress.count("servers", "figures", |job| {
        let tables = CONNECTIONS.iter().map(|number| table_name(*number)).chain([ALL_TABLE.into()]);
        tables.map(|name| PERFORMANCE.table(&name)).try_for_each(|table| table.map(drop))?;
        let chosen: Vec<&Server> = SERVERS.iter().filter(|server| NAMES.contains(&server.name)).collect();
        job.at("building");
        let programs = Programs::build(None, &chosen, "dev", false)?;
        let cores = Cores::split(1)?;
        let (programs, cores) = (&programs, &cores);
        let plan = Plan { job, programs, cores, seconds: SECONDS, rounds: 1, pipeline: 1, wrk: false, strace: false };
        let rows = plan.measure(&chosen, 8)?;
        // The goals for memory need more connections.
        let goals = goals(LEAST_FOR_MEMORY, &rows).len();
        let figures: Vec<f64> = rows
            .iter()
            .flat_map(|row| [row.requests_per_second[1], row.ratio[1], row.p50_us, row.p99_us, row.p999_us])
            .collect();
        match goals > 0 && figures.iter().all(|figure| figure.is_finite() && *figure > 0.0) {
            true => Ok(figures.len()),
            false => Err(format!("a server has no positive figure, or there is no goal: {figures:?}")),
        }
    })
}

impl Plan<'_> {
    fn measure(&self, chosen: &[&'static Server], connections: usize) -> Result<Vec<Row>, String> {
        let subject = |name, server| Subject { name, server, refused: None, full: vec![], fixed: vec![], calls: None };
        let mut subjects: Vec<Subject> = chosen.iter().map(|server| subject(server.title, *server)).collect();
        if let Some(first) = chosen.first() {
            subjects.insert(1, subject(AGAIN, first));
        }
        self.check_answers(&mut subjects)?;
        self.rounds(&mut subjects, connections, None)?;
        let mut rate = None;
        if !self.wrk {
            let throughputs = subjects.iter().filter(|subject| subject.refused.is_none());
            let slowest = throughputs.map(|subject| median(&subject.full, Load::per_second)).fold(f64::MAX, f64::min);
            rate = Some((slowest * PART_OF_SLOWEST).max(1.0));
            self.rounds(&mut subjects, connections, rate)?;
        }
        if self.strace {
            for subject in subjects.iter_mut().filter(|subject| subject.refused.is_none()) {
                self.job.at(&format!("counting calls of {}", subject.name));
                let calls = self.count_calls(subject.server, connections);
                subject.calls = Some(calls.map_err(|why| format!("{}, under strace: {why}", subject.name))?);
            }
        }
        let base: Vec<f64> = subjects.first().map(Subject::throughputs).unwrap_or_default();
        Ok(subjects.iter().map(|subject| subject.row(&base, rate, connections, self.cores)).collect())
    }

    /// Compares each server's answer with the first's.
    fn check_answers(&self, subjects: &mut [Subject]) -> Result<(), String> {
        self.job.at("comparing answers");
        let answer_of = |server: &'static Server| {
            let running = match self.programs.start(server, self.cores)? {
                Running::Yes(started) => started,
                Running::Refused(why) => return Ok(Err(why)),
            };
            let loader = Loader::start(self.programs, self.cores, &running, &load::Settings::one())?;
            Ok::<_, String>(Ok(loader.answer.clone()))
        };
        let first = SERVERS.iter().find(|server| server.name == FIRST).ok_or("there is no first server")?;
        let expected = answer_of(first).and_then(|answer| answer).map_err(|why| format!("{}: {why}", first.title))?;
        for subject in subjects {
            match answer_of(subject.server).map_err(|why| format!("{}: {why}", subject.name))? {
                Ok(answer) => same_answer(&answer, &expected, subject.server)?,
                Err(why) => subject.refused = Some(why),
            }
        }
        Ok(())
    }

    /// Loads every server once a round. The order rotates.
    fn rounds(&self, subjects: &mut [Subject], connections: usize, rate: Option<f64>) -> Result<(), String> {
        let settings = load::Settings { connections, seconds: self.seconds, rate, pipeline: self.pipeline };
        for round in 0..self.rounds {
            let load = rate.map_or("full load".into(), |rate| format!("{rate:.0} requests a second"));
            self.job.at(&format!("{connections} connections, {load}, round {}", round + 1));
            for place in 0..subjects.len() {
                let index = (place + round) % subjects.len();
                let subject = &mut subjects[index];
                if subject.refused.is_some() {
                    continue;
                }
                let load = self.load(subject.server, &settings);
                let load = load.map_err(|why| format!("{}, {connections} connections: {why}", subject.name))?;
                if rate.is_some() { &mut subject.fixed } else { &mut subject.full }.push(load);
            }
        }
        Ok(())
    }

    fn load(&self, server: &'static Server, settings: &load::Settings) -> Result<Load, String> {
        let started = self.programs.start(server, self.cores)?.started()?;
        if self.wrk {
            return load::wrk(self.programs, self.cores, &started, settings);
        }
        let before = started.usage()?.resident;
        let mut loader = Loader::start(self.programs, self.cores, &started, settings)?;
        loader.measure(self.cores, &started, before)
    }

    fn count_calls(&self, server: &'static Server, connections: usize) -> Result<f64, String> {
        let (most, seconds) = TRACED;
        let (connections, pipeline) = (connections.min(most), self.pipeline);
        let settings = load::Settings { connections, seconds, rate: None, pipeline };
        let started = self.programs.start(server, self.cores)?.started()?;
        let mut loader = Loader::start(self.programs, self.cores, &started, &settings)?;
        loader.count_calls(&started)
    }
}

impl Subject {
    fn throughputs(&self) -> Vec<f64> {
        self.full.iter().map(Load::per_second).collect()
    }

    fn row(&self, base: &[f64], rate: Option<f64>, connections: usize, cores: &Cores) -> Row {
        let throughputs = self.throughputs();
        let ratios = throughputs.iter().zip(base).map(|(this, first)| this / first).collect();
        let latencies = if rate.is_some() { &self.fixed } else { &self.full };
        let memory = |load: &Load| load.resident.unwrap_or_default() / connections as f64;
        let has_memory = connections >= LEAST_FOR_MEMORY && self.full.iter().all(|load| load.resident.is_some());
        let others = self.full.iter().chain(&self.fixed).filter_map(|load| load.others);
        Row {
            name: self.name,
            refused: self.refused.clone(),
            requests_per_second: quartiles(throughputs),
            ratio: quartiles(ratios),
            rate,
            p50_us: median(latencies, |load| load.p50_us),
            p99_us: median(latencies, |load| load.p99_us),
            p999_us: median(latencies, |load| load.p999_us),
            cpu_us: median(&self.full, |load| load.cpu_seconds * 1e6 / load.requests),
            busy: median(&self.full, |load| load.cpu_seconds / load.seconds / cores.server.len() as f64),
            others: others.clone().next().is_some().then(|| quartiles(others.collect())[1]),
            calls: self.calls,
            bytes_a_connection: (has_memory && self.refused.is_none()).then(|| median(&self.full, memory)),
        }
    }
}

fn table_name(connections: usize) -> String {
    format!("servers-{connections}")
}

fn subject(connections: usize) -> String {
    format!("HTTP, {connections} connection{}", if connections == 1 { "" } else { "s" })
}

fn add(measured: &mut Measured, name: String, subject: String, rows: Vec<Row>) {
    let text = table(&name, &rows);
    let ran = rows.iter().filter(|row| row.refused.is_none());
    let bars = ran.map(|row| Bar { name: row.name.into(), ratio: row.ratio }).collect();
    let first = rows.first().map_or("", |row| row.name);
    let title = format!("{subject}: requests a second, as a ratio to {first}");
    let chart = Some((title, bars));
    measured.add(Table { name, rows: json!(rows), text, chart, documents: &[PERFORMANCE] });
}

fn table(name: &str, rows: &[Row]) -> String {
    let rate = rows.iter().find_map(|row| row.rate);
    let latency = rate.map_or("p50, µs, by wrk".into(), |rate| format!("p50, µs, at {rate:.0}/s"));
    let header = [
        name,
        "requests/s",
        "ratio",
        "half of all ratios",
        &latency,
        "p99",
        "p99.9",
        "CPU, µs a request",
        "busy",
        "others",
        "calls",
        "bytes a connection",
    ];
    let cells = rows.iter().map(|row| {
        if let Some(why) = &row.refused {
            return [row.name, why]
                .into_iter()
                .chain(std::iter::repeat_n("–", header.len() - 2))
                .map(String::from)
                .collect();
        }
        let [low, ratio, high] = row.ratio;
        let or_none =
            |figure: Option<f64>, decimals: usize| figure.map_or("–".into(), |it| format!("{it:.decimals$}"));
        vec![
            row.name.into(),
            format!("{:.0}", row.requests_per_second[1]),
            format!("{ratio:.3}"),
            format!("{low:.3} – {high:.3}"),
            format!("{:.0}", row.p50_us),
            format!("{:.0}", row.p99_us),
            format!("{:.0}", row.p999_us),
            format!("{:.2}", row.cpu_us),
            format!("{:.0} %", row.busy * 100.0),
            row.others.map_or("–".into(), |others| format!("{:.0} %", others * 100.0)),
            or_none(row.calls, 2),
            or_none(row.bytes_a_connection, 0),
        ]
    });
    report::markdown(&header, cells)
}

/// The goals of the example `executor`, for peers that ran.
fn goals(connections: usize, rows: &[Row]) -> Vec<Goal> {
    const RATIOS: [(&str, f64); 3] = [("tokio", 1.25), ("smol", 1.2), ("mio", 1.0)];
    let title = |name| SERVERS.iter().find(|server| server.name == name).map(|server| server.title);
    let row = |name| rows.iter().find(|row| Some(row.name) == title(name) && row.refused.is_none());
    let Some(ours) = row(FIRST) else { return Vec::new() };
    let again = rows.iter().find(|row| row.name == AGAIN);
    let null_pair = again.map(|row| row.ratio[1]);
    let about = |what: String| format!("{}: {what}", subject(connections));
    let peers: Vec<(&Row, f64)> = RATIOS.iter().filter_map(|(name, least)| Some((row(name)?, *least))).collect();
    let mut goals: Vec<Goal> = peers
        .iter()
        .map(|(peer, least)| {
            let name = about(format!("requests a second, to {}", peer.name));
            let mut goal = Goal { null_pair, ..Goal::at_least(name, *least, 1.0 / peer.ratio[1], 3) };
            if ours.busy.min(peer.busy) < SATURATED {
                goal.measured += &format!(", {:.0} % and {:.0} % busy", ours.busy * 100.0, peer.busy * 100.0);
            }
            goal
        })
        .collect();
    if let Some(best) = peers.iter().map(|(peer, _)| peer.p99_us).reduce(f64::min) {
        let name = about("p99, to the best of these".into());
        let null_pair = again.map(|row| row.p99_us / ours.p99_us);
        goals.push(Goal { null_pair, ..Goal::at_most(name, 1.0, ours.p99_us / best, 2) });
    }
    if let (Some(bytes), Some(tokio)) = (ours.bytes_a_connection, row("tokio").and_then(|row| row.bytes_a_connection)) {
        let name = about("memory a connection, to tokio".into());
        goals.push(Goal::at_most(name, 1.0, bytes / tokio, 2));
    }
    goals
}

fn median(loads: &[Load], figure: impl Fn(&Load) -> f64) -> f64 {
    quartiles(loads.iter().map(figure).collect())[1]
}

fn quartiles(mut figures: Vec<f64>) -> [f64; 3] {
    figures.sort_by(f64::total_cmp);
    let at = |part: f64| {
        let place = part * figures.len().saturating_sub(1) as f64;
        let (low, high) = (figures.get(place.floor() as usize), figures.get(place.ceil() as usize));
        low.zip(high).map_or(0.0, |(low, high)| low + (high - low) * place.fract())
    };
    [at(0.25), at(0.5), at(0.75)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_are_between_the_figures() {
        assert_eq!(quartiles(vec![4.0, 1.0, 3.0, 2.0, 5.0]), [2.0, 3.0, 4.0]);
        assert_eq!(quartiles(vec![1.0, 2.0]), [1.25, 1.5, 1.75]);
    }
}
