//! The deadlines of a loop, in the caller's storage.

use crate::deadline::Deadline;
use crate::errno::{Errno, Result};
use crate::event::EventData;
use core::fmt;
use core::mem::size_of;
use core::time::Duration;

/// The timers of a loop: deadlines with data, of which it takes the due ones in order.
///
/// A timer costs no descriptor and no system call. The loop waits until
/// [`next_wait`](Self::next_wait), then takes the due timers by [`pop_due`](Self::pop_due). The
/// caller provides the storage, one [`TimerSlot`] for each timer.
///
/// ```
/// use barepoll::{Deadline, Epoll, Event, EventData, TimerSlot, Timers};
/// use core::time::Duration;
///
/// let (epoll, mut buffer) = (Epoll::new()?, Event::buffer::<64>());
/// let mut slots = [TimerSlot::EMPTY; 64];
/// let mut timers = Timers::new(&mut slots);
///
/// timers.add(Deadline::after(Duration::from_millis(2))?, EventData::new_u64(1))?;
/// let timeout = timers.add(Deadline::after(Duration::from_secs(30))?, EventData::new_u64(2))?;
/// assert!(timers.cancel(timeout).is_some()); // the answer has come
///
/// while !timers.is_empty() {
///     let until = timers.next_wait(Duration::from_millis(1));
///     for event in epoll.wait_until(&mut buffer, until)? { // go on after `EINTR`
///         println!("{event:?}");
///     }
///     let now = Deadline::now()?;
///     while let Some(data) = timers.pop_due(now) {
///         assert_eq!(data.u64(), 1);
///     }
/// }
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// It is a heap in which each timer has eight below it, so 100,000 timers have seven levels. Adding
/// and cancelling change a few places, and at most one in each level. Taking a due timer changes
/// one in each level.
#[doc(alias = "timer_create")]
#[doc(alias = "timer")]
pub struct Timers<'s> {
    /// The heap is in the first `len`. All together, they name each slot once.
    slots: &'s mut [TimerSlot],
    len: usize,
    /// The sequence number of the timer that was added last.
    sequence: u64,
}

/// A [`Timers`]' storage for one timer: 32 bytes.
///
/// ```
/// use barepoll::{TimerSlot, Timers};
///
/// let mut slots = vec![TimerSlot::EMPTY; 100_000]; // or an array, or a static
/// let timers = Timers::new(&mut slots);
/// ```
#[derive(Copy, Clone)]
#[repr(align(32))] // in one cache line
pub struct TimerSlot {
    // The place of this index in the heap: the parts of an `Entry`.
    deadline: Deadline,
    sequence: u64,
    slot: u32,
    // The slot of this index. A timer keeps its slot, wherever it is in the heap.
    /// The place in the heap of this slot's timer.
    place: u32,
    data: EventData,
}

const _: () = assert!(size_of::<TimerSlot>() == 32);

/// A timer in the heap. It is before those with a later deadline, and before those that were added
/// later with the same.
#[derive(Copy, Clone)]
struct Entry {
    deadline: Deadline,
    sequence: u64,
    /// Where its data is. Beyond the heap's end: a free slot.
    slot: u32,
}

impl Entry {
    #[inline(always)]
    fn is_before(&self, other: &Self) -> bool {
        self.deadline < other.deadline || (self.deadline == other.deadline && self.sequence < other.sequence)
    }
}

/// A timer's name in its [`Timers`], from [`Timers::add`].
///
/// Once the timer was taken or cancelled, no later timer of the same `Timers` has this key. In
/// another `Timers`, it can be another timer's.
///
/// ```
/// use barepoll::{Deadline, EventData, TimerKey, TimerSlot, Timers};
///
/// let mut slots = [TimerSlot::EMPTY; 1];
/// let mut timers = Timers::new(&mut slots);
/// let stale: TimerKey = timers.add(Deadline::ORIGIN, EventData::new_u64(1))?;
/// assert!(timers.cancel(stale).is_some());
///
/// timers.add(Deadline::ORIGIN, EventData::new_u64(2))?; // in the same slot
/// assert!(timers.cancel(stale).is_none());
/// # Ok::<(), barepoll::Errno>(())
/// ```
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct TimerKey {
    sequence: u64,
    slot: u32,
}

/// The timers below each in the heap. Eight stand side by side, and the heap has few levels. The
/// time goes to memory that is in no cache, and not to comparisons.
const BELOW: usize = 8;

impl TimerSlot {
    /// A slot without a timer.
    pub const EMPTY: Self =
        Self { deadline: Deadline::ORIGIN, sequence: 0, slot: 0, place: 0, data: EventData::new_u64(0) };

    #[inline(always)]
    fn entry(&self) -> Entry {
        Entry { deadline: self.deadline, sequence: self.sequence, slot: self.slot }
    }
}

impl<'s> Timers<'s> {
    /// Makes an empty set for as many timers as there are slots. It clears the slots.
    ///
    /// It uses at most `u32::MAX` of them.
    ///
    /// ```
    /// use barepoll::{TimerSlot, Timers};
    ///
    /// let mut slots = [TimerSlot::EMPTY; 64];
    /// let timers = Timers::new(&mut slots);
    /// ```
    pub fn new(slots: &'s mut [TimerSlot]) -> Self {
        // Zipped with the numbers of all slots, for which `u32` has room.
        for (slot, number) in slots.iter_mut().zip(0..u32::MAX) {
            *slot = TimerSlot { slot: number, ..TimerSlot::EMPTY };
        }
        let slots = match slots.len() {
            len if len > u32::MAX as usize => slots.get_mut(..u32::MAX as usize).unwrap_or_default(),
            _ => slots,
        };
        Self { slots, len: 0, sequence: 0 }
    }

    /// Adds a timer.
    ///
    /// ```
    /// use barepoll::{Deadline, Errno, EventData, TimerSlot, Timers};
    /// use core::time::Duration;
    ///
    /// let mut slots = [TimerSlot::EMPTY; 1];
    /// let mut timers = Timers::new(&mut slots);
    /// let deadline = Deadline::after(Duration::from_secs(1))?;
    /// timers.add(deadline, EventData::new_u64(1))?;
    /// assert_eq!(timers.add(deadline, EventData::new_u64(2)), Err(Errno::ENOBUFS));
    /// # Ok::<(), Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `ENOBUFS`: every slot has a timer.
    #[inline]
    pub fn add(&mut self, deadline: Deadline, data: EventData) -> Result<TimerKey> {
        let number = self.slots.get(self.len).ok_or(Errno::ENOBUFS)?.slot;
        self.slots.get_mut(number as usize).ok_or(Errno::ENOBUFS)?.data = data;
        self.sequence = self.sequence.wrapping_add(1);
        let entry = Entry { deadline, sequence: self.sequence, slot: number };
        let place = self.len;
        self.len += 1;
        self.sift_up(place, entry);
        Ok(TimerKey { sequence: entry.sequence, slot: number })
    }

    /// Removes a timer and returns its data, or `None` if it was taken or cancelled before.
    ///
    /// ```
    /// use barepoll::{Deadline, EventData, TimerSlot, Timers};
    /// use core::time::Duration;
    ///
    /// let mut slots = [TimerSlot::EMPTY; 64];
    /// let mut timers = Timers::new(&mut slots);
    /// let timer = timers.add(Deadline::after(Duration::from_secs(1))?, EventData::new_u64(7))?;
    /// assert_eq!(timers.cancel(timer).map(EventData::u64), Some(7));
    /// assert!(timers.cancel(timer).is_none());
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    #[inline]
    pub fn cancel(&mut self, key: TimerKey) -> Option<EventData> {
        let place = self.slots.get(key.slot as usize)?.place as usize;
        // A free slot's `place` is an old one. A timer there has another sequence number.
        if self.live(place)?.sequence != key.sequence {
            return None;
        }
        self.remove(place)
    }

    /// Removes the first timer that is due at `now`, and returns its data.
    ///
    /// A timer is due at its deadline. The timers come in the order of their deadlines, and those
    /// of one deadline in the order in which they were added.
    ///
    /// ```
    /// use barepoll::{Deadline, EventData, TimerSlot, Timers};
    /// use core::time::Duration;
    ///
    /// let mut slots = [TimerSlot::EMPTY; 64];
    /// let mut timers = Timers::new(&mut slots);
    /// let now = Deadline::now()?;
    /// timers.add(now, EventData::new_u64(1))?;
    /// timers.add(now + Duration::from_secs(1), EventData::new_u64(2))?;
    ///
    /// while let Some(data) = timers.pop_due(now) {
    ///     assert_eq!(data.u64(), 1);
    /// }
    /// assert_eq!(timers.len(), 1);
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// If you add a timer inside this loop and it is due at the same `now`, the loop takes it too.
    /// If every due timer adds such a timer, the loop never ends.
    #[inline]
    pub fn pop_due(&mut self, now: Deadline) -> Option<EventData> {
        if self.next_deadline()? > now {
            return None;
        }
        self.remove(0)
    }

    /// The earliest deadline, or `None` without timers.
    ///
    /// ```
    /// use barepoll::{Deadline, EventData, TimerSlot, Timers};
    /// use core::time::Duration;
    ///
    /// let mut slots = [TimerSlot::EMPTY; 64];
    /// let mut timers = Timers::new(&mut slots);
    /// assert_eq!(timers.next_deadline(), None);
    ///
    /// let deadline = Deadline::after(Duration::from_secs(1))?;
    /// timers.add(deadline, EventData::new_u64(1))?;
    /// assert_eq!(timers.next_deadline(), Some(deadline));
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn next_deadline(&self) -> Option<Deadline> {
        self.live(0).map(|first| first.deadline)
    }

    /// The moment until which a loop should wait if its timers may be late by `slack`.
    ///
    /// It is the earliest deadline plus `slack`, so that one wake-up serves all timers up to there.
    /// If that is one timer only, it is that timer's deadline. `None` without timers.
    ///
    /// However many timers there are, those of a second make at most 21 wake-ups with a slack of
    /// 50 ms: one for each `slack`, and one more.
    ///
    /// ```
    /// use barepoll::{Deadline, EventData, TimerSlot, Timers};
    /// use core::time::Duration;
    ///
    /// const SLACK: Duration = Duration::from_millis(50);
    /// let mut slots = [TimerSlot::EMPTY; 64];
    /// let mut timers = Timers::new(&mut slots);
    /// let deadline = Deadline::after(Duration::from_secs(1))?;
    /// timers.add(deadline, EventData::new_u64(1))?;
    /// assert_eq!(timers.next_wait(SLACK), Some(deadline));
    ///
    /// timers.add(deadline + Duration::from_millis(20), EventData::new_u64(2))?;
    /// assert_eq!(timers.next_wait(SLACK), Some(deadline + SLACK));
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// A timer is late by `slack` at most, and by what delays the wait itself.
    #[doc(alias = "PR_SET_TIMERSLACK")]
    #[inline]
    #[must_use]
    pub fn next_wait(&self, slack: Duration) -> Option<Deadline> {
        let first = self.next_deadline()?;
        let latest = first + slack;
        // The second timer is one of those below the first.
        let has_more = (1..=BELOW).any(|place| matches!(self.live(place), Some(entry) if entry.deadline <= latest));
        Some(if has_more { latest } else { first })
    }

    /// The number of timers.
    ///
    /// ```
    /// use barepoll::{Deadline, EventData, TimerSlot, Timers};
    ///
    /// let mut slots = [TimerSlot::EMPTY; 64];
    /// let mut timers = Timers::new(&mut slots);
    /// timers.add(Deadline::now()?, EventData::new_u64(1))?;
    /// assert_eq!(timers.len(), 1);
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no timer.
    ///
    /// ```
    /// use barepoll::{TimerSlot, Timers};
    ///
    /// assert!(Timers::new(&mut [TimerSlot::EMPTY; 64]).is_empty());
    /// ```
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of timers for which there is storage.
    ///
    /// ```
    /// use barepoll::{TimerSlot, Timers};
    ///
    /// assert_eq!(Timers::new(&mut [TimerSlot::EMPTY; 64]).capacity(), 64);
    /// ```
    #[inline]
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// Removes the timer at a place of the heap, and returns its data.
    #[inline]
    fn remove(&mut self, place: usize) -> Option<EventData> {
        let number = self.live(place)?.slot;
        let last = self.len.wrapping_sub(1);
        let moved = self.entry(last)?;
        self.len = last;
        self.slots.get_mut(last)?.slot = number; // it is free
        if place < last {
            match self.entry(place.wrapping_sub(1) / BELOW) {
                Some(above) if place > 0 && moved.is_before(&above) => self.sift_up(place, moved),
                _ => self.sift_down(place, moved),
            }
        }
        Some(self.slots.get(number as usize)?.data)
    }

    /// Puts a timer at a place or, if it is before the timer above, nearer to the first place.
    #[inline]
    fn sift_up(&mut self, mut place: usize, entry: Entry) {
        while place > 0 {
            let above_place = (place - 1) / BELOW;
            match self.entry(above_place) {
                Some(above) if entry.is_before(&above) => self.put(place, above),
                _ => break,
            }
            place = above_place;
        }
        self.put(place, entry);
    }

    /// Puts a timer at a place or, if one below is before it, farther from the first place.
    #[inline]
    fn sift_down(&mut self, mut place: usize, entry: Entry) {
        loop {
            let mut least = (place, entry);
            let first = place * BELOW + 1;
            for (offset, below) in self.slots.get(first..self.len).unwrap_or_default().iter().take(BELOW).enumerate() {
                if below.entry().is_before(&least.1) {
                    least = (first + offset, below.entry());
                }
            }
            if least.0 == place {
                break;
            }
            self.put(place, least.1);
            place = least.0;
        }
        self.put(place, entry);
    }

    #[inline(always)]
    fn entry(&self, place: usize) -> Option<Entry> {
        self.slots.get(place).map(TimerSlot::entry)
    }

    /// The timer at a place of the heap.
    #[inline(always)]
    fn live(&self, place: usize) -> Option<Entry> {
        if place < self.len {
            self.entry(place)
        } else {
            None
        }
    }

    #[inline(always)]
    fn put(&mut self, place: usize, entry: Entry) {
        if let Some(slot) = self.slots.get_mut(place) {
            let Entry { deadline, sequence, slot: number } = entry;
            (slot.deadline, slot.sequence, slot.slot) = (deadline, sequence, number);
        }
        if let Some(slot) = self.slots.get_mut(entry.slot as usize) {
            slot.place = place as u32;
        }
    }
}

impl fmt::Debug for Timers<'_> {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timers").field("len", &self.len).field("next", &self.next_deadline()).finish_non_exhaustive()
    }
}

impl fmt::Debug for TimerSlot {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimerSlot").finish_non_exhaustive()
    }
}
