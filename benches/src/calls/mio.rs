//! The operations that mio has. Only its waker uses its eventfd, and reads it only when it is full.

use barepoll::fd::AsRawFd;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use std::hint::black_box;
use std::time::Duration;

crate::calls::operations! {
    wait(_at) { let (mut poll, mut events) = (Poll::new().unwrap(), Events::with_capacity(64)) }
        poll.poll(&mut events, Some(Duration::ZERO)).is_ok();
    wait_given(_at) { let (mut poll, mut events) = (Poll::new().unwrap(), Events::with_capacity(64)); let mut timeout = Duration::ZERO; let _ = black_box(&mut timeout) }
        poll.poll(&mut events, Some(timeout)).is_ok();
    modify(at) {
            let (poll, fd) = (Poll::new().unwrap(), at.empty.as_raw_fd());
            poll.registry().register(&mut SourceFd(&fd), Token(1), Interest::READABLE).unwrap()
        }
        poll.registry().reregister(&mut SourceFd(&fd), Token(1), Interest::READABLE).is_ok();
    write(_at) { let poll = Poll::new().unwrap(); let waker = Waker::new(poll.registry(), Token(1)).unwrap() }
        waker.wake().is_ok();
    read: none;
    read_again: none;
    create_close(_at) {}
        Poll::new().is_ok();
    timerfd_set: none;
    timerfd_read: none;
    signalfd_read: none;
    block_unblock: none;
}
