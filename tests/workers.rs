//! The example with one loop per core, with both ways to share an address.

#[path = "support/figures.rs"]
mod figures;
#[path = "support/lost.rs"]
mod lost;
#[path = "support/program.rs"]
mod program;
#[path = "support/refused.rs"]
mod refused;
#[allow(dead_code)]
#[path = "faults/seccomp.rs"]
mod seccomp;
mod support;

use barepoll::{raw, Errno};
use program::*;
use refused::refused_requests;
use seccomp::{intercepted, Call, Number};
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::io::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{iter, thread};
use support::example;

const WAYS: [&[&str]; 2] = [&[], &["--exclusive"]];

fn start(arguments: &[&str]) -> (Program, SocketAddr) {
    let mut program = Program::start("workers", arguments);
    let address = program.address("listening on ");
    (program, address)
}

/// Starts the example with HTTP on this address. Returns that address.
fn start_http(way: &[&str], address: &str) -> (Program, SocketAddr) {
    let (mut program, _) = start(&[way, &["--http", address]].concat());
    let address = program.address("http listens on ");
    (program, address)
}

/// The connections and bytes that each worker served.
fn counts(words: &str) -> Vec<(u64, u64)> {
    let count = |(number, line): (usize, &str)| {
        let rest = line.strip_prefix(&format!("worker {number} served ")).expect("a line a worker");
        let (connections, bytes) = rest.strip_suffix(" bytes")?.split_once(" connections, ")?;
        Some((connections.parse().ok()?, bytes.parse().ok()?))
    };
    words.lines().enumerate().map(|line| count(line).expect("two numbers")).collect()
}

fn total(counts: &[(u64, u64)]) -> (u64, u64) {
    counts.iter().fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1))
}

#[test]
fn every_worker_takes_its_part_and_the_closing_lines_count_exactly() {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    // With a listener each, the kernel spreads the connections. A shared listener serves whichever
    // worker is free, so one worker may get all of them, but not every time.
    for (way, patience) in WAYS.into_iter().zip([Duration::ZERO, PATIENCE]) {
        let begin = Instant::now();
        let shared = iter::once(()).chain(iter::repeat(()).take_while(|()| begin.elapsed() < patience)).any(|()| {
            let (program, address) = start(way);
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| exchange(&(0..50).map(|_| connect(address)).collect::<Vec<_>>()));
                }
            });
            let counts = counts(&program.last_words());
            assert_eq!((counts.len(), total(&counts)), (cores, (200, 8 * 200)), "{way:?}: {counts:?}");
            println!("{way:?}: {counts:?}");
            counts.iter().filter(|(connections, _)| *connections > 0).count() >= cores.min(2)
        });
        assert!(shared, "{way:?}: one worker served every client");
    }
}

#[test]
fn much_comes_back_in_order_to_those_who_read_late() {
    for way in WAYS {
        let (program, address) = start(way);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| echo_to_a_late_reader(address, 12_000_000));
            }
        });
        assert_eq!(total(&counts(&program.last_words())), (4, 48_000_000), "{way:?}");
    }
}

#[test]
fn clients_that_are_idle_or_never_read_cost_no_time() {
    for way in WAYS {
        let (program, address) = start(way);
        let idle: Vec<_> = (0..50).map(|_| connect(address)).collect();
        exchange(&idle);
        let mut stuck = connect(address);
        stuck.set_write_timeout(Some(Duration::from_millis(300))).expect("a timeout");
        while stuck.write(&[7; 65536]).is_ok() {}
        program.becomes_idle(Duration::from_millis(300));
        exchange(&idle);
    }
}

#[test]
fn resets_end_their_own_connection_only() {
    for way in WAYS {
        let (program, address) = start(way);
        let bystander = [connect(address)];
        exchange(&bystander);
        let before = program.descriptors();
        for _ in 0..50 {
            close_by_reset(connect(address));
            let mut asks = connect(address);
            asks.write_all(&[1; 100_000]).expect("the example reads");
            close_by_reset(asks);
        }
        exchange(&bystander);
        eventually("all others are closed", || program.descriptors() == before);
        exchange(&[connect(address)]);
    }
}

#[test]
fn without_descriptors_it_neither_spins_nor_ends_and_recovers_when_clients_leave() {
    for way in WAYS {
        // Enough for the workers' own descriptors and some clients, but not for all.
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let script = format!(r#"ulimit -n {}; exec "$@""#, 28 + 3 * cores);
        let mut program = Program::start_by(&script, "workers", way);
        let address = program.address("listening on ");
        survives_a_shortage(program, address);
    }
}

const GET: &str = "GET / HTTP/1.1\r\nHost: here\r\n\r\n";
const LAST: &str = "GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n";
const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\nHello, world!\n";
const GOODBYE: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\nConnection: close\r\n\r\nHello, world!\n";

/// Sends these pieces with pauses, then the end. Returns everything until the server's end.
fn http(address: SocketAddr, pieces: &[&[u8]]) -> String {
    let mut stream = connect(address);
    for piece in pieces {
        stream.write_all(piece).expect("the example reads");
        thread::sleep(Duration::from_millis(if pieces.len() > 1 { 3 } else { 0 }));
    }
    let mut answers = String::new();
    stream.read_to_string(&mut answers).expect("an end, not a reset");
    answers
}

#[test]
fn http_requests_are_answered_in_one_piece_or_many_and_the_connection_stays() {
    for way in WAYS {
        let (program, address) = start_http(way, "127.0.0.1:0");
        let once = format!("{GET}{LAST}");
        let twice = format!("{HELLO}{GOODBYE}");
        for size in [once.len(), 1, 31] {
            assert_eq!(http(address, &once.as_bytes().chunks(size).collect::<Vec<_>>()), twice, "{way:?}");
        }
        assert_eq!(http(address, &[b"GET / HTTP/1.0\r\n\r\n"]), GOODBYE);
        let all = (4, 3 * twice.len() as u64 + GOODBYE.len() as u64);
        assert_eq!(total(&counts(&program.last_words())), all, "{way:?}");
    }
}

#[test]
fn http_requests_can_be_pipelined_by_clients_that_read_late() {
    const COUNT: usize = 100_000;
    for way in WAYS {
        let (program, address) = start_http(way, "127.0.0.1:0");
        let mut stream = connect(address);
        let (requests, mut answers) = (format!("{}{LAST}", GET.repeat(COUNT)), String::new());
        let mut writer = stream.try_clone().expect("a socket");
        thread::scope(|scope| {
            scope.spawn(move || writer.write_all(requests.as_bytes()).expect("the example reads"));
            // The answers now fill every buffer, and the example reads no more.
            program.becomes_idle(Duration::from_millis(200));
            stream.read_to_string(&mut answers).expect("an end, not a reset");
        });
        assert!(answers == format!("{}{GOODBYE}", HELLO.repeat(COUNT)), "{way:?}: {} bytes", answers.len());
    }
}

#[test]
fn http_that_is_wrong_too_long_or_not_served_gets_its_status_and_the_end() {
    let (program, address) = start_http(&[], "127.0.0.1:0");
    let before = program.descriptors();
    for (request, expected) in refused_requests() {
        let mut stream = connect(address);
        // The example reads to the end even a request that is too long.
        stream.write_all(request.as_bytes()).expect("the example reads");
        stream.shutdown(Shutdown::Write).expect("it is open");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an end, not a reset");
        assert_eq!(answer, expected, "{:?}", request.get(..80).unwrap_or(&request));
    }
    eventually("all are closed", || program.descriptors() == before);
}

#[test]
fn http_and_echo_are_served_beside_each_other_without_descriptors_too() {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    for way in WAYS {
        let script = format!(r#"ulimit -n {}; exec "$@""#, 28 + 4 * cores);
        let arguments = [way, &["--http", "127.0.0.1:0"]].concat();
        let mut program = Program::start_by(&script, "workers", &arguments);
        let (echo, address) = (program.address("listening on "), program.address("http listens on "));
        assert_eq!(http(address, &[LAST.as_bytes()]), GOODBYE);
        exchange(&[connect(echo)]);
        // Clients of the one take every descriptor, and those of the other get theirs afterwards.
        let clients: Vec<_> = (0..64).map(|_| connect(echo)).collect();
        program.becomes_idle(Duration::from_millis(500));
        let mut waits = connect(address);
        waits.write_all(LAST.as_bytes()).expect("the kernel takes it");
        program.becomes_idle(Duration::from_millis(500));
        drop(clients);
        let mut answer = String::new();
        waits.read_to_string(&mut answer).expect("an end, not a reset");
        assert_eq!(answer, GOODBYE);
    }
}

#[test]
fn a_line_quit_stops_it_and_an_input_that_cannot_be_watched_does_not() {
    for way in WAYS {
        let (mut program, address) = start(way);
        let mut client = connect(address);
        program.type_in("hello\n quit\n");
        exchange(std::slice::from_ref(&client));
        program.type_in("quit\n");
        eventually("it stops", || !program.is_running());
        assert_eq!(client.read(&mut [0]).expect("an end, not a reset"), 0);

        let mut program = Program::spawn(Command::new(example("workers")).args(way).stdin(Stdio::null()));
        let address = program.address("listening on ");
        exchange(&[connect(address)]);
        assert!(program.is_running());
    }
}

#[test]
fn a_nonblocking_input_without_bytes_does_not_stop_it() {
    let (mut ours, theirs) = UnixStream::pair().expect("two sockets");
    theirs.set_nonblocking(true).expect("a socket");
    let mut program = Program::spawn(Command::new(example("workers")).stdin(OwnedFd::from(theirs)));
    let address = program.address("listening on ");
    program.becomes_idle(Duration::from_millis(200));
    exchange(&[connect(address)]);
    for part in ["qu", "it", " not\nqu"] {
        ours.write_all(part.as_bytes()).expect("the example has it open");
        program.becomes_idle(Duration::from_millis(200));
        exchange(&[connect(address)]);
    }
    ours.write_all(b"it\n").expect("the example has it open");
    eventually("it stops", || !program.is_running());
}

#[cfg(target_arch = "x86_64")]
const WAIT: Number = libc::SYS_epoll_wait;
#[cfg(not(target_arch = "x86_64"))]
const WAIT: Number = libc::SYS_epoll_pwait;

#[test]
fn a_worker_that_fails_ends_the_program_with_its_error() {
    // A worker has a buffer for 256 events, and the main thread has one for less.
    let mut failing = None;
    let fail_one = |call: &Call| {
        (call.argument(2) == 256 && *failing.get_or_insert(call.thread) == call.thread).then_some(Errno::EIO)
    };
    let output = intercepted(&[WAIT], fail_one, || {
        let mut command = Command::new("timeout"); // a server that goes on ends with status 124
        let child = command
            .arg("60")
            .arg(example("workers"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.expect("the example starts");
        let _open = child.stdin.take();
        child.wait_with_output().expect("it is our child")
    });
    let error = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.starts_with("workers: worker ") && error.contains(" failed: "), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
fn a_kernel_without_room_delays_connections_and_ends_nothing() {
    let shortages = [Errno::ENFILE, Errno::EMFILE, Errno::ENOMEM, Errno::ENOSPC];
    for way in WAYS {
        let (mut accepts, mut adds) = (0, 0);
        // The sockets of a new server are its listeners.
        let is_socket = |call: &Call| {
            let file = fs::read_link(format!("/proc/{}/fd/{}", call.thread, call.argument(2)));
            file.is_ok_and(|file| file.to_string_lossy().starts_with("socket:"))
        };
        let refuse = |call: &Call| match call.number {
            libc::SYS_accept4 => {
                accepts += 1;
                shortages.get(accepts - 1).copied()
            }
            _ if call.argument(1) == raw::EPOLL_CTL_ADD as i32 && is_socket(call) => {
                adds += 1;
                shortages[2..].iter().cycle().take(6).nth(adds - 1).copied()
            }
            _ => None,
        };
        intercepted(&[libc::SYS_accept4, libc::SYS_epoll_ctl], refuse, || {
            let (mut program, address) = start(way);
            // The first connections come while no listener is watched, and some meet a shortage.
            let served = |()| {
                let mut client = connect(address);
                client.write_all(b"x").is_ok() && matches!(client.read(&mut [0]), Ok(1))
            };
            eventually("clients are served", || served(()));
            exchange(&(0..20).map(|_| connect(address)).collect::<Vec<_>>());
            assert!(program.is_running());
        });
        assert!(accepts > shortages.len() && adds > 6, "{way:?}: {accepts} accepts, {adds} additions");
    }
}

#[test]
fn it_listens_on_ipv6_too() {
    for way in WAYS {
        if TcpStream::connect("[::1]:1").is_err_and(|error| error.kind() != std::io::ErrorKind::ConnectionRefused) {
            return; // this machine has no IPv6
        }
        let (_program, address) = start(&[way, &["[::1]:0"]].concat());
        exchange(&(0..20).map(|_| connect(address)).collect::<Vec<_>>());
        let (_program, address) = start_http(way, "[::1]:0");
        assert_eq!(http(address, &[LAST.as_bytes()]), GOODBYE);
    }
}

#[test]
fn what_it_cannot_use_is_one_line_that_names_the_usage_and_exit_code_2() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = taken.local_addr().expect("it is bound").to_string();
    for arguments in [
        &["nowhere"][..],
        &[""],
        &["--shared"],
        &["127.0.0.1:0", "127.0.0.1:0"],
        &[&taken],
        &["192.0.2.1:1"],
        &["--http"],
        &["--http", "nowhere"],
        &["--http", &taken],
        &["--http", "127.0.0.1:0", "--http", "127.0.0.1:0"],
    ] {
        for way in WAYS {
            refuses("workers", &[way, arguments].concat());
        }
    }
}

#[test]
fn help_is_help() {
    let output = Command::new(example("workers")).arg("--help").output().expect("the example runs");
    assert_eq!((output.status.code(), &output.stderr[..]), (Some(0), &b""[..]));
    assert!(output.stdout.starts_with(b"usage: workers [--exclusive] [--http ADDR] [ADDR]\n"));
}

#[test]
fn lost_output_is_an_error_and_no_panic() {
    lost::reports_lost_output("workers", &["--help"]);
    lost::reports_lost_output("workers", &["127.0.0.1:0"]);
    lost::refuses_without_error_output("workers");
}
