//! Reads logs and asks the limits about each request.

use tidegate::Timestamp;

use super::gates::Gates;
use super::limits::Limits;
use super::need::Rate;
use super::tally::Tallies;
use super::timeline::Steps;
use crate::failure::Failure;
use crate::log::Event;
use crate::log::read::{Options, Read, read};

/// A day in nanoseconds.
const DAY: u64 = 86_400_000_000_000;

/// What came of a replay, of all keys.
#[derive(Debug)]
pub struct Replayed {
    /// The limits.
    pub limits: Limits,
    /// What each key is.
    pub by: String,
    /// The log.
    pub read: Read,
    /// The numbers of the keys.
    pub tallies: Tallies,
    /// What happened over time.
    pub steps: Steps,
    /// The first and the last time.
    pub span: Option<(u64, u64)>,
}

/// Replays logs through limits.
///
/// The limiters' time begins with the day (UTC) of the first request, which is where a window counts its slots from; buckets do
/// not care. They are full, and windows empty, when their key comes first.
///
/// # Errors
///
/// If a file cannot be read, or with `strict` a line.
pub fn replay(options: &Options, limits: &Limits) -> Result<Replayed, Failure> {
    let mut gates = Gates::new(limits);
    let rate = limits.quota.map(Rate::new);
    let mut tallies = Tallies::default();
    let mut steps = Steps::default();
    let mut span = None;
    let read = read(options, |Event { time, key }| {
        let (first, last) = span.get_or_insert((time, time));
        *last = time;
        let origin = *first - *first % DAY;
        let admitted = gates.admit(key, Timestamp::from_nanos(time - origin));
        let tally = tallies.count(key, time, admitted);
        if let Some(rate) = rate {
            tally.need.request(rate, time);
        }
        steps.count(time, admitted);
    })?;
    // A key gets its number with its first event, and all events were handed out.
    debug_assert_eq!(read.keys.len(), tallies.keys.len());
    Ok(Replayed {
        limits: limits.clone(),
        by: options.by.to_string(),
        read,
        tallies,
        steps,
        span,
    })
}
