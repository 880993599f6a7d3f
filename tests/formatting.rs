//! `Debug` and `Display` output.

use barepoll::fd::AsRawFd;
use barepoll::{
    Deadline, Epoll, Errno, EventData, EventFd, EventFdFlags, EventFlags, FlushError, InterestSet, Slot, Timeout,
    TimerSlot, Timers, Waker,
};
use std::collections::BTreeSet;
use std::time::Duration;

#[test]
fn an_error_of_a_flush_names_its_descriptor_and_says_why() {
    let error = FlushError { fd: 7, errno: Errno::EPERM };
    assert_eq!(error.to_string(), format!("descriptor 7: {}", Errno::EPERM));
    assert_eq!(format!("{error:?}"), "FlushError { fd: 7, errno: EPERM }");
    assert_eq!(Errno::from(error), Errno::EPERM);
}

#[test]
fn every_error_with_a_name_says_what_it_means() {
    let mut meanings = BTreeSet::new();
    for errno in (1..4096).filter_map(Errno::from_raw) {
        let Some(name) = errno.name() else { continue };
        let text = errno.to_string();
        let meaning = text.strip_suffix(&format!(" ({name}, errno {})", errno.raw())).expect("the name follows");
        assert!(!meaning.is_empty() && meanings.insert(meaning.to_string()), "{text}");
    }
    assert!(meanings.len() > 20);
}

#[test]
fn an_error_without_a_name_is_its_number() {
    let unknown = Errno::from_raw(4000).unwrap();
    assert_eq!((unknown.to_string(), format!("{unknown:?}")), ("errno 4000".into(), "Errno(4000)".into()));
}

#[test]
fn a_set_shows_what_is_wanted() {
    let eventfd = EventFd::new(0, EventFdFlags::CLOEXEC).unwrap();
    let fd = eventfd.as_raw_fd();
    let mut slots = [Slot::EMPTY; 64];
    assert_eq!(format!("{:?}", slots[0]), "Slot { desired: None, .. }");
    let mut set = InterestSet::new(&mut slots);
    assert_eq!(format!("{set:?}"), "{}");
    set.set(&eventfd, EventData::new_u64(1), EventFlags::IN).unwrap();
    let wanted = "Event { flags: EventFlags(IN), data: EventData(0x1) }";
    assert_eq!(format!("{set:?}"), format!("{{{fd}: {wanted}}}"));
    assert_eq!(format!("{:?}", slots[fd as usize]), format!("Slot {{ desired: Some({wanted}), .. }}"));
}

#[test]
fn a_waker_shows_its_descriptor() {
    let waker = Waker::new(&Epoll::new().unwrap(), EventData::new_u64(1)).unwrap();
    assert_eq!(format!("{waker:?}"), format!("Waker {{ fd: {} }}", waker.as_raw_fd()));
}

#[test]
fn a_loop_that_is_awake_shows_its_waker() {
    let waker = Waker::new(&Epoll::new().unwrap(), EventData::new_u64(1)).unwrap();
    assert_eq!(format!("{:?}", waker.awake()), format!("Awake {{ waker: {waker:?}, is_woken: false }}"));
}

#[test]
fn a_timeout_shows_its_time() {
    let shown = |timeout: Option<Duration>| format!("{:?}", Timeout::new(timeout));
    assert_eq!(shown(None), "Timeout::FOREVER");
    assert_eq!(shown(Some(Duration::from_millis(1_500))), "Timeout { seconds: 1, nanos: 500000000 }");
    assert_eq!(shown(Some(Duration::from_nanos(7))), "Timeout { seconds: 0, nanos: 7 }");
}

#[test]
fn timers_show_their_number_and_the_next_deadline() {
    let mut slots = [TimerSlot::EMPTY; 2];
    assert_eq!(format!("{:?}", slots[0]), "TimerSlot { .. }");
    let mut timers = Timers::new(&mut slots);
    assert_eq!(format!("{timers:?}"), "Timers { len: 0, next: None, .. }");
    timers.add(Deadline::ORIGIN + Duration::new(5, 6), EventData::new_u64(1)).unwrap();
    let deadline = "Deadline { seconds: 5, nanos: 6 }";
    assert_eq!(format!("{timers:?}"), format!("Timers {{ len: 1, next: Some({deadline}), .. }}"));
}

#[test]
fn a_clock_shows_its_name_or_number() {
    assert_eq!(format!("{:?}", barepoll::Clock::BOOTTIME), "BOOTTIME");
}

#[test]
fn the_state_of_a_timer_shows_both_times() {
    let shown = format!("{:?}", barepoll::TimerState::default());
    assert!(shown.starts_with("TimerState { remaining: ") && shown.contains("interval: "), "{shown}");
}

#[test]
fn the_signals_of_a_set_show_what_is_left() {
    let mut signals = barepoll::SigSet::from_signals(&[2, 15]).expect("the kernel has them").into_iter();
    signals.next();
    assert_eq!(format!("{signals:?}"), "Signals({15})");
}
