//! Replays a log through limiters and reports the outcome.

use std::cmp::Reverse;

use tidegate::Timestamp;

use super::limiters::Limiters;
use super::limits::Limits;
use super::live::Live;
use super::required_burst::Lateness;
use super::retries::Retries;
use super::tally::{KeyTallies, KeyTally};
use super::timeline::TimelineBuilder;
use crate::failure::Failure;
use crate::log::Event;
use crate::log::read::{LogArgs, LogSummary, read_logs};
use crate::report::{Key, Report, Streak, seconds};

/// A day and a minute in nanoseconds.
const DAY: u64 = 86_400_000_000_000;
const MINUTE: u64 = 60_000_000_000;

/// The outcome of a replay.
#[derive(Debug)]
pub struct Replayed {
    by: String,
    /// The field with costs.
    cost: Option<String>,
    /// The log.
    pub log: LogSummary,
    courses: Vec<Course>,
    /// The times of the first and the last request.
    span: Option<(u64, u64)>,
}

/// The requests under some limits.
#[derive(Debug)]
struct Course {
    limits: Limits,
    limiters: Limiters,
    tallies: KeyTallies,
    timeline: TimelineBuilder,
    retries: Option<Retries>,
}

impl Course {
    fn new(limits: Limits, retries: Option<u32>) -> Self {
        // A request that will be sent again needs its limiter.
        let idle = match retries {
            Some(_) => u64::MAX,
            None => limits.idle_nanos(),
        };
        Self {
            limiters: Limiters::new(&limits),
            tallies: KeyTallies::new(idle, limits.only_quota().map(Lateness::new)),
            timeline: TimelineBuilder::default(),
            retries: retries.map(Retries::new),
            limits,
        }
    }

    /// Decides a request of the log. The limiters' clock starts at `origin`.
    #[inline]
    fn decide(&mut self, event: Event, origin: u64) -> bool {
        let Event { time, key, cost } = event;
        let now = time - origin;
        if let Some(retries) = &mut self.retries {
            retries.until(now, &mut self.limiters);
        }
        let slot = self.tallies.slot(key, time);
        if slot.is_new {
            self.limiters.renew(slot.index);
        }
        let decided = self
            .limiters
            .decide(slot.index, cost, Timestamp::from_nanos(now));
        if let (Some(retries), Err(denied)) = (&mut self.retries, &decided) {
            retries.refused(slot.index, cost, now, *denied);
        }
        self.tallies.count(slot, event, decided.is_ok());
        self.timeline.count(time, decided.is_ok());
        decided.is_ok()
    }
}

/// Replays logs through limits, each independently of the others. With `retries`, each refused
/// request is sent again up to so many times. `live` shows what any of the limits refuse.
///
/// The clock of the limiters starts at the beginning of the day (UTC) of the first request. Windows
/// count their slots from there; buckets do not depend on it. The limits of a key are unused until
/// its first request.
///
/// # Errors
///
/// If a file cannot be read, or with `strict` if a line cannot be parsed.
pub fn replay(
    args: &LogArgs,
    limits: Vec<Limits>,
    retries: Option<u32>,
    mut live: Option<Live>,
) -> Result<Replayed, Failure> {
    let courses = limits
        .into_iter()
        .map(|limits| Course::new(limits, retries));
    let mut courses: Vec<Course> = courses.collect();
    let mut span = None;
    let log = read_logs(args, |event| {
        let (first, last) = span.get_or_insert((event.time, event.time));
        *last = event.time;
        let origin = *first - *first % DAY;
        let mut admitted = true;
        for course in &mut courses {
            admitted &= course.decide(event, origin);
        }
        if let Some(live) = &mut live {
            live.count(event, admitted);
        }
    })?;
    drop(live);
    for course in &mut courses {
        if let Some(retries) = &mut course.retries {
            retries.until(u64::MAX, &mut course.limiters);
        }
    }
    Ok(Replayed {
        by: args.by.to_string(),
        cost: args.slice.cost.clone(),
        log,
        courses,
        span,
    })
}

impl Replayed {
    /// All keys under the first limits, in the order in which they first appeared.
    pub fn keys(&self) -> impl Iterator<Item = Key> + '_ {
        let first = self.courses.iter().take(1);
        first.flat_map(|course| {
            let tallies = course.tallies.tallies();
            tallies.map(|(number, tally)| course.key(&self.log, number, &tally))
        })
    }

    /// The largest number of keys that had a limiter at the same time.
    pub fn max_limiters(&self) -> usize {
        let states = self
            .courses
            .iter()
            .map(|course| course.tallies.max_states());
        states.max().unwrap_or(0)
    }

    /// A report for each of the limits, with the `top` keys that were refused most.
    pub fn into_reports(self, top: usize) -> Vec<Report> {
        let Self {
            by,
            cost,
            log,
            courses,
            span,
        } = self;
        let courses = courses.into_iter();
        courses
            .map(|course| course.into_report(&by, cost.as_deref(), &log, span, top))
            .collect()
    }
}

impl Course {
    fn key(&self, log: &LogSummary, number: u32, tally: &KeyTally) -> Key {
        let has_burst = self.limits.only_quota().is_some();
        Key {
            key: log.keys.text(number),
            requests: tally.requests,
            refused: tally.refused,
            first_refused: tally.first_refused.map(seconds),
            longest_streak: tally.longest_streak,
            required_burst: has_burst.then_some(tally.required_burst),
        }
    }

    /// The quota with a burst that refuses no request, and whether that is the smallest burst.
    fn sufficient_quota(&self) -> Option<(String, bool)> {
        let quota = self.limits.only_quota()?;
        let tallies = self.tallies.tallies();
        let burst = tallies.map(|(_, tally)| tally.required_burst).max()?;
        let is_smallest = Lateness::new(quota).is_smallest(burst);
        let quota = quota.try_burst(burst).ok()?;
        Some((quota.to_string(), is_smallest))
    }

    fn into_report(
        self,
        by: &str,
        cost: Option<&str>,
        log: &LogSummary,
        span: Option<(u64, u64)>,
        top: usize,
    ) -> Report {
        let (mut keys, mut requests) = (0, 0);
        let mut worst: Vec<(u32, KeyTally)> = Vec::new();
        for (number, tally) in self.tallies.tallies() {
            keys += 1;
            requests += tally.requests;
            if tally.refused > 0 {
                worst.push((number, tally));
            }
        }
        let refused = worst.iter().map(|(_, tally)| tally.refused).sum();
        let keys_refused = worst.len() as u64;
        // The sort is stable: equal keys stay in the order in which they appeared.
        worst.sort_by_key(|(_, tally)| Reverse(tally.refused));
        worst.truncate(top);
        let worst = worst.into_iter();
        let streak = self.tallies.longest_streak;
        let sufficient = self.sufficient_quota();
        Report {
            limits: self.limits.texts(),
            requests,
            admitted: requests - refused,
            refused,
            skipped: log.skipped(),
            late: log.late,
            left_out: log.left_out,
            answered_429: log.answered_429,
            keys,
            keys_refused,
            max_per_minute: self.limits.most_within(MINUTE),
            first: span.map(|(first, _)| seconds(first)),
            last: span.map(|(_, last)| seconds(last)),
            longest_streak: streak.map(|streak| Streak {
                key: log.keys.text(streak.key),
                refusals: streak.refusals,
                from: seconds(streak.from),
                to: seconds(streak.to),
            }),
            sufficient_is_smallest: sufficient
                .as_ref()
                .is_some_and(|(_, is_smallest)| *is_smallest),
            sufficient_quota: sufficient.map(|(quota, _)| quota),
            retries: self.retries.as_ref().map(Retries::outcome),
            worst: worst
                .map(|(number, tally)| self.key(log, number, &tally))
                .collect(),
            cost: cost.map(str::to_owned),
            warnings: log.warnings.clone(),
            by: by.to_owned(),
            timeline: self.timeline.finish(),
        }
    }
}
