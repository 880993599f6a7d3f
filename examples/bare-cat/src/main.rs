//! Copies standard input to standard output without libc and without std. Copy this folder to start
//! a program of your own.
//!
//! On this machine, with Rust 1.66 or later, anywhere in the repository:
//!
//! ```sh
//! cargo run --release -p bare-cat
//! ```
//!
//! For another machine, run it in this folder. Its `.cargo/config.toml` names linkers and emulators
//! (Debian's `qemu-user`):
//!
//! ```sh
//! # With `rustup component add rust-src`:
//! cargo +nightly run --release --target s390x-unknown-linux-gnu
//! # Or after `rustup target add`, if rustup has the target:
//! cargo run --release --target s390x-unknown-linux-gnu
//! ```
#![no_std]
#![no_main]

#[cfg(bare)]
mod memory;
mod start;

#[cfg(not(bare))] // a debug build, see build.rs
extern crate std;

use barepoll::fd::{AsRawFd, BorrowedFd, RawFd};
use barepoll::{raw, Epoll, Errno, Event, EventData, EventFd, EventFdFlags, EventFlags};
use core::mem::MaybeUninit;
use core::ops::Range;
use core::time::Duration;

/// Bytes read at once, on the stack. LLVM for m68k miscompiles functions with more than 32 KB of
/// stack.
const CHUNK: usize = 16 * 1024;

/// The function that [`start`] calls.
extern "C" fn main() -> ! {
    let mut chunk = [MaybeUninit::uninit(); CHUNK];
    start::exit(match Cat::new(&mut chunk).and_then(|mut cat| cat.run()) {
        Ok(()) => 0,
        // The reader has closed the pipe, which is no news to it.
        Err(Failure { errno: Errno::EPIPE, .. }) => 1,
        Err(Failure { what, errno }) => {
            let number = [1000, 100, 10, 1].map(|place| b'0' + (errno.raw() / place % 10) as u8);
            let why = errno.name().map_or(&number[..], str::as_bytes);
            for part in [b"bare-cat: cannot ", what.as_bytes(), b": error ", why, b".\n"] {
                // SAFETY: the pointer and the length come from a slice.
                let _ = unsafe { raw::write(2, part.as_ptr(), part.len()) };
            }
            1
        }
    })
}

#[cfg(bare)]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    start::exit(101)
}

struct Failure {
    what: &'static str,
    errno: Errno,
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self { what: "wait for events", errno }
    }
}

/// The streams, with the descriptors that every program starts with.
#[derive(Copy, Clone, PartialEq)]
enum Stream {
    Input = 0,
    Output = 1,
}

impl Stream {
    fn failed(self, errno: Errno) -> Failure {
        Failure { what: if self == Stream::Input { "read standard input" } else { "write standard output" }, errno }
    }

    fn borrow(self) -> BorrowedFd<'static> {
        // SAFETY: `Cat::new` has checked that both are open, and nothing here closes them.
        unsafe { BorrowedFd::borrow_raw(self as RawFd) }
    }
}

/// The data of events: of a stream, and of `Cat::end`.
const READY: EventData = EventData::new_u64(0);
const END: EventData = EventData::new_u64(1);

struct Cat<'c> {
    epoll: Epoll,
    /// Ends the program once it is readable. A thread or a signal handler may write to it.
    end: EventFd,
    chunk: &'c mut [MaybeUninit<u8>],
    /// The part of `chunk` that was read and not yet written.
    held: Range<usize>,
    /// The awaited stream. The other is not in the interest list, because epoll would report its
    /// hang-up repeatedly.
    next: Stream,
    /// Whether `next` is in the interest list. Regular files and `/dev/null` cannot be, and are
    /// always ready.
    watched: bool,
}

impl<'c> Cat<'c> {
    fn new(chunk: &'c mut [MaybeUninit<u8>]) -> Result<Self, Failure> {
        let epoll = Epoll::new()?;
        // The kernel assigns the lowest free number, so a closed stream's number is now the
        // epoll's.
        if let Some(closed) = [Stream::Input, Stream::Output].into_iter().find(|it| epoll.as_raw_fd() == *it as RawFd) {
            return Err(closed.failed(Errno::EBADF));
        }
        let end = EventFd::new(0, EventFdFlags::CLOEXEC | EventFdFlags::NONBLOCK)?;
        epoll.add(&end, END, EventFlags::IN)?;
        let mut cat = Self { epoll, end, chunk, held: 0..0, next: Stream::Input, watched: false };
        cat.watch()?;
        Ok(cat)
    }

    fn run(&mut self) -> Result<(), Failure> {
        let mut buffer = Event::buffer::<2>();
        loop {
            let timeout = if self.watched { None } else { Some(Duration::ZERO) };
            let events = self.epoll.wait_uninterrupted(&mut buffer, timeout)?;
            if events.iter().any(|event| event.data().u64() == END.u64()) {
                return Ok(());
            }
            match self.next {
                Stream::Input => self.read()?,
                Stream::Output => self.write()?,
            }
        }
    }

    /// Reads once, which does not block, and writes the bytes.
    fn read(&mut self) -> Result<(), Failure> {
        // SAFETY: the chunk has that many bytes.
        match unsafe { raw::read(0, self.chunk.as_mut_ptr().cast(), self.chunk.len()) } {
            Ok(0) => Ok(self.end.write(1)?),
            Ok(read) => {
                self.held = 0..read;
                self.write()
            }
            // A signal interrupted the read, or another reader took the bytes.
            Err(Errno::EINTR | Errno::EAGAIN) => Ok(()),
            Err(errno) => Err(Stream::Input.failed(errno)),
        }
    }

    /// Writes `held`. Other programs share the stream, so its mode is unchanged: the write may
    /// block or return EAGAIN.
    fn write(&mut self) -> Result<(), Failure> {
        while !self.held.is_empty() {
            let bytes = self.chunk.as_ptr().wrapping_add(self.held.start).cast();
            // SAFETY: the bytes are in the chunk, and initialised by a read.
            match unsafe { raw::write(1, bytes, self.held.len()) } {
                Ok(written) => self.held.start += written,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return self.wait_for(Stream::Output),
                Err(errno) => return Err(Stream::Output.failed(errno)),
            }
        }
        self.wait_for(Stream::Input)
    }

    fn wait_for(&mut self, stream: Stream) -> Result<(), Failure> {
        if self.next == stream {
            return Ok(());
        }
        if self.watched {
            self.epoll.delete(self.next.borrow())?;
        }
        self.next = stream;
        self.watch()
    }

    fn watch(&mut self) -> Result<(), Failure> {
        let interest = if self.next == Stream::Input { EventFlags::IN } else { EventFlags::OUT };
        self.watched = match self.epoll.add(self.next.borrow(), READY, interest) {
            Err(Errno::EPERM) => false,
            answer => answer.map(|()| true)?,
        };
        Ok(())
    }
}
