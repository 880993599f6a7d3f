//! A program that uses every public function, for every target of stable Rust and at every level of optimisation: it links though
//! its panic handler cannot, and it asks nobody for anything but what the compiler brings.

use crate::cross;
use crate::debian::Cache;
use crate::progress::Progress;
use crate::shell::run;
use crate::targets::{select, Target};
use crate::{report, toolchain};
use clap::Args;
use object::{Object, ObjectSymbol};
use std::collections::BTreeSet;

#[derive(Args)]
pub struct Options {
    /// Only these targets: the start of a name will do
    #[arg(long)]
    target: Vec<String>,
}

const LEVELS: [&str; 5] = ["1", "2", "3", "s", "z"];
/// What is compiled at each level; `core` is at 3, as it comes.
const PACKAGES: [&str; 4] = ["symbols", "barepoll", "bitflags", "sc"];

/// What may be asked for: what the compiler itself may call for anybody, and brings.
const MEMORY: [&str; 5] = ["memcpy", "memmove", "memset", "memcmp", "bcmp"];
/// How the names begin of what a machine lacks: division, and what ARM's tables say of unwinding, which nothing calls
/// (`__aeabi_unwind_cpp_pr0`); atomics, AArch64's out of line and those of ARM that its kernel does.
const LACKING: [&str; 5] = ["__aeabi_", "__udiv", "__umod", "__aarch64_", "__sync_"];

fn is_the_compilers(name: &str) -> bool {
    // The last is 64-bit PowerPC's, and its linker's.
    MEMORY.contains(&name) || LACKING.iter().any(|start| name.starts_with(start)) || name == ".TOC."
}

pub fn run_alone(options: &Options) -> Result<(), String> {
    toolchain::ensure_nightly_with_source()?;
    check(&Progress::new(), &cross::open_cache()?, &select(&options.target)?).map(drop)
}

/// Checks those of stable Rust, and gives how many programs linked.
pub fn check(progress: &Progress, cache: &Cache, targets: &[&'static Target]) -> Result<usize, String> {
    let job = progress.job("symbols");
    let (mut rows, mut wrong, mut count) = (Vec::new(), Vec::new(), 0);
    for target in targets.iter().filter(|target| target.stable) {
        let mut row = vec![target.name.to_string()];
        for level in LEVELS {
            job.at(&format!("{} at {level}", target.name));
            let linked = link(cache, target, level);
            row.push(linked.as_ref().map_or("FAILED".into(), |asked| match asked.len() {
                0 => "nothing".into(),
                _ => asked.iter().map(String::as_str).collect::<Vec<_>>().join(" "),
            }));
            match linked {
                Ok(asked) if asked.iter().all(|name| is_the_compilers(name)) => count += 1,
                Ok(_) => wrong.push(format!("{} at {level} asks for more than the compiler brings", target.name)),
                Err(why) => wrong.push(format!("{} at {level}: {why}", target.name)),
            }
        }
        rows.push(row);
    }
    job.done(&if wrong.is_empty() { format!("{count} programs link") } else { "FAILED".into() });
    report::print(&[&["what it asks for, at opt-level"], &LEVELS[..]].concat(), rows);
    match wrong.as_slice() {
        [] if count == 0 => Err("none of these targets is stable Rust's, and only those are linked".into()),
        [] => Ok(count),
        wrong => Err(format!("something can panic, or needs more than there is:\n{}", wrong.join("\n"))),
    }
}

/// Links it, and gives the symbols that its own object file, which is the whole program, leaves undefined.
fn link(cache: &Cache, target: &Target, level: &str) -> Result<BTreeSet<String>, String> {
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let file = folder.path().join("symbols.o");
    let mut cargo = cross::cargo(cache, target, "rustc")?;
    for package in PACKAGES {
        let level = if level.parse::<u8>().is_ok() { level.into() } else { format!("{level:?}") };
        cargo.arg("--config").arg(format!("profile.release.package.{package}.opt-level={level}"));
    }
    run(cargo.args(["-p", "symbols", "--bin", "symbols", "--", "--emit"]).arg(format!("link,obj={}", file.display())))?;
    let bytes = std::fs::read(&file).map_err(|error| format!("the compiler wrote no object file: {error}"))?;
    let object = object::File::parse(&*bytes).map_err(|error| format!("the object file does not read: {error}"))?;
    let undefined = object.symbols().filter(|symbol| symbol.is_undefined());
    Ok(undefined.filter_map(|symbol| Some(symbol.name().ok()?.to_string())).filter(|name| !name.is_empty()).collect())
}
