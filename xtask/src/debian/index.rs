//! What a suite has for an architecture: its index, and the closures of dependencies.

use super::apt::{apt, keyring, mirrors, write_apt_conf, HELPER};
use super::system::{put, read, run, write};
use super::version::{matches, order, rank};
use super::{Cache, Result, Suite};
use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long no run tries the mirror again after one that could not reach it.
const RETRY: Duration = Duration::from_secs(3600);

pub struct Index {
    pub key: String,
    pub arch: String,
    /// The mirror, then a line a package.
    text: String,
}

#[derive(Clone, Copy)]
pub struct Entry<'a> {
    pub name: &'a str,
    pub version: &'a str,
    pub file: &'a str,
    pub sha256: &'a str,
    depends: &'a str,
    provides: &'a str,
}

/// What the index keeps of a package's paragraph, in this order.
const FIELDS: [&str; 7] = ["Package", "Version", "Filename", "SHA256", "Pre-Depends", "Depends", "Provides"];

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
        // Both become part of a path and of apt's configuration.
        if !key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
            return Err(format!("{} and {arch} are no names of a suite and an architecture", suite.0));
        }
        let path = self.root().join("index").join(&key);
        if !younger(&path, max_age) {
            let _lock = self.lock(&path)?;
            if !younger(&path, max_age.max(Duration::from_secs(1))) {
                self.refresh(suite, arch, &path)?;
            }
        }
        let text = read(&path)?;
        Ok(Index { key, arch: arch.into(), text })
    }

    /// Replaces the kept index by the mirror's; without a network an old one stays in use.
    fn refresh(&self, suite: Suite, arch: &str, path: &Path) -> Result<()> {
        let fetched = self.fetch_index(suite, arch, path);
        let Err(error) = fetched else { return Ok(()) };
        let file = File::options().append(true).open(path).map_err(|_| error)?;
        let _ = file.set_modified(SystemTime::now() - DAY + RETRY);
        Ok(())
    }

    fn fetch_index(&self, suite: Suite, arch: &str, path: &Path) -> Result<()> {
        let mut why = "it has no source at all".to_owned();
        for mirror in mirrors()? {
            match self.fetch_index_from(&mirror, suite, arch, path) {
                Ok(()) => return Ok(()),
                Err(error) => why = error,
            }
        }
        let Suite(suite) = suite;
        Err(format!("this machine's apt sources reach no Debian mirror with {suite} for {arch} ({why})"))
    }

    fn fetch_index_from(&self, mirror: &str, suite: Suite, arch: &str, path: &Path) -> Result<()> {
        let tmp = self.fresh(path)?;
        let conf = write_apt_conf(&tmp, arch)?;
        let source = format!("deb [signed-by={}] {mirror} {} main\n", keyring()?, suite.0);
        write(&tmp.join("sources.list"), &source)?;
        run(apt("apt-get", &conf).args(["-q", "update"]))?;
        let lists =
            run(apt("apt-get", &conf).args(["indextargets", "--format", "$(FILENAME)", "Created-By: Packages"]))?;
        let mut text = format!("{mirror}\n");
        for list in lists.lines() {
            let packages = fs::read(list).map_err(|e| format!("apt left no index {list}: {e}"))?;
            distill(&String::from_utf8_lossy(&packages), &mut text);
        }
        // To apt an architecture that the suite does not hold is no error.
        if text.lines().nth(1).is_none() {
            return Err(format!("{} holds nothing for {arch}", suite.0));
        }
        let new = tmp.join("index");
        write(&new, &text)?;
        put(&new, path)?;
        let _ = fs::remove_dir_all(&tmp);
        Ok(())
    }

    /// Fetches the packages' files into `tmp`.
    pub(super) fn download(&self, index: &Index, tmp: &Path, entries: &[Entry]) -> Result<Vec<PathBuf>> {
        let debs: Vec<_> = entries.iter().map(|entry| tmp.join(format!("{}.deb", entry.name))).collect();
        let mut helper = apt(HELPER, &write_apt_conf(tmp, &index.arch)?);
        helper.arg("download-file");
        for (entry, deb) in entries.iter().zip(&debs) {
            helper.arg(format!("{}{}", index.mirror(), entry.file)).arg(deb).arg(format!("SHA256:{}", entry.sha256));
        }
        run(&mut helper)?;
        self.record(entries.iter().zip(&debs))?;
        Ok(debs)
    }
}

impl Index {
    fn mirror(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.text.lines().skip(1).filter_map(Entry::parse)
    }

    pub fn newest(&self, pattern: &str) -> Result<Entry<'_>> {
        let matching = self.entries().filter(|entry| matches(pattern, entry.name));
        let newest = matching.max_by_key(|entry| rank(entry.name, entry.version));
        newest.ok_or_else(|| format!("no package {pattern} in {}", self.key))
    }

    pub fn closure(&self, roots: &[&str], without: &[&str]) -> Result<Vec<Entry<'_>>> {
        let mut by_name = HashMap::<&str, Entry>::new();
        let mut providers = HashMap::<&str, Entry>::new();
        for entry in self.entries() {
            let kept = by_name.entry(entry.name).or_insert(entry);
            if order(kept.version) < order(entry.version) {
                *kept = entry;
            }
            for name in entry.provides.split(", ") {
                providers.entry(first_word(name)).or_insert(entry);
            }
        }
        let mut queue = VecDeque::new();
        for root in roots {
            queue.push_back(self.newest(root)?);
        }
        let mut seen: HashSet<&str> = queue.iter().map(|entry| entry.name).collect();
        let mut found = Vec::new();
        while let Some(entry) = queue.pop_front() {
            found.push(entry);
            for alternatives in entry.depends.split(", ").filter(|text| !text.is_empty()) {
                let names = || alternatives.split(" | ").map(first_word);
                // One that is here already will do, as it does for apt.
                if names().any(|name| seen.contains(name) || without.contains(&name)) {
                    continue;
                }
                let real = names().find_map(|name| by_name.get(name));
                let chosen = real.or_else(|| names().find_map(|name| providers.get(name)));
                let Some(chosen) = chosen else {
                    return Err(format!("{} needs {alternatives}, which {} has not", entry.name, self.key));
                };
                if seen.insert(chosen.name) {
                    queue.push_back(*chosen);
                }
            }
        }
        Ok(found)
    }
}

impl<'a> Entry<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split('\t');
        let mut next = || fields.next();
        let (name, version, file, sha256) = (next()?, next()?, next()?, next()?);
        let (depends, provides) = (next()?, next()?);
        Some(Self { name, version, file, sha256, depends, provides })
    }
}

pub fn key(Suite(suite): Suite, arch: &str) -> String {
    format!("{suite}-{arch}")
}

/// Appends a line for each paragraph of a `Packages` file.
fn distill(packages: &str, out: &mut String) {
    for paragraph in packages.split("\n\n") {
        let mut values = [""; FIELDS.len()];
        for line in paragraph.lines() {
            // A line that continues a field starts with a blank. No field here has such lines.
            let Some((field, value)) = line.split_once(": ") else { continue };
            if let Some(at) = FIELDS.iter().position(|name| *name == field) {
                values[at] = value;
            }
        }
        let [name, version, file, sha256, pre, depends, provides] = values;
        if !name.is_empty() && sha256.len() == 64 {
            let comma = if pre.is_empty() || depends.is_empty() { "" } else { ", " };
            out.push_str(&[name, version, file, sha256, pre].join("\t"));
            out.push_str(&format!("{comma}{depends}\t{provides}\n"));
        }
    }
}

/// `libc6` of `libc6:any (>= 2.36)`.
fn first_word(dependency: &str) -> &str {
    dependency.trim().split([' ', ':', '(']).next().unwrap_or_default()
}

fn younger(path: &Path, age: Duration) -> bool {
    let modified = fs::metadata(path).and_then(|meta| meta.modified());
    // A time in the future counts as now.
    modified.is_ok_and(|time| time.elapsed().unwrap_or_default() < age)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_becomes_a_line() {
        let text = "Package: a\nVersion: 1\nPre-Depends: p\nDepends: d (>= 2) | e\nFilename: pool/a.deb\nSize: 5\n";
        let sum = "0".repeat(64);
        let mut out = "mirror\n".to_owned();
        distill(&format!("{text}SHA256: {sum}\n\nPackage: broken\n"), &mut out);
        assert_eq!(out, format!("mirror\na\t1\tpool/a.deb\t{sum}\tp, d (>= 2) | e\t\n"));
    }
}
