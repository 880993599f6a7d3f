//! For MemorySanitizer. Each program gives the kernel memory that nothing has written, and branches
//! on every byte that it reads there.

use crate::seccomp::answered;
use crate::Case;
use barepoll::fd::AsRawFd;
use barepoll::{raw, Epoll, Errno, Event, EventData, EventFd, EventFdFlags, EventFlags, Result, SigSet};
use barepoll::{Clock, TimerFd, TimerFdFlags, TimerSetting};
use core::hint::black_box;
use core::mem::{size_of_val, MaybeUninit};
use core::ptr;
use core::time::Duration;

const fn right(name: &'static str, run: fn() -> Result<()>) -> Case {
    Case { name, is_right: true, report: "use-of-uninitialized-value", run }
}

const fn wrong(name: &'static str, run: fn() -> Result<()>) -> Case {
    Case { is_right: false, ..right(name, run) }
}

type Buffer = [MaybeUninit<Event>; 2];

pub const CASES: &[Case] = &[
    right("wait", || wait(|epoll, buffer| epoll.wait(buffer, None).map(|ready| ready.len()))),
    right("wait_finer", || wait(|epoll, buffer| epoll.wait(buffer, Some(FINE)).map(|ready| ready.len()))),
    right("wait_masked", || {
        wait(|epoll, buffer| epoll.wait_masked(buffer, None, &SigSet::full()).map(|ready| ready.len()))
    }),
    right("wait_uninterrupted", || {
        wait(|epoll, buffer| epoll.wait_uninterrupted(buffer, Some(FINE)).map(|ready| ready.len()))
    }),
    right("wait_spinning", || wait(|epoll, buffer| epoll.wait_spinning(buffer, None, 1).map(|ready| ready.len()))),
    right("raw::epoll_wait", || {
        // SAFETY: there is room for two events.
        wait(|epoll, buffer| unsafe { raw::epoll_wait(epoll.as_raw_fd(), buffer.as_mut_ptr().cast(), 2, -1) })
    }),
    right("raw::epoll_pwait", || {
        wait(|epoll, buffer| {
            let events = buffer.as_mut_ptr().cast();
            // SAFETY: there is room for two events, and the call accepts a null mask.
            unsafe { raw::epoll_pwait(epoll.as_raw_fd(), events, 2, -1, ptr::null()) }
        })
    }),
    right("raw::epoll_pwait2", || {
        wait(|epoll, buffer| {
            let events = buffer.as_mut_ptr().cast();
            // SAFETY: there is room for two events, and the call accepts null for the others.
            unsafe { raw::epoll_pwait2(epoll.as_raw_fd(), events, 2, ptr::null(), ptr::null()) }
        })
    }),
    right("raw::read", || read(8)),
    right("EventFd::read", || {
        branch_on(&EventFd::new(3, EventFdFlags::CLOEXEC)?.read()?);
        Ok(())
    }),
    right("TimerFd::read", || {
        branch_on(&timer()?.read()?);
        Ok(())
    }),
    right("raw::timerfd_gettime", || {
        let (timer, mut time) = (timer()?, MaybeUninit::<raw::Itimerspec>::uninit());
        // SAFETY: there is room for the times.
        unsafe { raw::timerfd_gettime(timer.as_raw_fd(), time.as_mut_ptr())? };
        branch_on(&time);
        Ok(())
    }),
    right("raw::timerfd_settime", || {
        let (timer, mut old) = (timer()?, MaybeUninit::<raw::Itimerspec>::uninit());
        // SAFETY: the setting is readable, and there is room for the old one.
        unsafe { raw::timerfd_settime(timer.as_raw_fd(), 0, &Default::default(), old.as_mut_ptr())? };
        branch_on(&old);
        Ok(())
    }),
    right("raw::ioctl", || params(raw::EPIOCGPARAMS)),
    wrong("an event too many", || wait(|epoll, buffer| epoll.wait(buffer, None).map(|ready| ready.len() + 1))),
    wrong("a byte too many", || read(9)),
    wrong("an event after an error", || {
        wait(|epoll, buffer| match epoll.wait(&mut buffer[..0], None) {
            Err(Errno::EINVAL) => Ok(1),
            answer => answer.map(|ready| ready.len()),
        })
    }),
    wrong("a request that writes nothing", || params(raw::EPIOCSPARAMS)),
];

/// A timeout that `epoll_wait` cannot express. Only a hang takes this long.
const FINE: Duration = Duration::from_nanos(60_000_000_001);

/// Branches on every byte of the value.
fn branch_on<T>(value: &T) {
    // The compiler knows nothing about the memory behind this pointer.
    let start: *const u8 = black_box(ptr::from_ref(value).cast());
    for offset in 0..size_of_val(value) {
        // SAFETY: it is inside the value. A wrong program reads a byte that nothing has written.
        // That is its fault.
        if unsafe { start.add(offset).read() } == 0xa5 {
            black_box(offset);
        }
    }
}

/// A timer that expires again and again.
fn timer() -> Result<TimerFd> {
    let timer = TimerFd::new(Clock::MONOTONIC, TimerFdFlags::CLOEXEC)?;
    timer.set(TimerSetting::every(Duration::from_millis(1)))?;
    Ok(timer)
}

/// Waits for a ready descriptor with room for two events. Branches on as many events as `wait`
/// returns.
fn wait(wait: fn(&Epoll, &mut Buffer) -> Result<usize>) -> Result<()> {
    let (epoll, eventfd) = (Epoll::new()?, EventFd::new(1, EventFdFlags::CLOEXEC)?);
    epoll.add(&eventfd, EventData::new_u64(0x0102_0304_0506_0708), EventFlags::IN)?;
    let mut buffer = Event::buffer::<2>();
    let ready = wait(&epoll, &mut buffer)?;
    buffer[..ready].iter().for_each(branch_on);
    Ok(())
}

/// Reads eight bytes, with room for sixteen. Branches on the first `count`.
fn read(count: usize) -> Result<()> {
    let (eventfd, mut buffer) = (EventFd::new(3, EventFdFlags::CLOEXEC)?, MaybeUninit::<[u8; 16]>::uninit());
    // SAFETY: there is room for sixteen bytes.
    unsafe { raw::read(eventfd.as_raw_fd(), buffer.as_mut_ptr().cast(), 16)? };
    // SAFETY: every byte is a `MaybeUninit<u8>`, written or not.
    let bytes: [MaybeUninit<u8>; 16] = unsafe { core::mem::transmute(buffer) };
    bytes[..count].iter().for_each(branch_on);
    Ok(())
}

/// Makes a request of an epoll with memory that nothing has written. Branches on this memory.
///
/// Linux has the requests since 6.9. So a filter answers success on any kernel.
fn params(request: u32) -> Result<()> {
    let epoll = Epoll::new()?;
    answered(
        &[libc::SYS_ioctl],
        |_| Some(0),
        || {
            let mut params = MaybeUninit::<[u8; 8]>::uninit();
            // SAFETY: both requests take a pointer to eight bytes.
            unsafe { raw::ioctl(epoll.as_raw_fd(), request, params.as_mut_ptr().cast())? };
            branch_on(&params);
            Ok(())
        },
    )
}
