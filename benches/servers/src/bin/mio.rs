//! An HTTP server on mio, by hand: one thread, a slab of connections, and one buffer to read into.

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token};
use servers::{answer_all, listen, BUFFER};
use std::io::{self, ErrorKind, Read, Write};

const LISTENER: Token = Token(usize::MAX);

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
}

#[derive(Default)]
struct Connections {
    all: Vec<Option<Connection>>,
    free: Vec<usize>,
}

fn main() -> io::Result<()> {
    let mut listener = TcpListener::from_std(listen()?);
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(1024));
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let (mut connections, mut chunk) = (Connections::default(), vec![0; BUFFER]);
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            waited => waited?,
        }
        for event in &events {
            match event.token() {
                LISTENER => connections.accept(&listener, poll.registry())?,
                Token(index) => connections.serve(index, event, &mut chunk),
            }
        }
    }
}

impl Connections {
    fn accept(&mut self, listener: &TcpListener, registry: &Registry) -> io::Result<()> {
        loop {
            let mut stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            stream.set_nodelay(true)?;
            let index = self.free.pop().unwrap_or_else(|| {
                self.all.push(None);
                self.all.len() - 1
            });
            registry.register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE)?;
            self.all[index] = Some(Connection { stream, input: Vec::new(), output: Vec::new() });
        }
    }

    fn serve(&mut self, index: usize, event: &Event, chunk: &mut [u8]) {
        let Some(connection) = &mut self.all[index] else { return };
        let stays_open = (!event.is_readable() || connection.read(chunk)) && connection.write().is_ok();
        if !stays_open {
            self.all[index] = None;
            self.free.push(index);
        }
    }
}

impl Connection {
    /// Reads until there is no more: a short read shows that too. Returns whether the client still
    /// sends.
    fn read(&mut self, chunk: &mut [u8]) -> bool {
        loop {
            match self.stream.read(chunk) {
                Ok(0) => return false,
                Ok(received) => {
                    self.input.extend_from_slice(&chunk[..received]);
                    answer_all(&mut self.input, &mut self.output);
                    if received < chunk.len() {
                        return true;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
        }
    }

    fn write(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(sent) => drop(self.output.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
