//! Processes: their descriptors, signals and ends.

use super::{counter, is_open, ready, ready_within, watching, ChildEnd, Failure, Host, LONG, NOTHING};
use barepoll::fd::{AsFd, AsRawFd, OwnedFd};
use barepoll::raw::{self, Siginfo};
use barepoll::signo::SIGKILL;
use barepoll::{ChildStatus, Errno, EventFlags, PidFd, PidFdFlags};
use core::ptr;

/// Makes a child. Makes none where there are no pidfds: nothing could kill it.
fn number(host: &mut dyn Host, end: ChildEnd) -> Result<i32, Failure> {
    drop(PidFd::open(this_process()?)?);
    Ok(host.child(end)?)
}

/// Makes a child and opens it.
fn child(host: &mut dyn Host, end: ChildEnd) -> Result<PidFd, Failure> {
    let pid = number(host, end)?;
    Ok(PidFd::open(pid)?)
}

/// Kills the child and reaps it.
fn kill(child: &PidFd) -> Result<ChildStatus, Errno> {
    child.send_signal(SIGKILL)?;
    child.wait()
}

/// Waits until the child has ended.
fn ended(child: &PidFd) -> Result<bool, Errno> {
    Ok(ready_within(&watching(child, EventFlags::IN)?, LONG)? == [(1, EventFlags::IN)])
}

/// The number of this process, which is no child of its own.
fn this_process() -> Result<i32, Errno> {
    // SAFETY: the call takes no pointer.
    let pid = unsafe { barepoll::syscall!(linux_raw_sys::general::__NR_getpid) }?;
    Ok(pid as i32)
}

checks! { by "kernel/exit.c: kernel_waitid";
    fn a_wait_reports_the_exit_code(host) by "kernel/exit.c: wait_task_zombie" {
        for code in [0, 1, 7, 127, 128, 255] {
            let pid = number(host, ChildEnd::Exit(code))?;
            let status = PidFd::open(pid)?.wait()?;
            ensure_eq!((status.pid(), status.code(), status.signal()), (pid, Some(code), None));
            ensure_eq!((status.success(), status.core_dumped()), (code == 0, false));
        }
    }

    fn only_the_lowest_eight_bits_of_an_exit_code_are_reported(host) by "kernel/exit.c: wait_task_zombie" {
        ensure_eq!(child(host, ChildEnd::Exit(0x1_2345))?.wait().map(ChildStatus::code), Ok(Some(0x45)));
    }

    fn a_wait_reports_the_signal_that_killed(host) by "kernel/exit.c: wait_task_zombie" {
        let pid = number(host, ChildEnd::Signal)?;
        let status = kill(&PidFd::open(pid)?)?;
        ensure_eq!((status.pid(), status.code(), status.signal()), (pid, None, Some(SIGKILL)));
        ensure_eq!((status.success(), status.core_dumped()), (false, false));
    }

    fn a_wait_waits_until_the_child_has_ended(host) by "kernel/exit.c: do_wait" {
        let child = child(host, ChildEnd::Signal)?;
        host.beside(
            &|other| {
                other.sleep(core::time::Duration::from_millis(20));
                let _ = child.send_signal(SIGKILL);
            },
            &mut |_| {
                ensure_eq!(child.wait().map(ChildStatus::signal), Ok(Some(SIGKILL)));
                Ok(())
            },
        )?;
    }

    fn try_wait_is_none_until_the_child_has_ended(host) by "kernel/exit.c: do_wait" {
        let child = child(host, ChildEnd::Signal)?;
        ensure_eq!(child.try_wait(), Ok(None));
        child.send_signal(SIGKILL)?;
        ensure!(ended(&child)?);
        ensure_eq!(child.try_wait()?.and_then(ChildStatus::signal), Some(SIGKILL));
    }

    fn a_child_that_ended_before_it_was_opened_is_waited_for(host) by "kernel/exit.c: wait_task_zombie" {
        let pid = number(host, ChildEnd::Exit(3))?;
        ensure!(ended(&PidFd::open(pid)?)?);
        ensure_eq!(PidFd::open(pid)?.try_wait()?.and_then(ChildStatus::code), Some(3));
    }

    fn a_pidfd_is_readable_once_the_process_has_ended_and_not_before(host) by "fs/pidfs.c: pidfd_poll" {
        let child = child(host, ChildEnd::Signal)?;
        let epoll = watching(&child, EventFlags::IN)?;
        ensure_eq!(ready(&epoll)?, NOTHING);
        child.send_signal(0)?;
        ensure_eq!(ready(&epoll)?, NOTHING);
        child.send_signal(SIGKILL)?;
        ensure_eq!(ready_within(&epoll, LONG)?, [(1, EventFlags::IN)]);
        // It stays readable.
        ensure_eq!(ready(&epoll)?, [(1, EventFlags::IN)]);
        ensure_eq!(child.wait().map(ChildStatus::signal), Ok(Some(SIGKILL)));
    }

    fn a_pidfd_stays_readable_after_the_process_was_reaped(host) by "fs/pidfs.c: pidfd_poll" {
        let child = child(host, ChildEnd::Exit(0))?;
        let epoll = watching(&child, EventFlags::IN)?;
        child.wait()?;
        let found = ready(&epoll)?;
        // Linux 6.9 and later.
        ensure!(found == [(1, EventFlags::IN)] || found == [(1, EventFlags::IN | EventFlags::HUP)]);
    }

    fn the_end_of_a_child_reaches_an_edge_triggered_epoll_once(host) by "fs/pidfs.c: pidfd_poll" {
        let child = child(host, ChildEnd::Signal)?;
        let epoll = watching(&child, EventFlags::IN | EventFlags::ET)?;
        child.send_signal(SIGKILL)?;
        ensure_eq!(ready_within(&epoll, LONG)?, [(1, EventFlags::IN)]);
        ensure_eq!(ready(&epoll)?, NOTHING);
        child.wait()?;
    }

    fn each_of_two_children_has_its_own_end(host) by "fs/pidfs.c: pidfd_poll" {
        let first = child(host, ChildEnd::Signal)?;
        let second = child(host, ChildEnd::Exit(2))?;
        ensure_eq!(second.wait().map(ChildStatus::code), Ok(Some(2)));
        ensure_eq!(first.try_wait(), Ok(None));
        ensure_eq!(kill(&first).map(ChildStatus::signal), Ok(Some(SIGKILL)));
    }

    fn signal_0_tests_the_process_and_sends_nothing(host) by "kernel/signal.c: pidfd_send_signal" {
        let child = child(host, ChildEnd::Signal)?;
        ensure_eq!(child.send_signal(0), Ok(()));
        ensure_eq!(child.try_wait(), Ok(None));
        kill(&child)?;
        ensure_eq!(child.send_signal(0), Err(Errno::ESRCH));
    }

    fn a_process_that_has_ended_takes_signals_until_it_is_reaped(host) by "kernel/signal.c: pidfd_send_signal" {
        let child = child(host, ChildEnd::Exit(5))?;
        ensure!(ended(&child)?);
        ensure_eq!(child.send_signal(SIGKILL), Ok(()));
        ensure_eq!(child.wait().map(ChildStatus::code), Ok(Some(5)));
        ensure_eq!(child.send_signal(SIGKILL), Err(Errno::ESRCH));
    }

    fn a_signal_that_is_none_is_einval(host) by "kernel/signal.c: pidfd_send_signal" {
        let this = PidFd::open(this_process()?)?;
        ensure_eq!(this.send_signal(-1), Err(Errno::EINVAL));
        ensure_eq!(this.send_signal(1000), Err(Errno::EINVAL));
    }

    fn a_number_that_is_no_process_is_an_error(host) by "kernel/pid.c: pidfd_open" {
        ensure_eq!(PidFd::open(0).err(), Some(Errno::EINVAL));
        ensure_eq!(PidFd::open(-1).err(), Some(Errno::EINVAL));
        ensure_eq!(PidFd::open(i32::MIN).err(), Some(Errno::EINVAL));
        ensure_eq!(PidFd::open(i32::MAX).err(), Some(Errno::ESRCH)); // above the kernel's limit
        let pid = number(host, ChildEnd::Exit(0))?;
        let child = PidFd::open(pid)?;
        child.wait()?;
        ensure_eq!(PidFd::open(pid).err(), Some(Errno::ESRCH));
    }

    fn a_second_wait_is_echild(host) {
        let child = child(host, ChildEnd::Exit(0))?;
        child.wait()?;
        ensure_eq!(child.wait(), Err(Errno::ECHILD));
        ensure_eq!(child.try_wait(), Err(Errno::ECHILD));
    }

    fn a_wait_for_a_process_that_is_no_child_is_echild(host) {
        let this = PidFd::open(this_process()?)?;
        ensure_eq!(this.wait(), Err(Errno::ECHILD));
        ensure_eq!(this.try_wait(), Err(Errno::ECHILD));
    }

    fn another_descriptor_taken_for_a_pidfd_is_ebadf(host) by "kernel/pid.c: pidfd_get_pid" {
        let other = PidFd::from(OwnedFd::from(counter(1)?));
        ensure_eq!(other.send_signal(0), Err(Errno::EBADF));
        ensure_eq!(other.wait(), Err(Errno::EBADF));
        ensure_eq!(other.try_wait(), Err(Errno::EBADF));
    }

    fn a_nonblocking_pidfd_does_not_wait(host) by "kernel/pid.c: pidfd_open" {
        let pid = number(host, ChildEnd::Signal)?;
        let plain = PidFd::open(pid)?;
        ensure!(!host.is_nonblocking(plain.as_fd())?);
        let nonblocking = PidFd::with_flags(pid, PidFdFlags::NONBLOCK);
        let is_nonblocking = match &nonblocking {
            Ok(child) => host.is_nonblocking(child.as_fd())? && host.is_close_on_exec(child.as_fd())?,
            Err(_) => false,
        };
        // Otherwise the wait would last until the child gives up.
        let child = nonblocking.as_ref().ok().filter(|_| is_nonblocking);
        let before = child.map(|child| (child.wait(), child.try_wait()));
        plain.send_signal(SIGKILL)?;
        ensure!(ended(&plain)?);
        ensure_eq!(child.unwrap_or(&plain).wait().map(ChildStatus::signal), Ok(Some(SIGKILL)));
        ensure_eq!(nonblocking.map(|_| is_nonblocking), Ok(true));
        ensure_eq!(before, Some((Err(Errno::EAGAIN), Ok(None))));
    }

    fn an_unknown_pidfd_flag_is_einval(host) by "kernel/pid.c: pidfd_open" {
        let flags = PidFdFlags::from_bits_retain(1 << 30);
        ensure_eq!(PidFd::with_flags(this_process()?, flags).err(), Some(Errno::EINVAL));
    }

    fn a_pidfd_is_closed_on_exec(host) by "kernel/pid.c: pidfd_open" {
        ensure!(host.is_close_on_exec(PidFd::open(this_process()?)?.as_fd())?);
    }

    fn a_dropped_pidfd_is_closed_and_its_process_lives(host) by "kernel/pid.c: pidfd_open" {
        let pid = number(host, ChildEnd::Signal)?;
        let first = PidFd::open(pid)?;
        let number = first.as_raw_fd();
        drop(first);
        ensure!(!is_open(number)?);
        let second = PidFd::open(pid)?;
        ensure_eq!(second.try_wait(), Ok(None));
        kill(&second)?;
    }

    fn waitid_takes_each_of_its_kinds(host) {
        for kind in [raw::P_PID, raw::P_PIDFD, raw::P_ALL] {
            let pid = number(host, ChildEnd::Exit(9))?;
            let pidfd = PidFd::open(pid)?;
            let id = if kind == raw::P_PIDFD { pidfd.as_raw_fd() } else { pid };
            let mut info = Siginfo::EMPTY;
            // SAFETY: `info` is valid for writes, and this check alone waits for children.
            unsafe { raw::waitid(kind, id, &mut info, raw::WEXITED | raw::WNOWAIT)? };
            let found = (info.pid(), info.code(), info.status());
            ensure_eq!(found, (pid, raw::CLD_EXITED as i32, 9));
            ensure!(info.signo() > 0);
            // SAFETY: `info` may be null. As above.
            ensure_eq!(unsafe { raw::waitid(kind, id, ptr::null_mut(), raw::WEXITED) }, Ok(()));
            ensure_eq!(pidfd.wait(), Err(Errno::ECHILD));
        }
    }

    fn waitid_without_an_end_to_report_writes_no_process(host) by "kernel/exit.c: do_wait" {
        let child = child(host, ChildEnd::Signal)?;
        let mut info = Siginfo::EMPTY;
        let options = raw::WEXITED | raw::WNOHANG;
        // SAFETY: `info` is valid for writes, and this check alone waits for the child.
        ensure_eq!(unsafe { raw::waitid(raw::P_PIDFD, child.as_raw_fd(), &mut info, options) }, Ok(()));
        ensure_eq!((info.signo(), info.pid(), info.code()), (0, 0, 0));
        kill(&child)?;
    }

    fn waitid_of_an_unknown_kind_or_without_options_is_einval(host) {
        let pid = this_process()?;
        // SAFETY: `info` may be null, and nothing is reaped.
        ensure_eq!(unsafe { raw::waitid(99, pid, ptr::null_mut(), raw::WEXITED) }, Err(Errno::EINVAL));
        // SAFETY: as above.
        ensure_eq!(unsafe { raw::waitid(raw::P_PID, pid, ptr::null_mut(), 0) }, Err(Errno::EINVAL));
    }
}
