//! Writes `tests/data/uapi.json`, the facts of every ABI from the kernel's headers.

use super::headers::Tools;
use crate::kit::file;
use crate::kit::shell::{capture, root};
use serde_json::{json, Map, Value};
use std::fs;
use std::path::PathBuf;

/// The system calls of the file. To add one, add its name here and run
/// `cargo xtask headers --write`.
const CALLS: &[&str] = &[
    "clock_gettime",
    "clock_gettime64",
    "clone3",
    "close",
    "dup",
    "dup3",
    "epoll_create",
    "epoll_create1",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "eventfd",
    "eventfd2",
    "exit_group",
    "fcntl",
    "fcntl64",
    "getpid",
    "gettid",
    "io_uring_enter",
    "io_uring_setup",
    "ioctl",
    "kill",
    "mmap",
    "mmap2",
    "munmap",
    "pidfd_open",
    "pidfd_send_signal",
    "pipe2",
    "prlimit64",
    "read",
    "reboot",
    "rt_sigaction",
    "rt_sigprocmask",
    "signalfd4",
    "socketpair",
    "tgkill",
    "timerfd_create",
    "timerfd_gettime",
    "timerfd_gettime64",
    "timerfd_settime",
    "timerfd_settime64",
    "waitid",
    "write",
];

const CONSTANTS: &[&str] = &[
    "CLD_DUMPED",
    "CLD_EXITED",
    "CLD_KILLED",
    "CLOCK_BOOTTIME",
    "CLOCK_BOOTTIME_ALARM",
    "CLOCK_MONOTONIC",
    "CLOCK_REALTIME",
    "CLOCK_REALTIME_ALARM",
    "EFD_CLOEXEC",
    "EFD_NONBLOCK",
    "EFD_SEMAPHORE",
    "EPIOCGPARAMS",
    "EPIOCSPARAMS",
    "EPOLLERR",
    "EPOLLET",
    "EPOLLEXCLUSIVE",
    "EPOLLHUP",
    "EPOLLIN",
    "EPOLLMSG",
    "EPOLLNVAL",
    "EPOLLONESHOT",
    "EPOLLOUT",
    "EPOLLPRI",
    "EPOLLRDBAND",
    "EPOLLRDHUP",
    "EPOLLRDNORM",
    "EPOLLWAKEUP",
    "EPOLLWRBAND",
    "EPOLLWRNORM",
    "EPOLL_CLOEXEC",
    "EPOLL_CTL_ADD",
    "EPOLL_CTL_DEL",
    "EPOLL_CTL_MOD",
    "EPOLL_URING_WAKE",
    "O_CLOEXEC",
    "O_NONBLOCK",
    "PIDFD_NONBLOCK",
    "P_ALL",
    "P_PID",
    "P_PIDFD",
    "SFD_CLOEXEC",
    "SFD_NONBLOCK",
    "SIGABRT",
    "SIGALRM",
    "SIGBUS",
    "SIGCHLD",
    "SIGCONT",
    "SIGFPE",
    "SIGHUP",
    "SIGILL",
    "SIGINT",
    "SIGIO",
    "SIGKILL",
    "SIGPIPE",
    "SIGPROF",
    "SIGPWR",
    "SIGQUIT",
    "SIGSEGV",
    "SIGSTOP",
    "SIGSYS",
    "SIGTERM",
    "SIGTRAP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGUSR1",
    "SIGUSR2",
    "SIGVTALRM",
    "SIGWINCH",
    "SIGXCPU",
    "SIGXFSZ",
    "SIG_BLOCK",
    "SIG_SETMASK",
    "SIG_UNBLOCK",
    "TFD_CLOEXEC",
    "TFD_NONBLOCK",
    "TFD_TIMER_ABSTIME",
    "TFD_TIMER_CANCEL_ON_SET",
    "WEXITED",
    "WNOHANG",
    "WNOWAIT",
];

const ERRNOS: &[&str] = &[
    "EACCES",
    "EAGAIN",
    "EBADF",
    "ECANCELED",
    "ECHILD",
    "EDQUOT",
    "EEXIST",
    "EFAULT",
    "EINTR",
    "EINVAL",
    "EIO",
    "ELOOP",
    "EMFILE",
    "ENFILE",
    "ENOBUFS",
    "ENODEV",
    "ENOENT",
    "ENOMEM",
    "ENOSPC",
    "ENOSYS",
    "ENOTTY",
    "EOPNOTSUPP",
    "EOVERFLOW",
    "EPERM",
    "EPIPE",
    "ESRCH",
    "ETIMEDOUT",
];

const LAYOUT: &[(&str, &str)] = &[
    ("alignof_epoll_event", "_Alignof(struct epoll_event)"),
    ("alignof_u64", "_Alignof(__u64)"),
    ("kernel_sigset_bytes", "KERNEL_SIGSET_BYTES"),
    ("offset_data", "__builtin_offsetof(struct epoll_event, data)"),
    ("offset_it_value", "__builtin_offsetof(struct __kernel_itimerspec, it_value)"),
    ("offset_si_code", "__builtin_offsetof(siginfo_t, si_code)"),
    ("offset_si_pid", "__builtin_offsetof(siginfo_t, si_pid)"),
    ("offset_si_status", "__builtin_offsetof(siginfo_t, si_status)"),
    ("sizeof_epoll_event", "sizeof(struct epoll_event)"),
    ("sizeof_epoll_params", "sizeof(struct epoll_params)"),
    ("sizeof_kernel_itimerspec", "sizeof(struct __kernel_itimerspec)"),
    ("sizeof_kernel_timespec", "sizeof(struct __kernel_timespec)"),
    ("sizeof_long", "sizeof(long)"),
    ("sizeof_pointer", "sizeof(void *)"),
    ("sizeof_siginfo", "sizeof(siginfo_t)"),
    ("sizeof_signalfd_siginfo", "sizeof(struct signalfd_siginfo)"),
];

const INCLUDES: [&str; 14] = [
    "linux/eventpoll.h",
    "linux/eventfd.h",
    "linux/signalfd.h",
    "linux/timerfd.h",
    "linux/pidfd.h",
    "linux/wait.h",
    "linux/errno.h",
    "linux/fcntl.h",
    "linux/time.h",
    "linux/time_types.h",
    "linux/signal.h",
    "linux/version.h",
    "asm/ioctls.h",
    "asm/unistd.h",
];

struct Abi {
    /// Its name in the file.
    name: &'static str,
    /// LLVM's target.
    target: &'static str,
    /// Its folder in the headers; `None` if `asm-generic` replaces it.
    folder: Option<&'static str>,
    /// The size of the kernel's signal set, if the headers' `sigset_t` is libc 5's.
    sigset_bytes: Option<u64>,
}

const fn abi(name: &'static str, target: &'static str, folder: &'static str) -> Abi {
    Abi { name, target, folder: Some(folder), sigset_bytes: None }
}

const fn with_old_sigset(abi: Abi) -> Abi {
    Abi { sigset_bytes: Some(8), ..abi }
}

const fn generic(name: &'static str, target: &'static str) -> Abi {
    Abi { name, target, folder: None, sigset_bytes: None }
}

const ABIS: &[Abi] = &[
    abi("aarch64", "aarch64-linux-gnu", "arm64"),
    with_old_sigset(abi("arm", "armv7-linux-gnueabihf", "arm")),
    generic("csky", "csky-linux-gnu"),
    generic("hexagon", "hexagon-linux-musl"),
    abi("loongarch32", "loongarch32-linux-gnu", "loongarch"),
    abi("loongarch64", "loongarch64-linux-gnu", "loongarch"),
    with_old_sigset(abi("m68k", "m68k-linux-gnu", "m68k")),
    abi("mips", "mips-linux-gnu", "mips"),
    abi("mips64", "mips64-linux-gnuabi64", "mips"),
    abi("mips64el", "mips64el-linux-gnuabi64", "mips"),
    abi("mipsel", "mipsel-linux-gnu", "mips"),
    abi("mipsn32", "mips64-linux-gnuabin32", "mips"),
    abi("powerpc", "powerpc-linux-gnu", "powerpc"),
    abi("powerpc64", "powerpc64-linux-gnu", "powerpc"),
    abi("powerpc64le", "powerpc64le-linux-gnu", "powerpc"),
    abi("riscv32", "riscv32-linux-gnu", "riscv"),
    abi("riscv64", "riscv64-linux-gnu", "riscv"),
    with_old_sigset(abi("s390x", "s390x-linux-gnu", "s390")),
    with_old_sigset(abi("sparc", "sparc-linux-gnu", "sparc")),
    abi("sparc64", "sparc64-linux-gnu", "sparc"),
    with_old_sigset(abi("x32", "x86_64-linux-gnux32", "x86")),
    with_old_sigset(abi("x86", "i686-linux-gnu", "x86")),
    with_old_sigset(abi("x86_64", "x86_64-linux-gnu", "x86")),
];

const FILE: &str = "tests/data/uapi.json";

fn path() -> PathBuf {
    root().join(FILE)
}

/// Writes the file, and returns whether it changed.
pub fn write(tools: &Tools) -> Result<bool, String> {
    let text = text(tools)?;
    let before = fs::read_to_string(path()).unwrap_or_default();
    file::write(&path(), &text)?;
    Ok(text != before)
}

/// Fails if the file differs from the headers.
pub fn check(tools: &Tools) -> Result<(), String> {
    let kept = fs::read_to_string(path()).map_err(|error| format!("cannot read {FILE}: {error}"))?;
    // Newer headers may have the same facts.
    let facts = |text: &str| {
        let mut all: Map<String, Value> =
            serde_json::from_str(text).map_err(|error| format!("{FILE} does not read: {error}"))?;
        all.values_mut().filter_map(Value::as_object_mut).for_each(|abi| drop(abi.remove("headers")));
        Ok::<_, String>(all)
    };
    if facts(&kept)? == facts(&text(tools)?)? {
        return Ok(());
    }
    Err(format!("{FILE} differs from the kernel's headers; `cargo xtask headers --write` writes it"))
}

fn text(tools: &Tools) -> Result<String, String> {
    let mut all = Map::new();
    for abi in ABIS {
        all.insert(abi.name.into(), abi.facts(tools).map_err(|why| format!("{}: {why}", abi.name))?);
    }
    serde_json::to_string_pretty(&all).map(|text| text + "\n").map_err(|error| format!("cannot write JSON: {error}"))
}

/// The value of a call that the ABI lacks.
const ABSENT: u64 = 0xffff_ffff;

impl Abi {
    fn facts(&self, tools: &Tools) -> Result<Value, String> {
        let named = |names: &[&'static str]| names.iter().map(|name| (*name, name.to_string())).collect::<Vec<_>>();
        let sections = [
            ("constants", named(CONSTANTS)),
            ("errno", named(ERRNOS)),
            ("layout", LAYOUT.iter().map(|(name, expression)| (*name, expression.to_string())).collect()),
            ("syscalls", CALLS.iter().map(|name| (*name, format!("__NR_{name}"))).collect()),
        ];
        let version = ["LINUX_VERSION_MAJOR", "LINUX_VERSION_PATCHLEVEL"].map(String::from);
        let expressions = sections.iter().flat_map(|(_, names)| names).map(|(_, expression)| expression);
        let values = self.values(tools, version.iter().chain(expressions))?;
        let ([major, minor], mut values) = (<[u64; 2]>::try_from(&values[..2]).unwrap_or_default(), values[2..].iter());
        let folder = self.folder.map_or("asm-generic".into(), |folder| format!("uapi/{folder}"));
        let mut facts = Map::from_iter([("headers".into(), json!(format!("Linux {major}.{minor}, {folder}")))]);
        for (section, names) in &sections {
            let pairs = names.iter().zip(values.by_ref()).filter(|(_, value)| **value != ABSENT);
            facts.insert((*section).into(), pairs.map(|((name, _), value)| (name.to_string(), json!(value))).collect());
        }
        Ok(facts.into())
    }

    /// The values of C expressions. A compiler writes them as an array.
    fn values<'e>(
        &self,
        tools: &Tools,
        expressions: impl Iterator<Item = &'e String> + Clone,
    ) -> Result<Vec<u64>, String> {
        let sigset = self.sigset_bytes.map_or("sizeof(sigset_t)".into(), |bytes| bytes.to_string());
        let mut code = INCLUDES.map(|header| format!("#include <{header}>\n")).concat();
        code += &format!("#define KERNEL_SIGSET_BYTES {sigset}\nconst unsigned facts[] = {{\n");
        for expression in expressions.clone() {
            match expression.strip_prefix("__NR_") {
                Some(_) => {
                    code += &format!("#ifdef {expression}\n{expression},\n#else\n{ABSENT}u,\n#endif\n");
                }
                None => code += &format!("(unsigned)({expression}),\n"),
            }
        }
        let file = tools.scratch.path().join(format!("{}.facts.c", self.name));
        fs::write(&file, code + "};\n").map_err(|error| format!("cannot write {}: {error}", file.display()))?;
        let is_gcc = self.name == "m68k";
        let (_, mut compiler) = tools.compiler(self.name, self.target, self.folder);
        compiler.args(if is_gcc { &[][..] } else { &["-S", "-emit-llvm"] });
        let output = capture(compiler.args(["-o", "-"]).arg(&file))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let values = if is_gcc { array_of_assembly(&text) } else { array_of_llvm(&text) };
        let count = expressions.count();
        match values {
            Some(values) if values.len() == count && output.status.success() => Ok(values),
            _ => Err(format!("the compiler gave no {count} facts:\n{}", String::from_utf8_lossy(&output.stderr))),
        }
    }
}

/// `@facts = ... [2 x i32] [i32 7, i32 -1], align 4`
fn array_of_llvm(text: &str) -> Option<Vec<u64>> {
    let line = text.lines().find(|line| line.starts_with("@facts = "))?;
    let array = line.split_once("] [")?.1.split(']').next()?;
    let value = |item: &str| item.trim().strip_prefix("i32 ")?.parse::<i64>().ok().map(|value| value as u32 as u64);
    array.split(',').map(value).collect()
}

/// Lines like `.long 7` after the label `facts:`.
fn array_of_assembly(text: &str) -> Option<Vec<u64>> {
    let lines = text.lines().map(str::trim).skip_while(|line| *line != "facts:").skip(1);
    let values = lines.map_while(|line| line.strip_prefix(".long")?.trim().parse::<i64>().ok());
    Some(values.map(|value| value as u32 as u64).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_compilers_arrays_are_read() {
        let llvm = "@x = global i32 1\n@facts = dso_local constant [3 x i32] [i32 7, i32 -1, i32 0], align 4\n";
        assert_eq!(array_of_llvm(llvm), Some(vec![7, ABSENT, 0]));
        assert_eq!(array_of_llvm("@facts = constant [1 x i64] [i64 7]"), None);
        assert_eq!(array_of_assembly("facts:\n\t.long\t7\n\t.long\t-1\n\t.ident\n"), Some(vec![7, ABSENT]));
    }

    #[test]
    fn names_are_sorted_and_no_name_is_there_twice() {
        let layout: Vec<&str> = LAYOUT.iter().map(|(name, _)| *name).collect();
        let abis: Vec<&str> = ABIS.iter().map(|abi| abi.name).collect();
        for names in [CALLS, CONSTANTS, ERRNOS, &layout, &abis] {
            assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
        }
    }
}
