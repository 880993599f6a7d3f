//! Every port's numbers and constants, as data. `oracles.rs` compares them with other projects'
//! tables, `cargo xtask headers` with the kernel's headers and a C compiler.
//!
//! A crate that includes this file writes `use ports::arch;` at its root, because the ports refer
//! to `crate::arch`.

use barepoll::raw;

/// Defines no functions. Another architecture's instructions do not assemble here, and only the
/// constants matter.
macro_rules! syscalls {
    ($($port:tt)*) => {};
}

/// The cross-test table. Each line lists a port's file and the ABIs of `data/uapi.json` that it
/// serves.
macro_rules! every_port {
    ($then:ident) => {
        $then! {
            aarch64: "aarch64";
            arm: "arm";
            csky: "csky";
            hexagon: "hexagon";
            loongarch64: "loongarch64";
            m68k: "m68k";
            mips: "mips" "mipsel";
            mips64: "mips64" "mips64el";
            powerpc: "powerpc";
            powerpc64: "powerpc64" "powerpc64le";
            riscv32: "riscv32";
            riscv64: "riscv64";
            s390x: "s390x";
            sparc: "sparc";
            sparc64: "sparc64";
            x32: "x32";
            x86: "x86";
            x86_64: "x86_64";
        }
    };
}
#[allow(unused_imports)] // used only by xtask
pub(crate) use every_port;

macro_rules! define_ports {
    ($($port:ident: $($abi:literal)+;)+) => {
        // Some ports include another's file. x32 writes each number as `BIT_30 +` x86_64's, even
        // for 0. Nothing uses a port's macro.
        #[allow(clippy::duplicate_mod, clippy::identity_op, unused_macros)]
        #[path = "../../src/arch"]
        pub mod arch {
            #[macro_use]
            #[allow(dead_code)] // each port shadows some of it
            pub mod generic;
            $(pub mod $port;)+
        }

        /// Every port.
        pub fn all() -> Vec<Port> {
            vec![$({
                use arch::$port as port;
                let are_pairs_aligned = port::PAIRS_ARE_ALIGNED;
                Port { file: stringify!($port), abis: &[$($abi),+], facts: facts!(port), are_pairs_aligned }
            }),+]
        }
    };
}
/// Every constant of a port: its section and names in the headers' file, and the port's value.
macro_rules! facts {
    ($port:ident) => {{
        use $port::{errno, nr, signal};
        facts![
            "syscalls":
            nr::READ: "read";
            nr::WRITE: "write";
            nr::CLOSE: "close";
            nr::IOCTL: "ioctl";
            nr::EPOLL_CREATE1: "epoll_create1";
            nr::EPOLL_CTL: "epoll_ctl";
            nr::EPOLL_WAIT: "epoll_wait";
            nr::EPOLL_PWAIT: "epoll_pwait";
            nr::EPOLL_PWAIT2: "epoll_pwait2";
            nr::EVENTFD2: "eventfd2";
            nr::CLOCK_GETTIME: "clock_gettime";
            nr::CLOCK_GETTIME64: "clock_gettime64";
            nr::PIDFD_OPEN: "pidfd_open";
            nr::PIDFD_SEND_SIGNAL: "pidfd_send_signal";
            nr::RT_SIGPROCMASK: "rt_sigprocmask";
            nr::SIGNALFD4: "signalfd4";
            nr::TIMERFD_CREATE: "timerfd_create";
            nr::TIMERFD_GETTIME: "timerfd_gettime";
            nr::TIMERFD_GETTIME64: "timerfd_gettime64";
            nr::TIMERFD_SETTIME: "timerfd_settime";
            nr::TIMERFD_SETTIME64: "timerfd_settime64";
            nr::WAITID: "waitid";
            "constants":
            $port::O_CLOEXEC: "O_CLOEXEC" "EPOLL_CLOEXEC" "EFD_CLOEXEC" "SFD_CLOEXEC" "TFD_CLOEXEC";
            $port::O_NONBLOCK: "O_NONBLOCK" "EFD_NONBLOCK" "SFD_NONBLOCK" "TFD_NONBLOCK"
                "PIDFD_NONBLOCK";
            $port::SIG_BLOCK: "SIG_BLOCK";
            $port::SIG_UNBLOCK: "SIG_UNBLOCK";
            $port::SIG_SETMASK: "SIG_SETMASK";
            signal::SIGHUP: "SIGHUP";
            signal::SIGINT: "SIGINT";
            signal::SIGQUIT: "SIGQUIT";
            signal::SIGILL: "SIGILL";
            signal::SIGTRAP: "SIGTRAP";
            signal::SIGABRT: "SIGABRT";
            signal::SIGBUS: "SIGBUS";
            signal::SIGFPE: "SIGFPE";
            signal::SIGKILL: "SIGKILL";
            signal::SIGUSR1: "SIGUSR1";
            signal::SIGSEGV: "SIGSEGV";
            signal::SIGUSR2: "SIGUSR2";
            signal::SIGPIPE: "SIGPIPE";
            signal::SIGALRM: "SIGALRM";
            signal::SIGTERM: "SIGTERM";
            signal::SIGCHLD: "SIGCHLD";
            signal::SIGCONT: "SIGCONT";
            signal::SIGSTOP: "SIGSTOP";
            signal::SIGTSTP: "SIGTSTP";
            signal::SIGTTIN: "SIGTTIN";
            signal::SIGTTOU: "SIGTTOU";
            signal::SIGURG: "SIGURG";
            signal::SIGXCPU: "SIGXCPU";
            signal::SIGXFSZ: "SIGXFSZ";
            signal::SIGVTALRM: "SIGVTALRM";
            signal::SIGPROF: "SIGPROF";
            signal::SIGWINCH: "SIGWINCH";
            signal::SIGIO: "SIGIO";
            signal::SIGPWR: "SIGPWR";
            signal::SIGSYS: "SIGSYS";
            $port::EPIOCSPARAMS: "EPIOCSPARAMS";
            $port::EPIOCGPARAMS: "EPIOCGPARAMS";
            "layout":
            $port::EVENT_SIZE: "sizeof_epoll_event";
            $port::EVENT_DATA: "offset_data";
            $port::SIGSET_BYTES: "kernel_sigset_bytes";
            $port::SI_CODE: "offset_si_code";
            "errno":
            errno::EACCES: "EACCES";
            errno::EAGAIN: "EAGAIN";
            errno::EBADF: "EBADF";
            errno::ECANCELED: "ECANCELED";
            errno::ECHILD: "ECHILD";
            errno::EDQUOT: "EDQUOT";
            errno::EEXIST: "EEXIST";
            errno::EFAULT: "EFAULT";
            errno::EINTR: "EINTR";
            errno::EINVAL: "EINVAL";
            errno::EIO: "EIO";
            errno::ELOOP: "ELOOP";
            errno::EMFILE: "EMFILE";
            errno::ENFILE: "ENFILE";
            errno::ENOBUFS: "ENOBUFS";
            errno::ENODEV: "ENODEV";
            errno::ENOENT: "ENOENT";
            errno::ENOMEM: "ENOMEM";
            errno::ENOSPC: "ENOSPC";
            errno::ENOSYS: "ENOSYS";
            errno::ENOTTY: "ENOTTY";
            errno::EOPNOTSUPP: "EOPNOTSUPP";
            errno::EOVERFLOW: "EOVERFLOW";
            errno::EPERM: "EPERM";
            errno::EPIPE: "EPIPE";
            errno::ESRCH: "ESRCH";
            errno::ETIMEDOUT: "ETIMEDOUT";
        ]
    }};
    ($($section:literal: $($module:ident::$constant:ident: $($name:literal)+;)+)+) => {
        vec![$($(Fact {
            section: $section,
            constant: stringify!($constant),
            names: &[$($name),+],
            value: $module::$constant.value(),
        }),+),+]
    };
}
every_port!(define_ports);

/// One constant of a port.
pub struct Fact {
    /// Its section of the headers' file.
    pub section: &'static str,
    /// Its name in the port.
    pub constant: &'static str,
    /// Its names in the headers' file.
    pub names: &'static [&'static str],
    pub value: Option<u64>,
}

/// A number of a port; `None` for a call that the machine lacks.
trait Number {
    fn value(self) -> Option<u64>;
}

impl Number for u16 {
    fn value(self) -> Option<u64> {
        Some(self.into())
    }
}

impl Number for i32 {
    fn value(self) -> Option<u64> {
        u64::try_from(self).ok()
    }
}

impl Number for u32 {
    fn value(self) -> Option<u64> {
        Some(self.into())
    }
}

impl Number for usize {
    fn value(self) -> Option<u64> {
        Some(self as u64)
    }
}

impl Number for Option<usize> {
    fn value(self) -> Option<u64> {
        self.map(|number| number as u64)
    }
}

pub struct Port {
    pub file: &'static str,
    #[allow(dead_code)] // used only by xtask
    pub abis: &'static [&'static str],
    pub facts: Vec<Fact>,
    #[allow(dead_code)] // used only by the oracles
    pub are_pairs_aligned: bool,
}

/// The port with this name.
pub fn port(file: &str) -> Option<Port> {
    all().into_iter().find(|port| port.file == file)
}

/// Calls `$then!` with all names of `barepoll::raw`, grouped as the oracles group them.
macro_rules! every_raw_constant {
    ($then:ident) => {
        $then! {
            all {
                EPOLL_CLOEXEC EPOLL_CTL_ADD EPOLL_CTL_DEL EPOLL_CTL_MOD
                EPOLLIN EPOLLPRI EPOLLOUT EPOLLERR EPOLLHUP EPOLLRDNORM EPOLLRDBAND EPOLLWRNORM EPOLLWRBAND EPOLLMSG
                EPOLLRDHUP EPOLLEXCLUSIVE EPOLLWAKEUP EPOLLONESHOT EPOLLET
                EFD_SEMAPHORE EFD_NONBLOCK EFD_CLOEXEC
                TFD_NONBLOCK TFD_CLOEXEC TFD_TIMER_ABSTIME TFD_TIMER_CANCEL_ON_SET
                CLOCK_REALTIME CLOCK_MONOTONIC CLOCK_BOOTTIME CLOCK_REALTIME_ALARM CLOCK_BOOTTIME_ALARM
                SIG_BLOCK SIG_UNBLOCK SIG_SETMASK
                P_ALL P_PID P_PIDFD WNOHANG WEXITED WNOWAIT CLD_EXITED CLD_KILLED CLD_DUMPED
            }
            not_libc { EPOLLNVAL EPOLL_IOC_TYPE }
            not_linux_raw_sys { EPIOCSPARAMS EPIOCGPARAMS SFD_NONBLOCK SFD_CLOEXEC PIDFD_NONBLOCK }
            neither { EPOLL_URING_WAKE }
        }
    };
}

macro_rules! names_and_values {
    ($($group:ident { $($name:ident)+ })+) => { vec![$($((stringify!($name), raw::$name)),+),+] };
}
#[allow(unused_imports)] // xtask uses only the values
pub(crate) use every_raw_constant;

/// Every constant of `barepoll::raw`.
pub fn raw_constants() -> Vec<(&'static str, u32)> {
    every_raw_constant!(names_and_values)
}
