//! When a ready descriptor is reported: level, edge, one-shot, exclusive, wakeup.

use super::{counter, ready, ready_within, watching, LONG, NOTHING};
use barepoll::fd::{AsRawFd, OwnedFd};
use barepoll::{raw, Epoll, Errno, EventData, EventFd, EventFlags};
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
    // SAFETY: one byte of a literal.
    unsafe { raw::write(fd.as_raw_fd(), b"x".as_ptr(), 1) }
}

/// How many of two epolls wake for one write to what both watch with this interest, if both wait no longer than this.
fn awakened(host: &mut dyn super::Host, interest: EventFlags, patience: Duration) -> Result<u64, super::Failure> {
    let (eventfd, awake) = (counter(0)?, counter(0)?);
    let (one, two) = (watching(&eventfd, interest)?, watching(&eventfd, interest)?);
    host.beside(
        &|_| {
            if matches!(ready_within(&one, patience), Ok(ready) if ready == [(1, IN)]) {
                let _ = awake.write(1);
            }
        },
        &mut |host| {
            host.beside(
                &|other| {
                    other.sleep(Duration::from_millis(60));
                    let _ = eventfd.write(1);
                },
                &mut |_| {
                    if ready_within(&two, patience)? == [(1, IN)] {
                        awake.write(1)?;
                    }
                    Ok(())
                },
            )
        },
    )?;
    Ok(awake.read()?)
}

checks! {
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

    fn what_is_ready_when_added_is_an_edge(host) {
        let eventfd = counter(1)?;
        let epoll = watching(&eventfd, IN | ET)?;
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
        ensure_eq!(ready(&epoll)?, NOTHING);
    }

    fn a_second_write_is_a_new_edge_though_the_first_is_unread(host) {
        let eventfd = counter(0)?;
        let epoll = watching(&eventfd, IN | ET)?;
        for _ in 0..3 {
            eventfd.write(1)?;
            ensure_eq!(ready(&epoll)?, [(1, IN)]);
            ensure_eq!(ready(&epoll)?, NOTHING);
        }
        ensure_eq!(eventfd.read(), Ok(3));
    }

    fn two_writes_before_a_wait_are_one_event_and_a_write_that_was_read_is_none(host) {
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

    fn a_modify_reports_an_edge_again(host) {
        let eventfd = counter(1)?;
        let epoll = watching(&eventfd, IN | ET)?;
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
        rearm(&epoll, &eventfd, IN | ET)?;
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
        ensure_eq!(ready(&epoll)?, NOTHING);
    }

    fn a_modify_makes_a_level_of_an_edge(host) {
        let eventfd = counter(1)?;
        let epoll = watching(&eventfd, IN | ET)?;
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
        rearm(&epoll, &eventfd, IN)?;
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
    }

    fn a_hang_up_is_an_edge_of_its_own(host) {
        let (reader, writer) = host.pipe()?;
        let epoll = watching(&reader, IN | ET)?;
        write_one(&writer)?;
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
        drop(writer);
        ensure_eq!(ready(&epoll)?, [(1, IN | HUP)]);
        ensure_eq!(ready(&epoll)?, NOTHING);
    }

    fn a_full_counter_that_is_read_is_an_edge_of_out(host) {
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

    fn a_modify_arms_a_one_shot_again(host) {
        let eventfd = counter(1)?;
        let epoll = watching(&eventfd, IN | ONESHOT)?;
        for _ in 0..3 {
            ensure_eq!(ready(&epoll)?, [(1, IN)]);
            ensure_eq!(ready(&epoll)?, NOTHING);
            rearm(&epoll, &eventfd, IN | ONESHOT)?;
        }
    }

    fn a_one_shot_edge_is_armed_again_by_a_modify_and_not_by_a_write(host) {
        let eventfd = counter(1)?;
        let epoll = watching(&eventfd, IN | ET | ONESHOT)?;
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
        eventfd.write(1)?;
        ensure_eq!(ready(&epoll)?, NOTHING);
        rearm(&epoll, &eventfd, IN | ET | ONESHOT)?;
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
        ensure_eq!(ready(&epoll)?, NOTHING);
    }

    fn a_one_shot_that_was_reported_hides_a_hang_up(host) {
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

    fn wakeup_is_accepted_with_every_way_of_asking(host) {
        let eventfd = counter(1)?;
        for how in [EventFlags::empty(), ET, ONESHOT, EXCLUSIVE] {
            let epoll = watching(&eventfd, IN | EventFlags::WAKEUP | how)?;
            ensure_eq!(ready(&epoll)?, [(1, IN)]);
            epoll.delete(&eventfd)?;
        }
    }

    fn exclusive_goes_with_six_flags_and_no_other(host) {
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

    fn modify_to_exclusive_or_of_exclusive_is_einval(host) {
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

    fn exclusive_on_an_epoll_is_einval(host) {
        let (outer, inner) = (Epoll::new()?, Epoll::new()?);
        ensure_eq!(outer.add(&inner, EventData::new_u64(1), IN | EXCLUSIVE), Err(Errno::EINVAL));
        outer.add(&inner, EventData::new_u64(1), IN)?;
    }

    fn both_of_two_epolls_wake_for_one_write(host) {
        ensure_eq!(awakened(host, IN, LONG)?, 2);
        ensure_eq!(awakened(host, IN | ET, LONG)?, 2);
    }

    fn one_of_two_exclusive_epolls_wakes_for_one_write(host) {
        // Both wake where one of them was late to wait, so a slow machine gets several attempts.
        let mut awake = 0;
        for _ in 0..10 {
            awake = awakened(host, IN | EXCLUSIVE, Duration::from_millis(250))?;
            if awake == 1 {
                break;
            }
        }
        ensure_eq!(awake, 1);
    }
}
