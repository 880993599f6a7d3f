//! The number of cases that a property is tried with.

use proptest::prelude::ProptestConfig;

/// The number of cases: `cases`, fewer with `PROPTEST_CASES` for slow machines, or exactly
/// `BAREPOLL_CASES` for `cargo xtask proof`. A failure is printed, not stored in a file.
pub fn cases(cases: u32) -> ProptestConfig {
    let number = |name| std::env::var(name).ok().and_then(|number| number.parse().ok());
    let cases = number("BAREPOLL_CASES").unwrap_or(cases.min(number("PROPTEST_CASES").unwrap_or(u32::MAX)));
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}
