//! The eight bytes of data that an event carries.

use super::counter;
use barepoll::{Epoll, Errno, Event, EventData, EventFlags};
use core::ffi::c_void;
use core::mem::size_of;
use core::ptr;
use core::time::Duration;

/// Passes the data through the kernel. Returns it from the buffer's second event, because the first
/// would not reveal a wrong event size.
fn round_trip(data: EventData) -> Result<EventData, Errno> {
    let (epoll, one, two) = (Epoll::new()?, counter(1)?, counter(1)?);
    epoll.add(&one, data, EventFlags::IN)?;
    epoll.add(&two, data, EventFlags::IN)?;
    let mut buffer = Event::buffer::<3>();
    match epoll.wait(&mut buffer, Some(Duration::ZERO))? {
        [_, second] => Ok(second.data()),
        _ => Err(Errno::ENOENT),
    }
}

checks! { by "src/event.rs: EventData";
    fn a_u64_passes_through_the_kernel_with_each_of_its_bits(host) by "fs/eventpoll.c: ep_send_events" {
        for value in [0, 1, 0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210, 1 << 32, 1 << 63, u64::MAX] {
            ensure_eq!(round_trip(EventData::new_u64(value))?.u64(), value);
        }
        for bit in 0..64 {
            ensure_eq!(round_trip(EventData::new_u64(1 << bit))?.u64(), 1 << bit);
        }
    }

    fn a_u32_passes_through_the_kernel(host) by "fs/eventpoll.c: ep_send_events" {
        for value in [0, 1, 0x89ab_cdef, u32::MAX] {
            ensure_eq!(round_trip(EventData::new_u32(value))?.u32(), value);
        }
    }

    fn a_descriptor_passes_through_the_kernel(host) by "fs/eventpoll.c: ep_send_events" {
        for fd in [0, 3, -1, i32::MIN, i32::MAX] {
            ensure_eq!(round_trip(EventData::new_fd(fd))?.fd(), fd);
        }
    }

    fn a_pointer_passes_through_the_kernel_and_can_be_dereferenced(host) by "fs/eventpoll.c: ep_send_events" {
        let mut target = [5_u64, 6];
        let pointer: *mut u64 = ptr::addr_of_mut!(target).cast();
        let back: *mut u64 = round_trip(EventData::new_ptr(pointer.cast()))?.ptr().cast();
        ensure_eq!(back, pointer);
        // SAFETY: this is the pointer to `target` that was registered. `target` is alive and
        // nothing else uses it.
        unsafe { *back.add(1) += 1 };
        ensure_eq!(target, [5, 7]);
    }

    fn each_event_of_a_wait_brings_its_own_data(host) by "fs/eventpoll.c: ep_send_events" {
        let epoll = Epoll::new()?;
        let counters = [counter(1)?, counter(1)?, counter(1)?, counter(1)?, counter(1)?];
        for (number, counter) in (1_u64..).zip(&counters) {
            epoll.add(counter, EventData::new_u64(number * 0x0101_0101_0101_0101), EventFlags::IN)?;
        }
        let ready = super::ready(&epoll)?;
        let expected = [1, 2, 3, 4, 5].map(|number| (number * 0x0101_0101_0101_0101, EventFlags::IN));
        ensure_eq!(ready, expected);
    }

    fn a_u32_stands_at_the_low_address_and_the_rest_is_zero(host) by "include/uapi/linux/eventpoll.h: epoll_event" {
        let mut expected = [0; 8];
        expected[..4].copy_from_slice(&0x89ab_cdef_u32.to_ne_bytes());
        ensure_eq!(EventData::new_u32(0x89ab_cdef).u64().to_ne_bytes(), expected);
        ensure_eq!(round_trip(EventData::new_u32(0x89ab_cdef))?.u64().to_ne_bytes(), expected);
    }

    fn a_descriptor_stands_at_the_low_address_and_the_rest_is_zero(host) by "include/uapi/linux/eventpoll.h: epoll_event" {
        let mut expected = [0; 8];
        expected[..4].copy_from_slice(&(-2_i32).to_ne_bytes());
        ensure_eq!(EventData::new_fd(-2).u64().to_ne_bytes(), expected);
        ensure_eq!(round_trip(EventData::new_fd(-2))?.u64().to_ne_bytes(), expected);
    }

    fn a_pointer_stands_at_the_low_address_and_the_rest_is_zero(host) by "include/uapi/linux/eventpoll.h: epoll_event" {
        let mut target = 0_u64;
        let pointer: *mut c_void = ptr::addr_of_mut!(target).cast();
        let mut expected = [0; 8];
        expected[..size_of::<usize>()].copy_from_slice(&(pointer as usize).to_ne_bytes());
        ensure_eq!(EventData::new_ptr(pointer).u64().to_ne_bytes(), expected);
    }

    fn the_four_readers_read_the_same_bytes(host) {
        let data = EventData::new_u64(u64::from_ne_bytes([1, 2, 3, 4, 5, 6, 7, 8]));
        ensure_eq!(data.u32().to_ne_bytes(), [1, 2, 3, 4]);
        ensure_eq!(data.fd().to_ne_bytes(), [1, 2, 3, 4]);
        ensure_eq!((data.ptr() as usize).to_ne_bytes()[..4], [1, 2, 3, 4]);
    }

    fn data_can_be_made_at_compile_time(host) {
        const EVENT: Event = Event::new(EventFlags::IN, EventData::new_u32(7));
        const NULL: EventData = EventData::new_ptr(ptr::null_mut());
        ensure_eq!(EVENT.data().u32(), 7);
        ensure!(NULL.ptr().is_null());
    }
}
