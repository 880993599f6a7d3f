//! The program, linked with LTO.
#![no_std]
#![no_main]

mod every;
