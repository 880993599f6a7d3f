//! What a sanitizer cannot see of a system call. It follows compiled code and the C library's
//! functions, but not an `asm!` that calls the kernel.
//!
//! - MemorySanitizer (`barepoll_msan`) learns which memory the kernel wrote: that much and no more.
//! - ThreadSanitizer (`barepoll_tsan`) learns that what a thread did before a write, a change of an
//!   interest list or of a signalfd, the setting of a timer or the sending of a signal comes before
//!   what a thread does after a later read or wait.
//!
//! `build.rs` sets these two. Otherwise the functions are empty. docs/testing.md has the user's
//! side.

use crate::child::Siginfo;
#[cfg(any(barepoll_msan, barepoll_tsan))]
use crate::child::PID;
use crate::errno::Result;
use crate::event::Event;
use core::ffi::c_void;

/// A wait's answer: the kernel has written that many events.
#[inline(always)]
pub(crate) fn waited(answer: Result<usize>, events: *const Event) -> Result<usize> {
    #[cfg(any(barepoll_msan, barepoll_tsan))]
    {
        returned();
        if let Ok(ready) = answer {
            written(events, ready);
            if ready > 0 {
                acquired();
            }
        }
    }
    let _ = events;
    answer
}

/// A read's answer: the kernel has written that many bytes.
#[inline(always)]
pub(crate) fn read(answer: Result<usize>, buf: *const u8) -> Result<usize> {
    #[cfg(any(barepoll_msan, barepoll_tsan))]
    {
        returned();
        if let Ok(count) = answer {
            written(buf, count);
            acquired();
        }
    }
    let _ = buf;
    answer
}

/// A wait for a child has returned. The kernel has written six fields, in two pieces. A process of
/// 0 means that no child has ended.
#[inline(always)]
pub(crate) fn waited_for_child(answer: Result<usize>, info: *const Siginfo) -> Result<usize> {
    #[cfg(any(barepoll_msan, barepoll_tsan))]
    {
        returned();
        if answer.is_ok() {
            if !info.is_null() {
                written(info.cast::<u32>(), 3);
                written(info.cast::<u32>().wrapping_add(PID), 3);
            }
            // SAFETY: the kernel has written this field.
            if info.is_null() || unsafe { info.cast::<u32>().wrapping_add(PID).read() } != 0 {
                acquired();
            }
        }
    }
    let _ = info;
    answer
}

/// A request has succeeded. Only this one is known to write: a `struct epoll_params`, eight bytes.
#[inline(always)]
pub(crate) fn requested(request: u32, arg: *const c_void) {
    #[cfg(barepoll_msan)]
    if request == crate::arch::EPIOCGPARAMS {
        written(arg.cast::<u64>(), 1);
    }
    let _ = (request, arg);
}

/// The kernel has written `count` values.
#[inline(always)]
pub(crate) fn written<T>(pointer: *const T, count: usize) {
    #[cfg(barepoll_msan)]
    {
        extern "C" {
            fn __msan_unpoison(start: *const c_void, bytes: usize);
        }
        // SAFETY: it changes only MemorySanitizer's notes on this memory.
        unsafe { __msan_unpoison(pointer.cast(), count.saturating_mul(core::mem::size_of::<T>())) };
    }
    let _ = (pointer, count);
}

/// A write, a change of an interest list or the setting of a timer is about to begin. Another thread
/// may see it before this thread's call returns.
#[inline(always)]
pub(crate) fn released() {
    #[cfg(barepoll_tsan)]
    thread::released();
}

/// A read or a wait has returned something.
#[inline(always)]
pub(crate) fn acquired() {
    #[cfg(barepoll_tsan)]
    thread::acquired();
}

/// A call that may have waited has returned.
#[inline(always)]
pub(crate) fn returned() {
    #[cfg(barepoll_tsan)]
    thread::run_signal_handlers();
}

#[cfg(barepoll_tsan)]
mod thread {
    use core::ffi::c_void;
    use core::ptr;
    use core::sync::atomic::{AtomicU8, Ordering::Relaxed};

    /// Its address stands for every descriptor. A key for each would miss pipes, whose two ends
    /// have two numbers, and duplicates. ThreadSanitizer would then report races that are none.
    static KEY: AtomicU8 = AtomicU8::new(0);

    extern "C" {
        fn __tsan_acquire(key: *mut c_void);
        fn __tsan_release(key: *mut c_void);
    }

    fn key() -> *mut c_void {
        ptr::addr_of!(KEY) as *mut c_void
    }

    pub(super) fn released() {
        // SAFETY: ThreadSanitizer uses the address as a key, and does not read behind it.
        unsafe { __tsan_release(key()) };
    }

    pub(super) fn acquired() {
        // SAFETY: ThreadSanitizer uses the address as a key, and does not read behind it.
        unsafe { __tsan_acquire(key()) };
    }

    /// ThreadSanitizer keeps a signal's handler until the thread's next atomic operation or call of
    /// the C library. A loop with this crate may have none.
    pub(super) fn run_signal_handlers() {
        KEY.load(Relaxed);
    }
}
