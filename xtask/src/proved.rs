//! Remembers long proofs that passed, by a hash of their inputs.

use crate::debian::Cache;
use crate::kit::copy::repository_files;
use crate::kit::shell::{root, run};
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::process::Command;

/// A proof with its current inputs.
pub struct Proof {
    record: PathBuf,
}

impl Proof {
    /// The proof of a step, which depends on the compilers and on all files whose path starts with
    /// one of `inputs`.
    pub fn new(step: &str, cache: &Cache, inputs: &[&str]) -> Result<Self, String> {
        let mut hasher = DefaultHasher::new();
        let is_input = |file: &String| inputs.iter().any(|start| file.starts_with(start));
        for file in repository_files()?.into_iter().filter(is_input) {
            let bytes = fs::read(root().join(&file)).map_err(|error| format!("cannot read {file}: {error}"))?;
            (file, bytes).hash(&mut hasher);
        }
        run(Command::new("rustc").arg("-vV").current_dir(root()))?.hash(&mut hasher);
        run(Command::new("rustup").args(["run", "nightly", "rustc", "-vV"])).unwrap_or_default().hash(&mut hasher);
        Ok(Self { record: cache.root().join("proved").join(format!("{step}-{:016x}", hasher.finish())) })
    }

    /// How many checks passed in an earlier run with the same inputs.
    pub fn earlier_result(&self) -> Option<usize> {
        fs::read_to_string(&self.record).ok()?.trim().parse().ok()
    }

    /// Records how many checks passed.
    pub fn record(&self, passed: usize) -> Result<(), String> {
        let folder = self.record.parent().unwrap_or(&self.record);
        let written = fs::create_dir_all(folder).and_then(|()| fs::write(&self.record, format!("{passed}\n")));
        written.map_err(|error| format!("cannot write {}: {error}", self.record.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_kept_for_the_same_step_and_inputs_only() {
        let cache = tempfile::tempdir().expect("a folder");
        let cache = Cache::at(cache.path().to_path_buf());
        let proof = |step: &str, input: &str| Proof::new(step, &cache, &[input]).expect("the files can be read");
        let (src, docs) = (proof("test", "src/"), proof("test", "docs/"));
        assert_eq!(src.earlier_result(), None);
        src.record(7).expect("the cache can be written");
        assert_eq!((proof("test", "src/").earlier_result(), docs.earlier_result()), (Some(7), None));
        assert_eq!(proof("other", "src/").earlier_result(), None);
    }
}
