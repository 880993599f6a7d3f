//! What the servers share: how they listen, and the answer to a request.
//!
//! Each server is written as the peer's documentation shows. They listen and parse alike, so that a
//! comparison shows the runtimes.

use socket2::{Domain, Socket, Type};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// The answer of the example `executor` to a good request.
pub const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\nHello, world!\n";

/// The size of a connection's buffer.
pub const BUFFER: usize = 8 * 1024;

/// Listens without blocking on a free port of 127.0.0.1, and prints the address.
///
/// The queue of new connections is as long as the kernel allows. std's holds 128, and 10,000
/// clients would wait for retransmissions.
pub fn listen() -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    socket.listen(i32::MAX)?;
    socket.set_nonblocking(true)?;
    let listener = TcpListener::from(socket);
    println!("http listens on {}", listener.local_addr()?);
    io::stdout().flush()?;
    Ok(listener)
}

/// Removes the complete requests from `input`, and adds an answer for each to `output`.
///
/// This only looks for the end of each request, which is less than the example `executor` does.
pub fn answer_all(input: &mut Vec<u8>, output: &mut Vec<u8>) {
    let mut rest = &input[..];
    while let Some(length) = rest.windows(4).position(|end| end == b"\r\n\r\n") {
        output.extend_from_slice(ANSWER);
        rest = &rest[length + 4..];
    }
    let done = input.len() - rest.len();
    input.drain(..done);
}
