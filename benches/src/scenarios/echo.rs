//! An echo server's own time for a request. The client is the same thread: it sends one request to each of some connections, then
//! the server works until all are answered, and only that is timed. Another thread sleeps beside it.

use super::beside_another_thread;
use crate::wall::{compare, Way};
use barepoll::fd::{BorrowedFd, RawFd};
use barepoll::{raw, Epoll, Event, EventData, EventFlags, Result};
use std::io::{ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Connections that have a request at a time.
const BATCH: usize = 64;
/// Events that a server takes at a time.
const EVENTS: usize = 256;

trait Server: Sized {
    fn new(connections: &[UnixStream]) -> Self;
    /// Answers what has come, waiting for it, and gives how many answers that were.
    fn turn(&mut self, connections: &[UnixStream], room: &mut [u8]) -> usize;
}

fn borrow(stream: &UnixStream) -> BorrowedFd<'_> {
    // SAFETY: open for as long as the stream is borrowed.
    unsafe { BorrowedFd::borrow_raw(stream.as_raw_fd()) }
}

/// Level-triggered, by barepoll; read until a read falls short of the room.
struct Ours(Epoll);

impl Server for Ours {
    fn new(connections: &[UnixStream]) -> Self {
        let epoll = Epoll::new().unwrap();
        for connection in connections {
            epoll.add(borrow(connection), EventData::new_fd(connection.as_raw_fd()), EventFlags::IN).unwrap();
        }
        Self(epoll)
    }

    fn turn(&mut self, _: &[UnixStream], room: &mut [u8]) -> usize {
        let mut buffer = Event::buffer::<EVENTS>();
        let ready = self.0.wait(&mut buffer, None).unwrap();
        for event in &*ready {
            let fd = event.data().fd();
            // SAFETY: `room` has that much, and what was read is there to be written.
            unsafe {
                let length = raw::read(fd, room.as_mut_ptr(), room.len()).unwrap();
                assert_eq!(raw::write(fd, room.as_ptr(), length), Ok(length));
            }
        }
        ready.len()
    }
}

/// The same by libc.
struct Libc(Epoll);

impl Server for Libc {
    fn new(connections: &[UnixStream]) -> Self {
        Self(Ours::new(connections).0)
    }

    fn turn(&mut self, _: &[UnixStream], room: &mut [u8]) -> usize {
        let mut buffer = [const { MaybeUninit::<libc::epoll_event>::uninit() }; EVENTS];
        let epoll: RawFd = barepoll::fd::AsRawFd::as_raw_fd(&self.0);
        // SAFETY: room for as many events, of which as many as it gives are written; `room` likewise.
        unsafe {
            let ready = libc::epoll_wait(epoll, buffer.as_mut_ptr().cast(), EVENTS as i32, -1) as usize;
            for event in &buffer[..ready] {
                let fd = EventData::new_u64(event.assume_init().u64).fd();
                let length = libc::read(fd, room.as_mut_ptr().cast(), room.len()) as usize;
                assert_eq!(libc::write(fd, room.as_ptr().cast(), length) as usize, length);
            }
            ready
        }
    }
}

/// Edge-triggered, as mio is and its documentation says to use it: reads until there is nothing more.
struct Mio(mio::Poll, mio::Events);

impl Server for Mio {
    fn new(connections: &[UnixStream]) -> Self {
        let poll = mio::Poll::new().unwrap();
        for (place, connection) in connections.iter().enumerate() {
            let fd = connection.as_raw_fd();
            let mut source = mio::unix::SourceFd(&fd);
            poll.registry().register(&mut source, mio::Token(place), mio::Interest::READABLE).unwrap();
        }
        Self(poll, mio::Events::with_capacity(EVENTS))
    }

    fn turn(&mut self, connections: &[UnixStream], room: &mut [u8]) -> usize {
        self.0.poll(&mut self.1, None).unwrap();
        self.1.iter().map(|event| answer_until_empty(&connections[event.token().0], room)).sum()
    }
}

fn answer_until_empty(mut connection: &UnixStream, room: &mut [u8]) -> usize {
    let mut answers = 0;
    loop {
        match connection.read(room) {
            Ok(length) => {
                assert_eq!(connection.write(&room[..length]).unwrap(), length);
                answers += 1;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return answers,
            Err(error) => panic!("{error}"),
        }
    }
}

/// One-shot, as polling is unless asked otherwise: armed again after each event.
struct Polling(polling::Poller, polling::Events);

impl Server for Polling {
    fn new(connections: &[UnixStream]) -> Self {
        let poller = polling::Poller::new().unwrap();
        for (place, connection) in connections.iter().enumerate() {
            // SAFETY: the connections outlive every server.
            unsafe { poller.add(connection, polling::Event::readable(place)).unwrap() };
        }
        Self(poller, polling::Events::with_capacity(std::num::NonZero::new(EVENTS).unwrap()))
    }

    fn turn(&mut self, connections: &[UnixStream], room: &mut [u8]) -> usize {
        self.1.clear();
        self.0.wait(&mut self.1, None).unwrap();
        for event in self.1.iter() {
            let mut connection = &connections[event.key];
            let length = connection.read(room).unwrap();
            assert_eq!(connection.write(&room[..length]).unwrap(), length);
            self.0.modify(connection, polling::Event::readable(event.key)).unwrap();
        }
        self.1.len()
    }
}

/// A server, its connections and their clients.
fn way<'a, S: Server + 'a>(name: &'static str, connections: usize, bytes: usize) -> Way<'a> {
    let pair = |_| {
        let (server, client) = UnixStream::pair().expect("descriptors are left");
        server.set_nonblocking(true).unwrap();
        (server, client)
    };
    let (servers, mut clients): (Vec<_>, Vec<_>) = (0..connections).map(pair).unzip();
    let mut server = S::new(&servers);
    // Room for one more, so that a request is read short.
    let (request, mut room, mut answer) = (vec![b'x'; bytes], vec![0; bytes + 1], vec![0; bytes]);
    let batch = connections.min(BATCH);
    let mut next = 0;
    Way::timed(name, move |times| {
        let mut took = Duration::ZERO;
        for _ in 0..times.div_ceil(batch as u32) {
            let place = |number| (next + number) % connections;
            (0..batch).for_each(|number| clients[place(number)].write_all(&request).unwrap());
            let (start, mut answers) = (Instant::now(), 0);
            while answers < batch {
                answers += server.turn(&servers, &mut room);
            }
            took += start.elapsed();
            (0..batch).for_each(|number| clients[place(number)].read_exact(&mut answer).unwrap());
            next = place(batch);
        }
        took
    })
    .at_least(batch as u32)
}

pub fn echo(connections: usize, bytes: usize) -> Result<serde_json::Value> {
    Ok(beside_another_thread(|| {
        compare(vec![
            way::<Libc>("libc, level", connections, bytes),
            way::<Libc>("the same again", connections, bytes),
            way::<Ours>("barepoll, level", connections, bytes),
            way::<Mio>("mio, read until empty", connections, bytes),
            way::<Polling>("polling, one-shot", connections, bytes),
        ])
    }))
}
