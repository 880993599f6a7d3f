//! Spinning: polls without blocking before the wait.

use super::{count, counter, watching, Host, Outcome, LONG};
use barepoll::fd::OwnedFd;
use barepoll::{Epoll, Errno, Event, EventFlags};
use core::time::Duration;

const IN: EventFlags = EventFlags::IN;
const SPINS: [u32; 4] = [0, 1, 2, 200];
/// Spins until an event comes.
const FOR_EVER: u32 = u32::MAX;

/// A wait that finds nothing and lasts its full timeout.
fn lasts(host: &mut dyn Host, spins: u32, timeout: Duration) -> Outcome {
    let silent = counter(0)?;
    let epoll = watching(&silent, IN)?;
    let mut buffer = Event::buffer::<2>();
    super::lasts(host, timeout, &mut || count(epoll.wait_spinning(&mut buffer, Some(timeout), spins)))
}

checks! { by "src/epoll.rs: wait_spinning";
    fn what_is_ready_is_found_whatever_the_spins(host) {
        let eventfd = counter(1)?;
        let epoll = watching(&eventfd, IN)?;
        let mut buffer = Event::buffer::<2>();
        for spins in SPINS.into_iter().chain([FOR_EVER]) {
            for timeout in [None, Some(Duration::ZERO), Some(Duration::from_micros(1)), Some(LONG)] {
                let found = epoll.wait_spinning(&mut buffer, timeout, spins)?;
                ensure_eq!(found.len(), 1);
                ensure_eq!((found[0].data().u64(), found[0].flags()), (1, IN));
            }
        }
    }

    fn a_wait_of_nothing_is_never_early_and_ends(host) by "fs/eventpoll.c: ep_poll" {
        for spins in SPINS {
            lasts(host, spins, Duration::from_millis(3))?;
        }
    }

    fn a_fine_wait_of_nothing_is_never_early_and_ends(host) by "fs/eventpoll.c: ep_poll" {
        for spins in SPINS {
            lasts(host, spins, Duration::from_micros(700))?;
            lasts(host, spins, Duration::from_nanos(1))?;
        }
    }

    fn no_time_is_one_look_whatever_the_spins(host) {
        lasts(host, FOR_EVER, Duration::ZERO)?; // so many polls would take minutes
    }

    fn an_event_ends_the_looking(host) {
        let eventfd = counter(0)?;
        let epoll = watching(&eventfd, IN)?;
        let start = host.now();
        host.beside(
            &|other| {
                other.sleep(Duration::from_millis(20));
                let _ = eventfd.write(1);
            },
            &mut |_| {
                ensure_eq!(count(epoll.wait_spinning(&mut Event::buffer::<2>(), None, FOR_EVER)), Ok(1));
                Ok(())
            },
        )?;
        ensure!(host.now() - start >= Duration::from_millis(20));
    }

    fn an_event_ends_the_wait_after_the_looking(host) {
        let eventfd = counter(0)?;
        let epoll = watching(&eventfd, IN)?;
        host.beside(
            &|other| {
                other.sleep(Duration::from_millis(40));
                let _ = eventfd.write(1);
            },
            &mut |_| {
                ensure_eq!(count(epoll.wait_spinning(&mut Event::buffer::<2>(), None, 2)), Ok(1));
                Ok(())
            },
        )?;
    }

    fn an_error_ends_the_looking_at_once(host) by "fs/eventpoll.c: do_epoll_wait" {
        let no_epoll = Epoll::from(OwnedFd::from(counter(0)?));
        let epoll = Epoll::new()?;
        for spins in SPINS.into_iter().chain([FOR_EVER]) {
            ensure_eq!(count(no_epoll.wait_spinning(&mut Event::buffer::<2>(), None, spins)), Err(Errno::EINVAL));
            ensure_eq!(count(epoll.wait_spinning(&mut [], None, spins)), Err(Errno::EINVAL));
        }
    }
}
