//! Builds the conformance program for each target, and runs it under two versions of qemu-user.

use crate::debian::{Cache, Suite};
use crate::kit::progress::{Job, Progress};
use crate::kit::shell::{conformance_limit, run_within};
use crate::machines::conformance::{KnownFault, Run};
use crate::machines::cross;
use crate::machines::targets::Target;
use clap::Args;
use std::hint::spin_loop;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Instant;

/// A version of qemu-user, unpacked.
pub struct Emulator {
    /// `qemu-user 7.2`
    pub name: String,
    programs: PathBuf,
    suffix: &'static str,
    age: Age,
}

/// Each target runs under two versions: an old one without `epoll_pwait2`, and a new one with it.
#[derive(Clone, Copy, PartialEq)]
enum Age {
    Old,
    /// The oldest that supports the vector instructions in LoongArch's baseline.
    OldForLoongArch,
    New,
}

impl Emulator {
    /// Whether this is one of the two versions that run the target.
    pub fn is_for(&self, target: &Target) -> bool {
        let loongarch = target.name.starts_with("loongarch");
        match self.age {
            Age::New => true,
            Age::Old => !loongarch,
            Age::OldForLoongArch => loongarch,
        }
    }

    /// The folder of its programs.
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// The command that runs a program of this target: under the emulator, or directly if the
    /// target has none.
    pub fn command(&self, target: &Target, program: &Path) -> Command {
        let [emulator, arguments @ ..] = target.emulator else { return Command::new(program) };
        let mut command = Command::new(self.program(emulator));
        command.args(arguments).arg(program);
        command
    }

    /// The path of the emulator for a machine, such as `qemu-aarch64`.
    pub fn program(&self, machine: &str) -> PathBuf {
        self.programs.join(format!("{machine}{}", self.suffix))
    }
}

/// A target's runs, one for each emulator.
pub type TargetResult = Result<Vec<Run>, String>;

/// The start of the names of all versions of qemu-user.
const QEMU: &str = "qemu-user ";

/// Faults of these versions of qemu-user. They do not apply to kernels.
pub(super) const KNOWN_FAULTS: &[KnownFault] = &[
    eventfd2_flags("qemu-user 7.2"),
    eventfd2_flags("qemu-user 11."),
    pidfd_open_flags("qemu-user 7.2"),
    pidfd_open_flags("qemu-user 11."),
    wrong_timespec("calls::epoll_pwait2_waits_in_nanoseconds_where_it_exists"),
    wrong_timespec("calls::epoll_pwait2_with_a_time_out_of_range_is_einval_where_it_exists"),
    wrong_timespec("timeouts::every_timeout_finds_what_is_ready_already"),
    wrong_timespec("timeouts::a_fine_wait_is_never_early"),
    wrong_timespec("timeouts::a_fine_or_long_time_that_is_converted_once_is_the_same_in_every_wait"),
    wrong_timespec("timeouts::a_wait_longer_than_i32_max_milliseconds_does_not_end_at_once"),
    wrong_timespec("timeouts::a_wait_until_a_moment_is_never_early"),
    wrong_timespec("timeouts::a_wait_until_any_moment_finds_what_is_ready_already"),
    wrong_timespec("timeouts::an_event_ends_a_wait_until_a_later_moment"),
    wrong_timespec("timers::a_loop_takes_each_timer_at_its_deadline_or_later"),
    wrong_timespec("waker::an_awake_loop_without_wake_ups_waits_until_a_moment"),
    wrong_timespec("spinning::a_fine_wait_of_nothing_is_never_early_and_ends"),
    wrong_timespec("signals::a_full_mask_lets_no_pending_signal_through"),
    wrong_timespec("signals::a_fine_uninterrupted_wait_goes_on_after_a_signal_and_ends_on_time"),
    wrong_timespec("signals::an_event_ends_an_uninterrupted_wait_that_was_interrupted"),
    lost_seconds("timeouts::an_event_ends_a_wait_before_its_time"),
    lost_seconds("signals::a_signal_interrupts_a_fine_wait"),
    lost_seconds("signals::a_signal_interrupts_a_wait_until_a_moment"),
    lost_seconds("signals::a_signal_interrupts_a_masked_wait_that_does_not_mask_it"),
    lost_seconds("signals::an_event_and_no_signal_ends_a_wait_that_masks_all_of_them"),
    lost_seconds("signals::signals_at_any_moment_lose_no_event"),
    missing_signals("signals::each_high_signal_is_blocked_by_its_own_bit"),
    missing_signals("signalfd::one_of_the_highest_signals_is_read"),
    missing_sigemt("signals::each_common_signal_but_two_is_blocked_by_its_own_bit"),
    missing_sigemt("signals::a_full_set_blocks_all_but_kill_and_stop"),
];

/// The checks that fail for every target under every version of qemu-user.
pub fn failing_everywhere() -> impl Iterator<Item = &'static str> {
    let everywhere = |fault: &&KnownFault| fault.on == QEMU && fault.targets.is_empty() && fault.machine.is_empty();
    KNOWN_FAULTS.iter().filter(everywhere).map(|fault| fault.check)
}

/// `signal_table_init` of qemu's linux-user/signal.c gives each signal of the machine one of the
/// host. libc and qemu keep some of the host's real-time signals, so the machine's highest ones get
/// none.
const fn missing_signals(check: &'static str) -> KnownFault {
    let reason = "qemu has no host signal for the highest ones";
    KnownFault { on: QEMU, targets: &[], machine: "", check, reason }
}

/// Since a version between 7.2 and 11.1, qemu has no host signal for SPARC's `SIGEMT`, 7.
const fn missing_sigemt(check: &'static str) -> KnownFault {
    let reason = "qemu has no host signal for SIGEMT";
    KnownFault { on: "qemu-user 11.", targets: &["sparc"], machine: "", check, reason }
}

/// If the machine's flag values differ from the host's, `do_eventfd` and `TARGET_NR_eventfd2` of
/// qemu's linux-user/syscall.c translate NONBLOCK and CLOEXEC and drop all other flags.
const fn eventfd2_flags(on: &'static str) -> KnownFault {
    KnownFault {
        on,
        targets: &["mips", "sparc"],
        machine: "",
        check: "calls::eventfd2_takes_each_of_its_flags_and_no_other",
        reason: "qemu drops the flags of eventfd2 that it does not translate",
    }
}

/// `TARGET_NR_pidfd_open` of qemu's linux-user/syscall.c passes the flags on as they are. The host
/// knows another `PIDFD_NONBLOCK`. MIPS's is the host's `PIDFD_THREAD`, since Linux 6.9.
const fn pidfd_open_flags(on: &'static str) -> KnownFault {
    KnownFault {
        on,
        targets: &["mips", "sparc"],
        machine: "",
        check: "pidfd::a_nonblocking_pidfd_does_not_wait",
        reason: "qemu does not translate the flags of pidfd_open",
    }
}

/// qemu reads the timeout of `epoll_pwait2` with `target_to_host_timespec`, as two longs. It is two
/// 64-bit fields on every machine, so a 32-bit guest's nanoseconds are lost.
const fn wrong_timespec(check: &'static str) -> KnownFault {
    let reason = "qemu reads the timespec of epoll_pwait2 as two 32-bit fields";
    KnownFault { on: "qemu-user 11.", targets: &[], machine: " 32 bits", check, reason }
}

/// The same fault on a big-endian guest. qemu reads the upper half of the seconds, which is zero,
/// so whole seconds are lost too.
const fn lost_seconds(check: &'static str) -> KnownFault {
    KnownFault { machine: "big, 32 bits", ..wrong_timespec(check) }
}

/// How often each program runs, and the load on the machine meanwhile.
#[derive(Args, Clone, Copy, Default)]
pub struct Stress {
    /// Run each target this many times under each emulator
    #[arg(long, value_name = "TIMES", conflicts_with_all = ["everywhere", "only", "kernel", "list"])]
    repeat: Option<NonZeroUsize>,
    /// Keep the machine busy meanwhile with this many busy loops
    #[arg(long, value_name = "LOOPS", conflicts_with_all = ["everywhere", "only", "kernel", "list"])]
    busy: Option<NonZeroUsize>,
}

impl Stress {
    pub fn is_requested(&self) -> bool {
        self.repeat.is_some() || self.busy.is_some()
    }

    /// Calls `run` while the busy loops run.
    fn with_busy_loops<T>(&self, run: impl FnOnce() -> T) -> T {
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..self.busy.map_or(0, NonZeroUsize::get) {
                scope.spawn(|| {
                    while !is_over.load(Relaxed) {
                        spin_loop();
                    }
                });
            }
            let result = run();
            is_over.store(true, Relaxed);
            result
        })
    }
}

/// All emulators, unpacked. Two of them [are for](Emulator::is_for) each target.
pub fn emulators(cache: &Cache) -> Result<Vec<Emulator>, String> {
    Ok(vec![
        Emulator { age: Age::Old, ..emulator(cache, "bookworm", "qemu-user-static", "-static")? },
        Emulator { age: Age::OldForLoongArch, ..emulator(cache, "trixie", "qemu-user", "")? },
        emulator(cache, "testing", "qemu-user", "")?,
    ])
}

/// The emulator of a Debian suite. The names of the package's programs end in `suffix`.
pub fn emulator(cache: &Cache, suite: &'static str, package: &str, suffix: &'static str) -> Result<Emulator, String> {
    let package = cache.package(Suite(suite), crate::debian::host(), package)?;
    // 1:7.2+dfsg-7 → 7.2
    let version = package.version.split(':').next_back().unwrap_or_default();
    let version = version.split(['+', '-']).next().unwrap_or_default();
    let name = format!("qemu-user {version}");
    Ok(Emulator { name, programs: package.dir.join("usr/bin"), suffix, age: Age::New })
}

/// Builds one target after another, and runs each under its emulators while the next builds.
pub fn run_all(
    progress: &Progress,
    cache: &Cache,
    emulators: &[Emulator],
    targets: &[&'static Target],
    stress: &Stress,
) -> Vec<(&'static Target, TargetResult)> {
    let repeat = stress.repeat.map_or(1, NonZeroUsize::get);
    stress.with_busy_loops(|| build_and_run(progress, cache, emulators, targets, repeat))
}

fn build_and_run(
    progress: &Progress,
    cache: &Cache,
    emulators: &[Emulator],
    targets: &[&'static Target],
    repeat: usize,
) -> Vec<(&'static Target, TargetResult)> {
    let (send, receive) = sync_channel::<(&'static Target, Job, Result<PathBuf, String>)>(targets.len().max(1));
    thread::scope(|scope| {
        scope.spawn(move || {
            for target in targets {
                let job = progress.job(target.name);
                job.at("building");
                let compiled = cross::compile_crate(cache, target);
                let built = compiled.and_then(|()| cross::build_bare(cache, target));
                if send.send((target, job, built)).is_err() {
                    return;
                }
            }
        });
        let running: Vec<_> = receive
            .into_iter()
            .map(|(target, job, built)| {
                let answer = scope.spawn(move || {
                    let answer = run_one(target, &job, built, emulators, repeat);
                    let summaries = |runs: &Vec<Run>| runs.iter().map(Run::summary).collect::<Vec<_>>().join(" / ");
                    job.done(&answer.as_ref().map_or("FAILED".into(), summaries));
                    answer
                });
                (target, answer)
            })
            .collect();
        let lost = || Err("the thread that ran the target panicked".to_string());
        running.into_iter().map(|(target, answer)| (target, answer.join().unwrap_or_else(|_| lost()))).collect()
    })
}

fn run_one(
    target: &Target,
    job: &Job,
    built: Result<PathBuf, String>,
    emulators: &[Emulator],
    repeat: usize,
) -> TargetResult {
    let program = built?;
    if target.emulator.is_empty() || !target.links() {
        return Ok(Vec::new());
    }
    job.at("running");
    thread::scope(|scope| {
        let runs: Vec<_> = emulators
            .iter()
            .filter(|emulator| emulator.is_for(target))
            .map(|emulator| {
                let mut command = emulator.command(target, &program);
                let mut run = move || {
                    let start = Instant::now();
                    let output = run_within(&mut command, conformance_limit())?;
                    Run::read(target.name, &emulator.name, &output, start.elapsed().as_secs_f32(), KNOWN_FAULTS)
                };
                scope.spawn(move || (1..repeat).try_fold(run()?, |runs, _| Ok(runs.merge(run()?))))
            })
            .collect();
        let lost = |_| "the thread that ran the emulator panicked".to_string();
        runs.into_iter().map(|run| run.join().map_err(lost)?).collect()
    })
}
