//! The operations that polling has. Its wake-up is `notify`, which makes a system call only if no
//! wake-up is pending. Here the poller handles each wake-up before the next.

use crate::calls::std_fd;
use polling::{Event, Events, PollMode, Poller};
use std::hint::black_box;
use std::time::Duration;

crate::calls::operations! {
    wait(_at) { let (poller, mut events) = (Poller::new().unwrap(), Events::new()) }
        poller.wait(&mut events, Some(Duration::ZERO)).is_ok();
    wait_given(_at) { let (poller, mut events) = (Poller::new().unwrap(), Events::new()); let mut timeout = Duration::ZERO; let _ = black_box(&mut timeout) }
        poller.wait(&mut events, Some(timeout)).is_ok();
    modify(at) {
            let (poller, empty) = (Poller::new().unwrap(), std_fd(&at.empty));
            // SAFETY: the poller is dropped with the descriptor, at the end of this function.
            unsafe { poller.add_with_mode(&empty, Event::readable(1), PollMode::Level) }.unwrap()
        }
        poller.modify_with_mode(&empty, Event::readable(1), PollMode::Level).is_ok();
    write: none;
    read: none;
    read_again: none;
    create_close(_at) {}
        Poller::new().is_ok();
    timerfd_set: none;
    timerfd_read: none;
    signalfd_read: none;
    block_unblock: none;
}
