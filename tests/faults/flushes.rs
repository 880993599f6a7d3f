//! The system calls of a flush, by kind. A flush makes no needless call, which an interest list
//! cannot show.

use crate::refusals::{counter, tell, Interest};
use crate::seccomp::{intercepted, Call};
use crate::Check;
use barepoll::raw::{EPOLL_CTL_ADD as ADD, EPOLL_CTL_DEL as DEL, EPOLL_CTL_MOD as MOD};
use barepoll::{Epoll, EventFlags, InterestSet, Slot};

/// The desired interest; `None` for a removal.
type Wish = Option<Interest>;

const IN: EventFlags = EventFlags::IN;
const REMOVED: Wish = None;
const ONE: Wish = Some((IN, 1));
const OTHER: Wish = Some((EventFlags::OUT, 1));
const OTHER_DATA: Wish = Some((IN, 2));
const EDGE: Wish = Some((IN.union(EventFlags::ET), 1));
const ONESHOT: Wish = Some((IN.union(EventFlags::ONESHOT), 1));
const EXCLUSIVE: Wish = Some((IN.union(EventFlags::EXCLUSIVE), 1));
const OTHER_EXCLUSIVE: Wish = Some((IN.union(EventFlags::EXCLUSIVE), 2));

#[rustfmt::skip] // one case a line
pub fn checks() -> Vec<Check> {
    // The flushed state, the changes since, and the expected calls.
    let cases: [(&str, Wish, &[Wish], &[u32]); 22] = [
        ("what is set is added", REMOVED, &[ONE], &[ADD]),
        ("what is set twice is added once", REMOVED, &[ONE, OTHER], &[ADD]),
        ("what is set and removed costs nothing", REMOVED, &[ONE, REMOVED], &[]),
        ("what is set, removed and set is added once", REMOVED, &[ONE, REMOVED, OTHER], &[ADD]),
        ("what was never set is removed for nothing", REMOVED, &[REMOVED], &[]),
        ("another interest is a modification", ONE, &[OTHER], &[MOD]),
        ("other data is a modification", ONE, &[OTHER_DATA], &[MOD]),
        ("what is set twice to something else is modified once", ONE, &[OTHER, OTHER_DATA], &[MOD]),
        ("what is set to what it was costs nothing", ONE, &[ONE], &[]),
        ("what is set to something else and back costs nothing", ONE, &[OTHER, ONE], &[]),
        ("what is removed is deleted", ONE, &[REMOVED], &[DEL]),
        ("what is set and removed is deleted", ONE, &[OTHER, REMOVED], &[DEL]),
        ("what is removed and set to something else is modified once", ONE, &[REMOVED, OTHER], &[MOD]),
        ("what is removed and set to what it was is modified", ONE, &[REMOVED, ONE], &[MOD]),
        ("an edge that is set to what it was is armed again", EDGE, &[EDGE], &[MOD]),
        ("a one-shot that is set to what it was is armed again", ONESHOT, &[ONESHOT], &[MOD]),
        ("a change to EXCLUSIVE is two calls", ONE, &[EXCLUSIVE], &[DEL, ADD]),
        ("a change from EXCLUSIVE is two calls", EXCLUSIVE, &[ONE], &[DEL, ADD]),
        ("a change between two EXCLUSIVE ones is two calls", EXCLUSIVE, &[OTHER_EXCLUSIVE], &[DEL, ADD]),
        ("a change to EXCLUSIVE and back costs nothing", ONE, &[EXCLUSIVE, ONE], &[]),
        ("EXCLUSIVE that is set to what it was costs nothing", EXCLUSIVE, &[EXCLUSIVE], &[]),
        ("EXCLUSIVE that is removed and set is two calls", EXCLUSIVE, &[REMOVED, EXCLUSIVE], &[DEL, ADD]),
    ];
    let check = |(name, told, said, calls): (&str, _, _, _)| -> Check {
        (name.into(), Box::new(move || assert_eq!(operations(told, said), calls)))
    };
    cases.map(check).into()
}

/// The operations of a flush, in order.
fn operations(told: Wish, said: &[Wish]) -> Vec<u32> {
    let (epoll, source, mut slots) = (Epoll::new().expect("an epoll"), counter(0), [Slot::EMPTY; 64]);
    let mut interests = InterestSet::new(&mut slots);
    tell(&mut interests, &source, told);
    interests.flush(&epoll).expect("registered");
    said.iter().for_each(|wish| tell(&mut interests, &source, *wish));
    let mut made = Vec::new();
    let note = |call: &Call| {
        made.push(call.argument(1) as u32);
        None
    };
    intercepted(&[libc::SYS_epoll_ctl], note, || interests.flush(&epoll).and_then(|()| interests.flush(&epoll)))
        .expect("no call fails");
    made
}
