//! Packages into folders.

use super::system::{create_dir, run};
use super::Result;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

/// As `dpkg-deb -x`, but `/lib` may be a link in `into`. It unpacks only `wanted`, unless empty.
pub fn unpack(deb: &Path, into: &Path, wanted: &str) -> Result<()> {
    const SCRIPT: &str = "dpkg-deb --fsys-tarfile \"$1\" | tar -x --keep-directory-symlink \
        --no-same-owner --warning=no-timestamp -C \"$2\" ${3:+--wildcards \"$3\"}";
    create_dir(into)?;
    let mut bash = Command::new("bash");
    bash.args(["-o", "pipefail", "-c", SCRIPT, "unpack"]).args([deb, into]).arg(wanted);
    run(&mut bash).map(drop).map_err(|error| format!("cannot unpack {}: {error}", deb.display()))
}

/// Unpacks them with one thread a core.
///
/// The caller holds a lock. On a pool like rayon's, its thread could take up other work that waits
/// for the same lock.
pub fn unpack_all(debs: &[PathBuf], into: &Path) -> Result<()> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let share = |core| debs.iter().skip(core).step_by(cores).try_for_each(|deb| unpack(deb, into, ""));
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|core| scope.spawn(move || share(core))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|_| Err("a thread panicked".into())))
    })
}

/// Older suites' packages still hold `/lib/...`, and expect to find it in `/usr/lib`.
pub fn merge_usr(root: &Path) -> Result<()> {
    for name in ["bin", "sbin", "lib", "lib64", "lib32", "libx32"] {
        create_dir(&root.join("usr").join(name))?;
        let link = root.join(name);
        symlink(format!("usr/{name}"), &link).map_err(|e| format!("cannot link {}: {e}", link.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_package_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let deb = folder.path().join("a.deb");
        std::fs::write(&deb, "no package").unwrap();
        let error = unpack(&deb, &folder.path().join("root"), "").unwrap_err();
        assert!(error.starts_with("cannot unpack ") && error.contains("a.deb"), "{error}");
    }
}
