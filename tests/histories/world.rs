//! The real kernel, called through barepoll, with descriptor numbers chosen by the history.

use super::kernel::{Answer, Registration};
use super::step::{Kind, Step, FIRST, PAGE, PAGES, SLOTS};
use barepoll::fd::{BorrowedFd, FromRawFd, IntoRawFd};
use barepoll::{raw, Epoll, Errno, Event, EventData, EventFd, EventFdFlags, EventFlags};
use std::fs;
use std::mem::ManuallyDrop;
use std::time::Duration;

/// The number of slot 0, above all descriptors of the test program.
const BASE: i32 = 200;

/// The most bytes that a read or write of a history moves.
const MOST: usize = 3 * PAGE;
/// A socket's send buffer in bytes. The kernel doubles it.
const SEND_BUFFER: i32 = 1 << 16;

pub struct World {
    is_open: [bool; SLOTS],
}

/// Converts libc's result.
fn checked(returned: i32) -> Result<usize, Errno> {
    usize::try_from(returned).map_err(|_| {
        let error = std::io::Error::last_os_error();
        error.raw_os_error().and_then(Errno::from_raw).expect("an errno")
    })
}

fn number(slot: usize) -> i32 {
    BASE + slot as i32
}

impl World {
    pub fn new() -> Self {
        let mut world = Self { is_open: [false; SLOTS] };
        for kind in FIRST {
            world.open(kind);
        }
        world
    }

    pub fn take(&mut self, step: &Step) -> Answer {
        match *step {
            Step::Open(kind) => Ok(self.open(kind)).into(),
            Step::Duplicate { from, to } => {
                // SAFETY: the call takes no pointer, and the number belongs to this world.
                let answer = checked(unsafe { libc::dup3(number(from), number(to), libc::O_CLOEXEC) }).map(|_| 0);
                self.is_open[to] |= answer.is_ok();
                answer.into()
            }
            Step::Close { slot } => self.close(slot).map(|()| 0).into(),
            _ => self.call(step),
        }
    }

    /// Takes a step that opens and closes nothing. Several threads may do so at once.
    pub fn call(&self, step: &Step) -> Answer {
        match *step {
            Step::Open(_) | Step::Duplicate { .. } | Step::Close { .. } => panic!("{step:?} changes the descriptors"),
            Step::Add { epoll, slot, events, data } => {
                self.control(raw::EPOLL_CTL_ADD, epoll, slot, events, data).map(|()| 0).into()
            }
            Step::Modify { epoll, slot, events, data } => {
                self.control(raw::EPOLL_CTL_MOD, epoll, slot, events, data).map(|()| 0).into()
            }
            Step::Delete { epoll, slot } => self.control(raw::EPOLL_CTL_DEL, epoll, slot, 0, 0).map(|()| 0).into(),
            Step::Wait { epoll, room } => self.wait(epoll, room, Some(Duration::ZERO)),
            Step::WaitNowhere { epoll } => {
                let nowhere = 8_usize as *mut Event;
                // SAFETY: the address is unmapped, so the kernel writes nothing.
                unsafe { raw::epoll_wait(number(epoll), nowhere, 1, 0) }.into()
            }
            Step::Read { slot, bytes } => self.read(slot, bytes),
            Step::Write { slot, bytes } => write(slot, &[0; MOST][..bytes]).into(),
            Step::Count { slot, add } => write(slot, &add.to_ne_bytes()).into(),
            Step::Fill { slot } => until_refused(|| write(slot, &[0; PAGE])).into(),
            Step::Drain { slot } => until_refused(|| self.read(slot, MOST).result).into(),
            // SAFETY: the call takes no pointer.
            Step::Shutdown { slot, how } => checked(unsafe { libc::shutdown(number(slot), how) }).into(),
        }
    }

    /// Opens files at the lowest free slots, and returns their number.
    fn open(&mut self, kind: Kind) -> usize {
        let free: Vec<usize> = (0..SLOTS).filter(|slot| !self.is_open[*slot]).collect();
        let count = if matches!(kind, Kind::Pipe | Kind::Pair) { 2 } else { 1 };
        if count > free.len() {
            return 0;
        }
        for (slot, fd) in free.into_iter().zip(opened(kind)) {
            // SAFETY: the calls take no pointer. `fd` was just made, and the number belongs to this
            // world.
            let moved = unsafe { checked(libc::dup3(fd, number(slot), libc::O_CLOEXEC)).and(checked(libc::close(fd))) };
            moved.expect("a descriptor at its number");
            self.is_open[slot] = true;
        }
        count
    }

    fn close(&mut self, slot: usize) -> Result<(), Errno> {
        self.is_open[slot] = false;
        // SAFETY: the number belongs to this world or to no descriptor.
        unsafe { raw::close(number(slot)) }
    }

    fn epoll(&self, slot: usize) -> Option<ManuallyDrop<Epoll>> {
        // SAFETY: the descriptor stays open during the use, and the use does not close it.
        self.is_open[slot].then(|| ManuallyDrop::new(unsafe { Epoll::from_raw_fd(number(slot)) }))
    }

    fn control(&self, op: u32, epoll: usize, slot: usize, events: u32, data: u64) -> Result<(), Errno> {
        let (interest, data) = (EventFlags::from_bits_retain(events), EventData::new_u64(data));
        match self.epoll(epoll).filter(|_| self.is_open[slot]) {
            Some(epoll) => {
                // SAFETY: the descriptor is open, and stays so.
                let source = unsafe { BorrowedFd::borrow_raw(number(slot)) };
                match op {
                    raw::EPOLL_CTL_ADD => epoll.add(source, data, interest),
                    raw::EPOLL_CTL_MOD => epoll.modify(source, data, interest),
                    _ => epoll.delete(source),
                }
            }
            // A closed descriptor cannot be borrowed.
            // SAFETY: the event is readable.
            None => unsafe { raw::epoll_ctl(number(epoll), op, number(slot), &mut Event::new(interest, data)) },
        }
    }

    pub fn wait(&self, epoll: usize, room: usize, timeout: Option<Duration>) -> Answer {
        let mut buffer = Event::buffer::<16>();
        let Some(epoll) = self.epoll(epoll) else {
            // SAFETY: the buffer has that much room.
            return unsafe { raw::epoll_wait(number(epoll), buffer.as_mut_ptr().cast(), room as i32, 0) }.into();
        };
        match epoll.wait(&mut buffer[..room], timeout) {
            Ok(events) => Answer {
                result: Ok(events.len()),
                events: events.iter().map(|event| (event.flags().bits(), event.data().u64())).collect(),
            },
            Err(errno) => Err(errno).into(),
        }
    }

    fn read(&self, slot: usize, bytes: usize) -> Answer {
        let mut buffer = [0xff_u8; MOST];
        // SAFETY: the buffer has that many bytes.
        let mut answer = Answer::from(unsafe { raw::read(number(slot), buffer.as_mut_ptr(), bytes) });
        let is_counter = answer.result == Ok(8) && bytes >= 8 && self.is_counter(slot);
        if is_counter {
            let value = u64::from_ne_bytes(buffer[..8].try_into().expect("eight bytes"));
            answer.events.push((0, value));
        }
        answer
    }

    fn is_counter(&self, slot: usize) -> bool {
        fs::read_link(format!("/proc/self/fd/{}", number(slot)))
            .is_ok_and(|link| link.ends_with("anon_inode:[eventfd]"))
    }

    /// The interest list according to the kernel.
    pub fn interest_list(&self, slot: usize) -> Option<Vec<Registration>> {
        let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", number(slot))).ok()?;
        let mut list = Vec::new();
        for line in text.lines().filter(|line| line.starts_with("tfd:")) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [_, fd, _, events, _, data, ..] = words[..] else { panic!("a registration: {line}") };
            let slot = fd.parse::<i32>().expect("a number") - BASE;
            let events = u32::from_str_radix(events, 16).expect("events") & !raw::EPOLLWAKEUP;
            list.push((slot as usize, events, u64::from_str_radix(data, 16).expect("data")));
        }
        list.sort_unstable();
        Some(list)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for slot in (0..SLOTS).filter(|slot| self.is_open[*slot]) {
            // SAFETY: the number belongs to this world.
            let _ = unsafe { raw::close(number(slot)) };
        }
    }
}

fn write(slot: usize, bytes: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the pointer and the length come from a slice.
    unsafe { raw::write(number(slot), bytes.as_ptr(), bytes.len()) }
}

/// The sum of the moved bytes, or the error of the first attempt.
fn until_refused(mut attempt: impl FnMut() -> Result<usize, Errno>) -> Result<usize, Errno> {
    let mut sum = 0;
    loop {
        match attempt() {
            Ok(0) => return Ok(sum),
            Ok(moved) => sum += moved,
            Err(_) if sum > 0 => return Ok(sum),
            Err(errno) => return Err(errno),
        }
    }
}

/// Opens one or two nonblocking files.
fn opened(kind: Kind) -> Vec<i32> {
    let mut ends = [0; 2];
    match kind {
        Kind::Epoll => return vec![Epoll::new().expect("an epoll").into_raw_fd()],
        Kind::Counter { initial, semaphore } => {
            let mut flags = EventFdFlags::CLOEXEC | EventFdFlags::NONBLOCK;
            flags.set(EventFdFlags::SEMAPHORE, semaphore);
            return vec![EventFd::new(initial, flags).expect("an eventfd").into_raw_fd()];
        }
        Kind::Directory => {
            let fd = fs::File::open("/").expect("the root directory");
            return vec![std::os::fd::IntoRawFd::into_raw_fd(fd)];
        }
        Kind::Pipe => {
            // SAFETY: the array has room for two descriptors.
            checked(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_NONBLOCK) }).expect("a pipe");
            let bytes = (PAGE * PAGES) as i32;
            // SAFETY: the call takes no pointer.
            assert_eq!(unsafe { libc::fcntl(ends[1], libc::F_SETPIPE_SZ, bytes) }, bytes, "pages of 4096 bytes");
        }
        Kind::Pair => {
            let sort = libc::SOCK_STREAM | libc::SOCK_NONBLOCK;
            // SAFETY: the array has room for two descriptors.
            checked(unsafe { libc::socketpair(libc::AF_UNIX, sort, 0, ends.as_mut_ptr()) }).expect("sockets");
            for end in ends {
                let (option, size) = (std::ptr::from_ref(&SEND_BUFFER).cast(), 4);
                // SAFETY: the option is an `int` of four bytes.
                let set = unsafe { libc::setsockopt(end, libc::SOL_SOCKET, libc::SO_SNDBUF, option, size) };
                checked(set).expect("a size");
            }
        }
    }
    ends.to_vec()
}
