//! Running other programs: their output kept, shown only where they fail.

use rustix::process::{kill_process_group, set_parent_process_death_signal, Pid, Signal};
use std::ffi::OsStr;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::ops::{Deref, DerefMut};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How much of a failed program's output is worth showing.
pub const LAST_LINES: usize = 60;

/// The last so many lines.
pub fn last<'t>(lines: impl Iterator<Item = &'t str>, count: usize) -> String {
    let lines: Vec<&str> = lines.collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// Names a copy of the repository, for the commands that try a change out.
pub const ROOT: &str = "BAREPOLL_ROOT";

/// The top of the repository.
pub fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::env::var_os(ROOT).map_or_else(|| xtask.parent().unwrap_or(xtask).to_path_buf(), Into::into)
}

/// How long a run of the conformance program may take. Only a hang takes this long, whatever else the machine does; what is broken on
/// purpose, in a copy, may well hang, and is given less.
pub fn limit() -> Duration {
    Duration::from_secs(if std::env::var_os(ROOT).is_some() { 120 } else { 600 })
}

/// Where cargo builds.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into)
}

/// How many checks passed of a program that prints `ok` and a name for each and a closing line, if it came to its end and all did.
pub fn checks_passed(output: &str) -> Result<usize, String> {
    let passed = output.lines().filter(|line| line.starts_with("ok ")).count();
    match output.lines().last() {
        Some(last) if last == format!("{passed} of {passed} passed") && passed > 0 => Ok(passed),
        _ => Err(format!("not every check passed:\n{output}")),
    }
}

/// Sums the closing lines of all test programs in cargo's output.
pub fn tests_passed(output: &str) -> usize {
    let closing = output.lines().filter_map(|line| line.trim().strip_prefix("test result: ok. "));
    closing.filter_map(|rest| rest.split(' ').next()?.parse::<usize>().ok()).sum()
}

/// The cargo that runs this command, in the repository.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    // Set for this command by the cargo that built it; the next cargo must find its own.
    for inherited in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_PKG_VERSION", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(inherited);
    }
    command
}

/// Another toolchain's cargo, by rustup.
pub fn cargo_of(toolchain: &str) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", toolchain, "cargo"]).current_dir(root()).env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN");
    command
}

/// Runs to the end, and gives what was printed on both streams; where it fails, the end of that is the error.
pub fn run(command: &mut Command) -> Result<String, String> {
    let output = capture(command)?;
    let text = both(&output);
    if output.status.success() {
        return Ok(text);
    }
    let shown = last(text.lines(), LAST_LINES);
    Err(format!("`{}` failed ({}):\n{shown}", words(command), output.status))
}

/// Runs to the end, whatever the end is.
pub fn capture(command: &mut Command) -> Result<Output, String> {
    command.stdin(Stdio::null()).output().map_err(|error| match error.kind() {
        ErrorKind::NotFound => format!("`{}` is not installed, or not in PATH", name(command)),
        _ => format!("cannot run `{}`: {error}", words(command)),
    })
}

/// A program that runs beside this one. Where this is dropped, it is killed, and with it all that it started and left behind; where this
/// program ends otherwise, it is killed too.
pub struct Background(Child);

/// The groups of those that run, for who ends them all.
static GROUPS: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

impl Background {
    pub fn start(command: &mut Command) -> Result<Self, String> {
        command.process_group(0);
        // SAFETY: between fork and exec it makes one system call, and allocates nothing.
        unsafe { command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?)) };
        let child = command.spawn().map_err(|error| format!("cannot run `{}`: {error}", words(command)))?;
        groups().push(Pid::from_child(&child));
        Ok(Self(child))
    }

    /// Kills it and all that it started, and gives how it ended if it did so before.
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

/// Ends this program and all that runs beside it, for Ctrl-C: a terminal's signal reaches only its own group.
pub fn interrupt() {
    for group in groups().iter() {
        let _ = kill_process_group(*group, Signal::KILL);
    }
    std::process::exit(130);
}

/// Runs a program that may hang or crash, and gives what it printed; where it was killed after `limit` or failed, that stands last.
pub fn run_within(command: &mut Command, limit: Duration) -> Result<String, String> {
    run_watched(command, limit, || {})
}

/// The same, with a look at how far it is every ten seconds.
pub fn run_watched(command: &mut Command, limit: Duration, mut look: impl FnMut()) -> Result<String, String> {
    const BETWEEN: Duration = Duration::from_secs(10);
    let start = Instant::now();
    let shown = words(command);
    let mut output = tempfile::tempfile().map_err(|error| format!("no temporary file: {error}"))?;
    let streams = output.try_clone().and_then(|first| Ok((first, output.try_clone()?)));
    let (stdout, stderr) = streams.map_err(|error| format!("no temporary file: {error}"))?;
    let mut program = Background::start(command.stdin(Stdio::null()).stdout(stdout).stderr(stderr))?;
    let mut next = BETWEEN;
    while start.elapsed() < limit && matches!(program.try_wait(), Ok(None)) {
        std::thread::sleep(Duration::from_millis(20));
        if start.elapsed() >= next {
            next += BETWEEN;
            look();
        }
    }
    let ended = program.kill();
    let mut bytes = Vec::new();
    let read = output.seek(SeekFrom::Start(0)).and_then(|_| output.read_to_end(&mut bytes));
    read.map_err(|error| format!("cannot read what `{shown}` printed: {error}"))?;
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    match ended {
        Some(status) if status.success() => {}
        Some(status) => text += &format!("\n[it ended with {status}]\n"),
        None => text += &format!("\n[killed: it did not end within {} s]\n", limit.as_secs()),
    }
    Ok(text)
}

/// Makes sure of a program: root has these packages of Debian's installed; where it is missing still, the error says what installs it.
pub fn ensure(is_there: impl Fn() -> bool, packages: &[&str], name: &str, installed_by: &str) -> Result<(), String> {
    if is_there() {
        return Ok(());
    }
    if !packages.is_empty() && rustix::process::geteuid().is_root() {
        let apt = |arguments: &[&str]| {
            let _ = capture(Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"));
        };
        apt(&["update"]);
        apt(&[&["install", "-y", "--no-install-recommends"], packages].concat());
    }
    if is_there() {
        return Ok(());
    }
    Err(format!("{name} is missing: `{installed_by}` installs it"))
}

pub fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

fn words(command: &Command) -> String {
    let arguments = command.get_args().map(OsStr::to_string_lossy);
    [command.get_program().to_string_lossy()].into_iter().chain(arguments).collect::<Vec<_>>().join(" ")
}

/// A command as a shell reads it.
pub fn quoted(command: &Command) -> String {
    let quote = |word: &OsStr| format!("'{}'", word.to_string_lossy().replace('\'', r"'\''"));
    [command.get_program()].into_iter().chain(command.get_args()).map(quote).collect::<Vec<_>>().join(" ")
}
