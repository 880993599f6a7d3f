//! An interest list that one thread changes while others wait. What comes of such calls one at a time is in
//! `conformance/sharing.rs`; here they meet as they will.

use barepoll::{Epoll, Event, EventData, EventFd, EventFdFlags, EventFlags};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{array, thread};

/// At least so long; and longer until each of those who look has seen something.
const TIME: Duration = Duration::from_secs(1);
/// What is not seen for so long was overlooked.
const OVERLOOKED: Duration = Duration::from_secs(60);
const SOURCES: usize = 8;
const IN: EventFlags = EventFlags::IN;
const INTERESTS: [EventFlags; 3] = [IN, IN.union(EventFlags::ET), IN.union(EventFlags::ONESHOT)];

/// What is known of a source's generations. A generation is what one call registered; its number is the data, and tells the
/// source too.
#[derive(Default)]
struct Source {
    /// The last that the kernel was told to forget, or to replace.
    ended: AtomicUsize,
    /// The last that an event came of.
    seen: AtomicUsize,
}

/// Adds, modifies and deletes what is always ready. Some generations are left until they are seen, and others ended at once.
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
            assert!(Instant::now() < until, "{interest:?} of {generation} came to nobody");
            thread::yield_now();
        }
    }
}

/// Waits as long as somebody changes what is watched, and counts the events that come.
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
        thread::yield_now(); // two that never pause keep the kernel's lock from the one that changes
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
