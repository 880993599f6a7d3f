//! Copies standard input to standard output until the input ends, with rustix.
#![no_std]
#![no_main]

#[path = "../../examples/bare-cat/src/start.rs"]
mod start;

use core::mem::MaybeUninit;
use rustix::event::{epoll, eventfd, EventfdFlags};
use rustix::fd::BorrowedFd;
use rustix::io::{read, write, Result};

const INPUT: epoll::EventData = epoll::EventData::new_u64(0);
const END: epoll::EventData = epoll::EventData::new_u64(1);

/// The entry point that [`start`] calls.
extern "C" fn main() -> ! {
    let epoll = must(epoll::create(epoll::CreateFlags::CLOEXEC));
    let end = must(eventfd(0, EventfdFlags::CLOEXEC));
    // SAFETY: both descriptors stay open.
    let (input, output) = unsafe { (BorrowedFd::borrow_raw(0), BorrowedFd::borrow_raw(1)) };
    must(epoll::add(&epoll, input, INPUT, epoll::EventFlags::IN));
    must(epoll::add(&epoll, &end, END, epoll::EventFlags::IN));
    let mut events = [MaybeUninit::uninit(); 1];
    loop {
        let (ready, _) = must(epoll::wait(&epoll, &mut events, None));
        for event in ready {
            if event.data.u64() == END.u64() {
                start::exit(0);
            }
            let mut bytes = [MaybeUninit::<u8>::uninit(); 1024];
            let (mut left, _) = must(read(input, &mut bytes));
            if left.is_empty() {
                must(write(&end, &1_u64.to_ne_bytes()));
            }
            while !left.is_empty() {
                let written = must(write(output, left));
                left = &mut left[written..];
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
