//! `cargo xtask peers`: which registers other crates' system call instructions declare, compared
//! with what kernels destroy. It writes the table in docs/peers.md.
//!
//! `test-crates/peers` calls each peer. Link-time optimisation brings the peer's `asm!` into that
//! package's LLVM IR. The rules are those of our own ports (`clobbers.rs`).

use crate::debian::Cache;
use crate::kit::document::{PEERS as DOCUMENT, PROOF};
use crate::kit::progress::Progress;
use crate::kit::report;
use crate::kit::shell::{both, capture, last_lines, root, LAST_LINES};
use crate::machines::cross;
use crate::machines::targets::{short, Target, TARGETS};
use crate::ports::clobbers::{expanded, rule_of, traps, Rule, Trap};
use crate::step::{Run, World};
use clap::Args;
use std::collections::BTreeMap;
use std::fs;

#[derive(Args)]
pub struct Options {
    /// Write the table into docs/peers.md
    #[arg(long)]
    write: bool,
}

/// A crate that issues system calls itself.
struct Peer {
    /// Its name, and the feature of the package that calls it.
    name: &'static str,
    /// That package's folder and manifest.
    package: (&'static str, &'static str),
    /// Another package whose version matters.
    with: Option<&'static str>,
    /// The ports for which this version has a system call instruction, by its source. No other
    /// port is compiled.
    ports: &'static str,
}

const PACKAGE: (&str, &str) = ("test-crates/peers", include_str!("../../../test-crates/peers/Cargo.toml"));
const ORIGIN: (&str, &str) = ("test-crates/peers/origin", include_str!("../../../test-crates/peers/origin/Cargo.toml"));

const fn peer(name: &'static str, ports: &'static str) -> Peer {
    Peer { name, package: PACKAGE, with: None, ports }
}

const PEERS: &[Peer] = &[
    peer("sc", "x86_64 x32 x86 aarch64 arm riscv64 powerpc powerpc64 mips mips64 sparc64"),
    peer("syscalls", "x86_64 x32 x86 aarch64 arm riscv64 riscv32 loongarch64 powerpc powerpc64 s390x mips mips64"),
    peer("linux-syscalls", "x86_64 x86 aarch64 arm riscv64 riscv32 loongarch64 powerpc powerpc64 s390x mips mips64"),
    peer("nc", "x86_64 x32 x86 aarch64 arm riscv64 loongarch64 powerpc64 s390x mips mips64"),
    peer("rustix", "x86_64 x86 aarch64 arm riscv64 powerpc powerpc64 s390x mips mips64"),
    Peer { package: ORIGIN, with: Some("rustix"), ..peer("origin", "x86_64 x86 aarch64 arm riscv64") },
    peer("getrandom", "x86_64 x32 x86 aarch64 arm riscv64 riscv32 loongarch64 s390x"),
];

/// What kernels do to the registers of a rule. Each port's file in `src/arch/` has the evidence.
struct Destroyed {
    /// A target of the port, as in the table of targets.
    target: &'static str,
    /// The registers, of those that the rule names, that a kernel is known to destroy. The others
    /// are destroyed only by musl's and glibc's convention.
    by_kernels: &'static str,
    /// The registers that `asm!` cannot name, which only an out-of-line trap declares.
    unnamed: &'static str,
    unnamed_by_convention: &'static str,
    /// The fault in the table of docs/proof.md that lacks the same registers.
    fault: Option<&'static str>,
}

const fn destroyed(target: &'static str, by_kernels: &'static str) -> Destroyed {
    Destroyed { target, by_kernels, unnamed: "", unnamed_by_convention: "", fault: None }
}

/// One target of each port, and those whose compiler uses registers that the others' does not.
const MACHINES: &[Destroyed] = &[
    destroyed("x86_64-unknown-linux-gnu", "ax cx r11"),
    destroyed("x86_64-unknown-linux-gnux32", "ax cx r11"),
    destroyed("i686-unknown-linux-gnu", "ax"),
    // A clobber of a q register covers the z register, of which the kernel keeps the low half.
    Destroyed {
        unnamed: "ffr, the high parts of z8–z15",
        fault: Some("arm64: the trap inlined, without z8–z15"),
        ..destroyed("aarch64+sve-unknown-linux-gnu", "x0 p0-p15 q0-q7 q16-q31")
    },
    destroyed("armv7-unknown-linux-gnueabihf", "r0"),
    destroyed("thumbv7neon-unknown-linux-gnueabihf", "r0"),
    Destroyed {
        fault: Some("riscv64 with V: no clobber of v0–v31, as in `sc` 0.2.7"),
        ..destroyed("riscv64gc+v-unknown-linux-gnu", "x10 v0-v31 vl vtype")
    },
    destroyed("riscv32gc-unknown-linux-gnu", "x10 v0-v31 vl vtype"),
    Destroyed {
        fault: Some("loongarch64: no clobber of t0–t8"),
        ..destroyed("loongarch64-unknown-linux-gnu", "$r4 $r12-$r20")
    },
    destroyed("powerpc-unknown-linux-gnu", "r0 r3-r12 cr0 ctr xer"),
    Destroyed {
        fault: Some("powerpc64le: no clobber of ctr and xer, as in `sc` 0.2.7"),
        ..destroyed("powerpc64le-unknown-linux-gnu", "r0 r3-r12 cr0 ctr xer")
    },
    destroyed("s390x-unknown-linux-gnu", "r2"),
    Destroyed {
        unnamed: "$1, hi, lo",
        fault: Some("mipsel: the trap inlined, without $1, hi and lo, which rustc refuses"),
        ..destroyed("mipsel-unknown-linux-gnu", "$2 $7-$15 $24")
    },
    // Linux saves and restores $8 and $9 here, with the other arguments (`RESTORE_SOME`).
    Destroyed { unnamed: "$1, hi, lo", ..destroyed("mips64el-unknown-linux-gnuabi64", "$2 $7 $10-$15 $24") },
    Destroyed { unnamed_by_convention: "g1, f0–f31", ..destroyed("sparc-unknown-linux-gnu", "r8") },
    Destroyed { unnamed_by_convention: "g1, f0–f63", ..destroyed("sparc64-unknown-linux-gnu", "r8") },
    destroyed("m68k-unknown-linux-gnu", "d0"),
    destroyed("hexagon-unknown-linux-musl", "r0"),
    destroyed("csky-unknown-linux-gnuabiv2", "r0"),
];

/// The registers that a rule names although musl and glibc treat them as kept.
const KEPT: &[(&str, &str)] = &[("mips64", "$8 $9")];

/// Why a peer does not compile: a text in the compiler's messages, and the words for the cell.
const REASONS: &[(&str, &str)] = &[
    ("cannot find macro `llvm_asm`", "uses `llvm_asm!`, which rustc no longer has"),
    ("the frame pointer (r7) cannot be used", "names r7, which rustc refuses in Thumb code"),
    ("cannot find function `syscall7` in this scope", "uses `syscall7`, which it has on o32 only"),
    ("cannot find function `oob_load` in module", "uses `oob_load`, which it lacks there"),
    ("unresolved import `syscall`", "has the instruction in C only"),
];

impl Run for Options {
    fn run(&self, world: &World) -> Result<(), String> {
        let (count, table) = audit(&world.progress, world.cache()?)?;
        report::say(format_args!("\n{table}\n"));
        if self.write {
            return DOCUMENT.write("peers", &table).map(drop);
        }
        DOCUMENT.check("peers", &table, "cargo xtask peers --write")?;
        report::say(format_args!("{count} traps"));
        Ok(())
    }
}

/// Checks that the table in docs/peers.md is up to date. Returns how many traps it counts.
pub fn check(progress: &Progress, cache: &Cache) -> Result<usize, String> {
    let (count, table) = audit(progress, cache)?;
    DOCUMENT.check("peers", &table, "cargo xtask peers --write")?;
    Ok(count)
}

/// Reads every peer's traps on every machine. Returns how many there are, and the table.
fn audit(progress: &Progress, cache: &Cache) -> Result<(usize, String), String> {
    let job = progress.job("other crates' registers");
    let mut header = vec!["machine".to_string(), "what kernels destroy".into()];
    header.extend(PEERS.iter().map(title).collect::<Result<Vec<_>, _>>()?);
    header.push("seen on a real kernel".into());
    let (mut rows, mut count, mut unknown) = (Vec::new(), 0, Vec::new());
    for machine in MACHINES {
        let target = TARGETS.iter().find(|target| target.name == machine.target);
        let target = target.ok_or_else(|| format!("there is no target {}; update MACHINES", machine.target))?;
        let rule = rule_of(target)?;
        let mut row = vec![short(target.name).to_string(), machine.destroys()];
        for peer in PEERS {
            job.at(&format!("{} for {}", peer.name, target.name));
            if !peer.ports.split(' ').any(|port| port == target.port()) {
                row.push("no port".into());
                continue;
            }
            let ir = match emit(cache, target, peer)? {
                Ok(ir) => ir,
                Err(messages) => {
                    match reason(peer, target, &messages) {
                        Ok(why) => row.push(format!("does not build: {why}")),
                        Err(why) => unknown.push(why),
                    }
                    continue;
                }
            };
            let traps = traps(&ir, |line| enters_kernel(rule, line));
            if traps.is_empty() {
                unknown.push(format!("{} has no `{}` for {}", peer.name, rule.trap, target.name));
            }
            count += traps.len();
            row.push(machine.verdict(rule, &traps));
        }
        row.push(machine.seen()?);
        rows.push(row);
    }
    job.done(&if unknown.is_empty() { format!("{count} traps") } else { "FAILED".into() });
    if !unknown.is_empty() {
        return Err(unknown.join("\n"));
    }
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    Ok((count, report::markdown(&header, rows)))
}

/// A peer's name and version, from the manifest that requires it.
fn title(peer: &Peer) -> Result<String, String> {
    let (folder, manifest) = peer.package;
    let version = |name: &str| {
        let line = manifest.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = { version = \"="));
        let version = line.and_then(|rest| rest.split('"').next());
        version.ok_or_else(|| format!("{folder}/Cargo.toml requires no exact version of {name}; write `=1.2.3`"))
    };
    let title = format!("{} {}", peer.name, version(peer.name)?);
    peer.with.map_or(Ok(title.clone()), |with| Ok(format!("{title}, with {with} {}", version(with)?)))
}

/// The LLVM IR of the calls of a peer, or the compiler's messages if the peer does not compile.
///
/// The file's path is always the same, and Cargo compiles only what has changed.
fn emit(cache: &Cache, target: &Target, peer: &Peer) -> Result<Result<String, String>, String> {
    let checkout = root().display().to_string().replace('/', "+");
    let folder = cross::target_dir(cache, target).join("peers").join(checkout).join(target.name);
    fs::create_dir_all(&folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
    let file = folder.join(format!("{}.ll", peer.name));
    let mut rustc = cross::cargo(cache, target, "rustc")?;
    // nc needs `alloc`. A cfg chooses getrandom's backend. Only that package gets it, because with
    // another flag for all, Cargo would compile `core` again. rustix's build script reads its cfg
    // from the environment.
    rustc.args(["-Zbuild-std=core,alloc", "-Zprofile-rustflags", "--lib", "--features", peer.name, "--config"]);
    rustc.arg(r#"profile.release.package.getrandom.rustflags=["--cfg", "getrandom_backend=\"linux_raw\""]"#);
    rustc.arg("--manifest-path").arg(root().join(peer.package.0).join("Cargo.toml"));
    rustc.args(["--", "--emit", &format!("llvm-ir={}", file.display())]);
    if peer.name == "rustix" {
        rustc.env("CARGO_CFG_RUSTIX_USE_EXPERIMENTAL_ASM", "");
    }
    let output = capture(&mut rustc)?;
    if !output.status.success() {
        return Ok(Err(both(&output)));
    }
    let text = fs::read_to_string(&file);
    text.map(Ok).map_err(|error| format!("cannot read {}: {error}; remove the folder above it", file.display()))
}

fn reason(peer: &Peer, target: &Target, messages: &str) -> Result<&'static str, String> {
    let known = REASONS.iter().find(|(text, _)| messages.contains(text));
    known.map(|(_, cell)| *cell).ok_or_else(|| {
        let shown = last_lines(messages.lines(), LAST_LINES);
        format!(
            "{} does not compile for {}; add the reason to xtask/src/ports/peers.rs:\n{shown}",
            peer.name, target.name
        )
    })
}

/// Whether this line of assembly enters the kernel, in any peer's spelling.
fn enters_kernel(rule: &Rule, line: &str) -> bool {
    let others: &[&str] = match rule.trap {
        "int 0x80" => &["int $$$$0x80"],
        "svc 0" => &["swi 0", "svc #0"],
        "ta 0x6d" => &["t 109", "ta 109", "t 0x6d"],
        "ta 0x10" => &["t 0x10", "ta 16", "t 16"],
        _ => &[],
    };
    // On x86, the vDSO's function enters it. It keeps the registers that `int 0x80` keeps.
    line == rule.trap || others.contains(&line) || (rule.trap == "int 0x80" && line.starts_with("call "))
}

impl Destroyed {
    /// The table's second column.
    fn destroys(&self) -> String {
        let mut all = ranges(expanded(self.by_kernels));
        if !self.unnamed.is_empty() {
            all += &format!("; not named: {}", self.unnamed);
        }
        all
    }

    /// The cell of a peer with these traps.
    fn verdict(&self, rule: &Rule, traps: &[Trap]) -> String {
        let by_kernels = expanded(self.by_kernels);
        let kept: Vec<String> = KEPT
            .iter()
            .filter(|(arch, _)| self.target.starts_with(arch))
            .flat_map(|(_, kept)| expanded(kept))
            .collect();
        // In how many traps each thing is missing.
        let (mut missing, mut by_convention) = (BTreeMap::new(), BTreeMap::new());
        let returning: Vec<&Trap> = traps.iter().filter(|trap| trap.returns).collect();
        for trap in &returning {
            let (real, other): (Vec<_>, Vec<_>) =
                trap.missing(rule).into_iter().partition(|register| by_kernels.contains(register));
            let is_all = real.len() > 4 && real.len() + 1 == by_kernels.len() && !trap.is_function_noinline;
            let mut real = vec![ranges(real)];
            let other = other.into_iter().filter(|register| !kept.contains(register)).collect();
            let mut other = vec![ranges(other)];
            if !trap.is_function_noinline {
                real.push(self.unnamed.into());
                other.push(self.unnamed_by_convention.into());
            }
            if is_all {
                real = vec![format!("all but {}", by_kernels[0])];
            }
            if let Some(register) = rule.saved.filter(|register| !trap.takes(register) && !trap.saves(register)) {
                real.push(register.into());
            }
            // A call that passes no memory to write may be `readonly`.
            if !trap.has_side_effects || (!trap.writes_memory && trap.function.starts_with("fills_")) {
                real.push("memory".into());
            }
            real.retain(|registers| !registers.is_empty());
            other.retain(|registers| !registers.is_empty());
            for (registers, counts) in [(real, &mut missing), (other, &mut by_convention)] {
                if !registers.is_empty() {
                    *counts.entry(registers.join(", ")).or_insert(0) += 1;
                }
            }
        }
        let text = |counts: BTreeMap<String, usize>| {
            let part = |(registers, count): (String, usize)| {
                let partly = count < returning.len();
                registers + &if partly { format!(" (in {count} of {})", returning.len()) } else { String::new() }
            };
            counts.into_iter().map(part).collect::<Vec<_>>().join("; ")
        };
        let (missing, by_convention) = (text(missing), text(by_convention));
        match (missing.is_empty(), by_convention.is_empty()) {
            (true, true) => "declares all".into(),
            (false, true) => format!("**lacks {missing}**"),
            (true, false) => format!("by convention: {by_convention}"),
            (false, false) => format!("**lacks {missing}**; by convention: {by_convention}"),
        }
    }

    /// What `cargo xtask broken` saw of a port that lacks the same registers.
    fn seen(&self) -> Result<String, String> {
        let Some(fault) = self.fault else { return Ok(String::new()) };
        let table = PROOF.table("broken on purpose")?;
        let row = table.get(fault).ok_or_else(|| format!("docs/proof.md has no fault {fault:?}; update MACHINES"))?;
        let cell = |name: &str| row.get(name).map(String::as_str).unwrap_or_default();
        let (on, failed, check) = (cell("on"), cell("failed checks"), cell("one of them"));
        match check.split('`').nth(1).filter(|check| check.starts_with("registers::")) {
            Some(check) => Ok(format!("{on}: {failed} checks fail, one is `{check}`")),
            None => Ok(format!("{on}: the list crashes or hangs")),
        }
    }
}

/// Joins registers with consecutive numbers: r0, r1, r2, r5 becomes `r0–r2, r5`.
fn ranges(registers: Vec<String>) -> String {
    let split = |name: &str| {
        let at = name.find(|c: char| c.is_ascii_digit()).filter(|at| name[*at..].parse::<u32>().is_ok());
        at.map(|at| (name[..at].to_string(), name[at..].parse::<u32>().unwrap_or_default()))
    };
    // The first and the last register of each range, and the last one's number.
    let mut found: Vec<(String, String)> = Vec::new();
    for register in registers {
        let follows = |(_, last): &&mut (String, String)| match (split(last), split(&register)) {
            (Some((stem, number)), Some((other, next))) => stem == other && number + 1 == next,
            _ => false,
        };
        match found.last_mut().filter(follows) {
            Some(range) => range.1 = register,
            None => found.push((register.clone(), register)),
        }
    }
    let shown = |(first, last): (String, String)| if first == last { first } else { format!("{first}–{last}") };
    found.into_iter().map(shown).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdict on a function with this assembly, after `asm`.
    fn verdict(target: &str, function: &str, assembly: &str, attributes: &str) -> String {
        let machine = MACHINES.iter().find(|machine| machine.target.starts_with(target)).expect("it is there");
        let target = TARGETS.iter().find(|target| target.name == machine.target).expect("it is there");
        let rule = rule_of(target).expect("it has one");
        let ir = format!(
            "define i64 @{function}(i64 %a) #0 {{\n  %1 = call i64 asm {assembly}(i64 1) #1, !srcloc !2\n  ret i64 %1\n}}\n\
             attributes #0 = {{ {attributes} nounwind }}\nattributes #1 = {{ nounwind }}\n\
             attributes #2 = {{ nounwind memory(read, inaccessiblemem: readwrite) }}\n"
        );
        machine.verdict(rule, &traps(&ir, |line| enters_kernel(rule, line)))
    }

    #[test]
    fn a_missing_register_is_in_the_cell() {
        let all = r#"sideeffect "syscall", "={ax},{ax},~{cx},~{r11},~{memory}""#;
        assert_eq!(verdict("x86_64", "fills_1", all, ""), "declares all");
        assert_eq!(verdict("x86_64", "fills_1", &all.replace("~{r11},", ""), ""), "**lacks r11**");
        assert_eq!(verdict("x86_64", "fills_1", &all.replace("~{cx},~{r11},", ""), ""), "**lacks cx, r11**");
    }

    #[test]
    fn memory_is_missing_only_from_calls_that_write_it() {
        let none = r#"sideeffect "int $$$$0x80", "={ax},{ax}""#;
        assert_eq!(verdict("i686", "fills_1", none, ""), "**lacks memory**");
        assert_eq!(verdict("i686", "reads_1", none, ""), "declares all");
        let all = r#"sideeffect "call ${1:k}", "={ax},{ax},~{memory}""#;
        assert_eq!(verdict("i686", "fills_1", all, ""), "declares all");
        // The parentheses are the operands'; then come the attributes of `options(readonly)`.
        let readonly = format!("{all}() #2, !dbg ");
        assert_eq!(verdict("i686", "fills_1", &readonly, ""), "**lacks memory**");
    }

    #[test]
    fn a_convention_is_not_a_kernel() {
        let clobbers = "~{$8},~{$9},~{$10},~{$11},~{$12},~{$13},~{$14},~{$15},~{$24},~{memory}";
        let inlined = format!(r#"sideeffect "syscall", "={{$2}},={{$7}},{{$2}},{clobbers}""#);
        let expected = "**lacks $1, hi, lo**; by convention: $3, $25";
        assert_eq!(verdict("mipsel", "fills_1", &inlined, ""), expected);
        let expected = "by convention: $3, $25";
        assert_eq!(verdict("mipsel", "fills_1", &inlined, "noinline"), expected);
        // n64's kernel keeps the fifth and sixth argument.
        let without = inlined.replace("~{$8},~{$9},", "");
        assert_eq!(verdict("mips64el", "fills_1", &without, "noinline"), expected);
        assert_eq!(verdict("mipsel", "fills_1", &without, "noinline"), "**lacks $8–$9**; by convention: $3, $25");
    }

    #[test]
    fn thumb_code_must_save_the_frame_pointer() {
        let saved = r#"sideeffect "mov ${1}, r7\0Amov r7, ${2}\0Asvc 0\0Amov r7, ${1}", "={r0},=&r,r,~{memory}""#;
        assert_eq!(verdict("thumb", "fills_1", saved, ""), "declares all");
        assert_eq!(verdict("thumb", "fills_1", &saved.replace("mov r7, ${1}", "nop"), ""), "**lacks r7**");
        assert_eq!(verdict("armv7", "fills_1", r#"sideeffect "swi 0", "={r0},{r7},~{memory}""#, ""), "declares all");
    }

    #[test]
    fn each_machine_names_registers_of_its_rule() {
        for machine in MACHINES {
            let target = TARGETS.iter().find(|target| target.name == machine.target).expect("it is there");
            let named = expanded(rule_of(target).expect("it has one").named);
            let unknown: Vec<String> =
                expanded(machine.by_kernels).into_iter().filter(|one| !named.contains(one)).collect();
            assert_eq!(unknown, Vec::<String>::new(), "{}", machine.target);
            machine.seen().expect("docs/proof.md has the fault");
        }
    }

    #[test]
    fn ranges_are_joined() {
        let registers = "r0 r1 r2 cr0 xer $r12-$r20 $25";
        assert_eq!(ranges(expanded(registers)), "r0–r2, cr0, xer, $r12–$r20, $25");
    }
}
