//! A TCP echo server with one loop per core. The loops share only a stop flag.
//!
//! `cargo run --release --features std --example workers -- [--exclusive] [ADDR]`
//!
//! Each worker has its own listener on the same address (`SO_REUSEPORT`). The kernel spreads
//! connections evenly by hash, and a busy worker's connections wait for that worker. With
//! `--exclusive`, all workers watch one listener, and `EPOLLEXCLUSIVE` wakes one or two of them per
//! connection instead of all. A free worker then takes it, and the spread is rarely even.
//!
//! Everything is level-triggered. After each event a connection sets its interest again, and the
//! `InterestSet` passes only changes to the kernel. There are none while clients read their echo.
#![allow(clippy::incompatible_msrv)] // the minimum Rust version is the library's

use barepoll::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use barepoll::{Epoll, Errno, Event, EventData, EventFlags, InterestSet, Slot, Waker};
use std::collections::HashMap;
use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::mem::size_of;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const USAGE: &str = "usage: workers [--exclusive] [ADDR]";
const HELP: &str = "
Sends each TCP client's bytes back, with one thread per core. ADDR defaults to 127.0.0.1:0; port 0
picks a free port. With --exclusive the threads share one listener. A line `quit`, or the end of a
pipe or terminal, stops the server. It then prints what each worker served.";

/// The most bytes read from a connection at once, and the most kept for one.
const CHUNK: usize = 64 * 1024;
/// The most descriptors watched, at about 40 bytes per worker and descriptor. A connection with a
/// higher number is closed.
const DESCRIPTORS: usize = 32 * 1024;
/// How long to leave new connections in the kernel's queue when descriptors run out.
const PAUSE: Duration = Duration::from_millis(100);
/// The data of a waker's events. Other events carry their descriptor's number. An event that
/// outlives its connection may find a new one with the same number, and then one read is in vain.
const WAKER: RawFd = -1;

fn main() -> ExitCode {
    let (mut address, mut is_exclusive) = (None, false);
    for argument in std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()) {
        match &*argument {
            "--help" | "-h" => {
                println!("{USAGE}\n{HELP}");
                return ExitCode::SUCCESS;
            }
            "--exclusive" => is_exclusive = true,
            option if option.starts_with('-') => return refuse(format_args!("unknown option {option:?}")),
            second if address.is_some() => return refuse(format_args!("unexpected second address {second:?}")),
            _ => address = Some(argument),
        }
    }
    let address = address.unwrap_or_else(|| "127.0.0.1:0".into());
    let count = thread::available_parallelism().map_or(1, usize::from);
    let listeners = match listen(&address, if is_exclusive { 1 } else { count }) {
        Ok(listeners) => listeners,
        Err(error) => return refuse(format_args!("cannot listen on {address:?}: {error}")),
    };
    match run(&listeners, count) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("workers: {error}.");
            ExitCode::FAILURE
        }
    }
}

fn refuse(why: std::fmt::Arguments) -> ExitCode {
    eprintln!("workers: {why} ({USAGE}).");
    ExitCode::from(2)
}

fn run(listeners: &[TcpListener], count: usize) -> io::Result<()> {
    let (is_watched, stop) = (is_input_watched()?, AtomicBool::new(false));
    let epolls = (0..count).map(|_| Epoll::new()).collect::<Result<Vec<_>, _>>()?;
    let wakers =
        epolls.iter().map(|epoll| Waker::new(epoll, EventData::new_fd(WAKER))).collect::<Result<Vec<_>, _>>()?;
    let mut stdout = io::stdout();
    writeln!(stdout, "listening on {}", listeners[0].local_addr()?)?;
    stdout.flush()?;
    thread::scope(|scope| {
        let workers: Vec<_> = (0..count)
            .map(|i| {
                let (epoll, waker, stop) = (&epolls[i], &wakers[i], &stop);
                let listener = &listeners[i % listeners.len()];
                let exclusive = if listeners.len() < count { EventFlags::EXCLUSIVE } else { EventFlags::empty() };
                scope.spawn(move || work(epoll, waker, listener, EventFlags::IN | exclusive, stop))
            })
            .collect();
        wait_for_quit(is_watched);
        stop.store(true, Ordering::Release);
        wakers.iter().try_for_each(Waker::wake)?;
        for (i, worker) in workers.into_iter().enumerate() {
            let (connections, bytes) = worker.join().expect("no worker panics")?;
            writeln!(stdout, "worker {i} served {connections} connections, {bytes} bytes")?;
        }
        Ok(())
    })
}

/// Whether input can ask to stop. A file or /dev/null cannot: it ends at once.
fn is_input_watched() -> io::Result<bool> {
    Ok(Epoll::new()?.add(io::stdin(), EventData::new_u64(0), EventFlags::IN) != Err(Errno::EPERM))
}

fn wait_for_quit(is_watched: bool) {
    if !is_watched {
        loop {
            thread::park();
        }
    }
    // The end of input or an error also stops.
    let _ = io::stdin().lock().lines().find(|line| !matches!(line, Ok(line) if line != "quit"));
}

/// Runs one worker's loop. Returns the numbers of connections and bytes that it served.
fn work(
    epoll: &Epoll,
    waker: &Waker,
    listener: &TcpListener,
    accepting: EventFlags,
    stop: &AtomicBool,
) -> io::Result<(u64, u64)> {
    let mut slots = vec![Slot::EMPTY; DESCRIPTORS];
    let mut interests = InterestSet::new(&mut slots);
    let mut connections = HashMap::new();
    let (mut buffer, mut chunk) = (Event::buffer::<256>(), vec![0; CHUNK]);
    let (mut served, mut bytes, mut paused_until) = (0, 0, Some(Instant::now()));
    loop {
        if paused_until.is_some_and(|end| end <= Instant::now()) {
            paused_until = None;
            interests.set(listener, EventData::new_fd(listener.as_raw_fd()), accepting)?;
        }
        while let Err(refused) = interests.flush(epoll) {
            // Without room, only this connection closes, unless it is the listener.
            connections.remove(&refused.fd).ok_or(refused.errno)?;
            interests.forget(refused.fd);
        }
        // Whole milliseconds, rounded up, use the cheapest call and never end early.
        let timeout = paused_until.map(|end| end.saturating_duration_since(Instant::now()).as_millis() as u64 + 1);
        for event in epoll.wait_uninterrupted(&mut buffer, timeout.map(Duration::from_millis))? {
            match event.data().fd() {
                WAKER => {
                    waker.acknowledge(); // before reading the flag
                    if stop.load(Ordering::Acquire) {
                        return Ok((served, bytes));
                    }
                }
                // Accepts one connection per event, and leaves the others to free workers.
                fd if fd == listener.as_raw_fd() => match listener.accept() {
                    Ok((stream, _)) => {
                        let connection = Connection { stream, backlog: Vec::new() };
                        if connection.prepare(&mut interests).is_ok() {
                            connections.insert(connection.stream.as_raw_fd(), connection);
                            served += 1;
                        }
                    }
                    Err(error) if is_for_later(&error) || error.kind() == ErrorKind::ConnectionAborted => {}
                    // Out of descriptors or memory. Waiting connections keep the listener ready, so
                    // watching it on would spin.
                    Err(_) => {
                        interests.remove(listener)?;
                        paused_until = Some(Instant::now() + PAUSE);
                    }
                },
                fd => {
                    // The connection may have closed meanwhile.
                    let Some(connection) = connections.get_mut(&fd) else { continue };
                    // An error means a reset or similar, and ends only this connection.
                    if connection.turn(&mut chunk, &mut bytes).unwrap_or(false) {
                        connection.tell(&mut interests)?;
                    } else {
                        connections.remove(&fd);
                        interests.forget(fd);
                    }
                }
            }
        }
    }
}

struct Connection {
    stream: TcpStream,
    /// Bytes that the peer has not read yet. The worker reads no more until they are sent.
    backlog: Vec<u8>,
}

impl Connection {
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
    fn turn(&mut self, chunk: &mut [u8], bytes: &mut u64) -> io::Result<bool> {
        let waiting = if self.backlog.is_empty() {
            match self.stream.read(chunk) {
                Ok(0) => return Ok(false),
                Ok(received) => &chunk[..received],
                Err(error) if is_for_later(&error) => return Ok(true),
                Err(error) => return Err(error),
            }
        } else {
            &self.backlog[..]
        };
        let sent = match (&self.stream).write(waiting) {
            Err(error) if is_for_later(&error) => 0,
            answer => answer?,
        };
        *bytes += sent as u64;
        self.backlog = waiting[sent..].to_vec(); // an empty one allocates nothing
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
        let listener = if count == 1 { TcpListener::bind(address)? } else { listen_beside(address)? };
        listener.set_nonblocking(true)?;
        address = listener.local_addr()?; // the port that 0 picked
        listeners.push(listener);
    }
    Ok(listeners)
}

/// A listener on an address that others of this user share. The option must precede `bind`, which
/// std does not allow.
fn listen_beside(address: SocketAddr) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    // SAFETY: the call takes no pointer.
    let socket = check(unsafe { libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: the kernel has just made this descriptor, and it has no other owner.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    let fd = socket.as_raw_fd();
    for option in [libc::SO_REUSEADDR, libc::SO_REUSEPORT] {
        let on = 1;
        let (pointer, size): (*const i32, _) = (&on, size_of::<i32>() as libc::socklen_t);
        // SAFETY: the pointer and size are those of `on`.
        check(unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, option, pointer.cast(), size) })?;
    }
    match address {
        SocketAddr::V4(address) => {
            let name = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: address.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.ip().octets()) },
                sin_zero: [0; 8],
            };
            bind(fd, &name)?;
        }
        SocketAddr::V6(address) => {
            let name = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: address.port().to_be(),
                sin6_flowinfo: address.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: address.ip().octets() },
                sin6_scope_id: address.scope_id(),
            };
            bind(fd, &name)?;
        }
    }
    // SAFETY: the call takes no pointer.
    check(unsafe { libc::listen(fd, 1024) })?;
    Ok(socket.into())
}

fn bind<T>(fd: RawFd, name: &T) -> io::Result<()> {
    let pointer: *const T = name;
    // SAFETY: the pointer and size are those of `name`. The kernel rejects an invalid address.
    check(unsafe { libc::bind(fd, pointer.cast(), size_of::<T>() as libc::socklen_t) }).map(drop)
}

fn check(answer: i32) -> io::Result<i32> {
    match answer {
        -1 => Err(io::Error::last_os_error()),
        answer => Ok(answer),
    }
}
