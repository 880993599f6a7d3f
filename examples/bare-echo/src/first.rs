//! Whether this program is a kernel's first process. The conformance program includes this file.

use crate::linux::general::{__NR_getpgid, __NR_getpid};
use barepoll::{raw, syscall, Errno, Result};
use core::ptr::null_mut;

/// A kernel's second process, a thread of the kernel. Its group is 0, and its parent is the kernel.
const KTHREADD: i32 = 2;
/// `waitid` does not reap the child.
const WNOWAIT: u32 = 0x0100_0000;

/// Whether a kernel started this program as its first process.
///
/// A container's first process has number 1 too. There, process 2 is missing, or has a group, or is
/// a child of this one. A child's group can be 0 too, if it comes from outside of the container.
pub fn is_first_process() -> bool {
    process() == Ok(1) && group_of(KTHREADD) == Ok(0) && is_no_child(KTHREADD)
}

// Each call is a function of its own. By the ABI it destroys registers that a wrong port may omit,
// and the conformance program survives to report that.

#[inline(never)]
fn process() -> Result<usize> {
    // SAFETY: no pointer.
    unsafe { syscall!(__NR_getpid) }
}

#[inline(never)]
fn group_of(process: i32) -> Result<usize> {
    // SAFETY: no pointer.
    unsafe { syscall!(__NR_getpgid, process) }
}

#[inline(never)]
fn is_no_child(process: i32) -> bool {
    let options = raw::WEXITED | raw::WNOHANG | WNOWAIT;
    // SAFETY: the pointer is null. The call reaps nothing.
    unsafe { raw::waitid(raw::P_PID, process, null_mut(), options) == Err(Errno::ECHILD) }
}
