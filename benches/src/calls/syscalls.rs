//! The `syscalls` crate, which calls by name and checks the result.

use crate::calls::{send_signal, HOUR, SIGUSR2};
use barepoll::fd::AsRawFd;
use barepoll::{Event, EventData, EventFlags, SignalInfo};
use std::hint::black_box;
use std::mem::MaybeUninit;
use syscalls::{syscall, Errno};

crate::calls::operations! {
    wait(at) { let mut buffer = Event::buffer::<64>() }
        // SAFETY: room for 64 events.
        unsafe { syscall!(syscalls::Sysno::epoll_wait, at.epoll.as_raw_fd(), buffer.as_mut_ptr(), 64, 0) }.is_ok();
    wait_given(at) { let mut buffer = Event::buffer::<64>(); let mut timeout = 0_i32; let _ = black_box(&mut timeout) }
        // SAFETY: room for 64 events.
        unsafe { syscall!(syscalls::Sysno::epoll_wait, at.epoll.as_raw_fd(), buffer.as_mut_ptr(), 64, timeout) }.is_ok();
    modify(at) {}
        {
            let event = Event::new(EventFlags::IN, EventData::new_u64(1));
            let (epoll, empty) = (at.epoll.as_raw_fd(), at.empty.as_raw_fd());
            // SAFETY: the event is a local variable.
            unsafe { syscall!(syscalls::Sysno::epoll_ctl, epoll, 3, empty, &raw const event) }.is_ok()
        };
    write(at) {}
        {
            let add = 1_u64;
            // SAFETY: the pointer is valid for eight bytes.
            unsafe { syscall!(syscalls::Sysno::write, at.full.as_raw_fd(), &raw const add, 8) }.is_ok()
        };
    read(at) { let mut value = MaybeUninit::<u64>::uninit() }
        // SAFETY: room for eight bytes.
        unsafe { syscall!(syscalls::Sysno::read, at.full.as_raw_fd(), value.as_mut_ptr(), 8) }.is_ok();
    read_again(at) { let mut value = MaybeUninit::<u64>::uninit() }
        // SAFETY: room for eight bytes.
        unsafe { syscall!(syscalls::Sysno::read, at.empty.as_raw_fd(), value.as_mut_ptr(), 8) } == Err(Errno::EAGAIN);
    create_close(_at) {}
        {
            // SAFETY: the call takes no pointer, and only this loop uses the descriptor.
            unsafe { syscall!(syscalls::Sysno::epoll_create1, 0x80000).and_then(|fd| syscall!(syscalls::Sysno::close, fd)) }
                .is_ok()
        };
    timerfd_set(at) {}
        {
            let times = [0, 0, HOUR.as_secs(), 0];
            // SAFETY: the times are a local variable, and the last pointer may be null.
            unsafe { syscall!(syscalls::Sysno::timerfd_settime, at.timer.as_raw_fd(), 0, times.as_ptr(), 0) }.is_ok()
        };
    timerfd_read(at) { let mut value = MaybeUninit::<u64>::uninit() }
        // SAFETY: room for eight bytes.
        unsafe { syscall!(syscalls::Sysno::read, at.timer.as_raw_fd(), value.as_mut_ptr(), 8) } == Err(Errno::EAGAIN);
    signalfd_read(at) { let mut info = MaybeUninit::<SignalInfo>::uninit() }
        // SAFETY: room for 128 bytes.
        send_signal(at) && unsafe { syscall!(syscalls::Sysno::read, at.signals.as_raw_fd(), info.as_mut_ptr(), 128) }.is_ok();
    block_unblock(_at) { let (set, mut before) = (1_u64 << (SIGUSR2 - 1), MaybeUninit::<u64>::uninit()) }
        // SAFETY: both sets are local variables of eight bytes.
        unsafe {
            syscall!(syscalls::Sysno::rt_sigprocmask, 0, &raw const set, before.as_mut_ptr(), 8).is_ok()
                && syscall!(syscalls::Sysno::rt_sigprocmask, 1, &raw const set, before.as_mut_ptr(), 8).is_ok()
        };
}
