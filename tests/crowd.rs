//! Thousands of clients that connect at once. No packet is sent twice, because the servers' queues
//! have room for them.

#[path = "support/program.rs"]
#[allow(dead_code)] // other tests use the rest
mod program;
mod support;

use barepoll::{Epoll, Event, EventData, EventFlags};
use program::*;
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs;
use std::io::{self, Read, Write};
use std::mem::{size_of, zeroed};
use std::net::SocketAddr;
use std::os::unix::io::AsRawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const SERVERS: [(&str, &[&str]); 3] = [("echo", &["127.0.0.1:0"]), ("workers", &[]), ("workers", &["--exclusive"])];

/// The queue of new connections that this test needs, and Linux's default since 5.4.
const QUEUE: usize = 4096;

/// How often a crowd that is larger than the queue tries.
const TRIES: usize = 10;

fn start(name: &str, arguments: &[&str]) -> (Program, SocketAddr) {
    // The server inherits the limit.
    need_descriptors(10_100);
    let mut program = Program::start(name, arguments);
    let address = program.address("listening on ");
    (program, address)
}

fn need_descriptors(needed: u64) {
    let limit = rlimit::increase_nofile_limit(needed).expect("a limit below the hard one can be set");
    assert!(
        limit >= needed,
        "this test needs {needed} descriptors but the hard limit is {limit}; raise it (ulimit -Hn)"
    );
}

/// One test at a time, because each needs the machine and half of its descriptors.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let guard = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    need_queue();
    guard
}

fn need_queue() {
    let limit = fs::read_to_string("/proc/sys/net/core/somaxconn").expect("the kernel has a network");
    let limit: usize = limit.trim().parse().expect("a number");
    assert!(
        limit >= QUEUE,
        "this test needs {QUEUE} connections in a listener's queue but the limit is {limit}; raise it \
         (sysctl net.core.somaxconn={QUEUE})"
    );
}

struct Client {
    socket: Socket,
    begin: Instant,
    /// The time from `connect` to the answer.
    outcome: Option<io::Result<Duration>>,
}

impl Client {
    /// Sends the client's number once it is connected, then expects it back. Returns whether it is.
    fn turn(&self, event: &Event, epoll: &Epoll) -> io::Result<bool> {
        let message = event.data().u64().to_le_bytes();
        if let Some(error) = self.socket.take_error()? {
            return Err(error);
        }
        if event.flags().contains(EventFlags::OUT) {
            (&self.socket).write_all(&message)?;
            epoll.modify(&self.socket, event.data(), EventFlags::IN)?;
            return Ok(false);
        }
        let mut back = [0; 8];
        (&self.socket).read_exact(&mut back)?;
        assert_eq!(back, message);
        Ok(true)
    }
}

/// Clients of one thread, each with a message of its own.
struct Crowd {
    epoll: Epoll,
    clients: Vec<Client>,
}

impl Crowd {
    /// Starts to connect every client, and waits for none.
    fn connect(address: SocketAddr, count: usize) -> Self {
        let (epoll, address) = (Epoll::new().expect("an epoll"), SockAddr::from(address));
        let connect = |number| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            socket.set_nonblocking(true).expect("a socket");
            let begin = Instant::now();
            match socket.connect(&address) {
                Ok(()) => {}
                Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EINPROGRESS), "client {number}: {error}"),
            }
            epoll.add(&socket, EventData::new_u64(number), EventFlags::OUT).expect("a socket");
            Client { socket, begin, outcome: None }
        };
        let clients = (0..count as u64).map(connect).collect();
        Self { epoll, clients }
    }

    /// Sends every client's message, and waits until each is back or its connection is reset.
    fn exchange(&mut self) {
        let (mut left, mut last_event) = (self.clients.len(), Instant::now());
        while left > 0 {
            let mut buffer = Event::buffer::<256>();
            let events = self.epoll.wait_uninterrupted(&mut buffer, Some(Duration::from_secs(1))).expect("an epoll");
            if events.is_empty() {
                assert!(last_event.elapsed() < PATIENCE, "{left} clients have no answer");
                continue;
            }
            last_event = Instant::now();
            for event in events {
                let number = event.data().u64();
                let client = &mut self.clients[number as usize];
                match client.turn(event, &self.epoll) {
                    Ok(false) => continue,
                    Ok(true) => client.outcome = Some(Ok(client.begin.elapsed())),
                    Err(error) => client.outcome = Some(Err(error)),
                }
                self.epoll.delete(&client.socket).expect("it is watched");
                left -= 1;
            }
        }
    }

    /// How many packets the clients sent again, and how many were reset. A full queue of the server
    /// loses packets, and each costs its client a second or more.
    fn losses(&self) -> (u32, usize) {
        let times = self.clients.iter().map(|client| client.outcome.as_ref().expect("it has one"));
        (
            self.clients.iter().map(|client| info(&client.socket).tcpi_total_retrans).sum(),
            times.filter(|time| time.is_err()).count(),
        )
    }

    fn print(&self, what: &str) {
        let time = |client: &Client| client.outcome.as_ref()?.as_ref().ok().copied();
        let mut times: Vec<_> = self.clients.iter().filter_map(time).collect();
        times.sort();
        let [median, most, last] = [50, 99, 100]
            .map(|percent| times.get(times.len().saturating_sub(1) * percent / 100).map_or(0, Duration::as_millis));
        println!("{what}: answers after {median} ms (median), {most} ms (p99), {last} ms (last)");
    }
}

impl Drop for Crowd {
    /// Resets the connections, which then hold no port for a minute.
    fn drop(&mut self) {
        for client in &self.clients {
            client.socket.set_linger(Some(Duration::ZERO)).expect("a socket");
        }
    }
}

/// What the kernel knows of a connection.
fn info(socket: &Socket) -> libc::tcp_info {
    // SAFETY: the structure has numbers only.
    let mut info: libc::tcp_info = unsafe { zeroed() };
    let mut size = size_of::<libc::tcp_info>() as libc::socklen_t;
    let (to, fd): (*mut libc::tcp_info, _) = (&mut info, socket.as_raw_fd());
    // SAFETY: the kernel writes at most `size` bytes, which `info` has. The descriptor is open.
    let answer = unsafe { libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, to.cast(), &mut size) };
    assert_eq!(answer, 0, "the kernel tells of each connection");
    info
}

#[test]
fn clients_that_connect_while_the_server_cannot_run_lose_nothing() {
    let _alone = alone();
    for (name, arguments) in SERVERS {
        let (program, address) = start(name, arguments);
        let mut crowd = None;
        program.frozen(|| crowd = Some(Crowd::connect(address, QUEUE)));
        let mut crowd = crowd.expect("they are connected");
        crowd.exchange();
        assert_eq!(crowd.losses(), (0, 0), "{name} {arguments:?}: packets sent again, and resets");
    }
}

#[test]
fn thousands_that_connect_at_once_lose_nothing() {
    let _alone = alone();
    for (name, arguments) in SERVERS {
        for count in [1_000, 5_000, 10_000] {
            // One queue for 10,000 clients of two workers is often too short.
            if count > 2 * QUEUE && arguments.contains(&"--exclusive") {
                continue;
            }
            // Clients that are more than the queue lose packets while a busy machine runs them and
            // not the server. That does not happen every time.
            let mut lost = (0..TRIES).map(|_| {
                let (_program, address) = start(name, arguments);
                let mut crowd = Crowd::connect(address, count);
                crowd.exchange();
                crowd.print(&format!("{name} {arguments:?}, {count} clients, losses {:?}", crowd.losses()));
                crowd.losses()
            });
            assert!(lost.any(|losses| losses == (0, 0)), "{name} {arguments:?}: {count} clients send again each time");
        }
    }
}
