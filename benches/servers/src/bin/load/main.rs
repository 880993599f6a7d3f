//! `http-load`: loads an HTTP server over many connections, and prints what it measured as JSON.
//!
//! It connects, sends a request over each connection, prints `ready` and waits for a line. Then it
//! measures, prints the figures, and keeps its connections open until its input ends.
//!
//! - Without `--rate`, each connection sends its next request once the answer is there. A server
//!   that stops for a second delays one request of each connection, and the requests that clients
//!   would have sent in that second are missing from its percentiles ("coordinated omission").
//! - With `--rate`, requests are due at fixed times, whatever the server does. A request's time
//!   begins when it is due, even if all connections are busy then.

mod connection;

use connection::{connect, Connection};
use mio::{Events, Interest, Poll, Token};
use serde_json::json;
use std::collections::VecDeque;
use std::io::{self, BufRead, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

const USAGE: &str =
    "usage: http-load ADDR [--connections N] [--threads N] [--seconds S] [--rate REQUESTS_A_SECOND] [--pipeline N]";
/// How long to wait for answers that are missing at the end.
const LIMIT: Duration = Duration::from_secs(60);
/// In the unit of [`Figures::times`].
const SECOND: u32 = 10_000_000;

#[derive(Clone, Copy)]
struct Plan {
    address: SocketAddr,
    connections: usize,
    threads: usize,
    seconds: f64,
    rate: Option<f64>,
    /// The requests that a connection sends at once.
    pipeline: usize,
}

/// What a thread measured.
#[derive(Default)]
struct Figures {
    /// The time that each request took, in tenths of a microsecond.
    times: Vec<u32>,
    answers: usize,
    seconds: f64,
}

fn main() -> ExitCode {
    let outcome = parse().and_then(run);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("http-load: {why}");
            ExitCode::FAILURE
        }
    }
}

fn parse() -> Result<Plan, String> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().and_then(|address| address.parse().ok()).ok_or(USAGE)?;
    let mut plan = Plan { address, connections: 1, threads: 1, seconds: 1.0, rate: None, pipeline: 1 };
    while let (Some(option), value) = (arguments.next(), arguments.next()) {
        let value: f64 = value.and_then(|value| value.parse().ok()).ok_or(USAGE)?;
        match option.as_str() {
            "--connections" => plan.connections = value as usize,
            "--threads" => plan.threads = value as usize,
            "--seconds" => plan.seconds = value,
            "--rate" => plan.rate = Some(value),
            "--pipeline" => plan.pipeline = value as usize,
            _ => return Err(USAGE.into()),
        }
    }
    plan.threads = plan.threads.clamp(1, plan.connections.max(1));
    match plan.connections > 0 && plan.seconds > 0.0 && plan.pipeline > 0 && plan.rate.is_none_or(|rate| rate > 0.0) {
        true => Ok(plan),
        false => Err(USAGE.into()),
    }
}

fn run(plan: Plan) -> Result<(), String> {
    let mut connections = connect(plan.address, plan.connections)?;
    let answer = connections[0].ask_whole().map_err(|error| format!("the server did not answer: {error}"))?;
    for connection in &mut connections[1..] {
        match connection.ask(answer.len()).map_err(|error| format!("the server did not answer: {error}"))? {
            same if same == answer => {}
            dated if dated.len() == answer.len() && String::from_utf8_lossy(&answer).contains("\r\nDate: ") => {}
            other => return Err(format!("the server answered {:?}", String::from_utf8_lossy(&other))),
        }
    }
    let mut input = io::stdin().lock();
    let mut wait = || input.read_line(&mut String::new()).map_err(|error| format!("cannot read the input: {error}"));
    println!("{}", json!({ "answer": String::from_utf8_lossy(&answer) }));
    wait()?;

    let start = Barrier::new(plan.threads);
    let mut shares: Vec<Vec<Connection>> = (0..plan.threads).map(|_| Vec::new()).collect();
    for (index, connection) in connections.into_iter().enumerate() {
        connection.prepare().map_err(|error| format!("cannot prepare a connection: {error}"))?;
        shares[index % plan.threads].push(connection);
    }
    let length = answer.len();
    let measured: Vec<Result<(Figures, Worker), String>> = thread::scope(|scope| {
        let threads: Vec<_> = shares
            .into_iter()
            .map(|share| {
                let start = &start;
                scope.spawn(move || {
                    let worker = Worker::new(plan, share, length);
                    start.wait();
                    let mut worker = worker.map_err(|error| format!("cannot watch the connections: {error}"))?;
                    Ok((worker.measure()?, worker))
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(Err("a thread panicked".into()))).collect()
    });
    let measured = measured.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut times: Vec<u32> = measured.iter().flat_map(|(figures, _)| figures.times.iter().copied()).collect();
    times.sort_unstable();
    let seconds = measured.iter().map(|(figures, _)| figures.seconds).fold(0.0, f64::max);
    let percentile = |percent: f64| {
        let index = (times.len() as f64 * percent / 100.0) as usize;
        times.get(index.min(times.len().saturating_sub(1))).map_or(0.0, |time| f64::from(*time) / 10.0)
    };
    let figures = json!({
        "requests": measured.iter().map(|(figures, _)| figures.answers).sum::<usize>(),
        "seconds": seconds,
        "p50_us": percentile(50.0),
        "p99_us": percentile(99.0),
        "p999_us": percentile(99.9),
    });
    println!("{figures}");
    io::stdout().flush().map_err(|error| format!("cannot print: {error}"))?;
    wait()?;
    Ok(())
}

/// A thread with its share of the connections.
struct Worker {
    plan: Plan,
    poll: Poll,
    connections: Vec<Connection>,
    /// The bytes of an answer.
    length: usize,
    /// The connections without an open request, longest idle first. Only with a rate.
    idle: VecDeque<usize>,
    /// When requests were due that no connection could send. Only with a rate.
    late: VecDeque<Instant>,
    times: Vec<u32>,
    open: usize,
}

impl Worker {
    fn new(plan: Plan, mut connections: Vec<Connection>, length: usize) -> io::Result<Self> {
        let poll = Poll::new()?;
        for (index, connection) in connections.iter_mut().enumerate() {
            poll.registry().register(&mut connection.stream, Token(index), Interest::READABLE)?;
        }
        let idle = (0..connections.len()).collect();
        // Room enough, because growing takes time.
        let times = Vec::with_capacity((plan.seconds * 1e6) as usize);
        Ok(Self { plan, poll, connections, length, idle, late: VecDeque::new(), times, open: 0 })
    }

    fn measure(&mut self) -> Result<Figures, String> {
        let measured = match self.plan.rate {
            None => self.measure_closed(),
            Some(rate) => self.measure_open(rate / self.plan.threads as f64),
        };
        let (seconds, answers) = measured.map_err(|error| format!("the server failed: {error}"))?;
        Ok(Figures { times: std::mem::take(&mut self.times), answers, seconds })
    }

    /// Each connection always has requests open.
    fn measure_closed(&mut self) -> io::Result<(f64, usize)> {
        let start = Instant::now();
        let end = start + Duration::from_secs_f64(self.plan.seconds);
        for index in 0..self.connections.len() {
            self.send(index, start)?;
        }
        let mut events = Events::with_capacity(1024);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let (seconds, answers, now) = (start.elapsed().as_secs_f64(), self.times.len(), Instant::now());
                // An answer that did not come for a second belongs to the percentiles too.
                let open = self.connections.iter().flat_map(|connection| connection.sent.iter());
                self.times.extend(open.map(|sent| tenths(now.duration_since(*sent))).filter(|time| *time > SECOND));
                return Ok((seconds, answers));
            }
            self.poll.poll(&mut events, Some(left))?;
            for event in &events {
                let index = event.token().0;
                self.receive(index)?;
                if self.connections[index].sent.is_empty() {
                    self.send(index, Instant::now())?;
                }
            }
        }
    }

    /// Requests are due at a fixed rate.
    fn measure_open(&mut self, rate: f64) -> io::Result<(f64, usize)> {
        let start = Instant::now();
        let all = (self.plan.seconds * rate) as u64;
        let due = |request: u64| start + Duration::from_secs_f64(request as f64 / rate);
        let (mut next, mut events) = (0, Events::with_capacity(1024));
        while next < all || self.open > 0 || !self.late.is_empty() {
            let now = Instant::now();
            while next < all && due(next) <= now {
                self.late.push_back(due(next));
                next += 1;
            }
            while let (Some(index), false) = (self.idle.front().copied(), self.late.is_empty()) {
                self.idle.pop_front();
                if let Some(due) = self.late.pop_front() {
                    self.send(index, due)?;
                }
            }
            // A timeout has whole milliseconds, so this spins before the next request.
            let left = if next < all { due(next).saturating_duration_since(Instant::now()) } else { LIMIT };
            let left = if left < Duration::from_millis(2) { Duration::ZERO } else { left - Duration::from_millis(1) };
            self.poll.poll(&mut events, Some(left))?;
            for event in &events {
                let index = event.token().0;
                let was_open = !self.connections[index].sent.is_empty();
                self.receive(index)?;
                if was_open && self.connections[index].sent.is_empty() {
                    self.idle.push_back(index);
                }
            }
            if next >= all && now > due(all) + LIMIT {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "answers are missing after a minute"));
            }
        }
        Ok((start.elapsed().as_secs_f64(), self.times.len()))
    }

    fn send(&mut self, index: usize, due: Instant) -> io::Result<()> {
        let requests = if self.plan.rate.is_some() { 1 } else { self.plan.pipeline };
        self.connections[index].send(requests, due)?;
        self.open += requests;
        Ok(())
    }

    fn receive(&mut self, index: usize) -> io::Result<()> {
        let answers = self.connections[index].receive(self.length)?;
        let now = Instant::now();
        for sent in self.connections[index].sent.drain(..answers) {
            self.times.push(tenths(now.saturating_duration_since(sent)));
        }
        self.open -= answers;
        Ok(())
    }
}

fn tenths(time: Duration) -> u32 {
    u32::try_from(time.as_nanos() / 100).unwrap_or(u32::MAX)
}
