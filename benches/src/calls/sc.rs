//! sc, used directly. On x86_64 barepoll issues its system calls through it.

use crate::calls::{send_signal, HOUR, SIGUSR2};
use barepoll::fd::AsRawFd;
use barepoll::{Event, EventData, EventFlags, SignalInfo};
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
    timerfd_set(at) {}
        {
            let times = [0, 0, HOUR.as_secs(), 0];
            // SAFETY: the times are a local variable, and the last pointer may be null.
            unsafe { syscall!(TIMERFD_SETTIME, at.timer.as_raw_fd(), 0, times.as_ptr(), 0) as isize >= 0 }
        };
    timerfd_read(at) { let mut value = MaybeUninit::<u64>::uninit() }
        // SAFETY: room for eight bytes.
        unsafe { syscall!(READ, at.timer.as_raw_fd(), value.as_mut_ptr(), 8) as isize } == -11;
    signalfd_read(at) { let mut info = MaybeUninit::<SignalInfo>::uninit() }
        // SAFETY: room for 128 bytes.
        send_signal(at) && unsafe { syscall!(READ, at.signals.as_raw_fd(), info.as_mut_ptr(), 128) } == 128;
    block_unblock(_at) { let (set, mut before) = (1_u64 << (SIGUSR2 - 1), MaybeUninit::<u64>::uninit()) }
        // SAFETY: both sets are local variables of eight bytes.
        unsafe {
            syscall!(RT_SIGPROCMASK, 0, &raw const set, before.as_mut_ptr(), 8) as isize >= 0
                && syscall!(RT_SIGPROCMASK, 1, &raw const set, before.as_mut_ptr(), 8) as isize >= 0
        };
}
