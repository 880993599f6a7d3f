//! Runs other programs. It keeps their output and shows it only if they fail.

use rustix::process::{kill_process_group, set_parent_process_death_signal, Pid, Signal};
use std::ffi::OsStr;
use std::fs::File;
use std::io::ErrorKind;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many lines of a failed program's output an error shows.
pub const LAST_LINES: usize = 60;

/// The last `count` lines.
pub fn last_lines<'t>(lines: impl Iterator<Item = &'t str>, count: usize) -> String {
    let lines: Vec<&str> = lines.collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// The variable with the path of a copy of the repository, for commands that test a changed copy.
pub const ROOT_VARIABLE: &str = "BAREPOLL_ROOT";

/// The top folder of the repository.
pub fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::env::var_os(ROOT_VARIABLE).map_or_else(|| xtask.parent().unwrap_or(xtask).to_path_buf(), Into::into)
}

/// The time limit for a run of the conformance program.
///
/// Only a hang takes this long, even on a busy machine. A port that is broken on purpose may hang,
/// so a copy of the repository has a shorter limit.
pub fn conformance_limit() -> Duration {
    Duration::from_secs(if std::env::var_os(ROOT_VARIABLE).is_some() { 120 } else { 600 })
}

/// Cargo's target directory.
pub fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into)
}

/// How many checks passed, from the output of a program that prints an `ok` line for each and a
/// closing count. Returns an error if a check failed or the closing count is missing.
pub fn checks_passed(output: &str) -> Result<usize, String> {
    let passed = output.lines().filter(|line| line.starts_with("ok ")).count();
    match output.lines().last() {
        Some(last) if last == format!("{passed} of {passed} passed") && passed > 0 => Ok(passed),
        _ => Err(format!("not every check passed:\n{output}")),
    }
}

/// How many tests passed: the sum over all test programs in cargo's output.
pub fn tests_passed(output: &str) -> usize {
    let closing = output.lines().filter_map(|line| line.trim().strip_prefix("test result: ok. "));
    closing.filter_map(|rest| rest.split(' ').next()?.parse::<usize>().ok()).sum()
}

/// The cargo that started this command, to run in the repository.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    // The cargo that started this command set these; the next cargo must find its own.
    for inherited in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_PKG_VERSION", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(inherited);
    }
    command
}

/// Another toolchain's cargo, through rustup.
pub fn cargo_of(toolchain: &str) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", toolchain, "cargo"]).current_dir(root()).env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN");
    command
}

/// Runs a command and returns its output from both streams. The error of a failed command ends with
/// the last lines of its output.
pub fn run(command: &mut Command) -> Result<String, String> {
    let output = capture(command)?;
    let text = both(&output);
    if output.status.success() {
        return Ok(text);
    }
    let shown = last_lines(text.lines(), LAST_LINES);
    Err(format!("`{}` failed ({}):\n{shown}", command_line(command), output.status))
}

/// Runs a command and returns its output, even if it fails.
pub fn capture(command: &mut Command) -> Result<Output, String> {
    command.stdin(Stdio::null()).output().map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            let name = command.get_program().to_string_lossy();
            format!("cannot find `{name}`; install it or add it to PATH (`cargo xtask doctor` lists the tools)")
        }
        _ => format!("cannot run `{}`: {error}", command_line(command)),
    })
}

/// A program in the background. Dropping this kills it and every process that it started.
///
/// The kernel kills it too if this process dies.
pub struct Background(Child);

/// The process groups of all running background programs, for [`interrupt`].
static GROUPS: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

impl Background {
    pub fn start(command: &mut Command) -> Result<Self, String> {
        command.process_group(0);
        // SAFETY: between fork and exec, the closure makes one system call and allocates nothing.
        unsafe { command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?)) };
        let child = command.spawn().map_err(|error| format!("cannot run `{}`: {error}", command_line(command)))?;
        groups().push(Pid::from_child(&child));
        Ok(Self(child))
    }

    /// Kills the process group. Returns the exit status if the program had ended before.
    fn kill(&mut self) -> Option<ExitStatus> {
        let ended = self.0.try_wait().ok().flatten();
        let group = Pid::from_child(&self.0);
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.0.wait();
        groups().retain(|other| *other != group);
        ended
    }
}

impl Deref for Background {
    type Target = Child;
    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Background {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.kill();
    }
}

fn groups() -> MutexGuard<'static, Vec<Pid>> {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kills all background programs and exits, for Ctrl-C: a terminal's signal reaches only its own
/// process group.
pub fn interrupt() {
    for group in groups().iter() {
        let _ = kill_process_group(*group, Signal::KILL);
    }
    std::process::exit(130);
}

/// Runs a program that may hang or crash, and returns its output. If it failed, or was killed after
/// `limit`, the last line says so.
pub fn run_within(command: &mut Command, limit: Duration) -> Result<String, String> {
    run_watched(command, limit, || {})
}

/// Like [`run_within`], and calls `watch` every ten seconds.
pub fn run_watched(command: &mut Command, limit: Duration, watch: impl FnMut()) -> Result<String, String> {
    run_observed(command, limit, watch, None)
}

/// Like [`run_within`], and kills the program once its output satisfies `is_enough`.
pub fn run_until(command: &mut Command, limit: Duration, is_enough: impl Fn(&str) -> bool) -> Result<String, String> {
    run_observed(command, limit, || {}, Some(&is_enough))
}

fn run_observed(
    command: &mut Command,
    limit: Duration,
    mut watch: impl FnMut(),
    is_enough: Option<&dyn Fn(&str) -> bool>,
) -> Result<String, String> {
    const INTERVAL: Duration = Duration::from_secs(10);
    let start = Instant::now();
    let shown = command_line(command);
    let output = tempfile::tempfile().map_err(|error| format!("cannot create a temporary file: {error}"))?;
    let streams = output.try_clone().and_then(|first| Ok((first, output.try_clone()?)));
    let (stdout, stderr) = streams.map_err(|error| format!("cannot open a temporary file twice: {error}"))?;
    let read = || read_whole(&output).map_err(|error| format!("cannot read the output of `{shown}`: {error}"));
    let mut program = Background::start(command.stdin(Stdio::null()).stdout(stdout).stderr(stderr))?;
    let (mut next, mut seen) = (INTERVAL, 0);
    while start.elapsed() < limit && matches!(program.try_wait(), Ok(None)) {
        std::thread::sleep(Duration::from_millis(20));
        if start.elapsed() >= next {
            next += INTERVAL;
            watch();
        }
        let Some(is_enough) = is_enough else { continue };
        let size = output.metadata().map_or(seen, |file| file.len());
        if size != seen && is_enough(&read()?) {
            program.kill();
            return read();
        }
        seen = size;
    }
    let ended = program.kill();
    let mut text = read()?;
    match ended {
        Some(status) if status.success() => {}
        Some(status) => text += &format!("\n[the program failed: {status}]\n"),
        None => text += &format!("\n[the program was killed after {} s]\n", limit.as_secs()),
    }
    Ok(text)
}

/// Reads a file from its start. It does not move the offset, where a running program writes.
fn read_whole(file: &File) -> std::io::Result<String> {
    let mut bytes = vec![0; file.metadata()?.len() as usize];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Ensures that a program is installed. As root, installs these Debian packages if it is missing.
///
/// If it is still missing, the error names the command that installs it.
pub fn ensure(
    is_installed: impl Fn() -> bool,
    packages: &[&str],
    name: &str,
    installed_by: &str,
) -> Result<(), String> {
    if is_installed() {
        return Ok(());
    }
    if !packages.is_empty() && rustix::process::geteuid().is_root() {
        let apt = |arguments: &[&str]| {
            let _ = capture(Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"));
        };
        apt(&["update"]);
        apt(&[&["install", "-y", "--no-install-recommends"], packages].concat());
    }
    if is_installed() {
        return Ok(());
    }
    Err(format!("cannot find {name}; install it with `{installed_by}`"))
}

/// Standard output, then standard error.
pub fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn command_line(command: &Command) -> String {
    let arguments = command.get_args().map(OsStr::to_string_lossy);
    [command.get_program().to_string_lossy()].into_iter().chain(arguments).collect::<Vec<_>>().join(" ")
}

/// A command line with each word quoted for a shell.
pub fn quoted(command: &Command) -> String {
    let quote = |word: &OsStr| format!("'{}'", word.to_string_lossy().replace('\'', r"'\''"));
    [command.get_program()].into_iter().chain(command.get_args()).map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_printed_enough_is_killed() {
        let mut program = Command::new("sh");
        program.args(["-c", "echo some; echo enough; exec sleep 600"]);
        let output = run_until(&mut program, Duration::from_secs(300), |text| text.contains("enough\n"));
        assert_eq!(output.as_deref(), Ok("some\nenough\n"));
        let output = run_until(&mut Command::new("false"), Duration::from_secs(300), |_| false);
        assert!(output.is_ok_and(|text| text.contains("the program failed")));
    }
}
