//! The kernel's signal set.

use crate::arch::SIGSET_BYTES;
use crate::errno::{Errno, Result};
use core::fmt;
use core::mem::size_of;

/// Signals in the set: 64, 128 on MIPS.
const SIGNALS: i32 = SIGSET_BYTES as i32 * 8;
/// The kernel's set is an array of `unsigned long`, so on a 32-bit big-endian machine it is not one u64.
const WORDS: usize = SIGSET_BYTES / size_of::<usize>();

/// A set of signals: the kernel's `sigset_t`, not libc's, which is larger.
///
/// Signals are numbered from 1 to 64 (128 on MIPS). A libc keeps the first real-time ones for itself: glibc 32 and 33,
/// musl 32 to 34.
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
/// See [`sigsetops(3)`](https://man7.org/linux/man-pages/man3/sigsetops.3.html), whose functions these are, and
/// [`Epoll::wait_masked`](crate::Epoll::wait_masked), which takes it.
#[doc(alias = "sigset_t")]
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct SigSet([usize; WORDS]);

impl SigSet {
    /// No signal.
    ///
    /// ```
    /// assert!(!barepoll::SigSet::empty().contains(15));
    /// ```
    #[doc(alias = "sigemptyset")]
    #[must_use]
    pub const fn empty() -> Self {
        Self([0; WORDS])
    }

    /// Every signal. `SIGKILL` and `SIGSTOP` cannot be masked all the same. libc's own are among them: while a thread waits with this
    /// mask, another's `setuid` waits for it, and a `pthread_cancel` takes effect only then.
    ///
    /// ```
    /// assert!(barepoll::SigSet::full().contains(15));
    /// ```
    #[doc(alias = "sigfillset")]
    #[must_use]
    pub const fn full() -> Self {
        Self([!0; WORDS])
    }

    /// Whether the signal is in the set; false for a number that is no signal's.
    ///
    /// ```
    /// assert!(!barepoll::SigSet::full().contains(0));
    /// ```
    #[doc(alias = "sigismember")]
    #[must_use]
    #[inline]
    pub const fn contains(&self, signal: i32) -> bool {
        match word_and_bit(signal) {
            // A word there is; with little optimisation no compiler sees it, and would keep a panic.
            Some((word, bit)) if word < WORDS => self.0[word] & bit != 0,
            _ => false,
        }
    }

    /// Puts a signal in.
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

    /// Takes a signal out.
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
    // Not `&= !bit`: of `!(1 << n)` LLVM 22 makes, for Hexagon, a rotation by a count that it forgets to take modulo 32
    // (llvm/llvm-project#205489), and signal 34 takes 33 with it. Inlined into who knows the word, this would become the same.
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
