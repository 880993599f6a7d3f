//! A buffer longer than the kernel accepts. Only a 64-bit address space has room for it.
#![cfg(target_pointer_width = "64")]

use barepoll::{Epoll, Event, EventData, EventFd, EventFdFlags, EventFlags};
use std::mem::{size_of, MaybeUninit};
use std::time::Duration;
use std::{ptr, slice};

#[test]
fn a_buffer_longer_than_the_kernel_takes_is_used_as_far_as_it_does() {
    let length = i32::MAX as usize / size_of::<Event>() + 1;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: the mapping is new. Only used pages take memory.
    let memory = unsafe {
        libc::mmap(ptr::null_mut(), length * size_of::<Event>(), libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
    };
    assert_ne!(memory, libc::MAP_FAILED);
    // SAFETY: the mapping holds `length` events, which need no initialisation, and has no other
    // user.
    let buffer = unsafe { slice::from_raw_parts_mut(memory.cast::<MaybeUninit<Event>>(), length) };

    let (epoll, eventfd) = (Epoll::new().unwrap(), EventFd::new(1, EventFdFlags::CLOEXEC).unwrap());
    epoll.add(&eventfd, EventData::new_u64(7), EventFlags::IN).unwrap();
    let ready = epoll.wait(buffer, Some(Duration::ZERO)).unwrap();
    assert_eq!(ready.iter().map(|event| event.data().u64()).collect::<Vec<_>>(), [7]);
}
