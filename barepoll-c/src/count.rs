//! How often each function was called, for tests of whole programs: with feature `count`, in a file that they can read at any time.
//!
//! `BAREPOLL_C_COUNT` names the file. It holds one machine word a function, in the order of [`Call`], and must be as long as that
//! from the start. Processes share it: it is mapped, so that neither `fork` nor a violent end loses a count.

/// The functions.
#[derive(Copy, Clone)]
pub enum Call {
    EpollCreate,
    EpollCreate1,
    EpollCtl,
    EpollWait,
    EpollPwait,
    EpollPwait2,
    Eventfd,
    EventfdRead,
    EventfdWrite,
}

#[cfg(not(feature = "count"))]
#[inline(always)]
pub fn count(_: Call) {}

#[cfg(feature = "count")]
pub use counted::count;

#[cfg(feature = "count")]
mod counted {
    use super::Call;
    use barepoll::raw;
    use core::ffi::c_void;
    use core::mem::size_of;
    use core::ptr;
    use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Relaxed};

    const CALLS: usize = Call::EventfdWrite as usize + 1;
    type Counters = [AtomicUsize; CALLS];

    #[cfg(target_env = "musl")]
    type Offset = i64;
    #[cfg(not(target_env = "musl"))]
    type Offset = isize;

    // Numbers that all Linux machines share, but for that of close-on-exec.
    const O_RDWR: i32 = 2;
    const O_CLOEXEC: i32 = raw::EPOLL_CLOEXEC as i32;
    const PROT_READ_WRITE: i32 = 1 | 2;
    const MAP_SHARED: i32 = 1;

    extern "C" {
        fn __errno_location() -> *mut i32;
        fn getenv(name: *const u8) -> *const u8;
        fn open(path: *const u8, flags: i32, ...) -> i32;
        fn mmap(at: *mut c_void, length: usize, protection: i32, flags: i32, fd: i32, from: Offset) -> *mut c_void;
    }

    /// Counts one call.
    pub fn count(call: Call) {
        /// Null before the first call. It is not made at start, when libc may not be ready to be asked for the environment.
        static COUNTERS: AtomicPtr<Counters> = AtomicPtr::new(ptr::null_mut());
        let mut counters = COUNTERS.load(Relaxed);
        if counters.is_null() {
            // SAFETY: the C library gives the place of this thread's `errno`, which is there as long as the thread.
            let before = unsafe { *__errno_location() };
            counters = map().unwrap_or_else(nowhere);
            // SAFETY: as above. What failed here is no business of the caller's.
            unsafe { *__errno_location() = before };
            // Of two threads that come here at once, each has a mapping of the same file.
            COUNTERS.store(counters, Relaxed);
        }
        // SAFETY: it is a static's, or a mapping's that is never unmapped; atomics, which may be shared.
        let counters = unsafe { &*counters };
        counters[call as usize].fetch_add(1, Relaxed);
    }

    /// Counters that nobody reads, for programs that were not told of a file.
    fn nowhere() -> *mut Counters {
        static NOWHERE: Counters = {
            #[allow(clippy::declare_interior_mutable_const)] // each element is a copy of its own
            const ZERO: AtomicUsize = AtomicUsize::new(0);
            [ZERO; CALLS]
        };
        &NOWHERE as *const Counters as *mut Counters
    }

    fn map() -> Option<*mut Counters> {
        // SAFETY: the name ends in a zero.
        let path = unsafe { getenv(b"BAREPOLL_C_COUNT\0".as_ptr()) };
        if path.is_null() {
            return None;
        }
        // SAFETY: the environment's strings end in a zero.
        let fd = unsafe { open(path, O_RDWR | O_CLOEXEC) };
        if fd < 0 {
            return None;
        }
        let mut first = [0; size_of::<Counters>()];
        // SAFETY: the array is as long. What a mapping has beyond its file's end is lost, or is a SIGBUS.
        let long_enough = unsafe { raw::read(fd, first.as_mut_ptr(), first.len()) } == Ok(first.len());
        // SAFETY: a new mapping, in no one's way.
        let mapped = unsafe { mmap(ptr::null_mut(), size_of::<Counters>(), PROT_READ_WRITE, MAP_SHARED, fd, 0) };
        // SAFETY: it was opened here. The mapping stays.
        let _ = unsafe { raw::close(fd) };
        (long_enough && mapped as isize != -1).then(|| mapped.cast())
    }
}
