//! The table of targets: how each is built without libc and run on this machine.

/// A target of the bare conformance program.
pub struct Target {
    /// rustc's name. A variant has its CPU feature too: `riscv64gc+v-unknown-linux-gnu`.
    pub name: &'static str,
    /// The `qemu-user` program that runs it, and its arguments. Empty if there is none.
    pub emulator: &'static [&'static str],
    /// Whether stable Rust's `asm!` supports it.
    pub stable: bool,
    /// More flags for rustc.
    pub flags: &'static [&'static str],
    /// The package and the name of GNU's linker, if LLVM's linker does not support the target.
    pub linker: Option<(&'static str, &'static str)>,
    /// The reason to test it.
    pub why: &'static str,
}

impl Target {
    /// rustc's name.
    pub fn triple(&self) -> String {
        let (cpu, rest) = self.name.split_once('-').unwrap_or((self.name, ""));
        format!("{}-{rest}", cpu.split('+').next().unwrap_or(cpu))
    }

    /// The variant's CPU feature, such as `+v`, or an empty string.
    pub fn variant(&self) -> &'static str {
        let cpu = self.name.split('-').next().unwrap_or_default();
        cpu.find('+').map_or("", |at| &cpu[at..])
    }

    /// The name of its port.
    pub fn port(&self) -> String {
        let cpu = self.name.split('-').next().unwrap_or_default();
        let starts = |start: &str| cpu.starts_with(start);
        match cpu {
            _ if self.name.ends_with("gnux32") => "x32",
            "i686" => "x86",
            _ if starts("arm") || starts("thumb") => "arm",
            _ if starts("aarch64") => "aarch64",
            _ if starts("riscv64") => "riscv64",
            _ if starts("riscv32") => "riscv32",
            _ if starts("powerpc64") => "powerpc64",
            _ if starts("mips64") || starts("mipsisa64") => "mips64",
            _ if starts("mips") => "mips",
            other => other,
        }
        .into()
    }

    /// Whether there is a linker for it.
    pub fn links(&self) -> bool {
        !self.name.starts_with("csky")
    }

    /// Whether LLVM miscompiles it. [`repair`](super::repair) builds its larger programs.
    pub fn is_miscompiled(&self) -> bool {
        self.name.starts_with("m68k")
    }
}

const fn stable(name: &'static str, emulator: &'static [&'static str], why: &'static str) -> Target {
    Target { name, emulator, stable: true, flags: &[], linker: None, why }
}

const fn nightly(name: &'static str, emulator: &'static [&'static str], why: &'static str) -> Target {
    Target { name, emulator, stable: false, flags: &[], linker: None, why }
}

/// A target with one more CPU feature, whose registers a system call destroys.
const fn variant(
    name: &'static str,
    emulator: &'static [&'static str],
    flags: &'static [&'static str],
    why: &'static str,
) -> Target {
    Target { flags, ..stable(name, emulator, why) }
}

/// The 68020 has atomic instructions.
const M68K: &[&str] = &["-Ctarget-cpu=M68020"];
const SPARC_LINKER: Option<(&str, &str)> = Some(("binutils-sparc64-linux-gnu", "sparc64-linux-gnu-ld"));

pub const TARGETS: &[Target] = &[
    stable("x86_64-unknown-linux-gnu", &["qemu-x86_64"], "packed event; system calls by the crate sc"),
    stable("x86_64-unknown-linux-gnux32", &[], "64-bit registers, 32-bit pointers; only a real kernel runs it"),
    stable("i686-unknown-linux-gnu", &["qemu-i386"], "int 0x80; 12-byte event without packing"),
    stable("aarch64-unknown-linux-gnu", &["qemu-aarch64"], "asm-generic numbers; out-of-line trap"),
    variant(
        "aarch64+sve-unknown-linux-gnu",
        &["qemu-aarch64", "-cpu", "max"],
        &["-Ctarget-feature=+sve"],
        "z and p registers destroyed",
    ),
    stable("aarch64_be-unknown-linux-gnu", &["qemu-aarch64_be"], "big-endian"),
    stable("armv7-unknown-linux-gnueabihf", &["qemu-arm"], "32 bits, u64 aligned to 8"),
    stable("thumbv7neon-unknown-linux-gnueabihf", &["qemu-arm"], "Thumb code, whose frame pointer is r7"),
    stable("armv5te-unknown-linux-gnueabi", &["qemu-arm"], "no atomic instructions"),
    // A big-endian kernel of 64 bits runs only code whose instructions are little-endian.
    Target {
        flags: &["-Clink-arg=--be8"],
        ..stable("armeb-unknown-linux-gnueabi", &["qemu-armeb"], "big-endian, 32 bits")
    },
    stable("riscv64gc-unknown-linux-gnu", &["qemu-riscv64"], "asm-generic numbers"),
    variant(
        "riscv64gc+v-unknown-linux-gnu",
        &["qemu-riscv64", "-cpu", "rv64,v=true"],
        &["-Ctarget-feature=+v"],
        "vector registers destroyed",
    ),
    stable("riscv32gc-unknown-linux-gnu", &["qemu-riscv32"], "no calls with 32-bit time"),
    stable("loongarch64-unknown-linux-gnu", &["qemu-loongarch64"], "t registers destroyed"),
    stable("powerpc-unknown-linux-gnu", &["qemu-ppc"], "errors in a flag; 32 bits, big-endian"),
    Target {
        linker: Some(("binutils-powerpc64-linux-gnu", "powerpc64-linux-gnu-ld")),
        ..stable("powerpc64-unknown-linux-gnu", &["qemu-ppc64"], "ELFv1: function descriptors")
    },
    stable("powerpc64-unknown-linux-musl", &["qemu-ppc64"], "ELFv2, big-endian"),
    stable("powerpc64le-unknown-linux-gnu", &["qemu-ppc64le"], "ELFv2, little-endian"),
    stable("s390x-unknown-linux-gnu", &["qemu-s390x"], "big-endian, 64 bits"),
    nightly("mips-unknown-linux-gnu", &["qemu-mips"], "o32: arguments on the stack; 128 signals"),
    nightly("mipsel-unknown-linux-gnu", &["qemu-mipsel"], "o32, little-endian"),
    nightly("mips64-unknown-linux-gnuabi64", &["qemu-mips64"], "n64"),
    nightly("mips64el-unknown-linux-gnuabi64", &["qemu-mips64el"], "n64, little-endian"),
    nightly("mipsisa32r6-unknown-linux-gnu", &["qemu-mips", "-cpu", "mips32r6-generic"], "release 6 has no hi and lo"),
    nightly(
        "mipsisa32r6el-unknown-linux-gnu",
        &["qemu-mipsel", "-cpu", "mips32r6-generic"],
        "release 6, little-endian",
    ),
    nightly("mipsisa64r6-unknown-linux-gnuabi64", &["qemu-mips64", "-cpu", "I6400"], "release 6, 64 bits"),
    nightly("mipsisa64r6el-unknown-linux-gnuabi64", &["qemu-mips64el", "-cpu", "I6400"], "release 6, 64 bits"),
    Target {
        linker: SPARC_LINKER,
        ..nightly("sparc64-unknown-linux-gnu", &["qemu-sparc64"], "errors in a flag; out-of-line trap")
    },
    Target {
        linker: SPARC_LINKER,
        flags: &["-Clink-arg=-melf32_sparc"],
        ..nightly("sparc-unknown-linux-gnu", &["qemu-sparc32plus"], "a V9 CPU's 32-bit mode (v8plus)")
    },
    Target {
        flags: M68K,
        linker: Some(("binutils-m68k-linux-gnu", "m68k-linux-gnu-ld")),
        ..nightly("m68k-unknown-linux-gnu", &["qemu-m68k"], "big-endian, 12-byte event without packing")
    },
    Target {
        // core's source needs this feature on hexagon.
        flags: &["-Zcrate-attr=feature(target_feature_inline_always)", "-Aunused-features"],
        ..nightly(
            "hexagon-unknown-linux-musl",
            &["qemu-hexagon"],
            "32 bits, asm-generic numbers; packets of instructions",
        )
    },
    nightly("csky-unknown-linux-gnuabiv2", &[], "compiles only: no emulator and no linker"),
];

/// A target's name without vendor and system, such as `x32` or `riscv64gc+v`.
pub fn short(name: &str) -> &str {
    match name.split_once("-unknown") {
        Some((_, rest)) if rest.ends_with("gnux32") => "x32",
        Some((cpu, _)) => cpu,
        None => name,
    }
}

/// The target of this machine.
pub fn of_this_machine() -> Result<&'static Target, String> {
    let name = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    TARGETS.iter().find(|target| target.name == name).ok_or_else(|| format!("there is no target {name}"))
}

/// The targets whose name starts with one of these. If empty, all targets.
pub fn select(starts: &[String]) -> Result<Vec<&'static Target>, String> {
    for start in starts {
        if !TARGETS.iter().any(|target| target.name.starts_with(start.as_str())) {
            return Err(format!("no target's name starts with {start:?}; `cargo xtask test --list` names the targets"));
        }
    }
    let wanted =
        |target: &&Target| starts.is_empty() || starts.iter().any(|start| target.name.starts_with(start.as_str()));
    Ok(TARGETS.iter().filter(wanted).collect())
}
