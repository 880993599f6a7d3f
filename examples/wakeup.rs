//! A thread that waits for ever, and another that wakes it: for each job, and in the end to shut the queue down.
//!
//! `cargo run --example wakeup`

use barepoll::{Epoll, Event, EventData, Waker};
use std::process::ExitCode;
use std::sync::mpsc::{channel, Receiver, TryRecvError};
use std::thread;

const WAKEUP: u64 = 1;

fn main() -> ExitCode {
    if let Some(argument) = std::env::args_os().nth(1) {
        eprintln!("wakeup: it takes no argument, and {argument:?} is one.");
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
            // First the job, then the wake-up: the other way round, the worker could look, find nothing and sleep on
            // it.
            let _ = sender.send(job);
            waker.wake().expect("nothing forbids the write");
        }
        drop(sender); // shuts the queue down
        waker.wake().expect("nothing forbids the write");
        worker.join().expect("the worker does not panic")
    })?;

    // Both are closed when they go out of scope, and closing is enough. To take it out by hand is for those who go on
    // waiting.
    epoll.delete(&waker)?;
    println!("the queue is shut down after {done} jobs");
    Ok(())
}

/// Waits for ever, until there is nothing to wait for; gives the number of jobs done.
fn work(epoll: &Epoll, waker: &Waker, queue: Receiver<u32>) -> barepoll::Result<u32> {
    let mut done = 0;
    let mut buffer = Event::buffer::<8>();
    loop {
        for event in epoll.wait_uninterrupted(&mut buffer, None)? {
            if event.data().u64() != WAKEUP {
                continue; // where a real loop would serve its sockets
            }
            // First this, then the queue: a job that arrives in between wakes us once more, for nothing. The other way
            // round it would wait for the wake-up after it.
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
