//! Access logs: from files to events in the order of time.

pub mod clf;
pub mod detect;
pub mod input;
pub mod intern;
pub mod json;
pub mod key;
pub mod lines;
pub mod mishaps;
pub mod progress;
pub mod read;
pub mod reorder;
pub mod time;

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Nanoseconds since 1970.
    pub time: u64,
    /// The number of its key: see [`intern::Keys`].
    pub key: u32,
}
