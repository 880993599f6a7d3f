//! Every target of the table, built without libc and run under two versions of qemu-user.

use crate::debian::{Cache, Suite};
use crate::kit::progress::{Job, Progress};
use crate::kit::shell::{limit, run_within};
use crate::machines::conformance::{Known, Run};
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

/// Every target runs on two versions, an old one without `epoll_pwait2` and a new one with it.
#[derive(Clone, Copy, PartialEq)]
enum Age {
    Old,
    /// The oldest that knows the vector instructions in LoongArch's baseline.
    OldForLoongArch,
    New,
}

impl Emulator {
    /// Whether this is one of the two that run the target.
    pub fn serves(&self, target: &Target) -> bool {
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

    /// A program of this target, run by it; by itself where the target has no emulator.
    pub fn command(&self, target: &Target, program: &Path) -> Command {
        let [emulator, arguments @ ..] = target.emulator else { return Command::new(program) };
        let mut command = Command::new(self.program(emulator));
        command.args(arguments).arg(program);
        command
    }

    /// The one for a machine (`qemu-aarch64`).
    pub fn program(&self, machine: &str) -> PathBuf {
        self.programs.join(format!("{machine}{}", self.suffix))
    }
}

/// What a target came to: its runs, one an emulator, or why there is none.
pub type Answer = Result<Vec<Run>, String>;

/// Where these versions of qemu are not a kernel. Nothing here excuses a real one.
const KNOWN: &[Known] = &[
    eventfd2_flags("qemu-user 7.2"),
    eventfd2_flags("qemu-user 11."),
    wrong_timespec("calls::epoll_pwait2_waits_in_nanoseconds_where_it_exists"),
    wrong_timespec("calls::epoll_pwait2_with_a_time_out_of_range_is_einval_where_it_exists"),
    wrong_timespec("timeouts::every_timeout_finds_what_is_ready_already"),
    wrong_timespec("timeouts::a_fine_wait_is_never_early"),
    wrong_timespec("timeouts::a_wait_longer_than_i32_max_milliseconds_does_not_end_at_once"),
    wrong_timespec("spinning::a_fine_wait_of_nothing_is_never_early_and_ends"),
    wrong_timespec("signals::a_full_mask_lets_no_pending_signal_through"),
    wrong_timespec("signals::a_fine_uninterrupted_wait_goes_on_after_a_signal_and_ends_on_time"),
    wrong_timespec("signals::an_event_ends_an_uninterrupted_wait_that_was_interrupted"),
    lost_seconds("timeouts::an_event_ends_a_wait_before_its_time"),
    lost_seconds("signals::a_signal_interrupts_a_fine_wait"),
    lost_seconds("signals::a_signal_interrupts_a_masked_wait_that_does_not_mask_it"),
    lost_seconds("signals::an_event_and_no_signal_ends_a_wait_that_masks_all_of_them"),
    lost_seconds("signals::signals_at_any_moment_lose_no_event"),
];

/// `do_eventfd` and `TARGET_NR_eventfd2` of qemu's linux-user/syscall.c keep NONBLOCK and CLOEXEC and drop what they do not know
/// where the machine's values differ from the host's.
const fn eventfd2_flags(on: &'static str) -> Known {
    Known {
        on,
        targets: &["mips", "sparc"],
        machine: "",
        check: "calls::eventfd2_takes_each_of_its_flags_and_no_other",
        why: "qemu drops the flags of eventfd2 that it does not translate",
    }
}

/// qemu reads the timeout of `epoll_pwait2` by `target_to_host_timespec`, two longs, and not as the two 64-bit fields that it is
/// on every machine: a 32-bit guest's nanoseconds are lost.
const fn wrong_timespec(check: &'static str) -> Known {
    let why = "qemu reads the timespec of epoll_pwait2 as two 32-bit fields";
    Known { on: "qemu-user 11.", targets: &[], machine: " 32 bits", check, why }
}

/// The same on a big-endian guest: what it takes for the seconds is their upper half, which is zero, so that whole seconds are lost.
const fn lost_seconds(check: &'static str) -> Known {
    Known { machine: "big, 32 bits", ..wrong_timespec(check) }
}

/// How often each program runs, and what else the machine does meanwhile.
#[derive(Args, Clone, Copy, Default)]
pub struct Doubts {
    /// Run each target so many times under each emulator
    #[arg(long, value_name = "TIMES", conflicts_with_all = ["everywhere", "only", "kernel", "list"])]
    repeat: Option<NonZeroUsize>,
    /// Keep the machine busy meanwhile, by so many loops that do nothing
    #[arg(long, value_name = "LOOPS", conflicts_with_all = ["everywhere", "only", "kernel", "list"])]
    busy: Option<NonZeroUsize>,
}

impl Doubts {
    pub fn are_asked(&self) -> bool {
        self.repeat.is_some() || self.busy.is_some()
    }

    /// Runs this with the busy loops beside it.
    fn beside<T>(&self, run: impl FnOnce() -> T) -> T {
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..self.busy.map_or(0, NonZeroUsize::get) {
                scope.spawn(|| {
                    while !is_over.load(Relaxed) {
                        spin_loop();
                    }
                });
            }
            let given = run();
            is_over.store(true, Relaxed);
            given
        })
    }
}

/// The emulators, unpacked: of every target, two of them [serve](Emulator::serves) it.
pub fn emulators(cache: &Cache) -> Result<Vec<Emulator>, String> {
    Ok(vec![
        Emulator { age: Age::Old, ..emulator(cache, "bookworm", "qemu-user-static", "-static")? },
        Emulator { age: Age::OldForLoongArch, ..emulator(cache, "trixie", "qemu-user", "")? },
        emulator(cache, "testing", "qemu-user", "")?,
    ])
}

/// The one of a suite of Debian's, in a package whose programs end in a suffix.
pub fn emulator(cache: &Cache, suite: &'static str, package: &str, suffix: &'static str) -> Result<Emulator, String> {
    let package = cache.package(Suite(suite), crate::debian::host(), package)?;
    // 1:7.2+dfsg-7 → 7.2
    let version = package.version.split(':').next_back().unwrap_or_default();
    let version = version.split(['+', '-']).next().unwrap_or_default();
    let name = format!("qemu-user {version}");
    Ok(Emulator { name, programs: package.dir.join("usr/bin"), suffix, age: Age::New })
}

/// Builds one target after another, and runs each under all emulators while the next is built.
pub fn run_all(
    progress: &Progress,
    cache: &Cache,
    emulators: &[Emulator],
    targets: &[&'static Target],
    doubts: &Doubts,
) -> Vec<(&'static Target, Answer)> {
    doubts.beside(|| each(progress, cache, emulators, targets, doubts.repeat.map_or(1, NonZeroUsize::get)))
}

fn each(
    progress: &Progress,
    cache: &Cache,
    emulators: &[Emulator],
    targets: &[&'static Target],
    repeat: usize,
) -> Vec<(&'static Target, Answer)> {
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
        let lost = || Err("the thread that ran it panicked".to_string());
        running.into_iter().map(|(target, answer)| (target, answer.join().unwrap_or_else(|_| lost()))).collect()
    })
}

fn run_one(
    target: &Target,
    job: &Job,
    built: Result<PathBuf, String>,
    emulators: &[Emulator],
    repeat: usize,
) -> Answer {
    let program = built?;
    if target.emulator.is_empty() || !target.runs() {
        return Ok(Vec::new());
    }
    job.at("running");
    thread::scope(|scope| {
        let each: Vec<_> = emulators
            .iter()
            .filter(|version| version.serves(target))
            .map(|version| {
                let mut command = version.command(target, &program);
                let mut run = move || {
                    let start = Instant::now();
                    let output = run_within(&mut command, limit())?;
                    Run::read(target.name, &version.name, &output, start.elapsed().as_secs_f32(), KNOWN)
                };
                scope.spawn(move || (1..repeat).try_fold(run()?, |runs, _| Ok(runs.and(run()?))))
            })
            .collect();
        each.into_iter().map(|run| run.join().map_err(|_| "the thread that ran it panicked".to_string())?).collect()
    })
}
