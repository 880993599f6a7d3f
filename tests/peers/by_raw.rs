//! Every call through `barepoll::raw`.

use super::call::{Call, How};
use super::world::{Answer, Layout, World};
use barepoll::raw;
use barepoll::{Errno, Event, EventData, EventFlags};

pub fn call(world: &mut World, layout: &Layout, call: &Call) -> Option<Answer> {
    let slot = layout.free().first().copied();
    let number = Errno::raw;
    Some(match *call {
        Call::Create { size } => world.adopt(raw::epoll_create(size).map_err(number), slot),
        Call::Create1 { flags } => world.adopt(raw::epoll_create1(flags).map_err(number), slot),
        Call::Eventfd { initial, flags } => world.adopt(raw::eventfd2(initial, flags).map_err(number), slot),
        Call::Control { epoll, op, fd, place, events, data } => {
            world.put(place, Event::new(EventFlags::from_bits_retain(events), EventData::new_u64(data)));
            // SAFETY: the kernel reads an event there, or finds that it cannot.
            let done = unsafe { raw::epoll_ctl(world.number(epoll), op, world.number(fd), world.address(place)) };
            done.map(|()| 0).map_err(number).into()
        }
        Call::Wait { epoll, place, max, how, .. } => {
            let (epfd, events) = (world.number(epoll), world.address::<Event>(place));
            // SAFETY: the kernel writes at most the ready events, for which there is room, and
            // reads the mask and the time. Or it finds that it cannot.
            let found = unsafe {
                match how {
                    How::Wait(ms) => raw::epoll_wait(epfd, events, max, ms),
                    How::Masked(ms, mask) => raw::epoll_pwait(epfd, events, max, ms, world.mask(mask)),
                    How::Fine(time, mask) => raw::epoll_pwait2(epfd, events, max, world.time(time), world.mask(mask)),
                }
            };
            let read = |place| {
                // SAFETY: the kernel has written that many events.
                let event = unsafe { events.wrapping_add(place).read_unaligned() };
                (event.flags().bits(), event.data().u64())
            };
            Answer { result: found.map_err(number), events: (0..found.unwrap_or(0)).map(read).collect() }
        }
        Call::Read { fd, place, bytes } => {
            // SAFETY: the kernel writes there, or finds that it cannot.
            unsafe { raw::read(world.number(fd), world.address(place), bytes) }.map_err(number).into()
        }
        Call::Write { fd, place, bytes, value } => {
            world.put(place, value);
            // SAFETY: the kernel reads there, or finds that it cannot.
            unsafe { raw::write(world.number(fd), world.address(place), bytes) }.map_err(number).into()
        }
        Call::Ioctl { fd, request, place, value } => {
            world.put(place, value);
            // SAFETY: the kernel reads and writes there, or finds that it cannot.
            unsafe { raw::ioctl(world.number(fd), request, world.address(place)) }.map_err(number).into()
        }
        // SAFETY: the number belongs to this world or to no descriptor.
        Call::Close(fd) => unsafe { raw::close(world.number(fd)) }.map(|()| 0).map_err(number).into(),
        Call::Open(_) | Call::Duplicate { .. } | Call::Shutdown { .. } => return None,
    })
}
