//! Programs of a closure, made to run with the closure's own C library.

use super::system::{file_name, files, write};
use super::Result;
use object::{Architecture, Object, ReadCache};
use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Replaces each program below `root` by a script that starts it with the libraries beside it.
///
/// The scripts work once `root` is moved to `home`.
pub fn wrap_programs(root: &Path, home: &Path) -> Result<()> {
    // Debian's link to the loader may lead out of the folder, to this machine's own.
    let root = &fs::canonicalize(root).map_err(|e| format!("cannot find {}: {e}", root.display()))?;
    let files = files(root)?;
    // This link works even where cargo has replaced the file since.
    let this = Elf::read(Path::new("/proc/self/exe")).ok_or("this program cannot read itself by /proc/self/exe")?;
    // Firmware and a cross compiler's C library are ELF files too, of another machine.
    let ours = |path: &Path| Elf::read(path).filter(|elf| elf.machine == this.machine);
    let is_loader = |path: &&PathBuf| file_name(path).starts_with("ld-linux") || file_name(path).starts_with("ld64.so");
    let mut loaders = files.iter().filter(is_loader).filter_map(|path| fs::canonicalize(path).ok());
    // Without a loader no program is linked to a C library.
    let Some(loader) = loaders.find(|path| path.starts_with(root) && ours(path).is_some()) else { return Ok(()) };
    let libraries = library_path(root, home, &files);
    for path in files.iter().filter(|path| !file_name(path).contains(".so")) {
        if ours(path).is_some_and(|elf| elf.needs_loader) {
            wrap(path, &loader, &libraries, |path| home.join(path.strip_prefix(root).unwrap_or(path)))?;
        }
    }
    Ok(())
}

fn wrap(path: &Path, loader: &Path, libraries: &str, moved: impl Fn(&Path) -> PathBuf) -> Result<()> {
    let real = path.with_file_name(format!("{}.elf", file_name(path)));
    // A program that a loader starts finds the loader's path in /proc/self/exe, and looks for its
    // own files from there.
    let near = path.with_file_name(".ld.so");
    let failed = |e| format!("cannot wrap {}: {e}", path.display());
    if !near.exists() {
        fs::hard_link(loader, &near).or_else(|_| fs::copy(loader, &near).map(drop)).map_err(failed)?;
    }
    fs::rename(path, &real).map_err(failed)?;
    let (near, real) = (moved(&near), moved(&real));
    let script = format!(
        "#!/bin/sh\nexec '{}' --library-path '{libraries}' --argv0 \"$0\" '{}' \"$@\"\n",
        near.display(),
        real.display()
    );
    write(path, &script)?;
    fs::set_permissions(path, Permissions::from_mode(0o755)).map_err(failed)
}

/// The folders of shared libraries: `/usr/lib` and those up to two levels below.
fn library_path(root: &Path, home: &Path, files: &[PathBuf]) -> String {
    let libraries = files.iter().filter(|path| file_name(path).starts_with("lib") && file_name(path).contains(".so."));
    let folders = libraries.filter_map(|path| path.parent()?.strip_prefix(root).ok());
    let depths = folders.map(|folder| (folder.components().count(), folder));
    let searched: BTreeSet<_> = depths.filter(|(depth, folder)| folder.starts_with("usr/lib") && *depth <= 4).collect();
    searched.into_iter().map(|(_, folder)| home.join(folder).display().to_string()).collect::<Vec<_>>().join(":")
}

struct Elf {
    /// The processor, whether its words have 64 bits, and whether they are little-endian.
    machine: (Architecture, bool, bool),
    needs_loader: bool,
}

impl Elf {
    fn read(path: &Path) -> Option<Self> {
        let data = ReadCache::new(File::open(path).ok()?);
        let file = object::File::parse(&data).ok()?;
        let machine = (file.architecture(), file.is_64(), file.is_little_endian());
        Some(Self { machine, needs_loader: file.section_by_name(".interp").is_some() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::ObjectSection;
    use std::process::Command;

    #[test]
    #[cfg(target_env = "gnu")]
    fn a_wrapped_program_runs_by_the_loader_beside_it() {
        let exe = fs::read("/proc/self/exe").unwrap();
        let exe = object::File::parse(&*exe).unwrap();
        let loader = exe.section_by_name(".interp").unwrap().data().unwrap();
        let loader = Path::new(std::str::from_utf8(loader).unwrap().trim_end_matches('\0'));
        let folder = tempfile::tempdir().unwrap();
        let (root, home) = (folder.path().join("root"), folder.path().join("home"));
        fs::create_dir_all(root.join("bin")).unwrap();
        fs::copy(loader, root.join(file_name(loader))).unwrap();
        fs::copy("/bin/echo", root.join("bin/echo")).unwrap();
        fs::write(root.join("bin/script"), "#!/bin/sh\n").unwrap();
        std::os::unix::fs::symlink(loader, root.join("bin/ld-linux-of-the-machine")).unwrap();

        wrap_programs(&root, &home).unwrap();
        fs::rename(&root, &home).unwrap();
        let output = Command::new(home.join("bin/echo")).arg("a b").output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "a b\n");
        assert!(fs::read_to_string(home.join("bin/echo")).unwrap().contains("bin/.ld.so"));
        assert_eq!(fs::read_to_string(home.join("bin/script")).unwrap(), "#!/bin/sh\n");
    }
}
