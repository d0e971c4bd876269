//! The outcome of a replay, as texts, pictures and pages show it.

use serde::Serialize;

use crate::picture::noticed::Noticed;
use crate::replay::retries::RetryOutcome;

/// The outcome of a replay. Serialized, it is the output of `--json`.
///
/// All times are seconds since 1970.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The limits as text, such as `100/min burst 20`.
    pub limits: Vec<String>,
    /// The kind of the keys, such as `ip` or `path`; `none` for one limit of all requests.
    pub by: String,
    /// Replayed requests.
    pub requests: u64,
    /// Admitted requests.
    pub admitted: u64,
    /// Refused requests.
    pub refused: u64,
    /// Lines that were unreadable or had no key.
    pub skipped: u64,
    /// Lines that came after a later line was replayed. They were replayed at the time of that
    /// line.
    pub late: u64,
    /// Requests that were not to count, such as those before `--from`.
    pub left_out: u64,
    /// Requests that were answered 429 by an earlier limit, and count.
    pub answered_429: u64,
    /// What makes the counts doubtful: damaged logs, late lines, a proxy that hides the clients.
    pub warnings: Vec<String>,
    /// The field with costs; `None` if each request asks for one permit.
    pub cost: Option<String>,
    /// The number of keys.
    pub keys: u64,
    /// The number of keys with a refusal.
    pub keys_refused: u64,
    /// The most requests of a key that the limits admit in any minute: an upper bound.
    pub max_per_minute: u64,
    /// The time of the first request; `None` without requests.
    pub first: Option<f64>,
    /// The time of the last request; `None` without requests.
    pub last: Option<f64>,
    /// The longest streak of refusals of one key, without an admission in between.
    pub longest_streak: Option<Streak>,
    /// The same rate with a burst that refuses no request; `None` if there is a window.
    pub sufficient_quota: Option<String>,
    /// Whether no smaller burst does. At a rate that the crate rounds, one token less may.
    pub sufficient_is_smallest: bool,
    /// What became of refused requests that were sent again; `None` without `--retries`.
    pub retries: Option<RetryOutcome>,
    /// The keys with the most refusals, in descending order.
    pub worst: Vec<Key>,
    /// The counts over time, in equal steps from `first` on.
    pub timeline: Timeline,
}

impl Report {
    /// How many clients would have noticed.
    pub fn noticed(&self) -> Noticed<'_> {
        Noticed {
            by: &self.by,
            requests: self.requests,
            refused: self.refused,
            keys: self.keys,
            keys_refused: self.keys_refused,
        }
    }
}

/// The counts of one key.
#[derive(Clone, Debug, Serialize)]
pub struct Key {
    /// The key.
    pub key: String,
    /// Its requests.
    pub requests: u64,
    /// Its refused requests.
    pub refused: u64,
    /// The time of the first refusal.
    pub first_refused: Option<f64>,
    /// The length of its longest streak of refusals.
    pub longest_streak: u64,
    /// The smallest burst that refuses none of its requests at the same rate; `None` if there is a
    /// window.
    pub required_burst: Option<u64>,
}

/// A streak of refusals.
#[derive(Clone, Debug, Serialize)]
pub struct Streak {
    /// The key.
    pub key: String,
    /// The number of refusals.
    pub refusals: u64,
    /// The time of the first.
    pub from: f64,
    /// The time of the last.
    pub to: f64,
}

/// Admissions and refusals over time.
#[derive(Clone, Debug, Serialize)]
pub struct Timeline {
    /// The length of a step in seconds.
    pub step: f64,
    /// Admitted requests of each step.
    pub admitted: Vec<u64>,
    /// Refused requests of each step.
    pub refused: Vec<u64>,
}

/// Converts nanoseconds to seconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "exact to a microsecond, which suffices to print and draw; decisions use nanoseconds"
)]
pub fn seconds(nanos: u64) -> f64 {
    // Split, because whole seconds are exact in an `f64` and nanoseconds are not.
    let (whole, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    whole as f64 + rest as f64 / 1e9
}
