//! Tests `barepoll-c`, the C library's functions on barepoll:
//!
//! - a list of checks in C, linked with the library in each way
//! - `pthread_cancel` on an older glibc, a newer one and musl
//! - CPython's own tests, systemd's of its event loop and a Redis server under load, with the
//!   library preloaded
//!
//! A build of the library counts its calls.

use crate::debian::{self, Cache, Package, Suite};
use crate::kit::progress::{Job, Progress};
use crate::kit::report;
use crate::kit::shell::{cargo, checks_passed, root, run, run_within, Background};
use crate::programs::with_std;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::mem::size_of;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// All functions that the library exports, in the order of its counters
/// (`barepoll-c/src/count.rs`).
const FUNCTIONS: [&str; 13] = [
    "epoll_create",
    "epoll_create1",
    "epoll_ctl",
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "eventfd",
    "eventfd_read",
    "eventfd_write",
    "signalfd",
    "timerfd_create",
    "timerfd_settime",
    "timerfd_gettime",
];

/// The undefined symbols that it may have: the address of `errno`, and the compiler's memory
/// functions.
const ALLOWED_UNDEFINED: [&str; 6] = ["__errno_location", "memcpy", "memmove", "memset", "memcmp", "bcmp"];

/// The name by which a program linked with the library finds it.
const SONAME: &str = "libbarepoll_c.so";

/// Debian's suites, the glibc of each, and the effect of its `pthread_cancel` on a wait of
/// barepoll's, as in barepoll-c/README.md.
const GLIBCS: [(Suite, &str, &str); 2] =
    [(Suite("bookworm"), "2.36", "undisturbed"), (Suite("trixie"), "2.41", "interrupted")];
/// The effect of musl's `pthread_cancel`.
const ON_MUSL: &str = "interrupted";

const SUITE: Suite = Suite("bookworm");
/// The first suite with a CPython that has timerfd (3.13), and with a systemd whose tests can be
/// chosen by name (254).
const NEWER: Suite = Suite("trixie");
const WARNINGS: [&str; 3] = ["-Wall", "-Wextra", "-Werror"];
/// Only a hang takes this long.
const LIMIT: Duration = Duration::from_secs(600);

type Counts = [usize; FUNCTIONS.len()];

/// A row of the table of results.
struct Row {
    name: String,
    /// How many checks passed.
    passed: usize,
    /// The calls of each function, if the library counted them.
    calls: Option<Counts>,
}

/// Runs all checks and tests, and prints a table. Returns how many passed.
pub fn run_checks(progress: &Progress, cache: &Cache) -> Result<usize, String> {
    let job = progress.job("the C library's functions");
    let answer = check_all(&job, cache);
    let sum = |rows: &[Row]| rows.iter().map(|row| row.passed).sum::<usize>();
    job.done(&answer.as_ref().map_or("FAILED".into(), |rows| format!("{} passed", sum(rows))));
    let rows = answer.map_err(|why| format!("barepoll-c: {why}"))?;
    let passed = sum(&rows);
    let cells = |row: Row| {
        let calls = |index: usize| row.calls.map_or(String::new(), |calls| calls[index].to_string());
        [row.name, row.passed.to_string()].into_iter().chain((0..FUNCTIONS.len()).map(calls)).collect()
    };
    report::print(&[&["checks", "passed"], &FUNCTIONS[..]].concat(), rows.into_iter().map(cells));
    Ok(passed)
}

fn check_all(job: &Job, cache: &Cache) -> Result<Vec<Row>, String> {
    let folder = tempfile::tempdir().map_err(|error| format!("cannot create a temporary folder: {error}"))?;
    let folder = folder.path();

    job.at("building");
    let plain = Library::build(folder, "plain", "release", &[])?;
    let counting = Library::build(folder, "counting", "release", &["--features", "count"])?;
    let unoptimised = Library::build(folder, "unoptimised", "dev", &["--config", "profile.dev.panic='abort'"])?;
    let with_std = Library::build(folder, "dev", "dev", &[])?;
    let mut rows = vec![plain.symbols()?, unoptimised.symbols()?, with_std.loads()?, header()?];
    job.at("getting musl, CPython, systemd and Redis");
    let musl = cache.package(SUITE, debian::host(), "musl-dev")?;
    let python = cache.closure(NEWER, debian::host(), &["python3.13", "libpython3.13-testsuite"], &[])?;
    let systemd = cache.files(NEWER, debian::host(), "systemd-tests", "*/test-event")?;
    let libraries = cache.closure(NEWER, debian::host(), &["libsystemd-shared"], &[])?;
    let redis = cache.closure(SUITE, debian::host(), &["redis-server", "redis-tools"], &["adduser", "lsb-base"])?;
    job.at("the checks in C");
    rows.extend(checks_in_c(folder, [&plain, &counting, &unoptimised], &musl)?);
    rows.push(counting_is_silent(folder, &counting)?);
    job.at("pthread_cancel");
    rows.extend(cancellation(folder, cache, &plain, &musl)?);
    for target in &with_std::TARGETS {
        job.at(&format!("the checks in C for {}", target.name));
        rows.push(checks_elsewhere(folder, cache, target)?);
    }
    job.at("CPython's tests");
    rows.push(cpython(folder, &counting, &python)?);
    job.at("systemd's tests");
    rows.push(sd_event(folder, &counting, &systemd, &libraries)?);
    job.at("Redis under load");
    rows.push(redis_under_load(folder, &counting, &redis)?);
    Ok(rows)
}

// The library.

struct Library {
    name: &'static str,
    /// A path without blanks and colons, because those separate paths in `LD_PRELOAD`.
    folder: PathBuf,
}

impl Library {
    fn build(folder: &Path, name: &'static str, profile: &str, arguments: &[&str]) -> Result<Self, String> {
        let target = root().join("target/drop-in").join(name);
        let mut build = cargo();
        build.args(["build", "--profile", profile, "--locked", "-p", "barepoll-c", "--target-dir"]).arg(&target);
        run(build.args(arguments))?;
        let library = Self { name, folder: folder.join(name) };
        let built = target.join(if profile == "dev" { "debug" } else { profile });
        let copy = |from: &Path, to: PathBuf| fs::copy(built.join(from), to);
        fs::create_dir(&library.folder)
            .and_then(|()| copy(Path::new("libbarepoll_c.so"), library.shared()))
            .and_then(|_| copy(Path::new("libbarepoll_c.a"), library.archive()))
            .map_err(|error| format!("cargo built no {name} library: {error}"))?;
        Ok(library)
    }

    fn shared(&self) -> PathBuf {
        self.folder.join("libbarepoll_c.so")
    }

    fn archive(&self) -> PathBuf {
        self.folder.join("libbarepoll_c.a")
    }

    /// Checks the exported functions, the undefined symbols and the SONAME of the shared library.
    fn symbols(&self) -> Result<Row, String> {
        let listed = run(Command::new("readelf").args(["--dyn-syms", "--wide"]).arg(self.shared()))?;
        let (mut exported, mut missing) = (Vec::new(), Vec::new());
        for line in listed.lines() {
            // Number, value, size, type, binding, visibility, section, name. Undefined weak symbols
            // come from the C compiler's start files.
            let columns: Vec<&str> = line.split_whitespace().collect();
            match columns[..] {
                [_, _, _, _, "GLOBAL", _, "UND", name, ..] => missing.push(name),
                [_, _, _, _, "GLOBAL" | "WEAK", _, section, name, ..] if section != "UND" => exported.push(name),
                _ => {}
            }
        }
        exported.sort_unstable();
        let mut functions = FUNCTIONS;
        functions.sort_unstable();
        if exported != functions {
            return Err(format!("the library exports {}, expected {}", exported.join(", "), functions.join(", ")));
        }
        missing.retain(|name| !ALLOWED_UNDEFINED.contains(name));
        if !missing.is_empty() {
            return Err(format!("the library has the undefined symbols {}", missing.join(", ")));
        }
        let dynamic = run(Command::new("readelf").args(["--dynamic", "--wide"]).arg(self.shared()))?;
        if !dynamic.lines().any(|line| line.contains("(SONAME)") && line.contains(&format!("[{SONAME}]"))) {
            return Err(format!("the library's SONAME is not {SONAME}:\n{dynamic}"));
        }
        Ok(Row { name: format!("symbols of the shared library, {}", self.name), passed: 3, calls: None })
    }

    /// Checks that the shared library loads and that all its undefined symbols are found.
    ///
    /// In a profile that unwinds, the library contains std, and has more undefined symbols.
    fn loads(&self) -> Result<Row, String> {
        let mut program = Command::new("true");
        program.env("LD_PRELOAD", self.shared()).env("LD_BIND_NOW", "1");
        // If a symbol is missing, the program does not start. If the library is missing, ld.so only
        // warns.
        let printed = run(&mut program)?;
        if !printed.is_empty() {
            return Err(format!("the library does not load: {printed}"));
        }
        Ok(Row { name: format!("loading of the shared library, {}", self.name), passed: 1, calls: None })
    }
}

/// The file in which the library counts its calls.
struct Counter(PathBuf);

impl Counter {
    fn new(folder: &Path, name: &str) -> Result<Self, String> {
        let file = folder.join(name).with_extension("count");
        fs::write(&file, [0; size_of::<Counts>()]).map_err(|error| format!("cannot write {name}'s count: {error}"))?;
        Ok(Self(file))
    }

    fn read(&self) -> Result<Counts, String> {
        let bytes = fs::read(&self.0).map_err(|error| format!("cannot read the count: {error}"))?;
        let mut counts = Counts::default();
        for (count, word) in counts.iter_mut().zip(bytes.chunks_exact(size_of::<usize>())) {
            *count = usize::from_ne_bytes(word.try_into().unwrap_or_default());
        }
        Ok(counts)
    }

    /// The counts. Returns an error if one of these functions has fewer calls than its number.
    fn at_least(&self, expected: &[(&str, usize)]) -> Result<Counts, String> {
        let counts = self.read()?;
        for (function, count) in FUNCTIONS.iter().zip(counts) {
            let least = expected.iter().find(|(name, _)| name == function).map_or(0, |(_, least)| *least);
            if count < least {
                let program = self.0.file_stem().unwrap_or_default().to_string_lossy();
                return Err(format!("{program} made {count} calls of {function}, expected at least {least}"));
            }
        }
        Ok(counts)
    }
}

/// Sets `LD_PRELOAD` to the library, and the file that it counts in.
fn preload<'a>(command: &'a mut Command, library: &Library, counter: &Counter) -> &'a mut Command {
    command.env("LD_PRELOAD", library.shared()).env("BAREPOLL_C_COUNT", &counter.0)
}

// The checks in C.

/// Compiles only the header, in old and new versions of C and C++. It does not compile if its
/// declarations differ from the system's.
fn header() -> Result<Row, String> {
    const LANGUAGES: [(&str, &str, &[&str]); 2] =
        [("cc", "c", &["c99", "c11", "gnu17"]), ("c++", "c++", &["c++98", "c++11", "c++20"])];
    let mut passed = 0;
    for (compiler, language, versions) in LANGUAGES {
        for version in versions {
            let mut compile = Command::new(compiler);
            compile.arg(format!("-std={version}")).args(WARNINGS).args(["-pedantic", "-fsyntax-only", "-I"]);
            run(compile.arg(package("include")).args(["-include", "barepoll.h", "-x", language, "/dev/null"]))?;
            passed += 1;
        }
    }
    Ok(Row { name: "barepoll.h in C and C++".into(), passed, calls: None })
}

fn checks_in_c(folder: &Path, libraries: [&Library; 3], musl: &Package) -> Result<Vec<Row>, String> {
    let without = compile(folder, "without", &[])?;
    let on_glibc = checks_passed(&run(Command::new(&without).arg("glibc"))?)
        .map_err(|why| format!("the checks in C on glibc's functions: {why}"))?;
    let mut rows = Vec::new();
    for library in libraries {
        let rpath = format!("-Wl,-rpath,{}", library.folder.display());
        let programs = [
            ("LD_PRELOAD", without.clone()),
            ("linked", compile(folder, "shared", &[library.shared().as_os_str(), rpath.as_ref()])?),
            ("static", compile(folder, "static", &["-static".as_ref(), library.archive().as_os_str()])?),
            ("static, with musl", compile_with_musl(folder, "calls", library, musl)?),
        ];
        for (linking, program) in programs {
            let name = format!("checks in C: {} library, {linking}", library.name);
            let counter = Counter::new(folder, "checks in C")?;
            let mut command = Command::new(program);
            command.env("BAREPOLL_C_COUNT", &counter.0);
            if linking == "LD_PRELOAD" {
                preload(&mut command, library, &counter);
            }
            let output = run_within(&mut command, LIMIT)?;
            let passed = checks_passed(&output).map_err(|why| format!("{name}: {why}"))?;
            if passed != on_glibc {
                return Err(format!("{name}: {passed} checks passed, but {on_glibc} on glibc's functions"));
            }
            let each = FUNCTIONS.map(|name| (name, 1));
            let calls = if library.name == "counting" { Some(counter.at_least(&each)?) } else { None };
            rows.push(Row { name, passed, calls });
        }
    }
    Ok(rows)
}

/// Checks that counting changes nothing else, with a good file, a file that is too short, and no
/// file.
fn counting_is_silent(folder: &Path, library: &Library) -> Result<Row, String> {
    let rpath = format!("-Wl,-rpath,{}", library.folder.display());
    let shared = library.shared();
    let with = [shared.as_os_str(), rpath.as_ref()];
    let program = compile_by(Command::new("cc"), folder, "count", "count", &with)?;
    let (good, short) = (Counter::new(folder, "silent")?, folder.join("short.count"));
    fs::write(&short, "").map_err(|error| format!("cannot write {}: {error}", short.display()))?;
    let mut passed = 0;
    for file in [&good.0, &short, &folder.join("missing.count")] {
        let output = run_within(Command::new(&program).env("BAREPOLL_C_COUNT", file), LIMIT)?;
        passed += checks_passed(&output).map_err(|why| format!("counting in {}: {why}", file.display()))?;
    }
    Ok(Row { name: "errno and O_CLOEXEC of the counting library".into(), passed, calls: None })
}

/// Checks the effect of `pthread_cancel` on a waiting thread, for each C library: with its own
/// functions, and with barepoll's.
fn cancellation(folder: &Path, cache: &Cache, library: &Library, musl: &Package) -> Result<Vec<Row>, String> {
    let program = compile_by(Command::new("cc"), folder, "cancel", "cancel", &[])?;
    let mut commands = Vec::new();
    for (suite, version, expected) in GLIBCS {
        let libc = cache.package(suite, debian::host(), "libc6")?;
        if !libc.version.starts_with(&format!("{version}-")) {
            return Err(format!("the glibc of {} is {}, expected {version}; update GLIBCS", suite.0, libc.version));
        }
        let libraries = libc.find("libc.so.6")?.parent().unwrap_or(&libc.dir).to_path_buf();
        for (owner, expected) in [("glibc's own", "cancelled"), ("barepoll's", expected)] {
            let mut command = Command::new(loader(&libraries)?);
            command.arg("--library-path").arg(&libraries);
            if owner == "barepoll's" {
                command.arg("--preload").arg(library.shared());
            }
            command.arg(&program);
            commands.push((format!("pthread_cancel of glibc {version}, {owner} wait"), command, expected));
        }
    }
    let with_musl = compile_with_musl(folder, "cancel", library, musl)?;
    commands.push(("pthread_cancel of musl, barepoll's wait".into(), Command::new(with_musl), ON_MUSL));
    let run = |(name, mut command, expected): (String, Command, &str)| {
        let output = run_within(command.arg(expected), LIMIT)?;
        let passed = checks_passed(&output).map_err(|why| format!("{name}: {why}"))?;
        Ok(Row { name: format!("{name} is {expected}"), passed, calls: None })
    };
    commands.into_iter().map(run).collect()
}

/// The dynamic loader of a glibc, in the folder of its libraries.
fn loader(libraries: &Path) -> Result<PathBuf, String> {
    let is_loader = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("ld-linux") || name.starts_with("ld64.so")
    };
    let files = fs::read_dir(libraries).map_err(|error| format!("cannot read {}: {error}", libraries.display()))?;
    let found = files.flatten().map(|file| file.path()).find(is_loader);
    found.ok_or_else(|| format!("cannot find a dynamic loader in {}", libraries.display()))
}

fn compile(folder: &Path, name: &str, with: &[&OsStr]) -> Result<PathBuf, String> {
    compile_by(Command::new("cc"), folder, "calls", name, with)
}

/// Compiles a file of `barepoll-c/tests/` into a program with this name.
fn compile_by(mut cc: Command, folder: &Path, source: &str, name: &str, with: &[&OsStr]) -> Result<PathBuf, String> {
    let program = folder.join(name);
    let source = package("tests").join(source).with_extension("c");
    cc.args(["-std=gnu11", "-O1", "-pthread", "-I"]).args([package("include"), source]);
    run(cc.args(WARNINGS).args(with).arg("-o").arg(&program))?;
    Ok(program)
}

/// Compiles a static program without glibc. musl has no `epoll_pwait2`, so the program's is the
/// library's.
fn compile_with_musl(folder: &Path, source: &str, library: &Library, musl: &Package) -> Result<PathBuf, String> {
    let libc = musl.find("libc.a")?;
    let parts = libc.parent().unwrap_or(&musl.dir);
    let headers = musl.dir.join("usr/include").join(parts.file_name().unwrap_or_default());
    let mut with: Vec<OsString> = ["-static", "-nostdlib", "-nostdinc", "-isystem"].map(OsString::from).into();
    with.push(headers.into());
    with.extend(["crt1.o", "crti.o"].map(|part| parts.join(part).into()));
    with.extend([library.archive().into(), libc.clone().into(), "-lgcc".into(), parts.join("crtn.o").into()]);
    let with: Vec<_> = with.iter().map(OsString::as_os_str).collect();
    compile_by(Command::new("cc"), folder, source, &format!("{source}-musl"), &with)
}

/// Runs the checks as a static program for another machine, with its glibc.
fn checks_elsewhere(folder: &Path, cache: &Cache, target: &with_std::Target) -> Result<Row, String> {
    let build = ["build", "--release", "-p", "barepoll-c", "-Zbuild-std=core"];
    run(&mut with_std::cargo(cache, target, &build)?)?;
    let archive = with_std::target_dir(cache).join(target.name).join("release/libbarepoll_c.a");
    // This machine's kernel runs i686 programs. Emulators have no `epoll_pwait2` for 32 bits, or a
    // wrong one.
    let native = target.name.starts_with("i686") && cfg!(target_arch = "x86_64");
    const WIDE: [&str; 2] = ["-D_TIME_BITS=64", "-D_FILE_OFFSET_BITS=64"];
    const TIMES: [&[&str]; 3] = [&[], &WIDE, &[WIDE[0], WIDE[1], "-DLIKE_GLIBC_2_34"]];
    let times = if native { &TIMES[..] } else { &TIMES[..1] };
    let name = format!("checks in C: {}{}", target.name, if native { ", time_t of 32 and 64 bits" } else { "" });
    let mut sum = 0;
    for time in times {
        let mut gcc = with_std::gcc(cache, target)?;
        gcc.args(*time);
        let program = compile_by(gcc, folder, "calls", target.name, &["-static".as_ref(), archive.as_os_str()])?;
        let mut command = Command::new(if native { program.clone() } else { with_std::emulator(cache, target)? });
        if !native {
            command.arg(&program);
        }
        sum += checks_passed(&run_within(&mut command, LIMIT)?).map_err(|why| format!("{name}: {why}"))?;
    }
    Ok(Row { name, passed: sum, calls: None })
}

/// The path of a file or folder of barepoll-c.
fn package(path: &str) -> PathBuf {
    root().join("barepoll-c").join(path)
}

// CPython.

/// Test modules, each with the classes that must not be missing. The two run at the same time,
/// because they mostly sleep.
const CPYTHON: [(&[&str], &[&str]); 2] = [
    (
        &["test.test_epoll", "test.test_selectors"],
        &["test_epoll.TestEPoll", "test_selectors.EpollSelectorTestCase", "test_selectors.DefaultSelectorTestCase"],
    ),
    (&["test.test_os.TimerfdTests"], &["test_os.TimerfdTests"]),
];

fn cpython(folder: &Path, library: &Library, closure: &Path) -> Result<Row, String> {
    let counter = Counter::new(folder, "CPython")?;
    let run = |(tests, classes): (&[&str], &[&str])| {
        let mut python = Command::new(closure.join("usr/bin/python3.13"));
        python.args(["-m", "unittest", "-v"]).args(tests).current_dir(folder);
        python.env("PYTHONHOME", closure.join("usr")).env("PYTHONDONTWRITEBYTECODE", "1").env_remove("PYTHONPATH");
        unittests(preload(&mut python, library, &counter), classes)
    };
    let passed = thread::scope(|scope| {
        let each = CPYTHON.map(|tests| scope.spawn(move || run(tests)));
        let panicked = |_| Err("the thread that ran CPython's tests panicked".into());
        each.map(|thread| thread.join().unwrap_or_else(panicked)).into_iter().sum::<Result<usize, String>>()
    })?;
    // select.epoll calls these functions, and a selector calls each many times.
    let epoll = [("epoll_create1", 20), ("epoll_ctl", 100), ("epoll_wait", 20)];
    // Each test of timerfd makes a timer. Most set it, and some look at it.
    let timerfd = [("timerfd_create", 10), ("timerfd_settime", 10), ("timerfd_gettime", 4)];
    let calls = counter.at_least(&[&epoll[..], &timerfd].concat())?;
    Ok(Row { name: "CPython's tests of epoll, selectors and timerfd".into(), passed, calls: Some(calls) })
}

/// How many tests of unittest passed.
///
/// Some tests fail if a wait is 10 ms late, as on a busy machine. So it is enough that each test
/// passes in one of the runs.
fn unittests(python: &mut Command, classes: &[&str]) -> Result<usize, String> {
    const RUNS: usize = 10;
    let (mut output, mut all_passed) = (String::new(), BTreeSet::new());
    let passed = (0..RUNS).find_map(|_| match run_within(python, LIMIT) {
        Ok(text) => {
            output = text;
            passed_unittests(&output, classes, &mut all_passed).map(Ok)
        }
        Err(why) => Some(Err(why)),
    });
    passed.unwrap_or_else(|| Err(format!("CPython's tests failed in each of {RUNS} runs:\n{output}")))
}

/// How many tests of unittest passed, in this run or an earlier one (`all_passed`).
///
/// `None` if this run did not end, if a test was neither passed nor skipped, or if one of these
/// classes is missing.
fn passed_unittests(output: &str, classes: &[&str], all_passed: &mut BTreeSet<String>) -> Option<usize> {
    all_passed.extend(output.lines().filter_map(|line| Some(line.strip_suffix(" ... ok")?.to_string())));
    let ok: Vec<&str> = all_passed.iter().map(String::as_str).collect();
    let skipped: Vec<&str> = output.lines().filter(|line| line.contains(" ... skipped ")).collect();
    let ran = output.lines().find_map(|line| line.strip_prefix("Ran ")?.split(' ').next()?.parse::<usize>().ok())?;
    let last = output.lines().rev().find(|line| !line.is_empty() && !line.starts_with('['))?;
    let closed = ["OK", "FAILED ("].iter().any(|start| last.starts_with(start));
    let any = |lines: &[&str], class: &str| lines.iter().any(|line| line.contains(class));
    let whole = classes.iter().all(|class| any(&ok, class) && !any(&skipped, class));
    (closed && whole && ok.len() + skipped.len() == ran).then_some(ok.len())
}

// systemd.

/// The tests of sd-event, systemd's event loop, that are quick and need no exact time. Its signals
/// come from a signalfd, and its times from a timerfd.
const SD_EVENT: [&str; 4] = ["test_sd_event_source_set_io_fd", "test_rtqueue", "test_sd_event_now", "test_basic"];

fn sd_event(folder: &Path, library: &Library, systemd: &Package, closure: &Path) -> Result<Row, String> {
    let counter = Counter::new(folder, "sd-event")?;
    let all = fs::read_dir(closure.join("usr/lib")).map_err(|error| format!("cannot list libraries: {error}"))?;
    let mut folders = all.flatten().map(|entry| entry.path());
    let libraries = folders.find(|folder| folder.join("libc.so.6").exists()).ok_or("cannot find systemd's libc")?;
    let mut program = Command::new(loader(&libraries)?);
    program.arg("--library-path").arg(format!("{0}:{0}/systemd", libraries.display()));
    program.arg("--preload").arg(library.shared()).arg(systemd.find("test-event")?);
    program.env("TESTFUNCS", SD_EVENT.join(":")).env("BAREPOLL_C_COUNT", &counter.0);
    let output = run_within(&mut program, LIMIT)?;
    // A failed test aborts. With TESTFUNCS, systemd 257 exits with the number of names in it.
    let number = format!("[the program failed: exit status: {}]", SD_EVENT.len());
    let ended = !output.contains("[the program ") || output.contains(&number);
    let began = |test: &&str| output.contains(&format!("/* {test} */"));
    if !ended || !SD_EVENT.iter().all(began) {
        return Err(format!("systemd's tests of sd-event failed:\n{output}"));
    }
    let calls = counter.at_least(&[("signalfd", 10), ("timerfd_create", 2), ("timerfd_settime", 4)])?;
    Ok(Row { name: "systemd's tests of sd-event".into(), passed: SD_EVENT.len(), calls: Some(calls) })
}

// Redis.

const REQUESTS: usize = 20_000;
const CLIENTS: usize = 50;
/// The commands of the load. Each has its own requests and clients.
const COMMANDS: [&str; 4] = ["set", "get", "incr", "lpush"];

fn redis_under_load(folder: &Path, library: &Library, closure: &Path) -> Result<Row, String> {
    let counter = Counter::new(folder, "Redis")?;
    let (programs, socket) = (closure.join("usr/bin"), folder.join("redis"));
    let mut command = Command::new(programs.join("redis-server"));
    command.args(["--port", "0", "--save", "", "--appendonly", "no", "--dir"]).arg(folder);
    command.arg("--unixsocket").arg(&socket).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut server = Background::start(preload(&mut command, library, &counter))?;
    let ask = |arguments: &[&str]| run(Command::new(programs.join("redis-cli")).arg("-s").arg(&socket).args(arguments));
    let start = Instant::now();
    while !ask(&["PING"]).is_ok_and(|answer| answer.trim() == "PONG") {
        if start.elapsed() > LIMIT || !matches!(server.try_wait(), Ok(None)) {
            return Err("redis-server does not answer".into());
        }
        thread::sleep(Duration::from_millis(20));
    }

    let mut load = Command::new(programs.join("redis-benchmark"));
    load.arg("-s").arg(&socket).args(["-q", "-n", &REQUESTS.to_string(), "-c", &CLIENTS.to_string()]);
    let output = run_within(load.args(["-t", &COMMANDS.join(",")]), LIMIT)?;
    let mut passed = 0;
    let stats = ask(&["INFO", "commandstats"])?;
    for command in COMMANDS {
        let line = stats.lines().find(|line| line.starts_with(&format!("cmdstat_{command}:calls={REQUESTS},")));
        if !line.is_some_and(|line| line.contains("rejected_calls=0,failed_calls=0")) {
            return Err(format!("Redis did not run {command} {REQUESTS} times:\n{output}\n{stats}"));
        }
        passed += 1;
    }
    for question in [["GET", "counter:__rand_int__"], ["LLEN", "mylist"]] {
        let answer = ask(&question)?;
        if answer.trim() != REQUESTS.to_string() {
            return Err(format!("Redis answers {question:?} with {answer}, expected {REQUESTS}"));
        }
        passed += 1;
    }
    // A client has one request in flight, so a wait returns at most one for each client.
    let (waits, clients) = (COMMANDS.len() * REQUESTS / CLIENTS, COMMANDS.len() * CLIENTS);
    let calls = counter.at_least(&[("epoll_create", 1), ("epoll_ctl", clients), ("epoll_wait", waits)])?;
    let name = format!("Redis server, {} requests", COMMANDS.len() * REQUESTS);
    Ok(Row { name, passed, calls: Some(calls) })
}
