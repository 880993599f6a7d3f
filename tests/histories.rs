//! Random histories of interest lists. For each call, the kernel's answer equals the model's,
//! including the events and their order. In the end both hold the same registrations.
#![allow(clippy::incompatible_msrv)] // the minimum Rust version is the library's; tests use the current one

#[path = "support/cases.rs"]
mod cases;
#[path = "support/corpus.rs"]
mod corpus;
#[path = "support/figures.rs"]
mod figures;
#[path = "histories/kernel.rs"]
mod kernel;
#[path = "histories/step.rs"]
mod step;
#[path = "histories/world.rs"]
mod world;

use barepoll::Errno;
use cases::cases;
use kernel::{Answer, Kernel};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::cell::RefCell;
use std::sync::Mutex;
use step::{history, Kind, Step, SLOTS};
use world::World;

/// The most steps of a history.
const MOST: usize = 120;

/// The counted steps and answers.
#[derive(Default)]
struct Counted {
    steps: usize,
    errors: usize,
    events: usize,
}

/// Takes the steps here and in the model, and returns the last answer.
fn check(steps: &[Step], counted: &mut Counted) -> Result<Option<Answer>, TestCaseError> {
    let (mut world, mut kernel) = (World::new(), Kernel::new());
    let mut last = None;
    for (place, step) in steps.iter().enumerate() {
        if !kernel.knows(step) {
            continue;
        }
        let told = world.take(step);
        let said = kernel.take(step, &told);
        prop_assert_eq!(&told, &said, "step {}, {:?}: the kernel (left) and the model (right) differ", place, step);
        counted.steps += 1;
        counted.errors += usize::from(told.result.is_err());
        counted.events += if let Step::Wait { .. } = step { told.events.len() } else { 0 };
        last = Some(told);
    }
    for slot in 0..SLOTS {
        if let Some(list) = kernel.interest_list(slot) {
            prop_assert_eq!(world.interest_list(slot), Some(list), "the registrations of the epoll at {}", slot);
        }
    }
    Ok(last)
}

/// Serializes the tests, because histories use the same descriptors.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn the_kernel_answers_as_the_model_says() {
    let _alone = ALONE.lock();
    let counted = RefCell::new(Counted::default());
    let cases = cases(2000);
    let histories = cases.cases as usize;
    let history = history(MOST);
    let outcome = TestRunner::new(cases).run(&history, |steps| check(&steps, &mut counted.borrow_mut()).map(drop));
    if let Err(error) = outcome {
        panic!("{error}");
    }
    let Counted { steps, errors, events } = counted.into_inner();
    let figures = [
        ("random histories", histories),
        ("steps", steps),
        ("steps that were refused", errors),
        ("events", events),
        ("answers other than predicted", 0), // a mismatch fails before this
    ];
    figures::report("model", &figures);
}

/// Replays a fuzzer's history.
pub fn replay(bytes: &[u8]) {
    let steps = step::history_of(bytes, MOST);
    if let Err(error) = check(&steps, &mut Counted::default()) {
        panic!("{error}, after {steps:?}");
    }
}

#[test]
fn what_a_fuzzer_found_is_as_the_model_says() {
    let _alone = ALONE.lock();
    corpus::each("model", replay);
}

/// A counter under five epolls, where each of the lowest three is watched through the given numbers
/// of descriptors. Returns the answer to adding the counter.
fn below_five_epolls(descriptors: [&[usize]; 3]) -> Answer {
    let (events, data) = (1, 1 << 32 | 1);
    let mut steps: Vec<Step> = (4..8).map(|slot| Step::Close { slot }).collect();
    steps.extend([Step::Open(Kind::Epoll); 2]);
    let tower = [0, 1, 2, 4, 5];
    for (pair, duplicates) in tower.windows(2).zip(descriptors.into_iter().chain([&[][..]])) {
        steps.push(Step::Add { epoll: pair[1], slot: pair[0], events, data });
        for slot in duplicates {
            steps.push(Step::Duplicate { from: pair[0], to: *slot });
            steps.push(Step::Add { epoll: pair[1], slot: *slot, events, data });
        }
    }
    steps.push(Step::Add { epoll: 0, slot: 3, events, data });
    check(&steps, &mut Counted::default()).expect("the model is right").expect("an answer")
}

#[test]
fn more_than_ten_paths_of_five_steps_are_too_many() {
    let _alone = ALONE.lock();
    assert_eq!(below_five_epolls([&[6, 7, 8, 9], &[10], &[]]).result, Ok(0));
    assert_eq!(below_five_epolls([&[6, 7], &[8], &[9]]).result, Err(Errno::EINVAL));
}
