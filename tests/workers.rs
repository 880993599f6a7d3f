//! The example with one loop per core, with both ways to share an address.

#[path = "support/program.rs"]
mod program;
mod support;

use program::*;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
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
fn it_listens_on_ipv6_too() {
    for way in WAYS {
        if TcpStream::connect("[::1]:1").is_err_and(|error| error.kind() != std::io::ErrorKind::ConnectionRefused) {
            return; // this machine has no IPv6
        }
        let (_program, address) = start(&[way, &["[::1]:0"]].concat());
        exchange(&(0..20).map(|_| connect(address)).collect::<Vec<_>>());
    }
}

#[test]
fn what_it_cannot_use_is_one_line_that_names_the_usage_and_exit_code_2() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = taken.local_addr().expect("it is bound").to_string();
    for arguments in
        [&["nowhere"][..], &[""], &["--shared"], &["127.0.0.1:0", "127.0.0.1:0"], &[&taken], &["192.0.2.1:1"]]
    {
        for way in WAYS {
            refuses("workers", &[way, arguments].concat());
        }
    }
}
