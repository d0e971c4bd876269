//! Layers behind a real proxy and before real clients: nginx, curl, and gRPC in Python.
//!
//! `scripts/real_parts.sh` installs them. A test fails if one is absent. All of them talk on the
//! loopback interface only, and end with the test.

#![allow(clippy::panic, reason = "helpers of tests")]
#![allow(clippy::disallowed_methods, reason = "processes live in real time")]
#![allow(clippy::std_instead_of_alloc, reason = "tests have `std`")]

mod app;
mod client_addresses;
mod curl;
mod curl_clients;
mod disconnects;
mod grpc_clients;
mod nginx;
mod protocols;
mod refusals;
mod written_limits;

// Shared with the tests on Redis servers, which need more of them.
#[path = "../../../redis/tests/support/lifeline.rs"]
#[expect(dead_code, reason = "workers are not needed here")]
mod lifeline;
#[path = "../../../redis/tests/support/ports.rs"]
mod ports;
#[path = "../../../redis/tests/support/wait.rs"]
mod wait;

use std::path::PathBuf;

/// Returns a file that `scripts/real_parts.sh` has installed.
fn installed(file: &str) -> PathBuf {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/real_parts");
    let path = PathBuf::from(root).join(file);
    assert!(
        path.exists(),
        "{file} is absent: run `bash scripts/real_parts.sh`"
    );
    path
}
