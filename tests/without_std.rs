//! The program of both worlds in the world without feature `std`.
#![cfg(not(feature = "std"))]

mod program {
    include!("both_worlds/program.rs");
}

#[test]
fn a_program_runs_without_the_feature() {
    assert_eq!(program::program(), Ok(42));
}

#[test]
fn without_the_feature_descriptors_are_barepolls_own() {
    let name = std::any::type_name::<barepoll::fd::OwnedFd>();
    assert!(name.starts_with("barepoll::"), "{name}");
}
