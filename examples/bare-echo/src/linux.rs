//! The kernel's numbers, constants and structures: those of `linux-raw-sys`.
//!
//! Version 0.12 of that crate does not compile without std for hexagon and csky, because it has no
//! `c_char` for them. Its `ioctl` is empty for SPARC. This file has what these machines lack.
//! A copy for other machines needs only the next two `use` lines.

#[cfg(not(any(target_arch = "hexagon", target_arch = "csky", target_arch = "sparc", target_arch = "sparc64")))]
pub use linux_raw_sys::ioctl;
#[cfg(not(any(target_arch = "hexagon", target_arch = "csky")))]
pub use linux_raw_sys::{errno, general, net};

#[cfg(any(target_arch = "hexagon", target_arch = "csky"))]
pub mod errno {
    pub const ECONNABORTED: u32 = 103;
}

#[cfg(any(target_arch = "hexagon", target_arch = "csky"))]
pub mod general {
    pub const AT_FDCWD: i32 = -100;
    pub const LINUX_REBOOT_CMD_POWER_OFF: u32 = 0x4321_fedc;
    pub const LINUX_REBOOT_CMD_RESTART: u32 = 0x0123_4567;
    pub const LINUX_REBOOT_MAGIC1: u32 = 0xfee1_dead;
    pub const LINUX_REBOOT_MAGIC2: u32 = 672_274_793;
    pub const O_CLOEXEC: u32 = 0o2_000_000;
    pub const O_NONBLOCK: u32 = 0o4000;
    pub const O_RDONLY: u32 = 0;
    pub const __NR_accept4: u32 = 242;
    pub const __NR_bind: u32 = 200;
    pub const __NR_exit_group: u32 = 94;
    pub const __NR_finit_module: u32 = 273;
    pub const __NR_getpgid: u32 = 155;
    pub const __NR_getpid: u32 = 172;
    pub const __NR_getsockname: u32 = 204;
    pub const __NR_ioctl: u32 = 29;
    pub const __NR_listen: u32 = 201;
    pub const __NR_openat: u32 = 56;
    pub const __NR_reboot: u32 = 142;
    pub const __NR_setsid: u32 = 157;
    pub const __NR_setsockopt: u32 = 208;
    pub const __NR_socket: u32 = 198;
}

#[cfg(any(target_arch = "hexagon", target_arch = "csky", target_arch = "sparc", target_arch = "sparc64"))]
pub mod ioctl {
    pub const SIOCSIFADDR: u32 = 0x8916;
    pub const SIOCSIFFLAGS: u32 = 0x8914;
    pub const SIOCSIFNETMASK: u32 = 0x891c;
    pub const TIOCSCTTY: u32 =
        if cfg!(any(target_arch = "hexagon", target_arch = "csky")) { 0x540e } else { 0x2000_7484 };
}

#[cfg(any(target_arch = "hexagon", target_arch = "csky"))]
#[allow(non_camel_case_types)]
pub mod net {
    pub const AF_INET: u32 = 2;
    pub const IPPROTO_TCP: u32 = 6;
    pub const SOCK_STREAM: u32 = 1;
    pub const SOL_SOCKET: u32 = 1;
    pub const SO_REUSEADDR: u32 = 2;
    pub const TCP_NODELAY: u32 = 1;

    pub mod net_device_flags {
        pub const IFF_UP: i16 = 1;
    }

    #[repr(C)]
    pub struct in_addr {
        pub s_addr: u32,
    }

    #[repr(C)]
    pub struct sockaddr_in {
        pub sin_family: u16,
        pub sin_port: u16,
        pub sin_addr: in_addr,
        pub __pad: [u8; 8],
    }

    #[repr(C)]
    pub struct ifreq {
        pub ifr_ifrn: ifreq_name,
        pub ifr_ifru: ifreq_value,
    }

    pub union ifreq_name {
        pub ifrn_name: [core::ffi::c_char; 16],
    }

    pub union ifreq_value {
        pub ifru_addr: core::mem::ManuallyDrop<sockaddr_in>,
        pub ifru_flags: i16,
    }
}
