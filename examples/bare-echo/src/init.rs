//! What a kernel's first process does before and after the server: it loads modules, sets up the
//! network, and ends the machine.

use crate::linux::general::*;
use crate::linux::ioctl::{SIOCSIFADDR, SIOCSIFFLAGS, SIOCSIFNETMASK, TIOCSCTTY};
use crate::linux::net::{ifreq, net_device_flags, sockaddr_in};
use crate::system::{open, sockaddr_of, socket};
use crate::Failure;
use barepoll::fd::OwnedFd;
use barepoll::{syscall, Epoll, Errno, Event, Result};
use core::ffi::CStr;
use core::mem::zeroed;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::time::Duration;

/// The address that qemu's user network expects.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
const NETMASK: Ipv4Addr = Ipv4Addr::new(255, 255, 255, 0);
const LISTEN: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 7777);

/// How often to look for the network device, and the time between.
const TRIES: usize = 1000;
const PAUSE: Duration = Duration::from_millis(10);

/// Returns the address to listen on.
pub fn prepare() -> core::result::Result<SocketAddrV4, Failure> {
    own_console().map_err(|errno| Failure::Step("own the console", errno))?;
    load_modules().map_err(|errno| Failure::Step("load the modules", errno))?;
    network().map_err(|errno| Failure::Step("set up the network", errno))?;
    Ok(LISTEN)
}

/// Turns the machine off. Its kernel may restart it instead.
pub fn end_machine() {
    for command in [LINUX_REBOOT_CMD_POWER_OFF, LINUX_REBOOT_CMD_RESTART] {
        // SAFETY: the fourth argument is not used. All of the program's work is done.
        let _ = unsafe { syscall!(__NR_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, command, 0) };
    }
}

/// Makes the console this process's terminal, so that Ctrl-C there sends SIGINT.
fn own_console() -> Result<()> {
    // SAFETY: no pointers.
    unsafe {
        syscall!(__NR_setsid)?;
        syscall!(__NR_ioctl, 0, TIOCSCTTY, 0).map(drop)
    }
}

/// Loads `/modules/0.ko`, `/modules/1.ko` and so on, up to ten.
fn load_modules() -> Result<()> {
    let mut path = *b"/modules/0.ko\0";
    for digit in b'0'..=b'9' {
        path[9] = digit;
        let file = match open(CStr::from_bytes_until_nul(&path).map_err(|_| Errno::EINVAL)?, O_RDONLY) {
            Err(Errno::ENOENT) => return Ok(()),
            file => file?,
        };
        // SAFETY: the options end with a zero byte.
        match unsafe { syscall!(__NR_finit_module, &file, c"".as_ptr(), 0) } {
            Ok(_) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn network() -> Result<()> {
    let socket = socket(O_CLOEXEC)?;
    start(&socket, b"lo")?;
    let sleep = Epoll::new()?;
    let mut tries = 0;
    while let Err(errno) = set_address(&socket, b"eth0", SIOCSIFADDR, ADDRESS) {
        tries += 1;
        if errno != Errno::ENODEV || tries == TRIES {
            return Err(errno);
        }
        sleep.wait_uninterrupted(&mut Event::buffer::<1>(), Some(PAUSE))?;
    }
    set_address(&socket, b"eth0", SIOCSIFNETMASK, NETMASK)?;
    start(&socket, b"eth0")
}

fn set_address(socket: &OwnedFd, device: &[u8], request: u32, address: Ipv4Addr) -> Result<()> {
    let mut order = order(device);
    // SAFETY: a `sockaddr_in` is as large as the union's `sockaddr`.
    unsafe { (&raw mut order.ifr_ifru).cast::<sockaddr_in>().write(sockaddr_of(SocketAddrV4::new(address, 0))) };
    // SAFETY: the request reads the structure.
    unsafe { syscall!(__NR_ioctl, socket, request, &raw const order).map(drop) }
}

fn start(socket: &OwnedFd, device: &[u8]) -> Result<()> {
    let mut order = order(device);
    order.ifr_ifru.ifru_flags = net_device_flags::IFF_UP as i16;
    // SAFETY: the request reads the structure.
    unsafe { syscall!(__NR_ioctl, socket, SIOCSIFFLAGS, &raw const order).map(drop) }
}

/// A request for the device with this name.
fn order(device: &[u8]) -> ifreq {
    // SAFETY: the structure has integers and null pointers.
    let mut order: ifreq = unsafe { zeroed() };
    // SAFETY: the union has one field.
    let name = unsafe { &mut order.ifr_ifrn.ifrn_name };
    name.iter_mut().zip(device).for_each(|(to, from)| *to = *from as _);
    order
}
