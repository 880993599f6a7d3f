//! `struct epoll_event` and the union in it, exactly as the kernel lays them out.

use crate::arch;
use crate::fd::RawFd;
use crate::flags::EventFlags;
use core::ffi::c_void;
use core::fmt;
use core::mem::{size_of, MaybeUninit};
use core::ptr;

/// A readiness event: its flags and the [`EventData`] of the registration.
///
/// Its layout is that of the kernel's `struct epoll_event`: packed on x86_64, natural elsewhere.
/// Methods return the fields by value, so no reference to an unaligned field can arise.
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
    /// Makes an event, for [`raw::epoll_ctl`](crate::raw::epoll_ctl).
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

    /// Room for `N` events, uninitialised.
    ///
    /// On the stack it costs nothing. 64 to 256 events are enough for most loops.
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

    /// The flags: what the descriptor is ready for.
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

    /// The data that the descriptor was registered with.
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

/// The number of pointers that fill the union.
const POINTERS: usize = size_of::<u64>() / size_of::<*mut c_void>();

/// Eight bytes that the kernel returns with every event: its `epoll_data_t`.
///
/// Read it back as it was made: `new_u32` with [`u32`](Self::u32), and so on. Another accessor is
/// safe too, and returns some of the same eight bytes, in this machine's order. A `u32` stands in
/// the four bytes at the *low address*, which on a big-endian machine are the high half of the
/// `u64`. A pointer keeps its provenance. The crate never dereferences it.
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

// SAFETY: the crate never dereferences a pointer in it. Code that does is `unsafe`, and must ensure
// that its thread may.
unsafe impl Send for EventData {}
// SAFETY: as above, and nothing in it changes behind a shared reference.
unsafe impl Sync for EventData {}

impl EventData {
    /// Data of eight bytes.
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

    /// Data of four bytes. The rest is zero.
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

    /// A descriptor's number. The rest is zero.
    ///
    /// The data does not own the descriptor: it may be closed, and its number reused, before an
    /// event arrives.
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

    /// A pointer with its provenance. If a pointer has four bytes, the rest is zero.
    ///
    /// ```
    /// use barepoll::EventData;
    ///
    /// let mut state = 1;
    /// let data = EventData::new_ptr(core::ptr::addr_of_mut!(state).cast());
    /// // SAFETY: the pointer is that of `state`, which lives and has no other user.
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

    /// All eight bytes, as [`new_u64`](Self::new_u64) or another constructor set them.
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
        // SAFETY: every constructor initialises all eight bytes, and any eight bytes are a `u64`.
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
        // SAFETY: every constructor initialises all eight bytes, and any four bytes are a `u32`.
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
        // SAFETY: every constructor initialises all eight bytes, and any four bytes are a `RawFd`.
        unsafe { self.fd[0] }
    }

    /// The pointer that [`new_ptr`](Self::new_ptr) set.
    ///
    /// Dereferencing it is `unsafe`: its target may be gone when the kernel returns it.
    ///
    /// ```
    /// use barepoll::EventData;
    ///
    /// assert!(EventData::new_ptr(core::ptr::null_mut()).ptr().is_null());
    /// ```
    #[inline]
    #[must_use]
    pub fn ptr(self) -> *mut c_void {
        // SAFETY: every constructor initialises all eight bytes, and any bytes are a raw pointer,
        // valid or not.
        unsafe { self.ptr[0] }
    }
}

impl fmt::Debug for EventData {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventData({:#x})", self.u64())
    }
}

/// Checks the layout on every target: the size (or the `transmute` fails) and the place of each
/// byte.
#[allow(dead_code)] // rustc 1.63 reports what only a `const _` uses as unused
const _: () = {
    type Bytes = [MaybeUninit<u8>; arch::EVENT_SIZE];
    // SAFETY: any bytes, uninitialised padding too, are valid as `MaybeUninit<u8>`.
    let event: Bytes = unsafe {
        core::mem::transmute(Event { events: u32::from_ne_bytes([1, 2, 3, 4]), data: EventData { u32: [!0, !0] } })
    };
    let mut i = 0;
    while i < 4 {
        // SAFETY: these are bytes of `events` and `data`, which are initialised.
        unsafe { assert!(event[i].assume_init() == i as u8 + 1 && event[arch::EVENT_DATA + i].assume_init() == !0) };
        // SAFETY: these are the last four bytes of `data`, which is initialised.
        unsafe { assert!(event[arch::EVENT_DATA + 4 + i].assume_init() == !0) };
        i += 1;
    }
};
