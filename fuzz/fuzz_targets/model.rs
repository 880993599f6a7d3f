//! Histories of interest lists that libFuzzer thinks of, against the model of the kernel.
#![no_main]

#[path = "../../tests/histories.rs"]
#[allow(dead_code, unused_imports)] // what its own tests need
mod histories;

libfuzzer_sys::fuzz_target!(
    init: {
        // A program of Rust's ignores it from the start; libFuzzer's does not.
        // SAFETY: nothing else runs yet.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    },
    |bytes: &[u8]| histories::replay(bytes)
);
