//! Reads access logs and hands out their requests in the order of time.

pub mod address;
pub mod clf;
pub mod client;
pub mod diagnostics;
pub mod event_parser;
pub mod fields;
pub mod follow;
pub mod group_by;
pub mod guess;
pub mod input;
pub mod interner;
pub mod json;
pub mod json_stream;
pub mod known;
pub mod layout;
pub mod line_reader;
pub mod merge;
pub mod names;
pub mod notation;
pub mod prefix;
pub mod read;
pub mod reorder;
pub mod slice;
pub mod source;
pub mod timestamps;
pub mod w3c;
pub mod zstd;

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Nanoseconds since 1970.
    pub time: u64,
    /// The number of its key in the [`interner::KeyInterner`].
    pub key: u32,
    /// The permits that it asks for: 1, unless a field says otherwise.
    pub cost: u32,
}
