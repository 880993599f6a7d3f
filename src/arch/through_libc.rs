//! Calls of the platform's C functions, in place of the machine's instruction: for Miri, which
//! interprets no inline assembly and has its own versions ("shims") of these functions.
//!
//! The numbers, and so the calls that the crate chooses, are those of the machine's port. A call
//! without a function here returns −ENOSYS, so a fallback of the crate replaces it if it has one:
//! `ioctl`, `epoll_pwait2`, a wait with a signal mask, the calls of timers, signals and pidfds, and
//! all of `barepoll::syscall` beside these.
//!
//! Arguments are words, as for an instruction. So a pointer's provenance is exposed, and the pointer
//! for the C function is made from the address with `as`. Miri's `-Zmiri-strict-provenance` rejects
//! that.
//!
//! `tests/oracles.rs` compares the names below with the names in Miri's source.

use super::port::{errno::ENOSYS, nr};
use core::ffi::c_void;

extern "C" {
    fn epoll_create1(flags: i32) -> i32;
    fn epoll_ctl(epfd: i32, op: i32, fd: i32, event: *mut c_void) -> i32;
    fn epoll_wait(epfd: i32, events: *mut c_void, maxevents: i32, timeout: i32) -> i32;
    fn eventfd(initval: u32, flags: i32) -> i32;
    fn read(fd: i32, buf: *mut c_void, count: usize) -> isize;
    fn write(fd: i32, buf: *const c_void, count: usize) -> isize;
    fn close(fd: i32) -> i32;
    fn clock_gettime(clock: i32, time: *mut c_void) -> i32;
    #[cfg(not(target_os = "android"))]
    fn __errno_location() -> *mut i32;
    #[cfg(target_os = "android")]
    fn __errno() -> *mut i32;
}

#[cfg(target_os = "android")]
use __errno as __errno_location;

/// The call whose timespec is the one of C's `clock_gettime`: two `long`s where the machine has an
/// older call for that, because C libraries keep the symbol for old programs.
const CLOCK_GETTIME: Option<usize> = match nr::CLOCK_GETTIME {
    Some(nr) => Some(nr),
    None => nr::CLOCK_GETTIME64,
};

/// Makes system call `nr` by the C function of its name.
///
/// # Safety
///
/// That of `syscallN`. The call reads no more arguments than its own.
unsafe fn call(nr: usize, [a, b, c, d, e, _]: [usize; 6]) -> isize {
    // SAFETY: the caller keeps the contract of `syscallN`, and each function makes the call of that
    // number. Addresses were made from pointers with `as`, so their provenance is exposed.
    let returned = unsafe {
        match nr {
            nr::EPOLL_CREATE1 => epoll_create1(a as i32) as isize,
            nr::EPOLL_CTL => epoll_ctl(a as i32, b as i32, c as i32, d as *mut c_void) as isize,
            // An `epoll_wait`, or an `epoll_pwait` without a mask. An `epoll_wait` has four
            // arguments, and the others are zero.
            _ if (Some(nr) == nr::EPOLL_WAIT || nr == nr::EPOLL_PWAIT) && e == 0 => {
                epoll_wait(a as i32, b as *mut c_void, c as i32, d as i32) as isize
            }
            nr::EVENTFD2 => eventfd(a as u32, b as i32) as isize,
            nr::READ => read(a as i32, b as *mut c_void, c),
            nr::WRITE => write(a as i32, b as *const c_void, c),
            nr::CLOSE => close(a as i32) as isize,
            _ if Some(nr) == CLOCK_GETTIME => clock_gettime(a as i32, b as *mut c_void) as isize,
            _ => return -(ENOSYS as isize),
        }
    };
    if returned == -1 {
        // SAFETY: the C library returns a valid pointer to this thread's number.
        return unsafe { -(*__errno_location() as isize) };
    }
    returned
}

macro_rules! by_function {
    ($name:ident [$($index:tt = $arg:ident),*]) => {{
        #[allow(unused_mut)] // no argument
        let mut arguments = [0; 6];
        $(arguments[$index] = $arg;)*
        // SAFETY: the caller keeps the contract of `syscallN`.
        unsafe { call(NR, arguments) }
    }};
}

syscalls! { #[inline] fn by by_function(0 1 2 3 4 5) }
