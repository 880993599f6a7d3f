//! Facts that two documents state must agree, and everything that documents name must exist.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const DOCUMENTS: [&str; 15] = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "docs/epoll.md",
    "docs/kernels.md",
    "docs/machine-code.md",
    "docs/migrating.md",
    "docs/no-libc.md",
    "docs/peers.md",
    "docs/performance.md",
    "docs/porting.md",
    "docs/proof.md",
    "docs/runtime.md",
    "docs/testing.md",
];

/// The documents that commands fill with figures. The others are guides.
const FIGURES: [&str; 4] = ["docs/machine-code.md", "docs/peers.md", "docs/performance.md", "docs/proof.md"];

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The crate's documentation as Markdown: its comments, with the code fence of feature `std`.
fn crate_documentation() -> String {
    let mut text = String::new();
    for line in read("src/lib.rs").lines() {
        if line == r#"#![cfg_attr(feature = "std", doc = "```")]"# {
            text += "```rust\n";
        } else if let Some(comment) = line.strip_prefix("//!") {
            text += comment.strip_prefix(' ').unwrap_or(comment);
            text.push('\n');
        }
    }
    text
}

/// The text between the first `start` and the next `end`.
fn between<'t>(text: &'t str, start: &str, end: &str) -> &'t str {
    let (_, rest) = text.split_once(start).unwrap_or_else(|| panic!("there is no {start:?}"));
    rest.split_once(end).unwrap_or_else(|| panic!("there is no {end:?} after {start:?}")).0.trim()
}

#[test]
fn readme_and_crate_begin_with_the_same_program() {
    let program = |text: &str| between(text, "```rust\n", "```").to_string();
    assert_eq!(program(&read("README.md")), program(&crate_documentation()));
}

#[test]
fn readme_and_crate_promise_the_same() {
    let promises = |text: &str| between(text, "# Promises\n", "\n#").to_string();
    assert_eq!(promises(&read("README.md")), promises(&crate_documentation()));
}

/// The targets of the document's links within the repository.
fn relative_links(document: &str) -> Vec<String> {
    let text = read(document);
    let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    links.filter(|link| !link.contains("://")).map(String::from).collect()
}

/// The anchor that a link uses for a heading.
fn anchor(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    words.chars().filter(|c| c.is_alphanumeric() || *c == '-').collect()
}

#[test]
fn every_relative_link_leads_somewhere() {
    for document in DOCUMENTS {
        let folder = Path::new(document).parent().expect("a document is in a folder");
        for link in relative_links(document) {
            let (path, place) = link.split_once('#').unwrap_or((&link, ""));
            let path = if path.is_empty() { Path::new(document).into() } else { folder.join(path) };
            let there = Path::new(env!("CARGO_MANIFEST_DIR")).join(&path).exists();
            let path = path.to_str().expect("a path is text");
            let has_place = || read(path).lines().any(|line| line.starts_with('#') && anchor(line) == place);
            assert!(there && (place.is_empty() || has_place()), "{document} links to {link}, which is not there");
        }
    }
}

#[test]
fn every_file_that_a_document_names_is_there() {
    let folders = ["", "src", "src/arch", "docs", "examples/bare-cat", "tests", "xtask/src"];
    let exists = |name: &str| {
        folders.iter().any(|folder| Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name).exists())
    };
    for document in DOCUMENTS {
        // Every second piece is in backticks.
        for name in read(document).split('`').skip(1).step_by(2) {
            let is_path = |end: &str| name.ends_with(end) && !name.contains([' ', '<', '*', '\n']);
            // These files belong to the kernel and C libraries.
            let is_foreign = name.starts_with("arch/") || name.starts_with("sysdeps/");
            if [".rs", ".md", ".svg"].into_iter().any(is_path) && !is_foreign {
                assert!(exists(name), "{document} names {name}, which is not there");
            }
        }
    }
}

#[test]
fn the_checks_that_show_faults_of_kernels_are_there() {
    let mut count = 0;
    for name in read("docs/kernels.md").split('`').skip(1).step_by(2) {
        let Some((subject, check)) = name.split_once("::") else { continue };
        let list = read(&format!("tests/conformance/{subject}.rs"));
        assert!(list.contains(&format!("    fn {check}(host)")), "docs/kernels.md names {name}, which is not there");
        count += 1;
    }
    assert!(count >= 5, "only {count} checks are named");
}

/// rustix's build script chooses libc for big-endian MIPS. Elsewhere on MIPS, its assembly declares
/// neither hi, lo nor at.
#[test]
fn what_readme_says_of_rustix_is_so_in_its_source() {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--offline", "--locked", "--filter-platform"])
        .arg(format!("{}-unknown-linux-gnu", std::env::consts::ARCH)) // other targets' packages may never have been fetched
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).expect("cargo's metadata");
    let packages = metadata["packages"].as_array().expect("packages");
    let rustix = packages.iter().find(|package| package["name"] == "rustix").expect("a dependency of the tests");
    let version = rustix["version"].as_str().expect("a version");
    assert!(
        read("README.md").contains(&format!("| rustix {version} |")),
        "README's comparison does not name rustix {version}"
    );

    let folder = Path::new(rustix["manifest_path"].as_str().expect("a path")).parent().expect("a folder");
    let source = |file: &str| fs::read_to_string(folder.join(file)).expect("rustix's source");
    let build = source("build.rs");
    for line in [
        r#"let is_mipseb = (arch == "mips" || arch == "mips32r6") && endian == "big";"#,
        r#"let is_mips64eb = arch.contains("mips64") && endian == "big";"#,
        "is_powerpc64be || is_mipseb || is_mips64eb;",
        r#"|| os != "linux""#,
        "|| is_unsupported_abi",
    ] {
        assert!(build.contains(line), "rustix's build.rs no longer has {line:?}; update README's table of peers");
    }
    let trap = source("src/backend/linux_raw/arch/mips.rs");
    for register in ["$1", "hi", "lo"] {
        assert!(!trap.contains(&format!("lateout(\"{register}\"")), "rustix declares {register} on MIPS now");
    }
}

#[test]
fn the_diagram_names_files_of_src() {
    let diagram = read("docs/layers.svg");
    let names =
        diagram.split(|c: char| !(c.is_ascii_alphanumeric() || "._".contains(c))).filter(|word| word.ends_with(".rs"));
    let mut count = 0;
    for name in names {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(name).exists(), "{name} is not there");
        count += 1;
    }
    assert!(count >= 10, "the diagram names only {count} files");
}

#[test]
fn every_port_is_as_short_as_the_documents_say() {
    for document in ["README.md", "docs/porting.md"] {
        let text = read(document);
        let limit: usize = between(&text, "one file of less than ", " lines").parse().expect("it is a number");
        let mut count = 0;
        for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/arch")).expect("there are ports") {
            let name = file.expect("it can be read").file_name().to_string_lossy().into_owned();
            if !name.ends_with(".rs") || ["generic.rs", "mod.rs", "through_libc.rs"].contains(&&*name) {
                continue;
            }
            let lines = read(&format!("src/arch/{name}")).lines().count();
            assert!(lines < limit, "{document} says less than {limit} lines, but {name} has {lines}");
            count += 1;
        }
        assert!(count >= 18, "only {count} ports are there");
    }
}

#[test]
fn the_guide_includes_every_guide() {
    let guide = read("src/guide.rs");
    let is_guide = |document: &&&str| document.starts_with("docs/") && !FIGURES.contains(*document);
    for document in DOCUMENTS.iter().filter(is_guide) {
        assert!(guide.contains(&format!("include_str!(\"../{document}\")")), "the guide does not include {document}");
        // The crate's documentation is published without the repository's files.
        let links = relative_links(document).into_iter().filter(|link| !link.starts_with('#'));
        assert_eq!(links.collect::<Vec<_>>(), Vec::<String>::new(), "{document} links to a file");
    }
    let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")).expect("there is a docs folder");
    for file in files.map(|file| file.expect("it can be read").file_name()) {
        let name = format!("docs/{}", file.to_string_lossy());
        let is_else = name.ends_with(".svg") || ["docs/bench", "docs/bare-cat", "docs/bare-echo"].contains(&&*name);
        assert!(is_else || DOCUMENTS.contains(&&*name), "no list in this test names {name}");
    }
}

/// The files of the crate's public modules. Folders hold private ones.
fn sources() -> Vec<PathBuf> {
    let files = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).expect("there is a src folder");
    files.map(|file| file.expect("it can be read").path()).filter(|path| path.is_file()).collect()
}

#[test]
fn the_proof_that_nothing_panics_uses_every_public_function() {
    let proof = read("test-crates/symbols/src/every.rs");
    let mut count = 0;
    for path in sources() {
        for line in fs::read_to_string(&path).expect("it can be read").lines().map(str::trim) {
            let Some((start, rest)) = line.split_once("fn ").filter(|(start, _)| start.starts_with("pub ")) else {
                continue;
            };
            let name = rest.split(['(', '<']).next().unwrap_or_default();
            // Methods and associated functions follow `.` or `::`; functions of `raw`, whose names
            // other modules share, follow `raw::`.
            let before: &[&str] = if path.ends_with("raw.rs") { &["raw::"] } else { &[".", "::"] };
            let is_used = before
                .iter()
                .any(|before| ["(", "::<"].iter().any(|after| proof.contains(&format!("{before}{name}{after}"))));
            assert!(is_used, "test-crates/symbols/src/every.rs does not use `{start}fn {name}` of {}", path.display());
            count += 1;
        }
    }
    assert!(count > 40, "found only {count} public functions");
}

#[test]
fn every_public_function_type_and_trait_has_an_example() {
    let mut without = Vec::new();
    for path in sources() {
        let mut has_example = false;
        for line in fs::read_to_string(&path).expect("it can be read").lines().map(str::trim) {
            if line.starts_with("///") {
                has_example |= line.starts_with("/// ```");
            } else if !line.starts_with("#[") && !line.starts_with("//") {
                // bitflags generates the functions of flag types; each type has one example of
                // them.
                let is_function =
                    line.split('(').next().is_some_and(|start| start.contains(" fn ")) && !path.ends_with("flags.rs");
                let kind = line.split(' ').nth(1).unwrap_or_default();
                let is_type = ["enum", "struct", "trait", "type", "union"].contains(&kind);
                if line.starts_with("pub ") && (is_function || is_type) && !has_example {
                    without.push(format!("{}: {line}", path.display()));
                }
                has_example = false;
            }
        }
    }
    assert_eq!(without, Vec::<String>::new());
}
