//! Histories whose steps a fuzzer chose.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The bytes that choose a step. Every number of this size yields a step that the strategy can
/// make.
const STEP: usize = 4;

/// Makes a step from each group of bytes, used as the seed.
pub fn steps<S: Strategy>(step: &S, bytes: &[u8]) -> Vec<S::Value> {
    let value = |bytes: &[u8]| {
        let mut seed = [0; 32];
        seed[..STEP].copy_from_slice(bytes);
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let tree = step.new_tree(&mut TestRunner::new_with_rng(ProptestConfig::default(), random));
        tree.ok().map(|tree| tree.current())
    };
    bytes.chunks_exact(STEP).filter_map(value).collect()
}

/// Passes each file of a corpus to `replay`: the stored corpus, or another for `cargo xtask fuzz`.
pub fn each(target: &str, replay: impl Fn(&[u8])) {
    let kept = || Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let folder = env::var_os("BAREPOLL_CORPUS").map_or_else(kept, PathBuf::from).join(target);
    let files: Vec<_> = fs::read_dir(&folder).expect("a corpus").flatten().map(|file| file.path()).collect();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    for file in files {
        // Shows which file fails.
        println!("{}", file.display());
        replay(&fs::read(file).expect("an input"));
    }
}
