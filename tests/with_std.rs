//! Feature `std`: what it adds, and that it changes nothing else.
#![allow(clippy::incompatible_msrv)] // the minimum Rust version is the library's; tests use the current one

use barepoll::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use barepoll::raw::{self, Siginfo};
use barepoll::{ChildStatus, Deadline, Epoll, Errno, Event, EventData, EventFd, EventFdFlags, EventFlags, PidFd};
use std::any::TypeId;
use std::error::Error;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

mod program {
    include!("with_and_without_std/program.rs");
}

#[test]
fn a_program_that_compiles_without_the_feature_compiles_and_runs_with_it() {
    program::has_the_implementations_of_std();
    assert_eq!(program::program(), Ok(42));
}

#[test]
fn an_io_error_keeps_the_number_and_has_its_kind() {
    for raw in 1..=4095 {
        let error = io::Error::from(Errno::from_raw(raw).expect("in range"));
        assert_eq!(error.raw_os_error(), Some(raw));
        assert_eq!(error.kind(), io::Error::from_raw_os_error(raw).kind());
    }
    for (errno, kind) in [
        (Errno::EAGAIN, ErrorKind::WouldBlock),
        (Errno::EINTR, ErrorKind::Interrupted),
        (Errno::EINVAL, ErrorKind::InvalidInput),
        (Errno::EEXIST, ErrorKind::AlreadyExists),
        (Errno::ENOENT, ErrorKind::NotFound),
        (Errno::EPERM, ErrorKind::PermissionDenied),
    ] {
        assert_eq!(io::Error::from(errno).kind(), kind, "{errno}");
    }
}

/// Always fails, because a new epoll watches nothing.
fn fail() -> barepoll::Result<()> {
    let eventfd = EventFd::new(0, EventFdFlags::CLOEXEC)?;
    Epoll::new()?.delete(&eventfd)
}

#[test]
fn a_question_mark_makes_an_io_error_of_an_errno() {
    fn in_io() -> io::Result<()> {
        Ok(fail()?)
    }
    assert_eq!(in_io().map_err(|error| error.raw_os_error()), Err(Some(Errno::ENOENT.raw())));
}

#[test]
fn a_question_mark_boxes_an_errno() {
    fn boxed() -> Result<(), Box<dyn Error>> {
        Ok(fail()?)
    }
    fn boxed_for_threads() -> Result<(), Box<dyn Error + Send + Sync + 'static>> {
        Ok(fail()?)
    }
    let error = boxed().expect_err("it always fails");
    assert_eq!(error.downcast_ref::<Errno>(), Some(&Errno::ENOENT));
    assert_eq!(error.to_string(), Errno::ENOENT.to_string());
    assert!(error.source().is_none());
    assert!(boxed_for_threads().expect_err("it always fails").is::<Errno>());
}

#[test]
fn descriptors_are_the_standard_librarys() {
    assert_eq!(TypeId::of::<OwnedFd>(), TypeId::of::<fd::OwnedFd>());
    assert_eq!(TypeId::of::<barepoll::fd::BorrowedFd<'static>>(), TypeId::of::<fd::BorrowedFd<'static>>());
    assert_eq!(TypeId::of::<barepoll::fd::RawFd>(), TypeId::of::<fd::RawFd>());

    fn owner<T>()
    where
        T: fd::AsFd + fd::AsRawFd + fd::FromRawFd + fd::IntoRawFd + From<fd::OwnedFd> + Into<fd::OwnedFd>,
    {
    }
    owner::<Epoll>();
    owner::<EventFd>();
}

/// Waits for at most a minute and returns the event.
fn next(epoll: &Epoll) -> Option<(u64, EventFlags)> {
    let mut buffer = Event::buffer::<1>();
    let events = epoll.wait_uninterrupted(&mut buffer, Some(Duration::from_secs(60))).expect("a wait");
    events.first().map(|event| (event.data().u64(), event.flags()))
}

fn is_silent(epoll: &Epoll) -> bool {
    epoll.wait(&mut Event::buffer::<1>(), Some(Duration::ZERO)).expect("a wait").is_empty()
}

#[test]
fn a_tcp_listener_is_registered_as_it_is() -> io::Result<()> {
    let epoll = Epoll::new()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    epoll.add(&listener, EventData::new_u64(1), EventFlags::IN)?;
    assert!(is_silent(&epoll));
    let _client = TcpStream::connect(listener.local_addr()?)?;
    assert_eq!(next(&epoll), Some((1, EventFlags::IN)));
    Ok(())
}

#[test]
fn a_unix_stream_is_registered_as_it_is_or_shared_or_borrowed() -> io::Result<()> {
    let epoll = Epoll::new()?;
    let (mut here, there) = UnixStream::pair()?;
    let there = Arc::new(there);
    epoll.add(&there, EventData::new_u64(2), EventFlags::IN)?;
    epoll.delete(Arc::clone(&there))?;
    epoll.add(Rc::new(there.as_fd()), EventData::new_u64(3), EventFlags::IN)?;
    epoll.modify(there.as_fd(), EventData::new_u64(4), EventFlags::IN)?;
    assert!(is_silent(&epoll));
    here.write_all(b"x")?;
    assert_eq!(next(&epoll), Some((4, EventFlags::IN)));
    (&*there).read_exact(&mut [0])?;
    assert!(is_silent(&epoll));
    drop(here);
    assert!(next(&epoll).is_some_and(|(_, flags)| flags.contains(EventFlags::HUP)));
    Ok(())
}

#[test]
fn a_file_is_registered_as_it_is_where_the_kernel_allows() -> io::Result<()> {
    let epoll = Epoll::new()?;
    let regular = File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))?;
    assert_eq!(epoll.add(&regular, EventData::new_u64(5), EventFlags::IN), Err(Errno::EPERM));

    let mut counter = File::from(OwnedFd::from(EventFd::new(7, EventFdFlags::CLOEXEC)?));
    epoll.add(&counter, EventData::new_u64(6), EventFlags::IN)?;
    assert_eq!(next(&epoll), Some((6, EventFlags::IN)));
    let mut value = [0; 8];
    counter.read_exact(&mut value)?;
    assert_eq!(u64::from_ne_bytes(value), 7);
    Ok(())
}

#[test]
fn a_descriptor_of_the_standard_library_becomes_an_epoll_and_is_closed_with_it() -> io::Result<()> {
    let original = Epoll::new()?;
    let copy = Epoll::from(original.as_fd().try_clone_to_owned()?);
    let eventfd = EventFd::new(1, EventFdFlags::CLOEXEC)?;
    original.add(&eventfd, EventData::new_u64(8), EventFlags::IN)?;
    assert_eq!(next(&copy), Some((8, EventFlags::IN)), "both are one epoll");

    let number = copy.into_raw_fd();
    // SAFETY: the epoll has just given up the number.
    let copy = unsafe { Epoll::from_raw_fd(number) };
    assert_eq!(copy.as_raw_fd(), number);
    drop(copy);
    assert_eq!(next(&original), Some((8, EventFlags::IN)), "the other end stays open");
    Ok(())
}

#[test]
fn an_error_of_a_flush_becomes_one_of_io_and_says_its_cause_once() {
    let error = barepoll::FlushError { fd: 7, errno: Errno::ENOSPC };
    assert_eq!(error.to_string(), format!("descriptor 7: {}", Errno::ENOSPC));
    assert!(error.source().is_none());
    assert_eq!(io::Error::from(error).raw_os_error(), Some(Errno::ENOSPC.raw()));
}

#[test]
fn a_child_of_the_standard_library_is_opened_watched_and_waited_for() -> io::Result<()> {
    // `cat` ends at the end of its input.
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn()?;
    let pidfd = PidFd::try_from(&child)?;
    let epoll = Epoll::new()?;
    epoll.add(&pidfd, EventData::new_u64(9), EventFlags::IN)?;
    assert!(is_silent(&epoll));
    assert_eq!(pidfd.try_wait(), Ok(None));
    drop(child.stdin.take());
    assert_eq!(next(&epoll), Some((9, EventFlags::IN)));

    let status = pidfd.wait()?;
    assert!(status.success());
    assert_eq!(status.pid(), child.id() as i32);
    // Only one of the two reaps it.
    assert_eq!(child.wait().map_err(|error| error.raw_os_error()), Err(Some(Errno::ECHILD.raw())));
    Ok(())
}

#[test]
fn a_child_that_std_waited_for_is_echild_and_esrch() -> io::Result<()> {
    let mut child = Command::new("cat").stdin(Stdio::null()).spawn()?;
    let pidfd = PidFd::try_from(&child)?;
    assert!(child.wait()?.success());
    assert_eq!(pidfd.wait(), Err(Errno::ECHILD));
    assert_eq!(pidfd.send_signal(0), Err(Errno::ESRCH));
    Ok(())
}

/// Makes what `waitid` reports of an end.
fn ended(code: u32, status: i32) -> ChildStatus {
    let indexes: [i32; 32] = std::array::from_fn(|index| index as i32);
    // SAFETY: the sizes are equal, and both consist of integers.
    let info = |words: [i32; 32]| unsafe { std::mem::transmute::<[i32; 32], Siginfo>(words) };
    let mut words = [0; 32];
    words[info(indexes).code() as usize] = code as i32;
    words[info(indexes).status() as usize] = status;
    info(words).into()
}

#[test]
fn a_status_becomes_stds_with_the_same_answers() {
    for status in 0..=255 {
        let exit = ExitStatus::from(ended(raw::CLD_EXITED, status));
        assert_eq!((exit.code(), exit.signal()), (Some(status), None));
        assert_eq!(exit.success(), status == 0);
    }
    // 127 would be a stop.
    for signal in 1..=126 {
        let exit = ExitStatus::from(ended(raw::CLD_KILLED, signal));
        assert_eq!((exit.code(), exit.signal(), exit.core_dumped()), (None, Some(signal), false));
        let exit = ExitStatus::from(ended(raw::CLD_DUMPED, signal));
        assert_eq!((exit.code(), exit.signal(), exit.core_dumped()), (None, Some(signal), true));
    }
    const CLD_TRAPPED: u32 = 4;
    let exit = ExitStatus::from(ended(CLD_TRAPPED, 5));
    assert_eq!((exit.code(), exit.signal(), exit.stopped_signal()), (None, None, Some(5)));
    assert!(!exit.success());
}

#[test]
fn an_instant_becomes_a_deadline_and_back() {
    let between = Deadline::now().unwrap();
    let instant = Instant::now();
    let deadline = Deadline::from(instant);
    assert!(between <= deadline && deadline <= Deadline::now().unwrap());
    assert_eq!(Instant::from(deadline), instant);
    let later = Duration::new(100, 1);
    assert_eq!(Deadline::from(instant + later), deadline + later);
    assert_eq!(Instant::from(deadline + later), instant + later);
    // So does an instant from before the first use of a deadline.
    let day = Duration::from_secs(24 * 60 * 60);
    assert_eq!(Deadline::from(instant - day) + day, deadline);
    // An instant from before the origin is past.
    assert_eq!(Deadline::from(Instant::from(Deadline::ORIGIN) - Duration::from_nanos(1)), Deadline::ORIGIN);
    // The last deadline has an instant.
    assert!(Instant::from(Deadline::ORIGIN + Duration::MAX) > instant);
}
