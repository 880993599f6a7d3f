//! `cargo xtask not-linux`: runs the conformance program where a container, a sandbox or a debugger
//! runs it: on gVisor, in User-mode Linux, under system call filters, traced.

use super::conformance::Run as Checked;
use super::differences::{self, DIFFERENCES};
use super::results::wrong_machine_checks;
use super::{cpio, cross, filters, targets};
use crate::debian::{self, Cache, Suite};
use crate::kit::progress::Progress;
use crate::kit::report;
use crate::kit::shell::{capture, conformance_limit, run_within};
use crate::step::{Run, World};
use clap::Args;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

#[derive(Args)]
pub struct Options {
    /// Run only the layers whose name starts with this, such as `gVisor`
    starts: Vec<String>,
}

impl Run for Options {
    fn run(&self, world: &World) -> Result<(), String> {
        let starts = |layer: &&Layer| self.starts.iter().any(|start| layer.on.starts_with(start.as_str()));
        let layers: Vec<&Layer> = LAYERS.iter().filter(|layer| self.starts.is_empty() || starts(layer)).collect();
        if layers.is_empty() {
            let names: Vec<&str> = LAYERS.iter().map(|layer| layer.on).collect();
            return Err(format!("no layer has such a name; the layers are {}", names.join("; ")));
        }
        report::say(format_args!("{} layers", run_on(world, &layers)?));
        Ok(())
    }
}

/// What runs the program.
pub struct Layer {
    /// The name and the version, the start of a run's [`Checked::on`].
    on: &'static str,
    kind: Kind,
    /// Where it comes from, for the table.
    package: &'static str,
    /// The command before the program, for the table.
    command: &'static str,
}

enum Kind {
    /// Debian's suite, and gVisor's way to catch system calls.
    GVisor(&'static str, &'static str),
    /// Debian's suite, and the kernel's name in README's table.
    UserModeLinux(&'static str, &'static str),
    Filter(filters::Profile),
    Bubblewrap,
    Strace,
    Gdb,
}

const fn layer(on: &'static str, kind: Kind, package: &'static str, command: &'static str) -> Layer {
    Layer { on, kind, package, command }
}

const LAYERS: &[Layer] = &[
    // First, because a check that a signal ends leaves another thread waiting for a minute.
    layer("gdb", Kind::Gdb, "`gdb` of this machine", "`gdb -batch -ex 'handle all nostop noprint pass' -ex run`"),
    layer("strace", Kind::Strace, "`strace` of this machine", "`strace -f`"),
    layer(
        "gVisor 20221219 by ptrace",
        Kind::GVisor("bookworm", "ptrace"),
        "`runsc` of Debian 12",
        "`runsc --rootless --network=none --ignore-cgroups --platform=ptrace do`",
    ),
    layer("gVisor 20240729 by ptrace", Kind::GVisor("trixie", "ptrace"), "`runsc` of Debian 13", "the same"),
    layer(
        "gVisor 20240729 by systrap",
        Kind::GVisor("trixie", "systrap"),
        "`runsc` of Debian 13",
        "the same with `--platform=systrap`, gVisor's default",
    ),
    layer(
        "Linux 6.1 (uml-6.1)",
        Kind::UserModeLinux("bookworm", "uml-6.1"),
        "`user-mode-linux` of Debian 12",
        "`linux.uml mem=256M initrd=… rdinit=/init`",
    ),
    layer(
        "Linux 6.12 (uml-6.12)",
        Kind::UserModeLinux("trixie", "uml-6.12"),
        "`user-mode-linux` of Debian 13",
        "the same",
    ),
    layer(
        "Linux 7 (uml-7)",
        Kind::UserModeLinux("testing", "uml-7"),
        "`user-mode-linux` of Debian testing",
        "the same",
    ),
    layer(
        "Docker 20.10's filter",
        Kind::Filter(filters::Profile::Docker),
        "`golang-github-docker-docker-dev` of Debian 12",
        "`default.json`, without capabilities; other calls are `EPERM`",
    ),
    layer(
        "Podman's filter",
        Kind::Filter(filters::Profile::Podman),
        "`golang-github-containers-common` of Debian testing",
        "`seccomp.json`, without capabilities; other calls are `ENOSYS`",
    ),
    layer(
        "systemd 252's @system-service",
        Kind::Filter(filters::Profile::SystemService),
        "`systemd` of Debian 12",
        "the list of `systemd-analyze syscall-filter`; other calls are `EPERM`",
    ),
    layer("bubblewrap 0.8", Kind::Bubblewrap, "`bubblewrap` of Debian 12", "`bwrap --unshare-all --ro-bind / /`"),
];

/// How many layers run in parallel. Most of the time they wait.
const PARALLEL: usize = 4;

/// The only target that every layer here runs: gVisor's other machine is aarch64, and User-mode
/// Linux has none.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Runs the program on every layer. Returns how many there are.
pub fn run_checks(world: &World) -> Result<usize, String> {
    run_on(world, &LAYERS.iter().collect::<Vec<_>>())
}

fn run_on(world: &World, layers: &[&Layer]) -> Result<usize, String> {
    let cache = world.cache()?;
    if debian::host() != "amd64" {
        return Err("this step needs an x86_64 machine: User-mode Linux runs on no other".into());
    }
    let target = targets::of_this_machine()?;
    let job = world.progress.job("the program");
    job.at("building");
    let program = cross::build_bare(cache, target);
    job.done(if program.is_ok() { "built" } else { "FAILED" });
    let answers = run_all(&world.progress, cache, layers, &program?);
    let (mut rows, mut failures, mut runs) = (Vec::new(), Vec::new(), Vec::new());
    for (layer, answer) in answers {
        match answer {
            Ok(run) => {
                failures.extend(run.failures());
                failures.extend(stale(&run));
                failures.extend(wrong_machine_checks(&run));
                rows.push(vec![run.on.clone(), run.kernel.clone(), run.summary(), format!("{:.1}", run.seconds)]);
                runs.push(run);
            }
            Err(why) => {
                rows.push(vec![layer.on.into(), String::new(), "FAILED".into(), String::new()]);
                failures.push(why);
            }
        }
    }
    report::print(&["layer", "release", "checks", "seconds"], rows);
    world.results().runs.extend(runs);
    match failures.as_slice() {
        [] => Ok(layers.len()),
        failures => Err(failures.join("\n")),
    }
}

fn run_all<'l>(
    progress: &Progress,
    cache: &Cache,
    layers: &[&'l Layer],
    program: &Path,
) -> Vec<(&'l Layer, Result<Checked, String>)> {
    let queue = Mutex::new(layers.iter().enumerate());
    let answers = Mutex::new(Vec::new());
    let next = || queue.lock().ok()?.next();
    thread::scope(|scope| {
        for _ in 0..PARALLEL {
            scope.spawn(|| {
                while let Some((place, layer)) = next() {
                    let job = progress.job(layer.on);
                    job.at("running");
                    let answer = layer.run(cache, program);
                    job.done(&answer.as_ref().map_or("FAILED".into(), Checked::summary));
                    if let Ok(mut answers) = answers.lock() {
                        answers.push((place, *layer, answer));
                    }
                }
            });
        }
    });
    let mut answers = answers.into_inner().unwrap_or_default();
    answers.sort_by_key(|(place, _, _)| *place);
    answers.into_iter().map(|(_, layer, answer)| (layer, answer)).collect()
}

impl Layer {
    fn run(&self, cache: &Cache, program: &Path) -> Result<Checked, String> {
        let folder = tempfile::tempdir().map_err(|error| format!("cannot create a temporary folder: {error}"))?;
        let mut command = self.command(cache, program, folder.path())?;
        let start = Instant::now();
        let output = run_within(&mut command, conformance_limit())?;
        let seconds = start.elapsed().as_secs_f32();
        let mut run = Checked::read(TARGET, self.on, &output, seconds, differences::known())?;
        differences::explain(&mut run);
        if let Kind::UserModeLinux(_, name) = self.kind {
            run.on = format!("Linux {} ({name})", run.kernel);
        }
        Ok(run)
    }

    fn command(&self, cache: &Cache, program: &Path, folder: &Path) -> Result<Command, String> {
        Ok(match &self.kind {
            Kind::GVisor(suite, platform) => {
                let package = cache.package(Suite(suite), debian::host(), "runsc")?;
                // 0.0~20221219.0-2+b3
                let version = self.on.split(' ').nth(1).unwrap_or_default();
                if !package.version.contains(version) {
                    let found = package.version;
                    return Err(format!(
                        "{suite} has runsc {found}, not {version}; correct xtask/src/machines/not_linux.rs"
                    ));
                }
                let mut runsc = Command::new(package.dir.join("usr/bin/runsc"));
                runsc.arg("--root").arg(folder);
                runsc.args(["--rootless", "--network=none", "--ignore-cgroups", &format!("--platform={platform}")]);
                runsc.arg("do").arg(program);
                runsc
            }
            Kind::UserModeLinux(suite, _) => {
                let root = cache.closure(Suite(suite), debian::host(), &["user-mode-linux"], &[])?;
                let bytes = fs::read(program).map_err(|error| format!("cannot read {}: {error}", program.display()))?;
                let initrd = folder.join("initrd");
                fs::write(&initrd, cpio::with_init(&bytes, &[]))
                    .map_err(|error| format!("cannot write {}: {error}", initrd.display()))?;
                // In a root folder with its own C library, and with a home: without, it panics.
                let mut linux = bubblewrap(cache, "testing")?;
                linux.args(["--tmpfs", "/", "--proc", "/proc", "--dev", "/dev", "--setenv", "HOME", "/home"]);
                linux.arg("--ro-bind").arg(root.join("usr")).arg("/usr").arg("--bind").arg(folder).arg("/home");
                linux.args(["--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"]);
                // The kernel restarts by an exec of this name. There is no such file, so it ends.
                linux.args(["--argv0", "linux-without-restart", "/usr/bin/linux.uml.elf"]);
                linux.args(["mem=256M", "initrd=/home/initrd", "rdinit=/init", "panic=-1", "loglevel=4"]);
                linux.args(["console=tty0", "con=null", "con0=fd:0,fd:1"]);
                linux
            }
            Kind::Filter(profile) => {
                let filter = profile.compile(cache)?;
                // None of the filters allows `chroot`, and the program does not call it.
                if capture(filters::filtered(Path::new("chroot"), filter.clone()).args(["/", "true"]))?.status.success()
                {
                    return Err(format!("{} does not refuse `chroot`, so it is not in force", self.on));
                }
                filters::filtered(program, filter)
            }
            Kind::Bubblewrap => {
                let mut bwrap = bubblewrap(cache, "bookworm")?;
                bwrap.args(["--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"]).arg(program);
                bwrap
            }
            Kind::Strace => {
                let mut strace = Command::new("strace");
                strace.args(["-f", "-o"]).arg(folder.join("calls")).arg(program);
                strace
            }
            Kind::Gdb => {
                let mut gdb = Command::new("gdb");
                gdb.args(["-nx", "-batch", "-iex", "set debuginfod enabled off"]);
                gdb.args(["-ex", "handle all nostop noprint pass", "-ex", "run"]).arg(program);
                gdb
            }
        })
    }
}

/// The program `bwrap` of a Debian suite.
fn bubblewrap(cache: &Cache, suite: &'static str) -> Result<Command, String> {
    let folder = cache.closure(Suite(suite), debian::host(), &["bubblewrap"], &[])?;
    Ok(Command::new(folder.join("usr/bin/bwrap")))
}

/// A message for each row of the table of differences that no longer applies to the run.
fn stale(run: &Checked) -> Vec<String> {
    let passed = |name: &str| run.checks.iter().any(|check| check.name == name && check.failure.is_none());
    let there = |name: &str| run.checks.iter().any(|check| check.name == name);
    let mut stale = Vec::new();
    for difference in DIFFERENCES.iter().filter(|difference| difference.applies_to(&run.on)) {
        for check in difference.checks {
            if !there(check) {
                stale.push(format!(
                    "{}: there is no check {check}; remove it from xtask/src/machines/differences.rs",
                    run.on
                ));
            } else if difference.always && passed(check) {
                stale.push(format!("{}: {check} passes now; remove it from xtask/src/machines/differences.rs", run.on));
            }
        }
    }
    stale
}

/// Whether a run was on one of the layers. User-mode Linux counts as a kernel.
pub fn is_layer(on: &str) -> bool {
    LAYERS.iter().any(|layer| layer.on == on)
}

/// A layer and its differences, for README's table. Those that differ from run to run are not
/// counted.
pub fn with_differences(on: &str) -> String {
    match (count(on, true), count(on, false)) {
        (0, 0) => on.into(),
        (0, _) => format!("{on} (some differ)"),
        (always, _) => format!("{on} ({always} differ)"),
    }
}

/// How many checks fail on a layer in each run, or in some runs.
fn count(on: &str, always: bool) -> usize {
    let all = DIFFERENCES.iter().filter(|difference| difference.applies_to(on) && difference.always == always);
    all.map(|difference| difference.checks.len()).sum()
}

/// The table of layers in docs/testing.md.
pub fn layers_table() -> String {
    let rows = LAYERS.iter().map(|layer| {
        let result = match (count(layer.on, true), count(layer.on, false)) {
            (0, 0) => "all".to_string(),
            (0, _) => "all but some, which differ from run to run".into(),
            (failing, _) => format!("all but {failing}"),
        };
        vec![layer.on.into(), layer.package.into(), layer.command.into(), result]
    });
    report::markdown(&["layer", "from", "how it runs the program", "checks that pass"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machines::conformance::Check;

    #[test]
    fn every_difference_is_of_a_layer() {
        for difference in DIFFERENCES {
            assert!(LAYERS.iter().any(|layer| difference.applies_to(layer.on)), "{}", difference.what);
        }
    }

    #[test]
    fn a_difference_that_is_gone_is_an_error() {
        let difference = DIFFERENCES.iter().find(|difference| difference.always).expect("there is one");
        let on = LAYERS.iter().map(|layer| layer.on).find(|on| difference.applies_to(on)).expect("a layer has it");
        let gone = |failure: Option<&str>| {
            let checks = difference.checks.iter().map(|name| Check {
                name: (*name).into(),
                failure: failure.map(Into::into),
                known: None,
            });
            let run = Checked { on: on.into(), checks: checks.collect(), ..Checked::default() };
            stale(&run).iter().any(|line| line.contains(&format!("{} passes now", difference.checks[0])))
        };
        assert!(gone(None));
        assert!(!gone(Some("why")));
    }

    #[test]
    fn a_check_that_is_no_more_is_an_error() {
        let run = Checked { on: "strace".into(), ..Checked::default() };
        assert!(stale(&run)[0].contains("there is no check"));
    }
}
