//! Compares barepoll, rustix and libc on calls that libFuzzer generates.
#![no_main]

#[path = "../../tests/peers.rs"]
#[allow(dead_code, unused_imports)] // only its own tests use the rest
mod peers;

libfuzzer_sys::fuzz_target!(
    init: {
        // Rust's runtime ignores SIGPIPE at the start, but libFuzzer's main does not.
        // SAFETY: no other code runs yet.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    },
    |bytes: &[u8]| peers::replay(bytes)
);
