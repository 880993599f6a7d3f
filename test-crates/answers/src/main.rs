//! Answers that no kernel of this machine gives: made up by a seccomp notifier, by a FUSE server, or as csky's kernel gives them; and the
//! calls that Android's sandbox kills for. `cargo xtask answers` runs these checks in debug and in release, with 32 bits and 64, and
//! with the calls that the crate makes on Android.
//!
//! Each check runs in a child of this process, as those of `tests/faults` do.

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
#[allow(dead_code)] // what only faults need
mod seccomp;
mod unknown;

use libtest_mimic::{Arguments, Trial};

/// A check's name, and what it does in a child.
type Check = (String, Box<dyn FnOnce() + Send>);

fn check(name: impl Into<String>, run: impl FnOnce() + Send + 'static) -> Check {
    (name.into(), Box::new(run))
}

fn main() {
    let mut arguments = Arguments::from_args();
    // A process that forks has one thread.
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
