//! Sets up leaky-bucket, whose rate is a number of tokens per whole milliseconds.

use std::time::Duration;

use super::{ClockSource, Kind, Limit, Rival};
use crate::{Gate, asked};

pub const RIVAL: Rival = Rival {
    name: "leaky-bucket",
    kind: Kind::Bucket,
    clock: ClockSource::System,
    setup: "try_acquire, fair (its default), tokio's clock; the shortest exact interval in ms",
    keyed: "has no such form",
};

/// Returns how many tokens come at once.
pub fn refill(limit: Limit) -> u64 {
    limit.rate / common(limit)
}

pub fn make(limit: Limit) -> impl Gate {
    asked(limiter(limit), |limiter| limiter.try_acquire(1))
}

pub fn limiter(limit: Limit) -> leaky_bucket::RateLimiter {
    let size = |n: u64| usize::try_from(n).expect("in range");
    leaky_bucket::RateLimiter::builder()
        .refill(size(refill(limit)))
        .interval(Duration::from_millis(millis(limit) / common(limit)))
        .initial(size(limit.burst))
        // A refill has to fit.
        .max(size(limit.burst.max(refill(limit))))
        .build()
}

fn millis(limit: Limit) -> u64 {
    u64::try_from(limit.period.as_millis()).expect("in range")
}

/// Returns the greatest common divisor of rate and interval.
fn common(limit: Limit) -> u64 {
    let (mut a, mut b) = (limit.rate, millis(limit));
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}
