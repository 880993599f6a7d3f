//! Every function of `raw`, and every error that can be provoked.

use super::LONG;
use super::{closed_number, counter, lasts, unmapped_address, watching, with_blocked};
use barepoll::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use barepoll::raw::{self, Timespec};
use barepoll::signo::{SIGALRM, SIGPIPE};
use barepoll::{Epoll, Errno, Event, EventData, EventFlags, SigSet};
use core::mem::size_of;
use core::ptr;
use core::time::Duration;

/// `epoll_wait` into a buffer of four.
fn wait(epfd: RawFd, timeout_ms: i32) -> Result<usize, Errno> {
    let mut buffer = Event::buffer::<4>();
    // SAFETY: the buffer has room for four events.
    unsafe { raw::epoll_wait(epfd, buffer.as_mut_ptr().cast(), 4, timeout_ms) }
}

/// `epoll_pwait` into a buffer of four.
fn pwait(epfd: RawFd, timeout_ms: i32, mask: *const SigSet) -> Result<usize, Errno> {
    let mut buffer = Event::buffer::<4>();
    // SAFETY: the buffer has room for four events. The mask is null, valid, or unmapped; the last
    // is `EFAULT`.
    unsafe { raw::epoll_pwait(epfd, buffer.as_mut_ptr().cast(), 4, timeout_ms, mask) }
}

/// `epoll_pwait2` into a buffer of four. `None` if the call is missing: `ENOSYS` from a kernel
/// before 5.11 or an emulator, `EPERM` from an old container runtime.
fn pwait2(epfd: RawFd, timeout: *const Timespec, mask: *const SigSet) -> Option<Result<usize, Errno>> {
    let mut buffer = Event::buffer::<4>();
    // SAFETY: the buffer has room for four events. Timeout and mask are null, valid, or unmapped;
    // the last is `EFAULT`.
    match unsafe { raw::epoll_pwait2(epfd, buffer.as_mut_ptr().cast(), 4, timeout, mask) } {
        Err(Errno::ENOSYS | Errno::EPERM) => None,
        answer => Some(answer),
    }
}

/// `epoll_ctl` with `EPOLLIN` and 7 as the data.
fn control(epfd: RawFd, op: u32, fd: RawFd) -> Result<(), Errno> {
    let mut event = Event::new(EventFlags::IN, EventData::new_u64(7));
    // SAFETY: the event outlives the call.
    unsafe { raw::epoll_ctl(epfd, op, fd, &mut event) }
}

/// Takes ownership of a descriptor that a raw call has just made.
fn owned(fd: RawFd) -> OwnedFd {
    // SAFETY: the descriptor is open and has no other owner.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Closes the number, which may not be open.
fn close(fd: RawFd) -> Result<(), Errno> {
    // SAFETY: the checks give up ownership first, or pass a number that no descriptor has.
    unsafe { raw::close(fd) }
}

/// Reads `len` bytes into a buffer of 32.
fn read(fd: &impl AsRawFd, len: usize) -> Result<usize, Errno> {
    let mut bytes = [0; 32];
    // SAFETY: no check asks for more than 32 bytes.
    unsafe { raw::read(fd.as_raw_fd(), bytes.as_mut_ptr(), len) }
}

/// Writes these bytes.
fn write(fd: &impl AsRawFd, bytes: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the pointer and the length come from a slice.
    unsafe { raw::write(fd.as_raw_fd(), bytes.as_ptr(), bytes.len()) }
}

/// Makes an epoll with one event, and returns the counter that causes it.
fn ready_one() -> Result<(Epoll, barepoll::EventFd), Errno> {
    let eventfd = counter(1)?;
    Ok((watching(&eventfd, EventFlags::IN)?, eventfd))
}

checks! { by "fs/eventpoll.c: do_epoll_ctl";
    fn epoll_create_takes_a_positive_size_and_lives_on_across_exec(host) by "fs/eventpoll.c: epoll_create" {
        for size in [1, 1000, i32::MAX] {
            ensure_eq!(wait(owned(raw::epoll_create(size)?).as_raw_fd(), 0), Ok(0));
        }
        ensure_eq!(raw::epoll_create(0), Err(Errno::EINVAL));
        ensure_eq!(raw::epoll_create(-1), Err(Errno::EINVAL));
        ensure_eq!(raw::epoll_create(i32::MIN), Err(Errno::EINVAL));
        ensure!(!host.is_close_on_exec(owned(raw::epoll_create(1)?).as_fd())?);
    }

    fn epoll_create1_is_closed_on_exec_only_if_asked(host) by "fs/eventpoll.c: do_epoll_create" {
        ensure!(host.is_close_on_exec(owned(raw::epoll_create1(raw::EPOLL_CLOEXEC)?).as_fd())?);
        ensure!(!host.is_close_on_exec(owned(raw::epoll_create1(0)?).as_fd())?);
    }

    fn epoll_create1_refuses_a_flag_of_another_call(host) by "fs/eventpoll.c: do_epoll_create" {
        // Only one bit: qemu-user drops bits that no call defines.
        ensure_eq!(raw::epoll_create1(raw::EFD_NONBLOCK), Err(Errno::EINVAL));
        ensure_eq!(raw::epoll_create1(raw::EPOLL_CLOEXEC | raw::EFD_NONBLOCK), Err(Errno::EINVAL));
    }

    fn epoll_ctl_adds_modifies_and_deletes(host) {
        let (epoll, eventfd) = (Epoll::new()?, counter(1)?);
        let (epfd, fd) = (epoll.as_raw_fd(), eventfd.as_raw_fd());
        ensure_eq!(control(epfd, raw::EPOLL_CTL_MOD, fd), Err(Errno::ENOENT));
        control(epfd, raw::EPOLL_CTL_ADD, fd)?;
        ensure_eq!(wait(epfd, 0), Ok(1));
        ensure_eq!(control(epfd, raw::EPOLL_CTL_ADD, fd), Err(Errno::EEXIST));
        control(epfd, raw::EPOLL_CTL_MOD, fd)?;
        ensure_eq!(wait(epfd, 0), Ok(1));
        control(epfd, raw::EPOLL_CTL_DEL, fd)?;
        ensure_eq!(wait(epfd, 0), Ok(0));
        ensure_eq!(control(epfd, raw::EPOLL_CTL_DEL, fd), Err(Errno::ENOENT));
    }

    fn epoll_ctl_deletes_without_an_event(host) by "fs/eventpoll.c: epoll_ctl" {
        let (epoll, eventfd) = ready_one()?;
        // SAFETY: a delete reads no event.
        unsafe { raw::epoll_ctl(epoll.as_raw_fd(), raw::EPOLL_CTL_DEL, eventfd.as_raw_fd(), ptr::null_mut())? };
        ensure_eq!(wait(epoll.as_raw_fd(), 0), Ok(0));
    }

    fn epoll_ctl_with_an_unknown_operation_is_einval(host) {
        let (epoll, eventfd) = (Epoll::new()?, counter(0)?);
        for op in [0, 99, u32::MAX] {
            ensure_eq!(control(epoll.as_raw_fd(), op, eventfd.as_raw_fd()), Err(Errno::EINVAL));
        }
    }

    fn epoll_ctl_on_a_closed_epoll_or_of_a_closed_descriptor_is_ebadf(host) {
        let eventfd = counter(0)?;
        for op in [raw::EPOLL_CTL_ADD, raw::EPOLL_CTL_MOD, raw::EPOLL_CTL_DEL] {
            ensure_eq!(control(closed_number()?, op, eventfd.as_raw_fd()), Err(Errno::EBADF));
            ensure_eq!(control(-1, op, eventfd.as_raw_fd()), Err(Errno::EBADF));
        }
        let epoll = Epoll::new()?;
        for op in [raw::EPOLL_CTL_ADD, raw::EPOLL_CTL_MOD, raw::EPOLL_CTL_DEL] {
            ensure_eq!(control(epoll.as_raw_fd(), op, closed_number()?), Err(Errno::EBADF));
            ensure_eq!(control(epoll.as_raw_fd(), op, -1), Err(Errno::EBADF));
        }
    }

    fn epoll_ctl_on_what_is_no_epoll_is_einval(host) {
        let (eventfd, other) = (counter(0)?, counter(0)?);
        for op in [raw::EPOLL_CTL_ADD, raw::EPOLL_CTL_MOD, raw::EPOLL_CTL_DEL] {
            ensure_eq!(control(eventfd.as_raw_fd(), op, other.as_raw_fd()), Err(Errno::EINVAL));
        }
    }

    fn epoll_ctl_with_a_bad_address_is_efault(host) by "fs/eventpoll.c: epoll_ctl" {
        let (epoll, eventfd) = (Epoll::new()?, counter(0)?);
        for op in [raw::EPOLL_CTL_ADD, raw::EPOLL_CTL_MOD] {
            // SAFETY: the address is unmapped, so the kernel reads nothing.
            let answer = unsafe { raw::epoll_ctl(epoll.as_raw_fd(), op, eventfd.as_raw_fd(), unmapped_address()) };
            ensure_eq!(answer, Err(Errno::EFAULT));
        }
    }

    fn epoll_wait_counts_the_events_it_wrote(host) by "fs/eventpoll.c: ep_send_events" {
        let (epoll, _eventfd) = ready_one()?;
        let mut buffer = Event::buffer::<4>();
        // SAFETY: the buffer has room for four events.
        ensure_eq!(unsafe { raw::epoll_wait(epoll.as_raw_fd(), buffer.as_mut_ptr().cast(), 4, 0) }, Ok(1));
        // SAFETY: the kernel wrote one event.
        let event = unsafe { buffer[0].assume_init() };
        ensure_eq!((event.data().u64(), event.flags()), (1, EventFlags::IN));
    }

    fn epoll_wait_for_less_than_one_event_or_more_bytes_than_i32_max_is_einval(host) by "fs/eventpoll.c: do_epoll_wait" {
        let (epoll, _eventfd) = ready_one()?;
        let mut buffer = Event::buffer::<4>();
        for room in [0, -1, i32::MIN] {
            // SAFETY: the kernel writes nothing where the room is zero or negative.
            let answer = unsafe { raw::epoll_wait(epoll.as_raw_fd(), buffer.as_mut_ptr().cast(), room, 0) };
            ensure_eq!(answer, Err(Errno::EINVAL));
            // SAFETY: as above.
            let answer =
                unsafe { raw::epoll_pwait(epoll.as_raw_fd(), buffer.as_mut_ptr().cast(), room, 0, ptr::null()) };
            ensure_eq!(answer, Err(Errno::EINVAL));
        }
        let epoll = Epoll::new()?;
        let mut buffer = Event::buffer::<4>();
        for room in [i32::MAX / size_of::<Event>() as i32 + 1, i32::MAX] {
            // SAFETY: nothing is ready, so the kernel writes nothing.
            let answer = unsafe { raw::epoll_wait(epoll.as_raw_fd(), buffer.as_mut_ptr().cast(), room, 0) };
            ensure_eq!(answer, Err(Errno::EINVAL));
        }
    }

    fn epoll_wait_on_a_closed_descriptor_is_ebadf_and_on_no_epoll_einval(host) by "fs/eventpoll.c: do_epoll_wait" {
        ensure_eq!(wait(closed_number()?, 0), Err(Errno::EBADF));
        ensure_eq!(wait(-1, 0), Err(Errno::EBADF));
        ensure_eq!(pwait(closed_number()?, 0, ptr::null()), Err(Errno::EBADF));
        ensure_eq!(pwait(-1, 0, ptr::null()), Err(Errno::EBADF));
        let eventfd = counter(1)?;
        ensure_eq!(wait(eventfd.as_raw_fd(), 0), Err(Errno::EINVAL));
        ensure_eq!(pwait(eventfd.as_raw_fd(), 0, ptr::null()), Err(Errno::EINVAL));
    }

    fn epoll_wait_into_a_bad_address_is_efault_and_loses_nothing(host) by "fs/eventpoll.c: ep_send_events" {
        let eventfd = counter(1)?;
        let epoll = watching(&eventfd, EventFlags::IN | EventFlags::ET)?;
        // SAFETY: the address is unmapped, so the kernel writes nothing.
        let answer = unsafe { raw::epoll_wait(epoll.as_raw_fd(), unmapped_address(), 1, 0) };
        ensure_eq!(answer, Err(Errno::EFAULT));
        ensure_eq!(wait(epoll.as_raw_fd(), 0), Ok(1));
    }

    fn epoll_pwait_without_a_mask_is_epoll_wait(host) by "fs/eventpoll.c: do_epoll_pwait" {
        let (epoll, eventfd) = ready_one()?;
        ensure_eq!(pwait(epoll.as_raw_fd(), 0, ptr::null()), Ok(1));
        eventfd.read()?;
        lasts(host, Duration::from_millis(12), &mut || pwait(epoll.as_raw_fd(), 12, ptr::null()))?;
    }

    fn epoll_pwait_with_a_mask_at_a_bad_address_is_efault(host) by "kernel/signal.c: set_user_sigmask" {
        let (epoll, _eventfd) = ready_one()?;
        ensure_eq!(pwait(epoll.as_raw_fd(), 0, unmapped_address()), Err(Errno::EFAULT));
    }

    fn epoll_pwait_takes_its_mask(host) by "kernel/signal.c: set_user_sigmask" {
        with_blocked(host, &[SIGALRM], |host| {
            let epoll = Epoll::new()?;
            host.raise(SIGALRM)?;
            ensure_eq!(pwait(epoll.as_raw_fd(), 5, &SigSet::full()), Ok(0));
            let long = LONG.as_millis() as i32;
            ensure_eq!(pwait(epoll.as_raw_fd(), long, &SigSet::empty()), Err(Errno::EINTR));
            Ok(())
        })?;
    }

    fn a_negative_timeout_waits_until_something_happens(host) by "fs/eventpoll.c: ep_timeout_to_timespec" {
        for timeout_ms in [-1, -1000, i32::MIN] {
            let eventfd = counter(0)?;
            let epoll = watching(&eventfd, EventFlags::IN)?;
            host.beside(
                &|other| {
                    other.sleep(Duration::from_millis(30));
                    let _ = eventfd.write(1);
                },
                &mut |_| {
                    ensure_eq!(wait(epoll.as_raw_fd(), timeout_ms), Ok(1));
                    Ok(())
                },
            )?;
        }
    }

    fn epoll_pwait2_waits_in_nanoseconds_where_it_exists(host) by "fs/eventpoll.c: epoll_pwait2" {
        let (epoll, eventfd) = ready_one()?;
        let time = Timespec { tv_sec: 0, tv_nsec: 2_700_000 };
        if let Some(answer) = pwait2(epoll.as_raw_fd(), &time, ptr::null()) {
            ensure_eq!(answer, Ok(1));
            eventfd.read()?;
            let mut wait = || pwait2(epoll.as_raw_fd(), &time, ptr::null()).unwrap_or(Err(Errno::ENOSYS));
            lasts(host, Duration::from_nanos(2_700_000), &mut wait)?;
        }
    }

    fn epoll_pwait2_without_a_timeout_waits_where_it_exists(host) by "fs/eventpoll.c: epoll_pwait2" {
        let eventfd = counter(0)?;
        let epoll = watching(&eventfd, EventFlags::IN)?;
        host.beside(
            &|other| {
                other.sleep(Duration::from_millis(30));
                let _ = eventfd.write(1);
            },
            &mut |_| {
                ensure!(matches!(pwait2(epoll.as_raw_fd(), ptr::null(), ptr::null()), None | Some(Ok(1))));
                Ok(())
            },
        )?;
    }

    fn epoll_pwait2_with_a_time_out_of_range_is_einval_where_it_exists(host) by "fs/select.c: poll_select_set_timeout" {
        let (epoll, _eventfd) = ready_one()?;
        for (tv_sec, tv_nsec) in [(0, 1_000_000_000), (0, -1), (-1, 0), (i64::MIN, 0), (1, i64::from(i32::MAX))] {
            if let Some(answer) = pwait2(epoll.as_raw_fd(), &Timespec { tv_sec, tv_nsec }, ptr::null()) {
                ensure_eq!(answer, Err(Errno::EINVAL));
            }
        }
    }

    fn epoll_pwait2_reads_no_bad_address_where_it_exists(host) by "kernel/time/time.c: get_timespec64" {
        let (epoll, _eventfd) = ready_one()?;
        let zero = Timespec::default();
        if let Some(answer) = pwait2(epoll.as_raw_fd(), unmapped_address(), ptr::null()) {
            ensure_eq!(answer, Err(Errno::EFAULT));
        }
        if let Some(answer) = pwait2(epoll.as_raw_fd(), &zero, unmapped_address()) {
            ensure_eq!(answer, Err(Errno::EFAULT));
        }
    }

    fn epoll_pwait2_takes_its_mask_where_it_exists(host) by "kernel/signal.c: set_user_sigmask" {
        with_blocked(host, &[SIGALRM], |host| {
            let epoll = Epoll::new()?;
            host.raise(SIGALRM)?;
            let (short, long) = (Timespec::from(Duration::from_micros(3500)), Timespec::from(LONG));
            if let Some(answer) = pwait2(epoll.as_raw_fd(), &short, &SigSet::full()) {
                ensure_eq!(answer, Ok(0));
                ensure_eq!(pwait2(epoll.as_raw_fd(), &long, &SigSet::empty()), Some(Err(Errno::EINTR)));
            }
            Ok(())
        })?;
    }

    fn eventfd2_starts_at_its_count(host) by "fs/eventfd.c: do_eventfd" {
        let eventfd = owned(raw::eventfd2(0x8000_0001, raw::EFD_CLOEXEC)?);
        let mut value = 0_u64;
        // SAFETY: the value has eight bytes.
        ensure_eq!(unsafe { raw::read(eventfd.as_raw_fd(), ptr::addr_of_mut!(value).cast(), 8) }, Ok(8));
        ensure_eq!(value, 0x8000_0001);
    }

    fn eventfd2_takes_each_of_its_flags_and_no_other(host) by "fs/eventfd.c: do_eventfd" {
        let known = raw::EFD_SEMAPHORE | raw::EFD_NONBLOCK | raw::EFD_CLOEXEC;
        drop(owned(raw::eventfd2(0, known)?));
        for bit in (0..u32::BITS).map(|bit| 1 << bit) {
            let answer = raw::eventfd2(0, bit).map(owned);
            ensure_eq!(answer.err(), if known & bit == 0 { Some(Errno::EINVAL) } else { None });
        }
    }

    fn close_of_an_open_descriptor_frees_its_number(host) by "fs/open.c: close" {
        let fd = raw::eventfd2(0, raw::EFD_CLOEXEC)?;
        ensure_eq!(close(fd), Ok(()));
        let next = owned(raw::epoll_create1(raw::EPOLL_CLOEXEC)?);
        ensure_eq!(next.as_raw_fd(), fd);
    }

    fn close_of_a_closed_fd_is_ebadf(host) by "fs/open.c: close" {
        ensure_eq!(close(closed_number()?), Err(Errno::EBADF));
        ensure_eq!(close(-1), Err(Errno::EBADF));
        ensure_eq!(close(i32::MAX), Err(Errno::EBADF));
    }

    fn read_gives_what_was_written_up_to_its_length(host) by "fs/pipe.c: pipe_read" {
        let (reader, writer) = host.pipe()?;
        ensure_eq!(write(&writer, b"epoll"), Ok(5));
        let mut bytes = [0; 8];
        // SAFETY: the buffer has eight bytes.
        ensure_eq!(unsafe { raw::read(reader.as_raw_fd(), bytes.as_mut_ptr(), 8) }, Ok(5));
        ensure_eq!(&bytes, b"epoll\0\0\0");
        let (reader, writer) = host.pipe()?;
        write(&writer, b"abcd")?;
        ensure_eq!(read(&reader, 3), Ok(3));
        ensure_eq!(read(&reader, 3), Ok(1));
    }

    fn read_at_the_end_of_input_gives_zero(host) by "fs/pipe.c: pipe_read" {
        let (reader, writer) = host.pipe()?;
        drop(writer);
        ensure_eq!(read(&reader, 8), Ok(0));
    }

    fn read_and_write_of_a_closed_descriptor_or_the_wrong_end_of_a_pipe_are_ebadf(host) by "fs/read_write.c: vfs_read, vfs_write" {
        ensure_eq!(read(&closed_number()?, 8), Err(Errno::EBADF));
        ensure_eq!(write(&closed_number()?, &[0; 8]), Err(Errno::EBADF));
        let (reader, writer) = host.pipe()?;
        ensure_eq!(read(&writer, 8), Err(Errno::EBADF));
        ensure_eq!(write(&reader, &[0; 8]), Err(Errno::EBADF));
    }

    fn read_and_write_at_a_bad_address_are_efault(host) by "fs/pipe.c: pipe_read, pipe_write" {
        let (reader, writer) = host.pipe()?;
        write(&writer, b"abc")?;
        // SAFETY: the address is unmapped, so the kernel writes nothing.
        ensure_eq!(unsafe { raw::read(reader.as_raw_fd(), unmapped_address(), 3) }, Err(Errno::EFAULT));
        let (_reader, writer) = host.pipe()?;
        // SAFETY: the address is unmapped, so the kernel reads nothing.
        ensure_eq!(unsafe { raw::write(writer.as_raw_fd(), unmapped_address(), 3) }, Err(Errno::EFAULT));
    }

    fn an_eventfd_takes_and_gives_eight_bytes_and_no_fewer(host) by "fs/eventfd.c: eventfd_read, eventfd_write" {
        let eventfd = counter(1)?;
        ensure_eq!(read(&eventfd, 7), Err(Errno::EINVAL));
        ensure_eq!(write(&eventfd, &[0; 7]), Err(Errno::EINVAL));
        ensure_eq!(read(&eventfd, 16), Ok(8));
    }

    fn writing_where_nobody_reads_is_epipe(host) by "fs/pipe.c: pipe_write" {
        host.catch(SIGPIPE)?;
        let (reader, writer) = host.pipe()?;
        drop(reader);
        ensure_eq!(write(&writer, b"x"), Err(Errno::EPIPE));
    }

    fn ioctl_of_a_request_that_the_descriptor_does_not_know_is_enotty(host) by "fs/ioctl.c: vfs_ioctl" {
        let mut params = [0_u8; 8];
        let eventfd = counter(0)?;
        // SAFETY: the buffer has the eight bytes of the request.
        let answer = unsafe { raw::ioctl(eventfd.as_raw_fd(), raw::EPIOCGPARAMS, params.as_mut_ptr().cast()) };
        // qemu-user up to 7.2 returns ENOSYS for requests that it does not know.
        ensure!(matches!(answer, Err(Errno::ENOTTY | Errno::ENOSYS)));
    }
}
