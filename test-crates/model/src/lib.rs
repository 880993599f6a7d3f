//! loom checks the waker's protocol in every interleaving and memory order.
//!
//! The tests include the crate's own file, with loom's atomics. They model the kernel as an
//! edge-triggered eventfd: a flag behind a lock, with a condition variable. If a wake-up is lost,
//! the loop waits forever, and loom reports a deadlock.
#![cfg(test)]

#[path = "../../../src/waker/pending.rs"]
mod pending;

use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::sync::{Condvar, Mutex};
use loom::thread;
use pending::Pending;
use std::marker::PhantomData;
use std::sync::Arc; // loom's would panic again while a deadlock unwinds

/// A waker's flag: the crate's or a [`Wrong`] one.
trait Flag: Send + Sync + 'static {
    fn new() -> Self;
    fn wake(&self, write: impl FnOnce() -> Result<(), ()>) -> Result<(), ()>;
    fn acknowledge(&self);
}

impl Flag for Pending {
    fn new() -> Self {
        Pending::new()
    }
    fn wake(&self, write: impl FnOnce() -> Result<(), ()>) -> Result<(), ()> {
        Pending::wake(self, write)
    }
    fn acknowledge(&self) {
        Pending::acknowledge(self);
    }
}

/// An edge-triggered eventfd and the epoll that watches it.
struct Kernel {
    is_ready: Mutex<bool>,
    readiness: Condvar,
}

impl Kernel {
    fn new() -> Self {
        Self { is_ready: Mutex::new(false), readiness: Condvar::new() }
    }

    fn write(&self) -> Result<(), ()> {
        *self.is_ready.lock().unwrap() = true;
        self.readiness.notify_one();
        Ok(())
    }

    fn wait(&self) {
        let mut is_ready = self.is_ready.lock().unwrap();
        while !*is_ready {
            is_ready = self.readiness.wait(is_ready).unwrap();
        }
        *is_ready = false;
    }
}

/// The number of threads and the work of each. The wrong flags must fail at the sizes where the
/// crate's flag passes.
type Size = (usize, usize);
const ONE_THREAD: Size = (1, 3);
const TWO_THREADS: Size = (2, 1);

/// Threads send work to one loop, which must do all of it or wait forever. Only the flag orders the
/// work's memory. A thread's first write may fail.
fn all_work_is_done<F: Flag>((threads, work_each): Size, first_is_refused: bool) {
    loom::model(move || {
        let shared = Arc::new((F::new(), Kernel::new(), AtomicUsize::new(0)));
        let handles: Vec<_> = (0..threads)
            .map(|_| {
                let shared = shared.clone();
                thread::spawn(move || {
                    let (flag, kernel, work) = &*shared;
                    for _ in 0..work_each {
                        work.fetch_add(1, Ordering::Relaxed);
                        let refused = first_is_refused && flag.wake(|| Err(())).is_err();
                        if refused || !first_is_refused {
                            flag.wake(|| kernel.write()).expect("it is not refused");
                        }
                    }
                })
            })
            .collect();
        let (flag, kernel, work) = &*shared;
        while work.load(Ordering::Relaxed) < threads * work_each {
            kernel.wait();
            flag.acknowledge();
        }
        handles.into_iter().for_each(|handle| handle.join().unwrap());
    });
}

#[test]
fn no_wake_up_of_one_thread_is_lost() {
    all_work_is_done::<Pending>(ONE_THREAD, false);
}

#[test]
fn no_wake_up_of_two_threads_is_lost() {
    all_work_is_done::<Pending>(TWO_THREADS, false);
}

#[test]
fn no_wake_up_is_lost_where_a_write_was_refused() {
    all_work_is_done::<Pending>((1, 2), true);
}

/// The correct operations, for wrong flags to override.
trait Otherwise: Send + Sync + 'static {
    /// Sets the flag and returns its previous value.
    fn set(flag: &AtomicBool) -> bool {
        flag.swap(true, Ordering::AcqRel)
    }
    fn clear(flag: &AtomicBool) {
        flag.swap(false, Ordering::AcqRel);
    }
}

struct Wrong<O>(AtomicBool, PhantomData<O>);

impl<O: Otherwise> Flag for Wrong<O> {
    fn new() -> Self {
        Self(AtomicBool::new(false), PhantomData)
    }
    fn wake(&self, write: impl FnOnce() -> Result<(), ()>) -> Result<(), ()> {
        if O::set(&self.0) {
            return Ok(());
        }
        write()
    }
    fn acknowledge(&self) {
        O::clear(&self.0);
    }
}

/// Clears the flag with a plain store.
struct Storing;

impl Otherwise for Storing {
    fn clear(flag: &AtomicBool) {
        flag.store(false, Ordering::Release);
    }
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_plain_store_loses_a_wake_up_of_one_thread() {
    all_work_is_done::<Wrong<Storing>>(ONE_THREAD, false);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_plain_store_loses_a_wake_up_of_two_threads() {
    all_work_is_done::<Wrong<Storing>>(TWO_THREADS, false);
}

/// Loads the flag before setting it.
struct Loading;

impl Otherwise for Loading {
    fn set(flag: &AtomicBool) -> bool {
        flag.load(Ordering::Acquire) || flag.swap(true, Ordering::AcqRel)
    }
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_plain_load_loses_a_wake_up_of_one_thread() {
    all_work_is_done::<Wrong<Loading>>(ONE_THREAD, false);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_plain_load_loses_a_wake_up_of_two_threads() {
    all_work_is_done::<Wrong<Loading>>(TWO_THREADS, false);
}

/// Orders only the flag's own memory.
struct Relaxed;

impl Otherwise for Relaxed {
    fn set(flag: &AtomicBool) -> bool {
        flag.swap(true, Ordering::Relaxed)
    }
    fn clear(flag: &AtomicBool) {
        flag.swap(false, Ordering::Relaxed);
    }
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_relaxed_swap_loses_a_wake_up_of_one_thread() {
    all_work_is_done::<Wrong<Relaxed>>(ONE_THREAD, false);
}

#[test]
#[should_panic(expected = "deadlock")]
fn a_relaxed_swap_loses_a_wake_up_of_two_threads() {
    all_work_is_done::<Wrong<Relaxed>>(TWO_THREADS, false);
}
