//! A TCP echo server on one thread: std's sockets in a barepoll event loop.
//!
//! `cargo run --release --features std --example echo -- [ADDR]`
//!
//! Everything is level-triggered: epoll reports unfinished work again. So each event gets one
//! bounded piece of work, and no client starves the others. Memory per client is bounded too: the
//! server does not read from a client that does not read its echo.

use barepoll::signo::{SIGINT, SIGTERM};
use barepoll::{Epoll, Errno, Event, EventData, EventFd, EventFdFlags, EventFlags, SigSet, SignalFd, SignalFdFlags};
use socket2::{Domain, Socket, Type};
use std::collections::HashMap;
use std::fmt::Arguments;
use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const USAGE: &str = "\
usage: echo [ADDR]

Sends each TCP client's bytes back. ADDR defaults to 127.0.0.1:7777; port 0 picks a free port.
A line `quit`, the end of a pipe or terminal, SIGTERM or Ctrl-C stops the server. It then prints what it served.";

/// The most bytes read from a connection at once, and the most kept for one.
const CHUNK: usize = 64 * 1024;

/// The most events per turn of the loop.
const EVENTS: usize = 256;

/// The most connections accepted per turn: as many as there are events for the others. If more
/// wait, the next turn goes on, so a crowd of busy clients does not keep new ones out.
const ACCEPTS: usize = EVENTS;

/// How long to leave new connections in the kernel's queue when descriptors run out.
const PAUSE: Duration = Duration::from_millis(100);

const LISTENER: u64 = 0;
const STDIN: u64 = 1;
const STOP: u64 = 2;
/// The first connection's token. Tokens are never reused, unlike descriptor numbers. So an event
/// that outlives its connection cannot match another one.
const FIRST_CONNECTION: u64 = 3;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
    let address = match (arguments.next(), arguments.next()) {
        (None, _) => "127.0.0.1:7777".to_string(),
        (Some(help), None) if help == "--help" || help == "-h" => {
            return end(say(format_args!("{USAGE}")));
        }
        (Some(flag), _) if flag.starts_with('-') => return refuse(format_args!("unknown option {flag:?}")),
        (Some(address), None) => address,
        (Some(_), Some(second)) => return refuse(format_args!("unexpected second address {second:?}")),
    };
    let listener = match listen(&address) {
        Ok(listener) => listener,
        Err(error) => return refuse(format_args!("cannot listen on {address:?}: {error}")),
    };
    end(Server::new(listener).and_then(Server::run))
}

fn refuse(why: Arguments) -> ExitCode {
    let _ = writeln!(io::stderr(), "echo: {why}; see `echo --help`.");
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
            let _ = writeln!(io::stderr(), "echo: {error}.");
            ExitCode::FAILURE
        }
    }
}

/// Listens on the first address that it can use, like `TcpListener::bind`.
fn listen(address: &str) -> io::Result<TcpListener> {
    let mut refused = ErrorKind::AddrNotAvailable.into();
    for address in address.to_socket_addrs()? {
        match listen_at(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// std's listeners have room for 128 connections that wait. If more clients connect at once, the
/// kernel drops their packets, and they try again after a second.
fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?; // as std does: a new server may follow at once
    socket.bind(&address.into())?;
    socket.listen(i32::MAX)?; // the kernel reduces it to `net.core.somaxconn`
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

struct Server {
    epoll: Epoll,
    listener: TcpListener,
    stop: EventFd,
    /// Readable once a signal asks to stop.
    _signals: SignalFd,
    line: Vec<u8>,
    connections: HashMap<u64, Connection>,
    next_token: u64,
    accepting: Accepting,
    bytes: u64,
}

#[derive(Clone, Copy)]
enum Accepting {
    /// None waits. epoll reports the next one.
    Idle,
    /// More may wait.
    Busy,
    /// Descriptors or memory ran out, and the listener is not watched.
    PausedUntil(Instant),
}

impl Server {
    fn new(listener: TcpListener) -> io::Result<Self> {
        // A failure is harmless, because the server survives running out of descriptors.
        let _ = rlimit::increase_nofile_limit(u64::MAX);

        let epoll = Epoll::new()?;
        epoll.add(&listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        let stop = EventFd::new(0, EventFdFlags::CLOEXEC | EventFdFlags::NONBLOCK)?;
        epoll.add(&stop, EventData::new_u64(STOP), EventFlags::IN)?;
        // This program has one thread. With more, block the signals before the second one starts.
        let end = SigSet::from_signals(&[SIGINT, SIGTERM])?;
        end.block()?;
        let signals = SignalFd::new(&end, SignalFdFlags::CLOEXEC | SignalFdFlags::NONBLOCK)?;
        epoll.add(&signals, EventData::new_u64(STOP), EventFlags::IN)?;
        match epoll.add(io::stdin(), EventData::new_u64(STDIN), EventFlags::IN) {
            // A file or /dev/null, which std also opens in place of a closed stdin. It cannot ask
            // to stop.
            Ok(()) | Err(Errno::EPERM) => {}
            Err(errno) => return Err(errno.into()),
        }
        let (line, connections, next_token) = (Vec::new(), HashMap::new(), FIRST_CONNECTION);
        Ok(Self {
            epoll,
            listener,
            stop,
            _signals: signals,
            line,
            connections,
            next_token,
            accepting: Accepting::Idle,
            bytes: 0,
        })
    }

    fn run(mut self) -> io::Result<()> {
        say(format_args!("listening on {}", self.listener.local_addr()?))?;
        self.serve_until_stopped()?;
        let (served, bytes) = (self.next_token - FIRST_CONNECTION, self.bytes);
        drop(self); // closes everything
        say(format_args!("served {served} connections, {bytes} bytes"))
    }

    fn serve_until_stopped(&mut self) -> io::Result<()> {
        let mut chunk = [0; CHUNK];
        let mut buffer = Event::buffer::<EVENTS>();
        loop {
            for event in self.epoll.wait_uninterrupted(&mut buffer, self.timeout())? {
                match event.data().u64() {
                    STOP => return Ok(()),
                    STDIN => self.read_stdin()?,
                    LISTENER => self.accepting = Accepting::Busy,
                    token => self.serve(token, &mut chunk)?,
                }
            }
            match self.accepting {
                Accepting::Idle => {}
                Accepting::Busy => self.accept()?,
                Accepting::PausedUntil(end) if end <= Instant::now() => self.resume()?,
                Accepting::PausedUntil(_) => {}
            }
        }
    }

    /// How long to wait for events. Whole milliseconds, rounded up, use the cheapest call and never
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

    fn accept(&mut self) -> io::Result<()> {
        for _ in 0..ACCEPTS {
            match self.listener.accept() {
                // If epoll has no room for the connection, only this connection closes.
                Ok((stream, _)) => drop(self.admit(stream)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.accepting = Accepting::Idle;
                    break;
                }
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                // Out of descriptors or memory, or not permitted to accept. Waiting connections
                // keep the listener ready, so watching it on would spin.
                Err(_) => {
                    self.accepting = Accepting::PausedUntil(Instant::now() + PAUSE);
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
        if let Accepting::PausedUntil(_) = self.accepting {
            self.accepting = Accepting::Idle;
            self.epoll.modify(&self.listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        }
        Ok(())
    }

    fn serve(&mut self, token: u64, chunk: &mut [u8]) -> io::Result<()> {
        let connection = match self.connections.get_mut(&token) {
            Some(connection) => connection,
            None => return Ok(()), // closed meanwhile
        };
        let open = connection.turn(chunk, &mut self.bytes).and_then(|open| {
            connection.update_interest(&self.epoll, token)?;
            Ok(open)
        });
        // An error means a reset or similar, and ends only this connection.
        if open.unwrap_or(false) {
            return Ok(());
        }
        // Closing removes it from the interest list, because it has no duplicates.
        self.connections.remove(&token);
        self.resume()
    }

    /// Reads once per event and consumes all of it, so it does not block. O_NONBLOCK would confuse
    /// other programs that share the terminal.
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
                self.line.push(byte); // one byte more than `quit\r` suffices to tell a longer line
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
    /// Bytes that the peer has not read yet. The server reads no more until they are sent.
    backlog: Vec<u8>,
    /// The registered interest, to call epoll only for changes.
    interest: EventFlags,
}

impl Connection {
    /// Does one piece of work. Returns `false` at the end of input, with everything sent back.
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
                self.backlog = Vec::new(); // frees the memory
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
