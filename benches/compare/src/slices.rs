//! Times rows in turns, in slices of about a tenth of a millisecond.
//!
//! What slows the machine down for a while slows all rows alike, and most of it is in the slices
//! that a lower quartile leaves out.

#![expect(
    clippy::disallowed_methods,
    reason = "another clock measures the cost of tidegate's"
)]

use std::time::{Duration, Instant};

use crate::Gate;
use crate::figures::{median, percentile};

/// How often each row is visited, and how many slices of a visit are left out and kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visits {
    pub(crate) rounds: usize,
    /// Slices that fill the caches again.
    pub(crate) warm: usize,
    pub(crate) kept: usize,
}

/// Returns how long some work takes.
pub(crate) fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// Returns nanoseconds per call.
pub(crate) fn per_call(time: Duration, calls: usize) -> f64 {
    time.as_nanos() as f64 / calls as f64
}

/// A function that makes this many calls.
pub(crate) type Calls = Box<dyn FnMut(usize)>;

/// Calls a limiter, and asserts the outcome of each call.
pub(crate) fn calls(gate: impl Gate + 'static, admits: bool) -> Calls {
    Box::new(move |calls| {
        let expected = (0..calls).filter(|_| gate.admit() == admits).count();
        assert_eq!(expected, calls, "calls with the other outcome");
    })
}

/// A function that times a slice, and returns nanoseconds per call.
type Slice = Box<dyn FnMut() -> f64>;

/// Rows with their names.
pub(crate) struct Rows<N>(Vec<(N, Slice)>);

impl<N> Rows<N> {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn add(&mut self, name: N, slice: impl FnMut() -> f64 + 'static) {
        self.0.push((name, Box::new(slice)));
    }

    /// Adds a row whose slices are `count` calls each.
    pub(crate) fn add_calls(&mut self, name: N, count: usize, mut calls: Calls) {
        self.add(name, move || per_call(time(|| calls(count)), count));
    }

    /// Times all rows on this thread.
    pub(crate) fn times(self, visits: Visits) -> Vec<Times<N>> {
        let mut rows = self.0;
        let mut nanos = vec![Vec::new(); rows.len()];
        for _ in 0..visits.rounds {
            for ((_, slice), nanos) in rows.iter_mut().zip(&mut nanos) {
                for _ in 0..visits.warm {
                    slice();
                }
                nanos.extend((0..visits.kept).map(|_| slice()));
            }
        }
        let names = rows.into_iter().map(|(name, _)| name);
        let times = names.zip(nanos).map(|(name, nanos)| Times { name, nanos });
        times.collect()
    }
}

/// The slices of a row.
pub(crate) struct Times<N> {
    pub(crate) name: N,
    nanos: Vec<f64>,
}

impl<N> Times<N> {
    pub(crate) fn count(&self) -> usize {
        self.nanos.len()
    }

    pub(crate) fn lower_quartile(&self) -> f64 {
        percentile(&self.nanos, 0.25)
    }

    pub(crate) fn median(&self) -> f64 {
        median(&self.nanos)
    }
}
