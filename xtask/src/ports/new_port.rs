//! `cargo xtask new-port ARCH`: writes the parts of a port that need no knowledge of the machine.
//!
//! Numbers and constants come from the kernel headers in `tests/data/uapi.json`. The author reads the
//! kernel's entry code and writes the system call instruction. Until then the port does not compile.

use crate::all_ports::{self, Fact};
use crate::kit::file::write_all;
use crate::kit::report;
use crate::kit::shell::root;
use crate::machines::nightly::target_specs;
use crate::step::{Run, World};
use clap::Args;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;

#[derive(Args)]
pub struct Options {
    /// rustc's `target_arch`, which the port's file is named after
    arch: String,
    /// The ABI's name in tests/data/uapi.json, where that is another
    #[arg(long, value_name = "NAME")]
    abi: Option<String>,
}

/// The port that takes everything as [`arch::generic`](crate::arch::generic) has it.
const GENERIC: &str = "aarch64";
/// Calls that a machine may lack.
const OPTIONAL: [&str; 7] = [
    "EPOLL_WAIT",
    "CLOCK_GETTIME",
    "CLOCK_GETTIME64",
    "TIMERFD_GETTIME",
    "TIMERFD_GETTIME64",
    "TIMERFD_SETTIME",
    "TIMERFD_SETTIME64",
];

impl Run for Options {
    fn run(&self, _world: &World) -> Result<(), String> {
        let arch = &self.arch;
        let has_facts = write(&root(), arch, self.abi.as_deref(), &known_archs()?)?;
        report::say(format_args!(
            "\
Written: src/arch/{arch}.rs, a line for it in src/arch/mod.rs and in tests/support/ports.rs, and a row in
xtask/src/machines/targets.rs. What is left:
"
        ));
        if !has_facts {
            report::say(format_args!(
                "\
0. tests/data/uapi.json lacks {arch}. Add a line to ABIS in xtask/src/ports/facts.rs, run `cargo xtask headers --write`,
   and write the numbers that differ from asm-generic's into the port. `cargo test --test oracles` names them."
            ));
        }
        report::say(format_args!(
        "\
1. src/arch/{arch}.rs: the calling convention in prose, and the instruction, its registers and clobbers in the macro.
2. xtask/src/machines/targets.rs: why the target is tested. If rustc's `asm!` is unstable there, `nightly(` for `stable(`,
   and `{arch}` in build.rs.
3. test-crates/bare/src/start.rs: its `_start`, which passes the stack pointer to `run`.
4. xtask/src/ports/clobbers.rs: a rule, from musl's and glibc's lists. xtask/src/machines/kernels.rs: a row, if Debian has
   a kernel.
5. In this order: `cargo xtask headers`; `clobbers`, `asm`, `symbols` and `test`, each with `--target {arch}`;
   `cargo xtask asm --write`.
6. README.md and src/lib.rs: the line of Rust versions. CHANGELOG.md: the port.
7. `cargo xtask test --everywhere`, and `cargo xtask table` after it.

docs/porting.md explains each step. CONTRIBUTING.md shows them for a port that exists."
    ));
        Ok(())
    }
}

/// Every `target_arch` of the nightly compiler.
fn known_archs() -> Result<BTreeSet<String>, String> {
    let specs = target_specs()?;
    Ok(specs.values().filter_map(|spec| Some(spec["arch"].as_str()?.to_string())).collect())
}

/// Writes the port's file and its lines, or nothing. Returns whether the facts have the machine.
fn write(root: &Path, arch: &str, abi: Option<&str>, known: &BTreeSet<String>) -> Result<bool, String> {
    let file = root.join(format!("src/arch/{arch}.rs"));
    if !known.contains(arch) {
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        return Err(format!("rustc has no target_arch {arch:?}; it has {}", known.join(", ")));
    }
    if file.exists() {
        return Err(format!("there is a port for {arch}: src/arch/{arch}.rs"));
    }
    let facts = facts_of(root, arch, abi)?;
    let mut edits = Vec::new();
    let abi = abi.unwrap_or(arch);
    for (name, before, line) in [
        ("src/arch/mod.rs", "mod port;\n", format!("#[cfg_attr(target_arch = \"{arch}\", path = \"{arch}.rs\")]\n")),
        ("tests/support/ports.rs", "        }\n    };\n}\n", format!("            {arch}: \"{abi}\";\n")),
        (
            "xtask/src/machines/targets.rs",
            "\n];\n",
            format!("\n    stable(\"{arch}-unknown-linux-gnu\", &[\"qemu-{arch}\"], \"why it is here\"),"),
        ),
    ] {
        let path = root.join(name);
        let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {name}: {error}"))?;
        let (head, tail) = text.split_once(before).ok_or_else(|| format!("{name} has no place for a port"))?;
        edits.push((path, format!("{head}{line}{before}{tail}")));
    }
    // Last, because a port's file means that its lines are there.
    edits.push((file, skeleton(arch, facts.as_ref())?));
    write_all(&edits)?;
    Ok(facts.is_some())
}

/// The facts of an ABI. `None` if there are none, and the user named no ABI.
fn facts_of(root: &Path, arch: &str, abi: Option<&str>) -> Result<Option<Value>, String> {
    let name = "tests/data/uapi.json";
    let text = fs::read_to_string(root.join(name)).map_err(|error| format!("cannot read {name}: {error}"))?;
    let mut all: Map<String, Value> =
        serde_json::from_str(&text).map_err(|error| format!("cannot read {name}: {error}"))?;
    match (all.remove(abi.unwrap_or(arch)), abi) {
        (None, Some(abi)) => {
            let names: Vec<&str> = all.keys().map(String::as_str).collect();
            Err(format!("{name} has no ABI {abi:?}: `--abi` names one of {}", names.join(", ")))
        }
        (facts, _) => Ok(facts),
    }
}

/// The port's file. Without facts, it has asm-generic's numbers and does not compile.
fn skeleton(arch: &str, facts: Option<&Value>) -> Result<String, String> {
    let generic = all_ports::port(GENERIC).ok_or("there is no port that takes everything as most machines have it")?;
    let value = |fact: &Fact| match facts {
        Some(facts) => fact.names.iter().find_map(|name| facts[fact.section][name].as_u64()),
        None => fact.value,
    };
    let mut text = format!(
        "\
//! {arch}: `TRAP`.
//!
//! The number goes in NUMBER, arguments in FIRST, SECOND, …; the result comes back in RESULT, an error
//! as −errno. The kernel destroys … (`arch/…/kernel/entry.S`).

pub use crate::arch::generic::*;

macro_rules! trap {{
    ($_name:ident [$($reg:tt = $arg:ident),*]) => {{{{
        compile_error!(\"src/arch/{arch}.rs: the registers and the instruction are still to be named\");
        let ret: usize;
        // SAFETY: the caller keeps the contract of `syscallN`. Only RESULT changes.
        unsafe {{
            core::arch::asm!(\"TRAP\", in(\"NUMBER\") NR, $(in($reg) $arg,)* lateout(\"RESULT\") ret,
                options(nostack, preserves_flags));
        }}
        ret as isize
    }}}};
}}

syscalls! {{ #[inline(always)] fn by trap(\"FIRST\" \"SECOND\" \"THIRD\" \"FOURTH\" \"FIFTH\" \"SIXTH\") }}
"
    );

    let differ = |section: &'static str| {
        let facts = generic.facts.iter().filter(move |fact| fact.section == section);
        facts.filter_map(|fact| {
            value(fact).filter(|value| Some(*value) != fact.value).map(|value| (fact.constant, value))
        })
    };
    let mut write_line = |line: std::fmt::Arguments<'_>| text.write_fmt(line).map_err(|_| "cannot write".to_string());
    let constants: Vec<_> =
        differ("layout").map(|(name, value)| format!("pub const {name}: usize = {value};\n")).collect();
    let others = differ("constants").map(|(name, value)| format!("pub const {name}: u32 = {value:#x};\n"));
    let constants: String = constants.into_iter().chain(others).collect();
    if !constants.is_empty() {
        write_line(format_args!("\n{constants}"))?;
    }
    let errnos: String =
        differ("errno").map(|(name, value)| format!("    pub const {name}: u16 = {value};\n")).collect();
    if !errnos.is_empty() {
        write_line(format_args!("\npub mod errno {{\n    pub use crate::arch::generic::errno::*;\n\n{errnos}}}\n"))?;
    }
    let mut numbers = String::new();
    for fact in generic.facts.iter().filter(|fact| fact.section == "syscalls" && value(fact) != fact.value) {
        let name = fact.constant;
        match (value(fact), OPTIONAL.contains(&name)) {
            (Some(number), false) => numbers += &format!("    pub const {name}: usize = {number};\n"),
            (None, false) => return Err(format!("the headers have no {} there", fact.names.join(", "))),
            (number, true) => numbers += &format!("    pub const {name}: Option<usize> = {number:?};\n"),
        }
    }
    if !numbers.is_empty() {
        write_line(format_args!("\npub mod nr {{\n    pub use crate::arch::generic::nr::*;\n\n{numbers}}}\n"))?;
    }
    if facts.is_none() {
        write_line(format_args!(
            "\ncompile_error!(\"src/arch/{arch}.rs: its numbers are asm-generic's until they are compared with the kernel's\");\n"
        ))?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::{root, BTreeSet};
    use crate::kit::file::tests::{folder_on_full_disk, run_on_full_disk};
    use std::fs;
    use std::path::Path;

    /// The files that a new port changes, in a folder of their own.
    fn copy() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let names =
            ["src/arch/mod.rs", "tests/support/ports.rs", "tests/data/uapi.json", "xtask/src/machines/targets.rs"];
        for name in names {
            let to = folder.path().join(name);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(root().join(name), to).unwrap();
        }
        folder
    }

    fn write(root: &Path, arch: &str, abi: Option<&str>) -> Result<bool, String> {
        let known = ["loongarch32", "mips64", "s390x", "xtensa"].map(String::from);
        super::write(root, arch, abi, &BTreeSet::from(known))
    }

    #[test]
    fn a_new_port_has_the_headers_numbers_and_its_lines() {
        let folder = copy();
        assert_eq!(write(folder.path(), "loongarch32", None), Ok(true));
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        let port = read("src/arch/loongarch32.rs");
        for line in [
            "pub const CLOCK_GETTIME: Option<usize> = None;",
            "pub const CLOCK_GETTIME64: Option<usize> = Some(403);",
            "syscalls! { #[inline(always)] fn by trap(\"FIRST\" \"SECOND\" \"THIRD\" \"FOURTH\" \"FIFTH\" \"SIXTH\") }",
        ] {
            assert!(port.contains(line), "{line} is not in\n{port}");
        }
        // `syscalls!` expands the macro as it does that of any port.
        let pattern = port.lines().find(|line| line.trim_start().starts_with("($_name:ident")).unwrap();
        assert!(fs::read_to_string(root().join("src/arch/s390x.rs")).unwrap().contains(pattern), "{pattern}");
        assert!(!port.contains("mod errno") && !port.contains("EPOLL_PWAIT2") && !port.contains("asm-generic's"));
        assert!(read("src/arch/mod.rs").contains("path = \"loongarch32.rs\")]\nmod port;"));
        assert!(read("tests/support/ports.rs").contains("loongarch32: \"loongarch32\";\n        }"));
        assert!(read("xtask/src/machines/targets.rs")
            .contains("stable(\"loongarch32-unknown-linux-gnu\", &[\"qemu-loongarch32\"], \"why it is here\"),\n];"));
    }

    #[test]
    fn what_differs_from_most_machines_is_written_and_nothing_else() {
        let folder = copy();
        assert_eq!(write(folder.path(), "mips64", Some("mipsn32")), Ok(true));
        let port = fs::read_to_string(folder.path().join("src/arch/mips64.rs")).unwrap();
        for line in [
            "READ: usize = 6000;",
            "SIGSET_BYTES: usize = 16;",
            "O_NONBLOCK: u32 = 0x80;",
            "ENOSYS: u16 = 89;",
            "EDQUOT: u16 = 1133;",
        ] {
            assert!(port.contains(line), "{line} is not in\n{port}");
        }
        for name in ["EVENT_SIZE", "O_CLOEXEC", "EINVAL"] {
            assert!(!port.contains(name), "{name} is in\n{port}");
        }
    }

    #[test]
    fn a_machine_that_the_facts_lack_gets_a_port_that_does_not_compile_yet() {
        let folder = copy();
        assert_eq!(write(folder.path(), "xtensa", None), Ok(false));
        let port = fs::read_to_string(folder.path().join("src/arch/xtensa.rs")).unwrap();
        assert!(port.contains("compile_error!(\"src/arch/xtensa.rs: its numbers are asm-generic's"), "{port}");
        assert!(!port.contains("mod nr") && !port.contains("mod errno"), "{port}");
    }

    #[test]
    fn a_full_disk_leaves_no_part_of_a_port() {
        if let Some(folder) = folder_on_full_disk() {
            let error = write(&folder, "loongarch32", None).unwrap_err();
            assert!(error.starts_with("cannot write "), "{error}");
            return;
        }
        let folder = copy();
        // The last line's file is too big.
        let path = folder.path().join("xtask/src/machines/targets.rs");
        fs::write(&path, fs::read_to_string(&path).unwrap() + &"// too big\n".repeat(20_000)).unwrap();
        run_on_full_disk("ports::new_port::tests::a_full_disk_leaves_no_part_of_a_port", folder.path());
        assert!(!folder.path().join("src/arch/loongarch32.rs").exists());
        for name in ["src/arch/mod.rs", "tests/support/ports.rs"] {
            let read = |root: &Path| fs::read_to_string(root.join(name)).unwrap();
            assert_eq!(read(folder.path()), read(&root()), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_a_new_port_changes_nothing() {
        let folder = copy();
        let write = |arch, abi| write(folder.path(), arch, abi).unwrap_err();
        assert!(write("alpha", None).contains("rustc has no target_arch \"alpha\"; it has loongarch32, "));
        assert!(write("../s390x", None).contains("rustc has no target_arch"));
        assert!(write("xtensa", Some("alpha")).contains("`--abi` names one of aarch64, arm, "));
        fs::write(folder.path().join("src/arch/mod.rs"), "").unwrap();
        assert!(write("loongarch32", None).contains("has no place"));
        assert!(!folder.path().join("src/arch/loongarch32.rs").exists());
        fs::write(folder.path().join("src/arch/s390x.rs"), "").unwrap();
        assert!(write("s390x", None).contains("there is a port"));
    }
}
