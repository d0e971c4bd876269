//! Requests, as the limits decide about them.
//!
//! Each key has limiters of its own, those of the crate, that are asked at the log's times: one permit for each request. They lie
//! in a vector by the number of their key, and not in a [`tidegate::Keyed`]: events carry numbers already, what is counted for a
//! key lies at the same number, and no key may be forgotten or share a place with another.

pub mod gates;
pub mod limits;
pub mod need;
pub mod run;
pub mod summary;
pub mod tally;
pub mod timeline;

pub use run::{Replayed, replay};
