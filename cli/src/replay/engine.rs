//! Replays a log through limiters and reports the outcome.

use std::cmp::Reverse;

use tidegate::Timestamp;

use super::limiters::Limiters;
use super::limits::Limits;
use super::required_burst::EmissionInterval;
use super::tally::{KeyTallies, KeyTally};
use super::timeline::TimelineBuilder;
use crate::failure::Failure;
use crate::log::Event;
use crate::log::read::{LogArgs, LogSummary, read_logs};
use crate::report::{Key, Report, Streak, seconds};

/// A day in nanoseconds.
const DAY: u64 = 86_400_000_000_000;

/// The outcome of a replay.
#[derive(Debug)]
pub struct Replayed {
    limits: Limits,
    by: String,
    /// The log.
    pub log: LogSummary,
    tallies: KeyTallies,
    timeline: TimelineBuilder,
    /// The times of the first and the last request.
    span: Option<(u64, u64)>,
}

/// Replays logs through limits.
///
/// The clock of the limiters starts at the beginning of the day (UTC) of the first request. Windows
/// count their slots from there; buckets do not depend on it. The limits of a key are unused until
/// its first request.
///
/// # Errors
///
/// If a file cannot be read, or with `strict` if a line cannot be parsed.
pub fn replay(args: &LogArgs, limits: Limits) -> Result<Replayed, Failure> {
    let mut limiters = Limiters::new(&limits);
    let interval = limits.only_quota().map(EmissionInterval::new);
    let mut tallies = KeyTallies::new(limits.idle_nanos(), interval);
    let mut timeline = TimelineBuilder::default();
    let mut span = None;
    let log = read_logs(args, |Event { time, key }| {
        let (first, last) = span.get_or_insert((time, time));
        *last = time;
        let origin = *first - *first % DAY;
        let slot = tallies.slot(key, time);
        if slot.is_new {
            limiters.renew(slot.index);
        }
        let admitted = limiters.admit(slot.index, Timestamp::from_nanos(time - origin));
        tallies.count(slot, time, admitted);
        timeline.count(time, admitted);
    })?;
    // A key is numbered at its first event, and all events were handed out.
    debug_assert_eq!(log.keys.len(), tallies.len());
    Ok(Replayed {
        limits,
        by: args.by.to_string(),
        log,
        tallies,
        timeline,
        span,
    })
}

impl Replayed {
    fn key(&self, number: u32, tally: &KeyTally) -> Key {
        let has_burst = self.limits.only_quota().is_some();
        Key {
            key: self.log.keys.text(number),
            requests: tally.requests,
            refused: tally.refused,
            first_refused: tally.first_refused.map(seconds),
            longest_streak: tally.longest_streak,
            required_burst: has_burst.then_some(tally.required_burst),
        }
    }

    /// All keys, in the order in which they first appeared.
    pub fn keys(&self) -> impl Iterator<Item = Key> + '_ {
        let tallies = self.tallies.tallies();
        tallies.map(|(number, tally)| self.key(number, &tally))
    }

    /// The largest number of keys that had a limiter at the same time.
    pub const fn max_limiters(&self) -> usize {
        self.tallies.max_states()
    }

    /// The quota with the smallest burst that refuses no request.
    fn sufficient_quota(&self) -> Option<String> {
        let quota = self.limits.only_quota()?;
        let bursts = self
            .tallies
            .tallies()
            .map(|(_, tally)| tally.required_burst);
        let quota = quota.try_burst(bursts.max()?).ok()?;
        Some(quota.to_string())
    }

    /// The report, with the `top` keys that were refused most.
    pub fn into_report(self, top: usize) -> Report {
        let requests = self
            .tallies
            .tallies()
            .map(|(_, tally)| tally.requests)
            .sum();
        let mut worst: Vec<(u32, KeyTally)> = self
            .tallies
            .tallies()
            .filter(|(_, tally)| tally.refused > 0)
            .collect();
        let refused = worst.iter().map(|(_, tally)| tally.refused).sum();
        let keys_refused = worst.len() as u64;
        // The sort is stable: equal keys stay in the order in which they appeared.
        worst.sort_by_key(|(_, tally)| Reverse(tally.refused));
        worst.truncate(top);
        let worst = worst.into_iter();
        let streak = self.tallies.longest_streak;
        Report {
            limits: self.limits.texts(),
            requests,
            admitted: requests - refused,
            refused,
            skipped: self.log.skipped(),
            late: self.log.late,
            keys: self.tallies.len() as u64,
            keys_refused,
            first: self.span.map(|(first, _)| seconds(first)),
            last: self.span.map(|(_, last)| seconds(last)),
            longest_streak: streak.map(|streak| Streak {
                key: self.log.keys.text(streak.key),
                refusals: streak.refusals,
                from: seconds(streak.from),
                to: seconds(streak.to),
            }),
            sufficient_quota: self.sufficient_quota(),
            worst: worst
                .map(|(number, tally)| self.key(number, &tally))
                .collect(),
            warnings: self.log.warnings,
            by: self.by,
            timeline: self.timeline.finish(),
        }
    }
}
