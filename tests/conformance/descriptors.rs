//! Owned descriptors: how they are made, lent and closed.

use super::{closed_number, counter, is_open, reads, ready, watching, with_limit, NOTHING};
use barepoll::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use barepoll::{CreateFlags, Epoll, Errno, EventData, EventFd, EventFdFlags, EventFlags};

/// The descriptor's number, through a generic parameter.
fn number_of(source: impl AsFd) -> RawFd {
    source.as_fd().as_raw_fd()
}

/// Adds a source through a generic parameter.
fn add(epoll: &Epoll, source: impl AsFd) -> Result<(), Errno> {
    epoll.add(source, EventData::new_u64(1), EventFlags::IN)
}

checks! { by "src/fd.rs: OwnedFd";
    fn an_epoll_is_closed_on_exec_unless_asked_otherwise(host) by "fs/eventpoll.c: do_epoll_create" {
        ensure!(host.is_close_on_exec(Epoll::new()?.as_fd())?);
        ensure!(host.is_close_on_exec(Epoll::with_flags(CreateFlags::CLOEXEC)?.as_fd())?);
        ensure!(!host.is_close_on_exec(Epoll::with_flags(CreateFlags::empty())?.as_fd())?);
    }

    fn an_unknown_create_flag_is_einval(host) by "fs/eventpoll.c: do_epoll_create" {
        // A flag of another call, because qemu-user drops bits that no call defines.
        let unknown = CreateFlags::from_bits_retain(EventFdFlags::NONBLOCK.bits());
        ensure_eq!(Epoll::with_flags(unknown).err(), Some(Errno::EINVAL));
        ensure_eq!(Epoll::with_flags(CreateFlags::CLOEXEC | unknown).err(), Some(Errno::EINVAL));
    }

    fn no_descriptor_left_is_emfile(host) by "fs/file.c: alloc_fd" {
        let lowest_free = closed_number()?;
        let (epoll, eventfd) = with_limit(host, lowest_free, || {
            (Epoll::new().err(), EventFd::new(0, EventFdFlags::CLOEXEC).err())
        })?;
        ensure_eq!(epoll, Some(Errno::EMFILE));
        ensure_eq!(eventfd, Some(Errno::EMFILE));
        drop(Epoll::new()?);
    }

    fn dropping_an_owner_closes_its_descriptor(host) by "fs/open.c: close" {
        let epoll = Epoll::new()?;
        let fd = epoll.as_raw_fd();
        ensure!(is_open(fd)?);
        drop(epoll);
        ensure!(!is_open(fd)?);
        let eventfd = counter(0)?;
        let fd = eventfd.as_raw_fd();
        drop(eventfd);
        ensure!(!is_open(fd)?);
        let owned = OwnedFd::from(counter(0)?);
        let fd = owned.as_raw_fd();
        drop(owned);
        ensure!(!is_open(fd)?);
    }

    fn into_raw_fd_does_not_close(host) {
        let fd = counter(3)?.into_raw_fd();
        ensure!(is_open(fd)?);
        // SAFETY: the owner has just given up the number.
        let eventfd = unsafe { EventFd::from_raw_fd(fd) };
        ensure_eq!(eventfd.read(), Ok(3));
        let fd = Epoll::new()?.into_raw_fd();
        ensure!(is_open(fd)?);
        // SAFETY: as above.
        drop(unsafe { Epoll::from_raw_fd(fd) });
        ensure!(!is_open(fd)?);
    }

    fn an_owner_becomes_an_owned_descriptor_and_back(host) {
        let eventfd = counter(4)?;
        let fd = eventfd.as_raw_fd();
        let owned = OwnedFd::from(eventfd);
        ensure_eq!(owned.as_raw_fd(), fd);
        let eventfd = EventFd::from(owned);
        ensure_eq!(eventfd.read(), Ok(4));
        let epoll = Epoll::from(OwnedFd::from(Epoll::new()?));
        ensure_eq!(ready(&epoll)?, NOTHING);
    }

    fn every_way_to_lend_a_descriptor_lends_the_same(host) {
        let mut eventfd = counter(1)?;
        let fd = eventfd.as_raw_fd();
        ensure_eq!(number_of(&eventfd), fd);
        ensure_eq!(number_of(&mut eventfd), fd);
        ensure_eq!(number_of(eventfd.as_fd()), fd);
        let twice = &&eventfd;
        ensure_eq!(number_of(twice), fd);
        ensure_eq!(fd.as_raw_fd(), fd);
        ensure_eq!(number_of(eventfd), fd);
    }

    fn a_source_is_given_by_any_reference_or_borrow(host) {
        let (epoll, mut eventfd) = (Epoll::new()?, counter(1)?);
        add(&epoll, &eventfd)?;
        let twice = &&eventfd;
        ensure_eq!(add(&epoll, twice), Err(Errno::EEXIST));
        ensure_eq!(add(&epoll, &mut eventfd), Err(Errno::EEXIST));
        ensure_eq!(add(&epoll, eventfd.as_fd()), Err(Errno::EEXIST));
        let owned = OwnedFd::from(eventfd);
        ensure_eq!(add(&epoll, &owned), Err(Errno::EEXIST));
        epoll.delete(&owned)?;
        ensure_eq!(ready(&epoll)?, NOTHING);
    }

    fn a_source_given_away_is_closed_and_forgotten(host) by "fs/eventpoll.c: eventpoll_release_file" {
        let (epoll, eventfd) = (Epoll::new()?, counter(1)?);
        let fd = eventfd.as_raw_fd();
        add(&epoll, eventfd)?;
        ensure!(!is_open(fd)?);
        ensure_eq!(ready(&epoll)?, NOTHING);
    }

    fn debug_of_an_owner_tells_its_descriptor(host) {
        let epoll = Epoll::new()?;
        let failure = super::Failure::new(format_args!("Epoll {{ fd: {} }}", epoll.as_raw_fd()));
        ensure!(failure.text().filter(|text| reads(format_args!("{epoll:?}"), text)).is_some());
        let eventfd = counter(0)?;
        let failure = super::Failure::new(format_args!("EventFd {{ fd: {} }}", eventfd.as_raw_fd()));
        ensure!(failure.text().filter(|text| reads(format_args!("{eventfd:?}"), text)).is_some());
    }

    fn a_duplicate_of_an_epoll_is_the_same_epoll(host) by "fs/file.c: dup" {
        let eventfd = counter(1)?;
        let epoll = watching(&eventfd, EventFlags::IN)?;
        let duplicate = Epoll::from(host.duplicate(epoll.as_fd())?);
        ensure_eq!(ready(&duplicate)?, [(1, EventFlags::IN)]);
        drop(epoll);
        ensure_eq!(ready(&duplicate)?, [(1, EventFlags::IN)]);
        duplicate.delete(&eventfd)?;
    }
}
