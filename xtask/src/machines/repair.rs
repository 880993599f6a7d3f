//! Builds programs for m68k, for which LLVM generates wrong code.
//!
//! rustc optimises the program and writes it in LLVM's language. `llc`, of the same LLVM, turns it
//! into assembly, and GNU's assembler and linker make the program. Both texts change on the way,
//! where LLVM 22's m68k backend has a fault:
//!
//! - `b[i] = x` writes `b[0]` if `b` is on the stack and the address has no other offset:
//!   `SelectARID` takes a frame index before it looks for an index register (also in 24). See
//!   [`hide_stack`].
//! - A copy of a register sets the flags, and LLVM puts copies between a comparison and its branch
//!   (llvm/llvm-project#152816; fixed in 24, not in 23). See [`keep_flags`].
//! - It emits `and.l #65535, %a0`, which does not exist. See [`for_gnu`].
//! - Distances of 16 bits are too short for a larger program. The large code model has none.
//!
//! The crate's system calls stay as they are: the port's `asm!`, in registers that LLVM allocates.

use crate::debian::Cache;
use crate::kit::shell::{capture, root, run};
use crate::machines::cross;
use crate::machines::targets::Target;
use rayon::prelude::{IntoParallelRefIterator, ParallelIterator};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the package's program, which has the package's name, into the folder `programs`.
pub fn build(cache: &Cache, target: &Target, package: &str, programs: &Path) -> Result<(), String> {
    let linker = cross::linker(cache, target)?.ok_or_else(|| format!("{} has no GNU linker", target.name))?;
    let tools = Tools {
        llvm: cross::llvm(cache, Command::new("rustup").args(["run", "nightly", "rustc"]))?,
        assembler: linker.with_file_name("m68k-linux-gnu-as"),
    };
    // Cargo does not compile a fresh package again, so the file stays beside cargo's own. Each
    // checkout has its own. rustc links the miscompiled program too, because cargo compiles again
    // if a program is missing.
    let checkout = root().display().to_string().replace(['/', ','], "+");
    let program = cross::target_dir(cache, target).join(format!("{package}{checkout}.ll"));
    let mut cargo = cross::cargo(cache, target, "rustc")?;
    cargo.args(["-p", package, "--bin", package, "--message-format=json-render-diagnostics"]);
    cargo.args(["--", "-Ccode-model=large"]);
    let output = capture(cargo.arg(format!("--emit=llvm-ir={}", program.display())))?;
    if !output.status.success() {
        return Err(format!("cannot compile {package}:\n{}", String::from_utf8_lossy(&output.stderr)));
    }
    let folder = tempfile::tempdir().map_err(|error| format!("cannot create a temporary folder: {error}"))?;
    let mut parts = tools.members(&library(&output.stdout)?, folder.path())?;
    parts.push(program);
    let parts: Vec<(usize, PathBuf)> = parts.into_iter().enumerate().collect();
    let object = |(number, part): &(usize, PathBuf)| tools.object(part, &folder.path().join(format!("part-{number}")));
    let objects = parts.par_iter().map(object).collect::<Result<Vec<_>, _>>()?;
    fs::create_dir_all(programs).map_err(|error| format!("cannot create {}: {error}", programs.display()))?;
    let mut link = Command::new(linker);
    run(link.args(["-static", "--gc-sections", "-o"]).arg(programs.join(package)).args(objects)).map(drop)
}

/// The library that has the functions that LLVM calls, such as `memcpy`, from cargo's messages. It
/// is the only one that takes no part in link-time optimisation.
fn library(messages: &[u8]) -> Result<PathBuf, String> {
    let messages = String::from_utf8_lossy(messages);
    let values = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let built = values.filter(|value| value["target"]["name"] == "compiler_builtins");
    let files: Vec<Value> = built.filter_map(|value| value["filenames"].as_array().cloned()).flatten().collect();
    let mut files = files.iter().filter_map(Value::as_str);
    let library = files.find(|file| file.ends_with(".rlib"));
    library.map(PathBuf::from).ok_or_else(|| "cargo names no library compiler_builtins".into())
}

struct Tools {
    /// The folder of LLVM's tools.
    llvm: PathBuf,
    assembler: PathBuf,
}

impl Tools {
    /// The bitcode of a library's members, as files in the folder.
    fn members(&self, library: &Path, folder: &Path) -> Result<Vec<PathBuf>, String> {
        run(Command::new(self.llvm.join("llvm-ar")).arg("x").arg(library).current_dir(folder))?;
        let files = fs::read_dir(folder).map_err(|error| format!("cannot list {}: {error}", folder.display()))?;
        let objects = files.flatten().map(|file| file.path()).filter(|path| path.extension().is_some_and(|e| e == "o"));
        let bitcode = |object: PathBuf| {
            let bitcode = object.with_extension("bc");
            let mut copy = Command::new(self.llvm.join("llvm-objcopy"));
            copy.arg(format!("--dump-section=.llvmbc={}", bitcode.display())).arg(&object).arg("/dev/null");
            run(&mut copy).map(|_| bitcode)
        };
        objects.map(bitcode).collect()
    }

    /// Compiles a part of the program, which is bitcode or text. The files that this makes start
    /// with `stem`.
    fn object(&self, part: &Path, stem: &Path) -> Result<PathBuf, String> {
        let text = if part.extension().is_some_and(|extension| extension == "bc") {
            let text = stem.with_extension("text");
            run(Command::new(self.llvm.join("llvm-dis")).arg("-o").arg(&text).arg(part))?;
            text
        } else {
            part.to_path_buf()
        };
        let (ir, machine) = (stem.with_extension("ll"), stem.with_extension("s"));
        change(&text, &ir, |text| Ok(hide_stack(text)))?;
        let mut llc = Command::new(self.llvm.join("llc"));
        llc.args(["-O3", "-mcpu=M68020", "-relocation-model=static", "-code-model=large", "--asm-verbose=false"]);
        run(llc.args(["-function-sections", "-data-sections", "-o"]).arg(&machine).arg(&ir))?;
        let (repaired, object) = (stem.with_extension("repaired"), stem.with_extension("out"));
        change(&machine, &repaired, keep_flags)?;
        run(Command::new(&self.assembler).args(["-m68020", "-o"]).arg(&object).arg(&repaired))?;
        Ok(object)
    }
}

/// Writes a file's changed text to another file.
fn change(from: &Path, to: &Path, change: impl FnOnce(&str) -> Result<String, String>) -> Result<(), String> {
    let text = fs::read_to_string(from).map_err(|error| format!("cannot read {}: {error}", from.display()))?;
    fs::write(to, change(&text)?).map_err(|error| format!("cannot write {}: {error}", to.display()))
}

/// Passes the address of each stack variable through an empty `asm`. Then LLVM indexes it like any
/// other address.
fn hide_stack(ir: &str) -> String {
    let mut changed = String::with_capacity(2 * ir.len());
    let mut hidden = String::new();
    for line in ir.lines() {
        // These take only the variable itself. Without them, variables share no space.
        if line.contains("call void @llvm.lifetime.") {
            continue;
        }
        match line.strip_prefix("  %").and_then(|line| line.split_once(" = alloca ")) {
            Some((name, kind)) => {
                let variable = format!("%\"stack {}\"", name.trim_matches('"'));
                let _ = writeln!(changed, "  {variable} = alloca {kind}");
                let _ = writeln!(hidden, "  %{name} = call ptr asm \"\", \"=r,0\"(ptr {variable})");
            }
            None => {
                changed += &hidden;
                hidden.clear();
                changed += line;
                changed.push('\n');
            }
        }
    }
    changed
}

/// What a line of assembly does to the flags, or with them.
enum Kind<'a> {
    Label(&'a str),
    /// A jump that always happens.
    Jump(&'a str),
    Reads,
    /// Sets the flags, but LLVM may take it for a plain copy that does not.
    Copies,
    /// Sets the flags, or ends their use: LLVM keeps none across a call.
    Sets,
    Nothing,
}

impl<'a> Kind<'a> {
    fn of(line: &'a str) -> Self {
        const CONDITIONS: [&str; 16] =
            ["cc", "cs", "eq", "ge", "gt", "hi", "le", "ls", "lt", "mi", "ne", "pl", "vc", "vs", "t", "f"];
        let Some(instruction) = line.strip_prefix('\t') else {
            return line.strip_suffix(':').map_or(Self::Nothing, Self::Label);
        };
        let (name, operands) = instruction.split_once('\t').unwrap_or((instruction, ""));
        let name = name.split('.').next().unwrap_or_default();
        let is_condition = |prefix| name.strip_prefix(prefix).is_some_and(|rest| CONDITIONS.contains(&rest));
        match name {
            "bra" => Self::Jump(operands),
            _ if is_condition('b') || is_condition('s') => Self::Reads,
            "move" if operands.starts_with("%ccr") => Self::Reads,
            "move" if operands.ends_with("%ccr") => Self::Sets,
            "move" if operands.rsplit(", ").next().is_some_and(|to| to.starts_with("%a")) => Self::Nothing,
            "move" | "moveq" => Self::Copies,
            // A directive or a comment.
            _ if name.is_empty() || name.starts_with(';') => Self::Nothing,
            "movem" | "movea" | "adda" | "suba" | "lea" | "pea" | "exg" | "link" | "unlk" => Self::Nothing,
            _ => Self::Sets,
        }
    }
}

/// Saves the flags around each copy of a register in a place where a later instruction reads them.
/// Returns an error for any other instruction there that LLVM may take for a copy.
///
/// No instruction here reads the flags that a copy sets: LLVM compares with zero instead.
fn keep_flags(assembly: &str) -> Result<String, String> {
    let lines: Vec<(&str, Kind<'_>)> = assembly.lines().map(|line| (line, Kind::of(line))).collect();
    // Whether the flags are read after each label.
    let mut labels: HashMap<&str, bool> = HashMap::new();
    let harmful = loop {
        let (mut harmful, mut is_changed, mut is_read) = (vec![false; lines.len()], false, false);
        for ((_, kind), harmful) in lines.iter().zip(&mut harmful).rev() {
            match kind {
                Kind::Label(label) => is_changed |= labels.insert(label, is_read).unwrap_or(false) != is_read,
                Kind::Jump(label) => is_read = labels.get(label).copied().unwrap_or(false),
                Kind::Reads => is_read = true,
                Kind::Sets => is_read = false,
                Kind::Copies => *harmful = is_read,
                Kind::Nothing => {}
            }
        }
        if !is_changed {
            break harmful;
        }
    };
    let mut changed = String::with_capacity(2 * assembly.len());
    for ((line, _), harmful) in lines.iter().zip(harmful) {
        if harmful {
            let operands = line.rsplit('\t').next().and_then(|operands| operands.split_once(", "));
            match operands {
                Some((from, to)) if to.starts_with("%d") && (from.starts_with("%d") || from.starts_with("%a")) => {}
                _ => {
                    return Err(format!(
                        "m68k: `{}` changes flags that are in use; repair.rs must learn it",
                        line.trim()
                    ))
                }
            }
            let _ = write!(changed, "\tmove.w\t%ccr, -(%sp)\n{line}\n\tmove.w\t(%sp)+, %ccr\n");
        } else {
            changed += &for_gnu(line);
            changed.push('\n');
        }
    }
    Ok(changed)
}

/// The line, as GNU's assembler takes it.
fn for_gnu(line: &str) -> String {
    // It would take a comment for an instruction, and the `.b` of a name for a size.
    if line.starts_with("\t;") {
        return String::new();
    }
    let line = line.replace(".Lvtable.", ".Lvtable_");
    // This instruction does not exist for an address register.
    match line.strip_prefix("\tand.l\t#").and_then(|operands| operands.split_once(", %a")) {
        Some((mask, a)) => format!("\texg\t%d0, %a{a}\n\tand.l\t#{mask}, %d0\n\texg\t%d0, %a{a}"),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::{for_gnu, hide_stack, keep_flags};

    #[test]
    fn the_address_of_each_stack_variable_is_hidden_after_the_last() {
        let ir = "start:\n  %a.i = alloca [4 x i8], align 2\n  %\"b c\" = alloca i32, align 4\n  \
                  call void @llvm.lifetime.start.p0(ptr %a.i)\n  store i32 0, ptr %\"b c\", align 4\n";
        let hidden = "start:\n  %\"stack a.i\" = alloca [4 x i8], align 2\n  %\"stack b c\" = alloca i32, align 4\n  \
                      %a.i = call ptr asm \"\", \"=r,0\"(ptr %\"stack a.i\")\n  \
                      %\"b c\" = call ptr asm \"\", \"=r,0\"(ptr %\"stack b c\")\n  store i32 0, ptr %\"b c\", align 4\n";
        assert_eq!(hide_stack(ir), hidden);
    }

    #[test]
    fn a_copy_keeps_flags_that_are_read_later_and_no_others() {
        let kept = |copy: &str| format!("\tmove.w\t%ccr, -(%sp)\n{copy}\n\tmove.w\t(%sp)+, %ccr\n");
        let copy = "\tmove.l\t%d0, %d1";
        // Here, beyond a jump, and through other copies.
        let here = |copy: &str| format!("\tcmpi.l\t#0, %d0\n{copy}\tmovem.l\t(4,%sp), %d0\n\tbeq\t.L1\n.L1:\n");
        assert_eq!(keep_flags(&here(&format!("{copy}\n"))).as_ref(), Ok(&here(&kept(copy))));
        let beyond = |copy: &str| format!(".L2:\n\tsne\t%d2\n\trts\n\tcmpi.l\t#0, %d0\n{copy}\tbra\t.L2\n");
        assert_eq!(keep_flags(&beyond(&format!("{copy}\n"))).as_ref(), Ok(&beyond(&kept(copy))));
        // A subtraction sets the flags anew, and a call leaves none.
        for other in ["\tsub.l\t#1, %d1", "\tjsr\tf", "\tmove.w\t%d3, %ccr"] {
            let dead = format!("{copy}\n{other}\n\tbeq\t.L1\n.L1:\n");
            assert_eq!(keep_flags(&dead).as_ref(), Ok(&dead));
        }
    }

    #[test]
    fn another_instruction_between_comparison_and_branch_is_an_error() {
        let moves = ["\tmoveq\t#1, %d0", "\tmove.l\t(4,%sp), %d0", "\tmove.l\t%d0, (%a0)"];
        for line in moves {
            let refused = keep_flags(&format!("{line}\n\tbeq\t.L1\n.L1:\n")).expect_err("it changes the flags");
            assert!(refused.contains(line.trim()), "{refused}");
        }
    }

    #[test]
    fn lines_for_gnu_s_assembler() {
        assert_eq!(for_gnu("\tmove.l\t#.Lvtable.b, (%a0)"), "\tmove.l\t#.Lvtable_b, (%a0)");
        assert_eq!(for_gnu("\tand.l\t#7, %a3"), "\texg\t%d0, %a3\n\tand.l\t#7, %d0\n\texg\t%d0, %a3");
        assert_eq!(for_gnu("\tand.l\t#7, %d3"), "\tand.l\t#7, %d3");
        assert_eq!(for_gnu("\t;APP"), "");
    }
}
