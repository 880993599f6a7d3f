//! Copies standard input to standard output until the input ends, with barepoll.
#![no_std]
#![no_main]

#[path = "../../examples/bare-cat/src/start.rs"]
mod start;

use barepoll::fd::BorrowedFd;
use barepoll::{raw, Epoll, Event, EventData, EventFd, EventFdFlags, EventFlags, Result};
use core::mem::MaybeUninit;

const INPUT: u64 = 0;
const END: u64 = 1;

/// The entry point that [`start`] calls.
extern "C" fn main() -> ! {
    let epoll = must(Epoll::new());
    let end = must(EventFd::new(0, EventFdFlags::CLOEXEC));
    // SAFETY: descriptor 0 stays open.
    let input = unsafe { BorrowedFd::borrow_raw(0) };
    must(epoll.add(input, EventData::new_u64(INPUT), EventFlags::IN));
    must(epoll.add(&end, EventData::new_u64(END), EventFlags::IN));
    let mut events = Event::buffer::<1>();
    loop {
        for event in must(epoll.wait(&mut events, None)) {
            if event.data().u64() == END {
                start::exit(0);
            }
            let mut bytes = [MaybeUninit::<u8>::uninit(); 1024];
            // SAFETY: `bytes` is `bytes.len()` bytes long.
            let read = must(unsafe { raw::read(0, bytes.as_mut_ptr().cast(), bytes.len()) });
            if read == 0 {
                must(end.write(1));
            }
            let mut written = 0;
            while written < read {
                // SAFETY: the first `read` bytes are initialised and `written` is smaller.
                written += must(unsafe { raw::write(1, bytes.as_ptr().add(written).cast(), read - written) });
            }
        }
    }
}

#[inline(always)]
fn must<T>(answer: Result<T>) -> T {
    match answer {
        Ok(value) => value,
        Err(_) => fail(),
    }
}

/// All calls share this exit.
#[cold]
#[inline(never)]
fn fail() -> ! {
    start::exit(1)
}

#[cfg(panic = "unwind")] // dev and test use std's panic handler
extern crate std;

#[cfg(panic = "abort")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    fail()
}
