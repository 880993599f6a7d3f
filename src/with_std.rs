//! Feature `std`: errors that the standard library understands, and its clock. Its descriptors are in [`crate::fd`].

use crate::errno::{Errno, Result};
use crate::timeout::Timespec;
use std::time::Instant;

impl std::error::Error for Errno {}

impl From<Errno> for std::io::Error {
    fn from(errno: Errno) -> Self {
        Self::from_raw_os_error(errno.raw())
    }
}

/// A moment of std's clock, which is `CLOCK_MONOTONIC`. Where the machine has a vDSO, std asks that, and makes no system call.
pub(crate) struct Moment(Instant);

impl Moment {
    pub(crate) fn now() -> Result<Self> {
        Ok(Self(Instant::now()))
    }

    pub(crate) fn elapsed(&self) -> Result<Timespec> {
        Ok(self.0.elapsed().into())
    }
}
