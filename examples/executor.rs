//! An async runtime in one file: tasks on one thread, TCP, timers, spawning from any thread. Here it serves echo and HTTP/1.1:
//!
//! `cargo run --release --features std --example executor -- [--echo ADDR] [--http ADDR]`
//!
//! A socket is registered once, edge-triggered, for all that can happen to it: a task calls until the kernel says "not now", and
//! only then waits. So there is one control call a connection, and none where a task turns from reading to writing.
//! (`workers.rs` does it the other way: level-triggered, with an `InterestSet` that tells what changed.)
#![allow(clippy::incompatible_msrv)] // the oldest compiler is for the library

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

/// The data of the waker's events. Tasks, timers and sockets count on from here; no number is used twice, so that an event or a
/// wake-up that comes too late finds nothing.
const WAKER: u64 = 0;
/// Calls that a task may make before the others get their turn.
const BUDGET: u32 = 64;
/// What ends a wait to read or to write.
pub const READ: EventFlags = EventFlags::IN.union(EventFlags::RDHUP).union(EventFlags::PRI).union(FAILED);
pub const WRITE: EventFlags = EventFlags::OUT.union(FAILED);
const FAILED: EventFlags = EventFlags::ERR.union(EventFlags::HUP);

/// A task that nobody polls just now.
type Idle = (Pin<Box<dyn Future<Output = ()>>>, Arc<Task>);
type Work = Box<dyn FnOnce(&Rc<Executor>) + Send>;

/// The runtime, on the thread that made it.
pub struct Executor {
    epoll: Epoll,
    pub remote: Arc<Remote>,
    tasks: RefCell<HashMap<u64, Idle>>,
    /// A heap of deadlines that any timer can leave: a cancelled one is gone.
    timers: RefCell<BTreeMap<(Instant, u64), task::Waker>>,
    sources: RefCell<HashMap<u64, Rc<Source>>>,
    last_number: Cell<u64>,
    budget: Cell<u32>,
    is_stopped: Cell<bool>,
}

/// What any thread may use of an executor.
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
    /// Sends a closure that makes the future, so that the future need not be `Send`.
    pub fn spawn<F: Future<Output = ()> + 'static>(&self, make: impl FnOnce(Rc<Executor>) -> F + Send + 'static) {
        self.push(Box::new(|executor| executor.spawn(make(executor.clone()))));
    }

    fn push(&self, work: Work) {
        let mut queue = self.lock();
        queue.work.push(work);
        // An executor that is awake looks before it sleeps, and needs no call.
        if queue.is_asleep {
            drop(queue);
            self.waker.wake().expect("nothing forbids to write to an eventfd");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("nobody panics with this lock")
    }
}

/// What wakers know of a task. Its future stays with the executor.
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

    /// What the future gives, or `None` where that takes longer.
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

    /// Runs the tasks until `stop`, and drops those that are left.
    pub fn run(self: &Rc<Self>) -> io::Result<()> {
        let (mut buffer, mut turn) = (Event::buffer::<256>(), Vec::new());
        while !self.is_stopped.take() {
            let timeout = self.fall_asleep();
            let events = match self.epoll.wait(&mut buffer, timeout) {
                Err(Errno::EINTR) => &mut [], // the next turn looks at the clock anyway
                answer => answer?,
            };
            self.remote.lock().is_asleep = false;
            for event in events {
                if event.data().u64() == WAKER {
                    self.remote.waker.acknowledge(); // and then look at the queue
                }
                let source = self.sources.borrow().get(&event.data().u64()).cloned();
                if let Some(source) = source {
                    source.ready.set(source.ready.get() | event.flags());
                    source.waiting.take().into_iter().for_each(task::Waker::wake);
                }
            }
            std::iter::from_fn(|| self.due_timer()).for_each(task::Waker::wake);
            // What is ready gets one turn. What becomes ready meanwhile, even by itself, gets the next.
            std::mem::swap(&mut self.remote.lock().work, &mut turn);
            turn.drain(..).for_each(|work| work(self));
        }
        drop(self.tasks.take());
        Ok(())
    }

    /// How long to wait: not at all with work in the queue. From here on, new work wakes.
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
        // By a swap, as in `wake`: what was done before a wake-up that found the flag set is seen from here on.
        task.is_queued.swap(false, Ordering::AcqRel);
        self.budget.set(BUDGET);
        if future.as_mut().poll(&mut Context::from_waker(&task.clone().into())).is_pending() {
            self.tasks.borrow_mut().insert(number, (future, task));
        }
    }

    /// Lets a task go on until its budget is spent, and then on its next turn.
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

/// What epoll has said of a socket and no call has denied since, and who waits for more.
#[derive(Default)]
struct Source {
    ready: Cell<EventFlags>,
    waiting: RefCell<Vec<task::Waker>>,
}

/// A nonblocking socket whose calls can be awaited. It has no duplicates, so that epoll forgets it when it is closed.
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

    /// Calls when the socket is ready, and again until that is not too early.
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
        // A short read says "not now" too, without another call. After an end, an error or urgent data it does not: those stay.
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
