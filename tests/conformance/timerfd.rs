//! Timers as descriptors.

use super::{closed_number, NOTHING};
use super::{counter, pause, ready, ready_within, timed, unmapped_address, until, watching, Host, Outcome, LATE, LONG};
use barepoll::fd::{AsFd, AsRawFd};
use barepoll::raw::{self, Itimerspec, Timespec};
use barepoll::{Clock, Epoll, Errno, EventFlags, TimerFd, TimerFdFlags, TimerSetting, TimerState};
use core::ptr;
use core::time::Duration;

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
const READY: [(u64, EventFlags); 1] = [(1, EventFlags::IN)];
/// A time in whole milliseconds, and times that are none.
const TIMES: [Duration; 5] = [
    MS,
    Duration::from_nanos(1),
    Duration::from_micros(300),
    Duration::from_nanos(999_999),
    Duration::from_micros(2500),
];

fn nonblocking(clock: Clock) -> Result<TimerFd, Errno> {
    TimerFd::new(clock, TimerFdFlags::CLOEXEC | TimerFdFlags::NONBLOCK)
}

/// Makes a nonblocking timer with this setting, and an epoll that watches it.
fn watched(setting: TimerSetting, interest: EventFlags) -> Result<(TimerFd, Epoll), Errno> {
    let timer = nonblocking(Clock::MONOTONIC)?;
    let epoll = watching(&timer, interest)?;
    timer.set(setting)?;
    Ok((timer, epoll))
}

/// Checks that the timer expires once, and no earlier than this time from now. A busy machine may
/// delay one of the three expirations. A wrong time delays them all.
fn expires_after(
    host: &mut dyn Host,
    timer: &TimerFd,
    time: Duration,
    setting: &dyn Fn(&mut dyn Host) -> TimerSetting,
) -> Outcome {
    let (epoll, mut least) = (watching(timer, EventFlags::IN)?, Duration::MAX);
    for _ in 0..3 {
        let start = host.now();
        timer.set(setting(host))?;
        ensure_eq!(ready_within(&epoll, LONG)?, READY);
        ensure_eq!(timer.read(), Ok(1));
        let took = host.now().saturating_sub(start);
        ensure!(took >= time);
        least = least.min(took);
    }
    ensure!(least < LATE);
    ensure_eq!(timer.read(), Err(Errno::EAGAIN));
    ensure_eq!(timer.get(), Ok(TimerState::default()));
    Ok(())
}

/// Checks the time left of a timer that was set to an hour from now, after `start`.
fn has_an_hour(host: &mut dyn Host, start: Duration, remaining: Duration) -> Outcome {
    // Where the clock's resolution is low, the kernel subtracts a tick.
    let elapsed = host.now().saturating_sub(start) + Duration::from_secs(1);
    ensure!(remaining <= HOUR && remaining >= HOUR.saturating_sub(elapsed));
    Ok(())
}

/// Makes the raw call with this setting.
fn raw_set(fd: i32, flags: u32, new: Itimerspec) -> Result<(), Errno> {
    // SAFETY: the setting outlives the call, and the other pointer may be null.
    unsafe { raw::timerfd_settime(fd, flags, &new, ptr::null_mut()) }
}

fn raw_get(fd: i32) -> Result<Itimerspec, Errno> {
    let mut time = Itimerspec::default();
    // SAFETY: `time` is valid for writes.
    unsafe { raw::timerfd_gettime(fd, &mut time) }.map(|()| time)
}

/// Whether the kernel has the calls with 64-bit times. A 32-bit machine's lacks them before 5.1.
fn has_64_bit_times() -> bool {
    !matches!(raw_get(-1), Err(Errno::ENOSYS | Errno::EPERM))
}

fn spec(seconds: i64, nanos: i64) -> Itimerspec {
    Itimerspec { it_interval: Timespec::default(), it_value: Timespec { tv_sec: seconds, tv_nsec: nanos } }
}

checks! { by "fs/timerfd.c: timerfd_setup";
    fn a_new_timer_is_disarmed(host) by "fs/timerfd.c: do_timerfd_gettime" {
        let timer = nonblocking(Clock::MONOTONIC)?;
        ensure_eq!(timer.get(), Ok(TimerState::default()));
        ensure_eq!(timer.read(), Err(Errno::EAGAIN));
        ensure_eq!(ready(&watching(&timer, EventFlags::IN)?)?, NOTHING);
    }

    fn a_timer_is_never_early(host) {
        for clock in [Clock::MONOTONIC, Clock::REALTIME, Clock::BOOTTIME] {
            let timer = match nonblocking(clock) {
                // Before Linux 3.15.
                Err(Errno::EINVAL) if clock == Clock::BOOTTIME => continue,
                timer => timer?,
            };
            for time in TIMES {
                // The wall clock can be set meanwhile, but that does not change a relative time.
                expires_after(host, &timer, time, &|_| TimerSetting::after(time))?;
            }
        }
    }

    fn a_timer_for_a_time_of_its_clock_is_never_early(host) {
        let timer = nonblocking(Clock::MONOTONIC)?;
        for time in TIMES {
            expires_after(host, &timer, time, &|host| TimerSetting::at(host.now() + time))?;
        }
    }

    fn a_time_in_the_past_expires_at_once(host) {
        for clock in [Clock::MONOTONIC, Clock::REALTIME] {
            let timer = nonblocking(clock)?;
            for time in [Duration::ZERO, Duration::from_nanos(1), MS] {
                expires_after(host, &timer, Duration::ZERO, &|_| TimerSetting::at(time))?;
            }
        }
    }

    fn a_time_of_zero_expires_at_once_and_does_not_disarm(host) {
        let timer = nonblocking(Clock::MONOTONIC)?;
        for setting in [TimerSetting::after(Duration::ZERO), TimerSetting::every(Duration::ZERO)] {
            expires_after(host, &timer, Duration::ZERO, &|_| setting)?;
        }
    }

    fn a_blocking_read_waits_for_the_expiration(host) by "fs/timerfd.c: timerfd_read_iter" {
        let timer = TimerFd::new(Clock::MONOTONIC, TimerFdFlags::CLOEXEC)?;
        timer.set(TimerSetting::after(20 * MS))?;
        let (took, expirations) = timed(host, || timer.set(TimerSetting::after(20 * MS)).and_then(|()| timer.read()));
        ensure_eq!(expirations, Ok(1));
        ensure!(took >= 20 * MS);
    }

    fn a_nonblocking_read_before_the_expiration_is_eagain(host) by "fs/timerfd.c: timerfd_read_iter" {
        let (timer, epoll) = watched(TimerSetting::after(HOUR), EventFlags::IN)?;
        ensure_eq!(timer.read(), Err(Errno::EAGAIN));
        ensure_eq!(ready(&epoll)?, NOTHING);
    }

    fn an_interval_counts_expirations_and_none_too_many(host) by "fs/timerfd.c: timerfd_read_iter" {
        for interval in [2 * MS, Duration::from_micros(700)] {
            let start = host.now();
            let (timer, epoll) = watched(TimerSetting::every(interval), EventFlags::IN)?;
            let mut expirations = 0;
            while expirations < 12 {
                ensure_eq!(ready_within(&epoll, LONG)?, READY);
                let more = timer.read()?;
                ensure!(more > 0);
                expirations += more;
                let elapsed = host.now() - start;
                ensure!(u128::from(expirations) * interval.as_nanos() <= elapsed.as_nanos());
            }
        }
    }

    fn expirations_that_nothing_reads_add_up(host) by "fs/timerfd.c: timerfd_read_iter" {
        let (timer, _epoll) = watched(TimerSetting::every(MS), EventFlags::IN)?;
        // Without high-resolution timers, as on m68k, the kernel counts ticks of up to 10 ms.
        until(host, &mut |host| {
            pause(host, 100 * MS)?;
            Ok(timer.read()? >= 5)
        })?;
    }

    fn the_first_expiration_may_differ_from_the_interval(host) {
        let start = host.now();
        let (timer, epoll) = watched(TimerSetting::after(MS).repeat(HOUR), EventFlags::IN)?;
        ensure_eq!(ready_within(&epoll, LONG)?, READY);
        ensure_eq!(timer.read(), Ok(1));
        let state = timer.get()?;
        ensure_eq!(state.interval, HOUR);
        has_an_hour(host, start, state.remaining)?;
        ensure_eq!(timer.read(), Err(Errno::EAGAIN));
    }

    fn the_time_left_is_from_now_for_a_relative_and_an_absolute_time(host) by "fs/timerfd.c: do_timerfd_gettime" {
        let timer = nonblocking(Clock::MONOTONIC)?;
        let start = host.now();
        for (setting, interval) in [
            (TimerSetting::after(HOUR), Duration::ZERO),
            (TimerSetting::at(start + HOUR), Duration::ZERO),
            (TimerSetting::every(HOUR), HOUR),
            (TimerSetting::after(HOUR).repeat(3 * HOUR + Duration::from_nanos(7)), 3 * HOUR + Duration::from_nanos(7)),
        ] {
            timer.set(setting)?;
            let state = timer.get()?;
            has_an_hour(host, start, state.remaining)?;
            ensure_eq!(state.interval, interval);
            ensure!(timer.get()?.remaining <= state.remaining);
        }
    }

    fn a_disarmed_timer_expires_no_more_and_forgets(host) by "fs/timerfd.c: do_timerfd_settime" {
        let (timer, epoll) = watched(TimerSetting::every(MS), EventFlags::IN)?;
        ensure_eq!(ready_within(&epoll, LONG)?, READY);
        timer.disarm()?;
        ensure_eq!(timer.get(), Ok(TimerState::default()));
        ensure_eq!(timer.read(), Err(Errno::EAGAIN));
        ensure_eq!(ready_within(&epoll, 10 * MS)?, NOTHING);
    }

    fn a_new_setting_replaces_the_old_one_and_what_was_not_read(host) by "fs/timerfd.c: do_timerfd_settime" {
        let (timer, epoll) = watched(TimerSetting::every(MS), EventFlags::IN)?;
        ensure_eq!(ready_within(&epoll, LONG)?, READY);
        timer.set(TimerSetting::after(HOUR))?;
        ensure_eq!(timer.read(), Err(Errno::EAGAIN));
        ensure_eq!(ready_within(&epoll, 10 * MS)?, NOTHING);
        ensure_eq!(timer.get()?.interval, Duration::ZERO);
    }

    fn an_expired_timer_is_ready_until_it_is_read(host) by "fs/timerfd.c: timerfd_poll" {
        let (timer, epoll) = watched(TimerSetting::after(MS), EventFlags::IN)?;
        for _ in 0..3 {
            ensure_eq!(ready_within(&epoll, LONG)?, READY);
        }
        ensure_eq!(timer.read(), Ok(1));
        ensure_eq!(ready(&epoll)?, NOTHING);
    }

    fn an_edge_triggered_timer_is_reported_once_for_each_setting(host) by "fs/timerfd.c: timerfd_triggered" {
        let (timer, epoll) = watched(TimerSetting::after(MS), EventFlags::IN | EventFlags::ET)?;
        for _ in 0..3 {
            ensure_eq!(ready_within(&epoll, LONG)?, READY);
            ensure_eq!(ready_within(&epoll, MS)?, NOTHING);
            // Nothing has read it.
            timer.set(TimerSetting::after(MS))?;
        }
    }

    fn a_timer_is_readable_and_not_writable(host) by "fs/timerfd.c: timerfd_poll" {
        let (_timer, epoll) = watched(TimerSetting::after(MS), EventFlags::all() - EventFlags::EXCLUSIVE - EventFlags::ET)?;
        let found = ready_within(&epoll, LONG)?;
        ensure!(found == READY || found == [(1, EventFlags::IN | EventFlags::RDNORM)]);
    }

    fn a_time_after_2038_is_not_expired_and_keeps_its_distance(host) {
        let [in_2040, in_2100] = [2_208_988_800, 4_102_444_800].map(Duration::from_secs);
        let (first, second) = (nonblocking(Clock::REALTIME)?, nonblocking(Clock::REALTIME)?);
        let epoll = watching(&first, EventFlags::IN)?;
        if has_64_bit_times() {
            let start = host.now();
            first.set(TimerSetting::at(in_2040).repeat(70 * YEAR))?;
            second.set(TimerSetting::at(in_2100))?;
            let (left, interval) = (first.get()?.remaining, first.get()?.interval);
            let distance = second.get()?.remaining.saturating_sub(left);
            let elapsed = host.now() - start + Duration::from_secs(1);
            ensure!(left > Duration::ZERO && left <= in_2040);
            ensure_eq!(interval, 70 * YEAR);
            ensure!(distance <= in_2100 - in_2040 && distance + elapsed >= in_2100 - in_2040);
        } else {
            // A shorter time would be early. The timer stays as it was.
            first.set(TimerSetting::after(HOUR))?;
            let too_long = [
                TimerSetting::at(in_2040),
                TimerSetting::after(70 * YEAR),
                TimerSetting::after(MS).repeat(70 * YEAR),
                TimerSetting::after(Duration::MAX),
            ];
            for setting in too_long {
                ensure_eq!(first.set(setting), Err(Errno::EOVERFLOW));
            }
            ensure!(first.get()?.remaining > HOUR - LONG);
            second.set(TimerSetting::at(Duration::from_secs(i32::MAX as u64)))?;
            ensure!(second.get()?.remaining > Duration::ZERO);
        }
        ensure_eq!(ready_within(&epoll, 5 * MS)?, NOTHING);
        ensure_eq!((first.read(), second.read()), (Err(Errno::EAGAIN), Err(Errno::EAGAIN)));
    }

    fn the_longest_times_do_not_expire(host) {
        for clock in [Clock::MONOTONIC, Clock::REALTIME] {
            let timer = nonblocking(clock)?;
            let epoll = watching(&timer, EventFlags::IN)?;
            for time in [Duration::MAX, Duration::from_secs(i64::MAX as u64), 290 * YEAR] {
                for setting in [TimerSetting::after(time), TimerSetting::at(time), TimerSetting::every(time)] {
                    if has_64_bit_times() {
                        timer.set(setting)?;
                        ensure!(timer.get()?.remaining > 200 * YEAR);
                    }
                    ensure_eq!(ready(&epoll)?, NOTHING);
                    ensure_eq!(timer.read(), Err(Errno::EAGAIN));
                }
            }
        }
    }

    fn an_unknown_timer_flag_is_einval(host) by "fs/timerfd.c: timerfd_create" {
        // One of the two bits is `O_APPEND`. qemu drops bits that are no flag of `open`.
        let flags = TimerFdFlags::CLOEXEC | TimerFdFlags::from_bits_retain(0x408);
        ensure_eq!(TimerFd::new(Clock::MONOTONIC, flags).err(), Some(Errno::EINVAL));
    }

    fn a_clock_without_timers_is_einval(host) by "fs/timerfd.c: timerfd_create" {
        // Processor times of the process and the thread, a coarse clock, and none.
        for number in [2, 3, 6, 1 << 20, u32::MAX] {
            ensure_eq!(nonblocking(Clock::from_raw(number)).err(), Some(Errno::EINVAL));
        }
    }

    fn an_alarm_needs_a_capability(host) by "fs/timerfd.c: timerfd_create" {
        for clock in [Clock::REALTIME_ALARM, Clock::BOOTTIME_ALARM] {
            match nonblocking(clock) {
                Ok(timer) => {
                    // A capability that a sandbox took since is an error too.
                    ensure!(matches!(timer.set(TimerSetting::after(HOUR)), Ok(()) | Err(Errno::EPERM)));
                    ensure!(timer.get()?.remaining <= HOUR);
                }
                // Before Linux 3.11, or a kernel without alarms.
                Err(Errno::EPERM | Errno::EINVAL) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn a_timer_is_closed_on_exec_only_if_asked(host) by "fs/timerfd.c: timerfd_create" {
        ensure!(host.is_close_on_exec(nonblocking(Clock::MONOTONIC)?.as_fd())?);
        ensure!(!host.is_close_on_exec(TimerFd::new(Clock::MONOTONIC, TimerFdFlags::NONBLOCK)?.as_fd())?);
    }

    fn a_dropped_timer_is_closed_and_expires_no_more(host) by "fs/timerfd.c: timerfd_release" {
        let (timer, epoll) = watched(TimerSetting::every(MS), EventFlags::IN)?;
        let fd = timer.as_raw_fd();
        drop(timer);
        ensure!(!super::is_open(fd)?);
        ensure_eq!(ready_within(&epoll, 5 * MS)?, NOTHING);
    }

    fn another_descriptor_taken_for_a_timer_is_einval(host) by "fs/timerfd.c: do_timerfd_settime" {
        let (reader, writer) = host.pipe()?;
        // SAFETY: the literal has three bytes.
        ensure_eq!(unsafe { raw::write(writer.as_raw_fd(), b"abc".as_ptr(), 3) }, Ok(3));
        let timer = TimerFd::from(reader);
        ensure_eq!(timer.set(TimerSetting::after(MS)), Err(Errno::EINVAL));
        ensure_eq!(timer.disarm(), Err(Errno::EINVAL));
        ensure_eq!(timer.get(), Err(Errno::EINVAL));
        ensure_eq!(timer.read(), Err(Errno::EINVAL));
    }

    fn a_timer_to_be_cancelled_is_not_while_nothing_sets_the_clock(host) by "fs/timerfd.c: timerfd_canceled" {
        let in_2037 = TimerSetting::at(Duration::from_secs(2_140_000_000));
        let timer = nonblocking(Clock::REALTIME)?;
        until(host, &mut |_| {
            let is_set = timer.set(in_2037.cancel_on_set()) != Err(Errno::ECANCELED);
            Ok(is_set && timer.read() == Err(Errno::EAGAIN))
        })?;
        // The kernel ignores it for a relative time and for other clocks.
        let (timer, epoll) = watched(TimerSetting::after(MS).cancel_on_set(), EventFlags::IN)?;
        ensure_eq!(ready_within(&epoll, LONG)?, READY);
        ensure_eq!(timer.read(), Ok(1));
    }

    fn the_raw_calls_check_their_arguments(host) by "fs/timerfd.c: do_timerfd_settime" {
        let (timer, eventfd, closed) = (nonblocking(Clock::MONOTONIC)?, counter(0)?, closed_number()?);
        let fd = timer.as_raw_fd();
        if has_64_bit_times() {
            for wrong in [spec(-1, 0), spec(1, -1), spec(1, 1_000_000_000)] {
                ensure_eq!(raw_set(fd, 0, wrong), Err(Errno::EINVAL));
                let interval = Itimerspec { it_interval: wrong.it_value, ..spec(1, 0) };
                ensure_eq!(raw_set(fd, 0, interval), Err(Errno::EINVAL));
            }
            ensure_eq!(raw_set(fd, 1 << 30, spec(1, 0)), Err(Errno::EINVAL));
            ensure_eq!(raw_set(eventfd.as_raw_fd(), 0, spec(1, 0)), Err(Errno::EINVAL));
            ensure_eq!(raw_set(closed, 0, spec(1, 0)), Err(Errno::EBADF));
            ensure_eq!(raw_get(eventfd.as_raw_fd()), Err(Errno::EINVAL));
            ensure_eq!(raw_get(closed), Err(Errno::EBADF));
            ensure_eq!(raw_get(fd), Ok(Itimerspec::default()));
        }
    }

    fn the_raw_calls_with_a_time_at_a_bad_address_are_efault(host) by "fs/timerfd.c: timerfd_settime, timerfd_gettime" {
        let (timer, nowhere) = (nonblocking(Clock::MONOTONIC)?, unmapped_address::<Itimerspec>());
        if has_64_bit_times() {
            // SAFETY: the kernel copies from and to the address, and reports that nothing is there.
            unsafe {
                ensure_eq!(raw::timerfd_settime(timer.as_raw_fd(), 0, nowhere, ptr::null_mut()), Err(Errno::EFAULT));
                ensure_eq!(raw::timerfd_gettime(timer.as_raw_fd(), nowhere), Err(Errno::EFAULT));
            }
            ensure_eq!(timer.get(), Ok(TimerState::default()));
        }
    }

    fn the_raw_call_returns_the_setting_of_before(host) by "fs/timerfd.c: do_timerfd_settime" {
        let timer = nonblocking(Clock::MONOTONIC)?;
        if has_64_bit_times() {
            timer.set(TimerSetting::every(HOUR))?;
            let (new, mut old) = (spec(0, 0), spec(-1, -1));
            // SAFETY: both outlive the call.
            unsafe { raw::timerfd_settime(timer.as_raw_fd(), 0, &new, &mut old)? };
            ensure_eq!(old.it_interval, Timespec { tv_sec: 3600, tv_nsec: 0 });
            ensure!((3000..=3600).contains(&old.it_value.tv_sec) && (0..1_000_000_000).contains(&old.it_value.tv_nsec));
            ensure_eq!(raw_get(timer.as_raw_fd()), Ok(Itimerspec::default()));
        }
    }
}
