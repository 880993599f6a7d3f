//! A thread that waits for ever, and another that wakes it: for each job, and in the end to shut the queue down.
//!
//! `cargo run --example wakeup`

use barepoll::{Epoll, Event, EventData, EventFd, EventFdFlags, EventFlags};
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
    let wakeup = EventFd::new(0, EventFdFlags::CLOEXEC | EventFdFlags::NONBLOCK)?;
    epoll.add(&wakeup, EventData::new_u64(WAKEUP), EventFlags::IN)?;
    let (sender, queue) = channel();

    let done = thread::scope(|scope| {
        let worker = scope.spawn(|| work(&epoll, &wakeup, queue));
        for job in 1..=3 {
            // First the job, then the wake-up: the other way round, the worker could look, find nothing and sleep on
            // it.
            let _ = sender.send(job);
            // The only error is a counter that is full, after 2⁶⁴ − 2 wake-ups that nobody took: it wakes all the same.
            let _ = wakeup.write(1);
        }
        drop(sender); // shuts the queue down
        let _ = wakeup.write(1);
        worker.join().expect("the worker does not panic")
    })?;

    // Both are closed when they go out of scope, and closing is enough. To take it out by hand is for those who go on
    // waiting.
    epoll.delete(&wakeup)?;
    println!("the queue is shut down after {done} jobs");
    Ok(())
}

/// Waits for ever, until there is nothing to wait for; gives the number of jobs done.
fn work(epoll: &Epoll, wakeup: &EventFd, queue: Receiver<u32>) -> barepoll::Result<u32> {
    let mut done = 0;
    let mut buffer = Event::buffer::<8>();
    loop {
        for event in epoll.wait_uninterrupted(&mut buffer, None)? {
            if event.data().u64() != WAKEUP {
                continue; // where a real loop would serve its sockets
            }
            // First the counter back to zero, then the queue: a job that arrives in between wakes us once more, for
            // nothing. The other way round it would wait for the wake-up after it.
            wakeup.read()?;
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
