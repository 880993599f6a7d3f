//! Runs other programs. It keeps their output and shows it only if they fail.

use crate::kit::report;
use rustix::process::{
    getpid, kill_process, kill_process_group, set_child_subreaper, set_parent_process_death_signal, Pid, Signal,
};
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
    let child = start(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    child.wait_with_output().map_err(|error| format!("cannot wait for `{}`: {error}", command_line(command)))
}

/// Starts a program. Every program of this process starts here.
///
/// It has a process group of its own, because a terminal's Ctrl-C is for [`interrupt`]. If this
/// process is killed, the kernel kills the program.
pub fn start(command: &mut Command) -> Result<Child, String> {
    command.process_group(0);
    // SAFETY: between fork and exec, the closure makes one system call and allocates nothing.
    unsafe { command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?)) };
    let _not_interrupted = not_interrupted();
    command.spawn().map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            let name = command.get_program().to_string_lossy();
            format!("cannot find `{name}`; install it or add it to PATH (`cargo xtask doctor` lists the tools)")
        }
        _ => format!("cannot run `{}`: {error}", command_line(command)),
    })
}

/// Locked while a program starts, and for good once this process is interrupted.
static STARTING: Mutex<()> = Mutex::new(());

/// Waits for ever if this process is interrupted. It cannot be while the answer lives.
pub fn not_interrupted() -> MutexGuard<'static, ()> {
    STARTING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes SIGINT, SIGTERM and SIGHUP end this process and all processes that it started.
pub fn end_programs_on_interrupt() {
    // A process whose parent ends becomes a child of this one.
    let adopts = set_child_subreaper(Some(getpid())).map_err(|error| error.to_string());
    if let Err(error) = adopts.and(ctrlc::set_handler(interrupt).map_err(|error| error.to_string())) {
        report::note(format_args!("warning: Ctrl-C will leave child processes running: {error}"));
    }
}

fn interrupt() {
    end(130);
}

/// Ends this process and all processes that it started.
pub fn end(status: i32) -> ! {
    let _for_good = not_interrupted();
    // A killed process leaves its children to this one.
    while children().filter(|pid| kill_process(*pid, Signal::KILL).is_ok()).count() > 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::process::exit(status);
}

/// The running children of this process.
fn children() -> impl Iterator<Item = Pid> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(|process| {
        let text = std::fs::read_to_string(process.path().join("stat")).ok()?;
        // `12 (name) S 11 …`. A zombie runs no more.
        let (state, rest) = text.rsplit_once(") ")?.1.split_once(' ')?;
        let is_child = rest.split(' ').next()?.parse() == Ok(std::process::id());
        let pid = Pid::from_raw(process.file_name().to_str()?.parse().ok()?)?;
        (is_child && !matches!(state, "Z" | "X")).then_some(pid)
    })
}

/// A program in the background. Dropping this kills it and every process of its group.
pub struct Background(Child);

impl Background {
    pub fn start(command: &mut Command) -> Result<Self, String> {
        start(command).map(Self)
    }

    /// Kills the process group. Returns the exit status if the program had ended before.
    fn kill(&mut self) -> Option<ExitStatus> {
        let ended = self.0.try_wait().ok().flatten();
        let group = Pid::from_child(&self.0);
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.0.wait();
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

/// The program and its arguments, as an error shows them.
pub fn command_line(command: &Command) -> String {
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
    use std::io::Read;
    use std::os::unix::fs::OpenOptionsExt;

    /// `O_NONBLOCK`, by the name that the crate has for it.
    const NONBLOCK: i32 = barepoll::raw::EFD_NONBLOCK as i32;

    #[test]
    fn a_program_that_printed_enough_is_killed() {
        let mut program = Command::new("sh");
        program.args(["-c", "echo some; echo enough; exec sleep 600"]);
        let output = run_until(&mut program, Duration::from_secs(300), |text| text.contains("enough\n"));
        assert_eq!(output.as_deref(), Ok("some\nenough\n"));
        let output = run_until(&mut Command::new("false"), Duration::from_secs(300), |_| false);
        assert!(output.is_ok_and(|text| text.contains("the program failed")));
    }
    /// How to start programs in [`a_killed_command_leaves_no_program`], and the pipe that they inherit.
    const WAY: &str = "BAREPOLL_TEST_WAY";
    const PIPE: &str = "BAREPOLL_TEST_PIPE";

    /// A shell whose child, in a session of its own, has a child. They have the pipe open and do not
    /// end.
    fn endless(pipe: &Path) -> Command {
        let mut shell = Command::new("sh");
        let script = "exec 9>\"$0\"; setsid sh -c 'sh -c \"echo >&9; while :; do sleep 9; done\"; :'; :";
        shell.args(["-c", script]).arg(pipe);
        shell
    }

    /// This test in a process that starts programs in this way.
    fn process(way: &str, pipe: &Path) -> Command {
        let mut command = Command::new(std::env::current_exe().expect("a path"));
        command.args(["--exact", "kit::shell::tests::a_killed_command_leaves_no_program"]);
        command.env(WAY, way).env(PIPE, pipe);
        command
    }

    /// Runs programs that do not end, as a command does that is then killed.
    fn run_endless(way: &str, pipe: &Path) {
        end_programs_on_interrupt();
        let long = Duration::from_secs(3600);
        std::thread::scope(|scope| {
            // A step that fails is not the end of the others.
            let other = way == "two";
            scope.spawn(move || other.then(|| run(&mut endless(pipe))));
            let _ = match way {
                "capture" => run(&mut endless(pipe)),
                "within" => run_within(&mut endless(pipe), long),
                "until" => run_until(&mut endless(pipe), long, |_| false),
                // As `broken` runs this program.
                _ => run(&mut process("capture", pipe)),
            };
        });
        let _not_interrupted = not_interrupted();
    }

    #[test]
    fn a_killed_command_leaves_no_program() {
        if let (Ok(way), Some(pipe)) = (std::env::var(WAY), std::env::var_os(PIPE)) {
            return run_endless(&way, Path::new(&pipe));
        }
        let folder = tempfile::tempdir().expect("a folder");
        for (way, programs) in [("capture", 1), ("within", 1), ("until", 1), ("nested", 1), ("two", 2)] {
            for signal in [Signal::TERM, Signal::INT] {
                let pipe = folder.path().join(format!("{way}-{}", signal.as_raw()));
                run(Command::new("mkfifo").arg(&pipe)).expect("a pipe");
                let open = || File::options().read(true).custom_flags(NONBLOCK).open(&pipe).expect("the pipe");
                let mut reader = open();
                let mut command = start(process(way, &pipe).stdout(Stdio::null())).expect("it starts");
                let mut started = 0;
                while started < programs {
                    assert_eq!(command.try_wait().expect("a child"), None, "{way} ended");
                    started += reader.read(&mut [0; 1]).unwrap_or_default();
                    std::thread::sleep(Duration::from_millis(5));
                }
                kill_process(Pid::from_child(&command), signal).expect("it runs");
                assert_eq!(command.wait().expect("a child").code(), Some(130), "{way}");
                // No error: no process has the other end.
                assert_eq!(reader.read(&mut [0; 1]).map_err(|error| error.kind()), Ok(0), "{way} leaves a program");
            }
        }
    }
}
