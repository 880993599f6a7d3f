//! The executor's servers: echo, and HTTP/1.1 with a greeting.

use super::{Async, Executor, READ};
use barepoll::{Epoll, Errno, EventData, EventFlags, SigSet, SignalFd, SignalFdFlags, SignalInfo};
use std::cell::Cell;
use std::fmt::Arguments;
use std::future::Future;
use std::io::{self, BufRead, ErrorKind, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::ExitCode;
use std::rc::Rc;
use std::thread;
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
    let [echo_at, http_at] = addresses.map(|(_, address)| {
        TcpListener::bind(&address).map_err(|error| format!("cannot listen on {address:?}: {error}"))
    });
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
    let http_executor = executor.clone();
    serve(&executor, echo_at, served.clone(), echo)?;
    serve(&executor, http_at, served.clone(), move |stream| http(http_executor.clone(), stream))?;
    // Before the first thread starts, which inherits the mask.
    let end = SigSet::from_signals(&[SIGINT, SIGTERM])?;
    end.block()?;
    let signals = SignalFd::new(&end, SignalFdFlags::CLOEXEC | SignalFdFlags::NONBLOCK)?;
    let (signals, stopped) = (Async::new(executor.clone(), signals)?, executor.clone());
    executor.spawn(async move {
        // An error is a reason to stop too.
        let _ = signals.when(READ, |signals| Ok(signals.read(&mut SignalInfo::buffer::<1>())?.len())).await;
        stopped.stop();
    });
    // A file or /dev/null ends at once, so it cannot ask to stop.
    if Epoll::new()?.add(io::stdin(), EventData::new_u64(0), EventFlags::IN) != Err(Errno::EPERM) {
        let remote = executor.remote.clone();
        thread::spawn(move || {
            let _ = io::stdin().lock().lines().find(|line| !matches!(line, Ok(line) if line != "quit"));
            remote.spawn(|executor| async move { executor.stop() });
        });
    }
    let mut stdout = io::stdout();
    writeln!(stdout, "{listening}")?;
    stdout.flush()?;
    executor.run()?;
    writeln!(stdout, "served {} connections", served.get())
}

/// Spawns a task that accepts, and one for each connection.
fn serve<F>(
    executor: &Rc<Executor>,
    listener: TcpListener,
    served: Rc<Cell<u64>>,
    service: impl Fn(Async<TcpStream>) -> F + 'static,
) -> io::Result<()>
where
    F: Future<Output = io::Result<()>> + 'static,
{
    listener.set_nonblocking(true)?;
    let (listener, spawner) = (Async::new(executor.clone(), listener)?, executor.clone());
    executor.spawn(async move {
        loop {
            match listener.when(READ, |listener| listener.accept()).await {
                Ok((stream, _)) => {
                    // If epoll has no room for the connection, only this connection closes.
                    let Ok(stream) = prepare(&spawner, stream) else { continue };
                    served.set(served.get() + 1);
                    let service = service(stream);
                    // An error means a reset or similar, and ends only this connection.
                    spawner.spawn(async move { drop(service.await) });
                }
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                // Out of descriptors or memory. New connections wait in the kernel's queue.
                Err(_) => spawner.sleep(PAUSE).await,
            }
        }
    });
    Ok(())
}

fn prepare(executor: &Rc<Executor>, stream: TcpStream) -> io::Result<Async<TcpStream>> {
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    Async::new(executor.clone(), stream)
}

async fn echo(stream: Async<TcpStream>) -> io::Result<()> {
    let mut chunk = vec![0; 16 * 1024];
    loop {
        match stream.read(&mut chunk).await? {
            0 => return Ok(()),
            received => stream.write_all(&chunk[..received]).await?,
        }
    }
}

async fn http(executor: Rc<Executor>, stream: Async<TcpStream>) -> io::Result<()> {
    let (mut input, mut output, mut chunk) = (Vec::new(), Vec::new(), vec![0; HEAD]);
    let mut is_open = true;
    while is_open {
        match executor.within(IDLE, stream.read(&mut chunk)).await {
            None | Some(Ok(0)) => return Ok(()),
            Some(received) => input.extend_from_slice(&chunk[..received?]),
        }
        // One write answers all complete requests.
        let mut rest = &input[..];
        while is_open {
            match rest.windows(4).position(|end| end == b"\r\n\r\n").unwrap_or(rest.len()) {
                length if length > HEAD => is_open = answer("431 Request Header Fields Too Large", false, &mut output),
                length if length == rest.len() => break,
                length => {
                    let (status, stays_open) = judge(&String::from_utf8_lossy(&rest[..length]));
                    is_open = answer(status, stays_open, &mut output);
                    rest = &rest[length + 4..];
                }
            }
        }
        let done = input.len() - rest.len();
        input.drain(..done);
        stream.write_all(&output).await?;
        output.clear();
    }
    // Closing with unread input resets the connection, and the client may lose the response.
    stream.socket.shutdown(Shutdown::Write)?;
    executor.within(LINGER, async { while matches!(stream.read(&mut chunk).await, Ok(1..)) {} }).await;
    Ok(())
}

/// The status for a request's head, and whether the connection stays open. A body is refused,
/// because it would have to be skipped.
fn judge(head: &str) -> (&'static str, bool) {
    const BAD: (&str, bool) = ("400 Bad Request", false);
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let mut is_open = match (words.next(), words.next(), words.next(), words.next()) {
        (Some("GET"), Some(_), Some("HTTP/1.1"), None) => true,
        (Some("GET"), Some(_), Some("HTTP/1.0"), None) => false,
        (Some(_), Some(_), Some("HTTP/1.0" | "HTTP/1.1"), None) => return ("501 Not Implemented", false),
        _ => return BAD,
    };
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { return BAD };
        let is = |other| name.eq_ignore_ascii_case(other);
        if is("Connection") {
            is_open &= !value.split(',').any(|option| option.trim().eq_ignore_ascii_case("close"));
        } else if is("Transfer-Encoding") || is("Content-Length") && value.trim() != "0" {
            return ("413 Content Too Large", false);
        }
    }
    ("200 OK", is_open)
}

fn answer(status: &str, stays_open: bool, output: &mut Vec<u8>) -> bool {
    let body = if status == "200 OK" { "Hello, world!\n" } else { "" };
    let close = if stays_open { "" } else { "Connection: close\r\n" };
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n{close}\r\n", body.len());
    output.extend_from_slice(head.as_bytes());
    output.extend_from_slice(body.as_bytes());
    stays_open
}
