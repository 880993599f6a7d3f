//! A TCP echo server on one thread: the standard library's sockets under barepoll's loop.
//!
//! `cargo run --release --features std --example echo -- [ADDR]`
//!
//! Everything is level-triggered: what is left undone is reported again, so each event gets one bounded piece of work
//! and no client can starve the others. Per client the memory is bounded too: who does not read what comes back is
//! not read from.

use barepoll::{Epoll, Errno, Event, EventData, EventFd, EventFdFlags, EventFlags};
use std::collections::HashMap;
use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const USAGE: &str = "\
usage: echo [ADDR]

Sends back what each TCP client sends. ADDR is 127.0.0.1:7777 if not given; port 0 picks a free one.
A line `quit` or the end of a pipe or terminal stops it. It then counts what it has sent back.";

/// Bytes read from a connection at a time, which is also the most that is ever kept for one.
const CHUNK: usize = 64 * 1024;

/// Connections accepted before the others get their turn.
const ACCEPTS: usize = 128;

/// How long to leave new connections in the kernel's queue when there is no descriptor for them.
const PAUSE: Duration = Duration::from_millis(100);

const LISTENER: u64 = 0;
const STDIN: u64 = 1;
const STOP: u64 = 2;
/// The first connection's token. None is used twice (a descriptor's number is, at once), so an event that outlives its
/// connection is never taken for another's.
const FIRST_CONNECTION: u64 = 3;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
    let address = match (arguments.next(), arguments.next()) {
        (None, _) => "127.0.0.1:7777".to_string(),
        (Some(help), None) if help == "--help" || help == "-h" => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        (Some(flag), _) if flag.starts_with('-') => return refuse(format_args!("there is no option {flag:?}")),
        (Some(address), None) => address,
        (Some(_), Some(second)) => return refuse(format_args!("one address is enough, so {second:?} is too much")),
    };
    let listener = match TcpListener::bind(&address) {
        Ok(listener) => listener,
        Err(error) => return refuse(format_args!("cannot listen on {address:?}: {error}")),
    };
    match Server::new(listener).and_then(Server::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo: {error}.");
            ExitCode::FAILURE
        }
    }
}

fn refuse(why: std::fmt::Arguments) -> ExitCode {
    eprintln!("echo: {why}; `echo --help` says what it takes.");
    ExitCode::from(2)
}

struct Server {
    epoll: Epoll,
    listener: TcpListener,
    stop: EventFd,
    line: Vec<u8>,
    connections: HashMap<u64, Connection>,
    next_token: u64,
    paused_until: Option<Instant>,
    bytes: u64,
}

impl Server {
    fn new(listener: TcpListener) -> io::Result<Self> {
        // Whether or not there is more to get: running out of descriptors is survived anyway.
        let _ = rlimit::increase_nofile_limit(u64::MAX);

        let epoll = Epoll::new()?;
        listener.set_nonblocking(true)?;
        epoll.add(&listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        let stop = EventFd::new(0, EventFdFlags::CLOEXEC | EventFdFlags::NONBLOCK)?;
        epoll.add(&stop, EventData::new_u64(STOP), EventFlags::IN)?;
        match epoll.add(io::stdin(), EventData::new_u64(STDIN), EventFlags::IN) {
            // A file or /dev/null, which std also puts in the place of a closed one: nobody is there to stop us.
            Ok(()) | Err(Errno::EPERM) => {}
            Err(errno) => return Err(errno.into()),
        }
        let (line, connections, next_token) = (Vec::new(), HashMap::new(), FIRST_CONNECTION);
        Ok(Self { epoll, listener, stop, line, connections, next_token, paused_until: None, bytes: 0 })
    }

    fn run(mut self) -> io::Result<()> {
        let mut stdout = io::stdout();
        writeln!(stdout, "listening on {}", self.listener.local_addr()?)?;
        stdout.flush()?;
        self.serve_until_stopped()?;
        let (served, bytes) = (self.next_token - FIRST_CONNECTION, self.bytes);
        drop(self); // closes everything
        writeln!(stdout, "served {served} connections, {bytes} bytes")
    }

    fn serve_until_stopped(&mut self) -> io::Result<()> {
        let mut chunk = [0; CHUNK];
        let mut buffer = Event::buffer::<256>();
        loop {
            for event in self.epoll.wait_uninterrupted(&mut buffer, self.timeout())? {
                match event.data().u64() {
                    STOP => return Ok(()),
                    STDIN => self.read_stdin()?,
                    LISTENER => self.accept()?,
                    token => self.serve(token, &mut chunk)?,
                }
            }
            if self.paused_until.map_or(false, |end| end <= Instant::now()) {
                self.resume()?;
            }
        }
    }

    /// For ever, unless new connections wait for us. Whole milliseconds, rounded up: the cheapest call, and no turn
    /// too early.
    fn timeout(&self) -> Option<Duration> {
        let left = self.paused_until?.saturating_duration_since(Instant::now());
        Some(Duration::from_millis(left.as_millis() as u64 + 1))
    }

    fn accept(&mut self) -> io::Result<()> {
        for _ in 0..ACCEPTS {
            match self.listener.accept() {
                // Where epoll has no room for it, it is closed: its loss alone.
                Ok((stream, _)) => drop(self.admit(stream)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                // Out of descriptors or memory, or forbidden to accept. Whoever waits keeps the listener ready, so
                // that the loop would spin if it went on listening.
                Err(_) => {
                    self.paused_until = Some(Instant::now() + PAUSE);
                    self.epoll.modify(&self.listener, EventData::new_u64(LISTENER), EventFlags::empty())?;
                    break;
                }
            }
        }
        Ok(())
    }

    fn admit(&mut self, stream: TcpStream) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let (token, interest) = (self.next_token, EventFlags::IN);
        self.epoll.add(&stream, EventData::new_u64(token), interest)?;
        self.connections.insert(token, Connection { stream, backlog: Vec::new(), interest });
        self.next_token += 1;
        Ok(())
    }

    fn resume(&mut self) -> io::Result<()> {
        if self.paused_until.take().is_some() {
            self.epoll.modify(&self.listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        }
        Ok(())
    }

    fn serve(&mut self, token: u64, chunk: &mut [u8]) -> io::Result<()> {
        let connection = match self.connections.get_mut(&token) {
            Some(connection) => connection,
            None => return Ok(()), // closed since
        };
        let open = connection.turn(chunk, &mut self.bytes).and_then(|open| {
            connection.update_interest(&self.epoll, token)?;
            Ok(open)
        });
        // An error is a reset, or as good as one: the end of this connection and of nothing else.
        if open.unwrap_or(false) {
            return Ok(());
        }
        // The close takes it out of the interest list too, because it has no duplicates.
        self.connections.remove(&token);
        self.resume()
    }

    /// One read an event, and all of it consumed, so that it does not block: a terminal is shared with other
    /// programs, which O_NONBLOCK would confuse.
    fn read_stdin(&mut self) -> io::Result<()> {
        let mut stdin = io::stdin().lock();
        let input = match stdin.fill_buf() {
            Ok(input) => input,
            Err(error) if is_for_later(&error) => return Ok(()),
            Err(_) => return Ok(self.epoll.delete(io::stdin())?),
        };
        let mut quit = input.is_empty();
        for &byte in input {
            if byte == b'\n' {
                quit |= matches!(&self.line[..], b"quit" | b"quit\r");
                self.line.clear();
            } else if self.line.len() <= b"quit\r".len() {
                self.line.push(byte); // one byte too many is enough to know that this is another line
            }
        }
        let length = input.len();
        stdin.consume(length);
        if quit {
            self.stop.write(1)?;
        }
        Ok(())
    }
}

struct Connection {
    stream: TcpStream,
    /// What the peer has not taken yet. While there is any, nothing more is read.
    backlog: Vec<u8>,
    /// What epoll was told, to tell it only what changes.
    interest: EventFlags,
}

impl Connection {
    /// One piece of work; `false` at the end of input, when everything has been sent back.
    fn turn(&mut self, chunk: &mut [u8], bytes: &mut u64) -> io::Result<bool> {
        if self.backlog.is_empty() {
            let received = match self.stream.read(chunk) {
                Ok(0) => return Ok(false),
                Ok(received) => &chunk[..received],
                Err(error) if is_for_later(&error) => return Ok(true),
                Err(error) => return Err(error),
            };
            let sent = self.send(received)?;
            self.backlog = received[sent..].to_vec();
            *bytes += sent as u64;
        } else {
            let sent = self.send(&self.backlog)?;
            self.backlog.drain(..sent);
            if self.backlog.is_empty() {
                self.backlog = Vec::new(); // gives the memory back
            }
            *bytes += sent as u64;
        }
        Ok(true)
    }

    fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        match (&self.stream).write(bytes) {
            Err(error) if is_for_later(&error) => Ok(0),
            answer => answer,
        }
    }

    fn update_interest(&mut self, epoll: &Epoll, token: u64) -> io::Result<()> {
        let interest = if self.backlog.is_empty() { EventFlags::IN } else { EventFlags::OUT };
        if self.interest != interest {
            epoll.modify(&self.stream, EventData::new_u64(token), interest)?;
            self.interest = interest;
        }
        Ok(())
    }
}

fn is_for_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
