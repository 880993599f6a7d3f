//! TCP: a listener with a long queue, and streams that share a buffer.

use super::{Async, Executor, READ, WRITE};
use barepoll::EventFlags;
use socket2::SockRef;
use std::future::Future;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

/// The bytes of the buffer that all streams of an executor read into.
pub const BUFFER: usize = 64 * 1024;

/// Listens with the longest queue of new connections that the system permits
/// (`net.core.somaxconn`). std's is 128, and the kernel drops connections beyond it: their clients
/// try again after a second.
pub fn listen(address: &str) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    let socket = SockRef::from(&listener);
    socket.listen(i32::MAX)?; // it changes the length
    socket.set_tcp_nodelay(true)?; // connections inherit it
    listener.set_nonblocking(true)?;
    Ok(listener)
}

impl Async<TcpListener> {
    pub async fn accept(&self) -> io::Result<TcpStream> {
        Ok(self.when(READ, TcpListener::accept).await?.0)
    }
}

impl Async<TcpStream> {
    /// A connection from a listener.
    pub fn accepted(executor: &Rc<Executor>, stream: TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Self::new(executor.clone(), stream)
    }

    pub async fn read(&self, room: &mut [u8]) -> io::Result<usize> {
        self.when(READ, |_| self.read_ready(room)).await
    }

    /// Waits until there is something to read, reads it into the executor's buffer and lends it. It
    /// is empty at the end. So a silent connection holds no buffer.
    pub fn receive<'a, T>(&'a self, mut take: impl FnMut(&[u8]) -> T + 'a) -> impl Future<Output = io::Result<T>> + 'a {
        self.when(READ, move |_| {
            let mut buffer = self.executor.buffer.borrow_mut();
            let received = self.read_ready(&mut buffer)?;
            Ok(take(&buffer[..received]))
        })
    }

    fn read_ready(&self, room: &mut [u8]) -> io::Result<usize> {
        let received = (&self.socket).read(room)?;
        // A short read also shows that no data is left, without another call. An end, an error or
        // urgent data stays.
        if received < room.len() {
            self.deny(EventFlags::IN);
        }
        Ok(received)
    }

    /// Sends what the kernel takes now, and keeps the rest for `flush`.
    pub fn send(&self, bytes: &[u8], unsent: &mut Vec<u8>) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let sent = self.try_now(WRITE, |mut stream| stream.write(bytes)).unwrap_or(Ok(0))?;
        unsent.extend_from_slice(&bytes[sent..]);
        Ok(())
    }

    /// Sends what `send` kept, and frees its memory. Returns `TimedOut` if the peer takes nothing
    /// for the time `limit`.
    pub async fn flush(&self, unsent: &mut Vec<u8>, limit: Duration) -> io::Result<()> {
        let (executor, mut bytes) = (&self.executor, &unsent[..]);
        let mut idle = executor.sleep_until(executor.now() + limit);
        while !bytes.is_empty() {
            let sent = idle.limit(pin!(self.write(bytes))).await.ok_or(ErrorKind::TimedOut)??;
            bytes = &bytes[sent..];
            idle.extend(executor.now() + limit);
        }
        *unsent = Vec::new();
        Ok(())
    }

    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            bytes = &bytes[self.write(bytes).await?..];
        }
        Ok(())
    }

    fn write<'a>(&'a self, bytes: &'a [u8]) -> impl Future<Output = io::Result<usize>> + 'a {
        self.when(WRITE, |mut stream| stream.write(bytes))
    }
}
