//! A program that uses every public function, for every target of stable Rust and at every level of optimisation: it links though
//! its panic handler cannot, and it asks nobody for anything but what the compiler brings.
//!
//! The same as a library without LTO. On this machine it is linked as a user would link it: with the prebuilt `core`, as a shared and as
//! a static library. For the other targets its object file and the crate's are read: they need nothing of `core`.

use crate::debian::Cache;
use crate::kit::progress::Progress;
use crate::kit::report;
use crate::kit::shell::{cargo, root, run};
use crate::machines::cross;
use crate::machines::targets::{select, Target};
use crate::step::{Run, World};
use clap::Args;
use object::{Object, ObjectSymbol};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

#[derive(Args)]
pub struct Options {
    /// Only these targets: the start of a name will do
    #[arg(long)]
    target: Vec<String>,
}

const LEVELS: [&str; 5] = ["1", "2", "3", "s", "z"];
/// What is compiled at each level; `core` is at 3, as it comes.
const PACKAGES: [&str; 4] = ["symbols", "barepoll", "bitflags", "sc"];

/// The levels of libraries for other targets: those at which a function of `core` that is generic may be taken from `core`'s object file,
/// with the most inlined and with the least. At level 0 nothing is inlined and `core`'s own checks stay, so each library needs `core`'s
/// object file.
const LIBRARY_LEVELS: [&str; 2] = ["1", "z"];

/// What the panic handler calls.
const PANIC: &str = "something_can_panic";
/// What the prebuilt `core` needs. A library that prints has to define it (docs/no-libc.md).
const PERSONALITY: &str = "rust_eh_personality";

/// What may be asked for: what the compiler itself may call for anybody, and brings.
const MEMORY: [&str; 5] = ["memcpy", "memmove", "memset", "memcmp", "bcmp"];
/// How the names begin of what a machine lacks: division, and what ARM's tables say of unwinding, which nothing calls
/// (`__aeabi_unwind_cpp_pr0`); atomics, AArch64's out of line and those of ARM that its kernel does.
const LACKING: [&str; 5] = ["__aeabi_", "__udiv", "__umod", "__aarch64_", "__sync_"];

fn is_the_compilers(name: &str) -> bool {
    // The last is 64-bit PowerPC's, and its linker's.
    MEMORY.contains(&name) || LACKING.iter().any(|start| name.starts_with(start)) || name == ".TOC."
}

impl Run for Options {
    fn run(&self, world: &World) -> Result<(), String> {
        check(&world.progress, world.cache()?, &select(&self.target)?).map(drop)
    }
}

/// Checks those of stable Rust, and gives how many programs and libraries linked.
pub fn check(progress: &Progress, cache: &Cache, targets: &[&'static Target]) -> Result<usize, String> {
    let job = progress.job("symbols");
    let (mut rows, mut wrong, mut count) = (Vec::new(), Vec::new(), 0);
    let mut judge = |linked: Result<BTreeSet<String>, String>, what: String| match linked {
        Ok(asked) if asked.iter().all(|name| is_the_compilers(name)) => count += 1,
        Ok(asked) => {
            wrong.push(format!("{what} asks for {}", words(asked.iter().filter(|name| !is_the_compilers(name)))))
        }
        Err(why) => wrong.push(format!("{what}: {why}")),
    };
    for target in targets.iter().filter(|target| target.stable) {
        let mut row = vec![target.name.to_string()];
        for level in LEVELS {
            job.at(&format!("{} at {level}", target.name));
            let linked = program(cache, target, level);
            row.push(linked.as_ref().map_or("FAILED".into(), |asked| match asked.len() {
                0 => "nothing".into(),
                _ => words(asked),
            }));
            judge(linked, format!("{} at {level}", target.name));
        }
        for level in LIBRARY_LEVELS {
            let what = format!("{} at {level}, a library without LTO", target.name);
            job.at(&what);
            judge(library(cache, target, level), what);
        }
        if is_here(target) {
            for (level, prints) in LEVELS.iter().flat_map(|level| [(level, false), (level, true)]) {
                let what =
                    format!("this machine's library without LTO at {level}{}", if prints { ", printing" } else { "" });
                job.at(&what);
                judge(library_here(level, prints), what);
            }
        }
        rows.push(row);
    }
    job.done(&if wrong.is_empty() { format!("{count} programs and libraries link") } else { "FAILED".into() });
    report::print(&[&["what it asks for, at opt-level"], &LEVELS[..]].concat(), rows);
    match wrong.as_slice() {
        [] if count == 0 => Err("none of these targets is stable Rust's, and only those are linked".into()),
        [] => Ok(count),
        wrong => Err(format!("something can panic, or needs more than the compiler brings:\n{}", wrong.join("\n"))),
    }
}

fn words<'n>(names: impl IntoIterator<Item = &'n String>) -> String {
    names.into_iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}

fn is_here(target: &Target) -> bool {
    target.name == format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// Links the program, and gives the symbols that its own object file, which is the whole program, leaves undefined.
fn program(cache: &Cache, target: &Target, level: &str) -> Result<BTreeSet<String>, String> {
    let arguments = ["-p", "symbols", "--bin", "symbols", "--features", "printing"];
    object_file(cache, target, level, &arguments, &["--emit", "link"]).map(|symbols| symbols.undefined)
}

/// What a library without LTO needs beyond itself and the crate.
fn library(cache: &Cache, target: &Target, level: &str) -> Result<BTreeSet<String>, String> {
    // Machine code, where the release profile, with LTO, has cargo ask for LLVM's.
    let compile = |arguments: &[&str]| object_file(cache, target, level, arguments, &["-Clinker-plugin-lto=no"]);
    let (ours, theirs) =
        (compile(&["-p", "barepoll", "--lib"])?, compile(&["-p", "symbols", "--lib", "--crate-type", "rlib"])?);
    let mut asked: BTreeSet<String> = ours.undefined.union(&theirs.undefined).cloned().collect();
    asked.retain(|name| !ours.defined.contains(name) && !theirs.defined.contains(name) && name != PANIC);
    Ok(asked)
}

/// Builds the library, links the static one, and gives what the shared one leaves undefined.
fn library_here(level: &str, prints: bool) -> Result<BTreeSet<String>, String> {
    let target = root().join("target/symbols");
    let mut build = cargo();
    // The crate is one object file, as without any profile of one's own: rustc merges small units, unless it is given their number.
    build.args(["build", "--release", "--locked", "-p", "symbols", "--lib", "--config", "profile.release.lto=false"]);
    build.arg("--config").arg(format!("profile.release.opt-level={}", value(level))).arg("--target-dir").arg(&target);
    run(build.args(prints.then_some("--features=printing")).env_remove("RUSTFLAGS"))?;
    let built = target.join("release");

    // Without `--gc-sections`: the panic handler stays, and so would all of `core`.
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let mut cc = Command::new("cc");
    cc.args(["-nostartfiles", "-Wl,--undefined=_start"]).arg(format!("-Wl,--defsym={PANIC}=0"));
    cc.args(prints.then(|| format!("-Wl,--defsym={PERSONALITY}=0")));
    run(cc.arg(built.join("libsymbols.a")).arg("-o").arg(folder.path().join("program")))?;

    let mut asked = Symbols::read(&built.join("libsymbols.so"))?.undefined;
    asked.retain(|name| !(prints && name == PERSONALITY));
    Ok(asked)
}

/// Compiles by `cargo rustc`, and gives the symbols of the object file.
fn object_file(
    cache: &Cache,
    target: &Target,
    level: &str,
    arguments: &[&str],
    flags: &[&str],
) -> Result<Symbols, String> {
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let file = folder.path().join("symbols.o");
    let mut cargo = cross::cargo(cache, target, "rustc")?;
    for package in PACKAGES {
        cargo.arg("--config").arg(format!("profile.release.package.{package}.opt-level={}", value(level)));
    }
    run(cargo.args(arguments).arg("--").args(flags).arg("--emit").arg(format!("obj={}", file.display())))?;
    Symbols::read(&file)
}

/// A level as cargo's configuration has it.
fn value(level: &str) -> String {
    if level.parse::<u8>().is_ok() {
        level.into()
    } else {
        format!("{level:?}")
    }
}

/// The names that a file gives others, and that it needs of them.
struct Symbols {
    defined: BTreeSet<String>,
    undefined: BTreeSet<String>,
}

impl Symbols {
    /// Of an object file, or of a shared library: what is weak there may stay undefined.
    fn read(file: &Path) -> Result<Self, String> {
        let bytes =
            fs::read(file).map_err(|error| format!("the compiler wrote no file {}: {error}", file.display()))?;
        let object =
            object::File::parse(&*bytes).map_err(|error| format!("{} does not read: {error}", file.display()))?;
        let symbols = object.symbols().chain(object.dynamic_symbols());
        let (mut defined, mut undefined) = (BTreeSet::new(), BTreeSet::new());
        for symbol in symbols.filter(|symbol| !(symbol.is_local() || symbol.is_undefined() && symbol.is_weak())) {
            let name = symbol.name().map_err(|error| format!("{} does not read: {error}", file.display()))?;
            let side = if symbol.is_undefined() { &mut undefined } else { &mut defined };
            side.insert(name.to_string());
        }
        undefined.remove("");
        Ok(Self { defined, undefined })
    }
}
