//! An echo server's own time for a request. One thread is client and server. It sends one request
//! on each connection of a batch, then serves until all are answered. Only the serving is timed.
//! Another thread sleeps meanwhile. Above 1024 connections, servers and clients are separate
//! processes.

use super::{apart, beside_another_thread};
use crate::wall::{Purpose, Way};
use barepoll::fd::{BorrowedFd, RawFd};
use barepoll::{raw, Epoll, Event, EventData, EventFlags, Result};
use std::io::{self, ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Connections with a pending request at a time.
pub const BATCH: usize = 64;
/// Events that a server receives in one wait.
const EVENTS: usize = 256;

pub trait Server: Sized {
    fn new(connections: &[UnixStream]) -> Self;
    /// Waits for requests and answers them. Returns the number of answers.
    fn turn(&mut self, connections: &[UnixStream], room: &mut [u8]) -> usize;
}

fn borrow(stream: &UnixStream) -> BorrowedFd<'_> {
    // SAFETY: the borrow of the stream keeps the descriptor open.
    unsafe { BorrowedFd::borrow_raw(stream.as_raw_fd()) }
}

/// barepoll, level-triggered. A read shorter than the buffer shows that the socket is empty.
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
            // SAFETY: `room` is `room.len()` bytes long, and `length` of them were read.
            unsafe {
                let length = raw::read(fd, room.as_mut_ptr(), room.len()).unwrap();
                assert_eq!(raw::write(fd, room.as_ptr(), length), Ok(length));
            }
        }
        ready.len()
    }
}

/// barepoll, edge-triggered: the kernel need not check reported descriptors again.
struct Edge(Ours);

impl Server for Edge {
    fn new(connections: &[UnixStream]) -> Self {
        let server = Ours::new(connections);
        for connection in connections {
            let data = EventData::new_fd(connection.as_raw_fd());
            server.0.modify(borrow(connection), data, EventFlags::IN | EventFlags::ET).unwrap();
        }
        Self(server)
    }

    fn turn(&mut self, connections: &[UnixStream], room: &mut [u8]) -> usize {
        self.0.turn(connections, room)
    }
}

/// libc, level-triggered.
struct Libc(Epoll);

impl Server for Libc {
    fn new(connections: &[UnixStream]) -> Self {
        Self(Ours::new(connections).0)
    }

    fn turn(&mut self, _: &[UnixStream], room: &mut [u8]) -> usize {
        let mut buffer = [const { MaybeUninit::<libc::epoll_event>::uninit() }; EVENTS];
        let epoll: RawFd = barepoll::fd::AsRawFd::as_raw_fd(&self.0);
        // SAFETY: `buffer` has room for `EVENTS` events, and the kernel has written `ready` of
        // them. `room` has room for `room.len()` bytes, and `length` of them were read.
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

/// mio is edge-triggered, and its documentation says to read until the socket is empty.
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

/// polling is one-shot by default, so each event rearms the descriptor.
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
    // One byte more than a request, so that every read falls short.
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

type Make = fn(&'static str, usize, usize) -> Way<'static>;
type Serve = fn(usize, usize) -> io::Result<()>;

/// The servers to compare, in this process or in separate ones.
const WAYS: [(&str, Make, Serve); 6] = [
    ("libc, level", way::<Libc>, apart::serve::<Libc>),
    ("the same again", way::<Libc>, apart::serve::<Libc>),
    ("barepoll, level", way::<Ours>, apart::serve::<Ours>),
    ("barepoll, edge", way::<Edge>, apart::serve::<Edge>),
    ("mio, read until empty", way::<Mio>, apart::serve::<Mio>),
    ("polling, one-shot", way::<Polling>, apart::serve::<Polling>),
];

/// Above this many connections, servers and clients are separate processes.
const TOGETHER: usize = 1024;

pub fn echo(connections: usize, bytes: usize, purpose: &Purpose) -> Result<serde_json::Value> {
    let make = |place: usize| match WAYS[place] {
        (name, make, _) if connections <= TOGETHER => make(name, connections, bytes),
        (name, ..) => apart::way(name, place, connections, bytes).expect("processes for a server and its clients"),
    };
    Ok(beside_another_thread(|| purpose.of((0..WAYS.len()).map(make).collect())))
}

/// The server process that [`apart::way`] starts.
pub fn serve(place: usize, connections: usize, bytes: usize) -> io::Result<()> {
    beside_another_thread(|| WAYS[place].2(connections, bytes))
}
