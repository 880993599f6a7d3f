//! The limit of open descriptors.

/// Raises this process's limit, which the programs that it starts inherit.
pub fn need_descriptors(needed: u64) {
    let limit = rlimit::increase_nofile_limit(needed).expect("a limit below the hard one can be set");
    assert!(
        limit >= needed,
        "this test needs {needed} descriptors but the hard limit is {limit}; raise it (ulimit -Hn)"
    );
}
