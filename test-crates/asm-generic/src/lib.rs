//! The part of `linux-raw-sys` that `test-crates/bare` and `barepoll-c` use, for hexagon and csky.
//!
//! Version 0.12.1 has these machines, but without std it lacks their `c_char` and does not compile.
//! Both have the kernel's asm-generic numbers and constants. The conformance list runs with these.
#![no_std]
#![allow(non_upper_case_globals, non_camel_case_types)]

pub mod general {
    pub const _LINUX_CAPABILITY_VERSION_3: u32 = 537396514;
    pub const O_RDONLY: u32 = 0;
    pub const O_WRONLY: u32 = 1;
    pub const O_DIRECTORY: u32 = 65536;
    pub const O_CLOEXEC: u32 = 524288;
    pub const F_GETFD: u32 = 1;
    pub const F_GETFL: u32 = 3;
    pub const O_NONBLOCK: u32 = 2048;
    pub const FD_CLOEXEC: u32 = 1;
    pub const F_DUPFD_CLOEXEC: u32 = 1030;
    pub const AT_FDCWD: i32 = -100;
    pub const EPOLL_CTL_ADD: u32 = 1;
    pub const EPOLL_CTL_DEL: u32 = 2;
    pub const SEEK_END: u32 = 2;
    pub const PROT_READ: u32 = 1;
    pub const PROT_WRITE: u32 = 2;
    pub const MAP_ANONYMOUS: u32 = 32;
    pub const MREMAP_MAYMOVE: u32 = 1;
    pub const MREMAP_FIXED: u32 = 2;
    pub const MAP_SHARED: u32 = 1;
    pub const MAP_PRIVATE: u32 = 2;
    pub const LINUX_REBOOT_MAGIC1: u32 = 4276215469;
    pub const LINUX_REBOOT_MAGIC2: u32 = 672274793;
    pub const LINUX_REBOOT_CMD_RESTART: u32 = 19088743;
    pub const RLIMIT_NOFILE: u32 = 7;
    pub const SIGCHLD: u32 = 17;
    pub const SIG_BLOCK: u32 = 0;
    pub const SIG_UNBLOCK: u32 = 1;
    pub const CLOCK_REALTIME: u32 = 0;
    pub const CLOCK_MONOTONIC: u32 = 1;
    pub const __NR_epoll_create1: u32 = 20;
    pub const __NR_epoll_ctl: u32 = 21;
    pub const __NR_epoll_pwait: u32 = 22;
    pub const __NR_read: u32 = 63;
    pub const __NR_write: u32 = 64;
    pub const __NR_dup: u32 = 23;
    pub const __NR_fcntl64: u32 = 25;
    pub const __NR_mount: u32 = 40;
    pub const __NR_openat: u32 = 56;
    pub const __NR_close: u32 = 57;
    pub const __NR_pipe2: u32 = 59;
    pub const __NR_llseek: u32 = 62;
    pub const __NR_pread64: u32 = 67;
    pub const __NR_pwrite64: u32 = 68;
    pub const __NR_timerfd_settime: u32 = 86;
    pub const __NR_timerfd_gettime: u32 = 87;
    pub const __NR_capget: u32 = 90;
    pub const __NR_capset: u32 = 91;
    pub const __NR_exit_group: u32 = 94;
    pub const __NR_waitid: u32 = 95;
    pub const __NR_clock_gettime: u32 = 113;
    pub const __NR_sched_yield: u32 = 124;
    pub const __NR_kill: u32 = 129;
    pub const __NR_tgkill: u32 = 131;
    pub const __NR_rt_sigaction: u32 = 134;
    pub const __NR_rt_sigprocmask: u32 = 135;
    pub const __NR_rt_sigqueueinfo: u32 = 138;
    pub const __NR_rt_sigreturn: u32 = 139;
    pub const __NR_reboot: u32 = 142;
    pub const __NR_getpgid: u32 = 155;
    pub const __NR_uname: u32 = 160;
    pub const __NR_prctl: u32 = 167;
    pub const __NR_getpid: u32 = 172;
    pub const __NR_gettid: u32 = 178;
    pub const __NR_socketpair: u32 = 199;
    pub const __NR_shutdown: u32 = 210;
    pub const __NR_munmap: u32 = 215;
    pub const __NR_mremap: u32 = 216;
    pub const __NR_clone: u32 = 220;
    pub const __NR_mmap2: u32 = 222;
    pub const __NR_msync: u32 = 227;
    pub const __NR_prlimit64: u32 = 261;
    pub const __NR_memfd_create: u32 = 279;
    pub const __NR_clock_gettime64: u32 = 403;
    pub const __NR_clock_settime64: u32 = 404;
    pub const __NR_clock_nanosleep_time64: u32 = 407;
    pub const __NR_setpgid: u32 = 154;
    pub const SIGKILL: u32 = 9;
    pub const WNOHANG: u32 = 1;
    pub const WEXITED: u32 = 4;
    pub const P_PID: u32 = 1;
    pub const MFD_CLOEXEC: u32 = 1;

    #[repr(C)]
    pub struct rlimit64 {
        pub rlim_cur: u64,
        pub rlim_max: u64,
    }
}

pub mod net {
    pub const SHUT_WR: u32 = 1;
    pub const SOCK_STREAM: u32 = 1;
    pub const AF_UNIX: u32 = 1;
}

pub mod prctl {
    pub const PR_SVE_GET_VL: u32 = 51;
}
