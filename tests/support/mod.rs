//! Finds the examples, which `cargo test` has built.

use std::path::PathBuf;

/// The path of an example's program, beside this test's own.
pub fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's path is known");
    // target/<profile>/deps/<test>-<hash>
    let profile = test.ancestors().nth(2).expect("a test lies in target/<profile>/deps");
    let program = profile.join("examples").join(name);
    let release = if profile.ends_with("release") { " --release" } else { "" };
    assert!(
        program.is_file(),
        "{} is missing: build it with `cargo build{release} --features std --example {name}`, for the same target",
        program.display()
    );
    program
}
