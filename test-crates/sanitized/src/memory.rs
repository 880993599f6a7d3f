//! For MemorySanitizer. Each program gives the kernel memory that nothing has written, and branches
//! on every byte that it reads there.

use crate::seccomp::answered;
use crate::Case;
use barepoll::fd::AsRawFd;
use barepoll::{raw, Epoll, Errno, Event, EventData, EventFd, EventFdFlags, EventFlags, Result, SigSet};
use barepoll::{Clock, SignalFd, SignalFdFlags, SignalInfo, TimerFd, TimerFdFlags, TimerSetting};
use core::hint::black_box;
use core::mem::{size_of, size_of_val, MaybeUninit};
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
    right("SignalFd::read", || signals(2)),
    right("SignalInfo's accessors", || {
        let mut buffer = SignalInfo::buffer::<4>();
        for info in signalfd()?.read(&mut buffer)? {
            branch_on(&(info.signal(), info.errno(), info.code(), info.sender_pid(), info.sender_uid(), info.fd()));
            branch_on(&(info.timer_id(), info.band(), info.overrun(), info.child_status(), info.value_int()));
            branch_on(&(info.value_ptr(), info.child_user_time(), info.child_system_time(), info.fault_address()));
            branch_on(&info.trap_no());
            branch_on(&info.fault_address_lsb());
        }
        Ok(())
    }),
    right("SigSet::thread_mask", || {
        branch_on(&SigSet::thread_mask()?);
        Ok(())
    }),
    right("SigSet::block", || {
        branch_on(&USER.block()?);
        Ok(())
    }),
    right("SigSet::unblock", || {
        branch_on(&USER.unblock()?);
        Ok(())
    }),
    right("SigSet::set_thread_mask", || {
        branch_on(&USER.set_thread_mask()?);
        Ok(())
    }),
    right("raw::rt_sigprocmask", || {
        let mut old = MaybeUninit::<SigSet>::uninit();
        // SAFETY: the call accepts a null set, and there is room for the old one.
        unsafe { raw::rt_sigprocmask(raw::SIG_BLOCK, ptr::null(), old.as_mut_ptr())? };
        branch_on(&old);
        Ok(())
    }),
    right("raw::waitid", || wait_for_child(WRITTEN)),
    right("raw::ioctl", || params(raw::EPIOCGPARAMS)),
    wrong("an event too many", || wait(|epoll, buffer| epoll.wait(buffer, None).map(|ready| ready.len() + 1))),
    wrong("a byte too many", || read(9)),
    wrong("an event after an error", || {
        wait(|epoll, buffer| match epoll.wait(&mut buffer[..0], None) {
            Err(Errno::EINVAL) => Ok(1),
            answer => answer.map(|ready| ready.len()),
        })
    }),
    wrong("a signal too many", || signals(3)),
    wrong("a word of a siginfo that is padding", || wait_for_child(&[3])),
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

/// A signal whose default action ends the process, and a real-time signal.
const USER: SigSet = match SigSet::from_signals(&[libc::SIGUSR1, 40]) {
    Ok(set) => set,
    Err(_) => panic!("the kernel has these signals"),
};

/// A signalfd with two pending signals.
fn signalfd() -> Result<SignalFd> {
    USER.block()?;
    for signal in USER {
        // SAFETY: the signal is blocked, so nothing runs.
        assert_eq!(unsafe { libc::raise(signal) }, 0);
    }
    SignalFd::new(&USER, SignalFdFlags::CLOEXEC)
}

/// Reads two signals, with room for four. Branches on the first `count` infos.
fn signals(count: usize) -> Result<()> {
    let (signalfd, mut buffer) = (signalfd()?, SignalInfo::buffer::<4>());
    assert_eq!(signalfd.read(&mut buffer)?.len(), 2);
    buffer[..count].iter().for_each(branch_on);
    Ok(())
}

/// The words of a `siginfo_t` that the kernel writes, where a pointer has 64 bits: signal, error,
/// code; process, user, status. The word between them is padding.
const WRITTEN: &[usize] = &[0, 1, 2, 4, 5, 6];

/// Waits for a child. Branches on these words of its `siginfo_t`.
fn wait_for_child(words: &[usize]) -> Result<()> {
    const SIZE: usize = size_of::<raw::Siginfo>() / size_of::<u32>();
    // SAFETY: the child only exits.
    let child = match unsafe { libc::fork() } {
        // SAFETY: it runs no code of this process.
        0 => unsafe { libc::_exit(7) },
        child => child,
    };
    let mut info = MaybeUninit::<raw::Siginfo>::uninit();
    // SAFETY: there is room for the info, and only this function knows the child.
    unsafe { raw::waitid(raw::P_PID, child, info.as_mut_ptr(), raw::WEXITED)? };
    // SAFETY: every word is a `MaybeUninit<u32>`, written or not.
    let info: [MaybeUninit<u32>; SIZE] = unsafe { core::mem::transmute(info) };
    words.iter().for_each(|word| branch_on(&info[*word]));
    Ok(())
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
