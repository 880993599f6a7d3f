//! libc's functions, as C programs call them.

use crate::calls::{send_signal, HOUR, SIGUSR2};
use barepoll::fd::AsRawFd;
use std::hint::black_box;
use std::mem::MaybeUninit;

crate::calls::operations! {
    wait(at) { let mut buffer = [const { MaybeUninit::<libc::epoll_event>::uninit() }; 64] }
        // SAFETY: room for 64 events.
        unsafe { libc::epoll_wait(at.epoll.as_raw_fd(), buffer.as_mut_ptr().cast(), 64, 0) } >= 0;
    wait_given(at) { let mut buffer = [const { MaybeUninit::<libc::epoll_event>::uninit() }; 64]; let mut timeout = 0; let _ = black_box(&mut timeout) }
        // SAFETY: room for 64 events.
        unsafe { libc::epoll_wait(at.epoll.as_raw_fd(), buffer.as_mut_ptr().cast(), 64, timeout) } >= 0;
    modify(at) {}
        {
            let mut event = libc::epoll_event { events: 1, u64: 1 };
            // SAFETY: the event is a local variable.
            unsafe { libc::epoll_ctl(at.epoll.as_raw_fd(), libc::EPOLL_CTL_MOD, at.empty.as_raw_fd(), &mut event) >= 0 }
        };
    write(at) {}
        // SAFETY: the pointer is valid for eight bytes.
        unsafe { libc::write(at.full.as_raw_fd(), (&1_u64 as *const u64).cast(), 8) } >= 0;
    read(at) { let mut value = MaybeUninit::<u64>::uninit() }
        // SAFETY: room for eight bytes.
        unsafe { libc::read(at.full.as_raw_fd(), value.as_mut_ptr().cast(), 8) } == 8;
    read_again(at) { let mut value = MaybeUninit::<u64>::uninit() }
        // SAFETY: room for eight bytes. errno belongs to this thread.
        unsafe {
            libc::read(at.empty.as_raw_fd(), value.as_mut_ptr().cast(), 8) < 0 && *libc::__errno_location() == libc::EAGAIN
        };
    create_close(_at) {}
        {
            // SAFETY: the call takes no pointer, and only this loop uses the descriptor.
            unsafe { libc::close(libc::epoll_create1(libc::EPOLL_CLOEXEC)) == 0 }
        };
    timerfd_set(at) {}
        {
            let first = libc::timespec { tv_sec: HOUR.as_secs() as i64, tv_nsec: 0 };
            let times = libc::itimerspec { it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 }, it_value: first };
            // SAFETY: the times are a local variable, and the last pointer may be null.
            unsafe { libc::timerfd_settime(at.timer.as_raw_fd(), 0, &times, std::ptr::null_mut()) == 0 }
        };
    timerfd_read(at) { let mut value = MaybeUninit::<u64>::uninit() }
        // SAFETY: room for eight bytes. errno belongs to this thread.
        unsafe {
            libc::read(at.timer.as_raw_fd(), value.as_mut_ptr().cast(), 8) < 0 && *libc::__errno_location() == libc::EAGAIN
        };
    signalfd_read(at) { let mut info = MaybeUninit::<libc::signalfd_siginfo>::uninit() }
        // SAFETY: room for 128 bytes.
        send_signal(at) && unsafe { libc::read(at.signals.as_raw_fd(), info.as_mut_ptr().cast(), 128) } == 128;
    block_unblock(_at) {
            let (mut set, mut before) = (MaybeUninit::<libc::sigset_t>::uninit(), MaybeUninit::<libc::sigset_t>::uninit());
            // SAFETY: the pointer is valid for writes. `sigemptyset` initialises the set.
            unsafe { libc::sigemptyset(set.as_mut_ptr()); libc::sigaddset(set.as_mut_ptr(), SIGUSR2); }
        }
        // SAFETY: the sets are local variables, and the first is initialised.
        unsafe {
            libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), before.as_mut_ptr()) == 0
                && libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), before.as_mut_ptr()) == 0
        };
}
