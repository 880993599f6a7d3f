//! The lower bound: hand-written `asm!` with only the operands that x86_64's `syscall` needs.

use crate::calls::{send_signal, HOUR, SIGUSR2};
use barepoll::fd::AsRawFd;
use barepoll::{Event, SignalInfo};
use std::arch::asm;
use std::hint::black_box;
use std::mem::MaybeUninit;

macro_rules! syscall {
    ($nr:literal $(, $reg:tt = $value:expr)*) => {{
        let ret: isize;
        // SAFETY: every call below passes valid arguments for its system call.
        unsafe {
            asm!("syscall", inlateout("rax") $nr as isize => ret, $(in($reg) $value as usize,)* lateout("rcx") _, lateout("r11") _,
                options(nostack));
        }
        ret
    }};
}

crate::calls::operations! {
    wait(at) { let mut buffer = Event::buffer::<64>() }
        syscall!(232, "rdi" = at.epoll.as_raw_fd(), "rsi" = buffer.as_mut_ptr(), "rdx" = 64, "r10" = 0) >= 0;
    wait_given(at) { let mut buffer = Event::buffer::<64>(); let mut timeout = 0_i32; let _ = black_box(&mut timeout) }
        syscall!(232, "rdi" = at.epoll.as_raw_fd(), "rsi" = buffer.as_mut_ptr(), "rdx" = 64, "r10" = timeout) >= 0;
    modify(at) {}
        {
            let event = Event::new(barepoll::EventFlags::IN, barepoll::EventData::new_u64(1));
            syscall!(233, "rdi" = at.epoll.as_raw_fd(), "rsi" = 3, "rdx" = at.empty.as_raw_fd(), "r10" = &raw const event) >= 0
        };
    write(at) {}
        {
            let add = 1_u64;
            syscall!(1, "rdi" = at.full.as_raw_fd(), "rsi" = &raw const add, "rdx" = 8) >= 0
        };
    read(at) { let mut value = MaybeUninit::<u64>::uninit() }
        syscall!(0, "rdi" = at.full.as_raw_fd(), "rsi" = value.as_mut_ptr(), "rdx" = 8) >= 0;
    read_again(at) { let mut value = MaybeUninit::<u64>::uninit() }
        syscall!(0, "rdi" = at.empty.as_raw_fd(), "rsi" = value.as_mut_ptr(), "rdx" = 8) == -11;
    create_close(_at) {}
        {
            // If epoll_create1 fails, close fails too.
            let fd = syscall!(291, "rdi" = 0x80000);
            syscall!(3, "rdi" = fd) == 0
        };
    timerfd_set(at) {}
        {
            let times = [0, 0, HOUR.as_secs(), 0];
            syscall!(286, "rdi" = at.timer.as_raw_fd(), "rsi" = 0, "rdx" = times.as_ptr(), "r10" = 0) >= 0
        };
    timerfd_read(at) { let mut value = MaybeUninit::<u64>::uninit() }
        syscall!(0, "rdi" = at.timer.as_raw_fd(), "rsi" = value.as_mut_ptr(), "rdx" = 8) == -11;
    signalfd_read(at) { let mut info = MaybeUninit::<SignalInfo>::uninit() }
        send_signal(at) && syscall!(0, "rdi" = at.signals.as_raw_fd(), "rsi" = info.as_mut_ptr(), "rdx" = 128) == 128;
    block_unblock(_at) { let (set, mut before) = (1_u64 << (SIGUSR2 - 1), MaybeUninit::<u64>::uninit()) }
        syscall!(14, "rdi" = 0, "rsi" = &raw const set, "rdx" = before.as_mut_ptr(), "r10" = 8) >= 0
            && syscall!(14, "rdi" = 1, "rsi" = &raw const set, "rdx" = before.as_mut_ptr(), "r10" = 8) >= 0;
}
