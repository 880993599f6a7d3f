//! The numbers of signals, with this machine's values.
//!
//! Some differ between machines: `SIGCHLD` is 17, but 18 on MIPS and 20 on SPARC. Real-time signals
//! have no names: they have the numbers from 32 to 64, to 128 on MIPS. A libc reserves the first of
//! them ([which](crate::SigSet#the-threads-mask)).
//!
//! ```
//! use barepoll::signo::{SIGINT, SIGTERM};
//! use barepoll::SigSet;
//!
//! let end = SigSet::from_signals(&[SIGINT, SIGTERM])?;
//! assert!(end.contains(SIGTERM));
//! # Ok::<(), barepoll::Errno>(())
//! ```
//!
//! See [`signal(7)`](https://man7.org/linux/man-pages/man7/signal.7.html), which also has what each
//! does by default.

use crate::arch::signal;

macro_rules! define_signals {
    ($($NAME:ident: $meaning:literal)*) => {
        $(#[doc = $meaning] pub const $NAME: i32 = signal::$NAME;)*
    };
}

define_signals! {
    SIGHUP: "The terminal hung up. Many servers read their configuration again."
    SIGINT: "Interrupt from the keyboard: Ctrl-C."
    SIGQUIT: "Quit from the keyboard: Ctrl-\\\\."
    SIGILL: "A fault: an instruction that the processor does not know."
    SIGTRAP: "A fault: a debugger's breakpoint."
    SIGABRT: "The program aborted itself. `SIGIOT` is the same."
    SIGBUS: "A fault: memory that cannot be reached, such as beyond the end of a mapped file."
    SIGFPE: "A fault in arithmetic, such as a division by zero."
    SIGKILL: "Kill. No program can block, catch or ignore it."
    SIGUSR1: "For the program's own use, the first of two."
    SIGSEGV: "A fault: an address that is not valid."
    SIGUSR2: "For the program's own use, the second of two."
    SIGPIPE: "A write to a pipe or socket that nobody reads."
    SIGALRM: "The timer of `alarm` or of `setitimer` has expired."
    SIGTERM: "A request to end."
    SIGCHLD: "A child ended, stopped or continued."
    SIGCONT: "Continue after a stop."
    SIGSTOP: "Stop. No program can block, catch or ignore it."
    SIGTSTP: "Stop from the keyboard: Ctrl-Z."
    SIGTTIN: "A background process reads from the terminal."
    SIGTTOU: "A background process writes to the terminal."
    SIGURG: "A socket has out-of-band data."
    SIGXCPU: "The limit of processor time is reached."
    SIGXFSZ: "The limit of a file's size is reached."
    SIGVTALRM: "The timer of the process's own processor time has expired."
    SIGPROF: "The timer of the process's and the kernel's processor time has expired."
    SIGWINCH: "The terminal's window has another size."
    SIGIO: "A descriptor is ready, if it was set to send signals. `SIGPOLL` is the same."
    SIGPWR: "The power fails."
    SIGSYS: "A system call that a seccomp filter refuses."
}
