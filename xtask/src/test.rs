//! `cargo xtask test`: runs the steps that decide whether a change is right.

use crate::debian;
use crate::kit::document::{CONTRIBUTING, README};
use crate::kit::file;
use crate::kit::report;
use crate::kit::shell::root;
use crate::kit::tool::Tool;
use crate::machines::emulated::Stress;
use crate::machines::targets::TARGETS;
use crate::machines::{kernels, targets};
use crate::proved::Proof;
use crate::step::{self, Run, Step, Test, Tier, World};
use crate::table;
use clap::Args;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

#[derive(Args)]
pub struct Options {
    /// Run all steps: emulators, real kernels, proofs, packages. Needs Debian and downloads
    #[arg(long, conflicts_with_all = ["only", "target", "kernel"])]
    everywhere: bool,
    /// Run only these steps, such as `documents` or `asm,clobbers`; `--list` names all steps
    #[arg(long, value_name = "STEP", value_delimiter = ',', conflicts_with_all = ["target", "kernel"])]
    only: Vec<String>,
    /// Run the conformance list only on targets whose name starts with this; may be repeated
    #[arg(long, conflicts_with = "kernel")]
    target: Vec<String>,
    /// Run the conformance list only on kernels whose name starts with this, such as `arm64-5.10`;
    /// may be repeated
    #[arg(long, value_name = "NAME")]
    kernel: Vec<String>,
    #[command(flatten)]
    stress: Stress,
    /// List the steps and the targets, and run nothing
    #[arg(long, conflicts_with_all = ["everywhere", "only", "target", "kernel"])]
    list: bool,
    /// Write the result of every check to this file
    #[arg(long, value_name = "FILE", value_parser = file::writable)]
    json: Option<PathBuf>,
}

impl Run for Options {
    fn run(&self, world: &World) -> Result<(), String> {
        if self.list {
            list(world);
            return Ok(());
        }
        let mut world = World::new(world.steps);
        world.targets = targets::select(&self.target)?;
        world.kernels = kernels::select(&self.kernel)?;
        world.stress = self.stress;
        let steps = self.steps(&world)?;
        if self.everywhere {
            announce(&steps)?;
        }
        let start = Instant::now();
        let mut summary = Summary { steps: run_all(&world, &steps), ..Summary::default() };
        summary.seconds = start.elapsed().as_secs_f32();
        summary.results = world.results().clone();
        summary.is_whole = self.everywhere && summary.failures().next().is_none();
        let mut unwritten = None;
        if summary.is_whole {
            unwritten = write(&last_run(), &summary).err();
            summary.steps.push(Outcome::of("README's table", "cargo xtask table", || {
                let table = table::architectures_table(&summary.results)?;
                README.check(table::ARCHITECTURES, &table, "cargo xtask table")
            }));
        }
        summary.report(self.json.as_deref(), unwritten)
    }
}

impl Options {
    /// The selected steps, in the order of the table.
    fn steps(&self, world: &World) -> Result<Vec<(&'static Step, &'static Test)>, String> {
        let all = || world.steps.iter().filter_map(|step| Some((step, step.test.as_ref()?)));
        let by_name = |names: &[&str]| all().filter(|(step, _)| names.contains(&step.name)).collect();
        if let Some(unknown) = self.only.iter().find(|name| !all().any(|(step, _)| step.name == **name)) {
            let names: Vec<&str> = all().map(|(step, _)| step.name).collect();
            return Err(format!("there is no step {unknown:?}; the steps are {}", names.join(", ")));
        }
        Ok(if !self.only.is_empty() {
            by_name(&self.only.iter().map(String::as_str).collect::<Vec<_>>())
        } else if !self.target.is_empty() || self.stress.is_requested() {
            by_name(&["targets"])
        } else if !self.kernel.is_empty() {
            by_name(&["kernels"])
        } else {
            all().filter(|(_, test)| self.everywhere || test.tier == Tier::Here).collect()
        })
    }
}

fn list(world: &World) {
    let rows = world.steps.iter().filter_map(|step| {
        let tier = match step.test.as_ref()?.tier {
            Tier::Here => "test",
            Tier::Everywhere => "test --everywhere",
        };
        Some([step.name, tier, &needed_tools(step), step.about].map(String::from).to_vec())
    });
    report::print(&["step", "in", "needs", "description"], rows);
    let rows = TARGETS.iter().map(|target| {
        let rust = if target.stable { "stable" } else { "nightly" };
        [target.name, &target.emulator.join(" "), rust, target.why].map(String::from).to_vec()
    });
    report::print(&["target", "emulator", "Rust", "reason"], rows);
}

/// The names of the tools that a step needs.
pub fn needed_tools(step: &Step) -> String {
    step.needs.iter().map(|tool| tool.name).collect::<Vec<_>>().join(", ")
}

/// Prints before a full test what it takes: the time and downloads of the last one, from
/// CONTRIBUTING.md, and the tools.
fn announce(steps: &[(&Step, &Test)]) -> Result<(), String> {
    let last = CONTRIBUTING.table(table::STEPS)?;
    let total = |column: &str| last.get("all").and_then(|row| row.get(column)).map_or("not recorded", String::as_str);
    let tools: BTreeMap<&str, &Tool> =
        steps.iter().flat_map(|(step, _)| step.needs).map(|tool| (tool.name, *tool)).collect();
    let names = |tools: Vec<&&str>| tools.into_iter().copied().collect::<Vec<_>>().join(", ");
    report::say(format_args!(
        "{} steps. The recorded run took {} s on {}.",
        steps.len(),
        total("seconds"),
        total("needs")
    ));
    report::say(format_args!("Its downloads and builds were in the cache. The first run takes several times as long."));
    report::say(format_args!("Downloads: {}, once, into {}.", total("step"), debian::Cache::open()?.root().display()));
    report::say(format_args!(
        "Needs: {}. `cargo xtask doctor` lists how to install each.",
        names(tools.keys().collect())
    ));
    let missing = tools.iter().filter(|(_, tool)| tool.version().is_none()).map(|(name, _)| name).collect::<Vec<_>>();
    if !missing.is_empty() {
        report::say(format_args!("Missing: {}. As root on Debian, xtask installs them now.", names(missing)));
    }
    Ok(())
}

/// How many steps run in parallel: while one waits, another computes.
const PARALLEL_STEPS: usize = 2;

/// Runs the steps, in parallel if they build in different places.
fn run_all(world: &World, steps: &[(&'static Step, &'static Test)]) -> Vec<Outcome> {
    struct Queue {
        waiting: Vec<usize>,
        building: Vec<step::Place>,
        done: Vec<(usize, Outcome)>,
    }
    let queue = Mutex::new(Queue { waiting: (0..steps.len()).collect(), building: Vec::new(), done: Vec::new() });
    let changed = Condvar::new();
    thread::scope(|scope| {
        for _ in 0..PARALLEL_STEPS.min(steps.len()) {
            scope.spawn(|| {
                let mut state = queue.lock().unwrap_or_else(PoisonError::into_inner);
                while !state.waiting.is_empty() {
                    let is_free =
                        |index: &&usize| !steps[**index].1.builds.iter().any(|place| state.building.contains(place));
                    let Some(index) = state.waiting.iter().find(is_free).copied() else {
                        state = changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                        continue;
                    };
                    let (step, test) = steps[index];
                    state.waiting.retain(|other| *other != index);
                    state.building.extend(test.builds);
                    drop(state);
                    let mut is_earlier = false;
                    let outcome = Outcome::of(test.title, &step.repeat(), || check(world, step, test, &mut is_earlier));
                    let outcome = Outcome { unit: test.unit.into(), is_earlier, ..outcome };
                    state = queue.lock().unwrap_or_else(PoisonError::into_inner);
                    state.building.retain(|place| !test.builds.contains(place));
                    state.done.push((index, outcome));
                    changed.notify_all();
                }
            });
        }
    });
    let mut done = queue.into_inner().unwrap_or_else(PoisonError::into_inner).done;
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}

/// How many checks of a step passed: now, or in an earlier run of a proof with the same inputs, which
/// sets `is_earlier`.
fn check(world: &World, step: &Step, test: &Test, is_earlier: &mut bool) -> Result<usize, String> {
    step.prepare()?;
    if test.proof_inputs.is_empty() {
        return (test.check)(world);
    }
    let proof = Proof::new(step.name, world.cache()?, test.proof_inputs)?;
    if let Some(passed) = proof.earlier_result() {
        *is_earlier = true;
        world.progress.job(test.title).done(&format!("{passed} {}, in an earlier run", test.unit));
        return Ok(passed);
    }
    let passed = (test.check)(world)?;
    if !proof.record(passed)? {
        let again = "a file changed meanwhile, so the next test runs this again";
        world.progress.job(test.title).done(again);
    }
    Ok(passed)
}

/// The result of a test, as `--json` writes it.
#[derive(Default, Deserialize, Serialize)]
pub struct Summary {
    pub steps: Vec<Outcome>,
    pub seconds: f32,
    /// Every run of the conformance program, with its checks.
    #[serde(flatten)]
    pub results: crate::machines::results::Results,
    /// Whether every step ran and passed.
    pub is_whole: bool,
}

impl Summary {
    fn failures(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|step| step.failure.as_deref())
    }

    /// Prints the table and writes the file. The error has the failures, and says what could not be
    /// written.
    fn report(&self, json: Option<&Path>, unwritten: Option<String>) -> Result<(), String> {
        let all = vec!["all".into(), String::new(), format!("{:.1}", self.seconds)];
        report::print(&["step", "result", "seconds"], self.steps.iter().map(Outcome::row).chain([all]));
        let unwritten = unwritten.into_iter().chain(json.and_then(|file| write(file, self).err()));
        let failures: Vec<String> = self.failures().map(String::from).chain(unwritten).collect();
        if failures.is_empty() {
            return Ok(());
        }
        Err(failures.join("\n\n"))
    }

    pub fn read(file: &Path) -> Result<Self, String> {
        let failed = |verb: &str, why: String| format!("cannot {verb} {}: {why}; {}", file.display(), writer(file));
        let text = fs::read_to_string(file).map_err(|error| failed("read", error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| failed("parse", error.to_string()))
    }
}

/// The result of a step, and a row of the table of results.
#[derive(Deserialize, Serialize)]
pub struct Outcome {
    pub title: String,
    /// How many checks passed, or `None` if the step failed.
    passed: Option<usize>,
    /// The unit of `passed`.
    unit: String,
    failure: Option<String>,
    pub seconds: f32,
    /// Whether it is a proof that passed in an earlier run.
    #[serde(default)]
    pub is_earlier: bool,
}

impl Outcome {
    fn of(title: &str, repeat: &str, work: impl FnOnce() -> Result<usize, String>) -> Self {
        let start = Instant::now();
        let answer = work();
        Self {
            title: title.into(),
            passed: answer.as_ref().ok().copied(),
            unit: "passed".into(),
            failure: answer.err().map(|error| format!("{title}: {error}\nTo repeat only this step: `{repeat}`")),
            seconds: start.elapsed().as_secs_f32(),
            is_earlier: false,
        }
    }

    fn row(&self) -> Vec<String> {
        let result = self.passed.map_or("FAILED".into(), |passed| format!("{passed} {}", self.unit));
        vec![self.title.clone(), result, format!("{:.1}", self.seconds)]
    }
}

/// The file with the results of the last full test that passed.
pub fn last_run() -> PathBuf {
    root().join("target/last-run.json")
}

/// The command that writes a file of results, for error messages.
fn writer(file: &Path) -> &'static str {
    if file == last_run() {
        return "`cargo xtask test --everywhere` writes it if every step passes";
    }
    "`cargo xtask test --json` writes it"
}

fn write(file: &Path, summary: &Summary) -> Result<(), String> {
    let text =
        serde_json::to_string_pretty(summary).map_err(|error| format!("cannot write the results as JSON: {error}"))?;
    file::write(file, &text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::{Command, Place};
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::time::Duration;

    static RUNNING_IN_NATIVE: AtomicUsize = AtomicUsize::new(0);
    static STARTED_TOGETHER: AtomicUsize = AtomicUsize::new(0);

    /// Fails if another call runs at the same time.
    fn alone(_: &World) -> Result<usize, String> {
        let others = RUNNING_IN_NATIVE.fetch_add(1, SeqCst);
        thread::sleep(Duration::from_millis(10));
        RUNNING_IN_NATIVE.fetch_sub(1, SeqCst);
        if others == 0 {
            Ok(1)
        } else {
            Err("another step builds in the same place".into())
        }
    }

    /// Succeeds only if another call runs at the same time.
    fn together(_: &World) -> Result<usize, String> {
        STARTED_TOGETHER.fetch_add(1, SeqCst);
        let begin = Instant::now();
        while STARTED_TOGETHER.load(SeqCst) < 2 {
            if begin.elapsed() > Duration::from_secs(60) {
                return Err("no other step runs at the same time".into());
            }
            thread::yield_now();
        }
        Ok(2)
    }

    fn fails(_: &World) -> Result<usize, String> {
        Err("on purpose".into())
    }

    const fn step(name: &'static str, builds: &'static [Place], check: fn(&World) -> Result<usize, String>) -> Step {
        let test = Test { title: name, tier: Tier::Here, unit: "passed", builds, proof_inputs: &[], check };
        Step { name, about: "", command: Command::None, test: Some(test), evidence: &[], needs: &[] }
    }

    fn run(steps: &'static [Step]) -> Vec<Outcome> {
        let tests: Vec<_> = steps.iter().filter_map(|step| Some((step, step.test.as_ref()?))).collect();
        run_all(&World::new(steps), &tests)
    }

    #[test]
    fn steps_with_the_same_place_run_one_after_another() {
        static STEPS: [Step; 4] = [
            step("a", &[Place::Native], alone),
            step("b", &[Place::Native, Place::Std], alone),
            step("c", &[Place::Native], alone),
            step("d", &[Place::Native], alone),
        ];
        assert!(run(&STEPS).iter().all(|outcome| outcome.passed == Some(1)));
    }

    #[test]
    fn steps_with_different_places_run_in_parallel() {
        static STEPS: [Step; 2] = [step("a", &[Place::Native], together), step("b", &[Place::Cross], together)];
        assert!(run(&STEPS).iter().all(|outcome| outcome.passed == Some(2)));
    }

    #[test]
    fn a_failed_step_names_the_command_to_repeat_it_and_the_others_run() {
        static STEPS: [Step; 2] = [step("a", &[Place::Native], fails), step("b", &[Place::Native], |_| Ok(3))];
        let outcomes = run(&STEPS);
        assert_eq!(outcomes.iter().map(|outcome| outcome.passed).collect::<Vec<_>>(), [None, Some(3)]);
        let failure = outcomes[0].failure.as_deref().unwrap_or_default();
        assert!(failure.contains("a: on purpose") && failure.contains("`cargo xtask test --only a`"), "{failure}");
    }

    #[test]
    fn a_file_that_cannot_be_written_hides_no_failure() {
        static STEPS: [Step; 1] = [step("a", &[Place::Native], fails)];
        let summary = Summary { steps: run(&STEPS), ..Summary::default() };
        let folder = tempfile::tempdir().expect("a folder");
        let error = summary.report(Some(&folder.path().join("missing/file")), Some("cannot write b".into()));
        let error = error.unwrap_err();
        for part in ["a: on purpose", "cannot write b", "missing/file: No such file"] {
            assert!(error.contains(part), "{part} is not in {error}");
        }
        let passed = Summary::default();
        assert!(passed.report(Some(&folder.path().join("file")), None).is_ok());
        assert!(Summary::read(&folder.path().join("file")).is_ok());
        let missing = Summary::read(&folder.path().join("missing")).err().unwrap_or_default();
        assert!(missing.ends_with("; `cargo xtask test --json` writes it"), "{missing}");
        assert!(writer(&last_run()).contains("`cargo xtask test --everywhere`"));
    }
}
