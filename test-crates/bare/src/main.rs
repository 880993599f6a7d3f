//! The conformance checks without libc and std. It prints a line per check and a final count.
//!
//! An emulator runs it as a program that exits. A kernel runs it as `/init`. Then it also runs the
//! checks of the machine and powers it off. The output holds the verdict, because an exit status
//! alone is not enough. It is also an example of such a program: [`start`] is the entry point,
//! [`system`] replaces libc, and the rest is ordinary Rust.
#![cfg_attr(bare, no_std)]
#![no_main]
#![cfg(bare)] // else the package is empty, see build.rs
#![cfg_attr(barepoll_unstable_asm, feature(asm_experimental_arch))]

#[path = "../../../tests/conformance/mod.rs"]
mod conformance;
mod start;
mod system;
mod wide;

use barepoll::Event;
use conformance::{Outcome, MACHINE, SUBJECTS};
use system::{print, System};

#[derive(Default)]
struct Tally {
    passed: u32,
    failed: u32,
}

impl Tally {
    /// Counts a check and prints its line.
    fn take(&mut self, subject: &str, name: &str, outcome: Outcome) {
        match outcome {
            Ok(()) => {
                self.passed += 1;
                print(format_args!("ok {subject}::{name}\n"));
            }
            Err(failure) => {
                self.failed += 1;
                print(format_args!("FAILED {subject}::{name}: {failure}\n"));
            }
        }
    }
}

/// The entry point that [`start`] calls.
extern "C" fn run() -> ! {
    let mut system = System;
    let mut tally = Tally::default();
    let endian = if 1_u16.to_ne_bytes()[0] == 1 { "little" } else { "big" };
    let (bits, size) = (usize::BITS, size_of::<Event>());
    // The last field.
    let data = size - size_of::<u64>();
    // Start on a new line, because the firmware may have left the cursor in the middle of one.
    print(format_args!("\nmachine: {endian}, {bits} bits, event of {size}, data at {data}\n"));
    print(format_args!("kernel: {}\n", system::release().as_str()));
    print(format_args!("pages: {}\n", system::page_size()));
    for (subject, checks) in SUBJECTS {
        for check in *checks {
            tally.take(subject, check.name, (check.run)(&mut system));
        }
    }
    if system::is_first_process() {
        match system::mount_proc_and_sys() {
            Ok(()) => print(format_args!("processors: {}\n", system.processors())),
            Err(errno) => print(format_args!("neither /proc nor /sys: {errno}\n")), // the checks will fail
        }
        for (subject, checks) in MACHINE {
            for check in *checks {
                tally.take(subject, check.name, (check.run)(&mut system));
            }
        }
    }
    let Tally { passed, failed } = tally;
    print(format_args!("conformance: {passed} passed, {failed} failed\n"));
    system::end(if failed == 0 { 0 } else { 1 })
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    print(format_args!("PANIC {info}\n"));
    system::end(101)
}
