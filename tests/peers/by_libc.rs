//! Every call through libc, or through its `syscall` where libc has no function.

use super::call::{Call, Fd, How};
use super::world::{checked, Answer, Layout, World};
use libc::{c_int, epoll_event};
use std::mem::size_of;

pub fn call(world: &mut World, layout: &Layout, call: &Call) -> Option<Answer> {
    let slot = layout.free().first().copied();
    let made = |fd: c_int| checked(fd as isize).map(|fd| fd as i32);
    // SAFETY, of each call: the kernel reads and writes behind the pointers, or finds that it
    // cannot. It writes at most the ready events, for which there is room. The numbers belong to
    // this world or to no descriptor.
    Some(match *call {
        // SAFETY: as above.
        Call::Create { size } => world.adopt(made(unsafe { libc::epoll_create(size) }), slot),
        // SAFETY: as above.
        Call::Create1 { flags } => world.adopt(made(unsafe { libc::epoll_create1(flags as c_int) }), slot),
        // SAFETY: as above.
        Call::Eventfd { initial, flags } => world.adopt(made(unsafe { libc::eventfd(initial, flags as c_int) }), slot),
        Call::Control { epoll, op, fd, place, events, data } => {
            world.put(place, epoll_event { events, u64: data });
            let (epfd, fd, event) = (world.number(epoll), world.number(fd), world.address(place));
            // SAFETY: as above.
            checked(unsafe { libc::epoll_ctl(epfd, op as c_int, fd, event) } as isize).into()
        }
        Call::Wait { epoll, place, max, how, .. } => {
            let (epfd, events) = (world.number(epoll), world.address::<epoll_event>(place));
            // SAFETY: as above.
            let found = checked(unsafe {
                match how {
                    How::Wait(ms) => libc::epoll_wait(epfd, events, max, ms) as isize,
                    How::Masked(ms, mask) => libc::epoll_pwait(epfd, events, max, ms, world.mask(mask)) as isize,
                    How::Fine(time, mask) => {
                        let (time, mask) = (world.time::<u8>(time), world.mask::<u8>(mask));
                        let size = size_of::<barepoll::SigSet>();
                        libc::syscall(libc::SYS_epoll_pwait2, epfd, events, max, time, mask, size) as isize
                    }
                }
            });
            let read = |place| {
                // SAFETY: the kernel has written that many events.
                let event = unsafe { events.wrapping_add(place).read_unaligned() };
                (event.events, event.u64)
            };
            Answer { result: found, events: (0..found.unwrap_or(0)).map(read).collect() }
        }
        Call::Read { fd, place, bytes } => {
            // SAFETY: as above.
            checked(unsafe { libc::read(world.number(fd), world.address(place), bytes) }).into()
        }
        Call::Write { fd, place, bytes, value } => {
            world.put(place, value);
            // SAFETY: as above.
            checked(unsafe { libc::write(world.number(fd), world.address(place), bytes) }).into()
        }
        Call::Ioctl { fd, request, place, value } => {
            world.put(place, value);
            let (fd, argument) = (world.number(fd), world.address::<u8>(place));
            // SAFETY: as above.
            checked(unsafe { libc::ioctl(fd, request as _, argument) } as isize).into()
        }
        // SAFETY: as above.
        Call::Close(fd) => checked(unsafe { libc::close(world.number(fd)) } as isize).into(),
        Call::Shutdown { slot, how } => {
            // SAFETY: as above.
            checked(unsafe { libc::shutdown(world.number(Fd::Slot(slot)), how) } as isize).into()
        }
        Call::Duplicate { from, to } => {
            let [from, to] = [from, to].map(|slot| world.number(Fd::Slot(slot)));
            // SAFETY: as above.
            checked(unsafe { libc::dup3(from, to, libc::O_CLOEXEC) } as isize).map(|_| 0).into()
        }
        Call::Open(_) => return None,
    })
}
