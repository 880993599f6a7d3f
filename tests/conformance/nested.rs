//! Epolls that watch epolls.

use super::{counter, ready, ready_within, watching, LONG, NOTHING};
use barepoll::fd::AsFd;
use barepoll::{Epoll, Errno, EventData, EventFlags};
use core::time::Duration;

const IN: EventFlags = EventFlags::IN;
const ONE: EventData = EventData::new_u64(1);

checks! { by "fs/eventpoll.c: __ep_eventpoll_poll";
    fn an_epoll_is_readable_while_it_has_an_event(host) {
        let eventfd = counter(0)?;
        let inner = watching(&eventfd, IN)?;
        let outer = watching(&inner, IN)?;
        ensure_eq!(ready(&outer)?, NOTHING);
        eventfd.write(1)?;
        ensure_eq!(ready(&outer)?, [(1, IN)]);
        eventfd.read()?;
        ensure_eq!(ready(&outer)?, NOTHING);
    }

    fn an_epoll_is_never_writable(host) {
        let eventfd = counter(1)?;
        let inner = watching(&eventfd, IN)?;
        ensure_eq!(ready(&watching(&inner, EventFlags::OUT)?)?, NOTHING);
    }

    fn looking_at_the_outer_epoll_takes_nothing_from_the_inner(host) by "fs/eventpoll.c: ep_send_events" {
        let eventfd = counter(1)?;
        let inner = watching(&eventfd, IN | EventFlags::ET)?;
        let outer = watching(&inner, IN)?;
        ensure_eq!(ready(&outer)?, [(1, IN)]);
        ensure_eq!(ready(&inner)?, [(1, IN)]);
        ensure_eq!(ready(&outer)?, NOTHING);
        ensure_eq!(ready(&inner)?, NOTHING);
    }

    fn an_event_passes_through_three_epolls_and_ends_a_wait(host) by "fs/eventpoll.c: ep_poll_callback" {
        let eventfd = counter(0)?;
        let first = watching(&eventfd, IN)?;
        let second = watching(&first, IN)?;
        let third = watching(&second, IN)?;
        host.beside(
            &|other| {
                other.sleep(Duration::from_millis(30));
                let _ = eventfd.write(1);
            },
            &mut |_| {
                ensure_eq!(ready_within(&third, LONG)?, [(1, IN)]);
                Ok(())
            },
        )?;
    }

    fn an_epoll_cannot_watch_itself_nor_a_duplicate_of_itself(host) by "fs/eventpoll.c: do_epoll_ctl" {
        let epoll = Epoll::new()?;
        ensure_eq!(epoll.add(&epoll, ONE, IN), Err(Errno::EINVAL));
        ensure_eq!(epoll.modify(&epoll, ONE, IN), Err(Errno::EINVAL));
        ensure_eq!(epoll.delete(&epoll), Err(Errno::EINVAL));
        let epoll = Epoll::new()?;
        let duplicate = host.duplicate(epoll.as_fd())?;
        ensure_eq!(epoll.add(&duplicate, ONE, IN), Err(Errno::EINVAL));
    }

    fn epolls_that_watch_each_other_in_a_circle_are_eloop(host) by "fs/eventpoll.c: ep_loop_check_proc" {
        let (one, two) = (Epoll::new()?, Epoll::new()?);
        one.add(&two, ONE, IN)?;
        ensure_eq!(two.add(&one, ONE, IN), Err(Errno::ELOOP));
        one.delete(&two)?;
        ensure_eq!(two.add(&one, ONE, IN), Ok(()));
        let (one, two, three) = (Epoll::new()?, Epoll::new()?, Epoll::new()?);
        one.add(&two, ONE, IN)?;
        two.add(&three, ONE, IN)?;
        ensure_eq!(three.add(&one, ONE, IN), Err(Errno::ELOOP));
    }

    fn epolls_nest_four_deep_and_no_deeper_than_eight(host) by "fs/eventpoll.c: ep_loop_check_proc" {
        let chain = [
            Epoll::new()?, Epoll::new()?, Epoll::new()?, Epoll::new()?, Epoll::new()?,
            Epoll::new()?, Epoll::new()?, Epoll::new()?, Epoll::new()?,
        ];
        let mut links = 0;
        let mut answer = Ok(());
        for pair in chain.windows(2) {
            answer = pair[1].add(&pair[0], ONE, IN);
            if answer.is_err() {
                break;
            }
            links += 1;
        }
        ensure_eq!(answer, Err(Errno::ELOOP));
        ensure!(links >= 4); // Linux before 6.17 allows one more
    }

    /// Linux before 6.17 checks the depth above an epoll only when it is to watch something that is
    /// no epoll, and returns `EINVAL`.
    fn a_source_below_five_epolls_is_watched_and_below_six_refused(host) by "fs/eventpoll.c: ep_loop_check" {
        let chain = [
            Epoll::new()?, Epoll::new()?, Epoll::new()?, Epoll::new()?, Epoll::new()?, Epoll::new()?,
        ];
        let eventfd = counter(1)?;
        let [top, .., fifth, sixth] = &chain;
        let mut answer = Ok(());
        for pair in chain.windows(2) {
            ensure_eq!(answer, Ok(()));
            answer = pair[0].add(&pair[1], ONE, IN);
        }
        ensure_eq!(ready(top)?, NOTHING);
        match answer {
            Ok(()) => ensure_eq!(sixth.add(&eventfd, ONE, IN), Err(Errno::EINVAL)),
            refused => ensure_eq!(refused, Err(Errno::ELOOP)),
        }
        fifth.add(&eventfd, ONE, IN)?;
        ensure_eq!(ready(top)?, [(1, IN)]);
    }

    fn closing_the_inner_epoll_silences_it(host) by "fs/eventpoll.c: eventpoll_release_file" {
        let eventfd = counter(1)?;
        let inner = watching(&eventfd, IN)?;
        let outer = watching(&inner, IN)?;
        ensure_eq!(ready(&outer)?, [(1, IN)]);
        drop(inner);
        ensure_eq!(ready(&outer)?, NOTHING);
    }
}
