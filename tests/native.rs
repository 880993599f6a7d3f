//! The conformance list under `cargo test`, on this machine. libc supplies the services of
//! [`Host`].

mod conformance;

use barepoll::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use barepoll::Errno;
use conformance::{ChildEnd, Failure, Host, Other, Outcome, LONG, MACHINE, SUBJECTS};
use libtest_mimic::{Arguments, Trial};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;
use std::{io, mem, ptr, thread};

fn main() {
    let mut arguments = Arguments::from_args();
    // Checks count and limit descriptors and catch signals. These belong to the process, so checks
    // run one at a time.
    arguments.test_threads = Some(1);
    let checks = SUBJECTS.iter().flat_map(|(subject, checks)| checks.iter().map(move |check| (subject, check)));
    let trials = checks.map(|(subject, check)| {
        Trial::test(format!("{subject}::{}", check.name), || (check.run)(&mut Libc).map_err(|f| f.to_string().into()))
    });
    let mut trials: Vec<Trial> = trials.collect();
    if cfg!(not(miri)) {
        trials.push(Trial::test("every_check_names_its_source", || Ok(every_check_names_its_source()?)));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// A source is `FILE: NAME, NAME`. The file is one of Linux, or one of this crate with these names.
fn every_check_names_its_source() -> Result<(), String> {
    let here = SUBJECTS.iter().flat_map(|(_, checks)| checks.iter().map(|check| (check.name, check.source)));
    let machine = MACHINE.iter().flat_map(|(_, checks)| checks.iter().map(|check| (check.name, check.source)));
    for (check, source) in here.chain(machine) {
        let wrong = |what: &str| format!("the source of {check}, {source:?}, {what}");
        let (file, names) = source.split_once(": ").ok_or_else(|| wrong("has no `: ` between file and name"))?;
        let is_kernels = ["arch/", "fs/", "include/", "kernel/", "net/"].iter().any(|top| file.starts_with(top));
        let is_source = [".c", ".h", ".S"].iter().any(|end| file.ends_with(end));
        for name in names.split(", ") {
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                return Err(wrong("names no identifier"));
            }
            if file.starts_with("src/") {
                // Another package of the repository may compile this too.
                let folders = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
                let text = folders.map(|folder| std::fs::read_to_string(folder.join(file))).find_map(Result::ok);
                let text = text.ok_or_else(|| wrong("is no file"))?;
                if !["struct", "union", "fn"].iter().any(|kind| text.contains(&format!("pub {kind} {name}"))) {
                    return Err(wrong("is no public name of that file"));
                }
            } else if !is_kernels || !is_source {
                return Err(wrong("is in no file of Linux or of `src/`"));
            }
        }
    }
    Ok(())
}

/// The host of these checks: this process, through libc.
struct Libc;

static CAUGHT: AtomicU32 = AtomicU32::new(0);

extern "C" fn count(_signal: i32) {
    CAUGHT.fetch_add(1, Relaxed);
}

/// Converts libc's result to this crate's.
fn result(returned: i32) -> Result<i32, Errno> {
    if returned >= 0 {
        return Ok(returned);
    }
    let errno = io::Error::last_os_error().raw_os_error().unwrap_or_default();
    Err(Errno::from_raw(errno).expect("libc sets errno"))
}

/// Takes ownership of a descriptor that libc has just made.
fn owned(fd: i32) -> OwnedFd {
    // SAFETY: the descriptor is open and has no other owner.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

impl Host for Libc {
    fn pipe(&mut self) -> Result<(OwnedFd, OwnedFd), Errno> {
        let mut ends = [0; 2];
        // SAFETY: the array has room for two descriptors.
        result(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) })?;
        Ok((owned(ends[0]), owned(ends[1])))
    }

    fn socketpair(&mut self) -> Result<(OwnedFd, OwnedFd), Errno> {
        let mut ends = [0; 2];
        let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
        // SAFETY: the array has room for two descriptors.
        result(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) })?;
        Ok((owned(ends[0]), owned(ends[1])))
    }

    fn shutdown_writing(&mut self, socket: BorrowedFd<'_>) -> Result<(), Errno> {
        // SAFETY: the call takes no pointer.
        result(unsafe { libc::shutdown(socket.as_raw_fd(), libc::SHUT_WR) }).map(drop)
    }

    fn duplicate(&mut self, fd: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
        // SAFETY: the call takes no pointer.
        result(unsafe { libc::dup(fd.as_raw_fd()) }).map(owned)
    }

    fn root_directory(&mut self) -> Result<OwnedFd, Errno> {
        // SAFETY: the literal ends in zero.
        result(unsafe { libc::open(c"/".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) }).map(owned)
    }

    fn is_close_on_exec(&mut self, fd: BorrowedFd<'_>) -> Result<bool, Errno> {
        // SAFETY: the call takes no pointer.
        result(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) }).map(|flags| flags & libc::FD_CLOEXEC != 0)
    }

    fn is_nonblocking(&mut self, fd: BorrowedFd<'_>) -> Result<bool, Errno> {
        // SAFETY: the call takes no pointer.
        result(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) }).map(|flags| flags & libc::O_NONBLOCK != 0)
    }

    fn limit_descriptors(&mut self, limit: u64) -> Result<u64, Errno> {
        // SAFETY: an `rlimit` is two numbers, valid with any bits.
        let mut limits: libc::rlimit = unsafe { mem::zeroed() };
        // SAFETY: the call writes `limits`.
        result(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limits) })?;
        let before = mem::replace(&mut limits.rlim_cur, limit as libc::rlim_t);
        // SAFETY: the call reads `limits`.
        result(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limits) })?;
        #[allow(clippy::useless_conversion)] // libc's type has 32 bits on some targets
        Ok(before.into())
    }

    fn catch(&mut self, signal: i32) -> Result<(), Errno> {
        // SAFETY: all zero is a valid action: the default one, no flags, no mask.
        let mut action: libc::sigaction = unsafe { mem::zeroed() };
        action.sa_sigaction = count as extern "C" fn(i32) as usize;
        // SAFETY: the handler only adds to an atomic.
        result(unsafe { libc::sigaction(signal, &action, ptr::null_mut()) }).map(drop)
    }

    fn caught(&mut self) -> u32 {
        CAUGHT.load(Relaxed)
    }

    fn block(&mut self, signal: i32, block: bool) -> Result<(), Errno> {
        let how = if block { libc::SIG_BLOCK } else { libc::SIG_UNBLOCK };
        // SAFETY: the set is a local, and initialised before use.
        unsafe {
            let mut set = mem::zeroed();
            libc::sigemptyset(&mut set);
            libc::sigaddset(&mut set, signal);
            result(libc::pthread_sigmask(how, &set, ptr::null_mut())).map(drop)
        }
    }

    fn raise(&mut self, signal: i32) -> Result<(), Errno> {
        // SAFETY: the call takes no pointer.
        result(unsafe { libc::raise(signal) }).map(drop)
    }

    fn child(&mut self, end: ChildEnd) -> Result<i32, Errno> {
        // SAFETY: the child calls only `poll` and `_exit`, which a signal handler may call too. So
        // no lock that another thread holds stops it.
        match result(unsafe { libc::fork() })? {
            // SAFETY: no pointer is read. The child ends here, without flushing this process's buffers.
            0 => unsafe {
                if let ChildEnd::Exit(code) = end {
                    libc::_exit(code);
                }
                libc::poll(ptr::null_mut(), 0, LONG.as_millis() as i32);
                libc::_exit(0);
            },
            child => Ok(child),
        }
    }

    fn now(&mut self) -> Duration {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the call writes `time`.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }

    fn beside(
        &mut self,
        other: &(dyn Fn(&dyn Other) + Sync),
        here: &mut dyn FnMut(&mut dyn Host) -> Outcome,
    ) -> Outcome {
        // SAFETY: the call takes no pointer.
        let here_thread = Thread(unsafe { libc::pthread_self() });
        thread::scope(|scope| {
            let beside = scope.spawn(move || other(&here_thread));
            let outcome = here(self);
            beside.join().map_err(|_| Failure::new(format_args!("the other side panicked")))?;
            outcome
        })
    }
}

/// The thread that runs the check, for signals from the other thread.
struct Thread(libc::pthread_t);

// SAFETY: any thread may use the identifier, and the thread outlives the other one.
unsafe impl Send for Thread {}

impl Other for Thread {
    fn sleep(&self, time: Duration) {
        thread::sleep(time);
    }

    fn signal(&self, signal: i32) {
        // SAFETY: the thread is alive, because it waits for this one.
        unsafe { libc::pthread_kill(self.0, signal) };
    }
}
