//! One thread changes an interest list while others wait on it. `conformance/sharing.rs` makes such
//! calls one at a time; here they overlap at random.

use barepoll::{Epoll, Event, EventData, EventFd, EventFdFlags, EventFlags};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{array, thread};

/// The least duration. It goes on until each waiting thread has seen an event.
const TIME: Duration = Duration::from_secs(1);
/// An event that takes longer than this is lost.
const OVERLOOKED: Duration = Duration::from_secs(60);
const SOURCES: usize = 8;
const IN: EventFlags = EventFlags::IN;
const INTERESTS: [EventFlags; 3] = [IN, IN.union(EventFlags::ET), IN.union(EventFlags::ONESHOT)];

/// The state of a source's generations. Each registering call starts a generation. Its number is
/// the event's data, and identifies the source.
#[derive(Default)]
struct Source {
    /// The last generation that was deleted or replaced.
    ended: AtomicUsize,
    /// The last generation whose event was seen.
    seen: AtomicUsize,
}

/// Adds, modifies and deletes counters that are always ready. Waits for some generations' events,
/// and ends others at once.
fn change(epoll: &Epoll, sources: &[Source; SOURCES], has_enough: impl Fn() -> bool) {
    let eventfds = [(); SOURCES].map(|()| EventFd::new(1, EventFdFlags::CLOEXEC).expect("an eventfd"));
    let (start, mut registered) = (Instant::now(), [None; SOURCES]);
    let goes_on = |_: &usize| {
        let took = start.elapsed();
        took < TIME || took < OVERLOOKED && !has_enough()
    };
    for generation in (SOURCES..).take_while(goes_on) {
        let place = generation % SOURCES;
        let (eventfd, Source { ended, seen }) = (&eventfds[place], &sources[place]);
        let (data, interest) = (EventData::new_u64(generation as u64), INTERESTS[generation % 7 % 3]);
        let before = registered[place].replace(generation);
        match before {
            None => epoll.add(eventfd, data, interest).expect("an addition"),
            Some(_) if generation % 3 > 0 => epoll.modify(eventfd, data, interest).expect("a modification"),
            Some(_) => {
                epoll.delete(eventfd).expect("a deletion");
                registered[place] = None;
            }
        }
        if let Some(before) = before {
            ended.store(before, Ordering::Release);
        }
        let until = Instant::now() + OVERLOOKED;
        while registered[place].is_some() && generation % 5 < 2 && seen.load(Ordering::Acquire) < generation {
            assert!(Instant::now() < until, "no thread got the event of {generation}, {interest:?}");
            thread::yield_now();
        }
    }
}

/// Waits while another thread changes the list, and counts the events.
fn look(epoll: &Epoll, sources: &[Source; SOURCES], events: &AtomicUsize, is_over: impl Fn() -> bool) {
    let mut buffer = Event::buffer::<2>();
    while !is_over() {
        let ended: [usize; SOURCES] = array::from_fn(|place| sources[place].ended.load(Ordering::Acquire));
        for event in epoll.wait(&mut buffer, Some(Duration::from_millis(1))).expect("a wait") {
            let generation = event.data().u64() as usize;
            let place = generation % SOURCES;
            assert!(generation > ended[place], "{generation} came, though {} had ended before the wait", ended[place]);
            sources[place].seen.fetch_max(generation, Ordering::Release);
            events.fetch_add(1, Ordering::Relaxed);
        }
        thread::yield_now(); // two threads that never pause would keep the kernel's lock from the changing thread
    }
}

#[test]
fn each_ready_registration_is_seen_and_none_in_a_wait_that_began_after_its_end() {
    let (epoll, sources, counts) = (Epoll::new().unwrap(), Default::default(), [const { AtomicUsize::new(0) }; 2]);
    let have_seen = || counts.iter().all(|events| events.load(Ordering::Relaxed) > 0);
    thread::scope(|scope| {
        let changing = scope.spawn(|| change(&epoll, &sources, have_seen));
        thread::scope(|scope| {
            let looking = counts.each_ref().map(|events| {
                let (epoll, sources, changing) = (&epoll, &sources, &changing);
                scope.spawn(move || look(epoll, sources, events, || changing.is_finished()))
            });
            looking.into_iter().for_each(|thread| thread.join().expect("no panic"));
            assert!(have_seen(), "{counts:?}");
        });
        changing.join().expect("no panic");
    });
}
