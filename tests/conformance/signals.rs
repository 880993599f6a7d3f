//! Signals: which calls they interrupt, which a mask admits, which waits resume.

use super::{beside_many, count, counter, keep_signalling, unmapped_address, until, watching, with_blocked};
use super::{Failure, Host, Other, Outcome, LONG, SIGREALTIME};
use barepoll::signo::{SIGALRM, SIGKILL, SIGSTOP, SIGTERM};
use barepoll::{raw, Deadline, Epoll, Errno, Event, EventFd, EventFdFlags, EventFlags};
use barepoll::{SigSet, SignalFd, SignalFdFlags, SignalInfo};
use core::mem::MaybeUninit;
use core::time::Duration;

/// The highest signal that every emulator has.
const COMMON: i32 = 56;

const FINE: Duration = Duration::from_nanos(LONG.as_nanos() as u64 + 1);

/// A mask of every signal except these.
fn all_but(signals: &[i32]) -> Result<SigSet, Errno> {
    let mut set = SigSet::full();
    for &signal in signals {
        set.remove(signal)?;
    }
    Ok(set)
}

/// A mask of these signals only.
fn only(signals: &[i32]) -> Result<SigSet, Errno> {
    let mut set = SigSet::empty();
    for &signal in signals {
        set.insert(signal)?;
    }
    Ok(set)
}

/// Runs the check, then restores the thread's mask whatever its result.
fn with_mask_restored(host: &mut dyn Host, check: fn(&mut dyn Host) -> Outcome) -> Outcome {
    let before = SigSet::thread_mask()?;
    let outcome = check(host);
    before.set_thread_mask()?;
    outcome
}

/// Makes the signal the only one in the mask. False if the kernel then says that the mask is empty.
fn is_blocked_alone(signal: i32) -> Result<bool, Failure> {
    only(&[signal])?.set_thread_mask()?;
    let mask = SigSet::thread_mask()?;
    ensure!(mask.is_empty() || mask.iter().eq([signal]));
    Ok(!mask.is_empty())
}

/// A masked wait on an epoll that watches nothing.
fn masked(timeout: Option<Duration>, mask: &SigSet) -> Result<usize, Errno> {
    count(Epoll::new()?.wait_masked(&mut Event::buffer::<2>(), timeout, mask))
}

/// A masked wait that a pending signal would end early.
fn short(mask: &SigSet) -> Result<usize, Errno> {
    masked(Some(Duration::from_millis(15)), mask)
}

/// Runs this while signals keep coming. It must end before they do: a wait that restarts its
/// timeout after each signal would not.
fn while_signalled(host: &mut dyn Host, here: &mut dyn FnMut(&mut dyn Host) -> Outcome) -> Outcome {
    host.catch(SIGALRM)?;
    let (done, gave_up) = (counter(0)?, counter(0)?);
    host.beside(&|other| keep_signalling(other, SIGALRM, &done, &gave_up), &mut |host| {
        let outcome = here(host);
        done.write(1)?;
        outcome
    })?;
    ensure_eq!(gave_up.read(), Err(Errno::EAGAIN));
    Ok(())
}

/// A caught signal ends this call with `EINTR`.
fn is_interrupted(host: &mut dyn Host, call: &dyn Fn() -> Result<(), Errno>) -> Outcome {
    while_signalled(host, &mut |host| {
        // Stopping and continuing the process also interrupts the call, but is not caught.
        until(host, &mut |host| {
            let caught = host.caught();
            ensure_eq!(call(), Err(Errno::EINTR));
            Ok(host.caught() > caught)
        })
    })
}

/// An uninterrupted wait lasts its full timeout, and ends while signals still come. Repeats until
/// `times` waits met a signal.
fn goes_on(host: &mut dyn Host, timeout: Duration, times: u32) -> Outcome {
    while_signalled(host, &mut |host| {
        let epoll = Epoll::new()?;
        let mut interrupted = 0;
        until(host, &mut |host| {
            let (caught, start) = (host.caught(), host.now());
            let answer = count(epoll.wait_uninterrupted(&mut Event::buffer::<2>(), Some(timeout)));
            let took = host.now() - start;
            ensure_eq!(answer, Ok(0));
            ensure!(took >= timeout);
            interrupted += u32::from(host.caught() != caught);
            Ok(interrupted == times)
        })
    })
}

/// A wait into this buffer.
type Wait<'w> = dyn Fn(&Epoll, &mut [MaybeUninit<Event>]) -> Result<usize, Errno> + 'w;

/// This wait goes on through signals until its event comes. Repeats if it met no signal.
fn goes_on_until_an_event(host: &mut dyn Host, wait: &Wait<'_>) -> Outcome {
    host.catch(SIGALRM)?;
    until(host, &mut |host| {
        let eventfd = counter(0)?;
        let epoll = watching(&eventfd, EventFlags::IN)?;
        let mut is_met = false;
        host.beside(
            &|other| {
                for _ in 0..4 {
                    other.sleep(Duration::from_millis(10));
                    other.signal(SIGALRM);
                }
                let _ = eventfd.write(1);
            },
            &mut |host| {
                let caught = host.caught();
                ensure_eq!(wait(&epoll, &mut Event::buffer::<2>()), Ok(1));
                host.block(SIGALRM, false)?; // a no-op, but qemu-user 7.2 delivers only on setting a mask
                is_met = host.caught() > caught;
                Ok(())
            },
        )?;
        Ok(is_met)
    })
}

checks! { by "fs/eventpoll.c: do_epoll_pwait";
    fn a_signal_interrupts_a_wait_with_a_timeout_and_without(host) by "fs/eventpoll.c: ep_poll" {
        let epoll = Epoll::new()?;
        is_interrupted(host, &|| epoll.wait(&mut Event::buffer::<2>(), Some(LONG)).map(drop))?;
        let epoll = Epoll::new()?;
        is_interrupted(host, &|| epoll.wait(&mut Event::buffer::<2>(), None).map(drop))?;
    }

    fn a_signal_interrupts_a_fine_wait(host) by "fs/eventpoll.c: ep_poll" {
        let epoll = Epoll::new()?;
        is_interrupted(host, &|| epoll.wait(&mut Event::buffer::<2>(), Some(FINE)).map(drop))?;
    }

    fn a_signal_interrupts_a_wait_until_a_moment(host) by "fs/eventpoll.c: ep_poll" {
        let epoll = Epoll::new()?;
        let deadline = Deadline::after(LONG)?;
        is_interrupted(host, &|| epoll.wait_until(&mut Event::buffer::<2>(), Some(deadline)).map(drop))?;
        is_interrupted(host, &|| epoll.wait_until(&mut Event::buffer::<2>(), None).map(drop))?;
    }

    fn a_signal_interrupts_a_masked_wait_that_does_not_mask_it(host) {
        is_interrupted(host, &|| masked(Some(LONG), &SigSet::empty()).map(drop))?;
        is_interrupted(host, &|| masked(Some(FINE), &only(&[SIGTERM])?).map(drop))?;
        is_interrupted(host, &|| masked(None, &only(&[SIGTERM])?).map(drop))?;
    }

    fn an_interrupted_epoll_goes_on_working(host) by "fs/eventpoll.c: ep_poll" {
        let eventfd = counter(0)?;
        let epoll = watching(&eventfd, EventFlags::IN)?;
        is_interrupted(host, &|| epoll.wait(&mut Event::buffer::<2>(), Some(LONG)).map(drop))?;
        eventfd.write(1)?;
        ensure_eq!(super::ready(&epoll)?, [(1, EventFlags::IN)]);
    }

    fn a_signal_interrupts_a_read_of_a_zero_counter(host) by "fs/eventfd.c: eventfd_read" {
        let eventfd = EventFd::new(0, EventFdFlags::CLOEXEC)?;
        is_interrupted(host, &|| eventfd.read().map(drop))?;
        ensure_eq!(eventfd.write(1), Ok(()));
        ensure_eq!(eventfd.read(), Ok(1));
    }

    fn a_signal_interrupts_a_write_to_a_full_counter(host) by "fs/eventfd.c: eventfd_write" {
        let eventfd = EventFd::new(0, EventFdFlags::CLOEXEC)?;
        eventfd.write(u64::MAX - 1)?;
        is_interrupted(host, &|| eventfd.write(1))?;
        ensure_eq!(eventfd.read(), Ok(u64::MAX - 1));
    }

    fn a_blocked_signal_does_not_interrupt_a_wait(host) by "fs/eventpoll.c: ep_poll" {
        with_blocked(host, &[SIGTERM], |host| {
            let caught = host.caught();
            host.raise(SIGTERM)?;
            let answer = count(Epoll::new()?.wait(&mut Event::buffer::<2>(), Some(Duration::from_millis(15))));
            ensure_eq!(answer, Ok(0));
            ensure_eq!(host.caught(), caught);
            Ok(())
        })?;
    }

    fn a_signal_that_was_blocked_arrives_once_it_is_not(host) by "kernel/signal.c: recalc_sigpending" {
        let caught = host.caught();
        with_blocked(host, &[SIGTERM], |host| Ok(host.raise(SIGTERM)?))?;
        ensure_eq!(host.caught(), caught + 1);
    }

    fn an_empty_mask_lets_a_pending_signal_through(host) by "kernel/signal.c: set_user_sigmask" {
        with_blocked(host, &[SIGTERM], |host| {
            for timeout in [Some(LONG), Some(FINE), None] {
                let caught = host.caught();
                host.raise(SIGTERM)?;
                ensure_eq!(masked(timeout, &SigSet::empty()), Err(Errno::EINTR));
                ensure_eq!(host.caught(), caught + 1);
            }
            Ok(())
        })?;
    }

    fn a_pending_signal_stays_pending_where_a_masked_wait_need_not_sleep(host) by "fs/eventpoll.c: ep_poll" {
        with_blocked(host, &[SIGTERM], |host| {
            let eventfd = counter(1)?;
            let epoll = watching(&eventfd, EventFlags::IN)?;
            let caught = host.caught();
            host.raise(SIGTERM)?;
            ensure_eq!(masked(Some(Duration::ZERO), &SigSet::empty()), Ok(0));
            for timeout in [Some(Duration::ZERO), Some(LONG), Some(FINE), None] {
                let mut buffer = Event::buffer::<2>();
                ensure_eq!(count(epoll.wait_masked(&mut buffer, timeout, &SigSet::empty())), Ok(1));
            }
            ensure_eq!(host.caught(), caught);
            ensure_eq!(masked(Some(LONG), &SigSet::empty()), Err(Errno::EINTR));
            ensure_eq!(host.caught(), caught + 1);
            Ok(())
        })?;
    }

    fn a_full_mask_lets_no_pending_signal_through(host) by "kernel/signal.c: set_user_sigmask" {
        with_blocked(host, &[SIGTERM, SIGREALTIME], |host| {
            let caught = host.caught();
            host.raise(SIGTERM)?;
            host.raise(SIGREALTIME)?;
            for timeout in [Duration::from_millis(15), Duration::from_micros(15_500)] {
                let start = host.now();
                ensure_eq!(masked(Some(timeout), &SigSet::full()), Ok(0));
                ensure!(host.now() - start >= timeout);
            }
            ensure_eq!(host.caught(), caught);
            Ok(())
        })?;
    }

    fn a_full_mask_holds_signals_back_until_the_wait_is_over(host) by "kernel/signal.c: set_user_sigmask" {
        while_signalled(host, &mut |host| {
            // A signal comes every 20 ms, so one of these waits meets one. It must still last its
            // full timeout.
            until(host, &mut |host| {
                let (caught, start) = (host.caught(), host.now());
                ensure_eq!(masked(Some(Duration::from_millis(60)), &SigSet::full()), Ok(0));
                ensure!(host.now() - start >= Duration::from_millis(60));
                host.block(SIGALRM, false)?; // a no-op, but qemu-user 7.2 delivers only on setting a mask
                Ok(host.caught() > caught)
            })
        })?;
    }

    fn a_mask_is_of_those_signals_that_are_in_it(host) by "kernel/signal.c: set_user_sigmask" {
        with_blocked(host, &[SIGALRM, SIGTERM], |host| {
            let caught = host.caught();
            host.raise(SIGTERM)?;
            ensure_eq!(short(&only(&[SIGTERM])?), Ok(0));
            ensure_eq!(short(&all_but(&[SIGALRM])?), Ok(0));
            ensure_eq!(host.caught(), caught);
            host.raise(SIGALRM)?;
            ensure_eq!(masked(Some(LONG), &all_but(&[SIGALRM])?), Err(Errno::EINTR));
            ensure_eq!(host.caught(), caught + 1);
            ensure_eq!(masked(Some(LONG), &all_but(&[SIGTERM])?), Err(Errno::EINTR));
            ensure_eq!(host.caught(), caught + 2);
            Ok(())
        })?;
    }

    fn a_signal_above_32_is_masked_by_its_own_bit(host) by "kernel/signal.c: set_user_sigmask" {
        with_blocked(host, &[SIGREALTIME], |host| {
            let caught = host.caught();
            host.raise(SIGREALTIME)?;
            // The same bit in the other word, which a set with the wrong word order would use.
            ensure_eq!(short(&all_but(&[SIGREALTIME - 32])?), Ok(0));
            ensure_eq!(short(&only(&[SIGREALTIME])?), Ok(0));
            ensure_eq!(host.caught(), caught);
            ensure_eq!(masked(Some(LONG), &all_but(&[SIGREALTIME])?), Err(Errno::EINTR));
            ensure_eq!(host.caught(), caught + 1);
            Ok(())
        })?;
    }

    fn a_fine_wait_masks_a_signal_above_32_by_its_own_bit(host) by "kernel/signal.c: set_user_sigmask" {
        with_blocked(host, &[SIGREALTIME], |host| {
            host.raise(SIGREALTIME)?;
            let fine = Some(Duration::from_micros(9_500));
            ensure_eq!(masked(fine, &all_but(&[SIGREALTIME - 32])?), Ok(0));
            ensure_eq!(masked(Some(FINE), &all_but(&[SIGREALTIME])?), Err(Errno::EINTR));
            Ok(())
        })?;
    }

    fn a_mask_of_a_signal_above_32_masks_none_below(host) by "kernel/signal.c: set_user_sigmask" {
        with_blocked(host, &[SIGTERM], |host| {
            host.raise(SIGTERM)?;
            ensure_eq!(masked(Some(LONG), &only(&[SIGTERM + 32])?), Err(Errno::EINTR));
            Ok(())
        })?;
    }

    fn a_signal_between_a_loops_check_and_its_masked_wait_is_not_lost(host) {
        host.catch(SIGTERM)?;
        with_mask_restored(host, |host| {
            let mask = SigSet::from_signals(&[SIGTERM])?.block()?;
            for timeout in [None, Some(LONG), Some(FINE)] {
                let caught = host.caught();
                ensure_eq!(host.caught(), caught); // the loop's check: the flag is not set
                host.raise(SIGTERM)?;
                ensure_eq!(host.caught(), caught);
                ensure_eq!(masked(timeout, &mask), Err(Errno::EINTR));
                ensure_eq!(host.caught(), caught + 1);
            }
            Ok(())
        })?;
    }

    fn blocking_adds_to_the_mask_and_unblocking_removes_from_it(host) by "kernel/signal.c: sigprocmask" {
        with_mask_restored(host, |_| {
            let (one, both) = (only(&[SIGTERM])?, only(&[SIGTERM, SIGREALTIME])?);
            both.unblock()?;
            let free = SigSet::thread_mask()?;
            ensure!(free.intersection(both).is_empty());
            ensure_eq!(one.block(), Ok(free));
            ensure_eq!(SigSet::thread_mask(), Ok(free | one));
            ensure_eq!(both.block(), Ok(free | one));
            ensure_eq!(one.unblock(), Ok(free | both));
            ensure_eq!(SigSet::thread_mask(), Ok((free | both) - one));
            ensure_eq!(free.set_thread_mask(), Ok((free | both) - one));
            ensure_eq!(SigSet::thread_mask(), Ok(free));
            Ok(())
        })?;
    }

    fn each_common_signal_but_two_is_blocked_by_its_own_bit(host) by "kernel/signal.c: sigprocmask" {
        with_mask_restored(host, |_| {
            let mut ignored = SigSet::empty();
            for signal in 1..=COMMON {
                if !is_blocked_alone(signal)? {
                    ignored.insert(signal)?;
                }
            }
            ensure_eq!(ignored, only(&[SIGKILL, SIGSTOP])?);
            Ok(())
        })?;
    }

    fn each_high_signal_is_blocked_by_its_own_bit(host) by "kernel/signal.c: sigprocmask" {
        with_mask_restored(host, |_| {
            for signal in SigSet::full().iter().skip(COMMON as usize) {
                ensure!(is_blocked_alone(signal)?);
            }
            Ok(())
        })?;
    }

    fn a_full_set_blocks_all_but_kill_and_stop(host) by "kernel/signal.c: rt_sigprocmask" {
        with_mask_restored(host, |_| {
            SigSet::full().set_thread_mask()?;
            let free = (1..=COMMON).collect::<SigSet>() - SigSet::thread_mask()?;
            ensure_eq!(free, only(&[SIGKILL, SIGSTOP])?);
            Ok(())
        })?;
    }

    fn a_pending_signals_handler_runs_before_unblocking_it_returns(host) by "kernel/signal.c: recalc_sigpending" {
        host.catch(SIGTERM)?;
        with_mask_restored(host, |host| {
            let set = only(&[SIGTERM])?;
            set.block()?;
            let caught = host.caught();
            host.raise(SIGTERM)?;
            ensure_eq!(host.caught(), caught);
            set.unblock()?;
            ensure_eq!(host.caught(), caught + 1);
            Ok(())
        })?;
    }

    fn rt_sigprocmask_returns_the_kernels_errors(host) by "kernel/signal.c: rt_sigprocmask" {
        with_mask_restored(host, |_| {
            let (set, mut old) = (SigSet::empty(), SigSet::empty());
            // SAFETY: the sets outlive the calls.
            unsafe {
                ensure_eq!(raw::rt_sigprocmask(77, &set, &mut old), Err(Errno::EINVAL));
                ensure_eq!(raw::rt_sigprocmask(77, core::ptr::null(), &mut old), Ok(()));
                ensure_eq!(old, SigSet::thread_mask()?);
                ensure_eq!(raw::rt_sigprocmask(raw::SIG_BLOCK, &set, core::ptr::null_mut()), Ok(()));
            }
            Ok(())
        })?;
    }

    fn rt_sigprocmask_of_a_set_at_a_bad_address_is_efault(host) by "kernel/signal.c: rt_sigprocmask" {
        with_mask_restored(host, |_| {
            let (set, mut old) = (SigSet::empty(), SigSet::empty());
            // SAFETY: the kernel checks the address. The other set outlives the call.
            let bad = unsafe {
                [
                    raw::rt_sigprocmask(raw::SIG_BLOCK, unmapped_address(), &mut old),
                    raw::rt_sigprocmask(raw::SIG_BLOCK, &set, unmapped_address()),
                ]
            };
            ensure_eq!(bad, [Err(Errno::EFAULT); 2]);
            Ok(())
        })?;
    }

    fn a_signal_interrupts_a_read_of_a_signalfd_of_others(host) by "fs/signalfd.c: signalfd_dequeue" {
        let signalfd = SignalFd::new(&only(&[SIGTERM])?, SignalFdFlags::CLOEXEC)?;
        is_interrupted(host, &|| signalfd.read(&mut SignalInfo::buffer::<1>()).map(drop))?;
    }

    fn the_mask_of_before_is_back_after_an_interruption(host) by "include/linux/sched/signal.h: restore_saved_sigmask_unless" {
        with_blocked(host, &[SIGTERM], |host| {
            host.raise(SIGTERM)?;
            ensure_eq!(masked(Some(LONG), &SigSet::empty()), Err(Errno::EINTR));
            let caught = host.caught();
            host.raise(SIGTERM)?;
            ensure_eq!(host.caught(), caught);
            Ok(())
        })?;
    }

    fn the_mask_of_before_is_back_after_an_event_and_after_a_timeout(host) by "include/linux/sched/signal.h: restore_saved_sigmask_unless" {
        with_blocked(host, &[SIGTERM], |host| {
            let eventfd = counter(1)?;
            let epoll = watching(&eventfd, EventFlags::IN)?;
            for timeout in [Duration::from_millis(1), Duration::from_micros(1)] {
                let mut buffer = Event::buffer::<2>();
                ensure_eq!(count(epoll.wait_masked(&mut buffer, Some(timeout), &SigSet::empty())), Ok(1));
                ensure_eq!(masked(Some(timeout), &SigSet::empty()), Ok(0));
            }
            let caught = host.caught();
            host.raise(SIGTERM)?;
            ensure_eq!(host.caught(), caught);
            Ok(())
        })?;
    }

    fn a_full_mask_is_gone_after_the_wait(host) by "include/linux/sched/signal.h: restore_saved_sigmask_unless" {
        host.catch(SIGTERM)?;
        ensure_eq!(short(&SigSet::full()), Ok(0));
        let caught = host.caught();
        host.raise(SIGTERM)?;
        ensure_eq!(host.caught(), caught + 1);
    }

    fn an_uninterrupted_wait_of_whole_milliseconds_goes_on_after_a_signal_and_ends_on_time(host) by "src/epoll.rs: wait_uninterrupted" {
        goes_on(host, Duration::from_millis(45), 4)?;
        goes_on(host, Duration::from_millis(300), 1)?;
    }

    fn a_fine_uninterrupted_wait_goes_on_after_a_signal_and_ends_on_time(host) by "src/epoll.rs: wait_uninterrupted" {
        goes_on(host, Duration::from_micros(45_300), 4)?;
        goes_on(host, Duration::from_micros(300_700), 1)?;
    }

    fn an_uninterrupted_wait_without_a_timeout_goes_on_until_an_event(host) by "src/epoll.rs: wait_uninterrupted" {
        goes_on_until_an_event(host, &|epoll, buffer| count(epoll.wait_uninterrupted(buffer, None)))?;
    }

    fn an_event_ends_an_uninterrupted_wait_that_was_interrupted(host) by "src/epoll.rs: wait_uninterrupted" {
        for timeout in [LONG, FINE, Duration::MAX] {
            goes_on_until_an_event(host, &|epoll, buffer| count(epoll.wait_uninterrupted(buffer, Some(timeout))))?;
        }
    }

    fn an_event_and_no_signal_ends_a_wait_that_masks_all_of_them(host) {
        for timeout in [None, Some(LONG), Some(FINE)] {
            goes_on_until_an_event(host, &|epoll, buffer| count(epoll.wait_masked(buffer, timeout, &SigSet::full())))?;
        }
    }

    fn signals_at_any_moment_lose_no_event(host) by "fs/eventpoll.c: ep_poll" {
        const KINDS: usize = 4;
        /// The least number of waits. It goes on until `MET` waits of each kind met a signal, up to
        /// 100 times as many waits.
        const TURNS: usize = 300;
        const MET: u32 = 10;
        host.catch(SIGALRM)?;
        let (ping, pong, done) = (EventFd::new(0, EventFdFlags::CLOEXEC)?, counter(0)?, counter(0)?);
        let epoll = watching(&pong, EventFlags::IN | EventFlags::ET)?;
        let each = |number: usize, other: &dyn Other| {
            if number == 0 {
                // The pause leaves time for signals to meet waits.
                while ping.read() == Ok(1) {
                    other.sleep(Duration::from_micros(100));
                    let _ = pong.write(1);
                }
                return;
            }
            while done.read().is_err() {
                other.signal(SIGALRM);
                other.sleep(Duration::from_micros(300));
            }
        };
        beside_many(host, 2, &each, &mut |host| {
            let (start, mut met, mut turn, mut outcome) = (host.now(), [0; KINDS], 0, Ok(1));
            while turn < TURNS || met.iter().any(|met| *met < MET) {
                if turn >= 100 * TURNS && host.now() - start > LONG {
                    break;
                }
                let caught = host.caught();
                ping.write(1)?;
                // The kinds of wait take turns. An interrupted wait is repeated.
                outcome = loop {
                    let mut buffer = Event::buffer::<2>();
                    let answer = match turn % KINDS {
                        0 => epoll.wait(&mut buffer, Some(LONG)),
                        1 => epoll.wait(&mut buffer, Some(FINE)),
                        2 => epoll.wait_masked(&mut buffer, Some(LONG), &SigSet::empty()),
                        _ => epoll.wait_uninterrupted(&mut buffer, Some(LONG)),
                    };
                    match count(answer) {
                        Err(Errno::EINTR) if turn % KINDS != 3 => {}
                        answer => break answer,
                    }
                };
                if outcome != Ok(1) || pong.read() != Ok(1) {
                    break;
                }
                met[turn % KINDS] += u32::from(host.caught() > caught);
                turn += 1;
            }
            ping.write(2)?; // stops the echo
            done.write(1)?;
            ensure_eq!(outcome, Ok(1));
            ensure!(turn >= TURNS && met.iter().all(|met| *met >= MET));
            Ok(())
        })?;
    }
}
