//! An echo server's own time for a request. The client is the same thread: it sends one request to each of some connections, then
//! the server works until all are answered, and only that is timed. Another thread sleeps beside it. With more connections than a
//! process may have, servers and clients are processes of their own.

use super::{apart, beside_another_thread};
use crate::wall::{Purpose, Way};
use barepoll::fd::{BorrowedFd, RawFd};
use barepoll::{raw, Epoll, Event, EventData, EventFlags, Result};
use std::io::{self, ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Connections that have a request at a time.
pub const BATCH: usize = 64;
/// Events that a server takes at a time.
const EVENTS: usize = 256;

pub trait Server: Sized {
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

/// The same, edge-triggered: the kernel need not look again at what it has reported.
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

type Make = fn(&'static str, usize, usize) -> Way<'static>;
type Serve = fn(usize, usize) -> io::Result<()>;

/// What is compared, here and in processes of their own.
const WAYS: [(&str, Make, Serve); 6] = [
    ("libc, level", way::<Libc>, apart::serve::<Libc>),
    ("the same again", way::<Libc>, apart::serve::<Libc>),
    ("barepoll, level", way::<Ours>, apart::serve::<Ours>),
    ("barepoll, edge", way::<Edge>, apart::serve::<Edge>),
    ("mio, read until empty", way::<Mio>, apart::serve::<Mio>),
    ("polling, one-shot", way::<Polling>, apart::serve::<Polling>),
];

/// More are in processes of their own.
const TOGETHER: usize = 1024;

pub fn echo(connections: usize, bytes: usize, purpose: &Purpose) -> Result<serde_json::Value> {
    let make = |place: usize| match WAYS[place] {
        (name, make, _) if connections <= TOGETHER => make(name, connections, bytes),
        (name, ..) => apart::way(name, place, connections, bytes).expect("processes for a server and its clients"),
    };
    Ok(beside_another_thread(|| purpose.of((0..WAYS.len()).map(make).collect())))
}

/// The other side of [`apart::way`].
pub fn serve(place: usize, connections: usize, bytes: usize) -> io::Result<()> {
    beside_another_thread(|| WAYS[place].2(connections, bytes))
}
