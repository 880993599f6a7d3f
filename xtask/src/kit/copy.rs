//! Copies of the repository, to try a change out in.

use super::shell::{root, run};
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;
use walkdir::WalkDir;

/// A change of one file, in every place where it applies.
pub enum Change {
    Replace(&'static str, &'static str, &'static str),
    /// Leaves out the operands of `asm!` that start so.
    Without(&'static str, &'static str),
}
use Change::{Replace, Without};

impl Change {
    /// Makes it in a copy of the repository; an error where it changes nothing.
    fn make(&self, root: &Path) -> Result<(), String> {
        let (Replace(file, from, _) | Without(file, from)) = self;
        let path = root.join(file);
        let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {file}: {error}"))?;
        let changed = match self {
            Replace(_, from, to) => text.replace(from, to),
            Without(_, start) => {
                let mut pieces = text.split(start);
                let first = pieces.next().unwrap_or_default().to_string();
                pieces.fold(first, |text, piece| text + piece.split_once(',').map_or(piece, |(_, rest)| rest))
            }
        };
        if changed == text {
            return Err(format!("{file} has no {from:?}"));
        }
        fs::write(&path, changed).map_err(|error| format!("cannot write {file}: {error}"))
    }
}

/// A copy of the repository with these changes.
pub fn changed(changes: &[Change]) -> Result<TempDir, String> {
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    for file in files()? {
        let there = folder.path().join(&file);
        let parent = there.parent().unwrap_or(folder.path());
        let copied = fs::create_dir_all(parent).and_then(|()| fs::copy(root().join(&file), &there));
        copied.map_err(|error| format!("cannot copy {file}: {error}"))?;
    }
    changes.iter().try_for_each(|change| change.make(folder.path()))?;
    Ok(folder)
}

/// The files of the repository, committed or not, but those that git ignores.
pub fn files() -> Result<Vec<String>, String> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(root());
    Ok(run(&mut git)?.lines().filter(|file| root().join(file).is_file()).map(String::from).collect())
}

/// What a dependent of the crate does not see of its manifest.
const SECTIONS_LEFT_OUT: &[&str] =
    &["[dev-dependencies", "[[test]]", "[[example]]", "[lints]", "[workspace", "[profile"];

/// Copies the crate without what only its own tests use, and with the lock file that they share.
pub fn published(to: &Path) -> std::io::Result<()> {
    let from = root();
    let manifest = fs::read_to_string(from.join("Cargo.toml"))?;
    let mut kept = String::new();
    let mut keep = true;
    for line in manifest.lines() {
        if line.starts_with('[') {
            keep = !SECTIONS_LEFT_OUT.iter().any(|section| line.starts_with(section));
        }
        if keep {
            kept += line;
            kept.push('\n');
        }
    }
    fs::write(to.join("Cargo.toml"), kept + "[workspace]\n")?;
    for file in ["Cargo.lock", "build.rs", "README.md"] {
        fs::copy(from.join(file), to.join(file))?;
    }
    for entry in WalkDir::new(from.join("src")) {
        let entry = entry?;
        let target = to.join(entry.path().strip_prefix(&from).unwrap_or(entry.path()));
        if entry.file_type().is_dir() {
            fs::create_dir(target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
