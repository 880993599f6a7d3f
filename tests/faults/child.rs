//! Runs a closure in a child process.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::{fs, io};

/// How a child ended.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It exited with this status: 0, or 101 after a panic.
    Exit(i32),
    /// This signal killed it.
    Signal(i32),
}

/// A child that takes longer hangs. `SIGALRM` then kills it.
const SECONDS: u32 = 300;

/// Runs this in a child of this process.
pub fn run(run: impl FnOnce()) -> End {
    assert_eq!(fs::read_dir("/proc/self/task").expect("/proc").count(), 1, "a fork copies one thread only");
    // SAFETY: this process has one thread, so the fork copies no lock that another thread holds.
    match unsafe { libc::fork() } {
        -1 => panic!("no child: {}", io::Error::last_os_error()),
        0 => {
            limit_to(SECONDS);
            let status = if catch_unwind(AssertUnwindSafe(run)).is_ok() { 0 } else { 101 };
            // SAFETY: the child ends here, without flushing the parent's buffers.
            unsafe { libc::_exit(status) }
        }
        child => end(child),
    }
}

/// Kills this process after this many seconds.
pub fn limit_to(seconds: u32) {
    // SAFETY: the call takes no pointer. The signal's default action ends the process.
    unsafe { libc::alarm(seconds) };
}

/// Waits for a child.
fn end(child: libc::pid_t) -> End {
    let mut status = 0;
    // SAFETY: the call writes `status`.
    let ended = unsafe { libc::waitpid(child, &mut status, 0) };
    assert_eq!(ended, child, "{}", io::Error::last_os_error());
    if libc::WIFSIGNALED(status) {
        End::Signal(libc::WTERMSIG(status))
    } else {
        End::Exit(libc::WEXITSTATUS(status))
    }
}
