//! The conformance list of every port: under emulators, and as the first process of real kernels.

use crate::machines::{cross, emulated, kernels};
use crate::step::World;

/// Runs the world's targets, and gives how many there were.
pub fn on_targets(world: &World) -> Result<usize, String> {
    let cache = world.cache()?;
    let job = world.progress.job("tools");
    job.at("emulators, linkers");
    let get = || {
        let emulators = emulated::emulators(cache)?;
        world.targets.iter().try_for_each(|target| cross::cargo(cache, target, "build").map(drop))?;
        Ok(emulators)
    };
    let emulators: Result<_, String> = get();
    job.done(if emulators.is_ok() { "there" } else { "FAILED" });
    let emulators = emulators?;
    let answers = emulated::run_all(&world.progress, cache, &emulators, &world.targets, &world.doubts);
    added(world, answers.len(), |results| results.emulated(&emulators, answers))
}

/// Boots the world's kernels, and gives how many boots there were.
pub fn on_kernels(world: &World) -> Result<usize, String> {
    let answers = kernels::run_all(&world.progress, world.cache()?, &world.kernels);
    added(world, answers.len(), |results| results.booted(answers))
}

/// Adds what a step came to. What is wrong with it is the step's error.
fn added(
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
