//! For ThreadSanitizer. In each program, a thread writes memory and makes a call. The main thread
//! sees what the call did and reads the memory. Only the kernel orders the write and the read.

use crate::Case;
use barepoll::fd::{AsRawFd, FromRawFd};
use barepoll::{raw, Epoll, Errno, Event, EventData, EventFd, EventFdFlags, EventFlags, Result, SigSet};
use barepoll::{Clock, PidFd, SignalFd, SignalFdFlags, SignalInfo, TimerFd, TimerFdFlags, TimerSetting};
use core::cell::UnsafeCell;
use core::ptr;
use core::time::Duration;
use std::io::{pipe, PipeReader, PipeWriter};
use std::thread;

const fn right(name: &'static str, run: fn() -> Result<()>) -> Case {
    Case { name, is_right: true, report: "data race", run }
}

const fn wrong(name: &'static str, run: fn() -> Result<()>) -> Case {
    Case { is_right: false, ..right(name, run) }
}

pub const CASES: &[Case] = &[
    right("write, read", || unwatched(|both| both.publish(write), read)),
    right("write, wait", || watched(|both| both.publish(write), wait)),
    right("write, wait_finer", || watched(|both| both.publish(write), wait_finer)),
    right("write, wait_masked", || watched(|both| both.publish(write), wait_masked)),
    right("write, wait, read", || {
        watched(
            |both| both.publish(write),
            |both| {
                wait(both)?;
                read(both)
            },
        )
    }),
    right("add, wait", || full(|both| both.publish(add), wait)),
    right("raw::write, raw::read, of a pipe", || unwatched(|both| both.publish(write_pipe), read_pipe)),
    right("TimerFd::set, TimerFd::read", || unwatched(|both| both.publish(set_timer), read_timer)),
    right("PidFd::send_signal, SignalFd::read", || unwatched(|both| both.publish(send_signal), read_signal)),
    right("PidFd::send_signal, PidFd::wait", || parent(|both| both.publish(send_signal), wait_for_child)),
    right("PidFd::send_signal, PidFd::try_wait", || parent(|both| both.publish(send_signal), try_ended_child)),
    right("write, read, of a duplicate", || unwatched(|both| both.publish(write), read_duplicate)),
    Case { report: "the handler has not run", ..right("a signal's handler", handler) },
    Case { report: "the handler has not run", ..right("the handler of an unblocked signal", unblocked) },
    wrong("a write after the call", || {
        watched(
            |both| {
                write(both)?;
                both.publish(|_| Ok(()))
            },
            wait,
        )
    }),
    wrong("no call", || unwatched(|both| both.publish(|_| Ok(())), |_| Ok(()))),
    wrong("a wait without events", || unwatched(|both| both.publish(write), wait_for_nothing)),
    wrong("a child that lives", || parent(|both| both.publish(write), try_child)),
    wrong("a read that fails", || unwatched(|both| both.publish(write), read_nothing)),
    wrong("raw::read that fails", || unwatched(|both| both.publish(write), raw_read_nothing)),
];

/// What the two threads share.
struct Both {
    epoll: Epoll,
    eventfd: EventFd,
    duplicate: EventFd,
    pipe: (PipeReader, PipeWriter),
    timer: TimerFd,
    /// Of `SIGUSR1`, which every thread blocks.
    signalfd: SignalFd,
    /// This process, or a child.
    process: PidFd,
    memory: UnsafeCell<u64>,
}

// SAFETY: in a right program the kernel orders the accesses of `memory`. In a wrong program they
// race, and that is its fault.
unsafe impl Sync for Both {}

type Action = fn(&Both) -> Result<()>;

impl Both {
    /// Writes the memory and then makes the call.
    fn publish(&self, call: Action) -> Result<()> {
        // SAFETY: the memory is valid for writes. See `Sync` for the other thread's read.
        unsafe { self.memory.get().write(1) };
        call(self)
    }
}

/// With a counter of zero in the epoll.
fn watched(there: Action, here: Action) -> Result<()> {
    run(0, true, own_pid(), there, here)
}

/// With a counter of zero that no epoll watches.
fn unwatched(there: Action, here: Action) -> Result<()> {
    run(0, false, own_pid(), there, here)
}

/// With a counter of one that no epoll watches.
fn full(there: Action, here: Action) -> Result<()> {
    run(1, false, own_pid(), there, here)
}

/// With a child that a signal ends.
fn parent(there: Action, here: Action) -> Result<()> {
    // SAFETY: no other thread exists yet, and the child runs only these calls.
    let child = match unsafe { libc::fork() } {
        0 => loop {
            // SAFETY: neither call takes a pointer. Its alarm ends a child that nothing else ended.
            unsafe {
                libc::alarm(60);
                libc::pause();
            }
        },
        child => child,
    };
    let answer = run(0, false, child, there, here);
    // SAFETY: the call takes no pointer. A number of a child that was waited for is free, and the
    // kernel does not use it again so soon.
    unsafe { libc::kill(child, libc::SIGKILL) };
    answer
}

fn own_pid() -> i32 {
    std::process::id() as i32
}

fn run(initial: u32, is_watched: bool, pid: i32, there: Action, here: Action) -> Result<()> {
    let eventfd = EventFd::new(initial, EventFdFlags::CLOEXEC)?;
    // SAFETY: the call takes no pointer.
    let duplicate = unsafe { libc::dup(eventfd.as_raw_fd()) };
    assert!(duplicate >= 0, "the process has a descriptor left");
    // SAFETY: the descriptor is open and has no other owner.
    let duplicate = unsafe { EventFd::from_raw_fd(duplicate) };
    let pipe = pipe().expect("the process has descriptors left");
    let timer = TimerFd::new(Clock::MONOTONIC, TimerFdFlags::CLOEXEC)?;
    let signals = SigSet::from_signals(&[libc::SIGUSR1])?;
    signals.block()?;
    let both = Both {
        epoll: Epoll::new()?,
        eventfd,
        duplicate,
        pipe,
        timer,
        signalfd: SignalFd::new(&signals, SignalFdFlags::CLOEXEC)?,
        process: PidFd::open(pid)?,
        memory: UnsafeCell::new(0),
    };
    if is_watched {
        add(&both)?;
    }
    thread::scope(|scope| {
        let other = scope.spawn(|| there(&both));
        here(&both)?;
        // SAFETY: the memory is valid for reads. See `Sync` for the other thread's write.
        let seen = unsafe { both.memory.get().read() };
        println!("{seen}");
        other.join().expect("the other thread returns")
    })
}

fn add(both: &Both) -> Result<()> {
    both.epoll.add(&both.eventfd, EventData::new_u64(1), EventFlags::IN)
}

fn write(both: &Both) -> Result<()> {
    both.eventfd.write(1)
}

fn read(both: &Both) -> Result<()> {
    both.eventfd.read().map(drop)
}

fn read_duplicate(both: &Both) -> Result<()> {
    both.duplicate.read().map(drop)
}

/// Waits until the other thread has written to the counter.
fn until_written(both: &Both) {
    until_readable(both.eventfd.as_raw_fd());
}

/// Waits until the descriptor is readable. ThreadSanitizer sees no order here.
fn until_readable(fd: i32) {
    let mut polled = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: there is one descriptor.
    assert_eq!(unsafe { libc::poll(&mut polled, 1, -1) }, 1);
}

/// A read that returns `EAGAIN`.
fn read_nothing(both: &Both) -> Result<()> {
    until_written(both);
    let answer = EventFd::new(0, EventFdFlags::CLOEXEC | EventFdFlags::NONBLOCK)?.read();
    assert_eq!(answer, Err(Errno::EAGAIN));
    Ok(())
}

/// A read that returns `EBADF`.
fn raw_read_nothing(both: &Both) -> Result<()> {
    until_written(both);
    let mut byte = 0;
    // SAFETY: there is room for one byte.
    assert_eq!(unsafe { raw::read(-1, &mut byte, 1) }, Err(Errno::EBADF));
    Ok(())
}

fn write_pipe(both: &Both) -> Result<()> {
    // SAFETY: one byte is valid for reads.
    unsafe { raw::write(std::os::fd::AsRawFd::as_raw_fd(&both.pipe.1), &1, 1) }.map(drop)
}

fn read_pipe(both: &Both) -> Result<()> {
    let mut byte = 0;
    // SAFETY: there is room for one byte.
    unsafe { raw::read(std::os::fd::AsRawFd::as_raw_fd(&both.pipe.0), &mut byte, 1) }.map(drop)
}

fn set_timer(both: &Both) -> Result<()> {
    both.timer.set(TimerSetting::after(Duration::from_millis(1)))
}

fn read_timer(both: &Both) -> Result<()> {
    both.timer.read().map(drop)
}

fn send_signal(both: &Both) -> Result<()> {
    both.process.send_signal(libc::SIGUSR1)
}

fn read_signal(both: &Both) -> Result<()> {
    both.signalfd.read(&mut SignalInfo::buffer::<2>()).map(drop)
}

fn wait_for_child(both: &Both) -> Result<()> {
    both.process.wait().map(drop)
}

fn try_ended_child(both: &Both) -> Result<()> {
    until_readable(both.process.as_raw_fd());
    assert!(both.process.try_wait()?.is_some());
    Ok(())
}

/// A wait that finds no child that has ended.
fn try_child(both: &Both) -> Result<()> {
    until_written(both);
    assert!(both.process.try_wait()?.is_none());
    Ok(())
}

fn wait(both: &Both) -> Result<()> {
    both.epoll.wait(&mut Event::buffer::<2>(), None).map(drop)
}

/// A wait by `epoll_pwait2`. Only a hang takes this long.
fn wait_finer(both: &Both) -> Result<()> {
    both.epoll.wait(&mut Event::buffer::<2>(), Some(Duration::from_nanos(60_000_000_001))).map(drop)
}

/// A wait by `epoll_pwait`.
fn wait_masked(both: &Both) -> Result<()> {
    both.epoll.wait_masked(&mut Event::buffer::<2>(), None, &SigSet::empty()).map(drop)
}

/// A wait that returns no event.
fn wait_for_nothing(both: &Both) -> Result<()> {
    until_written(both);
    let mut buffer = Event::buffer::<2>();
    assert!(both.epoll.wait(&mut buffer, Some(Duration::ZERO))?.is_empty());
    Ok(())
}

/// Not an atomic: an operation on one would let the handler run.
static mut HANDLER_HAS_RUN: bool = false;

extern "C" fn on_alarm(_signal: i32) {
    // SAFETY: only this thread accesses it.
    unsafe { ptr::addr_of_mut!(HANDLER_HAS_RUN).write_volatile(true) };
}

/// A signal ends a wait, and its handler has run before the wait returns.
fn handler() -> Result<()> {
    let epoll = Epoll::new()?;
    let tick = libc::timeval { tv_sec: 0, tv_usec: 10_000 };
    let timer = libc::itimerval { it_interval: tick, it_value: tick };
    // SAFETY: the handler only writes a variable, and the timer outlives the call.
    unsafe {
        libc::signal(libc::SIGALRM, on_alarm as extern "C" fn(i32) as usize);
        libc::setitimer(libc::ITIMER_REAL, &timer, ptr::null_mut());
    }
    let answer = epoll.wait(&mut Event::buffer::<2>(), None).map(|ready| ready.len());
    // SAFETY: only this thread accesses it.
    let has_run = unsafe { ptr::addr_of!(HANDLER_HAS_RUN).read_volatile() };
    assert_eq!(answer, Err(Errno::EINTR));
    assert!(has_run, "the handler has not run");
    Ok(())
}

/// Unblocking a pending signal runs its handler before the call returns.
fn unblocked() -> Result<()> {
    let alarm = SigSet::from_signals(&[libc::SIGALRM])?;
    alarm.block()?;
    // SAFETY: the handler only writes a variable.
    unsafe {
        libc::signal(libc::SIGALRM, on_alarm as extern "C" fn(i32) as usize);
        libc::raise(libc::SIGALRM);
    }
    // SAFETY: only this thread accesses it.
    assert!(!unsafe { ptr::addr_of!(HANDLER_HAS_RUN).read_volatile() });
    alarm.unblock()?;
    // SAFETY: only this thread accesses it.
    assert!(unsafe { ptr::addr_of!(HANDLER_HAS_RUN).read_volatile() }, "the handler has not run");
    Ok(())
}
