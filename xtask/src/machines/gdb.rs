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
    /// It is about to make a system call.
    Entry,
    /// A system call of this number returns. The emulator has yet to write its result.
    Return(u32),
    /// A signal came. This packet goes on and delivers it.
    Signal(String),
}

/// The packet that goes on.
pub const GO_ON: &str = "vCont;c";

/// How long the emulator may take until it listens.
const LIMIT: Duration = Duration::from_secs(60);

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

    /// Reads a register by its number. The value is in the target's byte order.
    pub fn read(&mut self, number: usize) -> Result<Vec<u8>, String> {
        let reply = self.ask(&format!("p{number:x}"))?.unwrap_or_default();
        from_hex(&reply).ok_or_else(|| format!("the gdb stub answers {reply:?}; it has no register {number}"))
    }

    pub fn write(&mut self, number: usize, value: &[u8]) -> Result<(), String> {
        match self.ask(&format!("P{number:x}={}", to_hex(value)))?.as_deref() {
            Some("OK") => Ok(()),
            other => Err(format!("the gdb stub answers {other:?}; it cannot write register {number}")),
        }
    }

    /// Sends a packet and returns its reply, or `None` if the program ended.
    ///
    /// Each packet acknowledges the last reply. The stub loses an acknowledgement that comes before
    /// its reply, and resends, so packets wait for each other.
    fn ask(&mut self, packet: &str) -> Result<Option<String>, String> {
        let acknowledgement = if self.is_first { "" } else { "+" };
        self.is_first = false;
        let sum = packet.bytes().fold(0_u8, u8::wrapping_add);
        match self.stream.write_all(format!("{acknowledgement}${packet}#{sum:02x}").as_bytes()) {
            Err(error) if is_end(error.kind()) => Ok(None),
            Err(error) => Err(format!("cannot write to the gdb stub: {error}")),
            Ok(()) => self.receive(),
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
    let start = received.iter().position(|byte| *byte == b'$')?;
    let end = start + received[start..].iter().position(|byte| *byte == b'#')?;
    if received.len() < end + 3 {
        return None;
    }
    let packet = String::from_utf8_lossy(&received[start + 1..end]).into_owned();
    received.drain(..end + 3);
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
    if let Some(number) = field("syscall_return") {
        return u32::from_str_radix(number, 16).map(|number| Some(Stop::Return(number))).map_err(|_| unknown());
    }
    if field("syscall_entry").is_some() {
        return Ok(Some(Stop::Entry));
    }
    let thread = field("thread").ok_or_else(unknown)?;
    Ok(Some(Stop::Signal(format!("vCont;C{signal}:{thread};c"))))
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let is_value = !text.is_empty() && text.len().is_multiple_of(2);
    is_value.then(|| text.as_bytes().chunks(2).map(digits).collect())?
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
        assert_eq!(parse_stop("T05thread:p2.2;syscall_entry:8b;"), Ok(Some(Stop::Entry)));
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
