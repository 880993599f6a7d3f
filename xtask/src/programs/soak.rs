//! Loads the echo server for a long time, with thousands of connections that come and go, reset,
//! read late or not at all. Compares every byte that comes back, and samples the server's
//! descriptors and memory.

use crate::kit::chart::{draw_lines, Line};
use crate::kit::document::PROOF;
use crate::kit::progress::{Job, Progress};
use crate::kit::random::Numbers;
use crate::kit::report;
use crate::kit::shell::{cargo, run, target_dir, Background};
use crate::step::{Run, World};
use clap::Args;
use rustix::net::sockopt::set_socket_linger;
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};
use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroUsize;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

#[derive(Args)]
pub struct Options {
    /// The duration in minutes
    #[arg(long, default_value_t = 1.0, value_parser = crate::step::minutes)]
    minutes: f64,
    /// The number of connections at a time
    #[arg(long, default_value_t = CONNECTIONS)]
    connections: NonZeroUsize,
    /// Write the table and the chart into docs/proof.md
    #[arg(long)]
    write: bool,
}

const CONNECTIONS: NonZeroUsize = NonZeroUsize::new(5000).unwrap();
/// Connections in a full test.
const TEST_CONNECTIONS: NonZeroUsize = NonZeroUsize::new(2000).unwrap();
/// Threads that drive the connections.
const DRIVERS: usize = 4;
/// The most bytes in one write or read of a client.
const MAX_BYTES: usize = 4096;
/// The most bytes that a late reader leaves unread.
const LATE_READER_BYTES: usize = 256 * 1024;
/// The most bytes that a prompt reader leaves unread.
const PROMPT_READER_BYTES: usize = 16 * 1024;
/// The share of the samples that come before the server has its full load.
const WARM_UP: f64 = 0.2;
/// How many percent descriptors and memory may grow from the middle to the end. The allocator
/// rounds, and the server has not seen the end of some connections yet.
const MAX_GROWTH: f64 = 5.0;

/// The share of the connections that counts as full load, because some always come or go.
const FULL: f64 = 0.9;
/// The least number of samples, on a slow machine too.
const MIN_SAMPLES: usize = 10;
/// The time limit for the server to reach its full load, to see the end of every client, and to
/// answer a client. Only a hang takes this long.
const LIMIT: Duration = Duration::from_secs(120);

/// Counts of connections and bytes, from all clients.
#[derive(Default)]
struct Tally {
    made: AtomicU64,
    /// Connections that got back every byte, and then the end.
    closed: AtomicU64,
    reset: AtomicU64,
    /// Connections that the client dropped, maybe with bytes unread.
    abandoned: AtomicU64,
    /// Bytes that were compared.
    compared: AtomicU64,
    /// Connections with wrong or missing bytes.
    wrong: AtomicU64,
    stop: AtomicBool,
}

/// The server's state at a moment.
struct Sample {
    seconds: f64,
    descriptors: f64,
    memory_mb: f64,
}

impl Run for Options {
    fn run(&self, world: &World) -> Result<(), String> {
        check(&world.progress, self).map(drop)
    }
}

/// A short run for a full test. Returns how many connections got back every byte, and then the end.
pub fn run_checks(progress: &Progress) -> Result<usize, String> {
    check(progress, &Options { minutes: 0.2, connections: TEST_CONNECTIONS, write: false })
}

/// Samples of the server before the first client, with clients, and after the last.
struct Samples {
    before: Sample,
    samples: Vec<Sample>,
    after: Sample,
}

fn check(progress: &Progress, options: &Options) -> Result<usize, String> {
    let job = progress.job("soak");
    let tally = Tally::default();
    let samples = load(&job, &tally, options);
    let verdict = samples.as_ref().map_err(String::clone).and_then(|samples| verdict(&tally, samples, options));
    job.done(if verdict.is_ok() { "no growth" } else { "FAILED" });
    let samples = samples?;
    let table = table(&tally, &samples, options);
    report::say(format_args!("\n{table}\n"));
    verdict?;
    if options.write {
        let samples = &samples.samples;
        let lines = [
            Line {
                name: "descriptors, hundreds",
                values: samples.iter().map(|s| (s.seconds, s.descriptors / 100.0)).collect(),
            },
            Line { name: "memory, MB", values: samples.iter().map(|s| (s.seconds, s.memory_mb)).collect() },
        ];
        let file = draw_lines("soak", "The echo server over time, in seconds", &lines)?;
        PROOF
            .write("soak", &format!("{table}\n\n![The echo server over time]({})", file.trim_start_matches("docs/")))?;
    }
    Ok(tally.closed.load(Relaxed) as usize)
}

/// Starts the server, and runs clients for the requested time.
fn load(job: &Job, tally: &Tally, options: &Options) -> Result<Samples, String> {
    job.at("building");
    run(cargo().args(["build", "--release", "--locked", "--features", "std", "--example", "echo"]))?;
    let (all, length) = (options.connections.get(), Duration::from_secs_f64(options.minutes * 60.0));
    allow_descriptors(all)?;
    let mut server = Server::start()?;
    let before = server.sample(Instant::now())?;
    job.at(&format!("starting {all} connections"));
    let samples = thread::scope(|scope| {
        for number in 0..DRIVERS {
            let address = server.address;
            let connections = all / DRIVERS + usize::from(number < all % DRIVERS);
            scope.spawn(move || drive(number as u64, address, connections, tally));
        }
        let outcome = server.wait_until(|now| now.descriptors >= FULL * all as f64).and_then(|_| {
            job.at(&format!("{all} connections for {:.1} minutes", options.minutes));
            let (start, mut samples) = (Instant::now(), Vec::new());
            while start.elapsed() < length || samples.len() < MIN_SAMPLES {
                thread::sleep(Duration::from_millis(500).min(length / 40));
                samples.push(server.sample(start)?);
            }
            Ok(samples)
        });
        tally.stop.store(true, Relaxed);
        outcome
    })?;
    job.at("ending the last connections");
    let after = server.wait_until(|now| now.descriptors <= before.descriptors)?;
    Ok(Samples { before, samples, after })
}

/// Raises the limit of descriptors. Each client needs one in this process, and the server inherits
/// the limit.
fn allow_descriptors(connections: usize) -> Result<(), String> {
    let needed = connections as u64 + 256;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
        .map_err(|error| format!("cannot raise the limit of descriptors: {error}"))?;
    match limit.maximum {
        Some(maximum) if maximum < needed => Err(format!(
            "{connections} connections need {needed} descriptors, but `ulimit -Hn` allows {maximum}; \
                 raise it or lower --connections"
        )),
        _ => Ok(()),
    }
}

/// The name of a value in a sample, and the value.
type Reading = (&'static str, fn(&Sample) -> f64);
const READINGS: [Reading; 2] =
    [("descriptors", |sample| sample.descriptors), ("memory in MB", |sample| sample.memory_mb)];

/// The samples of a server with its full load.
fn warm(samples: &[Sample]) -> &[Sample] {
    &samples[(samples.len() as f64 * WARM_UP) as usize..]
}

fn largest(samples: &[Sample], reading: fn(&Sample) -> f64) -> f64 {
    samples.iter().map(reading).fold(0.0, f64::max)
}

fn verdict(tally: &Tally, Samples { before, samples, after }: &Samples, options: &Options) -> Result<(), String> {
    let wrong = tally.wrong.load(Relaxed);
    if wrong > 0 {
        return Err(format!("{wrong} connections got wrong bytes, or too few"));
    }
    if tally.closed.load(Relaxed) == 0 || tally.compared.load(Relaxed) == 0 {
        return Err("no connection was closed after its bytes were compared".into());
    }
    // More than the connections: standard streams, the listener, at most two epolls, eventfds, and
    // connections whose end the server has not seen yet.
    let most = largest(samples, |sample| sample.descriptors);
    let connections = options.connections.get() as f64;
    if !(FULL * connections..=1.2 * connections + 32.0).contains(&most) {
        return Err(format!("the server had {most} descriptors for {connections} connections"));
    }
    if after.descriptors > before.descriptors {
        let (before, after) = (before.descriptors, after.descriptors);
        return Err(format!("the server had {before} descriptors before the first client, and {after} after the last"));
    }
    let (middle, end) = warm(samples).split_at(warm(samples).len() / 2);
    for (name, reading) in READINGS {
        let (before, after) = (largest(middle, reading), largest(end, reading));
        let growth = 100.0 * (after / before - 1.0);
        if growth > MAX_GROWTH {
            return Err(format!("the server's {name} grew by {growth:.1} % from the middle to the end, to {after:.1}"));
        }
    }
    Ok(())
}

fn table(tally: &Tally, Samples { before, samples, after }: &Samples, options: &Options) -> String {
    let range = |reading: fn(&Sample) -> f64| {
        let least = warm(samples).iter().map(reading).fold(f64::MAX, f64::min);
        format!("{least:.1} – {:.1}", largest(warm(samples), reading))
    };
    let [descriptors, memory] = READINGS.map(|(_, reading)| range(reading));
    let count = |counter: &AtomicU64| counter.load(Relaxed).to_string();
    let connections = match options.connections {
        CONNECTIONS => String::new(),
        other => format!(" --connections {other}"),
    };
    let rows = [
        ["command", &format!("`cargo xtask soak --minutes {}{connections} --write`", options.minutes)],
        ["on", &report::machine()],
        ["minutes", &format!("{:.1}", options.minutes)],
        ["connections at a time", &options.connections.to_string()],
        ["connections made", &count(&tally.made)],
        ["closed in order", &count(&tally.closed)],
        ["reset", &count(&tally.reset)],
        ["left with bytes on their way", &count(&tally.abandoned)],
        ["bytes compared", &count(&tally.compared)],
        ["bytes wrong or missing", &count(&tally.wrong)],
        ["the server's descriptors", &descriptors],
        ["before the first client, after the last", &format!("{}, {}", before.descriptors, after.descriptors)],
        ["the server's memory, MB", &memory],
    ];
    report::figures("soak", rows)
}

/// The example `echo`.
struct Server {
    program: Background,
    address: SocketAddr,
}

impl Server {
    fn start() -> Result<Self, String> {
        let mut command = Command::new(target_dir().join("release/examples/echo"));
        let command = command.arg("127.0.0.1:0").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut program = Background::start(command)?;
        let mut line = String::new();
        let read = program.stdout.take().map(|stdout| BufReader::new(stdout).read_line(&mut line));
        let address = line.split_whitespace().find_map(|word| word.trim_end_matches(',').parse().ok());
        match (read, address) {
            (Some(Ok(_)), Some(address)) => Ok(Self { program, address }),
            _ => Err(format!("the example echo printed no address: {line:?}")),
        }
    }

    /// Samples the server until `condition` holds or [`LIMIT`] has passed. Returns the last sample.
    fn wait_until(&mut self, condition: impl Fn(&Sample) -> bool) -> Result<Sample, String> {
        let start = Instant::now();
        loop {
            let now = self.sample(start)?;
            if condition(&now) || start.elapsed() > LIMIT {
                return Ok(now);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn sample(&mut self, start: Instant) -> Result<Sample, String> {
        if let Ok(Some(status)) = self.program.try_wait() {
            return Err(format!("the server ended: {status}"));
        }
        let process = format!("/proc/{}", self.program.id());
        let failed = |error: std::io::Error| format!("cannot read {process}: {error}");
        let descriptors = fs::read_dir(format!("{process}/fd")).map_err(failed)?.count() as f64;
        let status = fs::read_to_string(format!("{process}/status")).map_err(failed)?;
        let kb = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok());
        let kb: f64 = kb.ok_or("the server's status has no VmRSS")?;
        Ok(Sample { seconds: start.elapsed().as_secs_f64(), descriptors, memory_mb: kb / 1024.0 })
    }
}

struct Client {
    stream: TcpStream,
    /// The bytes that it has sent and not yet got back.
    due: VecDeque<u8>,
    /// How many bytes may be due before it must read.
    room: usize,
    /// How many bytes it still wants to send.
    left: usize,
}

/// Keeps this many clients busy until `tally.stop`.
fn drive(seed: u64, address: SocketAddr, connections: usize, tally: &Tally) {
    let mut numbers = Numbers::new(seed);
    let mut clients: Vec<Client> = Vec::new();
    while !tally.stop.load(Relaxed) {
        // Up to 64 at once, so that the server soon has its full load.
        for _ in clients.len()..connections.min(clients.len() + 64) {
            clients.extend(connect(address, &mut numbers, tally));
        }
        if clients.is_empty() {
            continue;
        }
        for _ in 0..64 {
            let index = numbers.below(clients.len());
            match send_or_receive(&mut clients[index], &mut numbers, tally) {
                Ok(true) => {}
                Ok(false) => end(clients.swap_remove(index), &mut numbers, tally),
                Err(_) => {
                    tally.wrong.fetch_add(1, Relaxed); // the server never closes first
                    clients.swap_remove(index);
                }
            }
            if clients.is_empty() {
                break;
            }
        }
    }
}

fn connect(address: SocketAddr, numbers: &mut Numbers, tally: &Tally) -> Option<Client> {
    let stream = TcpStream::connect(address).ok()?;
    stream.set_nonblocking(true).ok()?;
    tally.made.fetch_add(1, Relaxed);
    let room = if numbers.below(8) == 0 { LATE_READER_BYTES } else { PROMPT_READER_BYTES };
    Some(Client { stream, due: VecDeque::new(), room, left: 1 + numbers.below(64 * 1024) })
}

/// Sends or receives some bytes. Returns whether the client has more to send.
fn send_or_receive(client: &mut Client, numbers: &mut Numbers, tally: &Tally) -> std::io::Result<bool> {
    if client.due.len() < client.room && client.left > 0 {
        let bytes: Vec<u8> = (0..1 + numbers.below(MAX_BYTES.min(client.left))).map(|_| numbers.next() as u8).collect();
        match client.stream.write(&bytes) {
            Ok(sent) => {
                client.due.extend(&bytes[..sent]);
                client.left -= sent.min(client.left);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    // A late reader reads only once it may not send more.
    if client.room == PROMPT_READER_BYTES || client.due.len() >= client.room || client.left == 0 {
        receive(client, numbers.below(MAX_BYTES) + 1, tally)?;
    }
    Ok(client.left > 0)
}

/// Receives and compares some bytes. Returns whether there were any.
fn receive(client: &mut Client, most: usize, tally: &Tally) -> std::io::Result<bool> {
    let mut room = [0; MAX_BYTES];
    match client.stream.read(&mut room[..most]) {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        Ok(length) => {
            let expected = client.due.drain(..length.min(client.due.len()));
            if !expected.eq(room[..length].iter().copied()) {
                return Err(ErrorKind::InvalidData.into());
            }
            tally.compared.fetch_add(length as u64, Relaxed);
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// Ends a connection. One in four is reset, and one in four is dropped, maybe with bytes unread.
/// The others shut down their sending side, read all bytes that are due, and close.
fn end(mut client: Client, numbers: &mut Numbers, tally: &Tally) {
    match numbers.below(4) {
        // With a linger time of zero, close sends a reset, even if no bytes are unread.
        0 if set_socket_linger(&client.stream, Some(Duration::ZERO)).is_ok() => drop(tally.reset.fetch_add(1, Relaxed)),
        0 | 1 => drop(tally.abandoned.fetch_add(1, Relaxed)),
        _ => {
            let all = client.stream.shutdown(std::net::Shutdown::Write).and_then(|()| {
                client.stream.set_nonblocking(false)?;
                client.stream.set_read_timeout(Some(LIMIT))?;
                while !client.due.is_empty() {
                    if !receive(&mut client, MAX_BYTES, tally)? {
                        return Err(ErrorKind::TimedOut.into());
                    }
                }
                Ok(client.stream.read(&mut [0])? == 0)
            });
            let counter = if all.is_ok_and(|is_end| is_end) { &tally.closed } else { &tally.wrong };
            counter.fetch_add(1, Relaxed);
        }
    }
}
