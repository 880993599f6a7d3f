//! sc, used directly. On x86_64 barepoll issues its system calls through it.

use barepoll::fd::AsRawFd;
use barepoll::{Event, EventData, EventFlags};
use sc::syscall;
use std::hint::black_box;
use std::mem::MaybeUninit;

crate::calls::operations! {
    wait(at) { let mut buffer = Event::buffer::<64>() }
        // SAFETY: room for 64 events.
        unsafe { syscall!(EPOLL_WAIT, at.epoll.as_raw_fd(), buffer.as_mut_ptr(), 64, 0) as isize } >= 0;
    wait_given(at) { let mut buffer = Event::buffer::<64>(); let mut timeout = 0_i32; let _ = black_box(&mut timeout) }
        // SAFETY: room for 64 events.
        unsafe { syscall!(EPOLL_WAIT, at.epoll.as_raw_fd(), buffer.as_mut_ptr(), 64, timeout) as isize } >= 0;
    modify(at) {}
        {
            let event = Event::new(EventFlags::IN, EventData::new_u64(1));
            // SAFETY: the event is a local variable.
            unsafe { syscall!(EPOLL_CTL, at.epoll.as_raw_fd(), 3, at.empty.as_raw_fd(), &raw const event) as isize >= 0 }
        };
    write(at) {}
        {
            let add = 1_u64;
            // SAFETY: the pointer is valid for eight bytes.
            unsafe { syscall!(WRITE, at.full.as_raw_fd(), &raw const add, 8) as isize >= 0 }
        };
    read(at) { let mut value = MaybeUninit::<u64>::uninit() }
        // SAFETY: room for eight bytes.
        unsafe { syscall!(READ, at.full.as_raw_fd(), value.as_mut_ptr(), 8) } == 8;
    read_again(at) { let mut value = MaybeUninit::<u64>::uninit() }
        // SAFETY: room for eight bytes.
        unsafe { syscall!(READ, at.empty.as_raw_fd(), value.as_mut_ptr(), 8) as isize } == -11;
    create_close(_at) {}
        {
            // SAFETY: the call takes no pointer, and only this loop uses the descriptor.
            unsafe { syscall!(CLOSE, syscall!(EPOLL_CREATE1, 0x80000)) == 0 }
        };
}
