//! A thread that waits indefinitely, and another that wakes it for each job and for the end of the
//! queue.
//!
//! `cargo run --example wakeup`

use barepoll::{Epoll, Errno, Event, EventData, Waker};
use std::fmt::Arguments;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::mpsc::{channel, Receiver, TryRecvError};
use std::thread;

const WAKEUP: u64 = 1;

fn main() -> ExitCode {
    if let Some(argument) = std::env::args_os().nth(1) {
        let _ = writeln!(io::stderr(), "wakeup: unexpected argument {argument:?}; start it without arguments.");
        return ExitCode::from(2);
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "wakeup: {error}.");
            ExitCode::FAILURE
        }
    }
}

/// Prints a line.
fn say(line: Arguments) -> io::Result<()> {
    let lost = |error: io::Error| io::Error::new(error.kind(), format!("cannot write to standard output: {error}"));
    writeln!(io::stdout(), "{line}").map_err(lost)
}

fn run() -> io::Result<()> {
    let epoll = Epoll::new().map_err(to_io)?;
    let waker = Waker::new(&epoll, EventData::new_u64(WAKEUP)).map_err(to_io)?;
    let (sender, queue) = channel();

    let done = thread::scope(|scope| {
        let worker = scope.spawn(|| work(&epoll, &waker, queue));
        for job in 1..=3 {
            // Send first, then wake. In the opposite order, the worker could find the queue empty
            // and sleep on.
            let _ = sender.send(job);
            waker.wake().expect("nothing forbids the write");
        }
        drop(sender); // closes the queue
        waker.wake().expect("nothing forbids the write");
        worker.join().expect("the worker does not panic")
    })?;

    // Dropping both closes them, which is enough. Only a loop that goes on waiting needs this
    // `delete`.
    epoll.delete(&waker).map_err(to_io)?;
    say(format_args!("the queue is shut down after {done} jobs"))
}

/// Works until the queue is closed, and returns the number of jobs done.
fn work(epoll: &Epoll, waker: &Waker, queue: Receiver<u32>) -> io::Result<u32> {
    let mut done = 0;
    let mut buffer = Event::buffer::<8>();
    loop {
        for event in epoll.wait_uninterrupted(&mut buffer, None).map_err(to_io)? {
            if event.data().u64() != WAKEUP {
                continue; // a real loop would serve its sockets here
            }
            // Acknowledge first, then look at the queue. A job that arrives in between causes one
            // needless wake-up. In the opposite order it would wait for the next wake-up.
            waker.acknowledge();
            loop {
                match queue.try_recv() {
                    Ok(job) => {
                        say(format_args!("job {job} is done"))?;
                        done += 1;
                    }
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return Ok(done),
                }
            }
        }
    }
}

fn to_io(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(errno.raw())
}
