//! Debian packages of any suite and architecture, unpacked into a cache folder: emulators, kernels, cross linkers, headers.
//!
//! Nothing is installed, nobody needs to be root, and the machine's own apt state is neither read nor written: apt runs with
//! a state folder of its own, and is asked for one thing, a suite's index with its signature checked against Debian's
//! keyring. What the index says about a package (name, version, path, SHA-256, dependencies) is kept in one file, so that a
//! warm or an offline run starts no program at all. A package is fetched by apt's own helper, which refuses a wrong SHA-256.
//!
//! The mirror is whichever one the machine's apt already uses; none is named here.
//!
//! ```text
//! <cache>/index/<suite>-<arch>                the kept index; its age decides when to ask again
//! <cache>/packages/<suite>-<arch>/<name>_<version>[,<files>]/
//! <cache>/closures/<suite>-<arch>/<name>-<hash>/
//! <cache>/locks/  <cache>/tmp/                nothing below tmp is ever used by a later run
//! ```

pub mod cargo_tools;

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{self, AtomicUsize};
use std::time::{Duration, SystemTime};

type Result<T> = std::result::Result<T, String>;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long a run that could not reach the mirror spares the next ones the wait.
const RETRY: Duration = Duration::from_secs(3600);
const APT_HELPER: &str = "/usr/lib/apt/apt-helper";

pub struct Cache {
    root: PathBuf,
}

/// A suite of the main Debian archive, as it is called in an apt source: `bookworm`, `bookworm-backports`, `testing`.
#[derive(Clone, Copy)]
pub struct Suite(pub &'static str);

pub struct Package {
    pub name: String,
    pub version: String,
    /// What stands for `/` in the package.
    pub dir: PathBuf,
}

/// Debian's name for this machine's architecture, the one whose programs run here without an emulator.
pub fn host() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "i386",
        "arm" => "armhf",
        "powerpc64" => "ppc64el",
        "loongarch64" => "loong64",
        other => other,
    }
}

impl Package {
    /// The one file in it whose name starts with `start` (`vmlinu`), wherever it is.
    pub fn find(&self, start: &str) -> Result<PathBuf> {
        let mut files = Vec::new();
        walk(&self.dir, &mut files)?;
        files.retain(|path| file_name(path).starts_with(start));
        match files.as_mut_slice() {
            [one] => Ok(std::mem::take(one)),
            found => Err(format!("{} has {} files named {start}*, not one", self.dir.display(), found.len())),
        }
    }
}

impl Cache {
    /// `$BAREPOLL_CACHE`, else `$XDG_CACHE_HOME/barepoll`, else `$HOME/.cache/barepoll`.
    pub fn open() -> Result<Self> {
        let var = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let root = var("BAREPOLL_CACHE")
            .or_else(|| Some(var("XDG_CACHE_HOME")?.join("barepoll")))
            .or_else(|| Some(var("HOME")?.join(".cache/barepoll")))
            .ok_or("no cache folder: set BAREPOLL_CACHE, XDG_CACHE_HOME or HOME")?;
        let root =
            std::path::absolute(&root).map_err(|e| format!("the cache folder {} is no path: {e}", root.display()))?;
        // They would end a value in apt's configuration, the shell's, or ld.so's list of folders.
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

    /// A line a downloaded file: its size and its name.
    fn journal(&self) -> PathBuf {
        self.root.join("fetched")
    }

    /// The newest package whose name matches `pattern` (`*` is any run of characters), unpacked.
    ///
    /// Among equals the shortest name is taken: `linux-image-6.1.*-amd64` is the plain kernel, not the `rt` or `cloud` one.
    pub fn package(&self, suite: Suite, arch: &str, pattern: &str) -> Result<Package> {
        self.files(suite, arch, pattern, "")
    }

    /// An error where the suite has no package of this name.
    pub fn has(&self, suite: Suite, arch: &str, name: &str) -> Result<()> {
        self.with_index(suite, arch, |index| index.newest(name).map(drop))
    }

    /// As [`Self::package`], but of the package's files only those whose path matches `wanted`: `*/vmlinu*` is a kernel without modules.
    pub fn files(&self, suite: Suite, arch: &str, pattern: &str, wanted: &str) -> Result<Package> {
        let get = |index: &Index| self.unpacked(index, index.newest(pattern)?, wanted);
        self.with_index(suite, arch, get).or_else(|error| self.kept(suite, arch, pattern, wanted).ok_or(error))
    }

    /// The files of the newest kernel's source whose path matches `wanted`. Debian's package of it is an archive in an archive.
    pub fn kernel_source(&self, suite: Suite, wanted: &str) -> Result<Package> {
        const PATTERN: &str = "linux-source-*.*";
        let get = |index: &Index| {
            let entry = index.newest(PATTERN)?;
            let dir = self.root.join("packages").join(&index.key).join(folder_name(entry, wanted));
            self.once(&dir, |tmp| {
                let (deb, outer, root) = (tmp.join("deb"), tmp.join("outer"), tmp.join("root"));
                self.download(index, &[(entry, deb.clone())])?;
                unpack(&deb, &outer, "*.tar.xz")?;
                let mut archives = Vec::new();
                walk(&outer, &mut archives)?;
                create_dir(&root)?;
                let mut tar = Command::new("tar");
                tar.args(["-x", "--strip-components=1", "--no-same-owner", "-C"]).arg(&root).arg("-f").args(archives);
                run(tar.arg("--wildcards").arg(wanted)).map(drop)
            })?;
            Ok(Package { name: entry.name.into(), version: entry.version.into(), dir })
        };
        self.with_index(suite, host(), get).or_else(|error| self.kept(suite, host(), PATTERN, wanted).ok_or(error))
    }

    /// The packages `roots` and everything they depend on, unpacked into one folder, which is returned.
    ///
    /// If `arch` is this machine's, the programs in it run from where they lie (`usr/bin/qemu-system-s390x`), whatever C
    /// library this machine has: each is replaced by a script that starts it with the folder's own `ld.so` and libraries.
    /// Dependencies named in `without`, and what only they need, are left out.
    pub fn closure(&self, suite: Suite, arch: &str, roots: &[&str], without: &[&str]) -> Result<PathBuf> {
        self.with_index(suite, arch, |index| self.unpacked_closure(index, &index.closure(roots, without)?))
    }

    /// Does `get`, and if it fails, once more with a new index: the mirror may have replaced a file since the old one was kept.
    fn with_index<T>(&self, suite: Suite, arch: &str, get: impl Fn(&Index) -> Result<T>) -> Result<T> {
        let index = self.index(suite, arch, DAY)?;
        get(&index).or_else(|error| match self.index(suite, arch, RETRY) {
            Ok(newer) if newer.text != index.text => get(&newer),
            _ => Err(error),
        })
    }

    fn unpacked(&self, index: &Index, entry: Entry, wanted: &str) -> Result<Package> {
        let dir = self.root.join("packages").join(&index.key).join(folder_name(entry, wanted));
        self.once(&dir, |tmp| {
            let deb = tmp.join("deb");
            self.download(index, &[(entry, deb.clone())])?;
            unpack(&deb, &tmp.join("root"), wanted)
        })?;
        Ok(Package { name: entry.name.into(), version: entry.version.into(), dir })
    }

    fn unpacked_closure(&self, index: &Index, entries: &[Entry]) -> Result<PathBuf> {
        let key = entries.iter().flat_map(|entry| entry.sha256.bytes());
        let name = format!("{}-{:016x}", entries.first().map_or("none", |entry| entry.name), fnv1a(key));
        let dir = self.root.join("closures").join(&index.key).join(name);
        self.once(&dir, |tmp| {
            let debs: Vec<_> = entries.iter().map(|entry| (*entry, tmp.join(format!("{}.deb", entry.name)))).collect();
            self.download(index, &debs)?;
            let root = tmp.join("root");
            merge_usr(&root)?;
            let debs: Vec<_> = debs.into_iter().map(|(_, deb)| deb).collect();
            unpack_all(&debs, &root)?;
            if index.arch == host() {
                wrap_programs(&root, &dir)
            } else {
                Ok(())
            }
        })?;
        Ok(dir)
    }

    /// The newest one that an earlier run unpacked, for a machine without a network.
    fn kept(&self, suite: Suite, arch: &str, pattern: &str, wanted: &str) -> Option<Package> {
        let folder = self.root.join("packages").join(key(suite, arch));
        let suffix = folder_suffix(wanted);
        let package = |entry: fs::DirEntry| {
            let file_name = entry.file_name().into_string().ok()?;
            let (name, rest) = file_name.split_once('_')?;
            let version = rest.strip_suffix(&suffix)?;
            let fits = !version.contains(',') && matches(pattern, name);
            fits.then(|| Package { name: name.into(), version: version.replace("%3a", ":"), dir: entry.path() })
        };
        let all = fs::read_dir(folder).ok()?.flatten().filter_map(package);
        all.max_by(|a, b| newer((&a.name, &a.version), (&b.name, &b.version)))
    }

    /// Makes `dir` by letting `make` fill `<tmp>/root`, once, whoever asks at the same time; it appears whole or not at all.
    fn once(&self, dir: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        if dir.exists() {
            return Ok(());
        }
        let _lock = self.lock(dir)?;
        if dir.exists() {
            return Ok(());
        }
        let tmp = self.fresh(dir)?;
        make(&tmp)?;
        create_dir(dir.parent().unwrap_or(dir))?;
        fs::rename(tmp.join("root"), dir).map_err(|e| format!("cannot put {} in its place: {e}", dir.display()))?;
        let _ = fs::remove_dir_all(&tmp);
        Ok(())
    }

    /// An empty folder for what will become `target`, whose lock the caller holds. Its name is new, for a killed run may have
    /// left a program behind that still writes to its own.
    fn fresh(&self, target: &Path) -> Result<PathBuf> {
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

    fn lock(&self, target: &Path) -> Result<File> {
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

// The index.

struct Index {
    key: String,
    arch: String,
    /// One package a line, after a first line that names the mirror.
    text: String,
}

#[derive(Clone, Copy)]
struct Entry<'a> {
    name: &'a str,
    version: &'a str,
    file: &'a str,
    sha256: &'a str,
    depends: &'a str,
    provides: &'a str,
}

/// What is kept of a package's paragraph, in this order.
const FIELDS: [&str; 7] = ["Package", "Version", "Filename", "SHA256", "Pre-Depends", "Depends", "Provides"];

impl Cache {
    fn index(&self, suite: Suite, arch: &str, max_age: Duration) -> Result<Index> {
        let key = key(suite, arch);
        // Both become part of a path and of apt's configuration.
        if !key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
            return Err(format!("{} and {arch} are no names of a suite and an architecture", suite.0));
        }
        let path = self.root.join("index").join(&key);
        if !younger(&path, max_age) {
            let _lock = self.lock(&path)?;
            if !younger(&path, max_age.max(Duration::from_secs(1))) {
                self.refresh(suite, arch, &path)?;
            }
        }
        let text = fs::read_to_string(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
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
        create_dir(path.parent().unwrap_or(path))?;
        fs::rename(&new, path).map_err(|e| format!("cannot put {} in its place: {e}", path.display()))?;
        let _ = fs::remove_dir_all(&tmp);
        Ok(())
    }

    fn download(&self, index: &Index, wanted: &[(Entry, PathBuf)]) -> Result<()> {
        let tmp = wanted.first().and_then(|(_, deb)| deb.parent()).ok_or("nothing to download")?;
        let conf = write_apt_conf(tmp, &index.arch)?;
        let mut helper = apt(APT_HELPER, &conf);
        helper.arg("download-file");
        for (entry, deb) in wanted {
            let uri = format!("{}{}", index.mirror(), entry.file);
            helper.arg(uri).arg(deb).arg(format!("SHA256:{}", entry.sha256));
        }
        run(&mut helper)?;
        let size = |deb: &PathBuf| fs::metadata(deb).map_or(0, |file| file.len());
        let lines: String = wanted.iter().map(|(entry, deb)| format!("{} {}\n", size(deb), entry.file)).collect();
        let journal = File::options().create(true).append(true).open(self.journal());
        let kept = journal.and_then(|mut journal| journal.write_all(lines.as_bytes()));
        kept.map_err(|e| format!("cannot write {}: {e}", self.journal().display()))
    }
}

impl Index {
    fn mirror(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.text.lines().skip(1).filter_map(Entry::parse)
    }

    fn newest(&self, pattern: &str) -> Result<Entry<'_>> {
        let matching = self.entries().filter(|entry| matches(pattern, entry.name));
        let newest = matching.max_by(|a, b| newer((a.name, a.version), (b.name, b.version)));
        newest.ok_or_else(|| format!("no package {pattern} in {}", self.key))
    }

    fn closure(&self, roots: &[&str], without: &[&str]) -> Result<Vec<Entry<'_>>> {
        let mut by_name = HashMap::<&str, Entry>::new();
        let mut providers = HashMap::<&str, Entry>::new();
        for entry in self.entries() {
            let kept = by_name.entry(entry.name).or_insert(entry);
            if compare_versions(kept.version, entry.version) == Ordering::Less {
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

/// Appends a line for each paragraph of a `Packages` file.
fn distill(packages: &str, out: &mut String) {
    for paragraph in packages.split("\n\n") {
        let mut values = [""; FIELDS.len()];
        for line in paragraph.lines() {
            // A line that continues the one before starts with a blank; no field of ours is written so.
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

// apt.

/// Every place this machine's apt takes packages from but the security archives, which have a layout of their own. Which
/// of them is a Debian mirror shows when the suite's signature is checked.
fn mirrors() -> Result<Vec<String>> {
    let uris = run(Command::new("apt-get").args(["update", "--print-uris"]).env("LC_ALL", "C"))?;
    let mut found = Vec::new();
    for line in uris.lines() {
        let Some((uri, suite)) = line.trim_start_matches('\'').split_once("dists/") else { continue };
        if !suite.contains("-security/") && !found.iter().any(|known| known == uri) {
            found.push(uri.to_owned());
        }
    }
    Ok(found)
}

fn keyring() -> Result<&'static str> {
    const PLACES: [&str; 2] =
        ["/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp"];
    let place = PLACES.into_iter().find(|place| Path::new(place).exists());
    place.ok_or_else(|| "Debian's keys are missing: apt-get install debian-archive-keyring".into())
}

/// A configuration in which apt knows nothing of this machine but how to reach the network.
fn write_apt_conf(tmp: &Path, arch: &str) -> Result<PathBuf> {
    let at = tmp.display();
    let network = run(Command::new("apt-config").arg("dump"))?;
    let network = network.lines().filter(|line| NETWORK.iter().any(|prefix| line.starts_with(prefix)));
    let network: String = network.flat_map(|line| [line, "\n"]).collect();
    let conf = format!(
        "{network}\
         Dir::Etc::main \"/dev/null\";\n\
         Dir::Etc::parts \"/dev/null\";\n\
         Dir::Etc::preferences \"/dev/null\";\n\
         Dir::Etc::preferencesparts \"/dev/null\";\n\
         Dir::Etc::sourcelist \"{at}/sources.list\";\n\
         Dir::Etc::sourceparts \"/dev/null\";\n\
         Dir::State \"{at}/state\";\n\
         Dir::State::status \"{at}/status\";\n\
         Dir::Cache \"{at}/cache\";\n\
         Dir::Cache::pkgcache \"\";\n\
         Dir::Cache::srcpkgcache \"\";\n\
         APT::Architecture \"{arch}\";\n\
         APT::Architectures {{ \"{arch}\"; }};\n\
         APT::Sandbox::User \"\";\n\
         APT::Update::Error-Mode \"any\";\n\
         Acquire::Languages \"none\";\n\
         Acquire::GzipIndexes \"false\";\n\
         Acquire::Check-Valid-Until \"false\";\n"
    );
    create_dir(&tmp.join("state/lists/partial"))?;
    create_dir(&tmp.join("cache/archives/partial"))?;
    write(&tmp.join("status"), "")?;
    let path = tmp.join("apt.conf");
    write(&path, &conf)?;
    Ok(path)
}

const NETWORK: [&str; 5] =
    ["Acquire::http", "Acquire::https", "Acquire::Proxy", "Acquire::ForceIPv", "Acquire::Retries"];

fn apt(program: &str, conf: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("APT_CONFIG", conf).env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive");
    command
}

// Unpacking.

/// `dpkg-deb -x`, but into a tree whose `/lib` may be a link, and of some files only if so asked.
fn unpack(deb: &Path, into: &Path, wanted: &str) -> Result<()> {
    create_dir(into)?;
    let mut tar = Command::new("tar");
    tar.args(["-x", "-f", "-", "--keep-directory-symlink", "--no-same-owner", "--warning=no-timestamp", "-C"])
        .arg(into);
    if !wanted.is_empty() {
        tar.arg("--wildcards").arg(wanted);
    }
    let failed = |e| format!("cannot unpack {}: {e}", deb.display());
    let mut dpkg = Command::new("dpkg-deb");
    let mut dpkg =
        dpkg.arg("--fsys-tarfile").arg(deb).stdout(Stdio::piped()).spawn().map_err(|e| cannot_run("dpkg-deb", &e))?;
    if let Some(pipe) = dpkg.stdout.take() {
        tar.stdin(pipe);
    }
    let unpacked = run(&mut tar);
    drop(tar); // it holds the pipe's end, and dpkg-deb waits while somebody might read
    let whole = dpkg.wait().map_err(failed)?;
    unpacked?;
    if whole.success() {
        Ok(())
    } else {
        Err(format!("{} is no whole package", deb.display()))
    }
}

fn unpack_all(debs: &[PathBuf], into: &Path) -> Result<()> {
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(deb) = debs.get(next.fetch_add(1, atomic::Ordering::Relaxed)) {
            unpack(deb, into, "")?;
        }
        Ok(())
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|_| Err("a thread panicked".into())))
    })
}

/// Packages of older suites still hold `/lib/...`, and expect to find it in `/usr/lib`.
fn merge_usr(root: &Path) -> Result<()> {
    for name in ["bin", "sbin", "lib", "lib64", "lib32", "libx32"] {
        create_dir(&root.join("usr").join(name))?;
        let link = root.join(name);
        std::os::unix::fs::symlink(format!("usr/{name}"), &link)
            .map_err(|e| format!("cannot link {}: {e}", link.display()))?;
    }
    Ok(())
}

/// Replaces each program below `root`, which will be moved to `home`, by a script that runs it with the libraries beside it.
fn wrap_programs(root: &Path, home: &Path) -> Result<()> {
    let mut files = Vec::new();
    walk(root, &mut files)?;
    // By this link it is there even where cargo has replaced the file since.
    let this = elf_head(Path::new("/proc/self/exe")).ok_or("this program cannot read itself by /proc/self/exe")?;
    // Firmware and the C library of a cross compiler are ELF files too, of another machine.
    let ours = |head: &[u8]| head[4..6] == this[4..6] && head[18..20] == this[18..20];
    let is_loader = |path: &&PathBuf| file_name(path).starts_with("ld-linux") || file_name(path).starts_with("ld64.so");
    let loader = files.iter().filter(is_loader).find(|path| elf_head(path).is_some_and(|head| ours(&head)));
    // Nothing to wrap where no program was linked to a C library.
    let Some(loader) = loader else { return Ok(()) };
    let libraries = library_path(root, home, &files);
    for path in files.iter().filter(|path| !file_name(path).contains(".so")) {
        let Some(head) = elf_head(path).filter(|head| ours(head)) else { continue };
        if program_headers(&head).is_some_and(|mut types| types.any(|kind| kind == PT_INTERP)) {
            wrap(path, loader, &libraries, |path| home.join(path.strip_prefix(root).unwrap_or(path)))?;
        }
    }
    Ok(())
}

fn wrap(path: &Path, loader: &Path, libraries: &str, moved: impl Fn(&Path) -> PathBuf) -> Result<()> {
    let real = path.with_file_name(format!("{}.elf", file_name(path)));
    // Started by a loader, a program finds the loader's path in /proc/self/exe, and looks for its own files from there.
    let near = path.with_file_name(".ld.so");
    let failed = |e| format!("cannot wrap {}: {e}", path.display());
    if !near.exists() {
        let loader = fs::canonicalize(loader).map_err(failed)?;
        fs::hard_link(&loader, &near).or_else(|_| fs::copy(&loader, &near).map(drop)).map_err(failed)?;
    }
    fs::rename(path, &real).map_err(failed)?;
    let (near, real) = (moved(&near), moved(&real));
    let script = format!(
        "#!/bin/sh\nexec '{}' --library-path '{libraries}' --argv0 \"$0\" '{}' \"$@\"\n",
        near.display(),
        real.display()
    );
    write(path, &script)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(failed)
}

/// The folders that hold shared libraries: `/usr/lib`, the machine's own below it, and those one level further down.
fn library_path(root: &Path, home: &Path, files: &[PathBuf]) -> String {
    let mut folders: Vec<&Path> = Vec::new();
    for path in files.iter().filter(|path| file_name(path).starts_with("lib") && file_name(path).contains(".so.")) {
        let Some(folder) = path.parent().and_then(|folder| folder.strip_prefix(root).ok()) else { continue };
        if folder.starts_with("usr/lib") && folder.components().count() <= 4 && !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    folders.sort_by_key(|folder| folder.components().count());
    let folders: Vec<_> = folders.into_iter().map(|folder| home.join(folder).display().to_string()).collect();
    folders.join(":")
}

/// The start of an ELF file, at least its header.
fn elf_head(path: &Path) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path).ok()?.take(4096).read_to_end(&mut head).ok()?;
    (head.starts_with(b"\x7fELF") && head.len() >= 64).then_some(head)
}

const PT_INTERP: u32 = 3;

/// The types of the program headers, which follow the ELF header at once in every program a linker makes.
fn program_headers(head: &[u8]) -> Option<impl Iterator<Item = u32> + '_> {
    let wide = *head.get(4)? == 2;
    let little = *head.get(5)? == 1;
    let half = move |at: usize| {
        let bytes = [*head.get(at)?, *head.get(at + 1)?];
        Some(usize::from(if little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) }))
    };
    let (start, size_at) = if wide { (64, 54) } else { (52, 42) };
    let (size, count) = (half(size_at)?, half(size_at + 2)?);
    Some((0..count).filter_map(move |i| {
        let bytes: [u8; 4] = head.get(start + i * size..start + i * size + 4)?.try_into().ok()?;
        Some(if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }))
}

// Names and versions.

fn key(Suite(suite): Suite, arch: &str) -> String {
    format!("{suite}-{arch}")
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

/// Orders by version, then the shorter name last.
fn newer((a, a_version): (&str, &str), (b, b_version): (&str, &str)) -> Ordering {
    compare_versions(a_version, b_version).then(b.len().cmp(&a.len())).then(a.cmp(b))
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => name
            .strip_prefix(before)
            .is_some_and(|rest| rest.char_indices().any(|(at, _)| matches(after, &rest[at..])) || matches(after, "")),
    }
}

/// Debian's order (deb-version(7)): epoch, upstream version, revision.
fn compare_versions(a: &str, b: &str) -> Ordering {
    fn split(version: &str) -> (u64, &str, &str) {
        let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, "0"));
        (epoch.parse().unwrap_or(0), upstream, revision)
    }
    let (a, b) = (split(a), split(b));
    a.0.cmp(&b.0).then_with(|| compare_parts(a.1, b.1)).then_with(|| compare_parts(a.2, b.2))
}

fn compare_parts(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while !a.is_empty() || !b.is_empty() {
        let (a_text, a_rest) = a.split_at(run_of(a, |byte| !byte.is_ascii_digit()));
        let (b_text, b_rest) = b.split_at(run_of(b, |byte| !byte.is_ascii_digit()));
        let (a_digits, a_end) = a_rest.split_at(run_of(a_rest, |byte| byte.is_ascii_digit()));
        let (b_digits, b_end) = b_rest.split_at(run_of(b_rest, |byte| byte.is_ascii_digit()));
        let order = compare_text(a_text, b_text).then_with(|| number(a_digits).cmp(&number(b_digits)));
        if order.is_ne() {
            return order;
        }
        (a, b) = (a_end, b_end);
    }
    Ordering::Equal
}

/// A tilde sorts before the end, letters before everything else.
fn compare_text(a: &[u8], b: &[u8]) -> Ordering {
    let weight = |text: &[u8], at: usize| match text.get(at) {
        Some(b'~') => -1,
        None => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    };
    let orders = (0..a.len().max(b.len())).map(|at| weight(a, at).cmp(&weight(b, at)));
    orders.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
}

fn run_of(bytes: &[u8], want: impl Fn(&u8) -> bool) -> usize {
    bytes.iter().take_while(|byte| want(byte)).count()
}

/// Names a folder after a long list; nothing relies on it being hard to forge.
fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

// Files and programs.

fn younger(path: &Path, age: Duration) -> bool {
    let modified = fs::metadata(path).and_then(|meta| meta.modified());
    // A time in the future counts as now.
    modified.is_ok_and(|time| time.elapsed().unwrap_or_default() < age)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let failed = |e| format!("cannot read {}: {e}", folder.display());
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            walk(&entry.path(), files)?;
        } else if kind.is_file() || file_name(&entry.path()).contains(".so") {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

fn create_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|e| format!("cannot make the folder {}: {e}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|e| format!("cannot write {}: {e}", path.display()))
}

fn cannot_run(program: &str, error: &std::io::Error) -> String {
    if error.kind() != std::io::ErrorKind::NotFound {
        return format!("cannot run {program}: {error}");
    }
    let package = if program.contains("apt") {
        "apt"
    } else if program.contains("dpkg") {
        "dpkg"
    } else {
        program
    };
    format!("{program} is missing: it is in Debian's package {package}, so this needs a Debian machine or container")
}

/// The program's output, or in one sentence what it complained about.
fn run(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|e| cannot_run(&program, &e))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let told = errors.lines().find(|line| line.starts_with("E: ")).or_else(|| errors.lines().next());
    Err(format!("{program}: {}", told.unwrap_or("failed without a word").trim_start_matches("E: ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_dpkg_orders_them() {
        let rising =
            ["1.0~rc1-1", "1.0-1~bpo12+1", "1.0-1", "1.0-1+b1", "1.0a-1", "1.0+dfsg-1", "1.2-1", "1.10-1", "1:0.1-1"];
        for pair in rising.windows(2) {
            assert_eq!(compare_versions(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(compare_versions(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
        assert_eq!(compare_versions("0:1.01", "1.1-0"), Ordering::Equal);
    }

    #[test]
    fn a_star_is_any_run_of_characters() {
        assert!(matches("linux-image-6.1.*-cloud-amd64", "linux-image-6.1.0-50-cloud-amd64"));
        assert!(!matches("linux-image-6.1.*-amd64", "linux-image-6.1.0-50-amd64-unsigned"));
        assert!(matches("a*", "a") && matches("*", "") && matches("a*b*c", "a-b-c"));
        assert!(!matches("abc", "abcd") && !matches("ab*bc", "abc"));
    }

    #[test]
    fn of_equal_versions_the_shorter_name_wins() {
        let plain = ("linux-image-6.1.0-50-amd64", "6.1.176-1");
        let real_time = ("linux-image-6.1.0-50-rt-amd64", "6.1.176-1");
        assert_eq!(newer(plain, real_time), Ordering::Greater);
    }

    #[test]
    fn a_paragraph_becomes_a_line() {
        let text = "Package: a\nVersion: 1\nPre-Depends: p\nDepends: d (>= 2) | e\nFilename: pool/a.deb\nSize: 5\n";
        let sum = "0".repeat(64);
        let mut out = "mirror\n".to_owned();
        distill(&format!("{text}SHA256: {sum}\n\nPackage: broken\n"), &mut out);
        assert_eq!(out, format!("mirror\na\t1\tpool/a.deb\t{sum}\tp, d (>= 2) | e\t\n"));
    }
}
