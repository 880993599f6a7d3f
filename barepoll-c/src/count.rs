//! With feature `count`, counts the calls of each function in a file, for tests of whole programs.
//!
//! `BAREPOLL_C_COUNT` names the file. It holds one machine word per function, in the order of
//! [`Call`], and must have that length from the start. Processes share it through a mapping, so
//! that neither `fork` nor a crash loses a count.

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
    Signalfd,
    TimerfdCreate,
    TimerfdSettime,
    TimerfdGettime,
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

    const CALLS: usize = Call::TimerfdGettime as usize + 1;
    type Counters = [AtomicUsize; CALLS];

    #[cfg(target_env = "musl")]
    type Offset = i64;
    #[cfg(not(target_env = "musl"))]
    type Offset = isize;

    // All Linux machines share these numbers, except close-on-exec's.
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

    pub fn count(call: Call) {
        /// Null before the first call. At program start libc's environment may not be ready.
        static COUNTERS: AtomicPtr<Counters> = AtomicPtr::new(ptr::null_mut());
        let mut counters = COUNTERS.load(Relaxed);
        if counters.is_null() {
            // SAFETY: the C library returns the address of this thread's `errno`, which lives as
            // long as the thread.
            let before = unsafe { *__errno_location() };
            counters = map().unwrap_or_else(nowhere);
            // SAFETY: as above. The caller must not see an error of the counter's.
            unsafe { *__errno_location() = before };
            // If two threads race here, each uses its own mapping of the same file.
            COUNTERS.store(counters, Relaxed);
        }
        // SAFETY: it points to a static or to a mapping that stays. Its atomics may be shared.
        let counters = unsafe { &*counters };
        counters[call as usize].fetch_add(1, Relaxed);
    }

    /// Unread counters, for programs without a file.
    fn nowhere() -> *mut Counters {
        static NOWHERE: Counters = {
            #[allow(clippy::declare_interior_mutable_const)] // each element is a separate copy
            const ZERO: AtomicUsize = AtomicUsize::new(0);
            [ZERO; CALLS]
        };
        &NOWHERE as *const Counters as *mut Counters
    }

    fn map() -> Option<*mut Counters> {
        // SAFETY: the name ends with a zero byte.
        let path = unsafe { getenv(b"BAREPOLL_C_COUNT\0".as_ptr()) };
        if path.is_null() {
            return None;
        }
        // SAFETY: the environment's strings end with a zero byte.
        let fd = unsafe { open(path, O_RDWR | O_CLOEXEC) };
        if fd < 0 {
            return None;
        }
        let mut first = [0; size_of::<Counters>()];
        // A write to the mapping beyond the end of the file is lost or raises SIGBUS.
        // SAFETY: the array is that long.
        let long_enough = unsafe { raw::read(fd, first.as_mut_ptr(), first.len()) } == Ok(first.len());
        // SAFETY: the kernel picks an unused address.
        let mapped = unsafe { mmap(ptr::null_mut(), size_of::<Counters>(), PROT_READ_WRITE, MAP_SHARED, fd, 0) };
        // SAFETY: this function opened the descriptor. Closing it keeps the mapping.
        let _ = unsafe { raw::close(fd) };
        (long_enough && mapped as isize != -1).then(|| mapped.cast())
    }
}
