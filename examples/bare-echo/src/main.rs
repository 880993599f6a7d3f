//! A TCP echo server without libc, without std and without an allocator. Copy this folder to start
//! a server of your own.
//!
//! ```sh
//! cargo run --release -p bare-echo -- 127.0.0.1:7777
//! ```
//!
//! Each client gets its bytes back. Port 0 picks a free port. SIGTERM or Ctrl-C ends the server. It
//! then prints what it served. The example `bare-cat` says how to build for another machine.
//!
//! As the first process of a kernel, the server sets up the network and powers off at its end: see
//! `init.rs`. The first process of a container does neither: see `first.rs`.
#![no_std]
#![no_main]

mod first;
mod init;
mod line;
mod linux;
#[cfg(bare)]
mod memory;
mod server;
mod start;
mod system;

#[cfg(not(bare))] // a debug build, see build.rs
extern crate std;

use barepoll::Errno;
use core::net::{Ipv4Addr, SocketAddrV4};
use line::Line;
use server::Server;

/// Where the server listens without an argument.
const DEFAULT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 7777);

/// How to start the program.
const USAGE: &str = "; usage: bare-echo [ADDRESS:PORT], such as bare-echo 127.0.0.1:7777.";

enum Failure {
    /// What cannot be done, and the reason.
    Step(&'static str, Errno),
    /// What is wrong with the arguments.
    Arguments(&'static str),
}

/// The function that [`start`] calls.
extern "C" fn main() -> ! {
    let is_first_process = first::is_first_process();
    let ended = if is_first_process { init::prepare().and_then(serve) } else { address().and_then(serve) };
    let mut line = Line::new();
    let status = match ended {
        Ok(()) => 0,
        Err(Failure::Step(what, errno)) => {
            line.text("bare-echo: cannot ").text(what).text(": error ").errno(errno).text(".").print(2);
            1
        }
        Err(Failure::Arguments(wrong)) => {
            line.text("bare-echo: ").text(wrong).text(USAGE).print(2);
            2
        }
    };
    if is_first_process {
        init::end_machine();
    }
    start::exit(status)
}

/// The address in the first argument.
fn address() -> Result<SocketAddrV4, Failure> {
    let mut room = [0; 8192];
    let words = system::command_line(&mut room);
    let words = words.map_err(|errno| Failure::Step("read the arguments in /proc/self/cmdline", errno))?;
    // A zero byte ends each word, and an empty piece follows the last one.
    let mut words = words.split(|byte| *byte == 0).skip(1);
    match (words.next(), words.next(), words.next()) {
        (None | Some([]), None, _) => Ok(DEFAULT),
        (Some(_), None, _) => Err(Failure::Arguments("the argument is too long")),
        (Some(word), Some([]), None) => {
            let parsed = core::str::from_utf8(word).ok().and_then(|word| word.parse().ok());
            parsed.ok_or(Failure::Arguments("the argument is no IPv4 address with a port up to 65535"))
        }
        _ => Err(Failure::Arguments("there is more than one argument")),
    }
}

/// Descriptors 0, 1 and 2 may be closed. The server then gets these numbers for the listener, the
/// epoll and the signals, which accept no bytes. So no client receives what this program prints.
fn serve(address: SocketAddrV4) -> Result<(), Failure> {
    // SAFETY: `main` calls this function once.
    let buffers = unsafe { server::take_buffers() };
    let mut server = Server::new(address, buffers)?;
    let address = server.address()?;
    Line::new().text("listening on ").address(address).print(1);
    server.run()?;
    let (connections, bytes) = server.close();
    Line::new().text("served ").number(connections).text(" connections, ").number(bytes).text(" bytes").print(1);
    Ok(())
}

#[cfg(bare)]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    start::exit(101)
}
