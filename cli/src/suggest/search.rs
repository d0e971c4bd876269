//! Searches for the smallest quotas by bisection.
//!
//! For a period and a burst factor `f`, the candidates are `n per period burst ⌈f·n⌉`. The smallest
//! quota is the one with the smallest `n` that refuses at most the target. With `n − 1`, more would
//! be refused.
//!
//! Bisection is correct because a larger `n` never refuses more:
//!
//! * A bucket that admits every request that fits admits as many requests of one token as possible.
//!   To refuse one that fits makes room for at most one later request.
//! * Requests that conform to a quota conform to one with a higher rate and a larger burst.
//!
//! Each step sends all requests through the crate's own bucket, as a replay would. So `replay` with
//! a suggested quota refuses exactly as many requests as `suggest` reports.

use std::time::Duration;

use serde::Serialize;
use tidegate::Quota;

use super::fraction::{BurstFactor, Share};
use super::requests::RequestsByKey;
use crate::failure::Failure;
use crate::log::read::{LogArgs, LogSummary, read_logs};
use crate::picture::numbers::ratio;

/// The period of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// One second
    Second,
    /// One minute
    #[value(alias = "min")]
    Minute,
    /// One hour
    Hour,
    /// One day of 24 hours
    Day,
}

impl Period {
    /// The quota with this rate and factor, or `None` if it is out of range.
    fn quota(self, rate: u64, factor: BurstFactor) -> Option<Quota> {
        let seconds = match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        };
        let quota = Quota::new(rate, Duration::from_secs(seconds)).ok()?;
        quota.try_burst(factor.burst(rate)?).ok()
    }
}

/// The suggested quotas. Serialized, they are the output of `--json`.
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
    /// The number of keys.
    pub keys: u64,
    /// The share that may be refused, as it was given.
    pub refuse_at_most: String,
    /// The number of requests that may be refused: the share, rounded down.
    pub target: u64,
    /// A quota per period and burst factor, without those that would be out of range.
    pub suggestions: Vec<Suggestion>,
}

/// A quota that meets the target.
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

/// Reads logs and finds the smallest quota for each period and burst factor.
///
/// # Errors
///
/// If a file cannot be read, or with `strict` if a line cannot be parsed.
pub fn suggest(
    args: &LogArgs,
    share: &Share,
    periods: &[Period],
    bursts: &[BurstFactor],
) -> Result<(Suggestions, LogSummary), Failure> {
    let mut requests = RequestsByKey::default();
    let log = read_logs(args, |event| requests.push(event))?;
    requests.sort();
    let target = share.of(requests.total());
    let mut suggestions = Vec::new();
    for period in periods {
        for factor in bursts {
            let found = search(&requests, *period, *factor, target);
            suggestions.extend(found.map(|quota| describe(&requests, &log, *period, quota)));
        }
    }
    let found = Suggestions {
        by: args.by.to_string(),
        requests: requests.total(),
        skipped: log.skipped(),
        late: log.late,
        keys: log.keys.len() as u64,
        refuse_at_most: share.to_string(),
        target,
        suggestions,
    };
    Ok((found, log))
}

fn describe(requests: &RequestsByKey, log: &LogSummary, per: Period, quota: Quota) -> Suggestion {
    let by_key: Vec<(u32, u64)> = requests.refused_by_key(quota).collect();
    let refused = by_key.iter().map(|(_, refused)| refused).sum();
    // Of equal keys, the one with the most requests. `max_by_key` returns the last maximum.
    let worst = by_key.iter().rev().max_by_key(|(_, refused)| refused);
    Suggestion {
        quota: quota.to_string(),
        per,
        rate: quota.rate(),
        burst: quota.capacity(),
        refused,
        share: ratio(refused, requests.total()),
        keys_refused: by_key.len() as u64,
        worst: worst.map(|(key, refused)| WorstKey {
            key: log.keys.text(*key),
            requests: requests.of(*key),
            refused: *refused,
        }),
        required_burst: requests.required_burst(quota),
    }
}

/// Returns the smallest quota that refuses at most `target`, or `None` if it would be out of range.
fn search(
    requests: &RequestsByKey,
    period: Period,
    factor: BurstFactor,
    target: u64,
) -> Option<Quota> {
    let meets = |rate: u64| Some(requests.meets(period.quota(rate, factor)?, target));
    // A burst of all requests of the largest key refuses nothing.
    let sufficient = factor.rate_for(requests.max_per_key());
    // Doubling comes before bisection because most answers are small, and small rates are fast to
    // check: the check ends once the target is exceeded.
    let (mut fails, mut holds) = (0, 1);
    while !meets(holds)? {
        fails = holds;
        holds = holds.saturating_mul(2).min(sufficient);
        if holds <= fails {
            return None;
        }
    }
    // Invariant: `fails` refuses more than the target, or is 0, and `holds` does not.
    while holds - fails > 1 {
        let middle = fails + (holds - fails) / 2;
        if meets(middle)? {
            holds = middle;
        } else {
            fails = middle;
        }
    }
    period.quota(holds, factor)
}
