//! What a peer's calls are made on: descriptors and memory of its own, like those of all other peers.

use super::call::{Fd, Kind, Mask, Place, Time, SLOTS};
use std::io;
use std::mem::size_of;
use std::ptr;

/// What a call gives: a count or nothing, or the error's number; and the events that a wait found, or what is known of a new
/// descriptor: its own flags and its file's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub result: Result<usize, i32>,
    pub events: Vec<(u32, u64)>,
}

impl From<Result<usize, i32>> for Answer {
    fn from(result: Result<usize, i32>) -> Self {
        Self { result, events: Vec::new() }
    }
}

/// What libc gives.
pub fn checked(returned: isize) -> Result<usize, i32> {
    usize::try_from(returned).map_err(|_| io::Error::last_os_error().raw_os_error().expect("an errno"))
}

/// What is open, the same for all peers.
#[derive(Clone, Default)]
pub struct Layout {
    pub slots: [Option<Sort>; SLOTS],
}

/// What some of barepoll's types are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Counter,
    Other,
}

impl Layout {
    pub fn is_open(&self, fd: Fd) -> bool {
        self.sort(fd).is_some()
    }

    pub fn sort(&self, fd: Fd) -> Option<Sort> {
        match fd {
            Fd::Slot(slot) => self.slots[slot],
            Fd::Ready => Some(Sort::Other),
            Fd::Number(_) => None,
        }
    }

    pub fn free(&self) -> Vec<usize> {
        (0..SLOTS).filter(|slot| self.slots[*slot].is_none()).collect()
    }
}

/// Bytes of a page of the memory.
pub const PAGE: usize = 4096;
/// What is in a page before a call.
pub const BLANK: u8 = 0xa5;

/// Pages: the caller's buffer, a guard, the masks and times, a guard, one to be read only.
struct Memory(*mut u8);

impl Memory {
    fn new() -> Self {
        let (none, both) = (libc::PROT_NONE, libc::PROT_READ | libc::PROT_WRITE);
        let private = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: new pages, where nothing is.
        let start = unsafe { libc::mmap(ptr::null_mut(), 5 * PAGE, none, private, -1, 0) };
        assert_ne!(start, libc::MAP_FAILED);
        let memory = Self(start.cast());
        for (page, protection) in [(0, both), (2, both), (4, libc::PROT_READ)] {
            // SAFETY: a page of this memory.
            assert_eq!(unsafe { libc::mprotect(memory.page(page).cast(), PAGE, protection) }, 0);
        }
        memory
    }

    fn page(&self, page: usize) -> *mut u8 {
        self.0.wrapping_add(page * PAGE)
    }
}

pub struct World {
    /// The number of slot 0.
    base: i32,
    memory: Memory,
}

/// Descriptors of a world: its slots, the epoll that is ready, its counter.
const NUMBERS: i32 = SLOTS as i32 + 2;
const READY: i32 = SLOTS as i32;

impl World {
    /// World `number` of a test program.
    pub fn new(number: usize) -> Self {
        let world = Self { base: 200 + 50 * number as i32, memory: Memory::new() };
        let (counter, ready) = (world.base + READY + 1, world.base + READY);
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: u64::MAX - 7 };
        // SAFETY: the numbers are this world's, and the event can be read.
        unsafe {
            place_at(libc::eventfd(1, libc::EFD_NONBLOCK), counter);
            place_at(libc::epoll_create1(0), ready);
            assert_eq!(libc::epoll_ctl(ready, libc::EPOLL_CTL_ADD, counter, &mut event), 0);
        }
        world
    }

    pub fn number(&self, fd: Fd) -> i32 {
        match fd {
            Fd::Slot(slot) => self.base + slot as i32,
            Fd::Ready => self.base + READY,
            Fd::Number(number) => number,
        }
    }

    pub fn address<T>(&self, place: Place) -> *mut T {
        let page = self.memory.page(0);
        let address = match place {
            Place::Page => page,
            Place::Odd => page.wrapping_add(1),
            Place::Edge => page.wrapping_add(PAGE - 16),
            Place::Last => page.wrapping_add(PAGE - 4),
            Place::Guard => self.memory.page(1),
            Place::ReadOnly => self.memory.page(4),
            Place::Null => ptr::null_mut(),
            Place::Low => 8 as *mut u8,
            Place::High => (usize::MAX & !(PAGE - 1)) as *mut u8,
        };
        address.cast()
    }

    /// The buffer, whole.
    pub fn buffer(&mut self) -> &mut [u8] {
        // SAFETY: a page that can be read and written, which only this world's owner uses.
        unsafe { std::slice::from_raw_parts_mut(self.memory.page(0), PAGE) }
    }

    /// Puts a value at a place, as far as there is room for it.
    pub fn put<T: Copy>(&self, place: Place, value: T) {
        let room = match place {
            Place::Page | Place::Odd => PAGE - 1,
            Place::Edge => 16,
            Place::Last => 4,
            _ => 0,
        };
        if room >= size_of::<T>() {
            // SAFETY: there is room for it.
            unsafe { self.address::<T>(place).write_unaligned(value) };
        }
    }

    /// The mask's address, with the mask there.
    pub fn mask<T>(&self, mask: Mask) -> *const T {
        let address = self.memory.page(2);
        match mask {
            Mask::None => ptr::null(),
            Mask::At(place) => self.address(place),
            Mask::Signals(signals) => {
                // SAFETY: a page for this.
                unsafe { address.cast::<[u64; 2]>().write([signals, 0]) };
                address.cast()
            }
        }
    }

    /// The timespec's address, with the time there.
    pub fn time<T>(&self, time: Time) -> *const T {
        let address = self.memory.page(2).wrapping_add(64);
        match time {
            Time::Forever => ptr::null(),
            Time::At(place) => self.address(place),
            Time::Span(seconds, nanos) => {
                // SAFETY: a page for this.
                unsafe { address.cast::<[i64; 2]>().write([seconds, nanos]) };
                address.cast()
            }
        }
    }

    /// Opens files, by libc, at these slots.
    pub fn open(&self, kind: Kind, slots: &[usize]) {
        let mut ends = [-1; 2];
        // SAFETY: two descriptors are written, or a path of this program's is read.
        unsafe {
            match kind {
                Kind::Pipe => assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_NONBLOCK), 0),
                Kind::Pair => {
                    let sort = libc::SOCK_STREAM | libc::SOCK_NONBLOCK;
                    assert_eq!(libc::socketpair(libc::AF_UNIX, sort, 0, ends.as_mut_ptr()), 0);
                }
                Kind::Directory => ends[0] = libc::open(c"/".as_ptr(), libc::O_RDONLY),
            }
        }
        for (slot, fd) in slots.iter().zip(ends) {
            place_at(fd, self.number(Fd::Slot(*slot)));
        }
    }

    /// Takes what a call has made to a slot, nonblocking, or closes it; and says what its flags were.
    pub fn adopt(&self, made: Result<i32, i32>, slot: Option<usize>) -> Answer {
        let fd = match made {
            Ok(fd) => fd,
            Err(errno) => return Err(errno).into(),
        };
        // SAFETY: no pointer; the descriptor is this function's.
        unsafe {
            let (own, files) = (libc::fcntl(fd, libc::F_GETFD), libc::fcntl(fd, libc::F_GETFL));
            assert_eq!(libc::fcntl(fd, libc::F_SETFL, files | libc::O_NONBLOCK), 0);
            match slot {
                Some(slot) => place_at(fd, self.number(Fd::Slot(slot))),
                None => assert_eq!(libc::close(fd), 0),
            }
            Answer { result: Ok(0), events: vec![(own as u32, files as u64)] }
        }
    }

    pub fn close_all(&self, layout: &Layout) {
        for slot in (0..SLOTS).filter(|slot| layout.slots[*slot].is_some()) {
            // SAFETY: the number is this world's.
            assert_eq!(unsafe { libc::close(self.number(Fd::Slot(slot))) }, 0);
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for number in self.base..self.base + NUMBERS {
            // SAFETY: the numbers are this world's; most are closed.
            unsafe { libc::close(number) };
        }
        // SAFETY: this world's pages, which nobody uses any more.
        unsafe { libc::munmap(self.memory.0.cast(), 5 * PAGE) };
    }
}

/// Moves a descriptor to a number that is this test's.
fn place_at(fd: i32, number: i32) {
    assert!(fd >= 0, "{}", io::Error::last_os_error());
    // SAFETY: no pointer; `fd` has just been made, and the number is the caller's.
    unsafe { assert_eq!((libc::dup3(fd, number, libc::O_CLOEXEC), libc::close(fd)), (number, 0)) };
}
