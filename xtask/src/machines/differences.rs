//! How gVisor and other layers differ from Linux: the failed checks, and what they mean for users.

use super::conformance::{KnownFault, Run};
use crate::kit::report;
use std::sync::LazyLock;

/// A difference from Linux that checks show.
pub struct Difference {
    /// The starts of the names of the layers that have it.
    on: &'static [&'static str],
    promise: Promise,
    pub what: &'static str,
    /// What it means for a program, and how to avoid it.
    advice: &'static str,
    pub checks: &'static [&'static str],
    /// Any other check may fail with this in its message. If empty, none may.
    failure: &'static str,
    /// Whether each of the checks fails in each run. If not, it depends on the order of events.
    pub always: bool,
}

/// Who promises what Linux does.
enum Promise {
    /// A manual page of Linux does.
    Manual,
    /// No document does. Linux does so, and programs may come to rely on it.
    None,
}

impl Difference {
    pub fn applies_to(&self, on: &str) -> bool {
        self.on.iter().any(|start| on.starts_with(start))
    }
}

const GVISOR: &[&str] = &["gVisor 2022", "gVisor 2024"];
const TRACERS: &[&str] = &["strace", "gdb"];

pub const DIFFERENCES: &[Difference] = &[
    Difference {
        on: GVISOR,
        promise: Promise::Manual,
        what: "`pidfd_open` and `pidfd_send_signal` are `ENOSYS`",
        advice: "`PidFd::open` returns an error. Wait for a child by `SIGCHLD` and a `SignalFd`, or in a thread.",
        checks: &[
            "pidfd::a_wait_reports_the_exit_code",
            "pidfd::only_the_lowest_eight_bits_of_an_exit_code_are_reported",
            "pidfd::a_wait_reports_the_signal_that_killed",
            "pidfd::a_wait_waits_until_the_child_has_ended",
            "pidfd::try_wait_is_none_until_the_child_has_ended",
            "pidfd::a_child_that_ended_before_it_was_opened_is_waited_for",
            "pidfd::a_pidfd_is_readable_once_the_process_has_ended_and_not_before",
            "pidfd::a_pidfd_stays_readable_after_the_process_was_reaped",
            "pidfd::the_end_of_a_child_reaches_an_edge_triggered_epoll_once",
            "pidfd::each_of_two_children_has_its_own_end",
            "pidfd::signal_0_tests_the_process_and_sends_nothing",
            "pidfd::a_process_that_has_ended_takes_signals_until_it_is_reaped",
            "pidfd::a_signal_that_is_none_is_einval",
            "pidfd::a_number_that_is_no_process_is_an_error",
            "pidfd::a_second_wait_is_echild",
            "pidfd::a_wait_for_a_process_that_is_no_child_is_echild",
            "pidfd::another_descriptor_taken_for_a_pidfd_is_ebadf",
            "pidfd::a_nonblocking_pidfd_does_not_wait",
            "pidfd::an_unknown_pidfd_flag_is_einval",
            "pidfd::a_pidfd_is_closed_on_exec",
            "pidfd::a_dropped_pidfd_is_closed_and_its_process_lives",
            "pidfd::waitid_takes_each_of_its_kinds",
            "pidfd::waitid_without_an_end_to_report_writes_no_process",
        ],
        failure: "",
        always: true,
    },
    Difference {
        on: GVISOR,
        promise: Promise::Manual,
        what: "`EXCLUSIVE` is accepted with any flags and in `modify`, and is ignored",
        advice: "A program that relies on its errors sees none. An `InterestSet` is unaffected.",
        checks: &[
            "triggers::exclusive_goes_with_six_flags_and_no_other",
            "triggers::modify_to_exclusive_or_of_exclusive_is_einval",
            "triggers::exclusive_on_an_epoll_is_einval",
            "interest_set::exclusive_comes_and_goes",
            "interest_set::a_refused_change_keeps_no_later_one_back",
        ],
        failure: "",
        always: true,
    },
    Difference {
        on: GVISOR,
        promise: Promise::Manual,
        what: "epolls nest more than five deep",
        advice: "A program that does so fails on Linux.",
        checks: &["nested::a_source_below_five_epolls_is_watched_and_below_six_refused"],
        failure: "",
        always: true,
    },
    Difference {
        on: GVISOR,
        promise: Promise::None,
        what: "one event wakes all epolls that watch by `EXCLUSIVE`",
        advice: "Correct, but slow: all workers wake and one accepts. Give each worker a socket of its own by `SO_REUSEPORT`.",
        checks: &[
            "triggers::one_of_two_exclusive_epolls_wakes_for_one_write",
            "triggers::one_write_wakes_some_of_four_exclusive_epolls_and_not_all",
        ],
        failure: "",
        always: true,
    },
    Difference {
        on: GVISOR,
        promise: Promise::Manual,
        what: "no `RDHUP` of a Unix socket whose peer shut down writing, if the interest is `RDHUP` alone",
        advice: "A loop that waits for `RDHUP` alone sleeps forever. Ask for `IN` too, and take a read of 0 bytes for the end.",
        checks: &[
            "readiness::rdhup_is_reported_only_if_asked",
            "readiness::whatever_ends_a_read_is_readable",
        ],
        failure: "",
        always: true,
    },
    Difference {
        on: GVISOR,
        promise: Promise::None,
        what: "no `HUP` of a Unix socket that both sides shut down",
        advice: "Take a read of 0 bytes for the end.",
        checks: &[
            "readiness::a_shutdown_in_both_directions_is_hup",
        ],
        failure: "",
        always: true,
    },
    Difference {
        on: &["gVisor 2022"],
        promise: Promise::Manual,
        what: "no `RDHUP` and `HUP` of a Unix socket whose peer shut down or closed, and no `ERR` of a pipe whose reader closed",
        advice: "A loop that waits for these alone sleeps forever. Ask for `IN` or `OUT` too. A read of 0 bytes or `EPIPE` tells the end.",
        checks: &[
            "readiness::a_peer_that_shuts_down_writing_is_rdhup",
            "readiness::a_peer_that_closes_is_rdhup_and_hup",
            "readiness::a_hang_up_and_an_error_are_reported_unasked",
            "readiness::whatever_ends_a_write_is_writable",
        ],
        failure: "",
        always: true,
    },
    Difference {
        on: GVISOR,
        promise: Promise::None,
        what: "no `WRBAND` of a Unix socket",
        advice: "Ask for `OUT`.",
        checks: &[
            "readiness::a_socket_is_writable_by_all_three_names",
        ],
        failure: "",
        always: true,
    },
    Difference {
        on: GVISOR,
        promise: Promise::None,
        what: "a wait into a bad address loses the events",
        advice: "After `EFAULT`, an edge-triggered event does not come again. Only `raw` can pass a bad address.",
        checks: &[
            "calls::epoll_wait_into_a_bad_address_is_efault_and_loses_nothing",
        ],
        failure: "",
        always: true,
    },
    Difference {
        on: GVISOR,
        promise: Promise::None,
        what: "`epoll_pwait2` and `timerfd_settime` accept times out of range",
        advice: "The error is missing. The safe functions pass no such time.",
        checks: &[
            "calls::epoll_pwait2_with_a_time_out_of_range_is_einval_where_it_exists",
            "timerfd::the_raw_calls_check_their_arguments",
        ],
        failure: "",
        always: true,
    },
    Difference {
        on: GVISOR,
        promise: Promise::Manual,
        what: "timers that are cancelled if the clock is set are `EINVAL`",
        advice: "Set the timer without `cancel_on_set`, and for a relative time.",
        checks: &[
            "timerfd::a_timer_to_be_cancelled_is_not_while_nothing_sets_the_clock",
        ],
        failure: "",
        always: true,
    },
    Difference {
        on: GVISOR,
        promise: Promise::Manual,
        what: "a `SignalFd` returns one signal a read",
        advice: "Read until `EAGAIN`.",
        checks: &[
            "signalfd::one_read_takes_every_pending_signal_from_the_lowest",
            "signalfd::a_standard_signal_is_pending_once_and_a_real_time_signal_queues",
            "signalfd::an_edge_triggered_epoll_reports_each_new_signal_once",
            "signalfd::an_info_has_the_value_that_was_sent_with_its_signal",
        ],
        failure: "",
        always: true,
    },
    Difference {
        on: GVISOR,
        promise: Promise::Manual,
        what: "a changed set of a `SignalFd` wakes no epoll, and the raw call returns 0 instead of the descriptor",
        advice: "Read once after each change of the set.",
        checks: &[
            "signalfd::an_epoll_learns_that_a_changed_set_has_a_pending_signal",
            "signalfd::signalfd4_changes_a_descriptor_and_returns_it",
        ],
        failure: "",
        always: true,
    },
    Difference {
        on: GVISOR,
        promise: Promise::None,
        what: "a masked wait runs the handler of a pending signal even if an event is ready",
        advice: "A handler may run although the wait returned an event.",
        checks: &[
            "signals::a_pending_signal_stays_pending_where_a_masked_wait_need_not_sleep",
        ],
        failure: "",
        always: true,
    },
    Difference {
        on: GVISOR,
        promise: Promise::None,
        what: "`modify` and `delete` of a directory are `ENOENT`, not `EPERM`",
        advice: "Take both for \"not watched\".",
        checks: &[
            "interest::a_directory_is_eperm",
        ],
        failure: "",
        always: true,
    },
    // Each signal stops a traced process. So one that has no handler, such as the end of a child,
    // ends a wait too. The signal comes at a random moment.
    Difference {
        on: TRACERS,
        promise: Promise::None,
        what: "a signal without a handler ends a wait",
        advice: "A wait ends by `EINTR` more often, by the end of a child for example. Repeat it, or use `wait_uninterrupted`.",
checks: &[],
        failure: "EINTR",
        always: false,
    },
    // The end of a traced process wakes those who wait for it once for its tracer, and once more
    // when the tracer has seen it.
    Difference {
        on: TRACERS,
        promise: Promise::None,
        what: "the end of a child is reported late, or twice to an edge-triggered epoll",
        advice: "After an event, `try_wait` may return `None`. Wait for the next one.",
        checks: &["pidfd::the_end_of_a_child_reaches_an_edge_triggered_epoll_once", "pidfd::waitid_takes_each_of_its_kinds"],
        failure: "",
        always: false,
    },
];

/// The differences, one for each layer and check.
pub fn known() -> &'static [KnownFault] {
    static KNOWN: LazyLock<Vec<KnownFault>> = LazyLock::new(|| {
        let one = |difference: &'static Difference| {
            let checks = move |on| {
                let fault = move |check: &&'static str| KnownFault {
                    on,
                    targets: &[],
                    machine: "",
                    check,
                    reason: difference.what,
                };
                difference.checks.iter().map(fault)
            };
            difference.on.iter().flat_map(move |on| checks(*on))
        };
        DIFFERENCES.iter().flat_map(one).collect()
    });
    &KNOWN
}

/// Takes the failures for known that a difference explains by their message.
pub fn explain(run: &mut Run) {
    let differences = || DIFFERENCES.iter().filter(|difference| !difference.failure.is_empty());
    for check in run.checks.iter_mut().filter(|check| check.known.is_none()) {
        let Some(failure) = &check.failure else { continue };
        let explains =
            |difference: &&Difference| difference.applies_to(&run.on) && failure.contains(difference.failure);
        check.known = differences().find(explains).map(|difference| difference.what.into());
    }
}

/// The table of differences in docs/testing.md.
pub fn table() -> String {
    let rows = DIFFERENCES.iter().map(|difference| {
        let promise = match difference.promise {
            Promise::Manual => "its manual",
            Promise::None => "nothing",
        };
        let count = difference.checks.len();
        let checks = if difference.failure.is_empty() { count.to_string() } else { "some".into() };
        vec![difference.on.join(", "), difference.what.into(), difference.advice.into(), promise.into(), checks]
    });
    report::markdown(&["on", "difference from Linux", "what it means for a program", "promised by", "checks"], rows)
}
