//! The cache folder: its place, its locks, what appears in it, and the journal of downloads.

use super::index::Entry;
use super::system::{create_dir, file_name, put};
use super::Result;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// `$BAREPOLL_CACHE`, else `$XDG_CACHE_HOME/barepoll`, else `$HOME/.cache/barepoll`.
    pub fn open() -> Result<Self> {
        let var = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let root = var("BAREPOLL_CACHE")
            .or_else(|| Some(var("XDG_CACHE_HOME")?.join("barepoll")))
            .or_else(|| Some(var("HOME")?.join(".cache/barepoll")))
            .ok_or("no cache folder: set BAREPOLL_CACHE, XDG_CACHE_HOME or HOME")?;
        let root = std::path::absolute(&root)
            .map_err(|e| format!("the cache folder {} is not a path: {e}", root.display()))?;
        // These characters would end a value in apt's configuration, a shell's word, or an item of
        // ld.so's list of folders.
        match root.to_str() {
            Some(path) if !path.contains(['"', '\'', ':', ';', '\n']) => Ok(Self { root }),
            _ => Err(format!("the cache folder {} must have no quote, colon or semicolon in its name", root.display())),
        }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// One in this folder.
    #[cfg(test)]
    pub fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// How many bytes of packages were ever downloaded into it, each file counted once.
    pub fn fetched(&self) -> u64 {
        let text = fs::read_to_string(self.journal()).unwrap_or_default();
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        let files: HashMap<&str, u64> = lines.filter_map(|(bytes, file)| Some((file, bytes.parse().ok()?))).collect();
        files.values().sum()
    }

    /// Records downloads of packages, and the path of each.
    pub(super) fn record<'a>(&self, files: impl Iterator<Item = (&'a Entry<'a>, &'a PathBuf)>) -> Result<()> {
        let size = |path| fs::metadata(path).map_or(0, |file| file.len());
        let lines: String = files.map(|(entry, path)| format!("{} {}\n", size(path), entry.file)).collect();
        let journal = File::options().create(true).append(true).open(self.journal());
        let kept = journal.and_then(|mut journal| journal.write_all(lines.as_bytes()));
        kept.map_err(|e| format!("cannot write {}: {e}", self.journal().display()))
    }

    /// A line a downloaded file: its size and its name.
    fn journal(&self) -> PathBuf {
        self.root.join("fetched")
    }

    /// Makes `dir` once, however many ask at the same time. It appears whole or not at all.
    ///
    /// `make` fills `<tmp>/root`, which becomes `dir`.
    pub(super) fn once(&self, dir: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        if dir.exists() {
            return Ok(());
        }
        let _lock = self.lock(dir)?;
        if dir.exists() {
            return Ok(());
        }
        let tmp = self.fresh(dir)?;
        make(&tmp)?;
        put(&tmp.join("root"), dir)?;
        let _ = fs::remove_dir_all(&tmp);
        Ok(())
    }

    /// An empty folder for what will become `target`, whose lock the caller holds.
    ///
    /// Its name is new: a program that a killed run left behind may still write to the old one.
    pub fn fresh(&self, target: &Path) -> Result<PathBuf> {
        let all = self.root.join("tmp");
        let prefix = format!("{}@", self.flat(target));
        for left in fs::read_dir(&all).into_iter().flatten().flatten() {
            if file_name(&left.path()).starts_with(&prefix) {
                let _ = fs::remove_dir_all(left.path());
            }
        }
        let tmp = all.join(format!("{prefix}{}", std::process::id()));
        create_dir(&tmp)?;
        Ok(tmp)
    }

    pub fn lock(&self, target: &Path) -> Result<File> {
        let locks = self.root.join("locks");
        create_dir(&locks)?;
        let path = locks.join(self.flat(target));
        let lock = File::create(&path).and_then(|file| file.lock().map(|()| file));
        lock.map_err(|e| format!("cannot lock {}: {e}", path.display()))
    }

    fn flat(&self, target: &Path) -> String {
        target.strip_prefix(&self.root).unwrap_or(target).to_string_lossy().replace('/', ",")
    }
}
