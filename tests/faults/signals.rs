//! Signals during a call: which calls `SA_RESTART` resumes, and the effect of `SIGPIPE`.

use crate::child::{self, End};
use crate::storm::{catch, caught, Timer};
use crate::Check;
use barepoll::{raw, Epoll, Errno, Event, EventData, EventFd, EventFdFlags, EventFlags};
use barepoll::{SigSet, SignalFd, SignalFdFlags, SignalInfo};
use std::os::unix::io::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;
use std::{fs, io, thread};

pub fn checks() -> Vec<Check> {
    crate::checks![
        every_wait_ends_with_eintr_though_the_handler_restarts_calls,
        a_read_and_a_write_go_on_where_the_handler_restarts_calls,
        a_read_and_a_write_end_with_eintr_where_the_handler_restarts_none,
        a_socket_with_a_timeout_of_its_own_says_eintr_all_the_same,
        a_signalfd_tells_how_a_child_ended,
        a_signalfd_made_before_a_fork_reads_the_childs_signals_but_the_epoll_does_not_learn_of_them,
        a_signal_to_another_thread_is_read_there_alone,
        a_signal_to_one_of_two_threads_that_share_an_epoll_may_wake_the_other_alone,
        a_read_takes_the_threads_signals_first_and_then_faults_and_then_the_lowest,
        a_child_of_std_inherits_blocked_signals_unless_it_restores_the_mask,
        a_write_to_nobody_is_epipe_where_sigpipe_is_ignored_as_std_does,
        a_write_to_nobody_ends_a_process_that_does_not_ignore_sigpipe,
    ]
}

const LONG: Duration = Duration::from_secs(20);
const INTERVAL: Duration = Duration::from_millis(1);
/// The largest value of a counter. A further write waits.
const FULL: u64 = u64::MAX - 1;

fn blocking() -> EventFd {
    EventFd::new(0, EventFdFlags::CLOEXEC).expect("an eventfd")
}

fn every_wait_ends_with_eintr_though_the_handler_restarts_calls() {
    let (epoll, mut buffer) = (Epoll::new().expect("an epoll"), Event::buffer::<1>());
    let _timer = Timer::every(INTERVAL);
    catch(libc::SA_RESTART);
    for timeout in [Some(LONG), Some(LONG + Duration::from_nanos(1)), None] {
        assert_eq!(epoll.wait(&mut buffer, timeout).err(), Some(Errno::EINTR));
        assert_eq!(epoll.wait_masked(&mut buffer, timeout, &SigSet::empty()).err(), Some(Errno::EINTR));
    }
}

/// Runs a call of this thread and, in another thread, `end`, which must end it. `end` runs after
/// this thread has caught many signals.
fn amid_signals<T>(call: impl FnOnce() -> T, end: impl FnOnce() + Send) -> T {
    let _timer = Timer::every(INTERVAL);
    catch(libc::SA_RESTART);
    let before = caught();
    thread::scope(|scope| {
        scope.spawn(move || {
            while caught() < before + 20 {
                thread::sleep(INTERVAL);
            }
            end();
        });
        call()
    })
}

fn a_read_and_a_write_go_on_where_the_handler_restarts_calls() {
    let eventfd = blocking();
    assert_eq!(amid_signals(|| eventfd.read(), || eventfd.write(3).expect("room")), Ok(3));
    eventfd.write(FULL).expect("room");
    assert_eq!(amid_signals(|| eventfd.write(1), || assert_eq!(eventfd.read(), Ok(FULL))), Ok(()));
}

fn a_read_and_a_write_end_with_eintr_where_the_handler_restarts_none() {
    let _timer = Timer::every(INTERVAL);
    let eventfd = blocking();
    assert_eq!(eventfd.read(), Err(Errno::EINTR));
    let full = blocking();
    full.write(FULL).expect("room");
    assert_eq!(full.write(1), Err(Errno::EINTR));
}

fn a_socket_with_a_timeout_of_its_own_says_eintr_all_the_same() {
    let (socket, _peer) = UnixStream::pair().expect("sockets");
    socket.set_read_timeout(Some(LONG)).expect("an option");
    let _timer = Timer::every(INTERVAL);
    catch(libc::SA_RESTART);
    // SAFETY: the array has room for one byte.
    assert_eq!(unsafe { raw::read(socket.as_raw_fd(), [0].as_mut_ptr(), 1) }, Err(Errno::EINTR));
}

/// The result of a write to a socket whose peer is closed.
fn write_to_nobody() -> Result<usize, Errno> {
    let (socket, peer) = UnixStream::pair().expect("sockets");
    drop(peer);
    // SAFETY: the literal has one byte.
    unsafe { raw::write(socket.as_raw_fd(), b"x".as_ptr(), 1) }
}

/// A nonblocking signalfd of a signal that this thread blocks from now on.
fn signalfd(signal: i32) -> SignalFd {
    let set = SigSet::from_signals(&[signal]).expect("a signal");
    set.block().expect("blocked");
    SignalFd::new(&set, SignalFdFlags::CLOEXEC | SignalFdFlags::NONBLOCK).expect("a signalfd")
}

/// The only pending signal.
fn read_one(signalfd: &SignalFd) -> Result<SignalInfo, Errno> {
    let mut buffer = SignalInfo::buffer::<4>();
    signalfd.read(&mut buffer).map(|infos| {
        assert_eq!(infos.len(), 1);
        infos[0]
    })
}

fn a_signalfd_tells_how_a_child_ended() {
    const CLD_EXITED: i32 = 1;
    const CLD_KILLED: i32 = 2;
    let signalfd = signalfd(libc::SIGCHLD);
    // SAFETY: neither call takes a pointer. Neither returns.
    let ways: [(i32, i32, fn()); 2] = [
        (CLD_EXITED, 7, || unsafe { libc::_exit(7) }),
        // SAFETY: as above.
        (CLD_KILLED, libc::SIGKILL, || unsafe { assert_eq!(libc::raise(libc::SIGKILL), 0) }),
    ];
    for (code, status, way) in ways {
        child::run(way);
        let info = read_one(&signalfd).expect("a child ended");
        assert_eq!((info.signal(), info.code(), info.child_status()), (libc::SIGCHLD, code, status));
        assert!(info.sender_pid() > 0 && info.sender_pid() != std::process::id() as i32);
        assert_eq!(read_one(&signalfd).err(), Some(Errno::EAGAIN));
    }
}

fn a_signalfd_made_before_a_fork_reads_the_childs_signals_but_the_epoll_does_not_learn_of_them() {
    let (signalfd, epoll) = (signalfd(libc::SIGUSR1), Epoll::new().expect("an epoll"));
    epoll.add(&signalfd, EventData::new_u64(1), EventFlags::IN).expect("added");
    let ready = || epoll.wait(&mut Event::buffer::<2>(), Some(Duration::ZERO)).expect("a wait").len();
    let end = child::run(|| {
        // SAFETY: the call takes no pointer.
        assert_eq!(unsafe { libc::raise(libc::SIGUSR1) }, 0);
        assert_eq!(ready(), 0);
        assert_eq!(read_one(&signalfd).expect("pending").sender_pid(), std::process::id() as i32);
    });
    assert_eq!(end, End::Exit(0));
    assert_eq!((ready(), read_one(&signalfd).err()), (0, Some(Errno::EAGAIN)));
    // SAFETY: the call takes no pointer.
    assert_eq!(unsafe { libc::raise(libc::SIGUSR1) }, 0);
    assert_eq!(ready(), 1);
}

fn a_signal_to_another_thread_is_read_there_alone() {
    let signalfd = &signalfd(libc::SIGUSR1); // the thread inherits the mask
    let (raised, done) = (&blocking(), &blocking());
    thread::scope(|scope| {
        let other = scope.spawn(move || {
            // SAFETY: the call takes no pointer.
            assert_eq!(unsafe { libc::raise(libc::SIGUSR1) }, 0);
            raised.write(1).expect("there is room");
            done.read().expect("a counter");
            read_one(signalfd).map(|info| info.signal())
        });
        raised.read().expect("a counter");
        let here = read_one(signalfd).err();
        done.write(1).expect("there is room");
        assert_eq!(here, Some(Errno::EAGAIN));
        assert_eq!(other.join().expect("no panic"), Ok(libc::SIGUSR1));
    });
}

/// Waits until this thread sleeps in a wait for events.
fn until_waiting(thread: libc::pid_t) {
    let waits = [
        libc::SYS_epoll_pwait,
        libc::SYS_epoll_pwait2,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_epoll_wait,
    ];
    let call = format!("/proc/self/task/{thread}/syscall");
    let number = || fs::read_to_string(&call).ok()?.split(' ').next()?.parse().ok();
    while !matches!(number(), Some(number) if waits.contains(&number)) {
        thread::yield_now();
    }
}

fn this_thread() -> libc::pid_t {
    // SAFETY: the call takes no pointer.
    unsafe { libc::gettid() }
}

fn a_signal_to_one_of_two_threads_that_share_an_epoll_may_wake_the_other_alone() {
    let (signalfd, epoll) = (&signalfd(libc::SIGUSR1), &Epoll::new().expect("an epoll"));
    epoll.add(signalfd, EventData::new_u64(1), EventFlags::IN).expect("added");
    let found = |timeout| epoll.wait(&mut Event::buffer::<1>(), Some(timeout)).expect("a wait").len();
    let (send, receive) = mpsc::channel();
    thread::scope(|scope| {
        let target = scope.spawn(move || {
            send.send(this_thread()).expect("the receiver is there");
            (found(INTERVAL * 300), read_one(signalfd).map(|info| info.signal()))
        });
        let (here, thread) = (this_thread(), receive.recv().expect("the thread sends"));
        until_waiting(thread);
        scope.spawn(move || {
            until_waiting(here);
            // SAFETY: the call takes no pointer.
            assert_eq!(unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, libc::SIGUSR1) }, 0);
        });
        // The kernel wakes the thread that came last. It finds nothing.
        assert_eq!(found(INTERVAL * 300), 0);
        assert_eq!(target.join().expect("no panic"), (0, Ok(libc::SIGUSR1)));
    });
}

fn a_read_takes_the_threads_signals_first_and_then_faults_and_then_the_lowest() {
    let all = SigSet::from_signals(&[libc::SIGINT, libc::SIGSEGV, libc::SIGTERM]).expect("signals");
    all.block().expect("blocked");
    let signalfd = SignalFd::new(&all, SignalFdFlags::CLOEXEC | SignalFdFlags::NONBLOCK).expect("a signalfd");
    // SAFETY: the calls take no pointer.
    unsafe {
        for signal in [libc::SIGTERM, libc::SIGTERM, libc::SIGINT, libc::SIGSEGV] {
            assert_eq!(libc::kill(libc::getpid(), signal), 0);
        }
        assert_eq!(libc::raise(libc::SIGTERM), 0);
    }
    let mut buffer = SignalInfo::buffer::<8>();
    let read = signalfd.read(&mut buffer).expect("pending").iter().map(SignalInfo::signal);
    assert_eq!(read.collect::<Vec<_>>(), [libc::SIGTERM, libc::SIGSEGV, libc::SIGINT, libc::SIGTERM]);
}

fn a_child_of_std_inherits_blocked_signals_unless_it_restores_the_mask() {
    let end = SigSet::from_signals(&[libc::SIGINT, libc::SIGTERM]).expect("signals");
    let before = end.block().expect("blocked");
    let mut command = Command::new("cat");
    command.arg("/proc/self/status");
    let blocked = |command: &mut Command| -> SigSet {
        let status = String::from_utf8(command.output().expect("`cat` runs").stdout).expect("a text");
        let bits = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).expect("the signals blocked");
        let bits = u128::from_str_radix(bits.trim(), 16).expect("a number");
        (1..=128).filter(|signal| bits >> (signal - 1) & 1 == 1).collect()
    };
    assert_eq!(blocked(&mut command) & end, end);
    let restore = move || before.set_thread_mask().map(drop).map_err(|errno| io::Error::from_raw_os_error(errno.raw()));
    // SAFETY: between `fork` and `execve`, the closure makes one system call and nothing else.
    unsafe { command.pre_exec(restore) };
    assert_eq!(blocked(&mut command), before);
}

fn a_write_to_nobody_is_epipe_where_sigpipe_is_ignored_as_std_does() {
    assert_eq!(write_to_nobody(), Err(Errno::EPIPE));
}

fn a_write_to_nobody_ends_a_process_that_does_not_ignore_sigpipe() {
    let end = child::run(|| {
        // SAFETY: the default action needs no handler.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        let _ = write_to_nobody();
    });
    assert_eq!(end, End::Signal(libc::SIGPIPE));
}
