//! The state of a waker's loop: the part that concerns threads and not the kernel. The crate
//! `model` runs this file on a model of the machine's memory, with an `AtomicU8` of its own.

use super::AtomicU8;
use core::sync::atomic::Ordering::AcqRel;

/// The loop waits, or may wait at any time. A wake-up must write.
const ASLEEP: u8 = 0;
/// A wake-up has come. If it found `ASLEEP` it has written or is about to.
const WOKEN: u8 = 1;
/// The loop will ask before it waits. A wake-up need not write.
const AWAKE: u8 = 2;

/// What the loop does, and whether a wake-up has come.
///
/// All changes are swaps. Each swap reads the other side's latest write. So either the waker sees
/// `ASLEEP` and writes, or the loop sees `WOKEN` and all that was written before the wake-up. A
/// plain load or store on either side may be reordered with the operations around it, and both
/// sides can miss each other.
pub(crate) struct State(AtomicU8);

impl State {
    pub(crate) fn new() -> Self {
        Self(AtomicU8::new(ASLEEP))
    }

    /// Calls `write` if the loop is asleep and no wake-up is pending. If `write` fails, no wake-up
    /// is pending.
    #[inline]
    pub(crate) fn wake<E>(&self, write: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        if self.0.swap(WOKEN, AcqRel) != ASLEEP {
            return Ok(());
        }
        let answer = write();
        if answer.is_err() {
            self.fall_asleep();
        }
        answer
    }

    /// From here on wake-ups write. Returns whether one has come before.
    #[inline]
    pub(crate) fn fall_asleep(&self) -> bool {
        self.0.swap(ASLEEP, AcqRel) == WOKEN
    }

    /// From here on wake-ups do not write. Returns whether one has come before.
    #[inline]
    pub(crate) fn stay_awake(&self) -> bool {
        self.0.swap(AWAKE, AcqRel) == WOKEN
    }

    /// Begins a time of being awake. A wake-up of before is left to the first sleep.
    #[inline]
    pub(crate) fn enter(&self) {
        if self.stay_awake() {
            self.0.swap(WOKEN, AcqRel);
        }
    }

    /// Sleeps during `wait`, unless it `polls` or a wake-up has come: then `wait` gets true and must
    /// not block. Returns whether one has come, also during `wait`. If `wait` fails, the next sleep
    /// finds it.
    #[inline(always)]
    pub(crate) fn sleep<T, E>(&self, polls: bool, wait: impl FnOnce(bool) -> Result<T, E>) -> (Result<T, E>, bool) {
        let was_woken = !polls && self.fall_asleep();
        if was_woken {
            self.stay_awake(); // others need not write
        }
        let answer = wait(polls || was_woken);
        let is_woken = self.stay_awake() || was_woken;
        if is_woken && answer.is_err() {
            self.0.swap(WOKEN, AcqRel);
        }
        (answer, is_woken)
    }

    /// Ends a time of being awake: a wake-up of it is written.
    #[inline]
    pub(crate) fn leave<E>(&self, write: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        match self.fall_asleep() {
            true => self.wake(write),
            false => Ok(()),
        }
    }
}
