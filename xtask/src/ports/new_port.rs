//! `cargo xtask new-port ARCH`: what of a new port can be written without knowing the machine.
//!
//! Numbers and constants are the kernel headers' own, as `tests/data/uapi.json` has them. The trap is left to the one who reads the
//! kernel's entry code, and the port does not compile before.

use crate::all_ports::{self, Fact};
use crate::kit::shell::root;
use crate::step::{Run, World};
use clap::Args;
use serde_json::Value;
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
const OPTIONAL: [&str; 3] = ["EPOLL_WAIT", "CLOCK_GETTIME", "CLOCK_GETTIME64"];

impl Run for Options {
    fn run(&self, _world: &World) -> Result<(), String> {
        let arch = &self.arch;
        write(&root(), arch, self.abi.as_ref().unwrap_or(arch))?;
        println!(
            "\
    src/arch/{arch}.rs is there, with the kernel headers' numbers, a line for it in src/arch/mod.rs and in tests/support/ports.rs,
    and a row in xtask/src/targets.rs. What is left:

    1. src/arch/{arch}.rs: the calling convention in prose, and the instruction, its registers and clobbers in the one macro.
    2. xtask/src/targets.rs: in the row, why it is here. If rustc's `asm!` is unstable there: `nightly(` for `stable(`, and `{arch}` in build.rs.
    3. test-crates/bare/numbers.txt: a column `{arch}`. test-crates/bare/src/start.rs: its `_start`, if the compiler's own function will not do.
    4. xtask/src/clobbers.rs: a rule, from musl's and glibc's lists. xtask/src/kernels.rs: a row, if Debian has a kernel.
    5. In this order: `cargo xtask headers`; `clobbers`, `asm`, `symbols` and `test`, each with `--target {arch}`; `cargo xtask asm --write`.
    6. README.md and src/lib.rs: the line of Rust versions. CHANGELOG.md: the port.
    7. `cargo xtask test`, all of it, and `cargo xtask table` after it.

    docs/porting.md says more of each, and CONTRIBUTING.md walks through them with a port that is there."
        );
        Ok(())
    }
}

/// Writes the port's file and its lines; where one of them cannot be written, none is.
fn write(root: &Path, arch: &str, abi: &str) -> Result<(), String> {
    if arch.is_empty() || !arch.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
        return Err(format!("{arch:?} is no target_arch: those are small letters, digits and underlines, as s390x"));
    }
    let file = root.join(format!("src/arch/{arch}.rs"));
    if file.exists() {
        return Err(format!("there is a port for {arch}: src/arch/{arch}.rs"));
    }
    let mut edits = vec![(file, skeleton(arch, &facts_of(root, abi)?)?)];
    for (name, before, line) in [
        ("src/arch/mod.rs", "mod port;\n", format!("#[cfg_attr(target_arch = \"{arch}\", path = \"{arch}.rs\")]\n")),
        ("tests/support/ports.rs", "        }\n    };\n}\n", format!("            {arch}: \"{abi}\";\n")),
        (
            "xtask/src/targets.rs",
            "\n];\n",
            format!("\n    stable(\"{arch}-unknown-linux-gnu\", &[\"qemu-{arch}\"], \"why it is here\"),"),
        ),
    ] {
        let path = root.join(name);
        let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {name}: {error}"))?;
        let (head, tail) = text.split_once(before).ok_or_else(|| format!("{name} has no place for a port"))?;
        edits.push((path, format!("{head}{line}{before}{tail}")));
    }
    for (path, text) in edits {
        fs::write(&path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(())
}

/// What the headers say of an ABI.
fn facts_of(root: &Path, abi: &str) -> Result<Value, String> {
    let name = "tests/data/uapi.json";
    let text = fs::read_to_string(root.join(name)).map_err(|error| format!("cannot read {name}: {error}"))?;
    let mut all: Value = serde_json::from_str(&text).map_err(|error| format!("{name} does not read: {error}"))?;
    let names = all.as_object().map(|all| all.keys().cloned().collect::<Vec<_>>().join(", ")).unwrap_or_default();
    match all.get_mut(abi) {
        Some(facts) => Ok(facts.take()),
        None => Err(format!("{name} has no ABI {abi:?}: `--abi` names one of {names}")),
    }
}

fn skeleton(arch: &str, facts: &Value) -> Result<String, String> {
    let generic = all_ports::port(GENERIC).ok_or("there is no port that takes everything as most machines have it")?;
    let value = |fact: &Fact| fact.names.iter().find_map(|name| facts[fact.section][name].as_u64());
    let mut text = format!(
        "\
//! {arch}: `TRAP`.
//!
//! The number goes in NUMBER, arguments in FIRST, SECOND, …; the result comes back in RESULT, an error
//! as −errno. The kernel destroys … (`arch/…/kernel/entry.S`).

pub use crate::arch::generic::*;

macro_rules! trap {{
    ($_name:ident [$first:tt = $a:ident $(, $reg:tt = $arg:ident)*] $_unused:tt) => {{{{
        compile_error!(\"src/arch/{arch}.rs: the registers and the instruction are still to be named\");
        let ret: usize;
        // SAFETY: the caller keeps the contract of `syscallN`. Only RESULT changes.
        unsafe {{
            core::arch::asm!(\"TRAP\", in(\"NUMBER\") NR, inlateout($first) $a => ret, $(in($reg) $arg,)*
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
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::{root, write};
    use std::fs;

    /// The files that a new port changes, in a folder of their own.
    fn copy() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in ["src/arch/mod.rs", "tests/support/ports.rs", "tests/data/uapi.json", "xtask/src/targets.rs"] {
            let to = folder.path().join(name);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(root().join(name), to).unwrap();
        }
        folder
    }

    #[test]
    fn a_new_port_has_the_headers_numbers_and_its_lines() {
        let folder = copy();
        write(folder.path(), "loongarch32", "loongarch32").unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        let port = read("src/arch/loongarch32.rs");
        for line in [
            "pub const CLOCK_GETTIME: Option<usize> = None;",
            "pub const CLOCK_GETTIME64: Option<usize> = Some(403);",
            "syscalls! { #[inline(always)] fn by trap(\"FIRST\" \"SECOND\" \"THIRD\" \"FOURTH\" \"FIFTH\" \"SIXTH\") }",
        ] {
            assert!(port.contains(line), "{line} is not in\n{port}");
        }
        assert!(!port.contains("mod errno") && !port.contains("EPOLL_PWAIT2"));
        assert!(read("src/arch/mod.rs").contains("path = \"loongarch32.rs\")]\nmod port;"));
        assert!(read("tests/support/ports.rs").contains("loongarch32: \"loongarch32\";\n        }"));
        assert!(read("xtask/src/targets.rs")
            .contains("stable(\"loongarch32-unknown-linux-gnu\", &[\"qemu-loongarch32\"], \"why it is here\"),\n];"));
    }

    #[test]
    fn what_differs_from_most_machines_is_written_and_nothing_else() {
        let folder = copy();
        write(folder.path(), "mipsn32", "mipsn32").unwrap();
        let port = fs::read_to_string(folder.path().join("src/arch/mipsn32.rs")).unwrap();
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
    fn what_cannot_be_a_new_port_changes_nothing() {
        let folder = copy();
        let write = |arch, abi| write(folder.path(), arch, abi).unwrap_err();
        assert!(write("Alpha/..", "alpha").contains("no target_arch"));
        assert!(write("alpha", "alpha").contains("--abi"));
        fs::write(folder.path().join("src/arch/mod.rs"), "").unwrap();
        assert!(write("loongarch32", "loongarch32").contains("has no place"));
        assert!(!folder.path().join("src/arch/loongarch32.rs").exists());
        fs::write(folder.path().join("src/arch/s390x.rs"), "").unwrap();
        assert!(write("s390x", "s390x").contains("there is a port"));
    }
}
