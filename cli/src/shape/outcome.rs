//! Sends traffic through limiters.

use std::time::Duration;

use serde::{Serialize, Serializer};
use tidegate::{Quota, Timestamp};

use super::traffic::{Pattern, Traffic};
use crate::failure::Failure;
use crate::replay::limiters::Limiters;
use crate::replay::limits::{Limits, WindowLimit};

/// The maximum number of windows.
const MAX_WINDOWS: usize = 8;

/// The same traffic through each limiter. Serialized, it is the output of `--json`.
#[derive(Clone, Debug, Serialize)]
pub struct Shape {
    /// The quota.
    pub quota: String,
    /// The windows.
    pub windows: Vec<String>,
    /// The pattern of the requests.
    pub pattern: Pattern,
    /// The seed of random patterns.
    pub seed: u64,
    /// The length of the traffic.
    #[serde(rename = "seconds", serialize_with = "serialize_seconds")]
    pub length: Duration,
    /// The times of the requests in nanoseconds.
    pub arrivals: Vec<u64>,
    /// The outcome of each limiter: the bucket, each window, and all together.
    pub series: Vec<Series>,
    /// The interval in which admissions are compared: the length of the longest window.
    #[serde(rename = "compared_seconds", serialize_with = "serialize_seconds")]
    pub compared: Duration,
    /// The limit of the longest window.
    pub limit: u64,
}

/// The outcome of one limiter.
#[derive(Clone, Debug, Serialize)]
pub struct Series {
    /// The limiter.
    pub name: String,
    /// Admitted requests.
    pub admitted: u64,
    /// Refused requests.
    pub refused: u64,
    /// The most requests that it admitted in any interval of the longest window's length.
    pub max_in_interval: u64,
    /// Whether it admitted each request.
    pub decisions: Vec<bool>,
}

fn serialize_seconds<S: Serializer>(length: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(length.as_secs_f64())
}

impl Shape {
    /// Sends the traffic through the limiters.
    ///
    /// # Errors
    ///
    /// If there is no window, or too many.
    pub fn new(quota: Quota, windows: &[WindowLimit], traffic: Traffic) -> Result<Self, Failure> {
        let longest = windows.iter().max_by_key(|window| window.quota.period());
        let longest = longest.filter(|_| windows.len() <= MAX_WINDOWS);
        let longest = longest
            .ok_or_else(|| Failure::Usage(format!("1 to {MAX_WINDOWS} windows can be compared")))?;
        let longest = longest.quota;
        let compared = longest.period();
        let arrivals = traffic.arrivals();
        let simulate = |name: String, quota: Option<Quota>, windows: &[WindowLimit]| {
            let windows = windows.to_vec();
            Series::new(name, &Limits { quota, windows }, &arrivals, compared)
        };
        let mut series = vec![simulate(format!("bucket {quota}"), Some(quota), &[])];
        for window in windows {
            series.push(simulate(window.to_string(), None, &[*window]));
        }
        let all = if windows.len() > 1 { "all" } else { "both" };
        series.push(simulate(format!("{all} together"), Some(quota), windows));
        Ok(Self {
            quota: quota.to_string(),
            windows: windows
                .iter()
                .map(|window| window.quota.to_string())
                .collect(),
            pattern: traffic.pattern,
            seed: traffic.seed,
            length: Duration::from_nanos(traffic.nanos),
            arrivals,
            series,
            compared,
            limit: longest.rate(),
        })
    }

    /// Divides the time into equal steps, and counts the requests of each step whose index
    /// satisfies `counted`.
    pub(super) fn counts(&self, steps: usize, counted: impl Fn(usize) -> bool) -> Vec<u64> {
        let mut counts = vec![0; steps];
        let length = self.length.as_nanos().max(1);
        for (index, time) in self.arrivals.iter().enumerate() {
            // The time is below 2^64, and there are few steps.
            let step = u128::from(*time) * (steps as u128) / length;
            let step = usize::try_from(step).unwrap_or(usize::MAX);
            if let Some(count) = counts.get_mut(step.min(steps.saturating_sub(1))) {
                *count += u64::from(counted(index));
            }
        }
        counts
    }
}

impl Series {
    fn new(name: String, limits: &Limits, arrivals: &[u64], compared: Duration) -> Self {
        let mut limiters = Limiters::new(limits);
        let decisions: Vec<bool> = arrivals
            .iter()
            .map(|time| limiters.admit(0, Timestamp::from_nanos(*time)))
            .collect();
        let admitted = decisions.iter().filter(|admitted| **admitted).count() as u64;
        let counts = admitted_within(arrivals, &decisions, compared);
        Self {
            name,
            admitted,
            refused: arrivals.len() as u64 - admitted,
            max_in_interval: counts.iter().map(|(_, count)| *count).max().unwrap_or(0),
            decisions,
        }
    }

    /// The number of admissions in the last `compared` interval, at each time at which it changes.
    pub(super) fn recent(&self, shape: &Shape) -> Vec<(u64, u64)> {
        admitted_within(&shape.arrivals, &self.decisions, shape.compared)
    }
}

/// The number of admissions in `(t - length, t]` for each `t` at which it changes: at an admission,
/// and when an admission becomes `length` old.
fn admitted_within(arrivals: &[u64], decisions: &[bool], length: Duration) -> Vec<(u64, u64)> {
    let length = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
    let admitted = arrivals
        .iter()
        .zip(decisions)
        .filter(|(_, admitted)| **admitted);
    let begins = admitted.clone().map(|(time, _)| (*time, true));
    let ends = admitted.map(|(time, _)| (time.saturating_add(length), false));
    let mut changes: Vec<(u64, bool)> = begins.chain(ends).collect();
    // At equal times `false` sorts before `true`: an admission that is `length` old is not counted.
    changes.sort_unstable();
    let mut count = 0;
    let counts = changes.into_iter().map(|(time, begins)| {
        count = if begins { count + 1 } else { count - 1 };
        (time, count)
    });
    counts.collect()
}

#[cfg(test)]
mod tests {
    use super::admitted_within;
    use std::time::Duration;

    #[test]
    fn admissions_of_the_full_length_are_not_counted() {
        let decisions = [true, true, false, true];
        let changes = admitted_within(&[0, 1, 5, 10], &decisions, Duration::from_nanos(10));
        let expected = [(0, 1), (1, 2), (10, 1), (10, 2), (11, 1), (20, 0)];
        assert_eq!(changes, expected);
    }
}
