//! Files and programs, with errors that name them.

use super::Result;
use crate::kit::shell::capture;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use walkdir::WalkDir;

pub fn create_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|e| format!("cannot make the folder {}: {e}", path.display()))
}

pub fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))
}

pub fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))
}

/// Moves what is done to where later runs look for it.
pub fn put(done: &Path, path: &Path) -> Result<()> {
    create_dir(path.parent().unwrap_or(path))?;
    fs::rename(done, path).map_err(|e| format!("cannot put {} in its place: {e}", path.display()))
}

pub fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// The files below a folder, and of the links those to shared libraries.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in WalkDir::new(folder) {
        let entry = entry.map_err(|e| format!("cannot read {}: {e}", folder.display()))?;
        let kind = entry.file_type();
        if kind.is_file() || !kind.is_dir() && file_name(entry.path()).contains(".so") {
            files.push(entry.into_path());
        }
    }
    Ok(files)
}

/// The program's output, or the first error that it reports.
pub fn run(command: &mut Command) -> Result<String> {
    let output = capture(command).map_err(|why| format!("{why}: a Debian machine or container has it"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let told = errors.lines().find(|line| line.starts_with("E: ")).or_else(|| errors.lines().next());
    let program = command.get_program().to_string_lossy();
    Err(format!("{program}: {}", told.unwrap_or("failed without a message").trim_start_matches("E: ")))
}
