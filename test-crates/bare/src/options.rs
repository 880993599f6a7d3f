//! The command line: options, and filters of the checks' names.

use crate::conformance::{MACHINE, SUBJECTS};
use crate::first::is_first_process;
use crate::system::Line;
use core::ffi::CStr;
use core::fmt::{self, Write};
use core::time::Duration;

/// The text of `--help`.
pub const HELP: &str = "\
epoll-conformance: what Linux promises of epoll, eventfd, timerfd, signalfd and pidfd, one check each

usage: epoll-conformance [OPTIONS] [FILTER]...

  FILTER             run the checks whose `subject::name` contains one of these
  --exact            run the checks whose `subject::name` equals one of these
  --list             print the names of the checks, and run none
  --tap              print TAP 14, with each check's name before it runs
  --json             print a JSON object a line, with each check's name before it runs
  --timeout=SECONDS  run each check in a process of its own, which fails after this time
  --help             print this

The first process of a kernel gets the words after `--` of the kernel's command line. It also runs
the checks of `machine::`, and then restarts the machine. A container's first process does neither.

The status is 0 if every check passes, 1 if one fails or the output cannot be written, and 2 if the
command line is wrong.
";

/// The program's arguments, without its name.
#[derive(Copy, Clone)]
pub struct Arguments {
    next: *const *const core::ffi::c_char,
    left: usize,
}

impl Arguments {
    /// # Safety
    ///
    /// `stack` must be null, or the stack pointer with which the kernel started the program.
    pub unsafe fn new(stack: *const usize) -> Self {
        if stack.is_null() {
            return Self { next: core::ptr::null(), left: 0 };
        }
        // SAFETY: the caller says that the number of addresses is here.
        let count = unsafe { *stack };
        // The first is the program's name.
        Self { next: stack.wrapping_add(2).cast(), left: count.saturating_sub(1) }
    }
}

impl Iterator for Arguments {
    type Item = &'static str;

    fn next(&mut self) -> Option<&'static str> {
        self.left = self.left.checked_sub(1)?;
        // SAFETY: by `new`, one address is left, and a zero byte ends its text, which lives as long
        // as the program.
        let argument = unsafe { CStr::from_ptr(*self.next) };
        self.next = self.next.wrapping_add(1);
        Some(argument.to_str().unwrap_or("\u{fffd}"))
    }
}

#[derive(Copy, Clone, PartialEq)]
pub enum Format {
    Lines,
    Tap,
    Json,
}

pub struct Options {
    pub format: Format,
    pub is_help: bool,
    pub is_list: bool,
    /// How long a check may take, in a process of its own.
    pub limit: Option<Duration>,
    is_exact: bool,
    arguments: Arguments,
}

/// The fault of a command line. Its text says how to mend it.
pub enum Wrong {
    Option(&'static str),
    Timeout(&'static str),
    TwoFormats,
    ExactWithoutName,
    NoCheck(&'static str, bool),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Option(option) => write!(f, "there is no option {option}; --help lists the options"),
            Self::Timeout(option) => {
                write!(f, "{option} is no time limit; write --timeout=60 for a minute, at least 1 and at most 86400")
            }
            Self::TwoFormats => f.write_str("--tap and --json exclude each other; leave one out"),
            Self::ExactWithoutName => f.write_str("--exact needs the name of a check; --list prints the names"),
            Self::NoCheck(name, true) => write!(f, "no check has the name {name}; --list prints the names"),
            Self::NoCheck(name, false) => write!(f, "no check's name contains {name}; --list prints the names"),
        }
    }
}

impl Options {
    pub fn new(arguments: Arguments) -> Result<Self, Wrong> {
        let (format, limit) = (Format::Lines, None);
        let mut options = Self { format, is_help: false, is_list: false, limit, is_exact: false, arguments };
        for argument in arguments.filter(|argument| is_option(argument)) {
            match argument {
                "--help" | "-h" => options.is_help = true,
                "--list" => options.is_list = true,
                "--exact" => options.is_exact = true,
                "--tap" if options.format != Format::Json => options.format = Format::Tap,
                "--json" if options.format != Format::Tap => options.format = Format::Json,
                "--tap" | "--json" => return Err(Wrong::TwoFormats),
                _ if argument.starts_with("--timeout") => {
                    let seconds = argument.strip_prefix("--timeout=").and_then(|seconds| seconds.parse().ok());
                    let seconds = seconds.filter(|seconds| (1..=86400).contains(seconds));
                    options.limit = Some(Duration::from_secs(seconds.ok_or(Wrong::Timeout(argument))?));
                }
                _ => return Err(Wrong::Option(argument)),
            }
        }
        if options.is_exact && options.filters().next().is_none() {
            return Err(Wrong::ExactWithoutName);
        }
        match options.filters().find(|filter| !names().any(|(subject, name)| options.matches(filter, subject, name))) {
            Some(filter) if !options.is_help => Err(Wrong::NoCheck(filter, options.is_exact)),
            _ => Ok(options),
        }
    }

    /// Whether the check is to run.
    pub fn select(&self, subject: &str, name: &str) -> bool {
        let mut filters = self.filters().peekable();
        filters.peek().is_none() || filters.any(|filter| self.matches(filter, subject, name))
    }

    /// How many checks are to run.
    pub fn count(&self) -> usize {
        names().filter(|(subject, name)| self.select(subject, name)).count()
    }

    fn filters(&self) -> impl Iterator<Item = &'static str> {
        self.arguments.filter(|argument| !is_option(argument))
    }

    fn matches(&self, filter: &str, subject: &str, name: &str) -> bool {
        let mut whole = Line::<128>::new();
        let _ = write!(whole, "{subject}::{name}");
        if self.is_exact {
            whole.as_str() == filter
        } else {
            whole.as_str().contains(filter)
        }
    }
}

fn is_option(argument: &str) -> bool {
    argument.starts_with('-')
}

/// The subject and name of each check that this process can run.
fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    let machine = if is_first_process() { MACHINE } else { &[] };
    let everywhere =
        SUBJECTS.iter().flat_map(|(subject, checks)| checks.iter().map(move |check| (*subject, check.name)));
    everywhere
        .chain(machine.iter().flat_map(|(subject, checks)| checks.iter().map(move |check| (*subject, check.name))))
}
