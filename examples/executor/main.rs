//! An async runtime in a few small files: tasks on one thread, TCP, timers, spawning from any
//! thread. It serves echo and HTTP/1.1:
//!
//! `cargo run --release --features std --example executor -- [--echo ADDR] [--http ADDR]`
//!
//! To use it, copy this folder without `program.rs` and the two lines about it, and call this file
//! `mod.rs`. It needs the crate `socket2`.
//!
//! A socket is registered once, edge-triggered, for all its events. A task makes calls until the
//! kernel returns `EAGAIN` or less than asked for, and only then waits. So a connection costs one
//! control call, and a request one read and one write. `workers.rs` is the opposite:
//! level-triggered, with an `InterestSet` that passes on changes.
#![allow(clippy::incompatible_msrv)] // the minimum Rust version is the library's

mod net;
mod program;
mod reactor;
mod slab;
mod tasks;
mod timers;
pub use net::listen;
pub use program::main;
pub use reactor::{Async, READ, WRITE};
pub use tasks::Remote;
pub use timers::Sleep;

use barepoll::{Errno, Event, EventData, Timeout, Waker};
use reactor::{Reactor, WAKER};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use tasks::{Entered, Tasks};
use timers::Sleepers;

/// Calls that a task may make before others get their turn.
const BUDGET: u32 = 64;

/// The runtime. It stays on the thread that made it.
pub struct Executor {
    reactor: Reactor,
    sleepers: Sleepers,
    tasks: Tasks,
    pub remote: Arc<Remote>,
    /// The buffer that streams read into. They hold none while they wait.
    buffer: RefCell<Vec<u8>>,
    budget: Cell<u32>,
    is_stopped: Cell<bool>,
}

impl Executor {
    pub fn new() -> io::Result<Rc<Self>> {
        let (reactor, sleepers, tasks) = (Reactor::new()?, Sleepers::new()?, Tasks::new());
        let remote = Remote::new(Waker::new(&reactor.epoll, EventData::new_u64(WAKER))?);
        let (buffer, budget, is_stopped) = (RefCell::new(vec![0; net::BUFFER]), Cell::default(), Cell::default());
        Ok(Rc::new(Self { reactor, sleepers, tasks, remote, buffer, budget, is_stopped }))
    }

    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        self.tasks.spawn(&self.remote, future);
    }

    /// Ends `run` after this turn.
    pub fn stop(&self) {
        self.is_stopped.set(true);
    }

    /// Runs the tasks until `stop`, then drops the rest.
    pub fn run(self: &Rc<Self>) -> io::Result<()> {
        let (mut buffer, mut turn) = (Event::buffer::<256>(), Vec::new());
        let entered = Entered::new(&self.remote, &self.tasks);
        // The loop sleeps only inside of this guard's waits. Otherwise a wake-up makes no call.
        let mut awake = self.remote.waker.awake();
        loop {
            if awake.is_woken() {
                self.tasks.take_sent(self);
            }
            self.sleepers.wake_due()?;
            self.tasks.turn(&mut turn, || self.budget.set(BUDGET));
            if self.is_stopped.take() {
                break;
            }
            let events = match entered.has_ready_tasks() {
                true => awake.wait(&self.reactor.epoll, &mut buffer, Timeout::ZERO),
                false => awake.wait_until(&self.reactor.epoll, &mut buffer, self.sleepers.next_deadline()),
            };
            match events {
                Err(Errno::EINTR) => {} // the next turn reads the clock anyway
                events => events?.iter().for_each(|event| self.reactor.report(event)),
            }
        }
        drop((awake, entered));
        self.tasks.clear();
        Ok(())
    }

    /// Lets a task continue until its budget is spent, and then in its next turn.
    fn spend(&self, context: &mut Context) -> Poll<()> {
        if self.budget.get() == 0 {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.budget.set(self.budget.get() - 1);
        Poll::Ready(())
    }
}
