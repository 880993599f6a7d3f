//! An async runtime in one file: tasks on one thread, TCP, timers, spawning from any thread. It
//! serves echo and HTTP/1.1:
//!
//! `cargo run --release --features std --example executor -- [--echo ADDR] [--http ADDR]`
//!
//! A socket is registered once, edge-triggered, for all its events. A task makes calls until the
//! kernel returns `EAGAIN`, and only then waits. So a connection costs one control call, and none
//! when a task turns from reading to writing. `workers.rs` is the opposite: level-triggered, with
//! an `InterestSet` that passes on changes.
#![allow(clippy::incompatible_msrv)] // the minimum Rust version is the library's

#[path = "executor/program.rs"]
mod program;
pub use program::main;

use barepoll::{fd::AsFd, Epoll, Errno, Event, EventData, EventFlags, Waker};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::future::{poll_fn, Future};
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::pin::{pin, Pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{self, ready, Context, Poll, Wake};
use std::time::{Duration, Instant};

/// The data of the waker's events. Tasks, timers and sockets are numbered from here. Numbers are
/// never reused, so a late event or wake-up finds nothing.
const WAKER: u64 = 0;
/// Calls that a task may make before others get their turn.
const BUDGET: u32 = 64;
/// The events that end a wait to read or to write.
pub const READ: EventFlags = EventFlags::IN.union(EventFlags::RDHUP).union(EventFlags::PRI).union(FAILED);
pub const WRITE: EventFlags = EventFlags::OUT.union(FAILED);
const FAILED: EventFlags = EventFlags::ERR.union(EventFlags::HUP);

/// A task that is not being polled.
type Idle = (Pin<Box<dyn Future<Output = ()>>>, Arc<Task>);
type Work = Box<dyn FnOnce(&Rc<Executor>) + Send>;

/// The runtime. It stays on the thread that made it.
pub struct Executor {
    epoll: Epoll,
    pub remote: Arc<Remote>,
    tasks: RefCell<HashMap<u64, Idle>>,
    /// Timers by deadline. A cancelled timer is removed.
    timers: RefCell<BTreeMap<(Instant, u64), task::Waker>>,
    sources: RefCell<HashMap<u64, Rc<Source>>>,
    last_number: Cell<u64>,
    budget: Cell<u32>,
    is_stopped: Cell<bool>,
}

/// The part of an executor that any thread may use.
pub struct Remote {
    queue: Mutex<Queue>,
    waker: Waker,
}

#[derive(Default)]
struct Queue {
    work: Vec<Work>,
    is_asleep: bool,
}

impl Remote {
    /// Sends a closure that makes the future. The future need not be `Send`.
    pub fn spawn<F: Future<Output = ()> + 'static>(&self, make: impl FnOnce(Rc<Executor>) -> F + Send + 'static) {
        self.push(Box::new(|executor| executor.spawn(make(executor.clone()))));
    }

    fn push(&self, work: Work) {
        let mut queue = self.lock();
        queue.work.push(work);
        // An executor that is awake checks the queue before it sleeps, so it needs no wake-up.
        if queue.is_asleep {
            drop(queue);
            self.waker.wake().expect("a write to an eventfd is permitted");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("no thread panics with this lock")
    }
}

/// The part of a task that its wakers need. The future stays with the executor.
struct Task {
    number: u64,
    is_queued: AtomicBool,
    remote: Arc<Remote>,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        if !self.is_queued.swap(true, Ordering::AcqRel) {
            let number = self.number;
            self.remote.push(Box::new(move |executor| executor.poll(number)));
        }
    }
}

impl Executor {
    pub fn new() -> io::Result<Rc<Self>> {
        let epoll = Epoll::new()?;
        let waker = Waker::new(&epoll, EventData::new_u64(WAKER))?;
        let remote = Arc::new(Remote { queue: Mutex::default(), waker });
        let (tasks, timers, sources, last_number, budget, is_stopped) = Default::default();
        Ok(Rc::new(Self { epoll, remote, tasks, timers, sources, last_number, budget, is_stopped }))
    }

    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        let number = self.next_number();
        let task = Arc::new(Task { number, is_queued: AtomicBool::new(false), remote: self.remote.clone() });
        self.tasks.borrow_mut().insert(number, (Box::pin(future), task.clone()));
        task.wake();
    }

    pub fn sleep(&self, time: Duration) -> Sleep<'_> {
        Sleep { executor: self, key: (Instant::now() + time, self.next_number()) }
    }

    /// Returns the future's output, or `None` if it takes longer than `time`.
    pub async fn within<T>(&self, time: Duration, future: impl Future<Output = T>) -> Option<T> {
        let (mut future, mut sleep) = (pin!(future), pin!(self.sleep(time)));
        poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending => sleep.as_mut().poll(context).map(|()| None),
        })
        .await
    }

    /// Ends `run` after this turn.
    pub fn stop(&self) {
        self.is_stopped.set(true);
    }

    /// Runs the tasks until `stop`, then drops the rest.
    pub fn run(self: &Rc<Self>) -> io::Result<()> {
        let (mut buffer, mut turn) = (Event::buffer::<256>(), Vec::new());
        while !self.is_stopped.take() {
            let timeout = self.fall_asleep();
            let events = match self.epoll.wait(&mut buffer, timeout) {
                Err(Errno::EINTR) => &mut [], // the next turn reads the clock anyway
                answer => answer?,
            };
            self.remote.lock().is_asleep = false;
            for event in events {
                if event.data().u64() == WAKER {
                    self.remote.waker.acknowledge(); // the queue is read afterwards
                }
                let source = self.sources.borrow().get(&event.data().u64()).cloned();
                if let Some(source) = source {
                    source.ready.set(source.ready.get() | event.flags());
                    source.waiting.take().into_iter().for_each(task::Waker::wake);
                }
            }
            std::iter::from_fn(|| self.due_timer()).for_each(task::Waker::wake);
            // Each ready task gets one turn. Tasks that become ready meanwhile get the next.
            std::mem::swap(&mut self.remote.lock().work, &mut turn);
            turn.drain(..).for_each(|work| work(self));
        }
        drop(self.tasks.take());
        Ok(())
    }

    /// Returns how long to wait: zero with work in the queue. From here on, new work wakes.
    fn fall_asleep(&self) -> Option<Duration> {
        let mut queue = self.remote.lock();
        queue.is_asleep = queue.work.is_empty();
        if !queue.is_asleep {
            return Some(Duration::ZERO);
        }
        let timers = self.timers.borrow();
        timers.keys().next().map(|(deadline, _)| deadline.saturating_duration_since(Instant::now()))
    }

    fn due_timer(&self) -> Option<task::Waker> {
        let mut timers = self.timers.borrow_mut();
        Some(timers.first_entry().filter(|timer| timer.key().0 <= Instant::now())?.remove())
    }

    fn poll(&self, number: u64) {
        let task = self.tasks.borrow_mut().remove(&number);
        let Some((mut future, task)) = task else { return };
        // A swap, as in `wake`: it makes visible what happened before a wake-up that found the flag
        // set.
        task.is_queued.swap(false, Ordering::AcqRel);
        self.budget.set(BUDGET);
        if future.as_mut().poll(&mut Context::from_waker(&task.clone().into())).is_pending() {
            self.tasks.borrow_mut().insert(number, (future, task));
        }
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

    fn next_number(&self) -> u64 {
        self.last_number.set(self.last_number.get() + 1);
        self.last_number.get()
    }
}

pub struct Sleep<'e> {
    executor: &'e Executor,
    key: (Instant, u64),
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context) -> Poll<()> {
        if self.key.0 <= Instant::now() {
            return self.executor.spend(context);
        }
        self.executor.timers.borrow_mut().insert(self.key, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        self.executor.timers.borrow_mut().remove(&self.key);
    }
}

/// The readiness that epoll reported and no call has denied since, and the tasks waiting for more.
#[derive(Default)]
struct Source {
    ready: Cell<EventFlags>,
    waiting: RefCell<Vec<task::Waker>>,
}

/// A nonblocking socket with awaitable calls. It has no duplicates, so closing it removes it from
/// epoll.
pub struct Async<S> {
    executor: Rc<Executor>,
    number: u64,
    source: Rc<Source>,
    pub socket: S,
}

impl<S: AsFd> Async<S> {
    pub fn new(executor: Rc<Executor>, socket: S) -> io::Result<Self> {
        let (number, source) = (executor.next_number(), Rc::<Source>::default());
        executor.epoll.add(&socket, EventData::new_u64(number), READ | WRITE | EventFlags::ET)?;
        executor.sources.borrow_mut().insert(number, source.clone());
        Ok(Self { executor, number, source, socket })
    }

    /// Makes the call when the socket is ready, and repeats it until it does not return
    /// `WouldBlock`.
    pub async fn when<T>(&self, want: EventFlags, mut call: impl FnMut(&S) -> io::Result<T>) -> io::Result<T> {
        let source = &self.source;
        poll_fn(|context| loop {
            if !source.ready.get().intersects(want) {
                source.waiting.borrow_mut().retain(|waker| !waker.will_wake(context.waker()));
                source.waiting.borrow_mut().push(context.waker().clone());
                return Poll::Pending;
            }
            ready!(self.executor.spend(context));
            match call(&self.socket) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => source.ready.set(source.ready.get() - want),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                answer => return Poll::Ready(answer),
            }
        })
        .await
    }
}

impl<S> Drop for Async<S> {
    fn drop(&mut self) {
        self.executor.sources.borrow_mut().remove(&self.number);
    }
}

impl Async<TcpStream> {
    pub async fn read(&self, room: &mut [u8]) -> io::Result<usize> {
        let received = self.when(READ, |mut stream| stream.read(room)).await?;
        // A short read also shows that no data is left, without another call. An end, an error or
        // urgent data stays.
        if received < room.len() {
            self.source.ready.set(self.source.ready.get() - EventFlags::IN);
        }
        Ok(received)
    }

    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            bytes = &bytes[self.when(WRITE, |mut stream| stream.write(bytes)).await?..];
        }
        Ok(())
    }
}
