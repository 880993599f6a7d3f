//! A model of Linux for several threads: the calls of `fs/eventpoll.c`, `fs/eventfd.c` and
//! `fs/pipe.c`, cut at each point where another thread can see or change what they work on.
//!
//! A part of a call is what the kernel does under one spinlock, or one access without a lock. So
//! these answers, which no order of whole calls explains, are right:
//!
//! * A wait without time finds nothing while another thread's wait holds the events.
//!   `ep_events_available` reads the ready list and then whether a scan is going on, without a
//!   lock. `ep_start_scan` empties the list before it says that a scan goes on, and `ep_done_scan`
//!   says that it is over before it puts back the rest. In 6.12.118 and 7.2, a sequence counter
//!   prevents this.
//! * The events of a wait are of different moments. `ep_send_events` polls one file after another
//!   while others write.
//! * An event is reported twice for one write. A write changes the file first and calls
//!   `ep_poll_callback` then. A wait in between finds the file ready for an older reason, and the
//!   callback puts the registration on the ready list once more.
//! * A change of a registration is seen before its own event. `ep_modify` sets the flags and the
//!   data, polls the file, and puts the registration on the ready list, one after another. A write
//!   in between notifies with the new flags.
//! * An event comes late. A callback during a scan goes to `ovflist`, and from there to the ready
//!   list when the scan is over. A pipe's write wakes after it has unlocked the pipe.
//! * The order of events changes: `ep_done_scan` puts what came during the scan before what was
//!   reported and stays ready.
//! * An exclusive event wakes a second epoll. `ep_poll_callback` passes it on if nobody sleeps in
//!   the first epoll, and a thread that is about to sleep does not sleep yet.
//!
//! Each thread runs a fixed sequence of parts, so only the order of threads is left to choose. The
//! model is of x86-64's memory order: stores become visible in the order of the program. It has no
//! wake-up without a cause, which `schedule` allows. No history has shown one.

use super::call::{Call, BELL, COUNTER, READER, THREADS, WRITER};
use super::kernel::Answer;
use super::step::Step;
use barepoll::raw::*;
use barepoll::Errno;

/// The files that are watched, by number.
const FILES: usize = 4;
const THE_COUNTER: usize = 0;
const THE_PIPE: usize = 1;
const THE_BELL: usize = 2;
/// The first epoll, which the second may watch.
const THE_EPOLL: usize = 3;
const EPOLLS: usize = 2;

/// Flags that select how to report, not readiness (`EP_PRIVATE_BITS`).
const REPORTING: u32 = EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE;
/// The flags allowed beside `EPOLLEXCLUSIVE` (`EPOLLEXCLUSIVE_OK_BITS`).
const EXCLUSIVE_OK: u32 = EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE;
const READABLE: u32 = EPOLLIN | EPOLLRDNORM;

/// A registration: four times its epoll, plus its file.
type Item = u8;

fn epoll_of(item: Item) -> usize {
    usize::from(item) / FILES
}

fn file_of(item: Item) -> usize {
    usize::from(item) % FILES
}

/// A call with its answer, and the numbers of its begin and its end.
#[derive(Clone, Debug)]
pub struct Made {
    pub call: Call,
    pub answer: Answer,
    pub begin: u64,
    pub end: u64,
}

/// The calls of each thread, in order.
pub type History = [Vec<Made>; THREADS];

/// A short list of items or threads.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
struct List {
    length: u8,
    /// Zeros beyond the length, so that equal lists are equal.
    values: [u8; 8],
}

impl List {
    fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        self.values[..usize::from(self.length)].iter().copied()
    }

    fn is_empty(&self) -> bool {
        self.length == 0
    }

    fn contains(&self, value: u8) -> bool {
        self.iter().any(|other| other == value)
    }

    fn of(values: impl Iterator<Item = u8>) -> Self {
        let mut list = Self::default();
        values.for_each(|value| list.push(value));
        list
    }

    fn push(&mut self, value: u8) {
        self.values[usize::from(self.length)] = value;
        self.length += 1;
    }

    fn first(&self) -> Option<u8> {
        self.iter().next()
    }

    fn remove(&mut self, value: u8) {
        *self = Self::of(self.iter().filter(|other| *other != value));
    }

    fn before(&self, after: &Self) -> Self {
        Self::of(self.iter().chain(after.iter()))
    }
}

/// The thread that holds a lock.
type Owner = Option<u8>;

#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Registration {
    is_there: bool,
    events: u32,
    data: u64,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Epoll {
    /// `mtx`.
    mutex: Owner,
    /// `lock`, where it is held in more than one part.
    lock: Owner,
    /// `rdllist`.
    ready: List,
    /// `ovflist`, oldest first.
    overflow: List,
    is_scanning: bool,
    /// `wq`.
    sleepers: List,
}

/// A file's wait queue.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Queue {
    lock: Owner,
    /// In the order of notification.
    watchers: List,
}

/// The next part of a thread's call.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
enum Place {
    #[default]
    Between,
    // `ep_poll`, for the call's epoll.
    LookAgain,
    LookBeforeSleep,
    Asleep,
    Enter,
    // A scan, of the call's epoll or of the one that it watches.
    Split,
    Scan,
    Deliver(Item),
    Merge,
    Splice,
    Leave,
    // `epoll_ctl`.
    Hook(Item),
    Poll(Item),
    Link(Item),
    Unhook(Item),
    Unlink(Item),
    Finish(Item),
    // A write or read.
    Wake(u32),
    Tell {
        at: u8,
        key: u32,
    },
}

/// A scan of a ready list.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Scan {
    /// `scan_batch`.
    taken: List,
    /// Something is ready.
    found: u8,
    /// The item of the outer epoll whose poll this is, if any.
    polled_for: Option<Item>,
    /// That poll is part of `epoll_ctl`.
    by_control: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
struct Thread {
    /// The calls that are over.
    done: u8,
    place: Place,
    scan: Scan,
    /// The wait's scan during the poll of an inner epoll.
    outer: Scan,
    /// The first epoll's `poll_wait` is still to be woken.
    passes_on: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct State {
    count: u64,
    bell: u64,
    bytes: u8,
    queues: [Queue; FILES],
    items: [Registration; EPOLLS * FILES],
    epolls: [Epoll; EPOLLS],
    threads: [Thread; THREADS],
}

/// What a part led to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Next(Place),
    /// The call is over.
    Over,
    /// Another thread must act first.
    Blocked,
    /// The recorded answer is another one.
    Differs,
}
use After::{Blocked, Differs, Next, Over};

fn file_at(slot: usize) -> usize {
    match slot {
        COUNTER => THE_COUNTER,
        READER => THE_PIPE,
        BELL => THE_BELL,
        0 => THE_EPOLL,
        _ => panic!("slot {slot} is not watched"),
    }
}

fn when(condition: bool, flags: u32) -> u32 {
    if condition {
        flags
    } else {
        0
    }
}

impl State {
    /// The calls of a thread that are over.
    pub fn done(&self, thread: usize) -> usize {
        self.threads[thread].done.into()
    }

    /// The thread has not begun its next call.
    pub fn is_between(&self, thread: usize) -> bool {
        self.threads[thread].place == Place::Between
    }

    /// The thread sleeps, and no one has woken it.
    pub fn sleeps(&self, thread: usize) -> bool {
        self.threads[thread].place == Place::Asleep && !self.is_woken(thread)
    }

    fn is_woken(&self, thread: usize) -> bool {
        !self.epolls.iter().any(|epoll| epoll.sleepers.contains(thread as u8))
    }

    /// Runs the next part of a thread's call. `None` if it must wait, or if its answer is another.
    pub fn advance(&self, thread: usize, made: &Made) -> Option<Self> {
        let mut next = *self;
        match next.run(thread, made) {
            Next(place) => next.threads[thread].place = place,
            Over => {
                next.threads[thread] = Thread { done: next.threads[thread].done + 1, ..Thread::default() };
            }
            Blocked | Differs => return None,
        }
        Some(next)
    }

    fn run(&mut self, thread: usize, made: &Made) -> After {
        let told = &made.answer;
        if self.threads[thread].passes_on {
            return self.pass_on(thread);
        }
        match (self.threads[thread].place, made.call) {
            (Place::Between, Call::See { asleep }) => {
                let sees = (0..THREADS).all(|other| self.sleeps(other) == (asleep >> other & 1 == 1));
                if sees {
                    Over
                } else {
                    Blocked
                }
            }
            (place, Call::Take(Step::Wait { epoll, room })) => self.wait(thread, place, epoll, room, true, told),
            (place, Call::Sleep { epoll, room }) => self.wait(thread, place, epoll, room, false, told),
            (Place::Between, Call::Take(step)) => self.begin(thread, &step, told),
            (place, Call::Take(step)) => self.go_on(thread, place, &step, told),
            (_, Call::See { .. }) => Blocked,
        }
    }

    // Readiness.

    /// The readiness of a file that is no epoll. Without a lock.
    fn poll(&self, item: Item) -> u32 {
        let counter = |count: u64| when(count > 0, EPOLLIN) | when(count < u64::MAX - 1, EPOLLOUT);
        let ready = match file_of(item) {
            THE_COUNTER => counter(self.count),
            THE_BELL => counter(self.bell),
            _ => when(self.bytes > 0, READABLE),
        };
        ready & self.items[usize::from(item)].events
    }

    /// `ep_poll_callback`. Returns whether an exclusive wake-up ends here, or `None` if the lock is
    /// held.
    fn call_back(&mut self, thread: usize, item: Item, key: u32) -> Option<bool> {
        let events = self.items[usize::from(item)].events;
        let is_exclusive = events & EPOLLEXCLUSIVE != 0;
        let epoll = &mut self.epolls[epoll_of(item)];
        if epoll.lock.is_some() {
            return None;
        }
        if events & !REPORTING == 0 || key & events == 0 {
            return Some(false);
        }
        if epoll.is_scanning {
            if !epoll.overflow.contains(item) {
                epoll.overflow.push(item);
            }
        } else if !epoll.ready.contains(item) {
            epoll.ready.push(item);
        }
        let matches = match key & (EPOLLIN | EPOLLOUT) {
            0 => true,
            bits => bits & events == bits,
        };
        let wakes = !epoll.sleepers.is_empty();
        Self::wake(epoll);
        self.threads[thread].passes_on |= self.is_watched(epoll_of(item));
        Some(is_exclusive && wakes && matches)
    }

    fn is_watched(&self, epoll: usize) -> bool {
        epoll == 0 && !self.queues[THE_EPOLL].watchers.is_empty()
    }

    /// Wakes the thread that went to sleep last (`__add_wait_queue_exclusive` adds at the head).
    fn wake(epoll: &mut Epoll) {
        if let Some(first) = epoll.sleepers.first() {
            epoll.sleepers.remove(first);
        }
    }

    /// `ep_poll_safewake`.
    fn pass_on(&mut self, thread: usize) -> After {
        let place = self.threads[thread].place;
        let queue = self.queues[THE_EPOLL];
        if queue.lock.is_some() {
            return Blocked;
        }
        for item in queue.watchers.iter() {
            if self.call_back(thread, item, EPOLLIN).is_none() {
                return Blocked;
            }
        }
        self.threads[thread].passes_on = false;
        Next(place)
    }

    // Waits.

    fn wait(&mut self, thread: usize, place: Place, at: usize, room: usize, has_no_time: bool, told: &Answer) -> After {
        let (is_inner, is_woken) = (self.threads[thread].scan.polled_for.is_some(), self.is_woken(thread));
        let epoll = &mut self.epolls[at];
        match place {
            Place::Between if !epoll.ready.is_empty() => Next(Place::Enter),
            Place::Between => Next(Place::LookAgain),
            Place::LookAgain if epoll.is_scanning => Next(Place::Enter),
            Place::LookAgain if has_no_time => Self::found_none(told),
            Place::LookAgain => Next(Place::LookBeforeSleep),
            Place::LookBeforeSleep if epoll.lock.is_some() => Blocked,
            Place::LookBeforeSleep if epoll.is_scanning || !epoll.ready.is_empty() => Next(Place::Enter),
            Place::LookBeforeSleep => {
                epoll.sleepers = List::of([thread as u8].into_iter()).before(&epoll.sleepers);
                Next(Place::Asleep)
            }
            Place::Asleep if !is_woken => Blocked,
            Place::Asleep => Next(Place::Enter),
            Place::Leave if !is_inner => {
                epoll.mutex = None;
                let found = usize::from(self.threads[thread].scan.found);
                self.threads[thread].scan = Scan::default();
                match found {
                    0 if has_no_time => Self::found_none(told),
                    0 => Next(Place::LookBeforeSleep),
                    _ if told.result == Ok(found) => Over,
                    _ => Differs,
                }
            }
            _ => self.scan(thread, place, at, room, told),
        }
    }

    fn found_none(told: &Answer) -> After {
        if told.result == Ok(0) {
            Over
        } else {
            Differs
        }
    }

    /// `ep_send_events`, and `__ep_eventpoll_poll` of an inner epoll.
    fn scan(&mut self, thread: usize, place: Place, outer: usize, room: usize, told: &Answer) -> After {
        let Scan { taken, found, polled_for, by_control } = self.threads[thread].scan;
        let at = if polled_for.is_some() { 0 } else { outer };
        let epoll = &mut self.epolls[at];
        match place {
            Place::Enter if epoll.mutex.is_some() => Blocked,
            Place::Enter => {
                epoll.mutex = Some(thread as u8);
                Next(Place::Split)
            }
            Place::Split if epoll.lock.is_some() => Blocked,
            // The first half of `ep_start_scan`. The second half is in `Scan`.
            Place::Split => {
                epoll.lock = Some(thread as u8);
                self.threads[thread].scan.taken = std::mem::take(&mut epoll.ready);
                Next(Place::Scan)
            }
            Place::Scan if epoll.lock == Some(thread as u8) => {
                epoll.is_scanning = true;
                epoll.lock = None;
                Next(Place::Scan)
            }
            Place::Scan => {
                let is_full = if polled_for.is_some() { found > 0 } else { usize::from(found) == room };
                let Some(item) = taken.first().filter(|_| !is_full) else { return self.merge(thread, at) };
                if file_of(item) == THE_EPOLL {
                    self.threads[thread].scan.taken.remove(item);
                    self.threads[thread].outer = self.threads[thread].scan;
                    self.threads[thread].scan = Scan { polled_for: Some(item), ..Scan::default() };
                    return Next(Place::Enter);
                }
                let ready = self.poll(item);
                if polled_for.is_some() {
                    // A ready one stays where it is.
                    if ready != 0 {
                        self.threads[thread].scan.found = 1;
                    } else {
                        self.threads[thread].scan.taken.remove(item);
                    }
                    return Next(Place::Scan);
                }
                self.threads[thread].scan.taken.remove(item);
                self.report(thread, item, ready, told)
            }
            Place::Deliver(item) => {
                let events = &mut self.items[usize::from(item)].events;
                if *events & EPOLLONESHOT != 0 {
                    *events &= REPORTING;
                } else if *events & EPOLLET == 0 {
                    epoll.ready.push(item);
                }
                Next(Place::Scan)
            }
            Place::Merge => self.merge(thread, at),
            // The second half of `ep_done_scan`.
            Place::Splice => {
                epoll.ready = taken.before(&epoll.ready);
                if !epoll.ready.is_empty() {
                    Self::wake(epoll);
                }
                epoll.lock = None;
                Next(Place::Leave)
            }
            Place::Leave => {
                epoll.mutex = None;
                let item = polled_for.expect("an inner scan");
                let ready = when(found > 0, READABLE) & self.items[usize::from(item)].events;
                self.threads[thread].scan = std::mem::take(&mut self.threads[thread].outer);
                if by_control {
                    return Next(if ready != 0 { Place::Link(item) } else { Place::Finish(item) });
                }
                self.report(thread, item, ready, told)
            }
            _ => unreachable!("a place of another call"),
        }
    }

    /// The first half of `ep_done_scan`.
    fn merge(&mut self, thread: usize, at: usize) -> After {
        let epoll = &mut self.epolls[at];
        if epoll.lock.is_some() {
            return Next(Place::Merge);
        }
        let taken = self.threads[thread].scan.taken;
        let new = std::mem::take(&mut epoll.overflow);
        let new = List::of(new.iter().filter(|item| !epoll.ready.contains(*item) && !taken.contains(*item)));
        epoll.ready = new.before(&epoll.ready);
        epoll.is_scanning = false;
        epoll.lock = Some(thread as u8);
        Next(Place::Splice)
    }

    /// Compares what a poll found with the wait's next event.
    fn report(&mut self, thread: usize, item: Item, ready: u32, told: &Answer) -> After {
        if ready == 0 {
            return Next(Place::Scan);
        }
        let found = &mut self.threads[thread].scan.found;
        if told.events.get(usize::from(*found)) != Some(&(ready, self.items[usize::from(item)].data)) {
            return Differs;
        }
        *found += 1;
        Next(Place::Deliver(item))
    }

    // The other calls.

    fn begin(&mut self, thread: usize, step: &Step, told: &Answer) -> After {
        let failed = |errno| if told.result == Err(errno) { Over } else { Differs };
        match *step {
            Step::Add { epoll, slot, events, .. } | Step::Modify { epoll, slot, events, .. }
                if events & EPOLLEXCLUSIVE != 0
                    && (!matches!(step, Step::Add { .. })
                        || slot == epoll
                        || slot == 0
                        || events & !EXCLUSIVE_OK != 0) =>
            {
                failed(Errno::EINVAL)
            }
            Step::Add { epoll, slot, .. } | Step::Modify { epoll, slot, .. } | Step::Delete { epoll, slot } => {
                if self.epolls[epoll].mutex.is_some() {
                    return Blocked;
                }
                let item = (epoll * FILES + file_at(slot)) as Item;
                let before = &mut self.items[usize::from(item)];
                let found = *before;
                match *step {
                    Step::Add { .. } if found.is_there => return failed(Errno::EEXIST),
                    Step::Modify { .. } | Step::Delete { .. } if !found.is_there => return failed(Errno::ENOENT),
                    Step::Modify { .. } if found.events & EPOLLEXCLUSIVE != 0 => return failed(Errno::EINVAL),
                    _ if told.result.is_err() => return Differs,
                    _ => {}
                }
                self.epolls[epoll].mutex = Some(thread as u8);
                match *step {
                    Step::Add { events, data, .. } | Step::Modify { events, data, .. } => {
                        *before = Registration { is_there: true, events: events | EPOLLERR | EPOLLHUP, data };
                        Next(if found.is_there { Place::Poll(item) } else { Place::Hook(item) })
                    }
                    _ => Next(Place::Unhook(item)),
                }
            }
            Step::Count { slot, add } => {
                let file = file_at(slot);
                if self.queues[file].lock.is_some() {
                    return Blocked;
                }
                let count = if file == THE_BELL { &mut self.bell } else { &mut self.count };
                if add > u64::MAX - 1 - *count {
                    return failed(Errno::EAGAIN);
                }
                if told.result != Ok(8) {
                    return Differs;
                }
                *count += add;
                self.queues[file].lock = Some(thread as u8);
                Next(Place::Tell { at: 0, key: EPOLLIN })
            }
            Step::Read { slot: COUNTER, .. } => {
                if self.queues[THE_COUNTER].lock.is_some() {
                    return Blocked;
                }
                if self.count == 0 {
                    return failed(Errno::EAGAIN);
                }
                if told.result != Ok(8) || told.events != [(0, self.count)] {
                    return Differs;
                }
                self.count = 0;
                self.queues[THE_COUNTER].lock = Some(thread as u8);
                Next(Place::Tell { at: 0, key: EPOLLOUT })
            }
            Step::Write { slot: WRITER, bytes } => {
                if told.result != Ok(bytes) {
                    return Differs;
                }
                self.bytes += bytes as u8;
                Next(Place::Wake(READABLE))
            }
            Step::Read { slot: READER, bytes } => {
                let got = bytes.min(self.bytes.into());
                if got == 0 {
                    return failed(Errno::EAGAIN);
                }
                self.bytes -= got as u8;
                if told.result == Ok(got) {
                    Over
                } else {
                    Differs
                }
            }
            _ => unreachable!("{step:?} is in no plan"),
        }
    }

    fn go_on(&mut self, thread: usize, place: Place, step: &Step, told: &Answer) -> After {
        match place {
            Place::Hook(item) => {
                let is_exclusive = self.items[usize::from(item)].events & EPOLLEXCLUSIVE != 0;
                let Queue { lock, watchers } = &mut self.queues[file_of(item)];
                if lock.is_some() {
                    return Blocked;
                }
                let one = List::of([item].into_iter());
                *watchers = if is_exclusive { watchers.before(&one) } else { one.before(watchers) };
                Next(Place::Poll(item))
            }
            Place::Poll(item) if file_of(item) == THE_EPOLL => {
                self.threads[thread].scan = Scan { polled_for: Some(item), by_control: true, ..Scan::default() };
                Next(Place::Enter)
            }
            Place::Poll(item) if self.poll(item) != 0 => Next(Place::Link(item)),
            Place::Poll(item) => self.leave(item),
            Place::Link(item) => {
                let epoll = &mut self.epolls[epoll_of(item)];
                if epoll.lock.is_some() {
                    return Blocked;
                }
                if !epoll.ready.contains(item) {
                    epoll.ready.push(item);
                    Self::wake(epoll);
                    self.threads[thread].passes_on = self.is_watched(epoll_of(item));
                }
                Next(Place::Finish(item))
            }
            Place::Finish(item) => self.leave(item),
            Place::Unhook(item) => {
                let Queue { lock, watchers } = &mut self.queues[file_of(item)];
                if lock.is_some() {
                    return Blocked;
                }
                watchers.remove(item);
                Next(Place::Unlink(item))
            }
            Place::Unlink(item) => {
                let epoll = &mut self.epolls[epoll_of(item)];
                if epoll.lock.is_some() {
                    return Blocked;
                }
                epoll.ready.remove(item);
                self.items[usize::from(item)] = Registration::default();
                self.leave(item)
            }
            Place::Wake(key) => {
                if self.queues[THE_PIPE].lock.is_some() {
                    return Blocked;
                }
                self.queues[THE_PIPE].lock = Some(thread as u8);
                Next(Place::Tell { at: 0, key })
            }
            Place::Tell { at, key } => {
                let file = match *step {
                    Step::Count { slot, .. } | Step::Read { slot, .. } => file_at(slot),
                    _ => THE_PIPE,
                };
                let watchers = self.queues[file].watchers;
                let Some(item) = watchers.iter().nth(at.into()) else { return self.unlock(file) };
                let Some(ends) = self.call_back(thread, item, key) else { return Blocked };
                let at = if ends { watchers.length } else { at + 1 };
                if at == watchers.length && !self.threads[thread].passes_on {
                    return self.unlock(file);
                }
                Next(Place::Tell { at, key })
            }
            _ => {
                let (Step::Add { epoll, .. } | Step::Modify { epoll, .. }) = *step else {
                    unreachable!("a place of another call")
                };
                self.scan(thread, place, epoll, 1, told)
            }
        }
    }

    /// Ends `epoll_ctl`.
    fn leave(&mut self, item: Item) -> After {
        self.epolls[epoll_of(item)].mutex = None;
        Over
    }

    fn unlock(&mut self, file: usize) -> After {
        self.queues[file].lock = None;
        Over
    }
}
