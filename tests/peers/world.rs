//! A world: the descriptors and memory that one peer's calls use. All worlds start equal.

use super::call::{Fd, Kind, Mask, Place, Time, SLOTS};
use std::io;
use std::mem::size_of;
use std::ptr;

/// A call's answer: its result or error number, the events of a wait, and the descriptor and file
/// flags of a new descriptor.
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

/// Converts libc's result.
pub fn checked(returned: isize) -> Result<usize, i32> {
    usize::try_from(returned).map_err(|_| io::Error::last_os_error().raw_os_error().expect("an errno"))
}

/// The open descriptors, the same in every world.
#[derive(Clone, Default)]
pub struct Layout {
    pub slots: [Option<FileType>; SLOTS],
}

/// The file types that some of barepoll's types need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    Counter,
    Other,
}

impl Layout {
    pub fn is_open(&self, fd: Fd) -> bool {
        self.file_type(fd).is_some()
    }

    pub fn file_type(&self, fd: Fd) -> Option<FileType> {
        match fd {
            Fd::Slot(slot) => self.slots[slot],
            Fd::Ready => Some(FileType::Other),
            Fd::Number(_) => None,
        }
    }

    pub fn free(&self) -> Vec<usize> {
        (0..SLOTS).filter(|slot| self.slots[*slot].is_none()).collect()
    }
}

/// Bytes of a page of the memory.
pub const PAGE: usize = 4096;
/// The value of a page's bytes before a call.
pub const BLANK: u8 = 0xa5;

/// Five pages: the caller's buffer, a guard, the masks and times, a guard, a read-only page.
struct Memory(*mut u8);

impl Memory {
    fn new() -> Self {
        let (none, both) = (libc::PROT_NONE, libc::PROT_READ | libc::PROT_WRITE);
        let private = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: the mapping is new.
        let start = unsafe { libc::mmap(ptr::null_mut(), 5 * PAGE, none, private, -1, 0) };
        assert_ne!(start, libc::MAP_FAILED);
        let memory = Self(start.cast());
        for (page, protection) in [(0, both), (2, both), (4, libc::PROT_READ)] {
            // SAFETY: the page belongs to this memory.
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

/// Descriptors of a world: its slots, the ready epoll, and that epoll's counter.
const NUMBERS: i32 = SLOTS as i32 + 2;
const READY: i32 = SLOTS as i32;

impl World {
    /// The world with this number in the test program.
    pub fn new(number: usize) -> Self {
        let world = Self { base: 200 + 50 * number as i32, memory: Memory::new() };
        let (counter, ready) = (world.base + READY + 1, world.base + READY);
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: u64::MAX - 7 };
        // SAFETY: the numbers belong to this world, and the event is readable.
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

    /// The whole buffer.
    pub fn buffer(&mut self) -> &mut [u8] {
        // SAFETY: the page is readable and writable, and only the world's owner uses it.
        unsafe { std::slice::from_raw_parts_mut(self.memory.page(0), PAGE) }
    }

    /// Writes a value at a place, as far as there is room.
    pub fn put<T: Copy>(&self, place: Place, value: T) {
        let room = match place {
            Place::Page | Place::Odd => PAGE - 1,
            Place::Edge => 16,
            Place::Last => 4,
            _ => 0,
        };
        if room >= size_of::<T>() {
            // SAFETY: there is room for the value.
            unsafe { self.address::<T>(place).write_unaligned(value) };
        }
    }

    /// Writes the mask and returns its address.
    pub fn mask<T>(&self, mask: Mask) -> *const T {
        let address = self.memory.page(2);
        match mask {
            Mask::None => ptr::null(),
            Mask::At(place) => self.address(place),
            Mask::Signals(signals) => {
                // SAFETY: the page is reserved for this.
                unsafe { address.cast::<[u64; 2]>().write([signals, 0]) };
                address.cast()
            }
        }
    }

    /// Writes the time and returns the timespec's address.
    pub fn time<T>(&self, time: Time) -> *const T {
        let address = self.memory.page(2).wrapping_add(64);
        match time {
            Time::Forever => ptr::null(),
            Time::At(place) => self.address(place),
            Time::Span(seconds, nanos) => {
                // SAFETY: the page is reserved for this.
                unsafe { address.cast::<[i64; 2]>().write([seconds, nanos]) };
                address.cast()
            }
        }
    }

    /// Opens files at these slots through libc.
    pub fn open(&self, kind: Kind, slots: &[usize]) {
        let mut ends = [-1; 2];
        // SAFETY: libc writes two descriptors, or reads a literal path.
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

    /// Moves a new descriptor to a slot and makes it nonblocking, or closes it. Returns its
    /// previous flags.
    pub fn adopt(&self, made: Result<i32, i32>, slot: Option<usize>) -> Answer {
        let fd = match made {
            Ok(fd) => fd,
            Err(errno) => return Err(errno).into(),
        };
        // SAFETY: the calls take no pointer, and this function owns the descriptor.
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
            // SAFETY: the number belongs to this world.
            assert_eq!(unsafe { libc::close(self.number(Fd::Slot(slot))) }, 0);
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for number in self.base..self.base + NUMBERS {
            // SAFETY: the numbers belong to this world. Most are closed.
            unsafe { libc::close(number) };
        }
        // SAFETY: the pages belong to this world, and have no user any more.
        unsafe { libc::munmap(self.memory.0.cast(), 5 * PAGE) };
    }
}

/// Moves a descriptor to a number that belongs to this test.
fn place_at(fd: i32, number: i32) {
    assert!(fd >= 0, "{}", io::Error::last_os_error());
    // SAFETY: the calls take no pointer. `fd` was just made, and the number is the caller's.
    unsafe { assert_eq!((libc::dup3(fd, number, libc::O_CLOEXEC), libc::close(fd)), (number, 0)) };
}
