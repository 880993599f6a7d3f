//! How many cases a property is tried with.

use proptest::prelude::ProptestConfig;

/// So many cases, or as few as `PROPTEST_CASES` says, for the slow; what fails is printed, not kept in a file.
pub fn cases(cases: u32) -> ProptestConfig {
    let most = std::env::var("PROPTEST_CASES").ok().and_then(|most| most.parse().ok()).unwrap_or(u32::MAX);
    ProptestConfig { cases: cases.min(most), failure_persistence: None, ..ProptestConfig::default() }
}
