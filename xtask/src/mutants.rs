//! `cargo xtask mutants`: `src/` changed in one place at a time, and the tests that should see it.

use crate::debian::Cache;
use crate::progress::Progress;
use crate::report;
use crate::shell::{both, capture, root};
use crate::tables::PROOF;
use crate::tools::CargoTool;
use clap::Args;
use std::fs;

#[derive(Args)]
pub struct Options {
    /// Only these files, as `src/timeout.rs`; may be given again
    #[arg(long)]
    file: Vec<String>,
    /// Write the table into docs/proof.md too
    #[arg(long)]
    write: bool,
}

/// Its settings, with the mutants that change nothing and why: .cargo/mutants.toml.
const CARGO_MUTANTS: CargoTool = CargoTool { name: "cargo-mutants", version: "27.1.0" };

pub fn run_alone(options: &Options) -> Result<(), String> {
    check(&Progress::new(), &Cache::open()?, options).map(drop)
}

/// One file, for a full test: how many of its mutants were seen.
pub fn run_checks(progress: &Progress, cache: &Cache) -> Result<usize, String> {
    check(progress, cache, &Options { file: vec![WITH_STD.into()], write: false })
}

/// The file that only feature `std` compiles, as that feature leaves out what stands in for it elsewhere.
const WITH_STD: &str = "src/with_std.rs";

/// What came of the mutants of some files.
#[derive(Default)]
struct Seen {
    caught: usize,
    timeout: usize,
    unviable: usize,
    missed: Vec<String>,
}

fn check(progress: &Progress, cache: &Cache, options: &Options) -> Result<usize, String> {
    if let Some(missing) = options.file.iter().find(|file| !root().join(file).is_file()) {
        return Err(format!(
            "there is no {missing}: a file is named from the top of the repository, as src/timeout.rs"
        ));
    }
    let job = progress.job("mutants");
    let is_asked = |with_std| options.file.is_empty() || options.file.iter().any(|file| (file == WITH_STD) == with_std);
    let mut seen = Seen::default();
    let ended = [false, true].into_iter().filter(|with_std| is_asked(*with_std)).try_for_each(|with_std| {
        let files = options.file.iter().map(String::as_str).filter(|file| (*file == WITH_STD) == with_std);
        let (files, more): (Vec<&str>, &[&str]) = match with_std {
            false => (files.collect(), &["--exclude", WITH_STD]),
            true => (vec![WITH_STD], &["--no-config", "--features", "std", "--cargo-test-arg=--test=with_std"]),
        };
        job.at(&format!("changing and testing{}", if with_std { ", with feature std" } else { "" }));
        change(cache, &files, more, &mut seen)
    });
    job.done(if ended.is_ok() && seen.missed.is_empty() { "all were seen" } else { "FAILED" });
    ended?;
    let files = if options.file.is_empty() { "all".into() } else { options.file.join(", ") };
    let rows = [
        ["files", &files],
        ["tests failed", &seen.caught.to_string()],
        ["tests did not end", &seen.timeout.to_string()],
        ["did not compile", &seen.unviable.to_string()],
        ["not seen", &seen.missed.len().to_string()],
    ];
    let table = report::markdown(&["mutants", "figure"], rows.map(|row| row.map(String::from).to_vec()));
    println!("\n{table}\n");
    if options.write {
        PROOF.write("mutants", &table)?;
    }
    match seen.missed.as_slice() {
        [] => Ok(seen.caught + seen.timeout),
        missed => Err(format!("no test sees these changes:\n{}", missed.join("\n"))),
    }
}

/// Runs cargo-mutants on these files (all, if there are none).
fn change(cache: &Cache, files: &[&str], more: &[&str], seen: &mut Seen) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let mut cargo = CARGO_MUTANTS.cargo(cache)?;
    cargo.args(["mutants", "--no-shuffle", "--colors", "never", "--output"]).arg(folder.path()).args(more);
    let output = capture(cargo.args(files.iter().flat_map(|file| ["--file", file])))?;
    let listed = |list: &str| fs::read_to_string(folder.path().join("mutants.out").join(list)).unwrap_or_default();
    let count = |list| listed(list).lines().count();
    // It ends with 2 where tests missed some, with 3 where some did not end, which is seen too.
    if !matches!(output.status.code(), Some(0 | 2 | 3)) || count("caught.txt") + count("timeout.txt") == 0 {
        return Err(format!("cargo-mutants did not end well:\n{}", both(&output)));
    }
    seen.caught += count("caught.txt");
    seen.timeout += count("timeout.txt");
    seen.unviable += count("unviable.txt");
    seen.missed.extend(listed("missed.txt").lines().map(String::from));
    Ok(())
}
