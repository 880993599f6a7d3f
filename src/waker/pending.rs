//! The flag of a waker: the part that concerns threads and not the kernel. `tests/model` runs this
//! file on a model of the machine's memory, with an `AtomicBool` of its own.

use super::AtomicBool;
use core::sync::atomic::Ordering::AcqRel;

/// Set from a wake-up to its acknowledgement.
///
/// Both sides swap. Each swap reads the other side's latest write. So either the waker sees the
/// flag cleared and writes, or the loop sees all that was written before the flag was set. A plain
/// load or store on either side may be reordered with the operations around it, and both sides can
/// miss each other.
pub(crate) struct Pending(AtomicBool);

impl Pending {
    pub(crate) fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Calls `write`, unless a wake-up is pending. If `write` fails, no wake-up is pending.
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
