//! What the cache gives: packages, parts of them, and closures of dependencies.

use super::index::{key, Entry, Index};
use super::system::{create_dir, files, run};
use super::unpack::{merge_usr, unpack, unpack_all};
use super::version::{matches, rank};
use super::wrap::wrap_programs;
use super::{host, Cache, Package, Result, Suite};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

impl Cache {
    /// The newest package whose name matches `pattern` (`*` is any run of characters), unpacked.
    ///
    /// Among equal versions the shortest name is taken: `linux-image-6.1.*-amd64` is the plain
    /// kernel, not the `rt` or `cloud` one.
    pub fn package(&self, suite: Suite, arch: &str, pattern: &str) -> Result<Package> {
        self.files(suite, arch, pattern, "")
    }

    /// An error where the suite has no package of this name.
    pub fn has(&self, suite: Suite, arch: &str, name: &str) -> Result<()> {
        self.with_index(suite, arch, |index| index.newest(name).map(drop))
    }

    /// The same as [`Self::package`], but only the files whose path matches `wanted`.
    ///
    /// `*/vmlinu*` is a kernel without modules.
    pub fn files(&self, suite: Suite, arch: &str, pattern: &str, wanted: &str) -> Result<Package> {
        self.newest(suite, arch, pattern, wanted, |deb, root| unpack(deb, root, wanted))
    }

    /// The files of the newest kernel's source whose path matches `wanted`.
    ///
    /// Debian's package of it is an archive in an archive.
    pub fn kernel_source(&self, suite: Suite, wanted: &str) -> Result<Package> {
        self.newest(suite, host(), "linux-source-*.*", wanted, |deb, root| {
            let outer = deb.with_extension("outer");
            unpack(deb, &outer, "*.tar.xz")?;
            create_dir(root)?;
            let mut tar = Command::new("tar");
            tar.args(["-x", "--strip-components=1", "--no-same-owner", "-C"]).arg(root).arg("-f").args(files(&outer)?);
            run(tar.arg("--wildcards").arg(wanted)).map(drop)
        })
    }

    /// The folder with the packages `roots` and everything they depend on, unpacked.
    ///
    /// If `arch` is this machine's, the programs in it run in place (`usr/bin/qemu-system-s390x`),
    /// whatever C library this machine has. A script replaces each, and starts it with the folder's
    /// own `ld.so` and libraries. The packages in `without`, and what only they need, are left out.
    pub fn closure(&self, suite: Suite, arch: &str, roots: &[&str], without: &[&str]) -> Result<PathBuf> {
        self.with_index(suite, arch, |index| {
            let entries = self.resolved(index, roots, without)?;
            let dir = self.root().join("closures").join(&index.key).join(closure_name(roots, &entries));
            self.once(&dir, |tmp| {
                let root = tmp.join("root");
                merge_usr(&root)?;
                unpack_all(&self.download(index, tmp, &entries)?, &root)?;
                if arch == host() {
                    wrap_programs(&root, &dir)?;
                }
                Ok(())
            })?;
            Ok(dir)
        })
    }

    /// The newest package that matches, whose `wanted` files `fill` unpacks into a folder.
    ///
    /// Without a network it is the newest one that an earlier run unpacked.
    fn newest(
        &self,
        suite: Suite,
        arch: &str,
        pattern: &str,
        wanted: &str,
        fill: impl Fn(&Path, &Path) -> Result<()>,
    ) -> Result<Package> {
        let get = |index: &Index| {
            let entry = index.newest(pattern)?;
            let dir = self.root().join("packages").join(&index.key).join(folder_name(entry, wanted));
            self.once(&dir, |tmp| {
                let debs = self.download(index, tmp, &[entry])?;
                debs.iter().try_for_each(|deb| fill(deb, &tmp.join("root")))
            })?;
            Ok(Package { name: entry.name.into(), version: entry.version.into(), dir })
        };
        self.with_index(suite, arch, get).or_else(|error| self.kept(suite, arch, pattern, wanted).ok_or(error))
    }

    fn kept(&self, suite: Suite, arch: &str, pattern: &str, wanted: &str) -> Option<Package> {
        let folder = self.root().join("packages").join(key(suite, arch));
        let suffix = folder_suffix(wanted);
        let package = |entry: fs::DirEntry| {
            let file_name = entry.file_name().into_string().ok()?;
            let (name, rest) = file_name.split_once('_')?;
            let version = rest.strip_suffix(&suffix)?;
            let fits = !version.contains(',') && matches(pattern, name);
            fits.then(|| Package { name: name.into(), version: version.replace("%3a", ":"), dir: entry.path() })
        };
        let all = fs::read_dir(folder).ok()?.flatten().filter_map(package);
        all.max_by_key(|package| rank(&package.name, &package.version))
    }
}

fn folder_name(entry: Entry, wanted: &str) -> String {
    format!("{}_{}{}", entry.name, entry.version.replace(':', "%3a"), folder_suffix(wanted))
}

fn folder_suffix(wanted: &str) -> String {
    let plain: String = wanted.chars().filter(char::is_ascii_alphanumeric).collect();
    if plain.is_empty() {
        plain
    } else {
        format!(",{plain}")
    }
}

/// The first root's name and a hash of the packages.
///
/// If a later std hashes differently, the closures are unpacked again.
fn closure_name(roots: &[&str], entries: &[Entry]) -> String {
    let mut hash = DefaultHasher::new();
    entries.iter().for_each(|entry| entry.sha256.hash(&mut hash));
    format!("{}-{:016x}", roots.first().unwrap_or(&"none"), hash.finish())
}
