//! Properties of all values, tried with random values that favour the edges.
#![allow(clippy::incompatible_msrv)] // the minimum Rust version is the library's; tests use the current one

#[path = "support/cases.rs"]
mod cases;
/// The private part of `src/timeout.rs`: the choice of a call and its rounding, without calls.
#[path = "../src/timeout.rs"]
#[allow(dead_code)] // the timers use the rest
mod timeout;

use barepoll::fd::AsRawFd;
use barepoll::{CreateFlags, Epoll, Errno, Event, EventData, EventFd, EventFdFlags, EventFlags, SigSet};
use cases::cases;
use core::ffi::c_void;
use core::mem::size_of;
use core::ptr;
use core::time::Duration;
use proptest::prelude::*;
use std::collections::HashSet;
use std::time::Instant;
use timeout::{ceil_ms, Form, Timespec};

// Values.

proptest! {
    #![proptest_config(cases(4096))]

    #[test]
    fn every_bit_of_every_flags_type_is_kept(bits: u32) {
        prop_assert_eq!(EventFlags::from_bits_retain(bits).bits(), bits);
        prop_assert_eq!(CreateFlags::from_bits_retain(bits).bits(), bits);
        prop_assert_eq!(EventFdFlags::from_bits_retain(bits).bits(), bits);
        // No bit is invalid, because the kernel may define more.
        prop_assert_eq!(EventFlags::from_bits(bits), Some(EventFlags::from_bits_retain(bits)));
        prop_assert_eq!(EventFlags::from_bits_truncate(bits).bits(), bits);
    }

    #[test]
    fn an_event_gives_back_its_flags_and_its_data(flags: u32, data: u64) {
        let event = Event::new(EventFlags::from_bits_retain(flags), EventData::new_u64(data));
        prop_assert_eq!((event.flags().bits(), event.data().u64()), (flags, data));
    }

    #[test]
    fn event_data_gives_back_what_it_was_made_of(eight: u64, four: u32, fd: i32, address: usize) {
        let pointer = address as *mut c_void;
        prop_assert_eq!(EventData::new_u64(eight).u64(), eight);
        prop_assert_eq!(EventData::new_u32(four).u32(), four);
        prop_assert_eq!(EventData::new_fd(fd).fd(), fd);
        prop_assert_eq!(EventData::new_ptr(pointer).ptr(), pointer);
    }

    #[test]
    fn an_errno_exists_exactly_from_1_to_4095(raw in errno_number()) {
        let errno = Errno::from_raw(raw);
        prop_assert_eq!(errno.is_some(), (1..=4095).contains(&raw));
        if let Some(errno) = errno {
            prop_assert_eq!(errno.raw(), raw);
            prop_assert_eq!(Errno::from_raw(errno.raw()), Some(errno));
            prop_assert!(errno.to_string().contains(&raw.to_string()));
        }
    }
}

/// Any number. Half are near the edges, also of a number truncated to 16 bits.
fn errno_number() -> impl Strategy<Value = i32> {
    let edge = prop::sample::select(vec![0, 1, 4095, -4095, 0xffff, 0x1_0000, 0x1_0000 + 4095, i32::MIN, i32::MAX]);
    prop_oneof![any::<i32>(), (edge, -2..=2).prop_map(|(edge, by): (i32, i32)| edge.wrapping_add(by)), 1..=4095]
}

#[test]
fn no_errno_is_made_of_a_number_outside_1_to_4095() {
    for raw in -0x2_0000..0x2_0000 {
        assert_eq!(Errno::from_raw(raw).map(Errno::raw), Some(raw).filter(|raw| (1..=4095).contains(raw)));
    }
}

// Signal sets, compared with a set of numbers and with libc's.

const SIGNALS: i32 = size_of::<SigSet>() as i32 * 8;

#[derive(Copy, Clone, Debug)]
enum Change {
    Insert(i32),
    Remove(i32),
}

fn change() -> impl Strategy<Value = Change> {
    let signal = prop_oneof![4 => -1..=SIGNALS + 1, 2 => 1..=4, 1 => any::<i32>()];
    (any::<bool>(), signal)
        .prop_map(|(insert, signal)| if insert { Change::Insert(signal) } else { Change::Remove(signal) })
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn a_signal_set_is_a_set_of_the_signals_there_are(full: bool, changes in prop::collection::vec(change(), 0..200)) {
        let mut set = if full { SigSet::full() } else { SigSet::empty() };
        let mut model: HashSet<i32> = if full { (1..=SIGNALS).collect() } else { HashSet::new() };
        for change in changes {
            let (answer, signal) = match change {
                Change::Insert(signal) => (set.insert(signal), signal),
                Change::Remove(signal) => (set.remove(signal), signal),
            };
            if !(1..=SIGNALS).contains(&signal) {
                prop_assert_eq!(answer, Err(Errno::EINVAL));
            } else {
                prop_assert_eq!(answer, Ok(()));
                match change {
                    Change::Insert(_) => model.insert(signal),
                    Change::Remove(_) => model.remove(&signal),
                };
            }
            prop_assert_eq!(set.contains(signal), model.contains(&signal));
        }
        for signal in (-2..=SIGNALS + 2).chain([i32::MIN, i32::MAX]) {
            prop_assert_eq!(set.contains(signal), model.contains(&signal), "{}", signal);
        }
        prop_assert_eq!(set == SigSet::empty(), model.is_empty());
        prop_assert_eq!(set == SigSet::full(), model.len() == SIGNALS as usize);
    }
}

/// The kernel never masks the first two, libc reserves the next three, and emulators the last ones.
fn is_reserved(signal: i32) -> bool {
    [libc::SIGKILL, libc::SIGSTOP].contains(&signal) || (32..=34).contains(&signal) || signal > 60
}

/// Sets this thread's mask through the kernel's call, and reads it through libc.
fn blocked_according_to_libc(set: &SigSet) -> HashSet<i32> {
    let none = ptr::null_mut::<c_void>();
    // SAFETY: the set is readable, with the kernel's size. libc's set is initialised before it is
    // read.
    unsafe {
        let size = size_of::<SigSet>();
        assert_eq!(libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, ptr::from_ref(set), none, size), 0);
        let mut found = core::mem::zeroed();
        assert_eq!(libc::pthread_sigmask(libc::SIG_SETMASK, ptr::null(), &mut found), 0);
        (1..64).filter(|signal| libc::sigismember(&found, *signal) == 1).collect()
    }
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn the_kernel_finds_in_a_signal_set_what_libc_finds(signals in prop::collection::hash_set(1..64, 0..40)) {
        let signals: HashSet<i32> = signals.into_iter().filter(|signal| !is_reserved(*signal)).collect();
        let mut set = SigSet::empty();
        for signal in &signals {
            set.insert(*signal).expect("a signal");
        }
        // The thread's mask ends with it.
        let found = std::thread::spawn(move || blocked_according_to_libc(&set)).join().expect("no panic");
        prop_assert_eq!(found, signals);
    }
}

// Timeouts.

const NANOS_PER_MS: u128 = 1_000_000;
const MOST: u128 = i32::MAX as u128 * NANOS_PER_MS;

/// Any duration. Most are within two milliseconds of a threshold.
fn duration() -> impl Strategy<Value = Duration> {
    let second = 1_000_000_000;
    let edges = vec![
        0,
        NANOS_PER_MS,
        second,
        i32::MAX as u128 / 1000 * second,
        MOST,
        u32::MAX as u128 * NANOS_PER_MS,
        (u32::MAX as u128 + 1) / 1000 * second,
        i32::MAX as u128 * second,
        u32::MAX as u128 * second,
        u64::MAX as u128,
        i64::MAX as u128 * second,
        u64::MAX as u128 * second,
        Duration::MAX.as_nanos(),
    ];
    let by = prop_oneof![
        Just(0),
        prop::sample::select(vec![1, 999_999, 1_000_000, 1_000_001, 999_999_999, 1_000_000_000]),
        0..2_000_001i128
    ];
    let near = (prop::sample::select(edges), by, any::<bool>());
    prop_oneof![
        4 => near.prop_map(|(edge, by, less)| from_nanos(edge as i128 + if less { -by } else { by })),
        2 => (0..=i32::MAX as u64 + 10_000).prop_map(Duration::from_millis),
        1 => (0..100_000_000u64).prop_map(Duration::from_nanos),
        1 => (any::<u64>(), 0..1_000_000_000u32).prop_map(|(seconds, nanos)| Duration::new(seconds, nanos)),
    ]
}

/// The duration of this many nanoseconds, or the nearest one.
fn from_nanos(nanos: i128) -> Duration {
    let nanos = (nanos.max(0) as u128).min(Duration::MAX.as_nanos());
    Duration::new((nanos / 1_000_000_000) as u64, (nanos % 1_000_000_000) as u32)
}

proptest! {
    #![proptest_config(cases(20_000))]

    #[test]
    fn rounding_is_never_early_and_less_than_a_millisecond_late(duration in duration()) {
        let (asked, given) = (duration.as_nanos(), ceil_ms(duration.into()));
        prop_assert!(given >= 0);
        if asked > MOST {
            prop_assert_eq!(given, i32::MAX);
        } else {
            let given = given as u128 * NANOS_PER_MS;
            prop_assert!(given >= asked, "early by {} ns", asked - given);
            prop_assert!(given - asked < NANOS_PER_MS, "late by {} ns", given - asked);
        }
        prop_assert_eq!(given == 0, duration == Duration::ZERO);
    }

    #[test]
    fn exactly_whole_milliseconds_up_to_the_largest_are_asked_for_as_such(duration in duration()) {
        let nanos = duration.as_nanos();
        let expected = if nanos % NANOS_PER_MS == 0 && nanos <= MOST {
            Form::Millis((nanos / NANOS_PER_MS) as i32)
        } else {
            Form::Timespec(duration.into())
        };
        prop_assert_eq!(Form::new(Some(duration)), expected);
        prop_assert_eq!(expected.timespec(), Timespec::from(duration));
    }

    #[test]
    fn what_remains_is_asked_for_as_the_whole_was(whole in duration(), part in 0.0..=1.0) {
        let remaining = from_nanos((whole.as_nanos() as f64 * part) as i128).min(whole);
        let (first, rest) = (Form::new(Some(whole)), Form::new(Some(whole)).with_remaining(remaining.into()));
        match (first, rest) {
            (Form::Millis(first), Form::Millis(rest)) => {
                prop_assert_eq!(rest, ceil_ms(remaining.into()));
                prop_assert!(rest <= first && rest as u128 * NANOS_PER_MS >= remaining.as_nanos());
            }
            (Form::Timespec(_), Form::Timespec(rest)) => prop_assert_eq!(rest, Timespec::from(remaining)),
            _ => prop_assert!(false, "{:?} became {:?}", first, rest),
        }
    }

    #[test]
    fn what_is_left_of_a_timeout_is_the_difference_and_never_negative(timeout in duration(), passed in duration()) {
        let most = Duration::new(i64::MAX as u64, 999_999_999);
        let (timeout, passed) = (timeout.min(most), passed.min(most));
        prop_assert_eq!(Timespec::from(timeout).saturating_sub(passed.into()), timeout.saturating_sub(passed).into());
    }

    #[test]
    fn a_timespec_is_its_duration_with_seconds_that_fit(duration in duration()) {
        let timespec = Timespec::from(duration);
        prop_assert_eq!(timespec.tv_sec as u64, duration.as_secs().min(i64::MAX as u64));
        prop_assert_eq!(timespec.tv_nsec, i64::from(duration.subsec_nanos()));
        let public = barepoll::raw::Timespec::from(duration);
        prop_assert_eq!((public.tv_sec, public.tv_nsec), (timespec.tv_sec, timespec.tv_nsec));
    }
}

#[test]
fn no_timeout_is_for_ever() {
    assert_eq!(Form::new(None), Form::Millis(-1));
}

#[test]
fn the_largest_whole_timeout_is_the_largest_that_the_kernel_takes() {
    let largest = Duration::from_millis(i32::MAX as u64);
    assert_eq!(Form::new(Some(largest)), Form::Millis(i32::MAX));
    let (finer, longer) = (largest - Duration::from_nanos(1), largest + Duration::from_millis(1));
    assert_eq!(Form::new(Some(finer)), Form::Timespec(finer.into()));
    assert_eq!(Form::new(Some(longer)), Form::Timespec(longer.into()));
    assert_eq!([finer, largest, longer, Duration::MAX].map(|longest| ceil_ms(longest.into())), [i32::MAX; 4]);
}

// Through the kernel.

/// One of the four kinds of data.
#[derive(Copy, Clone, Debug)]
enum Data {
    Eight(u64),
    Four(u32),
    Fd(i32),
    Address(usize),
}

impl Data {
    fn given(self) -> EventData {
        match self {
            Self::Eight(value) => EventData::new_u64(value),
            Self::Four(value) => EventData::new_u32(value),
            Self::Fd(value) => EventData::new_fd(value),
            Self::Address(value) => EventData::new_ptr(value as *mut c_void),
        }
    }

    fn is(self, data: EventData) -> bool {
        match self {
            Self::Eight(value) => data.u64() == value,
            Self::Four(value) => data.u32() == value,
            Self::Fd(value) => data.fd() == value,
            Self::Address(value) => data.ptr() as usize == value,
        }
    }
}

fn data() -> impl Strategy<Value = Data> {
    prop_oneof![
        any::<u64>().prop_map(Data::Eight),
        any::<u32>().prop_map(Data::Four),
        any::<i32>().prop_map(Data::Fd),
        any::<usize>().prop_map(Data::Address)
    ]
}

fn eventfd(initial: u32) -> EventFd {
    EventFd::new(initial, EventFdFlags::CLOEXEC | EventFdFlags::NONBLOCK).expect("an eventfd")
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn data_comes_back_from_the_kernel_as_it_was_made(all in prop::collection::vec(data(), 1..9), modified: bool) {
        let epoll = Epoll::new().expect("an epoll");
        let sources: Vec<_> = all.iter().map(|data| (*data, eventfd(1))).collect();
        for (data, source) in &sources {
            let first = if modified { EventData::new_u64(0) } else { data.given() };
            prop_assert_eq!(epoll.add(source, first, EventFlags::IN | EventFlags::OUT), Ok(()));
            if modified {
                prop_assert_eq!(epoll.modify(source, data.given(), EventFlags::IN | EventFlags::OUT), Ok(()));
            }
        }
        let mut buffer = Event::buffer::<9>();
        let events = epoll.wait(&mut buffer, Some(Duration::ZERO)).expect("a wait");
        prop_assert_eq!(events.len(), sources.len());
        // Events arrive in the order in which they became ready.
        for (event, (data, _)) in events.iter().zip(&sources) {
            prop_assert!(data.is(event.data()), "{:?} is not {:?}", event, data);
            prop_assert_eq!(event.data().u64(), data.given().u64(), "all eight bytes");
            prop_assert_eq!(event.flags(), EventFlags::IN | EventFlags::OUT);
        }
    }

    #[test]
    fn an_eventfd_gives_back_the_sum_of_what_was_added(initial: u32, added in prop::collection::vec(0..1u64 << 60, 0..8)) {
        let eventfd = eventfd(initial);
        let mut sum = u64::from(initial);
        for add in added {
            prop_assert_eq!(eventfd.write(add), Ok(()));
            sum += add;
        }
        prop_assert_eq!(eventfd.read(), if sum == 0 { Err(Errno::EAGAIN) } else { Ok(sum) });
    }
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn a_wait_for_nothing_is_never_early(nanos in prop_oneof![0..3_000_000u64, (0..4u64).prop_map(|ms| ms * 1_000_000)]) {
        let epoll = Epoll::new().expect("an epoll");
        let silent = eventfd(0);
        epoll.add(&silent, EventData::new_fd(silent.as_raw_fd()), EventFlags::IN).expect("added");
        let timeout = Duration::from_nanos(nanos);
        let mut buffer = Event::buffer::<1>();

        let start = Instant::now();
        prop_assert!(epoll.wait(&mut buffer, Some(timeout)).expect("a wait").is_empty());
        prop_assert!(start.elapsed() >= timeout, "wait: {:?}", start.elapsed());

        let start = Instant::now();
        prop_assert!(epoll.wait_masked(&mut buffer, Some(timeout), &SigSet::full()).expect("a wait").is_empty());
        prop_assert!(start.elapsed() >= timeout, "wait_masked: {:?}", start.elapsed());

        let start = Instant::now();
        prop_assert!(epoll.wait_uninterrupted(&mut buffer, Some(timeout)).expect("a wait").is_empty());
        prop_assert!(start.elapsed() >= timeout, "wait_uninterrupted: {:?}", start.elapsed());
    }
}
