// A program for both worlds: `without_std.rs` and `with_std.rs` include this text, and it must mean the same in each. It
// uses everything that `barepoll::fd` has, and nothing but `core`.

use barepoll::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use barepoll::{Epoll, Errno, Event, EventData, EventFd, EventFdFlags, EventFlags, Result};
use core::time::Duration;

/// A user's own descriptor type.
struct Counter {
    eventfd: OwnedFd,
}

impl Counter {
    fn new() -> Result<Self> {
        Ok(Self { eventfd: EventFd::new(0, EventFdFlags::CLOEXEC | EventFdFlags::NONBLOCK)?.into() })
    }

    fn add(self, more: u64) -> Result<Self> {
        let eventfd = EventFd::from(self.eventfd);
        eventfd.write(more)?;
        Ok(Self { eventfd: eventfd.into() })
    }
}

impl AsFd for Counter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.eventfd.as_fd()
    }
}

impl AsRawFd for Counter {
    fn as_raw_fd(&self) -> RawFd {
        self.eventfd.as_raw_fd()
    }
}

impl FromRawFd for Counter {
    unsafe fn from_raw_fd(fd: RawFd) -> Self {
        // SAFETY: the caller gives the descriptor away.
        Self { eventfd: unsafe { OwnedFd::from_raw_fd(fd) } }
    }
}

impl IntoRawFd for Counter {
    fn into_raw_fd(self) -> RawFd {
        self.eventfd.into_raw_fd()
    }
}

/// By reference, by mutable reference, borrowed and by number: all that `AsFd` takes.
fn register_in_every_way(epoll: &Epoll, counter: &mut Counter) -> Result<()> {
    let data = EventData::new_fd(counter.as_raw_fd());
    epoll.add(&*counter, data, EventFlags::IN)?;
    epoll.delete(&mut *counter)?;
    epoll.add(counter.as_fd(), data, EventFlags::IN)?;
    let reference = &&*counter;
    epoll.delete(reference)?;
    // SAFETY: the counter stays open for longer than this call.
    let borrowed = unsafe { BorrowedFd::borrow_raw(counter.as_raw_fd()) };
    let copy = borrowed;
    epoll.add(borrowed, data, EventFlags::IN)?;
    match epoll.add(copy, data, EventFlags::IN) {
        Err(Errno::EEXIST) => Ok(()),
        Err(errno) => Err(errno),
        Ok(()) => Err(Errno::EINVAL),
    }
}

/// Gives the number that the counter was woken with.
pub fn program() -> Result<u64> {
    let epoll = Epoll::new()?;
    let mut counter = Counter::new()?;
    register_in_every_way(&epoll, &mut counter)?;

    let mut buffer = Event::buffer::<4>();
    if !epoll.wait(&mut buffer, Some(Duration::ZERO))?.is_empty() {
        return Err(Errno::EINVAL);
    }
    let counter = counter.add(40)?.add(2)?;
    let number = counter.as_raw_fd();
    for event in epoll.wait(&mut buffer, None)? {
        if event.data().fd() != number || !event.flags().contains(EventFlags::IN) {
            return Err(Errno::EINVAL);
        }
    }

    let number = counter.into_raw_fd();
    // SAFETY: the counter gave its descriptor up just above.
    let eventfd = unsafe { EventFd::from_raw_fd(number) };
    eventfd.read()
}
