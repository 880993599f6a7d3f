//! Boots Debian's kernels, and kernels from its source, under qemu-system, with the conformance
//! program as `/init`.

use crate::debian::{self, Cache, Suite};
use crate::kit::progress::{Job, Progress};
use crate::kit::shell::{conformance_limit, run_until};
use crate::machines::built::{build, Build};
use crate::machines::conformance::{has_closing_count, Run};
use crate::machines::cpio;
use crate::machines::cross;
use crate::machines::targets;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

/// A board that qemu emulates.
pub struct Board {
    qemu: &'static str,
    arguments: &'static [&'static str],
    /// The kernel command line, without the part that all boards share.
    append: &'static str,
    cpus: &'static str,
    image: Image,
}

/// How the emulator gets the kernel and the initial file system.
enum Image {
    /// The kernel as it is, by `-kernel` and `-initrd`.
    AsPackaged,
    /// The package has a zstd-compressed kernel in an EFI program. The emulator gets the kernel
    /// unpacked.
    Zboot,
    /// The board ignores `-initrd`, so qemu's loader device puts the file system at this address.
    LoadedAt(&'static str),
}

const fn board(qemu: &'static str, arguments: &'static [&'static str], append: &'static str) -> Board {
    Board { qemu, arguments, append, cpus: "2", image: Image::AsPackaged }
}

/// Not the microvm board: Debian's cloud kernels find only one processor there, and nothing with
/// ACPI.
const PC: Board = board("qemu-system-x86_64", &[], "console=ttyS0 syscall.x32=y");
const VIRT_64: Board = board("qemu-system-aarch64", &["-M", "virt", "-cpu", "cortex-a57"], "console=ttyAMA0");
/// The board with SVE and pages of 16 KiB.
const VIRT_MAX: Board = board(
    "qemu-system-aarch64",
    &["-M", "virt", "-cpu", "max,pauth-impdef=on,sve512=on", "-m", "1024"],
    "console=ttyAMA0",
);
const VIRT_32: Board = board("qemu-system-arm", &["-M", "virt", "-cpu", "cortex-a15"], "console=ttyAMA0");
const CCW: Board =
    board("qemu-system-s390x", &["-M", "s390-ccw-virtio", "-cpu", "max", "-m", "1024"], "console=ttysclp0");
const PSERIES: Board = board(
    "qemu-system-ppc64",
    &[
        "-M",
        "pseries,x-vof=on,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken",
        "-cpu",
        "POWER9",
        "-m",
        "1024",
        "-vga",
        "none",
    ],
    "console=hvc0",
);
const VIRT_RISCV: Board =
    board("qemu-system-riscv64", &["-M", "virt", "-cpu", "rv64,v=true,vlen=256"], "console=ttyS0");
const VIRT_LOONG: Board = Board {
    image: Image::Zboot,
    ..board(
        "qemu-system-loongarch64",
        &["-M", "virt", "-cpu", "la464", "-m", "1024"],
        "console=ttyS0 initcall_blacklist=i8042_init",
    )
};
/// With a second processor, the kernels of these boards print nothing.
const MALTA: Board =
    Board { cpus: "1", ..board("qemu-system-mipsel", &["-M", "malta", "-cpu", "24Kf"], "console=ttyS0") };
const MALTA_64: Board =
    Board { cpus: "1", ..board("qemu-system-mips64el", &["-M", "malta", "-cpu", "MIPS64R2-generic"], "console=ttyS0") };
const BOSTON: Board = Board {
    image: Image::LoadedAt("0x8000000"),
    ..board(
        "qemu-system-mips64el",
        &["-M", "boston", "-cpu", "I6400", "-m", "1024"],
        "console=ttyS0 nokaslr rd_start=0xffffffff88000000",
    )
};

/// Without these arguments, qemu wants option ROMs that no package has.
const BARE_MALTA: Board = Board {
    cpus: "1",
    ..board(
        "qemu-system-mips64",
        &["-M", "malta", "-cpu", "MIPS64R2-generic", "-nic", "none", "-vga", "none"],
        "console=ttyS0",
    )
};
const SUN4U: Board = Board {
    cpus: "1",
    ..board("qemu-system-sparc64", &["-M", "sun4u", "-nic", "none", "-vga", "none"], "console=ttyS0")
};

const BARE_PSERIES: Board = board(
    "qemu-system-ppc64",
    &[
        "-M",
        "pseries,x-vof=on,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken",
        "-cpu",
        "POWER8",
        "-nic",
        "none",
        "-vga",
        "none",
    ],
    "console=hvc0",
);
const VIRT_RISCV32: Board = Board { cpus: "1", ..board("qemu-system-riscv32", &["-M", "virt"], "console=ttyS0") };

const VIRT_M68K: Board = Board { cpus: "1", ..board("qemu-system-m68k", &["-M", "virt"], "console=ttyGF0") };

/// A kernel, and the targets whose programs it runs.
pub struct Kernel {
    pub name: &'static str,
    source: Source,
    board: Board,
    /// The page size in bytes, if that is the reason for this kernel.
    pages: Option<&'static str>,
    pub targets: &'static [&'static str],
}

/// Where a kernel comes from.
enum Source {
    Debian {
        suite: Suite,
        arch: &'static str,
        package: &'static str,
    },
    /// No distribution builds it.
    Built(Build),
}

impl Kernel {
    /// How to build it, if no distribution does.
    pub fn build(&self) -> Option<&Build> {
        match &self.source {
            Source::Debian { .. } => None,
            Source::Built(build) => Some(build),
        }
    }

    /// The version of its package, and its image.
    fn image(&self, cache: &Cache) -> Result<(String, PathBuf), String> {
        match &self.source {
            Source::Debian { suite, arch, package } => {
                let package = cache.files(*suite, arch, package, "*/vmlinu*")?;
                let image = package.find("vmlinu")?;
                Ok((package.version, image))
            }
            Source::Built(build) => build
                .image(cache, self.name)?
                .ok_or_else(|| format!("the kernel {0} is not built; run `cargo xtask build-kernels {0}`", self.name)),
        }
    }

    /// Whether the cache has it, or can download it.
    fn is_there(&self, cache: &Cache) -> Result<bool, String> {
        self.build().map_or(Ok(true), |build| Ok(build.image(cache, self.name)?.is_some()))
    }
}

/// The kernels that are to be had without a build, and the names of the others.
pub fn there(cache: &Cache, kernels: &[&'static Kernel]) -> Result<(Vec<&'static Kernel>, Vec<&'static str>), String> {
    let (mut there, mut missing) = (Vec::new(), Vec::new());
    for kernel in kernels {
        if kernel.is_there(cache)? {
            there.push(*kernel);
        } else {
            missing.push(kernel.name);
        }
    }
    Ok((there, missing))
}

const fn kernel(
    name: &'static str,
    suite: &'static str,
    arch: &'static str,
    package: &'static str,
    board: Board,
    targets: &'static [&'static str],
) -> Kernel {
    let source = Source::Debian { suite: Suite(suite), arch, package };
    Kernel { name, source, board, pages: None, targets }
}

const fn built(name: &'static str, build: Build, board: Board, targets: &'static [&'static str]) -> Kernel {
    Kernel { name, source: Source::Built(build), board, pages: None, targets }
}

const fn with_pages(pages: &'static str, kernel: Kernel) -> Kernel {
    Kernel { pages: Some(pages), ..kernel }
}

const X86_64: &str = "x86_64-unknown-linux-gnu";
const X32: &str = "x86_64-unknown-linux-gnux32";
const I686: &str = "i686-unknown-linux-gnu";
const AARCH64: &str = "aarch64-unknown-linux-gnu";
const AARCH64_SVE: &str = "aarch64+sve-unknown-linux-gnu";
const ARMV7: &str = "armv7-unknown-linux-gnueabihf";
const ARMV5: &str = "armv5te-unknown-linux-gnueabi";
const THUMB: &str = "thumbv7neon-unknown-linux-gnueabihf";
const RISCV64: &str = "riscv64gc-unknown-linux-gnu";
const RISCV64_V: &str = "riscv64gc+v-unknown-linux-gnu";
const S390X: &str = "s390x-unknown-linux-gnu";
const PPC64LE: &str = "powerpc64le-unknown-linux-gnu";
const MIPSEL: &str = "mipsel-unknown-linux-gnu";
const MIPS64EL: &str = "mips64el-unknown-linux-gnuabi64";
const MIPS: &str = "mips-unknown-linux-gnu";
const MIPS64: &str = "mips64-unknown-linux-gnuabi64";
const SPARC64: &str = "sparc64-unknown-linux-gnu";
const SPARC: &str = "sparc-unknown-linux-gnu";
const AARCH64_BE: &str = "aarch64_be-unknown-linux-gnu";
const ARMEB: &str = "armeb-unknown-linux-gnueabi";
const PPC: &str = "powerpc-unknown-linux-gnu";
const PPC64_ELFV1: &str = "powerpc64-unknown-linux-gnu";
const PPC64_ELFV2: &str = "powerpc64-unknown-linux-musl";
const RISCV32: &str = "riscv32gc-unknown-linux-gnu";
const M68K: &str = "m68k-unknown-linux-gnu";
const MIPS64R6EL: &str = "mipsisa64r6el-unknown-linux-gnuabi64";

pub const KERNELS: &[Kernel] = &[
    kernel("amd64-5.10", "bullseye", "amd64", "linux-image-5.10.*-cloud-amd64", PC, &[X86_64]),
    kernel("amd64-6.1", "bookworm", "amd64", "linux-image-6.1.*-cloud-amd64", PC, &[X86_64]),
    kernel("amd64-6.12", "trixie", "amd64", "linux-image-6.12.*-cloud-amd64", PC, &[X86_64]),
    kernel("amd64-7", "testing", "amd64", "linux-binary-7.*-amd64", PC, &[X86_64, X32, I686]),
    kernel("amd64-7-rt", "testing", "amd64", "linux-binary-7.*-rt-amd64", PC, &[X86_64]),
    kernel("i386-5.10", "bullseye", "i386", "linux-image-5.10.*-686-pae", PC, &[I686]),
    kernel("i386-6.1", "bookworm", "i386", "linux-image-6.1.*-686-pae", PC, &[I686]),
    kernel("arm64-5.10", "bullseye", "arm64", "linux-image-5.10.*-cloud-arm64", VIRT_64, &[AARCH64]),
    kernel("arm64-6.1", "bookworm", "arm64", "linux-image-6.1.*-cloud-arm64", VIRT_64, &[AARCH64, THUMB]),
    kernel("arm64-6.12", "trixie", "arm64", "linux-image-6.12.*-cloud-arm64", VIRT_64, &[AARCH64]),
    kernel("arm64-7", "testing", "arm64", "linux-binary-7.*-cloud-arm64", VIRT_MAX, &[AARCH64, AARCH64_SVE]),
    kernel("arm64-7-rt", "testing", "arm64", "linux-binary-7.*-rt-arm64", VIRT_64, &[AARCH64]),
    with_pages("16384", kernel("arm64-7-16k", "testing", "arm64", "linux-binary-7.*-arm64-16k", VIRT_MAX, &[AARCH64])),
    kernel("armhf-6.1", "bookworm", "armhf", "linux-image-6.1.*-armmp", VIRT_32, &[ARMV7, ARMV5, THUMB]),
    kernel("armhf-7", "testing", "armhf", "linux-binary-7.*-armmp", VIRT_32, &[ARMV7, ARMV5, THUMB]),
    kernel("s390x-6.1", "bookworm", "s390x", "linux-image-6.1.*-s390x", CCW, &[S390X]),
    kernel("s390x-7", "testing", "s390x", "linux-binary-7.*-s390x", CCW, &[S390X]),
    kernel("ppc64el-6.1", "bookworm", "ppc64el", "linux-image-6.1.*-powerpc64le", PSERIES, &[PPC64LE]),
    kernel("ppc64el-7", "testing", "ppc64el", "linux-binary-7.*-powerpc64le", PSERIES, &[PPC64LE]),
    with_pages(
        "65536",
        kernel("ppc64el-7-64k", "testing", "ppc64el", "linux-binary-7.*-powerpc64le-64k", PSERIES, &[PPC64LE]),
    ),
    kernel("riscv64-7", "testing", "riscv64", "linux-binary-7.*-riscv64", VIRT_RISCV, &[RISCV64, RISCV64_V]),
    kernel(
        "loong64-7",
        "testing",
        "loong64",
        "linux-binary-7.*-loong64",
        VIRT_LOONG,
        &["loongarch64-unknown-linux-gnu"],
    ),
    kernel("mipsel-6.1", "bookworm", "mipsel", "linux-image-6.1.*-4kc-malta", MALTA, &[MIPSEL]),
    kernel("mips64el-6.1", "bookworm", "mips64el", "linux-image-6.1.*-5kc-malta", MALTA_64, &[MIPS64EL, MIPSEL]),
    kernel("mips64r6el-6.12", "bookworm-backports", "mips64el", "linux-image-6.12.*-mips64r6el", BOSTON, &[MIPS64R6EL]),
    built(
        "mips64-6.1",
        build(
            "mips",
            "mips64-linux-gnuabi64",
            "vmlinux",
            &[
                "MIPS_MALTA",
                "CPU_BIG_ENDIAN",
                "CPU_MIPS64_R2",
                "64BIT",
                "MIPS32_O32",
                "MIPS_FP_SUPPORT",
                "PCI",
                "SERIAL_8250",
                "SERIAL_8250_CONSOLE",
            ],
        ),
        BARE_MALTA,
        &[MIPS64, MIPS],
    ),
    built(
        "sparc64-6.1",
        build(
            "sparc",
            "sparc64-linux-gnu",
            "vmlinux",
            &["64BIT", "COMPAT", "PCI", "SERIAL_SUNSU", "SERIAL_SUNSU_CONSOLE"],
        ),
        SUN4U,
        &[SPARC64, SPARC],
    ),
    built(
        "aarch64_be-6.1",
        build(
            "arm64",
            "aarch64-linux-gnu",
            "arch/arm64/boot/Image",
            &["CPU_BIG_ENDIAN", "COMPAT", "SERIAL_AMBA_PL011", "SERIAL_AMBA_PL011_CONSOLE"],
        ),
        VIRT_64,
        &[AARCH64_BE, ARMEB],
    ),
    built(
        "powerpc64-6.1",
        build(
            "powerpc",
            "powerpc64-linux-gnu",
            "vmlinux",
            &[
                "PPC64",
                "PPC_BOOK3S_64",
                "PPC_PSERIES",
                "CPU_BIG_ENDIAN",
                "COMPAT",
                "HVC_CONSOLE",
                "PPC_OF_BOOT_TRAMPOLINE",
                "ALTIVEC",
                "VSX",
            ],
        ),
        BARE_PSERIES,
        &[PPC64_ELFV1, PPC64_ELFV2, PPC],
    ),
    built(
        "riscv32-6.1",
        build(
            "riscv",
            "riscv64-linux-gnu",
            "arch/riscv/boot/Image",
            &[
                "NONPORTABLE",
                "ARCH_RV32I",
                "MMU",
                "FPU",
                "SOC_VIRT",
                "SERIAL_8250",
                "SERIAL_8250_CONSOLE",
                "SERIAL_OF_PLATFORM",
            ],
        ),
        VIRT_RISCV32,
        &[RISCV32],
    ),
    built(
        "m68k-6.1",
        build(
            "m68k",
            "m68k-linux-gnu",
            "vmlinux",
            &["MMU", "M68KCLASSIC", "M68040", "VIRT", "GOLDFISH", "GOLDFISH_TTY"],
        ),
        VIRT_M68K,
        &[M68K],
    ),
];

/// The kernels whose name starts with one of these. If empty, all kernels.
pub fn select(starts: &[String]) -> Result<Vec<&'static Kernel>, String> {
    for start in starts {
        if !KERNELS.iter().any(|kernel| kernel.name.starts_with(start.as_str())) {
            let names: Vec<&str> = KERNELS.iter().map(|kernel| kernel.name).collect();
            return Err(format!("no kernel's name starts with {start:?}; the kernels are {}", names.join(", ")));
        }
    }
    let wanted =
        |kernel: &&Kernel| starts.is_empty() || starts.iter().any(|start| kernel.name.starts_with(start.as_str()));
    Ok(KERNELS.iter().filter(wanted).collect())
}

/// The kernel's name in [`Run::on`], such as `arm64-7-16k`, or `None` for an emulator.
pub fn kernel_name(on: &str) -> Option<&str> {
    on.strip_prefix("Linux ")?.split_once(" (")?.1.strip_suffix(')')
}

/// A row for each board: Debian's architecture or the name of the built kernel, and qemu's
/// arguments.
pub fn boards() -> Vec<Vec<String>> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for Kernel { name, source, board, .. } in KERNELS {
        let kernel = match source {
            Source::Debian { arch, .. } => arch,
            Source::Built(_) => name,
        };
        let code = |text: &str| if text.is_empty() { String::new() } else { format!("`{text}`") };
        let image = match board.image {
            Image::AsPackaged => "",
            Image::Zboot => "; the kernel unpacked from its EFI program",
            Image::LoadedAt(_) => "; the file system by `-device loader`",
        };
        let arguments = code(&board.arguments.join(" ")) + image;
        let row = vec![kernel.to_string(), code(board.qemu), arguments, code(board.append)];
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    rows
}

/// The folder with all boards' emulators and their firmware.
fn emulators(cache: &Cache) -> Result<PathBuf, String> {
    const PACKAGES: [&str; 9] = [
        "qemu-system-x86",
        "qemu-system-arm",
        "qemu-system-mips",
        "qemu-system-misc",
        "qemu-system-ppc",
        "qemu-system-riscv",
        "qemu-system-s390x",
        "qemu-system-sparc",
        "opensbi",
    ];
    cache.closure(Suite("testing"), debian::host(), &PACKAGES, &[])
}

impl Board {
    /// The emulator with a packaged kernel and an initial file system. `folder` gets the files that
    /// it reads.
    fn emulator(&self, emulators: &Path, packaged: &Path, archive: &[u8], folder: &Path) -> Result<Command, String> {
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            fs::write(&path, bytes).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
            Ok::<PathBuf, String>(path)
        };
        let initrd = write("initrd", archive)?;
        let mut append = format!("{} panic=-1 rdinit=/init loglevel=4", self.append);
        let mut qemu = Command::new(emulators.join("usr/bin").join(self.qemu));
        for firmware in ["usr/share/qemu", "usr/share/seabios", "usr/lib/ipxe/qemu"] {
            qemu.arg("-L").arg(emulators.join(firmware));
        }
        qemu.args(["-nographic", "-no-reboot", "-smp", self.cpus, "-m", "512"]).args(self.arguments);
        match &self.image {
            Image::AsPackaged => qemu.arg("-kernel").arg(packaged).arg("-initrd").arg(initrd),
            Image::Zboot => {
                qemu.arg("-kernel").arg(write("vmlinux", &unzboot(&read(packaged)?)?)?).arg("-initrd").arg(initrd)
            }
            Image::LoadedAt(address) => {
                append += &format!(" rd_size={}", archive.len());
                let device = format!("loader,file={},addr={address},force-raw=on", initrd.display());
                qemu.arg("-kernel").arg(packaged).args(["-device", &device])
            }
        };
        qemu.args(["-append", &append]);
        Ok(qemu)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// A kernel with a network device, whose first process is a server.
pub struct Networked {
    /// The kernel's name in [`KERNELS`].
    pub kernel: &'static str,
    pub target: &'static str,
    /// The modules that the device needs, each after those that it depends on.
    modules: &'static [&'static str],
    device: &'static str,
}

pub const NETWORKED: [Networked; 2] = [
    Networked {
        kernel: "arm64-6.1",
        target: AARCH64,
        modules: &["virtio", "virtio_ring", "virtio_mmio", "failover", "net_failover", "virtio_net"],
        device: "virtio-net-device",
    },
    Networked {
        kernel: "s390x-6.1",
        target: S390X,
        modules: &["failover", "net_failover", "virtio_net"],
        device: "virtio-net-ccw",
    },
];

impl Networked {
    /// The emulator with this program. This machine's loopback has the program's port 7777 at
    /// `port`.
    pub fn emulator(&self, cache: &Cache, program: &Path, port: u16, folder: &Path) -> Result<Command, String> {
        /// Matches `failover` and `virtio` in a module's name. A pattern has no alternatives.
        const MODULES: &str = "*/[fnv]*[it][il]o*.ko";
        let kernel = KERNELS.iter().find(|kernel| kernel.name == self.kernel);
        let kernel = kernel.ok_or_else(|| format!("there is no kernel {}", self.kernel))?;
        let Source::Debian { suite, arch, package } = kernel.source else {
            return Err(format!("{} has no modules; name a kernel of Debian's", self.kernel));
        };
        let (_, packaged) = kernel.image(cache)?;
        let package = cache.files(suite, arch, package, MODULES)?;
        let module = |name: &&str| read(&package.find(&format!("{name}.ko"))?);
        let modules = self.modules.iter().map(module).collect::<Result<Vec<_>, String>>()?;
        let archive = cpio::with_init(&read(program)?, &modules);
        let mut qemu = kernel.board.emulator(&emulators(cache)?, &packaged, &archive, folder)?;
        qemu.args(["-netdev", &format!("user,id=net,hostfwd=tcp:127.0.0.1:{port}-:7777")]);
        qemu.args(["-device", &format!("{},netdev=net", self.device)]);
        Ok(qemu)
    }
}

/// How many kernels run in parallel.
const PARALLEL_BOOTS: usize = 2;

/// Boots each kernel once for each of its targets.
pub fn run_all(progress: &Progress, cache: &Cache, kernels: &[&'static Kernel]) -> Vec<(String, Result<Run, String>)> {
    let boots = kernels.iter().flat_map(|kernel| kernel.targets.iter().map(move |target| (*kernel, *target)));
    let queue = Mutex::new(boots.enumerate().collect::<Vec<_>>().into_iter());
    let answers = Mutex::new(Vec::new());
    let next = || queue.lock().ok()?.next();
    thread::scope(|scope| {
        for _ in 0..PARALLEL_BOOTS {
            scope.spawn(|| {
                while let Some((place, (kernel, target))) = next() {
                    let name = format!("{} {}", kernel.name, targets::short(target));
                    let job = progress.job(name.clone());
                    let answer = boot(cache, kernel, target, &job);
                    job.done(&answer.as_ref().map_or("FAILED".into(), Run::summary));
                    if let Ok(mut answers) = answers.lock() {
                        answers.push((place, name, answer));
                    }
                }
            });
        }
    });
    let mut answers = answers.into_inner().unwrap_or_default();
    answers.sort_by_key(|(place, _, _)| *place);
    answers.into_iter().map(|(_, name, answer)| (name, answer)).collect()
}

fn boot(cache: &Cache, kernel: &Kernel, target: &str, job: &Job) -> Result<Run, String> {
    job.at("downloading");
    let emulators = emulators(cache)?;
    let (version, packaged) = kernel.image(cache)?;
    job.at("building");
    let target = targets::select(&[target.to_string()])?[0];
    let program = cross::build_bare(cache, target)?;
    let folder = tempfile::tempdir().map_err(|error| format!("cannot create a temporary folder: {error}"))?;
    let board = &kernel.board;
    let mut qemu = board.emulator(&emulators, &packaged, &cpio::with_init(&read(&program)?, &[]), folder.path())?;
    job.at("booting");
    let start = Instant::now();
    // Not every kernel can end its machine. The closing count is the last line of the program.
    let output = run_until(&mut qemu, conformance_limit(), has_closing_count)?;
    let console = output.replace('\r', "");
    let on = format!("Linux {version} ({})", kernel.name);
    let run = Run::read(target.name, &on, &console, start.elapsed().as_secs_f32(), &[]);
    let checked = run.and_then(|run| {
        let pages = kernel.pages.unwrap_or(&run.pages);
        if run.processors == board.cpus && run.pages == pages {
            return Ok(run);
        }
        Err(format!(
            "{on} has {} processors and pages of {} bytes, instead of {} and {pages}",
            run.processors, run.pages, board.cpus
        ))
    });
    checked.map_err(|why| {
        let log = cache.root().join("logs").join(format!("{}-{}.log", kernel.name, target.name));
        let kept = fs::create_dir_all(cache.root().join("logs")).and_then(|()| fs::write(&log, &console));
        match kept {
            Ok(()) => format!("{why}\nThe complete console output is in {}", log.display()),
            Err(_) => why,
        }
    })
}

/// Unpacks the kernel of an EFI zboot image, whose words at bytes 8 and 12 are its offset and size.
fn unzboot(image: &[u8]) -> Result<Vec<u8>, String> {
    let word = |at: usize| Some(u32::from_le_bytes(image.get(at..at + 4)?.try_into().ok()?) as usize);
    let payload = word(8).zip(word(12)).and_then(|(offset, size)| image.get(offset..offset.checked_add(size)?));
    let mut payload = payload.ok_or("the packaged kernel is not an EFI zboot image")?;
    let mut kernel = Vec::new();
    let decoded = ruzstd::decoding::StreamingDecoder::new(&mut payload).map_err(|error| error.to_string()).and_then(
        |mut decoder| std::io::Read::read_to_end(&mut decoder, &mut kernel).map_err(|error| error.to_string()),
    );
    decoded.map_err(|error| format!("cannot unpack the kernel of the zboot image: {error}"))?;
    Ok(kernel)
}
