//! Runs the conformance list of every port under emulators, and as the first process of real
//! kernels.

use crate::machines::{built, cross, emulated, kernels};
use crate::step::World;
use std::time::Duration;

/// Runs the conformance list on the world's targets. Returns how many targets there are.
pub fn on_targets(world: &World) -> Result<usize, String> {
    let cache = world.cache()?;
    let job = world.progress.job("tools");
    job.at("getting emulators and linkers");
    let get = || {
        let emulators = emulated::emulators(cache)?;
        world.targets.iter().try_for_each(|target| cross::cargo(cache, target, "build").map(drop))?;
        Ok(emulators)
    };
    let emulators: Result<_, String> = get();
    job.done(if emulators.is_ok() { "ready" } else { "FAILED" });
    let emulators = emulators?;
    let answers = emulated::run_all(&world.progress, cache, &emulators, &world.targets, &world.stress);
    record(world, answers.len(), |results| results.add_emulated(&emulators, answers))
}

/// Boots the world's kernels. Returns how many boots there were.
///
/// If these are all kernels, it leaves out those that the step `build-kernels` had no time to build.
/// Otherwise, it builds what is missing.
pub fn on_kernels(world: &World) -> Result<usize, String> {
    let cache = world.cache()?;
    let is_whole = world.kernels.len() == kernels::KERNELS.len();
    if !is_whole {
        built::ensure_tools(cache, &world.kernels)?;
    }
    let (there, missing) = kernels::there(cache, &world.kernels)?;
    let kernels = if is_whole { &there } else { &world.kernels };
    if !is_whole && !missing.is_empty() {
        built::build_missing(&world.progress, cache, kernels, Duration::MAX)?;
    }
    let answers = kernels::run_all(&world.progress, cache, kernels);
    record(world, answers.len(), |results| {
        results.add_booted(answers);
        if is_whole {
            built::say_missing(&missing);
            results.not_built = missing.into_iter().map(String::from).collect();
        }
    })
}

/// Adds a step's results to the world's. Returns an error with the step's failures.
pub fn record(
    world: &World,
    count: usize,
    add: impl FnOnce(&mut crate::machines::results::Results),
) -> Result<usize, String> {
    let mut results = world.results();
    let before = results.failures.len();
    add(&mut results);
    match &results.failures[before..] {
        [] => Ok(count),
        failures => Err(failures.join("\n\n")),
    }
}
