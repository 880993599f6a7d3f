//! Random histories of an `InterestSet`, beside a caller that makes each call at once. After every
//! flush, both epolls have the same interest list (`/proc/self/fdinfo`) and the same events.

#[path = "support/cases.rs"]
mod cases;

use barepoll::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use barepoll::{raw, Epoll, Errno, Event, EventData, EventFd, EventFdFlags, EventFlags, InterestSet, Slot};
use cases::cases;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::IntoRawFd;
use std::time::Duration;

const IN: EventFlags = EventFlags::IN;
const OUT: EventFlags = EventFlags::OUT;
const ET: EventFlags = EventFlags::ET;
const ONESHOT: EventFlags = EventFlags::ONESHOT;
const EXCLUSIVE: EventFlags = EventFlags::EXCLUSIVE;

/// Files open at a time.
const FILES: usize = 2;
/// Slots for their descriptors, whose numbers follow those that a test program already has open.
const ROOM: usize = 256;

/// A step of the caller. `file` selects a file, `copy` one of its two descriptors.
#[derive(Clone, Debug)]
enum Step {
    Open {
        file: usize,
        is_directory: bool,
    },
    Duplicate {
        file: usize,
    },
    Set {
        file: usize,
        copy: usize,
        data: u64,
        interest: EventFlags,
    },
    Remove {
        file: usize,
        copy: usize,
    },
    /// Closes all of a file's descriptors and calls `forget`. A single descriptor may be removed
    /// first instead.
    Close {
        file: usize,
        is_removed: bool,
    },
    /// Closes one of a file's two descriptors, after its removal is flushed, as the rules require.
    CloseCopy {
        file: usize,
    },
    Write {
        file: usize,
    },
    Read {
        file: usize,
    },
    Flush,
}

fn step() -> impl Strategy<Value = Step> {
    let (file, copy) = (0..FILES, 0..2_usize);
    let interests =
        [IN, OUT, IN | OUT, IN | ET, OUT | ET, IN | ONESHOT, IN | OUT | ET | ONESHOT, EventFlags::empty()].to_vec();
    let exclusive = [IN | EXCLUSIVE, OUT | EXCLUSIVE, IN | ET | EXCLUSIVE].to_vec();
    let interest = prop_oneof![
        4 => Just(IN), // often the current interest
        4 => prop::sample::select(interests),
        1 => prop::sample::select(exclusive),
    ];
    prop_oneof![
        6 => (file.clone(), prop::bool::weighted(0.1))
            .prop_map(|(file, is_directory)| Step::Open { file, is_directory }),
        1 => file.clone().prop_map(|file| Step::Duplicate { file }),
        8 => (file.clone(), copy.clone(), 0..2_u64, interest)
            .prop_map(|(file, copy, data, interest)| Step::Set { file, copy, data, interest }),
        3 => (file.clone(), copy).prop_map(|(file, copy)| Step::Remove { file, copy }),
        4 => (file.clone(), any::<bool>()).prop_map(|(file, is_removed)| Step::Close { file, is_removed }),
        1 => file.clone().prop_map(|file| Step::CloseCopy { file }),
        2 => file.clone().prop_map(|file| Step::Write { file }),
        2 => file.prop_map(|file| Step::Read { file }),
        3 => Just(Step::Flush),
    ]
}

/// A caller without a set. Each change is a call.
struct Naive {
    epoll: Epoll,
    /// The registered descriptors.
    told: BTreeMap<RawFd, EventFlags>,
}

impl Naive {
    fn set(&mut self, fd: BorrowedFd<'_>, data: EventData, interest: EventFlags) {
        let answer = match self.told.get(&fd.as_raw_fd()) {
            Some(before) if (*before | interest).contains(EXCLUSIVE) => {
                self.epoll.delete(fd).expect("a registration");
                self.epoll.add(fd, data, interest)
            }
            Some(_) => self.epoll.modify(fd, data, interest),
            None => self.epoll.add(fd, data, interest),
        };
        match answer {
            Ok(()) => drop(self.told.insert(fd.as_raw_fd(), interest)),
            Err(errno) => assert_eq!(errno, Errno::EPERM, "only a directory returns an error"),
        }
    }

    fn remove(&mut self, fd: BorrowedFd<'_>) {
        if self.told.remove(&fd.as_raw_fd()).is_some() {
            self.epoll.delete(fd).expect("a registration");
        }
    }
}

/// The kernel's view of an epoll: a line for each registration with number, events, data and file.
fn interest_list(epoll: &Epoll) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", epoll.as_raw_fd())).expect("fdinfo of an epoll");
    let mut lines: Vec<String> = text.lines().filter(|line| line.starts_with("tfd:")).map(String::from).collect();
    lines.sort();
    lines
}

fn reports(epoll: &Epoll) -> Vec<(u64, u32)> {
    let mut buffer = Event::buffer::<{ 2 * FILES }>();
    let ready = epoll.wait(&mut buffer, Some(Duration::ZERO)).expect("a wait");
    let mut reports: Vec<_> = ready.iter().map(|event| (event.data().u64(), event.flags().bits())).collect();
    reports.sort_unstable();
    reports
}

/// Flushes until no change is pending. Only a directory may return an error.
fn flush(set: &mut InterestSet<'_>, epoll: &Epoll) {
    while let Err(error) = set.flush(epoll) {
        assert_eq!(error.errno, Errno::EPERM, "{error}");
    }
}

fn open(is_directory: bool) -> OwnedFd {
    if is_directory {
        let fd = File::open("/").expect("the root directory").into_raw_fd();
        // SAFETY: the file has just given up its descriptor.
        return unsafe { OwnedFd::from_raw_fd(fd) };
    }
    EventFd::new(0, EventFdFlags::CLOEXEC | EventFdFlags::NONBLOCK).expect("an eventfd").into()
}

fn duplicate(fd: &OwnedFd) -> OwnedFd {
    // SAFETY: the call takes no pointer.
    let copy = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 0) };
    assert!(copy >= 0);
    // SAFETY: the kernel has just made this descriptor.
    unsafe { OwnedFd::from_raw_fd(copy) }
}

/// Writes to a counter or reads it. Fails for a directory.
fn transfer(fd: &OwnedFd, is_write: bool) {
    let mut value = 1_u64.to_ne_bytes();
    // SAFETY: the value has eight bytes for the read or write.
    let _ = unsafe {
        match is_write {
            true => raw::write(fd.as_raw_fd(), value.as_ptr(), value.len()),
            false => raw::read(fd.as_raw_fd(), value.as_mut_ptr(), value.len()),
        }
    };
}

/// Takes one step with the set and without it.
fn take(step: &Step, files: &mut [Vec<OwnedFd>; FILES], set: &mut InterestSet<'_>, epoll: &Epoll, naive: &mut Naive) {
    match *step {
        Step::Open { file, is_directory } => {
            if files[file].is_empty() {
                files[file].push(open(is_directory));
            }
        }
        Step::Duplicate { file } => {
            if files[file].len() == 1 {
                let copy = duplicate(&files[file][0]);
                files[file].push(copy);
            }
        }
        Step::Set { file, copy, data, interest } => {
            if let Some(fd) = files[file].get(copy) {
                // Each descriptor has data of its own.
                let data = EventData::new_u64(data << 32 | fd.as_raw_fd() as u64);
                set.set(fd, data, interest).expect("room");
                naive.set(fd.as_fd(), data, interest);
            }
        }
        Step::Remove { file, copy } => {
            if let Some(fd) = files[file].get(copy) {
                set.remove(fd).expect("room");
                naive.remove(fd.as_fd());
            }
        }
        Step::CloseCopy { file } => {
            if files[file].len() == 2 {
                let fd = files[file].remove(0);
                set.remove(&fd).expect("room");
                flush(set, epoll);
                naive.remove(fd.as_fd());
            }
        }
        Step::Close { file, is_removed } => {
            if let [fd] = &files[file][..] {
                let number = fd.as_raw_fd();
                if is_removed {
                    set.remove(fd).expect("room");
                }
                files[file].clear();
                if !is_removed {
                    set.forget(number);
                }
                naive.told.remove(&number);
            }
        }
        Step::Write { file } => files[file].first().map_or((), |fd| transfer(fd, true)),
        Step::Read { file } => files[file].first().map_or((), |fd| transfer(fd, false)),
        Step::Flush => flush(set, epoll),
    }
}

proptest! {
    #![proptest_config(cases(3000))]

    #[test]
    fn after_every_flush_the_interest_list_is_that_of_a_caller_without_a_set(steps in prop::collection::vec(step(), 1..60)) {
        let mut slots = [Slot::EMPTY; ROOM];
        let (epoll, mut set) = (Epoll::new().unwrap(), InterestSet::new(&mut slots));
        let mut naive = Naive { epoll: Epoll::new().unwrap(), told: BTreeMap::new() };
        let mut files: [Vec<OwnedFd>; FILES] = Default::default();
        for step in steps.iter().chain([&Step::Flush]) {
            take(step, &mut files, &mut set, &epoll, &mut naive);
            if let Step::Flush = step {
                prop_assert_eq!(interest_list(&epoll), interest_list(&naive.epoll));
                prop_assert_eq!(reports(&epoll), reports(&naive.epoll));
            }
        }
    }
}
