//! Thousands of clients that connect at once. The servers' queues have room for them, so the kernel
//! drops no connection.
//!
//! The kernel counts what a listener drops. The packets that clients send again would tell less: on
//! a busy machine the loopback device drops some too (`net.core.netdev_max_backlog`).

#![allow(clippy::incompatible_msrv)] // the minimum Rust version is the library's; tests use the current one

#[path = "support/descriptors.rs"]
mod descriptors;
#[path = "support/figures.rs"]
mod figures;
#[path = "support/program.rs"]
#[allow(dead_code)] // other tests use the rest
mod program;
#[path = "faults/seccomp.rs"]
#[allow(dead_code)]
mod seccomp;
mod support;

use barepoll::{Epoll, Event, EventData, EventFlags, PidFd};
use descriptors::need_descriptors;
use program::*;
use seccomp::{intercepted, Call, Number};
use socket2::{Domain, SockAddr, Socket, Type};
use std::collections::HashMap;
use std::fs;
use std::io::{self, Read, Write};
use std::mem::size_of_val;
use std::net::SocketAddr;
use std::os::unix::io::{AsRawFd, FromRawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Each server's name, its arguments, and its words before the address.
const SERVERS: [(&str, &[&str], &str); 4] = [
    ("echo", &["127.0.0.1:0"], "listening on "),
    ("workers", &[], "listening on "),
    ("workers", &["--exclusive"], "listening on "),
    ("executor", &["--echo", "127.0.0.1:0"], "echo listens on "),
];

/// The queue of new connections that this test needs, and Linux's default since 5.4. At most so many
/// clients have no answer at a time.
const QUEUE: usize = 4096;

fn start(name: &str, arguments: &[&str], words: &str) -> (Program, SocketAddr) {
    need_descriptors(10_100);
    let mut program = Program::start(name, arguments);
    let address = program.address(words);
    (program, address)
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
    address: SockAddr,
    clients: Vec<Client>,
    answered: usize,
}

impl Crowd {
    fn new(address: SocketAddr) -> Self {
        Self { epoll: Epoll::new().expect("an epoll"), address: address.into(), clients: Vec::new(), answered: 0 }
    }

    /// Starts to connect until there are `count` clients or [`QUEUE`] have no answer.
    fn connect(&mut self, count: usize) {
        while self.clients.len() < count && self.clients.len() - self.answered < QUEUE {
            let number = self.clients.len() as u64;
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            socket.set_nonblocking(true).expect("a socket");
            let begin = Instant::now();
            match socket.connect(&self.address) {
                Ok(()) => {}
                Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EINPROGRESS), "client {number}: {error}"),
            }
            self.epoll.add(&socket, EventData::new_u64(number), EventFlags::OUT).expect("a socket");
            self.clients.push(Client { socket, begin, outcome: None });
        }
    }

    /// Sends every client's message, and waits until each is back or its connection is reset.
    fn exchange(&mut self, count: usize) {
        let mut last_event = Instant::now();
        while self.answered < count {
            self.connect(count);
            let mut buffer = Event::buffer::<256>();
            let events = self.epoll.wait_uninterrupted(&mut buffer, Some(Duration::from_secs(1))).expect("an epoll");
            if events.is_empty() {
                assert!(last_event.elapsed() < PATIENCE, "{} clients have no answer", count - self.answered);
                continue;
            }
            last_event = Instant::now();
            for event in events {
                let client = &mut self.clients[event.data().u64() as usize];
                match client.turn(event, &self.epoll) {
                    Ok(false) => continue,
                    Ok(true) => client.outcome = Some(Ok(client.begin.elapsed())),
                    Err(error) => client.outcome = Some(Err(error)),
                }
                self.epoll.delete(&client.socket).expect("it is watched");
                self.answered += 1;
            }
        }
    }

    /// How many clients were reset.
    fn resets(&self) -> usize {
        self.clients.iter().filter(|client| matches!(client.outcome, Some(Err(_)))).count()
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

/// How many connections the kernel dropped because a queue of the program's was full.
fn drops(program: &Program) -> u32 {
    let process = PidFd::open(program.id() as i32).expect("the example runs");
    let mut listeners = 0;
    let mut drops = 0;
    for entry in fs::read_dir(format!("/proc/{}/fd", program.id())).expect("the example runs") {
        let path = entry.expect("the example runs").path();
        if !fs::read_link(&path).is_ok_and(|link| link.to_string_lossy().starts_with("socket:")) {
            continue;
        }
        let number = path.file_name().and_then(|name| name.to_str()?.parse().ok()).expect("a number");
        match duplicate(&process, number) {
            Ok(socket) if socket.is_listener().expect("a socket") => {
                listeners += 1;
                drops += memory(&socket)[libc::SK_MEMINFO_DROPS as usize];
            }
            Ok(_) => {}
            // The example has closed it.
            Err(error) if error.raw_os_error() == Some(libc::EBADF) => {}
            Err(error) => panic!("this test needs pidfd_getfd (Linux 5.6) and permission for its children: {error}"),
        }
    }
    assert_ne!(listeners, 0, "the example listens");
    drops
}

/// A duplicate of the process's socket.
fn duplicate(process: &PidFd, number: i32) -> io::Result<Socket> {
    // SAFETY: the call takes no pointer.
    let answer = unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), number, 0) };
    if answer == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel made this descriptor for us, and nothing else owns it.
    Ok(unsafe { Socket::from_raw_fd(answer as i32) })
}

/// What the kernel counts of a socket.
fn memory(socket: &Socket) -> [u32; 9] {
    let mut counts = [0; 9];
    let mut size = size_of_val(&counts) as libc::socklen_t;
    let (to, fd): (*mut [u32; 9], _) = (&mut counts, socket.as_raw_fd());
    // SAFETY: the kernel writes at most `size` bytes, which `counts` has. The descriptor is open.
    let answer = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_MEMINFO, to.cast(), &mut size) };
    assert_eq!((answer, size as usize), (0, size_of_val(&counts)), "{}", io::Error::last_os_error());
    counts
}

#[test]
fn clients_that_connect_while_the_server_cannot_run_lose_nothing() {
    let _alone = alone();
    for (name, arguments, words) in SERVERS {
        let (program, address) = start(name, arguments, words);
        let mut crowd = Crowd::new(address);
        program.frozen(|| crowd.connect(QUEUE));
        crowd.exchange(QUEUE);
        assert_eq!((drops(&program), crowd.resets()), (0, 0), "{name} {arguments:?}: drops and resets");
    }
}

#[test]
fn thousands_that_connect_at_once_lose_nothing() {
    let _alone = alone();
    for (name, arguments, words) in SERVERS {
        for count in [1_000, 5_000, 10_000] {
            let (program, address) = start(name, arguments, words);
            let mut crowd = Crowd::new(address);
            crowd.exchange(count);
            crowd.print(&format!("{name} {arguments:?}, {count} clients"));
            assert_eq!(
                (drops(&program), crowd.resets()),
                (0, 0),
                "{name} {arguments:?}, {count} clients: drops and resets"
            );
        }
    }
}

/// A server between two waits accepts at most this many, as many as the events of a wait.
const SHARE: usize = 256;

#[test]
fn a_crowd_keeps_the_other_connections_waiting_for_one_share_of_it() {
    #[cfg(target_arch = "x86_64")]
    const WAIT: Number = libc::SYS_epoll_wait;
    #[cfg(not(target_arch = "x86_64"))]
    const WAIT: Number = libc::SYS_epoll_pwait;
    let _alone = alone();
    for (name, arguments, words) in SERVERS {
        // For each thread, how many calls accept since its last wait.
        let (mut accepts, mut most, mut all) = (HashMap::new(), 0, 0);
        let note = |call: &Call| {
            let accepts = accepts.entry(call.thread).or_insert(0);
            *accepts = if call.number == libc::SYS_accept4 { *accepts + 1 } else { 0 };
            most = most.max(*accepts);
            all += usize::from(*accepts > 0);
            None
        };
        // The server inherits the filter.
        intercepted(&[libc::SYS_accept4, WAIT, libc::SYS_epoll_pwait2], note, || {
            let (program, address) = start(name, arguments, words);
            let mut crowd = Crowd::new(address);
            program.frozen(|| crowd.connect(QUEUE));
            crowd.exchange(QUEUE);
        });
        assert!(all >= QUEUE && most <= SHARE, "{name} {arguments:?} accepts {most} of {all} between two waits");
    }
}
