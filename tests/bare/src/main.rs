//! The conformance list without libc and without std: every check a line, and a closing count.
//!
//! Started by an emulator it runs and exits; started by a kernel as `/init` it runs and switches the machine off. The verdict
//! is in the lines, never in an exit status alone. It is also how one writes such a program: [`start`] is where the kernel
//! enters, [`system`] is what a libc would be asked for, and the rest is ordinary Rust.
#![no_std]
#![no_main]

#[path = "../../conformance/mod.rs"]
mod conformance;
mod start;
mod system;
mod wide;

use barepoll::arch::EVENT_DATA;
use barepoll::Event;
use conformance::SUBJECTS;
use system::{print, System};

/// What [`start`] calls.
extern "C" fn run() -> ! {
    let mut system = System;
    let (mut passed, mut failed) = (0_u32, 0_u32);
    let endian = if 1_u16.to_ne_bytes()[0] == 1 { "little" } else { "big" };
    let (bits, size, data) = (usize::BITS, size_of::<Event>(), EVENT_DATA);
    print(format_args!("machine: {endian}, {bits} bits, event of {size}, data at {data}\n"));
    print(format_args!("kernel: {}\n", system::release().as_str()));
    print(format_args!("pages: {}\n", system::page_size()));
    for (subject, checks) in SUBJECTS {
        for check in *checks {
            match (check.run)(&mut system) {
                Ok(()) => {
                    passed += 1;
                    print(format_args!("ok {subject}::{}\n", check.name));
                }
                Err(failure) => {
                    failed += 1;
                    print(format_args!("FAILED {subject}::{}: {failure}\n", check.name));
                }
            }
        }
    }
    print(format_args!("conformance: {passed} passed, {failed} failed\n"));
    system::end(if failed == 0 { 0 } else { 1 })
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    print(format_args!("PANIC {info}\n"));
    system::end(101)
}
