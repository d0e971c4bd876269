//! From what was counted to what is reported.

use super::need::Rate;
use super::run::Replayed;
use super::tally::Tally;
use crate::report::{Key, Report, Streak};

/// Nanoseconds in seconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "to a microsecond, for people and pictures; decisions are exact"
)]
pub fn seconds(nanos: u64) -> f64 {
    // The whole seconds are exact on their own.
    let (whole, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    whole as f64 + rest as f64 / 1e9
}

impl Replayed {
    /// The rate of the bucket, if there is one.
    fn rate(&self) -> Option<Rate> {
        self.limits.quota.map(Rate::new)
    }

    fn key(&self, number: u32, tally: &Tally) -> Key {
        let rate = self.rate().filter(|_| self.limits.windows.is_empty());
        Key {
            key: self.read.keys.text(number),
            requests: tally.requests,
            refused: tally.refused,
            first_refused: tally.first_refused.map(seconds),
            longest_streak: tally.longest,
            burst_needed: rate.map(|rate| tally.need.burst(rate)),
        }
    }

    /// All keys, in the order in which they came.
    pub fn keys(&self) -> impl Iterator<Item = Key> + '_ {
        let tallies = (0_u32..).zip(&self.tallies.keys);
        tallies.map(|(number, tally)| self.key(number, tally))
    }

    /// The smallest burst that refuses nobody at the same rate.
    fn tightest(&self) -> Option<String> {
        let quota = self
            .limits
            .quota
            .filter(|_| self.limits.windows.is_empty())?;
        let rate = self.rate()?;
        let needs = self.tallies.keys.iter().map(|tally| tally.need.burst(rate));
        let burst = needs.max()?;
        quota.try_burst(burst).ok().map(|quota| quota.to_string())
    }

    /// The report, with the `most` keys that were refused most.
    pub fn into_report(self, most: usize) -> Report {
        let tallies = &self.tallies.keys;
        let requests = tallies.iter().map(|tally| tally.requests).sum();
        let refused = tallies.iter().map(|tally| tally.refused).sum();
        let mut worst: Vec<(u32, &Tally)> = (0_u32..)
            .zip(tallies)
            .filter(|(_, tally)| tally.refused > 0)
            .collect();
        let keys_refused = worst.len() as u64;
        // Equal ones in the order in which they came.
        worst.sort_by_key(|(number, tally)| (u64::MAX - tally.refused, *number));
        worst.truncate(most);
        let worst = worst
            .into_iter()
            .map(|(number, tally)| self.key(number, tally))
            .collect();
        let longest_streak = self.tallies.longest.map(|run| Streak {
            key: self.read.keys.text(run.key),
            refusals: run.refusals,
            from: seconds(run.from),
            to: seconds(run.to),
        });
        Report {
            limits: self.limits.texts(),
            requests,
            admitted: requests - refused,
            refused,
            skipped: self.read.unreadable + self.read.without_key,
            late: self.read.late,
            keys: tallies.len() as u64,
            keys_refused,
            first: self.span.map(|(first, _)| seconds(first)),
            last: self.span.map(|(_, last)| seconds(last)),
            longest_streak,
            tightest: self.tightest(),
            worst,
            by: self.by,
            timeline: self.steps.into_timeline(),
        }
    }
}
