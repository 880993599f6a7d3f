//! Pairs of functions: one uses barepoll's safe interface, the other (`..._by_hand`) the port's
//! system call function and one comparison. `cargo xtask asm` compares the instructions of each
//! pair. Build with `--cfg barepoll_internals`.
#![no_std]
#![cfg(barepoll_internals)]

use barepoll::arch::{self, nr, syscall1, syscall2, syscall3, syscall4, syscall6};
use barepoll::fd::{AsRawFd, IntoRawFd};
use barepoll::raw::{Itimerspec, Timespec};
use barepoll::{Epoll, Event, EventData, EventFd, EventFdFlags, EventFlags};
use barepoll::{PidFd, SigSet, SignalFd, SignalInfo, TimerFd, TimerSetting};
use core::mem::MaybeUninit;
use core::time::Duration;

type Buffer = [MaybeUninit<Event>; 64];

const FAILED: usize = usize::MAX;

#[no_mangle]
pub fn wait_zero(epoll: &Epoll, buffer: &mut Buffer) -> usize {
    epoll.wait(buffer, Some(Duration::ZERO)).map_or(FAILED, |ready| ready.len())
}

#[no_mangle]
pub fn wait_zero_by_hand(epoll: &Epoll, buffer: &mut Buffer) -> usize {
    wait_by_hand::<0>(epoll, buffer)
}

#[no_mangle]
pub fn wait_for_ever(epoll: &Epoll, buffer: &mut Buffer) -> usize {
    epoll.wait(buffer, None).map_or(FAILED, |ready| ready.len())
}

#[no_mangle]
pub fn wait_for_ever_by_hand(epoll: &Epoll, buffer: &mut Buffer) -> usize {
    wait_by_hand::<-1>(epoll, buffer)
}

/// This function has no counterpart, because hand-written code would pass milliseconds directly.
#[no_mangle]
pub fn wait_given(epoll: &Epoll, buffer: &mut Buffer, timeout: Duration) -> usize {
    epoll.wait(buffer, Some(timeout)).map_or(FAILED, |ready| ready.len())
}

#[no_mangle]
pub fn wait_five_ms(epoll: &Epoll, buffer: &mut Buffer) -> usize {
    epoll.wait(buffer, Some(Duration::from_millis(5))).map_or(FAILED, |ready| ready.len())
}

#[no_mangle]
pub fn wait_five_ms_by_hand(epoll: &Epoll, buffer: &mut Buffer) -> usize {
    wait_by_hand::<5>(epoll, buffer)
}

#[inline(always)]
fn wait_by_hand<const TIMEOUT_MS: isize>(epoll: &Epoll, buffer: &mut Buffer) -> usize {
    const WAIT: usize = match nr::EPOLL_WAIT {
        Some(nr) => nr,
        None => nr::EPOLL_PWAIT,
    };
    let (epfd, events, timeout) = (epoll.as_raw_fd() as usize, buffer.as_mut_ptr() as usize, TIMEOUT_MS as usize);
    // SAFETY: the buffer has room for 64 events, and there is no mask.
    counted(unsafe {
        match nr::EPOLL_WAIT {
            Some(_) => syscall4::<WAIT>(epfd, events, 64, timeout),
            None => syscall6::<WAIT>(epfd, events, 64, timeout, 0, barepoll::arch::SIGSET_BYTES),
        }
    })
}

#[inline(always)]
fn counted(returned: isize) -> usize {
    if returned < 0 {
        FAILED
    } else {
        returned as usize
    }
}

#[no_mangle]
pub fn modify(epoll: &Epoll, eventfd: &EventFd) -> bool {
    epoll.modify(eventfd, EventData::new_u64(7), EventFlags::IN).is_ok()
}

#[no_mangle]
pub fn modify_by_hand(epoll: &Epoll, eventfd: &EventFd) -> bool {
    let mut event = Event::new(EventFlags::IN, EventData::new_u64(7));
    let (epfd, fd) = (epoll.as_raw_fd() as usize, eventfd.as_raw_fd() as usize);
    // SAFETY: the event is a local variable.
    unsafe { syscall4::<{ nr::EPOLL_CTL }>(epfd, 3, fd, &mut event as *mut Event as usize) >= 0 }
}

#[no_mangle]
pub fn write(eventfd: &EventFd) -> bool {
    eventfd.write(1).is_ok()
}

#[no_mangle]
pub fn write_by_hand(eventfd: &EventFd) -> bool {
    let add = 1_u64;
    // SAFETY: `add` is eight bytes long.
    unsafe { syscall3::<{ nr::WRITE }>(eventfd.as_raw_fd() as usize, &add as *const u64 as usize, 8) >= 0 }
}

#[no_mangle]
pub fn read(eventfd: &EventFd) -> u64 {
    eventfd.read().unwrap_or(u64::MAX)
}

#[no_mangle]
pub fn read_by_hand(eventfd: &EventFd) -> u64 {
    value_by_hand(eventfd.as_raw_fd() as usize)
}

#[inline(always)]
fn value_by_hand(fd: usize) -> u64 {
    let mut value = MaybeUninit::<u64>::uninit();
    let room = value.as_mut_ptr() as usize;
    // SAFETY: `value` has room for eight bytes. A read of eight initialises it.
    unsafe {
        match syscall3::<{ nr::READ }>(fd, room, 8) {
            8 => value.assume_init(),
            _ => u64::MAX,
        }
    }
}

#[no_mangle]
pub fn create(made: &mut i32) -> bool {
    match Epoll::new() {
        Ok(epoll) => *made = epoll.into_raw_fd(),
        Err(_) => return false,
    }
    true
}

#[no_mangle]
pub fn create_by_hand(made: &mut i32) -> bool {
    // SAFETY: no pointer.
    match unsafe { syscall1::<{ nr::EPOLL_CREATE1 }>(barepoll::arch::O_CLOEXEC as usize) } {
        fd if fd >= 0 => *made = fd as i32,
        _ => return false,
    }
    true
}

#[no_mangle]
pub fn close(epoll: Epoll) {
    drop(epoll);
}

#[no_mangle]
pub fn close_by_hand(epoll: Epoll) {
    // SAFETY: `into_raw_fd` gives up ownership.
    unsafe { syscall1::<{ nr::CLOSE }>(epoll.into_raw_fd() as usize) };
}

#[no_mangle]
pub fn wait_masked(epoll: &Epoll, buffer: &mut Buffer, mask: &SigSet) -> usize {
    epoll.wait_masked(buffer, Some(Duration::ZERO), mask).map_or(FAILED, |ready| ready.len())
}

#[no_mangle]
pub fn wait_masked_by_hand(epoll: &Epoll, buffer: &mut Buffer, mask: &SigSet) -> usize {
    let (epfd, events, mask) =
        (epoll.as_raw_fd() as usize, buffer.as_mut_ptr() as usize, mask as *const SigSet as usize);
    // SAFETY: the buffer has room for 64 events, and the mask is the kernel's set.
    counted(unsafe { syscall6::<{ nr::EPOLL_PWAIT }>(epfd, events, 64, 0, mask, barepoll::arch::SIGSET_BYTES) })
}

#[no_mangle]
pub fn counter(made: &mut i32) -> bool {
    match EventFd::new(3, EventFdFlags::CLOEXEC) {
        Ok(eventfd) => *made = eventfd.into_raw_fd(),
        Err(_) => return false,
    }
    true
}

#[no_mangle]
pub fn counter_by_hand(made: &mut i32) -> bool {
    // SAFETY: no pointer.
    match unsafe { syscall2::<{ nr::EVENTFD2 }>(3, barepoll::arch::O_CLOEXEC as usize) } {
        fd if fd >= 0 => *made = fd as i32,
        _ => return false,
    }
    true
}

const HOUR: Duration = Duration::from_secs(3600);

/// On machines with two such calls this has no counterpart either, because hand-written code would
/// make only one of them.
#[no_mangle]
pub fn timer_set(timer: &TimerFd) -> bool {
    timer.set(TimerSetting::after(HOUR)).is_ok()
}

#[no_mangle]
pub fn timer_set_by_hand(timer: &TimerFd) -> bool {
    const SETTIME: usize = match (nr::TIMERFD_SETTIME64, nr::TIMERFD_SETTIME) {
        (Some(nr), _) | (None, Some(nr)) => nr,
        (None, None) => 0,
    };
    let first = Timespec { tv_sec: HOUR.as_secs() as i64, tv_nsec: 0 };
    let times = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: first };
    let (fd, times) = (timer.as_raw_fd() as usize, &times as *const Itimerspec as usize);
    // SAFETY: the times are a local variable, and the last pointer may be null.
    unsafe { syscall4::<SETTIME>(fd, 0, times, 0) >= 0 }
}

/// This function has no counterpart, because hand-written code would pass the kernel's structure.
#[no_mangle]
pub fn timer_given(timer: &TimerFd, time: Duration) -> bool {
    timer.set(TimerSetting::after(time)).is_ok()
}

#[no_mangle]
pub fn timer_read(timer: &TimerFd) -> u64 {
    timer.read().unwrap_or(u64::MAX)
}

#[no_mangle]
pub fn timer_read_by_hand(timer: &TimerFd) -> u64 {
    value_by_hand(timer.as_raw_fd() as usize)
}

#[no_mangle]
pub fn signal_read(signals: &SignalFd, buffer: &mut [MaybeUninit<SignalInfo>; 8]) -> usize {
    signals.read(buffer).map_or(FAILED, |infos| infos.len())
}

#[no_mangle]
pub fn signal_read_by_hand(signals: &SignalFd, buffer: &mut [MaybeUninit<SignalInfo>; 8]) -> usize {
    const BYTES: usize = core::mem::size_of::<SignalInfo>();
    let (fd, infos) = (signals.as_raw_fd() as usize, buffer.as_mut_ptr() as usize);
    // SAFETY: the buffer has room for eight.
    match unsafe { syscall3::<{ nr::READ }>(fd, infos, 8 * BYTES) } {
        count if count >= BYTES as isize => count as usize / BYTES,
        _ => FAILED,
    }
}

#[no_mangle]
pub fn block(signals: &SigSet) -> bool {
    signals.block().is_ok()
}

#[no_mangle]
pub fn block_by_hand(signals: &SigSet) -> bool {
    let mut before = MaybeUninit::<SigSet>::uninit();
    let (set, before) = (signals as *const SigSet as usize, before.as_mut_ptr() as usize);
    const BLOCK: usize = barepoll::raw::SIG_BLOCK as usize;
    // SAFETY: the first set is valid for reads, and the second for writes.
    unsafe { syscall4::<{ nr::RT_SIGPROCMASK }>(BLOCK, set, before, arch::SIGSET_BYTES) >= 0 }
}

#[no_mangle]
pub fn send_signal(child: &PidFd) -> bool {
    child.send_signal(15).is_ok()
}

#[no_mangle]
pub fn send_signal_by_hand(child: &PidFd) -> bool {
    // SAFETY: the pointer may be null.
    unsafe { syscall4::<{ nr::PIDFD_SEND_SIGNAL }>(child.as_raw_fd() as usize, 15, 0, 0) >= 0 }
}

/// Calls with each number of arguments. The number of the call does not matter.
macro_rules! any_calls {
    ($($name:ident, $name_by_hand:ident: $by_hand:ident($($argument:ident),*);)*) => {$(
        /// # Safety
        ///
        /// The arguments are right for the call.
        #[no_mangle]
        pub unsafe fn $name($($argument: usize),*) -> usize {
            // SAFETY: the caller vouches for the arguments.
            unsafe { barepoll::syscall!(nr::CLOSE $(, $argument)*) }.unwrap_or(FAILED)
        }

        /// # Safety
        ///
        /// The arguments are right for the call.
        #[no_mangle]
        pub unsafe fn $name_by_hand($($argument: usize),*) -> usize {
            // SAFETY: the caller vouches for the arguments.
            let returned = unsafe { arch::$by_hand::<{ nr::CLOSE }>($($argument),*) } as usize;
            if returned > -4096_isize as usize {
                FAILED
            } else {
                returned
            }
        }
    )*};
}

any_calls! {
    call_0, call_0_by_hand: syscall0();
    call_1, call_1_by_hand: syscall1(a);
    call_2, call_2_by_hand: syscall2(a, b);
    call_3, call_3_by_hand: syscall3(a, b, c);
    call_4, call_4_by_hand: syscall4(a, b, c, d);
    call_5, call_5_by_hand: syscall5(a, b, c, d, e);
    call_6, call_6_by_hand: syscall6(a, b, c, d, e, f);
}
