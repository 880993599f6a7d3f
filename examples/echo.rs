//! A TCP echo server on one thread: std's sockets in a barepoll event loop.
//!
//! `cargo run --release --features std --example echo -- [ADDR]`
//!
//! Everything is level-triggered: epoll reports unfinished work again. So each event gets one
//! bounded piece of work, and no client starves the others. Memory per client is bounded too: the
//! server does not read from a client that does not read its echo.

use barepoll::{Epoll, Errno, Event, EventData, EventFd, EventFdFlags, EventFlags, SigSet, SignalFd, SignalFdFlags};
use std::collections::HashMap;
use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const USAGE: &str = "\
usage: echo [ADDR]

Sends each TCP client's bytes back. ADDR defaults to 127.0.0.1:7777; port 0 picks a free port.
A line `quit`, the end of a pipe or terminal, SIGTERM or Ctrl-C stops the server. It then prints what it served.";

const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// The most bytes read from a connection at once, and the most kept for one.
const CHUNK: usize = 64 * 1024;

/// The most connections accepted per event, before others get their turn.
const ACCEPTS: usize = 128;

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
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        (Some(flag), _) if flag.starts_with('-') => return refuse(format_args!("unknown option {flag:?}")),
        (Some(address), None) => address,
        (Some(_), Some(second)) => return refuse(format_args!("unexpected second address {second:?}")),
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
    eprintln!("echo: {why}; see `echo --help`.");
    ExitCode::from(2)
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
    paused_until: Option<Instant>,
    bytes: u64,
}

impl Server {
    fn new(listener: TcpListener) -> io::Result<Self> {
        // A failure is harmless, because the server survives running out of descriptors.
        let _ = rlimit::increase_nofile_limit(u64::MAX);

        let epoll = Epoll::new()?;
        listener.set_nonblocking(true)?;
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
            paused_until: None,
            bytes: 0,
        })
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

    /// Waits without a limit unless accepting is paused. Whole milliseconds, rounded up, use the
    /// cheapest call and never end early.
    fn timeout(&self) -> Option<Duration> {
        let left = self.paused_until?.saturating_duration_since(Instant::now());
        Some(Duration::from_millis(left.as_millis() as u64 + 1))
    }

    fn accept(&mut self) -> io::Result<()> {
        for _ in 0..ACCEPTS {
            match self.listener.accept() {
                // If epoll has no room for the connection, only this connection closes.
                Ok((stream, _)) => drop(self.admit(stream)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                // Out of descriptors or memory, or not permitted to accept. Waiting connections
                // keep the listener ready, so watching it on would spin.
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
