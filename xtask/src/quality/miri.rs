//! `cargo xtask miri-port`: tests the port for Miri, `src/arch/through_libc.rs`, without Miri. With
//! `--cfg barepoll_libc`, the crate makes its calls by C functions natively too.
//!
//! Miri comes with rustup's nightly toolchains only, and not every machine reaches those. So this
//! runs no Miri. `tests/oracles.rs` compares the functions with the names in Miri's source.

use crate::debian::Cache;
use crate::kit::progress::Progress;
use crate::kit::shell::{cargo, conformance_limit, last_lines, root, run, run_within, LAST_LINES};
use crate::machines::cross;
use crate::machines::targets::{Target, TARGETS};
use crate::programs::with_std;
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

/// The flag that chooses the port.
const FLAG: &str = "--cfg=barepoll_libc";
/// The flag of Miri itself.
const MIRI_FLAG: &str = "--cfg=miri";

/// The conformance list, and the tests with threads and histories.
const TEST_FILES: [&str; 4] = ["native", "waker", "interest_set", "concurrent_changes"];
const TARGET_32_BITS: &str = "i686-unknown-linux-gnu";
/// The targets whose code is searched for assembly. x86_64's comes from another crate.
const SEARCHED: [&str; 2] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];
/// Inline assembly, in LLVM's language.
const ASSEMBLY: &str = " asm ";
/// `core::hint::black_box` of a value and of nothing, which Miri has. Only the program that calls
/// the crate uses it.
const BLACK_BOX: [&str; 2] = [r#" asm sideeffect "", "r,~{memory}""#, r#" asm sideeffect "", "~{memory}""#];

/// Miri has no `epoll_pwait`, so a wait with a signal mask is `ENOSYS`. These checks make one. A
/// check of registers makes every call, and says which failed.
const MASKED: &[&str] = &[
    "buffers::a_buffer_of_one_takes_one",
    "calls::epoll_pwait_takes_its_mask",
    "calls::epoll_pwait_with_a_mask_at_a_bad_address_is_efault",
    "registers::a_carry_survives_a_call",
    "registers::a_counted_loop_of_calls_ends_when_it_should",
    "registers::a_quotient_survives_a_call",
    "registers::a_vector_of_zeroes_survives_a_call",
    "registers::conditions_survive_a_call",
    "registers::two_dozen_floating_point_values_survive_a_call",
    "registers::two_dozen_values_survive_a_call",
    "registers::vectors_survive_a_call",
    "registers::what_vector_loops_share_survives_the_calls_between_them",
    "registers::wide_products_survive_a_call",
    "signals::a_fine_wait_masks_a_signal_above_32_by_its_own_bit",
    "signals::a_full_mask_holds_signals_back_until_the_wait_is_over",
    "signals::a_full_mask_is_gone_after_the_wait",
    "signals::a_full_mask_lets_no_pending_signal_through",
    "signals::a_mask_is_of_those_signals_that_are_in_it",
    "signals::a_mask_of_a_signal_above_32_masks_none_below",
    "signals::a_pending_signal_stays_pending_where_a_masked_wait_need_not_sleep",
    "signals::a_signal_above_32_is_masked_by_its_own_bit",
    "signals::a_signal_interrupts_a_masked_wait_that_does_not_mask_it",
    "signals::an_empty_mask_lets_a_pending_signal_through",
    "signals::an_event_and_no_signal_ends_a_wait_that_masks_all_of_them",
    "signals::signals_at_any_moment_lose_no_event",
    "signals::the_mask_of_before_is_back_after_an_event_and_after_a_timeout",
    "signals::the_mask_of_before_is_back_after_an_interruption",
    "timeouts::a_fine_or_long_time_that_is_converted_once_is_the_same_in_every_wait",
    "timeouts::a_fine_wait_is_never_early",
    "timeouts::a_time_that_is_converted_once_is_the_same_in_every_wait",
    "timeouts::a_timeout_of_zero_does_not_wait",
    "timeouts::a_wait_longer_than_i32_max_milliseconds_does_not_end_at_once",
    "timeouts::a_wait_of_whole_milliseconds_is_never_early",
    "timeouts::an_event_ends_a_wait_before_its_time",
    "timeouts::every_timeout_finds_what_is_ready_already",
    "timeouts::no_timeout_waits_for_an_event_whatever_the_call",
];
/// The checks of `barepoll::syscall`, of signalfds and of the thread's mask, whose calls have no
/// function in the port.
const OTHER_CALLS: &[&str] = &[
    "signalfd::a_blocked_signal_is_read_and_is_then_no_longer_pending",
    "signalfd::a_blocking_read_waits_for_a_signal",
    "signalfd::a_buffer_of_one_takes_one_signal",
    "signalfd::a_changed_set_is_of_the_new_signals_alone",
    "signalfd::a_signal_above_32_is_read_by_its_own_bit",
    "signalfd::a_signal_that_is_not_in_the_set_stays_pending",
    "signalfd::a_signalfd_of_a_set_at_a_bad_address_is_an_error",
    "signalfd::a_signalfd_takes_each_of_its_flags_and_no_other",
    "signalfd::a_standard_signal_is_pending_once_and_a_real_time_signal_queues",
    "signalfd::a_wait_on_a_signalfd_is_not_interrupted_by_its_signal",
    "signalfd::an_edge_triggered_epoll_reports_each_new_signal_once",
    "signalfd::an_empty_buffer_is_einval_and_takes_nothing",
    "signalfd::an_epoll_learns_that_a_changed_set_has_a_pending_signal",
    "signalfd::an_epoll_reports_a_signalfd_while_a_signal_is_pending",
    "signalfd::an_info_has_the_value_that_was_sent_with_its_signal",
    "signalfd::an_info_names_the_process_that_sent_its_signal",
    "signalfd::another_descriptor_taken_for_a_signalfd_gives_errors",
    "signalfd::dropping_a_signalfd_leaves_its_signals_blocked_and_pending",
    "signalfd::one_of_the_highest_signals_is_read",
    "signalfd::one_read_takes_every_pending_signal_from_the_lowest",
    "signalfd::signalfd4_changes_a_descriptor_and_returns_it",
    "signalfd::the_kernel_leaves_kill_and_stop_out_of_a_full_signalfd",
    "signals::a_full_set_blocks_all_but_kill_and_stop",
    "signals::a_pending_signals_handler_runs_before_unblocking_it_returns",
    "signals::a_signal_between_a_loops_check_and_its_masked_wait_is_not_lost",
    "signals::a_signal_interrupts_a_read_of_a_signalfd_of_others",
    "signals::blocking_adds_to_the_mask_and_unblocking_removes_from_it",
    "signals::each_common_signal_but_two_is_blocked_by_its_own_bit",
    "signals::each_high_signal_is_blocked_by_its_own_bit",
    "signals::rt_sigprocmask_of_a_set_at_a_bad_address_is_efault",
    "signals::rt_sigprocmask_returns_the_kernels_errors",
    "syscalls::a_64_bit_argument_arrives",
    "syscalls::an_argument_keeps_its_value",
    "syscalls::calls_without_arguments_answer",
    "syscalls::five_arguments_arrive",
    "syscalls::one_argument_arrives",
    "syscalls::six_arguments_arrive",
    "syscalls::three_arguments_arrive",
    "syscalls::two_arguments_arrive",
];
/// The checks of pidfds, whose calls have no function in the port either.
const PIDFDS: &[&str] = &[
    "pidfd::a_child_that_ended_before_it_was_opened_is_waited_for",
    "pidfd::a_dropped_pidfd_is_closed_and_its_process_lives",
    "pidfd::a_nonblocking_pidfd_does_not_wait",
    "pidfd::a_number_that_is_no_process_is_an_error",
    "pidfd::a_pidfd_is_closed_on_exec",
    "pidfd::a_pidfd_is_readable_once_the_process_has_ended_and_not_before",
    "pidfd::a_pidfd_stays_readable_after_the_process_was_reaped",
    "pidfd::a_process_that_has_ended_takes_signals_until_it_is_reaped",
    "pidfd::a_second_wait_is_echild",
    "pidfd::a_signal_that_is_none_is_einval",
    "pidfd::a_wait_for_a_process_that_is_no_child_is_echild",
    "pidfd::a_wait_reports_the_exit_code",
    "pidfd::a_wait_reports_the_signal_that_killed",
    "pidfd::a_wait_waits_until_the_child_has_ended",
    "pidfd::an_unknown_pidfd_flag_is_einval",
    "pidfd::another_descriptor_taken_for_a_pidfd_is_ebadf",
    "pidfd::each_of_two_children_has_its_own_end",
    "pidfd::only_the_lowest_eight_bits_of_an_exit_code_are_reported",
    "pidfd::signal_0_tests_the_process_and_sends_nothing",
    "pidfd::the_end_of_a_child_reaches_an_edge_triggered_epoll_once",
    "pidfd::try_wait_is_none_until_the_child_has_ended",
    "pidfd::waitid_of_an_unknown_kind_or_without_options_is_einval",
    "pidfd::waitid_takes_each_of_its_kinds",
    "pidfd::waitid_without_an_end_to_report_writes_no_process",
];
/// The checks of timers, which Miri lacks.
const TIMERS: &[&str] = &[
    "timerfd::a_blocking_read_waits_for_the_expiration",
    "timerfd::a_clock_without_timers_is_einval",
    "timerfd::a_disarmed_timer_expires_no_more_and_forgets",
    "timerfd::a_dropped_timer_is_closed_and_expires_no_more",
    "timerfd::a_new_setting_replaces_the_old_one_and_what_was_not_read",
    "timerfd::a_new_timer_is_disarmed",
    "timerfd::a_nonblocking_read_before_the_expiration_is_eagain",
    "timerfd::a_time_after_2038_is_not_expired_and_keeps_its_distance",
    "timerfd::a_time_in_the_past_expires_at_once",
    "timerfd::a_time_of_zero_expires_at_once_and_does_not_disarm",
    "timerfd::a_timer_for_a_time_of_its_clock_is_never_early",
    "timerfd::a_timer_is_closed_on_exec_only_if_asked",
    "timerfd::a_timer_is_never_early",
    "timerfd::a_timer_is_readable_and_not_writable",
    "timerfd::a_timer_to_be_cancelled_is_not_while_nothing_sets_the_clock",
    "timerfd::an_alarm_needs_a_capability",
    "timerfd::an_edge_triggered_timer_is_reported_once_for_each_setting",
    "timerfd::an_expired_timer_is_ready_until_it_is_read",
    "timerfd::an_interval_counts_expirations_and_none_too_many",
    "timerfd::an_unknown_timer_flag_is_einval",
    "timerfd::another_descriptor_taken_for_a_timer_is_einval",
    "timerfd::expirations_that_nothing_reads_add_up",
    "timerfd::the_first_expiration_may_differ_from_the_interval",
    "timerfd::the_longest_times_do_not_expire",
    "timerfd::the_raw_call_returns_the_setting_of_before",
    "timerfd::the_raw_calls_check_their_arguments",
    "timerfd::the_raw_calls_with_a_time_at_a_bad_address_are_efault",
    "timerfd::the_time_left_is_from_now_for_a_relative_and_an_absolute_time",
];
/// The examples in the documentation that make a wait with a mask.
const MASKED_EXAMPLES: &[&str] = &["src/epoll.rs - epoll::Epoll::wait_masked", "src/raw.rs - raw::epoll_pwait"];
/// The examples of the same calls.
const OTHER_EXAMPLES: &[&str] = &[
    "src/flags.rs - flags::SignalFdFlags",
    "src/raw.rs - raw::rt_sigprocmask",
    "src/raw.rs - raw::signalfd4",
    "src/signal.rs - signal::SigSet",
    "src/signal.rs - signal::SigSet::block",
    "src/signal.rs - signal::SigSet::set_thread_mask",
    "src/signal.rs - signal::SigSet::thread_mask",
    "src/signal.rs - signal::SigSet::unblock",
    "src/signalfd.rs - signalfd::SignalFd",
    "src/signalfd.rs - signalfd::SignalFd::new",
    "src/signalfd.rs - signalfd::SignalFd::read",
    "src/signalfd.rs - signalfd::SignalFd::set",
    "src/signalfd.rs - signalfd::SignalInfo",
    "src/syscall.rs - syscall",
    "src/syscall.rs - syscall::syscall",
    "src/syscall.rs - syscall::syscall0",
    "src/syscall.rs - syscall::syscall4",
    "src/syscall.rs - syscall::syscall5",
];
/// The examples of timers.
const TIMER_EXAMPLES: &[&str] = &[
    "src/flags.rs - flags::TimerFdFlags",
    "src/raw.rs - raw::timerfd_create",
    "src/raw.rs - raw::timerfd_gettime",
    "src/raw.rs - raw::timerfd_settime",
    "src/timerfd.rs - timerfd::Clock",
    "src/timerfd.rs - timerfd::TimerFd",
    "src/timerfd.rs - timerfd::TimerFd::disarm",
    "src/timerfd.rs - timerfd::TimerFd::get",
    "src/timerfd.rs - timerfd::TimerFd::new",
    "src/timerfd.rs - timerfd::TimerFd::read",
    "src/timerfd.rs - timerfd::TimerFd::set",
    "src/timerfd.rs - timerfd::TimerSetting::after",
    "src/timerfd.rs - timerfd::TimerSetting::at",
    "src/timerfd.rs - timerfd::TimerSetting::cancel_on_set",
    "src/timerfd.rs - timerfd::TimerSetting::every",
    "src/timerfd.rs - timerfd::TimerSetting::repeat",
    "src/timerfd.rs - timerfd::TimerState",
];

/// The examples of pidfds.
const PIDFD_EXAMPLES: &[&str] = &[
    "src/child.rs - child::ChildStatus",
    "src/child.rs - child::Siginfo",
    "src/flags.rs - flags::PidFdFlags",
    "src/pidfd.rs - pidfd::PidFd",
    "src/pidfd.rs - pidfd::PidFd::open",
    "src/pidfd.rs - pidfd::PidFd::send_signal",
    "src/pidfd.rs - pidfd::PidFd::try_wait",
    "src/pidfd.rs - pidfd::PidFd::wait",
    "src/pidfd.rs - pidfd::PidFd::with_flags",
    "src/raw.rs - raw::pidfd_open",
    "src/raw.rs - raw::pidfd_send_signal",
    "src/raw.rs - raw::waitid",
];

/// A part of the message of a known failure.
const KNOWN_MESSAGES: [&str; 2] = ["ENOSYS", ": wait_masked: "];

/// How many checks passed, in all builds together.
pub fn run_checks(progress: &Progress, cache: &Cache) -> Result<usize, String> {
    let answer = progress.checks("port for Miri", |job| {
        job.at("checking the code that Miri interprets");
        check_miri_cfg()?;
        let mut all = 0;
        for target in SEARCHED {
            job.at(&format!("searching its code for assembly, {target}"));
            all += search_assembly(cache, target).map_err(|why| format!("{target}: {why}"))?;
        }
        for mut build in builds(cache)? {
            job.at(build.name);
            let output = run_within(&mut build.command, conformance_limit())?;
            all += compare(&output, build.programs, &build.known).map_err(|why| format!("{}: {why}", build.name))?;
        }
        Ok(all)
    });
    answer.map_err(|why| format!("miri-port: {why}"))
}

/// Compiles the crate as for Miri, without a warning.
fn check_miri_cfg() -> Result<(), String> {
    for features in ["", "std"] {
        let mut check = with_flag("check", "miri", &format!("{MIRI_FLAG} -Dwarnings"));
        run(check.args(["--features", features]))?;
    }
    Ok(())
}

/// A native cargo command with flags for all packages, which has a target directory of its own.
fn with_flag(verb: &str, folder: &str, flags: &str) -> Command {
    let mut cargo = cargo();
    cargo.args([verb, "--locked", "--target-dir"]).arg(root().join("target").join(folder));
    cargo.env("RUSTFLAGS", flags).env_remove("CARGO_ENCODED_RUSTFLAGS");
    cargo
}

/// The options that give the flag to these packages only, so that cargo compiles `core` once for
/// builds with and without it.
fn with_flag_for(cargo: &mut Command, profile: &str, packages: &[&str]) {
    cargo.arg("-Zprofile-rustflags");
    for package in packages {
        cargo.arg("--config").arg(format!(r#"profile.{profile}.package.{package}.rustflags=["{FLAG}"]"#));
    }
}

/// A build of the tests.
struct Build {
    name: &'static str,
    command: Command,
    /// How many test programs it runs.
    programs: usize,
    /// The tests that fail in it.
    known: Vec<&'static str>,
}

fn builds(cache: &Cache) -> Result<Vec<Build>, String> {
    let mut native = with_flag("test", "libc", FLAG);
    native.arg("--no-fail-fast").args(TEST_FILES.iter().flat_map(|file| ["--test", file]));
    let mut examples = with_flag("test", "libc", FLAG);
    examples.arg("--doc");
    let target = with_std::TARGETS.iter().find(|target| target.name == TARGET_32_BITS);
    let target =
        target.ok_or_else(|| format!("there is no target {TARGET_32_BITS} in xtask/src/programs/with_std.rs"))?;
    let mut narrow = with_std::cargo_native(cache, target, &["test", "-Zbuild-std", "--test", "native"])?;
    with_flag_for(&mut narrow, "dev", &["barepoll"]);
    Ok(vec![
        Build {
            name: "native",
            command: native,
            programs: TEST_FILES.len(),
            known: [MASKED, OTHER_CALLS, PIDFDS, TIMERS].concat(),
        },
        Build {
            name: "examples",
            command: examples,
            programs: 1,
            known: [MASKED_EXAMPLES, OTHER_EXAMPLES, PIDFD_EXAMPLES, TIMER_EXAMPLES].concat(),
        },
        Build { name: "32 bits", command: narrow, programs: 1, known: [MASKED, OTHER_CALLS, PIDFDS, TIMERS].concat() },
    ])
}

/// Compares the failed tests in cargo's output with the known ones. Returns how many passed.
///
/// Cargo's exit status does not count: it fails because of the known ones.
fn compare(output: &str, programs: usize, known: &[&str]) -> Result<usize, String> {
    let closing = |line: &str| line.trim().strip_prefix("test result: ").map(str::to_string);
    let count = |line: &str, unit: &str| {
        let before = line.split(unit).next()?;
        before.trim().rsplit(' ').next()?.parse::<usize>().ok()
    };
    let closings: Vec<String> = output.lines().filter_map(closing).collect();
    let sum = |unit: &str| closings.iter().map(|line| count(line, unit).unwrap_or_default()).sum::<usize>();
    let (passed, failures) = (sum(" passed"), failures(output));
    if passed == 0 || closings.len() != programs || failures.len() != sum(" failed") {
        let lines = last_lines(output.lines(), LAST_LINES);
        return Err(format!("the tests did not run to their end; their last lines:\n{lines}"));
    }
    let mut wrong = Vec::new();
    for (name, message) in &failures {
        if !known.contains(&name.as_str()) {
            wrong.push(format!("{name} failed, but is not listed in xtask/src/quality/miri.rs: {message}"));
        } else if !KNOWN_MESSAGES.iter().any(|known| message.contains(known)) {
            wrong.push(format!("{name} failed for another reason than the listed one: {message}"));
        }
    }
    let passes = known.iter().filter(|name| !failures.contains_key(**name));
    wrong.extend(passes.map(|name| format!("{name} did not fail; remove it from xtask/src/quality/miri.rs")));
    if wrong.is_empty() {
        Ok(passed)
    } else {
        Err(wrong.join("\n"))
    }
}

/// The failed tests in the output of libtest or libtest-mimic, with their messages. An example's
/// name is without its line.
fn failures(output: &str) -> BTreeMap<String, String> {
    let mut failures = BTreeMap::new();
    for block in output.split("\n---- ").skip(1) {
        let Some((title, rest)) = block.split_once(" ----\n").or_else(|| block.split_once("----\n")) else { continue };
        let name = title.trim_end_matches(" stdout").split(" (line").next().unwrap_or(title);
        let message = rest.split("\n\nfailures:\n").next().unwrap_or(rest);
        failures.insert(name.to_string(), message.trim().to_string());
    }
    failures
}

/// Checks that no code of the crate reaches assembly with the flag, and that it does without it.
/// Returns how many packages were searched.
fn search_assembly(cache: &Cache, name: &str) -> Result<usize, String> {
    let target = TARGETS.iter().find(|target| target.name == name);
    let target = target.ok_or_else(|| format!("there is no target {name} in xtask/src/machines/targets.rs"))?;
    // The second has every function of the crate, with those that compile in their caller.
    let packages = ["barepoll", "symbols"];
    let code = |has_flag: bool| -> Result<String, String> {
        packages.iter().map(|package| llvm_ir(cache, target, package, has_flag)).collect()
    };
    let (with, without) = (code(true)?, code(false)?);
    let is_assembly = |line: &&str| line.contains(ASSEMBLY) && !BLACK_BOX.iter().any(|known| line.contains(known));
    if let Some(line) = with.lines().find(is_assembly) {
        return Err(format!("with {FLAG}, code of the crate reaches assembly:\n{}", line.trim()));
    }
    let has_instruction = without.lines().any(|line| is_assembly(&line));
    for (has, what) in [(with.contains("@epoll_wait("), "the call"), (has_instruction, "the instruction")] {
        if !has {
            return Err(format!("the compiled functions do not contain {what} that this check is about"));
        }
    }
    Ok(packages.len())
}

/// The optimised code of a library, in LLVM's language.
fn llvm_ir(cache: &Cache, target: &Target, package: &str, has_flag: bool) -> Result<String, String> {
    let folder = tempfile::tempdir().map_err(|error| format!("cannot create a temporary folder: {error}"))?;
    let file = folder.path().join("code.ll");
    let mut rustc = cross::cargo(cache, target, "rustc")?;
    if has_flag {
        with_flag_for(&mut rustc, "release", &["barepoll"]);
    }
    rustc.args(["-p", package, "--lib", "--crate-type", "rlib", "--", "--emit"]);
    run(rustc.arg(format!("llvm-ir={}", file.display())))?;
    fs::read_to_string(&file).map_err(|error| format!("the compiler wrote no code of {package}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "running 3 tests\n\nfailures:\n\n---- a::b ----\nx.rs:1: Err(ENOSYS), not Ok(0)\n\n\
        ---- src/c.rs - d (line 7) stdout ----\nENOSYS\n\n\nfailures:\n    a::b\n    src/c.rs - d (line 7)\n\n\
        test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s\n";

    #[test]
    fn known_failures_are_compared_with_those_that_occur() {
        assert_eq!(compare(OUTPUT, 1, &["a::b", "src/c.rs - d"]), Ok(1));
        let wrong = |known: &[&str], output: &str| compare(output, 1, known).expect_err("it differs");
        assert!(wrong(&["a::b"], OUTPUT).contains("src/c.rs - d failed, but is not listed"));
        assert!(wrong(&["a::b", "src/c.rs - d", "e::f"], OUTPUT).contains("e::f did not fail"));
        let other = OUTPUT.replace("Err(ENOSYS)", "Err(EBADF)");
        assert!(wrong(&["a::b", "src/c.rs - d"], &other).contains("a::b failed for another reason"));
        let cut = OUTPUT.replace("---- a::b", "a::b");
        assert!(wrong(&["a::b", "src/c.rs - d"], &cut).contains("did not run to their end"));
        let two = compare(OUTPUT, 2, &["a::b", "src/c.rs - d"]).expect_err("one program has no result");
        assert!(two.contains("did not run to their end"));
    }
}
