//! A TCP echo server with one loop per core. The loops share only a stop flag. It can greet HTTP
//! clients too.
//!
//! `cargo run --release --features std --example workers -- [--exclusive] [--http ADDR] [ADDR]`
//!
//! Each worker has its own listener on the same address (`SO_REUSEPORT`). The kernel spreads
//! connections evenly by hash, and a busy worker's connections wait for that worker. With
//! `--exclusive`, all workers watch one listener, and `EPOLLEXCLUSIVE` wakes one or two of them per
//! connection instead of all. A free worker then takes it, and the spread is rarely even.
//!
//! Everything is level-triggered. After each event a connection sets its interest again, and the
//! `InterestSet` passes only changes to the kernel. There are none while clients read their echo.
#![allow(clippy::incompatible_msrv)] // the minimum Rust version is the library's

#[path = "http/hello.rs"]
mod hello;

use barepoll::fd::{AsRawFd, RawFd};
use barepoll::{Epoll, Errno, Event, EventData, EventFlags, InterestSet, Slot, Waker};
use socket2::{Domain, Socket, Type};
use std::collections::HashMap;
use std::fmt::Arguments;
use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const USAGE: &str = "usage: workers [--exclusive] [--http ADDR] [ADDR]";
const HELP: &str = "
Sends each TCP client's bytes back, with one thread per core. ADDR defaults to 127.0.0.1:0; port 0
picks a free port. With --http the threads also greet HTTP/1.1 clients on that address. With
--exclusive the threads share one listener per address. A line `quit`, or the end of a pipe or
terminal, stops the server. It then prints what each worker served.";

/// The most bytes read from a connection at once, and the most kept for one.
const CHUNK: usize = 64 * 1024;
/// The most descriptors watched, at about 40 bytes per worker and descriptor. A connection with a
/// higher number is closed.
const DESCRIPTORS: usize = 32 * 1024;
/// The most events per turn of a loop.
const EVENTS: usize = 256;
/// The most connections accepted per turn: as many as there are events for the others. If more
/// wait, the next turn goes on, so a crowd of busy clients does not keep new ones out.
const ACCEPTS: usize = EVENTS;
/// How long to leave new connections in the kernel's queue when descriptors run out.
const PAUSE: Duration = Duration::from_millis(100);
/// The data of a waker's events. Other events carry their descriptor's number. An event that
/// outlives its connection may find a new one with the same number, and then one read is in vain.
const WAKER: RawFd = -1;

fn main() -> ExitCode {
    let (mut address, mut http, mut is_exclusive) = (None, None, false);
    let mut arguments = std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
    while let Some(argument) = arguments.next() {
        match &*argument {
            "--help" | "-h" => {
                return end(say(format_args!("{USAGE}\n{HELP}")));
            }
            "--exclusive" => is_exclusive = true,
            "--http" => match arguments.next() {
                Some(_) if http.is_some() => return refuse(format_args!("unexpected second --http")),
                None => return refuse(format_args!("--http needs an address")),
                given => http = given,
            },
            option if option.starts_with('-') => return refuse(format_args!("unknown option {option:?}")),
            second if address.is_some() => return refuse(format_args!("unexpected second address {second:?}")),
            _ => address = Some(argument),
        }
    }
    let count = thread::available_parallelism().map_or(1, usize::from);
    let echo = (Protocol::Echo, address.unwrap_or_else(|| "127.0.0.1:0".into()));
    let mut services = Vec::new();
    for (protocol, address) in [echo].into_iter().chain(http.map(|address| (Protocol::Http, address))) {
        match listen(&address, if is_exclusive { 1 } else { count }) {
            Ok(listeners) => services.push((protocol, listeners)),
            Err(error) => return refuse(format_args!("cannot listen on {address:?}: {error}")),
        }
    }
    end(run(&services, count))
}

fn refuse(why: Arguments) -> ExitCode {
    let _ = writeln!(io::stderr(), "workers: {why} ({USAGE}).");
    ExitCode::from(2)
}

/// Prints a line.
fn say(line: Arguments) -> io::Result<()> {
    let lost = |error: io::Error| io::Error::new(error.kind(), format!("cannot write to standard output: {error}"));
    writeln!(io::stdout(), "{line}").map_err(lost)
}

/// Reports an error. If standard error takes nothing either, the exit status remains.
fn end(outcome: io::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "workers: {error}.");
            ExitCode::FAILURE
        }
    }
}

/// `services` has the listeners of each protocol, one for each of `count` workers or one for all.
fn run(services: &[(Protocol, Vec<TcpListener>)], count: usize) -> io::Result<()> {
    let (input, stop) = (Input::new()?, AtomicBool::new(false));
    let epolls = (0..count).map(|_| Epoll::new()).collect::<Result<Vec<_>, _>>()?;
    let wakers =
        epolls.iter().map(|epoll| Waker::new(epoll, EventData::new_fd(WAKER))).collect::<Result<Vec<_>, _>>()?;
    for (protocol, listeners) in services {
        let words = match protocol {
            Protocol::Echo => "listening on",
            Protocol::Http => "http listens on",
        };
        say(format_args!("{words} {}", listeners[0].local_addr()?))?;
    }
    thread::scope(|scope| {
        let workers: Vec<_> = (0..count)
            .map(|i| {
                let (epoll, waker, stop) = (&epolls[i], &wakers[i], &stop);
                let doors = services.iter().map(|(protocol, listeners)| {
                    Door::new(*protocol, &listeners[i % listeners.len()], listeners.len() < count)
                });
                let doors = doors.collect();
                let end = End(&input.waker);
                scope.spawn(move || {
                    let _end = end;
                    work(epoll, waker, doors, stop)
                })
            })
            .collect();
        let waited = input.wait_for_stop();
        stop.store(true, Ordering::Release);
        wakers.iter().try_for_each(Waker::wake)?;
        let joined = workers.into_iter().enumerate().map(|(i, worker)| {
            let served = worker.join().expect("no worker panics");
            served.map_err(|error| io::Error::new(error.kind(), format!("worker {i} failed: {error}")))
        });
        let served = joined.collect::<io::Result<Vec<_>>>()?;
        waited?;
        for (i, (connections, bytes)) in served.into_iter().enumerate() {
            say(format_args!("worker {i} served {connections} connections, {bytes} bytes"))?;
        }
        Ok(())
    })
}

/// What stops the workers: standard input, or the end of one of them.
struct Input {
    epoll: Epoll,
    waker: Waker,
}

/// Tells the input that a worker has ended, also by a panic.
struct End<'a>(&'a Waker);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.wake().expect("nothing forbids the write");
    }
}

impl Input {
    fn new() -> io::Result<Self> {
        let epoll = Epoll::new()?;
        let waker = Waker::new(&epoll, EventData::new_fd(WAKER))?;
        match epoll.add(io::stdin(), EventData::new_fd(0), EventFlags::IN) {
            // A file or /dev/null. It ends at once, so it cannot ask to stop.
            Ok(()) | Err(Errno::EPERM) => Ok(Self { epoll, waker }),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Returns at a line `quit`, at the end of input, or at the end of a worker.
    fn wait_for_stop(&self) -> io::Result<()> {
        let (mut line, mut buffer) = (Vec::new(), Event::buffer::<2>());
        loop {
            for event in self.epoll.wait_uninterrupted(&mut buffer, None)? {
                if event.data().fd() == WAKER || self.asks_to_stop(&mut line)? {
                    return Ok(());
                }
            }
        }
    }

    /// Reads once and consumes all of it, so it does not block. `line` keeps the start of a line.
    fn asks_to_stop(&self, line: &mut Vec<u8>) -> io::Result<bool> {
        let mut stdin = io::stdin().lock();
        let input = match stdin.fill_buf() {
            Ok([]) => return Ok(true),
            Ok(input) => input,
            // Another program has made it nonblocking, and took the input first.
            Err(error) if is_for_later(&error) => return Ok(false),
            // It cannot be read, so it cannot ask to stop.
            Err(_) => return Ok(self.epoll.delete(io::stdin()).map(|()| false)?),
        };
        let length = input.len();
        let is_stop = input.iter().any(|&byte| {
            if byte == b'\n' {
                let is_quit = matches!(&line[..], b"quit" | b"quit\r");
                line.clear();
                return is_quit;
            }
            if line.len() <= b"quit\r".len() {
                line.push(byte); // one byte more than `quit\r` suffices to tell a longer line
            }
            false
        });
        stdin.consume(length);
        Ok(is_stop)
    }
}

#[derive(Clone, Copy)]
enum Protocol {
    Echo,
    Http,
}

/// A listener as one worker sees it.
struct Door<'a> {
    protocol: Protocol,
    listener: &'a TcpListener,
    is_shared: bool,
    accepting: Accepting,
}

#[derive(Clone, Copy)]
enum Accepting {
    /// None waits. epoll reports the next one.
    Idle,
    /// More may wait.
    Busy,
    /// Descriptors or memory ran out, or the loop begins. The listener is not watched.
    PausedUntil(Instant),
}

impl<'a> Door<'a> {
    fn new(protocol: Protocol, listener: &'a TcpListener, is_shared: bool) -> Self {
        Self { protocol, listener, is_shared, accepting: Accepting::PausedUntil(Instant::now()) }
    }

    /// Watches the listener if its pause is over.
    fn open(&mut self, interests: &mut InterestSet) -> barepoll::Result<()> {
        match self.accepting {
            Accepting::PausedUntil(end) if end <= Instant::now() => {
                self.accepting = Accepting::Idle;
                let exclusive = if self.is_shared { EventFlags::EXCLUSIVE } else { EventFlags::empty() };
                let data = EventData::new_fd(self.listener.as_raw_fd());
                interests.set(self.listener, data, EventFlags::IN | exclusive)
            }
            _ => Ok(()),
        }
    }

    /// How long the loop may wait. Whole milliseconds, rounded up, use the cheapest call and never
    /// end early.
    fn timeout(&self) -> Option<Duration> {
        match self.accepting {
            Accepting::Idle => None,
            Accepting::Busy => Some(Duration::ZERO),
            Accepting::PausedUntil(end) => {
                let left = end.saturating_duration_since(Instant::now());
                Some(Duration::from_millis(left.as_millis() as u64 + 1))
            }
        }
    }

    fn pause(&mut self) {
        self.accepting = Accepting::PausedUntil(Instant::now() + PAUSE);
    }

    /// Accepts this turn's share of the connections that wait.
    fn accept(&mut self, interests: &mut InterestSet, connections: &mut HashMap<RawFd, Connection>) -> io::Result<u64> {
        let mut served = 0;
        for _ in 0..ACCEPTS {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    let connection = Connection::new(stream, self.protocol);
                    if connection.prepare(interests).is_ok() {
                        connections.insert(connection.stream.as_raw_fd(), connection);
                        served += 1;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.accepting = Accepting::Idle;
                    break;
                }
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                // Out of descriptors or memory. Waiting connections keep the listener ready, so
                // watching it on would spin.
                Err(_) => {
                    interests.remove(self.listener)?;
                    self.pause();
                    break;
                }
            }
        }
        Ok(served)
    }
}

/// Runs one worker's loop. Returns the numbers of connections and bytes that it served.
fn work(epoll: &Epoll, waker: &Waker, mut doors: Vec<Door>, stop: &AtomicBool) -> io::Result<(u64, u64)> {
    let mut slots = vec![Slot::EMPTY; DESCRIPTORS];
    let mut interests = InterestSet::new(&mut slots);
    let mut connections = HashMap::<RawFd, Connection>::new();
    let (mut buffer, mut chunk, mut answers) = (Event::buffer::<EVENTS>(), vec![0; CHUNK], Vec::new());
    let (mut served, mut bytes) = (0, 0);
    loop {
        doors.iter_mut().try_for_each(|door| door.open(&mut interests))?;
        while let Err(refused) = interests.flush(epoll) {
            interests.forget(refused.fd);
            match doors.iter_mut().find(|door| door.listener.as_raw_fd() == refused.fd) {
                // Without room, only this connection closes.
                None => drop(connections.remove(&refused.fd).ok_or(refused.errno)?),
                // New connections wait for room in the kernel's queue.
                Some(door) if matches!(refused.errno, Errno::ENOSPC | Errno::ENOMEM) => door.pause(),
                Some(_) => return Err(refused.errno.into()),
            }
        }
        let timeout = doors.iter().filter_map(Door::timeout).min();
        for event in epoll.wait_uninterrupted(&mut buffer, timeout)? {
            match event.data().fd() {
                WAKER => {
                    waker.acknowledge(); // before reading the flag
                    if stop.load(Ordering::Acquire) {
                        return Ok((served, bytes));
                    }
                }
                fd => {
                    if let Some(door) = doors.iter_mut().find(|door| door.listener.as_raw_fd() == fd) {
                        door.accepting = Accepting::Busy;
                        continue;
                    }
                    // The connection may have closed meanwhile.
                    let Some(connection) = connections.get_mut(&fd) else { continue };
                    // An error means a reset or similar, and ends only this connection.
                    if connection.turn(&mut chunk, &mut answers, &mut bytes).unwrap_or(false) {
                        connection.tell(&mut interests)?;
                    } else {
                        connections.remove(&fd);
                        interests.forget(fd);
                    }
                }
            }
        }
        for door in doors.iter_mut().filter(|door| matches!(door.accepting, Accepting::Busy)) {
            served += door.accept(&mut interests, &mut connections)?;
        }
    }
}

struct Connection {
    stream: TcpStream,
    talk: Talk,
    /// Bytes that the peer has not read yet. The worker reads no more until they are sent.
    backlog: Vec<u8>,
}

enum Talk {
    Echo,
    /// The start of the next request.
    Http(Vec<u8>),
    /// The last response is said. What the client still sends is read, because closing with unread
    /// bytes resets the connection, and the client may lose the response.
    Over,
}

impl Connection {
    fn new(stream: TcpStream, protocol: Protocol) -> Self {
        let talk = match protocol {
            Protocol::Echo => Talk::Echo,
            Protocol::Http => Talk::Http(Vec::new()),
        };
        Self { stream, talk, backlog: Vec::new() }
    }

    fn prepare(&self, interests: &mut InterestSet) -> io::Result<()> {
        self.stream.set_nonblocking(true)?;
        self.stream.set_nodelay(true)?;
        Ok(self.tell(interests)?)
    }

    fn tell(&self, interests: &mut InterestSet) -> barepoll::Result<()> {
        let wanted = if self.backlog.is_empty() { EventFlags::IN } else { EventFlags::OUT };
        interests.set(&self.stream, EventData::new_fd(self.stream.as_raw_fd()), wanted)
    }

    /// Does one piece of work. Returns `false` at the end of input, with everything sent back.
    /// `chunk` and `answers` are room that all connections use.
    fn turn(&mut self, chunk: &mut [u8], answers: &mut Vec<u8>, bytes: &mut u64) -> io::Result<bool> {
        answers.clear();
        let waiting = if self.backlog.is_empty() {
            let received = match self.stream.read(chunk) {
                Ok(0) => return Ok(false),
                Ok(received) => &chunk[..received],
                Err(error) if is_for_later(&error) => return Ok(true),
                Err(error) => return Err(error),
            };
            match &mut self.talk {
                Talk::Echo => received,
                Talk::Http(head) => {
                    if !hello::reply(head, received, answers) {
                        self.talk = Talk::Over;
                    }
                    &answers[..]
                }
                Talk::Over => &[],
            }
        } else {
            &self.backlog[..]
        };
        if waiting.is_empty() {
            return Ok(true);
        }
        let sent = match (&self.stream).write(waiting) {
            Err(error) if is_for_later(&error) => 0,
            answer => answer?,
        };
        *bytes += sent as u64;
        self.backlog = waiting[sent..].to_vec(); // an empty one allocates nothing
        if self.backlog.is_empty() && matches!(self.talk, Talk::Over) {
            self.stream.shutdown(Shutdown::Write)?;
        }
        Ok(true)
    }
}

fn is_for_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Makes this many nonblocking listeners on one address.
fn listen(address: &str, count: usize) -> io::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    let mut address = address.to_socket_addrs()?.next().ok_or(ErrorKind::AddrNotAvailable)?;
    for _ in 0..count {
        let listener = listen_at(address, count > 1)?;
        address = listener.local_addr()?; // the port that 0 picked
        listeners.push(listener);
    }
    Ok(listeners)
}

/// A listener, alone on its address or beside others of this user. std cannot set that option
/// before `bind`. Its listeners have room for 128 connections that wait. If more clients connect at
/// once, the kernel drops their packets, and they try again after a second.
fn listen_at(address: SocketAddr, is_beside: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?; // as std does: a new server may follow at once
    socket.set_reuse_port(is_beside)?;
    socket.bind(&address.into())?;
    socket.listen(i32::MAX)?; // the kernel reduces it to `net.core.somaxconn`
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
