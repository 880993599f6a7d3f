//! Builds `bare-echo`, the server without libc that users copy, for every target. Runs it natively,
//! under emulators, and as the first process of real kernels, with clients that compare every byte.

use crate::debian::Cache;
use crate::kit::document::NO_LIBC;
use crate::kit::progress::{Job, Progress};
use crate::kit::random::bytes;
use crate::kit::report;
use crate::kit::shell::{both, capture, cargo, root, run, Background};
use crate::kit::tool::in_container;
use crate::machines::cross;
use crate::machines::emulated::{self, Emulator};
use crate::machines::kernels::{Networked, NETWORKED};
use crate::machines::targets::{self, Target, TARGETS};
use crate::step::{Run, World};
use clap::Args;
use rustix::net::sockopt::set_socket_linger;
use rustix::process::{kill_process, Pid, Signal};
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{channel, Receiver};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

#[derive(Args)]
pub struct Options {
    /// Write the table of sizes into docs/no-libc.md
    #[arg(long)]
    write: bool,
}

/// Only a hang takes this long.
const LIMIT: Duration = Duration::from_secs(120);
/// The size of the server's table: `CONNECTIONS` in the example's `server.rs`.
const TABLE: usize = 256;
/// How many emulators run at a time.
const PARALLEL: usize = 2;
/// How many percent a program may grow, because nightly compilers differ.
const MAX_GROWTH: u64 = 5;
const TABLE_NAME: &str = "sizes of bare-echo";
/// The folder of a program that runs instead of a miscompiled one.
const REPAIRED: &str = "repaired";

impl Run for Options {
    fn run(&self, world: &World) -> Result<(), String> {
        report::say(format_args!("{} passed", check(&world.progress, world.cache()?, self.write)?));
        Ok(())
    }
}

/// Runs all checks. Returns how many passed.
pub fn run_checks(progress: &Progress, cache: &Cache) -> Result<usize, String> {
    check(progress, cache, false)
}

fn check(progress: &Progress, cache: &Cache, write: bool) -> Result<usize, String> {
    let natively = progress.checks("bare-echo, natively", |job| {
        job.at("building");
        // Not in the cache, which other checkouts share.
        let folder = root().join("target");
        run(cargo().args(["build", "--release", "--locked", "-p", "bare-echo", "--target-dir"]).arg(&folder))?;
        let program = folder.join("release/bare-echo");
        job.at("running");
        check_server(&|| Command::new(&program)).and_then(|passed| Ok(passed + check_process(&program)?))
    })?;
    let on_targets = || progress.checks("bare-echo, emulators", |job| on_targets(cache, job, write));
    let on_kernels = || progress.checks("bare-echo, kernels", |job| on_kernels(cache, job));
    let (emulated, booted) = thread::scope(|scope| {
        let kernels = scope.spawn(on_kernels);
        let lost = |_| Err("the thread that booted the kernels panicked".to_string());
        (on_targets(), kernels.join().unwrap_or_else(lost))
    });
    Ok(natively + emulated? + booted?)
}

// For every target.

/// Builds each target's program and compares its size with the documented one, then runs it.
fn on_targets(cache: &Cache, job: &Job, write: bool) -> Result<usize, String> {
    let emulators = emulated::emulators(cache)?;
    let mut programs = Vec::new();
    for target in TARGETS.iter().filter(|target| target.links()) {
        job.at(target.name);
        let program = build(cache, target)?;
        if target.is_miscompiled() {
            cross::build_program(cache, target, "bare-echo", &program.with_file_name(REPAIRED))?;
        }
        programs.push((target, program));
    }
    job.at("running");
    let runnable = |(target, _): &&(&Target, PathBuf)| !target.emulator.is_empty();
    let runs = programs.iter().filter(runnable).flat_map(|(target, program)| {
        let those = emulators.iter().filter(|emulator| emulator.is_for(target));
        let program =
            if target.is_miscompiled() { program.with_file_name(REPAIRED).join("bare-echo") } else { program.clone() };
        those.map(move |emulator| (*target, program.clone(), emulator))
    });
    let queue = Mutex::new(runs);
    let next = || queue.lock().ok()?.next();
    let worker = || {
        let mut passed = 0;
        while let Some((target, program, emulator)) = next() {
            passed += on_emulator(target, &program, emulator)?;
        }
        Ok::<usize, String>(passed)
    };
    let passed = thread::scope(|scope| {
        let workers: Vec<_> = (0..PARALLEL).map(|_| scope.spawn(worker)).collect();
        let lost = |_| Err("the thread that ran the emulator panicked".to_string());
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(lost)).sum::<Result<usize, String>>()
    })?;
    Ok(passed + check_sizes(&programs, write)?)
}

fn on_emulator(target: &Target, program: &Path, emulator: &Emulator) -> Result<usize, String> {
    check_server(&|| emulator.command(target, program))
        .map_err(|why| format!("bare-echo, {} under {}: {why}", target.name, emulator.name))
}

/// The program, with the flags of the conformance program, so that cargo compiles `core` once.
fn build(cache: &Cache, target: &Target) -> Result<PathBuf, String> {
    let programs = root().join("target/bare").join(target.name);
    let mut build = cross::cargo(cache, target, "build")?;
    run(build.args(["-p", "bare-echo", "-Zunstable-options", "--artifact-dir"]).arg(&programs))?;
    Ok(programs.join("bare-echo"))
}

/// Compares each program's size with that in the document. A program must not be larger by more
/// than [`MAX_GROWTH`].
fn check_sizes(programs: &[(&Target, PathBuf)], write: bool) -> Result<usize, String> {
    let size = |program: &Path| {
        let length = fs::metadata(program).map(|data| data.len());
        length.map_err(|error| format!("cannot read {}: {error}", program.display()))
    };
    let mut rows = Vec::new();
    for (target, program) in programs {
        rows.push(vec![target.name.to_string(), size(program)?.to_string()]);
    }
    if write {
        NO_LIBC.write(TABLE_NAME, &report::markdown(&["bare-echo", "bytes"], rows.clone()))?;
    }
    let documented = NO_LIBC.table(TABLE_NAME)?;
    for row in &rows {
        let [name, bytes] = &row[..] else { continue };
        let known = documented.get(name).and_then(|cells| cells.get("bytes")?.parse::<u64>().ok());
        let known = known.ok_or_else(|| format!("docs/no-libc.md has no size of bare-echo for {name}; {REMEDY}"))?;
        if bytes.parse::<u64>().is_ok_and(|bytes| bytes > known + known * MAX_GROWTH / 100) {
            return Err(format!(
                "bare-echo for {name} has {bytes} bytes, documented are {known}; shrink it, or {REMEDY}"
            ));
        }
    }
    Ok(rows.len())
}

const REMEDY: &str = "run `cargo xtask bare-echo --write`";

// As the first process of real kernels.

/// Boots the kernels, at the same time. Returns how many passed.
fn on_kernels(cache: &Cache, job: &Job) -> Result<usize, String> {
    let mut programs = Vec::new();
    for machine in &NETWORKED {
        job.at(machine.kernel);
        programs.push((machine, build(cache, targets::select(&[machine.target.to_string()])?[0])?));
    }
    job.at("running");
    thread::scope(|scope| {
        let boots = programs.iter().map(|(machine, program)| {
            scope.spawn(move || {
                boot(cache, machine, program).map_err(|why| format!("bare-echo on {}: {why}", machine.kernel))
            })
        });
        let boots: Vec<_> = boots.collect();
        let lost = |_| Err("the thread that booted the kernel panicked".to_string());
        boots.into_iter().try_for_each(|boot| boot.join().unwrap_or_else(lost))
    })?;
    Ok(programs.len())
}

fn boot(cache: &Cache, machine: &Networked, program: &Path) -> Result<(), String> {
    const CLIENTS: (usize, usize, usize) = (200, 25, 1024 * 1024);
    let folder = tempfile::tempdir().map_err(|error| format!("cannot create a temporary folder: {error}"))?;
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let address = free.map_err(|error| format!("cannot find a free port: {error}"))?;
    let mut qemu = machine.emulator(cache, program, address.port(), folder.path())?;
    let mut qemu = Background::start(qemu.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
    let console = lines(qemu.stdout.take());
    let mut seen = String::new();
    let mut wait_for = |wanted: &str| {
        while let Ok(line) = console.recv_timeout(LIMIT) {
            seen += &format!("{line}\n");
            if line.trim_end().ends_with(wanted) {
                return Ok(());
            }
        }
        Err(format!("the console does not show {wanted:?}, but:\n{seen}"))
    };
    wait_for("listening on 0.0.0.0:7777")?;
    // The emulator listens with a backlog of 1, so one client at a time connects, until it has an
    // answer. All then exchange their messages at the same time.
    let door = Mutex::new(());
    let enter = || {
        let _one_at_a_time = door.lock().map_err(|_| "a client panicked")?;
        let mut stream = connect(address)?;
        echo(&mut stream, b"x")?;
        Ok(stream)
    };
    crowd(&enter, CLIENTS.0, CLIENTS.1, CLIENTS.2)?;
    // Ctrl-C at the console.
    let typed = qemu.stdin.as_mut().map(|console| console.write_all(b"\x03").and_then(|()| console.flush()));
    if !matches!(typed, Some(Ok(()))) {
        return Err(format!("cannot type at the console: {typed:?}"));
    }
    wait_for(&format!("served {} connections, {} bytes", CLIENTS.0, CLIENTS.0 * (CLIENTS.2 + 1)))?;
    eventually("the machine did not power off", || qemu.try_wait().ok().flatten()).map(drop)
}

// The server and its clients.

struct Server {
    program: Background,
    lines: Receiver<String>,
    address: SocketAddr,
}

impl Server {
    fn start(command: &mut Command) -> Result<Self, String> {
        // Emulators write notes to standard error.
        let mut program = Background::start(command.stdout(Stdio::piped()).stderr(Stdio::null()))?;
        let lines = lines(program.stdout.take());
        let first = lines.recv_timeout(LIMIT).map_err(|_| "the server printed no address")?;
        let address = first.strip_prefix("listening on ").and_then(|address| address.parse().ok());
        let address = address.ok_or_else(|| format!("the server printed {first:?}, not its address"))?;
        Ok(Self { program, lines, address })
    }

    fn connect(&self) -> Result<TcpStream, String> {
        connect(self.address)
    }

    fn descriptors(&self) -> Option<usize> {
        Some(fs::read_dir(format!("/proc/{}/fd", self.program.id())).ok()?.count())
    }

    /// Waits until a while passes in which the server uses no processor time. The kernel counts
    /// hundredths of a second.
    fn must_become_idle(&self) -> Result<(), String> {
        const WHILE: Duration = Duration::from_millis(300);
        let stat = format!("/proc/{}/stat", self.program.id());
        let used = || {
            let text = fs::read_to_string(&stat).ok()?;
            let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
            Some([fields.get(11)?.to_string(), fields.get(12)?.to_string()])
        };
        eventually("the server did not become idle", || {
            let before = used()?;
            thread::sleep(WHILE);
            (used()? == before).then_some(())
        })
    }

    /// Sends a signal. The server must end with status 0, and print this.
    fn must_end(mut self, signal: Signal, start: &str, end: &str) -> Result<(), String> {
        let sent = kill_process(Pid::from_child(&self.program), signal);
        sent.map_err(|errno| format!("cannot send a signal to the server: {errno}"))?;
        let status = eventually("the server did not end after a signal", || self.program.try_wait().ok().flatten())?;
        let last = self.lines.recv_timeout(LIMIT).unwrap_or_default();
        if status.success() && last.starts_with(start) && last.ends_with(end) {
            return Ok(());
        }
        Err(format!("the server ended with {status} and printed {last:?}, expected status 0 and {start:?} … {end:?}"))
    }
}

/// The lines of an output.
fn lines(output: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (send, receive) = channel();
    thread::spawn(move || {
        for line in BufReader::new(output?).lines() {
            send.send(line.ok()?).ok()?;
        }
        Some(())
    });
    receive
}

/// Waits for an answer. `why` is the error.
fn eventually<T>(why: &str, mut answer: impl FnMut() -> Option<T>) -> Result<T, String> {
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        if let Some(answer) = answer() {
            return Ok(answer);
        }
        thread::sleep(Duration::from_millis(2));
    }
    Err(format!("{why} within {} s", LIMIT.as_secs()))
}

fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    let stream = TcpStream::connect(address).map_err(|error| format!("cannot connect to the server: {error}"))?;
    limited(&stream).map_err(|error| format!("cannot set a timeout: {error}"))?;
    Ok(stream)
}

fn limited(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))
}

/// What a client of this number sends.
fn message(client: usize, length: usize) -> Vec<u8> {
    bytes(client as u64, length)
}

/// Sends a message, half-closes, and reads with these pauses until the end. All must come back.
fn exchange(mut stream: TcpStream, message: &[u8], pauses: usize) -> Result<(), String> {
    let sender = stream.try_clone().map_err(|error| format!("cannot duplicate a socket: {error}"))?;
    thread::scope(|scope| {
        let sending = scope.spawn(move || {
            (&sender).write_all(message)?;
            sender.shutdown(Shutdown::Write)
        });
        let mut received = Vec::new();
        for _ in 0..pauses {
            thread::sleep(Duration::from_millis(5));
            let mut piece = [0; 1000];
            let length = stream.read(&mut piece).unwrap_or_default();
            received.extend(&piece[..length]);
        }
        let read = stream.read_to_end(&mut received);
        let sent = sending.join().unwrap_or(Ok(()));
        if sent.is_ok() && read.is_ok() && received == message {
            return Ok(());
        }
        let same = received.iter().zip(message).take_while(|(one, other)| one == other).count();
        let (length, back) = (message.len(), received.len());
        Err(format!("of {length} bytes {back} came back, the first {same} right (sent: {sent:?}, read: {read:?})"))
    })
}

type Connect<'a> = dyn Fn() -> Result<TcpStream, String> + Sync + 'a;

/// Runs one client a connection, so many at a time.
fn crowd(connect: &Connect, clients: usize, at_a_time: usize, length: usize) -> Result<(), String> {
    let queue = Mutex::new(0..clients);
    let next = || queue.lock().ok()?.next();
    let worker = || {
        while let Some(client) = next() {
            // Every fifth reads late.
            let pauses = if client % 5 == 0 { 20 } else { 0 };
            let exchanged = connect().and_then(|stream| exchange(stream, &message(client, length), pauses));
            exchanged.map_err(|why| format!("client {client}: {why}"))?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..at_a_time).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|_| Err("a client panicked".into())))
    })
}

/// All checks that need only clients. Returns how many passed.
fn check_server(command: &dyn Fn() -> Command) -> Result<usize, String> {
    const CROWD: (usize, usize) = (50, 256 * 1024);
    /// More than the kernel's buffers hold.
    const LATE: usize = 16 * 1024 * 1024;
    let at = |what: &'static str| move |why: String| format!("{what}: {why}");
    let server = Server::start(command().arg("127.0.0.1:0"))?;
    let address = server.address;
    crowd(&|| connect(address), CROWD.0, CROWD.0, CROWD.1).map_err(at("50 clients"))?;
    late_reader(&server, LATE).map_err(at("a client that reads late"))?;
    let extra = full_table(&server).map_err(at("more clients than the table holds"))?;
    let (connections, bytes) = (CROWD.0 + 1 + extra, CROWD.0 * CROWD.1 + LATE + extra);
    let served = format!("served {connections} connections, {bytes} bytes");
    server.must_end(Signal::TERM, &served, "").map_err(at("SIGTERM"))?;

    let server = Server::start(command().arg("127.0.0.1:0"))?;
    let stuck = resets(&server).map_err(at("clients that reset their connections"))?;
    server.must_end(Signal::INT, "served 43 connections, ", " bytes").map_err(at("SIGINT"))?;
    drop(stuck);
    Ok(6)
}

/// The server must stop to read while the client does not, and lose nothing.
fn late_reader(server: &Server, length: usize) -> Result<(), String> {
    exchange(server.connect()?, &message(0, length), 60)
}

/// Opens more connections than the server's table has places. Returns how many.
fn full_table(server: &Server) -> Result<usize, String> {
    let all = TABLE + 40;
    let clients: Result<Vec<TcpStream>, String> = (0..all).map(|_| server.connect()).collect();
    let mut clients = clients?;
    let failed = |error: std::io::Error| format!("a client got no answer: {error}");
    clients.iter_mut().try_for_each(|client| client.write_all(b"x")).map_err(failed)?;
    let mut waiting = clients.split_off(TABLE);
    // The kernel's queue keeps the order, so the first clients have the places.
    clients.iter_mut().try_for_each(|client| client.read_exact(&mut [0])).map_err(failed)?;
    let has_answer = |client: &TcpStream| {
        client.set_nonblocking(true).ok()?;
        let answer = client.peek(&mut [0]).is_ok();
        client.set_nonblocking(false).ok()?;
        Some(answer)
    };
    if waiting.iter().any(|client| has_answer(client) != Some(false)) {
        return Err(format!("the server serves more than {TABLE} clients"));
    }
    drop(clients);
    waiting.iter_mut().try_for_each(|client| client.read_exact(&mut [0])).map_err(failed)?;
    Ok(all)
}

/// 40 clients reset their connections, with bytes on the way in both directions. One that stays
/// notices nothing. Returns one that never reads, for which the server holds bytes.
fn resets(server: &Server) -> Result<TcpStream, String> {
    let mut bystander = server.connect()?;
    for client in 0..40 {
        let mut stream = server.connect()?;
        let sent = stream.write_all(&message(client, 50_000));
        sent.map_err(|error| format!("cannot send: {error}"))?;
        if client % 2 == 0 {
            set_socket_linger(&stream, Some(Duration::ZERO)).map_err(|errno| format!("cannot set linger: {errno}"))?;
        }
        drop(stream); // a reset in any case, because bytes come back unread
    }
    (0..20).try_for_each(|round| echo(&mut bystander, &message(round, 10_000)))?;
    let mut stuck = server.connect()?;
    stuck.set_nonblocking(true).map_err(|error| format!("cannot make a socket nonblocking: {error}"))?;
    while stuck.write(&message(0, 100_000)).is_ok() {}
    // The answer to a later client shows that the server has accepted this one.
    echo(&mut server.connect()?, b"x")?;
    Ok(stuck)
}

/// Sends bytes that all buffers together can hold, and reads them.
fn echo(stream: &mut TcpStream, sent: &[u8]) -> Result<(), String> {
    let mut back = vec![0; sent.len()];
    match stream.write_all(sent).and_then(|()| stream.read_exact(&mut back)) {
        Ok(()) if back == sent => Ok(()),
        Ok(()) => Err("a client got other bytes back".into()),
        Err(error) => Err(format!("a client got no answer: {error}")),
    }
}

type Check = fn(&Path) -> Result<(), String>;

/// Checks that look into the process, so they run without an emulator. Returns how many passed.
fn check_process(program: &Path) -> Result<usize, String> {
    let checks: [(&str, Check); 6] = [
        ("descriptors", descriptors_stay_the_same),
        ("a full table", idle_with_a_full_table),
        ("no descriptors", without_descriptors),
        ("closed standard output", without_a_reader),
        ("errors", errors),
        ("a container", container),
    ];
    for (name, check) in checks {
        check(program).map_err(|why| format!("{name}: {why}"))?;
    }
    Ok(checks.len())
}

fn descriptors_stay_the_same(program: &Path) -> Result<(), String> {
    let server = Server::start(Command::new(program).arg("127.0.0.1:0"))?;
    let before = server.descriptors();
    let stuck = resets(&server)?;
    drop(stuck);
    let address = server.address;
    crowd(&|| connect(address), 60, 20, 10_000)?;
    let why = format!("the server did not return to {before:?} descriptors");
    eventually(&why, || (server.descriptors() == before).then_some(()))
}

/// While clients wait for a place in the table, the listener is ready. The server must not spin.
fn idle_with_a_full_table(program: &Path) -> Result<(), String> {
    let server = Server::start(Command::new(program).arg("127.0.0.1:0"))?;
    let clients: Result<Vec<TcpStream>, String> = (0..TABLE + 1).map(|_| server.connect()).collect();
    let mut clients = clients?;
    echo(&mut clients[TABLE - 1], b"x")?;
    server.must_become_idle()
}

fn without_descriptors(program: &Path) -> Result<(), String> {
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -n 32; exec \"$@\"", "sh"]).arg(program).arg("127.0.0.1:0");
    let server = Server::start(&mut shell)?;
    let clients: Result<Vec<TcpStream>, String> = (0..48).map(|_| server.connect()).collect();
    let mut waiting = clients?;
    let mut served: Vec<TcpStream> = waiting.drain(..20).collect();
    served.iter_mut().try_for_each(|client| echo(client, b"x"))?;
    server.must_become_idle()?;
    drop(served);
    // 26 or so have a descriptor at a time.
    while !waiting.is_empty() {
        let mut next: Vec<TcpStream> = waiting.drain(..waiting.len().min(20)).collect();
        next.iter_mut().try_for_each(|client| echo(client, b"y"))?;
    }
    server.must_end(Signal::TERM, "served 48 connections, 48 bytes", "")
}

/// Nobody reads the last line, so writing it would raise SIGPIPE.
fn without_a_reader(program: &Path) -> Result<(), String> {
    let (reader, writer) = std::io::pipe().map_err(|error| format!("cannot create a pipe: {error}"))?;
    let mut server = Background::start(Command::new(program).arg("127.0.0.1:0").stdout(writer))?;
    let mut first = String::new();
    let read = BufReader::new(reader).read_line(&mut first);
    read.map_err(|error| format!("the server printed nothing: {error}"))?;
    let sent = kill_process(Pid::from_child(&server), Signal::TERM);
    sent.map_err(|errno| format!("cannot send a signal to the server: {errno}"))?;
    let status = eventually("the server did not end", || server.try_wait().ok().flatten())?;
    if status.success() {
        return Ok(());
    }
    Err(format!("the server ended with {status}"))
}

fn errors(program: &Path) -> Result<(), String> {
    const USAGE: &str = "; usage: bare-echo [ADDRESS:PORT], such as bare-echo 127.0.0.1:7777.";
    let no_address = format!("the argument is no IPv4 address with a port up to 65535{USAGE}");
    let too_many = format!("there is more than one argument{USAGE}");
    let too_long = format!("the argument is too long{USAGE}");
    let long = "1".repeat(100_000);
    let of_no_machine = "cannot listen on the address: error 99.";
    for (arguments, status, sentence) in [
        (&[&b"nowhere"[..]][..], 2, no_address.as_str()),
        (&[b""], 2, &no_address),
        (&[b"127.0.0.1:http"], 2, &no_address),
        (&[b"127.0.0.1:65536"], 2, &no_address),
        (&[b"127.0.0.1:"], 2, &no_address),
        (&[b"127.0.0.1"], 2, &no_address),
        (&[b"[::1]:7777"], 2, &no_address),
        (&[b"127.0.0.1:7777\xff"], 2, &no_address),
        (&[b"127.0.0.1:0", b"127.0.0.1:0"], 2, &too_many),
        (&[b"127.0.0.1:0", b""], 2, &too_many),
        (&[long.as_bytes()], 2, &too_long),
        (&[b"192.0.2.1:7777"], 1, of_no_machine),
    ] {
        let arguments: Vec<&OsStr> = arguments.iter().map(|bytes| OsStr::from_bytes(bytes)).collect();
        // A program that takes a wrong argument serves until it is killed.
        let output = capture(Command::new("timeout").arg("10").arg(program).args(&arguments))?;
        let (found, text) = (output.status.code(), both(&output));
        if found != Some(status) || text != format!("bare-echo: {sentence}\n") {
            return Err(format!("with {arguments:?} the server ended with {found:?} and printed {text:?}"));
        }
    }
    Ok(())
}

/// A container's first process takes its argument, and leaves the network and the machine alone.
fn container(program: &Path) -> Result<(), String> {
    let server = Server::start(in_container(program).arg("127.0.0.1:0"))?;
    echo(&mut server.connect()?, b"x")
}
