//! Builds for other machines with the nightly compiler, `core` from source, and no C toolchain.

use crate::debian::{self, Cache, Suite};
use crate::kit::report;
use crate::kit::shell::{cargo_of, root, run, ROOT_VARIABLE};
use crate::machines::repair;
use crate::machines::targets::Target;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;
use walkdir::WalkDir;

/// Flags for a static program without libc: fixed addresses, no start files. `barepoll_internals`
/// makes the ports public, for `test-crates/codegen`.
const FLAGS: &[&str] =
    &["--cfg=barepoll_internals", "-Cpanic=abort", "-Crelocation-model=static", "-Ctarget-feature=+crt-static"];

/// A `cargo rustc` or `cargo build` command for a target, with `core` from source.
///
/// The flags are the same for every package, so cargo compiles `core` once for each target. The
/// target directory is in the cache.
pub fn cargo(cache: &Cache, target: &Target, verb: &str) -> Result<Command, String> {
    let mut flags: Vec<String> = FLAGS.iter().chain(target.flags).map(ToString::to_string).collect();
    match linker(cache, target)? {
        Some(linker) => flags.extend([format!("-Clinker={}", linker.display()), "-Clinker-flavor=ld".into()]),
        None => {
            flags.extend(["-Clinker=rust-lld", "-Clinker-flavor=ld.lld", "-Clink-self-contained=no"].map(String::from))
        }
    }
    let mut cargo = cargo_of("nightly");
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f")).env_remove("RUSTFLAGS");
    cargo.args([verb, "--release", "--locked", "-Zbuild-std=core", "-Zbuild-std-features=compiler-builtins-mem"]);
    cargo.args(["--target", &target.triple(), "--target-dir"]).arg(target_dir(cache, target));
    Ok(cargo)
}

/// GNU's linker, for targets that LLVM's linker does not support.
pub fn linker(cache: &Cache, target: &Target) -> Result<Option<PathBuf>, String> {
    let Some((package, name)) = target.linker else { return Ok(None) };
    let folder = cache.closure(Suite("bookworm"), debian::host(), &[package], &[])?;
    Ok(Some(folder.join("usr/bin").join(name)))
}

/// The target directory. A variant has its own, because other flags make another `core`.
pub fn target_dir(cache: &Cache, target: &Target) -> PathBuf {
    builds(cache).join(format!("target{}", target.variant()))
}

/// Compiles only the crate, without unstable features if the target works on stable Rust.
pub fn compile_crate(cache: &Cache, target: &Target) -> Result<(), String> {
    let allowed: &[&str] = if target.stable { &["-Zallow-features="] } else { &[] };
    run(cargo(cache, target, "rustc")?.args(["-p", "barepoll", "--lib", "--", "-Dwarnings"]).args(allowed)).map(drop)
}

/// The package and the file of the conformance program, in `test-crates/bare`.
pub const PROGRAM: &str = "epoll-conformance";

/// Builds the conformance program, unless there is no linker for this target. Returns its path.
pub fn build_bare(cache: &Cache, target: &Target) -> Result<PathBuf, String> {
    // Checkouts share compiled code in the cache, but each has its own program.
    let programs = root().join("target/bare").join(target.name);
    if target.links() {
        build_program(cache, target, PROGRAM, &programs)?;
    }
    Ok(programs.join(PROGRAM))
}

/// Builds the package's program into the folder `programs`.
pub fn build_program(cache: &Cache, target: &Target, package: &str, programs: &Path) -> Result<(), String> {
    if target.is_miscompiled() {
        return repair::build(cache, target, package, programs);
    }
    let mut build = cargo(cache, target, "build")?;
    run(build.args(["-p", package, "-Zunstable-options", "--artifact-dir"]).arg(programs)).map(drop)
}

/// The folder of Debian's LLVM tools of a compiler's LLVM version.
pub fn llvm(cache: &Cache, rustc: &mut Command) -> Result<PathBuf, String> {
    let about = run(rustc.arg("-vV").current_dir(root()))?;
    let version = about.lines().find_map(|line| line.strip_prefix("LLVM version: ")?.split('.').next());
    let package = format!("llvm-{}", version.ok_or("rustc prints no LLVM version")?);
    let folder = cache
        .closure(Suite("testing"), debian::host(), &[&package], &[])
        .map_err(|why| format!("cannot get {package}, of this compiler's LLVM, from Debian testing: {why}"))?;
    Ok(folder.join("usr/lib").join(package).join("bin"))
}

/// The `asm` or `llvm-ir` that rustc emits for a library.
pub fn emit(cache: &Cache, target: &Target, package: &str, kind: &str) -> Result<String, String> {
    emit_with(cache, target, package, kind, &[]).map(|(text, _)| text)
}

/// Like [`emit`], with more flags. Returns rustc's messages too.
///
/// Each call uses another output file. With the same flags, cargo would consider the package fresh
/// and not run rustc.
pub fn emit_with(
    cache: &Cache,
    target: &Target,
    package: &str,
    kind: &str,
    flags: &[&str],
) -> Result<(String, String), String> {
    let folder = tempfile::tempdir().map_err(|error| format!("cannot create a temporary folder: {error}"))?;
    let file = folder.path().join(kind);
    let emit = format!("{kind}={}", file.display());
    let mut rustc = cargo(cache, target, "rustc")?;
    let printed = run(rustc.args(["-p", package, "--lib", "--", "--emit", &emit]).args(flags))?;
    // The assembler's warnings are not lints, so `-Dwarnings` does not reject them.
    if printed.contains("instantiated into assembly here") {
        return Err(format!("the assembler warns about {package} for {}:\n{printed}", target.name));
    }
    let text = fs::read_to_string(&file);
    Ok((text.map_err(|error| format!("the compiler wrote no {kind} for {}: {error}", target.name))?, printed))
}

/// Opens the cache for this checkout. It waits until no command of another checkout uses the cache.
///
/// Cargo identifies a package by its path in the repository, and compares modification times. It
/// would use another checkout's newer build instead of this one's sources. So if another checkout
/// used the cache last, this function sets this checkout's modification times to now.
pub fn open_cache() -> Result<Cache, String> {
    /// The lock, for the life of this process.
    static CLAIM: Mutex<Option<File>> = Mutex::new(None);
    let cache = Cache::open()?;
    let mut held = CLAIM.lock().unwrap_or_else(PoisonError::into_inner);
    if held.is_none() {
        let here = root().display().to_string();
        let renew = || {
            ["src", "tests", "test-crates", "examples", "benches", "barepoll-c", "build.rs"]
                .iter()
                .try_for_each(|place| touch(&root().join(place)))
        };
        let say = |other: &str| {
            report::note(format_args!(
                "waiting for the commands of the checkout {other} to end; BAREPOLL_CACHE names another cache"
            ));
        };
        let folder = builds(&cache);
        let claim = fs::create_dir_all(&folder).and_then(|()| claim(&folder.join("checkout"), &here, renew, say));
        *held = Some(claim.map_err(|error| format!("cannot take over the cache {}: {error}", folder.display()))?);
    }
    Ok(cache)
}

/// The folder of compiled code. A copy that `broken` breaks has its own, so that no broken code is in
/// the other, and `broken` does not wait for itself.
fn builds(cache: &Cache) -> PathBuf {
    if std::env::var_os(ROOT_VARIABLE).is_some() {
        return cache.root().join("broken");
    }
    cache.root().into()
}

/// Locks the file that names the checkout whose code the cache has. Commands of one checkout share
/// the lock. Another checkout waits for all of them, and then calls `renew`.
fn claim(owner: &Path, here: &str, renew: impl Fn() -> io::Result<()>, say_waiting: impl Fn(&str)) -> io::Result<File> {
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(owner)?;
    loop {
        file.lock_shared()?;
        let mut other = String::new();
        file.rewind()?;
        file.read_to_string(&mut other)?;
        if other == here {
            return Ok(file);
        }
        if file.try_lock().is_err() {
            say_waiting(&other);
            file.lock()?;
        }
        renew()?;
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(here.as_bytes())?;
        // Another checkout may take over before this one shares the lock.
    }
}

/// Sets the modification time of a file, or of all files in a folder, to now.
fn touch(place: &Path) -> std::io::Result<()> {
    let entries =
        WalkDir::new(place).into_iter().filter(|entry| entry.as_ref().is_ok_and(|entry| entry.file_type().is_file()));
    entries
        .into_iter()
        .try_for_each(|entry| File::options().append(true).open(entry?.path())?.set_modified(SystemTime::now()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::shell::run_within;
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
    use std::sync::mpsc::channel;
    use std::time::Duration;

    fn read(file: &Path) -> String {
        fs::read_to_string(file).expect("the file names a checkout")
    }

    #[test]
    fn a_checkout_waits_until_no_command_of_another_uses_the_cache() {
        let folder = tempfile::tempdir().expect("a folder");
        let owner = folder.path().join("checkout");
        let never = |_: &str| panic!("a command waits for its own checkout");
        let first = claim(&owner, "a", || Ok(()), never).expect("nobody has it");
        // It shares the lock, and is longer there.
        let second = claim(&owner, "a", || panic!("its own builds are right"), never).expect("they share it");
        let (is_used, (waits, waiting)) = (AtomicBool::new(true), channel());
        std::thread::scope(|scope| {
            let (is_used, owner) = (&is_used, &owner);
            let other = scope.spawn(move || {
                let renew = || {
                    assert!(!is_used.load(SeqCst), "two checkouts use the cache");
                    Ok(())
                };
                claim(owner, "longer", renew, |other| waits.send(other.to_string()).expect("it listens"))
            });
            assert_eq!(waiting.recv().as_deref(), Ok("a"));
            drop(first);
            is_used.store(false, SeqCst);
            drop(second);
            other.join().expect("no panic").expect("the others have ended");
        });
        assert_eq!(read(&owner), "longer");
        claim(&owner, "a", || Ok(()), never).expect("nobody has it");
        assert_eq!(read(&owner), "a");
    }

    /// `broken` waits for the command that it runs in a copy.
    #[test]
    fn a_command_in_a_copy_does_not_wait_for_the_command_that_runs_it() {
        if std::env::var_os(ROOT_VARIABLE).is_some() {
            let cache = open_cache().expect("nobody has it");
            assert_ne!(builds(&cache), cache.root());
            return;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let owner = folder.path().join("checkout");
        let _held = claim(&owner, "the original", || Ok(()), |_| {}).expect("nobody has it");
        let mut inner = Command::new(std::env::current_exe().expect("a path"));
        inner.args([
            "--exact",
            "machines::cross::tests::a_command_in_a_copy_does_not_wait_for_the_command_that_runs_it",
        ]);
        inner.env("BAREPOLL_CACHE", folder.path()).env(ROOT_VARIABLE, folder.path().join("copy"));
        let output = run_within(&mut inner, Duration::from_secs(300)).expect("it starts");
        assert!(output.contains("1 passed"), "{output}");
        assert_eq!(read(&owner), "the original");
    }
}
