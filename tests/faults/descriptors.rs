//! Running out of descriptors, and closing descriptors during a wait.

use crate::refusals::{counter, descriptors, SYS_WAIT};
use crate::{figures, storm, Check};
use barepoll::fd::{AsRawFd, BorrowedFd, RawFd};
use barepoll::{raw, CreateFlags, Epoll, Errno, Event, EventData, EventFd, EventFdFlags, EventFlags};
use barepoll::{InterestSet, Slot, Waker};
use rlimit::Resource;
use std::fs;
use std::sync::mpsc::channel;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

const IN: EventFlags = EventFlags::IN;
const MS: Duration = Duration::from_millis(1);
/// Long enough to see that a wait continues.
const WHILE: Duration = Duration::from_millis(30);
const LONG: Duration = Duration::from_secs(120);

pub fn checks() -> Vec<Check> {
    crate::checks![
        where_no_descriptor_is_left_every_constructor_says_so_and_what_is_open_goes_on,
        a_watched_descriptor_that_is_closed_during_a_wait_is_forgotten_and_the_wait_goes_on,
        a_watched_descriptor_with_a_duplicate_is_reported_under_a_number_that_is_closed,
        an_epoll_that_is_closed_during_a_wait_ends_it_with_the_next_event_all_the_same,
        an_epoll_that_is_closed_during_a_wait_ends_it_with_its_timeout_all_the_same,
        a_wait_goes_on_with_its_own_epoll_where_the_number_is_anothers,
        an_uninterrupted_wait_of_a_closed_epoll_is_ebadf_after_a_signal,
        a_counter_that_is_closed_while_it_is_read_gives_what_comes,
    ]
}

fn where_no_descriptor_is_left_every_constructor_says_so_and_what_is_open_goes_on() {
    const LIMIT: RawFd = 64;
    const DATA: EventData = EventData::new_u64(7);
    let epoll = Epoll::new().expect("an epoll");
    let (waker, source, mut slots) = (Waker::new(&epoll, DATA).expect("a waker"), counter(0), [Slot::EMPTY; 64]);
    let mut interests = InterestSet::new(&mut slots);
    let before = descriptors();
    let (_, most) = Resource::NOFILE.get().expect("a limit");
    Resource::NOFILE.set(LIMIT as u64, most).expect("a lower limit");
    let mut others: Vec<EventFd> = Vec::new();
    let full = loop {
        match EventFd::new(0, EventFdFlags::CLOEXEC) {
            Ok(another) => others.push(another),
            Err(errno) => break errno,
        }
    };
    assert_eq!((full, others.last().map(AsRawFd::as_raw_fd)), (Errno::EMFILE, Some(LIMIT - 1)));
    let all = || {
        [
            Epoll::new().map(drop),
            Epoll::with_flags(CreateFlags::empty()).map(drop),
            EventFd::new(0, EventFdFlags::empty()).map(drop),
            Waker::new(&epoll, DATA).map(drop),
            // SAFETY: each descriptor was just made and has no other owner.
            raw::epoll_create(1).and_then(|fd| unsafe { raw::close(fd) }),
            // SAFETY: as above.
            raw::epoll_create1(0).and_then(|fd| unsafe { raw::close(fd) }),
            // SAFETY: as above.
            raw::eventfd2(0, 0).and_then(|fd| unsafe { raw::close(fd) }),
        ]
    };
    for _ in 0..100 {
        assert_eq!(all(), [Err(Errno::EMFILE); 7]);
    }
    let mut buffer = Event::buffer::<2>();
    interests.set(&source, DATA, IN).expect("room");
    assert_eq!((interests.flush(&epoll), waker.wake(), source.write(1)), (Ok(()), Ok(()), Ok(())));
    assert_eq!(epoll.wait(&mut buffer, Some(Duration::ZERO)).map(|events| events.len()), Ok(2));
    // Each needs only one descriptor.
    others.pop();
    for _ in 0..100 {
        assert_eq!(all(), [Ok(()); 7]);
    }
    drop(others);
    assert_eq!(descriptors(), before);
    figures::count("constructors without a descriptor", 100 * 7);
}

/// Closes a number, whatever it belongs to.
fn close(fd: RawFd) {
    // SAFETY: the number's owner is forgotten, or there is none.
    assert_eq!(unsafe { raw::close(fd) }, Ok(()));
}

/// Duplicates the descriptor.
fn duplicate(fd: &impl AsRawFd) -> RawFd {
    // SAFETY: the call takes no pointer.
    let duplicate = unsafe { libc::dup(fd.as_raw_fd()) };
    assert!(duplicate >= 0);
    duplicate
}

/// Makes an epoll that watches a counter.
fn watching() -> (Epoll, EventFd) {
    let (epoll, eventfd) = (Epoll::new().expect("an epoll"), counter(0));
    epoll.add(&eventfd, EventData::new_u64(1), IN).expect("added");
    (epoll, eventfd)
}

/// This thread's number in the kernel.
fn this_thread() -> libc::pid_t {
    // SAFETY: the call takes no argument and cannot fail.
    unsafe { libc::gettid() }
}

/// Returns once the thread is inside a wait or a read, after the kernel looked the descriptor up,
/// or once it has ended.
fn until_it_waits(thread: libc::pid_t) {
    let calls = [SYS_WAIT, libc::SYS_epoll_pwait2, libc::SYS_epoll_pwait, libc::SYS_read].map(|call| call.to_string());
    loop {
        // "running", or the number of the blocking call and its arguments.
        let Ok(text) = fs::read_to_string(format!("/proc/self/task/{thread}/syscall")) else { return };
        let number = text.split_whitespace().next().unwrap_or_default();
        if calls.iter().any(|call| call == number) {
            return;
        }
        sleep(MS);
    }
}

/// Runs `meanwhile` during a wait. Returns the wait's events and its duration.
fn wait(epoll: &Epoll, timeout: Duration, meanwhile: impl FnOnce() + Send) -> (Result<Vec<u64>, Errno>, Duration) {
    thread::scope(|scope| {
        let (tell, told) = channel();
        let thread = scope.spawn(move || {
            let (start, mut buffer) = (Instant::now(), Event::buffer::<4>());
            tell.send(this_thread()).expect("somebody listens");
            let answer = epoll.wait(&mut buffer, Some(timeout));
            (answer.map(|events| events.iter().map(|event| event.data().u64()).collect()), start.elapsed())
        });
        until_it_waits(told.recv().expect("a thread"));
        meanwhile();
        thread.join().expect("no panic")
    })
}

fn a_watched_descriptor_that_is_closed_during_a_wait_is_forgotten_and_the_wait_goes_on() {
    let (epoll, eventfd) = watching();
    let later = counter(0);
    epoll.add(&later, EventData::new_u64(2), IN).expect("added");
    let (answer, took) = wait(&epoll, LONG, || {
        drop(eventfd);
        sleep(WHILE);
        later.write(1).expect("written");
    });
    assert_eq!(answer, Ok(vec![2]));
    assert!(took >= WHILE);
}

fn a_watched_descriptor_with_a_duplicate_is_reported_under_a_number_that_is_closed() {
    let (epoll, eventfd) = watching();
    let number = eventfd.as_raw_fd();
    let other = EventFd::from(owned(duplicate(&eventfd)));
    let (answer, _) = wait(&epoll, LONG, || {
        drop(eventfd);
        other.write(1).expect("written");
    });
    assert_eq!(answer, Ok(vec![1]));
    // SAFETY: the kernel only looks the number up.
    assert_eq!(epoll.delete(unsafe { BorrowedFd::borrow_raw(number) }), Err(Errno::EBADF));
}

fn owned(fd: RawFd) -> barepoll::fd::OwnedFd {
    // SAFETY: the descriptor was just made and has no other owner.
    unsafe { barepoll::fd::FromRawFd::from_raw_fd(fd) }
}

fn an_epoll_that_is_closed_during_a_wait_ends_it_with_the_next_event_all_the_same() {
    let (epoll, eventfd) = watching();
    let (answer, took) = wait(&epoll, LONG, || {
        close(epoll.as_raw_fd());
        sleep(WHILE);
        eventfd.write(1).expect("written");
    });
    assert_eq!(answer, Ok(vec![1]));
    assert!(took >= WHILE);
    assert_eq!(epoll.wait(&mut Event::buffer::<1>(), None).map(drop), Err(Errno::EBADF));
    std::mem::forget(epoll);
}

fn an_epoll_that_is_closed_during_a_wait_ends_it_with_its_timeout_all_the_same() {
    for fine in [Duration::ZERO, Duration::from_nanos(1)] {
        // On a busy machine the wait may end before the close. The next attempt then waits longer.
        let was_closed_meanwhile = (0..6).any(|attempt| {
            let timeout = (500 << attempt) * MS + fine;
            let (epoll, _eventfd) = watching();
            let (start, mut closed) = (Instant::now(), Duration::MAX);
            let (answer, took) = wait(&epoll, timeout, || {
                close(epoll.as_raw_fd());
                closed = start.elapsed();
            });
            assert_eq!(answer, Ok(vec![]));
            assert!(took >= timeout);
            std::mem::forget(epoll);
            closed < timeout // the timeout began after `start`
        });
        assert!(was_closed_meanwhile);
    }
}

fn a_wait_goes_on_with_its_own_epoll_where_the_number_is_anothers() {
    let (epoll, eventfd) = watching();
    let (another, ready) = watching();
    ready.write(1).expect("written");
    let (answer, took) = wait(&epoll, LONG, || {
        // SAFETY: the call takes no pointer. `epoll` has the number, and is forgotten below.
        assert!(unsafe { libc::dup2(another.as_raw_fd(), epoll.as_raw_fd()) } >= 0);
        sleep(WHILE);
        eventfd.write(1).expect("written");
    });
    assert_eq!(answer, Ok(vec![1]));
    assert!(took >= WHILE, "the other epoll's event must not end the wait");
    close(epoll.as_raw_fd());
    std::mem::forget(epoll);
}

fn an_uninterrupted_wait_of_a_closed_epoll_is_ebadf_after_a_signal() {
    let (epoll, _eventfd) = watching();
    let number = epoll.as_raw_fd();
    storm::catch(0);
    let answer = thread::scope(|scope| {
        let thread = this_thread();
        scope.spawn(move || {
            until_it_waits(thread);
            close(number);
            // SAFETY: the thread exists, because it waits.
            unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, storm::SIGNAL) };
        });
        epoll.wait_uninterrupted(&mut Event::buffer::<1>(), Some(LONG)).map(drop)
    });
    assert_eq!(answer, Err(Errno::EBADF));
    std::mem::forget(epoll);
}

fn a_counter_that_is_closed_while_it_is_read_gives_what_comes() {
    let eventfd = EventFd::new(0, EventFdFlags::CLOEXEC).expect("an eventfd");
    let other = EventFd::from(owned(duplicate(&eventfd)));
    let answer = thread::scope(|scope| {
        let (tell, told) = channel();
        let eventfd = &eventfd;
        let thread = scope.spawn(move || {
            tell.send(this_thread()).expect("somebody listens");
            eventfd.read()
        });
        until_it_waits(told.recv().expect("a thread"));
        close(eventfd.as_raw_fd());
        sleep(WHILE);
        other.write(5).expect("written");
        thread.join().expect("no panic")
    });
    assert_eq!(answer, Ok(5));
    std::mem::forget(eventfd);
}
