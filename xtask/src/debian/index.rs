//! What a suite has for an architecture: its index, and the closures that apt resolved from it.

use super::apt::{mirrors, Apt};
use super::system::{put, read, write};
use super::version::{matches, rank};
use super::{Cache, Result, Suite};
use std::collections::HashSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long no run tries the mirror again after one that could not reach it.
const RETRY: Duration = Duration::from_secs(3600);

pub struct Index {
    pub key: String,
    pub arch: String,
    folder: PathBuf,
    /// The mirror, then a line a package.
    text: String,
}

#[derive(Clone, Copy)]
pub struct Entry<'a> {
    pub name: &'a str,
    pub version: &'a str,
    pub file: &'a str,
    pub sha256: &'a str,
}

impl Cache {
    /// Does `get`, and if that fails, once more with a renewed index.
    ///
    /// The mirror may have replaced a file since.
    pub(super) fn with_index<T>(&self, suite: Suite, arch: &str, get: impl Fn(&Index) -> Result<T>) -> Result<T> {
        let index = self.index(suite, arch, DAY)?;
        get(&index).or_else(|error| match self.index(suite, arch, RETRY) {
            Ok(newer) if newer.text != index.text => get(&newer),
            _ => Err(error),
        })
    }

    fn index(&self, suite: Suite, arch: &str, max_age: Duration) -> Result<Index> {
        let key = key(suite, arch);
        let folder = self.root().join("suites").join(&key);
        let file = folder.join("index");
        let _lock = self.lock(&folder)?;
        if !younger(&file, max_age) {
            self.renew(suite, arch, &folder).or_else(|error| keep(&file).ok_or(error))?;
        }
        Ok(Index { key, arch: arch.into(), text: read(&file)?, folder })
    }

    /// Replaces the index by that of the first mirror that has the suite.
    fn renew(&self, suite: Suite, arch: &str, folder: &Path) -> Result<()> {
        let mut renewed = Err("it has no source".to_owned());
        for mirror in mirrors()? {
            renewed = renewed.or_else(|_| self.renew_from(&mirror, suite, arch, folder));
        }
        renewed
            .map_err(|why| format!("this machine's apt reaches no Debian mirror with {} for {arch} ({why})", suite.0))
    }

    fn renew_from(&self, mirror: &str, suite: Suite, arch: &str, folder: &Path) -> Result<()> {
        let tmp = self.fresh(folder)?;
        let new = tmp.join("root");
        let apt = Apt::new(&tmp, &new.join("apt"), arch, &[])?;
        apt.update(mirror, suite)?;
        let lines: String = apt.available()?.split("\n\n").filter_map(line).collect();
        // apt reports no error where the suite lacks the architecture.
        if lines.is_empty() {
            return Err(format!("{} holds nothing for {arch}", suite.0));
        }
        write(&new.join("index"), &format!("{mirror}\n{lines}"))?;
        if folder.exists() {
            put(folder, &tmp.join("old"))?;
        }
        put(&new, folder)?;
        let _ = fs::remove_dir_all(&tmp);
        Ok(())
    }

    /// The packages `roots` and everything they depend on, by apt and without recommended packages.
    ///
    /// It leaves out the packages in `without`, and what only they need.
    pub(super) fn resolved<'i>(&self, index: &'i Index, roots: &[&str], without: &[&str]) -> Result<Vec<Entry<'i>>> {
        let words = roots.iter().map(|&name| name.to_owned()).chain(without.iter().map(|name| format!("-{name}")));
        let file = index.folder.join("closures").join(words.collect::<Vec<_>>().join(","));
        let resolve = || {
            let tmp = self.fresh(&file)?;
            let names = Apt::new(&tmp, &index.folder.join("apt"), &index.arch, without)?.closure(roots)?;
            write(&tmp.join("names"), &names)?;
            put(&tmp.join("names"), &file)?;
            let _ = fs::remove_dir_all(&tmp);
            Ok::<_, String>(names)
        };
        let names = read(&file).or_else(|_| {
            let _lock = self.lock(&index.folder)?;
            read(&file).or_else(|_| resolve())
        })?;
        // apt reads a name that no package has as a pattern. Here it is an error.
        index.all(names.lines().chain(roots.iter().copied()).collect())
    }

    /// Fetches the packages' files into `tmp`.
    pub(super) fn download(&self, index: &Index, tmp: &Path, entries: &[Entry]) -> Result<Vec<PathBuf>> {
        let debs: Vec<_> = entries.iter().map(|entry| tmp.join(format!("{}.deb", entry.name))).collect();
        let mirror = index.text.lines().next().unwrap_or_default();
        Apt::new(tmp, tmp, &index.arch, &[])?.download(mirror, entries.iter().zip(&debs))?;
        self.record(entries.iter().zip(&debs))?;
        Ok(debs)
    }
}

impl Index {
    fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.text.lines().skip(1).filter_map(Entry::parse)
    }

    pub fn newest(&self, pattern: &str) -> Result<Entry<'_>> {
        let matching = self.entries().filter(|entry| matches(pattern, entry.name));
        let newest = matching.max_by_key(|entry| rank(entry.name, entry.version));
        newest.ok_or_else(|| format!("no package {pattern} in {}", self.key))
    }

    fn all(&self, mut names: HashSet<&str>) -> Result<Vec<Entry<'_>>> {
        let found = self.entries().filter(|entry| names.remove(entry.name)).collect();
        match names.into_iter().next() {
            None => Ok(found),
            Some(name) => Err(format!("no package {name} in {}", self.key)),
        }
    }
}

impl<'a> Entry<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split('\t');
        let [name, version, file, sha256] = [(); 4].map(|()| fields.next());
        Some(Self { name: name?, version: version?, file: file?, sha256: sha256? })
    }
}

pub fn key(Suite(suite): Suite, arch: &str) -> String {
    format!("{suite}-{arch}")
}

/// What the index keeps of a package's paragraph in a `Packages` file.
fn line(paragraph: &str) -> Option<String> {
    let field = |name| paragraph.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let [name, version, file, sha256] = ["Package", "Version", "Filename", "SHA256"].map(field);
    Some(format!("{}\t{}\t{}\t{}\n", name?, version?, file?, sha256?))
}

/// Keeps an old index in use for a while, if there is one.
fn keep(index: &Path) -> Option<()> {
    let file = File::options().append(true).open(index).ok()?;
    let _ = file.set_modified(SystemTime::now() - DAY + RETRY);
    Some(())
}

fn younger(path: &Path, age: Duration) -> bool {
    let modified = fs::metadata(path).and_then(|meta| meta.modified());
    // A time in the future counts as now.
    modified.is_ok_and(|time| time.elapsed().unwrap_or_default() < age)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debian::system::create_dir;

    #[test]
    fn a_paragraph_becomes_a_line() {
        let text = "Package: a\nVersion: 1\nTag: x,\n y: z\nFilename: pool/a.deb\nSize: 5\nSHA256: 0f\n";
        assert_eq!(line(text).unwrap(), "a\t1\tpool/a.deb\t0f\n");
        assert_eq!(line("Package: broken\nVersion: 1"), None);
    }

    #[test]
    fn a_resolved_closure_is_kept_beside_its_index() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path().to_path_buf());
        let suite = folder.path().join("suites/bookworm-amd64");
        create_dir(&suite.join("closures")).unwrap();
        write(&suite.join("index"), "mirror/\na\t1\ta.deb\t0a\nb\t2\tb.deb\t0b\nc\t1\tc.deb\t0c\n").unwrap();
        write(&suite.join("closures/c,a,-b"), "a\nc\n").unwrap();
        write(&suite.join("closures/c"), "c\ngone\n").unwrap();
        let names = |roots: &[&str], without: &[&str]| {
            cache.with_index(Suite("bookworm"), "amd64", |index| {
                let entries = cache.resolved(index, roots, without)?;
                Ok(entries.iter().map(|entry| entry.name).collect::<String>())
            })
        };
        assert_eq!(names(&["c", "a"], &["b"]).unwrap(), "ac");
        assert_eq!(names(&["c"], &[]).unwrap_err(), "no package gone in bookworm-amd64");
    }
}
