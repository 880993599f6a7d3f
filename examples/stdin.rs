//! Watching standard input: level-triggered, edge-triggered, or one-shot.
//!
//! `(echo one; sleep 1; echo two) | cargo run --example stdin -- edge`
//!
//! What was read goes to standard output as it is, and what happened to standard error.

use barepoll::fd::BorrowedFd;
use barepoll::{Epoll, Errno, Event, EventData, EventFlags};
use std::io::{self, BufRead, ErrorKind, Write};
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "\
usage: stdin [level | edge | one-shot]

Copies standard input to standard output, watching it in this way (level, if not given).";

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
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        (_, Some(wrong)) => return refuse(&wrong),
        (Some(wrong), None) => return refuse(wrong),
    };
    match watch(mode) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stdin: {error}.");
            ExitCode::FAILURE
        }
    }
}

fn refuse(argument: &str) -> ExitCode {
    eprintln!("stdin: {argument:?} is wrong here: say level, edge or one-shot, once.");
    ExitCode::from(2)
}

fn watch(mode: Mode) -> io::Result<()> {
    // SAFETY: nothing in this program closes descriptor 0, and std has opened it if it was closed when the program
    // started.
    let stdin = unsafe { BorrowedFd::borrow_raw(0) };
    let epoll = Epoll::new().map_err(to_io)?;
    let interest = match mode {
        Mode::Level => EventFlags::IN,
        Mode::Edge => EventFlags::IN | EventFlags::ET,
        Mode::OneShot => EventFlags::IN | EventFlags::ONESHOT,
    };
    match epoll.add(stdin, EventData::new_u64(0), interest) {
        Err(Errno::EPERM) => {
            eprintln!("[a file is always ready, and epoll does not watch it: reading it straight]");
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
        // If this is not all, the next wait says so at once.
        if !copy_some()? {
            return Ok(());
        }
    }
}

/// An edge asks for everything that is there, because what is left is not reported again.
///
/// The usual way is to read until `EAGAIN`, which takes `O_NONBLOCK`. But that belongs to the open file, which other
/// programs share (the shell has the same terminal): it is not ours to set. Nor does a short read show that nothing
/// is left: a terminal gives one line at a time, and the end of input can be there behind the last bytes, with no
/// edge of its own. So this asks a second epoll, level-triggered and not waiting, before each further read. What
/// comes after its "nothing" is a new edge.
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
        // Until it is armed again nothing is reported: another thread could wait on the same epoll and not disturb
        // this.
        if !copy_some()? {
            return Ok(());
        }
        epoll.modify(stdin, EventData::new_u64(0), interest).map_err(to_io)?;
    }
}

fn wait(epoll: &Epoll) -> io::Result<()> {
    let mut buffer = Event::buffer::<1>();
    for event in epoll.wait_uninterrupted(&mut buffer, None).map_err(to_io)? {
        eprintln!("[{:?}]", event.flags());
    }
    Ok(())
}

/// One read; `false` at the end of input.
fn copy_some() -> io::Result<bool> {
    let mut stdin = io::stdin().lock();
    // Not `read`: std would read more than it gives, and epoll knows nothing of what std keeps.
    let input = match stdin.fill_buf() {
        Ok(input) => input,
        // Somebody else has made it nonblocking, and somebody was faster.
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return Ok(true),
        Err(error) => return Err(error),
    };
    let length = input.len();
    let mut stdout = io::stdout().lock();
    stdout.write_all(input)?;
    stdout.flush()?;
    stdin.consume(length);
    Ok(length > 0)
}

fn to_io(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(errno.raw())
}
