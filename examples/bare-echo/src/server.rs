//! The event loop. Memory is bounded: a table of connections, each with a buffer of its own.
//!
//! Everything is level-triggered, so epoll reports unfinished work again. Each event gets one
//! bounded piece of work, and no client starves the others.

use crate::linux::errno::ECONNABORTED;
use crate::system::{accept, listen, local_address, receive, send, signals};
use crate::Failure;
use barepoll::fd::OwnedFd;
use barepoll::{Epoll, Errno, Event, EventData, EventFlags, Result, SignalFd};
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::net::SocketAddrV4;
use core::time::Duration;

/// The most connections at a time. Others wait in the kernel's queue.
const CONNECTIONS: usize = 256;

/// The most bytes that the server keeps for a connection.
const CHUNK: usize = 16 * 1024;

/// The most connections accepted per event, before others get their turn.
const ACCEPTS: usize = 64;

/// How long new connections wait if the kernel has no descriptor or no memory for them.
const PAUSE: Duration = Duration::from_millis(100);

/// The data of events. A connection's is its place in the table.
///
/// A place can be used again, but not by an event that outlives its connection: the server closes
/// a connection only at its own event, and there is one per wait.
const LISTENER: u64 = CONNECTIONS as u64;
const END: u64 = LISTENER + 1;

pub type Buffers = [[MaybeUninit<u8>; CHUNK]; CONNECTIONS];

/// The buffers of all connections, in `.bss`, because a stack may be too small for them.
struct Memory(UnsafeCell<Buffers>);

// SAFETY: `take_buffers` is the only access.
unsafe impl Sync for Memory {}

/// The section's name sorts after those of other statics.
#[link_section = ".bss.~memory"]
static MEMORY: Memory = Memory(UnsafeCell::new([[MaybeUninit::uninit(); CHUNK]; CONNECTIONS]));

/// # Safety
///
/// This must be the only call.
pub unsafe fn take_buffers() -> &'static mut Buffers {
    // SAFETY: the caller's contract.
    unsafe { &mut *MEMORY.0.get() }
}

pub struct Server {
    epoll: Epoll,
    listener: OwnedFd,
    /// Readable once a signal wants to end the server.
    _signals: SignalFd,
    connections: [Option<Connection>; CONNECTIONS],
    buffers: &'static mut Buffers,
    open: usize,
    /// Why the listener is not watched.
    pause: Option<Pause>,
    served: u64,
    bytes: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Pause {
    /// The table is full. Accepting goes on when a connection closes.
    Full,
    /// The kernel is short of something. Accepting goes on with the next event, or after [`PAUSE`].
    Shortage,
}

struct Connection {
    socket: OwnedFd,
    /// The number of bytes in its buffer. The server reads no more until all of them are sent.
    held: usize,
    /// How many of them are sent.
    sent: usize,
}

impl Server {
    pub fn new(address: SocketAddrV4, buffers: &'static mut Buffers) -> core::result::Result<Self, Failure> {
        let listener = listen(address).map_err(|errno| Failure::Step("listen on the address", errno))?;
        let start = || {
            let (epoll, signals) = (Epoll::new()?, signals()?);
            epoll.add(&signals, EventData::new_u64(END), EventFlags::IN)?;
            epoll.add(&listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
            Ok((epoll, signals))
        };
        let (epoll, signals) = start().map_err(|errno| Failure::Step("prepare to wait for events", errno))?;
        let connections = [const { None }; CONNECTIONS];
        Ok(Self { epoll, listener, _signals: signals, connections, buffers, open: 0, pause: None, served: 0, bytes: 0 })
    }

    pub fn address(&self) -> core::result::Result<SocketAddrV4, Failure> {
        local_address(&self.listener).map_err(|errno| Failure::Step("tell the address", errno))
    }

    /// Serves until a signal wants the end.
    pub fn run(&mut self) -> core::result::Result<(), Failure> {
        self.serve_until_end().map_err(|errno| Failure::Step("wait for events", errno))
    }

    /// Closes everything. Returns how many connections it had, and how many bytes it sent.
    pub fn close(self) -> (u64, u64) {
        (self.served, self.bytes)
    }

    fn serve_until_end(&mut self) -> Result<()> {
        let mut buffer = Event::buffer::<64>();
        loop {
            let pause = self.pause.filter(|pause| *pause == Pause::Shortage);
            let events = self.epoll.wait_uninterrupted(&mut buffer, pause.map(|_| PAUSE))?;
            for event in events {
                match event.data().u64() {
                    END => return Ok(()),
                    LISTENER => self.accept()?,
                    place => self.serve(place as usize)?,
                }
            }
            if pause.is_some() {
                self.resume()?;
            }
        }
    }

    fn accept(&mut self) -> Result<()> {
        for _ in 0..ACCEPTS {
            if self.open == CONNECTIONS {
                return self.pause(Pause::Full);
            }
            match accept(&self.listener) {
                // If the kernel cannot watch the connection, only this connection closes.
                Ok(socket) => drop(self.admit(socket)),
                Err(Errno::EAGAIN) => return Ok(()),
                // The connection ended before it was accepted, or a signal came.
                Err(errno) if errno.raw() as u32 == ECONNABORTED => {}
                Err(Errno::EINTR) => {}
                // Waiting connections keep the listener ready, so watching it on would spin.
                Err(_) => return self.pause(Pause::Shortage),
            }
        }
        Ok(())
    }

    fn admit(&mut self, socket: OwnedFd) -> Result<()> {
        let mut entries = self.connections.iter_mut().enumerate();
        let (place, entry) = entries.find(|(_, entry)| entry.is_none()).ok_or(Errno::ENOSPC)?;
        self.epoll.add(&socket, EventData::new_u64(place as u64), EventFlags::IN)?;
        *entry = Some(Connection { socket, held: 0, sent: 0 });
        self.open += 1;
        self.served += 1;
        Ok(())
    }

    fn pause(&mut self, pause: Pause) -> Result<()> {
        self.pause = Some(pause);
        self.epoll.modify(&self.listener, EventData::new_u64(LISTENER), EventFlags::empty())
    }

    fn resume(&mut self) -> Result<()> {
        self.pause = None;
        self.epoll.modify(&self.listener, EventData::new_u64(LISTENER), EventFlags::IN)
    }

    fn serve(&mut self, place: usize) -> Result<()> {
        let (Some(entry), Some(buffer)) = (self.connections.get_mut(place), self.buffers.get_mut(place)) else {
            return Ok(());
        };
        let Some(connection) = entry else { return Ok(()) };
        let was_waiting = connection.is_waiting();
        let turn = connection.turn(buffer, &mut self.bytes).and_then(|is_open| {
            if connection.is_waiting() != was_waiting {
                let interest = if was_waiting { EventFlags::IN } else { EventFlags::OUT };
                self.epoll.modify(&connection.socket, EventData::new_u64(place as u64), interest)?;
            }
            Ok(is_open)
        });
        // An error means a reset or similar, and ends only this connection.
        if turn.unwrap_or(false) {
            return Ok(());
        }
        // Closing the socket removes it from the interest list, because it has no duplicates.
        *entry = None;
        self.open -= 1;
        if self.pause.is_some() {
            self.resume()?;
        }
        Ok(())
    }
}

impl Connection {
    /// Whether the peer has to receive before the server reads on.
    fn is_waiting(&self) -> bool {
        self.sent != self.held
    }

    /// Reads once if nothing is held, and sends once. Returns false at the end of the peer's bytes,
    /// when all are sent back.
    fn turn(&mut self, buffer: &mut [MaybeUninit<u8>], bytes: &mut u64) -> Result<bool> {
        if !self.is_waiting() {
            match receive(&self.socket, buffer) {
                Ok(0) => return Ok(false),
                Ok(length) => (self.held, self.sent) = (length, 0),
                Err(Errno::EAGAIN | Errno::EINTR) => return Ok(true),
                Err(errno) => return Err(errno),
            }
        }
        let held = buffer.get(self.sent..self.held).ok_or(Errno::EIO)?;
        // SAFETY: `receive` has written these bytes.
        let held = unsafe { core::slice::from_raw_parts(held.as_ptr().cast(), held.len()) };
        match send(&self.socket, held) {
            Ok(sent) => {
                self.sent += sent;
                *bytes += sent as u64;
                Ok(true)
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(true),
            Err(errno) => Err(errno),
        }
    }
}
