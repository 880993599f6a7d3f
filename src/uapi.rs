//! The constants of the kernel's `linux/eventpoll.h`, `linux/eventfd.h`, `linux/timerfd.h`,
//! `linux/signal.h`, `linux/signalfd.h`, `linux/pidfd.h`, `linux/wait.h`, `asm-generic/siginfo.h`
//! and `linux/time.h`, with this machine's values. [`raw`](crate::raw) exports them.

use crate::arch;

macro_rules! define_constants {
    ($($name:ident = $value:expr, $meaning:literal;)*) => {
        $(#[doc = $meaning] pub const $name: u32 = $value;)*
    };
}

define_constants! {
    EPOLL_CLOEXEC = arch::O_CLOEXEC, "[`epoll_create1`](crate::raw::epoll_create1): close on exec.";

    EPOLL_CTL_ADD = 1, "[`epoll_ctl`](crate::raw::epoll_ctl): register a descriptor.";
    EPOLL_CTL_DEL = 2, "[`epoll_ctl`](crate::raw::epoll_ctl): remove a descriptor.";
    EPOLL_CTL_MOD = 3, "[`epoll_ctl`](crate::raw::epoll_ctl): change a descriptor's interest and data.";

    EPOLLIN = 0x001, "Readable.";
    EPOLLPRI = 0x002, "An exceptional condition.";
    EPOLLOUT = 0x004, "Writable.";
    EPOLLERR = 0x008, "An error; always reported.";
    EPOLLHUP = 0x010, "Hung up; always reported.";
    EPOLLNVAL = 0x020, "Poll's flag for an invalid descriptor. epoll does not report it.";
    EPOLLRDNORM = 0x040, "Readable, ordinary data.";
    EPOLLRDBAND = 0x080, "Readable, priority data.";
    EPOLLWRNORM = 0x100, "Writable, ordinary data.";
    EPOLLWRBAND = 0x200, "Writable, priority data.";
    EPOLLMSG = 0x400, "Unused.";
    EPOLLRDHUP = 0x2000, "The peer will send nothing more.";
    EPOLL_URING_WAKE = 1 << 27, "The kernel's mark on a wake-up from io_uring.";
    EPOLLEXCLUSIVE = 1 << 28, "Wake one or a few waiting epolls, not all.";
    EPOLLWAKEUP = 1 << 29, "No suspend while the event is handled.";
    EPOLLONESHOT = 1 << 30, "One report, then none until re-armed.";
    EPOLLET = 1 << 31, "Edge-triggered.";

    EPOLL_IOC_TYPE = 0x8a, "[`ioctl`](crate::raw::ioctl): the type of epoll's requests.";
    EPIOCSPARAMS = arch::EPIOCSPARAMS, "[`ioctl`](crate::raw::ioctl) on an epoll: set `struct epoll_params` (Linux 6.9).";
    EPIOCGPARAMS = arch::EPIOCGPARAMS, "[`ioctl`](crate::raw::ioctl) on an epoll: get `struct epoll_params` (Linux 6.9).";

    EFD_SEMAPHORE = 1, "[`eventfd2`](crate::raw::eventfd2): a read subtracts 1 (Linux 2.6.30).";
    EFD_NONBLOCK = arch::O_NONBLOCK, "[`eventfd2`](crate::raw::eventfd2): do not block.";
    EFD_CLOEXEC = arch::O_CLOEXEC, "[`eventfd2`](crate::raw::eventfd2): close on exec.";

    PIDFD_NONBLOCK = arch::O_NONBLOCK, "[`pidfd_open`](crate::raw::pidfd_open): a wait does not block (Linux 5.10).";

    P_ALL = 0, "[`waitid`](crate::raw::waitid): any child.";
    P_PID = 1, "[`waitid`](crate::raw::waitid): the child with this process number.";
    P_PIDFD = 3, "[`waitid`](crate::raw::waitid): the child of this pidfd (Linux 5.4).";
    WNOHANG = 0x1, "[`waitid`](crate::raw::waitid): do not wait.";
    WEXITED = 0x4, "[`waitid`](crate::raw::waitid): children that ended.";
    WNOWAIT = 0x100_0000, "[`waitid`](crate::raw::waitid): do not reap the child.";
    CLD_EXITED = 1, "`si_code` of [`Siginfo`](crate::raw::Siginfo): the child exited.";
    CLD_KILLED = 2, "`si_code` of [`Siginfo`](crate::raw::Siginfo): a signal killed the child.";
    CLD_DUMPED = 3, "`si_code` of [`Siginfo`](crate::raw::Siginfo): a signal killed the child, and the kernel dumped its memory.";

    SIG_BLOCK = arch::SIG_BLOCK, "[`rt_sigprocmask`](crate::raw::rt_sigprocmask): block these signals too.";
    SIG_UNBLOCK = arch::SIG_UNBLOCK, "[`rt_sigprocmask`](crate::raw::rt_sigprocmask): unblock these signals.";
    SIG_SETMASK = arch::SIG_SETMASK, "[`rt_sigprocmask`](crate::raw::rt_sigprocmask): block these signals only.";

    SFD_NONBLOCK = arch::O_NONBLOCK, "[`signalfd4`](crate::raw::signalfd4): do not block.";
    SFD_CLOEXEC = arch::O_CLOEXEC, "[`signalfd4`](crate::raw::signalfd4): close on exec.";

    TFD_NONBLOCK = arch::O_NONBLOCK, "[`timerfd_create`](crate::raw::timerfd_create): do not block.";
    TFD_CLOEXEC = arch::O_CLOEXEC, "[`timerfd_create`](crate::raw::timerfd_create): close on exec.";
    TFD_TIMER_ABSTIME = 1, "[`timerfd_settime`](crate::raw::timerfd_settime): a time of the clock, not from now.";
    TFD_TIMER_CANCEL_ON_SET = 2, "[`timerfd_settime`](crate::raw::timerfd_settime): a read fails once the clock is set (Linux 3.0).";

    CLOCK_REALTIME = 0, "The time since 1970, which can be set.";
    CLOCK_MONOTONIC = 1, "The clock that nothing can set.";
    CLOCK_BOOTTIME = 7, "As `CLOCK_MONOTONIC`, and it runs while the machine is suspended.";
    CLOCK_REALTIME_ALARM = 8, "As `CLOCK_REALTIME`, and its timers wake a suspended machine.";
    CLOCK_BOOTTIME_ALARM = 9, "As `CLOCK_BOOTTIME`, and its timers wake a suspended machine.";
}
