//! The kernel's signal set, and the thread's mask.

use crate::arch::SIGSET_BYTES;
use crate::errno::{Errno, Result};
use crate::raw;
use core::fmt;
use core::iter::FusedIterator;
use core::mem::{size_of, MaybeUninit};
use core::ops::{BitAnd, BitAndAssign, BitOr, BitOrAssign, Sub, SubAssign};
use core::ptr;

/// The number of signals: 64, 128 on MIPS.
const SIGNALS: i32 = SIGSET_BYTES as i32 * 8;
/// The kernel's set is an array of `unsigned long`. On a 32-bit big-endian machine that is not a
/// `u64`.
const WORDS: usize = SIGSET_BYTES / size_of::<usize>();

/// A set of signals: the kernel's `sigset_t`.
///
/// libc's `sigset_t` is larger. Signals have numbers from 1 to 64 (128 on MIPS), and
/// [`signo`](crate::signo) has their names. A libc reserves the first real-time signals
/// ([which](Self#the-threads-mask)).
///
/// ```
/// use barepoll::signo::{SIGINT, SIGTERM};
/// use barepoll::SigSet;
///
/// let mut mask = SigSet::empty();
/// mask.insert(SIGINT)?;
/// assert!(mask.contains(SIGINT) && !mask.contains(SIGTERM));
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// [`Epoll::wait_masked`](crate::Epoll::wait_masked) and [`SignalFd`](crate::SignalFd) take it.
///
/// `|`, `&` and `-` are [`union`](Self::union), [`intersection`](Self::intersection) and
/// [`difference`](Self::difference). `collect` and `extend` ignore numbers that are no signal's.
/// [`from_signals`](Self::from_signals) and [`insert`](Self::insert) return an error for them.
///
/// # The thread's mask
///
/// The kernel keeps a signal pending while the thread blocks it. [`block`](Self::block),
/// [`unblock`](Self::unblock) and [`set_thread_mask`](Self::set_thread_mask) change the mask of the
/// thread that calls them. [`thread_mask`](Self::thread_mask) returns it.
///
/// - Each thread has a mask of its own. A signal sent to the process goes to any thread that does
///   not block it. So block a signal before the program starts threads.
/// - A new thread starts with the mask of the thread that made it, and a child process with that of
///   the thread that forked. `execve` keeps the mask and the pending signals. std's `Command` keeps
///   them too, since Rust 1.66. So a program that starts others restores the mask in the child first
///   (`CommandExt::pre_exec`).
/// - The kernel ignores `SIGKILL` and `SIGSTOP` in a mask. No error says so.
/// - A fault (`SIGSEGV`, `SIGBUS`, `SIGFPE`, `SIGILL`, `SIGTRAP`, `SIGSYS`) kills the process while
///   its signal is blocked.
/// - A libc uses the first real-time signals itself: glibc 32 and 33, musl 32 to 34, Android 32 to
///   41. If a thread blocks them for long, another thread's `setuid` waits for it, and
///   `pthread_cancel` takes effect only afterwards. Android keeps 32 blocked, and the others not.
///   libc's own functions leave them alone. These methods do not. To block everything else, take
///   them out of a full set:
///
/// ```
/// use barepoll::SigSet;
///
/// let mask: SigSet = SigSet::full().iter().filter(|signal| !(32..=41).contains(signal)).collect();
/// let before = mask.block()?;
/// // Nothing interrupts this part, not even Ctrl-C.
/// before.set_thread_mask()?;
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// See [`sigsetops(3)`](https://man7.org/linux/man-pages/man3/sigsetops.3.html) for the same
/// functions in C, and [`signal(7)`](https://man7.org/linux/man-pages/man7/signal.7.html).
#[doc(alias = "sigset_t")]
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct SigSet([usize; WORDS]);

impl SigSet {
    /// The empty set.
    ///
    /// ```
    /// assert!(!barepoll::SigSet::empty().contains(barepoll::signo::SIGTERM));
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
    /// assert!(barepoll::SigSet::full().contains(barepoll::signo::SIGTERM));
    /// ```
    #[doc(alias = "sigfillset")]
    #[must_use]
    pub const fn full() -> Self {
        Self([!0; WORDS])
    }

    /// The set of these signals.
    ///
    /// ```
    /// use barepoll::signo::{SIGHUP, SIGINT, SIGTERM};
    /// use barepoll::{Errno, SigSet};
    ///
    /// let signals = SigSet::from_signals(&[SIGINT, SIGTERM])?;
    /// assert!(signals.contains(SIGINT) && signals.contains(SIGTERM) && !signals.contains(SIGHUP));
    /// assert_eq!(SigSet::from_signals(&[0]), Err(Errno::EINVAL));
    /// # Ok::<(), Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `EINVAL`: no signal has one of these numbers.
    #[inline]
    pub const fn from_signals(signals: &[i32]) -> Result<Self> {
        let mut set = Self::empty();
        let mut index = 0;
        while index < signals.len() {
            match word_and_bit(signals[index]) {
                Some((word, bit)) if word < WORDS => set.0[word] |= bit,
                _ => return Err(Errno::EINVAL),
            }
            index += 1;
        }
        Ok(set)
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
    /// use barepoll::{signo::SIGTERM, Errno, SigSet};
    ///
    /// let mut mask = SigSet::empty();
    /// mask.insert(SIGTERM)?;
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
    /// use barepoll::{signo::SIGINT, SigSet};
    ///
    /// let mut mask = SigSet::full();
    /// mask.remove(SIGINT)?;
    /// assert!(!mask.contains(SIGINT));
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

    /// Whether the set has no signal.
    ///
    /// ```
    /// use barepoll::SigSet;
    ///
    /// assert!(SigSet::empty().is_empty() && !SigSet::full().is_empty());
    /// ```
    #[doc(alias = "sigisemptyset")]
    #[must_use]
    #[inline]
    pub const fn is_empty(&self) -> bool {
        let mut index = 0;
        while index < WORDS {
            if self.0[index] != 0 {
                return false;
            }
            index += 1;
        }
        true
    }

    /// The signals of either set.
    ///
    /// ```
    /// use barepoll::SigSet;
    ///
    /// let (one, other) = (SigSet::from_signals(&[1, 2])?, SigSet::from_signals(&[2, 15])?);
    /// assert_eq!(one.union(other), SigSet::from_signals(&[1, 2, 15])?);
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    #[doc(alias = "sigorset")]
    #[must_use]
    #[inline]
    pub const fn union(mut self, other: Self) -> Self {
        let mut index = 0;
        while index < WORDS {
            self.0[index] |= other.0[index];
            index += 1;
        }
        self
    }

    /// The signals of both sets.
    ///
    /// ```
    /// use barepoll::SigSet;
    ///
    /// let (one, other) = (SigSet::from_signals(&[1, 2])?, SigSet::from_signals(&[2, 15])?);
    /// assert_eq!(one.intersection(other), SigSet::from_signals(&[2])?);
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    #[doc(alias = "sigandset")]
    #[must_use]
    #[inline]
    pub const fn intersection(mut self, other: Self) -> Self {
        let mut index = 0;
        while index < WORDS {
            self.0[index] &= other.0[index];
            index += 1;
        }
        self
    }

    /// The signals of this set that are not in `other`.
    ///
    /// ```
    /// use barepoll::SigSet;
    ///
    /// let (one, other) = (SigSet::from_signals(&[1, 2])?, SigSet::from_signals(&[2, 15])?);
    /// assert_eq!(one.difference(other), SigSet::from_signals(&[1])?);
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    #[must_use]
    // Not inline, as `remove`: in a caller that has just made `other` of one signal, LLVM would see
    // `!(1 << n)`.
    #[inline(never)]
    pub const fn difference(mut self, other: Self) -> Self {
        let mut index = 0;
        while index < WORDS {
            self.0[index] &= !other.0[index];
            index += 1;
        }
        self
    }

    /// The signals of the set, from the lowest.
    ///
    /// ```
    /// let signals = barepoll::SigSet::from_signals(&[40, 2])?;
    /// assert_eq!(signals.iter().collect::<Vec<_>>(), [2, 40]);
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    #[must_use]
    #[inline]
    pub const fn iter(&self) -> Signals {
        Signals(*self)
    }

    /// Blocks these signals in this thread too, and returns the previous mask.
    ///
    /// ```
    /// use barepoll::signo::{SIGINT, SIGTERM};
    /// use barepoll::SigSet;
    ///
    /// let signals = SigSet::from_signals(&[SIGINT, SIGTERM])?;
    /// let before = signals.block()?;
    /// assert!(SigSet::thread_mask()?.contains(SIGTERM));
    /// before.set_thread_mask()?;
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// See [*The thread's mask*](Self#the-threads-mask) for threads, child processes and the signals
    /// of a libc.
    ///
    /// # Errors
    ///
    /// None, unless a sandbox refuses the call. Miri has no such call: `ENOSYS`.
    ///
    /// See [`sigprocmask(2)`](https://man7.org/linux/man-pages/man2/sigprocmask.2.html).
    #[doc(alias = "sigprocmask")]
    #[doc(alias = "pthread_sigmask")]
    #[doc(alias = "SIG_BLOCK")]
    #[inline]
    pub fn block(&self) -> Result<Self> {
        change_mask(raw::SIG_BLOCK, self)
    }

    /// Unblocks these signals in this thread, and returns the previous mask.
    ///
    /// If one of them is pending, its handler runs before this returns, or its default action takes
    /// place.
    ///
    /// ```
    /// use barepoll::signo::{SIGINT, SIGTERM};
    /// use barepoll::SigSet;
    ///
    /// let signals = SigSet::from_signals(&[SIGINT, SIGTERM])?;
    /// signals.block()?;
    /// let before = signals.unblock()?;
    /// assert!(before.contains(SIGINT) && !SigSet::thread_mask()?.contains(SIGINT));
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// None, unless a sandbox refuses the call. Miri has no such call: `ENOSYS`.
    ///
    /// See [`sigprocmask(2)`](https://man7.org/linux/man-pages/man2/sigprocmask.2.html).
    #[doc(alias = "sigprocmask")]
    #[doc(alias = "pthread_sigmask")]
    #[doc(alias = "SIG_UNBLOCK")]
    #[inline]
    pub fn unblock(&self) -> Result<Self> {
        change_mask(raw::SIG_UNBLOCK, self)
    }

    /// Makes these signals the ones that this thread blocks, and unblocks all others. Returns the
    /// mask of before.
    ///
    /// ```
    /// use barepoll::{signo::SIGTERM, SigSet};
    ///
    /// let before = SigSet::from_signals(&[SIGTERM])?.set_thread_mask()?;
    /// assert!(SigSet::thread_mask()?.iter().eq([SIGTERM]));
    /// before.set_thread_mask()?;
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// None, unless a sandbox refuses the call. Miri has no such call: `ENOSYS`.
    ///
    /// See [`sigprocmask(2)`](https://man7.org/linux/man-pages/man2/sigprocmask.2.html).
    #[doc(alias = "sigprocmask")]
    #[doc(alias = "pthread_sigmask")]
    #[doc(alias = "SIG_SETMASK")]
    #[inline]
    pub fn set_thread_mask(&self) -> Result<Self> {
        change_mask(raw::SIG_SETMASK, self)
    }

    /// Returns the signals that this thread blocks.
    ///
    /// ```
    /// use barepoll::{signo::SIGKILL, SigSet};
    ///
    /// let mask = SigSet::thread_mask()?;
    /// assert!(!mask.contains(SIGKILL));
    /// # Ok::<(), barepoll::Errno>(())
    /// ```
    ///
    /// # Errors
    ///
    /// None, unless a sandbox refuses the call. Miri has no such call: `ENOSYS`.
    ///
    /// See [`sigprocmask(2)`](https://man7.org/linux/man-pages/man2/sigprocmask.2.html).
    #[doc(alias = "sigprocmask")]
    #[doc(alias = "pthread_sigmask")]
    #[inline]
    pub fn thread_mask() -> Result<Self> {
        change_mask(raw::SIG_BLOCK, ptr::null())
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

/// Changes the thread's mask and returns the one of before. A null `set`, or one that is valid for
/// reads.
#[inline(always)]
fn change_mask(how: u32, set: *const SigSet) -> Result<SigSet> {
    let mut before = MaybeUninit::<SigSet>::uninit();
    // SAFETY: `set` is null or comes from a reference, and `before` is valid for writes.
    unsafe { raw::rt_sigprocmask(how, set, before.as_mut_ptr())? };
    // SAFETY: the call has written it.
    Ok(unsafe { before.assume_init() })
}

/// The signals of a [`SigSet`], from the lowest. [`SigSet::iter`] makes it.
///
/// ```
/// use barepoll::signo::{SIGINT, SIGTERM};
/// use barepoll::SigSet;
///
/// for signal in SigSet::from_signals(&[SIGINT, SIGTERM])? {
///     println!("signal {signal}");
/// }
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// See [`signal(7)`](https://man7.org/linux/man-pages/man7/signal.7.html).
#[derive(Clone)]
pub struct Signals(SigSet);

impl Iterator for Signals {
    type Item = i32;

    #[inline]
    fn next(&mut self) -> Option<i32> {
        let mut first = 1;
        for word in &mut self.0 .0 {
            if *word != 0 {
                let signal = first + word.trailing_zeros() as i32;
                *word &= word.wrapping_sub(1); // without its lowest bit
                return Some(signal);
            }
            first += usize::BITS as i32;
        }
        None
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.0 .0.iter().map(|word| word.count_ones() as usize).sum();
        (left, Some(left))
    }
}

impl ExactSizeIterator for Signals {}

impl FusedIterator for Signals {}

impl fmt::Debug for Signals {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signals").field(&self.0).finish()
    }
}

impl IntoIterator for SigSet {
    type Item = i32;
    type IntoIter = Signals;

    #[inline]
    fn into_iter(self) -> Signals {
        self.iter()
    }
}

impl IntoIterator for &SigSet {
    type Item = i32;
    type IntoIter = Signals;

    #[inline]
    fn into_iter(self) -> Signals {
        self.iter()
    }
}

/// Ignores numbers that are no signal's.
impl Extend<i32> for SigSet {
    #[inline]
    fn extend<I: IntoIterator<Item = i32>>(&mut self, signals: I) {
        for signal in signals {
            let _ = self.insert(signal);
        }
    }
}

/// Ignores numbers that are no signal's.
impl<'s> Extend<&'s i32> for SigSet {
    #[inline]
    fn extend<I: IntoIterator<Item = &'s i32>>(&mut self, signals: I) {
        self.extend(signals.into_iter().copied());
    }
}

/// Ignores numbers that are no signal's.
impl<S> FromIterator<S> for SigSet
where
    Self: Extend<S>,
{
    #[inline]
    fn from_iter<I: IntoIterator<Item = S>>(signals: I) -> Self {
        let mut set = Self::empty();
        set.extend(signals);
        set
    }
}

/// Implements an operator, and its assigning form, by a method.
macro_rules! impl_operators {
    ($($Operator:ident $operator:ident, $Assign:ident $assign:ident: $method:ident;)*) => {
        $(
            impl $Operator for SigSet {
                type Output = Self;

                #[inline]
                fn $operator(self, other: Self) -> Self {
                    self.$method(other)
                }
            }

            impl $Assign for SigSet {
                #[inline]
                fn $assign(&mut self, other: Self) {
                    *self = self.$method(other);
                }
            }
        )*
    };
}

impl_operators! {
    BitOr bitor, BitOrAssign bitor_assign: union;
    BitAnd bitand, BitAndAssign bitand_assign: intersection;
    Sub sub, SubAssign sub_assign: difference;
}

impl Default for SigSet {
    fn default() -> Self {
        Self::empty()
    }
}

impl fmt::Debug for SigSet {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self).finish()
    }
}
