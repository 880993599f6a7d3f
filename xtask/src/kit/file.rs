//! Writes files whole. A full disk or a killed command leaves the old text, not half of the new one.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::{Builder, NamedTempFile};

/// Writes a file.
pub fn write(path: &Path, text: &str) -> Result<(), String> {
    write_all(&[(path, text)])
}

/// Writes all these files, or none if one cannot be written. It replaces them in this order.
pub fn write_all<P: AsRef<Path>, T: AsRef<str>>(files: &[(P, T)]) -> Result<(), String> {
    let mut written = Vec::new();
    for (path, text) in files {
        let path = path.as_ref();
        written.push(beside(path, text.as_ref()).map_err(|error| cannot_write(path, &error))?);
    }
    for ((path, _), file) in files.iter().zip(written) {
        let Some((file, place)) = file else { continue };
        file.persist(place).map_err(|error| cannot_write(path.as_ref(), &error.error))?;
    }
    Ok(())
}

/// The new text in a file beside the old one, and the path that it replaces. It writes into a device
/// or a pipe at once.
fn beside(path: &Path, text: &str) -> io::Result<Option<(NamedTempFile, PathBuf)>> {
    // The file that a link names is replaced, not the link.
    let path = if path.is_symlink() { fs::canonicalize(path)? } else { path.to_path_buf() };
    let old = fs::metadata(&path);
    if old.as_ref().is_ok_and(|old| !old.is_file()) {
        return fs::write(&path, text).map(|()| None);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // The umask applies to this mode, as to that of any new file.
    let mut file = Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    if let Ok(old) = old {
        file.as_file().set_permissions(old.permissions())?;
    }
    Ok(Some((file, path)))
}

/// Parses the path of a file that gets the result of long work. It must be writable.
pub fn writable(path: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(path);
    let is_new = !path.exists();
    fs::File::options().append(true).create(true).open(&path).map_err(|error| cannot_write(&path, &error))?;
    if is_new {
        let _ = fs::remove_file(&path);
    }
    Ok(path)
}

fn cannot_write(path: &Path, error: &io::Error) -> String {
    format!("cannot write {}: {error}", path.display())
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use std::process::Command;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder")
    }

    fn names(folder: &Path) -> Vec<PathBuf> {
        let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into()).collect();
        names.sort();
        names
    }

    const FOLDER: &str = "BAREPOLL_FULL_DISK";

    /// The folder of the files, in a process that cannot write big files.
    pub fn folder_on_full_disk() -> Option<PathBuf> {
        std::env::var_os(FOLDER).map(PathBuf::from)
    }

    /// Runs this test in such a process. A limit on the size of a file, 32 or 64 kB by the shell's
    /// unit, stands for a full disk.
    pub fn run_on_full_disk(test: &str, folder: &Path) {
        let mut limited = Command::new("sh");
        limited.args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" --exact \"$1\""]);
        limited.arg(std::env::current_exe().unwrap()).arg(test).env(FOLDER, folder);
        let output = crate::kit::shell::run(&mut limited).unwrap();
        assert!(output.contains("1 passed"), "{output}");
    }

    #[test]
    fn a_full_disk_leaves_every_old_text() {
        if let Some(folder) = folder_on_full_disk() {
            let new = ["new".to_string(), "new\n".repeat(100_000)];
            let error = write_all(&[(folder.join("a"), &new[0]), (folder.join("b"), &new[1])]).unwrap_err();
            assert!(error.starts_with("cannot write ") && error.contains("/b: "), "{error}");
            assert!(write(&folder.join("b"), &new[1]).is_err());
            return;
        }
        let folder = folder();
        for name in ["a", "b"] {
            fs::write(folder.path().join(name), "old").unwrap();
        }
        run_on_full_disk("kit::file::tests::a_full_disk_leaves_every_old_text", folder.path());
        for name in ["a", "b"] {
            assert_eq!(fs::read_to_string(folder.path().join(name)).unwrap(), "old", "{name}");
        }
        assert_eq!(names(folder.path()), [PathBuf::from("a"), PathBuf::from("b")]);
    }

    #[test]
    fn a_file_keeps_its_mode_and_its_link() {
        let folder = folder();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o751)).unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        write(&link, "new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o751);
        // A new file has the mode that the umask gives any other.
        write(&folder.path().join("ours"), "new").unwrap();
        fs::write(folder.path().join("std's"), "new").unwrap();
        let mode = |name| fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode("ours"), mode("std's"));
        write(Path::new("/dev/null"), "new").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn what_cannot_be_written_is_known_before() {
        let folder = folder();
        let writable = |name: &str| writable(folder.path().join(name).to_str().unwrap());
        let error = writable("missing/file").unwrap_err();
        assert!(error.starts_with("cannot write ") && error.contains("missing/file: No such file"), "{error}");
        fs::write(folder.path().join("old"), "old").unwrap();
        for name in ["old", "new"] {
            assert_eq!(writable(name), Ok(folder.path().join(name)));
        }
        assert_eq!(names(folder.path()), [PathBuf::from("old")]);
        assert_eq!(fs::read_to_string(folder.path().join("old")).unwrap(), "old");
    }
}
