//! Calls by `barepoll::syscall`: each number of arguments, each argument in its place.
//!
//! The answer of each call proves the arguments: a call with one of them missing, wrong or in
//! another's place would answer otherwise.

use crate::conformance::counter;
use barepoll::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use barepoll::syscall::Arg;
use barepoll::{raw, syscall, Epoll, Errno, Event, EventData, EventFlags, Result, SigSet};
use core::mem::size_of;
use core::ptr;
use linux_raw_sys::general::*;

/// Large enough to be a multiple of every machine's page size.
const PAGES: usize = 0x1_0000;
const NOWHERE: *mut u8 = ptr::null_mut();

/// Takes ownership of a new descriptor.
fn owned(fd: usize) -> OwnedFd {
    // SAFETY: the descriptor is open and has no other owner.
    unsafe { OwnedFd::from_raw_fd(fd as i32) }
}

/// A file in memory.
fn file() -> Result<OwnedFd> {
    // SAFETY: the name ends with a zero byte.
    unsafe { syscall!(__NR_memfd_create, c"file".as_ptr(), MFD_CLOEXEC) }.map(owned)
}

/// A call with a 64-bit offset as its fourth argument.
macro_rules! at_offset {
    ($nr:expr, $file:expr, $bytes:expr, $count:expr, $offset:expr) => {{
        #[cfg(target_pointer_width = "64")]
        let answer = syscall!($nr, $file, $bytes, $count, $offset);
        #[cfg(all(target_pointer_width = "32", target_arch = "x86_64"))]
        let answer = syscall!($nr, $file, $bytes, $count, $offset as usize);
        #[cfg(all(target_pointer_width = "32", not(target_arch = "x86_64")))]
        let answer = {
            let [first, second] = syscall::pair($offset);
            if syscall::PAIRS_ARE_ALIGNED {
                syscall!($nr, $file, $bytes, $count, 0, first, second)
            } else {
                syscall!($nr, $file, $bytes, $count, first, second)
            }
        };
        answer
    }};
}

fn write_at(file: BorrowedFd<'_>, offset: u64, byte: u8) -> Result<usize> {
    // SAFETY: the byte is a local variable.
    unsafe { at_offset!(__NR_pwrite64, file, &byte as *const u8, 1, offset) }
}

fn read_at(file: BorrowedFd<'_>, offset: u64) -> Result<(usize, u8)> {
    let mut byte = 0;
    // SAFETY: as above.
    let count = unsafe { at_offset!(__NR_pread64, file, &mut byte as *mut u8, 1, offset)? };
    Ok((count, byte))
}

/// The file's size, which every machine passes through memory or in one register.
fn size(file: BorrowedFd<'_>) -> Result<u64> {
    #[cfg(any(target_pointer_width = "64", target_arch = "x86_64"))]
    // SAFETY: no pointer.
    let end = unsafe { syscall!(__NR_lseek, file, 0, SEEK_END)? as u64 };
    #[cfg(not(any(target_pointer_width = "64", target_arch = "x86_64")))]
    let end = {
        #[cfg(not(any(target_arch = "riscv32", target_arch = "hexagon", target_arch = "csky")))]
        use __NR__llseek as LLSEEK;
        #[cfg(any(target_arch = "riscv32", target_arch = "hexagon", target_arch = "csky"))]
        use __NR_llseek as LLSEEK;
        let mut end = 0_u64;
        // SAFETY: the call writes `end`.
        unsafe { syscall!(LLSEEK, file, 0, 0, &mut end as *mut u64, SEEK_END)? };
        end
    };
    Ok(end)
}

/// Maps `length` bytes: of a file, from `offset`, or of zeroes.
fn map(length: usize, protection: u32, flags: u32, file: i32, offset: usize) -> Result<*mut u8> {
    // A hint in the upper half of 32-bit machines, where an address is negative as an `isize`.
    let hint = if usize::BITS == 32 { 0x9000_0000_u32 as usize } else { 0 };
    #[cfg(target_arch = "s390x")]
    let answer = {
        let arguments = [hint, length, protection as usize, flags as usize, file as usize, offset];
        // SAFETY: the call reads the six arguments. The kernel finds a free place.
        unsafe { syscall!(__NR_mmap, arguments.as_ptr()) }
    };
    #[cfg(all(any(target_pointer_width = "64", target_arch = "x86_64"), not(target_arch = "s390x")))]
    // SAFETY: the kernel finds a free place.
    let answer = unsafe { syscall!(__NR_mmap, hint, length, protection, flags, file, offset) };
    #[cfg(not(any(target_pointer_width = "64", target_arch = "x86_64")))]
    // SAFETY: as above. The offset counts 4096 bytes.
    let answer = unsafe { syscall!(__NR_mmap2, hint, length, protection, flags, file, offset / 4096) };
    Ok(answer? as *mut u8)
}

/// # Safety
///
/// Nothing may use the memory any more.
unsafe fn unmap(start: *mut u8, length: usize) -> Result<()> {
    // SAFETY: the caller vouches for the memory.
    unsafe { syscall!(__NR_munmap, start, length) }.map(drop)
}

checks! { by super::ENTRY;
    fn calls_without_arguments_answer(host) {
        // SAFETY: no pointer. Signal 0 is not sent.
        unsafe {
            let (process, thread) = (syscall!(__NR_getpid)?, syscall!(__NR_gettid)?);
            ensure_eq!(syscall!(__NR_tgkill, process, thread, 0), Ok(0));
            ensure_eq!(syscall!(__NR_sched_yield), Ok(0));
        }
    }

    fn one_argument_arrives(host) {
        let counter = counter(0)?;
        // SAFETY: no pointer.
        let copy = owned(unsafe { syscall!(__NR_dup, &counter)? });
        ensure!(copy.as_raw_fd() != counter.as_raw_fd());
        let three = 3_u64.to_ne_bytes();
        // SAFETY: `three` has eight bytes.
        ensure_eq!(unsafe { raw::write(copy.as_raw_fd(), three.as_ptr(), 8) }, Ok(8));
        ensure_eq!(counter.read(), Ok(3));
        let number = copy.as_raw_fd();
        drop(copy);
        // SAFETY: no descriptor has this number.
        ensure_eq!(unsafe { syscall!(__NR_close, number) }, Err(Errno::EBADF));
    }

    fn two_arguments_arrive(host) {
        let mut ends = [-1_i32; 2];
        for (flags, is_close_on_exec) in [(0, false), (O_CLOEXEC, true)] {
            // SAFETY: room for two descriptors.
            ensure_eq!(unsafe { syscall!(__NR_pipe2, ends.as_mut_ptr(), flags) }, Ok(0));
            let [reader, writer] = ends.map(|fd| owned(fd as usize));
            ensure_eq!(host.is_close_on_exec(writer.as_fd()), Ok(is_close_on_exec));
            let mut byte = 0;
            // SAFETY: one byte each.
            unsafe {
                ensure_eq!(raw::write(writer.as_raw_fd(), b"x".as_ptr(), 1), Ok(1));
                ensure_eq!(raw::read(reader.as_raw_fd(), &mut byte, 1), Ok(1));
            }
            ensure_eq!(byte, b'x');
        }
    }

    fn three_arguments_arrive(host) {
        #[cfg(any(target_pointer_width = "64", target_arch = "x86_64"))]
        use __NR_fcntl as FCNTL;
        #[cfg(not(any(target_pointer_width = "64", target_arch = "x86_64")))]
        use __NR_fcntl64 as FCNTL;
        let (reader, writer) = host.pipe()?;
        // SAFETY: no pointer.
        let copy = owned(unsafe { syscall!(FCNTL, &writer, F_DUPFD_CLOEXEC, 77)? });
        ensure!((77..200).contains(&copy.as_raw_fd()));
        ensure_eq!(host.is_close_on_exec(copy.as_fd()), Ok(true));
        let mut bytes = *b"....";
        // SAFETY: the literal and the array are longer.
        unsafe {
            ensure_eq!(syscall!(__NR_write, &copy, b"abcde".as_ptr(), 3), Ok(3));
            ensure_eq!(syscall!(__NR_read, &reader, bytes.as_mut_ptr(), 2), Ok(2));
        }
        ensure_eq!(&bytes, b"ab..");
    }

    fn four_arguments_arrive(host) {
        let (epoll, counter) = (Epoll::new()?, counter(1)?);
        let mut event = Event::new(EventFlags::IN, EventData::new_u64(0x0123_4567_89ab_cdef));
        // SAFETY: the event is a local variable.
        ensure_eq!(unsafe { syscall!(__NR_epoll_ctl, &epoll, EPOLL_CTL_ADD, &counter, &mut event as *mut Event) }, Ok(0));
        let mut buffer = Event::buffer::<2>();
        let ready = epoll.wait(&mut buffer, None)?;
        ensure_eq!(ready.len(), 1);
        ensure_eq!(ready[0].data().u64(), 0x0123_4567_89ab_cdef);
        // SAFETY: a removal takes no event.
        ensure_eq!(unsafe { syscall!(__NR_epoll_ctl, &epoll, EPOLL_CTL_DEL, &counter, NOWHERE) }, Ok(0));
    }

    /// Where a register has 32 bits, the offset takes two.
    fn a_64_bit_argument_arrives(host) {
        let file = file()?;
        let file = file.as_fd();
        let has_low_offsets_only = cfg!(all(target_pointer_width = "32", target_arch = "x86_64"));
        let far = if has_low_offsets_only { 0x8000_0005 } else { 0x3_0000_0005_u64 };
        ensure_eq!(write_at(file, 7, b'n'), Ok(1));
        ensure_eq!(size(file), Ok(8));
        ensure_eq!(write_at(file, far, b'f'), Ok(1));
        ensure_eq!(read_at(file, 7), Ok((1, b'n')));
        ensure_eq!(read_at(file, far), Ok((1, b'f')));
        ensure_eq!(read_at(file, far - 1), Ok((1, 0)));
        ensure_eq!(read_at(file, far + 1), Ok((0, 0)));
        if !has_low_offsets_only { // whose result loses its upper half
            ensure_eq!(size(file), Ok(far + 1));
        }
    }

    fn five_arguments_arrive(host) {
        let area = map(4 * PAGES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)?;
        let at = |index: usize| area.wrapping_add(index * PAGES);
        // SAFETY: only this function uses the four parts of the area. It touches the first only
        // before the call, which moves it over the last two.
        unsafe {
            at(0).write_volatile(b'a');
            at(1).write_volatile(b'b');
            at(2).write_volatile(b'c');
            let moved = syscall!(__NR_mremap, at(0), PAGES, 2 * PAGES, MREMAP_MAYMOVE | MREMAP_FIXED, at(2));
            ensure_eq!(moved, Ok(at(2) as usize));
            ensure_eq!((at(1).read_volatile(), at(2).read_volatile(), at(3).read_volatile()), (b'b', b'a', 0));
            ensure_eq!(syscall!(__NR_mremap, at(2), PAGES, 2 * PAGES, u32::MAX, at(0)), Err(Errno::EINVAL));
            unmap(at(1), 3 * PAGES)?;
        }
    }

    fn six_arguments_arrive(host) {
        let file = file()?;
        ensure_eq!(write_at(file.as_fd(), PAGES as u64, b'p'), Ok(1));
        ensure_eq!(write_at(file.as_fd(), 3 * PAGES as u64 - 1, b'q'), Ok(1));
        let mapped = map(2 * PAGES, PROT_READ, MAP_SHARED, file.as_raw_fd(), PAGES)?;
        // SAFETY: the file has that many bytes from the offset on, and nothing else uses the place.
        unsafe {
            ensure_eq!(mapped.read_volatile(), b'p');
            ensure_eq!(mapped.wrapping_add(2 * PAGES - 1).read_volatile(), b'q');
            unmap(mapped, 2 * PAGES)?;
        }

        let (epoll, counter, other) = (Epoll::new()?, counter(1)?, crate::conformance::counter(1)?);
        epoll.add(&counter, EventData::new_u64(1), EventFlags::IN)?;
        epoll.add(&other, EventData::new_u64(2), EventFlags::IN)?;
        let (mut buffer, mask) = (Event::buffer::<2>(), SigSet::full());
        let (events, mask) = (buffer.as_mut_ptr(), &mask as *const SigSet);
        let wait = |most: i32, timeout: i32, size: usize| {
            // SAFETY: room for two events, and the mask outlives the call.
            unsafe { syscall!(__NR_epoll_pwait, &epoll, events, most, timeout, mask, size) }
        };
        ensure_eq!(wait(2, -1, size_of::<SigSet>()), Ok(2));
        ensure_eq!(wait(1, -1, size_of::<SigSet>()), Ok(1));
        ensure_eq!(wait(0, -1, size_of::<SigSet>()), Err(Errno::EINVAL));
        ensure_eq!(wait(2, -1, size_of::<SigSet>() + 1), Err(Errno::EINVAL));
        counter.read()?;
        other.read()?;
        ensure_eq!(wait(2, 1, size_of::<SigSet>()), Ok(0));
    }

    fn an_argument_keeps_its_value(host) {
        ensure_eq!((-1_i8).word(), usize::MAX);
        ensure_eq!((-2_i16).word(), usize::MAX - 1);
        ensure_eq!((-100_i32).word(), -100_isize as usize);
        ensure_eq!((u8::MAX.word(), u16::MAX.word(), u32::MAX.word()), (0xff, 0xffff, 0xffff_ffff));
        ensure_eq!(NOWHERE.word(), 0);
        let epoll = Epoll::new()?;
        ensure_eq!((&epoll).word(), epoll.as_raw_fd() as usize);
        ensure_eq!(epoll.as_fd().word(), epoll.as_raw_fd() as usize);

        // The kernel takes `AT_FDCWD`, −100, as an `int`, and this offset as a `long`.
        // SAFETY: the path ends with a zero byte.
        drop(owned(unsafe { syscall!(__NR_openat, AT_FDCWD, c".".as_ptr(), O_DIRECTORY | O_CLOEXEC, 0)? }));
        #[cfg(target_pointer_width = "64")]
        {
            let file = file()?;
            write_at(file.as_fd(), 9, 1)?;
            // SAFETY: no pointer.
            ensure_eq!(unsafe { syscall!(__NR_lseek, &file, -3, SEEK_END) }, Ok(7));
        }
    }

    fn an_unknown_number_is_no_success(host) by "kernel/sys_ni.c: sys_ni_syscall" {
        // SAFETY: no call has this number, so no argument is used.
        let answer = unsafe { syscall!(__NR_epoll_create1 + 3000, 7) };
        // csky returns the first argument, hexagon EPERM.
        ensure!(matches!(answer, Err(Errno::ENOSYS | Errno::EPERM)) || cfg!(target_arch = "csky") && answer == Ok(7));
    }
}
