//! What came of a replay: what `replay` counts, and what texts, pictures and pages show.

use serde::Serialize;

/// Everything about one replay. Its JSON is the output of `--json`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The limits as they were given, such as `100/min burst 20`.
    pub limits: Vec<String>,
    /// What each key is: `ip`, `path`, ..; `none` for one limit of all requests.
    pub by: String,
    /// Lines that were replayed.
    pub requests: u64,
    /// Requests that the limits let through.
    pub admitted: u64,
    /// Requests that they refuse.
    pub refused: u64,
    /// Lines that could not be read, or have no key.
    pub skipped: u64,
    /// Lines that came later than the buffer of log time, and were replayed at the latest time seen.
    pub late: u64,
    /// How many different keys there are.
    pub keys: u64,
    /// How many of them were refused something.
    pub keys_refused: u64,
    /// The first and the last time, in seconds since 1970; absent if there was no request.
    pub first: Option<f64>,
    /// See `first`.
    pub last: Option<f64>,
    /// The longest run of refusals of one key without an admission in between.
    pub longest_streak: Option<Streak>,
    /// The same rate with the smallest burst that would refuse nobody; absent if a window is the limit.
    pub tightest: Option<String>,
    /// The keys that were refused most, the most first.
    pub worst: Vec<Key>,
    /// What happened over time, in equal steps from `first` on.
    pub timeline: Timeline,
}

/// One key's part.
#[derive(Clone, Debug, Serialize)]
pub struct Key {
    /// The key.
    pub key: String,
    /// Its requests.
    pub requests: u64,
    /// How many of them were refused.
    pub refused: u64,
    /// When the first of them was, in seconds since 1970.
    pub first_refused: Option<f64>,
    /// Its longest run of refusals.
    pub longest_streak: u64,
    /// The burst that would have refused it nothing at the same rate; absent if a window is the limit.
    pub burst_needed: Option<u64>,
}

/// A run of refusals.
#[derive(Clone, Debug, Serialize)]
pub struct Streak {
    /// Whose.
    pub key: String,
    /// How many.
    pub refusals: u64,
    /// From when, in seconds since 1970.
    pub from: f64,
    /// Until when.
    pub to: f64,
}

/// Admissions and refusals by time.
#[derive(Clone, Debug, Serialize)]
pub struct Timeline {
    /// Seconds of a step.
    pub step: f64,
    /// Admitted in each.
    pub admitted: Vec<u64>,
    /// Refused in each.
    pub refused: Vec<u64>,
}
