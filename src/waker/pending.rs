//! Whether a wake-up is on its way: what of a waker is threads and no kernel. `tests/model` runs this file on a model of the
//! machine's memory, with an `AtomicBool` of its own.

use super::AtomicBool;
use core::sync::atomic::Ordering::AcqRel;

/// Set from a wake-up to its acknowledgement.
///
/// Both sides swap. Each swap reads the other side's latest, so that either the waker sees the flag cleared and writes, or the
/// loop sees what was done before the flag was set. A plain load or store on either side may be passed by what stands around
/// it, and both can miss each other.
pub(crate) struct Pending(AtomicBool);

impl Pending {
    pub(crate) fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Writes, unless a wake-up is on its way. One that could not be written is not.
    #[inline]
    pub(crate) fn wake<E>(&self, write: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        if self.0.swap(true, AcqRel) {
            return Ok(());
        }
        let answer = write();
        if answer.is_err() {
            self.acknowledge();
        }
        answer
    }

    #[inline]
    pub(crate) fn acknowledge(&self) {
        self.0.swap(false, AcqRel);
    }
}
