//! The calls that rustix can express: open descriptors, mapped buffers, no mask, valid times.

use super::call::{Call, Fd, How, Mask, Place, Time};
use super::world::{Answer, Layout, World};
use libc::{EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD};
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::event::{eventfd, EventfdFlags, Timespec};
use rustix::fd::{BorrowedFd, IntoRawFd, OwnedFd};
use rustix::io::{self, Errno};
use std::mem::MaybeUninit;

pub fn call(world: &mut World, layout: &Layout, call: &Call) -> Option<Answer> {
    let slot = layout.free().first().copied();
    let number = Errno::raw_os_error;
    let made = |fd: io::Result<OwnedFd>| fd.map(IntoRawFd::into_raw_fd).map_err(number);
    // SAFETY: the descriptor is open, and stays so.
    let open = |fd: Fd| layout.is_open(fd).then(|| unsafe { BorrowedFd::borrow_raw(world.number(fd)) });
    let counted = |answer: io::Result<usize>| Answer::from(answer.map_err(number));
    Some(match *call {
        Call::Create1 { flags } => world.adopt(made(epoll::create(epoll::CreateFlags::from_bits_retain(flags))), slot),
        Call::Eventfd { initial, flags } => {
            world.adopt(made(eventfd(initial, EventfdFlags::from_bits_retain(flags))), slot)
        }
        Call::Control { epoll, op, fd, place: Place::Page, events, data } => {
            let (epoll, source) = (open(epoll)?, open(fd)?);
            let (data, flags) = (EventData::new_u64(data), EventFlags::from_bits_retain(events));
            counted(match op as i32 {
                EPOLL_CTL_ADD => epoll::add(epoll, source, data, flags).map(|()| 0),
                EPOLL_CTL_MOD => epoll::modify(epoll, source, data, flags).map(|()| 0),
                EPOLL_CTL_DEL => epoll::delete(epoll, source).map(|()| 0),
                _ => return None,
            })
        }
        Call::Wait { epoll: fd, place: Place::Page, max, how, .. } => {
            let (epoll, room) = (open(fd)?, usize::try_from(max).ok().filter(|room| *room <= 100)?);
            let timeout = match how {
                How::Wait(ms) | How::Masked(ms, Mask::None) => {
                    let span = |ms: i64| Timespec { tv_sec: ms / 1000, tv_nsec: ms % 1000 * 1_000_000 };
                    if ms < 0 {
                        None
                    } else {
                        Some(span(ms.into()))
                    }
                }
                How::Fine(time, Mask::None) => span(time)?,
                How::Masked(..) | How::Fine(..) => return None,
            };
            let start = world.address::<MaybeUninit<Event>>(Place::Page);
            // SAFETY: the page holds that many events, and has no other user.
            let buffer = unsafe { std::slice::from_raw_parts_mut(start, room) };
            match epoll::wait(epoll, buffer, timeout.as_ref()) {
                Ok((events, _)) => Answer {
                    result: Ok(events.len()),
                    events: events.iter().map(|event| ({ event.flags }.bits(), { event.data }.u64())).collect(),
                },
                Err(errno) => Err(number(errno)).into(),
            }
        }
        Call::Read { fd, place: Place::Page, bytes } => {
            let fd = open(fd)?;
            // SAFETY: the page holds that many bytes, and has no other user.
            let buffer = unsafe { std::slice::from_raw_parts_mut(world.address::<u8>(Place::Page), bytes) };
            counted(io::read(fd, buffer))
        }
        Call::Write { fd, place: Place::Page, bytes, value } => {
            world.put(Place::Page, value);
            // SAFETY: the page holds that many bytes, and has no other user.
            let buffer = unsafe { std::slice::from_raw_parts(world.address::<u8>(Place::Page), bytes) };
            counted(io::write(open(fd)?, buffer))
        }
        // SAFETY: the descriptor is open, and belongs to this world.
        Call::Close(fd) if layout.is_open(fd) => counted(unsafe { io::try_close(world.number(fd)) }.map(|()| 0)),
        _ => return None,
    })
}

/// A time that the kernel accepts.
fn span(time: Time) -> Option<Option<Timespec>> {
    match time {
        Time::Forever => Some(None),
        Time::Span(seconds, nanos) if seconds >= 0 && (0..1_000_000_000).contains(&nanos) => {
            Some(Some(Timespec { tv_sec: seconds, tv_nsec: nanos as _ }))
        }
        Time::Span(..) | Time::At(_) => None,
    }
}
