//! Which waiters wake, how often, and which events remain. One or two waiters watch one or two
//! sources, directly or through nested epolls, by level and by edge, before the event and after it.
//!
//! The scenarios are those of Linux's
//! `tools/testing/selftests/filesystems/epoll/epoll_wakeup_test.c`. Each check lists the numbers
//! that it covers there; chains of three exist only here. Linux's waiters that use `poll`
//! [look](By::Looking) from an epoll of their own here. The short timeouts of 62 and 63 are in
//! `timeouts.rs`. In 65, Linux waits with a timeout of zero. Such a wait may miss an event that
//! another waiter is taking out and putting back, so 65 waits longer here.

use super::{beside_many, count, counter, gather, pause, watching, Failure, Host, Other, Outcome, LONG};
use barepoll::{Epoll, Errno, Event, EventData, EventFd, EventFdFlags, EventFlags};
use core::fmt::Debug;
use core::time::Duration;

const IN: EventFlags = EventFlags::IN;
/// The data of the event that stops a waiter.
const STOP: EventData = EventData::new_u64(99);
/// Time for waiters to block after they announced it. A late waiter makes the case easier.
const SETTLE: Duration = Duration::from_millis(8);
/// No other waiter may wake within this time.
const QUIET: Duration = Duration::from_millis(12);

/// How an epoll of a chain watches the one below it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Link {
    Level,
    Edge,
}
use Link::{Edge, Level};

impl Link {
    fn interest(self) -> EventFlags {
        match self {
            Level => IN,
            Edge => IN | EventFlags::ET,
        }
    }

    /// How many of these events a second wait finds.
    fn left(self, events: usize) -> usize {
        match self {
            Level => events,
            Edge => 0,
        }
    }
}

/// Every chain of one, two and three links, topmost first.
const CHAINS: [&[Link]; 14] = [
    &[Level],
    &[Edge],
    &[Level, Level],
    &[Level, Edge],
    &[Edge, Level],
    &[Edge, Edge],
    &[Level, Level, Level],
    &[Level, Level, Edge],
    &[Level, Edge, Level],
    &[Level, Edge, Edge],
    &[Edge, Level, Level],
    &[Edge, Level, Edge],
    &[Edge, Edge, Level],
    &[Edge, Edge, Edge],
];

/// Epolls that each watch the next; the last watches a source.
struct Chain {
    epolls: [Epoll; 3],
    source: EventFd,
}

impl Chain {
    fn new(links: &[Link]) -> Result<Self, Errno> {
        let chain = Self { epolls: [Epoll::new()?, Epoll::new()?, Epoll::new()?], source: counter(0)? };
        let data = EventData::new_u64(1);
        for (place, link) in links.iter().enumerate() {
            let epoll = &chain.epolls[place];
            if place + 1 < links.len() {
                epoll.add(&chain.epolls[place + 1], data, link.interest())?;
            } else {
                epoll.add(&chain.source, data, link.interest())?;
            }
        }
        Ok(chain)
    }

    fn top(&self) -> &Epoll {
        &self.epolls[0]
    }
}

/// An epoll that watches two sources, directly or each through an epoll that watches by level.
struct Twin {
    top: Epoll,
    below: [Epoll; 2],
    sources: [EventFd; 2],
}

impl Twin {
    fn new(is_nested: bool, link: Link) -> Result<Self, Errno> {
        let sources = [counter(0)?, counter(0)?];
        let twin =
            Self { top: Epoll::new()?, below: [watching(&sources[0], IN)?, watching(&sources[1], IN)?], sources };
        for (place, data) in [(0, 1), (1, 2)] {
            let data = EventData::new_u64(data);
            if is_nested {
                twin.top.add(&twin.below[place], data, link.interest())?;
            } else {
                twin.top.add(&twin.sources[place], data, link.interest())?;
            }
        }
        Ok(twin)
    }

    fn happen(&self) -> Result<(), Errno> {
        self.sources[0].write(1)?;
        self.sources[1].write(1)
    }
}

/// Fails with the scenario's name if the two differ.
#[track_caller]
fn expect_eq<T: Debug + PartialEq>(scenario: impl Debug, found: T, expected: T) -> Outcome {
    if found == expected {
        return Ok(());
    }
    Err(Failure::new(format_args!("{scenario:?}: {found:?}, not {expected:?}")))
}

/// How many events a wait with zero timeout finds.
fn now(epoll: &Epoll) -> Result<usize, Errno> {
    count(epoll.wait(&mut Event::buffer::<3>(), Some(Duration::ZERO)))
}

/// How many events an outer epoll sees, how many this epoll finds, and both again.
fn looked_at(epoll: &Epoll) -> Result<[usize; 4], Errno> {
    let outlook = watching(epoll, IN)?;
    Ok([now(&outlook)?, now(epoll)?, now(&outlook)?, now(epoll)?])
}

/// How a waiter waits.
#[derive(Clone, Copy, Debug)]
enum By {
    /// On the epoll itself.
    Waiting,
    /// On an epoll of its own that watches the epoll, like `poll`. It takes the event only
    /// afterwards.
    Looking,
}
use By::{Looking, Waiting};

/// When the event happens: before both wait, or once they do.
#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    Before,
    After,
}
const EITHER: [When; 2] = [When::Before, When::After];

/// Two waiters.
struct Two<'a> {
    at: [&'a Epoll; 2],
    by: [By; 2],
    /// How many events each buffer holds.
    room: usize,
}

impl Two<'_> {
    /// Waits as the first or second waiter. Announces it, then returns whether it got an event.
    fn wait(&self, place: usize, arrived: &EventFd, stop: &EventFd) -> Result<bool, Errno> {
        let (epoll, mut buffer) = (self.at[place], Event::buffer::<2>());
        let got = |answer: Result<&mut [Event], Errno>| {
            answer.map(|events| events.iter().any(|event| event.data().u64() != STOP.u64()))
        };
        if let Waiting = self.by[place] {
            arrived.write(1)?;
            return got(epoll.wait(&mut buffer[..self.room], Some(LONG)));
        }
        let outlook = watching(epoll, IN)?;
        outlook.add(stop, STOP, IN)?;
        arrived.write(1)?;
        if !got(outlook.wait(&mut buffer, Some(LONG)))? {
            return Ok(false);
        }
        // With a timeout of zero it could miss an event that the other waiter is taking out and
        // putting back. `stop` ends the wait if there is none.
        got(epoll.wait(&mut buffer[..self.room], Some(LONG)))
    }

    /// Returns which waiters got an event after `happen`. At least `sure` of them must, and the
    /// call waits for those. If the two epolls differ, only the second waiter may get none.
    fn wake(
        &self,
        host: &mut dyn Host,
        when: When,
        sure: u64,
        happen: &(dyn Fn() -> Result<(), Errno> + Sync),
    ) -> Result<[bool; 2], Failure> {
        let (arrived, progress, stop) = (counter(0)?, counter(0)?, counter(0)?);
        let woken = [counter(0)?, counter(0)?];
        self.at[1].add(&stop, STOP, IN)?;
        let wait = |place: usize| {
            if self.wait(place, &arrived, &stop)? {
                woken[place].write(1)?;
                progress.write(1)?;
            }
            Ok::<(), Errno>(())
        };
        let direct = |other: &dyn Other| {
            gather(&arrived, 2)?;
            if when == When::After {
                other.sleep(SETTLE);
                happen()?;
            }
            gather(&progress, sure)?;
            if sure < 2 {
                other.sleep(QUIET);
            }
            stop.write(1)
        };
        if when == When::Before {
            happen()?;
        }
        let each = |number: usize, other: &dyn Other| {
            let _ = if number == 0 { wait(0) } else { direct(other) };
        };
        beside_many(host, 2, &each, &mut |_| Ok(wait(1)?))?;
        Ok([woken[0].read() == Ok(1), woken[1].read() == Ok(1)])
    }
}

/// Two waiters at the top of a chain. Both get the event if the top watches by level, one if by
/// edge.
fn two_at_the_top(host: &mut dyn Host, links: &[Link], by: [By; 2], when: When) -> Outcome {
    let chain = Chain::new(links)?;
    let two = Two { at: [chain.top(); 2], by, room: 1 };
    let expected = if links[0] == Level { 2 } else { 1 };
    let woken = two.wake(host, when, expected, &|| chain.source.write(1))?;
    expect_eq((links, by, when), woken.iter().filter(|woken| **woken).count() as u64, expected)
}

checks! { by "fs/eventpoll.c: ep_poll_callback";
    /// 1, 2, 17 to 20.
    fn an_event_stays_where_the_top_watches_by_level_and_is_there_once_where_by_edge(host) by "fs/eventpoll.c: ep_send_events" {
        for links in CHAINS {
            let chain = Chain::new(links)?;
            expect_eq(links, now(chain.top())?, 0)?;
            chain.source.write(1)?;
            expect_eq(links, [now(chain.top())?, now(chain.top())?], [1, links[0].left(1)])?;
        }
    }

    /// The same with a waiter already waiting.
    fn one_who_waits_at_the_top_of_any_chain_wakes(host) {
        for links in CHAINS {
            let (chain, arrived) = (Chain::new(links)?, counter(0)?);
            host.beside(
                &|other| {
                    let _ = gather(&arrived, 1);
                    other.sleep(SETTLE);
                    let _ = chain.source.write(1);
                },
                &mut |_| {
                    arrived.write(1)?;
                    expect_eq(links, count(chain.top().wait(&mut Event::buffer::<3>(), Some(LONG)))?, 1)?;
                    expect_eq(links, now(chain.top())?, links[0].left(1))
                },
            )?;
        }
    }

    /// 5, 6, 21 to 24.
    fn what_is_seen_from_above_is_what_a_wait_finds(host) by "fs/eventpoll.c: __ep_eventpoll_poll" {
        for links in CHAINS {
            let (chain, left) = (Chain::new(links)?, links[0].left(1));
            expect_eq(links, looked_at(chain.top())?, [0; 4])?;
            chain.source.write(1)?;
            expect_eq(links, looked_at(chain.top())?, [1, 1, left, left])?;
        }
    }

    /// 3, 4, 7, 8, 49 to 52.
    fn two_sources_are_two_events_that_stay_or_go_together(host) {
        for (is_nested, link) in [(false, Level), (false, Edge), (true, Level), (true, Edge)] {
            let twin = Twin::new(is_nested, link)?;
            twin.happen()?;
            expect_eq((is_nested, link), [now(&twin.top)?, now(&twin.top)?], [2, link.left(2)])?;
            let twin = Twin::new(is_nested, link)?;
            twin.happen()?;
            expect_eq((is_nested, link), looked_at(&twin.top)?, [1, 2, link.left(1), link.left(2)])?;
        }
    }

    /// 9, 25, 26, 64.
    fn a_top_that_watches_by_level_wakes_both_who_wait(host) {
        for links in CHAINS.into_iter().filter(|links| links[0] == Level) {
            for when in EITHER {
                two_at_the_top(host, links, [Waiting, Waiting], when)?;
            }
        }
    }

    /// 10, 27, 28.
    fn a_top_that_watches_by_edge_wakes_one_of_two_who_wait(host) {
        for links in CHAINS.into_iter().filter(|links| links[0] == Edge) {
            for when in EITHER {
                two_at_the_top(host, links, [Waiting, Waiting], when)?;
            }
        }
    }

    /// 13, 14, 29 to 32. Two waiters that look are only here.
    fn one_who_looks_from_above_gets_the_event_or_leaves_it_to_one_who_waits(host) by "fs/eventpoll.c: __ep_eventpoll_poll" {
        for links in CHAINS.into_iter().filter(|links| links.len() < 3) {
            for when in EITHER {
                two_at_the_top(host, links, [Looking, Waiting], when)?;
                two_at_the_top(host, links, [Looking, Looking], when)?;
            }
        }
    }

    /// 11, 12, 15, 16, 53 to 58.
    fn two_events_wake_both_who_wait_with_room_for_one(host) by "fs/eventpoll.c: ep_send_events" {
        let all = [
            (false, Level, 2), (false, Level, 1), (false, Edge, 1),
            (true, Level, 1), (true, Edge, 1),
        ];
        for (is_nested, link, room) in all {
            for by in [[Waiting, Waiting], [Looking, Waiting], [Looking, Looking]] {
                for when in EITHER {
                    let twin = Twin::new(is_nested, link)?;
                    let two = Two { at: [&twin.top; 2], by, room };
                    expect_eq((is_nested, link, by), two.wake(host, when, 2, &|| twin.happen())?, [true, true])?;
                }
            }
        }
    }

    /// 33 to 48. If the lower epoll watches by edge, the upper waiter may come too late for the
    /// event that the lower one takes.
    fn one_who_waits_below_gets_the_event_and_one_above_too_where_below_is_a_level(host) {
        for links in [[Level, Level], [Level, Edge], [Edge, Level], [Edge, Edge]] {
            for by in [[Waiting, Waiting], [Looking, Waiting], [Waiting, Looking], [Looking, Looking]] {
                for when in EITHER {
                    let chain = Chain::new(&links)?;
                    let two = Two { at: [&chain.epolls[1], chain.top()], by, room: 1 };
                    let sure = if links[1] == Level { 2 } else { 1 };
                    let [below, above] = two.wake(host, when, sure, &|| chain.source.write(1))?;
                    expect_eq((links, by, when), [below, above || links[1] == Edge], [true, true])?;
                }
            }
        }
    }

    /// 59, also where the wait and the modify coincide.
    fn each_modify_arms_an_edge_for_the_next_wait(host) by "fs/eventpoll.c: ep_modify" {
        const TURNS: usize = 300;
        let (source, go) = (counter(1)?, EventFd::new(0, EventFdFlags::CLOEXEC | EventFdFlags::SEMAPHORE)?);
        let interest = IN | EventFlags::ET;
        let epoll = watching(&source, interest)?;
        host.beside(
            &|_| {
                for _ in 0..TURNS {
                    let _ = go.read();
                    let _ = epoll.modify(&source, EventData::new_u64(1), interest);
                }
            },
            &mut |_| {
                for turn in 0..TURNS {
                    let found = count(epoll.wait(&mut Event::buffer::<2>(), Some(LONG)));
                    if found != Ok(1) {
                        go.write(TURNS as u64)?; // stops the other side
                    }
                    expect_eq(turn, found, Ok(1))?;
                    go.write(1)?;
                }
                Ok(())
            },
        )?;
    }

    /// 60: each edge wakes one of many waiters, even if edges come faster than waiters wake.
    fn ten_edges_at_once_wake_ten_who_wait(host) {
        const MANY: usize = 10;
        const ROUNDS: u64 = 15;
        let sources = [
            counter(0)?, counter(0)?, counter(0)?, counter(0)?, counter(0)?,
            counter(0)?, counter(0)?, counter(0)?, counter(0)?, counter(0)?,
        ];
        let go = EventFd::new(0, EventFdFlags::CLOEXEC | EventFdFlags::SEMAPHORE)?;
        let (arrived, woken, stop, epoll) = (counter(0)?, counter(0)?, counter(0)?, Epoll::new()?);
        epoll.add(&stop, STOP, IN)?;
        for (place, source) in sources.iter().enumerate() {
            epoll.add(source, EventData::new_u64(place as u64), IN | EventFlags::ET)?;
        }
        let take = || {
            go.read()?;
            arrived.write(1)?;
            let mut buffer = Event::buffer::<1>();
            let [event] = epoll.wait(&mut buffer, Some(LONG))? else { return Err(Errno::ETIMEDOUT) };
            sources.get(event.data().u64() as usize).ok_or(Errno::ECANCELED)?.read()?;
            woken.write(1)
        };
        let each = |_: usize, _: &dyn Other| while take().is_ok() {};
        beside_many(host, MANY, &each, &mut |host| {
            let mut found = MANY as u64;
            for _ in 0..ROUNDS {
                go.write(MANY as u64)?;
                gather(&arrived, MANY as u64)?;
                pause(host, Duration::from_millis(2))?;
                for source in &sources {
                    source.write(1)?;
                }
                found = gather(&woken, MANY as u64)?;
                if found != MANY as u64 {
                    break;
                }
            }
            stop.write(1)?;
            go.write(MANY as u64)?;
            expect_eq("of ten", found, MANY as u64)
        })?;
    }

    /// 61: a waiter that times out leaves the event to another, or takes and reports it.
    fn an_event_at_the_moment_of_a_timeout_is_not_lost(host) by "fs/eventpoll.c: ep_poll" {
        const ROUNDS: u64 = 40;
        const TIMEOUT: Duration = Duration::from_millis(2);
        let (source, go) = (counter(0)?, EventFd::new(0, EventFdFlags::CLOEXEC | EventFdFlags::SEMAPHORE)?);
        let (arrived, woken, stop) = (counter(0)?, counter(0)?, counter(0)?);
        let epoll = watching(&source, IN | EventFlags::ET)?;
        epoll.add(&stop, STOP, IN)?;
        let wait_on = || {
            arrived.write(1)?;
            let mut buffer = Event::buffer::<1>();
            match epoll.wait(&mut buffer, Some(LONG))? {
                [event] if event.data().u64() == 1 => woken.write(1),
                _ => Err(Errno::ECANCELED),
            }
        };
        let each = |number: usize, other: &dyn Other| {
            if number == 0 {
                while wait_on().is_ok() {}
                return;
            }
            for round in 0..ROUNDS {
                let _ = go.read();
                // Writes around the timeout, from slightly late to slightly early.
                other.sleep(TIMEOUT + Duration::from_micros(150) - Duration::from_micros(10 * round));
                let _ = source.write(1);
            }
        };
        beside_many(host, 2, &each, &mut |_| {
            let mut lost = None;
            for round in 0..ROUNDS {
                gather(&arrived, 1)?;
                go.write(1)?;
                if count(epoll.wait(&mut Event::buffer::<1>(), Some(TIMEOUT)))? == 1 {
                    source.write(1)?;
                }
                if gather(&woken, 1)? != 1 {
                    lost = Some(round);
                    break;
                }
            }
            stop.write(1)?;
            go.write(ROUNDS)?;
            expect_eq("lost in round", lost, None)
        })?;
    }

    /// 65, with a longer timeout.
    fn waits_that_meet_at_a_level_all_find_it(host) by "fs/eventpoll.c: ep_send_events" {
        let (source, empty) = (counter(1)?, counter(0)?);
        let epoll = watching(&source, IN)?;
        let wait = || {
            for _ in 0..150 {
                if count(epoll.wait(&mut Event::buffer::<1>(), Some(LONG))) != Ok(1) {
                    return empty.write(1);
                }
            }
            Ok(())
        };
        let each = |_: usize, _: &dyn Other| {
            let _ = wait();
        };
        beside_many(host, 3, &each, &mut |_| Ok(wait()?))?;
        ensure_eq!(empty.read(), Err(Errno::EAGAIN));
    }
}
