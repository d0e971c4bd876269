//! Reads access logs and hands out their requests in the order of time.

pub mod clf;
pub mod diagnostics;
pub mod event_parser;
pub mod group_by;
pub mod input;
pub mod interner;
pub mod json;
pub mod line_reader;
pub mod read;
pub mod reorder;
pub mod timestamps;

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Nanoseconds since 1970.
    pub time: u64,
    /// The number of its key in the [`interner::KeyInterner`].
    pub key: u32,
}
