//! Copies standard input to standard output until the input ends, with std. std has no epoll or
//! eventfd, so these calls use libc.

use std::fs::File;
use std::io::{Error, Read, Result, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::process::ExitCode;

const INPUT: u64 = 0;
const END: u64 = 1;

fn main() -> ExitCode {
    match echo() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn echo() -> Result<()> {
    // SAFETY: nothing else owns these descriptors. Only this function uses the standard streams,
    // and the others are new.
    let (mut input, mut output, epoll, mut end) = unsafe {
        let epoll = must(libc::epoll_create1(libc::EPOLL_CLOEXEC))?;
        let end = must(libc::eventfd(0, libc::EFD_CLOEXEC))?;
        (File::from_raw_fd(0), File::from_raw_fd(1), File::from_raw_fd(epoll), File::from_raw_fd(end))
    };
    for (source, data) in [(&input, INPUT), (&end, END)] {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: data };
        // SAFETY: the event is readable.
        must(unsafe { libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, source.as_raw_fd(), &mut event) })?;
    }
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; 1];
    let mut bytes = [0; 1024];
    loop {
        // SAFETY: there is room for one event.
        let ready = must(unsafe { libc::epoll_wait(epoll.as_raw_fd(), events.as_mut_ptr(), 1, -1) })?;
        for event in events.iter().take(ready as usize) {
            if event.u64 == END {
                return Ok(());
            }
            let read = input.read(&mut bytes)?;
            if read == 0 {
                end.write_all(&1_u64.to_ne_bytes())?;
            }
            output.write_all(&bytes[..read])?;
        }
    }
}

fn must(answer: i32) -> Result<i32> {
    if answer < 0 {
        return Err(Error::last_os_error());
    }
    Ok(answer)
}
