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
#[path = "../../../examples/bare-echo/src/first.rs"]
mod first;
mod options;
mod report;
mod start;
mod system;
mod wide;

use barepoll::Event;
use conformance::{Outcome, MACHINE, SUBJECTS};
use first::is_first_process;
use linux_raw_sys as linux; // for `first`
use options::{Arguments, Options, HELP};
use report::{Name, Report};
use system::{print, Line, System};

/// The entry point that [`start`] calls, with the kernel's stack pointer or null.
extern "C" fn run(stack: *const usize) -> ! {
    // SAFETY: `start` passes this pointer.
    let arguments = unsafe { Arguments::new(stack) };
    let status = match Options::new(arguments) {
        Ok(options) if options.is_help => {
            HELP.split_inclusive('\n').for_each(|line| print(format_args!("{line}")));
            0
        }
        Ok(options) if options.is_list => {
            let report = Report::new(options.format);
            each_check(&options, |name, _| report.list(name));
            0
        }
        Ok(options) => run_checks(&options),
        Err(wrong) => {
            print(format_args!("error: {wrong}\n"));
            2
        }
    };
    system::end(status)
}

/// Runs the checks of these options. Returns the exit status.
fn run_checks(options: &Options) -> usize {
    let mut report = Report::new(options.format);
    report.begin(options.count(), is_first_process());
    let endian = if 1_u16.to_ne_bytes()[0] == 1 { "little" } else { "big" };
    let (bits, size) = (usize::BITS, size_of::<Event>());
    // The last field.
    let data = size - size_of::<u64>();
    report.fact("machine", format_args!("{endian}, {bits} bits, event of {size}, data at {data}"));
    report.fact("kernel", format_args!("{}", system::release().as_str()));
    report.fact("pages", format_args!("{}", system::page_size()));
    let mut is_mounted = false;
    each_check(options, |name, run| {
        if name.0 == MACHINE[0].0 && !is_mounted {
            is_mounted = true;
            match system::mount_proc_and_sys() {
                Ok(()) => report.fact("processors", format_args!("{}", System.processors())),
                Err(errno) => report.fact("neither /proc nor /sys", format_args!("{errno}")), // the checks will fail
            }
        }
        report.start(name);
        match options.limit {
            None => report.end(name, run(&mut System)),
            Some(limit) => {
                let mut reason = Line::new();
                let passed = system::run_within(limit, run, &mut reason);
                report.end(name, if passed { Ok(()) } else { Err(&reason) });
            }
        }
    });
    report.close()
}

/// Calls `take` for each check of these options, with its name and the function that runs it.
fn each_check(options: &Options, mut take: impl FnMut(Name, &dyn Fn(&mut System) -> Outcome)) {
    for (subject, checks) in SUBJECTS {
        for check in checks.iter().filter(|check| options.select(subject, check.name)) {
            take(Name(subject, check.name, check.source), &|system| (check.run)(system));
        }
    }
    for (subject, checks) in MACHINE.iter().filter(|_| is_first_process()) {
        for check in checks.iter().filter(|check| options.select(subject, check.name)) {
            take(Name(subject, check.name, check.source), &|system| (check.run)(system));
        }
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    print(format_args!("PANIC {info}\n"));
    system::end(101)
}
