//! `cargo xtask conformance`: the conformance program for others: its command line, static programs
//! for every target, and who answers what.

use crate::kit::document::CONFORMANCE;
use crate::kit::file;
use crate::kit::progress::Job;
use crate::kit::report;
use crate::kit::shell::{both, capture, conformance_limit, run, run_within};
use crate::kit::tool::{in_container, VALGRIND};
use crate::machines::conformance::Run as Checked;
use crate::machines::cross::{self, PROGRAM};
use crate::machines::emulated;
use crate::machines::kernels;
use crate::machines::targets::{of_this_machine, select, short, Target};
use crate::machines::worst;
use crate::step::{Run, World};
use crate::test::{last_run, Summary};
use clap::Args;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

#[derive(Args)]
pub struct Options {
    /// Build the static program of every target into this folder, with a file of checksums
    #[arg(long = "static", value_name = "DIR", conflicts_with = "write")]
    folder: Option<PathBuf>,
    /// Build only for targets whose name starts with this; may be repeated
    #[arg(long, requires = "folder")]
    target: Vec<String>,
    /// Write the tables of who answers what, from the last full test or from files of `test --json`
    #[arg(long, value_name = "FILE", num_args = 0..)]
    write: Option<Vec<PathBuf>>,
}

impl Run for Options {
    fn run(&self, world: &World) -> Result<(), String> {
        if let Some(folder) = &self.folder {
            let rows = build_all(world, folder, &select(&self.target)?)?;
            report::print(&["target", "bytes", "program"], rows);
            return Ok(());
        }
        if let Some(files) = &self.write {
            return write_answers(world, files);
        }
        report::say(format_args!("{} passed", run_checks(world)?));
        Ok(())
    }
}

/// Builds the programs of these targets, each as `epoll-conformance-TARGET`, and writes the checksums.
/// Returns a row for each target.
fn build_all(world: &World, folder: &Path, targets: &[&'static Target]) -> Result<Vec<Vec<String>>, String> {
    let cache = world.cache()?;
    fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let (mut rows, mut failures) = (Vec::new(), Vec::new());
    for target in targets {
        let job = world.progress.job(target.name);
        if !target.links() {
            job.done("left out");
            rows.push(vec![target.name.into(), String::new(), format!("left out: {}", target.why)]);
            continue;
        }
        job.at("building");
        let name = format!("{PROGRAM}-{}", target.name);
        let built = cross::build_bare(cache, target).and_then(|program| {
            let bytes = fs::copy(&program, folder.join(&name));
            bytes.map_err(|error| format!("cannot copy {} to {}: {error}", program.display(), folder.display()))
        });
        match built {
            Ok(bytes) => {
                job.done(&format!("{bytes} bytes"));
                rows.push(vec![target.name.into(), bytes.to_string(), name]);
            }
            Err(why) => {
                job.done("FAILED");
                failures.push(format!("{}: {why}", target.name));
            }
        }
    }
    write_sums(folder)?;
    match failures.as_slice() {
        [] => Ok(rows),
        failures => Err(failures.join("\n\n")),
    }
}

/// Writes `SHA256SUMS`, with each program in the folder: an earlier command may have built others.
fn write_sums(folder: &Path) -> Result<(), String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    names.retain(|name| name.to_string_lossy().starts_with(&format!("{PROGRAM}-")));
    names.sort();
    if names.is_empty() {
        return Ok(());
    }
    file::write(&folder.join("SHA256SUMS"), &run(Command::new("sha256sum").args(names).current_dir(folder))?)
}

/// Checks the checksums of a folder as a user does.
fn check_sums(folder: &Path) -> Result<String, String> {
    run(Command::new("sha256sum").args(["--strict", "-c", "SHA256SUMS"]).current_dir(folder))
}

/// Checks the program's command line on this machine. Returns how many checks passed.
pub fn run_checks(world: &World) -> Result<usize, String> {
    world.progress.checks(PROGRAM, |job| check_all(world, job))
}

fn check_all(world: &World, job: &Job) -> Result<usize, String> {
    job.at("building");
    let cache = world.cache()?;
    let target = of_this_machine()?;
    let program = cross::build_bare(cache, target)?;
    let emulators = emulated::emulators(cache)?;
    let emulator = emulators.last().ok_or("there is no emulator")?;
    job.at("running");
    let built = Program { path: &program, emulated: &|| emulator.command(target, &program) };
    for (name, check) in CHECKS {
        check(&built).map_err(|why| format!("{PROGRAM}, {name}: {why}"))?;
    }
    job.at("--static");
    let folder = tempfile::tempdir().map_err(|error| format!("cannot create a temporary folder: {error}"))?;
    build_all(world, folder.path(), &[target])?;
    same("the checksums", check_sums(folder.path())?, format!("{PROGRAM}-{}: OK\n", target.name))?;
    Ok(CHECKS.len() + 1)
}

struct Program<'a> {
    path: &'a Path,
    /// The program under an emulator that fails [`FAILING`].
    emulated: &'a dyn Fn() -> Command,
}

type Check = fn(&Program) -> Result<(), String>;

const CHECKS: &[(&str, Check)] = &[
    ("a list has the checks of a run", list_is_run),
    ("a filter selects by part of the name, and --exact by the whole", filters),
    ("--tap is TAP 14", tap),
    ("--json is an object a line", json),
    ("a failure is reported in every format", failure),
    ("a check that takes longer than --timeout fails", timeout),
    ("--help names every option", help),
    ("a full disk is an error", full_disk),
    ("a wrong command line is an error with a remedy", wrong_arguments),
    ("a container's first process runs no check of the machine", container),
];

/// qemu has no host signal for the highest ones of its machine.
const FAILING: &str = "signals::each_high_signal_is_blocked_by_its_own_bit";

impl Program<'_> {
    /// What the program prints, which must end with this status.
    fn prints(&self, arguments: &[&str], status: i32) -> Result<String, String> {
        output(Command::new(self.path).args(arguments), status)
    }
}

fn output(command: &mut Command, status: i32) -> Result<String, String> {
    let output = capture(command)?;
    let printed = both(&output);
    if output.status.code() == Some(status) {
        return Ok(printed);
    }
    Err(format!("{command:?} ends with {} and not with status {status}; it prints:\n{printed}", output.status))
}

/// An error with both, if they differ.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Result<(), String> {
    (found == expected).then_some(()).ok_or_else(|| format!("{what}: {found:?} instead of {expected:?}"))
}

fn list_is_run(program: &Program) -> Result<(), String> {
    let list = program.prints(&["--list"], 0)?;
    let run = Checked::read("this machine", "this kernel", &program.prints(&[], 0)?, 0.0, &[])?;
    same("names", run.checks.iter().map(|check| check.name.as_str()).collect::<Vec<_>>(), list.lines().collect())
}

fn filters(program: &Program) -> Result<(), String> {
    let list = program.prints(&["--list"], 0)?;
    let two = program.prints(&["--list", "eventfd::", "an_epoll_is"], 0)?;
    let expected = list.lines().filter(|name| name.contains("eventfd::") || name.contains("an_epoll_is"));
    same("two filters", two.lines().collect::<Vec<_>>(), expected.collect())?;
    let whole = "eventfd::writing_zero_changes_nothing";
    same("the whole name", program.prints(&["--list", "--exact", whole], 0)?, format!("{whole}\n"))?;
    same("a run", program.prints(&["--exact", whole], 0)?.contains("conformance: 1 passed, 0 failed\n"), true)
}

fn tap(program: &Program) -> Result<(), String> {
    let list = program.prints(&["--list", "eventfd"], 0)?;
    let printed = program.prints(&["--tap", "eventfd"], 0)?;
    let mut lines = printed.lines();
    same("the version", lines.next(), Some("TAP version 14"))?;
    same("the plan", lines.next(), Some(format!("1..{}", list.lines().count()).as_str()))?;
    let mut lines = lines.skip_while(|line| !line.starts_with("# running "));
    for (place, name) in list.lines().enumerate() {
        same("the start", lines.next(), Some(format!("# running {name}").as_str()))?;
        same("the result", lines.next(), Some(format!("ok {} - {name}", place + 1).as_str()))?;
    }
    same("the end", lines.next(), Some(format!("# {} passed, 0 failed", list.lines().count()).as_str()))
}

/// The objects in the lines of a text.
fn objects(printed: &str) -> Result<Vec<Value>, String> {
    let parse = |line: &str| serde_json::from_str(line).map_err(|error| format!("{line:?} is no JSON: {error}"));
    printed.lines().map(parse).collect()
}

fn json(program: &Program) -> Result<(), String> {
    let names = program.prints(&["--list"], 0)?;
    let listed = objects(&program.prints(&["--list", "--json"], 0)?)?;
    same(
        "the list",
        listed.iter().filter_map(|object| object["name"].as_str()).collect(),
        names.lines().collect::<Vec<_>>(),
    )?;
    for object in &listed {
        let text = |field: &str| object[field].as_str().filter(|text| !text.is_empty());
        let sentence = text("name").and_then(|name| Some(name.split_once("::")?.1.replace('_', " ")));
        same("the sentence", text("sentence"), sentence.as_deref())?;
        same("the source of a check", text("source").is_some_and(|source| source.contains(": ")), true)?;
    }
    let expected: Vec<&str> = names.lines().filter(|name| name.contains("eventfd")).collect();
    let printed = objects(&program.prints(&["--json", "eventfd"], 0)?)?;
    let running = printed.iter().filter_map(|object| object["running"].as_str());
    same("what runs", running.collect(), expected.clone())?;
    let passed = printed.iter().filter(|object| object["outcome"] == "ok").filter_map(|object| object["name"].as_str());
    same("what passed", passed.collect(), expected.clone())?;
    let counts = serde_json::json!({ "passed": expected.len(), "failed": 0 });
    same("the counts", printed.last(), Some(&counts))
}

fn failure(program: &Program) -> Result<(), String> {
    let prints = |format: &[&str]| output((program.emulated)().args(format).args(["--exact", FAILING]), 1);
    let lines = prints(&[])?;
    let failed = lines.lines().find_map(|line| line.strip_prefix(&format!("FAILED {FAILING}: ")));
    let reason = failed.ok_or_else(|| format!("no line says FAILED:\n{lines}"))?;
    let quoted = Value::from(reason).to_string();
    let tap = prints(&["--tap"])?;
    let point = format!(
        "\nnot ok 1 - {FAILING}\n  ---\n  message: {quoted}\n  source: \"kernel/signal.c: sigprocmask\"\n  ...\n"
    );
    if !tap.contains(&point) {
        return Err(format!("the output lacks {point:?}:\n{tap}"));
    }
    let printed = objects(&prints(&["--json"])?)?;
    let object = printed.iter().find(|object| object["outcome"] == "failed").ok_or("no object says failed")?;
    same("the reason", object["reason"].as_str(), Some(reason))?;
    same("the counts", printed.last(), Some(&serde_json::json!({ "passed": 0, "failed": 1 })))
}

fn timeout(program: &Program) -> Result<(), String> {
    // The first waits for longer than a second.
    let (slow, fast) = ("timeouts::no_timeout_outlasts_a_second", "timeouts::a_timeout_of_zero_does_not_wait");
    let printed = program.prints(&["--timeout=1", "--exact", slow, fast], 1)?;
    same("the failure", printed.contains(&format!("FAILED {slow}: no end within 1 s\n")), true)?;
    same("the other check", printed.contains(&format!("ok {fast}\n")), true)?;
    let printed = program.prints(&["--timeout=600", "signals::a_signal_interrupts"], 0)?;
    same("all of them", printed.contains(" passed, 0 failed\n"), true)
}

fn help(program: &Program) -> Result<(), String> {
    let printed = program.prints(&["--help"], 0)?;
    for option in ["--exact", "--list", "--tap", "--json", "--timeout=SECONDS", "--help"] {
        same(option, printed.contains(&format!("  {option} ")), true)?;
    }
    Ok(())
}

fn full_disk(program: &Program) -> Result<(), String> {
    for arguments in ["--list", "--help", "--exact eventfd::writing_zero_changes_nothing"] {
        let script = format!("exec \"$0\" {arguments} > /dev/full");
        let printed = output(Command::new("sh").args(["-c", &script]).arg(program.path), 1)?;
        let is_one_line =
            printed.starts_with("error: cannot write to standard output: ") && printed.lines().count() == 1;
        same(&printed, is_one_line && printed.contains("ENOSPC"), true)?;
    }
    Ok(())
}

fn wrong_arguments(program: &Program) -> Result<(), String> {
    for (arguments, remedy) in [
        (&["--verbose"][..], "--help lists the options"),
        (&["--tap", "--json"], "leave one out"),
        (&["--exact"], "--list prints the names"),
        (&["--exact", "eventfd"], "--list prints the names"),
        (&["eventfd", "no_such_check"], "--list prints the names"),
        (&["--timeout"], "write --timeout=60"),
        (&["--timeout=0"], "write --timeout=60"),
        (&["--timeout=a_minute"], "write --timeout=60"),
    ] {
        let printed = program.prints(arguments, 2)?;
        let is_one_line = printed.starts_with("error: ") && printed.lines().count() == 1;
        same(&printed, is_one_line && printed.contains(remedy), true)?;
    }
    Ok(())
}

/// A first process that restarts its container dies by a signal. Its process 2 is a child with the
/// group 0 in one of the two.
fn container(program: &Program) -> Result<(), String> {
    let list = program.prints(&["--list"], 0)?;
    same("the list", output(in_container(program.path).arg("--list"), 0)?, list)?;
    same("a check of the machine", output(in_container(program.path).arg("machine::"), 2)?.lines().count(), 1)?;
    let beside_a_child = r#"sleep 600 & exec "$0" eventfd"#;
    let printed = output(in_container(Path::new("sh")).args(["-c", beside_a_child]).arg(program.path), 0)?;
    same("a run", printed.contains(" passed, 0 failed\n"), true)
}

/// Runs the program under valgrind. A full test does so only for its memory errors.
fn under_valgrind(world: &World) -> Result<Checked, String> {
    let target = of_this_machine()?;
    VALGRIND.ensure()?;
    let job = world.progress.job("valgrind");
    job.at("building and running");
    let program = cross::build_bare(world.cache()?, target)?;
    let start = Instant::now();
    let mut valgrind = Command::new(VALGRIND.name);
    let output = run_within(valgrind.args(["-q", "--log-file=/dev/null"]).arg(&program), conformance_limit())?;
    // `valgrind-3.19.0`
    let on = report::first_line(VALGRIND.name, &["--version"]).replace('-', " ");
    let run = Checked::read(target.name, &on, &output, start.elapsed().as_secs_f32(), &[]);
    job.done(if run.is_ok() { "done" } else { "FAILED" });
    run
}

/// Writes the tables of who answers what.
fn write_answers(world: &World, files: &[PathBuf]) -> Result<(), String> {
    let mut runs = vec![under_valgrind(world)?];
    let last = [last_run()];
    for file in if files.is_empty() { &last } else { files } {
        let read = Summary::read(file)?.results.runs;
        // The worst kernel is qemu-user too.
        runs.extend(read.into_iter().filter(|run| run.on != worst::ON));
    }
    for (name, table) in [("implementations", implementations(&runs)), ("differences", differences(&runs))] {
        let changed = CONFORMANCE.write(name, &table)?;
        report::say(format_args!("the table of {name} {}", if changed { "has changed" } else { "is unchanged" }));
    }
    Ok(())
}

/// Who answered: a kernel by its release, and everything else by name and the first two numbers of its
/// version, because the others change from day to day.
fn implementation(run: &Checked) -> String {
    let on = kernels::kernel_name(&run.on).map_or(run.on.as_str(), |_| run.on.split(" (").next().unwrap_or(&run.on));
    let is_version = |version: &str| version.starts_with(|c: char| c.is_ascii_digit());
    let Some((name, version)) = on.rsplit_once(' ').filter(|(_, version)| is_version(version)) else {
        return on.into();
    };
    let numbers: Vec<&str> = version.split(|c: char| !c.is_ascii_digit()).take(2).collect();
    format!("{name} {}", numbers.join("."))
}

/// A row for each implementation: its machines, and how many checks it passes on all of them.
fn implementations(runs: &[Checked]) -> String {
    let mut rows: BTreeMap<String, (Vec<String>, Vec<&str>, usize)> = BTreeMap::new();
    for run in runs {
        let (machines, failed, most) = rows.entry(implementation(run)).or_default();
        machines.push(short(&run.target).into());
        failed.extend(run.checks.iter().filter(|check| check.failure.is_some()).map(|check| check.name.as_str()));
        *most = run.checks.len().max(*most);
    }
    let row = |(name, (mut machines, mut failed, checks)): (String, (Vec<String>, Vec<&str>, usize))| {
        machines.sort();
        machines.dedup();
        failed.sort_unstable();
        failed.dedup();
        let passed = (checks - failed.len()).to_string();
        vec![name, machines.join(", "), checks.to_string(), passed, failed.len().to_string()]
    };
    report::markdown(&["implementation", "machines", "checks", "pass on all", "differ"], rows.into_iter().map(row))
}

type Names<'a> = BTreeSet<&'a str>;

/// A row for each reason that an implementation's checks fail: on which of its machines, how many
/// checks and the first of them.
fn differences(runs: &[Checked]) -> String {
    let mut rows: BTreeMap<(String, String), (Names, Names)> = BTreeMap::new();
    let mut machines: BTreeMap<String, Names> = BTreeMap::new();
    for run in runs {
        let (implementation, machine) = (implementation(run), short(&run.target));
        machines.entry(implementation.clone()).or_default().insert(machine);
        for check in &run.checks {
            let Some(failure) = &check.failure else { continue };
            let values = failure.split_once(": ").map_or(failure.as_str(), |(_, values)| values);
            let why = check.known.clone().unwrap_or_else(|| format!("`{}`", values.replace('|', "\\|")));
            let (on, checks) = rows.entry((implementation.clone(), why)).or_default();
            on.insert(machine);
            checks.insert(&check.name);
        }
    }
    let row = |((implementation, why), (on, checks)): ((String, String), (Names, Names))| {
        let is_everywhere = machines.get(&implementation) == Some(&on);
        let names = Vec::from_iter(on).join(", ");
        let on = if is_everywhere && names.contains(',') { "all".into() } else { names };
        let first = checks.first().map(|check| format!("`{check}`")).unwrap_or_default();
        vec![implementation, why, on, checks.len().to_string(), first]
    };
    report::markdown(&["implementation", "reason", "machines", "checks", "the first"], rows.into_iter().map(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_in_the_folder_has_a_checksum() {
        let folder = tempfile::tempdir().expect("a folder");
        write_sums(folder.path()).expect("there are none");
        let add = |name: &str| fs::write(folder.path().join(name), name).expect("a file");
        for name in ["epoll-conformance-b", "epoll-conformance-a"] {
            add("other");
            add(name);
            write_sums(folder.path()).expect("it is written");
        }
        assert_eq!(check_sums(folder.path()), Ok("epoll-conformance-a: OK\nepoll-conformance-b: OK\n".into()));
        fs::write(folder.path().join("epoll-conformance-a"), "another").expect("a file");
        assert!(check_sums(folder.path()).is_err());
    }
}
