//! Checks that need a dedicated machine: system-wide limits, capabilities, `/proc`'s view of an
//! epoll, and the kernel version that added each call.

use super::{counter, ready, ready_within, watching, with_limit, Failure, Machine, Outcome, LONG, NOTHING};
use barepoll::fd::{AsRawFd, RawFd};
use barepoll::raw::{self, Timespec};
use barepoll::{BusyPoll, Epoll, Errno, Event, EventData, EventFd, EventFlags};
use barepoll::{Clock, TimerFd, TimerFdFlags, TimerSetting};
use core::fmt;
use core::ptr;
use core::time::Duration;

const IN: EventFlags = EventFlags::IN;
/// The kernel adds these to every interest.
const ALWAYS: u32 = raw::EPOLLERR | raw::EPOLLHUP;
const HOUR: Duration = Duration::from_secs(3600);
/// Capability numbers.
const CAP_SYS_ADMIN: u32 = 21;
const CAP_BLOCK_SUSPEND: u32 = 36;

/// Runs this with a changed kernel setting, then restores the setting whatever the result.
fn with_setting(
    machine: &mut dyn Machine,
    path: &str,
    value: &str,
    run: &mut dyn FnMut(&mut dyn Machine) -> Outcome,
) -> Outcome {
    let mut before = [0; 32];
    let used = machine.read_file(format_args!("{path}"), &mut before)?;
    machine.write_file(format_args!("{path}"), value.as_bytes())?;
    let outcome = run(machine);
    machine.write_file(format_args!("{path}"), &before[..used])?;
    outcome
}

/// Runs this without a capability, then restores it whatever the result.
fn without(machine: &mut dyn Machine, capability: u32, run: &mut dyn FnMut(&mut dyn Machine) -> Outcome) -> Outcome {
    machine.use_capability(capability, false)?;
    let outcome = run(machine);
    machine.use_capability(capability, true)?;
    outcome
}

/// Runs this after the wall clock was set an hour ahead, then sets it back whatever the result.
fn an_hour_ahead(machine: &mut dyn Machine, run: &mut dyn FnMut() -> Outcome) -> Outcome {
    let ahead = machine.wall_clock()? + HOUR;
    machine.set_wall_clock(ahead)?;
    let outcome = run();
    // The kernel refuses a wall clock earlier than the monotonic one (`EINVAL`). Both start at zero on
    // a machine without a clock of its own.
    let back = machine.wall_clock()? - HOUR + Duration::from_secs(1);
    machine.set_wall_clock(back)?;
    outcome
}

/// The single registration of an epoll according to `/proc`: descriptor, interest, data.
fn registration(machine: &mut dyn Machine, epoll: &Epoll) -> Result<(RawFd, u32, u64), Failure> {
    let mut text = [0; 512];
    let path = epoll.as_raw_fd();
    let used = machine.read_file(format_args!("/proc/self/fdinfo/{path}"), &mut text)?;
    let text = core::str::from_utf8(&text[..used]).unwrap_or_default();
    let field = |name: &str, radix| {
        let mut words = text.split_whitespace().skip_while(|word| *word != name);
        u64::from_str_radix(words.nth(1)?, radix).ok()
    };
    match (field("tfd:", 10), field("events:", 16), field("data:", 16)) {
        (Some(fd), Some(events), Some(data)) => Ok((fd as RawFd, events as u32, data)),
        _ => Err(Failure::new(format_args!("no registration in {text:?}"))),
    }
}

/// The interest that the kernel stores for `IN | WAKEUP` on a ready counter. Its events must arrive
/// either way.
fn interest_kept(machine: &mut dyn Machine) -> Result<u32, Failure> {
    let eventfd = counter(1)?;
    let epoll = watching(&eventfd, IN | EventFlags::WAKEUP)?;
    let (_, kept, _) = registration(machine, &epoll)?;
    if ready(&epoll)? != [(1, IN)] {
        return Err(Failure::new(format_args!("no event")));
    }
    epoll.modify(&eventfd, EventData::new_u64(1), IN | EventFlags::WAKEUP)?;
    let (_, after_modify, _) = registration(machine, &epoll)?;
    if after_modify != kept {
        return Err(Failure::new(format_args!("{kept:x}, and {after_modify:x} after a modify")));
    }
    Ok(kept)
}

/// Fails unless the call exists exactly from this version on.
#[track_caller]
fn is_from(machine: &mut dyn Machine, version: (u32, u32), is_there: bool, answer: impl fmt::Debug) -> Outcome {
    let running = machine.version();
    if is_there == (running >= version) {
        return Ok(());
    }
    Err(Failure::new(format_args!("Linux {running:?} answers {answer:?}")))
}

checks! { for Machine, MachineCheck, by "fs/eventpoll.c: do_epoll_ctl";
    fn proc_tells_the_descriptor_the_interest_and_the_data_that_were_registered(machine) by "fs/eventpoll.c: ep_show_fdinfo" {
        let (epoll, eventfd) = (Epoll::new()?, counter(0)?);
        let (fd, data) = (eventfd.as_raw_fd(), 0x0123_4567_89ab_cdef);
        epoll.add(&eventfd, EventData::new_u64(data), IN | EventFlags::ET)?;
        ensure_eq!(registration(machine, &epoll)?, (fd, raw::EPOLLIN | raw::EPOLLET | ALWAYS, data));
        epoll.modify(&eventfd, EventData::new_u64(!data), EventFlags::OUT | EventFlags::ONESHOT)?;
        ensure_eq!(registration(machine, &epoll)?, (fd, raw::EPOLLOUT | raw::EPOLLONESHOT | ALWAYS, !data));
    }

    fn wakeup_is_kept_with_the_capability_where_the_kernel_can_sleep(machine) by "fs/eventpoll.c: ep_take_care_of_epollwakeup" {
        // Without CONFIG_PM_SLEEP, the kernel drops WAKEUP. Only kernels with the option have this
        // file.
        let can_sleep = machine.read_file(format_args!("/sys/power/pm_async"), &mut [0; 8]);
        ensure!(matches!(can_sleep, Ok(_) | Err(Errno::ENOENT)));
        let wakeup = if can_sleep.is_ok() { raw::EPOLLWAKEUP } else { 0 };
        ensure_eq!(interest_kept(machine)?, raw::EPOLLIN | ALWAYS | wakeup);
    }

    fn wakeup_is_dropped_in_silence_without_the_capability(machine) by "fs/eventpoll.c: ep_take_care_of_epollwakeup" {
        without(machine, CAP_BLOCK_SUSPEND, &mut |machine| {
            ensure_eq!(interest_kept(machine)?, raw::EPOLLIN | ALWAYS);
            Ok(())
        })?;
    }

    fn more_than_max_user_watches_is_enospc_until_one_is_deleted_or_the_limit_raised(machine) by "fs/eventpoll.c: ep_insert" {
        const SETTING: &str = "/proc/sys/fs/epoll/max_user_watches";
        const ONE: EventData = EventData::new_u64(1);
        let epoll = Epoll::new()?;
        let sources = [counter(1)?, counter(1)?, counter(1)?, counter(1)?];
        with_setting(machine, SETTING, "3", &mut |machine| {
            for source in &sources[..3] {
                ensure_eq!(epoll.add(source, ONE, IN), Ok(()));
            }
            ensure_eq!(epoll.add(&sources[3], ONE, IN), Err(Errno::ENOSPC));
            // The limit counts per user, not per epoll. Existing registrations keep working.
            ensure_eq!(Epoll::new()?.add(&sources[3], ONE, IN), Err(Errno::ENOSPC));
            ensure_eq!(epoll.modify(&sources[0], ONE, IN | EventFlags::ET), Ok(()));
            ensure_eq!(ready(&epoll)?, [(1, IN), (1, IN), (1, IN)]);
            epoll.delete(&sources[0])?;
            ensure_eq!(epoll.add(&sources[3], ONE, IN), Ok(()));
            ensure_eq!(epoll.add(&sources[0], ONE, IN), Err(Errno::ENOSPC));
            machine.write_file(format_args!("{SETTING}"), b"4")?;
            ensure_eq!(epoll.add(&sources[0], ONE, IN), Ok(()));
            Ok(())
        })?;
        ensure_eq!(Epoll::new()?.add(&sources[0], ONE, IN), Ok(()));
    }

    fn every_number_in_use_is_emfile_and_what_is_open_goes_on(machine) by "fs/file.c: alloc_fd" {
        const LIMIT: usize = 64;
        let eventfd = counter(0)?;
        let epoll = watching(&eventfd, IN)?;
        with_limit(machine, LIMIT as RawFd, || {
            let mut others: [Option<EventFd>; LIMIT] = [const { None }; LIMIT];
            let mut answer = Ok(());
            for place in &mut others {
                match counter(0) {
                    Ok(another) => *place = Some(another),
                    Err(errno) => {
                        answer = Err(errno);
                        break;
                    }
                }
            }
            ensure_eq!(answer, Err(Errno::EMFILE));
            ensure_eq!(Epoll::new().map(drop), Err(Errno::EMFILE));
            ensure!(others[LIMIT / 2].is_some());
            eventfd.write(1)?;
            ensure_eq!(ready(&epoll)?, [(1, IN)]);
            let last = others.iter_mut().rev().find_map(Option::take);
            ensure_eq!(last.map(|last| last.as_raw_fd()), Some(LIMIT as RawFd - 1));
            ensure_eq!(Epoll::new().map(|new| new.as_raw_fd()), Ok(LIMIT as RawFd - 1));
            Ok(())
        })??;
    }

    fn every_file_of_the_system_in_use_is_enfile(machine) by "fs/file_table.c: alloc_empty_file" {
        with_setting(machine, "/proc/sys/fs/file-max", "0", &mut |machine| {
            without(machine, CAP_SYS_ADMIN, &mut |_| {
                ensure_eq!(Epoll::new().map(drop), Err(Errno::ENFILE));
                ensure_eq!(counter(0).map(drop), Err(Errno::ENFILE));
                Ok(())
            })
        })?;
        ensure_eq!(ready(&Epoll::new()?)?, NOTHING);
    }

    fn setting_the_clock_cancels_the_timers_that_asked_for_it(machine) by "fs/timerfd.c: timerfd_clock_was_set" {
        let later = TimerSetting::at(machine.wall_clock()? + 4 * HOUR);
        let epoll = Epoll::new()?;
        let timer = |data, setting| {
            let timer = TimerFd::new(Clock::REALTIME, TimerFdFlags::CLOEXEC | TimerFdFlags::NONBLOCK)?;
            epoll.add(&timer, EventData::new_u64(data), IN)?;
            timer.set(setting)?;
            Ok::<TimerFd, Errno>(timer)
        };
        let (cancelled, other) = (timer(1, later.cancel_on_set())?, timer(2, later)?);
        ensure_eq!(ready(&epoll)?, NOTHING);
        ensure_eq!((cancelled.read(), other.read()), (Err(Errno::EAGAIN), Err(Errno::EAGAIN)));
        let expired = TimerFd::new(Clock::REALTIME, TimerFdFlags::CLOEXEC | TimerFdFlags::NONBLOCK)?;
        expired.set(TimerSetting::at(Duration::ZERO).repeat(HOUR).cancel_on_set())?;
        ensure!(ready_within(&watching(&expired, IN)?, LONG)? != NOTHING);
        an_hour_ahead(machine, &mut || {
            ensure_eq!(ready_within(&epoll, LONG)?, [(1, IN)]);
            ensure_eq!((cancelled.read(), other.read()), (Err(Errno::ECANCELED), Err(Errno::EAGAIN)));
            // Its expiration is lost, and it has stopped.
            ensure_eq!((expired.read(), expired.read()), (Err(Errno::ECANCELED), Err(Errno::EAGAIN)));
            ensure_eq!(expired.get()?.remaining, Duration::ZERO);
            ensure_eq!(expired.get()?.interval, HOUR);
            // It was told once. Both keep their time, which has come nearer.
            ensure_eq!(ready(&epoll)?, NOTHING);
            ensure_eq!(cancelled.read(), Err(Errno::EAGAIN));
            for timer in [&cancelled, &other] {
                let left = timer.get()?.remaining;
                ensure!(left > 2 * HOUR && left <= 3 * HOUR);
            }
            Ok(())
        })?;
        // The clock was set back, and nothing has read the timer. This set reports it, and takes effect.
        ensure_eq!(ready_within(&epoll, LONG)?, [(1, IN)]);
        ensure_eq!(cancelled.set(later.repeat(HOUR).cancel_on_set()), Err(Errno::ECANCELED));
        ensure_eq!(cancelled.get()?.interval, HOUR);
        ensure_eq!((cancelled.read(), other.read()), (Err(Errno::EAGAIN), Err(Errno::EAGAIN)));
    }

    fn epoll_pwait2_is_there_from_linux_5_11_and_not_before(machine) by "fs/eventpoll.c: epoll_pwait2" {
        let (epoll, mut buffer, at_once) = (Epoll::new()?, Event::buffer::<1>(), Timespec::default());
        // SAFETY: the buffer has room for one event, and the timeout is readable.
        let answer = unsafe {
            raw::epoll_pwait2(epoll.as_raw_fd(), buffer.as_mut_ptr().cast(), 1, &at_once, ptr::null())
        };
        ensure!(matches!(answer, Ok(0) | Err(Errno::ENOSYS)));
        is_from(machine, (5, 11), answer.is_ok(), answer)?;
    }

    fn busy_polling_is_there_from_linux_6_9_and_enotty_before(machine) by "fs/eventpoll.c: ep_eventpoll_bp_ioctl" {
        let (epoll, params) = (Epoll::new()?, BusyPoll { busy_poll_usecs: 50, busy_poll_budget: 8, prefer_busy_poll: true });
        let answers = (epoll.set_busy_poll(params), epoll.busy_poll());
        let is_there = answers == (Ok(()), Ok(params));
        // Busy polling is a build option. Debian's kernels, which run these checks, have it.
        is_from(machine, (6, 9), is_there, answers)?;
        ensure!(is_there || answers == (Err(Errno::ENOTTY), Err(Errno::ENOTTY)));
    }
}
