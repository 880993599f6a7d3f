//! Feature `std`: errors that the standard library understands. Its descriptors are in [`crate::fd`].

use crate::errno::Errno;
use crate::interest::FlushError;

impl std::error::Error for Errno {}

impl std::error::Error for FlushError {}

impl From<FlushError> for std::io::Error {
    fn from(error: FlushError) -> Self {
        error.errno.into()
    }
}

impl From<Errno> for std::io::Error {
    fn from(errno: Errno) -> Self {
        Self::from_raw_os_error(errno.raw())
    }
}
