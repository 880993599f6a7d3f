pub mod coverage;
pub mod doctor;
pub mod documents;
pub mod fuzz;
pub mod memory;
pub mod mutants;
pub mod native;
pub mod proof;
