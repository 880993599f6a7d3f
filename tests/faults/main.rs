//! Faults: refused calls, missing calls, needless calls, endless signals, and descriptors that run
//! out or are closed.
//!
//! Each check runs in a child process, so that its irreversible changes end with it: a seccomp
//! filter, a limit, and the crate's memory of missing calls. System-wide limits, such as the number
//! of watches, are checked in `conformance/machine.rs` on dedicated kernels. These checks need a
//! 64-bit kernel since Linux 5.11.
//!
//! With `BAREPOLL_FIGURES=<file>`, the measurements are appended to that file, one line of JSON
//! each.

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

/// A check's name and its body, which runs in a child.
pub type Check = (String, Box<dyn FnOnce() + Send>);

/// Lists functions as checks, with their names.
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
    // A process that forks must have one thread.
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
