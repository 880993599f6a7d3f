//! The two small examples behave as documented. `echo` has its own file.

#[path = "support/lost.rs"]
mod lost;
mod support;

use std::fs::{self, File};
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;
use support::example;

const MODES: [&str; 3] = ["level", "edge", "one-shot"];

fn stdin_example(mode: &str, stdin: impl Into<Stdio>) -> Output {
    Command::new(example("stdin")).arg(mode).stdin(stdin).output().expect("the example runs")
}

/// The example's output for these writes through a pipe.
fn piped(mode: &str, writes: &[&[u8]], pause: Duration) -> Output {
    let mut command = Command::new(example("stdin"));
    let command = command.arg(mode).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the example runs");
    let mut pipe = child.stdin.take().expect("its input is a pipe");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for write in writes {
                pipe.write_all(write).expect("the example reads");
                sleep(pause);
            }
        });
        child.wait_with_output().expect("the example ends")
    })
}

#[test]
fn every_mode_copies_what_comes_bit_by_bit() {
    for mode in MODES {
        let output = piped(mode, &[b"one\n", b"two\n", b"no newline"], Duration::from_millis(30));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "one\ntwo\nno newline", "{mode}");
        assert!(output.status.success(), "{mode}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("IN"), "{mode}");
    }
}

#[test]
fn every_mode_copies_all_of_much() {
    let much: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
    let pieces: Vec<&[u8]> = much.chunks(100_003).collect();
    for mode in MODES {
        let output = piped(mode, &pieces, Duration::ZERO);
        assert!(output.status.success(), "{mode}");
        assert!(output.stdout == much, "{mode}: {} bytes of {} came back", output.stdout.len(), much.len());
    }
}

#[test]
fn every_mode_sees_an_end_of_input_that_comes_with_the_last_bytes_or_without_any() {
    for mode in MODES {
        for input in ["", "last"] {
            // The pipe's writing end is closed before the example reads.
            let script = r#"printf %s "$1" | { sleep 0.1; "$2" "$3"; }"#;
            let program = example("stdin");
            let output = Command::new("sh").args(["-c", script, "sh", input]).arg(program).arg(mode).output();
            let output = output.expect("sh runs");
            assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), input.as_bytes()), "{mode}");
        }
    }
}

#[test]
fn every_mode_says_that_a_file_is_always_ready_and_copies_it() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let content = fs::read(file).expect("there is a Cargo.toml");
    for mode in MODES {
        for (path, content) in [(file, &content[..]), ("/dev/null", b"")] {
            let output = stdin_example(mode, File::open(path).expect("it can be read"));
            assert_eq!(output.status.code(), Some(0), "{mode} {path}");
            assert!(output.stdout == content, "{mode} {path}");
            assert!(String::from_utf8_lossy(&output.stderr).contains("always ready"), "{mode} {path}");
        }
    }
}

#[test]
fn a_job_a_wake_up_and_the_shutdown_arrive() {
    let output = Command::new(example("wakeup")).output().expect("the example runs");
    let expected = "job 1 is done\njob 2 is done\njob 3 is done\nthe queue is shut down after 3 jobs\n";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    assert_eq!((output.status.code(), &output.stderr[..]), (Some(0), &b""[..]));
}

#[test]
fn a_wrong_argument_is_one_line_and_exit_code_2() {
    let wrong: [(&str, &[&str]); 4] =
        [("stdin", &["levels"]), ("stdin", &["level", "edge"]), ("stdin", &[""]), ("wakeup", &["now"])];
    for (name, arguments) in wrong {
        let output = Command::new(example(name)).args(arguments).stdin(Stdio::null()).output().expect("it runs");
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(2), &b""[..]), "{name} {arguments:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1, "{name} {arguments:?}");
    }
}

#[test]
fn lost_output_is_an_error_and_no_panic() {
    lost::reports_lost_output("stdin", &["--help"]);
    lost::reports_lost_output("wakeup", &[]);
    for name in ["stdin", "wakeup"] {
        lost::refuses_without_error_output(name);
    }
    for mode in MODES {
        for stdout in lost::lost_outputs() {
            let script = r#"echo one | "$0" "$1""#;
            let output =
                Command::new("sh").args(["-c", script]).arg(example("stdin")).arg(mode).stdout(stdout).output();
            let output = output.expect("sh runs");
            let error = String::from_utf8(output.stderr).expect("text");
            assert_eq!(output.status.code(), Some(1), "{mode}: {error}");
            assert!(error.contains("stdin: cannot write to standard output: "), "{mode}: {error}");
        }
    }
}

#[test]
fn remarks_that_are_lost_stop_no_copy() {
    for mode in MODES {
        for stderr in lost::lost_outputs() {
            let script = r#"(echo one; sleep 0.05; echo two) | "$0" "$1""#;
            let output =
                Command::new("sh").args(["-c", script]).arg(example("stdin")).arg(mode).stderr(stderr).output();
            let output = output.expect("sh runs");
            assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"one\ntwo\n"[..]), "{mode}");
        }
    }
}
