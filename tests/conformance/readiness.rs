//! Readiness of each kind of descriptor.

use super::{counter, ready, watching, NOTHING};
use barepoll::fd::AsFd;
use barepoll::fd::{AsRawFd, OwnedFd};
use barepoll::{raw, Epoll, Errno, Event, EventData, EventFlags};
use core::time::Duration;

const IN: EventFlags = EventFlags::IN;
const OUT: EventFlags = EventFlags::OUT;
const ERR: EventFlags = EventFlags::ERR;
const HUP: EventFlags = EventFlags::HUP;
const RDHUP: EventFlags = EventFlags::RDHUP;
const NONE: EventFlags = EventFlags::empty();

/// A writable pipe takes this many bytes without blocking (`PIPE_BUF`).
const CHUNK: usize = 4096;

fn write(fd: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the pointer and the length come from a slice.
    unsafe { raw::write(fd.as_raw_fd(), bytes.as_ptr(), bytes.len()) }
}

fn read(fd: &OwnedFd, bytes: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the pointer and the length come from a slice.
    unsafe { raw::read(fd.as_raw_fd(), bytes.as_mut_ptr(), bytes.len()) }
}

/// The flags of the one event that is ready.
fn flags_of(epoll: &Epoll) -> Result<EventFlags, Errno> {
    let mut buffer = Event::buffer::<1>();
    let events = epoll.wait(&mut buffer, Some(Duration::ZERO))?;
    Ok(events.first().map_or(NONE, Event::flags))
}

checks! { by "fs/pipe.c: pipe_poll";
    fn an_eventfd_is_readable_when_it_is_not_zero(host) by "fs/eventfd.c: eventfd_poll" {
        let eventfd = counter(0)?;
        let epoll = watching(&eventfd, IN)?;
        ensure_eq!(ready(&epoll)?, NOTHING);
        eventfd.write(1)?;
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
        eventfd.read()?;
        ensure_eq!(ready(&epoll)?, NOTHING);
    }

    fn an_eventfd_is_writable_until_it_is_full(host) by "fs/eventfd.c: eventfd_poll" {
        let eventfd = counter(0)?;
        let epoll = watching(&eventfd, OUT)?;
        ensure_eq!(ready(&epoll)?, [(1, OUT)]);
        eventfd.write(u64::MAX - 1)?;
        ensure_eq!(ready(&epoll)?, NOTHING);
        eventfd.read()?;
        ensure_eq!(ready(&epoll)?, [(1, OUT)]);
    }

    fn a_pipe_is_readable_when_something_is_in_it(host) {
        let (reader, writer) = host.pipe()?;
        let epoll = watching(&reader, IN)?;
        ensure_eq!(ready(&epoll)?, NOTHING);
        write(&writer, b"ab")?;
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
        read(&reader, &mut [0])?;
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
        read(&reader, &mut [0])?;
        ensure_eq!(ready(&epoll)?, NOTHING);
    }

    fn a_pipe_is_writable_until_it_is_full(host) {
        let (reader, writer) = host.pipe()?;
        let epoll = watching(&writer, OUT)?;
        let mut chunks = 0;
        while ready(&epoll)? == [(1, OUT)] {
            ensure_eq!(write(&writer, &[0; CHUNK]), Ok(CHUNK));
            chunks += 1;
        }
        ensure!(chunks > 0);
        ensure_eq!(ready(&epoll)?, NOTHING);
        for _ in 0..chunks {
            ensure_eq!(read(&reader, &mut [0; CHUNK]), Ok(CHUNK));
        }
        ensure_eq!(ready(&epoll)?, [(1, OUT)]);
    }

    fn ordinary_data_is_reported_by_its_own_names_if_asked(host) {
        let (reader, writer) = host.pipe()?;
        write(&writer, b"x")?;
        ensure_eq!(ready(&watching(&reader, EventFlags::RDNORM)?)?, [(1, EventFlags::RDNORM)]);
        ensure_eq!(ready(&watching(&reader, IN | EventFlags::RDNORM)?)?, [(1, IN | EventFlags::RDNORM)]);
        ensure_eq!(ready(&watching(&writer, EventFlags::WRNORM)?)?, [(1, EventFlags::WRNORM)]);
    }

    fn a_socket_is_writable_by_all_three_names(host) by "net/unix/af_unix.c: unix_poll" {
        let (socket, _peer) = host.socketpair()?;
        let all = OUT | EventFlags::WRNORM | EventFlags::WRBAND;
        ensure_eq!(ready(&watching(&socket, all)?)?, [(1, all)]);
        ensure_eq!(ready(&watching(&socket, EventFlags::WRBAND)?)?, [(1, EventFlags::WRBAND)]);
    }

    fn nothing_exceptional_is_in_ordinary_data(host) {
        let (reader, writer) = host.pipe()?;
        write(&writer, b"x")?;
        let exceptional = EventFlags::PRI | EventFlags::RDBAND | EventFlags::MSG | EventFlags::NVAL;
        ensure_eq!(ready(&watching(&reader, exceptional)?)?, NOTHING);
    }

    fn a_pipe_hangs_up_when_its_writer_is_closed(host) {
        let (reader, writer) = host.pipe()?;
        let epoll = watching(&reader, IN)?;
        drop(writer);
        ensure_eq!(ready(&epoll)?, [(1, HUP)]);
    }

    fn a_pipe_that_hung_up_is_readable_until_it_is_empty(host) {
        let (reader, writer) = host.pipe()?;
        let epoll = watching(&reader, IN)?;
        write(&writer, b"x")?;
        drop(writer);
        ensure_eq!(ready(&epoll)?, [(1, IN | HUP)]);
        read(&reader, &mut [0])?;
        ensure_eq!(ready(&epoll)?, [(1, HUP)]);
    }

    fn a_pipe_hangs_up_only_when_its_last_writer_is_closed(host) by "fs/pipe.c: pipe_release" {
        let (reader, writer) = host.pipe()?;
        let duplicate = host.duplicate(writer.as_fd())?;
        let epoll = watching(&reader, IN)?;
        drop(writer);
        ensure_eq!(ready(&epoll)?, NOTHING);
        drop(duplicate);
        ensure_eq!(ready(&epoll)?, [(1, HUP)]);
    }

    fn a_pipe_has_an_error_when_its_reader_is_closed(host) {
        let (reader, writer) = host.pipe()?;
        let epoll = watching(&writer, OUT)?;
        drop(reader);
        ensure_eq!(ready(&epoll)?, [(1, OUT | ERR)]);
    }

    fn a_hang_up_and_an_error_are_reported_unasked(host) by "fs/eventpoll.c: do_epoll_ctl" {
        let ((reader, writer), (other_reader, other_writer)) = (host.pipe()?, host.pipe()?);
        let epoll = Epoll::new()?;
        epoll.add(&reader, EventData::new_u64(1), NONE)?;
        epoll.add(&other_writer, EventData::new_u64(2), NONE)?;
        ensure_eq!(ready(&epoll)?, NOTHING);
        drop((writer, other_reader));
        ensure_eq!(ready(&epoll)?, [(1, HUP), (2, ERR)]);
    }

    fn a_modify_cannot_unask_a_hang_up(host) by "fs/eventpoll.c: do_epoll_ctl" {
        let (reader, writer) = host.pipe()?;
        let epoll = watching(&reader, IN)?;
        drop(writer);
        epoll.modify(&reader, EventData::new_u64(1), NONE)?;
        ensure_eq!(ready(&epoll)?, [(1, HUP)]);
    }

    fn a_peer_that_shuts_down_writing_is_rdhup(host) by "net/unix/af_unix.c: unix_poll" {
        let (socket, peer) = host.socketpair()?;
        let epoll = watching(&socket, IN | RDHUP)?;
        ensure_eq!(ready(&epoll)?, NOTHING);
        host.shutdown_writing(peer.as_fd())?;
        ensure_eq!(ready(&epoll)?, [(1, IN | RDHUP)]);
        ensure_eq!(read(&socket, &mut [0]), Ok(0));
    }

    fn rdhup_is_reported_only_if_asked(host) by "net/unix/af_unix.c: unix_poll" {
        let (socket, peer) = host.socketpair()?;
        let (quiet, eager) = (watching(&socket, NONE)?, watching(&socket, RDHUP)?);
        host.shutdown_writing(peer.as_fd())?;
        ensure_eq!(ready(&quiet)?, NOTHING);
        ensure_eq!(ready(&eager)?, [(1, RDHUP)]);
    }

    fn a_shutdown_in_both_directions_is_hup(host) by "net/unix/af_unix.c: unix_poll" {
        let (socket, peer) = host.socketpair()?;
        let epoll = watching(&socket, NONE)?;
        host.shutdown_writing(peer.as_fd())?;
        ensure_eq!(ready(&epoll)?, NOTHING);
        host.shutdown_writing(socket.as_fd())?;
        ensure_eq!(ready(&epoll)?, [(1, HUP)]);
    }

    fn a_peer_that_closes_is_rdhup_and_hup(host) by "net/unix/af_unix.c: unix_poll" {
        let (socket, peer) = host.socketpair()?;
        let epoll = watching(&socket, IN | RDHUP)?;
        drop(peer);
        ensure_eq!(ready(&epoll)?, [(1, IN | RDHUP | HUP)]);
    }

    fn whatever_ends_a_read_is_readable(host) {
        // Data, the end of a pipe, the end of a socket's input asked for alone, a closed peer.
        let (reader, writer) = host.pipe()?;
        let epoll = watching(&reader, IN)?;
        write(&writer, b"x")?;
        ensure!(flags_of(&epoll)?.is_readable() && !flags_of(&epoll)?.is_writable());
        read(&reader, &mut [0])?;
        drop(writer);
        ensure!(flags_of(&epoll)?.is_readable());
        ensure_eq!(read(&reader, &mut [0]), Ok(0));

        let (socket, peer) = host.socketpair()?;
        let epoll = watching(&socket, RDHUP)?;
        host.shutdown_writing(peer.as_fd())?;
        ensure!(flags_of(&epoll)?.is_readable() && !flags_of(&epoll)?.is_writable());
        ensure_eq!(read(&socket, &mut [0]), Ok(0));
    }

    fn whatever_ends_a_write_is_writable(host) {
        // Room, and a closed reader, which nobody asked for.
        let (reader, writer) = host.pipe()?;
        let epoll = watching(&writer, OUT)?;
        ensure!(flags_of(&epoll)?.is_writable() && !flags_of(&epoll)?.is_readable());
        drop(reader);
        let epoll = watching(&writer, NONE)?;
        ensure!(flags_of(&epoll)?.is_writable());

        let (socket, peer) = host.socketpair()?;
        drop(peer);
        ensure!(flags_of(&watching(&socket, NONE)?)?.is_writable());
    }

    fn one_ready_descriptor_of_many_is_reported_alone(host) by "fs/eventpoll.c: ep_send_events" {
        let epoll = Epoll::new()?;
        let counters = [counter(0)?, counter(0)?, counter(0)?, counter(0)?];
        for (number, counter) in (0..).zip(&counters) {
            epoll.add(counter, EventData::new_u64(number), IN)?;
        }
        counters[2].write(1)?;
        ensure_eq!(ready(&epoll)?, [(2, IN)]);
        counters[0].write(1)?;
        ensure_eq!(ready(&epoll)?, [(0, IN), (2, IN)]);
    }
}
