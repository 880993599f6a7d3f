//! Changing descriptors' interests: by immediate system calls and by an `InterestSet`.

use super::{counter, ONE};
use crate::wall::{Purpose, Way};
use barepoll::{Epoll, EventFd, EventFlags, InterestSet, Result, Slot};

/// How many descriptors change in a turn.
const DESCRIPTORS: usize = 16;

/// An epoll and its registered eventfds.
struct Registered {
    epoll: Epoll,
    eventfds: Vec<EventFd>,
}

impl Registered {
    fn new() -> Result<Self> {
        let made = Self { epoll: Epoll::new()?, eventfds: (0..DESCRIPTORS).map(|_| counter()).collect::<Result<_>>()? };
        made.eventfds.iter().try_for_each(|eventfd| made.epoll.add(eventfd, ONE, EventFlags::IN))?;
        Ok(made)
    }
}

/// Removes each descriptor, adds it again with another interest, then flushes the set.
pub fn interest(purpose: &Purpose) -> Result<serde_json::Value> {
    let naive = |at: &Registered, interest| {
        for eventfd in &at.eventfds {
            at.epoll.delete(eventfd).unwrap();
            at.epoll.add(eventfd, ONE, interest).unwrap();
        }
    };
    with_interests(purpose, naive, |at, set, interest| {
        for eventfd in &at.eventfds {
            set.remove(eventfd).unwrap();
            set.set(eventfd, ONE, interest).unwrap();
        }
        set.flush(&at.epoll).unwrap();
    })
}

/// Changes each descriptor's interest once.
pub fn interest_nothing_to_save(purpose: &Purpose) -> Result<serde_json::Value> {
    let naive = |at: &Registered, interest| {
        for eventfd in &at.eventfds {
            at.epoll.modify(eventfd, ONE, interest).unwrap();
        }
    };
    with_interests(purpose, naive, |at, set, interest| {
        for eventfd in &at.eventfds {
            set.set(eventfd, ONE, interest).unwrap();
        }
        set.flush(&at.epoll).unwrap();
    })
}

fn with_interests(
    purpose: &Purpose,
    naive: impl Fn(&Registered, EventFlags) + Copy,
    ours: impl Fn(&Registered, &mut InterestSet<'_>, EventFlags),
) -> Result<serde_json::Value> {
    let at = [Registered::new()?, Registered::new()?, Registered::new()?];
    let mut slots = [Slot::EMPTY; 256];
    let mut set = InterestSet::new(&mut slots);
    let interests = [EventFlags::IN, EventFlags::PRI];
    let calls = |at| {
        move |times| {
            for turn in 0..times {
                naive(at, interests[turn as usize % 2]);
            }
        }
    };
    Ok(purpose.of(vec![
        Way::new("calls at once", calls(&at[0])),
        Way::new("the same again", calls(&at[1])),
        Way::new("InterestSet", |times| {
            for turn in 0..times {
                ours(&at[2], &mut set, interests[turn as usize % 2]);
            }
        }),
    ]))
}
