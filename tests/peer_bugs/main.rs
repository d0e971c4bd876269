//! Bugs of other rate limiters. Each test is named after the project and its bug, and asserts the
//! right behavior.

mod buckets;
mod governor;
#[cfg(feature = "std")]
#[path = "../parallel/mod.rs"]
mod parallel;
#[cfg(feature = "std")]
mod threads;
mod windows;

use core::time::Duration;

use tidegate::{Denied, ManualClock, Quota, Timestamp, TokenBucket};

const SECOND: u64 = 1_000_000_000;
const NANO: Duration = Duration::from_nanos(1);
const DAY: Duration = Duration::from_secs(86_400);

/// Returns a full bucket, and its clock at time 0.
fn bucket(quota: Quota) -> (TokenBucket<ManualClock>, ManualClock) {
    let clock = ManualClock::new();
    (TokenBucket::with_clock(quota, clock.clone()), clock)
}

/// Returns a quota of one token per interval.
fn every(interval: Duration) -> Quota {
    Quota::new(1, interval).expect("a valid interval")
}

const fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

/// Counts how many of `calls` requests for one token are admitted at `now`.
fn admitted_of<C>(calls: u32, bucket: &TokenBucket<C>, now: Timestamp) -> u32 {
    let admitted = |_: &u32| bucket.try_acquire_at(1, now).is_ok();
    u32::try_from((0..calls).filter(admitted).count()).expect("at most `calls`")
}

/// Asserts that the hint is exact to the nanosecond. Returns it.
#[track_caller]
fn assert_exact_hint(bucket: &TokenBucket<ManualClock>, n: u64, now: Timestamp) -> Duration {
    let Err(Denied::NotYet { retry_after }) = bucket.peek_at(n, now) else {
        unreachable!("{n} must be refused at {now:?}")
    };
    let early = now + retry_after.as_duration().saturating_sub(NANO);
    assert!(
        bucket.peek_at(n, early).is_err(),
        "{retry_after:?} is too long"
    );
    let after = bucket.peek_at(n, now + retry_after);
    assert_eq!(after, Ok(()), "{retry_after:?} is too short");
    retry_after.into()
}
