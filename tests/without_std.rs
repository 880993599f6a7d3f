//! The shared program, built without feature `std`.
#![cfg(not(feature = "std"))]

mod program {
    include!("with_and_without_std/program.rs");
}

#[test]
fn a_program_runs_without_the_feature() {
    program::has_the_implementations_of_std();
    assert_eq!(program::program(), Ok(42));
}

#[test]
fn without_the_feature_descriptors_are_barepolls_own() {
    let name = std::any::type_name::<barepoll::fd::OwnedFd>();
    assert!(name.starts_with("barepoll::"), "{name}");
}

#[test]
fn a_number_is_made_from_a_number_and_becomes_one_as_in_the_standard_library() {
    use barepoll::fd::{AsRawFd, FromRawFd, IntoRawFd, RawFd};
    // SAFETY: a number owns nothing.
    let number = unsafe { RawFd::from_raw_fd(7) };
    assert_eq!((number.as_raw_fd(), number.into_raw_fd()), (7, 7));
}

#[test]
fn descriptors_are_shown_as_in_the_standard_library() {
    use barepoll::fd::{AsFd, AsRawFd, OwnedFd};
    let owned = OwnedFd::from(barepoll::Epoll::new().unwrap());
    let fd = owned.as_raw_fd();
    assert_eq!(format!("{owned:?}"), format!("OwnedFd {{ fd: {fd} }}"));
    assert_eq!(format!("{:?}", owned.as_fd()), format!("BorrowedFd {{ fd: {fd} }}"));
}

#[test]
fn what_differs_from_the_standard_library_is_as_documented() {
    use barepoll::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
    // SAFETY: no call uses it.
    assert_eq!(unsafe { BorrowedFd::borrow_raw(-1) }.as_raw_fd(), -1);
    // SAFETY: no descriptor has this number, so the drop closes none.
    drop(unsafe { OwnedFd::from_raw_fd(i32::MAX) });
    assert_eq!(size_of::<Option<OwnedFd>>(), 8);
    assert_eq!(size_of::<Option<std::os::fd::OwnedFd>>(), 4);
}
