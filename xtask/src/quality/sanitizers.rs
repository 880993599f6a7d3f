//! `cargo xtask sanitizers`: runs programs under MemorySanitizer and ThreadSanitizer, which know of
//! a system call only what the crate tells them.
//!
//! The conformance list and the right programs of `test-crates/sanitized` must run without a
//! report. The wrong ones must be reported. In a copy of the repository whose crate tells nothing,
//! the right ones must be reported too: so each of them needs what the crate tells.

use crate::debian::Cache;
use crate::kit::copy::Change::Replace;
use crate::kit::copy::{copy_with, Change};
use crate::kit::progress::{Job, Progress};
use crate::kit::shell::{cargo_of, last_lines, root, run, run_within, tests_passed, LAST_LINES};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

struct Sanitizer {
    name: &'static str,
    /// The argument of `sanitized`.
    argument: &'static str,
    flags: &'static str,
    /// Its library, part of a toolchain's std.
    library: &'static str,
}

const SANITIZERS: [Sanitizer; 2] = [
    Sanitizer {
        name: "MemorySanitizer",
        argument: "memory",
        flags: "-Zsanitizer=memory -Zsanitizer-memory-track-origins",
        library: "librustc-nightly_rt.msan.a",
    },
    Sanitizer {
        name: "ThreadSanitizer",
        argument: "thread",
        flags: "-Zsanitizer=thread",
        library: "librustc-nightly_rt.tsan.a",
    },
];

/// With these, the crate tells the sanitizers nothing.
const TELLS_NOTHING: [Change; 2] =
    [Replace("src/sanitizer.rs", "barepoll_msan", "any()"), Replace("src/sanitizer.rs", "barepoll_tsan", "any()")];

/// Only a hang takes this long.
const LIMIT: Duration = Duration::from_secs(120);

/// How many checks and programs ran as expected.
pub fn run_checks(progress: &Progress, cache: &Cache) -> Result<usize, String> {
    let both = thread::scope(|scope| {
        let both = SANITIZERS.each_ref().map(|sanitizer| {
            scope.spawn(move || {
                let answer = progress.checks(sanitizer.name, |job| sanitizer.check(job, cache));
                answer.map_err(|why| format!("{}: {why}", sanitizer.name))
            })
        });
        both.map(|thread| thread.join().unwrap_or_else(|_| Err("a sanitizer's thread panicked".into())))
    });
    both.into_iter().sum()
}

impl Sanitizer {
    fn check(&self, job: &Job, cache: &Cache) -> Result<usize, String> {
        let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        let folder = run(Command::new("rustup").args(["run", "nightly", "rustc", "--print", "target-libdir"]))?;
        if !Path::new(folder.trim()).join(self.library).exists() {
            return Err(format!(
                "the nightly toolchain has no {} for {target}; install x86_64's or aarch64's with `rustup toolchain \
                 install nightly`",
                self.library
            ));
        }
        job.at("building the conformance list and running it");
        let output = run(self.cargo(cache, &root(), &target, "test").args(["--test", "native"]))?;
        let checks = match tests_passed(&output) {
            0 => return Err(format!("no check ran:\n{output}")),
            checks => checks,
        };
        job.at("running right and wrong programs");
        let program = self.target_dir(cache).join(&target).join("debug/sanitized");
        let cases = run(Command::new(&program).arg(self.argument))?;
        let cases: Vec<(&str, bool, &str)> = cases.lines().filter_map(case).collect();
        for (name, is_right, report) in &cases {
            self.run(&program, name, (!is_right).then_some(*report))?;
        }
        job.at("building the crate that tells nothing");
        let silent = copy_with(&TELLS_NOTHING)?;
        // Another profile is another build for cargo. Otherwise it would compare modification times,
        // and next time take this build for one of this checkout.
        let profile = ["--config", "profile.dev.package.barepoll.codegen-units=1"];
        run(self.cargo(cache, silent.path(), &target, "build").args(profile))?;
        job.at("running right programs with it");
        let right: Vec<_> = cases.iter().filter(|(_, is_right, _)| *is_right).collect();
        for (name, _, report) in &right {
            self.run(&program, name, Some(*report)).map_err(|why| format!("with a crate that tells nothing, {why}"))?;
        }
        match right.len() {
            0 => Err("sanitized lists no right program".into()),
            right if right == cases.len() => Err("sanitized lists no wrong program".into()),
            right => Ok(checks + cases.len() + right),
        }
    }

    fn target_dir(&self, cache: &Cache) -> PathBuf {
        cache.root().join("target-sanitizers").join(self.argument)
    }

    /// A cargo command for the package `sanitized` of this repository, with std from source.
    fn cargo(&self, cache: &Cache, repository: &Path, target: &str, command: &str) -> Command {
        let mut cargo = cargo_of("nightly");
        cargo.current_dir(repository).env("RUSTFLAGS", self.flags).env_remove("CARGO_ENCODED_RUSTFLAGS");
        cargo.args([command, "--locked", "-p", "sanitized", "-Zbuild-std", "--target", target, "--target-dir"]);
        // Enough for the reports' line numbers.
        cargo.arg(self.target_dir(cache)).args(["--config", "profile.dev.debug='line-tables-only'"]);
        // Unoptimised code calls `memcpy` everywhere, and ThreadSanitizer then runs signal handlers
        // that would otherwise need the crate's help.
        for package in ["barepoll", "sanitized"] {
            cargo.arg("--config").arg(format!("profile.dev.package.{package}.opt-level=1"));
        }
        cargo
    }

    /// Runs a program, and checks that it is reported as expected.
    fn run(&self, program: &Path, name: &str, report: Option<&str>) -> Result<(), String> {
        let mut command = Command::new(program);
        command.args([self.argument, name]).env_remove("MSAN_OPTIONS").env_remove("TSAN_OPTIONS");
        let output = run_within(&mut command, LIMIT)?;
        let has_failed = output.contains("\n[the program failed");
        let was_killed = output.contains("\n[the program was killed");
        let is_expected = match report {
            None => !has_failed && !was_killed,
            Some(report) => has_failed && output.contains(report),
        };
        if is_expected {
            return Ok(());
        }
        let expected = report.map_or("no report".into(), |report| format!("the report {report:?}"));
        let shown = last_lines(output.lines(), LAST_LINES);
        Err(format!("{name:?} ended otherwise than expected ({expected}):\n{shown}"))
    }
}

/// A line of `sanitized`'s list: a program's name, whether it is right, and the report of its
/// fault.
fn case(line: &str) -> Option<(&str, bool, &str)> {
    let mut words = line.split('\t');
    Some((words.next()?, words.next()? == "right", words.next()?))
}
