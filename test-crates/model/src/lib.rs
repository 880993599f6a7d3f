//! loom checks the waker's protocol in every interleaving and memory order.
//!
//! The tests include the crate's own file, with loom's atomics. They model the kernel as an
//! edge-triggered eventfd: a flag behind a lock, with a condition variable. If a wake-up is lost,
//! the loop waits forever, and loom reports a deadlock.
#![cfg(test)]

#[path = "../../../src/waker/state.rs"]
mod state;

use loom::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use loom::sync::{Condvar, Mutex};
use loom::thread;
use state::State;
use std::marker::PhantomData;
use std::sync::Arc; // loom's would panic again while a deadlock unwinds

/// A waker's state: the crate's or a [`Wrong`] one.
trait Loop: Send + Sync + 'static {
    fn new() -> Self;
    fn wake(&self, write: impl FnOnce() -> Result<(), ()>) -> Result<(), ()>;
    fn fall_asleep(&self) -> bool;
    fn enter(&self);
    fn sleep(&self, polls: bool, wait: impl FnOnce(bool) -> Result<(), ()>) -> (Result<(), ()>, bool);
    fn leave(&self, write: impl FnOnce() -> Result<(), ()>) -> Result<(), ()>;
}

impl Loop for State {
    fn new() -> Self {
        State::new()
    }
    fn wake(&self, write: impl FnOnce() -> Result<(), ()>) -> Result<(), ()> {
        State::wake(self, write)
    }
    fn fall_asleep(&self) -> bool {
        State::fall_asleep(self)
    }
    fn enter(&self) {
        State::enter(self);
    }
    fn sleep(&self, polls: bool, wait: impl FnOnce(bool) -> Result<(), ()>) -> (Result<(), ()>, bool) {
        State::sleep(self, polls, wait)
    }
    fn leave(&self, write: impl FnOnce() -> Result<(), ()>) -> Result<(), ()> {
        State::leave(self, write)
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

    fn poll(&self) {
        *self.is_ready.lock().unwrap() = false;
    }
}

/// The number of threads and the work of each. The wrong states must fail at the sizes where the
/// crate's passes.
type Size = (usize, usize);
const ONE_THREAD: Size = (1, 3);
const TWO_THREADS: Size = (2, 1);

/// What the loop does.
#[derive(Copy, Clone, PartialEq)]
enum Habit {
    /// It says nothing. It acknowledges each event.
    Silent,
    /// It says when it is awake.
    Awake,
    /// It says so for a turn, then no longer.
    AwakeAtFirst,
    /// It says so, and its first wait fails.
    Interrupted,
    /// It says so, and its first wait is a poll.
    Polling,
}
use Habit::{Awake, AwakeAtFirst, Interrupted, Polling, Silent};

/// Threads send work to one loop, which must do all of it or wait forever. Only the state orders the
/// work's memory. A thread's first write may fail.
fn all_work_is_done<L: Loop>(habit: Habit, size: Size, first_is_refused: bool) {
    check::<L>(loom::model::Builder::new(), habit, size, first_is_refused);
}

/// The same for more work, with at most three switches from a thread that could go on.
fn much_work_is_done<L: Loop>(habit: Habit, size: Size) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    check::<L>(model, habit, size, false);
}

fn check<L: Loop>(model: loom::model::Builder, habit: Habit, (threads, work_each): Size, first_is_refused: bool) {
    model.check(move || {
        let shared = Arc::new((L::new(), Kernel::new(), AtomicUsize::new(0)));
        let handles: Vec<_> = (0..threads)
            .map(|_| {
                let shared = shared.clone();
                thread::spawn(move || {
                    let (state, kernel, work) = &*shared;
                    for _ in 0..work_each {
                        work.fetch_add(1, Ordering::Relaxed);
                        let refused = first_is_refused && state.wake(|| Err(())).is_err();
                        if refused || !first_is_refused {
                            state.wake(|| kernel.write()).expect("it is not refused");
                        }
                    }
                })
            })
            .collect();
        let (state, kernel, work) = &*shared;
        let is_done = || work.load(Ordering::Relaxed) == threads * work_each;
        if habit == Silent {
            while !is_done() {
                kernel.wait();
                state.fall_asleep();
            }
        } else {
            run_awake(habit, state, kernel, is_done);
        }
        handles.into_iter().for_each(|handle| handle.join().unwrap());
    });
}

/// It looks for work only after a wake-up.
fn run_awake<L: Loop>(habit: Habit, state: &L, kernel: &Kernel, is_done: impl Fn() -> bool) {
    state.enter();
    let mut is_woken = false;
    let (mut is_interrupted, mut polls) = (habit == Interrupted, habit == Polling);
    while !(is_woken && is_done()) {
        let (answer, is_woken_now) = state.sleep(polls, |polls| {
            if is_interrupted {
                return Err(());
            }
            match polls {
                true => kernel.poll(),
                false => kernel.wait(),
            }
            Ok(())
        });
        // After an error it does not look.
        is_woken = is_woken_now && answer.is_ok();
        (is_interrupted, polls) = (false, false);
        if habit == AwakeAtFirst && !(is_woken && is_done()) {
            state.leave(|| kernel.write()).expect("it is not refused");
            kernel.wait();
            state.enter();
            is_woken = false;
        }
    }
}

#[test]
fn no_wake_up_of_one_thread_is_lost() {
    all_work_is_done::<State>(Silent, ONE_THREAD, false);
}

#[test]
fn no_wake_up_of_two_threads_is_lost() {
    all_work_is_done::<State>(Silent, TWO_THREADS, false);
}

#[test]
fn no_wake_up_is_lost_where_a_write_was_refused() {
    all_work_is_done::<State>(Silent, (1, 2), true);
}

#[test]
fn no_wake_up_by_one_thread_of_an_awake_loop_is_lost() {
    all_work_is_done::<State>(Awake, ONE_THREAD, false);
}

#[test]
fn no_wake_up_by_two_threads_of_an_awake_loop_is_lost() {
    all_work_is_done::<State>(Awake, TWO_THREADS, false);
}

#[test]
fn no_wake_up_by_two_threads_that_go_on_is_lost() {
    much_work_is_done::<State>(Awake, (2, 2));
    much_work_is_done::<State>(Silent, (2, 2));
    much_work_is_done::<State>(AwakeAtFirst, (2, 2));
}

#[test]
fn no_wake_up_of_an_awake_loop_is_lost_where_a_write_was_refused() {
    all_work_is_done::<State>(Awake, (1, 2), true);
}

#[test]
fn no_wake_up_is_lost_where_a_loop_is_no_longer_awake() {
    all_work_is_done::<State>(AwakeAtFirst, (1, 2), false);
}

#[test]
fn no_wake_up_is_lost_where_a_loop_polls() {
    all_work_is_done::<State>(Polling, (1, 2), false);
    much_work_is_done::<State>(Polling, (2, 2));
}

#[test]
fn no_wake_up_is_lost_where_a_wait_fails() {
    all_work_is_done::<State>(Interrupted, (1, 2), false);
    much_work_is_done::<State>(Interrupted, (2, 2));
}

const ASLEEP: u8 = 0;
const WOKEN: u8 = 1;
const AWAKE: u8 = 2;

/// The correct operations, for wrong states to override.
trait Otherwise: Send + Sync + 'static {
    /// Returns the state before.
    fn wake(state: &AtomicU8) -> u8 {
        state.swap(WOKEN, Ordering::AcqRel)
    }
    /// Goes to sleep or stays awake. Returns the state before.
    fn change(state: &AtomicU8, to: u8) -> u8 {
        state.swap(to, Ordering::AcqRel)
    }
    /// Whether a wake-up before the first wait, or before the end of one that failed, is left to the
    /// next.
    const REMEMBERS: bool = true;
    /// Whether the loop writes what came while it was awake.
    const SETTLES: bool = true;
    /// Whether a wake-up that came while the loop was awake keeps it from sleeping.
    const ASKS: bool = true;
}

struct Wrong<O>(AtomicU8, PhantomData<O>);

impl<O: Otherwise> Wrong<O> {
    fn stay_awake(&self) -> bool {
        O::change(&self.0, AWAKE) == WOKEN
    }
}

impl<O: Otherwise> Loop for Wrong<O> {
    fn new() -> Self {
        Self(AtomicU8::new(ASLEEP), PhantomData)
    }
    fn wake(&self, write: impl FnOnce() -> Result<(), ()>) -> Result<(), ()> {
        match O::wake(&self.0) {
            ASLEEP => write(),
            _ => Ok(()),
        }
    }
    fn fall_asleep(&self) -> bool {
        O::change(&self.0, ASLEEP) == WOKEN
    }
    fn enter(&self) {
        if self.stay_awake() && O::REMEMBERS {
            self.0.swap(WOKEN, Ordering::AcqRel);
        }
    }
    fn sleep(&self, polls: bool, wait: impl FnOnce(bool) -> Result<(), ()>) -> (Result<(), ()>, bool) {
        let was_woken = !polls && self.fall_asleep();
        if was_woken {
            self.stay_awake();
        }
        let answer = wait(polls || was_woken && O::ASKS);
        let is_woken = self.stay_awake() || was_woken;
        if is_woken && answer.is_err() && O::REMEMBERS {
            self.0.swap(WOKEN, Ordering::AcqRel);
        }
        (answer, is_woken)
    }
    fn leave(&self, write: impl FnOnce() -> Result<(), ()>) -> Result<(), ()> {
        match self.fall_asleep() && O::SETTLES {
            true => self.wake(write),
            false => Ok(()),
        }
    }
}

/// The operations with nothing overridden: the model of wrong states finds no fault by itself.
struct Right;

impl Otherwise for Right {}

#[test]
fn the_right_operations_lose_nothing() {
    for habit in [Silent, Awake, AwakeAtFirst, Interrupted, Polling] {
        much_work_is_done::<Wrong<Right>>(habit, TWO_THREADS);
    }
}

/// A module of tests for each wrong state: each of these loops hangs with it.
macro_rules! lost {
    ($(#[$what:meta])* $Wrong:ident in $module:ident { $($item:item)* } $($name:ident: $habit:ident, $size:expr;)*) => {
        $(#[$what])*
        mod $module {
            use super::*;

            struct $Wrong;

            impl Otherwise for $Wrong {
                $($item)*
            }

            $(#[test]
            #[should_panic(expected = "deadlock")]
            fn $name() {
                all_work_is_done::<Wrong<$Wrong>>($habit, $size, false);
            })*
        }
    };
}

lost! {
    /// Changes the loop's state with a plain store.
    Storing in a_plain_store_loses_a_wake_up {
        fn change(state: &AtomicU8, to: u8) -> u8 {
            let before = state.load(Ordering::Acquire);
            state.store(to, Ordering::Release);
            before
        }
    }
    of_one_thread: Silent, ONE_THREAD;
    of_two_threads: Silent, TWO_THREADS;
    of_one_thread_to_an_awake_loop: Awake, ONE_THREAD;
    of_two_threads_to_an_awake_loop: Awake, TWO_THREADS;
}

lost! {
    /// Loads the state before waking.
    Loading in a_plain_load_loses_a_wake_up {
        fn wake(state: &AtomicU8) -> u8 {
            match state.load(Ordering::Acquire) {
                WOKEN => WOKEN,
                _ => state.swap(WOKEN, Ordering::AcqRel),
            }
        }
    }
    of_one_thread: Silent, ONE_THREAD;
    of_two_threads: Silent, TWO_THREADS;
    of_one_thread_to_an_awake_loop: Awake, ONE_THREAD;
    of_two_threads_to_an_awake_loop: Awake, TWO_THREADS;
}

lost! {
    /// Does not mark a wake-up of an awake loop.
    Ignoring in an_unmarked_wake_up_is_lost {
        fn wake(state: &AtomicU8) -> u8 {
            match state.load(Ordering::Acquire) {
                AWAKE => AWAKE,
                _ => state.swap(WOKEN, Ordering::AcqRel),
            }
        }
    }
    of_one_thread: Awake, ONE_THREAD;
    of_two_threads: Awake, TWO_THREADS;
}

lost! {
    /// Orders only the state's own memory.
    Relaxed in a_relaxed_swap_loses_a_wake_up {
        fn wake(state: &AtomicU8) -> u8 {
            state.swap(WOKEN, Ordering::Relaxed)
        }
        fn change(state: &AtomicU8, to: u8) -> u8 {
            state.swap(to, Ordering::Relaxed)
        }
    }
    of_one_thread: Silent, ONE_THREAD;
    of_two_threads: Silent, TWO_THREADS;
    of_one_thread_to_an_awake_loop: Awake, ONE_THREAD;
    of_two_threads_to_an_awake_loop: Awake, TWO_THREADS;
}

lost! {
    /// Sleeps although a wake-up came.
    Deaf in a_loop_that_does_not_ask_loses_a_wake_up {
        const ASKS: bool = false;
    }
    of_one_thread: Awake, ONE_THREAD;
    of_two_threads: Awake, TWO_THREADS;
}

lost! {
    /// Leaves without a write.
    Leaving in a_loop_that_leaves_without_a_write_loses_a_wake_up {
        const SETTLES: bool = false;
    }
    of_one_thread: AwakeAtFirst, (1, 2);
    of_two_threads: AwakeAtFirst, TWO_THREADS;
}

lost! {
    /// Forgets a wake-up that a failed wait, or the beginning of being awake, has seen.
    Forgetting in a_loop_that_forgets_loses_a_wake_up {
        const REMEMBERS: bool = false;
    }
    of_one_thread_that_came_before: Awake, ONE_THREAD;
    of_two_threads_that_came_before: Awake, TWO_THREADS;
    of_one_thread: Interrupted, ONE_THREAD;
    of_two_threads: Interrupted, TWO_THREADS;
}
