//! A client's connection.

use mio::net::TcpStream;
use socket2::{Domain, Socket, Type};
use std::collections::VecDeque;
use std::io::{self, Error, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

/// The requests that a connection can send at once.
const MOST: usize = 256;
const STATUS: &[u8] = b"HTTP/1.1 200 OK\r\n";
/// How long the first answer may take.
const LIMIT: Duration = Duration::from_secs(60);

pub struct Connection {
    pub stream: TcpStream,
    /// When each open request was due, oldest first.
    pub sent: VecDeque<Instant>,
    /// The bytes of the answer that has not come whole.
    partial: usize,
    request: &'static [u8],
}

/// Connects one after another. If a client address has no port left, the next one is used.
pub fn connect(address: SocketAddr, connections: usize) -> Result<Vec<Connection>, String> {
    let one = format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\n");
    // All connections send it until the program ends.
    let request: &'static [u8] = Vec::leak(one.into_bytes().repeat(MOST));
    let mut client = Ipv4Addr::LOCALHOST;
    let mut all = Vec::with_capacity(connections);
    while all.len() < connections {
        match connect_from(client, address) {
            Ok(stream) => {
                all.push(Connection { stream: TcpStream::from_std(stream), sent: VecDeque::new(), partial: 0, request })
            }
            Err(error) if is_without_port(&error) && client.octets()[3] < 254 => {
                let [a, b, c, last] = client.octets();
                client = Ipv4Addr::new(a, b, c, last + 1);
            }
            Err(error) => return Err(format!("cannot open connection {}: {}", all.len() + 1, advice(&error))),
        }
    }
    Ok(all)
}

/// Whether the client's address has no port left: the kernel's error when it connects, or binds.
fn is_without_port(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::AddrNotAvailable | ErrorKind::AddrInUse)
}

fn advice(error: &Error) -> String {
    match error.raw_os_error() {
        Some(24) => "the limit of descriptors is too low; raise it with `ulimit -n`".into(),
        _ if is_without_port(error) => {
            "127.0.0.1 to 127.0.0.254 have no port left; raise net.ipv4.ip_local_port_range".into()
        }
        _ => error.to_string(),
    }
}

fn connect_from(client: Ipv4Addr, address: SocketAddr) -> io::Result<std::net::TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // Without this, the kernel takes the first address and any port that has no connection to this
    // server. A port of another address must have no connection at all.
    if client != Ipv4Addr::LOCALHOST {
        socket.bind(&SocketAddr::from((client, 0)).into())?;
    }
    socket.connect_timeout(&address.into(), LIMIT)?;
    // No later answer takes this long either: it only ends a hang.
    socket.set_read_timeout(Some(LIMIT))?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket.into())
}

impl Connection {
    /// Sends a request, and waits for an answer with a `Content-Length`.
    pub fn ask_whole(&mut self) -> io::Result<Vec<u8>> {
        let mut answer = self.ask(0)?;
        loop {
            let text = String::from_utf8_lossy(&answer).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
                let length: usize = length.ok_or_else(|| Error::other(format!("no Content-Length in {head:?}")))?;
                if body.len() >= length {
                    return Ok(answer);
                }
            }
            answer.extend(self.read_some()?);
        }
    }

    /// Sends a request, and waits for an answer of at least `length` bytes.
    pub fn ask(&mut self, length: usize) -> io::Result<Vec<u8>> {
        self.write(1)?;
        let mut answer = Vec::new();
        while answer.len() < length {
            answer.extend(self.read_some()?);
        }
        Ok(answer)
    }

    fn read_some(&mut self) -> io::Result<Vec<u8>> {
        let mut chunk = vec![0; 4096];
        match self.stream.read(&mut chunk)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            received => Ok(chunk[..received].to_vec()),
        }
    }

    /// After the first answer, nothing blocks.
    pub fn prepare(&self) -> io::Result<()> {
        socket2::SockRef::from(&self.stream).set_nonblocking(true)
    }

    pub fn send(&mut self, requests: usize, due: Instant) -> io::Result<()> {
        self.write(requests)?;
        self.sent.extend(std::iter::repeat_n(due, requests));
        Ok(())
    }

    fn write(&mut self, requests: usize) -> io::Result<()> {
        let bytes = &self.request[..self.request.len() / MOST * requests.min(MOST)];
        match self.stream.write(bytes)? {
            sent if sent == bytes.len() => Ok(()),
            // The socket's buffer holds far more than MOST requests.
            sent => Err(Error::other(format!("the kernel took {sent} of {} bytes", bytes.len()))),
        }
    }

    /// How many answers are complete now.
    pub fn receive(&mut self, length: usize) -> io::Result<usize> {
        let mut chunk = [0; 16 * 1024];
        let mut answers = 0;
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(received) => {
                    let start = received.min(STATUS.len());
                    if self.partial == 0 && chunk[..start] != STATUS[..start] {
                        return Err(Error::other("an answer is not 200 OK"));
                    }
                    answers += (self.partial + received) / length;
                    self.partial = (self.partial + received) % length;
                    if received < chunk.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        match answers <= self.sent.len() {
            true => Ok(answers),
            false => Err(Error::other("there are more answers than requests")),
        }
    }
}
