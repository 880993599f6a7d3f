//! Compares every port's numbers and constants, and this build's names for them, with independent
//! sources: the kernel's own headers (`data/uapi.json`, all ABIs), and `linux-raw-sys`, `libc` and
//! `sc` (this machine's ABI). And compares the C functions of the port for Miri with Miri's source.
#![allow(clippy::incompatible_msrv)] // the minimum Rust version is the library's; tests use the current one

use barepoll::{
    raw, signo, CreateFlags, Errno, Event, EventFdFlags, EventFlags, PidFdFlags, SigSet, SignalFdFlags, SignalInfo,
};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fs;
use std::mem::{align_of, size_of};
use std::sync::OnceLock;

#[path = "support/ports.rs"]
mod ports;
use ports::{arch, every_port, every_raw_constant, raw_constants, Port};

macro_rules! tests_of_each {
    ($($port:ident: $($abi:literal)+;)+) => {
        $(mod $port {
            #[test]
            fn every_call_has_the_number_of_the_kernels_headers() {
                super::port(stringify!($port)).check("syscalls");
            }

            #[test]
            fn every_constant_has_the_value_of_the_kernels_headers() {
                super::port(stringify!($port)).check("constants");
            }

            #[test]
            fn every_errno_has_the_value_of_the_kernels_headers() {
                super::port(stringify!($port)).check("errno");
            }

            #[test]
            fn the_layout_is_that_of_the_kernels_headers() {
                super::port(stringify!($port)).check("layout");
            }
        })+
    };
}
every_port!(tests_of_each);

impl Port {
    /// Compares one section with the headers of every ABI that the port serves.
    fn check(&self, section: &str) {
        let mut wrong = Vec::new();
        for (abi, fact) in self.abis.iter().flat_map(|abi| self.facts.iter().map(move |fact| (abi, fact))) {
            for name in fact.names.iter().filter(|_| fact.section == section) {
                let expected = headers(abi, section).get(*name).and_then(Value::as_u64);
                if fact.value != expected {
                    let (constant, value) = (fact.constant, fact.value);
                    wrong.push(format!("{constant} is {value:?}, but {name} of {abi} is {expected:?}"));
                }
            }
        }
        assert!(wrong.is_empty(), "src/arch/{}.rs: {}", self.file, wrong.join("; "));
    }

    /// The number of a call by the headers' name.
    fn number(&self, name: &str) -> Option<u64> {
        let fact = self.facts.iter().find(|fact| fact.section == "syscalls" && fact.names == [name]);
        fact.unwrap_or_else(|| panic!("no port has the number of {name}")).value
    }
}

/// The port with this name.
fn port(file: &str) -> Port {
    ports::port(file).expect("the macro that generates the tests generates the table")
}

/// The port of this machine.
fn host() -> Port {
    let abi = host_abi();
    ports::all().into_iter().find(|port| port.abis.contains(&&*abi)).unwrap_or_else(|| panic!("no port serves {abi}"))
}

/// The headers' facts of all ABIs.
fn uapi() -> &'static Map<String, Value> {
    static UAPI: OnceLock<Value> = OnceLock::new();
    let uapi = UAPI.get_or_init(|| serde_json::from_str(include_str!("data/uapi.json")).expect("it is JSON"));
    uapi.as_object().expect("a map from ABIs")
}

/// One section of one ABI.
fn headers(abi: &str, section: &str) -> &'static Map<String, Value> {
    let headers = uapi().get(abi).unwrap_or_else(|| panic!("tests/data/uapi.json has no {abi}"));
    headers[section].as_object().unwrap_or_else(|| panic!("{abi} has no {section}"))
}

/// The headers' name for this machine's ABI.
fn host_abi() -> String {
    let arch = std::env::consts::ARCH;
    let little = cfg!(target_endian = "little");
    match (arch, usize::BITS) {
        ("x86_64", 32) => "x32".into(),
        ("mips64" | "mips64r6", 32) => "mipsn32".into(),
        ("mips" | "mips32r6", _) => if little { "mipsel" } else { "mips" }.into(),
        ("mips64" | "mips64r6", _) => if little { "mips64el" } else { "mips64" }.into(),
        ("powerpc64", _) => if little { "powerpc64le" } else { "powerpc64" }.into(),
        _ => arch.into(),
    }
}

/// The names in one list that another lacks.
fn missing<'a>(from: &[(&str, u32)], names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    names.filter(|name| from.iter().all(|(known, _)| known != name)).collect()
}

/// Names and texts of the files in `src/arch` with constants.
fn port_files() -> Vec<(String, String)> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/src/arch");
    let paths = fs::read_dir(directory).expect("the source is there").map(|file| file.expect("readable").path());
    let names = paths.filter_map(|path| Some((path.file_name()?.to_str()?.strip_suffix(".rs")?.into(), path.clone())));
    let texts = names.map(|(name, path): (String, _)| (name, fs::read_to_string(path).expect("readable")));
    texts.filter(|(name, _)| name != "mod" && name != "through_libc").collect()
}

// The table itself.

#[test]
fn every_port_stands_in_the_table() {
    let files: BTreeSet<String> = port_files().into_iter().map(|(name, _)| name).filter(|n| n != "generic").collect();
    let table: BTreeSet<String> = ports::all().iter().map(|port| port.file.into()).collect();
    assert_eq!(files, table, "src/arch/*.rs on the left, every_port! of tests/support/ports.rs on the right");
}

#[test]
fn no_abi_of_a_port_is_forgotten() {
    for port in ports::all() {
        let names = [port.file.into(), format!("{}le", port.file), format!("{}el", port.file)];
        let served: Vec<_> = names.iter().filter(|name| uapi().contains_key(*name)).collect();
        assert_eq!(served, port.abis.iter().collect::<Vec<_>>(), "src/arch/{}.rs", port.file);
    }
}

/// musl's `syscall_arch.h` (`__SYSCALL_LL_E`) and glibc's `kernel-features.h`
/// (`__ASSUME_ALIGNED_REGISTER_PAIRS`) say which. 64-bit machines have no pairs.
#[test]
fn pairs_are_aligned_where_other_libraries_align_them() {
    let has_pairs = ["arm", "csky", "hexagon", "m68k", "mips", "powerpc", "riscv32", "sparc", "x86"];
    let aligned = ports::all().into_iter().filter(|port| has_pairs.contains(&port.file) && port.are_pairs_aligned);
    assert_eq!(aligned.map(|port| port.file).collect::<Vec<_>>(), ["arm", "hexagon", "mips", "powerpc"]);
}

#[test]
fn every_constant_of_every_port_is_compared() {
    let table = ports::all();
    let compared: BTreeSet<_> = table[0].facts.iter().map(|fact| fact.constant).collect();
    for (name, text) in port_files() {
        let constants = text.lines().filter_map(|line| line.trim_start().strip_prefix("pub const ")?.split(':').next());
        // No header has it. Another test compares it.
        for constant in constants.filter(|constant| *constant != "PAIRS_ARE_ALIGNED") {
            assert!(
                compared.contains(constant),
                "facts! of tests/support/ports.rs lacks {constant} of src/arch/{name}.rs"
            );
        }
    }
}

#[test]
fn every_errno_of_the_headers_is_compared() {
    let table = ports::all();
    let compared: BTreeSet<_> = table[0].facts.iter().filter(|f| f.section == "errno").map(|f| f.constant).collect();
    for (abi, headers) in uapi() {
        let names: BTreeSet<_> = headers["errno"].as_object().expect("a map").keys().map(|name| &**name).collect();
        assert_eq!(names, compared, "{abi}");
    }
}

// This machine's build.

macro_rules! libc_constants {
    (all { $($all:ident)+ } not_libc $_n:tt not_linux_raw_sys { $($other:ident)+ } neither $_nor:tt) => {
        vec![$((stringify!($all), libc::$all as u32),)+ $((stringify!($other), libc::$other as u32)),+]
    };
}

macro_rules! linux_raw_sys_constants {
    (all { $($all:ident)+ } not_libc { $($other:ident)+ } not_linux_raw_sys $_n:tt neither $_nor:tt) => {{
        use linux_raw_sys::general;
        vec![$((stringify!($all), general::$all),)+ $((stringify!($other), general::$other)),+]
    }};
}

/// The values that `barepoll::raw` has for the names in another crate's list.
fn our_values_of(theirs: &[(&'static str, u32)]) -> Vec<(&'static str, u32)> {
    let ours = raw_constants();
    let of = |name| ours.iter().find(|(known, _)| *known == name);
    theirs.iter().map(|(name, _)| *of(*name).expect("in both")).collect()
}

fn is_of_this_interface(name: &str) -> bool {
    let starts = ["EPOLL", "EPIOC", "EFD_", "TFD_", "CLOCK_", "SIG_", "SFD_", "PIDFD_", "P_", "W", "CLD_"];
    starts.iter().any(|start| name.starts_with(start))
}

#[test]
fn raw_names_every_constant_of_the_kernels_headers() {
    for abi in uapi().keys() {
        let names = headers(abi, "constants").keys().map(|name| &**name).filter(|name| is_of_this_interface(name));
        assert_eq!(missing(&raw_constants(), names), [""; 0], "{abi}");
    }
}

#[test]
fn raw_names_no_constant_that_is_not_compared() {
    let text = include_str!("../src/uapi.rs");
    let names = text.lines().filter_map(|line| Some(line.trim_start().split_once(" = ")?.0));
    let names: Vec<_> = names.filter(|name| is_of_this_interface(name)).collect();
    assert_eq!(names.len(), raw_constants().len(), "{names:?}");
    assert_eq!(missing(&raw_constants(), names.into_iter()), [""; 0]);
}

#[test]
fn every_raw_constant_has_the_value_of_the_kernels_headers() {
    let headers = headers(&host_abi(), "constants");
    for (name, value) in raw_constants() {
        let expected = headers.get(name).and_then(Value::as_u64);
        // Headers before Linux 6.0 lack the first name, and two ABIs' facts come from such headers.
        // Those also lack the second.
        if expected.is_some() || !["EPOLL_URING_WAKE", "EPOLL_IOC_TYPE"].contains(&name) {
            assert_eq!(Some(value.into()), expected, "{name}");
        }
    }
}

#[test]
fn every_raw_constant_has_the_value_of_libc() {
    let theirs = every_raw_constant!(libc_constants);
    assert_eq!(our_values_of(&theirs), theirs);
}

#[test]
fn every_raw_constant_has_the_value_of_linux_raw_sys() {
    let theirs = every_raw_constant!(linux_raw_sys_constants);
    assert_eq!(our_values_of(&theirs), theirs);
}

// linux-raw-sys has no request with these ABIs' direction bits.
#[cfg(not(any(target_arch = "hexagon", target_arch = "sparc", target_arch = "sparc64")))]
#[test]
fn the_requests_of_ioctl_have_the_parts_of_linux_raw_sys() {
    use linux_raw_sys::general::{epoll_params, EPOLL_IOC_TYPE};
    use linux_raw_sys::ioctl::{FS_IOC_GETFLAGS, FS_IOC_SETFLAGS};

    for (request, same_direction, number) in
        [(raw::EPIOCSPARAMS, FS_IOC_SETFLAGS, 1), (raw::EPIOCGPARAMS, FS_IOC_GETFLAGS, 2)]
    {
        assert_eq!(request & 0xff, number);
        assert_eq!(request >> 8 & 0xff, EPOLL_IOC_TYPE);
        assert_eq!(request >> 16 & 0x1fff, size_of::<epoll_params>() as u32);
        assert_eq!(request >> 29, same_direction >> 29);
    }
}

#[test]
fn every_named_flag_is_the_headers_constant_of_that_name() {
    let headers = raw_constants();
    let of = |name: String| headers.iter().find(|(known, _)| **known == name).map(|(_, value)| *value);

    let mut named = 0;
    for (name, flag) in EventFlags::all().iter_names() {
        let header = if name == "URING_WAKE" { "EPOLL_URING_WAKE".into() } else { format!("EPOLL{name}") };
        assert_eq!(of(header), Some(flag.bits()), "EventFlags::{name}");
        named += flag.bits();
    }
    let events = headers.iter().filter(|(name, _)| {
        name.starts_with("EPOLL") && !name.starts_with("EPOLL_C") && !name.starts_with("EPOLL_I")
        // EPOLL_CTL_…, …CLOEXEC, …IOC_TYPE
    });
    assert_eq!(named, events.map(|(_, value)| value).sum::<u32>(), "EventFlags names each once");

    for (name, flag) in CreateFlags::all().iter_names() {
        assert_eq!(of(format!("EPOLL_{name}")), Some(flag.bits()), "CreateFlags::{name}");
    }
    for (name, flag) in EventFdFlags::all().iter_names() {
        assert_eq!(of(format!("EFD_{name}")), Some(flag.bits()), "EventFdFlags::{name}");
    }
    for (name, flag) in SignalFdFlags::all().iter_names() {
        assert_eq!(of(format!("SFD_{name}")), Some(flag.bits()), "SignalFdFlags::{name}");
    }
    for (name, flag) in PidFdFlags::all().iter_names() {
        assert_eq!(of(format!("PIDFD_{name}")), Some(flag.bits()), "PidFdFlags::{name}");
    }
    assert_eq!((CreateFlags::all().iter_names().count(), EventFdFlags::all().iter_names().count()), (1, 3));
    assert_eq!(SignalFdFlags::all().iter_names().count(), 2);
    assert_eq!(PidFdFlags::all().iter_names().count(), 1);
}

/// Every name of `Errno`: this crate's, libc's and linux-raw-sys'.
macro_rules! errnos {
    ($($name:ident)+) => {
        [$((stringify!($name), Errno::$name, libc::$name, linux_raw_sys::errno::$name)),+]
    };
}

fn errnos() -> Vec<(&'static str, Errno, i32, u32)> {
    errnos! {
        EACCES EAGAIN EBADF ECANCELED ECHILD EDQUOT EEXIST EFAULT EINTR EINVAL EIO ELOOP EMFILE ENFILE ENOBUFS ENODEV ENOENT ENOMEM
        ENOSPC ENOSYS ENOTTY EOPNOTSUPP EOVERFLOW EPERM EPIPE ESRCH ETIMEDOUT
    }
    .to_vec()
}

#[test]
fn every_errno_has_the_value_of_the_kernels_headers() {
    let headers = headers(&host_abi(), "errno");
    for (name, errno, _, _) in errnos() {
        assert_eq!(headers.get(name).and_then(Value::as_i64), Some(errno.raw().into()), "{name}");
    }
    assert_eq!(headers.len(), errnos().len(), "each name of the headers is a constant of Errno");
}

#[test]
fn every_errno_has_the_value_of_libc_and_of_linux_raw_sys() {
    for (name, errno, libc, linux_raw_sys) in errnos() {
        assert_eq!((errno.raw(), errno.raw() as u32), (libc, linux_raw_sys), "{name}");
    }
}

macro_rules! signals {
    ($($NAME:ident)+) => {
        [$((stringify!($NAME), signo::$NAME, libc::$NAME, linux_raw_sys::general::$NAME)),+]
    };
}

#[test]
fn every_signal_has_the_number_of_the_kernels_headers_of_libc_and_of_linux_raw_sys() {
    let headers = headers(&host_abi(), "constants");
    let signals = signals! {
        SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL SIGUSR1 SIGSEGV SIGUSR2 SIGPIPE SIGALRM SIGTERM SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGXCPU SIGXFSZ SIGVTALRM SIGPROF SIGWINCH SIGIO SIGPWR SIGSYS
    };
    for (name, signal, libc, linux_raw_sys) in signals {
        let expected = headers.get(name).and_then(Value::as_i64);
        assert_eq!((Some(signal.into()), signal, signal as u32), (expected, libc, linux_raw_sys), "{name}");
    }
    let names = headers.keys().filter(|name| name.starts_with("SIG") && !name.starts_with("SIG_"));
    assert_eq!(names.count(), signals.len(), "each signal of the headers is a constant of signo");
}

#[test]
fn an_errno_has_a_name_exactly_where_the_headers_name_its_value() {
    let headers = headers(&host_abi(), "errno");
    for raw in 1..=4095 {
        let expected = headers.iter().find(|(_, value)| value.as_i64() == Some(raw.into())).map(|(name, _)| &**name);
        assert_eq!(Errno::from_raw(raw).and_then(Errno::name), expected, "{raw}");
    }
}

#[test]
fn the_structs_have_the_layout_of_the_kernels_headers() {
    let of = |name: &str| headers(&host_abi(), "layout").get(name).and_then(Value::as_u64).map(|bytes| bytes as usize);
    assert_eq!(of("sizeof_pointer"), Some(size_of::<usize>()), "this is not the host's ABI");
    assert_eq!(of("sizeof_epoll_event"), Some(size_of::<Event>()));
    if !cfg!(target_arch = "m68k") {
        // Here rustc aligns a u32 to 4 and C to 2. No field moves.
        assert_eq!(of("alignof_epoll_event"), Some(align_of::<Event>()));
    }
    assert_eq!(of("kernel_sigset_bytes"), Some(size_of::<SigSet>()));
    assert_eq!(of("sizeof_signalfd_siginfo"), Some(size_of::<SignalInfo>()));
    assert_eq!(of("sizeof_kernel_timespec"), Some(size_of::<raw::Timespec>()));
    assert_eq!(of("sizeof_kernel_itimerspec"), Some(size_of::<raw::Itimerspec>()));
    assert_eq!(of("offset_it_value"), Some(std::mem::offset_of!(raw::Itimerspec, it_value)));

    assert_eq!(of("sizeof_siginfo"), Some(size_of::<raw::Siginfo>()));
    let words: [i32; 32] = std::array::from_fn(|index| index as i32);
    // SAFETY: the sizes are equal, and both consist of integers.
    let info: raw::Siginfo = unsafe { std::mem::transmute(words) };
    let offsets = [info.code(), info.pid(), info.status()].map(|index| Some(index as usize * size_of::<i32>()));
    assert_eq!(offsets, [of("offset_si_code"), of("offset_si_pid"), of("offset_si_status")]);
}

/// Compares another crate's table with the host's port, in both present and absent calls.
fn numbers_agree(theirs: &[(&str, u64)], except: &[&str]) {
    let host = host();
    let names = host.facts.iter().filter(|fact| fact.section == "syscalls").flat_map(|fact| fact.names);
    for name in names.filter(|name| !except.contains(name)) {
        let expected = theirs.iter().find(|(known, _)| known == name).map(|(_, number)| *number);
        assert_eq!(host.number(name), expected, "{name}");
    }
}

#[test]
fn every_call_has_the_number_of_linux_raw_sys() {
    use linux_raw_sys::general as theirs;
    let theirs = &[
        ("read", theirs::__NR_read.into()),
        ("write", theirs::__NR_write.into()),
        ("close", theirs::__NR_close.into()),
        ("ioctl", theirs::__NR_ioctl.into()),
        ("epoll_create1", theirs::__NR_epoll_create1.into()),
        ("epoll_ctl", theirs::__NR_epoll_ctl.into()),
        #[cfg(not(any(
            target_arch = "aarch64",
            target_arch = "csky",
            target_arch = "hexagon",
            target_arch = "loongarch32",
            target_arch = "loongarch64",
            target_arch = "riscv32",
            target_arch = "riscv64"
        )))]
        ("epoll_wait", theirs::__NR_epoll_wait.into()),
        ("epoll_pwait", theirs::__NR_epoll_pwait.into()),
        ("epoll_pwait2", theirs::__NR_epoll_pwait2.into()),
        ("eventfd2", theirs::__NR_eventfd2.into()),
        #[cfg(not(any(target_arch = "riscv32", target_arch = "loongarch32")))]
        ("clock_gettime", theirs::__NR_clock_gettime.into()),
        #[cfg(all(target_pointer_width = "32", not(target_arch = "x86_64")))]
        ("clock_gettime64", theirs::__NR_clock_gettime64.into()),
        ("pidfd_open", theirs::__NR_pidfd_open.into()),
        ("pidfd_send_signal", theirs::__NR_pidfd_send_signal.into()),
        ("rt_sigprocmask", theirs::__NR_rt_sigprocmask.into()),
        ("signalfd4", theirs::__NR_signalfd4.into()),
        ("timerfd_create", theirs::__NR_timerfd_create.into()),
        ("waitid", theirs::__NR_waitid.into()),
        #[cfg(not(any(target_arch = "riscv32", target_arch = "loongarch32")))]
        ("timerfd_gettime", theirs::__NR_timerfd_gettime.into()),
        #[cfg(not(any(target_arch = "riscv32", target_arch = "loongarch32")))]
        ("timerfd_settime", theirs::__NR_timerfd_settime.into()),
        #[cfg(all(target_pointer_width = "32", not(target_arch = "x86_64")))]
        ("timerfd_gettime64", theirs::__NR_timerfd_gettime64.into()),
        #[cfg(all(target_pointer_width = "32", not(target_arch = "x86_64")))]
        ("timerfd_settime64", theirs::__NR_timerfd_settime64.into()),
    ];
    numbers_agree(theirs, &[]);
}

#[test]
fn every_call_has_the_number_of_libc() {
    let theirs = &[
        ("read", libc::SYS_read as u64),
        ("write", libc::SYS_write as u64),
        ("close", libc::SYS_close as u64),
        ("ioctl", libc::SYS_ioctl as u64),
        ("epoll_create1", libc::SYS_epoll_create1 as u64),
        ("epoll_ctl", libc::SYS_epoll_ctl as u64),
        #[cfg(not(any(
            target_arch = "aarch64",
            target_arch = "csky",
            target_arch = "hexagon",
            target_arch = "loongarch32",
            target_arch = "loongarch64",
            target_arch = "riscv32",
            target_arch = "riscv64"
        )))]
        ("epoll_wait", libc::SYS_epoll_wait as u64),
        ("epoll_pwait", libc::SYS_epoll_pwait as u64),
        ("epoll_pwait2", libc::SYS_epoll_pwait2 as u64),
        ("eventfd2", libc::SYS_eventfd2 as u64),
        #[cfg(not(any(target_arch = "riscv32", target_arch = "loongarch32")))]
        ("clock_gettime", libc::SYS_clock_gettime as u64),
        ("pidfd_open", libc::SYS_pidfd_open as u64),
        ("pidfd_send_signal", libc::SYS_pidfd_send_signal as u64),
        ("rt_sigprocmask", libc::SYS_rt_sigprocmask as u64),
        ("signalfd4", libc::SYS_signalfd4 as u64),
        ("timerfd_create", libc::SYS_timerfd_create as u64),
        ("waitid", libc::SYS_waitid as u64),
        #[cfg(not(any(target_arch = "riscv32", target_arch = "loongarch32")))]
        ("timerfd_gettime", libc::SYS_timerfd_gettime as u64),
        #[cfg(not(any(target_arch = "riscv32", target_arch = "loongarch32")))]
        ("timerfd_settime", libc::SYS_timerfd_settime as u64),
    ];
    // libc names these calls on few machines.
    numbers_agree(theirs, &["clock_gettime64", "timerfd_gettime64", "timerfd_settime64"]);
}

#[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
#[test]
fn every_call_has_the_number_of_sc() {
    use sc::nr;
    let theirs = &[
        ("read", nr::READ as u64),
        ("write", nr::WRITE as u64),
        ("close", nr::CLOSE as u64),
        ("ioctl", nr::IOCTL as u64),
        ("epoll_create1", nr::EPOLL_CREATE1 as u64),
        ("epoll_ctl", nr::EPOLL_CTL as u64),
        ("epoll_wait", nr::EPOLL_WAIT as u64),
        ("epoll_pwait", nr::EPOLL_PWAIT as u64),
        ("epoll_pwait2", nr::EPOLL_PWAIT2 as u64),
        ("eventfd2", nr::EVENTFD2 as u64),
        ("clock_gettime", nr::CLOCK_GETTIME as u64),
        ("pidfd_open", nr::PIDFD_OPEN as u64),
        ("pidfd_send_signal", nr::PIDFD_SEND_SIGNAL as u64),
        ("rt_sigprocmask", nr::RT_SIGPROCMASK as u64),
        ("signalfd4", nr::SIGNALFD4 as u64),
        ("timerfd_create", nr::TIMERFD_CREATE as u64),
        ("waitid", nr::WAITID as u64),
        ("timerfd_gettime", nr::TIMERFD_GETTIME as u64),
        ("timerfd_settime", nr::TIMERFD_SETTIME as u64),
    ];
    numbers_agree(theirs, &[]);
}

/// Miri refuses to call a C function that it does not know. `data/miri-shims.txt` has the names.
#[test]
fn miri_knows_every_c_function_of_its_port() {
    let source = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/arch/through_libc.rs"));
    let source = source.expect("the port is there");
    let declared = source.split("extern \"C\" {").nth(1).and_then(|rest| rest.split("\n}").next());
    let (mut missing, mut functions) = (Vec::new(), 0);
    let mut systems = &["linux", "android"][..];
    for line in declared.expect("the port declares C functions").lines().map(str::trim) {
        match line.strip_prefix("fn ").and_then(|rest| rest.split('(').next()) {
            Some(name) => {
                functions += 1;
                missing.extend(systems.iter().filter(|system| !miri_shims(system).contains(name)).map(|s| (name, *s)));
                systems = &["linux", "android"];
            }
            None if line == "#[cfg(target_os = \"android\")]" => systems = &["android"],
            None if line == "#[cfg(not(target_os = \"android\"))]" => systems = &["linux"],
            None => assert_eq!(line, "", "not a function"),
        }
    }
    assert!(missing.is_empty(), "Miri does not know {missing:?}");
    assert!(functions >= 10, "only {functions} functions");
}

/// The C functions that Miri has on an operating system.
fn miri_shims(system: &str) -> BTreeSet<&'static str> {
    let sections = include_str!("data/miri-shims.txt").split("\n\n# ").filter_map(|section| section.split_once('\n'));
    let of_system = sections.filter(|(title, _)| title.starts_with("every Unix:") || title.starts_with(system));
    of_system.flat_map(|(_, names)| names.split_whitespace()).collect()
}
