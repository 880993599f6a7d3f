//! Calls with arguments that libFuzzer thinks of: by barepoll, by rustix and by libc.
#![no_main]

#[path = "../../tests/peers.rs"]
#[allow(dead_code, unused_imports)] // what its own tests need
mod peers;

libfuzzer_sys::fuzz_target!(
    init: {
        // A program of Rust's ignores it from the start; libFuzzer's does not.
        // SAFETY: nothing else runs yet.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    },
    |bytes: &[u8]| peers::replay(bytes)
);
