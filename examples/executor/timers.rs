//! Timers: `barepoll::Timers`, and the wakers of the tasks that sleep, in a slab.

use super::slab::Slab;
use super::Executor;
use barepoll::{Deadline, EventData, TimerKey, TimerSlot, Timers};
use std::cell::{Cell, RefCell};
use std::future::{poll_fn, Future};
use std::pin::{pin, Pin};
use std::task::{self, Context, Poll};
use std::time::Duration;

/// The number of timers for which there is storage at first.
const FIRST: usize = 64;

pub struct Sleepers {
    /// The moment of this turn. A turn reads the clock once.
    now: Cell<Deadline>,
    /// Each is twice as large as the one before, so a key stays valid when another comes. Their
    /// storage is leaked: an executor lives about as long as its program.
    timers: RefCell<Vec<Timers<'static>>>,
    wakers: RefCell<Slab<task::Waker>>,
}

impl Sleepers {
    pub(super) fn new() -> barepoll::Result<Self> {
        let now = Cell::new(Deadline::now()?);
        Ok(Self { now, timers: RefCell::default(), wakers: RefCell::new(Slab::new()) })
    }

    pub(super) fn next_deadline(&self) -> Option<Deadline> {
        self.timers.borrow().iter().filter_map(Timers::next_deadline).min()
    }

    /// Reads the clock and wakes the tasks whose time has come, in the order of their deadlines.
    pub(super) fn wake_due(&self) -> barepoll::Result<()> {
        self.now.set(Deadline::now()?);
        while let Some(key) = self.pop_due() {
            let waker = self.wakers.borrow_mut().remove(key.u64());
            waker.into_iter().for_each(task::Waker::wake);
        }
        Ok(())
    }

    fn pop_due(&self) -> Option<EventData> {
        let mut timers = self.timers.borrow_mut();
        let first =
            timers.iter_mut().filter(|timers| !timers.is_empty()).min_by_key(|timers| timers.next_deadline())?;
        first.pop_due(self.now.get())
    }

    fn add(&self, deadline: Deadline, waker: task::Waker) -> Timer {
        let mut all = self.timers.borrow_mut();
        let part = all.iter().position(|timers| timers.len() < timers.capacity()).unwrap_or_else(|| {
            let slots = vec![TimerSlot::EMPTY; FIRST << all.len()];
            all.push(Timers::new(slots.leak()));
            all.len() - 1
        });
        let sleeper = self.wakers.borrow_mut().insert(|_| waker.clone());
        let key = all[part].add(deadline, EventData::new_u64(sleeper)).expect("there is room");
        Timer { part: part as u32, key, deadline, sleeper, waker }
    }

    fn cancel(&self, timer: Timer) {
        self.timers.borrow_mut()[timer.part as usize].cancel(timer.key);
        let waker = self.wakers.borrow_mut().remove(timer.sleeper);
        drop(waker);
    }
}

struct Timer {
    part: u32,
    key: TimerKey,
    deadline: Deadline,
    /// The key of the waker. It is gone when the timer has fired.
    sleeper: u64,
    /// The same waker, so that a poll needs no look at the other.
    waker: task::Waker,
}

impl Executor {
    /// The moment of this turn, which began a little earlier.
    pub fn now(&self) -> Deadline {
        self.sleepers.now.get()
    }

    /// Ends after this time, counted from now and not from this turn's moment.
    pub fn sleep(&self, time: Duration) -> Sleep<'_> {
        self.sleep_until(Deadline::after(time).expect("the clock is readable"))
    }

    pub fn sleep_until(&self, deadline: Deadline) -> Sleep<'_> {
        Sleep { executor: self, deadline, timer: None }
    }

    /// Returns the future's output, or `None` if it takes longer than `time`.
    pub async fn within<T>(&self, time: Duration, future: impl Future<Output = T>) -> Option<T> {
        self.sleep(time).limit(pin!(future)).await
    }
}

pub struct Sleep<'e> {
    executor: &'e Executor,
    deadline: Deadline,
    timer: Option<Timer>,
}

impl<'e> Sleep<'e> {
    /// Makes it longer. The timer stays as it is: when it fires, another follows. So a time limit
    /// that each request extends costs a request nothing.
    pub fn extend(&mut self, deadline: Deadline) {
        self.deadline = self.deadline.max(deadline);
    }

    /// Returns the future's output, or `None` if it is not ready when this ends.
    pub fn limit<'a, T, F: Future<Output = T> + Unpin>(
        &'a mut self,
        mut future: F,
    ) -> impl Future<Output = Option<T>> + use<'a, 'e, T, F> {
        poll_fn(move |context| match Pin::new(&mut future).poll(context) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending => Pin::new(&mut *self).poll(context).map(|()| None),
        })
    }
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context) -> Poll<()> {
        let sleepers = &self.executor.sleepers;
        if self.deadline <= sleepers.now.get() {
            return self.executor.spend(context);
        }
        match &self.timer {
            Some(timer) if timer.deadline > sleepers.now.get() && timer.waker.will_wake(context.waker()) => {}
            _ => {
                self.timer.take().into_iter().for_each(|timer| sleepers.cancel(timer));
                self.timer = Some(sleepers.add(self.deadline, context.waker().clone()));
            }
        }
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        self.timer.take().into_iter().for_each(|timer| self.executor.sleepers.cancel(timer));
    }
}
