//! A layer between the threads and the kernel, with a fault put in on purpose.

use super::call::{Call, BELL, INNER};
use super::crew::{world, Calls};
use super::kernel::Answer;
use super::step::Step;
use super::world::World;
use barepoll::raw::*;
use barepoll::Errno;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// What the layer does wrong. Each fault shows without concurrency, in some order of whole calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// None: the layer alone changes no answer.
    None,
    /// `EPOLLONESHOT` does not disarm.
    OneShotStaysArmed,
    /// A one-shot registration is gone after its event.
    OneShotIsDeleted,
    /// The wait after a delete may still report the file.
    DeleteComesLate,
    /// An edge is reported again.
    EdgeComesTwice,
    /// A level is reported once.
    LevelIsEdge,
    /// A wait keeps its last event to itself.
    EventIsLost,
    /// A write does not wake a thread that sleeps.
    WakeUpIsLost,
    /// A write wakes a thread in each epoll, in spite of `EPOLLEXCLUSIVE`.
    BothAreWoken,
    /// A wait reports the newest event first.
    OrderIsReversed,
    /// A modification keeps the data.
    DataIsOld,
    /// An epoll that reports another one takes its events.
    LookTakesEvents,
}

impl Fault {
    pub const ALL: [Self; 11] = [
        Self::OneShotStaysArmed,
        Self::OneShotIsDeleted,
        Self::DeleteComesLate,
        Self::EdgeComesTwice,
        Self::LevelIsEdge,
        Self::EventIsLost,
        Self::WakeUpIsLost,
        Self::BothAreWoken,
        Self::OrderIsReversed,
        Self::DataIsOld,
        Self::LookTakesEvents,
    ];
}

/// A registration as the caller made it: the events and the data.
type Asked = (u32, u64);

#[derive(Default)]
struct Memory {
    /// By epoll and slot.
    registered: BTreeMap<(usize, usize), Asked>,
    /// Deletes that the kernel has not seen.
    late: Vec<(usize, usize)>,
}

pub struct Faulty {
    world: World,
    fault: Fault,
    memory: Mutex<Memory>,
}

/// An epoll that no plan uses. It watches the bell alone.
const ONLY_BELL: usize = 2;

impl Faulty {
    pub fn new(fault: Fault) -> Self {
        let world = world();
        let added = world.call(&Step::Add { epoll: ONLY_BELL, slot: BELL, events: EPOLLIN, data: 0 });
        assert_eq!(added.result, Ok(0), "the bell is watched");
        Self { world, fault, memory: Mutex::default() }
    }

    /// The flags that the kernel gets. Those of the bell stay, so that every wait ends.
    fn changed(&self, slot: usize, events: u32) -> u32 {
        let is_level = events & (EPOLLET | EPOLLONESHOT) == 0;
        match self.fault {
            _ if slot == BELL => events,
            Fault::OneShotStaysArmed => events & !EPOLLONESHOT,
            Fault::LevelIsEdge if is_level => events | EPOLLET,
            Fault::BothAreWoken => events & !EPOLLEXCLUSIVE,
            _ => events,
        }
    }

    fn delete_late(&self, memory: &mut Memory) {
        for (epoll, slot) in std::mem::take(&mut memory.late) {
            self.world.call(&Step::Delete { epoll, slot });
        }
    }

    fn control(&self, step: &Step, memory: &mut Memory) -> Answer {
        self.delete_late(memory);
        match *step {
            Step::Add { epoll, slot, events, data } => {
                let answer = self.world.call(&Step::Add { epoll, slot, events: self.changed(slot, events), data });
                if answer.result.is_ok() {
                    memory.registered.insert((epoll, slot), (events, data));
                }
                answer
            }
            Step::Modify { epoll, slot, events, data } => {
                let before = memory.registered.get(&(epoll, slot)).copied();
                if before.is_some_and(|(events, _)| events & EPOLLEXCLUSIVE != 0) {
                    return Err(Errno::EINVAL).into();
                }
                let data = before.map_or(data, |(_, old)| if self.fault == Fault::DataIsOld { old } else { data });
                let answer = self.world.call(&Step::Modify { epoll, slot, events: self.changed(slot, events), data });
                if answer.result.is_ok() {
                    memory.registered.insert((epoll, slot), (events, data));
                }
                answer
            }
            Step::Delete { epoll, slot } => match memory.registered.remove(&(epoll, slot)) {
                Some(_) if self.fault == Fault::DeleteComesLate => {
                    memory.late.push((epoll, slot));
                    Ok(0).into()
                }
                _ => self.world.call(step),
            },
            _ => unreachable!("another call"),
        }
    }

    /// Spoils what a wait returned.
    fn spoil(&self, epoll: usize, mut answer: Answer, memory: &mut Memory) -> Answer {
        let registered = |data| {
            let mut all = memory.registered.iter();
            let found = all.find(|((at, _), (_, other))| *at == epoll && *other == data);
            found.map(|((_, slot), (events, _))| (*slot, *events))
        };
        for (_, data) in answer.events.clone() {
            let Some((slot, events)) = registered(data) else { continue };
            let is_edge = events & EPOLLET != 0 && events & (EPOLLONESHOT | EPOLLEXCLUSIVE) == 0;
            match self.fault {
                Fault::EdgeComesTwice if is_edge => drop(self.world.call(&Step::Modify { epoll, slot, events, data })),
                Fault::OneShotIsDeleted if events & EPOLLONESHOT != 0 => {
                    drop(self.world.call(&Step::Delete { epoll, slot }))
                }
                Fault::LookTakesEvents if slot == INNER => {
                    drop(self.world.call(&Step::Wait { epoll: INNER, room: 16 }))
                }
                _ => {}
            }
        }
        match self.fault {
            Fault::EventIsLost => drop(answer.events.pop()),
            Fault::OrderIsReversed => answer.events.reverse(),
            _ => {}
        }
        if answer.result.is_ok() {
            answer.result = Ok(answer.events.len());
        }
        self.delete_late(memory);
        answer
    }

    fn sleep(&self, epoll: usize, room: usize) -> Answer {
        if self.fault == Fault::WakeUpIsLost {
            let found = self.world.call(&Step::Wait { epoll, room });
            if found.result != Ok(0) {
                return found;
            }
            self.world.wait(ONLY_BELL, 1, None);
            return self.world.call(&Step::Wait { epoll, room });
        }
        self.world.wait(epoll, room, None)
    }
}

impl Calls for Faulty {
    fn call(&self, call: &Call) -> Answer {
        let memory = || self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        match call {
            Call::Take(step @ (Step::Add { .. } | Step::Modify { .. } | Step::Delete { .. })) => {
                self.control(step, &mut memory())
            }
            Call::Take(Step::Wait { epoll, room }) => {
                let mut memory = memory();
                let answer = self.world.wait(*epoll, *room, Some(Duration::ZERO));
                self.spoil(*epoll, answer, &mut memory)
            }
            Call::Take(step) => self.world.call(step),
            Call::Sleep { epoll, room } => {
                let answer = self.sleep(*epoll, *room);
                self.spoil(*epoll, answer, &mut memory())
            }
            Call::See { .. } => Ok(0).into(),
        }
    }
}
