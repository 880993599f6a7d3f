//! Faults: calls that are refused or missing, or more than there should be, signals without end, descriptors that run out or go
//! away.
//!
//! Each check runs in a child of this process, so that what cannot be undone ends with it: a filter, a limit, what the crate
//! remembers of the kernel. Limits of the whole system, watches among them, are `conformance/machine.rs`'s, on kernels of their
//! own. All of this is for a kernel of 64 bits, since Linux 5.11.
//!
//! With `BAREPOLL_FIGURES=<file>`, what was measured is added to that file, a line of JSON each.

mod child;
mod descriptors;
#[path = "../support/figures.rs"]
mod figures;
mod flushes;
mod missing;
mod processes;
mod refusals;
mod seccomp;
mod signals;
mod storm;

use libtest_mimic::{Arguments, Trial};

/// A check's name, and what it does in a child.
pub type Check = (String, Box<dyn FnOnce() + Send>);

/// Lists functions as checks under their names.
macro_rules! checks {
    ($($name:ident),* $(,)?) => {
        vec![$((stringify!($name).into(), Box::new($name) as Box<dyn FnOnce() + Send>)),*]
    };
}
pub(crate) use checks;

fn main() {
    if processes::is_another_program() {
        return;
    }
    let mut arguments = Arguments::from_args();
    // A process that forks has one thread.
    arguments.test_threads = Some(1);
    let subjects = [
        ("refusals", refusals::checks()),
        ("missing", missing::checks()),
        ("flushes", flushes::checks()),
        ("descriptors", descriptors::checks()),
        ("processes", processes::checks()),
        ("signals", signals::checks()),
        ("storm", storm::checks()),
    ];
    let trials = subjects.into_iter().flat_map(|(subject, checks)| {
        checks.into_iter().map(move |(name, run)| {
            Trial::test(format!("{subject}::{name}"), move || match child::run(run) {
                child::End::Exit(0) => Ok(()),
                end => Err(format!("{end:?}").into()),
            })
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}
