//! Buffers that are too small, exactly large enough, too large, or empty.

use super::{count, counter, watching, LONG};
use barepoll::{Epoll, Errno, Event, EventData, EventFd, EventFlags, SigSet};
use core::mem::MaybeUninit;
use core::time::Duration;

const NOW: Option<Duration> = Some(Duration::ZERO);

/// Makes an epoll with `N` ready events, whose data is 0, 1, 2 and so on.
fn ready_sources<const N: usize>(interest: EventFlags) -> Result<(Epoll, [Option<EventFd>; N]), Errno> {
    let epoll = Epoll::new()?;
    let mut counters = core::array::from_fn(|_| None);
    for (number, place) in (0..).zip(&mut counters) {
        let eventfd = counter(1)?;
        epoll.add(&eventfd, EventData::new_u64(number), interest)?;
        *place = Some(eventfd);
    }
    Ok((epoll, counters))
}

/// Waits once and counts each event by its data.
fn tally(epoll: &Epoll, buffer: &mut [MaybeUninit<Event>], seen: &mut [u32]) -> Result<usize, Errno> {
    let events = epoll.wait(buffer, NOW)?;
    for event in &*events {
        seen[event.data().u64() as usize] += 1;
    }
    Ok(events.len())
}

checks! { by "fs/eventpoll.c: ep_send_events";
    fn an_empty_buffer_is_einval_and_does_not_wait(host) by "fs/eventpoll.c: do_epoll_wait" {
        let epoll = Epoll::new()?;
        for timeout in [NOW, Some(Duration::from_micros(1)), Some(LONG), None] {
            ensure_eq!(count(epoll.wait(&mut [], timeout)), Err(Errno::EINVAL));
            ensure_eq!(count(epoll.wait_masked(&mut [], timeout, &SigSet::full())), Err(Errno::EINVAL));
            ensure_eq!(count(epoll.wait_uninterrupted(&mut [], timeout)), Err(Errno::EINVAL));
        }
    }

    fn a_buffer_of_one_takes_one(host) {
        let (epoll, _counters) = ready_sources::<3>(EventFlags::IN)?;
        let mut buffer = Event::buffer::<1>();
        ensure_eq!(count(epoll.wait(&mut buffer, NOW)), Ok(1));
        ensure_eq!(count(epoll.wait_masked(&mut buffer, NOW, &SigSet::full())), Ok(1));
        ensure_eq!(count(epoll.wait_uninterrupted(&mut buffer, NOW)), Ok(1));
    }

    fn a_larger_buffer_is_filled_at_the_front_and_no_further(host) {
        let (epoll, _counters) = ready_sources::<2>(EventFlags::IN)?;
        let untouched = Event::new(EventFlags::all(), EventData::new_u64(0xaaaa_5555_aaaa_5555));
        let mut buffer = [MaybeUninit::new(untouched); 5];
        let start = buffer.as_ptr();
        let events = epoll.wait(&mut buffer, NOW)?;
        ensure_eq!(events.len(), 2);
        ensure_eq!(events.as_ptr(), start.cast());
        for event in &buffer[2..] {
            // SAFETY: all five were initialised above.
            let event = unsafe { event.assume_init() };
            ensure_eq!((event.flags(), event.data().u64()), (untouched.flags(), untouched.data().u64()));
        }
    }

    fn edges_that_find_no_room_come_with_the_next_wait(host) {
        let (epoll, _counters) = ready_sources::<5>(EventFlags::IN | EventFlags::ET)?;
        let (mut buffer, mut seen) = (Event::buffer::<2>(), [0; 5]);
        for expected in [2, 2, 1, 0] {
            ensure_eq!(tally(&epoll, &mut buffer, &mut seen), Ok(expected));
        }
        ensure_eq!(seen, [1; 5]);
    }

    fn one_shots_that_find_no_room_come_with_the_next_wait(host) {
        let (epoll, _counters) = ready_sources::<5>(EventFlags::IN | EventFlags::ONESHOT)?;
        let (mut buffer, mut seen) = (Event::buffer::<3>(), [0; 5]);
        for expected in [3, 2, 0] {
            ensure_eq!(tally(&epoll, &mut buffer, &mut seen), Ok(expected));
        }
        ensure_eq!(seen, [1; 5]);
    }

    fn levels_that_find_no_room_take_turns(host) {
        let (epoll, _counters) = ready_sources::<5>(EventFlags::IN)?;
        let (mut buffer, mut seen) = (Event::buffer::<2>(), [0; 5]);
        for _ in 0..5 {
            ensure_eq!(tally(&epoll, &mut buffer, &mut seen), Ok(2));
        }
        ensure_eq!(seen, [2; 5]);
    }

    fn one_busy_descriptor_does_not_starve_another(host) {
        let (epoll, counters) = ready_sources::<2>(EventFlags::IN)?;
        let (mut buffer, mut seen) = (Event::buffer::<1>(), [0; 2]);
        for _ in 0..6 {
            tally(&epoll, &mut buffer, &mut seen)?;
            if let Some(busy) = &counters[0] {
                busy.write(1)?;
            }
        }
        ensure_eq!(seen, [3; 2]);
    }

    fn a_hundred_events_come_with_one_wait(host) {
        let (epoll, _counters) = ready_sources::<100>(EventFlags::IN)?;
        let mut seen = [0; 100];
        ensure_eq!(tally(&epoll, &mut Event::buffer::<128>(), &mut seen), Ok(100));
        ensure!(seen == [1; 100]);
    }

    fn a_buffer_serves_many_waits(host) {
        let eventfd = counter(0)?;
        let epoll = watching(&eventfd, EventFlags::IN)?;
        let mut buffer = Event::buffer::<4>();
        for round in 0..4 {
            ensure_eq!(count(epoll.wait(&mut buffer, NOW)), Ok(0));
            epoll.modify(&eventfd, EventData::new_u64(round), EventFlags::IN)?;
            eventfd.write(1)?;
            ensure_eq!(epoll.wait(&mut buffer, NOW)?.first().map(|event| event.data().u64()), Some(round));
            eventfd.read()?;
        }
    }
}
