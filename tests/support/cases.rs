//! How many cases a property is tried with.

use proptest::prelude::ProptestConfig;

/// So many cases, or as few as `PROPTEST_CASES` says, for the slow, or exactly as many as `BAREPOLL_CASES` says, for
/// `cargo xtask proof`; what fails is printed, not kept in a file.
pub fn cases(cases: u32) -> ProptestConfig {
    let number = |name| std::env::var(name).ok().and_then(|number| number.parse().ok());
    let cases = number("BAREPOLL_CASES").unwrap_or(cases.min(number("PROPTEST_CASES").unwrap_or(u32::MAX)));
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}
