//! The one table of targets: what each needs to be built without libc, and to run here.

/// A target of the bare conformance program.
pub struct Target {
    /// rustc's name; of a variant, with the feature that is its own behind the CPU's: `riscv64gc+v-unknown-linux-gnu`.
    pub name: &'static str,
    /// The `qemu-user` that runs it, and its arguments; empty where there is none.
    pub emulator: &'static [&'static str],
    /// Whether stable Rust's `asm!` knows it.
    pub stable: bool,
    /// Flags of its own for rustc.
    pub flags: &'static [&'static str],
    /// GNU's linker, where LLVM's cannot: its package and its name.
    pub linker: Option<(&'static str, &'static str)>,
    /// Why it is here.
    pub why: &'static str,
}

impl Target {
    /// rustc's name.
    pub fn triple(&self) -> String {
        let (cpu, rest) = self.name.split_once('-').unwrap_or((self.name, ""));
        format!("{}-{rest}", cpu.split('+').next().unwrap_or(cpu))
    }

    /// The feature that makes it a variant, as `+v`; empty where it is none.
    pub fn variant(&self) -> &'static str {
        let cpu = self.name.split('-').next().unwrap_or_default();
        cpu.find('+').map_or("", |at| &cpu[at..])
    }

    /// The port that serves it.
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

    /// Whether the conformance program for it can be linked and run.
    pub fn runs(&self) -> bool {
        self.links() && !self.name.starts_with("m68k")
    }
}

const fn stable(name: &'static str, emulator: &'static [&'static str], why: &'static str) -> Target {
    Target { name, emulator, stable: true, flags: &[], linker: None, why }
}

const fn nightly(name: &'static str, emulator: &'static [&'static str], why: &'static str) -> Target {
    Target { name, emulator, stable: false, flags: &[], linker: None, why }
}

/// A target with one more feature of its CPU's, which the kernel does not keep in a call.
const fn variant(
    name: &'static str,
    emulator: &'static [&'static str],
    flags: &'static [&'static str],
    why: &'static str,
) -> Target {
    Target { flags, ..stable(name, emulator, why) }
}

/// A 68020 has the atomics.
const M68K: &[&str] = &["-Ctarget-cpu=M68020"];
const SPARC_LINKER: Option<(&str, &str)> = Some(("binutils-sparc64-linux-gnu", "sparc64-linux-gnu-ld"));

pub const TARGETS: &[Target] = &[
    stable("x86_64-unknown-linux-gnu", &["qemu-x86_64"], "packed event; traps by sc"),
    stable("x86_64-unknown-linux-gnux32", &[], "64-bit registers, 32-bit pointers; only a real kernel runs it"),
    stable("i686-unknown-linux-gnu", &["qemu-i386"], "int 0x80; 12 bytes by nature"),
    stable("aarch64-unknown-linux-gnu", &["qemu-aarch64"], "asm-generic numbers; the trap out of line"),
    variant(
        "aarch64+sve-unknown-linux-gnu",
        &["qemu-aarch64", "-cpu", "max"],
        &["-Ctarget-feature=+sve"],
        "z and p registers, destroyed",
    ),
    stable("aarch64_be-unknown-linux-gnu", &["qemu-aarch64_be"], "big-endian"),
    stable("armv7-unknown-linux-gnueabihf", &["qemu-arm"], "32 bits, u64 aligned to 8"),
    stable("thumbv7neon-unknown-linux-gnueabihf", &["qemu-arm"], "Thumb code, r7 its frame pointer"),
    stable("armv5te-unknown-linux-gnueabi", &["qemu-arm"], "no atomics of its own"),
    stable("armeb-unknown-linux-gnueabi", &["qemu-armeb"], "big-endian, 32 bits"),
    stable("riscv64gc-unknown-linux-gnu", &["qemu-riscv64"], "asm-generic numbers"),
    variant(
        "riscv64gc+v-unknown-linux-gnu",
        &["qemu-riscv64", "-cpu", "rv64,v=true"],
        &["-Ctarget-feature=+v"],
        "vector registers, destroyed",
    ),
    stable("riscv32gc-unknown-linux-gnu", &["qemu-riscv32"], "no 32-bit time at all"),
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
        ..nightly("sparc64-unknown-linux-gnu", &["qemu-sparc64"], "errors in a flag; the trap out of line")
    },
    Target {
        linker: SPARC_LINKER,
        flags: &["-Clink-arg=-melf32_sparc"],
        ..nightly("sparc-unknown-linux-gnu", &["qemu-sparc32plus"], "a V9 CPU's 32-bit mode (v8plus)")
    },
    // The conformance program is too much for LLVM 22, which is this compiler's. It copies registers between a comparison and its
    // branch, and a copy sets the flags that the branch reads (llvm/llvm-project#152816; 23 still does, 24 does not). And of an
    // element of an array on the stack it forgets the index, where there is no offset beside it: `b[i] = x` writes `b[0]` (`SelectARID`
    // takes a frame index before it looks for an index register; 24 still does). So core itself prints no number right.
    Target {
        flags: M68K,
        linker: Some(("binutils-m68k-linux-gnu", "m68k-linux-gnu-ld")),
        ..nightly("m68k-unknown-linux-gnu", &["qemu-m68k"], "runs bare-cat; LLVM miscompiles the larger program")
    },
    Target {
        // core's own source wants this of whoever compiles it for hexagon.
        flags: &["-Zcrate-attr=feature(target_feature_inline_always)", "-Aunused-features"],
        ..nightly(
            "hexagon-unknown-linux-musl",
            &["qemu-hexagon"],
            "32 bits, asm-generic numbers; packets of instructions",
        )
    },
    nightly("csky-unknown-linux-gnuabiv2", &[], "compiles; there is no emulator and no linker"),
];

/// A target's name without its vendor and system, as `x32` or `riscv64gc+v`.
pub fn short(name: &str) -> &str {
    match name.split_once("-unknown") {
        Some((_, rest)) if rest.ends_with("gnux32") => "x32",
        Some((cpu, _)) => cpu,
        None => name,
    }
}

/// The targets whose name starts with one of these; all of them where there is none.
pub fn select(starts: &[String]) -> Result<Vec<&'static Target>, String> {
    for start in starts {
        if !TARGETS.iter().any(|target| target.name.starts_with(start.as_str())) {
            return Err(format!("no target starts with {start:?}: `cargo xtask test --list` says which there are"));
        }
    }
    let wanted =
        |target: &&Target| starts.is_empty() || starts.iter().any(|start| target.name.starts_with(start.as_str()));
    Ok(TARGETS.iter().filter(wanted).collect())
}
