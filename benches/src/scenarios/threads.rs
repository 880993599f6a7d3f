//! Several threads at once: that share an epoll, that wake one loop, or that share a port.

use super::{counter, cpus, stay_on, ONE};
use crate::wall::{Purpose, Way};
use barepoll::fd::BorrowedFd;
use barepoll::{Awake, Epoll, Event, EventData, EventFd, EventFlags, Result, Waker};
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

/// How a team's threads begin and end a chunk together.
struct Beat {
    /// The repetitions of each thread. 0 ends the thread.
    times: AtomicU32,
    start: Barrier,
    end: Barrier,
}

/// The thread that measures. When it is dropped, its team ends.
struct Leader(Arc<Beat>);

impl Leader {
    /// Starts threads that each do this work, a number of times, whenever the leader says so.
    fn of<'s>(scope: &'s Scope<'s, '_>, threads: usize, work: impl Fn(usize, u32) + Send + Sync + 's) -> Self {
        let (start, end) = (Barrier::new(threads + 1), Barrier::new(threads + 1));
        let cpus = cpus();
        let (beat, work) = (Arc::new(Beat { times: AtomicU32::new(0), start, end }), Arc::new(work));
        for number in 0..threads {
            let (beat, work) = (beat.clone(), work.clone());
            let cpu = cpus[(number + 1) % cpus.len()];
            scope.spawn(move || {
                stay_on(cpu);
                loop {
                    beat.start.wait();
                    match beat.times.load(Ordering::Relaxed) {
                        0 => return,
                        times => work(number, times),
                    }
                    beat.end.wait();
                }
            });
        }
        Self(beat)
    }

    /// Lets each thread do its work this often, while this thread does its own.
    fn run(&self, times: u32, own: impl FnOnce()) -> Duration {
        self.0.times.store(times, Ordering::Relaxed);
        // Before the threads start: they may run instead of this one.
        let start = Instant::now();
        self.0.start.wait();
        own();
        self.0.end.wait();
        start.elapsed()
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.0.times.store(0, Ordering::Relaxed);
        self.0.start.wait();
    }
}

/// The fewest turns of a chunk. The barriers around a chunk take as long as some turns.
const TURNS: u32 = 5000;

/// Eventfds that are ready, as many as threads, and the epolls that watch them.
struct Ready {
    epolls: Vec<Epoll>,
    eventfds: Vec<EventFd>,
    flags: EventFlags,
}

impl Ready {
    fn new(threads: usize, epolls: usize, flags: EventFlags) -> Result<Self> {
        let epolls = (0..epolls).map(|_| Epoll::new()).collect::<Result<Vec<_>>>()?;
        let eventfds = (0..threads).map(|_| counter()).collect::<Result<Vec<_>>>()?;
        for (place, (eventfd, epoll)) in eventfds.iter().zip(epolls.iter().cycle()).enumerate() {
            eventfd.write(1)?;
            epoll.add(eventfd, EventData::new_u64(place as u64), flags)?;
        }
        Ok(Self { epolls, eventfds, flags })
    }

    /// Takes an event, and makes the next.
    fn turn(&self, thread: usize) -> Result<()> {
        let epoll = &self.epolls[thread % self.epolls.len()];
        let mut buffer = Event::buffer::<1>();
        for event in epoll.wait(&mut buffer, None)? {
            let eventfd = &self.eventfds[event.data().u64() as usize];
            eventfd.read()?;
            eventfd.write(1)?;
            if self.flags.contains(EventFlags::ONESHOT) {
                epoll.modify(eventfd, event.data(), self.flags)?;
            }
        }
        Ok(())
    }
}

/// As many ready eventfds as threads. Each thread waits for one, reads it, and writes it again.
pub fn share(threads: usize, purpose: &Purpose) -> Result<Value> {
    let edge = EventFlags::IN | EventFlags::ET;
    let ways = [
        ("an epoll each", Ready::new(threads, threads, EventFlags::IN)?),
        ("the same again", Ready::new(threads, threads, EventFlags::IN)?),
        ("one epoll, edge-triggered", Ready::new(threads, 1, edge)?),
        ("one epoll, one-shot", Ready::new(threads, 1, EventFlags::IN | EventFlags::ONESHOT)?),
    ];
    Ok(thread::scope(|scope| {
        let way = |(name, ready): (&'static str, Ready)| {
            let leader = Leader::of(scope, threads, move |thread, times| {
                (0..times).for_each(|_| ready.turn(thread).expect("an event"));
            });
            Way::timed(name, move |times| leader.run(times, || {})).at_least(TURNS)
        };
        purpose.of(ways.into_iter().map(way).collect())
    }))
}

/// A loop that threads wake, and their work for it.
struct Woken<B> {
    bell: B,
    work: AtomicU64,
}

/// How threads wake the loop, and how it waits.
trait Bell: Send + Sync + 'static {
    fn new(epoll: &Epoll) -> Result<Self>
    where
        Self: Sized;
    fn ring(&self) -> Result<()>;
    /// Waits once, and again, until `is_done`.
    fn listen(&self, epoll: &Epoll, is_done: &dyn Fn() -> bool) -> Result<()>;
}

impl Bell for EventFd {
    fn new(epoll: &Epoll) -> Result<Self> {
        let eventfd = counter()?;
        epoll.add(&eventfd, ONE, EventFlags::IN)?;
        Ok(eventfd)
    }
    fn ring(&self) -> Result<()> {
        self.write(1)
    }
    fn listen(&self, epoll: &Epoll, is_done: &dyn Fn() -> bool) -> Result<()> {
        while !is_done() {
            epoll.wait(&mut Event::buffer::<16>(), None)?;
            self.read()?;
        }
        Ok(())
    }
}

impl Bell for Waker {
    fn new(epoll: &Epoll) -> Result<Self> {
        Waker::new(epoll, ONE)
    }
    fn ring(&self) -> Result<()> {
        self.wake()
    }
    fn listen(&self, epoll: &Epoll, is_done: &dyn Fn() -> bool) -> Result<()> {
        while !is_done() {
            epoll.wait(&mut Event::buffer::<16>(), None)?;
            self.acknowledge();
        }
        Ok(())
    }
}

/// A waker whose loop says that it is awake.
struct AwakeWaker(Waker);

impl Bell for AwakeWaker {
    fn new(epoll: &Epoll) -> Result<Self> {
        Waker::new(epoll, ONE).map(Self)
    }
    fn ring(&self) -> Result<()> {
        self.0.wake()
    }
    fn listen(&self, epoll: &Epoll, is_done: &dyn Fn() -> bool) -> Result<()> {
        let mut awake: Awake = self.0.awake();
        while !is_done() {
            awake.wait(epoll, &mut Event::buffer::<16>(), None)?;
        }
        Ok(())
    }
}

/// Threads that each give one loop a unit of work and wake it, again and again, until it has all.
pub fn producers(threads: usize, purpose: &Purpose) -> Result<Value> {
    fn way<'s, B: Bell>(scope: &'s Scope<'s, '_>, name: &'static str, threads: usize) -> Result<Way<'s>> {
        let epoll = Epoll::new()?;
        let woken = Arc::new(Woken { bell: B::new(&epoll)?, work: AtomicU64::new(0) });
        let shared = woken.clone();
        let leader = Leader::of(scope, threads, move |_, times| {
            for _ in 0..times {
                shared.work.fetch_add(1, Ordering::Relaxed);
                shared.bell.ring().expect("a wake-up");
            }
        });
        let run = move |times| {
            let all = threads as u64 * u64::from(times);
            let is_done = || woken.work.load(Ordering::Relaxed) == all;
            let took = leader.run(times, || woken.bell.listen(&epoll, &is_done).expect("a wait"));
            woken.work.store(0, Ordering::Relaxed);
            took
        };
        Ok(Way::timed(name, run).at_least(TURNS))
    }
    thread::scope(|scope| {
        Ok(purpose.of(vec![
            way::<EventFd>(scope, "eventfd, level, read", threads)?,
            way::<EventFd>(scope, "the same again", threads)?,
            way::<Waker>(scope, "barepoll's Waker", threads)?,
            way::<AwakeWaker>(scope, "barepoll's Awake", threads)?,
        ]))
    })
}

/// How threads share a port.
#[derive(Copy, Clone)]
enum Sharing {
    /// A listener each, by `SO_REUSEPORT`.
    ReusePort,
    /// One listener, which each thread's epoll watches with these flags.
    One(EventFlags),
}

/// Threads that accept connections and close them, until `stop` is readable.
struct Port {
    listeners: Vec<TcpListener>,
    flags: EventFlags,
    stop: EventFd,
}

const LISTENER: u64 = 0;
const STOP: u64 = 1;
/// The connections that a client makes at once.
const AT_ONCE: usize = 16;

fn listen(address: SocketAddr, reuse_port: bool) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_port(reuse_port)?;
    socket.bind(&address.into())?;
    socket.listen(i32::MAX)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

impl Port {
    fn new(threads: usize, sharing: Sharing) -> std::io::Result<Self> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (flags, count) = match sharing {
            Sharing::ReusePort => (EventFlags::IN, threads),
            Sharing::One(flags) => (EventFlags::IN | flags, 1),
        };
        let mut listeners = vec![listen(any, count > 1)?];
        let address = listeners[0].local_addr()?;
        for _ in 1..count {
            listeners.push(listen(address, true)?);
        }
        let stop = counter().map_err(|errno| std::io::Error::from_raw_os_error(errno.raw()))?;
        Ok(Self { listeners, flags, stop })
    }

    fn serve(&self, thread: usize) -> Result<()> {
        let (epoll, listener) = (Epoll::new()?, &self.listeners[thread % self.listeners.len()]);
        // SAFETY: the listener stays open.
        let watched = unsafe { BorrowedFd::borrow_raw(listener.as_raw_fd()) };
        epoll.add(watched, EventData::new_u64(LISTENER), self.flags)?;
        epoll.add(&self.stop, EventData::new_u64(STOP), EventFlags::IN)?;
        let mut buffer = Event::buffer::<2>();
        loop {
            for event in epoll.wait(&mut buffer, None)? {
                if event.data().u64() == STOP {
                    return Ok(());
                }
                match listener.accept() {
                    Ok(_) => {} // and close it
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => panic!("a connection: {error}"),
                }
            }
        }
    }

    /// Makes some connections at once, and waits until the server has closed all.
    fn connect(&self, count: usize) -> std::io::Result<()> {
        let address = self.listeners[0].local_addr()?;
        let clients: Vec<TcpStream> =
            (0..count).map(|_| TcpStream::connect(address)).collect::<std::io::Result<_>>()?;
        for mut client in clients {
            client.read_exact(&mut [0]).expect_err("the server sends nothing");
            // A reset when it closes, so that no port stays taken.
            socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO))?;
        }
        Ok(())
    }

    fn way(&self, name: &'static str) -> Way<'_> {
        let run = |times: u32| {
            let mut left = times as usize;
            while left > 0 {
                let count = left.min(AT_ONCE);
                self.connect(count).expect("connections");
                left -= count;
            }
        };
        Way::new(name, run).at_least(4 * AT_ONCE as u32)
    }
}

/// Threads that accept a client's connections, 16 at once, and close them.
pub fn accept(threads: usize, purpose: &Purpose) -> std::io::Result<Value> {
    let ports = [
        ("SO_REUSEPORT", Port::new(threads, Sharing::ReusePort)?),
        ("the same again", Port::new(threads, Sharing::ReusePort)?),
        ("one listener, EXCLUSIVE", Port::new(threads, Sharing::One(EventFlags::EXCLUSIVE))?),
        ("one listener, all wake", Port::new(threads, Sharing::One(EventFlags::empty()))?),
    ];
    let cpus = cpus();
    Ok(thread::scope(|scope| {
        for (_, port) in &ports {
            for thread in 0..threads {
                let cpu = cpus[(thread + 1) % cpus.len()];
                scope.spawn(move || {
                    stay_on(cpu);
                    port.serve(thread).expect("a server");
                });
            }
        }
        let measured = purpose.of(ports.iter().map(|(name, port)| port.way(name)).collect());
        for (_, port) in &ports {
            port.stop.write(1).expect("room in its counter");
        }
        measured
    }))
}
