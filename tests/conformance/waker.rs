//! Waking a wait: no wake-up is lost, and a second wake-up before the first is acknowledged makes
//! no system call.

use super::{closed_number, counter, gather, is_open, pause, ready, ready_within, timed, with_limit, LONG, NOTHING};
use barepoll::fd::{AsRawFd, OwnedFd};
use barepoll::{raw, Deadline, Epoll, Errno, Event, EventData, EventFd, EventFlags, Waker};
use core::mem;
use core::time::Duration;

/// The waker's event with this data.
const fn woken(data: u64) -> (u64, EventFlags) {
    (data, EventFlags::IN)
}

fn epoll_and_waker() -> Result<(Epoll, Waker), Errno> {
    let epoll = Epoll::new()?;
    let waker = Waker::new(&epoll, EventData::new_u64(7))?;
    Ok((epoll, waker))
}

/// Writes to the waker's counter behind its back. The counter is zero before.
fn preset(waker: &Waker, value: u64) -> Result<(), Errno> {
    // SAFETY: the array has eight bytes.
    unsafe { raw::write(waker.as_raw_fd(), value.to_ne_bytes().as_ptr(), 8) }.map(drop)
}

/// How many writes happened since the last call.
fn writes(waker: &Waker) -> Result<u64, Errno> {
    let mut value = [0; 8];
    // SAFETY: the buffer has room for eight bytes.
    match unsafe { raw::read(waker.as_raw_fd(), value.as_mut_ptr(), 8) } {
        Ok(_) => Ok(u64::from_ne_bytes(value)),
        Err(Errno::EAGAIN) => Ok(0),
        Err(errno) => Err(errno),
    }
}

checks! { by "src/waker.rs: Waker";
    fn a_new_waker_wakes_nobody(host) {
        let (epoll, _waker) = epoll_and_waker()?;
        ensure_eq!(ready(&epoll)?, NOTHING);
    }

    fn a_wake_up_before_the_wait_ends_it(host) {
        let (epoll, waker) = epoll_and_waker()?;
        waker.wake()?;
        ensure_eq!(ready_within(&epoll, LONG)?, [woken(7)]);
    }

    fn a_wake_up_during_the_wait_ends_it(host) {
        let (epoll, waker) = epoll_and_waker()?;
        for _ in 0..3 {
            let (took, outcome) = timed(host, || ready_within(&epoll, Duration::from_millis(2)));
            ensure_eq!(outcome?, NOTHING);
            ensure!(took >= Duration::from_millis(2));
            host.beside(
                &|other| {
                    other.sleep(Duration::from_millis(10));
                    let _ = waker.wake();
                },
                &mut |_| {
                    ensure_eq!(ready_within(&epoll, LONG)?, [woken(7)]);
                    waker.acknowledge();
                    Ok(())
                },
            )?;
            waker.acknowledge();
        }
    }

    fn wake_ups_until_the_next_acknowledgement_are_one_write(host) {
        let (epoll, waker) = epoll_and_waker()?;
        for _ in 0..100 {
            waker.wake()?;
        }
        ensure_eq!(writes(&waker)?, 1);
        waker.wake()?;
        ensure_eq!(writes(&waker)?, 0);
        waker.acknowledge();
        waker.wake()?;
        ensure_eq!(writes(&waker)?, 1);
        ensure_eq!(ready(&epoll)?, NOTHING); // the counter was read behind the waker's back
    }

    fn an_event_is_reported_once(host) by "fs/eventpoll.c: ep_send_events" {
        let (epoll, waker) = epoll_and_waker()?;
        waker.wake()?;
        ensure_eq!(ready(&epoll)?, [woken(7)]);
        ensure_eq!(ready(&epoll)?, NOTHING);
        waker.acknowledge();
        ensure_eq!(ready(&epoll)?, NOTHING);
    }

    fn a_wake_up_after_an_acknowledgement_is_a_new_event_though_nobody_reads(host) {
        let (epoll, waker) = epoll_and_waker()?;
        for _ in 0..50 {
            waker.wake()?;
            ensure_eq!(ready(&epoll)?, [woken(7)]);
            waker.acknowledge();
        }
        ensure_eq!(writes(&waker)?, 50);
    }

    fn a_wake_up_between_the_event_and_its_acknowledgement_makes_no_other(host) {
        let (epoll, waker) = epoll_and_waker()?;
        waker.wake()?;
        ensure_eq!(ready(&epoll)?, [woken(7)]);
        waker.wake()?; // the loop acknowledges before it looks for work
        waker.acknowledge();
        ensure_eq!(ready(&epoll)?, NOTHING);
    }

    fn an_event_that_is_not_acknowledged_silences_the_waker(host) {
        let (epoll, waker) = epoll_and_waker()?;
        waker.wake()?;
        ensure_eq!(ready(&epoll)?, [woken(7)]);
        waker.wake()?;
        waker.wake()?;
        ensure_eq!(ready(&epoll)?, NOTHING);
    }

    fn an_acknowledgement_of_nothing_does_nothing(host) {
        let (epoll, waker) = epoll_and_waker()?;
        waker.acknowledge();
        waker.acknowledge();
        ensure_eq!(ready(&epoll)?, NOTHING);
        waker.wake()?;
        ensure_eq!(ready(&epoll)?, [woken(7)]);
    }

    fn a_full_counter_stops_no_wake_up(host) {
        let (epoll, waker) = epoll_and_waker()?;
        preset(&waker, u64::MAX - 1)?;
        ensure_eq!(ready(&epoll)?, [woken(7)]);
        waker.acknowledge();
        waker.wake()?;
        ensure_eq!(ready(&epoll)?, [woken(7)]);
        ensure_eq!(writes(&waker)?, 1);
    }

    fn the_last_room_in_the_counter_is_used(host) {
        let (epoll, waker) = epoll_and_waker()?;
        preset(&waker, u64::MAX - 2)?;
        ensure_eq!(ready(&epoll)?, [woken(7)]);
        for _ in 0..3 {
            waker.wake()?;
            ensure_eq!(ready(&epoll)?, [woken(7)]);
            waker.acknowledge();
        }
        ensure_eq!(writes(&waker)?, 2); // the counter was full after the first
    }

    fn a_wake_up_that_cannot_be_written_is_not_on_its_way(host) {
        let (epoll, waker) = epoll_and_waker()?;
        let fd = waker.as_raw_fd();
        // SAFETY: the waker is not dropped below, so nothing else closes the number.
        unsafe { raw::close(fd)? };
        let refused = [waker.wake(), waker.wake()];
        // The next descriptor takes the number.
        let again = counter(0)?;
        let is_again = again.as_raw_fd() == fd;
        let written = waker.wake();
        mem::forget(waker);
        ensure!(is_again);
        ensure_eq!(refused, [Err(Errno::EBADF); 2]);
        ensure_eq!(written, Ok(()));
        ensure_eq!(again.read(), Ok(1));
        ensure_eq!(ready(&epoll)?, NOTHING);
    }

    fn wake_ups_of_an_awake_loop_make_no_call_and_the_next_wait_polls(host) {
        let (epoll, waker) = epoll_and_waker()?;
        let (mut awake, mut buffer) = (waker.awake(), Event::buffer::<8>());
        ensure!(!awake.is_woken());
        for turn in 0..3 {
            for _ in 0..8 {
                waker.wake()?;
            }
            ensure_eq!(writes(&waker)?, 0);
            // It would wait for ever.
            let events = match turn {
                0 => awake.wait(&epoll, &mut buffer, None)?,
                1 => awake.wait(&epoll, &mut buffer, Some(LONG))?,
                _ => awake.wait_until(&epoll, &mut buffer, None)?,
            };
            ensure_eq!(events.len(), 0);
            ensure!(awake.is_woken());
        }
        awake.wait(&epoll, &mut buffer, Some(Duration::ZERO))?;
        ensure!(!awake.is_woken());
    }

    fn an_awake_loop_without_wake_ups_waits(host) {
        let (epoll, waker) = epoll_and_waker()?;
        let mut awake = waker.awake();
        for _ in 0..2 {
            let (took, outcome) = timed(host, || {
                awake.wait(&epoll, &mut Event::buffer::<8>(), Some(Duration::from_millis(3))).map(|events| events.len())
            });
            ensure_eq!(outcome?, 0);
            ensure!(took >= Duration::from_millis(3));
            ensure!(!awake.is_woken());
        }
    }

    fn an_awake_loop_without_wake_ups_waits_until_a_moment(host) {
        let (epoll, waker) = epoll_and_waker()?;
        let mut awake = waker.awake();
        let (took, outcome) = timed(host, || {
            let deadline = Deadline::after(Duration::from_millis(3))?;
            awake.wait_until(&epoll, &mut Event::buffer::<8>(), Some(deadline)).map(|events| events.len())
        });
        ensure_eq!(outcome?, 0);
        ensure!(took >= Duration::from_millis(3));
    }

    fn a_wake_up_before_a_loop_is_awake_is_reported_with_its_event(host) {
        let (epoll, waker) = epoll_and_waker()?;
        waker.wake()?;
        let (mut awake, mut buffer) = (waker.awake(), Event::buffer::<8>());
        ensure!(!awake.is_woken());
        ensure_eq!(awake.wait(&epoll, &mut buffer, None)?.len(), 1);
        ensure!(awake.is_woken());
        awake.wait(&epoll, &mut buffer, Some(Duration::ZERO))?;
        ensure!(!awake.is_woken());
    }

    fn a_wake_up_from_before_a_loop_is_awake_is_written_if_it_does_not_wait(host) {
        let (epoll, waker) = epoll_and_waker()?;
        waker.wake()?;
        ensure_eq!(ready(&epoll)?, [woken(7)]);
        drop(waker.awake());
        ensure_eq!(ready(&epoll)?, [woken(7)]);
        ensure_eq!(writes(&waker)?, 2);
    }

    fn an_awake_loop_polls_for_other_events_when_it_is_woken(host) {
        let (epoll, waker) = epoll_and_waker()?;
        let full = counter(1)?;
        epoll.add(&full, EventData::new_u64(3), EventFlags::IN)?;
        let (mut awake, mut buffer) = (waker.awake(), Event::buffer::<8>());
        waker.wake()?;
        let events = awake.wait(&epoll, &mut buffer, None)?;
        ensure_eq!(events.len(), 1);
        ensure_eq!(events[0].data().u64(), 3);
        ensure!(awake.is_woken());
    }

    fn what_woke_a_loop_that_is_awake_no_longer_is_written(host) {
        let (epoll, waker) = epoll_and_waker()?;
        let awake = waker.awake();
        waker.wake()?;
        waker.wake()?;
        drop(awake);
        ensure_eq!(ready(&epoll)?, [woken(7)]);
        ensure_eq!(writes(&waker)?, 1);
        waker.wake()?; // the event is not acknowledged
        ensure_eq!(writes(&waker)?, 0);
    }

    fn a_loop_that_was_awake_leaves_a_waker_as_it_was(host) {
        let (epoll, waker) = epoll_and_waker()?;
        drop(waker.awake());
        ensure_eq!(writes(&waker)?, 0);
        waker.wake()?;
        ensure_eq!(ready(&epoll)?, [woken(7)]);
        waker.acknowledge();
        ensure_eq!(ready(&epoll)?, NOTHING);
    }

    fn a_failed_wait_leaves_a_wake_up_to_the_next(host) {
        let (epoll, waker) = epoll_and_waker()?;
        let (mut awake, mut buffer) = (waker.awake(), Event::buffer::<8>());
        waker.wake()?;
        for _ in 0..2 {
            ensure_eq!(awake.wait(&epoll, &mut [], None).err(), Some(Errno::EINVAL));
            ensure_eq!(awake.wait_until(&epoll, &mut [], None).err(), Some(Errno::EINVAL));
        }
        ensure_eq!(awake.wait(&epoll, &mut buffer, None)?.len(), 0);
        ensure!(awake.is_woken());
        ensure_eq!(awake.wait(&epoll, &mut [], None).err(), Some(Errno::EINVAL));
        ensure!(!awake.is_woken());
        ensure_eq!(writes(&waker)?, 0);
    }

    fn an_acknowledgement_lets_wake_ups_of_an_awake_loop_write_again(host) {
        let (epoll, waker) = epoll_and_waker()?;
        let (mut awake, mut buffer) = (waker.awake(), Event::buffer::<8>());
        waker.acknowledge(); // needless
        waker.wake()?;
        ensure_eq!(awake.wait(&epoll, &mut buffer, None)?.len(), 1);
        ensure!(awake.is_woken());
    }

    fn two_wakers_of_one_epoll_are_told_apart(host) {
        let epoll = Epoll::new()?;
        let wakers = [Waker::new(&epoll, EventData::new_u64(1))?, Waker::new(&epoll, EventData::new_u64(2))?];
        wakers[1].wake()?;
        ensure_eq!(ready(&epoll)?, [woken(2)]);
        wakers[0].wake()?;
        wakers[1].acknowledge();
        wakers[1].wake()?;
        ensure_eq!(ready(&epoll)?, [woken(1), woken(2)]);
    }

    fn one_of_several_waits_gets_the_event(host) by "fs/eventpoll.c: ep_send_events" {
        let (epoll, waker) = epoll_and_waker()?;
        let (arrived, got, stop) = (counter(0)?, counter(0)?, counter(0)?);
        epoll.add(&stop, EventData::new_u64(99), EventFlags::IN)?;
        let wait = || {
            arrived.write(1)?;
            if ready_within(&epoll, LONG)? == [woken(7)] {
                got.write(1)?;
            }
            Ok::<(), Errno>(())
        };
        super::beside_many(
            host,
            3,
            &|_, _| {
                let _ = wait();
            },
            &mut |host| {
                gather(&arrived, 3)?;
                pause(host, Duration::from_millis(20))?;
                waker.wake()?;
                let first = gather(&got, 1);
                pause(host, Duration::from_millis(20))?; // time for a second event
                stop.write(1)?;
                ensure_eq!(first, Ok(1));
                Ok(())
            },
        )?;
        ensure_eq!(got.read(), Err(Errno::EAGAIN));
    }

    fn a_dropped_waker_is_closed_and_forgotten(host) {
        let (epoll, waker) = epoll_and_waker()?;
        waker.wake()?;
        let fd = waker.as_raw_fd();
        drop(waker);
        ensure!(!is_open(fd)?);
        ensure_eq!(ready(&epoll)?, NOTHING);
    }

    fn a_waker_can_be_deleted_from_its_epoll(host) {
        let (epoll, waker) = epoll_and_waker()?;
        epoll.delete(&waker)?;
        waker.wake()?;
        ensure_eq!(ready(&epoll)?, NOTHING);
    }

    fn a_waker_that_cannot_be_made_leaves_no_descriptor(host) {
        let lowest_free = closed_number()?;
        let epoll = Epoll::new()?;
        let refused = with_limit(host, lowest_free + 1, || Waker::new(&epoll, EventData::new_u64(1)).err())?;
        ensure_eq!(refused, Some(Errno::EMFILE));
        let no_epoll = Epoll::from(OwnedFd::from(counter(0)?));
        let next = closed_number()?;
        ensure_eq!(Waker::new(&no_epoll, EventData::new_u64(1)).err(), Some(Errno::EINVAL));
        ensure_eq!(closed_number()?, next);
    }

    fn a_waker_is_closed_on_exec(host) {
        let (_epoll, waker) = epoll_and_waker()?;
        ensure!(host.is_close_on_exec(barepoll::fd::AsFd::as_fd(&waker))?);
    }

    fn a_waker_can_be_shared_and_sent(host) {
        fn can<T: Send + Sync>() {}
        can::<Waker>();
        can::<EventFd>();
    }
}
