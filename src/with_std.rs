//! Feature `std`: errors that the standard library understands. Its descriptors are in [`crate::fd`].

use crate::errno::Errno;

impl std::error::Error for Errno {}

impl From<Errno> for std::io::Error {
    fn from(errno: Errno) -> Self {
        Self::from_raw_os_error(errno.raw())
    }
}
