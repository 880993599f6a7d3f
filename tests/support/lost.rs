//! Outputs that take nothing.

use crate::support::example;
use std::fs::File;
use std::os::unix::io::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

/// A full disk, and a connection whose reader has closed.
pub fn lost_outputs() -> [OwnedFd; 2] {
    let full = File::options().write(true).open("/dev/full").expect("there is a full device");
    [full.into(), UnixStream::pair().expect("two sockets").0.into()]
}

/// With these arguments, the example reports that standard output takes nothing, and fails.
pub fn reports_lost_output(name: &str, arguments: &[&str]) {
    for stdout in lost_outputs() {
        let output = Command::new(example(name)).args(arguments).stdin(Stdio::null()).stdout(stdout).output();
        let output = output.expect("the example runs");
        let error = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(1), "{name} {arguments:?}: {error}");
        assert!(error.starts_with(&format!("{name}: cannot write to standard output: ")), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

/// Wrong arguments have exit code 2, even if standard error takes nothing.
pub fn refuses_without_error_output(name: &str) {
    for stderr in lost_outputs() {
        let status = Command::new(example(name)).arg("-x").stdin(Stdio::null()).stderr(stderr).status();
        assert_eq!(status.expect("the example runs").code(), Some(2), "{name}");
    }
}
