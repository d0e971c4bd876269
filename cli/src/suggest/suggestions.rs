//! What `suggest` found, as texts, pictures and pages show it.

use serde::Serialize;

use super::kind::Period;
use crate::picture::noticed::Noticed;

/// The suggested limits. Serialized, they are the output of `--json`.
#[derive(Clone, Debug, Serialize)]
pub struct Suggestions {
    /// The kind of the keys.
    pub by: String,
    /// The number of requests.
    pub requests: u64,
    /// Lines that were unreadable or had no key.
    pub skipped: u64,
    /// Late lines.
    pub late: u64,
    /// Requests that were not to count, such as those before `--from`.
    pub left_out: u64,
    /// Requests that were answered 429 by an earlier limit, and count.
    pub answered_429: u64,
    /// The field with costs; `None` if each request asks for one permit.
    pub cost: Option<String>,
    /// The number of keys.
    pub keys: u64,
    /// The share of requests that may be refused, as it was given.
    pub refuse_at_most: Option<String>,
    /// The number of requests that may be refused: the share, rounded down.
    pub target: Option<u64>,
    /// The share of keys that may have a refused request, as it was given.
    pub clients_at_most: Option<String>,
    /// The number of keys that may have a refused request: the share, rounded down.
    pub clients_target: Option<u64>,
    /// The recommended limit: of the round limits that meet the targets, the one that lets through
    /// the least in any minute. `None` without requests.
    pub recommended: Option<Choice>,
    /// Seconds between the first and the last request.
    pub span: f64,
    /// The period of the recommended limit in seconds. A log that is shorter cannot show whether
    /// the limit suits.
    pub period: Option<f64>,
    /// Round limits of the recommended kind, from stricter to more generous. The recommended one is
    /// among them.
    pub ladder: Vec<Choice>,
    /// The smallest round limit that meets the targets of each other kind, the strictest first.
    pub others: Vec<Choice>,
    /// The limits that were given with `--quota` and `--window`.
    pub given: Vec<Choice>,
    /// Classes of keys, in the order of `--class`, and all other keys as the last.
    pub classes: Vec<Class>,
    /// What limits of the recommended kind refuse; `None` without requests.
    pub curve: Option<Curve>,
    /// The smallest quota per period and burst factor, round or not, without those that would be
    /// out of range.
    pub suggestions: Vec<Suggestion>,
}

impl Suggestions {
    /// How many clients would have noticed a limit.
    pub fn noticed(&self, choice: &Choice) -> Noticed<'_> {
        Noticed {
            by: &self.by,
            requests: self.requests,
            refused: choice.refused,
            keys: self.keys,
            keys_refused: choice.keys_refused,
        }
    }
}

/// A limit and what it refuses.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Choice {
    /// The limit, such as `100/min burst 20` or `window 100/min`.
    pub limit: String,
    /// The argument of `replay --quota`.
    pub quota: Option<String>,
    /// The argument of `replay --window`.
    pub window: Option<String>,
    /// The number of requests that it refuses.
    pub refused: u64,
    /// Their share of all requests.
    pub share: f64,
    /// The number of keys with a refused request.
    pub keys_refused: u64,
    /// Their share of all keys.
    pub keys_share: f64,
    /// The most requests of a key that it admits in any minute.
    pub max_per_minute: u64,
    /// Whether it meets the targets.
    pub meets: bool,
}

/// Some of the keys, and the limit that suits them.
#[derive(Clone, Debug, Serialize)]
pub struct Class {
    /// The name.
    pub name: String,
    /// The number of keys.
    pub keys: u64,
    /// The number of their requests.
    pub requests: u64,
    /// What the recommended limit of all keys refuses of them.
    pub with_recommended: Option<Choice>,
    /// The limit that is recommended for them alone, at the same targets. `None` without requests.
    pub recommended: Option<Choice>,
}

/// What the limits of one kind refuse.
#[derive(Clone, Debug, Serialize)]
pub struct Curve {
    /// The kind, such as `N/min burst 2×N`.
    pub kind: String,
    /// Limits in ascending order, up to the first that refuses nothing.
    pub points: Vec<Point>,
}

/// A point of a curve.
#[derive(Clone, Debug, Serialize)]
pub struct Point {
    /// The rate.
    pub rate: u64,
    /// The limit.
    pub limit: String,
    /// The number of requests that it refuses.
    pub refused: u64,
    /// The number of keys with a refused request.
    pub keys_refused: u64,
}

/// The smallest quota of a kind that meets the targets.
#[derive(Clone, Debug, Serialize)]
pub struct Suggestion {
    /// The quota.
    pub quota: String,
    /// Its period.
    pub per: Period,
    /// Its rate per period.
    pub rate: u64,
    /// Its burst.
    pub burst: u64,
    /// The number of requests that it refuses.
    pub refused: u64,
    /// Their share of all requests.
    pub share: f64,
    /// The number of keys with a refusal.
    pub keys_refused: u64,
    /// The key that is refused most.
    pub worst: Option<WorstKey>,
    /// The burst with which the same rate would refuse no request.
    pub required_burst: u64,
}

/// The key that is refused most.
#[derive(Clone, Debug, Serialize)]
pub struct WorstKey {
    /// The key.
    pub key: String,
    /// Its requests.
    pub requests: u64,
    /// Its refused requests.
    pub refused: u64,
}
