//! The host of the conformance checks. It makes libc's system calls with `barepoll::syscall!`.

use crate::conformance::registers::Widened;
use crate::conformance::{ChildEnd, Failure, Host, Machine, Other, Outcome, LONG};
use crate::first::is_first_process;
use crate::start::restorer;
use crate::wide;
use barepoll::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use barepoll::{raw, Epoll, Errno, Event, SigSet};
use core::fmt::{self, Write};
use core::mem::size_of;
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use core::time::Duration;
use linux_raw_sys::general::*;
use linux_raw_sys::net::{AF_UNIX, SHUT_WR, SOCK_STREAM};

/// Makes a call out of line. By the ABI it clobbers registers that a wrong port may omit, so this
/// program survives to report the failed check.
#[inline(never)]
fn out_of_line<T>(call: impl FnOnce() -> T) -> T {
    call()
}

macro_rules! syscall {
    ($($call:tt)*) => {
        out_of_line(|| barepoll::syscall!($($call)*))
    };
}

/// Calls whose names depend on the width of a register.
mod nr {
    #[cfg(any(target_pointer_width = "64", target_arch = "x86_64"))]
    pub use linux_raw_sys::general::{
        __NR_clock_gettime as CLOCK_GETTIME, __NR_clock_nanosleep as CLOCK_NANOSLEEP,
        __NR_clock_settime as CLOCK_SETTIME, __NR_fcntl as FCNTL,
    };
    #[cfg(not(any(target_pointer_width = "64", target_arch = "x86_64")))]
    pub use linux_raw_sys::general::{
        __NR_clock_gettime64 as CLOCK_GETTIME, __NR_clock_nanosleep_time64 as CLOCK_NANOSLEEP,
        __NR_clock_settime64 as CLOCK_SETTIME, __NR_fcntl64 as FCNTL,
    };
}

/// MIPS is the only machine with 128 signals. Its `struct sigaction` starts with the flags.
const FLAGS_FIRST: bool = SIGSET_BYTES == 16;
/// SPARC's `rt_sigaction` has one more argument.
const IS_SPARC: bool = cfg!(any(target_arch = "sparc", target_arch = "sparc64"));

const SIGSET_BYTES: usize = size_of::<SigSet>();
const NO_BYTES: *mut u8 = ptr::null_mut();

/// A text buffer on the stack.
pub struct Line<const ROOM: usize> {
    text: [u8; ROOM],
    used: usize,
}

impl<const ROOM: usize> Line<ROOM> {
    pub fn new() -> Self {
        Self { text: [0; ROOM], used: 0 }
    }

    /// The text, if it is whole characters.
    pub fn as_str(&self) -> &str {
        self.text.get(..self.used).and_then(|text| core::str::from_utf8(text).ok()).unwrap_or("(cut)")
    }
}

impl<const ROOM: usize> fmt::Display for Line<ROOM> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
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

/// Prints a line, usually in one write. Ends the program if it cannot, except as a kernel's first
/// process: a kernel may have no console.
pub fn print(line: fmt::Arguments<'_>) {
    let mut whole = Line::<1024>::new();
    let _ = whole.write_fmt(line);
    let Err(errno) = write_to(1, &whole) else { return };
    if !is_first_process() {
        let mut why = Line::<256>::new();
        let _ = writeln!(why, "error: cannot write to standard output: {errno}");
        let _ = write_to(2, &why);
        end(1)
    }
}

fn write_to<const ROOM: usize>(fd: RawFd, line: &Line<ROOM>) -> Result<(), Errno> {
    let mut done = 0;
    while done < line.used {
        let rest = line.text.as_ptr().wrapping_add(done);
        // SAFETY: the bytes are in the line.
        match out_of_line(|| unsafe { raw::write(fd, rest, line.used - done) }) {
            Ok(more) => done += more,
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Ends the program. As a kernel's first process it powers the machine off.
pub fn end(status: usize) -> ! {
    // SAFETY: no pointer. Nothing runs after `exit_group`.
    unsafe {
        if is_first_process() {
            let _ =
                syscall!(__NR_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_RESTART, NO_BYTES,);
        }
        loop {
            let _ = syscall!(__NR_exit_group, status);
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
    let _ = unsafe { syscall!(__NR_uname, name.0.as_mut_ptr()) }; // zeroes if it fails
    name
}

/// The page size: the smallest address that `msync` accepts as the start of a page.
pub fn page_size() -> usize {
    let mut size = 4096;
    // SAFETY: the length is 0, so the call touches no bytes.
    while unsafe { syscall!(__NR_msync, size, 0, 0) }.is_err() && size < 1 << 20 {
        size *= 2;
    }
    size
}

/// Mounts /proc and /sys, whose directories must exist.
pub fn mount_proc_and_sys() -> Result<(), Errno> {
    for (kind, at) in [(c"proc", c"/proc"), (c"sysfs", c"/sys")] {
        let (kind, at) = (kind.as_ptr(), at.as_ptr());
        // SAFETY: the literals end with a zero byte. The options are null.
        unsafe { syscall!(__NR_mount, kind, at, kind, 0, NO_BYTES)? };
    }
    Ok(())
}

/// Opens a file with `flags` and `O_CLOEXEC`.
fn open(path: fmt::Arguments<'_>, flags: u32) -> Result<OwnedFd, Errno> {
    let mut whole = Line::<128>::new();
    whole.write_fmt(path).map_err(|_| Errno::EINVAL)?;
    if whole.used == whole.text.len() {
        return Err(Errno::EINVAL);
    }
    // SAFETY: the path does not fill the array, so a zero byte ends it.
    unsafe { syscall!(__NR_openat, AT_FDCWD, whole.text.as_ptr(), flags | O_CLOEXEC, 0) }.map(owned)
}

/// Runs a check in a process of its own. The check fails if that takes longer than `limit`. Returns
/// whether it passed, and writes the reason if not.
pub fn run_within(limit: Duration, check: &dyn Fn(&mut System) -> Outcome, reason: &mut Line<256>) -> bool {
    let _ = match watch(limit, check, reason) {
        Ok(_) if reason.used > 0 => return reason.as_str() == PASSED,
        Ok(true) => write!(reason, "no end within {} s", limit.as_secs()),
        Ok(false) => write!(reason, "the check's process died"),
        Err(errno) => write!(reason, "running the check in a process of its own: {errno}"),
    };
    false
}

/// The result of a check that passed.
const PASSED: &str = "ok";

/// Runs a check in another process, which writes its result. Returns whether it was late and killed.
fn watch(limit: Duration, check: &dyn Fn(&mut System) -> Outcome, result: &mut Line<256>) -> Result<bool, Errno> {
    const PAUSE: Duration = Duration::from_millis(2);
    // The processes share no memory, so the child writes its result to a pipe.
    let (reading, writing) = System.pipe()?;
    let (is_copy, child) = fork()?;
    if is_copy {
        // A group of its own, for the check's other processes too.
        // SAFETY: no pointer.
        let _ = unsafe { syscall!(__NR_setpgid, 0, 0) };
        let _ = match check(&mut System) {
            Ok(()) => result.write_str(PASSED),
            Err(failure) => write!(result, "{failure}"),
        };
        // SAFETY: the bytes are in a local array. Nothing runs after `exit_group`.
        unsafe {
            let _ = raw::write(writing.as_raw_fd(), result.text.as_ptr(), result.used);
            let _ = syscall!(__NR_exit_group, 0);
        }
    }
    drop(writing);
    let start = System.now();
    let mut is_late = false;
    while !is_over(child)? {
        if !is_late && System.now().saturating_sub(start) >= limit {
            is_late = true;
            kill(child.wrapping_neg());
            kill(child); // it may not have made its group yet
        }
        sleep(PAUSE);
    }
    kill(child.wrapping_neg()); // its other processes, which may have the pipe open
                                // SAFETY: the bytes are in a local array.
    result.used = unsafe { raw::read(reading.as_raw_fd(), result.text.as_mut_ptr(), result.text.len()) }?;
    Ok(is_late)
}

/// Whether the child has ended.
fn is_over(child: usize) -> Result<bool, Errno> {
    let mut info = [0_u32; 32]; // `siginfo_t`, which starts with the signal or 0
                                // SAFETY: room for `siginfo_t`, which has 128 bytes. The last pointer is null.
    match unsafe { syscall!(__NR_waitid, P_PID, child, info.as_mut_ptr(), WEXITED | WNOHANG, NO_BYTES) } {
        Ok(_) => Ok(info[0] != 0),
        Err(Errno::EINTR) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Kills a process, or a negative process's group, if there is one.
fn kill(process: usize) {
    // SAFETY: no pointer.
    let _ = unsafe { syscall!(__NR_kill, process, SIGKILL) };
}

/// Sleeps without epoll, which may be at fault.
fn sleep(time: Duration) {
    let time = raw::Timespec { tv_sec: time.as_secs() as i64, tv_nsec: time.subsec_nanos().into() };
    let time = &time as *const raw::Timespec;
    // SAFETY: the call reads `time`. The last pointer is null.
    let _ = unsafe { syscall!(nr::CLOCK_NANOSLEEP, CLOCK_MONOTONIC, 0, time, NO_BYTES) };
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
    unsafe { syscall!(__NR_getpid) }.unwrap_or(0) // it never fails
}

fn thread() -> usize {
    // SAFETY: no pointer.
    unsafe { syscall!(__NR_gettid) }.unwrap_or(0) // it never fails
}

fn signal(process: usize, thread: usize, signal: i32) -> Result<(), Errno> {
    // SAFETY: no pointer.
    unsafe { syscall!(__NR_tgkill, process, thread, signal) }.map(drop)
}

/// Forks. Returns true in the child, and its number in the parent.
fn fork() -> Result<(bool, usize), Errno> {
    let parent = process();
    // Machines with the asm-generic numbers have no `fork`. It would ignore the arguments of
    // `clone`, whose order differs on machines that have it.
    #[cfg(any(
        target_arch = "aarch64",
        target_arch = "riscv64",
        target_arch = "riscv32",
        target_arch = "loongarch64",
        target_arch = "hexagon",
        target_arch = "csky"
    ))]
    // SAFETY: the child has its own copy of memory, stack included.
    let child = unsafe { syscall!(__NR_clone, SIGCHLD, NO_BYTES, NO_BYTES, 0, NO_BYTES)? };
    #[cfg(not(any(
        target_arch = "aarch64",
        target_arch = "riscv64",
        target_arch = "riscv32",
        target_arch = "loongarch64",
        target_arch = "hexagon",
        target_arch = "csky"
    )))]
    // SAFETY: the child has its own copy of memory, stack included.
    let child = unsafe { syscall!(__NR_fork)? };
    Ok((process() != parent, child)) // SPARC's child gets the parent's number
}

impl Host for System {
    fn pipe(&mut self) -> Result<(OwnedFd, OwnedFd), Errno> {
        let mut ends = [0_i32; 2];
        // SAFETY: room for two descriptors.
        unsafe { syscall!(__NR_pipe2, ends.as_mut_ptr(), O_CLOEXEC)? };
        Ok((owned(ends[0] as usize), owned(ends[1] as usize)))
    }

    fn socketpair(&mut self) -> Result<(OwnedFd, OwnedFd), Errno> {
        let mut ends = [0_i32; 2];
        // SAFETY: room for two descriptors.
        unsafe { syscall!(__NR_socketpair, AF_UNIX, SOCK_STREAM | O_CLOEXEC, 0, ends.as_mut_ptr())? };
        Ok((owned(ends[0] as usize), owned(ends[1] as usize)))
    }

    fn shutdown_writing(&mut self, socket: BorrowedFd<'_>) -> Result<(), Errno> {
        // SAFETY: no pointer.
        unsafe { syscall!(__NR_shutdown, socket, SHUT_WR) }.map(drop)
    }

    fn duplicate(&mut self, fd: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
        // SAFETY: no pointer.
        unsafe { syscall!(__NR_dup, fd) }.map(owned)
    }

    fn root_directory(&mut self) -> Result<OwnedFd, Errno> {
        open(format_args!("/"), O_RDONLY)
    }

    fn is_close_on_exec(&mut self, fd: BorrowedFd<'_>) -> Result<bool, Errno> {
        // SAFETY: no pointer.
        let flags = unsafe { syscall!(nr::FCNTL, fd, F_GETFD)? };
        Ok(flags & FD_CLOEXEC as usize != 0)
    }

    fn is_nonblocking(&mut self, fd: BorrowedFd<'_>) -> Result<bool, Errno> {
        // SAFETY: no pointer.
        let flags = unsafe { syscall!(nr::FCNTL, fd, F_GETFL)? };
        Ok(flags & O_NONBLOCK as usize != 0)
    }

    fn limit_descriptors(&mut self, limit: u64) -> Result<u64, Errno> {
        let mut limits = rlimit64 { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the call writes `limits`.
        unsafe { syscall!(__NR_prlimit64, 0, RLIMIT_NOFILE, NO_BYTES, &mut limits as *mut rlimit64)? };
        let before = core::mem::replace(&mut limits.rlim_cur, limit);
        // SAFETY: the call reads `limits`.
        unsafe { syscall!(__NR_prlimit64, 0, RLIMIT_NOFILE, &limits as *const rlimit64, NO_BYTES)? };
        Ok(before)
    }

    fn catch(&mut self, signal: i32) -> Result<(), Errno> {
        let handler = count as extern "C" fn(i32) as usize;
        let (flags, restorer) = restorer().unwrap_or((0, 0));
        // The last words are the empty mask and padding. `linux-raw-sys` 0.12 has this structure
        // without MIPS's order and SPARC's restorer.
        let action = if FLAGS_FIRST { [flags, handler, 0, 0, 0, 0, 0] } else { [handler, flags, restorer, 0, 0, 0, 0] };
        let action = action.as_ptr();
        // SAFETY: `action` is this machine's `struct sigaction`. Its handler only adds to an
        // atomic.
        unsafe {
            if IS_SPARC {
                syscall!(__NR_rt_sigaction, signal, action, NO_BYTES, restorer, SIGSET_BYTES)
            } else {
                syscall!(__NR_rt_sigaction, signal, action, NO_BYTES, SIGSET_BYTES)
            }
        }
        .map(drop)
    }

    fn caught(&mut self) -> u32 {
        CAUGHT.load(Relaxed)
    }

    fn block(&mut self, signal: i32, block: bool) -> Result<(), Errno> {
        let mut set = SigSet::empty();
        set.insert(signal)?;
        let how = if block { SIG_BLOCK } else { SIG_UNBLOCK };
        // SAFETY: `set` is the kernel's set and has this size.
        unsafe { syscall!(__NR_rt_sigprocmask, how, &set as *const SigSet, NO_BYTES, SIGSET_BYTES) }.map(drop)
    }

    fn raise(&mut self, number: i32) -> Result<(), Errno> {
        signal(process(), thread(), number)
    }

    fn child(&mut self, end: ChildEnd) -> Result<i32, Errno> {
        let original = Original { process: process(), thread: thread() };
        let (is_copy, child) = fork()?;
        if is_copy {
            let code = match end {
                ChildEnd::Exit(code) => code,
                ChildEnd::Signal => {
                    original.sleep(LONG);
                    0
                }
            };
            // SAFETY: no pointer. Nothing runs after it.
            let _ = unsafe { syscall!(__NR_exit_group, code) };
        }
        Ok(child as i32)
    }

    fn now(&mut self) -> Duration {
        let mut time = raw::Timespec::default();
        // SAFETY: the call writes `time`.
        let _ = unsafe { syscall!(nr::CLOCK_GETTIME, CLOCK_MONOTONIC, &mut time as *mut raw::Timespec) };
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
            let _ = unsafe { syscall!(__NR_exit_group, 0) };
        }
        let outcome = here(self);
        // SAFETY: the pointers are null.
        while let Err(errno) = unsafe { syscall!(__NR_waitid, P_PID, child, NO_BYTES, WEXITED, NO_BYTES) } {
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
        let mut header = [_LINUX_CAPABILITY_VERSION_3, 0];
        let mut sets = [[0_u32; 3]; 2];
        // SAFETY: in this version the call writes the size of `sets`.
        unsafe { syscall!(__NR_capget, header.as_mut_ptr(), sets.as_mut_ptr())? };
        let effective = sets.get_mut(capability as usize / 32).ok_or(Errno::EINVAL)?;
        let bit = 1 << (capability % 32);
        effective[0] = if is_used { effective[0] | bit } else { effective[0] & !bit };
        // SAFETY: in this version the call reads the size of `sets`.
        unsafe { syscall!(__NR_capset, header.as_mut_ptr(), sets.as_ptr()) }.map(drop)
    }

    fn wall_clock(&mut self) -> Result<Duration, Errno> {
        let mut time = raw::Timespec::default();
        // SAFETY: the call writes `time`.
        unsafe { syscall!(nr::CLOCK_GETTIME, CLOCK_REALTIME, &mut time as *mut raw::Timespec)? };
        Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
    }

    fn set_wall_clock(&mut self, time: Duration) -> Result<(), Errno> {
        let time = raw::Timespec { tv_sec: time.as_secs() as i64, tv_nsec: time.subsec_nanos().into() };
        // SAFETY: the call reads `time`.
        unsafe { syscall!(nr::CLOCK_SETTIME, CLOCK_REALTIME, &time as *const raw::Timespec) }.map(drop)
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
