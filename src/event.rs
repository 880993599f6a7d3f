//! `struct epoll_event` and the union in it, exactly as the kernel lays them out.

use crate::arch;
use crate::fd::RawFd;
use crate::flags::EventFlags;
use core::ffi::c_void;
use core::fmt;
use core::mem::{size_of, MaybeUninit};
use core::ptr;

/// One readiness event: which flags, and the [`EventData`] that the descriptor was registered with.
///
/// This is the kernel's `struct epoll_event`, byte for byte: packed on x86_64, natural elsewhere. Its fields are read by
/// value, so no reference to an unaligned field can arise.
///
/// ```
/// use barepoll::{Event, EventData, EventFlags};
///
/// let event = Event::new(EventFlags::IN, EventData::new_u64(7));
/// assert_eq!(event.flags(), EventFlags::IN);
/// assert_eq!(event.data().u64(), 7);
/// ```
///
/// See [`epoll_event(3type)`](https://man7.org/linux/man-pages/man3/epoll_event.3type.html).
#[doc(alias = "epoll_event")]
#[derive(Copy, Clone)]
#[repr(C)]
#[cfg_attr(target_arch = "x86_64", repr(packed))]
pub struct Event {
    events: u32,
    data: EventData,
}

impl Event {
    /// An event of these flags and this data, as [`raw::epoll_ctl`](crate::raw::epoll_ctl) takes it.
    ///
    /// ```
    /// use barepoll::{Event, EventData, EventFlags};
    ///
    /// const WATCH: Event = Event::new(EventFlags::IN.union(EventFlags::ET), EventData::new_u32(7));
    /// assert_eq!(WATCH.data().u32(), 7);
    /// ```
    #[inline]
    #[must_use]
    pub const fn new(flags: EventFlags, data: EventData) -> Self {
        Self { events: flags.bits(), data }
    }

    /// Room for `N` events, uninitialised: on the stack it costs nothing. 64 to 256 are enough for most loops.
    ///
    /// ```
    /// use barepoll::{Epoll, Event};
    /// use core::time::Duration;
    ///
    /// let mut buffer = Event::buffer::<64>();
    /// assert!(Epoll::new()?.wait(&mut buffer, Some(Duration::ZERO))?.is_empty());
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    #[inline]
    #[must_use]
    pub const fn buffer<const N: usize>() -> [MaybeUninit<Self>; N] {
        [MaybeUninit::uninit(); N]
    }

    /// What the descriptor is ready for.
    ///
    /// ```
    /// use barepoll::{Event, EventData, EventFlags};
    ///
    /// let event = Event::new(EventFlags::IN | EventFlags::HUP, EventData::new_u64(0));
    /// assert!(event.flags().contains(EventFlags::HUP));
    /// ```
    #[inline]
    #[must_use]
    pub const fn flags(&self) -> EventFlags {
        EventFlags::from_bits_retain(self.events)
    }

    /// What the descriptor was registered with.
    ///
    /// ```
    /// use barepoll::{Event, EventData, EventFlags};
    ///
    /// let event = Event::new(EventFlags::IN, EventData::new_fd(5));
    /// assert_eq!(event.data().fd(), 5);
    /// ```
    #[inline]
    #[must_use]
    pub const fn data(&self) -> EventData {
        self.data
    }
}

impl fmt::Debug for Event {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("flags", &self.flags()).field("data", &self.data()).finish()
    }
}

/// How many pointers fill the union.
const POINTERS: usize = size_of::<u64>() / size_of::<*mut c_void>();

/// Eight bytes of the caller's, handed back with every event: the kernel's `epoll_data_t`.
///
/// Read it back as it was made: `new_u32` with [`u32`](Self::u32), and so on. Another reader is safe and gives bytes of the
/// same eight, in this machine's order (a `u32` stands in the four bytes at the *low address*, which on a big-endian machine
/// are the high half of the `u64`). A pointer keeps its provenance; nothing here dereferences it.
///
/// ```
/// use barepoll::EventData;
///
/// let mut connection = [0u8; 16];
/// let data = EventData::new_ptr(connection.as_mut_ptr().cast());
/// assert_eq!(data.ptr().cast(), connection.as_mut_ptr());
/// assert_eq!(EventData::new_fd(-1).fd(), -1);
/// ```
///
/// See [`epoll_event(3type)`](https://man7.org/linux/man-pages/man3/epoll_event.3type.html).
#[doc(alias = "epoll_data")]
#[doc(alias = "epoll_data_t")]
#[derive(Copy, Clone)]
#[repr(C)]
pub union EventData {
    u64: u64,
    u32: [u32; 2],
    fd: [RawFd; 2],
    ptr: [*mut c_void; POINTERS],
}

// SAFETY: a pointer in it is a value that this crate never dereferences; who does so answers for the thread they do it on.
unsafe impl Send for EventData {}
// SAFETY: as above; and nothing in it changes behind a shared reference.
unsafe impl Sync for EventData {}

impl EventData {
    /// Eight bytes.
    ///
    /// ```
    /// use barepoll::EventData;
    ///
    /// assert_eq!(EventData::new_u64(u64::MAX).u64(), u64::MAX);
    /// ```
    #[inline]
    #[must_use]
    pub const fn new_u64(value: u64) -> Self {
        Self { u64: value }
    }

    /// Four bytes; the rest is zero.
    ///
    /// ```
    /// use barepoll::EventData;
    ///
    /// assert_eq!(EventData::new_u32(7).u32(), 7);
    /// ```
    #[inline]
    #[must_use]
    pub const fn new_u32(value: u32) -> Self {
        Self { u32: [value, 0] }
    }

    /// A descriptor's number; the rest is zero. The number is not owned: it may be closed and reused before an event arrives.
    ///
    /// ```
    /// use barepoll::fd::AsRawFd;
    /// use barepoll::{EventData, EventFd, EventFdFlags};
    ///
    /// let eventfd = EventFd::new(0, EventFdFlags::CLOEXEC)?;
    /// assert_eq!(EventData::new_fd(eventfd.as_raw_fd()).fd(), eventfd.as_raw_fd());
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    #[inline]
    #[must_use]
    pub const fn new_fd(fd: RawFd) -> Self {
        Self { fd: [fd, 0] }
    }

    /// A pointer, with its provenance; the rest, where a pointer has four bytes, is zero.
    ///
    /// ```
    /// use barepoll::EventData;
    ///
    /// let mut state = 1;
    /// let data = EventData::new_ptr(core::ptr::addr_of_mut!(state).cast());
    /// // SAFETY: the pointer is that of `state`, which lives and which nobody else uses.
    /// unsafe { *data.ptr().cast::<i32>() += 1 };
    /// assert_eq!(state, 2);
    /// ```
    #[inline]
    #[must_use]
    pub const fn new_ptr(pointer: *mut c_void) -> Self {
        let mut pointers = [ptr::null_mut(); POINTERS];
        pointers[0] = pointer;
        Self { ptr: pointers }
    }

    /// All eight bytes: what [`new_u64`](Self::new_u64) set, or the bytes of what another constructor did.
    ///
    /// ```
    /// use barepoll::EventData;
    ///
    /// assert_eq!(EventData::new_u64(7).u64(), 7);
    /// assert_eq!(EventData::new_u32(7).u64().to_ne_bytes()[..4], 7_u32.to_ne_bytes()); // the low address
    /// ```
    #[inline]
    #[must_use]
    pub fn u64(self) -> u64 {
        // SAFETY: every constructor initialises all eight bytes, and any eight bytes are a u64.
        unsafe { self.u64 }
    }

    /// The four bytes that [`new_u32`](Self::new_u32) set.
    ///
    /// ```
    /// use barepoll::EventData;
    ///
    /// assert_eq!(EventData::new_u32(u32::MAX).u32(), u32::MAX);
    /// ```
    #[inline]
    #[must_use]
    pub fn u32(self) -> u32 {
        // SAFETY: every constructor initialises all eight bytes, and any four bytes are a u32.
        unsafe { self.u32[0] }
    }

    /// The descriptor's number that [`new_fd`](Self::new_fd) set.
    ///
    /// ```
    /// use barepoll::EventData;
    ///
    /// assert_eq!(EventData::new_fd(-1).fd(), -1);
    /// ```
    #[inline]
    #[must_use]
    pub fn fd(self) -> RawFd {
        // SAFETY: every constructor initialises all eight bytes, and any four bytes are a descriptor's number.
        unsafe { self.fd[0] }
    }

    /// The pointer that [`new_ptr`](Self::new_ptr) set. To dereference it is `unsafe`, and the caller's to answer for: the kernel gives
    /// back what it was given, and what that pointed to may be gone.
    ///
    /// ```
    /// use barepoll::EventData;
    ///
    /// assert!(EventData::new_ptr(core::ptr::null_mut()).ptr().is_null());
    /// ```
    #[inline]
    #[must_use]
    pub fn ptr(self) -> *mut c_void {
        // SAFETY: every constructor initialises all eight bytes, and any bytes are a raw pointer (which need not be valid).
        unsafe { self.ptr[0] }
    }
}

impl fmt::Debug for EventData {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventData({:#x})", self.u64())
    }
}

/// The layout, on every target that compiles: size (or the `transmute` fails) and where each field's bytes stand.
#[allow(dead_code)] // rustc 1.63 counts nothing as used that only a `const _` uses, unless it says this
const _: () = {
    type Bytes = [MaybeUninit<u8>; arch::EVENT_SIZE];
    // SAFETY: any bytes, uninitialised padding too, are `MaybeUninit<u8>`s.
    let event: Bytes = unsafe {
        core::mem::transmute(Event { events: u32::from_ne_bytes([1, 2, 3, 4]), data: EventData { u32: [!0, !0] } })
    };
    let mut i = 0;
    while i < 4 {
        // SAFETY: `events` and `data` are initialised; these are bytes of the two.
        unsafe { assert!(event[i].assume_init() == i as u8 + 1 && event[arch::EVENT_DATA + i].assume_init() == !0) };
        // SAFETY: these are the last four bytes of `data`.
        unsafe { assert!(event[arch::EVENT_DATA + 4 + i].assume_init() == !0) };
        i += 1;
    }
};
