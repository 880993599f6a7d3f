//! `InterestSet`: pending changes, and the calls that a flush makes.
//!
//! To see whether the set made a call, the checks delete a registration behind the set's back. A
//! call for that descriptor registers it again.

use super::{closed_number, counter, ready, Outcome, NOTHING};
use barepoll::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, RawFd};
use barepoll::{raw, Epoll, Errno, Event, EventData, EventFd, EventFlags, FlushError, InterestSet, Slot};
use core::time::Duration;

const IN: EventFlags = EventFlags::IN;
const OUT: EventFlags = EventFlags::OUT;
const ET: EventFlags = EventFlags::ET;
const ONESHOT: EventFlags = EventFlags::ONESHOT;
const EXCLUSIVE: EventFlags = EventFlags::EXCLUSIVE;
const ONE: EventData = EventData::new_u64(1);
const TWO: EventData = EventData::new_u64(2);
const THREE: EventData = EventData::new_u64(3);

/// More slots than any check needs.
const ROOM: usize = 64;

/// Registers a ready counter through the set, deletes it behind the set's back, then changes it in
/// the set. Returns the epoll's events: none if the set made no call.
fn events_after(
    interest: EventFlags,
    change: fn(&mut InterestSet<'_>, &EventFd) -> Outcome,
) -> Result<super::Ready, super::Failure> {
    let mut slots = [Slot::EMPTY; ROOM];
    let (epoll, eventfd, mut set) = (Epoll::new()?, counter(1)?, InterestSet::new(&mut slots));
    set.set(&eventfd, ONE, interest)?;
    flush(&mut set, &epoll)?;
    epoll.delete(&eventfd)?;
    change(&mut set, &eventfd)?;
    flush(&mut set, &epoll)?;
    Ok(ready(&epoll)?)
}

fn flush(set: &mut InterestSet<'_>, epoll: &Epoll) -> Result<(), Errno> {
    Ok(set.flush(epoll)?)
}

/// Whether a descriptor is registered.
fn is_registered(epoll: &Epoll, source: impl AsFd) -> Result<bool, Errno> {
    match epoll.add(source, TWO, EventFlags::empty()) {
        Ok(()) => Ok(false),
        Err(Errno::EEXIST) => Ok(true),
        Err(errno) => Err(errno),
    }
}

/// The data of two ready events, in the kernel's order.
fn in_order(epoll: &Epoll) -> Result<[u64; 2], Errno> {
    let mut data = [0; 2];
    for (data, event) in data.iter_mut().zip(epoll.wait(&mut Event::buffer::<2>(), Some(Duration::ZERO))?) {
        *data = event.data().u64();
    }
    Ok(data)
}

/// Passes a number as a descriptor.
fn number(fd: RawFd) -> BorrowedFd<'static> {
    // SAFETY: the set only stores the number. It makes no call for it unless the check opens it.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

checks! { by "src/interest.rs: InterestSet";
    fn nothing_is_told_before_the_flush(host) {
        let mut slots = [Slot::EMPTY; ROOM];
        let (epoll, eventfd, mut set) = (Epoll::new()?, counter(1)?, InterestSet::new(&mut slots));
        set.set(&eventfd, ONE, IN)?;
        ensure_eq!(ready(&epoll)?, NOTHING);
        flush(&mut set, &epoll)?;
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
        set.remove(&eventfd)?;
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
        flush(&mut set, &epoll)?;
        ensure_eq!(ready(&epoll)?, NOTHING);
        ensure!(!is_registered(&epoll, &eventfd)?);
    }

    fn of_several_changes_the_last_counts(host) {
        let mut slots = [Slot::EMPTY; ROOM];
        let (epoll, eventfd, mut set) = (Epoll::new()?, counter(1)?, InterestSet::new(&mut slots));
        set.set(&eventfd, ONE, IN)?;
        set.set(&eventfd, TWO, OUT)?;
        flush(&mut set, &epoll)?;
        ensure_eq!(ready(&epoll)?, [(2, OUT)]);
        set.remove(&eventfd)?;
        set.set(&eventfd, ONE, OUT)?;
        set.set(&eventfd, ONE, IN | OUT)?;
        flush(&mut set, &epoll)?;
        ensure_eq!(ready(&epoll)?, [(1, IN | OUT)]);
    }

    fn what_is_new_and_removed_is_no_call(host) {
        let mut slots = [Slot::EMPTY; ROOM];
        let (epoll, directory, mut set) = (Epoll::new()?, host.root_directory()?, InterestSet::new(&mut slots));
        set.set(&directory, ONE, IN)?; // a call would be EPERM
        set.remove(&directory)?;
        ensure_eq!(set.flush(&epoll), Ok(()));
        set.remove(&directory)?;
        ensure_eq!(set.flush(&epoll), Ok(()));
    }

    fn a_needless_change_is_no_call(host) {
        ensure_eq!(events_after(IN, |set, eventfd| Ok(set.set(eventfd, ONE, IN)?))?, NOTHING);
        ensure_eq!(events_after(EXCLUSIVE | IN, |set, eventfd| Ok(set.set(eventfd, ONE, EXCLUSIVE | IN)?))?, NOTHING);
        let there_and_back = |set: &mut InterestSet<'_>, eventfd: &EventFd| {
            set.set(eventfd, TWO, OUT | ET)?;
            Ok(set.set(eventfd, ONE, IN)?)
        };
        ensure_eq!(events_after(IN, there_and_back)?, NOTHING);
    }

    fn another_interest_or_other_data_is_told(host) {
        ensure_eq!(events_after(IN, |set, eventfd| Ok(set.set(eventfd, ONE, OUT)?))?, [(1, OUT)]);
        ensure_eq!(events_after(IN, |set, eventfd| Ok(set.set(eventfd, TWO, IN)?))?, [(2, IN)]);
        let high = |set: &mut InterestSet<'_>, eventfd: &EventFd| Ok(set.set(eventfd, EventData::new_u64(1 | 1 << 63), IN)?);
        ensure_eq!(events_after(IN, high)?, [(1 | 1 << 63, IN)]);
        // A modify keeps the descriptor's place before another.
        let mut slots = [Slot::EMPTY; ROOM];
        let (epoll, mut set, first, second) = (Epoll::new()?, InterestSet::new(&mut slots), counter(1)?, counter(1)?);
        for (source, data) in [(&first, ONE), (&second, TWO), (&first, THREE)] {
            set.set(source, data, IN)?;
            flush(&mut set, &epoll)?;
        }
        ensure_eq!(in_order(&epoll)?, [3, 2]);
    }

    fn a_re_arm_is_told_though_nothing_differs(host) {
        let mut slots = [Slot::EMPTY; ROOM];
        for interest in [IN | ET, IN | ONESHOT, IN | ET | ONESHOT] {
            let (epoll, eventfd, mut set) = (Epoll::new()?, counter(1)?, InterestSet::new(&mut slots));
            for _ in 0..3 {
                set.set(&eventfd, ONE, interest)?;
                flush(&mut set, &epoll)?;
                ensure_eq!(ready(&epoll)?, [(1, IN)]);
                ensure_eq!(ready(&epoll)?, NOTHING);
                flush(&mut set, &epoll)?;
                ensure_eq!(ready(&epoll)?, NOTHING);
            }
        }
    }

    fn a_re_arm_of_an_exclusive_one_is_told(host) {
        let mut slots = [Slot::EMPTY; ROOM];
        let (epoll, eventfd, mut set) = (Epoll::new()?, counter(1)?, InterestSet::new(&mut slots));
        for _ in 0..3 {
            set.set(&eventfd, ONE, IN | ET | EXCLUSIVE)?;
            flush(&mut set, &epoll)?;
            ensure_eq!(ready(&epoll)?, [(1, IN)]);
            ensure_eq!(ready(&epoll)?, NOTHING);
        }
    }

    fn exclusive_comes_and_goes(host) {
        let mut slots = [Slot::EMPTY; ROOM];
        let (epoll, eventfd, mut set) = (Epoll::new()?, counter(1)?, InterestSet::new(&mut slots));
        for interest in [IN, IN | EXCLUSIVE, OUT | EXCLUSIVE, OUT, IN | EXCLUSIVE, IN] {
            set.set(&eventfd, ONE, interest)?;
            flush(&mut set, &epoll)?;
            ensure_eq!(ready(&epoll)?, [(1, interest - EXCLUSIVE)]);
            let is_exclusive = epoll.modify(&eventfd, ONE, interest - EXCLUSIVE) == Err(Errno::EINVAL);
            ensure_eq!(is_exclusive, interest.contains(EXCLUSIVE));
        }
    }

    fn what_was_removed_and_set_is_told_though_nothing_differs(host) {
        let again = |set: &mut InterestSet<'_>, eventfd: &EventFd| {
            set.remove(eventfd)?;
            Ok(set.set(eventfd, ONE, IN)?)
        };
        ensure_eq!(events_after(IN, again)?, [(1, IN)]);
    }

    fn a_number_in_use_again_after_a_removal_is_watched(host) {
        let mut slots = [Slot::EMPTY; ROOM];
        let (epoll, eventfd, mut set) = (Epoll::new()?, counter(1)?, InterestSet::new(&mut slots));
        set.set(&eventfd, ONE, IN)?;
        flush(&mut set, &epoll)?;
        set.remove(&eventfd)?;
        let fd = eventfd.as_raw_fd();
        drop(eventfd);
        let another = counter(1)?;
        ensure_eq!(another.as_raw_fd(), fd);
        set.set(&another, ONE, IN)?;
        flush(&mut set, &epoll)?;
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
    }

    fn a_number_in_use_again_after_closed_is_watched(host) {
        let mut slots = [Slot::EMPTY; ROOM];
        let (epoll, eventfd, mut set) = (Epoll::new()?, counter(1)?, InterestSet::new(&mut slots));
        set.set(&eventfd, ONE, IN)?;
        flush(&mut set, &epoll)?;
        let fd = eventfd.as_raw_fd();
        drop(eventfd);
        set.forget(fd);
        let another = counter(1)?;
        ensure_eq!(another.as_raw_fd(), fd);
        set.set(&another, ONE, IN)?;
        flush(&mut set, &epoll)?;
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
    }

    fn forget_drops_pending_changes(host) {
        let mut slots = [Slot::EMPTY; ROOM];
        let (epoll, mut set) = (Epoll::new()?, InterestSet::new(&mut slots));
        let (first, second) = (counter(1)?, counter(1)?);
        set.set(&first, ONE, IN)?;
        set.set(&second, TWO, IN)?;
        let fd = first.as_raw_fd();
        drop(first);
        set.forget(fd); // a call would be EBADF
        ensure_eq!(set.flush(&epoll), Ok(()));
        ensure_eq!(ready(&epoll)?, [(2, IN)]);
        // Forgetting a number between two others keeps their changes, and those of its next file.
        let another = counter(1)?;
        ensure_eq!(another.as_raw_fd(), fd);
        let third = counter(1)?;
        set.set(&second, ONE, IN)?;
        set.set(&another, THREE, IN)?;
        set.set(&third, TWO, IN)?;
        drop(another);
        set.forget(fd);
        let last = counter(1)?;
        set.set(&last, THREE, IN)?;
        ensure_eq!(set.flush(&epoll), Ok(()));
        ensure_eq!(ready(&epoll)?, [(1, IN), (2, IN), (3, IN)]);
        drop((second, third, last));
        set.forget(-1);
        set.forget(RawFd::MAX);
        ensure_eq!(set.flush(&epoll), Ok(()));
    }

    fn the_removal_of_what_is_closed_is_no_error(host) {
        let mut slots = [Slot::EMPTY; ROOM];
        let (epoll, mut set) = (Epoll::new()?, InterestSet::new(&mut slots));
        // The number is free, another counter's, a directory's, and that of the epoll itself.
        for use_again in 0..4 {
            let eventfd = counter(1)?;
            set.set(&eventfd, ONE, IN)?;
            flush(&mut set, &epoll)?;
            set.remove(&eventfd)?;
            let fd = eventfd.as_raw_fd();
            drop(eventfd);
            let again = match use_again {
                0 => None,
                1 => Some(counter(1)?.into()),
                2 => Some(host.root_directory()?),
                _ => Some(host.duplicate(epoll.as_fd())?),
            };
            ensure!(again.iter().all(|again: &barepoll::fd::OwnedFd| again.as_raw_fd() == fd));
            ensure_eq!(set.flush(&epoll), Ok(()));
            ensure_eq!(ready(&epoll)?, NOTHING);
        }
    }

    fn what_is_registered_already_is_modified(host) {
        let mut slots = [Slot::EMPTY; ROOM];
        let (epoll, eventfd, mut set) = (Epoll::new()?, counter(1)?, InterestSet::new(&mut slots));
        for (before, interest) in [(OUT, IN), (OUT, IN | EXCLUSIVE), (OUT | EXCLUSIVE, IN), (OUT | EXCLUSIVE, IN | EXCLUSIVE)] {
            epoll.add(&eventfd, TWO, before)?;
            set.set(&eventfd, ONE, interest)?;
            flush(&mut set, &epoll)?;
            ensure_eq!(ready(&epoll)?, [(1, IN)]);
            set.remove(&eventfd)?;
            flush(&mut set, &epoll)?;
        }
        // The descriptor also keeps its place.
        let another = counter(1)?;
        epoll.add(&eventfd, TWO, OUT)?;
        epoll.add(&another, THREE, IN)?;
        set.set(&eventfd, ONE, IN)?;
        flush(&mut set, &epoll)?;
        ensure_eq!(in_order(&epoll)?, [1, 3]);
    }

    fn a_descriptor_beyond_the_storage_is_einval(host) {
        let eventfd = counter(1)?;
        let room = eventfd.as_raw_fd() as usize;
        let mut slots = [Slot::EMPTY; ROOM];
        let (epoll, mut set) = (Epoll::new()?, InterestSet::new(&mut slots[..room]));
        ensure_eq!(set.set(&eventfd, ONE, IN), Err(Errno::EINVAL));
        ensure_eq!(set.remove(&eventfd), Err(Errno::EINVAL));
        set.forget(eventfd.as_raw_fd());
        ensure_eq!(set.flush(&epoll), Ok(()));
        ensure_eq!(ready(&epoll)?, NOTHING);
        let mut set = InterestSet::new(&mut slots[..room + 1]);
        ensure_eq!(set.set(&eventfd, ONE, IN), Ok(()));
        let mut set = InterestSet::new(&mut []);
        ensure_eq!(set.set(&eventfd, ONE, IN), Err(Errno::EINVAL));
    }

    fn an_error_names_its_descriptor_and_the_others_stay_to_be_told(host) {
        let mut slots = [Slot::EMPTY; ROOM];
        let (epoll, directory, mut set) = (Epoll::new()?, host.root_directory()?, InterestSet::new(&mut slots));
        let counters = [counter(1)?, counter(1)?];
        set.set(&counters[0], ONE, IN)?;
        set.set(&directory, ONE, IN)?;
        set.set(&epoll, ONE, IN)?;
        set.set(&counters[1], TWO, IN)?;
        let mut refused = [set.flush(&epoll), set.flush(&epoll)];
        refused.sort_unstable_by_key(|refused| refused.map_or_else(|error| error.errno.raw(), |()| 0));
        ensure_eq!(refused[0], Err(FlushError { fd: directory.as_raw_fd(), errno: Errno::EPERM }));
        ensure_eq!(refused[1], Err(FlushError { fd: epoll.as_raw_fd(), errno: Errno::EINVAL }));
        ensure_eq!(set.flush(&epoll), Ok(()));
        ensure_eq!(ready(&epoll)?, [(1, IN), (2, IN)]);
    }

    fn a_refused_change_keeps_no_later_one_back(host) {
        let mut slots = [Slot::EMPTY; ROOM];
        let (epoll, eventfd, mut set) = (Epoll::new()?, counter(1)?, InterestSet::new(&mut slots));
        set.set(&eventfd, ONE, IN)?;
        flush(&mut set, &epoll)?;
        // The kernel does not combine EXCLUSIVE with ONESHOT, so the set deleted the registration.
        set.set(&eventfd, TWO, OUT | EXCLUSIVE | ONESHOT)?;
        ensure_eq!(set.flush(&epoll), Err(FlushError { fd: eventfd.as_raw_fd(), errno: Errno::EINVAL }));
        ensure_eq!(set.flush(&epoll), Ok(()));
        set.set(&eventfd, ONE, IN)?;
        flush(&mut set, &epoll)?;
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
    }

    fn what_was_closed_unannounced_is_ebadf_and_can_be_set_again(host) {
        let mut slots = [Slot::EMPTY; ROOM];
        let (epoll, mut set) = (Epoll::new()?, InterestSet::new(&mut slots));
        let fd = counter(1)?.into_raw_fd();
        set.set(number(fd), ONE, IN)?;
        // SAFETY: the owner has given up the number.
        unsafe { raw::close(fd)? };
        ensure_eq!(set.flush(&epoll), Err(FlushError { fd, errno: Errno::EBADF }));
        ensure_eq!(set.flush(&epoll), Ok(()));
        let eventfd = counter(1)?;
        ensure_eq!(eventfd.as_raw_fd(), fd);
        set.set(&eventfd, TWO, IN)?;
        flush(&mut set, &epoll)?;
        ensure_eq!(ready(&epoll)?, [(2, IN)]);
        // A refused change leaves no state that the set could apply to the number's next file.
        set.remove(&eventfd)?;
        drop(eventfd);
        let directory = host.root_directory()?;
        ensure_eq!(directory.as_raw_fd(), fd);
        set.set(&directory, TWO, IN)?;
        ensure_eq!(set.flush(&epoll), Err(FlushError { fd, errno: Errno::EPERM }));
        drop(directory);
        let another = counter(1)?;
        ensure_eq!(another.as_raw_fd(), fd);
        set.set(&another, TWO, IN)?;
        flush(&mut set, &epoll)?;
        ensure_eq!(ready(&epoll)?, [(2, IN)]);
    }

    fn a_new_set_knows_nothing_of_what_its_storage_held(host) {
        let mut slots = [Slot::EMPTY; ROOM];
        let eventfd = counter(1)?;
        for _ in 0..2 {
            let (epoll, mut set) = (Epoll::new()?, InterestSet::new(&mut slots));
            set.set(&eventfd, ONE, IN)?;
            flush(&mut set, &epoll)?;
            ensure_eq!(ready(&epoll)?, [(1, IN)]);
            set.set(&eventfd, TWO, IN)?; // never flushed
        }
    }

    fn many_changes_are_all_told(host) {
        const MANY: usize = 16;
        let mut slots = [Slot::EMPTY; ROOM];
        let (epoll, mut set) = (Epoll::new()?, InterestSet::new(&mut slots));
        let mut counters = [const { None }; MANY];
        for place in &mut counters {
            *place = Some(counter(1)?);
        }
        // Each counter's changes in turn: removed, IN, OUT, IN.
        let wanted = |place: u64, round: u64| [None, Some(IN), Some(OUT), Some(IN)][((place + round) & 3) as usize];
        for round in 0..4 {
            for (place, eventfd) in (0..).zip(counters.iter().flatten()) {
                match wanted(place, round) {
                    None => set.remove(eventfd)?,
                    Some(interest) => set.set(eventfd, EventData::new_u64(place), interest)?,
                }
            }
            flush(&mut set, &epoll)?;
            let mut expected = (0..MANY as u64).filter_map(|place| Some((place, wanted(place, round)?)));
            for found in ready(&epoll)?.list() {
                ensure_eq!(Some(*found), expected.next());
            }
            ensure_eq!(expected.next(), None);
        }
    }

    fn the_lowest_descriptor_of_all_can_be_set(host) {
        // Standard input is 0 everywhere. If its type cannot be watched, the error names its
        // number.
        let mut slots = [Slot::EMPTY; 1];
        let (epoll, mut set) = (Epoll::new()?, InterestSet::new(&mut slots));
        set.set(number(0), ONE, IN)?;
        let answer = set.flush(&epoll);
        ensure!(matches!(answer, Ok(()) | Err(FlushError { fd: 0, errno: Errno::EPERM | Errno::EBADF })));
        ensure!(closed_number()? > 0);
    }
}
