//! The echo server for a long time: thousands of connections that come and go, reset, read late or not at all; every byte that comes
//! back is compared, and the server's descriptors and memory are sampled and drawn.

use crate::kit::chart::{draw_lines, Line};
use crate::kit::document::PROOF;
use crate::kit::progress::{Job, Progress};
use crate::kit::report;
use crate::kit::shell::{cargo, run, target, Background};
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
    /// How long, in minutes
    #[arg(long, default_value_t = 1.0, value_parser = crate::step::minutes)]
    minutes: f64,
    /// Connections at a time
    #[arg(long, default_value_t = CONNECTIONS)]
    connections: NonZeroUsize,
    /// Write the table and the chart into docs/proof.md too
    #[arg(long)]
    write: bool,
}

const CONNECTIONS: NonZeroUsize = NonZeroUsize::new(5000).unwrap();
/// In a full test.
const FEWER: NonZeroUsize = NonZeroUsize::new(2000).unwrap();
/// Threads that drive the connections.
const DRIVERS: usize = 4;
/// What a client sends at once, at most.
const MOST: usize = 4096;
/// What a client lets lie unread, at most; a late reader more than a prompt one.
const LATE: usize = 256 * 1024;
const PROMPT: usize = 16 * 1024;
/// Of the time, the part until the server is as full as it gets.
const WARM_UP: f64 = 0.2;
/// How much more of either, of a hundred, the end may show than the middle: the allocator's own rounding, and connections whose end
/// the server has not seen yet.
const GROWTH: f64 = 5.0;

/// Of the connections asked for, the part that makes the server full: some always come or go.
const FULL: f64 = 0.9;
/// So many samples at least, however slow the machine.
const SAMPLES: usize = 10;
/// Far longer than the server takes to be full, to see the end of every client, or to answer one: only what hangs meets it.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the clients did.
#[derive(Default)]
struct Tally {
    made: AtomicU64,
    closed: AtomicU64,
    reset: AtomicU64,
    abandoned: AtomicU64,
    compared: AtomicU64,
    wrong: AtomicU64,
    stop: AtomicBool,
}

/// The server at a moment.
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

/// A short one, for a full test: how many connections got back what they had sent, every byte of it, and then the end.
pub fn run_checks(progress: &Progress) -> Result<usize, String> {
    check(progress, &Options { minutes: 0.2, connections: FEWER, write: false })
}

/// What the server was like: before the first client, with them, after the last.
struct Seen {
    before: Sample,
    samples: Vec<Sample>,
    after: Sample,
}

fn check(progress: &Progress, options: &Options) -> Result<usize, String> {
    let job = progress.job("soak");
    let tally = Tally::default();
    let seen = keep_busy(&job, &tally, options);
    let verdict = seen.as_ref().map_err(String::clone).and_then(|seen| verdict(&tally, seen, options));
    job.done(if verdict.is_ok() { "flat" } else { "FAILED" });
    let seen = seen?;
    let table = table(&tally, &seen, options);
    println!("\n{table}\n");
    verdict?;
    if options.write {
        let samples = &seen.samples;
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

/// Starts the server, and clients for as long as was asked for.
fn keep_busy(job: &Job, tally: &Tally, options: &Options) -> Result<Seen, String> {
    job.at("building");
    run(cargo().args(["build", "--release", "--locked", "--features", "std", "--example", "echo"]))?;
    let (all, length) = (options.connections.get(), Duration::from_secs_f64(options.minutes * 60.0));
    allow_descriptors(all)?;
    let mut server = Server::start()?;
    let before = server.sample(Instant::now())?;
    job.at(&format!("{all} connections begin"));
    let samples = thread::scope(|scope| {
        for number in 0..DRIVERS {
            let address = server.address;
            let connections = all / DRIVERS + usize::from(number < all % DRIVERS);
            scope.spawn(move || drive(number as u64, address, connections, tally));
        }
        let outcome = server.eventually(|now| now.descriptors >= FULL * all as f64).and_then(|_| {
            job.at(&format!("{all} connections for {:.1} minutes", options.minutes));
            let (start, mut samples) = (Instant::now(), Vec::new());
            while start.elapsed() < length || samples.len() < SAMPLES {
                thread::sleep(Duration::from_millis(500).min(length / 40));
                samples.push(server.sample(start)?);
            }
            Ok(samples)
        });
        tally.stop.store(true, Relaxed);
        outcome
    })?;
    job.at("the last connections end");
    let after = server.eventually(|now| now.descriptors <= before.descriptors)?;
    Ok(Seen { before, samples, after })
}

/// Clients are this process's descriptors, and the server may have as many as its parent.
fn allow_descriptors(connections: usize) -> Result<(), String> {
    let needed = connections as u64 + 256;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).map_err(|error| error.to_string())?;
    match limit.maximum {
        Some(maximum) if maximum < needed => {
            Err(format!("{connections} connections need {needed} descriptors, and `ulimit -Hn` allows {maximum}"))
        }
        _ => Ok(()),
    }
}

/// What a sample tells, and what it is called.
type Reading = (&'static str, fn(&Sample) -> f64);
const READINGS: [Reading; 2] =
    [("descriptors", |sample| sample.descriptors), ("memory in MB", |sample| sample.memory_mb)];

/// The samples of a server that is as full as it gets.
fn warm(samples: &[Sample]) -> &[Sample] {
    &samples[(samples.len() as f64 * WARM_UP) as usize..]
}

fn largest(samples: &[Sample], of: fn(&Sample) -> f64) -> f64 {
    samples.iter().map(of).fold(0.0, f64::max)
}

fn verdict(tally: &Tally, Seen { before, samples, after }: &Seen, options: &Options) -> Result<(), String> {
    let wrong = tally.wrong.load(Relaxed);
    if wrong > 0 {
        return Err(format!("{wrong} connections got bytes that they had not sent, or none where some were due"));
    }
    if tally.closed.load(Relaxed) == 0 || tally.compared.load(Relaxed) == 0 {
        return Err("the soak did nothing".into());
    }
    // Standard streams, the listener, two epolls at most, eventfds; and connections whose end the server has not seen yet.
    let most = largest(samples, |sample| sample.descriptors);
    let connections = options.connections.get() as f64;
    if !(FULL * connections..=1.2 * connections + 32.0).contains(&most) {
        return Err(format!("the server had {most} descriptors for {connections} connections"));
    }
    if after.descriptors > before.descriptors {
        let (before, after) = (before.descriptors, after.descriptors);
        return Err(format!("the server has {after} descriptors without a client, and had {before} before the first"));
    }
    let (middle, end) = warm(samples).split_at(warm(samples).len() / 2);
    for (what, of) in READINGS {
        let (before, after) = (largest(middle, of), largest(end, of));
        let growth = 100.0 * (after / before - 1.0);
        if growth > GROWTH {
            return Err(format!("the server's {what} grew by {growth:.1} % from the middle to the end, to {after:.1}"));
        }
    }
    Ok(())
}

fn table(tally: &Tally, Seen { before, samples, after }: &Seen, options: &Options) -> String {
    let range = |of: fn(&Sample) -> f64| {
        let least = warm(samples).iter().map(of).fold(f64::MAX, f64::min);
        format!("{least:.1} – {:.1}", largest(warm(samples), of))
    };
    let [descriptors, memory] = READINGS.map(|(_, of)| range(of));
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

/// The example.
struct Server {
    program: Background,
    address: SocketAddr,
}

impl Server {
    fn start() -> Result<Self, String> {
        let mut command = Command::new(target().join("release/examples/echo"));
        let command = command.arg("127.0.0.1:0").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut program = Background::start(command)?;
        let mut line = String::new();
        let read = program.stdout.take().map(|stdout| BufReader::new(stdout).read_line(&mut line));
        let address = line.split_whitespace().find_map(|word| word.trim_end_matches(',').parse().ok());
        match (read, address) {
            (Some(Ok(_)), Some(address)) => Ok(Self { program, address }),
            _ => Err(format!("the example echo does not say where it listens: {line:?}")),
        }
    }

    /// The server once it is so, or when this has taken too long.
    fn eventually(&mut self, is_so: impl Fn(&Sample) -> bool) -> Result<Sample, String> {
        let start = Instant::now();
        loop {
            let now = self.sample(start)?;
            if is_so(&now) || start.elapsed() > PATIENCE {
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
        let says = |error: std::io::Error| format!("cannot look at the server: {error}");
        let descriptors = fs::read_dir(format!("{process}/fd")).map_err(says)?.count() as f64;
        let status = fs::read_to_string(format!("{process}/status")).map_err(says)?;
        let kb = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok());
        let kb: f64 = kb.ok_or("the kernel does not say how much memory the server has")?;
        Ok(Sample { seconds: start.elapsed().as_secs_f64(), descriptors, memory_mb: kb / 1024.0 })
    }
}

/// Numbers that look random, always the same.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        // xorshift64
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// A client: what it has sent and not yet got back.
struct Client {
    stream: TcpStream,
    due: VecDeque<u8>,
    room: usize,
    /// How many bytes it still wants to send.
    left: usize,
}

/// Keeps so many clients busy until told to stop.
fn drive(seed: u64, address: SocketAddr, connections: usize, tally: &Tally) {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15 ^ (seed + 1));
    let mut clients: Vec<Client> = Vec::new();
    while !tally.stop.load(Relaxed) {
        // Many at once, so that it soon is as full as it is to be.
        for _ in clients.len()..connections.min(clients.len() + 64) {
            clients.extend(connect(address, &mut numbers, tally));
        }
        if clients.is_empty() {
            continue;
        }
        for _ in 0..64 {
            let place = numbers.below(clients.len());
            match turn(&mut clients[place], &mut numbers, tally) {
                Ok(true) => {}
                Ok(false) => end(clients.swap_remove(place), &mut numbers, tally),
                Err(_) => {
                    tally.wrong.fetch_add(1, Relaxed); // the server never closes first
                    clients.swap_remove(place);
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
    let room = if numbers.below(8) == 0 { LATE } else { PROMPT };
    Some(Client { stream, due: VecDeque::new(), room, left: 1 + numbers.below(64 * 1024) })
}

/// Sends some, or reads some; false once the client is done with sending.
fn turn(client: &mut Client, numbers: &mut Numbers, tally: &Tally) -> std::io::Result<bool> {
    if client.due.len() < client.room && client.left > 0 {
        let bytes: Vec<u8> = (0..1 + numbers.below(MOST.min(client.left))).map(|_| numbers.next() as u8).collect();
        match client.stream.write(&bytes) {
            Ok(sent) => {
                client.due.extend(&bytes[..sent]);
                client.left -= sent.min(client.left);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    // A late reader reads when it has sent all that it may.
    if client.room == PROMPT || client.due.len() >= client.room || client.left == 0 {
        receive(client, numbers.below(MOST) + 1, tally)?;
    }
    Ok(client.left > 0)
}

/// Reads, and compares; false where there is nothing now.
fn receive(client: &mut Client, most: usize, tally: &Tally) -> std::io::Result<bool> {
    let mut room = [0; MOST];
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

/// One in four is reset at once, one in four goes away, with bytes unread or not; the others say that they are done, read all that is due, and
/// close.
fn end(mut client: Client, numbers: &mut Numbers, tally: &Tally) {
    match numbers.below(4) {
        // No time to linger is a reset, whatever is unread.
        0 if set_socket_linger(&client.stream, Some(Duration::ZERO)).is_ok() => drop(tally.reset.fetch_add(1, Relaxed)),
        0 | 1 => drop(tally.abandoned.fetch_add(1, Relaxed)),
        _ => {
            let all = client.stream.shutdown(std::net::Shutdown::Write).and_then(|()| {
                client.stream.set_nonblocking(false)?;
                client.stream.set_read_timeout(Some(PATIENCE))?;
                while !client.due.is_empty() {
                    if !receive(&mut client, MOST, tally)? {
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
