//! The reactor: sockets in a slab, whose keys are the data of their events.

use super::slab::Slab;
use super::Executor;
use barepoll::{fd::AsFd, Epoll, Event, EventData, EventFlags};
use std::cell::RefCell;
use std::future::{poll_fn, Future};
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::task::{self, ready, Context, Poll};

/// The data of the waker's events. No source has this key.
pub const WAKER: u64 = u64::MAX;
/// The events that end a wait to read or to write.
pub const READ: EventFlags = EventFlags::IN.union(EventFlags::RDHUP).union(EventFlags::PRI).union(FAILED);
pub const WRITE: EventFlags = EventFlags::OUT.union(FAILED);
const FAILED: EventFlags = EventFlags::ERR.union(EventFlags::HUP);

pub struct Reactor {
    pub(super) epoll: Epoll,
    sources: RefCell<Slab<Source>>,
}

/// The readiness that epoll reported and no call has denied since, and the tasks that wait for
/// more: one that reads and one that writes.
struct Source {
    ready: EventFlags,
    waiting: [Waiting; 2],
}

/// A waker stays here for the next wait of the same task, so a wait does not clone it.
#[derive(Default)]
struct Waiting {
    waker: Option<task::Waker>,
    waits: bool,
}

impl Reactor {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { epoll: Epoll::new()?, sources: RefCell::new(Slab::new()) })
    }

    /// Notes what an event reports, and wakes the tasks that wait for it.
    pub(super) fn report(&self, event: &Event) {
        let mut sources = self.sources.borrow_mut();
        let Some(source) = sources.get_mut(event.data().u64()) else { return };
        source.ready |= event.flags();
        for (waiting, want) in source.waiting.iter_mut().zip([READ, WRITE]) {
            if waiting.waits && event.flags().intersects(want) {
                waiting.waits = false;
                waiting.waker.iter().for_each(task::Waker::wake_by_ref);
            }
        }
    }

    fn add(&self, socket: &impl AsFd) -> io::Result<u64> {
        let key =
            self.sources.borrow_mut().insert(|_| Source { ready: EventFlags::empty(), waiting: Default::default() });
        match self.epoll.add(socket, EventData::new_u64(key), READ | WRITE | EventFlags::ET) {
            Ok(()) => Ok(key),
            Err(errno) => {
                self.sources.borrow_mut().remove(key);
                Err(errno.into())
            }
        }
    }

    /// Waits for the events. One task may wait to read while another waits to write.
    fn poll_ready(&self, key: u64, want: EventFlags, context: &Context) -> Poll<()> {
        let _old; // dropped after the borrow ends
        let mut sources = self.sources.borrow_mut();
        let source = sources.get_mut(key).expect("an `Async` removes its source when it is dropped");
        if source.ready.intersects(want) {
            return Poll::Ready(());
        }
        let waiting = &mut source.waiting[usize::from(want.contains(EventFlags::OUT))];
        waiting.waits = true;
        if !matches!(&waiting.waker, Some(waker) if waker.will_wake(context.waker())) {
            _old = waiting.waker.replace(context.waker().clone());
        }
        Poll::Pending
    }
}

/// A nonblocking socket with awaitable calls. It has no duplicates, so closing it removes it from
/// epoll.
pub struct Async<S> {
    pub(super) executor: Rc<Executor>,
    key: u64,
    pub socket: S,
}

impl<S: AsFd> Async<S> {
    pub fn new(executor: Rc<Executor>, socket: S) -> io::Result<Self> {
        let key = executor.reactor.add(&socket)?;
        Ok(Self { executor, key, socket })
    }

    /// Makes the call when the socket is ready, and repeats it until it does not return
    /// `WouldBlock`. This is no `async fn`: its future would hold the call twice.
    pub fn when<'a, T>(
        &'a self,
        want: EventFlags,
        mut call: impl FnMut(&S) -> io::Result<T> + 'a,
    ) -> impl Future<Output = io::Result<T>> + 'a {
        poll_fn(move |context| loop {
            ready!(self.executor.reactor.poll_ready(self.key, want, context));
            ready!(self.executor.spend(context));
            if let Some(answer) = self.attempt(want, &mut call) {
                return Poll::Ready(answer);
            }
        })
    }

    /// Makes the call if the socket is ready. `None`: not now.
    pub fn try_now<T>(&self, want: EventFlags, call: impl FnOnce(&S) -> io::Result<T>) -> Option<io::Result<T>> {
        let is_ready = |source: &mut Source| source.ready.intersects(want);
        let is_ready = self.executor.reactor.sources.borrow_mut().get_mut(self.key).is_some_and(is_ready);
        is_ready.then(|| self.attempt(want, call)).flatten()
    }

    fn attempt<T>(&self, want: EventFlags, call: impl FnOnce(&S) -> io::Result<T>) -> Option<io::Result<T>> {
        match call(&self.socket) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.deny(want),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            answer => return Some(answer),
        }
        None
    }

    /// Forgets this readiness, until epoll reports it again.
    pub(super) fn deny(&self, flags: EventFlags) {
        if let Some(source) = self.executor.reactor.sources.borrow_mut().get_mut(self.key) {
            source.ready -= flags;
        }
    }
}

impl<S> Drop for Async<S> {
    fn drop(&mut self) {
        let source = self.executor.reactor.sources.borrow_mut().remove(self.key);
        drop(source);
    }
}
