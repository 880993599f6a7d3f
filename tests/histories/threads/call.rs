//! The calls of a history with threads, and random plans of them.

use super::step::Step;
use barepoll::raw::*;

/// Threads that make random calls.
pub const WORKERS: usize = 3;
/// The thread that sets up, rings the bell and looks at the end.
pub const MAIN: usize = WORKERS;
/// All threads.
pub const THREADS: usize = WORKERS + 1;

/// Slots. The files of `step::FIRST`, and the bell, which ends a wait that nothing else ends.
pub const COUNTER: usize = 3;
pub const READER: usize = 4;
pub const WRITER: usize = 5;
pub const BELL: usize = 8;
/// The epolls. The second may watch the first.
pub const EPOLLS: [usize; 2] = [INNER, 1];
pub const INNER: usize = 0;
/// The calls of each plan that watch the bell, before all others.
const BELLS: usize = EPOLLS.len();

/// What one thread does at one time.
#[derive(Clone, Copy, Debug)]
pub enum Call {
    /// A call that does not block.
    Take(Step),
    /// Waits without a timeout.
    Sleep { epoll: usize, room: usize },
    /// Sees that exactly these threads sleep, as bits, and that no thread runs.
    See { asleep: u8 },
}

/// A call's name and arguments, short enough for a column.
pub fn short(call: &Call) -> String {
    let flags = |events: u32| {
        let names = [
            (EPOLLIN, "IN"),
            (EPOLLOUT, "OUT"),
            (EPOLLET, "ET"),
            (EPOLLONESHOT, "ONESHOT"),
            (EPOLLEXCLUSIVE, "EXCLUSIVE"),
        ];
        let names: Vec<_> = names.iter().filter(|(flag, _)| events & flag != 0).map(|(_, name)| *name).collect();
        names.join("|")
    };
    match *call {
        Call::Take(Step::Add { epoll, slot, events, data }) => {
            format!("add {slot} to {epoll}, {}, {}", flags(events), data >> 32)
        }
        Call::Take(Step::Modify { epoll, slot, events, data }) => {
            format!("modify {slot} in {epoll}, {}, {}", flags(events), data >> 32)
        }
        Call::Take(Step::Delete { epoll, slot }) => format!("delete {slot} from {epoll}"),
        Call::Take(Step::Wait { epoll, room }) => format!("wait {epoll}, room {room}"),
        Call::Take(Step::Read { slot, .. }) => format!("read {slot}"),
        Call::Take(Step::Write { slot, .. }) => format!("write {slot}"),
        Call::Take(Step::Count { slot, add }) if add > u64::MAX / 2 => format!("fill {slot}"),
        Call::Take(Step::Count { slot, add }) => format!("write {slot}, {add}"),
        Call::Take(step) => format!("{step:?}"),
        Call::Sleep { epoll, room } => format!("sleep {epoll}, room {room}"),
        Call::See { asleep } => format!("see {asleep:03b} asleep"),
    }
}

/// A history to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Made by the main thread before the others start.
    pub set_up: Vec<Call>,
    pub threads: Vec<Vec<Call>>,
    /// The thread of each turn. If none, all run at once.
    pub turns: Option<Vec<usize>>,
}

impl Plan {
    /// The same plan without one of its calls, for each of them.
    pub fn smaller(&self) -> Vec<Self> {
        let mut smaller = Vec::new();
        for (thread, calls) in self.threads.iter().enumerate() {
            for call in 0..calls.len() {
                let mut plan = self.clone();
                plan.threads[thread].remove(call);
                if let Some(turns) = &mut plan.turns {
                    let its = |(_, turn): &(usize, &usize)| **turn == thread;
                    let place = turns.iter().enumerate().filter(its).nth(call).map(|(place, _)| place);
                    turns.remove(place.expect("a turn for each call"));
                }
                smaller.push(plan);
            }
        }
        for call in BELLS..self.set_up.len() {
            let mut plan = self.clone();
            plan.set_up.remove(call);
            smaller.push(plan);
        }
        smaller
    }
}

/// The generator of Steele, Lea and Flood (SplitMix64).
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }
}

/// How a history's registrations report.
#[derive(Clone, Copy, PartialEq)]
enum Style {
    Level,
    Edge,
    OneShot,
    /// Two epolls watch a file, mostly with threads that sleep.
    Exclusive,
    /// The second epoll watches the first.
    Nested,
    Mixed,
}

const STYLES: [Style; 6] = [Style::Level, Style::Edge, Style::OneShot, Style::Exclusive, Style::Nested, Style::Mixed];

struct Planner {
    random: Random,
    style: Style,
    made: u64,
}

/// The plan with this number.
pub fn plan(number: u64) -> Plan {
    let mut random = Random(number);
    let style = random.one_of(&STYLES);
    let mut planner = Planner { random, style, made: 0 };
    let mut set_up = planner.set_up();
    let threads = planner.random.one_of(&[2, 2, 3]);
    let most = 1 + planner.random.below(if threads == 2 { 5 } else { 3 });
    let mut threads: Vec<Vec<Call>> = (0..threads).map(|_| (0..most).map(|_| planner.call()).collect()).collect();
    if style == Style::Exclusive && threads.len() == 3 {
        // A thread in each epoll sleeps, and the third one writes.
        set_up.truncate(BELLS);
        for epoll in EPOLLS {
            let (events, data) = (EPOLLIN | EPOLLEXCLUSIVE, planner.data());
            set_up.push(Call::Take(Step::Add { epoll, slot: COUNTER, events, data }));
        }
        threads[0][0] = Call::Sleep { epoll: EPOLLS[0], room: 16 };
        threads[1][0] = Call::Sleep { epoll: EPOLLS[1], room: 16 };
        threads[2][0] = Call::Take(Step::Count { slot: COUNTER, add: 1 });
    }
    let in_turns = planner.random.below(8) == 0;
    let turns = in_turns.then(|| planner.turns(&threads));
    Plan { set_up, threads, turns }
}

/// The same plan with the calls made in turns.
pub fn plan_in_turns(number: u64) -> Plan {
    let plan = plan(number);
    let mut planner = Planner { random: Random(!number), style: Style::Mixed, made: 0 };
    let turns = planner.turns(&plan.threads);
    Plan { turns: Some(turns), ..plan }
}

impl Planner {
    fn data(&mut self) -> u64 {
        self.made += 1;
        self.made << 32 | self.made
    }

    fn how(&mut self) -> u32 {
        match self.style {
            Style::Level => 0,
            Style::Edge => EPOLLET,
            Style::OneShot => self.random.one_of(&[EPOLLONESHOT, EPOLLONESHOT, EPOLLONESHOT | EPOLLET]),
            Style::Exclusive => self.random.one_of(&[EPOLLEXCLUSIVE, EPOLLEXCLUSIVE, EPOLLEXCLUSIVE | EPOLLET, 0]),
            Style::Nested | Style::Mixed => {
                self.random.one_of(&[0, EPOLLET, EPOLLET, EPOLLONESHOT, EPOLLONESHOT | EPOLLET, EPOLLEXCLUSIVE])
            }
        }
    }

    fn interest(&mut self) -> u32 {
        self.random.one_of(&[EPOLLIN, EPOLLIN, EPOLLIN, EPOLLIN | EPOLLOUT, EPOLLOUT]) | self.how()
    }

    fn add(&mut self, epoll: usize, slot: usize) -> Call {
        let events = match slot {
            COUNTER => self.interest(),
            INNER => EPOLLIN | self.how() & !EPOLLEXCLUSIVE,
            _ => EPOLLIN | self.how(),
        };
        Call::Take(Step::Add { epoll, slot, events, data: self.data() })
    }

    fn set_up(&mut self) -> Vec<Call> {
        let bell = |epoll, data| Call::Take(Step::Add { epoll, slot: BELL, events: EPOLLIN, data });
        let mut calls = vec![bell(0, u64::MAX), bell(1, u64::MAX)];
        if self.random.below(4) > 0 {
            calls.push(self.add(0, COUNTER));
        }
        if self.random.below(3) == 0 {
            calls.push(self.add(0, READER));
        }
        if self.style == Style::Exclusive || self.random.below(4) == 0 {
            calls.push(self.add(1, COUNTER));
        }
        if self.style == Style::Nested {
            calls.push(self.add(1, INNER));
        }
        if self.random.below(3) == 0 {
            calls.push(Call::Take(Step::Count { slot: COUNTER, add: 1 }));
        }
        if self.random.below(6) == 0 {
            calls.push(Call::Take(Step::Write { slot: WRITER, bytes: 1 }));
        }
        calls
    }

    fn epoll(&mut self) -> usize {
        match self.style {
            Style::Exclusive | Style::Nested => self.random.one_of(&EPOLLS),
            _ => self.random.one_of(&[0, 0, 0, 0, 1]),
        }
    }

    fn call(&mut self) -> Call {
        let epoll = self.epoll();
        let slot = if self.style == Style::Nested && epoll != INNER {
            self.random.one_of(&[INNER, INNER, INNER, COUNTER])
        } else {
            self.random.one_of(&[COUNTER, COUNTER, COUNTER, READER])
        };
        let room = self.random.one_of(&[16, 16, 16, 1, 2]);
        let sleeps = if self.style == Style::Exclusive { 5 } else { 1 };
        match self.random.below(20 + sleeps) {
            0..=5 => Call::Take(Step::Wait { epoll, room }),
            6..=9 => {
                let add = self.random.one_of(&[1, 1, 1, 1, 2, u64::MAX - 1]);
                Call::Take(Step::Count { slot: COUNTER, add })
            }
            10 => Call::Take(Step::Write { slot: WRITER, bytes: 1 }),
            11..=12 => Call::Take(Step::Read { slot: COUNTER, bytes: 8 }),
            13 => Call::Take(Step::Read { slot: READER, bytes: 8 }),
            14..=16 => {
                let Call::Take(Step::Add { epoll, slot, events, data }) = self.add(epoll, slot) else { unreachable!() };
                Call::Take(Step::Modify { epoll, slot, events: events & !EPOLLEXCLUSIVE, data })
            }
            17 => self.add(epoll, slot),
            18..=19 => Call::Take(Step::Delete { epoll, slot }),
            _ => Call::Sleep { epoll, room },
        }
    }

    /// Each thread's number once for each of its calls, shuffled.
    fn turns(&mut self, threads: &[Vec<Call>]) -> Vec<usize> {
        let mut turns: Vec<usize> = threads.iter().enumerate().flat_map(|(n, calls)| vec![n; calls.len()]).collect();
        for last in (1..turns.len()).rev() {
            let other = self.random.below(last + 1);
            turns.swap(last, other);
        }
        turns
    }
}
