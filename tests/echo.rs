//! The echo example, with clients that are many, fast, slow, rude or gone.

#[path = "support/descriptors.rs"]
mod descriptors;
#[path = "support/idle.rs"]
mod idle;
#[path = "support/lost.rs"]
mod lost;
mod support;

use barepoll::{Epoll, Event, EventData, EventFlags};
use descriptors::need_descriptors;
use idle::is_idle;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::mem::size_of_val;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::io::{AsRawFd, FromRawFd, OwnedFd};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::Mutex;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};
use support::example;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Far longer than any step takes. Only a hang lasts this long.
const PATIENCE: Duration = Duration::from_secs(120);

struct Server {
    child: Child,
    address: SocketAddr,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Server {
    fn start() -> Self {
        let mut command = Command::new(example("echo"));
        command.arg("127.0.0.1:0").stdin(Stdio::piped());
        Self::spawn(command)
    }

    /// Starts the server through a shell script, which finds the program and its argument in
    /// `"$@"`.
    fn start_by(script: &str) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(example("echo")).arg("127.0.0.1:0").stdin(Stdio::piped());
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the server starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("the server prints");
        let address = line.trim_end().strip_prefix("listening on ").expect("its first line is its address");
        let address = address.parse().expect("its address is one");
        let stdin = child.stdin.take();
        Self { child, address, stdin, stdout }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        stream
    }

    fn type_in(&mut self, text: &[u8]) {
        self.stdin.as_mut().expect("its input is a pipe").write_all(text).expect("the server reads its input");
    }

    fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_none()
    }

    /// Waits for the server to exit successfully, and returns its remaining output.
    fn last_words(mut self) -> String {
        eventually("the server ends", || !self.is_running());
        let mut words = String::new();
        self.stdout.read_to_string(&mut words).expect("the server prints");
        assert!(self.child.wait().expect("it is our child").success());
        words
    }

    fn quit(mut self) -> String {
        self.type_in(b"quit\n");
        self.last_words()
    }

    fn proc(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).expect("the server runs")
    }

    fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("the server runs").count()
    }

    /// Whether the server has this descriptor open. It may inherit some, so their count does not
    /// tell the next number.
    fn has(&self, descriptor: u64) -> bool {
        fs::symlink_metadata(format!("/proc/{}/fd/{descriptor}", self.child.id())).is_ok()
    }

    fn resident(&self) -> usize {
        let status = self.proc("status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("the kernel counts memory");
        line.split_whitespace().nth(1).expect("a number").parse::<usize>().expect("a number") * KIB
    }

    /// Waits until the server has been idle for this long.
    fn becomes_idle(&self, pause: Duration) {
        eventually("it is idle", || is_idle(self.child.id(), pause));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Random bytes, generated once. Each window of 64 KiB differs.
fn random() -> &'static [u8] {
    static RANDOM: Mutex<&[u8]> = Mutex::new(&[]);
    let mut random = RANDOM.lock().expect("nothing here panics");
    if random.is_empty() {
        let mut state = Random(0x9e37_79b9_7f4a_7c15);
        *random = Vec::leak((0..2 * MIB / 8).flat_map(|_| state.next().to_le_bytes()).collect());
    }
    *random
}

/// The `i`th 64 KiB of a stream that first repeats after 100 GiB.
fn piece(i: usize) -> &'static [u8] {
    let start = i * 4099 % (2 * MIB - 64 * KIB);
    &random()[start..start + 64 * KIB]
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

fn eventually(what: &str, mut happens: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !happens() {
        assert!(Instant::now() < deadline, "timed out waiting until {what}");
        sleep(Duration::from_millis(5));
    }
}

/// Sends and reads at the same time, and compares every byte.
fn echo_pieces(stream: &TcpStream, pieces: usize) {
    let mut stream = stream;
    thread::scope(|scope| {
        scope.spawn(|| (0..pieces).for_each(|i| (&*stream).write_all(piece(i)).expect("the server reads")));
        expect_pieces(&mut stream, pieces);
    });
}

fn expect_pieces(stream: &mut impl Read, pieces: usize) {
    let mut back = vec![0; 64 * KIB];
    for i in 0..pieces {
        stream.read_exact(&mut back).expect("the server sends back");
        assert!(back == piece(i), "piece {i} came back changed");
    }
}

fn is_served(server: &Server) {
    echo_pieces(&server.connect(), 1);
}

/// Retries a call with a timeout. Stopping or freezing this process interrupts such a call even
/// without a handler.
fn uninterrupted(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            answer => return answer,
        }
    }
}

/// Makes the close reset the connection, even with data in transit.
fn close_by_reset(stream: TcpStream) {
    set_option(&stream, libc::SOL_SOCKET, libc::SO_LINGER, &libc::linger { l_onoff: 1, l_linger: 0 });
}

#[test]
fn messages_of_64_kib_and_100_mib_come_back_byte_for_byte() {
    let server = Server::start();
    let stream = server.connect();
    echo_pieces(&stream, 1);
    echo_pieces(&stream, 100 * MIB / (64 * KIB));
    drop(stream);
    assert_eq!(server.quit(), format!("served 1 connections, {} bytes\n", 100 * MIB + 64 * KIB));
}

#[test]
fn ten_thousand_connections_are_served_at_once() {
    const CLIENTS: usize = 10_000;
    need_descriptors(CLIENTS as u64 + 5_000);
    // The server must raise its soft limit itself.
    let server = Server::start_by(r#"ulimit -Sn 256; exec "$@""#);
    let (before, resident) = (server.descriptors(), server.resident());
    let mut clients = Vec::new();
    // Waits for each hundred to be accepted, so that they fit the listener's queue even on a slow
    // machine.
    while clients.len() < CLIENTS {
        let more: Vec<_> = (0..100).map(|_| server.connect()).collect();
        exchange(&more, clients.len());
        clients.extend(more);
    }
    assert_eq!(server.descriptors(), before + CLIENTS);
    exchange(&clients, 1 << 32);
    println!("10,000 connections add {} KiB", (server.resident() - resident) / KIB);
    drop(clients);
    eventually("all are closed", || server.descriptors() == before);
    assert_eq!(server.quit(), format!("served {CLIENTS} connections, {} bytes\n", 16 * CLIENTS));
}

/// Each client sends a number of its own, then each reads it back.
fn exchange(mut clients: &[TcpStream], first: usize) {
    for (number, client) in clients.iter().enumerate() {
        (&*client).write_all(&((first + number) as u64).to_le_bytes()).expect("the server reads");
    }
    let mut number = first as u64;
    while let [client, rest @ ..] = clients {
        let mut back = [0; 8];
        (&*client).read_exact(&mut back).expect("the server sends back");
        assert_eq!(u64::from_le_bytes(back), number);
        (clients, number) = (rest, number + 1);
    }
}

#[test]
fn a_thousand_clients_that_pause_get_their_mebibytes_back_in_order() {
    const CLIENTS: usize = 1_000;
    need_descriptors(15_000);
    let server = Server::start();
    let before = server.descriptors();
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let stream = server.connect();
        stream.set_nonblocking(true).expect("a socket");
        clients.push(Some(Pausing { stream, message: &random()[number * 1024..][..MIB], sent: 0, received: 0 }));
    }
    drive(&mut clients);
    eventually("all are closed", || server.descriptors() == before);
    assert_eq!(server.quit(), format!("served {CLIENTS} connections, {} bytes\n", CLIENTS * MIB));
}

struct Pausing {
    stream: TcpStream,
    message: &'static [u8],
    sent: usize,
    received: usize,
}

impl Pausing {
    /// Sends and reads a little. Returns `false` once everything is back.
    fn turn(&mut self, random: &mut Random, chunk: &mut [u8]) -> bool {
        if let Some(got) = unless_blocked(self.stream.read(chunk)) {
            assert_ne!(got, 0, "the server closed early");
            assert!(chunk[..got] == self.message[self.received..self.received + got], "the wrong bytes came back");
            self.received += got;
        }
        let most = (self.message.len() - self.sent).min(1 + random.below(chunk.len() as u64) as usize);
        if most > 0 {
            self.sent += unless_blocked(self.stream.write(&self.message[self.sent..self.sent + most])).unwrap_or(0);
        }
        self.received < self.message.len()
    }

    fn interest(&self) -> EventFlags {
        let writable = if self.sent < self.message.len() { EventFlags::OUT } else { EventFlags::empty() };
        EventFlags::IN | EventFlags::ONESHOT | writable
    }
}

fn unless_blocked(answer: io::Result<usize>) -> Option<usize> {
    match answer {
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        answer => Some(answer.expect("the server keeps the connection")),
    }
}

/// Runs the clients until each has its message back. Now and then a client sleeps for a while.
fn drive(clients: &mut [Option<Pausing>]) {
    let epoll = Epoll::new().expect("an epoll");
    for (number, client) in clients.iter().enumerate() {
        let client = client.as_ref().expect("none is done yet");
        epoll.add(&client.stream, EventData::new_u64(number as u64), client.interest()).expect("a socket");
    }
    let (mut random, mut chunk) = (Random(1), vec![0; 64 * KIB]);
    let (mut asleep, mut left) = (BTreeSet::new(), clients.len());
    let mut last_event = Instant::now();
    while left > 0 {
        let mut buffer = Event::buffer::<64>();
        let mut awake = Vec::new();
        for event in epoll.wait_uninterrupted(&mut buffer, Some(Duration::from_millis(5))).expect("an epoll") {
            last_event = Instant::now();
            let number = event.data().u64() as usize;
            let client = clients[number].as_mut().expect("a client that is done is closed");
            if !client.turn(&mut random, &mut chunk) {
                clients[number] = None;
                left -= 1;
            } else if random.below(8) == 0 {
                asleep.insert((Instant::now() + Duration::from_millis(random.below(30)), number));
            } else {
                awake.push(number);
            }
        }
        while let Some(&(end, number)) = asleep.iter().next().filter(|(end, _)| *end <= Instant::now()) {
            asleep.remove(&(end, number));
            awake.push(number);
        }
        for number in awake {
            let client = clients[number].as_ref().expect("only active clients sleep");
            epoll
                .modify(&client.stream, EventData::new_u64(number as u64), client.interest())
                .expect("it is registered");
        }
        assert!(last_event.elapsed() < PATIENCE, "{left} clients got no answer");
    }
}

#[test]
fn clients_that_never_read_cost_bounded_memory_and_nobody_else_anything() {
    let server = Server::start();
    let descriptors = server.descriptors();
    is_served(&server);
    let resident = server.resident();
    let mut stuck: Vec<_> = (0..8).map(|_| (server.connect(), 0)).collect();
    thread::scope(|scope| {
        for (stream, sent) in &mut stuck {
            scope.spawn(|| *sent = send_until_stuck(stream));
        }
        echo_pieces(&server.connect(), 320);
    });
    is_served(&server);
    let more = server.resident().saturating_sub(resident);
    println!("8 clients that never read add {} KiB", more / KIB);
    assert!(more < 10 * MIB, "memory grew by {more} bytes");
    server.becomes_idle(Duration::from_millis(500));

    // A client that reads at last loses nothing.
    let (mut late, sent) = stuck.pop().expect("there are eight");
    assert!(sent > 64 * KIB);
    late.shutdown(Shutdown::Write).expect("it is open");
    expect_pieces(&mut late, sent / (64 * KIB));
    let mut rest = Vec::new();
    late.read_to_end(&mut rest).expect("the server sends back");
    assert!(rest == piece(sent / (64 * KIB))[..sent % (64 * KIB)]);

    drop((stuck, late));
    eventually("all are closed", || server.descriptors() == descriptors);
}

/// Sends the stream until nothing has moved for a while, and returns the number of bytes sent.
fn send_until_stuck(stream: &mut TcpStream) -> usize {
    stream.set_write_timeout(Some(Duration::from_millis(700))).expect("a timeout");
    let mut sent = 0;
    loop {
        let rest = &piece(sent / (64 * KIB))[sent % (64 * KIB)..];
        match unless_blocked(uninterrupted(|| stream.write(rest))) {
            Some(more) => sent += more,
            None => return sent,
        }
    }
}

#[test]
fn after_a_half_close_the_rest_comes_back_and_then_the_end() {
    let server = Server::start();
    sends_all_before_it_reads(&server.connect(), 48);
    assert_eq!(server.quit(), format!("served 1 connections, {} bytes\n", 48 * 64 * KIB));
}

#[test]
fn a_backlog_that_leaves_in_several_parts_keeps_its_order() {
    let server = Server::start();
    shrink_send_buffers(&server);
    sends_all_before_it_reads(&server.connect(), 8);
    assert_eq!(server.quit(), format!("served 1 connections, {} bytes\n", 8 * 64 * KIB));
}

fn sends_all_before_it_reads(stream: &TcpStream, pieces: usize) {
    let mut stream = stream;
    thread::scope(|scope| {
        scope.spawn(|| {
            (0..pieces).for_each(|i| (&*stream).write_all(piece(i)).expect("the server reads"));
            stream.shutdown(Shutdown::Write).expect("it is open");
        });
        // Usually the server then sees the end of input while it still has data to send. If not,
        // the test is easier.
        sleep(Duration::from_millis(300));
        expect_pieces(&mut stream, pieces);
    });
    assert_eq!(uninterrupted(|| stream.read(&mut [0])).expect("an end, not a reset"), 0);
}

/// Shrinks the send buffer that the server's sockets inherit from its listener. On loopback, the
/// kernel's default lets a whole backlog leave in one write.
fn shrink_send_buffers(server: &Server) {
    // SAFETY: the call takes no pointer.
    let process = unsafe { libc::syscall(libc::SYS_pidfd_open, server.child.id(), 0) };
    assert!(process >= 0, "this test needs pidfd_open (Linux 5.3): {}", io::Error::last_os_error());
    // SAFETY: the kernel has just made this descriptor, and it has no other owner.
    let process = unsafe { OwnedFd::from_raw_fd(process as i32) };
    let mut candidates = (0..32).filter(|&number| server.has(number)).map(|number| {
        // SAFETY: the call takes no pointer.
        let copy = unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), number as i32, 0) };
        let error = io::Error::last_os_error();
        assert!(copy >= 0, "this test needs pidfd_getfd (Linux 5.6) on its child; a sandbox may forbid it: {error}");
        // SAFETY: as above.
        unsafe { TcpListener::from_raw_fd(copy as i32) }
    });
    let is_listener = |copy: &TcpListener| copy.local_addr().map_or(false, |address| address == server.address);
    let listener = candidates.find(is_listener).expect("it listens");
    set_option(&listener, libc::SOL_SOCKET, libc::SO_SNDBUF, &8192);
}

/// Sets a socket option. `T` must be the option's type.
fn set_option<T>(socket: &impl AsRawFd, level: i32, option: i32, value: &T) {
    let pointer: *const T = value;
    let size = size_of_val(value) as libc::socklen_t;
    // SAFETY: the pointer and the size are those of `value`, and the descriptor is open.
    let answer = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, pointer.cast(), size) };
    assert_eq!(answer, 0, "the option cannot be set");
}

#[test]
fn resets_end_their_own_connection_only() {
    let server = Server::start();
    let bystander = server.connect();
    echo_pieces(&bystander, 1);
    let before = server.descriptors();
    for round in 0..50 {
        close_by_reset(server.connect());

        let mut asks = server.connect();
        asks.write_all(piece(round)).expect("the server reads");
        close_by_reset(asks);

        // Closing with unread bytes also resets the connection.
        let mut leaves = server.connect();
        leaves.write_all(b"bytes").expect("the server reads");
        uninterrupted(|| leaves.peek(&mut [0])).expect("the server sends back");
        drop(leaves);
    }
    let mut stuck = server.connect();
    send_until_stuck(&mut stuck);
    close_by_reset(stuck);
    echo_pieces(&bystander, 16);
    eventually("all others are closed", || server.descriptors() == before);
    is_served(&server);
}

#[test]
fn without_descriptors_it_neither_spins_nor_ends_and_recovers_when_clients_leave() {
    let server = Server::start_by(r#"ulimit -n 32; exec "$@""#);
    let mut clients: Vec<_> = (0..48).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(|client| client.write_all(b"x").expect("the kernel takes it"));
    let has_answer = |client: &TcpStream| {
        client.set_nonblocking(true).expect("a socket");
        let answer = client.peek(&mut [0]);
        client.set_nonblocking(false).expect("a socket");
        matches!(answer, Ok(1))
    };
    eventually("it has no descriptor left", || (0..32).all(|number| server.has(number)));
    server.becomes_idle(Duration::from_secs(1));
    let (served, waiting): (Vec<_>, Vec<_>) = clients.into_iter().partition(has_answer);
    assert!(served.len() > 16 && waiting.len() > 16, "{} served, {} wait", served.len(), waiting.len());
    // Accepted clients are served meanwhile.
    for mut client in &served {
        client.read_exact(&mut [0]).expect("it has an answer");
        client.write_all(b"y").expect("the server reads");
        client.read_exact(&mut [0]).expect("the server sends back");
    }
    let bytes = 2 * served.len() + waiting.len();
    drop(served);
    waiting.iter().for_each(|mut client| client.read_exact(&mut [0]).expect("its turn has come"));
    drop(waiting);
    assert_eq!(server.quit(), format!("served 48 connections, {bytes} bytes\n"));
}

#[test]
fn a_shortage_that_ends_elsewhere_is_noticed_though_no_client_leaves() {
    let server = Server::start();
    let process = server.child.id() as libc::pid_t;
    let (mut soft, mut hard) = (0, 0);
    let limits = Some((&mut soft, &mut hard));
    rlimit::prlimit(process, rlimit::Resource::NOFILE, None, limits).expect("our own child");
    let next = (0..).find(|&number| !server.has(number)).expect("one is free");
    rlimit::prlimit(process, rlimit::Resource::NOFILE, Some((next, hard)), None).expect("our own child");
    let mut waits = server.connect();
    waits.write_all(b"x").expect("the kernel takes it");
    waits.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    assert_eq!(unless_blocked(uninterrupted(|| waits.read(&mut [0]))), None, "the server has no free descriptor");
    rlimit::prlimit(process, rlimit::Resource::NOFILE, Some((hard, hard)), None).expect("our own child");
    waits.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    waits.read_exact(&mut [0]).expect("the server accepts it");
}

#[test]
fn the_line_quit_stops_it_and_no_other_line() {
    for quit in [&b"quit\n"[..], b"quit\r\n", b"hello\n\nquit\nhello\n"] {
        let mut server = Server::start();
        server.type_in(quit);
        assert_eq!(server.last_words(), "served 0 connections, 0 bytes\n");
    }
    let mut server = Server::start();
    for other in [&b"quitter\n quit\nquit \nQUIT\n\nquit"[..], b"quit\n", &[b'q'; 200_000], b"quit\nqu"] {
        server.type_in(other);
        sleep(Duration::from_millis(30));
        is_served(&server);
    }
    assert!(server.is_running());
    server.type_in(b"it\n");
    assert_eq!(server.last_words(), format!("served 4 connections, {} bytes\n", 4 * 64 * KIB));
}

#[test]
fn a_signal_stops_it_and_it_says_what_it_served() {
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let server = Server::start();
        is_served(&server);
        // SAFETY: the call takes no pointer, and the process is our child.
        assert_eq!(unsafe { libc::kill(server.child.id() as i32, signal) }, 0);
        assert_eq!(server.last_words(), format!("served 1 connections, {} bytes\n", 64 * KIB));
    }
}

#[test]
fn the_end_of_input_stops_it_and_closes_every_connection() {
    let mut server = Server::start();
    let mut client = server.connect();
    echo_pieces(&client, 1);
    let mut stuck = server.connect();
    echo_pieces(&stuck, 1); // the echo shows that the server has accepted it
    send_until_stuck(&mut stuck);
    server.stdin = None;
    assert!(server.last_words().starts_with("served 2 connections, "));
    assert_eq!(uninterrupted(|| client.read(&mut [0])).expect("an end, not a reset"), 0);
}

#[test]
fn an_input_that_cannot_be_watched_is_left_alone() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    for path in [file, "/dev/null"] {
        let mut command = Command::new(example("echo"));
        command.arg("127.0.0.1:0").stdin(File::open(path).expect("it can be read"));
        serves_without_input(Server::spawn(command));
    }
    serves_without_input(Server::start_by(r#"exec "$@" <&-"#));
}

fn serves_without_input(mut server: Server) {
    is_served(&server);
    server.becomes_idle(Duration::from_millis(200));
    is_served(&server);
    assert!(server.is_running());
}

#[test]
fn its_input_stays_blocking_for_those_who_share_it() {
    let server = Server::start();
    is_served(&server);
    let info = server.proc("fdinfo/0");
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).expect("the kernel shows flags");
    let flags = i32::from_str_radix(flags.trim(), 8).expect("they are octal");
    assert_eq!(flags & libc::O_NONBLOCK, 0);
}

#[test]
fn the_closing_line_counts_exactly() {
    let server = Server::start();
    for length in [10, 0, 100_000] {
        let mut stream = server.connect();
        stream.write_all(&random()[..length]).expect("the server reads");
        stream.shutdown(Shutdown::Write).expect("it is open");
        let mut back = Vec::new();
        stream.read_to_end(&mut back).expect("the server sends back");
        assert!(back == random()[..length]);
    }
    assert_eq!(server.quit(), "served 3 connections, 100010 bytes\n");
}

fn run(arguments: &[&str]) -> Output {
    Command::new(example("echo")).args(arguments).stdin(Stdio::null()).output().expect("the server runs")
}

#[test]
fn what_it_cannot_use_is_one_line_and_exit_code_2() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = taken.local_addr().expect("it is bound").to_string();
    let bad: [&[&str]; 9] = [
        &["nowhere"],
        &[""],
        &["127.0.0.1"],
        &["127.0.0.1:99999"],
        &["192.0.2.1:7777"], // a documentation address, on no machine
        &["two\nlines:1"],
        &["--port"],
        &["127.0.0.1:0", "127.0.0.1:0"],
        &[&taken],
    ];
    for arguments in bad {
        let output = run(arguments);
        let error = String::from_utf8(output.stderr).expect("text");
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(2), &b""[..]), "{arguments:?}");
        assert!(error.lines().count() == 1 && error.ends_with(".\n"), "{arguments:?}: {error}");
    }
}

#[test]
fn help_is_help() {
    let output = run(&["--help"]);
    assert_eq!((output.status.code(), &output.stderr[..]), (Some(0), &b""[..]));
    assert!(output.stdout.starts_with(b"usage: echo [ADDR]\n"));
}

#[test]
fn lost_output_is_an_error_and_no_panic() {
    lost::reports_lost_output("echo", &["--help"]);
    lost::reports_lost_output("echo", &["127.0.0.1:0"]);
    lost::refuses_without_error_output("echo");
}
