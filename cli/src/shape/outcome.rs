//! What becomes of the traffic.

use std::time::Duration;

use serde::{Serialize, Serializer};
use tidegate::Quota;

use super::limits::{Limit, Window};
use super::traffic::{Pattern, Traffic};
use crate::failure::Failure;

/// As many windows as there are.
const MOST_WINDOWS: usize = 8;

/// The same traffic through each limiter. Its JSON is the output of `--json`.
#[derive(Clone, Debug, Serialize)]
pub struct Shape {
    /// The quota.
    pub quota: String,
    /// The windows.
    pub windows: Vec<String>,
    /// How requests came.
    pub pattern: Pattern,
    /// Of what was random.
    pub seed: u64,
    /// For how long.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub length: Duration,
    /// When requests came, in nanoseconds.
    pub arrivals: Vec<u64>,
    /// What each limiter did: the bucket, the windows, all together.
    pub series: Vec<Series>,
    /// The interval in which admissions are compared: the longest window.
    #[serde(rename = "compared_seconds", serialize_with = "seconds")]
    pub compared: Duration,
    /// How many the longest window allows in it.
    pub limit: u64,
}

/// What one limiter did.
#[derive(Clone, Debug, Serialize)]
pub struct Series {
    /// Which one.
    pub name: String,
    /// How many it admitted.
    pub admitted: u64,
    /// How many it refused.
    pub refused: u64,
    /// The most that it admitted in any interval as long as the longest window.
    pub most: u64,
    /// For each request, whether it was admitted.
    pub decisions: Vec<bool>,
}

fn seconds<S: Serializer>(length: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(length.as_secs_f64())
}

impl Shape {
    /// Asks the limiters.
    ///
    /// # Errors
    ///
    /// If there are too many windows, or one cannot be.
    pub fn of(quota: Quota, windows: &[Window], traffic: Traffic) -> Result<Self, Failure> {
        if windows.len() > MOST_WINDOWS {
            return Err(Failure::Usage(format!(
                "at most {MOST_WINDOWS} windows can be compared"
            )));
        }
        let Some(longest) = windows.iter().max_by_key(|window| window.length()) else {
            return Err(Failure::Usage(
                "there is no window to compare with".to_owned(),
            ));
        };
        let compared = longest.length();
        let arrivals = traffic.arrivals();
        let mut series = vec![Series::of(
            format!("bucket {quota}"),
            &Limit::bucket(quota),
            &arrivals,
            compared,
        )];
        for window in windows {
            series.push(Series::of(
                format!("window {window}"),
                &Limit::window(*window)?,
                &arrivals,
                compared,
            ));
        }
        let both = if windows.len() > 1 {
            "all together"
        } else {
            "both together"
        };
        series.push(Series::of(
            both.to_owned(),
            &Limit::both(quota, windows)?,
            &arrivals,
            compared,
        ));
        Ok(Self {
            quota: quota.to_string(),
            windows: windows.iter().map(ToString::to_string).collect(),
            pattern: traffic.pattern,
            seed: traffic.seed,
            length: Duration::from_nanos(traffic.nanos),
            arrivals,
            series,
            compared,
            limit: longest.limit(),
        })
    }

    /// How many of these came in each of so many equal parts of the time.
    pub(super) fn counts(&self, steps: usize, counted: impl Fn(usize) -> bool) -> Vec<u64> {
        let mut counts = vec![0; steps];
        let length = self.length.as_nanos().max(1);
        let counted = self
            .arrivals
            .iter()
            .enumerate()
            .filter(|(at, _)| counted(*at));
        for (_, time) in counted {
            // Both are below 2^64, and steps are few.
            let step = u128::from(*time) * (steps as u128) / length;
            let step = usize::try_from(step)
                .unwrap_or(usize::MAX)
                .min(steps.saturating_sub(1));
            if let Some(count) = counts.get_mut(step) {
                *count += 1;
            }
        }
        counts
    }
}

impl Series {
    fn of(name: String, limit: &Limit, arrivals: &[u64], compared: Duration) -> Self {
        let decisions: Vec<bool> = arrivals.iter().map(|time| limit.admits(*time)).collect();
        let admitted = decisions.iter().filter(|admitted| **admitted).count() as u64;
        let most = within(arrivals, &decisions, compared)
            .into_iter()
            .map(|(_, count)| count)
            .max()
            .unwrap_or(0);
        Self {
            name,
            admitted,
            refused: arrivals.len() as u64 - admitted,
            most,
            decisions,
        }
    }

    /// How many were admitted within the last interval of the comparison, at each time that changes it.
    pub(super) fn recent(&self, shape: &Shape) -> Vec<(u64, u64)> {
        within(&shape.arrivals, &self.decisions, shape.compared)
    }
}

/// The number of admissions in `(t - length, t]`, where it changes: at each admission, and when one leaves.
fn within(arrivals: &[u64], decisions: &[bool], length: Duration) -> Vec<(u64, u64)> {
    let length = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
    let admitted = arrivals
        .iter()
        .zip(decisions)
        .filter(|(_, admitted)| **admitted)
        .map(|(time, _)| *time);
    let comes: Vec<u64> = admitted.collect();
    let (mut count, mut leaving) = (0, 0);
    let mut changes = Vec::with_capacity(2 * comes.len());
    for time in &comes {
        while let Some(left) = comes
            .get(leaving)
            .map(|came| came.saturating_add(length))
            .filter(|left| left <= time)
        {
            count -= 1;
            leaving += 1;
            changes.push((left, count));
        }
        count += 1;
        changes.push((*time, count));
    }
    for came in comes.get(leaving..).unwrap_or_default() {
        count -= 1;
        changes.push((came.saturating_add(length), count));
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::within;
    use std::time::Duration;

    #[test]
    fn who_is_a_window_old_has_left() {
        let changes = within(
            &[0, 1, 5, 10],
            &[true, true, false, true],
            Duration::from_nanos(10),
        );
        assert_eq!(
            changes,
            [(0, 1), (1, 2), (10, 1), (10, 2), (11, 1), (20, 0)]
        );
    }
}
