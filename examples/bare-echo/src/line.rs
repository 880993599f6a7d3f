//! Text without an allocator.

use barepoll::{raw, Errno};
use core::net::SocketAddrV4;

/// A line of text. What exceeds its room is cut off.
pub struct Line {
    text: [u8; 160],
    used: usize,
}

impl Line {
    pub fn new() -> Self {
        Self { text: [b'\n'; 160], used: 0 }
    }

    #[inline(never)] // else each call has a copy
    pub fn text(&mut self, text: &str) -> &mut Self {
        text.bytes().fold(self, Self::byte)
    }

    pub fn number(&mut self, number: u64) -> &mut Self {
        if number >= 10 {
            self.number(number / 10);
        }
        self.byte(b'0' + (number % 10) as u8)
    }

    pub fn address(&mut self, address: SocketAddrV4) -> &mut Self {
        let [first, rest @ ..] = address.ip().octets().map(u64::from);
        let line = rest.iter().fold(self.number(first), |line, octet| line.text(".").number(*octet));
        line.text(":").number(address.port().into())
    }

    /// The error's name, or its number.
    pub fn errno(&mut self, errno: Errno) -> &mut Self {
        match errno.name() {
            Some(name) => self.text(name),
            None => self.number(errno.raw() as u64),
        }
    }

    /// Writes the line. Nobody can be told of a failure.
    pub fn print(&self, descriptor: i32) {
        let mut done = 0;
        while done <= self.used {
            // SAFETY: the bytes are in the array. After the text there is a line feed.
            match unsafe { raw::write(descriptor, self.text.as_ptr().add(done), self.used + 1 - done) } {
                Ok(more) => done += more,
                Err(Errno::EINTR) => {}
                Err(_) => return,
            }
        }
    }

    fn byte(&mut self, byte: u8) -> &mut Self {
        // The last byte stays a line feed.
        if self.used < self.text.len() - 1 {
            if let Some(place) = self.text.get_mut(self.used) {
                *place = byte;
                self.used += 1;
            }
        }
        self
    }
}
