//! The eventfd counter.

use barepoll::fd::{AsFd, AsRawFd};
use barepoll::{Errno, EventFd, EventFdFlags};
use core::time::Duration;

const MOST: u64 = u64::MAX - 1;

fn nonblocking(initial: u32) -> Result<EventFd, Errno> {
    EventFd::new(initial, EventFdFlags::CLOEXEC | EventFdFlags::NONBLOCK)
}

checks! { by "fs/eventfd.c: eventfd_read";
    fn an_eventfd_counts_what_is_written(host) by "fs/eventfd.c: eventfd_write" {
        let eventfd = nonblocking(0)?;
        eventfd.write(3)?;
        eventfd.write(4)?;
        ensure_eq!(eventfd.read(), Ok(7));
    }

    fn reading_takes_the_whole_counter(host) {
        let eventfd = nonblocking(9)?;
        ensure_eq!(eventfd.read(), Ok(9));
        ensure_eq!(eventfd.read(), Err(Errno::EAGAIN));
    }

    fn an_initial_count_above_65535_is_kept(host) by "fs/eventfd.c: do_eventfd" {
        ensure_eq!(nonblocking(0xfedc_ba98)?.read(), Ok(0xfedc_ba98));
        ensure_eq!(nonblocking(u32::MAX)?.read(), Ok(u32::MAX.into()));
    }

    fn a_count_with_its_high_half_set_comes_back(host) by "fs/eventfd.c: eventfd_write" {
        let eventfd = nonblocking(0)?;
        eventfd.write(0x0123_4567_89ab_cdef)?;
        ensure_eq!(eventfd.read(), Ok(0x0123_4567_89ab_cdef));
    }

    fn a_semaphore_gives_one_at_a_time(host) {
        let semaphore = EventFd::new(2, EventFdFlags::SEMAPHORE | EventFdFlags::NONBLOCK)?;
        ensure_eq!(semaphore.read(), Ok(1));
        ensure_eq!(semaphore.read(), Ok(1));
        ensure_eq!(semaphore.read(), Err(Errno::EAGAIN));
    }

    fn the_counter_holds_u64_max_minus_one(host) by "fs/eventfd.c: eventfd_write" {
        let eventfd = nonblocking(0)?;
        eventfd.write(MOST)?;
        ensure_eq!(eventfd.write(1), Err(Errno::EAGAIN));
        ensure_eq!(eventfd.read(), Ok(MOST));
    }

    fn writing_u64_max_is_einval(host) by "fs/eventfd.c: eventfd_write" {
        ensure_eq!(nonblocking(0)?.write(u64::MAX), Err(Errno::EINVAL));
    }

    fn writing_zero_changes_nothing(host) by "fs/eventfd.c: eventfd_write" {
        let eventfd = nonblocking(0)?;
        eventfd.write(0)?;
        ensure_eq!(eventfd.read(), Err(Errno::EAGAIN));
    }

    fn a_blocking_read_waits_for_a_write(host) {
        let eventfd = EventFd::new(0, EventFdFlags::CLOEXEC)?;
        host.beside(
            &|other| {
                other.sleep(Duration::from_millis(20));
                let _ = eventfd.write(5);
            },
            &mut |_| {
                ensure_eq!(eventfd.read(), Ok(5));
                Ok(())
            },
        )?;
    }

    fn an_unknown_eventfd_flag_is_einval(host) by "fs/eventfd.c: do_eventfd" {
        ensure_eq!(EventFd::new(0, EventFdFlags::from_bits_retain(1 << 30)).err(), Some(Errno::EINVAL));
    }

    fn an_eventfd_is_closed_on_exec_only_if_asked(host) by "fs/eventfd.c: do_eventfd" {
        ensure!(host.is_close_on_exec(EventFd::new(0, EventFdFlags::CLOEXEC)?.as_fd())?);
        ensure!(!host.is_close_on_exec(EventFd::new(0, EventFdFlags::empty())?.as_fd())?);
    }

    fn a_pipe_taken_for_an_eventfd_gives_an_error_and_no_wild_count(host) by "fs/pipe.c: pipe_read" {
        let (reader, writer) = host.pipe()?;
        // SAFETY: the literal has three bytes.
        ensure_eq!(unsafe { barepoll::raw::write(writer.as_raw_fd(), b"abc".as_ptr(), 3) }, Ok(3));
        ensure_eq!(EventFd::from(reader).read(), Err(Errno::EINVAL));
    }
}
