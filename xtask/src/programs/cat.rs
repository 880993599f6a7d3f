//! Builds `bare-cat`, the program that users copy, as its documentation says, and runs it on every
//! kind of stream.

use crate::debian::Cache;
use crate::kit::progress::Progress;
use crate::kit::random::bytes;
use crate::kit::shell::{self, cargo, cargo_of, quoted, root, run};
use crate::machines::cross;
use crate::machines::emulated::{self, Emulator};
use crate::machines::targets::{select, Target};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Both endiannesses and widths, an `asm!` that only nightly has, and m68k, whose larger
/// programs are miscompiled.
const TARGETS: [&str; 4] =
    ["aarch64-unknown-linux-gnu", "s390x-unknown-linux-gnu", "mipsel-unknown-linux-gnu", "m68k-unknown-linux-gnu"];
/// Only a hang takes this long.
const LIMIT: Duration = Duration::from_secs(300);
const SIGPIPE: i32 = 13;

struct Cat<'a> {
    /// The command that runs the program.
    command: &'a dyn Fn() -> Command,
    /// The folder for the files of a check.
    folder: &'a Path,
}

type Check = fn(&Cat) -> Result<(), String>;

const CHECKS: &[(&str, Check)] = &[
    ("a pipe with a slow writer", slow_writer),
    ("a nonblocking socket with a slow reader", slow_reader),
    ("a terminal", terminal),
    ("a file to a file", file_to_file),
    ("/dev/null", dev_null),
    ("closed standard input", closed_input),
    ("closed standard output", closed_output),
    ("a full disk", full_disk),
    ("a reader that closes its pipe", lost_reader),
    ("a reader that closes its pipe, SIGPIPE ignored", lost_reader_without_signal),
];

/// Runs all checks natively and for other machines. Returns how many passed.
pub fn run_checks(progress: &Progress, cache: &Cache) -> Result<usize, String> {
    progress.checks("bare-cat", |job| {
        job.at("building and running");
        check_all(cache)
    })
}

fn check_all(cache: &Cache) -> Result<usize, String> {
    // Not in the cache, which other checkouts share.
    let folder = root().join("target");
    run(cargo().args(["build", "--release", "--locked", "-p", "bare-cat", "--target-dir"]).arg(&folder))?;
    let program = folder.join("release/bare-cat");
    let mut passed = check(CHECKS, "natively", &|| Command::new(&program))?;
    let emulators = emulated::emulators(cache)?;
    for target in select(&TARGETS.map(String::from))? {
        let program = build(cache, target)?;
        for emulator in emulators.iter().filter(|emulator| emulator.is_for(target)) {
            let on = format!("{} under {}", target.name, emulator.name);
            passed += check(CHECKS, &on, &|| emulator.command(target, &program))?;
        }
        // Only the newest emulator has the program names in the example's cargo configuration.
        let Some(emulator) = emulators.last() else { continue };
        let on = format!("{} by `cargo run`", target.name);
        let tools = tools(cache, target, Some(emulator))?;
        passed += check(&CHECKS[..1], &on, &|| documented_cargo(cache, "run", target, &tools))?;
    }
    Ok(passed)
}

fn build(cache: &Cache, target: &Target) -> Result<PathBuf, String> {
    let programs = root().join("target/bare").join(target.name);
    let tools = tools(cache, target, None)?;
    run(documented_cargo(cache, "build", target, &tools)
        .args(["-Zunstable-options", "--artifact-dir"])
        .arg(&programs))?;
    Ok(programs.join("bare-cat"))
}

/// The folders of the linker and the emulator that the example's cargo configuration names.
fn tools(cache: &Cache, target: &Target, emulator: Option<&Emulator>) -> Result<Vec<PathBuf>, String> {
    let linker = cross::linker(cache, target)?;
    let linkers = linker.as_deref().and_then(Path::parent);
    Ok(linkers.into_iter().chain(emulator.map(Emulator::programs)).map(Path::to_path_buf).collect())
}

/// The cargo command in the example's documentation, with these folders in `PATH`.
fn documented_cargo(cache: &Cache, verb: &str, target: &Target, tools: &[PathBuf]) -> Command {
    let mut cargo = cargo_of("nightly");
    // These variables would override the example's flags.
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    cargo.current_dir(root().join("examples/bare-cat"));
    cargo.args([verb, "--quiet", "--release", "--locked", "--target", target.name, "--target-dir"]);
    cargo.arg(cross::target_dir(cache, target));
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let path = tools.iter().cloned().chain(std::env::split_paths(&inherited));
    cargo.env("PATH", std::env::join_paths(path).unwrap_or(inherited.clone()));
    cargo
}

fn check(checks: &[(&str, Check)], on: &str, command: &dyn Fn() -> Command) -> Result<usize, String> {
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    for (name, check) in checks {
        let cat = Cat { command, folder: folder.path() };
        check(&cat).map_err(|why| format!("bare-cat, {on}, {name}: {why}"))?;
    }
    Ok(checks.len())
}

fn slow_writer(cat: &Cat) -> Result<(), String> {
    let sent = bytes(0, 3_000_000);
    let mut child = start((cat.command)().stdin(Stdio::piped()).stdout(Stdio::piped()))?;
    let (input, output) = (child.stdin.take(), child.stdout.take());
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut input = input?;
            for (index, piece) in sent.chunks(450_001).enumerate() {
                input.write_all(&piece[..7]).ok()?;
                thread::sleep(Duration::from_millis(5 * index as u64));
                input.write_all(&piece[7..]).ok()?;
            }
            Some(())
        });
        let received = scope.spawn(|| read_all(output));
        finish(child)?.must_be_success()?;
        same(&sent, &received.join().unwrap_or_default())
    })
}

/// The program must lose no bytes when the socket is full, and must not change the socket's flags.
fn slow_reader(cat: &Cat) -> Result<(), String> {
    let sent = bytes(0, 1_500_000);
    let file = cat.folder.join("slow");
    fs::write(&file, &sent).map_err(no_file)?;
    for nonblocking in [true, false] {
        let (mut ours, theirs) = UnixStream::pair().map_err(|error| format!("cannot create a socket pair: {error}"))?;
        theirs.set_nonblocking(nonblocking).map_err(|error| format!("cannot make a socket nonblocking: {error}"))?;
        let duplicate = theirs.try_clone().map_err(|error| format!("cannot duplicate a socket: {error}"))?;
        let before = file_flags(&duplicate)?;
        let input = File::open(&file).map_err(no_file)?;
        // One run reads a file, which is always ready, the other a pipe.
        let (input, feeder) = if nonblocking { (Stdio::from(input), None) } else { (Stdio::piped(), Some(input)) };
        let mut child = start((cat.command)().stdin(input).stdout(OwnedFd::from(theirs)))?;
        let pipe = child.stdin.take();
        let feeding = thread::spawn(move || std::io::copy(&mut feeder?, &mut pipe?).ok());
        let reading = thread::spawn(move || {
            let (mut received, mut piece) = (Vec::new(), [0; 100_000]);
            while let Ok(length @ 1..) = ours.read(&mut piece) {
                received.extend(&piece[..length]);
                thread::sleep(Duration::from_millis(1));
            }
            received
        });
        let ended = finish(child);
        let after = file_flags(&duplicate)?;
        drop(duplicate); // the last descriptor, so the reader sees the end
        let received = reading.join().unwrap_or_default();
        let _ = feeding.join();
        ended?.must_be_success()?;
        same(&sent, &received)?;
        if before != after {
            return Err(format!("the program changed the socket's flags from {before} to {after}"));
        }
    }
    Ok(())
}

/// `script` creates the terminal, types its own input into it, and prints its output: each line
/// once as typed, and once as the program writes it.
fn terminal(cat: &Cat) -> Result<(), String> {
    let mut script = Command::new("script");
    script.args(["-qec", &quoted(&(cat.command)()), "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = start(&mut script)?;
    let (input, output) = (child.stdin.take(), child.stdout.take());
    let reading = thread::spawn(|| read_all(output));
    let written = input.map(|mut input| input.write_all(b"one line\nanother\n"));
    let ended = finish(child)?;
    let seen = String::from_utf8_lossy(&reading.join().unwrap_or_default()).into_owned();
    ended.must_be_success()?;
    if !matches!(written, Some(Ok(()))) || ["one line", "another"].iter().any(|line| seen.matches(line).count() != 2) {
        return Err(format!("not every line is on the terminal twice: {seen:?}"));
    }
    Ok(())
}

fn file_to_file(cat: &Cat) -> Result<(), String> {
    let (from, to) = (cat.folder.join("from"), cat.folder.join("to"));
    let sent = bytes(0, 1_000_003);
    fs::write(&from, &sent).map_err(no_file)?;
    let (input, output) = (File::open(&from).map_err(no_file)?, File::create(&to).map_err(no_file)?);
    finish(start((cat.command)().stdin(input).stdout(output))?)?.must_be_success()?;
    same(&sent, &fs::read(&to).map_err(no_file)?)
}

fn dev_null(cat: &Cat) -> Result<(), String> {
    let mut child = start((cat.command)().stdin(Stdio::null()).stdout(Stdio::piped()))?;
    let output = child.stdout.take();
    finish(child)?.must_be_success()?;
    same(&[], &read_all(output))?;
    finish(start((cat.command)().stdin(Stdio::null()).stdout(Stdio::null()))?)?.must_be_success()
}

fn closed_input(cat: &Cat) -> Result<(), String> {
    finish(start(shell(cat, "<&-", "").stdout(Stdio::null()))?)?.must_fail_with("read standard input: error EBADF")
}

fn closed_output(cat: &Cat) -> Result<(), String> {
    finish(start(shell(cat, ">&-", "").stdin(Stdio::null()))?)?.must_fail_with("write standard output: error EBADF")
}

fn full_disk(cat: &Cat) -> Result<(), String> {
    let ended = finish(start(shell(cat, "</dev/zero >/dev/full", "").stdin(Stdio::null()))?)?;
    ended.must_fail_with("write standard output: error ENOSPC")
}

fn lost_reader(cat: &Cat) -> Result<(), String> {
    let ended = without_reader(shell(cat, "</dev/zero", ""))?;
    if ended.signal != Some(SIGPIPE) {
        return Err(format!("SIGPIPE did not end the program: {ended}"));
    }
    Ok(())
}

fn lost_reader_without_signal(cat: &Cat) -> Result<(), String> {
    let ended = without_reader(shell(cat, "</dev/zero", "trap '' PIPE;"))?;
    if ended.code != Some(1) || !ended.stderr.is_empty() {
        return Err(format!("the program did not end with status 1 and without a message: {ended}"));
    }
    Ok(())
}

/// Runs the program until it has written something, and closes the pipe.
fn without_reader(mut command: Command) -> Result<Ended, String> {
    let mut child = start(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
    let first = child.stdout.take().map(|mut output| output.read(&mut [0; 10]));
    let ended = finish(child)?;
    match first {
        Some(Ok(10)) => Ok(ended),
        _ => Err(format!("the program wrote nothing: {ended}")),
    }
}

/// A shell that runs `first`, and then the program with these redirections.
fn shell(cat: &Cat, redirections: &str, first: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{first} exec {} {redirections}", quoted(&(cat.command)()))]);
    shell
}

/// How the program ended, and its standard error.
struct Ended {
    code: Option<i32>,
    signal: Option<i32>,
    stderr: String,
}

impl Ended {
    fn must_be_success(&self) -> Result<(), String> {
        match (self.code, &*self.stderr) {
            (Some(0), "") => Ok(()),
            _ => Err(format!("the program failed: {self}")),
        }
    }

    fn must_fail_with(&self, failure: &str) -> Result<(), String> {
        let sentence = format!("bare-cat: cannot {failure}.\n");
        if self.code == Some(1) && self.stderr == sentence {
            return Ok(());
        }
        Err(format!("expected status 1 and {sentence:?}, but: {self}"))
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "status {code}")?,
            (None, signal) => write!(f, "ended by signal {}", signal.unwrap_or_default())?,
        }
        write!(f, ", standard error {:?}", self.stderr)
    }
}

fn start(command: &mut Command) -> Result<Child, String> {
    shell::start(command.stderr(Stdio::piped()))
}

/// Waits for the program to end, and kills it after [`LIMIT`]. Its standard error is too short to
/// fill the pipe.
fn finish(mut child: Child) -> Result<Ended, String> {
    let start = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if start.elapsed() < LIMIT => thread::sleep(Duration::from_millis(2)),
            answer => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(match answer {
                    Ok(_) => format!("the program did not end within {} s", LIMIT.as_secs()),
                    Err(error) => format!("cannot wait for the program: {error}"),
                });
            }
        }
    };
    let stderr = String::from_utf8_lossy(&read_all(child.stderr.take())).into_owned();
    Ok(Ended { code: status.code(), signal: status.signal(), stderr })
}

fn read_all(stream: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    // If a read fails, the comparison finds the missing bytes.
    let _ = stream.map(|mut stream| stream.read_to_end(&mut bytes));
    bytes
}

fn same(sent: &[u8], received: &[u8]) -> Result<(), String> {
    if sent == received {
        return Ok(());
    }
    let first = sent.iter().zip(received).take_while(|(sent, received)| sent == received).count();
    Err(format!("of {} bytes, {} came back, with a difference at byte {first}", sent.len(), received.len()))
}

/// The flags of the open file description, such as `O_NONBLOCK`, which all its descriptors share.
fn file_flags(file: &impl AsRawFd) -> Result<String, String> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd())).map_err(no_file)?;
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    Ok(flags.unwrap_or_default().trim().into())
}

fn no_file(error: std::io::Error) -> String {
    format!("cannot use a file that the check needs: {error}")
}
