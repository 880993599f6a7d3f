//! A client of qemu-user's gdb stub: GDB's remote serial protocol, over a socket in the file
//! system.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

pub struct Client {
    stream: UnixStream,
    received: Vec<u8>,
    is_first: bool,
}

/// Why a program stopped.
#[derive(Debug, PartialEq)]
pub enum Stop {
    /// It is about to make a system call of this number.
    Entry(u32),
    /// A system call of this number returns. The emulator has yet to write its result.
    Return(u32),
    /// A signal came. This packet goes on and delivers it.
    Signal(String),
}

/// The packet that goes on.
pub const GO_ON: &str = "vCont;c";

/// How long the emulator may take until it listens.
const LIMIT: Duration = Duration::from_secs(60);

/// The length of the longest register, in bytes. The stub makes vectors longer than the processor's.
pub const LONGEST: usize = 32;

/// How many bytes `gdb_handlesig` of qemu's gdbstub/user.c reads at once.
const CHUNK: usize = 256;

impl Client {
    /// Connects as soon as the emulator listens at `path`. Each stop must come within `limit`.
    pub fn connect(path: &Path, limit: Duration) -> Result<Self, String> {
        let start = Instant::now();
        let stream = loop {
            match UnixStream::connect(path) {
                Ok(stream) => break stream,
                Err(_) if start.elapsed() < LIMIT => sleep(Duration::from_millis(20)),
                Err(error) => return Err(format!("the emulator's gdb stub does not listen ({error}); run it again")),
            }
        };
        stream.set_read_timeout(Some(limit)).map_err(|error| format!("cannot set a limit on a socket: {error}"))?;
        let mut client = Self { stream, received: Vec::new(), is_first: true };
        client.ask("qSupported:QCatchSyscalls+;multiprocess+;vContSupported+")?;
        client.ask("?")?;
        match client.ask("QCatchSyscalls:1")?.as_deref() {
            Some("OK") => Ok(client),
            other => Err(format!("the gdb stub answers {other:?} to QCatchSyscalls; use qemu 9.0 or newer")),
        }
    }

    /// Goes on by this packet until the next stop. Returns `None` if the program ended.
    pub fn go_on(&mut self, packet: &str) -> Result<Option<Stop>, String> {
        let Some(reply) = self.ask(packet)? else { return Ok(None) };
        parse_stop(&reply)
    }

    /// Reads registers by their numbers, of longer ones the first [`LONGEST`] bytes. Each value is in
    /// the target's byte order.
    pub fn read(&mut self, numbers: &[usize]) -> Result<Vec<Vec<u8>>, String> {
        let packets: Vec<String> = numbers.iter().map(|number| format!("p{number:x}")).collect();
        let value = |(number, reply): (&usize, String)| {
            let start = reply.get(..2 * LONGEST).unwrap_or(&reply);
            from_hex(start).ok_or_else(|| format!("the gdb stub answers {reply:?}; it has no register {number}"))
        };
        numbers.iter().zip(self.ask_all(&packets)?).map(value).collect()
    }

    pub fn write(&mut self, registers: &[(usize, Vec<u8>)]) -> Result<(), String> {
        let packet = |(number, value): &(usize, Vec<u8>)| format!("P{number:x}={}", to_hex(value));
        let packets: Vec<String> = registers.iter().map(packet).collect();
        let replies = self.ask_all(&packets)?;
        match replies.iter().zip(registers).find(|(reply, _)| *reply != "OK") {
            None => Ok(()),
            Some((reply, (number, _))) => {
                Err(format!("the gdb stub answers {reply:?} to a write of register {number}"))
            }
        }
    }

    /// Sends packets together, and returns their replies.
    fn ask_all(&mut self, packets: &[String]) -> Result<Vec<String>, String> {
        self.send(packets)?;
        let ended = || "the program ended while it was stopped; run it again".to_string();
        packets.iter().map(|_| self.receive()?.ok_or_else(ended)).collect()
    }

    /// Sends a packet and returns its reply, or `None` if the program ended.
    fn ask(&mut self, packet: &str) -> Result<Option<String>, String> {
        self.send(&[packet.into()])?;
        self.receive()
    }

    /// Sends packets in one write. Each acknowledges the reply before it.
    ///
    /// After each reply the stub reads one byte, the acknowledgement. At other times it reads
    /// [`CHUNK`] bytes at once, and would miss an acknowledgement among them. So all packets but the
    /// last fill a chunk.
    fn send(&mut self, packets: &[String]) -> Result<(), String> {
        let mut bytes = Vec::new();
        for (index, packet) in packets.iter().enumerate() {
            if !std::mem::take(&mut self.is_first) {
                bytes.push(b'+');
            }
            let sum = packet.bytes().fold(0_u8, u8::wrapping_add);
            let start = bytes.len();
            bytes.extend(format!("${packet}#{sum:02x}").as_bytes());
            if bytes.len() - start > CHUNK {
                return Err(format!(
                    "the packet {packet} has more than {CHUNK} bytes; choose a processor with shorter registers"
                ));
            }
            if index + 1 < packets.len() {
                bytes.resize(start + CHUNK, b'+');
            }
        }
        match self.stream.write_all(&bytes) {
            // The lack of a reply says that the program ended.
            Err(error) if is_end(error.kind()) => Ok(()),
            answer => answer.map_err(|error| format!("cannot write to the gdb stub: {error}")),
        }
    }

    /// Returns the next reply, or `None` if the program ended.
    fn receive(&mut self) -> Result<Option<String>, String> {
        loop {
            if let Some(reply) = take_packet(&mut self.received) {
                return Ok(Some(reply));
            }
            let mut bytes = [0; 16384];
            match self.stream.read(&mut bytes) {
                Ok(0) => return Ok(None),
                Ok(count) => self.received.extend(&bytes[..count]),
                Err(error) if is_end(error.kind()) => return Ok(None),
                Err(error) => return Err(format!("the program neither stops nor ends: {error}")),
            }
        }
    }
}

fn is_end(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// Takes the first whole packet, `$text#sum`, and what precedes it.
fn take_packet(received: &mut Vec<u8>) -> Option<String> {
    // All replies are ASCII. A loop over bytes would take longer than the emulator.
    let text = std::str::from_utf8(received).ok()?;
    let (_, rest) = text.split_once('$')?;
    let (packet, sum) = rest.split_once('#')?;
    let (_, rest) = sum.split_at_checked(2)?;
    let (packet, length) = (packet.to_string(), text.len() - rest.len());
    received.drain(..length);
    Some(packet)
}

/// Reads a stop: `T05thread:p1.1;syscall_return:4;`. Returns `None` for a program that ended.
fn parse_stop(reply: &str) -> Result<Option<Stop>, String> {
    if reply.starts_with(['W', 'X']) {
        return Ok(None);
    }
    let unknown = || format!("the gdb stub stops with {reply:?}, which is unknown here");
    let stop = reply.strip_prefix('T').and_then(|rest| rest.split_at_checked(2)).ok_or_else(unknown)?;
    let (signal, fields) = stop;
    let field = |name| fields.split(';').find_map(|field| field.strip_prefix(name)?.strip_prefix(':'));
    for (name, stop) in [("syscall_entry", Stop::Entry as fn(u32) -> Stop), ("syscall_return", Stop::Return)] {
        if let Some(number) = field(name) {
            return u32::from_str_radix(number, 16).map(|number| Some(stop(number))).map_err(|_| unknown());
        }
    }
    let thread = field("thread").ok_or_else(unknown)?;
    Ok(Some(Stop::Signal(format!("vCont;C{signal}:{thread};c"))))
}

fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| DIGITS[usize::from(value & 15)] as char;
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |character: u8| (character as char).to_digit(16).map(|digit| digit as u8);
    let byte = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
    let is_value = !text.is_empty() && text.len().is_multiple_of(2);
    is_value.then(|| text.as_bytes().chunks_exact(2).map(byte).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_taken_when_it_is_whole() {
        let mut received = b"+$OK#9a$T05thr".to_vec();
        assert_eq!(take_packet(&mut received).as_deref(), Some("OK"));
        assert_eq!(take_packet(&mut received), None);
        assert_eq!(received, b"$T05thr");
    }

    #[test]
    fn stops_are_told_apart() {
        assert_eq!(parse_stop("T05thread:p2.2;syscall_entry:8b;"), Ok(Some(Stop::Entry(0x8b))));
        assert_eq!(parse_stop("T05thread:p2.2;syscall_return:8b;"), Ok(Some(Stop::Return(0x8b))));
        assert_eq!(parse_stop("T0ethread:p2.3;"), Ok(Some(Stop::Signal("vCont;C0e:p2.3;c".into()))));
        assert_eq!(parse_stop("W00"), Ok(None));
        assert!(parse_stop("E01").is_err());
    }

    #[test]
    fn values_are_pairs_of_digits() {
        assert_eq!(from_hex(&to_hex(&[0, 0x7f, 0xff])), Some(vec![0, 0x7f, 0xff]));
        assert_eq!((from_hex("E01"), from_hex(""), from_hex("xxxx")), (None, None, None));
    }
}
