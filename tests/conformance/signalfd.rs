//! The signalfd: which signals it reads, in which order, and what it says of them.

use super::{count, ready, unmapped_address, watching, with_blocked, NOTHING};
use super::{Outcome, SIGREALTIME};
use barepoll::fd::{AsFd, AsRawFd};
use barepoll::signo::{SIGALRM, SIGTERM};
use barepoll::{raw, syscall, Epoll, Errno, Event, EventFlags, SigSet, SignalFd, SignalFdFlags, SignalInfo};
use core::mem::size_of;
use core::time::Duration;
use linux_raw_sys::general::{__NR_getpid, __NR_kill, __NR_rt_sigqueueinfo};

/// The highest signal but one: 63, on MIPS 127. No other word of the set has its bit.
const HIGH: i32 = size_of::<SigSet>() as i32 * 8 - 1;

fn nonblocking(signals: &[i32]) -> Result<SignalFd, Errno> {
    SignalFd::new(&SigSet::from_signals(signals)?, SignalFdFlags::CLOEXEC | SignalFdFlags::NONBLOCK)
}

/// A read takes these signals, in this order.
#[track_caller]
fn takes(signalfd: &SignalFd, expected: &[i32]) -> Outcome {
    let mut buffer = SignalInfo::buffer::<8>();
    let found = signalfd.read(&mut buffer)?;
    ensure!(found.iter().map(SignalInfo::signal).eq(expected.iter().copied()));
    Ok(())
}

/// No signal of the set is pending.
#[track_caller]
fn takes_nothing(signalfd: &SignalFd) -> Outcome {
    ensure_eq!(signalfd.read(&mut SignalInfo::buffer::<8>()).err(), Some(Errno::EAGAIN));
    Ok(())
}

/// The number of this process.
fn process() -> Result<i32, Errno> {
    // SAFETY: the call takes no pointer.
    unsafe { syscall!(__NR_getpid) }.map(|process| process as i32)
}

checks! { by "fs/signalfd.c: signalfd_dequeue";
    fn a_blocked_signal_is_read_and_is_then_no_longer_pending(host) {
        let caught = host.caught();
        with_blocked(host, &[SIGTERM], |host| {
            let signalfd = nonblocking(&[SIGTERM])?;
            takes_nothing(&signalfd)?;
            host.raise(SIGTERM)?;
            takes(&signalfd, &[SIGTERM])?;
            takes_nothing(&signalfd)
        })?;
        ensure_eq!(host.caught(), caught);
    }

    fn one_read_takes_every_pending_signal_from_the_lowest(host) by "fs/signalfd.c: signalfd_read_iter" {
        with_blocked(host, &[SIGALRM, SIGTERM, SIGREALTIME], |host| {
            let signalfd = nonblocking(&[SIGALRM, SIGTERM, SIGREALTIME])?;
            for signal in [SIGREALTIME, SIGTERM, SIGALRM] {
                host.raise(signal)?;
            }
            takes(&signalfd, &[SIGALRM, SIGTERM, SIGREALTIME])?;
            takes_nothing(&signalfd)
        })?;
    }

    fn a_buffer_of_one_takes_one_signal(host) by "fs/signalfd.c: signalfd_read_iter" {
        with_blocked(host, &[SIGALRM, SIGTERM], |host| {
            let signalfd = nonblocking(&[SIGALRM, SIGTERM])?;
            host.raise(SIGTERM)?;
            host.raise(SIGALRM)?;
            for signal in [SIGALRM, SIGTERM] {
                let mut buffer = SignalInfo::buffer::<1>();
                let found = signalfd.read(&mut buffer)?;
                ensure!(found.iter().map(SignalInfo::signal).eq([signal]));
            }
            takes_nothing(&signalfd)
        })?;
    }

    fn an_empty_buffer_is_einval_and_takes_nothing(host) by "fs/signalfd.c: signalfd_read_iter" {
        with_blocked(host, &[SIGTERM], |host| {
            let signalfd = nonblocking(&[SIGTERM])?;
            ensure_eq!(signalfd.read(&mut []).err(), Some(Errno::EINVAL));
            host.raise(SIGTERM)?;
            ensure_eq!(signalfd.read(&mut []).err(), Some(Errno::EINVAL));
            takes(&signalfd, &[SIGTERM])
        })?;
    }

    fn a_standard_signal_is_pending_once_and_a_real_time_signal_queues(host) by "kernel/signal.c: __send_signal_locked" {
        with_blocked(host, &[SIGTERM, SIGREALTIME], |host| {
            let signalfd = nonblocking(&[SIGTERM, SIGREALTIME])?;
            for _ in 0..3 {
                host.raise(SIGTERM)?;
                host.raise(SIGREALTIME)?;
            }
            takes(&signalfd, &[SIGTERM, SIGREALTIME, SIGREALTIME, SIGREALTIME])
        })?;
    }

    fn a_signal_that_is_not_in_the_set_stays_pending(host) by "fs/signalfd.c: do_signalfd4" {
        let caught = host.caught();
        with_blocked(host, &[SIGALRM, SIGTERM], |host| {
            let signalfd = nonblocking(&[SIGTERM])?;
            host.raise(SIGALRM)?;
            takes_nothing(&signalfd)?;
            host.raise(SIGTERM)?;
            takes(&signalfd, &[SIGTERM])
        })?;
        ensure_eq!(host.caught(), caught + 1);
    }

    fn a_signal_above_32_is_read_by_its_own_bit(host) by "fs/signalfd.c: do_signalfd4" {
        with_blocked(host, &[SIGREALTIME], |host| {
            host.raise(SIGREALTIME)?;
            takes_nothing(&nonblocking(&[SIGREALTIME - 32])?)?;
            takes(&nonblocking(&[SIGREALTIME])?, &[SIGREALTIME])
        })?;
    }

    fn one_of_the_highest_signals_is_read(host) by "fs/signalfd.c: do_signalfd4" {
        with_blocked(host, &[HIGH], |host| {
            host.raise(HIGH)?;
            takes(&nonblocking(&[HIGH])?, &[HIGH])
        })?;
    }

    fn a_changed_set_is_of_the_new_signals_alone(host) by "fs/signalfd.c: do_signalfd4" {
        let caught = host.caught();
        with_blocked(host, &[SIGALRM, SIGTERM], |host| {
            let signalfd = nonblocking(&[SIGALRM])?;
            host.raise(SIGALRM)?;
            host.raise(SIGTERM)?;
            signalfd.set(&SigSet::from_signals(&[SIGTERM])?)?;
            takes(&signalfd, &[SIGTERM])?;
            takes_nothing(&signalfd)
        })?;
        ensure_eq!(host.caught(), caught + 1);
    }

    fn an_epoll_reports_a_signalfd_while_a_signal_is_pending(host) by "fs/signalfd.c: signalfd_poll" {
        with_blocked(host, &[SIGTERM], |host| {
            let signalfd = nonblocking(&[SIGTERM])?;
            let epoll = watching(&signalfd, EventFlags::IN)?;
            ensure_eq!(ready(&epoll)?, NOTHING);
            host.raise(SIGTERM)?;
            for _ in 0..2 {
                ensure_eq!(ready(&epoll)?, [(1, EventFlags::IN)]);
            }
            takes(&signalfd, &[SIGTERM])?;
            ensure_eq!(ready(&epoll)?, NOTHING);
            Ok(())
        })?;
    }

    fn an_edge_triggered_epoll_reports_each_new_signal_once(host) by "fs/signalfd.c: signalfd_poll" {
        with_blocked(host, &[SIGALRM, SIGTERM], |host| {
            let signalfd = nonblocking(&[SIGALRM, SIGTERM])?;
            let epoll = watching(&signalfd, EventFlags::IN | EventFlags::ET)?;
            for signal in [SIGALRM, SIGTERM] {
                host.raise(signal)?;
                ensure_eq!(ready(&epoll)?, [(1, EventFlags::IN)]);
                ensure_eq!(ready(&epoll)?, NOTHING);
            }
            takes(&signalfd, &[SIGALRM, SIGTERM])
        })?;
    }

    fn an_epoll_learns_that_a_changed_set_has_a_pending_signal(host) by "fs/signalfd.c: signalfd_poll" {
        with_blocked(host, &[SIGTERM], |host| {
            let signalfd = nonblocking(&[SIGALRM])?;
            let epoll = watching(&signalfd, EventFlags::IN)?;
            host.raise(SIGTERM)?;
            ensure_eq!(ready(&epoll)?, NOTHING);
            signalfd.set(&SigSet::from_signals(&[SIGTERM])?)?;
            ensure_eq!(ready(&epoll)?, [(1, EventFlags::IN)]);
            takes(&signalfd, &[SIGTERM])
        })?;
    }

    fn a_wait_on_a_signalfd_is_not_interrupted_by_its_signal(host) by "kernel/signal.c: wants_signal" {
        with_blocked(host, &[SIGTERM], |host| {
            let signalfd = nonblocking(&[SIGTERM])?;
            let epoll = watching(&signalfd, EventFlags::IN)?;
            host.beside(
                &|other| {
                    other.sleep(Duration::from_millis(20));
                    other.signal(SIGTERM);
                },
                &mut |_| {
                    ensure_eq!(count(epoll.wait(&mut Event::buffer::<2>(), None)), Ok(1));
                    takes(&signalfd, &[SIGTERM])
                },
            )
        })?;
    }

    fn a_blocking_read_waits_for_a_signal(host) {
        with_blocked(host, &[SIGTERM], |host| {
            let signalfd = SignalFd::new(&SigSet::from_signals(&[SIGTERM])?, SignalFdFlags::CLOEXEC)?;
            host.beside(
                &|other| {
                    other.sleep(Duration::from_millis(20));
                    other.signal(SIGTERM);
                },
                &mut |_| takes(&signalfd, &[SIGTERM]),
            )
        })?;
    }

    fn dropping_a_signalfd_leaves_its_signals_blocked_and_pending(host) by "kernel/signal.c: __send_signal_locked" {
        let caught = host.caught();
        with_blocked(host, &[SIGTERM], |host| {
            let signalfd = nonblocking(&[SIGTERM])?;
            host.raise(SIGTERM)?;
            let before = host.caught();
            drop(signalfd);
            ensure_eq!(host.caught(), before);
            ensure!(SigSet::thread_mask()?.contains(SIGTERM));
            Ok(())
        })?;
        ensure_eq!(host.caught(), caught + 1);
    }

    fn an_info_names_the_process_that_sent_its_signal(host) by "fs/signalfd.c: signalfd_copyinfo" {
        with_blocked(host, &[SIGTERM], |host| {
            let signalfd = nonblocking(&[SIGTERM])?;
            // SAFETY: the call takes no pointer.
            unsafe { syscall!(__NR_kill, process()?, SIGTERM)? };
            let mut buffer = SignalInfo::buffer::<2>();
            let found = signalfd.read(&mut buffer)?;
            ensure!(found.iter().map(|info| (info.signal(), info.code(), info.errno())).eq([(SIGTERM, 0, 0)])); // SI_USER
            ensure!(found.iter().map(SignalInfo::sender_pid).eq([process()?]));

            host.raise(SIGTERM)?;
            let found = signalfd.read(&mut buffer)?;
            ensure!(found.iter().map(|info| (info.code(), info.sender_pid())).eq([(-6, process()?)])); // SI_TKILL
            Ok(())
        })?;
    }

    fn an_info_has_the_value_that_was_sent_with_its_signal(host) by "fs/signalfd.c: signalfd_copyinfo" {
        const SI_QUEUE: i32 = -1;
        /// Each half of a 64-bit value is the same number, because the kernel's integer is one of the
        /// halves.
        const VALUES: [usize; 2] = [usize::MAX / 0xffff_ffff * 0x1234_5678, usize::MAX / 0xffff_ffff * 0xfedc_ba98];
        /// The kernel's `siginfo_t` of such a signal.
        #[repr(C)]
        struct Sent {
            signal: i32,
            /// First the error and then the code, on MIPS the other way around.
            error_and_code: [i32; 2],
            #[cfg(target_pointer_width = "64")]
            padding: i32,
            pid: i32,
            uid: u32,
            value: usize,
            rest: [usize; 16],
        }
        with_blocked(host, &[SIGREALTIME], |_| {
            let signalfd = nonblocking(&[SIGREALTIME])?;
            let is_mips = size_of::<SigSet>() == 16;
            for value in VALUES {
                let sent = Sent {
                    signal: SIGREALTIME,
                    error_and_code: if is_mips { [SI_QUEUE, 0] } else { [0, SI_QUEUE] },
                    #[cfg(target_pointer_width = "64")]
                    padding: 0,
                    pid: 1234,
                    uid: 56_789,
                    value,
                    rest: [0; 16],
                };
                // SAFETY: `sent` is at least as large as the kernel's 128 bytes, which it only reads.
                unsafe { syscall!(__NR_rt_sigqueueinfo, process()?, SIGREALTIME, &sent as *const Sent)? };
            }
            let mut buffer = SignalInfo::buffer::<4>();
            let found = signalfd.read(&mut buffer)?;
            ensure!(found.iter().map(SignalInfo::value_ptr).eq(VALUES));
            for info in found {
                ensure_eq!((info.code(), info.sender_pid(), info.sender_uid()), (SI_QUEUE, 1234, 56_789));
                ensure_eq!(info.value_int(), info.value_ptr() as i32);
                ensure_eq!((info.child_status(), info.fd(), info.timer_id()), (0, 0, 0));
            }
            Ok(())
        })?;
    }

    fn a_signalfd_takes_each_of_its_flags_and_no_other(host) by "fs/signalfd.c: do_signalfd4" {
        let set = SigSet::from_signals(&[SIGTERM])?;
        ensure!(host.is_close_on_exec(SignalFd::new(&set, SignalFdFlags::CLOEXEC)?.as_fd())?);
        ensure!(!host.is_close_on_exec(SignalFd::new(&set, SignalFdFlags::NONBLOCK)?.as_fd())?);
        for bit in 0..32 {
            let flag = SignalFdFlags::from_bits_retain(1 << bit);
            let is_known = [SignalFdFlags::CLOEXEC, SignalFdFlags::NONBLOCK].contains(&flag);
            ensure_eq!(SignalFd::new(&set, flag).err(), if is_known { None } else { Some(Errno::EINVAL) });
        }
    }

    fn another_descriptor_taken_for_a_signalfd_gives_errors(host) by "fs/signalfd.c: do_signalfd4" {
        let epoll = SignalFd::from(barepoll::fd::OwnedFd::from(Epoll::new()?));
        ensure_eq!(epoll.set(&SigSet::empty()), Err(Errno::EINVAL));
        ensure_eq!(epoll.read(&mut SignalInfo::buffer::<1>()).err(), Some(Errno::EINVAL));
        let (reader, writer) = host.pipe()?;
        // SAFETY: the literal has three bytes.
        ensure_eq!(unsafe { raw::write(writer.as_raw_fd(), b"abc".as_ptr(), 3) }, Ok(3));
        ensure_eq!(SignalFd::from(reader).read(&mut SignalInfo::buffer::<1>()).err(), Some(Errno::EINVAL));
    }

    fn signalfd4_changes_a_descriptor_and_returns_it(host) by "fs/signalfd.c: do_signalfd4" {
        with_blocked(host, &[SIGTERM], |host| {
            let (signalfd, set) = (nonblocking(&[])?, SigSet::from_signals(&[SIGTERM])?);
            // SAFETY: the set outlives the call.
            let answer = unsafe { raw::signalfd4(signalfd.as_raw_fd(), &set, 0) };
            ensure_eq!(answer, Ok(signalfd.as_raw_fd()));
            host.raise(SIGTERM)?;
            takes(&signalfd, &[SIGTERM])
        })?;
        // SAFETY: the kernel reads the set only.
        let answer = unsafe { raw::signalfd4(super::closed_number()?, &SigSet::empty(), 0) };
        ensure_eq!(answer, Err(Errno::EBADF));
    }

    fn a_signalfd_of_a_set_at_a_bad_address_is_an_error(host) by "fs/signalfd.c: signalfd4" {
        // SAFETY: the kernel checks the address.
        let answer = unsafe { raw::signalfd4(-1, unmapped_address(), 0) };
        if answer != Err(Errno::EINVAL) {
            ensure_eq!(answer, Err(Errno::EFAULT)); // EINVAL before Linux 4.18
        }
    }

    fn the_kernel_leaves_kill_and_stop_out_of_a_full_signalfd(host) by "fs/signalfd.c: do_signalfd4" {
        with_blocked(host, &[SIGTERM], |host| {
            let flags = SignalFdFlags::CLOEXEC | SignalFdFlags::NONBLOCK;
            let signalfd = SignalFd::new(&SigSet::full(), flags)?;
            takes_nothing(&signalfd)?;
            host.raise(SIGTERM)?;
            takes(&signalfd, &[SIGTERM])
        })?;
    }
}
