//! A static program with std and musl. It combines the standard library's sockets, barepoll, and
//! musl's own epoll and eventfd. `cargo xtask musl` builds it and reads its output: a line per
//! check and a final count.

use barepoll::fd::{AsRawFd, FromRawFd, OwnedFd};
use barepoll::{Epoll, Event, EventData, EventFd, EventFdFlags, EventFlags, Waker};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

type Check = fn() -> io::Result<bool>;

const CHECKS: &[(&str, Check)] = &[
    ("barepoll watches a socket of std's", barepoll_watches_std),
    ("barepoll wakes a loop from another thread", barepoll_wakes),
    ("musl's epoll watches barepoll's epoll", musl_watches_barepoll),
    ("barepoll's epoll watches musl's eventfd", barepoll_watches_musl),
    ("an error of barepoll's is std's, and leaves musl's errno alone", errors_do_not_mix),
];

/// The longest wait of a check.
const LIMIT: Option<Duration> = Some(Duration::from_secs(30));
const TOKEN: EventData = EventData::new_u64(7);

fn main() {
    let mut passed = 0;
    for (name, check) in CHECKS {
        match check() {
            Ok(true) => {
                println!("ok {name}");
                passed += 1;
            }
            Ok(false) => println!("FAILED {name}"),
            Err(error) => println!("FAILED {name}: {error}"),
        }
    }
    println!("{passed} of {} passed", CHECKS.len());
}

/// Whether this is the only ready event.
fn is_next(epoll: &Epoll, expected: EventFlags) -> io::Result<bool> {
    let mut buffer = Event::buffer::<4>();
    let events = epoll.wait_uninterrupted(&mut buffer, LIMIT)?;
    Ok(events.len() == 1 && events[0].data().u64() == TOKEN.u64() && events[0].flags() == expected)
}

fn barepoll_watches_std() -> io::Result<bool> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let client = thread::spawn(move || {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"hello")?;
        let mut echo = [0; 5];
        stream.read_exact(&mut echo).map(|()| echo)
    });
    let epoll = Epoll::new()?;
    epoll.add(&listener, TOKEN, EventFlags::IN)?;
    let connected = is_next(&epoll, EventFlags::IN)?;
    let (mut stream, _) = listener.accept()?;
    epoll.delete(&listener)?;
    epoll.add(&stream, TOKEN, EventFlags::IN)?;
    let readable = is_next(&epoll, EventFlags::IN)?;
    let mut bytes = [0; 5];
    stream.read_exact(&mut bytes)?;
    stream.write_all(&bytes)?;
    let echo = client.join().map_err(|_| io::Error::other("the client panicked"))??;
    Ok(connected && readable && &echo == b"hello")
}

fn barepoll_wakes() -> io::Result<bool> {
    let epoll = Epoll::new()?;
    let waker = Waker::new(&epoll, TOKEN)?;
    thread::scope(|scope| {
        scope.spawn(|| waker.wake());
        let woken = is_next(&epoll, EventFlags::IN)?;
        waker.acknowledge();
        Ok(woken)
    })
}

fn musl_watches_barepoll() -> io::Result<bool> {
    let (inner, eventfd) = (Epoll::new()?, EventFd::new(1, EventFdFlags::CLOEXEC | EventFdFlags::NONBLOCK)?);
    inner.add(&eventfd, TOKEN, EventFlags::IN)?;
    // SAFETY: the call takes no pointer.
    let musl = owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 9 };
    // SAFETY: the event is a local variable.
    done(unsafe { libc::epoll_ctl(musl.as_raw_fd(), libc::EPOLL_CTL_ADD, inner.as_raw_fd(), &mut event) })?;
    event.u64 = 0;
    // SAFETY: there is room for one event.
    let ready = done(unsafe { libc::epoll_wait(musl.as_raw_fd(), &mut event, 1, 30_000) })?;
    Ok(ready == 1 && { event.u64 } == 9 && is_next(&inner, EventFlags::IN)?)
}

fn barepoll_watches_musl() -> io::Result<bool> {
    // SAFETY: the call takes no pointer.
    let eventfd = owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
    let epoll = Epoll::new()?;
    epoll.add(&eventfd, TOKEN, EventFlags::IN)?;
    // SAFETY: the call takes no pointer.
    done(unsafe { libc::eventfd_write(eventfd.as_raw_fd(), 5) })?;
    Ok(is_next(&epoll, EventFlags::IN)? && EventFd::from(eventfd).read()? == 5)
}

fn errors_do_not_mix() -> io::Result<bool> {
    // SAFETY: −1 is no descriptor, so the call only fails.
    let musl = unsafe { libc::close(-1) };
    let epoll = Epoll::new()?;
    let Err(barepoll) = epoll.delete(&epoll) else { return Ok(false) };
    let after = io::Error::last_os_error().raw_os_error();
    Ok(musl == -1 && after == Some(libc::EBADF) && io::Error::from(barepoll).raw_os_error() == Some(libc::EINVAL))
}

fn done(answer: libc::c_int) -> io::Result<libc::c_int> {
    match answer {
        -1 => Err(io::Error::last_os_error()),
        answer => Ok(answer),
    }
}

fn owned(fd: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: the descriptor is new and has no other owner.
    done(fd).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}
