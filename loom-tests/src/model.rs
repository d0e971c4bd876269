//! What models have in common.

use loom::sync::atomic::AtomicU64;
use loom::sync::atomic::Ordering::{AcqRel, Acquire};

use crate::tidegate::{Clock, Timestamp};

/// Explores a model up to `preemptions` preemptions.
pub(crate) fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 100_000;
    builder.check(model);
}

pub(crate) fn leaked<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

pub(crate) const fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

/// The clock of limiters to which models pass every instant.
#[derive(Clone, Debug)]
pub(crate) struct NoClock;

impl Clock for NoClock {
    fn now(&self) -> Timestamp {
        unreachable!("models pass every instant")
    }
}

/// A clock that threads read and advance. A thread reads it before a decision, so it may hold an
/// old reading.
#[derive(Debug)]
pub(crate) struct SharedClock(AtomicU64);

impl SharedClock {
    pub(crate) fn at(nanos: u64) -> Self {
        Self(AtomicU64::new(nanos))
    }

    // Acquire, which meets the Release of `advance`: a real clock orders what is before and after a
    // reading as well.
    pub(crate) fn now(&self) -> u64 {
        self.0.load(Acquire)
    }

    /// Returns the newest time, where `now` may return any that the memory model allows. The end of
    /// a call is measured with it.
    pub(crate) fn latest(&self) -> u64 {
        self.0.fetch_add(0, AcqRel)
    }

    pub(crate) fn advance(&self, nanos: u64) {
        self.0.fetch_add(nanos, AcqRel);
    }
}

/// Asserts that the permits of every interval, both ends included, are at most `capacity + length /
/// interval + extra`. An event is an instant and the permits admitted at it.
pub(crate) fn assert_bound(capacity: u64, interval: u64, extra: u64, events: &[(u64, u64)]) {
    for &(start, _) in events {
        for &(end, _) in events {
            if start > end {
                continue;
            }
            let sum: u64 = events
                .iter()
                .filter(|(at, _)| (start..=end).contains(at))
                .map(|(_, permits)| permits)
                .sum();
            let bound = capacity + (end - start) / interval + extra;
            assert!(
                sum <= bound,
                "{sum} of {bound} in [{start}, {end}]: {events:?}"
            );
        }
    }
}
