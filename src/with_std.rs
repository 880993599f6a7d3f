//! Feature `std`: conversions to the standard library's errors, and its clock. Its descriptors are
//! in [`crate::fd`].

use crate::errno::{Errno, Result};
use crate::timeout::Timespec;
use std::time::Instant;

impl std::error::Error for Errno {}

impl From<Errno> for std::io::Error {
    fn from(errno: Errno) -> Self {
        Self::from_raw_os_error(errno.raw())
    }
}

/// A moment of std's clock, `CLOCK_MONOTONIC`. On a machine with a vDSO, std makes no system call.
pub(crate) struct Moment(Instant);

impl Moment {
    pub(crate) fn now() -> Result<Self> {
        Ok(Self(Instant::now()))
    }

    pub(crate) fn elapsed(&self) -> Result<Timespec> {
        Ok(self.0.elapsed().into())
    }
}
