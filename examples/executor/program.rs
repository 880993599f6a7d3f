//! The executor's servers: echo, and HTTP/1.1 with a greeting.

#[path = "../http/hello.rs"]
mod hello;

use super::{listen, Async, Executor, READ};
use barepoll::fd::AsFd;
use barepoll::signo::{SIGINT, SIGTERM};
use barepoll::{Epoll, Errno, Event, EventData, EventFlags, SigSet, SignalFd, SignalFdFlags, SignalInfo, Timeout};
use std::cell::{Cell, RefCell};
use std::fmt::Arguments;
use std::fs::File;
use std::future::Future;
use std::io::{self, ErrorKind, Read, Write};
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

/// How long an HTTP client may be silent, and how long any client may read nothing of what is sent
/// to it.
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
            return end(say(format_args!("{USAGE}\n{HELP}")));
        }
        match (addresses.iter_mut().find(|(option, _)| *option == argument), arguments.next()) {
            (Some((_, address)), Some(given)) => *address = given,
            (Some(_), None) => return refuse(format_args!("{argument} needs an address")),
            (None, _) => return refuse(format_args!("unknown option {argument:?}")),
        }
    }
    let [echo_at, http_at] = addresses
        .map(|(_, address)| listen(&address).map_err(|error| format!("cannot listen on {address:?}: {error}")));
    match (echo_at, http_at) {
        (Ok(echo_at), Ok(http_at)) => end(run(echo_at, http_at)),
        (Err(why), _) | (_, Err(why)) => refuse(format_args!("{why}")),
    }
}

fn refuse(why: Arguments) -> ExitCode {
    let _ = writeln!(io::stderr(), "executor: {why} ({USAGE}).");
    ExitCode::from(2)
}

/// Prints a line.
fn say(line: Arguments) -> io::Result<()> {
    let lost = |error: io::Error| io::Error::new(error.kind(), format!("cannot write to standard output: {error}"));
    writeln!(io::stdout(), "{line}").map_err(lost)
}

/// Reports an error. If standard error takes nothing either, the exit status remains.
fn end(outcome: io::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "executor: {error}.");
            ExitCode::FAILURE
        }
    }
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
    say(format_args!("{listening}"))?;
    executor.run()?;
    say(format_args!("served {} connections", served.get()))
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
            stream.flush(&mut unsent, IDLE).await?;
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
                is_open = hello::reply(&mut input, bytes, answers);
                stream.send(answers, &mut unsent).map(|()| bytes.is_empty())
            })
        });
        match idle.limit(pin!(received)).await {
            None | Some(Ok(Ok(true))) => return Ok(()),
            Some(outcome) => outcome??,
        };
        if !unsent.is_empty() {
            stream.flush(&mut unsent, IDLE).await?;
        }
    }
    // Closing with unread input resets the connection, and the client may lose the response.
    stream.socket.shutdown(Shutdown::Write)?;
    let drain = async { while let Ok(true) = stream.receive(|bytes| !bytes.is_empty()).await {} };
    executor.within(LINGER, drain).await;
    Ok(())
}
