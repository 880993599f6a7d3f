//! rustix with its default backend. It has neither signalfd nor a public `sigprocmask`. Its
//! `timerfd_settime` also returns the time before.

use crate::calls::HOUR;
use barepoll::fd::AsRawFd;
use rustix::event::{epoll, Timespec};
use rustix::fd::BorrowedFd;
use rustix::io::{self, Errno};
use rustix::time::{timerfd_settime, Itimerspec, TimerfdTimerFlags};
use std::hint::black_box;

fn borrow(fd: &impl AsRawFd) -> BorrowedFd<'_> {
    // SAFETY: the borrow of its owner keeps the descriptor open.
    unsafe { BorrowedFd::borrow_raw(fd.as_raw_fd()) }
}

const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

crate::calls::operations! {
    wait(at) { let mut buffer = [const { std::mem::MaybeUninit::<epoll::Event>::uninit() }; 64] }
        epoll::wait(borrow(&at.epoll), &mut buffer, Some(&NOW)).is_ok();
    wait_given(at) { let mut buffer = [const { std::mem::MaybeUninit::<epoll::Event>::uninit() }; 64]; let mut timeout = NOW; let _ = black_box(&mut timeout) }
        epoll::wait(borrow(&at.epoll), &mut buffer, Some(&timeout)).is_ok();
    modify(at) {}
        epoll::modify(borrow(&at.epoll), borrow(&at.empty), epoll::EventData::new_u64(1), epoll::EventFlags::IN).is_ok();
    write(at) {}
        io::write(borrow(&at.full), &1_u64.to_ne_bytes()).is_ok();
    read(at) { let mut value = [0; 8] }
        io::read(borrow(&at.full), &mut value).is_ok();
    read_again(at) { let mut value = [0; 8] }
        io::read(borrow(&at.empty), &mut value) == Err(Errno::AGAIN);
    create_close(_at) {}
        epoll::create(epoll::CreateFlags::CLOEXEC).is_ok();
    timerfd_set(at) {}
        {
            let times = Itimerspec { it_interval: NOW, it_value: Timespec { tv_sec: HOUR.as_secs() as i64, tv_nsec: 0 } };
            timerfd_settime(borrow(&at.timer), TimerfdTimerFlags::empty(), &times).is_ok()
        };
    timerfd_read(at) { let mut value = [0; 8] }
        io::read(borrow(&at.timer), &mut value) == Err(Errno::AGAIN);
    signalfd_read: none;
    block_unblock: none;
}
