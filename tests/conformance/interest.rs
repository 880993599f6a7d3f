//! The interest list: add, modify and delete, and their errors.

use super::{counter, ready, watching, NOTHING};
use barepoll::fd::{AsFd, AsRawFd, BorrowedFd};
use barepoll::{Epoll, Errno, EventData, EventFd, EventFlags};

const IN: EventFlags = EventFlags::IN;
const OUT: EventFlags = EventFlags::OUT;

fn data(value: u64) -> EventData {
    EventData::new_u64(value)
}

checks! { by "fs/eventpoll.c: do_epoll_ctl";
    fn adding_twice_is_eexist_and_changes_nothing(host) {
        let eventfd = counter(1)?;
        let epoll = watching(&eventfd, IN)?;
        ensure_eq!(epoll.add(&eventfd, data(2), OUT), Err(Errno::EEXIST));
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
    }

    fn what_is_deleted_is_silent_and_can_be_added_again(host) by "fs/eventpoll.c: ep_remove" {
        let eventfd = counter(1)?;
        let epoll = watching(&eventfd, IN)?;
        epoll.delete(&eventfd)?;
        ensure_eq!(ready(&epoll)?, NOTHING);
        eventfd.write(1)?;
        ensure_eq!(ready(&epoll)?, NOTHING);
        let eventfd = counter(1)?;
        let epoll = watching(&eventfd, IN)?;
        epoll.delete(&eventfd)?;
        epoll.add(&eventfd, data(2), IN)?;
        ensure_eq!(ready(&epoll)?, [(2, IN)]);
    }

    fn modify_changes_the_interest_and_the_data(host) by "fs/eventpoll.c: ep_modify" {
        let eventfd = counter(1)?;
        let epoll = watching(&eventfd, IN)?;
        epoll.modify(&eventfd, data(1), OUT)?;
        ensure_eq!(ready(&epoll)?, [(1, OUT)]);
        epoll.modify(&eventfd, data(1), IN | OUT)?;
        ensure_eq!(ready(&epoll)?, [(1, IN | OUT)]);
        let eventfd = counter(1)?;
        let epoll = watching(&eventfd, IN)?;
        epoll.modify(&eventfd, data(0xfedc_ba98_7654_3210), IN)?;
        ensure_eq!(ready(&epoll)?, [(0xfedc_ba98_7654_3210, IN)]);
    }

    fn modifying_or_deleting_what_is_not_registered_is_enoent(host) {
        let (epoll, eventfd) = (Epoll::new()?, counter(0)?);
        ensure_eq!(epoll.modify(&eventfd, data(1), IN), Err(Errno::ENOENT));
        let (epoll, eventfd) = (Epoll::new()?, counter(0)?);
        ensure_eq!(epoll.delete(&eventfd), Err(Errno::ENOENT));
        epoll.add(&eventfd, data(1), IN)?;
        epoll.delete(&eventfd)?;
        ensure_eq!(epoll.delete(&eventfd), Err(Errno::ENOENT));
    }

    fn modify_to_no_interest_silences_and_keeps_the_registration(host) by "fs/eventpoll.c: ep_modify" {
        let eventfd = counter(1)?;
        let epoll = watching(&eventfd, IN)?;
        epoll.modify(&eventfd, data(1), EventFlags::empty())?;
        ensure_eq!(ready(&epoll)?, NOTHING);
        ensure_eq!(epoll.add(&eventfd, data(1), IN), Err(Errno::EEXIST));
        epoll.modify(&eventfd, data(1), IN)?;
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
    }

    fn epolls_do_not_share_their_interest(host) by "fs/eventpoll.c: ep_insert" {
        let eventfd = counter(1)?;
        let (one, two) = (watching(&eventfd, IN)?, watching(&eventfd, OUT)?);
        one.delete(&eventfd)?;
        ensure_eq!(ready(&one)?, NOTHING);
        ensure_eq!(ready(&two)?, [(1, OUT)]);
    }

    fn a_directory_is_eperm(host) {
        let (epoll, root) = (Epoll::new()?, host.root_directory()?);
        ensure_eq!(epoll.add(&root, data(1), IN), Err(Errno::EPERM));
        ensure_eq!(epoll.modify(&root, data(1), IN), Err(Errno::EPERM));
        ensure_eq!(epoll.delete(&root), Err(Errno::EPERM));
    }

    fn a_closed_descriptor_is_ebadf(host) {
        let epoll = Epoll::new()?;
        let fd = super::closed_number()?;
        // SAFETY: the descriptor is closed, so the kernel only returns an error.
        let closed = unsafe { BorrowedFd::borrow_raw(fd) };
        ensure_eq!(epoll.add(closed, data(1), IN), Err(Errno::EBADF));
        ensure_eq!(epoll.modify(closed, data(1), IN), Err(Errno::EBADF));
        ensure_eq!(epoll.delete(closed), Err(Errno::EBADF));
    }

    fn what_is_no_epoll_refuses_to_watch_with_einval(host) {
        let not_an_epoll = Epoll::from(barepoll::fd::OwnedFd::from(counter(1)?));
        let eventfd = counter(0)?;
        ensure_eq!(not_an_epoll.add(&eventfd, data(1), IN), Err(Errno::EINVAL));
        ensure_eq!(not_an_epoll.modify(&eventfd, data(1), IN), Err(Errno::EINVAL));
        ensure_eq!(not_an_epoll.delete(&eventfd), Err(Errno::EINVAL));
        ensure_eq!(ready(&not_an_epoll).err(), Some(Errno::EINVAL));
    }

    fn two_numbers_of_one_file_are_two_registrations(host) by "fs/eventpoll.c: ep_find" {
        let eventfd = counter(1)?;
        let duplicate = EventFd::from(host.duplicate(eventfd.as_fd())?);
        let epoll = watching(&eventfd, IN)?;
        epoll.add(&duplicate, data(2), IN)?;
        ensure_eq!(ready(&epoll)?, [(1, IN), (2, IN)]);
        epoll.delete(&eventfd)?;
        ensure_eq!(ready(&epoll)?, [(2, IN)]);
    }

    fn closing_the_last_descriptor_ends_the_registration(host) by "fs/eventpoll.c: eventpoll_release_file" {
        let eventfd = counter(1)?;
        let epoll = watching(&eventfd, IN)?;
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
        drop(eventfd);
        ensure_eq!(ready(&epoll)?, NOTHING);
    }

    fn closing_one_of_two_descriptors_keeps_events_coming(host) by "fs/eventpoll.c: eventpoll_release_file" {
        let eventfd = counter(1)?;
        let duplicate = EventFd::from(host.duplicate(eventfd.as_fd())?);
        let epoll = watching(&eventfd, IN)?;
        drop(eventfd);
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
        duplicate.read()?;
        ensure_eq!(ready(&epoll)?, NOTHING);
        duplicate.write(1)?;
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
        drop(duplicate);
        ensure_eq!(ready(&epoll)?, NOTHING);
    }

    fn a_registration_that_outlives_its_number_cannot_be_deleted_by_the_duplicate(host) by "fs/eventpoll.c: ep_remove" {
        let eventfd = counter(1)?;
        let duplicate = EventFd::from(host.duplicate(eventfd.as_fd())?);
        let epoll = watching(&eventfd, IN)?;
        drop(eventfd);
        ensure_eq!(epoll.delete(&duplicate), Err(Errno::ENOENT));
        ensure_eq!(ready(&epoll)?, [(1, IN)]);
    }

    fn a_reused_number_is_a_new_registration(host) by "fs/eventpoll.c: ep_find" {
        let eventfd = counter(1)?;
        let number = eventfd.as_raw_fd();
        let epoll = watching(&eventfd, IN)?;
        drop(eventfd);
        let next = counter(1)?;
        ensure_eq!(next.as_raw_fd(), number);
        ensure_eq!(epoll.modify(&next, data(2), IN), Err(Errno::ENOENT));
        epoll.add(&next, data(2), IN)?;
        ensure_eq!(ready(&epoll)?, [(2, IN)]);
    }

    fn a_reused_number_stands_beside_what_a_duplicate_keeps_alive(host) by "fs/eventpoll.c: ep_find" {
        let eventfd = counter(1)?;
        let number = eventfd.as_raw_fd();
        let _duplicate = host.duplicate(eventfd.as_fd())?;
        let epoll = watching(&eventfd, IN)?;
        drop(eventfd);
        let next = counter(1)?;
        ensure_eq!(next.as_raw_fd(), number);
        epoll.add(&next, data(2), IN)?;
        ensure_eq!(ready(&epoll)?, [(1, IN), (2, IN)]);
    }
}
