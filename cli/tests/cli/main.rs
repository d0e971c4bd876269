//! Tests of the program `tidegate`.

#![allow(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::unwrap_used,
    clippy::panic,
    clippy::format_push_string,
    reason = "tests on an operating system, with helpers outside of test functions"
)]

use proptest::test_runner::Config;

mod choose;
mod clients;
mod config;
mod eviction;
mod explain;
mod files;
mod follow;
mod formats;
mod malformed_lines;
mod manual;
mod nginx_limits;
mod oracle;
mod output_files;
mod pictures;
mod program;
mod program_runs;
mod real_log;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "redis")]
mod redis_kinds;
#[cfg(feature = "redis")]
mod redis_server;
mod reorder;
mod requests;
mod rules;
mod sample_report;
mod shape;
mod slicing;
mod suggest;

/// Runs as many cases as `PROPTEST_CASES` says, and writes no regression files.
fn without_regression_files() -> Config {
    Config {
        failure_persistence: None,
        ..Config::default()
    }
}

/// Runs this many cases and writes no regression files.
fn cases(cases: u32) -> Config {
    Config {
        cases,
        ..without_regression_files()
    }
}
