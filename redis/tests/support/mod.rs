//! What tests on real servers are made of: the servers, several client processes, and the judge of what they admitted.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the lints do not see that helpers of tests are tests"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "servers and processes live in real time, and have no clock that a test could turn"
)]

pub(crate) mod admissions;
pub(crate) mod bound;
pub(crate) mod cluster;
pub(crate) mod fake_clock;
pub(crate) mod kinds;
pub(crate) mod lifeline;
pub(crate) mod ports;
pub(crate) mod processes;
pub(crate) mod servers;
pub(crate) mod slot_move;
pub(crate) mod until;
