pub mod chart;
pub mod copy;
pub mod document;
pub mod progress;
pub mod random;
pub mod report;
pub mod shell;
pub mod tool;
