// `without_std.rs` and `with_std.rs` include this program, and it must behave the same in both. It
// uses everything in `barepoll::fd`, and nothing else but `core`.

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
        // SAFETY: the caller gives up the descriptor.
        Self { eventfd: unsafe { OwnedFd::from_raw_fd(fd) } }
    }
}

impl IntoRawFd for Counter {
    fn into_raw_fd(self) -> RawFd {
        self.eventfd.into_raw_fd()
    }
}

/// By reference, by mutable reference, borrowed and by number: all that `AsFd` accepts.
fn register_in_every_way(epoll: &Epoll, counter: &mut Counter) -> Result<()> {
    let data = EventData::new_fd(counter.as_raw_fd());
    epoll.add(&*counter, data, EventFlags::IN)?;
    epoll.delete(&mut *counter)?;
    epoll.add(counter.as_fd(), data, EventFlags::IN)?;
    let reference = &&*counter;
    epoll.delete(reference)?;
    let dynamic: &dyn AsFd = &*counter;
    epoll.add(dynamic, data, EventFlags::IN)?;
    let dynamic: &mut dyn AsFd = &mut *counter;
    epoll.delete(dynamic)?;
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

/// The implementations of std 1.63, except for std's own types. Compiling is the whole test.
pub fn has_the_implementations_of_std() {
    use core::fmt::Debug;
    use core::panic::{RefUnwindSafe, UnwindSafe};

    fn owner<T: AsFd + AsRawFd + IntoRawFd + FromRawFd + Debug>() {}
    fn borrowed<T: AsFd + AsRawFd + Debug + Copy + Clone>() {}
    fn number<T: AsRawFd + IntoRawFd + FromRawFd + Copy>() {}
    fn lends<T: AsFd + ?Sized>() {}
    fn is_a_plain_value<T: Send + Sync + Unpin + UnwindSafe + RefUnwindSafe + 'static>() {}

    owner::<OwnedFd>();
    borrowed::<BorrowedFd<'static>>();
    number::<RawFd>();
    lends::<&OwnedFd>();
    lends::<&mut OwnedFd>();
    lends::<&BorrowedFd<'static>>();
    lends::<&&mut Counter>();
    lends::<dyn AsFd>();
    lends::<&dyn AsFd>();
    lends::<&mut dyn AsFd>();
    is_a_plain_value::<OwnedFd>();
    is_a_plain_value::<BorrowedFd<'static>>();
    lends::<&mut (dyn AsFd + Send + Sync)>();
    // The traits are object safe.
    let _: Option<(&dyn AsFd, &dyn AsRawFd)> = None;
    // A longer borrow converts to a shorter one.
    fn _shorter<'short, 'long: 'short>(fd: BorrowedFd<'long>) -> BorrowedFd<'short> {
        fd
    }
    // Both have a C `int`'s representation, so foreign functions' signatures may use them.
    const _: () = assert!(core::mem::size_of::<OwnedFd>() == 4 && core::mem::size_of::<BorrowedFd<'static>>() == 4);
    #[deny(improper_ctypes)]
    extern "C" {
        #[allow(dead_code)]
        fn dup2(from: BorrowedFd<'_>, to: OwnedFd) -> RawFd;
    }
    let _: fn(RawFd) -> i32 = |number| number;
    const _: BorrowedFd<'static> = {
        // SAFETY: nothing uses it.
        unsafe { BorrowedFd::borrow_raw(0) }
    };
}

/// Returns the number that woke the counter.
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
    // SAFETY: the counter has just given up its descriptor.
    let eventfd = unsafe { EventFd::from_raw_fd(number) };
    eventfd.read()
}
