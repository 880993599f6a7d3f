//! Tests with results that this machine's kernel never returns. They come from a seccomp notifier
//! or a FUSE server, or imitate csky's kernel. Other tests run under Android's sandbox filter.
//! `cargo xtask answers` runs all in debug and release, for 32 and 64 bits, and with Android's
//! calls.
//!
//! Each check runs in a child process, as in `tests/faults`.

mod android;
#[path = "../../../tests/faults/child.rs"]
mod child;
#[cfg(feature = "std")]
mod clock;
#[path = "../../../tests/support/figures.rs"]
mod figures;
mod fuse;
mod made_up;
#[path = "../../../tests/faults/seccomp.rs"]
#[allow(dead_code)] // `tests/faults` uses the rest
mod seccomp;
mod unknown;

use libtest_mimic::{Arguments, Trial};

/// A check's name and its code, which runs in a child.
type Check = (String, Box<dyn FnOnce() + Send>);

fn check(name: impl Into<String>, run: impl FnOnce() + Send + 'static) -> Check {
    (name.into(), Box::new(run))
}

fn main() {
    let mut arguments = Arguments::from_args();
    // The checks fork, so the process must have one thread.
    arguments.test_threads = Some(1);
    let subjects = vec![
        ("made_up", made_up::checks()),
        ("unknown", unknown::checks()),
        ("android", android::checks()),
        ("fuse", fuse::checks()),
        #[cfg(feature = "std")]
        ("clock", clock::checks()),
    ];
    let trials = subjects.into_iter().flat_map(|(subject, checks)| {
        checks.into_iter().map(move |(name, run)| {
            let is_ignored = subject == "fuse" && !fuse::opens();
            let trial = Trial::test(format!("{subject}::{name}"), move || match child::run(run) {
                child::End::Exit(0) => Ok(()),
                end => Err(format!("{end:?}").into()),
            });
            trial.with_ignored_flag(is_ignored)
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}
