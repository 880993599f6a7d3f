//! What a program without libc asks the kernel for itself, through barepoll's traps: the host of the conformance checks.

use crate::conformance::registers::Widened;
use crate::conformance::{Failure, Host, Machine, Other, Outcome};
use crate::start::restorer;
use crate::wide;
use barepoll::arch;
use barepoll::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use barepoll::{raw, Epoll, Errno, Event, SigSet};
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use core::time::Duration;
use trap::{syscall1, syscall2, syscall3, syscall4, syscall6};

/// The numbers of the calls, and constants that differ between machines.
#[allow(dead_code)] // what only some machines need
pub mod nr {
    include!(concat!(env!("OUT_DIR"), "/numbers.rs"));
}

/// barepoll's traps, out of line. A call destroys, by the ABI, what a wrong port forgets to name: so this program itself lives
/// to say which check failed.
mod trap {
    macro_rules! out_of_line {
        ($($name:ident($($argument:ident),*);)*) => {$(
            #[inline(never)]
            pub unsafe extern "C" fn $name<const NR: usize>($($argument: usize),*) -> isize {
                // SAFETY: the caller keeps the contract of the port's own.
                unsafe { barepoll::arch::$name::<NR>($($argument),*) }
            }
        )*};
    }

    out_of_line! {
        syscall1(a);
        syscall2(a, b);
        syscall3(a, b, c);
        syscall4(a, b, c, d);
        syscall6(a, b, c, d, e, f);
    }
}

/// MIPS is the machine with 128 signals, and with the flags first in `struct sigaction`.
const FLAGS_FIRST: bool = arch::SIGSET_BYTES == 16;
/// SPARC is the machine with this value; its `rt_sigaction` has one argument more, its `fork` gives the parent in the child.
pub const IS_SPARC: bool = arch::O_CLOEXEC == 0x40_0000;

const O_RDONLY: usize = 0;
const O_WRONLY: usize = 1;
const AT_FDCWD: usize = -100_isize as usize;
const AF_UNIX: usize = 1;
const SHUT_WR: usize = 1;
const F_GETFD: usize = 1;
const FD_CLOEXEC: usize = 1;
const P_PID: usize = 1;
const WEXITED: usize = 4;

fn result(returned: isize) -> Result<usize, Errno> {
    match returned {
        0.. => Ok(returned as usize),
        _ => Err(Errno::from_raw(-returned as i32).unwrap_or(Errno::EIO)),
    }
}

/// Text on the stack.
struct Line<const ROOM: usize> {
    text: [u8; ROOM],
    used: usize,
}

impl<const ROOM: usize> Write for Line<ROOM> {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        for byte in more.bytes() {
            *self.text.get_mut(self.used).ok_or(fmt::Error)? = byte;
            self.used += 1;
        }
        Ok(())
    }
}

/// Prints a line, in one write where it is not too long.
pub fn print(line: fmt::Arguments<'_>) {
    let mut whole = Line { text: [b'\n'; 400], used: 0 };
    let _ = whole.write_fmt(line);
    let mut done = 0;
    while done < whole.used {
        let rest = whole.text.as_ptr().wrapping_add(done) as usize;
        // SAFETY: the bytes are a local array's.
        match result(unsafe { syscall3::<{ arch::nr::WRITE }>(1, rest, whole.used - done) }) {
            Ok(more) => done += more,
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Err(_) => return,
        }
    }
}

/// Ends the program, or, as the first process of a kernel, the machine.
pub fn end(status: usize) -> ! {
    const MAGIC: [usize; 3] = [0xfee1_dead, 672_274_793, 0x0123_4567];
    // SAFETY: no pointer; after `exit_group` nothing runs.
    unsafe {
        if is_first_process() {
            syscall4::<{ nr::REBOOT }>(MAGIC[0], MAGIC[1], MAGIC[2], 0);
        }
        loop {
            syscall1::<{ nr::EXIT_GROUP }>(status);
        }
    }
}

/// The kernel's release, as `6.1.0-50-s390x`.
pub struct Release([u8; 6 * 65]);

impl Release {
    pub fn as_str(&self) -> &str {
        let field = self.0[2 * 65..3 * 65].split(|byte| *byte == 0).next().unwrap_or_default();
        core::str::from_utf8(field).unwrap_or("?")
    }
}

/// Asks the kernel who it is: six fields of 65 bytes.
pub fn release() -> Release {
    let mut name = Release([0; 6 * 65]);
    // SAFETY: room for `struct new_utsname`.
    unsafe { syscall1::<{ nr::UNAME }>(name.0.as_mut_ptr() as usize) };
    name
}

/// The size of a page: the smallest address that `msync` takes for the start of one.
pub fn page_size() -> usize {
    let mut size = 4096;
    // SAFETY: no bytes are touched.
    while unsafe { syscall3::<{ nr::MSYNC }>(size, 0, 0) } < 0 && size < 1 << 20 {
        size *= 2;
    }
    size
}

/// Whether the kernel started this program as its first process, so that the machine is its own.
pub fn is_first_process() -> bool {
    process() == 1
}

/// Mounts the two where the initial file system has a place for them.
pub fn mount_proc_and_sys() -> Result<(), Errno> {
    for (kind, at) in [(c"proc", c"/proc"), (c"sysfs", c"/sys")] {
        let (kind, at) = (kind.as_ptr() as usize, at.as_ptr() as usize);
        // SAFETY: literals that end in zero; the kernel knows no options of these, and none are given.
        result(unsafe { syscall6::<{ nr::MOUNT }>(kind, at, kind, 0, 0, 0) })?;
    }
    Ok(())
}

/// Opens a file, with these flags beside `O_CLOEXEC`.
fn open(path: fmt::Arguments<'_>, flags: usize) -> Result<OwnedFd, Errno> {
    let mut whole = Line { text: [0; 128], used: 0 };
    whole.write_fmt(path).map_err(|_| Errno::EINVAL)?;
    if whole.used == whole.text.len() {
        return Err(Errno::EINVAL);
    }
    let flags = flags | arch::O_CLOEXEC as usize;
    // SAFETY: the path ends in zero: its last byte is still the one of the beginning.
    result(unsafe { syscall4::<{ nr::OPENAT }>(AT_FDCWD, whole.text.as_ptr() as usize, flags, 0) }).map(owned)
}

pub struct System;

impl System {
    /// How many processors the kernel runs on: the lines of `/proc/stat` that say `cpu` and a number. Those come first.
    pub fn processors(&mut self) -> usize {
        let mut text = [0; 2048];
        let used = self.read_file(format_args!("/proc/stat"), &mut text).unwrap_or(0);
        text[..used].windows(5).filter(|five| five.starts_with(b"\ncpu") && five[4].is_ascii_digit()).count()
    }
}

static CAUGHT: AtomicU32 = AtomicU32::new(0);

extern "C" fn count(_signal: i32) {
    CAUGHT.fetch_add(1, Relaxed);
}

/// A descriptor that the kernel has just made.
fn owned(fd: usize) -> OwnedFd {
    // SAFETY: it is open, and this program has told nobody else of it.
    unsafe { OwnedFd::from_raw_fd(fd as RawFd) }
}

fn process() -> usize {
    // SAFETY: no pointer.
    unsafe { syscall1::<{ nr::GETPID }>(0) as usize }
}

fn thread() -> usize {
    // SAFETY: no pointer.
    unsafe { syscall1::<{ nr::GETTID }>(0) as usize }
}

fn signal(process: usize, thread: usize, signal: i32) -> Result<(), Errno> {
    // SAFETY: no pointer.
    result(unsafe { syscall3::<{ nr::TGKILL }>(process, thread, signal as usize) }).map(drop)
}

/// Another process, a copy of this one: true in the copy, whose number the original is told.
fn fork() -> Result<(bool, usize), Errno> {
    const NR: usize = match (nr::FORK, nr::CLONE) {
        (Some(nr), _) | (None, Some(nr)) => nr,
        (None, None) => panic!("a machine has one of the two"),
    };
    let parent = process();
    // SAFETY: the copy has its own memory, and goes on with a copy of this stack. `fork` ignores the arguments of `clone`.
    let child = result(unsafe { syscall6::<NR>(nr::SIGCHLD, 0, 0, 0, 0, 0) })?;
    Ok((process() != parent, child))
}

impl Host for System {
    fn pipe(&mut self) -> Result<(OwnedFd, OwnedFd), Errno> {
        let mut ends = [0_i32; 2];
        // SAFETY: room for two descriptors.
        result(unsafe { syscall2::<{ nr::PIPE2 }>(ends.as_mut_ptr() as usize, arch::O_CLOEXEC as usize) })?;
        Ok((owned(ends[0] as usize), owned(ends[1] as usize)))
    }

    fn socketpair(&mut self) -> Result<(OwnedFd, OwnedFd), Errno> {
        let mut ends = [0_i32; 2];
        let kind = nr::SOCK_STREAM | arch::O_CLOEXEC as usize;
        // SAFETY: room for two descriptors.
        result(unsafe { syscall4::<{ nr::SOCKETPAIR }>(AF_UNIX, kind, 0, ends.as_mut_ptr() as usize) })?;
        Ok((owned(ends[0] as usize), owned(ends[1] as usize)))
    }

    fn shutdown_writing(&mut self, socket: BorrowedFd<'_>) -> Result<(), Errno> {
        // SAFETY: no pointer.
        result(unsafe { syscall2::<{ nr::SHUTDOWN }>(socket.as_raw_fd() as usize, SHUT_WR) }).map(drop)
    }

    fn duplicate(&mut self, fd: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
        // SAFETY: no pointer.
        result(unsafe { syscall1::<{ nr::DUP }>(fd.as_raw_fd() as usize) }).map(owned)
    }

    fn root_directory(&mut self) -> Result<OwnedFd, Errno> {
        let path = c"/".as_ptr() as usize;
        // SAFETY: a literal that ends in zero.
        result(unsafe { syscall4::<{ nr::OPENAT }>(AT_FDCWD, path, arch::O_CLOEXEC as usize, 0) }).map(owned)
    }

    fn is_close_on_exec(&mut self, fd: BorrowedFd<'_>) -> Result<bool, Errno> {
        // SAFETY: no pointer.
        let flags = result(unsafe { syscall3::<{ nr::FCNTL }>(fd.as_raw_fd() as usize, F_GETFD, 0) })?;
        Ok(flags & FD_CLOEXEC != 0)
    }

    fn limit_descriptors(&mut self, limit: u64) -> Result<u64, Errno> {
        let mut limits = [0_u64; 2]; // soft, hard
                                     // SAFETY: `limits` is what this call writes.
        result(unsafe { syscall4::<{ nr::PRLIMIT64 }>(0, nr::RLIMIT_NOFILE, 0, limits.as_mut_ptr() as usize) })?;
        let before = core::mem::replace(&mut limits[0], limit);
        // SAFETY: `limits` is what this call reads.
        result(unsafe { syscall4::<{ nr::PRLIMIT64 }>(0, nr::RLIMIT_NOFILE, limits.as_ptr() as usize, 0) })?;
        Ok(before)
    }

    fn catch(&mut self, signal: i32) -> Result<(), Errno> {
        let handler = count as extern "C" fn(i32) as usize;
        let (flags, restorer) = restorer().unwrap_or((0, 0));
        // The mask, which is empty, and unused words behind it.
        let action = if FLAGS_FIRST { [flags, handler, 0, 0, 0, 0, 0] } else { [handler, flags, restorer, 0, 0, 0, 0] };
        let (action, size) = (action.as_ptr() as usize, arch::SIGSET_BYTES);
        // SAFETY: `action` is this machine's `struct sigaction`, whose handler only adds to an atomic.
        result(unsafe {
            if IS_SPARC {
                syscall6::<{ nr::RT_SIGACTION }>(signal as usize, action, 0, restorer, size, 0)
            } else {
                syscall4::<{ nr::RT_SIGACTION }>(signal as usize, action, 0, size)
            }
        })
        .map(drop)
    }

    fn caught(&mut self) -> u32 {
        CAUGHT.load(Relaxed)
    }

    fn block(&mut self, signal: i32, block: bool) -> Result<(), Errno> {
        let mut set = SigSet::empty();
        set.insert(signal)?;
        let how = if block { nr::SIG_BLOCK } else { nr::SIG_UNBLOCK };
        let set = &set as *const SigSet as usize;
        // SAFETY: `set` is the kernel's set, of this size.
        result(unsafe { syscall4::<{ nr::RT_SIGPROCMASK }>(how, set, 0, arch::SIGSET_BYTES) }).map(drop)
    }

    fn raise(&mut self, number: i32) -> Result<(), Errno> {
        signal(process(), thread(), number)
    }

    fn now(&mut self) -> Duration {
        const CLOCK_MONOTONIC: usize = 1;
        const NR: usize = match (arch::nr::CLOCK_GETTIME, arch::nr::CLOCK_GETTIME64) {
            (_, Some(nr)) | (Some(nr), None) => nr,
            (None, None) => panic!("a port has one of the two"),
        };
        let mut time = raw::Timespec::default();
        // SAFETY: `time` is what this call writes.
        unsafe { syscall2::<NR>(CLOCK_MONOTONIC, &mut time as *mut raw::Timespec as usize) };
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }

    /// The other side is another process, which shares descriptors and nothing else.
    fn beside(
        &mut self,
        other: &(dyn Fn(&dyn Other) + Sync),
        here: &mut dyn FnMut(&mut dyn Host) -> Outcome,
    ) -> Outcome {
        let original = Original { process: process(), thread: thread() };
        let (is_copy, child) = fork()?;
        if is_copy {
            other(&original);
            // SAFETY: no pointer; nothing runs after it.
            unsafe { syscall1::<{ nr::EXIT_GROUP }>(0) };
        }
        let outcome = here(self);
        // SAFETY: null pointers, for what nobody asks.
        while let Err(errno) = result(unsafe { syscall6::<{ nr::WAITID }>(P_PID, child, 0, WEXITED, 0, 0) }) {
            if errno != Errno::EINTR {
                return Err(Failure::new(format_args!("waiting for the other side: {errno}")));
            }
        }
        outcome
    }

    fn widened(&mut self, victim: Widened<'_>) -> bool {
        wide::run(victim)
    }
}

impl Machine for System {
    fn version(&mut self) -> (u32, u32) {
        let release = release();
        let mut numbers =
            release.as_str().split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    }

    fn read_file(&mut self, path: fmt::Arguments<'_>, text: &mut [u8]) -> Result<usize, Errno> {
        let file = open(path, O_RDONLY)?;
        let mut used = 0;
        while used < text.len() {
            let rest = &mut text[used..];
            // SAFETY: `rest` has that much room.
            match unsafe { raw::read(file.as_raw_fd(), rest.as_mut_ptr(), rest.len()) }? {
                0 => break,
                more => used += more,
            }
        }
        Ok(used)
    }

    fn write_file(&mut self, path: fmt::Arguments<'_>, text: &[u8]) -> Result<(), Errno> {
        let file = open(path, O_WRONLY)?;
        // SAFETY: `text` has that many bytes.
        match unsafe { raw::write(file.as_raw_fd(), text.as_ptr(), text.len()) }? {
            all if all == text.len() => Ok(()),
            _ => Err(Errno::EIO),
        }
    }

    fn use_capability(&mut self, capability: u32, is_used: bool) -> Result<(), Errno> {
        // The version, and the process, where 0 is this one; two times 32 effective, permitted and inheritable ones.
        let mut header = [0x2008_0522_u32, 0];
        let mut sets = [[0_u32; 3]; 2];
        let (header, data) = (header.as_mut_ptr() as usize, sets.as_mut_ptr() as usize);
        // SAFETY: of this version, `data` is the size of what this call writes.
        result(unsafe { syscall2::<{ nr::CAPGET }>(header, data) })?;
        let effective = sets.get_mut(capability as usize / 32).ok_or(Errno::EINVAL)?;
        let bit = 1 << (capability % 32);
        effective[0] = if is_used { effective[0] | bit } else { effective[0] & !bit };
        let data = sets.as_ptr() as usize;
        // SAFETY: of this version, `data` is the size of what this call reads.
        result(unsafe { syscall2::<{ nr::CAPSET }>(header, data) }).map(drop)
    }
}

/// The process that runs the check, as the one beside it sees it.
struct Original {
    process: usize,
    thread: usize,
}

impl Other for Original {
    fn sleep(&self, time: Duration) {
        // A wait for nothing: what it is worth, the checks of timeouts show.
        if let Ok(epoll) = Epoll::new() {
            let _ = epoll.wait_uninterrupted(&mut Event::buffer::<1>(), Some(time));
        }
    }

    fn signal(&self, number: i32) {
        let _ = signal(self.process, self.thread, number);
    }
}
