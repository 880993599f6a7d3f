//! Signals during a call: which calls `SA_RESTART` resumes, and the effect of `SIGPIPE`.

use crate::child::{self, End};
use crate::storm::{catch, caught, Timer};
use crate::Check;
use barepoll::{raw, Epoll, Errno, Event, EventFd, EventFdFlags, SigSet};
use std::os::unix::io::AsRawFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

pub fn checks() -> Vec<Check> {
    crate::checks![
        every_wait_ends_with_eintr_though_the_handler_restarts_calls,
        a_read_and_a_write_go_on_where_the_handler_restarts_calls,
        a_read_and_a_write_end_with_eintr_where_the_handler_restarts_none,
        a_socket_with_a_timeout_of_its_own_says_eintr_all_the_same,
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
