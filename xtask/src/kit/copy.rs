//! Copies of the repository, to test changes in.

use super::shell::{both, capture, root};
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;
use walkdir::WalkDir;

/// A change to a file, in every place where it applies.
pub enum Change {
    /// The file, the text, and its replacement.
    Replace(&'static str, &'static str, &'static str),
    /// The file, and the start of the `asm!` operands to remove.
    RemoveOperands(&'static str, &'static str),
}
use Change::{RemoveOperands, Replace};

impl Change {
    /// Applies the change to a copy of the repository. Returns an error if it changes nothing.
    fn apply(&self, root: &Path) -> Result<(), String> {
        let (Replace(file, from, _) | RemoveOperands(file, from)) = self;
        let path = root.join(file);
        let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {file}: {error}"))?;
        let changed = match self {
            Replace(_, from, to) => text.replace(from, to),
            RemoveOperands(_, start) => {
                let mut pieces = text.split(start);
                let first = pieces.next().unwrap_or_default().to_string();
                pieces.fold(first, |text, piece| text + piece.split_once(',').map_or(piece, |(_, rest)| rest))
            }
        };
        if changed == text {
            return Err(format!("{file} does not contain {from:?}; update the change in xtask"));
        }
        fs::write(&path, changed).map_err(|error| format!("cannot write {file}: {error}"))
    }
}

/// Copies the repository and applies these changes.
pub fn copy_with(changes: &[Change]) -> Result<TempDir, String> {
    let folder = tempfile::tempdir().map_err(|error| format!("cannot create a temporary folder: {error}"))?;
    for file in repository_files()? {
        let copy = folder.path().join(&file);
        let parent = copy.parent().unwrap_or(folder.path());
        let copied = fs::create_dir_all(parent).and_then(|()| fs::copy(root().join(&file), &copy));
        copied.map_err(|error| format!("cannot copy {file}: {error}"))?;
    }
    changes.iter().try_for_each(|change| change.apply(folder.path()))?;
    Ok(folder)
}

/// The files of the repository, committed or not, without those that git ignores.
pub fn repository_files() -> Result<Vec<String>, String> {
    files_of(&root())
}

/// The same of another repository.
pub fn files_of(root: &Path) -> Result<Vec<String>, String> {
    let mut git = Command::new("git");
    // Without `-z`, git quotes names with odd characters.
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root);
    let listed = capture(&mut git)?;
    if !listed.status.success() {
        return Err(format!("git cannot list the files of {}: {}", root.display(), both(&listed).trim()));
    }
    let names = listed.stdout.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let name = |bytes| {
        let shown = || format!("the name of {} is not UTF-8; rename it", String::from_utf8_lossy(bytes));
        std::str::from_utf8(bytes).map(String::from).map_err(|_| shown())
    };
    let mut files = names.map(name).collect::<Result<Vec<_>, _>>()?;
    files.retain(|file| root.join(file).is_file());
    Ok(files)
}

/// Sections of Cargo.toml that do not matter to a dependent of the crate.
const REMOVED_SECTIONS: &[&str] =
    &["[dev-dependencies", "[[test]]", "[[example]]", "[lints]", "[workspace", "[profile"];

/// Copies the crate and Cargo.lock, without tests and examples.
pub fn copy_published_crate(to: &Path) -> std::io::Result<()> {
    let from = root();
    let manifest = fs::read_to_string(from.join("Cargo.toml"))?;
    let mut kept = String::new();
    let mut keep = true;
    for line in manifest.lines() {
        if line.starts_with('[') {
            keep = !REMOVED_SECTIONS.iter().any(|section| line.starts_with(section));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::shell::run;

    #[test]
    fn every_file_is_listed_by_its_own_name() {
        let folder = tempfile::tempdir().expect("a folder");
        run(Command::new("git").args(["init", "--quiet"]).current_dir(folder.path())).expect("a repository");
        let names = [" a\nb", "\"c\"", "ü"];
        names.iter().for_each(|name| fs::write(folder.path().join(name), "").expect("a file"));
        assert_eq!(files_of(folder.path()).expect("git lists them"), names);
    }
}
