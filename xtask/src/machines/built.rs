//! Builds kernels that no distribution builds: Debian's kernel source in the smallest configuration,
//! with Debian's cross compilers. The cache keeps only each kernel's image.

use crate::debian::{self, Cache, Suite};
use crate::kit::progress::{Job, Progress};
use crate::kit::report;
use crate::kit::shell::run;
use crate::kit::tool::{Tool, BC, BISON, CC, FLEX, MAKE};
use crate::machines::kernels::{self, Kernel};
use crate::step::{Run, World};
use clap::Args;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// How to build a kernel.
pub struct Build {
    /// The suite of the source and of the compiler.
    pub suite: Suite,
    /// The kernel's name of the architecture.
    arch: &'static str,
    /// GNU's name of the compiler. Debian's package is `gcc-` and this.
    compiler: &'static str,
    /// The path of the image in the build tree. Its last part is the target of `make`.
    image: &'static str,
    /// What to configure beyond [`SHARED`], without `CONFIG_`.
    config: &'static [&'static str],
}

pub const fn build(
    arch: &'static str,
    compiler: &'static str,
    image: &'static str,
    config: &'static [&'static str],
) -> Build {
    Build { suite: Suite("bookworm"), arch, compiler, image, config }
}

/// What every kernel adds to `make tinyconfig`: an initial file system, a console, and the calls
/// that the conformance program makes.
///
/// `EXPERT` makes everything optional, so that `tinyconfig` leaves out what this list does not name.
const SHARED: [&str; 24] = [
    "EXPERT",
    "BUG",
    "BASE_FULL",
    "SYSCTL",
    "PROC_SYSCTL",
    "SHMEM",
    "TMPFS",
    "FILE_LOCKING",
    "BLK_DEV_INITRD",
    "PRINTK",
    "TTY",
    "BINFMT_ELF",
    "EPOLL",
    "EVENTFD",
    "SIGNALFD",
    "TIMERFD",
    "FUTEX",
    "POSIX_TIMERS",
    "HIGH_RES_TIMERS",
    "NET",
    "UNIX",
    "PROC_FS",
    "SYSFS",
    "MULTIUSER",
];

/// The half of the source that no small kernel compiles. Kconfig files stay, which others include.
const UNUSED: [&str; 9] = [
    "*/Documentation/*/*",
    "*/drivers/gpu/*.[ch]",
    "*/drivers/infiniband/*.[ch]",
    "*/drivers/media/*.[ch]",
    "*/drivers/net/ethernet/*.[ch]",
    "*/drivers/net/wireless/*.[ch]",
    "*/drivers/staging/*.[ch]",
    "*/sound/*.[ch]",
    "*/tools/testing/*",
];

/// A test starts no further build after this time. A build takes two to five minutes.
const BUDGET: Duration = Duration::from_secs(300);

/// A kernel that this machine can build, with all inputs of the build in the cache.
struct Inputs {
    /// Debian's version of the source.
    version: String,
    /// Debian's archive of the source.
    source: PathBuf,
    /// The folder with the compiler. Its name has a hash of the compiler's packages.
    compiler: PathBuf,
}

impl Build {
    /// Downloads the source and the compiler, unless they are in the cache.
    fn inputs(&self, cache: &Cache) -> Result<Inputs, String> {
        let package = cache.files(self.suite, debian::host(), "linux-source-*.*", "*.tar.xz")?;
        let source = package.find("linux-source")?;
        let compiler = cache.closure(self.suite, debian::host(), &[&format!("gcc-{}", self.compiler)], &[])?;
        Ok(Inputs { version: package.version, source, compiler })
    }

    /// The lines of the configuration.
    fn fragment(&self) -> String {
        let line = |option: &&str| {
            let value = if option.contains('=') { "" } else { "=y" };
            format!("CONFIG_{option}{value}\n")
        };
        SHARED.iter().chain(self.config).map(line).collect()
    }

    /// Where the cache has the image of this kernel. The name changes with each input.
    ///
    /// If a later std hashes differently, the kernels are built again.
    fn place(&self, cache: &Cache, name: &str, inputs: &Inputs) -> PathBuf {
        let mut hash = DefaultHasher::new();
        let compiler = inputs.compiler.file_name();
        (&inputs.version, self.arch, self.image, self.fragment(), compiler).hash(&mut hash);
        folder(cache).join(format!("{name}-{:016x}", hash.finish()))
    }

    /// Debian's version of the source and the image, or `None` if the cache lacks it.
    pub fn image(&self, cache: &Cache, name: &str) -> Result<Option<(String, PathBuf)>, String> {
        let inputs = self.inputs(cache)?;
        let place = self.place(cache, name, &inputs);
        Ok(place.exists().then_some((inputs.version, place)))
    }

    /// Builds in `folder` from the unpacked source, and returns the path of the image.
    fn make(&self, inputs: &Inputs, source: &Path, folder: &Path) -> Result<PathBuf, String> {
        fs::create_dir_all(folder).map_err(|error| format!("cannot make the folder {}: {error}", folder.display()))?;
        let fragment = folder.join("fragment");
        fs::write(&fragment, self.fragment())
            .map_err(|error| format!("cannot write {}: {error}", fragment.display()))?;
        let prefix = inputs.compiler.join("usr/bin").join(format!("{}-", self.compiler));
        let make = || {
            let mut make = Command::new("nice");
            make.args(["-n", "10", "make", "-s", "-C"]).arg(source);
            make.arg(format!("O={}", folder.display())).arg(format!("ARCH={}", self.arch));
            make.arg(format!("CROSS_COMPILE={}", prefix.display())).env("LC_ALL", "C").env_remove("MAKEFLAGS");
            make
        };
        // An argument, because `tinyconfig` itself sets the variable of this name.
        run(make().arg(format!("KCONFIG_ALLCONFIG={}", fragment.display())).arg("tinyconfig"))?;
        let config = folder.join(".config");
        let config =
            fs::read_to_string(&config).map_err(|error| format!("cannot read {}: {error}", config.display()))?;
        if let Some(lost) = self.fragment().lines().find(|line| !is_in(&config, line)) {
            return Err(format!("the kernel's configuration dropped {lost}; add what it depends on to the fragment"));
        }
        let target = Path::new(self.image).file_name().unwrap_or_default();
        let jobs = thread::available_parallelism().map_or(1, usize::from);
        run(make().arg(format!("-j{jobs}")).arg(target))?;
        Ok(folder.join(self.image))
    }
}

/// Whether a configuration has this line. It leaves out an option whose value is `n`.
fn is_in(config: &str, line: &str) -> bool {
    match line.strip_suffix("=n") {
        Some(option) => !config.lines().any(|line| line.split('=').next() == Some(option)),
        None => config.lines().any(|other| other == line),
    }
}

/// The programs of this machine that a build runs.
const TOOLS: [&Tool; 5] = [&MAKE, &CC, &FLEX, &BISON, &BC];

/// Ensures that the tools of a build work, if one of these kernels is still to be built. Downloads
/// nothing of the build's.
pub fn ensure_tools(cache: &Cache, kernels: &[&'static Kernel]) -> Result<(), String> {
    let images = fs::read_dir(folder(cache)).into_iter().flatten().flatten();
    let images: Vec<String> = images.filter_map(|image| image.file_name().into_string().ok()).collect();
    let is_built = |name: &str| images.iter().any(|image| image.rsplit_once('-').is_some_and(|(of, _)| of == name));
    if all(kernels).all(|(name, _)| is_built(name)) {
        return Ok(());
    }
    TOOLS.iter().try_for_each(|tool| tool.ensure())
}

fn folder(cache: &Cache) -> PathBuf {
    cache.root().join("built-kernels")
}

/// The kernels in the table that this machine builds.
fn all<'k>(kernels: &'k [&'static Kernel]) -> impl Iterator<Item = (&'static str, &'static Build)> + 'k {
    kernels.iter().filter_map(|kernel| Some((kernel.name, kernel.build()?)))
}

/// Builds the kernels that the cache lacks. Starts no build after `budget`. Returns how many kernels
/// the cache has, and the names of the others.
pub fn build_missing(
    progress: &Progress,
    cache: &Cache,
    kernels: &[&'static Kernel],
    budget: Duration,
) -> Result<(usize, Vec<&'static str>), String> {
    let start = Instant::now();
    let folder = folder(cache);
    // One run builds at a time. Another may have built a kernel meanwhile.
    let _lock = cache.lock(&folder)?;
    let tree = cache.fresh(&folder)?;
    let (mut built, mut missing, mut failures) = (0, Vec::new(), Vec::new());
    for (name, build) in all(kernels) {
        let job = progress.job(format!("kernel {name}"));
        match build_one(cache, &job, name, build, &tree, start.elapsed() < budget) {
            Ok(Some(how)) => {
                job.done(&how);
                built += 1;
            }
            Ok(None) => {
                job.done("not built");
                missing.push(name);
            }
            Err(why) => {
                job.done("FAILED");
                failures.push(format!("the kernel {name}: {why}\nTo repeat: `cargo xtask build-kernels {name}`"));
            }
        }
    }
    let _ = fs::remove_dir_all(&tree);
    if failures.is_empty() {
        Ok((built, missing))
    } else {
        Err(failures.join("\n\n"))
    }
}

/// Builds a kernel that the cache lacks, if there `is_time`. Says how the cache has it, if it has.
fn build_one(
    cache: &Cache,
    job: &Job,
    name: &str,
    build: &Build,
    tree: &Path,
    is_time: bool,
) -> Result<Option<String>, String> {
    job.at("downloading");
    let start = Instant::now();
    let inputs = build.inputs(cache)?;
    let place = build.place(cache, name, &inputs);
    if place.exists() {
        return Ok(Some("in the cache".into()));
    }
    if !is_time {
        return Ok(None);
    }
    // The cache may have had an image of another version.
    TOOLS.iter().try_for_each(|tool| tool.ensure())?;
    let source = tree.join(build.suite.0);
    if !source.exists() {
        job.at("unpacking the source");
        fs::create_dir_all(&source).map_err(|error| format!("cannot make the folder {}: {error}", source.display()))?;
        let mut tar = Command::new("tar");
        tar.args(["-x", "--strip-components=1", "--no-same-owner"])
            .args(UNUSED.map(|path| format!("--exclude={path}")));
        tar.arg("-C").arg(&source).arg("-f").arg(&inputs.source);
        run(&mut tar)?;
    }
    job.at("building");
    let work = tree.join(name);
    let image = build.make(&inputs, &source, &work)?;
    let kept = fs::create_dir_all(folder(cache)).and_then(|()| fs::rename(&image, &place));
    kept.map_err(|error| format!("cannot keep {}: {error}", place.display()))?;
    let _ = fs::remove_dir_all(&work);
    Ok(Some(format!("built in {:.0} s", start.elapsed().as_secs_f32())))
}

/// Says which kernels were not built for lack of time, and how to build them.
pub fn say_missing(missing: &[&str]) {
    for name in missing {
        report::say(format_args!(
            "{name}: not built, for lack of time; to build it: `cargo xtask build-kernels {name}`"
        ));
    }
}

/// Builds what the cache lacks within the budget of a test. Returns how many kernels the cache has.
pub fn run_checks(world: &World) -> Result<usize, String> {
    let (built, missing) = build_missing(&world.progress, world.cache()?, &world.kernels, BUDGET)?;
    say_missing(&missing);
    Ok(built)
}

#[derive(Args)]
pub struct Options {
    /// Only kernels whose name starts with one of these, such as `mips64-6.1`
    names: Vec<String>,
}

impl Run for Options {
    fn run(&self, world: &World) -> Result<(), String> {
        let kernels = kernels::select(&self.names)?;
        if all(&kernels).next().is_none() {
            return Err(format!("Debian builds {}; `cargo xtask test --kernel` downloads it", self.names.join(", ")));
        }
        let (built, _) = build_missing(&world.progress, world.cache()?, &kernels, Duration::MAX)?;
        report::say(format_args!("{built} kernels are in the cache; `cargo xtask test --kernel NAME` boots one"));
        Ok(())
    }
}

/// The table in docs/testing.md.
pub fn table() -> String {
    let code = |text: &str| format!("`{text}`");
    let rows = kernels::KERNELS.iter().filter_map(|kernel| {
        let build = kernel.build()?;
        let make = format!("{} {}", build.arch, Path::new(build.image).file_name()?.to_str()?);
        let package = format!("gcc-{}", build.compiler);
        Some(vec![kernel.name.into(), code(&make), code(&package), build.config.join(" ")])
    });
    report::markdown(&["kernel", "`ARCH` and target of `make`", "Debian's compiler", "configuration"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::shell::ROOT_VARIABLE;
    use crate::ports::conformance;

    #[test]
    fn a_configuration_has_the_options_that_are_set() {
        let config = "CONFIG_A=y\nCONFIG_AB=\"x\"\n# CONFIG_C is not set\n";
        assert!(is_in(config, "CONFIG_A=y") && is_in(config, "CONFIG_C=n") && is_in(config, "CONFIG_D=n"));
        assert!(!is_in(config, "CONFIG_B=y") && !is_in(config, "CONFIG_C=y") && !is_in(config, "CONFIG_AB=n"));
    }

    #[test]
    fn a_missing_tool_is_an_error_before_a_download() {
        if std::env::var_os(ROOT_VARIABLE).is_none() {
            let folder = tempfile::tempdir().expect("a folder");
            let mut inner = Command::new(std::env::current_exe().expect("a path"));
            inner.args(["--exact", "machines::built::tests::a_missing_tool_is_an_error_before_a_download"]);
            inner.env("PATH", folder.path()).env("BAREPOLL_CACHE", folder.path());
            let output = run(inner.env(ROOT_VARIABLE, folder.path().join("copy"))).expect("it passes");
            assert!(output.contains("1 passed"), "{output}");
            return;
        }
        let mut world = World::new(&[]);
        world.kernels = kernels::select(&["mips64-6.1".into()]).expect("it is there");
        let missing = Err("cannot find make; install it with `apt-get install make`".into());
        assert_eq!(conformance::on_kernels(&world).map(drop), missing);
        // An image that was built before needs no tools, and nor does a kernel of Debian's.
        let cache = world.cache().expect("a cache");
        fs::create_dir_all(folder(cache)).expect("a folder");
        fs::write(folder(cache).join("mips64-6.1-0123456789abcdef"), "").expect("an image");
        assert_eq!(ensure_tools(cache, &world.kernels), Ok(()));
        assert_eq!(ensure_tools(cache, &kernels::select(&["s390x-6.1".into()]).expect("it is there")), Ok(()));
        assert_eq!(ensure_tools(cache, &kernels::select(&[]).expect("all")), missing);
    }

    #[test]
    fn each_input_of_a_build_changes_its_place() {
        let cache = Cache::at(PathBuf::from("/cache"));
        let inputs = |version: &str, compiler: &str| Inputs {
            version: version.into(),
            source: PathBuf::new(),
            compiler: compiler.into(),
        };
        let first = build("mips", "mips64-linux-gnuabi64", "vmlinux", &["A"]);
        let place = |build: &Build, version, compiler| build.place(&cache, "k", &inputs(version, compiler));
        let places = [
            place(&first, "1", "/gcc-a"),
            place(&first, "2", "/gcc-a"),
            place(&first, "1", "/gcc-b"),
            place(&build("mips", "mips64-linux-gnuabi64", "vmlinux", &["B"]), "1", "/gcc-a"),
            place(&build("mips", "mips64-linux-gnuabi64", "Image", &["A"]), "1", "/gcc-a"),
        ];
        let different: std::collections::HashSet<_> = places.iter().collect();
        assert_eq!(different.len(), places.len());
        assert_eq!(place(&first, "1", "/gcc-a"), places[0]);
    }
}
