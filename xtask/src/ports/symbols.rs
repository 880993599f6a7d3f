//! Checks that no public function can panic, and that the crate has no undefined symbols except the
//! compiler's.
//!
//! It builds a program that uses every public function, for every target of stable Rust and at
//! every optimisation level. Its panic handler calls an undefined symbol, so a program that can
//! panic does not link.
//!
//! It builds the same as a library without LTO. On this machine it links the shared and the static
//! library with the prebuilt `core`, as a user would. For the other targets it reads the object
//! files of the library and the crate: they may need nothing from `core`.

use crate::debian::Cache;
use crate::kit::progress::Progress;
use crate::kit::report;
use crate::kit::shell::{cargo, root, run};
use crate::machines::cross;
use crate::machines::targets::{of_this_machine, select, Target};
use crate::step::{Run, World};
use clap::Args;
use object::{Object, ObjectSymbol};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

#[derive(Args)]
pub struct Options {
    /// Check only targets whose name starts with this; may be repeated
    #[arg(long)]
    target: Vec<String>,
}

const LEVELS: [&str; 5] = ["1", "2", "3", "s", "z"];
/// The packages that are compiled at each level. `core` stays at 3, its default.
const PACKAGES: [&str; 4] = ["symbols", "barepoll", "bitflags", "sc"];

/// The levels of libraries for other targets: the two extremes of inlining at which a generic
/// function may come from `core`'s object file. At level 0 nothing is inlined and `core`'s checks
/// stay, so every library needs `core`'s object file.
const LIBRARY_LEVELS: [&str; 2] = ["1", "z"];

/// The undefined symbol that the panic handler calls.
const PANIC: &str = "something_can_panic";
/// A symbol that the prebuilt `core` needs. A library that prints must define it (docs/no-libc.md).
const PERSONALITY: &str = "rust_eh_personality";

/// The functions that the compiler may call in any program, and provides.
const MEMORY_FUNCTIONS: [&str; 5] = ["memcpy", "memmove", "memset", "memcmp", "bcmp"];
/// The starts of the names of functions that replace missing instructions: divisions, AArch64's
/// out-of-line atomics, and the atomics that the kernel does for ARM. `__aeabi_unwind_cpp_pr0` is
/// in ARM's unwind tables, and nothing calls it.
const RUNTIME_FUNCTIONS: [&str; 5] = ["__aeabi_", "__udiv", "__umod", "__aarch64_", "__sync_"];

/// Whether the compiler or the linker defines this symbol.
fn is_allowed(name: &str) -> bool {
    // The linker defines `.TOC.` on 64-bit PowerPC.
    MEMORY_FUNCTIONS.contains(&name) || RUNTIME_FUNCTIONS.iter().any(|start| name.starts_with(start)) || name == ".TOC."
}

impl Run for Options {
    fn run(&self, world: &World) -> Result<(), String> {
        check(&world.progress, world.cache()?, &select(&self.target)?).map(drop)
    }
}

/// Checks the targets of stable Rust. Returns how many programs and libraries linked.
pub fn check(progress: &Progress, cache: &Cache, targets: &[&'static Target]) -> Result<usize, String> {
    let job = progress.job("symbols");
    let (mut rows, mut wrong, mut count) = (Vec::new(), Vec::new(), 0);
    let mut record = |linked: Result<BTreeSet<String>, String>, build: String| match linked {
        Ok(undefined) if undefined.iter().all(|name| is_allowed(name)) => count += 1,
        Ok(undefined) => {
            let names = joined(undefined.iter().filter(|name| !is_allowed(name)));
            wrong.push(format!("{build} has the undefined symbols {names}"));
        }
        Err(why) => wrong.push(format!("{build}: {why}")),
    };
    for target in targets.iter().filter(|target| target.stable) {
        let mut row = vec![target.name.to_string()];
        for level in LEVELS {
            job.at(&format!("{} at {level}", target.name));
            let linked = program(cache, target, level);
            row.push(linked.as_ref().map_or("FAILED".into(), |undefined| match undefined.len() {
                0 => "none".into(),
                _ => joined(undefined),
            }));
            record(linked, format!("{} at {level}", target.name));
        }
        for level in LIBRARY_LEVELS {
            let build = format!("{} at {level}, a library without LTO", target.name);
            job.at(&build);
            record(library(cache, target, level), build);
        }
        if is_here(target) {
            for (level, prints) in LEVELS.iter().flat_map(|level| [(level, false), (level, true)]) {
                let build =
                    format!("this machine's library without LTO at {level}{}", if prints { ", printing" } else { "" });
                job.at(&build);
                record(library_here(level, prints), build);
            }
        }
        rows.push(row);
    }
    job.done(&if wrong.is_empty() { format!("{count} programs and libraries link") } else { "FAILED".into() });
    report::print(&[&["undefined symbols, at opt-level"], &LEVELS[..]].concat(), rows);
    match wrong.as_slice() {
        [] if count == 0 => Err("this check needs a target of stable Rust; select another".into()),
        [] => Ok(count),
        wrong => Err(format!("a function can panic, or needs more than the compiler's symbols:\n{}", wrong.join("\n"))),
    }
}

fn joined<'n>(names: impl IntoIterator<Item = &'n String>) -> String {
    names.into_iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}

fn is_here(target: &Target) -> bool {
    of_this_machine().is_ok_and(|here| here.name == target.name)
}

/// Links the program. Returns the undefined symbols of its object file, which is the whole program.
fn program(cache: &Cache, target: &Target, level: &str) -> Result<BTreeSet<String>, String> {
    let arguments = ["-p", "symbols", "--bin", "symbols", "--features", "printing"];
    object_file(cache, target, level, &arguments, &["--emit", "link"]).map(|symbols| symbols.undefined)
}

/// The undefined symbols of a library without LTO, linked with the crate.
fn library(cache: &Cache, target: &Target, level: &str) -> Result<BTreeSet<String>, String> {
    // Machine code. For the release profile, which has LTO, cargo requests LLVM bitcode.
    let compile = |arguments: &[&str]| object_file(cache, target, level, arguments, &["-Clinker-plugin-lto=no"]);
    let (ours, theirs) =
        (compile(&["-p", "barepoll", "--lib"])?, compile(&["-p", "symbols", "--lib", "--crate-type", "rlib"])?);
    let mut undefined: BTreeSet<String> = ours.undefined.union(&theirs.undefined).cloned().collect();
    undefined.retain(|name| !ours.defined.contains(name) && !theirs.defined.contains(name) && name != PANIC);
    Ok(undefined)
}

/// Builds both libraries and links the static one. Returns the undefined symbols of the shared one.
fn library_here(level: &str, prints: bool) -> Result<BTreeSet<String>, String> {
    let target = root().join("target/symbols");
    let mut build = cargo();
    // rustc merges the crate's small codegen units into one object file, as with the default
    // profile. With an explicit number of units it would not.
    build.args(["build", "--release", "--locked", "-p", "symbols", "--lib", "--config", "profile.release.lto=false"]);
    build.arg("--config").arg(format!("profile.release.opt-level={}", value(level))).arg("--target-dir").arg(&target);
    run(build.args(prints.then_some("--features=printing")).env_remove("RUSTFLAGS"))?;
    let built = target.join("release");

    // Without `--gc-sections`, so that the panic handler stays, and all of `core` if the library
    // needs it.
    let folder = tempfile::tempdir().map_err(|error| format!("cannot create a temporary folder: {error}"))?;
    let mut cc = Command::new("cc");
    cc.args(["-nostartfiles", "-Wl,--undefined=_start"]).arg(format!("-Wl,--defsym={PANIC}=0"));
    cc.args(prints.then(|| format!("-Wl,--defsym={PERSONALITY}=0")));
    run(cc.arg(built.join("libsymbols.a")).arg("-o").arg(folder.path().join("program")))?;

    let mut undefined = Symbols::read(&built.join("libsymbols.so"))?.undefined;
    undefined.retain(|name| !(prints && name == PERSONALITY));
    Ok(undefined)
}

/// Runs `cargo rustc`. Returns the symbols of the object file.
fn object_file(
    cache: &Cache,
    target: &Target,
    level: &str,
    arguments: &[&str],
    flags: &[&str],
) -> Result<Symbols, String> {
    let folder = tempfile::tempdir().map_err(|error| format!("cannot create a temporary folder: {error}"))?;
    let file = folder.path().join("symbols.o");
    let mut cargo = cross::cargo(cache, target, "rustc")?;
    for package in PACKAGES {
        cargo.arg("--config").arg(format!("profile.release.package.{package}.opt-level={}", value(level)));
    }
    run(cargo.args(arguments).arg("--").args(flags).arg("--emit").arg(format!("obj={}", file.display())))?;
    Symbols::read(&file)
}

/// A level in the syntax of cargo's configuration.
fn value(level: &str) -> String {
    if level.parse::<u8>().is_ok() {
        level.into()
    } else {
        format!("{level:?}")
    }
}

/// The global symbols of an object file.
struct Symbols {
    defined: BTreeSet<String>,
    undefined: BTreeSet<String>,
}

impl Symbols {
    /// Reads an object file or a shared library, without undefined weak symbols.
    fn read(file: &Path) -> Result<Self, String> {
        let bytes =
            fs::read(file).map_err(|error| format!("cannot read the compiler's output {}: {error}", file.display()))?;
        let object =
            object::File::parse(&*bytes).map_err(|error| format!("cannot parse {}: {error}", file.display()))?;
        let symbols = object.symbols().chain(object.dynamic_symbols());
        let (mut defined, mut undefined) = (BTreeSet::new(), BTreeSet::new());
        for symbol in symbols.filter(|symbol| !(symbol.is_local() || symbol.is_undefined() && symbol.is_weak())) {
            let name = symbol.name().map_err(|error| format!("cannot parse {}: {error}", file.display()))?;
            let side = if symbol.is_undefined() { &mut undefined } else { &mut defined };
            side.insert(name.to_string());
        }
        undefined.remove("");
        Ok(Self { defined, undefined })
    }
}
