//! Tasks: futures in a slab, a queue for their own thread, and one that other threads may use.

use super::slab::Slab;
use super::Executor;
use barepoll::Waker;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{self, Context, Wake};

thread_local! {
    /// The executor that runs on this thread, and its queue.
    static HERE: Here = const { Here { remote: Cell::new(0), ready: RefCell::new(Vec::new()) } };
}

struct Here {
    /// The address of its `Remote`, or 0.
    remote: Cell<usize>,
    ready: RefCell<Vec<u64>>,
}

/// The futures. They stay on the executor's thread.
pub struct Tasks {
    slab: RefCell<Slab<Option<Task>>>,
    /// The tasks spawned while the executor does not run.
    early: RefCell<Vec<u64>>,
}

/// A task that is not being polled.
struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    handle: Arc<Handle>,
    /// The handle again. It is made once for all polls.
    waker: task::Waker,
}

/// The part of a task that its wakers have, on any thread.
struct Handle {
    key: u64,
    /// It is in the queue of its thread. Only this thread uses the flag, so a swap is not needed.
    is_ready: AtomicBool,
    /// Its key is in the `Remote`.
    is_sent: AtomicBool,
    remote: Arc<Remote>,
}

impl Handle {
    /// Queues the task if its executor runs on this thread.
    fn wake_here(&self) -> bool {
        let is_here = HERE.try_with(|here| {
            let is_here = here.remote.get() == Arc::as_ptr(&self.remote) as usize;
            if is_here && !self.is_ready.load(Ordering::Relaxed) {
                self.is_ready.store(true, Ordering::Relaxed);
                here.ready.borrow_mut().push(self.key);
            }
            is_here
        });
        is_here == Ok(true) // `Err`: this thread is about to end
    }
}

impl Wake for Handle {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.wake_here() && !self.is_sent.swap(true, Ordering::AcqRel) {
            self.remote.push(Work::Wake(self.key));
        }
    }
}

/// The part of an executor that any thread may use.
pub struct Remote {
    work: Mutex<Vec<Work>>,
    pub(super) waker: Waker,
}

enum Work {
    Wake(u64),
    Spawn(Spawn),
}

type Spawn = Box<dyn FnOnce(&Rc<Executor>) + Send>;

impl Remote {
    pub(super) fn new(waker: Waker) -> Arc<Self> {
        Arc::new(Self { work: Mutex::default(), waker })
    }

    /// Sends a closure that makes the future. The future need not be `Send`.
    pub fn spawn<F: Future<Output = ()> + 'static>(&self, make: impl FnOnce(Rc<Executor>) -> F + Send + 'static) {
        self.push(Work::Spawn(Box::new(|executor| executor.spawn(make(executor.clone())))));
    }

    fn push(&self, work: Work) {
        self.work.lock().expect("no thread panics with this lock").push(work);
        self.waker.wake().expect("a write to an eventfd is permitted");
    }
}

/// While it lives, wake-ups on this thread use the thread's queue.
pub(super) struct Entered(usize, Vec<u64>);

impl Entered {
    pub(super) fn new(remote: &Arc<Remote>, tasks: &Tasks) -> Self {
        let (remote, early) = (Arc::as_ptr(remote) as usize, tasks.early.take());
        HERE.with(|here| Self(here.remote.replace(remote), here.ready.replace(early)))
    }

    pub(super) fn has_ready_tasks(&self) -> bool {
        HERE.with(|here| !here.ready.borrow().is_empty())
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        HERE.with(|here| {
            here.remote.set(self.0);
            here.ready.replace(mem::take(&mut self.1));
        });
    }
}

impl Tasks {
    pub(super) fn new() -> Self {
        Self { slab: RefCell::new(Slab::new()), early: RefCell::default() }
    }

    pub(super) fn spawn(&self, remote: &Arc<Remote>, future: impl Future<Output = ()> + 'static) {
        let future = Box::pin(future);
        let (is_ready, is_sent, remote) = (AtomicBool::new(false), AtomicBool::new(false), remote.clone());
        let key = self.slab.borrow_mut().insert(|key| {
            let handle = Arc::new(Handle { key, is_ready, is_sent, remote });
            Some(Task { future, waker: handle.clone().into(), handle })
        });
        if let Some(Some(task)) = self.slab.borrow_mut().get_mut(key) {
            if !task.handle.wake_here() {
                task.handle.is_ready.store(true, Ordering::Relaxed);
                self.early.borrow_mut().push(key);
            }
        }
    }

    /// Takes the work from other threads.
    pub(super) fn take_sent(&self, executor: &Rc<Executor>) {
        let work = mem::take(&mut *executor.remote.work.lock().expect("no thread panics with this lock"));
        for work in work {
            match work {
                Work::Spawn(spawn) => spawn(executor),
                Work::Wake(key) => {
                    if let Some(Some(task)) = self.slab.borrow_mut().get_mut(key) {
                        // A swap, as in `wake`: it makes visible what happened before a wake-up
                        // that found the flag set.
                        task.handle.is_sent.swap(false, Ordering::AcqRel);
                        task.handle.wake_by_ref();
                    }
                }
            }
        }
    }

    /// Polls each ready task once. Tasks that become ready meanwhile get the next turn.
    pub(super) fn turn(&self, turn: &mut Vec<u64>, before_each: impl Fn()) {
        HERE.with(|here| mem::swap(&mut *here.ready.borrow_mut(), turn));
        for key in turn.drain(..) {
            before_each();
            self.poll(key);
        }
    }

    fn poll(&self, key: u64) {
        let task = self.slab.borrow_mut().get_mut(key).and_then(Option::take);
        let Some(mut task) = task else { return };
        task.handle.is_ready.store(false, Ordering::Relaxed);
        if task.future.as_mut().poll(&mut Context::from_waker(&task.waker)).is_pending() {
            if let Some(place) = self.slab.borrow_mut().get_mut(key) {
                *place = Some(task);
            }
        } else {
            self.slab.borrow_mut().remove(key);
        }
    }

    /// Drops all tasks. What their destructors spawn stays.
    pub(super) fn clear(&self) {
        let keys = self.slab.borrow().keys();
        for key in keys {
            let task = self.slab.borrow_mut().remove(key);
            drop(task);
        }
    }
}
