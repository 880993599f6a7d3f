//! Watching standard input: level-triggered, edge-triggered, or one-shot.
//!
//! `(echo one; sleep 1; echo two) | cargo run --example stdin -- edge`
//!
//! Copies the input to standard output, and prints events on standard error.

use barepoll::fd::BorrowedFd;
use barepoll::{Epoll, Errno, Event, EventData, EventFlags};
use std::fmt::Arguments;
use std::io::{self, BufRead, ErrorKind, Write};
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "\
usage: stdin [level | edge | one-shot]

Copies standard input to standard output, watched in this mode (default: level).";

enum Mode {
    Level,
    Edge,
    OneShot,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
    let (first, second) = (arguments.next(), arguments.next());
    let mode = match (first.as_deref(), second) {
        (None | Some("level"), None) => Mode::Level,
        (Some("edge"), None) => Mode::Edge,
        (Some("one-shot"), None) => Mode::OneShot,
        (Some("--help" | "-h"), None) => {
            return end(write(format!("{USAGE}\n").as_bytes()));
        }
        (_, Some(wrong)) => return refuse(&wrong),
        (Some(wrong), None) => return refuse(wrong),
    };
    end(watch(mode))
}

fn refuse(argument: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "stdin: unexpected argument {argument:?}; use level, edge or one-shot.");
    ExitCode::from(2)
}

fn write(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let lost = |error: io::Error| io::Error::new(error.kind(), format!("cannot write to standard output: {error}"));
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(lost)
}

/// Prints a remark, which may be lost.
fn remark(text: Arguments) {
    let _ = writeln!(io::stderr(), "[{text}]");
}

/// Reports an error. If standard error takes nothing either, the exit status remains.
fn end(outcome: io::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "stdin: {error}.");
            ExitCode::FAILURE
        }
    }
}

fn watch(mode: Mode) -> io::Result<()> {
    // SAFETY: nothing in this program closes descriptor 0, and std opened it if it was closed at
    // the start.
    let stdin = unsafe { BorrowedFd::borrow_raw(0) };
    let epoll = Epoll::new().map_err(to_io)?;
    let interest = match mode {
        Mode::Level => EventFlags::IN,
        Mode::Edge => EventFlags::IN | EventFlags::ET,
        Mode::OneShot => EventFlags::IN | EventFlags::ONESHOT,
    };
    match epoll.add(stdin, EventData::new_u64(0), interest) {
        Err(Errno::EPERM) => {
            remark(format_args!("a file is always ready and epoll cannot watch it; reading it directly"));
            while copy_some()? {}
            return Ok(());
        }
        answer => answer.map_err(to_io)?,
    }
    match mode {
        Mode::Level => copy_by_level(&epoll),
        Mode::Edge => copy_by_edge(&epoll, stdin),
        Mode::OneShot => copy_by_one_shot(&epoll, stdin, interest),
    }
}

fn copy_by_level(epoll: &Epoll) -> io::Result<()> {
    loop {
        wait(epoll)?;
        // If data is left, the next wait returns at once.
        if !copy_some()? {
            return Ok(());
        }
    }
}

/// Reads all data on each edge, because epoll does not report the rest again.
///
/// The usual way is to read until `EAGAIN`, which needs `O_NONBLOCK`. That flag belongs to the open
/// file, which other programs share: the shell has the same terminal. A short read does not show
/// that nothing is left either. A terminal returns one line at a time, and the end of input may
/// follow the last bytes without an edge of its own. So this polls a second, level-triggered epoll
/// before each further read. Data that arrives after it reports nothing causes a new edge.
fn copy_by_edge(epoll: &Epoll, stdin: BorrowedFd) -> io::Result<()> {
    let level = Epoll::new().map_err(to_io)?;
    level.add(stdin, EventData::new_u64(0), EventFlags::IN).map_err(to_io)?;
    let mut buffer = Event::buffer::<1>();
    loop {
        wait(epoll)?;
        while !level.wait(&mut buffer, Some(Duration::ZERO)).map_err(to_io)?.is_empty() {
            if !copy_some()? {
                return Ok(());
            }
        }
    }
}

fn copy_by_one_shot(epoll: &Epoll, stdin: BorrowedFd, interest: EventFlags) -> io::Result<()> {
    loop {
        wait(epoll)?;
        // Nothing is reported until the registration is armed again. So another thread could wait
        // on the same epoll without interfering.
        if !copy_some()? {
            return Ok(());
        }
        epoll.modify(stdin, EventData::new_u64(0), interest).map_err(to_io)?;
    }
}

fn wait(epoll: &Epoll) -> io::Result<()> {
    let mut buffer = Event::buffer::<1>();
    for event in epoll.wait_uninterrupted(&mut buffer, None).map_err(to_io)? {
        remark(format_args!("{:?}", event.flags()));
    }
    Ok(())
}

/// Reads once. Returns `false` at the end of input.
fn copy_some() -> io::Result<bool> {
    let mut stdin = io::stdin().lock();
    // Not `read`: std would buffer the rest, and epoll does not know std's buffer.
    let input = match stdin.fill_buf() {
        Ok(input) => input,
        // Another program made it nonblocking, and took the input first.
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return Ok(true),
        Err(error) => return Err(error),
    };
    let length = input.len();
    write(input)?;
    stdin.consume(length);
    Ok(length > 0)
}

fn to_io(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(errno.raw())
}
