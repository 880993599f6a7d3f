//! Long proofs that passed, remembered by a hash of all that they looked at.

use crate::debian::Cache;
use crate::kit::copy::files;
use crate::kit::shell::{root, run};
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::process::Command;

/// A proof, as it stands now.
pub struct Proof {
    record: PathBuf,
}

impl Proof {
    /// Of this step, which looks at the files whose paths start so, and at nothing else but the compilers.
    pub fn of(step: &str, cache: &Cache, proves: &[&str]) -> Result<Self, String> {
        let mut hasher = DefaultHasher::new();
        for file in files()?.into_iter().filter(|file| proves.iter().any(|start| file.starts_with(start))) {
            let bytes = fs::read(root().join(&file)).map_err(|error| format!("cannot read {file}: {error}"))?;
            (file, bytes).hash(&mut hasher);
        }
        run(Command::new("rustc").arg("-vV").current_dir(root()))?.hash(&mut hasher);
        run(Command::new("rustup").args(["run", "nightly", "rustc", "-vV"])).unwrap_or_default().hash(&mut hasher);
        Ok(Self { record: cache.root().join("proved").join(format!("{step}-{:016x}", hasher.finish())) })
    }

    /// How many passed, if it passed before.
    pub fn passed(&self) -> Option<usize> {
        fs::read_to_string(&self.record).ok()?.trim().parse().ok()
    }

    /// Remembers that so many passed.
    pub fn keep(&self, passed: usize) -> Result<(), String> {
        let folder = self.record.parent().unwrap_or(&self.record);
        let kept = fs::create_dir_all(folder).and_then(|()| fs::write(&self.record, format!("{passed}\n")));
        kept.map_err(|error| format!("cannot write {}: {error}", self.record.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_remembered_until_a_file_that_it_looks_at_changes() {
        let cache = tempfile::tempdir().expect("a folder");
        let cache = Cache::at(cache.path().to_path_buf());
        let [src, docs] = ["src/", "docs/"].map(|start| Proof::of("test", &cache, &[start]).expect("it is read"));
        assert_eq!(src.passed(), None);
        src.keep(7).expect("it is kept");
        let again = Proof::of("test", &cache, &["src/"]).expect("it is read");
        assert_eq!((again.passed(), docs.passed()), (Some(7), None));
        let other = Proof::of("other", &cache, &["src/"]).expect("it is read");
        assert_eq!(other.passed(), None);
    }
}
