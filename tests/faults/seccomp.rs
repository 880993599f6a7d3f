//! Intercepts calls with short seccomp filters. A filter applies to its thread, and to threads and
//! processes that it starts later. It cannot be removed.

use crate::figures;
use barepoll::Errno;
use std::io;
use std::mem::{offset_of, zeroed};
use std::os::unix::io::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::mpsc::channel;
use std::thread;

/// The number of a system call.
pub type Number = i64;

/// From now on, each of these calls by this thread kills the process with `SIGSYS`.
pub fn kill_at(calls: &[Number]) {
    install(calls, libc::SECCOMP_RET_KILL_PROCESS, 0);
}

/// An intercepted call that waits for its answer.
pub struct Call {
    /// The number of the thread that calls.
    #[allow(dead_code)] // not every test uses it
    pub thread: u32,
    pub number: Number,
    arguments: [u64; 6],
}

impl Call {
    /// A 32-bit argument, counted from 0.
    pub fn argument(&self, place: usize) -> i32 {
        self.arguments[place] as i32
    }

    /// A pointer argument.
    pub fn pointer<T>(&self, place: usize) -> *const T {
        self.arguments[place] as usize as *const T
    }
}

/// Runs this in a thread of its own. For each call with these numbers, `answer` returns an error to
/// refuse it with, or lets it through.
pub fn intercepted<T: Send>(
    calls: &[Number],
    mut answer: impl FnMut(&Call) -> Option<Errno>,
    run: impl FnOnce() -> T + Send,
) -> T {
    answered(calls, |call| answer(call).map(|errno| (-errno.raw()).into()), run)
}

/// Like [`intercepted`], but the answer may be any value, including −errno.
pub fn answered<T: Send>(
    calls: &[Number],
    mut answer: impl FnMut(&Call) -> Option<i64>,
    run: impl FnOnce() -> T + Send,
) -> T {
    let (tell, told) = channel();
    thread::scope(|scope| {
        let thread = scope.spawn(move || {
            let listener =
                install(calls, libc::SECCOMP_RET_USER_NOTIF, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER as usize);
            tell.send(listener).expect("the other side listens");
            run()
        });
        // SAFETY: the filter's descriptor was just made and has no other owner.
        let listener = unsafe { OwnedFd::from_raw_fd(told.recv().expect("a filter")) };
        let mut refused = 0;
        while is_asked(&listener) {
            refused += u64::from(serve(&listener, &mut answer).is_some());
        }
        figures::count("calls refused", refused);
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Waits for the next call. Returns false once the thread has ended.
fn is_asked(listener: &OwnedFd) -> bool {
    let mut poll = libc::pollfd { fd: listener.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    loop {
        // SAFETY: the array has one descriptor.
        let ready = unsafe { libc::poll(&mut poll, 1, -1) };
        if ready == 1 {
            return poll.revents & libc::POLLIN != 0;
        }
        assert_eq!(io::Error::last_os_error().kind(), io::ErrorKind::Interrupted);
    }
}

/// Answers a call, and returns the answer.
fn serve(listener: &OwnedFd, answer: &mut impl FnMut(&Call) -> Option<i64>) -> Option<i64> {
    // SAFETY: both are numbers, valid with any bits. The first request needs zeros.
    let (mut asked, mut answered): (libc::seccomp_notif, libc::seccomp_notif_resp) = unsafe { zeroed() };
    // SAFETY: the request writes `asked`.
    let outcome = unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &mut asked) };
    if !is_there(outcome) {
        return None;
    }
    answered.id = asked.id;
    let given = answer(&Call { thread: asked.pid, number: asked.data.nr.into(), arguments: asked.data.args });
    match given {
        Some(errno @ -4095..=-1) => answered.error = errno as i32,
        Some(value) => answered.val = value,
        None => answered.flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32,
    }
    // SAFETY: the request reads `answered`.
    let outcome = unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &mut answered) };
    given.filter(|_| is_there(outcome))
}

/// Whether a request about a call succeeded. It fails with `ENOENT` if a signal to the caller has
/// ended the call, which then is repeated or never returns.
fn is_there(outcome: i32) -> bool {
    let error = io::Error::last_os_error();
    assert!(outcome == 0 || error.raw_os_error() == Some(libc::ENOENT), "{error}");
    outcome == 0
}

/// Installs a filter for this thread: `action` applies to these calls, and all others pass.
fn install(calls: &[Number], action: u32, flags: usize) -> i32 {
    const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
    let instruction = |code, k, jt| libc::sock_filter { code: code as u16, jt, jf: 0, k };

    let mut program = vec![instruction(LOAD, offset_of!(libc::seccomp_data, nr) as u32, 0)];
    for (place, call) in calls.iter().enumerate() {
        // Jumps over the remaining calls and the instruction that lets a call pass.
        program.push(instruction(IF_EQUAL, *call as u32, (calls.len() - place) as u8));
    }
    program.push(instruction(RETURN, libc::SECCOMP_RET_ALLOW, 0));
    program.push(instruction(RETURN, action, 0));
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the program outlives the call, and its length is right.
    let answer = unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &program)
    };
    assert!(answer >= 0, "cannot install the filter: {}", io::Error::last_os_error());
    answer as i32
}
