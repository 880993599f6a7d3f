//! Any system call, by this machine's own instruction.
//!
//! [`syscall!`](crate::syscall!) and [`syscall0`] … [`syscall6`] make the calls that this crate has
//! no function for. The instruction and the registers that it declares as changed are those of
//! every other call of the crate: the same conformance list proves them on real kernels.
//!
//! The crate has no table of numbers. [`linux-raw-sys`](https://docs.rs/linux-raw-sys) has one for
//! each machine, with the kernel's constants and structures. (Without std, its version 0.12.1 does
//! not compile for hexagon and csky.)
//!
//! ```
//! use barepoll::fd::{AsRawFd, FromRawFd, OwnedFd};
//! use barepoll::{syscall, Epoll, EventData, EventFlags};
//! use linux_raw_sys::general::{__NR_dup, __NR_pipe2, O_CLOEXEC};
//!
//! let mut ends = [-1_i32; 2];
//! // SAFETY: the kernel writes two descriptors, and the array has room for them.
//! unsafe { syscall!(__NR_pipe2, ends.as_mut_ptr(), O_CLOEXEC)? };
//! // SAFETY: both are new, and nothing else owns them.
//! let [reader, writer] = ends.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
//!
//! // A reference to a descriptor is an argument too.
//! // SAFETY: the call takes no pointer.
//! let copy = unsafe { syscall!(__NR_dup, &writer)? };
//! assert_ne!(copy, writer.as_raw_fd() as usize);
//!
//! Epoll::new()?.add(&reader, EventData::new_u64(1), EventFlags::IN)?;
//! # // SAFETY: the copy is this program's own.
//! # unsafe { barepoll::raw::close(copy as i32)? };
//! # Ok::<(), barepoll::Errno>(())
//! ```
//!
//! # The result
//!
//! A result from −4095 to −1 is an [`Errno`](crate::Errno). Any other is `Ok`, also where the upper
//! bit is set, as in an address that `mmap` returns. Machines that report errors in a flag (MIPS,
//! powerpc, SPARC) follow the same rule. `fcntl` with `F_GETOWN` may have a result in that range
//! that is no error: use `F_GETOWN_EX`. `getpriority` returns 20 minus the nice value, so that it
//! is positive.
//!
//! `ENOSYS`: the kernel does not have the call. csky and hexagon answer otherwise to a number beyond
//! the kernel's table: csky with the first argument, hexagon with `EPERM`.
//!
//! # Calls that need care
//!
//! - **Two results.** `pipe` returns its second descriptor in a second register on MIPS and SPARC,
//!   and these functions lose it. Use `pipe2`.
//! - **`fork`**, and `clone` without a new stack, return in both processes, each with its own copy of
//!   the stack. On SPARC the child's result is the parent's number, not 0: compare `getpid`.
//! - **`vfork`**, and `clone` with `CLONE_VM`, share memory. The child would return into a frame that
//!   the parent still uses. Only assembly that does not return in the child can make these calls.
//! - **`rt_sigreturn` and `sigreturn`** find the signal's frame at the stack pointer, and these
//!   functions may have moved it. Only assembly can make them.
//! - **Seven arguments.** On 32-bit MIPS, `fadvise64` and `sync_file_range` take seven words. These
//!   functions cannot make them.
//!
//! # Calls that a libc must know of
//!
//! In a program with libc or std, these calls change state that it keeps:
//!
//! - `fork`, `clone`: libc's locks, thread list and cached numbers stay as they were. In the child
//!   call only what a signal handler may call.
//! - `exit` ends this thread, and libc does not notice. `exit_group` ends the process without
//!   flushing and without `atexit`.
//! - `rt_sigaction` with a number that libc reserves (32 and 33, in musl also 34); `set_tid_address`,
//!   `set_robust_list`, `arch_prctl`, `brk`; and `setuid` and similar, which the kernel applies to
//!   one thread only.
//!
//! # Arguments
//!
//! An argument is one register: a `usize`. [`Arg`] says how `syscall!` makes it from other types.
//! For x32, registers have 64 bits and a `usize` has 32. The upper half is zero, and the result's
//! upper half is lost. So `lseek` there cannot go back, and no offset is above 4 GiB.
//!
//! Where a register has 32 bits, a 64-bit argument such as a file offset takes two, in memory order:
//! the low half first on little-endian machines, the high half first on big-endian ones. Some
//! machines want the pair to start at an even register, so that an odd one before it stays unused:
//!
//! | machine | first argument, counted from 0 |
//! |---|---|
//! | arm, mips, powerpc, hexagon | even: `pread64(fd, buffer, count, 0, half, half)` |
//! | x86, riscv32, sparc, m68k, csky | any: `pread64(fd, buffer, count, half, half)` |
//!
//! `pair` makes the halves and `PAIRS_ARE_ALIGNED` says whether to start at an even argument. Both
//! exist on those machines only. Some calls differ from the rule:
//!
//! - `fadvise64_64` (arm: `arm_fadvise64_64`) takes its advice second on arm, powerpc and csky.
//! - `_llseek` takes two words, the high one first everywhere. `preadv`, `pwritev`: two words, the
//!   low one first everywhere.
//! - On s390x, `mmap` (90) takes a pointer to its six arguments.
//!
//! # Sanitizers
//!
//! MemorySanitizer and ThreadSanitizer see nothing of these calls. Announce memory that the kernel
//! wrote with `__msan_unpoison`, or initialise it before the call. The crate's other functions
//! announce it themselves.
//!
//! # Safety
//!
//! What every call here requires of its caller:
//!
//! - The number and the arguments are those of one call of this machine, and pointers among them
//!   are valid for what the kernel does with them, for as long as it does it.
//! - The call breaks nothing that Rust code relies on. For example, it closes no descriptor that
//!   something else owns, unmaps no memory that is in use, and does not change memory behind a
//!   shared reference.
//! - The call returns as a function does, once in each process, to a stack that nothing else uses;
//!   or never.

use crate::arch;
use crate::errno::{word, Result};
use crate::fd::{AsFd, AsRawFd, BorrowedFd};

/// Makes a system call: `syscall!(NUMBER, argument, …)`, with up to six arguments.
///
/// The number is a constant of any integer type. Each argument is an [`Arg`](crate::syscall::Arg).
/// The result is a [`Result<usize>`](crate::Result). Arguments are evaluated in their order, once.
///
/// ```
/// use barepoll::syscall;
/// use linux_raw_sys::general::{__NR_getpid, __NR_kill};
///
/// // SAFETY: neither call takes a pointer. Signal 0 is not sent.
/// let answer = unsafe { syscall!(__NR_getpid).and_then(|pid| syscall!(__NR_kill, pid, 0)) };
/// assert_eq!(answer, Ok(0));
/// ```
///
/// # Safety
///
/// This is unsafe as [`syscall0`](crate::syscall::syscall0) … [`syscall6`](crate::syscall::syscall6)
/// are: see the [module](mod@crate::syscall#safety).
#[macro_export]
macro_rules! syscall {
    ($nr:expr $(,)?) => {
        $crate::syscall::syscall0::<{ $nr as usize }>()
    };
    ($nr:expr, $a:expr $(,)?) => {
        $crate::syscall::syscall1::<{ $nr as usize }>($crate::syscall::Arg::word($a))
    };
    ($nr:expr, $a:expr, $b:expr $(,)?) => {
        $crate::syscall::syscall2::<{ $nr as usize }>(
            $crate::syscall::Arg::word($a),
            $crate::syscall::Arg::word($b),
        )
    };
    ($nr:expr, $a:expr, $b:expr, $c:expr $(,)?) => {
        $crate::syscall::syscall3::<{ $nr as usize }>(
            $crate::syscall::Arg::word($a),
            $crate::syscall::Arg::word($b),
            $crate::syscall::Arg::word($c),
        )
    };
    ($nr:expr, $a:expr, $b:expr, $c:expr, $d:expr $(,)?) => {
        $crate::syscall::syscall4::<{ $nr as usize }>(
            $crate::syscall::Arg::word($a),
            $crate::syscall::Arg::word($b),
            $crate::syscall::Arg::word($c),
            $crate::syscall::Arg::word($d),
        )
    };
    ($nr:expr, $a:expr, $b:expr, $c:expr, $d:expr, $e:expr $(,)?) => {
        $crate::syscall::syscall5::<{ $nr as usize }>(
            $crate::syscall::Arg::word($a),
            $crate::syscall::Arg::word($b),
            $crate::syscall::Arg::word($c),
            $crate::syscall::Arg::word($d),
            $crate::syscall::Arg::word($e),
        )
    };
    ($nr:expr, $a:expr, $b:expr, $c:expr, $d:expr, $e:expr, $f:expr $(,)?) => {
        $crate::syscall::syscall6::<{ $nr as usize }>(
            $crate::syscall::Arg::word($a),
            $crate::syscall::Arg::word($b),
            $crate::syscall::Arg::word($c),
            $crate::syscall::Arg::word($d),
            $crate::syscall::Arg::word($e),
            $crate::syscall::Arg::word($f),
        )
    };
}

/// Makes system call `NR` without arguments.
///
/// ```
/// use barepoll::syscall::syscall0;
/// use linux_raw_sys::general::__NR_getpid;
///
/// // SAFETY: the call takes no pointer.
/// let process = unsafe { syscall0::<{ __NR_getpid as usize }>()? };
/// assert_eq!(process, std::process::id() as usize);
/// # Ok::<(), barepoll::Errno>(())
/// ```
///
/// # Errors
///
/// Those of the call: see the [module](self#the-result).
///
/// # Safety
///
/// See the [module](self#safety).
#[inline(always)]
pub unsafe fn syscall0<const NR: usize>() -> Result<usize> {
    // SAFETY: the caller keeps the contract.
    word(unsafe { arch::syscall0::<NR>() })
}

/// Makes system call `NR` with one argument.
///
/// ```
/// use barepoll::syscall::syscall1;
/// use barepoll::Errno;
/// use linux_raw_sys::general::__NR_close;
///
/// // SAFETY: no descriptor has this number.
/// let answer = unsafe { syscall1::<{ __NR_close as usize }>(usize::MAX) };
/// assert_eq!(answer, Err(Errno::EBADF));
/// ```
///
/// # Errors
///
/// Those of the call: see the [module](self#the-result).
///
/// # Safety
///
/// See the [module](self#safety).
#[inline(always)]
pub unsafe fn syscall1<const NR: usize>(a: usize) -> Result<usize> {
    // SAFETY: the caller keeps the contract.
    word(unsafe { arch::syscall1::<NR>(a) })
}

/// Makes system call `NR` with two arguments.
///
/// ```
/// use barepoll::syscall::syscall2;
/// use barepoll::Errno;
/// use linux_raw_sys::general::__NR_eventfd2;
///
/// // SAFETY: the call takes no pointer.
/// let answer = unsafe { syscall2::<{ __NR_eventfd2 as usize }>(0, usize::MAX) };
/// assert_eq!(answer, Err(Errno::EINVAL));
/// ```
///
/// # Errors
///
/// Those of the call: see the [module](self#the-result).
///
/// # Safety
///
/// See the [module](self#safety).
#[inline(always)]
pub unsafe fn syscall2<const NR: usize>(a: usize, b: usize) -> Result<usize> {
    // SAFETY: the caller keeps the contract.
    word(unsafe { arch::syscall2::<NR>(a, b) })
}

/// Makes system call `NR` with three arguments.
///
/// ```
/// use barepoll::syscall::syscall3;
/// use barepoll::Errno;
/// use linux_raw_sys::general::__NR_write;
///
/// // SAFETY: the text has four bytes.
/// let answer = unsafe { syscall3::<{ __NR_write as usize }>(usize::MAX, "text".as_ptr() as usize, 4) };
/// assert_eq!(answer, Err(Errno::EBADF));
/// ```
///
/// # Errors
///
/// Those of the call: see the [module](self#the-result).
///
/// # Safety
///
/// See the [module](self#safety).
#[inline(always)]
pub unsafe fn syscall3<const NR: usize>(a: usize, b: usize, c: usize) -> Result<usize> {
    // SAFETY: the caller keeps the contract.
    word(unsafe { arch::syscall3::<NR>(a, b, c) })
}

/// Makes system call `NR` with four arguments.
///
/// ```
/// use barepoll::syscall::syscall4;
/// use barepoll::Errno;
/// use linux_raw_sys::general::{__NR_openat, AT_FDCWD, O_RDONLY};
///
/// // SAFETY: the path ends with a zero byte.
/// let answer = unsafe {
///     let path = b"/nowhere\0".as_ptr() as usize;
///     syscall4::<{ __NR_openat as usize }>(AT_FDCWD as usize, path, O_RDONLY as usize, 0)
/// };
/// assert_eq!(answer, Err(Errno::ENOENT));
/// ```
///
/// # Errors
///
/// Those of the call: see the [module](self#the-result).
///
/// # Safety
///
/// See the [module](self#safety).
#[inline(always)]
pub unsafe fn syscall4<const NR: usize>(a: usize, b: usize, c: usize, d: usize) -> Result<usize> {
    // SAFETY: the caller keeps the contract.
    word(unsafe { arch::syscall4::<NR>(a, b, c, d) })
}

/// Makes system call `NR` with five arguments.
///
/// ```
/// use barepoll::syscall::syscall5;
/// use barepoll::Errno;
/// use linux_raw_sys::general::__NR_prctl;
///
/// // SAFETY: no operation of `prctl` has this number.
/// let answer = unsafe { syscall5::<{ __NR_prctl as usize }>(usize::MAX, 0, 0, 0, 0) };
/// assert_eq!(answer, Err(Errno::EINVAL));
/// ```
///
/// # Errors
///
/// Those of the call: see the [module](self#the-result).
///
/// # Safety
///
/// See the [module](self#safety).
#[inline(always)]
pub unsafe fn syscall5<const NR: usize>(a: usize, b: usize, c: usize, d: usize, e: usize) -> Result<usize> {
    // SAFETY: the caller keeps the contract.
    word(unsafe { arch::syscall5::<NR>(a, b, c, d, e) })
}

/// Makes system call `NR` with six arguments.
///
/// ```
/// use barepoll::syscall::syscall6;
/// use barepoll::Errno;
/// use linux_raw_sys::general::__NR_epoll_pwait;
///
/// // SAFETY: there is no such epoll, so the kernel uses no pointer.
/// let answer = unsafe { syscall6::<{ __NR_epoll_pwait as usize }>(usize::MAX, 8, 1, 0, 0, 0) };
/// assert_eq!(answer, Err(Errno::EBADF));
/// ```
///
/// # Errors
///
/// Those of the call: see the [module](self#the-result).
///
/// # Safety
///
/// See the [module](self#safety).
#[inline(always)]
pub unsafe fn syscall6<const NR: usize>(a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> Result<usize> {
    // SAFETY: the caller keeps the contract.
    word(unsafe { arch::syscall6::<NR>(a, b, c, d, e, f) })
}

/// A value that [`syscall!`](crate::syscall!) passes in one register.
///
/// - An integer keeps its value: a signed one is extended with its sign, an unsigned one with zeros.
///   So −1 of type `i32` is −1 as a `long` of the kernel too.
/// - A pointer is its address. Only pointers to sized types are arguments: pass a slice as its
///   pointer and its length.
/// - A reference to an owner of a descriptor, or a `BorrowedFd`, is the descriptor's number.
///
/// 64-bit integers are arguments only where a register and a `usize` have 64 bits. Elsewhere they
/// do not compile, because they take two registers: see the [module](self#arguments).
///
/// Implement it for types of your own, such as flags:
///
/// ```
/// use barepoll::syscall::Arg;
///
/// struct Flags(u32);
///
/// impl Arg for Flags {
///     fn word(self) -> usize {
///         self.0.word()
///     }
/// }
///
/// assert_eq!(Flags(7).word(), 7);
/// assert_eq!((-100_i32).word(), -100_isize as usize);
/// ```
pub trait Arg {
    /// The value of the register.
    fn word(self) -> usize;
}

macro_rules! define_args {
    ($($integer:ty)*) => {$(
        impl Arg for $integer {
            #[inline(always)]
            fn word(self) -> usize {
                self as usize
            }
        }
    )*};
}

define_args! { i8 u8 i16 u16 i32 u32 isize usize }
#[cfg(target_pointer_width = "64")]
define_args! { i64 u64 }

impl<T> Arg for *const T {
    #[inline(always)]
    fn word(self) -> usize {
        self as usize
    }
}

impl<T> Arg for *mut T {
    #[inline(always)]
    fn word(self) -> usize {
        self as usize
    }
}

impl Arg for BorrowedFd<'_> {
    #[inline(always)]
    fn word(self) -> usize {
        self.as_raw_fd().word()
    }
}

impl<T: AsFd> Arg for &T {
    #[inline(always)]
    fn word(self) -> usize {
        self.as_fd().word()
    }
}

where_registers_have_32_bits! {
    /// Whether a 64-bit argument starts at an even argument, counted from 0.
    pub const PAIRS_ARE_ALIGNED: bool = arch::PAIRS_ARE_ALIGNED;

    /// The two words of a 64-bit argument, in the order of the arguments.
    ///
    /// ```
    /// # #[cfg(all(target_pointer_width = "32", not(target_arch = "x86_64")))]
    /// # fn example() -> barepoll::Result<()> {
    /// use barepoll::{syscall, EventFd, EventFdFlags};
    /// use linux_raw_sys::general::__NR_pwrite64;
    ///
    /// let file = EventFd::new(0, EventFdFlags::CLOEXEC)?; // or a file
    /// let [first, second] = syscall::pair(0x1_0000_0000);
    /// // SAFETY: the text has four bytes.
    /// unsafe {
    ///     if syscall::PAIRS_ARE_ALIGNED {
    ///         syscall!(__NR_pwrite64, &file, "text".as_ptr(), 4, 0, first, second)?;
    ///     } else {
    ///         syscall!(__NR_pwrite64, &file, "text".as_ptr(), 4, first, second)?;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn pair(value: u64) -> [usize; 2] {
        let (low, high) = (value as usize, (value >> 32) as usize);
        if cfg!(target_endian = "big") {
            [high, low]
        } else {
            [low, high]
        }
    }
}
