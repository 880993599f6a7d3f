//! `barepoll-c`, the C library's functions on barepoll: a list of checks in C, linked with it in each way; what `pthread_cancel` does on
//! an older glibc, a newer one and musl; CPython's own tests and a Redis server under load, which find it by `LD_PRELOAD`. The library
//! counts the calls that reach it.

use crate::debian::{self, Cache, Package, Suite};
use crate::kit::progress::Progress;
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

/// What the library exports, and nothing else; the order is that of its counters (`barepoll-c/src/count.rs`).
const FUNCTIONS: [&str; 9] = [
    "epoll_create",
    "epoll_create1",
    "epoll_ctl",
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "eventfd",
    "eventfd_read",
    "eventfd_write",
];

/// What it may ask of libc: where `errno` is, and what the compiler calls for loops over bytes.
const NEEDED: [&str; 6] = ["__errno_location", "memcpy", "memmove", "memset", "memcmp", "bcmp"];

/// The name by which a program that is linked with it finds it.
const SONAME: &str = "libbarepoll_c.so";

/// Debian's suites, the glibc of each, and what its `pthread_cancel` does to a wait of barepoll's. barepoll-c's README says the same.
const GLIBCS: [(Suite, &str, &str); 2] =
    [(Suite("bookworm"), "2.36", "undisturbed"), (Suite("trixie"), "2.41", "interrupted")];
/// The same of musl's.
const ON_MUSL: &str = "interrupted";

const SUITE: Suite = Suite("bookworm");
const WARNINGS: [&str; 3] = ["-Wall", "-Wextra", "-Werror"];
/// Only a hang takes this long.
const LIMIT: Duration = Duration::from_secs(600);

type Counts = [usize; FUNCTIONS.len()];

/// What was run, how many checks passed, and the calls that arrived, where they were counted.
struct Row {
    what: String,
    passed: usize,
    calls: Option<Counts>,
}

/// Runs all of it, shows which calls arrived, and gives how many checks and tests passed.
pub fn run_checks(progress: &Progress, cache: &Cache) -> Result<usize, String> {
    let job = progress.job("the C library's functions");
    let answer = all(cache, |what| job.at(what));
    let sum = |rows: &[Row]| rows.iter().map(|row| row.passed).sum::<usize>();
    job.done(&answer.as_ref().map_or("FAILED".into(), |rows| format!("{} passed", sum(rows))));
    let rows = answer.map_err(|why| format!("barepoll-c: {why}"))?;
    let passed = sum(&rows);
    let cells = |row: Row| {
        let calls = |at: usize| row.calls.map_or(String::new(), |calls| calls[at].to_string());
        [row.what, row.passed.to_string()].into_iter().chain((0..FUNCTIONS.len()).map(calls)).collect()
    };
    report::print(&[&["what", "passed"], &FUNCTIONS[..]].concat(), rows.into_iter().map(cells));
    Ok(passed)
}

fn all(cache: &Cache, at: impl Fn(&str)) -> Result<Vec<Row>, String> {
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let folder = folder.path();

    at("building");
    let plain = Library::build(folder, "plain", "release", &[])?;
    let counting = Library::build(folder, "counting", "release", &["--features", "count"])?;
    let unoptimised = Library::build(folder, "unoptimised", "dev", &["--config", "profile.dev.panic='abort'"])?;
    let with_std = Library::build(folder, "dev", "dev", &[])?;
    let mut rows = vec![plain.symbols()?, unoptimised.symbols()?, with_std.loads()?, header()?];
    at("getting musl, CPython and Redis");
    let musl = cache.package(SUITE, debian::host(), "musl-dev")?;
    let python = cache.closure(SUITE, debian::host(), &["python3.11", "libpython3.11-testsuite"], &[])?;
    let redis = cache.closure(SUITE, debian::host(), &["redis-server", "redis-tools"], &["adduser", "lsb-base"])?;
    at("the checks in C");
    rows.extend(checks_in_c(folder, [&plain, &counting, &unoptimised], &musl)?);
    rows.push(counting_is_silent(folder, &counting)?);
    at("pthread_cancel");
    rows.extend(cancellation(folder, cache, &plain, &musl)?);
    for target in &with_std::TARGETS {
        at(&format!("the checks in C for {}", target.name));
        rows.push(checks_elsewhere(folder, cache, target)?);
    }
    at("CPython's tests");
    rows.push(cpython(folder, &counting, &python)?);
    at("Redis under load");
    rows.push(redis_under_load(folder, &counting, &redis)?);
    Ok(rows)
}

// The library.

struct Library {
    name: &'static str,
    /// A path without blanks and colons, which would end it in `LD_PRELOAD`.
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

    /// It exports the functions, asks for no more than it may, and has its name.
    fn symbols(&self) -> Result<Row, String> {
        let listed = run(Command::new("readelf").args(["--dyn-syms", "--wide"]).arg(self.shared()))?;
        let (mut exported, mut missing) = (Vec::new(), Vec::new());
        for line in listed.lines() {
            // Number, value, size, type, binding, visibility, section, name. What is weak is the C compiler's start files'.
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
            return Err(format!("it exports {}, and not {}", exported.join(", "), functions.join(", ")));
        }
        missing.retain(|name| !NEEDED.contains(name));
        if !missing.is_empty() {
            return Err(format!("it needs {} of somebody", missing.join(", ")));
        }
        let dynamic = run(Command::new("readelf").args(["--dynamic", "--wide"]).arg(self.shared()))?;
        if !dynamic.lines().any(|line| line.contains("(SONAME)") && line.contains(&format!("[{SONAME}]"))) {
            return Err(format!("its SONAME is not {SONAME}:\n{dynamic}"));
        }
        Ok(Row { what: format!("symbols of the shared library, {}", self.name), passed: 3, calls: None })
    }

    /// It is loaded, and each symbol that it needs is found. In a profile that unwinds it has std in it, and so needs more than others.
    fn loads(&self) -> Result<Row, String> {
        let mut program = Command::new("true");
        program.env("LD_PRELOAD", self.shared()).env("LD_BIND_NOW", "1");
        // Where one is missing, the program does not begin; where the library is, ld.so says so and goes on.
        match run(&mut program)? {
            said if said.is_empty() => {}
            said => return Err(format!("it cannot be loaded: {said}")),
        }
        Ok(Row { what: format!("the shared library is loaded, {}", self.name), passed: 1, calls: None })
    }
}

/// The calls that reach a library, counted in a file.
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

    /// The counts, of which these functions' must be this high.
    fn at_least(&self, expected: &[(&str, usize)]) -> Result<Counts, String> {
        let counts = self.read()?;
        for (function, count) in FUNCTIONS.iter().zip(counts) {
            let least = expected.iter().find(|(name, _)| name == function).map_or(0, |(_, least)| *least);
            if count < least {
                let who = self.0.file_stem().unwrap_or_default().to_string_lossy();
                return Err(format!("{who}: {count} calls of {function} arrived, and not {least} or more"));
            }
        }
        Ok(counts)
    }
}

/// Has a program find the library before libc, and count in this file.
fn preload<'a>(command: &'a mut Command, library: &Library, counter: &Counter) -> &'a mut Command {
    command.env("LD_PRELOAD", library.shared()).env("BAREPOLL_C_COUNT", &counter.0)
}

// The checks in C.

/// The header by itself, in C and C++ of all ages: its declarations are the system's, or it does not compile.
fn header() -> Result<Row, String> {
    const LANGUAGES: [(&str, &str, &[&str]); 2] =
        [("cc", "c", &["c99", "c11", "gnu17"]), ("c++", "c++", &["c++98", "c++11", "c++20"])];
    let mut passed = 0;
    for (compiler, language, ages) in LANGUAGES {
        for age in ages {
            let mut compile = Command::new(compiler);
            compile.arg(format!("-std={age}")).args(WARNINGS).args(["-pedantic", "-fsyntax-only", "-I"]);
            run(compile.arg(package("include")).args(["-include", "barepoll.h", "-x", language, "/dev/null"]))?;
            passed += 1;
        }
    }
    Ok(Row { what: "barepoll.h in C and C++".into(), passed, calls: None })
}

fn checks_in_c(folder: &Path, libraries: [&Library; 3], musl: &Package) -> Result<Vec<Row>, String> {
    let without = compile(folder, "without", &[])?;
    let list =
        checks_passed(&run(Command::new(&without).arg("glibc"))?).map_err(|why| format!("glibc fails: {why}"))?;
    let mut rows = Vec::new();
    for library in libraries {
        let rpath = format!("-Wl,-rpath,{}", library.folder.display());
        let ways = [
            ("LD_PRELOAD", without.clone()),
            ("linked", compile(folder, "shared", &[library.shared().as_os_str(), rpath.as_ref()])?),
            ("static", compile(folder, "static", &["-static".as_ref(), library.archive().as_os_str()])?),
            ("static, with musl", compile_with_musl(folder, "calls", library, musl)?),
        ];
        for (way, program) in ways {
            let what = format!("checks in C: {} library, {way}", library.name);
            let counter = Counter::new(folder, "checks in C")?;
            let mut command = Command::new(program);
            command.env("BAREPOLL_C_COUNT", &counter.0);
            if way == "LD_PRELOAD" {
                preload(&mut command, library, &counter);
            }
            let output = run_within(&mut command, LIMIT)?;
            let passed = checks_passed(&output).map_err(|why| format!("{what}: {why}"))?;
            if passed != list {
                return Err(format!("{what}: {passed} checks, and {list} on glibc"));
            }
            let each = FUNCTIONS.map(|name| (name, 1));
            let calls = if library.name == "counting" { Some(counter.at_least(&each)?) } else { None };
            rows.push(Row { what, passed, calls });
        }
    }
    Ok(rows)
}

/// A program with the counting library, whose file is there, is too short, or is not there.
fn counting_is_silent(folder: &Path, library: &Library) -> Result<Row, String> {
    let rpath = format!("-Wl,-rpath,{}", library.folder.display());
    let shared = library.shared();
    let with = [shared.as_os_str(), rpath.as_ref()];
    let program = compile_by(Command::new("cc"), folder, "count", "count", &with)?;
    let (there, short) = (Counter::new(folder, "silent")?, folder.join("short.count"));
    fs::write(&short, "").map_err(|error| format!("cannot write {}: {error}", short.display()))?;
    let mut passed = 0;
    for file in [&there.0, &short, &folder.join("missing.count")] {
        let output = run_within(Command::new(&program).env("BAREPOLL_C_COUNT", file), LIMIT)?;
        passed += checks_passed(&output).map_err(|why| format!("counting in {}: {why}", file.display()))?;
    }
    Ok(Row { what: "errno and O_CLOEXEC of the counting library".into(), passed, calls: None })
}

/// What `pthread_cancel` does to a thread that waits, on each C library: by its own functions, and by these.
fn cancellation(folder: &Path, cache: &Cache, library: &Library, musl: &Package) -> Result<Vec<Row>, String> {
    let program = compile_by(Command::new("cc"), folder, "cancel", "cancel", &[])?;
    let mut commands = Vec::new();
    for (suite, version, expected) in GLIBCS {
        let libc = cache.package(suite, debian::host(), "libc6")?;
        if !libc.version.starts_with(&format!("{version}-")) {
            return Err(format!("the glibc of {} is {}, and the check is for {version}", suite.0, libc.version));
        }
        let libraries = libc.find("libc.so.6")?.parent().unwrap_or(&libc.dir).to_path_buf();
        for (whose, expected) in [("glibc's own", "cancelled"), ("barepoll's", expected)] {
            let mut command = Command::new(loader(&libraries)?);
            command.arg("--library-path").arg(&libraries);
            if whose == "barepoll's" {
                command.arg("--preload").arg(library.shared());
            }
            command.arg(&program);
            commands.push((format!("pthread_cancel of glibc {version}, {whose} wait"), command, expected));
        }
    }
    let with_musl = compile_with_musl(folder, "cancel", library, musl)?;
    commands.push(("pthread_cancel of musl, barepoll's wait".into(), Command::new(with_musl), ON_MUSL));
    let run = |(what, mut command, expected): (String, Command, &str)| {
        let output = run_within(command.arg(expected), LIMIT)?;
        let passed = checks_passed(&output).map_err(|why| format!("{what}: {why}"))?;
        Ok(Row { what: format!("{what} is {expected}"), passed, calls: None })
    };
    commands.into_iter().map(run).collect()
}

/// A glibc's program loader, in the folder of its libraries.
fn loader(libraries: &Path) -> Result<PathBuf, String> {
    let is_loader = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("ld-linux") || name.starts_with("ld64.so")
    };
    let files = fs::read_dir(libraries).map_err(|error| format!("cannot read {}: {error}", libraries.display()))?;
    let found = files.flatten().map(|file| file.path()).find(is_loader);
    found.ok_or_else(|| format!("there is no program loader in {}", libraries.display()))
}

fn compile(folder: &Path, name: &str, with: &[&OsStr]) -> Result<PathBuf, String> {
    compile_by(Command::new("cc"), folder, "calls", name, with)
}

/// Compiles a file of `tests/` into a program with this name.
fn compile_by(mut cc: Command, folder: &Path, source: &str, name: &str, with: &[&OsStr]) -> Result<PathBuf, String> {
    let program = folder.join(name);
    let source = package("tests").join(source).with_extension("c");
    cc.args(["-std=gnu11", "-O1", "-pthread", "-I"]).args([package("include"), source]);
    run(cc.args(WARNINGS).args(with).arg("-o").arg(&program))?;
    Ok(program)
}

/// A static program, with nothing of glibc's: musl has no `epoll_pwait2`, so that only the library's can be in it.
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

/// The checks as a static program for another machine, with its glibc.
fn checks_elsewhere(folder: &Path, cache: &Cache, target: &with_std::Target) -> Result<Row, String> {
    let build = ["build", "--release", "-p", "barepoll-c", "-Zbuild-std=core"];
    run(&mut with_std::cargo(cache, target, &build)?)?;
    let archive = with_std::target_dir(cache).join(target.name).join("release/libbarepoll_c.a");
    // This machine's kernel runs them by itself, `epoll_pwait2` too, which emulators have not for 32 bits, or a wrong one.
    let native = target.name.starts_with("i686") && cfg!(target_arch = "x86_64");
    let wide_times: &[bool] = if native { &[false, true] } else { &[false] };
    let what = format!("checks in C: {}{}", target.name, if native { ", time_t of 32 and 64 bits" } else { "" });
    let mut sum = 0;
    for wide in wide_times {
        let mut gcc = with_std::gcc(cache, target)?;
        if *wide {
            gcc.args(["-D_TIME_BITS=64", "-D_FILE_OFFSET_BITS=64"]);
        }
        let program = compile_by(gcc, folder, "calls", target.name, &["-static".as_ref(), archive.as_os_str()])?;
        let mut command = Command::new(if native { program.clone() } else { with_std::emulator(cache, target)? });
        if !native {
            command.arg(&program);
        }
        sum += checks_passed(&run_within(&mut command, LIMIT)?).map_err(|why| format!("{what}: {why}"))?;
    }
    Ok(Row { what, passed: sum, calls: None })
}

/// A folder or file of the package.
fn package(path: &str) -> PathBuf {
    root().join("barepoll-c").join(path)
}

// CPython.

fn cpython(folder: &Path, library: &Library, closure: &Path) -> Result<Row, String> {
    let counter = Counter::new(folder, "CPython")?;
    let mut python = Command::new(closure.join("usr/bin/python3.11"));
    python.args(["-m", "unittest", "-v", "test.test_epoll", "test.test_selectors"]).current_dir(folder);
    python.env("PYTHONHOME", closure.join("usr")).env("PYTHONDONTWRITEBYTECODE", "1").env_remove("PYTHONPATH");
    preload(&mut python, library, &counter);
    // Some of them are content with no wait that is late by 10 ms, and a busy machine fails those. Each must pass in one of the runs.
    const RUNS: usize = 10;
    let (mut output, mut ever) = (String::new(), BTreeSet::new());
    let passed = (0..RUNS).find_map(|_| match run_within(&mut python, LIMIT) {
        Ok(text) => {
            output = text;
            passed_unittests(&output, &mut ever).map(Ok)
        }
        Err(why) => Some(Err(why)),
    });
    let passed = passed.unwrap_or_else(|| Err(format!("CPython's tests failed in each of {RUNS} runs:\n{output}")))?;
    // select.epoll calls these; a selector, each many times.
    let calls = counter.at_least(&[("epoll_create1", 20), ("epoll_ctl", 100), ("epoll_wait", 20)])?;
    Ok(Row { what: "CPython's test_epoll and test_selectors".into(), passed, calls: Some(calls) })
}

/// How many tests of unittest's passed, in this run or in one before (`ever`), if it came to its end, those are all that were not skipped,
/// and those about epoll are among them.
fn passed_unittests(output: &str, ever: &mut BTreeSet<String>) -> Option<usize> {
    const EPOLL: [&str; 3] =
        ["test_epoll.TestEPoll", "test_selectors.EpollSelectorTestCase", "test_selectors.DefaultSelectorTestCase"];
    ever.extend(output.lines().filter_map(|line| Some(line.strip_suffix(" ... ok")?.to_string())));
    let ok: Vec<&str> = ever.iter().map(String::as_str).collect();
    let skipped: Vec<&str> = output.lines().filter(|line| line.contains(" ... skipped ")).collect();
    let ran = output.lines().find_map(|line| line.strip_prefix("Ran ")?.split(' ').next()?.parse::<usize>().ok())?;
    let last = output.lines().rev().find(|line| !line.is_empty() && !line.starts_with('['))?;
    let closed = ["OK", "FAILED ("].iter().any(|start| last.starts_with(start));
    let any = |lines: &[&str], class: &str| lines.iter().any(|line| line.contains(class));
    let whole = EPOLL.iter().all(|class| any(&ok, class) && !any(&skipped, class));
    (closed && whole && ok.len() + skipped.len() == ran).then_some(ok.len())
}

// Redis.

const REQUESTS: usize = 20_000;
const CLIENTS: usize = 50;
/// Commands of the load, each with its requests and its clients.
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
            return Err(format!("Redis did not do {REQUESTS} times {command}:\n{output}\n{stats}"));
        }
        passed += 1;
    }
    for question in [["GET", "counter:__rand_int__"], ["LLEN", "mylist"]] {
        let answer = ask(&question)?;
        if answer.trim() != REQUESTS.to_string() {
            return Err(format!("after {REQUESTS} requests, Redis answers {question:?} with {answer}"));
        }
        passed += 1;
    }
    // A client has one request out, so a wait brings no more than one a client; and each command has its own clients.
    let (waits, clients) = (COMMANDS.len() * REQUESTS / CLIENTS, COMMANDS.len() * CLIENTS);
    let calls = counter.at_least(&[("epoll_create", 1), ("epoll_ctl", clients), ("epoll_wait", waits)])?;
    let what = format!("Redis server, {} requests", COMMANDS.len() * REQUESTS);
    Ok(Row { what, passed, calls: Some(calls) })
}
