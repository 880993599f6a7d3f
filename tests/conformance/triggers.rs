//! When a ready descriptor is reported: level, edge, one-shot, exclusive, wakeup.

use super::{beside_many, counter, gather, pause, ready, ready_within, watching, Host, Other, Outcome, LONG, NOTHING};
use barepoll::fd::{AsRawFd, OwnedFd};
use barepoll::{raw, Epoll, Errno, EventData, EventFd, EventFdFlags, EventFlags};
use core::time::Duration;

const IN: EventFlags = EventFlags::IN;
const OUT: EventFlags = EventFlags::OUT;
const ET: EventFlags = EventFlags::ET;
const HUP: EventFlags = EventFlags::HUP;
const ONESHOT: EventFlags = EventFlags::ONESHOT;
const EXCLUSIVE: EventFlags = EventFlags::EXCLUSIVE;

fn rearm(epoll: &Epoll, eventfd: &EventFd, interest: EventFlags) -> Result<(), Errno> {
    epoll.modify(eventfd, EventData::new_u64(1), interest)
}

fn write_one(fd: &OwnedFd) -> Result<usize, Errno> {
    // SAFETY: the literal has one byte.
    unsafe { raw::write(fd.as_raw_fd(), b"x".as_ptr(), 1) }
}

/// The data of the event that stops a waiter.
const STOP: u64 = 99;

/// Time for waiters to block after they announced it.
const SETTLE: Duration = Duration::from_millis(15);

/// Where all waiters wake for one write, no attempt gives them more time than this.
const LONGEST_SETTLE: Duration = Duration::from_secs(4);

/// The effect of one write on several epolls.
struct Awakened {
    /// How many waiters woke.
    woke: u64,
    /// How many of them could read it.
    read: u64,
}

/// Makes an epoll for each waiter; all watch one counter with this interest. Writes to the counter
/// once `settle` has passed. Waits until `sure` waiters woke, then checks for a while that no
/// others do.
fn awakened<const WAITERS: usize>(
    host: &mut dyn Host,
    interest: EventFlags,
    sure: u64,
    settle: Duration,
) -> Result<Awakened, super::Failure> {
    let (eventfd, stop) = (counter(0)?, counter(0)?);
    let (arrived, progress, woke, read) = (counter(0)?, counter(0)?, counter(0)?, counter(0)?);
    let mut epolls = [const { None }; WAITERS];
    for place in &mut epolls {
        let epoll = watching(&eventfd, interest)?;
        epoll.add(&stop, EventData::new_u64(STOP), IN)?;
        *place = Some(epoll);
    }
    let wait = |number: usize| {
        let Some(Some(epoll)) = epolls.get(number) else { return Err(Errno::EINVAL) };
        arrived.write(1)?;
        if ready_within(epoll, LONG)? == [(1, IN)] {
            woke.write(1)?;
            progress.write(1)?;
            // Read only after the others woke: an epoll with nothing left to report stays asleep.
            ready_within(&watching(&stop, IN)?, LONG)?;
            read.write(u64::from(eventfd.read().is_ok()))?;
        }
        Ok(())
    };
    let each = |number: usize, _: &dyn Other| {
        let _ = wait(number);
    };
    beside_many(host, WAITERS, &each, &mut |host| {
        gather(&arrived, WAITERS as u64)?;
        pause(host, settle)?;
        eventfd.write(1)?;
        gather(&progress, sure)?;
        if sure < WAITERS as u64 {
            pause(host, Duration::from_millis(30))?;
        }
        Ok(stop.write(1)?)
    })?;
    Ok(Awakened { woke: woke.read().unwrap_or(0), read: read.read().unwrap_or(0) })
}

/// One write wakes at least one of these exclusive epolls, and not all.
fn some_wake<const WAITERS: usize>(host: &mut dyn Host, interest: EventFlags) -> Outcome {
    // A waiter that blocks too late misses the wake-up, and another takes it. So each attempt gives
    // a slow machine more time.
    let (mut woke, mut settle) = (0, SETTLE);
    while settle < LONGEST_SETTLE {
        woke = awakened::<WAITERS>(host, interest, 1, settle)?.woke;
        ensure!(woke >= 1);
        if woke < WAITERS as u64 {
            return Ok(());
        }
        settle *= 2;
    }
    ensure_eq!(woke, 1);
    Ok(())
}

checks! { by "fs/eventpoll.c: ep_send_events";
    fn a_level_is_reported_as_long_as_it_lasts(host) {
        let eventfd = counter(1)?;
        let epoll = watching(&eventfd, IN)?;
        for _ in 0..3 {
            ensure_eq!(ready(&epoll)?, [(1, IN)]);
        }
        eventfd.read()?;
        ensure_eq!(ready(&epoll)?, NOTHING);
    }

    fn an_edge_is_reported_once(host) {
        let eventfd = counter(0)?;
        let epoll = watching(&eventfd, IN | ET)?;
        eventfd.write(1)?;
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
        ensure_eq!(ready(&epoll)?, NOTHING);
        ensure_eq!(eventfd.read(), Ok(1));
    }

    fn what_is_ready_when_added_is_an_edge(host) by "fs/eventpoll.c: ep_insert" {
        let eventfd = counter(1)?;
        let epoll = watching(&eventfd, IN | ET)?;
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
        ensure_eq!(ready(&epoll)?, NOTHING);
    }

    fn a_second_write_is_a_new_edge_though_the_first_is_unread(host) by "fs/eventpoll.c: ep_poll_callback" {
        let eventfd = counter(0)?;
        let epoll = watching(&eventfd, IN | ET)?;
        for _ in 0..3 {
            eventfd.write(1)?;
            ensure_eq!(ready(&epoll)?, [(1, IN)]);
            ensure_eq!(ready(&epoll)?, NOTHING);
        }
        ensure_eq!(eventfd.read(), Ok(3));
    }

    fn two_writes_before_a_wait_are_one_event_and_a_write_that_was_read_is_none(host) by "fs/eventpoll.c: ep_poll_callback" {
        let eventfd = counter(0)?;
        let epoll = watching(&eventfd, IN | ET)?;
        eventfd.write(1)?;
        eventfd.write(1)?;
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
        ensure_eq!(ready(&epoll)?, NOTHING);
        let eventfd = counter(0)?;
        let epoll = watching(&eventfd, IN | ET)?;
        eventfd.write(1)?;
        eventfd.read()?;
        ensure_eq!(ready(&epoll)?, NOTHING);
    }

    fn a_modify_reports_an_edge_again(host) by "fs/eventpoll.c: ep_modify" {
        let eventfd = counter(1)?;
        let epoll = watching(&eventfd, IN | ET)?;
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
        rearm(&epoll, &eventfd, IN | ET)?;
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
        ensure_eq!(ready(&epoll)?, NOTHING);
    }

    fn a_modify_makes_a_level_of_an_edge(host) by "fs/eventpoll.c: ep_modify" {
        let eventfd = counter(1)?;
        let epoll = watching(&eventfd, IN | ET)?;
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
        rearm(&epoll, &eventfd, IN)?;
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
    }

    fn a_hang_up_is_an_edge_of_its_own(host) by "fs/eventpoll.c: ep_poll_callback" {
        let (reader, writer) = host.pipe()?;
        let epoll = watching(&reader, IN | ET)?;
        write_one(&writer)?;
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
        drop(writer);
        ensure_eq!(ready(&epoll)?, [(1, IN | HUP)]);
        ensure_eq!(ready(&epoll)?, NOTHING);
    }

    /// Linux 5.5 to 5.13 reports only a write to an empty pipe.
    fn each_write_to_a_pipe_is_a_new_edge_though_the_first_is_unread(host) by "fs/pipe.c: pipe_write" {
        let (reader, writer) = host.pipe()?;
        let epoll = watching(&reader, IN | ET)?;
        for _ in 0..3 {
            write_one(&writer)?;
            ensure_eq!(ready(&epoll)?, [(1, IN)]);
            ensure_eq!(ready(&epoll)?, NOTHING);
        }
    }

    fn a_full_counter_that_is_read_is_an_edge_of_out(host) by "fs/eventpoll.c: ep_poll_callback" {
        let eventfd = counter(0)?;
        let epoll = watching(&eventfd, OUT | ET)?;
        ensure_eq!(ready(&epoll)?, [(1, OUT)]);
        eventfd.write(u64::MAX - 1)?;
        ensure_eq!(ready(&epoll)?, NOTHING);
        eventfd.read()?;
        ensure_eq!(ready(&epoll)?, [(1, OUT)]);
    }

    fn a_one_shot_is_reported_once_and_registered_still(host) {
        let eventfd = counter(1)?;
        let epoll = watching(&eventfd, IN | ONESHOT)?;
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
        ensure_eq!(ready(&epoll)?, NOTHING);
        eventfd.write(1)?;
        ensure_eq!(ready(&epoll)?, NOTHING);
        let eventfd = counter(1)?;
        let epoll = watching(&eventfd, IN | ONESHOT)?;
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
        ensure_eq!(epoll.add(&eventfd, EventData::new_u64(1), IN), Err(Errno::EEXIST));
        epoll.delete(&eventfd)?;
    }

    fn a_modify_arms_a_one_shot_again(host) by "fs/eventpoll.c: ep_modify" {
        let eventfd = counter(1)?;
        let epoll = watching(&eventfd, IN | ONESHOT)?;
        for _ in 0..3 {
            ensure_eq!(ready(&epoll)?, [(1, IN)]);
            ensure_eq!(ready(&epoll)?, NOTHING);
            rearm(&epoll, &eventfd, IN | ONESHOT)?;
        }
    }

    fn a_one_shot_edge_is_armed_again_by_a_modify_and_not_by_a_write(host) by "fs/eventpoll.c: ep_modify" {
        let eventfd = counter(1)?;
        let epoll = watching(&eventfd, IN | ET | ONESHOT)?;
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
        eventfd.write(1)?;
        ensure_eq!(ready(&epoll)?, NOTHING);
        rearm(&epoll, &eventfd, IN | ET | ONESHOT)?;
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
        ensure_eq!(ready(&epoll)?, NOTHING);
    }

    fn a_one_shot_that_was_reported_hides_a_hang_up(host) by "fs/eventpoll.c: ep_poll_callback" {
        let (reader, writer) = host.pipe()?;
        let epoll = watching(&reader, IN | ONESHOT)?;
        write_one(&writer)?;
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
        drop(writer);
        ensure_eq!(ready(&epoll)?, NOTHING);
        epoll.modify(&reader, EventData::new_u64(2), ONESHOT)?;
        ensure_eq!(ready(&epoll)?, [(2, HUP)]);
    }

    fn an_event_shows_no_flag_of_how_it_was_asked_for(host) {
        let eventfd = counter(1)?;
        for how in [ET, ONESHOT, ET | ONESHOT, EXCLUSIVE, EXCLUSIVE | ET, EventFlags::WAKEUP] {
            ensure_eq!(ready(&watching(&eventfd, IN | how)?)?, [(1, IN)]);
        }
    }

    fn wakeup_is_accepted_with_every_way_of_asking(host) by "fs/eventpoll.c: ep_take_care_of_epollwakeup" {
        let eventfd = counter(1)?;
        for how in [EventFlags::empty(), ET, ONESHOT, EXCLUSIVE] {
            let epoll = watching(&eventfd, IN | EventFlags::WAKEUP | how)?;
            ensure_eq!(ready(&epoll)?, [(1, IN)]);
            epoll.delete(&eventfd)?;
        }
    }

    fn a_modify_adds_and_takes_wakeup_and_no_event_is_lost(host) by "fs/eventpoll.c: ep_modify" {
        let eventfd = counter(0)?;
        let epoll = watching(&eventfd, IN | EventFlags::WAKEUP)?;
        for how in [EventFlags::empty(), EventFlags::WAKEUP, EventFlags::WAKEUP | ET, ET, EventFlags::WAKEUP | ONESHOT] {
            eventfd.write(1)?;
            ensure_eq!(ready(&epoll)?, [(1, IN)]);
            rearm(&epoll, &eventfd, IN | how)?;
            ensure_eq!(ready(&epoll)?, [(1, IN)]);
            eventfd.read()?;
            ensure_eq!(ready(&epoll)?, NOTHING);
            rearm(&epoll, &eventfd, IN | how)?;
        }
    }

    fn exclusive_goes_with_six_flags_and_no_other(host) by "fs/eventpoll.c: do_epoll_ctl" {
        let eventfd = counter(1)?;
        for with in [IN, OUT, EventFlags::ERR, HUP, EventFlags::WAKEUP, ET, EventFlags::empty()] {
            drop(watching(&eventfd, EXCLUSIVE | with)?);
        }
        let eventfd = counter(1)?;
        let epoll = Epoll::new()?;
        let others = [
            EventFlags::PRI, EventFlags::RDNORM, EventFlags::RDBAND, EventFlags::WRNORM, EventFlags::WRBAND,
            EventFlags::MSG, EventFlags::RDHUP, ONESHOT,
        ];
        for with in others {
            ensure_eq!(epoll.add(&eventfd, EventData::new_u64(1), IN | EXCLUSIVE | with), Err(Errno::EINVAL));
        }
    }

    fn modify_to_exclusive_or_of_exclusive_is_einval(host) by "fs/eventpoll.c: do_epoll_ctl" {
        let eventfd = counter(1)?;
        let epoll = watching(&eventfd, IN)?;
        ensure_eq!(rearm(&epoll, &eventfd, IN | EXCLUSIVE), Err(Errno::EINVAL));
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
        let eventfd = counter(1)?;
        let epoll = watching(&eventfd, IN | EXCLUSIVE)?;
        ensure_eq!(rearm(&epoll, &eventfd, IN), Err(Errno::EINVAL));
        ensure_eq!(rearm(&epoll, &eventfd, IN | EXCLUSIVE), Err(Errno::EINVAL));
        epoll.delete(&eventfd)?;
    }

    fn exclusive_on_an_epoll_is_einval(host) by "fs/eventpoll.c: do_epoll_ctl" {
        let (outer, inner) = (Epoll::new()?, Epoll::new()?);
        ensure_eq!(outer.add(&inner, EventData::new_u64(1), IN | EXCLUSIVE), Err(Errno::EINVAL));
        outer.add(&inner, EventData::new_u64(1), IN)?;
    }

    fn both_of_two_epolls_wake_for_one_write(host) by "fs/eventpoll.c: ep_poll_callback" {
        ensure_eq!(awakened::<2>(host, IN, 2, SETTLE)?.woke, 2);
        ensure_eq!(awakened::<2>(host, IN | ET, 2, SETTLE)?.woke, 2);
    }

    fn one_of_two_exclusive_epolls_wakes_for_one_write(host) by "fs/eventpoll.c: ep_poll_callback" {
        some_wake::<2>(host, IN | EXCLUSIVE)?;
    }

    fn one_write_wakes_all_of_four_epolls_and_one_of_them_reads_it(host) by "fs/eventpoll.c: ep_poll_callback" {
        for interest in [IN, IN | ET] {
            let Awakened { woke, read } = awakened::<4>(host, interest, 4, SETTLE)?;
            ensure_eq!((woke, read), (4, 1));
        }
    }

    fn one_write_wakes_some_of_four_exclusive_epolls_and_not_all(host) by "fs/eventpoll.c: ep_poll_callback" {
        some_wake::<4>(host, IN | EXCLUSIVE)?;
        some_wake::<4>(host, IN | EXCLUSIVE | ET)?;
    }

    fn four_exclusive_readers_leave_nothing_unread(host) by "fs/eventpoll.c: ep_poll_callback" {
        const WRITES: u64 = 300;
        let flags = EventFdFlags::CLOEXEC | EventFdFlags::NONBLOCK | EventFdFlags::SEMAPHORE;
        let (eventfd, read, stop) = (EventFd::new(0, flags)?, counter(0)?, counter(0)?);
        let reads = || {
            let epoll = watching(&eventfd, IN | EXCLUSIVE)?;
            epoll.add(&stop, EventData::new_u64(STOP), IN)?;
            while ready_within(&epoll, LONG)? == [(1, IN)] {
                if eventfd.read().is_ok() {
                    read.write(1)?;
                }
            }
            Ok::<(), Errno>(())
        };
        let each = |_: usize, _: &dyn Other| {
            let _ = reads();
        };
        beside_many(host, 4, &each, &mut |_| {
            for _ in 0..WRITES {
                eventfd.write(1)?;
            }
            let all = gather(&read, WRITES)?;
            stop.write(1)?;
            ensure_eq!(all, WRITES);
            Ok(())
        })?;
    }
}
