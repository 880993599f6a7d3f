//! barepoll's public API.

use crate::calls::{send_signal, HOUR, SIGUSR2};
use barepoll::{Epoll, Errno, Event, EventData, EventFlags, SigSet, SignalInfo, Timeout, TimerSetting};
use std::hint::black_box;
use std::time::Duration;

crate::calls::operations! {
    wait(at) { let mut buffer = Event::buffer::<64>() }
        at.epoll.wait(&mut buffer, Some(Duration::ZERO)).is_ok();
    wait_given(at) { let mut buffer = Event::buffer::<64>(); let mut timeout = Timeout::ZERO; let _ = black_box(&mut timeout) }
        at.epoll.wait(&mut buffer, timeout).is_ok();
    modify(at) {}
        at.epoll.modify(&at.empty, EventData::new_u64(1), EventFlags::IN).is_ok();
    write(at) {}
        at.full.write(1).is_ok();
    read(at) {}
        at.full.read().is_ok();
    read_again(at) {}
        at.empty.read() == Err(Errno::EAGAIN);
    create_close(_at) {}
        Epoll::new().is_ok();
    timerfd_set(at) {}
        at.timer.set(TimerSetting::after(HOUR)).is_ok();
    timerfd_read(at) {}
        at.timer.read() == Err(Errno::EAGAIN);
    signalfd_read(at) { let mut buffer = SignalInfo::buffer::<1>() }
        send_signal(at) && at.signals.read(&mut buffer).is_ok();
    block_unblock(_at) { let set = SigSet::from_signals(&[SIGUSR2]).unwrap() }
        set.block().is_ok() && set.unblock().is_ok();
}
