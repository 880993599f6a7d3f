//! A thread that waits indefinitely, and another that wakes it for each job and for the end of the
//! queue.
//!
//! `cargo run --example wakeup`

use barepoll::{Epoll, Event, EventData, Waker};
use std::process::ExitCode;
use std::sync::mpsc::{channel, Receiver, TryRecvError};
use std::thread;

const WAKEUP: u64 = 1;

fn main() -> ExitCode {
    if let Some(argument) = std::env::args_os().nth(1) {
        eprintln!("wakeup: unexpected argument {argument:?}.");
        return ExitCode::from(2);
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(errno) => {
            eprintln!("wakeup: {errno}.");
            ExitCode::FAILURE
        }
    }
}

fn run() -> barepoll::Result<()> {
    let epoll = Epoll::new()?;
    let waker = Waker::new(&epoll, EventData::new_u64(WAKEUP))?;
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
    epoll.delete(&waker)?;
    println!("the queue is shut down after {done} jobs");
    Ok(())
}

/// Works until the queue is closed, and returns the number of jobs done.
fn work(epoll: &Epoll, waker: &Waker, queue: Receiver<u32>) -> barepoll::Result<u32> {
    let mut done = 0;
    let mut buffer = Event::buffer::<8>();
    loop {
        for event in epoll.wait_uninterrupted(&mut buffer, None)? {
            if event.data().u64() != WAKEUP {
                continue; // a real loop would serve its sockets here
            }
            // Acknowledge first, then look at the queue. A job that arrives in between causes one
            // needless wake-up. In the opposite order it would wait for the next wake-up.
            waker.acknowledge();
            loop {
                match queue.try_recv() {
                    Ok(job) => {
                        println!("job {job} is done");
                        done += 1;
                    }
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return Ok(done),
                }
            }
        }
    }
}
