//! The host of the conformance checks. It makes libc's system calls through barepoll's functions.

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

/// System call numbers and other constants that differ between machines.
#[allow(dead_code)] // some are used on some machines only
pub mod nr {
    include!(concat!(env!("OUT_DIR"), "/numbers.rs"));
}

/// barepoll's system call functions, out of line. By the ABI a call clobbers registers that a wrong
/// port may omit, so this program survives to report the failed check.
mod trap {
    macro_rules! out_of_line {
        ($($name:ident($($argument:ident),*);)*) => {$(
            #[inline(never)]
            pub unsafe extern "C" fn $name<const NR: usize>($($argument: usize),*) -> isize {
                // SAFETY: the caller keeps the port's contract.
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

/// True on MIPS, the only machine with 128 signals. Its `struct sigaction` starts with the flags.
const FLAGS_FIRST: bool = arch::SIGSET_BYTES == 16;
/// Only SPARC has this value. Its `rt_sigaction` has one more argument. Its `fork` returns the
/// parent's number in the child.
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

/// A text buffer on the stack.
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

/// Prints a line, usually in one write.
pub fn print(line: fmt::Arguments<'_>) {
    let mut whole = Line { text: [b'\n'; 400], used: 0 };
    let _ = whole.write_fmt(line);
    let mut done = 0;
    while done < whole.used {
        let rest = whole.text.as_ptr().wrapping_add(done) as usize;
        // SAFETY: the bytes are in a local array.
        match result(unsafe { syscall3::<{ arch::nr::WRITE }>(1, rest, whole.used - done) }) {
            Ok(more) => done += more,
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Err(_) => return,
        }
    }
}

/// Ends the program. As a kernel's first process it powers the machine off.
pub fn end(status: usize) -> ! {
    const MAGIC: [usize; 3] = [0xfee1_dead, 672_274_793, 0x0123_4567];
    // SAFETY: no pointer. Nothing runs after `exit_group`.
    unsafe {
        if is_first_process() {
            syscall4::<{ nr::REBOOT }>(MAGIC[0], MAGIC[1], MAGIC[2], 0);
        }
        loop {
            syscall1::<{ nr::EXIT_GROUP }>(status);
        }
    }
}

/// The kernel's release, such as `6.1.0-50-s390x`.
pub struct Release([u8; 6 * 65]);

impl Release {
    pub fn as_str(&self) -> &str {
        let field = self.0[2 * 65..3 * 65].split(|byte| *byte == 0).next().unwrap_or_default();
        core::str::from_utf8(field).unwrap_or("?")
    }
}

/// Reads `struct new_utsname`: six fields of 65 bytes.
pub fn release() -> Release {
    let mut name = Release([0; 6 * 65]);
    // SAFETY: room for `struct new_utsname`.
    unsafe { syscall1::<{ nr::UNAME }>(name.0.as_mut_ptr() as usize) };
    name
}

/// The page size: the smallest address that `msync` accepts as the start of a page.
pub fn page_size() -> usize {
    let mut size = 4096;
    // SAFETY: the length is 0, so the call touches no bytes.
    while unsafe { syscall3::<{ nr::MSYNC }>(size, 0, 0) } < 0 && size < 1 << 20 {
        size *= 2;
    }
    size
}

/// Whether the kernel started this program as its first process.
pub fn is_first_process() -> bool {
    process() == 1
}

/// Mounts /proc and /sys, whose directories must exist.
pub fn mount_proc_and_sys() -> Result<(), Errno> {
    for (kind, at) in [(c"proc", c"/proc"), (c"sysfs", c"/sys")] {
        let (kind, at) = (kind.as_ptr() as usize, at.as_ptr() as usize);
        // SAFETY: the literals end with a zero byte. The options are null.
        result(unsafe { syscall6::<{ nr::MOUNT }>(kind, at, kind, 0, 0, 0) })?;
    }
    Ok(())
}

/// Opens a file with `flags` and `O_CLOEXEC`.
fn open(path: fmt::Arguments<'_>, flags: usize) -> Result<OwnedFd, Errno> {
    let mut whole = Line { text: [0; 128], used: 0 };
    whole.write_fmt(path).map_err(|_| Errno::EINVAL)?;
    if whole.used == whole.text.len() {
        return Err(Errno::EINVAL);
    }
    let flags = flags | arch::O_CLOEXEC as usize;
    // SAFETY: the path does not fill the array, so a zero byte ends it.
    result(unsafe { syscall4::<{ nr::OPENAT }>(AT_FDCWD, whole.text.as_ptr() as usize, flags, 0) }).map(owned)
}

pub struct System;

impl System {
    /// The number of processors: the lines of `/proc/stat` with `cpu` and a number, which come
    /// first.
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

/// Takes ownership of a new descriptor.
fn owned(fd: usize) -> OwnedFd {
    // SAFETY: it is open and has no other owner.
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

/// Forks. Returns true in the child, and its number in the parent.
fn fork() -> Result<(bool, usize), Errno> {
    const NR: usize = match (nr::FORK, nr::CLONE) {
        (Some(nr), _) | (None, Some(nr)) => nr,
        (None, None) => panic!("a machine has one of the two"),
    };
    let parent = process();
    // `fork` ignores the arguments of `clone`.
    // SAFETY: the child has its own copy of memory, stack included.
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
        // SAFETY: the literal ends with a zero byte.
        result(unsafe { syscall4::<{ nr::OPENAT }>(AT_FDCWD, path, arch::O_CLOEXEC as usize, 0) }).map(owned)
    }

    fn is_close_on_exec(&mut self, fd: BorrowedFd<'_>) -> Result<bool, Errno> {
        // SAFETY: no pointer.
        let flags = result(unsafe { syscall3::<{ nr::FCNTL }>(fd.as_raw_fd() as usize, F_GETFD, 0) })?;
        Ok(flags & FD_CLOEXEC != 0)
    }

    fn limit_descriptors(&mut self, limit: u64) -> Result<u64, Errno> {
        let mut limits = [0_u64; 2]; // soft, hard
                                     // SAFETY: the call writes `limits`.
        result(unsafe { syscall4::<{ nr::PRLIMIT64 }>(0, nr::RLIMIT_NOFILE, 0, limits.as_mut_ptr() as usize) })?;
        let before = core::mem::replace(&mut limits[0], limit);
        // SAFETY: the call reads `limits`.
        result(unsafe { syscall4::<{ nr::PRLIMIT64 }>(0, nr::RLIMIT_NOFILE, limits.as_ptr() as usize, 0) })?;
        Ok(before)
    }

    fn catch(&mut self, signal: i32) -> Result<(), Errno> {
        let handler = count as extern "C" fn(i32) as usize;
        let (flags, restorer) = restorer().unwrap_or((0, 0));
        // The last words are the empty mask and padding.
        let action = if FLAGS_FIRST { [flags, handler, 0, 0, 0, 0, 0] } else { [handler, flags, restorer, 0, 0, 0, 0] };
        let (action, size) = (action.as_ptr() as usize, arch::SIGSET_BYTES);
        // SAFETY: `action` is this machine's `struct sigaction`. Its handler only adds to an
        // atomic.
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
        // SAFETY: `set` is the kernel's set and has this size.
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
        // SAFETY: the call writes `time`.
        unsafe { syscall2::<NR>(CLOCK_MONOTONIC, &mut time as *mut raw::Timespec as usize) };
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }

    /// `other` runs in another process, which shares only descriptors.
    fn beside(
        &mut self,
        other: &(dyn Fn(&dyn Other) + Sync),
        here: &mut dyn FnMut(&mut dyn Host) -> Outcome,
    ) -> Outcome {
        let original = Original { process: process(), thread: thread() };
        let (is_copy, child) = fork()?;
        if is_copy {
            other(&original);
            // SAFETY: no pointer. Nothing runs after it.
            unsafe { syscall1::<{ nr::EXIT_GROUP }>(0) };
        }
        let outcome = here(self);
        // SAFETY: the pointers are null.
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
            // SAFETY: `rest` is `rest.len()` bytes long.
            match unsafe { raw::read(file.as_raw_fd(), rest.as_mut_ptr(), rest.len()) }? {
                0 => break,
                more => used += more,
            }
        }
        Ok(used)
    }

    fn write_file(&mut self, path: fmt::Arguments<'_>, text: &[u8]) -> Result<(), Errno> {
        let file = open(path, O_WRONLY)?;
        // SAFETY: `text` is `text.len()` bytes long.
        match unsafe { raw::write(file.as_raw_fd(), text.as_ptr(), text.len()) }? {
            all if all == text.len() => Ok(()),
            _ => Err(Errno::EIO),
        }
    }

    fn use_capability(&mut self, capability: u32, is_used: bool) -> Result<(), Errno> {
        // `header` is the version and the process, 0 for this one. Each of `sets` holds 32
        // effective, permitted and inheritable capabilities.
        let mut header = [0x2008_0522_u32, 0];
        let mut sets = [[0_u32; 3]; 2];
        let (header, data) = (header.as_mut_ptr() as usize, sets.as_mut_ptr() as usize);
        // SAFETY: in this version the call writes the size of `data`.
        result(unsafe { syscall2::<{ nr::CAPGET }>(header, data) })?;
        let effective = sets.get_mut(capability as usize / 32).ok_or(Errno::EINVAL)?;
        let bit = 1 << (capability % 32);
        effective[0] = if is_used { effective[0] | bit } else { effective[0] & !bit };
        let data = sets.as_ptr() as usize;
        // SAFETY: in this version the call reads the size of `data`.
        result(unsafe { syscall2::<{ nr::CAPSET }>(header, data) }).map(drop)
    }
}

/// The process that runs the check, as the forked process sees it.
struct Original {
    process: usize,
    thread: usize,
}

impl Other for Original {
    fn sleep(&self, time: Duration) {
        // Sleeps in an epoll wait. The checks of timeouts test its accuracy.
        if let Ok(epoll) = Epoll::new() {
            let _ = epoll.wait_uninterrupted(&mut Event::buffer::<1>(), Some(time));
        }
    }

    fn signal(&self, number: i32) {
        let _ = signal(self.process, self.thread, number);
    }
}
