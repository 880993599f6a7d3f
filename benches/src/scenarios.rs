//! What is timed: each scenario is ways to do one thing, the usual one first, then that once more.

use crate::wall::{compare, Way};
use barepoll::{Epoll, Event, EventData, EventFd, EventFdFlags, EventFlags, InterestSet, Result, Slot, Waker};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, Scope};
use std::time::Duration;

type Scenario = fn() -> Result<serde_json::Value>;

const SCENARIOS: [(&str, Scenario); 6] = [
    ("wakeup", wakeup),
    ("wakeup-calls", wakeup_calls),
    ("burst", burst),
    ("spin", spin),
    ("interest", interest),
    ("interest-nothing-to-save", interest_nothing_to_save),
];

pub fn run(name: &str) -> std::result::Result<(), String> {
    let names = SCENARIOS.map(|(name, _)| name).join(", ");
    let (_, scenario) = SCENARIOS
        .iter()
        .find(|(scenario, _)| *scenario == name)
        .ok_or_else(|| format!("no scenario {name:?}: there are {names}"))?;
    println!("{}", scenario().map_err(|errno| format!("{name}: {errno}"))?);
    Ok(())
}

fn counter() -> Result<EventFd> {
    EventFd::new(0, EventFdFlags::CLOEXEC | EventFdFlags::NONBLOCK)
}

const ONE: EventData = EventData::new_u64(1);

/// What one thread wakes another with, and how that one waits for it.
trait Bell: Sized + Sync {
    fn new() -> Result<Self>;
    fn ring(&self);
    fn listen(&self);
}

/// The usual way: an eventfd, level-triggered, and read.
struct ReadEventFd(Epoll, EventFd);

impl Bell for ReadEventFd {
    fn new() -> Result<Self> {
        let (epoll, eventfd) = (Epoll::new()?, counter()?);
        epoll.add(&eventfd, ONE, EventFlags::IN)?;
        Ok(Self(epoll, eventfd))
    }
    fn ring(&self) {
        self.1.write(1).unwrap();
    }
    fn listen(&self) {
        assert_eq!(self.0.wait(&mut Event::buffer::<16>(), None).unwrap().len(), 1);
        self.1.read().unwrap();
    }
}

struct OurWaker(Epoll, Waker);

impl Bell for OurWaker {
    fn new() -> Result<Self> {
        let epoll = Epoll::new()?;
        let waker = Waker::new(&epoll, ONE)?;
        Ok(Self(epoll, waker))
    }
    fn ring(&self) {
        self.1.wake().unwrap();
    }
    fn listen(&self) {
        assert_eq!(self.0.wait(&mut Event::buffer::<16>(), None).unwrap().len(), 1);
        self.1.acknowledge();
    }
}

/// mio's waker, and its poll behind a lock that nobody else takes, for it waits by `&mut`.
struct Mio(std::sync::Mutex<(mio::Poll, mio::Events)>, mio::Waker);

impl Bell for Mio {
    fn new() -> Result<Self> {
        let poll = mio::Poll::new().expect("mio's poll");
        let waker = mio::Waker::new(poll.registry(), mio::Token(1)).expect("mio's waker");
        Ok(Self(std::sync::Mutex::new((poll, mio::Events::with_capacity(16))), waker))
    }
    fn ring(&self) {
        self.1.wake().unwrap();
    }
    fn listen(&self) {
        let (poll, events) = &mut *self.0.lock().unwrap();
        poll.poll(events, None).unwrap();
        assert!(!events.is_empty());
    }
}

/// Two bells, and a thread that answers the first by the second until it is told to stop.
struct PingPong<B> {
    bells: [B; 2],
    stop: AtomicBool,
}

impl<B: Bell> PingPong<B> {
    fn new() -> Result<Self> {
        Ok(Self { bells: [B::new()?, B::new()?], stop: AtomicBool::new(false) })
    }

    fn way<'a, 'scope>(&'scope self, name: &'static str, scope: &'scope Scope<'scope, 'a>) -> Way<'scope> {
        scope.spawn(|| loop {
            self.bells[0].listen();
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            self.bells[1].ring();
        });
        Way::new(name, |times| {
            for _ in 0..times {
                self.bells[0].ring();
                self.bells[1].listen();
            }
        })
    }

    fn end(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.bells[0].ring();
    }
}

/// There and back between two threads of one core: two wake-ups and two switches. Across cores most of the time is the sleeping
/// core's own, and which of the two it is changes from chunk to chunk.
fn wakeup() -> Result<serde_json::Value> {
    stay_on_one_core();
    let usual = [PingPong::<ReadEventFd>::new()?, PingPong::new()?];
    let (ours, mio) = (PingPong::<OurWaker>::new()?, PingPong::<Mio>::new()?);
    Ok(scope(|scope| {
        let ways = vec![
            usual[0].way("eventfd, level, read", scope),
            usual[1].way("the same again", scope),
            ours.way("barepoll's Waker", scope),
            mio.way("mio's Waker", scope),
        ];
        let compared = compare(ways);
        usual.iter().for_each(PingPong::end);
        ours.end();
        mio.end();
        compared
    }))
}

/// This thread, and those that it starts.
fn stay_on_one_core() {
    // SAFETY: a set of CPUs is words, of which zero is the empty one; the kernel reads as many bytes as it is told.
    let answer = unsafe {
        let mut cpus: libc::cpu_set_t = std::mem::zeroed();
        libc::sched_getaffinity(0, size_of_val(&cpus), &mut cpus);
        let first = (0..libc::CPU_SETSIZE as usize).find(|cpu| libc::CPU_ISSET(*cpu, &cpus));
        cpus = std::mem::zeroed();
        libc::CPU_SET(first.unwrap_or(0), &mut cpus);
        libc::sched_setaffinity(0, size_of_val(&cpus), &cpus)
    };
    assert_eq!(answer, 0, "sched_setaffinity");
}

/// A wake-up and the wait that it ends, without the switch of threads between: what the calls cost. Another thread is there, asleep, as
/// where wake-ups are of use.
fn wakeup_calls() -> Result<serde_json::Value> {
    beside_another_thread(wake_ups_before_each_turn::<1>)
}

/// Eight wake-ups before the loop comes round, and its turn.
fn burst() -> Result<serde_json::Value> {
    beside_another_thread(wake_ups_before_each_turn::<8>)
}

fn wake_ups_before_each_turn<const WAKE_UPS: usize>() -> Result<serde_json::Value> {
    fn way<'a, B: Bell + 'a>(name: &'static str, wake_ups: usize) -> Result<Way<'a>> {
        let bell = B::new()?;
        Ok(Way::new(name, move |times| {
            for _ in 0..times {
                (0..wake_ups).for_each(|_| bell.ring());
                bell.listen();
            }
        }))
    }
    Ok(compare(vec![
        way::<ReadEventFd>("eventfd, level, read", WAKE_UPS)?,
        way::<ReadEventFd>("the same again", WAKE_UPS)?,
        way::<OurWaker>("barepoll's Waker", WAKE_UPS)?,
        way::<Mio>("mio's Waker", WAKE_UPS)?,
    ]))
}

/// A libc call of a process with two threads takes a longer way than of one with one.
fn beside_another_thread<T>(run: impl FnOnce() -> T) -> T {
    let end = AtomicBool::new(false);
    scope(|scope| {
        let other = scope.spawn(|| {
            while !end.load(Ordering::Relaxed) {
                std::thread::park();
            }
        });
        let given = run();
        end.store(true, Ordering::Relaxed);
        other.thread().unpark();
        given
    })
}

/// A wait of at most 5 ms with work ready.
fn spin() -> Result<serde_json::Value> {
    const TIMEOUT: Option<Duration> = Some(Duration::from_millis(5));
    let (epoll, eventfd) = (Epoll::new()?, counter()?);
    eventfd.write(1)?;
    epoll.add(&eventfd, ONE, EventFlags::IN)?;
    let wait = |times| {
        for _ in 0..times {
            assert_eq!(epoll.wait(&mut Event::buffer::<64>(), TIMEOUT).unwrap().len(), 1);
        }
    };
    let spinning = |times| {
        for _ in 0..times {
            assert_eq!(epoll.wait_spinning(&mut Event::buffer::<64>(), TIMEOUT, 1).unwrap().len(), 1);
        }
    };
    Ok(compare(vec![Way::new("wait", wait), Way::new("the same again", wait), Way::new("wait_spinning, 1", spinning)]))
}

/// How many descriptors change in a turn.
const DESCRIPTORS: usize = 16;

/// Registered eventfds, twice: for calls, and for a set.
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

/// Each descriptor removed, and added again with another interest; then told.
fn interest() -> Result<serde_json::Value> {
    let naive = |at: &Registered, interest| {
        for eventfd in &at.eventfds {
            at.epoll.delete(eventfd).unwrap();
            at.epoll.add(eventfd, ONE, interest).unwrap();
        }
    };
    compare_interests(naive, |at, set, interest| {
        for eventfd in &at.eventfds {
            set.remove(eventfd).unwrap();
            set.set(eventfd, ONE, interest).unwrap();
        }
        set.flush(&at.epoll).unwrap();
    })
}

/// Each descriptor's interest changed once.
fn interest_nothing_to_save() -> Result<serde_json::Value> {
    let naive = |at: &Registered, interest| {
        for eventfd in &at.eventfds {
            at.epoll.modify(eventfd, ONE, interest).unwrap();
        }
    };
    compare_interests(naive, |at, set, interest| {
        for eventfd in &at.eventfds {
            set.set(eventfd, ONE, interest).unwrap();
        }
        set.flush(&at.epoll).unwrap();
    })
}

fn compare_interests(
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
    Ok(compare(vec![
        Way::new("calls at once", calls(&at[0])),
        Way::new("the same again", calls(&at[1])),
        Way::new("InterestSet", |times| {
            for turn in 0..times {
                ours(&at[2], &mut set, interests[turn as usize % 2]);
            }
        }),
    ]))
}
