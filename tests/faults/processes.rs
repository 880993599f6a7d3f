//! A process that forks with an epoll open, and one that executes another program.

use crate::child::{self, End};
use crate::refusals::{counter, descriptors};
use crate::Check;
use barepoll::fd::{AsRawFd, FromRawFd, RawFd};
use barepoll::{CreateFlags, Epoll, Errno, Event, EventData, EventFd, EventFdFlags, EventFlags, Waker};
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

const IN: EventFlags = EventFlags::IN;

pub fn checks() -> Vec<Check> {
    crate::checks![
        a_childs_epoll_is_its_parents,
        a_child_that_drops_its_copies_closes_nothing_of_its_parents,
        what_a_parent_closes_stays_watched_while_a_child_has_it,
        a_waker_wakes_across_a_fork,
        close_on_exec_closes_and_its_absence_does_not,
        a_process_that_is_stopped_and_goes_on_interrupts_a_wait_without_any_handler,
    ]
}

/// The data of the ready events; empty if there are none within a minute.
fn ready(epoll: &Epoll) -> Vec<u64> {
    let mut buffer = Event::buffer::<8>();
    let events = epoll.wait(&mut buffer, Some(Duration::from_secs(60))).expect("a wait");
    let mut data: Vec<u64> = events.iter().map(|event| event.data().u64()).collect();
    data.sort_unstable();
    data
}

fn is_silent(epoll: &Epoll) -> bool {
    epoll.wait(&mut Event::buffer::<1>(), Some(Duration::ZERO)).expect("a wait").is_empty()
}

fn in_child(run: impl FnOnce()) {
    assert_eq!(child::run(run), End::Exit(0));
}

fn a_childs_epoll_is_its_parents() {
    let (epoll, first, second) = (Epoll::new().expect("an epoll"), counter(0), counter(1));
    epoll.add(&first, EventData::new_u64(1), IN).expect("added");
    in_child(|| {
        assert_eq!(epoll.add(&first, EventData::new_u64(9), IN), Err(Errno::EEXIST));
        assert!(is_silent(&epoll));
        first.write(1).expect("written");
        assert_eq!(ready(&epoll), [1]);
        epoll.add(&second, EventData::new_u64(2), IN).expect("added");
    });
    assert_eq!(ready(&epoll), [1, 2]);
    in_child(|| epoll.delete(&first).expect("deleted"));
    assert_eq!(ready(&epoll), [2]);
}

fn a_child_that_drops_its_copies_closes_nothing_of_its_parents() {
    let (epoll, eventfd) = (Epoll::new().expect("an epoll"), counter(0));
    epoll.add(&eventfd, EventData::new_u64(1), IN).expect("added");
    let before = descriptors();
    let mut mine = Some((epoll, eventfd));
    in_child(|| {
        drop(mine.take());
        assert_eq!(descriptors().len(), before.len() - 2);
    });
    assert_eq!(descriptors(), before);
    let (epoll, eventfd) = mine.expect("the parent's");
    eventfd.write(1).expect("written");
    assert_eq!(ready(&epoll), [1]);
}

/// As documented at `Epoll::add` for a file with duplicates.
fn what_a_parent_closes_stays_watched_while_a_child_has_it() {
    let (epoll, eventfd, go) = (Epoll::new().expect("an epoll"), counter(0), EventFd::new(0, EventFdFlags::CLOEXEC));
    let go = go.expect("an eventfd");
    epoll.add(&eventfd, EventData::new_u64(1), IN).expect("added");
    // SAFETY: this process has one thread, and the child only reads, writes and exits.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        let outcome = go.read().and_then(|_| eventfd.write(1)).and_then(|()| go.read());
        // SAFETY: the child ends here.
        unsafe { libc::_exit(outcome.is_err().into()) };
    }
    drop(eventfd);
    go.write(1).expect("written");
    assert_eq!(ready(&epoll), [1]);
    go.write(1).expect("written");
    // SAFETY: a null status is valid.
    assert_eq!(unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) }, child);
    assert!(is_silent(&epoll), "the last copy is closed");
}

fn a_waker_wakes_across_a_fork() {
    let epoll = Epoll::new().expect("an epoll");
    let waker = Waker::new(&epoll, EventData::new_u64(1)).expect("a waker");
    for _ in 0..2 {
        in_child(|| waker.wake().expect("a wake-up"));
        assert_eq!(ready(&epoll), [1]);
        // Each process has its own flag, so the parent's is not set.
        waker.wake().expect("a wake-up");
        assert_eq!(ready(&epoll), [1]);
        waker.acknowledge();
    }
}

/// The environment variable that names the descriptors to look for.
const LOOK_FOR: &str = "BAREPOLL_TEST_DESCRIPTORS";

/// Looks for descriptors if this process was started to do so. Returns whether it was.
pub fn is_another_program() -> bool {
    let Ok(text) = std::env::var(LOOK_FOR) else { return false };
    // The number may be in use again, but not by an epoll or eventfd.
    let is_ours = |fd| match fs::read_link(format!("/proc/self/fd/{fd}")) {
        Ok(to) => to.to_string_lossy().starts_with("anon_inode:"),
        Err(_) => false,
    };
    let is_open: Vec<bool> = text.split(' ').map(is_ours).collect();
    assert_eq!(is_open, [false, false, false, true, true]);
    let number = |place| text.split(' ').nth(place).and_then(|fd| fd.parse::<RawFd>().ok()).expect("a number");
    // SAFETY: both were left open for this program and have no other owner.
    let (epoll, eventfd) = unsafe { (Epoll::from_raw_fd(number(3)), EventFd::from_raw_fd(number(4))) };
    assert_eq!(ready(&epoll), [5]);
    assert_eq!(eventfd.read(), Ok(3));
    assert!(is_silent(&epoll));
    true
}

fn a_process_that_is_stopped_and_goes_on_interrupts_a_wait_without_any_handler() {
    // The shell stops and continues this process for as long as it has that descriptor.
    const SHELL: &str = "while [ -h /proc/$0/fd/$1 ]; do sleep 0.1; kill -STOP $0; sleep 0.1; kill -CONT $0; done";
    let (epoll, mut buffer, goes_on) = (Epoll::new().expect("an epoll"), Event::buffer::<1>(), counter(0));
    let names = [std::process::id().to_string(), goes_on.as_raw_fd().to_string()];
    let mut shell = Command::new("sh").args(["-c", SHELL]).args(names).spawn().expect("there is a shell");
    assert_eq!(epoll.wait(&mut buffer, Some(Duration::from_secs(120))).map(|events| events.len()), Err(Errno::EINTR));
    let (start, timeout) = (Instant::now(), Duration::from_millis(700));
    assert!(epoll.wait_uninterrupted(&mut buffer, Some(timeout)).expect("no error").is_empty());
    assert!(start.elapsed() >= timeout);
    drop(goes_on);
    assert!(shell.wait().expect("it ends").success());
}

fn close_on_exec_closes_and_its_absence_does_not() {
    let (closed, counter) = (Epoll::new().expect("an epoll"), counter(0));
    let waker = Waker::new(&closed, EventData::new_u64(1)).expect("a waker");
    let inherited = Epoll::with_flags(CreateFlags::empty()).expect("an epoll");
    let inherited_counter = EventFd::new(3, EventFdFlags::empty()).expect("an eventfd");
    inherited.add(&inherited_counter, EventData::new_u64(5), IN).expect("added");
    let all = [
        closed.as_raw_fd(),
        counter.as_raw_fd(),
        waker.as_raw_fd(),
        inherited.as_raw_fd(),
        inherited_counter.as_raw_fd(),
    ];
    let this = std::env::current_exe().expect("this program");
    let output = Command::new(this).env(LOOK_FOR, all.map(|fd| fd.to_string()).join(" ")).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
