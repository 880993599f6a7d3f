//! The same code as a library, linked without LTO.
#![no_std]

mod every;
