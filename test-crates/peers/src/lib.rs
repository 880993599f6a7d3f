//! Calls of one peer, chosen by a feature. Link-time optimisation puts a peer's system call
//! instructions into this package's LLVM IR, as it would into a program's.
//!
//! A function's name tells what its calls do: each of `fills_…` passes the kernel memory to write,
//! not each of `reads_…` does.

#![no_std]

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The functions of a peer that has one for each number of arguments. `$nr` is the number of a
/// call that writes memory.
#[allow(unused_macros)]
macro_rules! by_number {
    ($peer:path, $nr:expr) => {
        use $peer as peer;

        #[no_mangle]
        pub unsafe fn reads_0() -> bool {
            returned(peer::syscall0($nr))
        }
        by_number!(fills_1 syscall1 $nr, a);
        by_number!(fills_2 syscall2 $nr, a b);
        by_number!(fills_3 syscall3 $nr, a b c);
        by_number!(fills_4 syscall4 $nr, a b c d);
        by_number!(fills_5 syscall5 $nr, a b c d e);
        by_number!(fills_6 syscall6 $nr, a b c d e f);
    };
    ($name:ident $call:ident $nr:expr, $($argument:ident)+) => {
        #[no_mangle]
        pub unsafe fn $name($($argument: usize),+) -> bool {
            returned(peer::$call($nr, $($argument),+))
        }
    };
}

/// Uses a result, of whatever type the peer returns. A descriptor in it stays open, because closing
/// it would be another call.
#[allow(dead_code)]
fn returned<T>(result: T) -> bool {
    core::mem::forget(core::hint::black_box(result));
    true
}

#[cfg(feature = "sc")]
mod of_sc {
    use super::returned;
    by_number!(sc, sc::nr::READ);
}

#[cfg(feature = "syscalls")]
mod of_syscalls {
    use super::returned;
    by_number!(syscalls, syscalls::Sysno::read);
}

#[cfg(feature = "linux-syscalls")]
mod of_linux_syscalls {
    use super::returned;
    use linux_syscalls::Sysno;
    by_number!(linux_syscalls, Sysno::read);
    by_number!(reads_1 syscall1_readonly Sysno::close, a);
    by_number!(reads_2 syscall2_readonly Sysno::close, a b);
    by_number!(reads_3 syscall3_readonly Sysno::close, a b c);
    by_number!(reads_4 syscall4_readonly Sysno::close, a b c d);
    by_number!(reads_5 syscall5_readonly Sysno::close, a b c d e);
    by_number!(reads_6 syscall6_readonly Sysno::close, a b c d e f);
}

#[cfg(feature = "nc")]
mod of_nc {
    use super::returned;
    by_number!(nc::syscalls, nc::SYS_READ);

    /// nc links alloc, which wants an allocator. No function here allocates.
    struct None;

    // SAFETY: a null pointer says that there is no memory.
    unsafe impl core::alloc::GlobalAlloc for None {
        unsafe fn alloc(&self, _: core::alloc::Layout) -> *mut u8 {
            core::ptr::null_mut()
        }
        unsafe fn dealloc(&self, _: *mut u8, _: core::alloc::Layout) {}
    }

    #[global_allocator]
    static ALLOCATOR: None = None;
}

#[cfg(feature = "rustix")]
mod of_rustix {
    use super::returned;
    use core::mem::MaybeUninit;
    use rustix::event::{epoll, eventfd, EventfdFlags};
    use rustix::fd::{BorrowedFd, OwnedFd};
    use rustix::{fs, io, mm, pipe, process};

    #[no_mangle]
    pub fn reads_0() -> bool {
        returned(process::getpid())
    }

    #[no_mangle]
    pub fn reads_1(fd: OwnedFd) {
        drop(fd);
    }

    #[no_mangle]
    pub fn reads_2() -> bool {
        returned(eventfd(0, EventfdFlags::empty()))
    }

    #[no_mangle]
    pub fn reads_3(fd: BorrowedFd<'_>) -> bool {
        returned(io::write(fd, &[0]))
    }

    #[no_mangle]
    pub fn reads_4(fd: BorrowedFd<'_>) -> bool {
        returned(epoll::add(fd, fd, epoll::EventData::new_u64(0), epoll::EventFlags::IN))
    }

    #[no_mangle]
    pub unsafe fn reads_6() -> bool {
        returned(mm::mmap_anonymous(core::ptr::null_mut(), 1, mm::ProtFlags::READ, mm::MapFlags::PRIVATE))
    }

    #[no_mangle]
    pub fn fills_2() -> bool {
        returned(pipe::pipe_with(pipe::PipeFlags::CLOEXEC))
    }

    #[no_mangle]
    pub fn fills_3(fd: BorrowedFd<'_>, bytes: &mut [u8]) -> bool {
        returned(io::read(fd, bytes))
    }

    /// It also asks with null pointers whether the kernel has `statx`. That call writes nothing.
    #[no_mangle]
    pub fn reads_5(fd: BorrowedFd<'_>) -> bool {
        returned(fs::statx(fd, c"", fs::AtFlags::empty(), fs::StatxFlags::empty()))
    }

    #[no_mangle]
    pub fn fills_6(fd: BorrowedFd<'_>, events: &mut [MaybeUninit<epoll::Event>; 1]) -> bool {
        returned(epoll::wait(fd, events, None).map(|(events, _)| events.len()))
    }
}

#[cfg(feature = "origin")]
mod of_origin {
    use super::returned;

    /// `clone` is origin's own system call. The others are rustix's, and some of them write no
    /// memory.
    #[no_mangle]
    pub unsafe fn reads_and_clones() -> bool {
        returned(origin::thread::create(|_| None, &[], 1 << 16, 1 << 12))
    }
}

#[cfg(feature = "getrandom")]
mod of_getrandom {
    use super::returned;

    #[no_mangle]
    pub fn fills_3(bytes: &mut [u8]) -> bool {
        returned(getrandom::fill(bytes))
    }
}
