//! Copies standard input to standard output until the input ends, with x86_64 `asm!`.
#![no_std]
#![no_main]

#[path = "../../examples/bare-cat/src/start.rs"]
mod start;

use core::arch::asm;
use core::mem::MaybeUninit;

const INPUT: u64 = 0;
const END: u64 = 1;

#[repr(C, packed)]
#[derive(Copy, Clone)]
struct Event {
    flags: u32,
    data: u64,
}

macro_rules! syscall {
    ($nr:literal $(, $reg:tt = $value:expr)*) => {{
        let returned: isize;
        // SAFETY: every call below passes valid arguments for its system call.
        unsafe {
            asm!("syscall", inlateout("rax") $nr as isize => returned, $(in($reg) $value as usize,)* lateout("rcx") _,
                lateout("r11") _, options(nostack));
        }
        if returned < 0 {
            fail();
        }
        returned as usize
    }};
}

/// The entry point that [`start`] calls.
extern "C" fn main() -> ! {
    let epoll = syscall!(291, "rdi" = 0x80000);
    let end = syscall!(290, "rdi" = 0, "rsi" = 0x80000);
    for (fd, data) in [(0, INPUT), (end, END)] {
        let event = Event { flags: 1, data };
        syscall!(233, "rdi" = epoll, "rsi" = 1, "rdx" = fd, "r10" = &raw const event);
    }
    let mut events = [MaybeUninit::<Event>::uninit(); 1];
    loop {
        let ready = syscall!(232, "rdi" = epoll, "rsi" = events.as_mut_ptr(), "rdx" = 1, "r10" = -1_isize);
        for at in 0..ready {
            // SAFETY: the kernel has written `ready` events.
            if unsafe { events.get_unchecked(at).assume_init() }.data == END {
                start::exit(0);
            }
            let mut bytes = [MaybeUninit::<u8>::uninit(); 1024];
            let read = syscall!(0, "rdi" = 0, "rsi" = bytes.as_mut_ptr(), "rdx" = bytes.len());
            if read == 0 {
                let add = 1_u64;
                syscall!(1, "rdi" = end, "rsi" = &raw const add, "rdx" = 8);
            }
            let mut written = 0;
            while written < read {
                written += syscall!(1, "rdi" = 1, "rsi" = bytes.as_ptr().wrapping_add(written), "rdx" = read - written);
            }
        }
    }
}

/// All calls share this exit.
#[cold]
#[inline(never)]
fn fail() -> ! {
    start::exit(1)
}

#[cfg(panic = "unwind")] // dev and test use std's panic handler
extern crate std;

#[cfg(panic = "abort")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    fail()
}
