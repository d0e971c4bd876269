//! A token bucket against an exact one, over long runs.

use crate::oracles::bucket_ops::exact::{ExactQuota, Moment};
use tidegate::{ManualClock, Quota, Timestamp, TokenBucket};

/// A token bucket in exact rational arithmetic.
struct ExactBucket {
    quota: ExactQuota,
    tat: Moment,
}

impl ExactBucket {
    /// Creates an empty bucket at time 0.
    fn empty(quota: Quota) -> Self {
        let mut bucket = Self {
            quota: ExactQuota::new(quota),
            tat: Moment::at(0),
        };
        bucket.charge(quota.capacity(), 0);
        bucket
    }

    fn admits(&self, n: u64, now: u64) -> bool {
        self.quota.admits(self.tat, n, now.into())
    }

    fn charge(&mut self, n: u64, now: u64) {
        let start = self.tat.max(Moment::at(now.into()));
        self.tat = self.quota.later(start, self.quota.tokens(n));
    }
}

fn empty(quota: Quota) -> TokenBucket<ManualClock> {
    TokenBucket::with_clock(quota, ManualClock::new()).with_initial(0)
}

/// Polls slightly more often than tokens arrive.
#[test]
fn polling_loses_no_refill() {
    for quota in [
        Quota::per_second(1).burst(1),
        Quota::per_second(3).burst(10),
        Quota::per_second(1_000_001).burst(10),
        Quota::per_second(70_000_000).burst(300),
        Quota::per_second(300_000_001).burst(300),
        Quota::per_minute(7).burst(10),
    ] {
        let (bucket, mut exact) = (empty(quota), ExactBucket::empty(quota));
        let interval = quota.period().as_nanos() / u128::from(quota.rate());
        let step = u64::try_from(interval).expect("a short interval").max(3) - 2;
        let (mut admitted, mut expected) = (0_u64, 0_u64);
        for poll in 1..=100_000_u64 {
            let now = poll * step;
            admitted += u64::from(bucket.try_acquire_at(1, Timestamp::from_nanos(now)).is_ok());
            if exact.admits(1, now) {
                exact.charge(1, now);
                expected += 1;
            }
        }
        assert!(
            admitted <= expected && expected - admitted <= 1,
            "{quota}: {admitted} of {expected}"
        );
    }
}

/// After centuries of continuous use the bucket is no later than at the start.
#[test]
fn no_drift_over_centuries() {
    for quota in [
        Quota::per_second(3),
        Quota::per_second(999_983),
        Quota::per_second(300_000_001),
        Quota::per_day(86_399),
    ] {
        let quota = quota.burst(1_000_000);
        let (bucket, mut exact) = (empty(quota), ExactBucket::empty(quota));
        // Steps of half a refill keep the bucket from running full, which would hide errors.
        let refill = quota.period().as_nanos() * 1_000_000 / u128::from(quota.rate());
        let step = u64::try_from(refill / 2).expect("a short refill");
        for now in (1..=20_000).map(|turn| turn * step) {
            let taken = bucket.try_acquire_up_to_at(u64::MAX, Timestamp::from_nanos(now));
            assert!(exact.admits(taken, now), "{quota}: early at {now}");
            exact.charge(taken, now);
            assert!(!exact.admits(1, now - 2), "{quota}: late at {now}");
        }
    }
}
