//! The system calls, with the numbers, constants and structures of `linux-raw-sys`.
//!
//! All of barepoll's machines have direct numbers for the calls of sockets. On s390x and x86,
//! kernels before 4.3 have only `socketcall`.

use crate::linux::general::*;
use crate::linux::net::*;
use barepoll::fd::{AsRawFd, FromRawFd, OwnedFd};
use barepoll::signo::{SIGINT, SIGPIPE, SIGTERM};
use barepoll::{raw, syscall, Errno, Result, SigSet, SignalFd, SignalFdFlags};
use core::ffi::CStr;
use core::mem::{size_of, MaybeUninit};
use core::net::SocketAddrV4;
use core::ptr::null_mut;

/// `SOCK_NONBLOCK | SOCK_CLOEXEC`. Linux defines the flags of sockets as these.
const FLAGS: u32 = O_NONBLOCK | O_CLOEXEC;

pub fn open(path: &CStr, flags: u32) -> Result<OwnedFd> {
    // SAFETY: the path ends with a zero byte.
    let fd = unsafe { syscall!(__NR_openat, AT_FDCWD, path.as_ptr(), flags | O_CLOEXEC)? };
    // SAFETY: the descriptor is new, and nothing else owns it.
    Ok(unsafe { own(fd) })
}

/// The program's name and arguments. A zero byte follows each.
///
/// The kernel puts them onto the stack too, but only machine code can tell where.
pub fn command_line(room: &mut [u8]) -> Result<&[u8]> {
    let file = open(c"/proc/self/cmdline", O_RDONLY)?;
    // SAFETY: the pointer and the length are of one slice.
    let length = unsafe { raw::read(file.as_raw_fd(), room.as_mut_ptr(), room.len())? };
    room.get(..length).ok_or(Errno::EIO)
}

/// Blocks SIGTERM and SIGINT, and returns a descriptor that is readable once one of them came.
///
/// Blocks SIGPIPE too, which a write to a closed socket or pipe raises.
pub fn signals() -> Result<SignalFd> {
    SigSet::from_signals(&[SIGTERM, SIGINT, SIGPIPE])?.block()?;
    SignalFd::new(&SigSet::from_signals(&[SIGTERM, SIGINT])?, SignalFdFlags::CLOEXEC | SignalFdFlags::NONBLOCK)
}

pub fn listen(address: SocketAddrV4) -> Result<OwnedFd> {
    let socket = socket(FLAGS)?;
    set_option(&socket, SOL_SOCKET, SO_REUSEADDR)?;
    let address = sockaddr_of(address);
    // SAFETY: the address is a structure of this size.
    unsafe { syscall!(__NR_bind, &socket, &raw const address, size_of::<sockaddr_in>())? };
    // SAFETY: no pointer. The kernel reduces the backlog to its limit, `net.core.somaxconn`.
    unsafe { syscall!(__NR_listen, &socket, i32::MAX)? };
    Ok(socket)
}

/// A TCP socket.
pub fn socket(flags: u32) -> Result<OwnedFd> {
    // SAFETY: no pointer.
    let fd = unsafe { syscall!(__NR_socket, AF_INET, SOCK_STREAM | flags, 0)? };
    // SAFETY: the descriptor is new, and nothing else owns it.
    Ok(unsafe { own(fd) })
}

/// The address that the kernel chose for port 0.
pub fn local_address(socket: &OwnedFd) -> Result<SocketAddrV4> {
    let mut address = sockaddr_of(crate::DEFAULT);
    let mut size = size_of::<sockaddr_in>() as u32;
    // SAFETY: the kernel writes an address of at most that size, and its size.
    unsafe { syscall!(__NR_getsockname, socket, &raw mut address, &raw mut size)? };
    Ok(SocketAddrV4::new(u32::from_be(address.sin_addr.s_addr).into(), u16::from_be(address.sin_port)))
}

/// The next connection, which does not wait for more bytes before it sends some.
pub fn accept(listener: &OwnedFd) -> Result<OwnedFd> {
    let (address, size) = (null_mut::<sockaddr_in>(), null_mut::<u32>());
    // SAFETY: null pointers, because the peer's address is not wanted.
    let fd = unsafe { syscall!(__NR_accept4, listener, address, size, FLAGS)? };
    // SAFETY: the descriptor is new, and nothing else owns it.
    let socket = unsafe { own(fd) };
    set_option(&socket, IPPROTO_TCP as u32, TCP_NODELAY)?;
    Ok(socket)
}

/// Receives into the start of `room`. Returns how many bytes came, or 0 at the peer's end.
pub fn receive(socket: &OwnedFd, room: &mut [MaybeUninit<u8>]) -> Result<usize> {
    // SAFETY: the pointer and the length are of one slice.
    unsafe { raw::read(socket.as_raw_fd(), room.as_mut_ptr().cast(), room.len()) }
}

/// Sends bytes. If the peer has closed, the error is `EPIPE`, because [`signals`] blocks SIGPIPE.
pub fn send(socket: &OwnedFd, bytes: &[u8]) -> Result<usize> {
    // SAFETY: the pointer and the length are of one slice.
    unsafe { raw::write(socket.as_raw_fd(), bytes.as_ptr(), bytes.len()) }
}

pub fn sockaddr_of(address: SocketAddrV4) -> sockaddr_in {
    sockaddr_in {
        sin_family: AF_INET as u16,
        sin_port: address.port().to_be(),
        sin_addr: in_addr { s_addr: u32::from(*address.ip()).to_be() },
        __pad: [0; 8],
    }
}

/// Sets an option to 1.
fn set_option(socket: &OwnedFd, level: u32, option: u32) -> Result<()> {
    let one = 1_i32;
    // SAFETY: the option is an `int`.
    unsafe { syscall!(__NR_setsockopt, socket, level, option, &raw const one, size_of::<i32>()).map(drop) }
}

/// # Safety
///
/// The number must be that of an open descriptor that nothing else owns.
unsafe fn own(fd: usize) -> OwnedFd {
    // SAFETY: the caller's contract.
    unsafe { OwnedFd::from_raw_fd(fd as i32) }
}
