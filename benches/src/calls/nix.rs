//! nix, a wrapper of libc.

use crate::calls::{send_signal, std_fd, HOUR};
use barepoll::fd::AsRawFd;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::EventFd;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::SignalFd;
use nix::sys::timerfd::{Expiration, TimerFd, TimerSetTimeFlags};
use std::hint::black_box;
use std::os::fd::BorrowedFd;

/// A duplicate, owned by nix's type.
fn eventfd(of: &impl barepoll::fd::AsRawFd) -> EventFd {
    // SAFETY: the descriptor is a duplicate of an eventfd.
    unsafe { EventFd::from_owned_fd(std_fd(of)) }
}

/// The same of a timer.
fn timerfd(of: &impl barepoll::fd::AsRawFd) -> TimerFd {
    // SAFETY: the descriptor is a duplicate of a timer.
    unsafe { TimerFd::from_owned_fd(std_fd(of)) }
}

/// The same of a signalfd.
fn signalfd(of: &impl barepoll::fd::AsRawFd) -> SignalFd {
    // SAFETY: the descriptor is a duplicate of a signalfd.
    unsafe { SignalFd::from_owned_fd(std_fd(of)) }
}

crate::calls::operations! {
    wait(at) { let epoll = Epoll(std_fd(&at.epoll)); let mut buffer = [EpollEvent::empty(); 64] }
        epoll.wait(&mut buffer, EpollTimeout::ZERO).is_ok();
    wait_given(at) { let epoll = Epoll(std_fd(&at.epoll)); let mut buffer = [EpollEvent::empty(); 64]; let mut timeout = EpollTimeout::ZERO; let _ = black_box(&mut timeout) }
        epoll.wait(&mut buffer, timeout).is_ok();
    modify(at) {
            let epoll = Epoll(std_fd(&at.epoll));
            // SAFETY: the borrow of its owner keeps it open. The epoll knows it by this number.
            let empty = unsafe { BorrowedFd::borrow_raw(at.empty.as_raw_fd()) }
        }
        epoll.modify(empty, &mut EpollEvent::new(EpollFlags::EPOLLIN, 1)).is_ok();
    write(at) { let full = eventfd(&at.full) }
        full.write(1).is_ok();
    read(at) { let full = eventfd(&at.full) }
        full.read().is_ok();
    read_again(at) { let empty = eventfd(&at.empty) }
        empty.read() == Err(Errno::EAGAIN);
    create_close(_at) {}
        Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).is_ok();
    timerfd_set(at) { let timer = timerfd(&at.timer) }
        timer.set(Expiration::OneShot(HOUR.into()), TimerSetTimeFlags::empty()).is_ok();
    timerfd_read(at) { let timer = timerfd(&at.timer) }
        timer.wait() == Err(Errno::EAGAIN);
    signalfd_read(at) { let signals = signalfd(&at.signals) }
        send_signal(at) && signals.read_signal().is_ok_and(|info| info.is_some());
    block_unblock(_at) { let set = SigSet::from(Signal::SIGUSR2) }
        set.thread_swap_mask(SigmaskHow::SIG_BLOCK).is_ok() && set.thread_swap_mask(SigmaskHow::SIG_UNBLOCK).is_ok();
}
