//! Remembers long proofs that passed, by a hash of their inputs.

use crate::debian::Cache;
use crate::kit::copy::files_of;
use crate::kit::shell::{root, run};
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A proof with the inputs that it had at its start.
pub struct Proof<'i> {
    root: PathBuf,
    inputs: &'i [&'i str],
    hash: u64,
    record: PathBuf,
}

impl<'i> Proof<'i> {
    /// The proof of a step, which depends on the compilers and on all files whose path starts with
    /// one of `inputs`.
    pub fn new(step: &str, cache: &Cache, inputs: &'i [&str]) -> Result<Self, String> {
        Self::of(&root(), step, cache, inputs)
    }

    fn of(root: &Path, step: &str, cache: &Cache, inputs: &'i [&str]) -> Result<Self, String> {
        let hash = hash(root, inputs)?;
        let record = cache.root().join("proved").join(format!("{step}-{hash:016x}"));
        Ok(Self { root: root.into(), inputs, hash, record })
    }

    /// How many checks passed in an earlier run with the same inputs.
    pub fn earlier_result(&self) -> Option<usize> {
        fs::read_to_string(&self.record).ok()?.trim().parse().ok()
    }

    /// Records how many checks passed. Returns `false`, and records nothing, if an input has changed
    /// since the start: the checks may have seen both states.
    pub fn record(&self, passed: usize) -> Result<bool, String> {
        if hash(&self.root, self.inputs)? != self.hash {
            return Ok(false);
        }
        let folder = self.record.parent().unwrap_or(&self.record);
        let written = fs::create_dir_all(folder).and_then(|()| fs::write(&self.record, format!("{passed}\n")));
        written.map(|()| true).map_err(|error| format!("cannot write {}: {error}", self.record.display()))
    }
}

/// A hash of the compilers and of these files.
fn hash(root: &Path, inputs: &[&str]) -> Result<u64, String> {
    let mut hasher = DefaultHasher::new();
    let is_input = |file: &String| inputs.iter().any(|start| file.starts_with(start));
    for file in files_of(root)?.into_iter().filter(is_input) {
        let bytes = fs::read(root.join(&file)).map_err(|error| format!("cannot read {file}: {error}"))?;
        (file, bytes).hash(&mut hasher);
    }
    run(Command::new("rustc").arg("-vV").current_dir(root))?.hash(&mut hasher);
    run(Command::new("rustup").args(["run", "nightly", "rustc", "-vV"])).unwrap_or_default().hash(&mut hasher);
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository with a file that a proof depends on, and a cache.
    fn repository() -> (tempfile::TempDir, PathBuf, Cache) {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("root");
        fs::create_dir(&root).expect("a folder");
        run(Command::new("git").args(["init", "--quiet"]).current_dir(&root)).expect("a repository");
        fs::write(root.join("input"), "old").expect("a file");
        fs::write(root.join("other"), "old").expect("a file");
        let cache = Cache::at(folder.path().join("cache"));
        (folder, root, cache)
    }

    #[test]
    fn a_result_is_kept_for_the_same_step_and_inputs_only() {
        let (_folder, root, cache) = repository();
        let earlier = |step: &str, input: &str| {
            Proof::of(&root, step, &cache, &[input]).expect("the files can be read").earlier_result()
        };
        assert_eq!(earlier("test", "input"), None);
        assert_eq!(Proof::of(&root, "test", &cache, &["input"]).and_then(|proof| proof.record(7)), Ok(true));
        assert_eq!(
            (earlier("test", "input"), earlier("test", "other"), earlier("any", "input")),
            (Some(7), None, None)
        );
        fs::write(root.join("other"), "new").expect("a file");
        assert_eq!(earlier("test", "input"), Some(7));
        fs::write(root.join("input"), "new").expect("a file");
        assert_eq!(earlier("test", "input"), None);
    }

    #[test]
    fn an_input_that_changes_meanwhile_is_not_proved() {
        let (_folder, root, cache) = repository();
        let proof = |inputs| Proof::of(&root, "test", &cache, inputs).expect("the files can be read");
        for change in ["input", "input-too"] {
            let started = proof(&["input"]);
            fs::write(root.join(change), "new").expect("a file");
            assert_eq!(started.record(7), Ok(false), "{change}");
            assert_eq!((started.earlier_result(), proof(&["input"]).earlier_result()), (None, None), "{change}");
        }
        let started = proof(&["input"]);
        fs::write(root.join("other"), "new").expect("a file");
        assert_eq!(started.record(7), Ok(true));
    }
}
