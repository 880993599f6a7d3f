//! The executor's servers: echo, and HTTP/1.1 with a greeting.

use super::{listen, Async, Executor, READ};
use barepoll::fd::AsFd;
use barepoll::{Epoll, Errno, Event, EventData, EventFlags, SigSet, SignalFd, SignalFdFlags, SignalInfo, Timeout};
use std::cell::{Cell, RefCell};
use std::fmt::Arguments;
use std::fs::File;
use std::future::Future;
use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::pin::pin;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

const USAGE: &str = "usage: executor [--echo ADDR] [--http ADDR]";
const HELP: &str = "
Sends each TCP client's bytes back on the first address, and greets each HTTP/1.1 client on the
second. Both default to 127.0.0.1:0; port 0 picks a free port. A line `quit`, the end of a pipe or
terminal, SIGTERM or Ctrl-C stops the servers.";

const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// The longest head of an HTTP request.
const HEAD: usize = 8 * 1024;
/// How long an HTTP client may be silent.
const IDLE: Duration = Duration::from_secs(30);
/// How long a client may keep sending after a refusal.
const LINGER: Duration = Duration::from_secs(2);
/// How long to leave new connections in the kernel's queue when descriptors run out.
const PAUSE: Duration = Duration::from_millis(100);

pub fn main() -> ExitCode {
    let mut addresses = [("--echo", "127.0.0.1:0".to_string()), ("--http", "127.0.0.1:0".to_string())];
    let mut arguments = std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
    while let Some(argument) = arguments.next() {
        if argument == "--help" || argument == "-h" {
            println!("{USAGE}\n{HELP}");
            return ExitCode::SUCCESS;
        }
        match (addresses.iter_mut().find(|(option, _)| *option == argument), arguments.next()) {
            (Some((_, address)), Some(given)) => *address = given,
            (Some(_), None) => return refuse(format_args!("{argument} needs an address")),
            (None, _) => return refuse(format_args!("unknown option {argument:?}")),
        }
    }
    let [echo_at, http_at] = addresses
        .map(|(_, address)| listen(&address).map_err(|error| format!("cannot listen on {address:?}: {error}")));
    let outcome = match (echo_at, http_at) {
        (Ok(echo_at), Ok(http_at)) => run(echo_at, http_at),
        (Err(why), _) | (_, Err(why)) => return refuse(format_args!("{why}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("executor: {error}.");
            ExitCode::FAILURE
        }
    }
}

fn refuse(why: Arguments) -> ExitCode {
    eprintln!("executor: {why} ({USAGE}).");
    ExitCode::from(2)
}

fn run(echo_at: TcpListener, http_at: TcpListener) -> io::Result<()> {
    let listening = format!("echo listens on {}\nhttp listens on {}", echo_at.local_addr()?, http_at.local_addr()?);
    let executor = Executor::new()?;
    let served = Rc::new(Cell::new(0));
    // An error means a reset or similar, and ends only this connection.
    serve(&executor, echo_at, served.clone(), |stream| async move { drop(echo(stream).await) })?;
    serve(&executor, http_at, served.clone(), |stream| async move { drop(http(stream).await) })?;
    // Blocked signals wait for the descriptor. Threads inherit the mask, so a program with threads
    // blocks them before the first starts.
    let end = SigSet::from_signals(&[SIGINT, SIGTERM])?;
    end.block()?;
    let signals = SignalFd::new(&end, SignalFdFlags::CLOEXEC | SignalFdFlags::NONBLOCK)?;
    let (signals, stopped) = (Async::new(executor.clone(), signals)?, executor.clone());
    executor.spawn(async move {
        // An error is a reason to stop too.
        let _ = signals.when(READ, |signals| Ok(signals.read(&mut SignalInfo::buffer::<1>())?.len())).await;
        stopped.stop();
    });
    // An epoll of its own tells when a read does not block. A file or /dev/null has no events. It
    // ends at once, so it cannot ask to stop.
    let input = Epoll::new()?;
    if input.add(io::stdin(), EventData::new_u64(0), EventFlags::IN) != Err(Errno::EPERM) {
        let stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        let (input, stopper) = (Async::new(executor.clone(), input)?, executor.clone());
        executor.spawn(async move {
            let _ = quit(input, stdin).await;
            stopper.stop();
        });
    }
    let mut stdout = io::stdout();
    writeln!(stdout, "{listening}")?;
    stdout.flush()?;
    executor.run()?;
    writeln!(stdout, "served {} connections", served.get())
}

/// Returns at a line `quit`, at the end or after an error.
async fn quit(input: Async<Epoll>, mut stdin: File) -> io::Result<()> {
    let (mut line, mut chunk) = (Vec::new(), [0; 512]);
    loop {
        let received = input.when(READ, |input| match input.wait(&mut Event::buffer::<1>(), Timeout::ZERO)? {
            [] => Err(ErrorKind::WouldBlock.into()),
            _ => stdin.read(&mut chunk),
        });
        let received = received.await?;
        for byte in &chunk[..received] {
            match byte {
                b'\n' if line == b"quit" => return Ok(()),
                b'\n' => line.clear(),
                _ if line.len() > 4 => {} // it is another line, however long
                _ => line.push(*byte),
            }
        }
        if received == 0 {
            return Ok(());
        }
    }
}

/// Spawns a task that accepts, and one for each connection.
fn serve<F>(
    executor: &Rc<Executor>,
    listener: TcpListener,
    served: Rc<Cell<u64>>,
    service: impl Fn(Async<TcpStream>) -> F + 'static,
) -> io::Result<()>
where
    F: Future<Output = ()> + 'static,
{
    let (listener, spawner) = (Async::new(executor.clone(), listener)?, executor.clone());
    executor.spawn(async move {
        loop {
            match listener.accept().await {
                Ok(stream) => {
                    // If epoll has no room for the connection, only this connection closes.
                    let Ok(stream) = Async::accepted(&spawner, stream) else { continue };
                    served.set(served.get() + 1);
                    spawner.spawn(service(stream));
                }
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                // Out of descriptors or memory. New connections wait in the kernel's queue.
                Err(_) => spawner.sleep(PAUSE).await,
            }
        }
    });
    Ok(())
}

async fn echo(stream: Async<TcpStream>) -> io::Result<()> {
    let (mut unsent, mut is_open) = (Vec::new(), true);
    while is_open {
        let sent = stream.receive(|bytes| {
            is_open = !bytes.is_empty();
            stream.send(bytes, &mut unsent)
        });
        sent.await??;
        if !unsent.is_empty() {
            stream.flush(&mut unsent).await?;
        }
    }
    Ok(())
}

thread_local! {
    /// The answers to the requests of one read.
    static ANSWERS: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

async fn http(stream: Async<TcpStream>) -> io::Result<()> {
    let executor = &stream.executor;
    // The part of a request whose end has not come, and the answers for which the kernel has no
    // room. Mostly both are empty.
    let (mut input, mut unsent) = (Vec::new(), Vec::new());
    let mut idle = executor.sleep(IDLE);
    let mut is_open = true;
    while is_open {
        idle.extend(executor.now() + IDLE);
        let received = stream.receive(|bytes| {
            ANSWERS.with_borrow_mut(|answers| {
                answers.clear();
                is_open = reply(&mut input, bytes, answers);
                stream.send(answers, &mut unsent).map(|()| bytes.is_empty())
            })
        });
        match idle.limit(pin!(received)).await {
            None | Some(Ok(Ok(true))) => return Ok(()),
            Some(outcome) => outcome??,
        };
        if !unsent.is_empty() {
            stream.flush(&mut unsent).await?;
        }
    }
    // Closing with unread input resets the connection, and the client may lose the response.
    stream.socket.shutdown(Shutdown::Write)?;
    let drain = async { while let Ok(true) = stream.receive(|bytes| !bytes.is_empty()).await {} };
    executor.within(LINGER, drain).await;
    Ok(())
}

/// Answers all requests that are complete with these bytes, and keeps the rest in `input`. Returns
/// whether the connection stays open.
fn reply(input: &mut Vec<u8>, bytes: &[u8], answers: &mut Vec<u8>) -> bool {
    let is_first = input.is_empty();
    if !is_first {
        input.extend_from_slice(bytes);
    }
    let (mut rest, mut is_open) = (if is_first { bytes } else { &input[..] }, true);
    while is_open && !rest.is_empty() {
        let (length, verdict) = match judge(rest) {
            Some((length, verdict)) if length <= HEAD + 4 => (length, verdict),
            None if rest.len() <= HEAD => break,
            _ => (0, Err("431 Request Header Fields Too Large")),
        };
        is_open = verdict == Ok(true);
        answer(verdict, answers);
        rest = &rest[length..];
    }
    *input = rest.to_vec(); // without memory if it is empty
    is_open
}

/// Whether the connection stays open, or the status of a refusal.
type Verdict = Result<bool, &'static str>;

const BAD: Verdict = Err("400 Bad Request");

/// The length of a request's head and the verdict, or `None` if its end has not come.
fn judge(bytes: &[u8]) -> Option<(usize, Verdict)> {
    let (mut rest, mut verdict) = (bytes, None);
    loop {
        let line = rest;
        let length = rest.skip_until(b'\n').ok()?; // it looks at many bytes at once
        let line = line[..length].strip_suffix(b"\n")?;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        verdict = match verdict {
            None => Some(request_line(line)),
            Some(verdict) if line.is_empty() => return Some((bytes.len() - rest.len(), verdict)),
            Some(Ok(is_open)) => Some(header(line).map(|may_stay| is_open && may_stay)),
            refusal => refusal,
        }
    }
}

fn request_line(line: &[u8]) -> Verdict {
    let (words, stays_open) = match (line.strip_suffix(b" HTTP/1.1"), line.strip_suffix(b" HTTP/1.0")) {
        (Some(words), _) => (words, true),
        (_, Some(words)) => (words, false),
        _ => return BAD,
    };
    match words.iter().position(|byte| *byte == b' ') {
        Some(end) if words[end + 1..].contains(&b' ') => BAD,
        Some(end) if words[..end] == *b"GET" => Ok(stays_open),
        Some(_) => Err("501 Not Implemented"),
        None => BAD,
    }
}

/// A body is refused, because it would have to be skipped.
fn header(line: &[u8]) -> Verdict {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else { return BAD };
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
    if is("Connection") {
        let is_close = |option: &[u8]| option.trim_ascii().eq_ignore_ascii_case(b"close");
        return Ok(!value.split(|byte| *byte == b',').any(is_close));
    }
    match is("Transfer-Encoding") || is("Content-Length") && value.trim_ascii() != b"0" {
        true => Err("413 Content Too Large"),
        false => Ok(true),
    }
}

fn answer(verdict: Verdict, answers: &mut Vec<u8>) {
    const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\nHello, world!\n";
    const CLOSE: &str = "\r\nConnection: close\r\n\r\n";
    let rare = match verdict {
        Ok(true) => return answers.extend_from_slice(HELLO.as_bytes()),
        Ok(false) => HELLO.replacen("\r\n\r\n", CLOSE, 1),
        Err(status) => format!("HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: 0{CLOSE}"),
    };
    answers.extend_from_slice(rare.as_bytes());
}
