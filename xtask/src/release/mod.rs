pub mod minimum;
pub mod package;
pub mod supply;
