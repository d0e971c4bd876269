//! Computes the outcome of a replay from the definitions alone: with another parser, another
//! ordering algorithm and integer arithmetic.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::path::PathBuf;

pub(crate) const SECOND: u64 = 1_000_000_000;

pub(crate) fn log_path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/apache_access.log.gz")
}

pub(crate) fn log_text() -> String {
    let file = std::fs::File::open(log_path()).unwrap();
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(file)
        .read_to_string(&mut text)
        .unwrap();
    text
}

/// Parses `17/May/2015:10:05:03 +0000`. The log has no other offset.
pub(crate) fn seconds(text: &str) -> u64 {
    let (text, zone) = text.split_once(' ').unwrap();
    assert_eq!(zone, "+0000");
    let parts: Vec<&str> = text.split(['/', ':']).collect();
    let month = "JanFebMarAprMayJunJulAugSepOctNovDec"
        .find(parts[1])
        .unwrap()
        / 3;
    let number = |index: usize| parts[index].parse::<u64>().unwrap();
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let year = number(2);
    let years: u64 = (1970..year)
        .map(|year| 365 + u64::from(is_leap(year)))
        .sum();
    let lengths = "31 28 31 30 31 30 31 31 30 31 30 31".split(' ');
    let months = lengths.take(month).map(|days| days.parse::<u64>().unwrap());
    let leap_day = u64::from(month > 1 && is_leap(year));
    let days = years + months.sum::<u64>() + leap_day + number(0) - 1;
    days * 86_400 + number(3) * 3_600 + number(4) * 60 + number(5)
}

/// Returns the times in nanoseconds and the keys, in the order of lines.
pub(crate) fn parse(text: &str, by: &str) -> Vec<(u64, String)> {
    let lines = text.lines().map(|line| {
        let time = line.split(['[', ']']).nth(1).unwrap();
        let key = match by {
            "ip" => line.split(' ').next().unwrap(),
            "path" => {
                let target = line.split('"').nth(1).unwrap().split(' ').nth(1).unwrap();
                target.split('?').next().unwrap()
            }
            // One line of the log has a truncated agent.
            "agent" if line.split('"').count() != 7 => "-",
            "agent" => line.split('"').nth(5).unwrap(),
            "none" => "all",
            _ => panic!("{by}"),
        };
        (seconds(time) * SECOND, key.to_owned())
    });
    lines.filter(|(_, key)| key != "-").collect()
}

/// Returns the order in which lines are handed out, and how many are late, by the definition.
pub(crate) fn in_order<K>(
    lines: impl IntoIterator<Item = (u64, K)>,
    span: u64,
) -> (Vec<(u64, K)>, u64) {
    let mut waiting: Vec<(u64, K)> = Vec::new();
    let mut emitted = Vec::new();
    let (mut latest_read, mut latest_emitted, mut late) = (0, 0, 0);
    let mut emit = |mut due: Vec<(u64, K)>| {
        due.sort_by_key(|(time, _)| *time);
        for (time, key) in due {
            late += u64::from(time < latest_emitted);
            latest_emitted = latest_emitted.max(time);
            emitted.push((latest_emitted, key));
        }
    };
    for (time, key) in lines {
        latest_read = latest_read.max(time);
        waiting.push((time, key));
        let (due, later) = waiting
            .into_iter()
            .partition(|(time, _)| time.checked_add(span).is_some_and(|due| due <= latest_read));
        waiting = later;
        emit(due);
    }
    emit(waiting);
    (emitted, late)
}

/// A token bucket that counts fractions of tokens: a token has `period` units, and `rate` units
/// flow in per nanosecond.
pub(crate) struct Bucket {
    rate: i128,
    period: i128,
    capacity: i128,
    level: i128,
    last: u64,
}

impl Bucket {
    pub(crate) fn new(rate: u64, period: u64, capacity: u64) -> Self {
        let (rate, period) = (i128::from(rate), i128::from(period));
        let capacity = i128::from(capacity) * period;
        Self {
            rate,
            period,
            capacity,
            level: capacity,
            last: 0,
        }
    }

    fn fits(&mut self, now: u64) -> bool {
        self.level = self
            .capacity
            .min(self.level + self.rate * i128::from(now - self.last));
        self.last = now;
        self.level >= self.period
    }
}

/// A sliding window that counts in slots from the beginning of the first day, or in nanoseconds
/// without slots.
pub(crate) struct Window {
    limit: usize,
    length: u64,
    slot: u64,
    origin: u64,
    admitted: VecDeque<u64>,
}

impl Window {
    pub(crate) const fn new(limit: usize, length: u64, slots: Option<u64>, origin: u64) -> Self {
        let slot = match slots {
            None => 1,
            Some(slots) if length.is_multiple_of(slots) => length / slots,
            Some(slots) => length / (2 * slots),
        };
        Self {
            limit,
            length,
            slot,
            origin: origin - origin % (86_400 * SECOND),
            admitted: VecDeque::new(),
        }
    }

    fn fits(&mut self, now: u64) -> bool {
        let slot = |time: u64| (time - self.origin) / self.slot;
        let reach = self.length.div_ceil(self.slot);
        while let Some(first) = self.admitted.front()
            && slot(now) - slot(*first) > reach
        {
            self.admitted.pop_front();
        }
        self.admitted.len() < self.limit
    }
}

/// The limits of one key.
#[derive(Default)]
pub(crate) struct Limits {
    pub(crate) bucket: Option<Bucket>,
    pub(crate) windows: Vec<Window>,
}

impl Limits {
    pub(crate) fn admit_one(&mut self, now: u64) -> bool {
        let bucket = self.bucket.iter_mut().all(|bucket| bucket.fits(now));
        let windows = self.windows.iter_mut().all(|window| window.fits(now));
        if !bucket || !windows {
            return false;
        }
        if let Some(bucket) = &mut self.bucket {
            bucket.level -= bucket.period;
        }
        for window in &mut self.windows {
            window.admitted.push_back(now);
        }
        true
    }
}

/// The counts of a key.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct KeyCounts {
    pub(crate) requests: u64,
    pub(crate) refused: u64,
    pub(crate) first_refused: Option<u64>,
    pub(crate) longest_streak: u64,
    current_streak: u64,
    streak_start: u64,
}

/// The outcome of a replay.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) keys: BTreeMap<String, KeyCounts>,
    /// The longest streak: key, refusals, from, to.
    pub(crate) longest_streak: Option<(String, u64, u64, u64)>,
}

impl Outcome {
    pub(crate) fn refused(&self) -> u64 {
        self.keys.values().map(|counts| counts.refused).sum()
    }
}

pub(crate) fn run(events: &[(u64, String)], limits: impl Fn(u64) -> Limits) -> Outcome {
    let mut all: BTreeMap<&str, Limits> = BTreeMap::new();
    let mut outcome = Outcome::default();
    let origin = events.first().map_or(0, |(time, _)| *time);
    for (time, key) in events {
        let admitted = all
            .entry(key)
            .or_insert_with(|| limits(origin))
            .admit_one(*time);
        let counts = outcome.keys.entry(key.clone()).or_default();
        counts.requests += 1;
        if admitted {
            counts.current_streak = 0;
            continue;
        }
        counts.refused += 1;
        counts.first_refused = counts.first_refused.or(Some(*time));
        if counts.current_streak == 0 {
            counts.streak_start = *time;
        }
        counts.current_streak += 1;
        counts.longest_streak = counts.longest_streak.max(counts.current_streak);
        let longest = outcome
            .longest_streak
            .as_ref()
            .map_or(0, |(_, refusals, ..)| *refusals);
        if counts.current_streak > longest {
            outcome.longest_streak = Some((
                key.clone(),
                counts.current_streak,
                counts.streak_start,
                *time,
            ));
        }
    }
    outcome
}
