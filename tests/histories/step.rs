//! The steps of a history, and random histories.

use super::corpus;
use proptest::prelude::*;

/// Descriptors at a time. A slot is a descriptor's number minus a base.
pub const SLOTS: usize = 12;

/// Bytes of a pipe's page, and its number of pages.
pub const PAGE: usize = 4096;
pub const PAGES: usize = 2;

const IN: u32 = 0x001;
const PRI: u32 = 0x002;
const OUT: u32 = 0x004;
const RDNORM: u32 = 0x040;
const WRNORM: u32 = 0x100;
const RDHUP: u32 = 0x2000;
const EXCLUSIVE: u32 = 1 << 28;
const WAKEUP: u32 = 1 << 29;
const ONESHOT: u32 = 1 << 30;
const ET: u32 = 1 << 31;

/// A kind of file to open. All are nonblocking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Epoll,
    /// An eventfd.
    Counter {
        initial: u32,
        semaphore: bool,
    },
    /// Two slots: the reading end, the writing end.
    Pipe,
    /// Two slots: connected `AF_UNIX` stream sockets.
    Pair,
    /// Cannot be watched.
    Directory,
}

/// One call, or a few together. A slot may be closed, or hold a file that does not suit the call.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// Opens at the lowest free slots, if there are enough.
    Open(Kind),
    /// `dup3`, which closes the file at `to`.
    Duplicate {
        from: usize,
        to: usize,
    },
    Close {
        slot: usize,
    },
    Add {
        epoll: usize,
        slot: usize,
        events: u32,
        data: u64,
    },
    Modify {
        epoll: usize,
        slot: usize,
        events: u32,
        data: u64,
    },
    Delete {
        epoll: usize,
        slot: usize,
    },
    /// Waits with a timeout of zero.
    Wait {
        epoll: usize,
        room: usize,
    },
    /// Waits with an unmapped buffer.
    WaitNowhere {
        epoll: usize,
    },
    Read {
        slot: usize,
        bytes: usize,
    },
    /// Writes zeros.
    Write {
        slot: usize,
        bytes: usize,
    },
    /// Writes these eight bytes.
    Count {
        slot: usize,
        add: u64,
    },
    /// Writes to a socket until it takes no more.
    Fill {
        slot: usize,
    },
    /// Reads from a socket until there is no more.
    Drain {
        slot: usize,
    },
    /// `SHUT_RD`, `SHUT_WR`, `SHUT_RDWR`.
    Shutdown {
        slot: usize,
        how: i32,
    },
}

/// Open before the first step: epolls at 0 to 2, a counter at 3, a pipe at 4 and 5, sockets at 6
/// and 7.
pub const FIRST: [Kind; 6] =
    [Kind::Epoll, Kind::Epoll, Kind::Epoll, Kind::Counter { initial: 0, semaphore: false }, Kind::Pipe, Kind::Pair];

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        3 => Just(Kind::Epoll),
        3 => (0..3_u32, any::<bool>()).prop_map(|(initial, semaphore)| Kind::Counter { initial, semaphore }),
        2 => Just(Kind::Pipe),
        2 => Just(Kind::Pair),
        1 => Just(Kind::Directory),
    ]
}

fn events() -> impl Strategy<Value = u32> {
    let ready =
        prop::sample::select(vec![IN, IN, OUT, IN | OUT, 0, RDHUP, IN | RDHUP, PRI, RDNORM, WRNORM, IN | OUT | RDHUP]);
    let how = prop::sample::select(vec![
        0,
        0,
        0,
        ET,
        ET,
        ET,
        ONESHOT,
        ONESHOT,
        ET | ONESHOT,
        EXCLUSIVE,
        EXCLUSIVE | ET,
        WAKEUP,
    ]);
    prop_oneof![
        12 => (ready, how).prop_map(|(ready, how)| ready | how),
        1 => any::<u32>(),
        1 => (0..32).prop_map(|bit| 1_u32 << bit),
    ]
}

/// A few values that are easy to tell apart and use both halves.
fn data() -> impl Strategy<Value = u64> {
    (1..100_u64).prop_map(|number| number << 32 | number)
}

/// Mostly one of these slots, sometimes another.
fn slot_of(usual: &[usize]) -> impl Strategy<Value = usize> {
    prop_oneof![8 => prop::sample::select(usual.to_vec()), 1 => 0..SLOTS]
}

/// The slots that a history mostly uses.
struct Usual {
    epolls: &'static [usize],
    sources: &'static [usize],
    gone: &'static [usize],
}

fn step(usual: &Usual) -> impl Strategy<Value = Step> {
    let epoll = || slot_of(usual.epolls);
    let source = || slot_of(usual.sources);
    let socket = || slot_of(&[6, 7]);
    let bytes = || prop::sample::select(vec![1, 8, 8, 3, 0, 100, PAGE - 1, PAGE, PAGE + 1, PAGE * PAGES, 3 * PAGE]);
    let add = prop::sample::select(vec![1, 1, 1, 2, 0, u64::MAX - 1, u64::MAX - 2, u64::MAX]);
    prop_oneof![
        4 => kind().prop_map(Step::Open),
        1 => (source(), slot_of(&[8, 9, 10, 11])).prop_map(|(from, to)| Step::Duplicate { from, to }),
        2 => slot_of(usual.gone).prop_map(|slot| Step::Close { slot }),
        14 => (epoll(), source(), events(), data())
            .prop_map(|(epoll, slot, events, data)| Step::Add { epoll, slot, events, data }),
        6 => (epoll(), source(), events(), data())
            .prop_map(|(epoll, slot, events, data)| Step::Modify { epoll, slot, events, data }),
        1 => (epoll(), source()).prop_map(|(epoll, slot)| Step::Delete { epoll, slot }),
        16 => (epoll(), prop::sample::select(vec![16, 16, 1, 2, 3]))
            .prop_map(|(epoll, room)| Step::Wait { epoll, room }),
        1 => epoll().prop_map(|epoll| Step::WaitNowhere { epoll }),
        8 => (slot_of(&[3, 4, 4, 6, 7]), bytes()).prop_map(|(slot, bytes)| Step::Read { slot, bytes }),
        6 => (slot_of(&[5, 5, 6, 7]), bytes()).prop_map(|(slot, bytes)| Step::Write { slot, bytes }),
        4 => (slot_of(&[3, 3, 5, 6]), add).prop_map(|(slot, add)| Step::Count { slot, add }),
        1 => socket().prop_map(|slot| Step::Fill { slot }),
        1 => socket().prop_map(|slot| Step::Drain { slot }),
        1 => (socket(), 0..3).prop_map(|(slot, how)| Step::Shutdown { slot, how }),
    ]
}

/// Files of all kinds in a few epolls.
const FLAT: Usual = Usual {
    epolls: &[0, 0, 0, 1, 1, 2],
    sources: &[0, 1, 1, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 8, 9],
    gone: &[1, 2, 3, 4, 4, 5, 5, 6, 7, 8, 9, 10, 11],
};

/// Six epolls, mostly nested.
const NESTED: Usual = Usual { epolls: &[0, 1, 2, 8, 9, 10], sources: &[0, 1, 2, 3, 8, 9, 10, 11], gone: &[3, 11] };

fn nested(steps: Vec<Step>) -> Vec<Step> {
    [vec![Step::Open(Kind::Epoll); 3], steps].concat()
}

/// A history of about half the maximal length.
pub fn history(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let nested = prop::collection::vec(step(&NESTED), 1..most).prop_map(nested);
    prop_oneof![3 => prop::collection::vec(step(&FLAT), 1..most), 1 => nested]
}

/// A history from a fuzzer's bytes: the first selects the kind, the others the steps.
pub fn history_of(bytes: &[u8], most: usize) -> Vec<Step> {
    let (first, rest) = bytes.split_first().map_or((0, bytes), |(first, rest)| (*first, rest));
    let usual = if first % 4 == 0 { &NESTED } else { &FLAT };
    let mut steps = corpus::steps(&step(usual), rest);
    steps.truncate(most);
    if first % 4 == 0 {
        nested(steps)
    } else {
        steps
    }
}
