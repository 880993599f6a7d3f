//! Guides. Each takes a few minutes to read. The crate's tests compile and run their code, with
//! feature `std`.

#[doc = include_str!("../docs/epoll.md")]
pub mod epoll {}

#[doc = include_str!("../docs/migrating.md")]
pub mod migrating {}

#[doc = include_str!("../docs/runtime.md")]
pub mod runtime {}

#[doc = include_str!("../docs/no-libc.md")]
pub mod no_libc {}

#[doc = include_str!("../docs/porting.md")]
pub mod porting {}

#[doc = include_str!("../docs/testing.md")]
pub mod testing {}

#[doc = include_str!("../docs/kernels.md")]
pub mod kernels {}

/// The README's code is a test too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
