//! The same as a library, which is linked without LTO.
#![no_std]

mod every;
