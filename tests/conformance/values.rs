//! Values that need no kernel: errors, flags, signal sets, events and timespecs.

use super::reads;
use barepoll::raw::Timespec;
use barepoll::{CreateFlags, Epoll, Errno, Event, EventData, EventFd, EventFdFlags, EventFlags, SigSet};
use core::mem::{align_of, size_of};
use core::time::Duration;

/// The highest signal that the set holds.
const HIGHEST: i32 = size_of::<SigSet>() as i32 * 8;

/// Compiles only for types that threads may share.
fn crosses_threads<T: Send + Sync>(_: &T) {}

/// Compiles only for plain values.
fn is_a_value<T: Copy + Eq + core::hash::Hash + core::fmt::Debug>(value: T) -> bool {
    let copy = value;
    copy == value
}

/// Every named error with its name.
macro_rules! names {
    ($($name:ident)*) => { [$((Errno::$name, stringify!($name))),*] };
}

checks! { by "src/signal.rs: SigSet";
    fn errors_and_owners_are_as_small_as_can_be(host) by "src/errno.rs: Errno" {
        ensure_eq!(size_of::<Result<(), Errno>>(), 2);
        ensure_eq!(size_of::<Option<Errno>>(), 2);
        ensure_eq!(size_of::<Epoll>(), size_of::<i32>());
        ensure_eq!(size_of::<EventFd>(), size_of::<i32>());
    }

    fn an_event_is_data_of_eight_bytes_and_four_more_and_padding(host) by "include/uapi/linux/eventpoll.h: epoll_event" {
        ensure_eq!(size_of::<EventData>(), 8);
        ensure!(matches!((size_of::<Event>(), align_of::<Event>()), (12, 1 | 2 | 4) | (16, 8)));
        ensure_eq!(Event::buffer::<0>().len(), 0);
        ensure_eq!(core::mem::size_of_val(&Event::buffer::<7>()), 7 * size_of::<Event>());
    }

    fn owners_and_events_cross_threads_and_the_rest_are_plain_values(host) by "src/fd.rs: OwnedFd" {
        let event = Event::new(EventFlags::IN, EventData::new_u64(1));
        crosses_threads(&(Epoll::new()?, EventFd::new(0, EventFdFlags::CLOEXEC)?, event, event.data()));
        ensure!(is_a_value(EventFlags::IN) && is_a_value(CreateFlags::CLOEXEC) && is_a_value(EventFdFlags::CLOEXEC));
        ensure!(is_a_value(Errno::EIO) && is_a_value(SigSet::full()) && is_a_value(Timespec::default()));
    }

    fn errno_from_raw_takes_1_to_4095(host) by "include/linux/err.h: MAX_ERRNO" {
        for raw in [i32::MIN, -4095, -22, -1, 0, 4096, 65536, 65536 + 22, i32::MAX] {
            ensure_eq!(Errno::from_raw(raw), None);
        }
        for raw in 1..=4095 {
            ensure_eq!(Errno::from_raw(raw).map(Errno::raw), Some(raw));
        }
    }

    fn the_errors_of_early_unix_have_the_same_numbers_everywhere(host) by "include/uapi/asm-generic/errno-base.h: EPERM, ERANGE" {
        let numbers = [
            (Errno::EPERM, 1), (Errno::ENOENT, 2), (Errno::EINTR, 4), (Errno::EIO, 5), (Errno::EBADF, 9),
            (Errno::EAGAIN, 11), (Errno::ENOMEM, 12), (Errno::EACCES, 13), (Errno::EFAULT, 14), (Errno::EEXIST, 17),
            (Errno::ENODEV, 19), (Errno::EINVAL, 22), (Errno::ENFILE, 23), (Errno::EMFILE, 24), (Errno::ENOTTY, 25),
            (Errno::ENOSPC, 28), (Errno::EPIPE, 32),
        ];
        for (errno, number) in numbers {
            ensure_eq!(errno.raw(), number);
        }
    }

    fn every_named_error_has_a_number_of_its_own(host) by "include/uapi/asm-generic/errno.h: EDEADLK, EHWPOISON" {
        let names = names! {
            EACCES EAGAIN EBADF ECANCELED EDQUOT EEXIST EFAULT EINTR EINVAL EIO ELOOP EMFILE ENFILE ENOBUFS ENODEV
            ENOENT ENOMEM ENOSPC ENOSYS ENOTTY EOPNOTSUPP EOVERFLOW EPERM EPIPE ETIMEDOUT
        };
        for (errno, name) in names {
            ensure_eq!(errno.name(), Some(name));
            ensure_eq!(Errno::from_raw(errno.raw()), Some(errno));
        }
    }

    fn an_error_tells_its_name_meaning_and_number(host) by "src/errno.rs: Errno" {
        ensure_eq!(Errno::EINVAL.name(), Some("EINVAL"));
        ensure_eq!(Errno::ELOOP.name(), Some("ELOOP"));
        ensure_eq!(Errno::ENOSYS.name(), Some("ENOSYS"));
        ensure!(reads(format_args!("{:?}", Errno::EOPNOTSUPP), "EOPNOTSUPP"));
        let expected = "not an open descriptor (EBADF, errno 9)";
        ensure!(reads(format_args!("{}", Errno::EBADF), expected));
    }

    fn an_unknown_error_is_kept_and_shows_its_number(host) by "src/errno.rs: Errno" {
        let unknown = Errno::from_raw(4095).ok_or(Errno::EINVAL)?;
        ensure_eq!(unknown.name(), None);
        ensure!(reads(format_args!("{unknown:?}"), "Errno(4095)"));
        ensure!(reads(format_args!("{unknown}"), "errno 4095"));
    }

    fn event_flags_have_the_bits_of_the_kernel(host) by "include/uapi/linux/eventpoll.h: EPOLLIN, EPOLLET" {
        let bits = [
            (EventFlags::IN, 0x1), (EventFlags::PRI, 0x2), (EventFlags::OUT, 0x4), (EventFlags::ERR, 0x8),
            (EventFlags::HUP, 0x10), (EventFlags::NVAL, 0x20), (EventFlags::RDNORM, 0x40), (EventFlags::RDBAND, 0x80),
            (EventFlags::WRNORM, 0x100), (EventFlags::WRBAND, 0x200), (EventFlags::MSG, 0x400),
            (EventFlags::RDHUP, 0x2000), (EventFlags::URING_WAKE, 1 << 27), (EventFlags::EXCLUSIVE, 1 << 28),
            (EventFlags::WAKEUP, 1 << 29), (EventFlags::ONESHOT, 1 << 30), (EventFlags::ET, 1 << 31),
        ];
        for (flag, bit) in bits {
            ensure_eq!(flag.bits(), bit);
        }
    }

    fn event_flags_keep_and_show_bits_they_have_no_name_for(host) by "src/flags.rs: EventFlags" {
        let unknown = EventFlags::from_bits_retain(1 << 24);
        ensure_eq!(unknown.bits(), 1 << 24);
        ensure_eq!((unknown | EventFlags::IN).bits(), 1 << 24 | 1);
        ensure_eq!(EventFlags::from_bits_truncate(1 << 24), unknown);
        ensure_eq!(Event::new(unknown, EventData::new_u64(0)).flags(), unknown);
        ensure_eq!((!EventFlags::empty()).bits(), u32::MAX);
        let flags = EventFlags::from_bits_retain(1 << 24 | 1);
        ensure!(reads(format_args!("{flags:?}"), "EventFlags(IN | 0x1000000)"));
    }

    fn an_event_gives_back_what_it_was_made_of_and_debug_names_it(host) by "src/event.rs: Event" {
        let event = Event::new(EventFlags::OUT | EventFlags::ET, EventData::new_u64(u64::MAX - 1));
        ensure_eq!(event.flags(), EventFlags::OUT | EventFlags::ET);
        ensure_eq!(event.data().u64(), u64::MAX - 1);
        let event = Event::new(EventFlags::IN | EventFlags::RDHUP, EventData::new_u64(0x2a));
        let expected = "Event { flags: EventFlags(IN | RDHUP), data: EventData(0x2a) }";
        ensure!(reads(format_args!("{event:?}"), expected));
    }

    fn the_empty_set_has_no_signal(host) {
        ensure!((-1..=HIGHEST + 1).all(|signal| !SigSet::empty().contains(signal)));
        ensure_eq!(SigSet::default(), SigSet::empty());
    }

    fn the_full_set_has_64_signals_or_128_and_no_other_number(host) by "include/uapi/asm-generic/signal.h: _NSIG" {
        let full = SigSet::full();
        ensure!((1..=HIGHEST).all(|signal| full.contains(signal)));
        for signal in [i32::MIN, -1, 0, HIGHEST + 1, HIGHEST + 64, i32::MAX] {
            ensure!(!full.contains(signal));
        }
        ensure!(HIGHEST == 64 || HIGHEST == 128);
        ensure_eq!(align_of::<SigSet>(), align_of::<usize>());
    }

    fn inserting_a_signal_inserts_that_one_alone(host) {
        for signal in 1..=HIGHEST {
            let mut set = SigSet::empty();
            set.insert(signal)?;
            ensure!((1..=HIGHEST).all(|other| set.contains(other) == (other == signal)));
        }
    }

    fn removing_a_signal_removes_that_one_alone(host) {
        for signal in 1..=HIGHEST {
            let mut set = SigSet::full();
            set.remove(signal)?;
            ensure!((1..=HIGHEST).all(|other| set.contains(other) == (other != signal)));
        }
    }

    fn sets_combine_signal_by_signal(host) {
        for signal in 1..=HIGHEST {
            let one = SigSet::from_signals(&[signal])?;
            let rest = SigSet::full().difference(one);
            ensure!((1..=HIGHEST).all(|other| one.contains(other) != rest.contains(other)));
            ensure_eq!((one.union(rest), one | rest), (SigSet::full(), SigSet::full()));
            ensure_eq!((one.intersection(rest), one & rest), (SigSet::empty(), SigSet::empty()));
            ensure_eq!((SigSet::full() - rest, one - rest, rest - SigSet::full()), (one, one, SigSet::empty()));
            ensure!(!one.is_empty() && !rest.is_empty() && (one & rest).is_empty());
            let [mut union, mut intersection, mut difference] = [rest, SigSet::full(), SigSet::full()];
            union |= one;
            intersection &= one;
            difference -= one;
            ensure_eq!((union, intersection, difference), (SigSet::full(), one, rest));
        }
    }

    fn a_set_lists_its_signals_from_the_lowest(host) {
        let mut full = SigSet::full().iter();
        for signal in 1..=HIGHEST {
            ensure_eq!(full.len(), (HIGHEST - signal + 1) as usize);
            ensure_eq!(full.next(), Some(signal));
        }
        ensure_eq!((full.next(), full.next(), full.len()), (None, None, 0));
        let set = SigSet::from_signals(&[HIGHEST, 33, 1, 32])?;
        ensure!(set.into_iter().eq([1, 32, 33, HIGHEST]));
        ensure!((&set).into_iter().eq(set.iter()));
    }

    fn collecting_signals_leaves_out_other_numbers(host) {
        let mut set: SigSet = [40, 0, -1, 2, HIGHEST + 1, i32::MIN].into_iter().collect();
        ensure_eq!(set, SigSet::from_signals(&[2, 40])?);
        set.extend([2, 15, i32::MAX]);
        ensure_eq!(set, SigSet::from_signals(&[2, 15, 40])?);
        let of_references: SigSet = [2, 0, 15].iter().collect();
        ensure_eq!(of_references, SigSet::from_signals(&[2, 15])?);
    }

    fn a_number_that_is_no_signal_is_einval(host) {
        for number in [i32::MIN, -1, 0, HIGHEST + 1, i32::MAX] {
            ensure_eq!(SigSet::empty().insert(number), Err(Errno::EINVAL));
            ensure_eq!(SigSet::full().remove(number), Err(Errno::EINVAL));
            ensure_eq!(SigSet::from_signals(&[1, number, 2]), Err(Errno::EINVAL));
        }
    }

    fn debug_of_a_set_lists_its_signals(host) {
        let mut set = SigSet::empty();
        set.insert(40)?;
        set.insert(2)?;
        ensure!(reads(format_args!("{set:?}"), "{2, 40}"));
    }

    fn a_timespec_is_two_64_bit_fields_and_clamps_the_longest_duration(host) by "include/uapi/linux/time_types.h: __kernel_timespec" {
        ensure_eq!(size_of::<Timespec>(), 16);
        let time = Timespec::from(Duration::new(5, 6));
        ensure_eq!((time.tv_sec, time.tv_nsec), (5, 6));
        let expected = Timespec { tv_sec: i64::MAX, tv_nsec: 999_999_999 };
        ensure_eq!(Timespec::from(Duration::MAX), expected);
    }
}
