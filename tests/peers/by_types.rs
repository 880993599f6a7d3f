//! The calls that barepoll's types can express: open descriptors, mapped buffers, timeouts of at
//! least zero.

use super::call::{Call, Fd, How, Mask, Place, Style, Time, EPIOCGPARAMS, EPIOCSPARAMS};
use super::world::{Answer, FileType, Layout, World};
use barepoll::fd::{BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use barepoll::{BusyPoll, CreateFlags, Epoll, Errno, Event, EventData, EventFd, EventFdFlags, EventFlags, SigSet};
use bitflags::Flags;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::time::Duration;

pub fn call(world: &mut World, layout: &Layout, call: &Call) -> Option<Answer> {
    let slot = layout.free().first().copied();
    let epoll = |fd: Fd| {
        // SAFETY: the descriptor stays open during the use, and the use does not close it.
        layout.is_open(fd).then(|| ManuallyDrop::new(unsafe { Epoll::from_raw_fd(world.number(fd)) }))
    };
    let counter = |fd: Fd| {
        // SAFETY: as for an epoll.
        (layout.file_type(fd)? == FileType::Counter)
            .then(|| ManuallyDrop::new(unsafe { EventFd::from_raw_fd(world.number(fd)) }))
    };
    let counted = |answer: Result<usize, Errno>| Answer::from(answer.map_err(Errno::raw));
    Some(match *call {
        Call::Create1 { flags } => {
            let made = Epoll::with_flags(named(&CREATE_FLAGS, flags));
            world.adopt(made.map(IntoRawFd::into_raw_fd).map_err(Errno::raw), slot)
        }
        Call::Eventfd { initial, flags } => {
            let made = EventFd::new(initial, named(&EVENTFD_FLAGS, flags));
            world.adopt(made.map(IntoRawFd::into_raw_fd).map_err(Errno::raw), slot)
        }
        Call::Control { epoll: watcher, op, fd, place: Place::Page, events, data } if layout.is_open(fd) => {
            let (epoll, interest) = (epoll(watcher)?, named(&FLAGS, events));
            // SAFETY: the descriptor is open, and stays so.
            let source = unsafe { BorrowedFd::borrow_raw(world.number(fd)) };
            counted(match op as i32 {
                libc::EPOLL_CTL_ADD => epoll.add(source, EventData::new_u64(data), interest).map(|()| 0),
                libc::EPOLL_CTL_MOD => epoll.modify(source, EventData::new_u64(data), interest).map(|()| 0),
                libc::EPOLL_CTL_DEL => epoll.delete(source).map(|()| 0),
                _ => return None,
            })
        }
        Call::Wait { epoll: fd, place: Place::Page, max, how, style } => {
            let (epoll, room) = (epoll(fd)?, usize::try_from(max).ok().filter(|room| *room <= 100)?);
            let (timeout, mask) = match how {
                How::Wait(ms) => (milliseconds(ms), None),
                How::Masked(ms, Mask::Signals(signals)) => (milliseconds(ms), Some(signals)),
                How::Fine(time, Mask::None) => (span(time)?, None),
                How::Fine(time, Mask::Signals(signals)) => (span(time)?, Some(signals)),
                How::Masked(..) | How::Fine(..) => return None,
            };
            let start = world.address::<MaybeUninit<Event>>(Place::Page);
            // SAFETY: the page holds that many events, and has no other user.
            let buffer = unsafe { std::slice::from_raw_parts_mut(start, room) };
            let found = match (mask, style) {
                (Some(signals), _) => epoll.wait_masked(buffer, timeout, &mask_of(signals)),
                (None, Style::Plain) => epoll.wait(buffer, timeout),
                (None, Style::Uninterrupted) => epoll.wait_uninterrupted(buffer, timeout),
                (None, Style::Spinning) => epoll.wait_spinning(buffer, timeout, 3),
            };
            match found {
                Ok(events) => Answer {
                    result: Ok(events.len()),
                    events: events.iter().map(|event| (numbered(&FLAGS, event.flags()), event.data().u64())).collect(),
                },
                Err(errno) => Err(errno.raw()).into(),
            }
        }
        Call::Read { fd, place: Place::Page, bytes: 8 } => {
            let answer = counter(fd)?.read();
            if let Ok(value) = answer {
                world.put(Place::Page, value);
            }
            counted(answer.map(|_| 8))
        }
        Call::Write { fd, place: Place::Page, bytes: 8, value } => {
            world.put(Place::Page, value);
            counted(counter(fd)?.write(value).map(|()| 8))
        }
        Call::Ioctl { fd, request: EPIOCGPARAMS, place: Place::Page, value } => {
            world.put(Place::Page, value);
            let answer = epoll(fd)?.busy_poll();
            if let Ok(params) = answer {
                world.put(Place::Page, bytes_of(params));
            }
            counted(answer.map(|_| 0))
        }
        Call::Ioctl { fd, request: EPIOCSPARAMS, place: Place::Page, value } => {
            world.put(Place::Page, value);
            let params = params_of(value.to_ne_bytes())?;
            counted(epoll(fd)?.set_busy_poll(params).map(|()| 0))
        }
        Call::Close(fd) if layout.is_open(fd) => {
            // SAFETY: the descriptor is open, and belongs to this world.
            drop(unsafe { OwnedFd::from_raw_fd(world.number(fd)) });
            Ok(0).into()
        }
        _ => return None,
    })
}

/// Each flag with its number in libc.
const FLAGS: [(i32, EventFlags); 15] = [
    (libc::EPOLLIN, EventFlags::IN),
    (libc::EPOLLPRI, EventFlags::PRI),
    (libc::EPOLLOUT, EventFlags::OUT),
    (libc::EPOLLERR, EventFlags::ERR),
    (libc::EPOLLHUP, EventFlags::HUP),
    (libc::EPOLLRDNORM, EventFlags::RDNORM),
    (libc::EPOLLRDBAND, EventFlags::RDBAND),
    (libc::EPOLLWRNORM, EventFlags::WRNORM),
    (libc::EPOLLWRBAND, EventFlags::WRBAND),
    (libc::EPOLLMSG, EventFlags::MSG),
    (libc::EPOLLRDHUP, EventFlags::RDHUP),
    (libc::EPOLLEXCLUSIVE, EventFlags::EXCLUSIVE),
    (libc::EPOLLWAKEUP, EventFlags::WAKEUP),
    (libc::EPOLLONESHOT, EventFlags::ONESHOT),
    (libc::EPOLLET, EventFlags::ET),
];
const CREATE_FLAGS: [(i32, CreateFlags); 1] = [(libc::EPOLL_CLOEXEC, CreateFlags::CLOEXEC)];
const EVENTFD_FLAGS: [(i32, EventFdFlags); 3] = [
    (libc::EFD_SEMAPHORE, EventFdFlags::SEMAPHORE),
    (libc::EFD_NONBLOCK, EventFdFlags::NONBLOCK),
    (libc::EFD_CLOEXEC, EventFdFlags::CLOEXEC),
];

/// Flags by name. Bits without a name stay as they are.
fn named<F: Flags<Bits = u32>>(names: &[(i32, F)], bits: u32) -> F {
    let known = names.iter().fold(0, |known, (number, _)| known | *number as u32);
    let mut flags = F::from_bits_retain(bits & !known);
    for (_, name) in names.iter().filter(|(number, _)| bits & *number as u32 != 0) {
        flags.insert(F::from_bits_retain(name.bits()));
    }
    flags
}

/// Flags as libc's numbers.
fn numbered<F: Flags<Bits = u32>>(names: &[(i32, F)], flags: F) -> u32 {
    let known = names.iter().fold(0, |known, (_, name)| known | name.bits());
    let has = |name: &F| flags.bits() & name.bits() == name.bits();
    let bits = names.iter().filter(|(_, name)| has(name)).fold(0, |bits, (number, _)| bits | *number as u32);
    bits | flags.bits() & !known
}

fn milliseconds(ms: i32) -> Option<Duration> {
    u64::try_from(ms).ok().map(Duration::from_millis)
}

/// A time that the kernel accepts.
fn span(time: Time) -> Option<Option<Duration>> {
    match time {
        Time::Forever => Some(None),
        Time::Span(seconds, nanos) => {
            let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
            Some(Some(Duration::new(u64::try_from(seconds).ok()?, nanos)))
        }
        Time::At(_) => None,
    }
}

/// The set with these bytes, as the kernel reads them.
fn mask_of(signals: u64) -> SigSet {
    let mut set = SigSet::empty();
    for (place, word) in words(signals).into_iter().enumerate() {
        for bit in (0..usize::BITS).filter(|bit| word >> bit & 1 != 0) {
            set.insert((place as u32 * usize::BITS + bit + 1) as i32).expect("a signal");
        }
    }
    set
}

fn words(signals: u64) -> Vec<usize> {
    let size = std::mem::size_of::<usize>();
    let bytes = signals.to_ne_bytes();
    bytes.chunks(size).map(|word| usize::from_ne_bytes(word.try_into().expect("a word"))).collect()
}

fn bytes_of(params: BusyPoll) -> [u8; 8] {
    let ([a, b, c, d], [e, f]) = (params.busy_poll_usecs.to_ne_bytes(), params.busy_poll_budget.to_ne_bytes());
    [a, b, c, d, e, f, params.prefer_busy_poll.into(), 0]
}

fn params_of([a, b, c, d, e, f, prefers, padding]: [u8; 8]) -> Option<BusyPoll> {
    (prefers < 2 && padding == 0).then_some(BusyPoll {
        busy_poll_usecs: u32::from_ne_bytes([a, b, c, d]),
        busy_poll_budget: u16::from_ne_bytes([e, f]),
        prefer_busy_poll: prefers == 1,
    })
}
