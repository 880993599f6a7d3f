//! Busy polling, if the kernel has it (Linux 6.9, and configured). `machine.rs` checks that
//! Debian's kernels do.

use super::{counter, unmapped_address};
use barepoll::fd::{AsRawFd, OwnedFd};
use barepoll::{raw, BusyPoll, Epoll, Errno};

/// Errors of kernels without busy polling: `ENOTTY` before 6.9, `EINVAL` or `EOPNOTSUPP` without
/// the option, and `ENOSYS` from qemu-user 7.2.
const WITHOUT: [Errno; 4] = [Errno::ENOTTY, Errno::EINVAL, Errno::EOPNOTSUPP, Errno::ENOSYS];

fn params(busy_poll_usecs: u32, busy_poll_budget: u16, prefer_busy_poll: bool) -> BusyPoll {
    BusyPoll { busy_poll_usecs, busy_poll_budget, prefer_busy_poll }
}

/// Makes an epoll if the kernel has busy polling.
fn capable() -> Result<Option<Epoll>, Errno> {
    let epoll = Epoll::new()?;
    match epoll.busy_poll() {
        Ok(_) => Ok(Some(epoll)),
        Err(errno) if WITHOUT.contains(&errno) => Ok(None),
        Err(errno) => Err(errno),
    }
}

checks! { by "fs/eventpoll.c: ep_eventpoll_bp_ioctl";
    fn busy_polling_is_off_by_default_or_not_there(host) {
        match Epoll::new()?.busy_poll() {
            Ok(found) => ensure_eq!(found, BusyPoll::default()),
            Err(errno) => ensure!(WITHOUT.contains(&errno)),
        }
    }

    fn getting_and_setting_are_there_together(host) {
        let set = Epoll::new()?.set_busy_poll(params(0, 0, false));
        match capable()? {
            Some(_) => ensure_eq!(set, Ok(())),
            None => ensure!(matches!(set, Err(errno) if WITHOUT.contains(&errno))),
        }
    }

    fn what_is_set_reads_back(host) {
        if let Some(epoll) = capable()? {
            let all = [params(50, 8, true), params(0x7654_3210, 64, false), params(0, 0, true), params(1, 0, false)];
            for params in all {
                epoll.set_busy_poll(params)?;
                ensure_eq!(epoll.busy_poll(), Ok(params));
            }
        }
    }

    fn more_than_i32_max_microseconds_are_einval_and_change_nothing(host) {
        if let Some(epoll) = capable()? {
            let before = params(33, 4, true);
            epoll.set_busy_poll(before)?;
            ensure_eq!(epoll.set_busy_poll(params(1 << 31, 8, false)), Err(Errno::EINVAL));
            ensure_eq!(epoll.set_busy_poll(params(u32::MAX, 8, false)), Err(Errno::EINVAL));
            ensure_eq!(epoll.busy_poll(), Ok(before));
        }
    }

    fn a_budget_above_64_takes_a_capability(host) {
        if let Some(epoll) = capable()? {
            match epoll.set_busy_poll(params(1, u16::MAX, false)) {
                Ok(()) => ensure_eq!(epoll.busy_poll(), Ok(params(1, u16::MAX, false))),
                Err(errno) => ensure_eq!(errno, Errno::EPERM),
            }
        }
    }

    fn a_flag_that_is_no_bool_and_padding_that_is_not_zero_are_einval(host) {
        if let Some(epoll) = capable()? {
            for mut bytes in [[0, 0, 0, 0, 0, 0, 2, 0_u8], [0, 0, 0, 0, 0, 0, 0, 1]] {
                // SAFETY: the buffer has the eight bytes of `struct epoll_params`.
                let answer = unsafe { raw::ioctl(epoll.as_raw_fd(), raw::EPIOCSPARAMS, bytes.as_mut_ptr().cast()) };
                ensure_eq!(answer, Err(Errno::EINVAL));
            }
        }
    }

    fn parameters_at_a_bad_address_are_efault(host) {
        if let Some(epoll) = capable()? {
            for request in [raw::EPIOCSPARAMS, raw::EPIOCGPARAMS] {
                // SAFETY: the address is unmapped, so the kernel accesses nothing.
                let answer = unsafe { raw::ioctl(epoll.as_raw_fd(), request, unmapped_address()) };
                ensure_eq!(answer, Err(Errno::EFAULT));
            }
        }
    }

    fn what_is_no_epoll_has_no_busy_polling(host) by "fs/ioctl.c: vfs_ioctl" {
        let not_an_epoll = Epoll::from(OwnedFd::from(counter(0)?));
        let (got, set) = (not_an_epoll.busy_poll(), not_an_epoll.set_busy_poll(BusyPoll::default()));
        ensure!(matches!(got, Err(Errno::ENOTTY | Errno::ENOSYS)));
        ensure!(matches!(set, Err(Errno::ENOTTY | Errno::ENOSYS)));
    }
}
