//! Changes on one side while the other waits.

use super::{beside_many, count, counter, gather, ready, ready_within, until, watching, LONG, NOTHING};
use super::{Host, Other, Outcome};
use barepoll::{Epoll, Errno, Event, EventData, EventFd, EventFdFlags, EventFlags};
use core::time::Duration;

const IN: EventFlags = EventFlags::IN;

/// The epoll has no event until the other side acts. Then its wait returns this event.
fn wakes(
    host: &mut dyn Host,
    epoll: &Epoll,
    event: (u64, EventFlags),
    act: &(dyn Fn() -> Result<(), Errno> + Sync),
) -> Outcome {
    ensure_eq!(ready(epoll)?, NOTHING);
    // Passes `act`'s error to this side through a counter, because the two may share only
    // descriptors.
    let refused = counter(0)?;
    let start = host.now();
    let outcome = host.beside(
        &|other: &dyn Other| {
            other.sleep(Duration::from_millis(30));
            let _ = act().or_else(|errno| refused.write(errno.raw() as u64));
        },
        &mut |_| {
            ensure_eq!(ready_within(epoll, LONG)?, [event]);
            Ok(())
        },
    );
    ensure_eq!(refused.read().map(|raw| Errno::from_raw(raw as i32)), Err(Errno::EAGAIN));
    outcome?;
    ensure!(host.now() - start >= Duration::from_millis(30));
    Ok(())
}

/// The epoll has no event while the other side acts, nor afterwards. An error of `act` fails the
/// check.
fn is_silent(host: &mut dyn Host, epoll: &Epoll, act: &(dyn Fn() -> Result<(), Errno> + Sync)) -> Outcome {
    let done = counter(0)?; // the error's number plus one
    host.beside(
        &|other| {
            other.sleep(Duration::from_millis(20));
            let _ = done.write(act().map_or_else(|errno| errno.raw() as u64 + 1, |()| 1));
        },
        &mut |host| {
            // A busy machine may start the other side late.
            until(host, &mut |_| {
                ensure_eq!(ready_within(epoll, Duration::from_millis(40))?, NOTHING);
                match done.read() {
                    Err(Errno::EAGAIN) => Ok(false),
                    answer => {
                        ensure_eq!(answer, Ok(1));
                        Ok(true)
                    }
                }
            })?;
            ensure_eq!(ready_within(epoll, Duration::from_millis(20))?, NOTHING);
            Ok(())
        },
    )
}

checks! { by "fs/eventpoll.c: ep_poll_callback";
    fn a_write_wakes_a_waiting_epoll(host) {
        let eventfd = counter(0)?;
        let epoll = watching(&eventfd, IN)?;
        wakes(host, &epoll, (1, IN), &|| eventfd.write(1))?;
    }

    fn a_write_wakes_a_waiting_epoll_that_is_edge_triggered(host) {
        let eventfd = counter(1)?;
        let epoll = watching(&eventfd, IN | EventFlags::ET)?;
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
        wakes(host, &epoll, (1, IN), &|| eventfd.write(1))?;
    }

    fn a_read_wakes_an_epoll_that_waits_for_room(host) {
        let eventfd = counter(0)?;
        eventfd.write(u64::MAX - 1)?;
        let epoll = watching(&eventfd, EventFlags::OUT)?;
        wakes(host, &epoll, (1, EventFlags::OUT), &|| eventfd.read().map(drop))?;
    }

    fn an_add_of_something_ready_wakes_a_waiting_epoll(host) by "fs/eventpoll.c: ep_insert" {
        let (epoll, eventfd) = (Epoll::new()?, counter(1)?);
        wakes(host, &epoll, (7, IN), &|| epoll.add(&eventfd, EventData::new_u64(7), IN))?;
    }

    fn arming_a_one_shot_again_wakes_a_waiting_epoll(host) by "fs/eventpoll.c: ep_modify" {
        let eventfd = counter(1)?;
        let interest = IN | EventFlags::ONESHOT;
        let epoll = watching(&eventfd, interest)?;
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
        wakes(host, &epoll, (2, IN), &|| epoll.modify(&eventfd, EventData::new_u64(2), interest))?;
    }

    fn a_write_to_what_is_not_watched_wakes_nobody(host) {
        let (eventfd, unwatched) = (counter(0)?, counter(0)?);
        let epoll = watching(&eventfd, IN)?;
        is_silent(host, &epoll, &|| unwatched.write(1))?;
        ensure_eq!(unwatched.read(), Ok(1));
    }

    fn two_that_wait_for_one_epoll_share_its_edges(host) by "fs/eventpoll.c: ep_send_events" {
        let (first, second, there) = (counter(0)?, counter(0)?, counter(0)?);
        let epoll = watching(&first, IN | EventFlags::ET | EventFlags::ONESHOT)?;
        epoll.add(&second, EventData::new_u64(2), IN | EventFlags::ET | EventFlags::ONESHOT)?;
        let mut here = 0;
        host.beside(
            &|other| {
                let _ = first.write(1);
                other.sleep(Duration::from_millis(20));
                let _ = second.write(1);
                while let Ok(1) = count(epoll.wait(&mut Event::buffer::<1>(), Some(Duration::from_millis(30)))) {
                    let _ = there.write(1);
                }
            },
            &mut |_| {
                while count(epoll.wait(&mut Event::buffer::<1>(), Some(Duration::from_millis(80))))? == 1 {
                    here += 1;
                }
                Ok(())
            },
        )?;
        ensure_eq!(here + there.read().unwrap_or(0), 2);
    }

    fn a_thousand_rounds_between_two_sides_lose_nothing(host) {
        let (ping, pong) = (EventFd::new(0, EventFdFlags::CLOEXEC)?, counter(0)?);
        let epoll = watching(&pong, IN | EventFlags::ET)?;
        host.beside(
            &|_| {
                while let Ok(1) = ping.read() {
                    if pong.write(1).is_err() {
                        return;
                    }
                }
            },
            &mut |_| {
                let mut outcome = Ok(());
                for _ in 0..1000 {
                    ping.write(1)?;
                    let ready = ready_within(&epoll, LONG)?;
                    if ready != [(1, IN)] || pong.read() != Ok(1) {
                        outcome = Err(super::Failure::new(format_args!("lost event: {ready:?}")));
                        break;
                    }
                }
                ping.write(2)?; // stops the other side
                outcome
            },
        )?;
    }

    fn tokens_that_go_round_between_four_sides_are_never_lost(host) {
        const SIDES: usize = 4;
        const TOKENS: u64 = 3;
        const ROUNDS: u64 = 200; // five steps each
        const STOP: EventData = EventData::new_u64(99);
        let steps = [counter(0)?, counter(0)?, counter(0)?, counter(0)?, counter(0)?];
        let stop = counter(0)?;
        // Takes the tokens of one step and passes them to the next.
        let pass_on = |epoll: &Epoll, from: &EventFd, to: &EventFd| loop {
            match ready_within(epoll, LONG)? {
                ready if ready == [(1, IN)] => {}
                _ => return Err(Errno::ETIMEDOUT),
            }
            match from.read() {
                Err(Errno::EAGAIN) => {} // already taken with the edge before
                tokens => {
                    let tokens = tokens?;
                    to.write(tokens)?;
                    return Ok(tokens);
                }
            }
        };
        let each = |number: usize, _: &dyn Other| {
            let [from, to] = [&steps[number], &steps[number + 1]];
            let Ok(epoll) = watching(from, IN | EventFlags::ET) else { return };
            if epoll.add(&stop, STOP, IN).is_ok() {
                while pass_on(&epoll, from, to).is_ok() {}
            }
        };
        let [first, .., last] = &steps;
        let epoll = watching(last, IN | EventFlags::ET)?;
        beside_many(host, SIDES, &each, &mut |_| {
            first.write(TOKENS)?;
            let (mut rounds, mut outcome) = (0, Ok(0));
            while rounds < ROUNDS * TOKENS && outcome.is_ok() {
                outcome = pass_on(&epoll, last, first);
                rounds += outcome.unwrap_or(0);
            }
            let found = gather(last, TOKENS);
            stop.write(1)?;
            ensure_eq!(outcome.map(drop), Ok(()));
            ensure_eq!(found, Ok(TOKENS));
            Ok(())
        })?;
    }

    fn what_another_deletes_during_a_wait_is_silent(host) by "fs/eventpoll.c: ep_remove" {
        let eventfd = counter(0)?;
        let epoll = watching(&eventfd, IN)?;
        is_silent(host, &epoll, &|| epoll.delete(&eventfd).and_then(|()| eventfd.write(1)))?;
        ensure_eq!(eventfd.read(), Ok(1));
    }

    fn an_event_that_was_reported_outlives_its_registration_and_its_descriptor(host) by "fs/eventpoll.c: ep_remove" {
        let eventfd = counter(1)?;
        let epoll = watching(&eventfd, IN)?;
        let mut buffer = Event::buffer::<2>();
        let reported = epoll.wait(&mut buffer, Some(Duration::ZERO))?;
        epoll.delete(&eventfd)?;
        drop(eventfd);
        ensure_eq!(reported.len(), 1);
        ensure_eq!((reported[0].data().u64(), reported[0].flags()), (1, IN));
        ensure_eq!(ready(&epoll)?, NOTHING);
    }

    fn a_one_shot_that_several_wait_for_wakes_one(host) by "fs/eventpoll.c: ep_send_events" {
        let (eventfd, woke, stop) = (counter(0)?, counter(0)?, counter(0)?);
        let epoll = watching(&eventfd, IN | EventFlags::ONESHOT)?;
        epoll.add(&stop, EventData::new_u64(2), IN)?;
        let each = |_: usize, _: &dyn Other| {
            while matches!(ready_within(&epoll, LONG), Ok(ready) if ready == [(1, IN)]) {
                let _ = woke.write(1);
            }
        };
        beside_many(host, 3, &each, &mut |host| {
            super::pause(host, Duration::from_millis(20))?;
            eventfd.write(1)?;
            let woken = gather(&woke, 1);
            super::pause(host, Duration::from_millis(20))?; // time for a second event
            stop.write(1)?;
            ensure_eq!(woken, Ok(1));
            Ok(())
        })?;
        ensure_eq!(woke.read(), Err(Errno::EAGAIN));
        ensure_eq!(eventfd.read(), Ok(1));
    }

    fn of_several_adds_at_once_one_succeeds(host) by "fs/eventpoll.c: do_epoll_ctl" {
        const ROUNDS: usize = 40;
        let (epoll, eventfd) = (Epoll::new()?, counter(1)?);
        let (added, refused, done) = (counter(0)?, counter(0)?, counter(0)?);
        let starts = [counter(0)?, counter(0)?];
        let add = || match epoll.add(&eventfd, EventData::new_u64(1), IN) {
            Err(Errno::EEXIST) => refused.write(1),
            answer => answer.and_then(|()| added.write(1)),
        };
        let each = |number: usize, _: &dyn Other| {
            for _ in 0..ROUNDS {
                let started = gather(&starts[number], 1).and_then(|_| add());
                let _ = started.and_then(|()| done.write(1));
            }
        };
        beside_many(host, 2, &each, &mut |_| {
            let mut outcome = Ok(());
            for _ in 0..ROUNDS {
                starts.iter().try_for_each(|start| start.write(1))?;
                let counts = (gather(&done, 2)?, added.read(), refused.read());
                if outcome.is_ok() && counts != (2, Ok(1), Ok(1)) {
                    outcome = Err(super::Failure::new(format_args!("done, added, refused: {counts:?}")));
                }
                let _ = epoll.delete(&eventfd);
            }
            outcome
        })?;
    }
}
