//! A TCP echo server with one loop a core. The loops share nothing but a flag that says when to stop.
//!
//! `cargo run --release --features std --example workers -- [--exclusive] [ADDR]`
//!
//! Each worker has a listener of its own on the same address (`SO_REUSEPORT`): the kernel deals the connections out by their hash,
//! evenly, and what it has dealt to a busy worker waits for that one. With `--exclusive` all watch one listener, and
//! `EPOLLEXCLUSIVE` wakes a worker or two for a connection instead of all: whoever is free takes it, and rarely evenly.
//!
//! Everything is level-triggered. After each event a connection says anew what it wants, and the `InterestSet` tells the kernel only
//! what is not so already: nothing, as long as the clients read what comes back.
#![allow(clippy::incompatible_msrv)] // the oldest compiler is for the library

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
Sends back what each TCP client sends, with a thread for each core. ADDR is 127.0.0.1:0 if not given; port 0 picks a free
one. With --exclusive the threads share one listener. A line `quit` or the end of a pipe or terminal stops it. It then says what
each worker did.";

/// Bytes read from a connection at a time, which is also the most that is ever kept for one.
const CHUNK: usize = 64 * 1024;
/// Descriptors that can be watched, at some 40 bytes each a worker. A connection whose number is beyond is closed.
const DESCRIPTORS: usize = 32 * 1024;
/// How long to leave new connections in the kernel's queue when there is no descriptor for them.
const PAUSE: Duration = Duration::from_millis(100);
/// The data of a waker's events: no descriptor's number, which is the data of all others. An event that outlives its connection
/// may find another by that number, which is then read from for nothing.
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
            option if option.starts_with('-') => return refuse(format_args!("there is no option {option:?}")),
            second if address.is_some() => {
                return refuse(format_args!("one address is enough, so {second:?} is too much"))
            }
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

/// A file or /dev/null is at its end from the start: nobody is there to stop us.
fn is_input_watched() -> io::Result<bool> {
    Ok(Epoll::new()?.add(io::stdin(), EventData::new_u64(0), EventFlags::IN) != Err(Errno::EPERM))
}

fn wait_for_quit(is_watched: bool) {
    if !is_watched {
        loop {
            thread::park();
        }
    }
    // Its end, and an error too, is as good as the line.
    let _ = io::stdin().lock().lines().find(|line| !matches!(line, Ok(line) if line != "quit"));
}

/// One worker's loop; gives how many connections it served, and bytes.
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
            // No room for it: its loss alone, unless it is the listener.
            connections.remove(&refused.fd).ok_or(refused.errno)?;
            interests.forget(refused.fd);
        }
        // Whole milliseconds, rounded up: the cheapest call, and no turn too early.
        let timeout = paused_until.map(|end| end.saturating_duration_since(Instant::now()).as_millis() as u64 + 1);
        for event in epoll.wait_uninterrupted(&mut buffer, timeout.map(Duration::from_millis))? {
            match event.data().fd() {
                WAKER => {
                    waker.acknowledge(); // before the flag is looked at
                    if stop.load(Ordering::Acquire) {
                        return Ok((served, bytes));
                    }
                }
                // One connection an event: the others are for whoever is free.
                fd if fd == listener.as_raw_fd() => match listener.accept() {
                    Ok((stream, _)) => {
                        let connection = Connection { stream, backlog: Vec::new() };
                        if connection.prepare(&mut interests).is_ok() {
                            connections.insert(connection.stream.as_raw_fd(), connection);
                            served += 1;
                        }
                    }
                    Err(error) if is_for_later(&error) || error.kind() == ErrorKind::ConnectionAborted => {}
                    // Out of descriptors or memory. Whoever waits keeps the listener ready: the loop would spin.
                    Err(_) => {
                        interests.remove(listener)?;
                        paused_until = Some(Instant::now() + PAUSE);
                    }
                },
                fd => {
                    // It may have been closed since.
                    let Some(connection) = connections.get_mut(&fd) else { continue };
                    // An error is a reset, or as good as one: the end of this connection and of nothing else.
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
    /// What the peer has not taken yet. While there is any, nothing more is read.
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

    /// One piece of work; `false` at the end of input, when everything has been sent back.
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
        self.backlog = waiting[sent..].to_vec(); // empty, it needs no memory
        Ok(true)
    }
}

fn is_for_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// So many listeners on one address, nonblocking.
fn listen(address: &str, count: usize) -> io::Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    let mut address = address.to_socket_addrs()?.next().ok_or(ErrorKind::AddrNotAvailable)?;
    for _ in 0..count {
        let listener = if count == 1 { TcpListener::bind(address)? } else { listen_beside(address)? };
        listener.set_nonblocking(true)?;
        address = listener.local_addr()?; // where port 0 led the first
        listeners.push(listener);
    }
    Ok(listeners)
}

/// A listener beside others of this user on the same address. The option comes before the address, and std has no moment between.
fn listen_beside(address: SocketAddr) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    // SAFETY: the call takes no pointer.
    let socket = check(unsafe { libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: the kernel has just made this descriptor, and nobody else knows of it.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    let fd = socket.as_raw_fd();
    for option in [libc::SO_REUSEADDR, libc::SO_REUSEPORT] {
        let on = 1;
        let (pointer, size): (*const i32, _) = (&on, size_of::<i32>() as libc::socklen_t);
        // SAFETY: the kernel reads that many bytes there.
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
    // SAFETY: the kernel reads that many bytes there, and says so if they are no address.
    check(unsafe { libc::bind(fd, pointer.cast(), size_of::<T>() as libc::socklen_t) }).map(drop)
}

fn check(answer: i32) -> io::Result<i32> {
    match answer {
        -1 => Err(io::Error::last_os_error()),
        answer => Ok(answer),
    }
}
