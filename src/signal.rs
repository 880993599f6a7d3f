//! The kernel's signal set.

use crate::arch::SIGSET_BYTES;
use crate::errno::{Errno, Result};
use core::fmt;
use core::mem::size_of;

/// The number of signals: 64, 128 on MIPS.
const SIGNALS: i32 = SIGSET_BYTES as i32 * 8;
/// The kernel's set is an array of `unsigned long`. On a 32-bit big-endian machine that is not a
/// `u64`.
const WORDS: usize = SIGSET_BYTES / size_of::<usize>();

/// A set of signals: the kernel's `sigset_t`.
///
/// libc's `sigset_t` is larger. Signals have numbers from 1 to 64 (128 on MIPS). A libc reserves
/// the first real-time signals: glibc 32 and 33, musl 32 to 34.
///
/// ```
/// use barepoll::SigSet;
///
/// let mut mask = SigSet::empty();
/// mask.insert(2)?; // SIGINT
/// assert!(mask.contains(2) && !mask.contains(15));
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// [`Epoll::wait_masked`](crate::Epoll::wait_masked) takes it.
///
/// See [`sigsetops(3)`](https://man7.org/linux/man-pages/man3/sigsetops.3.html) for the same
/// functions in C.
#[doc(alias = "sigset_t")]
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct SigSet([usize; WORDS]);

impl SigSet {
    /// The empty set.
    ///
    /// ```
    /// assert!(!barepoll::SigSet::empty().contains(15));
    /// ```
    #[doc(alias = "sigemptyset")]
    #[must_use]
    pub const fn empty() -> Self {
        Self([0; WORDS])
    }

    /// The set of all signals.
    ///
    /// `SIGKILL` and `SIGSTOP` cannot be masked all the same. The set contains libc's own signals.
    /// While a thread waits with this mask, another thread's `setuid` waits for it, and a
    /// `pthread_cancel` takes effect only afterwards.
    ///
    /// ```
    /// assert!(barepoll::SigSet::full().contains(15));
    /// ```
    #[doc(alias = "sigfillset")]
    #[must_use]
    pub const fn full() -> Self {
        Self([!0; WORDS])
    }

    /// Whether the signal is in the set. False for a number that is no signal's.
    ///
    /// ```
    /// assert!(!barepoll::SigSet::full().contains(0));
    /// ```
    #[doc(alias = "sigismember")]
    #[must_use]
    #[inline]
    pub const fn contains(&self, signal: i32) -> bool {
        match word_and_bit(signal) {
            // Always true. With little optimisation the compiler does not see that, and keeps a
            // panic.
            Some((word, bit)) if word < WORDS => self.0[word] & bit != 0,
            _ => false,
        }
    }

    /// Adds a signal.
    ///
    /// ```
    /// use barepoll::{Errno, SigSet};
    ///
    /// let mut mask = SigSet::empty();
    /// mask.insert(15)?;
    /// assert_eq!(mask.insert(0), Err(Errno::EINVAL));
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `EINVAL`: no signal has this number.
    #[doc(alias = "sigaddset")]
    #[inline]
    pub fn insert(&mut self, signal: i32) -> Result<()> {
        let (word, bit) = self.word_mut_and_bit(signal).ok_or(Errno::EINVAL)?;
        *word |= bit;
        Ok(())
    }

    /// Removes a signal.
    ///
    /// ```
    /// let mut mask = barepoll::SigSet::full();
    /// mask.remove(2)?; // SIGINT may come
    /// assert!(!mask.contains(2));
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `EINVAL`: no signal has this number.
    #[doc(alias = "sigdelset")]
    // Not `&= !bit`: on Hexagon, LLVM 22 turns `!(1 << n)` into a rotation by a count that it does
    // not reduce modulo 32 (llvm/llvm-project#205489). Removing signal 34 would remove 33 too. If
    // LLVM inlined this function into a caller that knows the word, it would do the same.
    #[inline(never)]
    pub fn remove(&mut self, signal: i32) -> Result<()> {
        let (word, bit) = self.word_mut_and_bit(signal).ok_or(Errno::EINVAL)?;
        if *word & bit != 0 {
            *word ^= bit;
        }
        Ok(())
    }

    #[inline(always)]
    fn word_mut_and_bit(&mut self, signal: i32) -> Option<(&mut usize, usize)> {
        let (word, bit) = word_and_bit(signal)?;
        Some((self.0.get_mut(word)?, bit))
    }
}

/// The word that holds a signal, and its bit there.
const fn word_and_bit(signal: i32) -> Option<(usize, usize)> {
    if signal < 1 || signal > SIGNALS {
        return None;
    }
    let index = signal as usize - 1;
    Some((index / usize::BITS as usize, 1 << (index % usize::BITS as usize)))
}

impl Default for SigSet {
    fn default() -> Self {
        Self::empty()
    }
}

impl fmt::Debug for SigSet {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries((1..=SIGNALS).filter(|signal| self.contains(*signal))).finish()
    }
}
