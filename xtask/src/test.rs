//! `cargo xtask test`: the steps that decide whether a change is right.

use crate::debian;
use crate::kit::document::{CONTRIBUTING, README};
use crate::kit::report;
use crate::kit::shell::root;
use crate::machines::conformance::Run as Checked;
use crate::machines::emulated::Doubts;
use crate::machines::targets::TARGETS;
use crate::machines::{kernels, targets};
use crate::proved::Proof;
use crate::step::{self, Run, Step, Test, Tier, World};
use crate::table;
use clap::Args;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

#[derive(Args)]
pub struct Options {
    /// Everything: other machines under emulators, real kernels, proofs, packages. Needs Debian, and downloads
    #[arg(long, conflicts_with_all = ["only", "target", "kernel"])]
    everywhere: bool,
    /// Only these steps, as `documents` or `asm,clobbers`; `--list` names all
    #[arg(long, value_name = "STEP", value_delimiter = ',', conflicts_with_all = ["target", "kernel"])]
    only: Vec<String>,
    /// Only these targets, under emulators; the start of a name will do; may be given again
    #[arg(long, conflicts_with = "kernel")]
    target: Vec<String>,
    /// Only these kernels, as `arm64-5.10`; the start of a name will do; may be given again
    #[arg(long, value_name = "NAME")]
    kernel: Vec<String>,
    #[command(flatten)]
    doubts: Doubts,
    /// Print the steps and the targets, and run nothing
    #[arg(long, conflicts_with_all = ["everywhere", "only", "target", "kernel"])]
    list: bool,
    /// Write every check's result to this file
    #[arg(long, value_name = "FILE")]
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
        world.doubts = self.doubts;
        let steps = self.steps(&world)?;
        if self.everywhere {
            announce(&steps)?;
        }
        let start = Instant::now();
        let mut summary = Summary { steps: run_all(&world, &steps), ..Summary::default() };
        summary.seconds = start.elapsed().as_secs_f32();
        summary.results = world.results().clone();
        summary.is_whole = self.everywhere && summary.failures().next().is_none();
        if summary.is_whole {
            keep(&last_run(), &summary)?;
            summary.steps.push(Outcome::of("README's table", "cargo xtask table", || {
                README.check(table::ARCHITECTURES, &table::architectures(&summary.results.runs), "cargo xtask table")
            }));
        }
        if let Some(file) = &self.json {
            keep(file, &summary)?;
        }
        let all = vec!["all".into(), String::new(), format!("{:.1}", summary.seconds)];
        report::print(&["what", "result", "seconds"], summary.steps.iter().map(Outcome::row).chain([all]));
        match summary.failures().collect::<Vec<_>>().as_slice() {
            [] => Ok(()),
            failures => Err(failures.join("\n\n")),
        }
    }
}

impl Options {
    /// The steps that are asked for, in the order of the table.
    fn steps(&self, world: &World) -> Result<Vec<(&'static Step, &'static Test)>, String> {
        let all = || world.steps.iter().filter_map(|step| Some((step, step.test.as_ref()?)));
        let by_name = |names: &[&str]| all().filter(|(step, _)| names.contains(&step.name)).collect();
        if let Some(unknown) = self.only.iter().find(|name| !all().any(|(step, _)| step.name == **name)) {
            let names: Vec<&str> = all().map(|(step, _)| step.name).collect();
            return Err(format!("no step is called {unknown:?}; there are {}", names.join(", ")));
        }
        Ok(if !self.only.is_empty() {
            by_name(&self.only.iter().map(String::as_str).collect::<Vec<_>>())
        } else if !self.target.is_empty() || self.doubts.are_asked() {
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
        Some([step.name, tier, &needs(step), step.about].map(String::from).to_vec())
    });
    report::print(&["step", "in", "needs", "what it does"], rows);
    let rows = TARGETS.iter().map(|target| {
        let rust = if target.stable { "stable" } else { "nightly" };
        [target.name, &target.emulator.join(" "), rust, target.why].map(String::from).to_vec()
    });
    report::print(&["target", "emulator", "Rust", "why"], rows);
}

/// The tools that a step needs, by their names.
pub fn needs(step: &Step) -> String {
    step.needs.iter().map(|tool| tool.name).collect::<Vec<_>>().join(", ")
}

/// Says before a long test what it will take: by the last whole test that wrote its figures into CONTRIBUTING.md.
fn announce(steps: &[(&Step, &Test)]) -> Result<(), String> {
    let last = CONTRIBUTING.table(table::STEPS)?;
    let all = |column: &str| last.get("all").and_then(|row| row.get(column)).cloned().unwrap_or_default();
    let mut tools: Vec<&str> = steps.iter().flat_map(|(step, _)| step.needs).map(|tool| tool.name).collect();
    tools.sort_unstable();
    tools.dedup();
    let missing: Vec<&str> = steps
        .iter()
        .flat_map(|(step, _)| step.needs)
        .filter(|tool| tools.contains(&tool.name) && tool.version().is_none())
        .map(|tool| tool.name)
        .collect();
    println!("{} steps. The last whole run took {} s on {}.", steps.len(), all("seconds"), all("needs"));
    println!("Downloads: {}, once, into {}.", all("step"), debian::Cache::open()?.root().display());
    println!("Needs: {}. `cargo xtask doctor` says what installs each.", tools.join(", "));
    if !missing.is_empty() {
        println!("Missing here, and installed now if this is root on Debian: {}.", missing.join(", "));
    }
    Ok(())
}

/// How many steps run at once: while one waits, another computes.
const AT_ONCE: usize = 2;

/// Runs the steps, beside each other where they build in different places.
fn run_all(world: &World, steps: &[(&'static Step, &'static Test)]) -> Vec<Outcome> {
    struct Queue {
        waiting: Vec<usize>,
        building: Vec<step::Place>,
        done: Vec<(usize, Outcome)>,
    }
    let queue = Mutex::new(Queue { waiting: (0..steps.len()).collect(), building: Vec::new(), done: Vec::new() });
    let changed = Condvar::new();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(steps.len()) {
            scope.spawn(|| {
                let mut now = queue.lock().unwrap_or_else(PoisonError::into_inner);
                while !now.waiting.is_empty() {
                    let is_free = |place: &&usize| !steps[**place].1.builds.iter().any(|at| now.building.contains(at));
                    let Some(place) = now.waiting.iter().find(is_free).copied() else {
                        now = changed.wait(now).unwrap_or_else(PoisonError::into_inner);
                        continue;
                    };
                    let (step, test) = steps[place];
                    now.waiting.retain(|other| *other != place);
                    now.building.extend(test.builds);
                    drop(now);
                    let outcome = Outcome::of(test.title, &step.repeat(), || check(world, step, test)).counting(test);
                    now = queue.lock().unwrap_or_else(PoisonError::into_inner);
                    now.building.retain(|at| !test.builds.contains(at));
                    now.done.push((place, outcome));
                    changed.notify_all();
                }
            });
        }
    });
    let mut done = queue.into_inner().unwrap_or_else(PoisonError::into_inner).done;
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}

/// How many checks of a step passed: now, or when nothing that it looks at was different.
fn check(world: &World, step: &Step, test: &Test) -> Result<usize, String> {
    step.prepare()?;
    if test.proves.is_empty() {
        return (test.check)(world);
    }
    let proof = Proof::of(step.name, world.cache()?, test.proves)?;
    if let Some(passed) = proof.passed() {
        world.progress.job(test.title).done(&format!("{passed} {}, and nothing has changed since", test.counts));
        return Ok(passed);
    }
    let passed = (test.check)(world)?;
    proof.keep(passed)?;
    Ok(passed)
}

/// What a test came to; `--json` writes it.
#[derive(Default, Deserialize, Serialize)]
pub struct Summary {
    pub steps: Vec<Outcome>,
    pub seconds: f32,
    /// Every run of the conformance program, with its checks.
    #[serde(flatten)]
    pub results: crate::machines::results::Results,
    /// Whether every step ran, and passed.
    pub is_whole: bool,
}

impl Summary {
    fn failures(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|step| step.failure.as_deref())
    }

    pub fn read(file: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(file)
            .map_err(|_| format!("there is no {}: `cargo xtask test --json {0}` writes it", file.display()))?;
        serde_json::from_str(&text).map_err(|error| format!("{} holds no results: {error}", file.display()))
    }

    /// The runs of the conformance program.
    pub fn into_runs(self) -> Vec<Checked> {
        self.results.runs
    }
}

/// A row of the closing table.
#[derive(Deserialize, Serialize)]
pub struct Outcome {
    pub what: String,
    /// How many passed; `None` of a step that failed.
    passed: Option<usize>,
    /// What is counted.
    of: String,
    failure: Option<String>,
    pub seconds: f32,
}

impl Outcome {
    fn of(what: &str, repeat: &str, work: impl FnOnce() -> Result<usize, String>) -> Self {
        let start = Instant::now();
        let answer = work();
        Self {
            what: what.into(),
            passed: answer.as_ref().ok().copied(),
            of: "passed".into(),
            failure: answer.err().map(|why| format!("{what}: {why}\nTo repeat this step alone: `{repeat}`")),
            seconds: start.elapsed().as_secs_f32(),
        }
    }

    fn counting(self, test: &Test) -> Self {
        Self { of: test.counts.into(), ..self }
    }

    fn row(&self) -> Vec<String> {
        let result = self.passed.map_or("FAILED".into(), |passed| format!("{passed} {}", self.of));
        vec![self.what.clone(), result, format!("{:.1}", self.seconds)]
    }
}

/// Where the last whole test that passed is kept.
pub fn last_run() -> PathBuf {
    root().join("target/last-run.json")
}

fn keep(file: &Path, summary: &Summary) -> Result<(), String> {
    let text = serde_json::to_string_pretty(summary).map_err(|error| format!("cannot write JSON: {error}"))?;
    fs::write(file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::{Command, Place};
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::time::Duration;

    static AT_NATIVE: AtomicUsize = AtomicUsize::new(0);
    static MET: AtomicUsize = AtomicUsize::new(0);

    /// Fails if another one runs at the same time.
    fn alone(_: &World) -> Result<usize, String> {
        let others = AT_NATIVE.fetch_add(1, SeqCst);
        thread::sleep(Duration::from_millis(10));
        AT_NATIVE.fetch_sub(1, SeqCst);
        if others == 0 {
            Ok(1)
        } else {
            Err("another builds here".into())
        }
    }

    /// Ends only if another one runs at the same time.
    fn together(_: &World) -> Result<usize, String> {
        MET.fetch_add(1, SeqCst);
        let begin = Instant::now();
        while MET.load(SeqCst) < 2 {
            if begin.elapsed() > Duration::from_secs(60) {
                return Err("nothing runs beside it".into());
            }
            thread::yield_now();
        }
        Ok(2)
    }

    fn fails(_: &World) -> Result<usize, String> {
        Err("as it should".into())
    }

    const fn step(name: &'static str, builds: &'static [Place], check: fn(&World) -> Result<usize, String>) -> Step {
        let test = Test { title: name, tier: Tier::Here, counts: "passed", builds, proves: &[], check };
        Step { name, about: "", command: Command::None, test: Some(test), shown: &[], needs: &[] }
    }

    fn run(steps: &'static [Step]) -> Vec<Outcome> {
        let tests: Vec<_> = steps.iter().filter_map(|step| Some((step, step.test.as_ref()?))).collect();
        run_all(&World::new(steps), &tests)
    }

    #[test]
    fn steps_that_build_in_one_place_run_one_after_another() {
        static STEPS: [Step; 4] = [
            step("a", &[Place::Native], alone),
            step("b", &[Place::Native, Place::Std], alone),
            step("c", &[Place::Native], alone),
            step("d", &[Place::Native], alone),
        ];
        assert!(run(&STEPS).iter().all(|outcome| outcome.passed == Some(1)));
    }

    #[test]
    fn steps_that_build_elsewhere_run_beside_each_other() {
        static STEPS: [Step; 2] = [step("a", &[Place::Native], together), step("b", &[Place::Cross], together)];
        assert!(run(&STEPS).iter().all(|outcome| outcome.passed == Some(2)));
    }

    #[test]
    fn a_step_that_fails_says_how_to_repeat_it_and_stops_no_other() {
        static STEPS: [Step; 2] = [step("a", &[Place::Native], fails), step("b", &[Place::Native], |_| Ok(3))];
        let outcomes = run(&STEPS);
        assert_eq!(outcomes.iter().map(|outcome| outcome.passed).collect::<Vec<_>>(), [None, Some(3)]);
        let failure = outcomes[0].failure.as_deref().unwrap_or_default();
        assert!(failure.contains("a: as it should") && failure.contains("`cargo xtask test --only a`"), "{failure}");
    }
}
