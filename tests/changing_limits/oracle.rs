//! Random changes against an exact bucket, whose level is a whole number of parts of a token.

#![expect(
    clippy::cast_possible_wrap,
    reason = "numbers of a test, which are small"
)]

use core::time::Duration;

use proptest::prelude::*;
use tidegate::{ManualClock, Quota, TokenBucket};

/// Nanoseconds per token. Each divides `PARTS`.
const INTERVALS: [u64; 5] = [250, 500, 1_000, 2_000, 4_000];
/// Parts of a token that the oracle counts.
const PARTS: i64 = 4_000;

fn quota(interval: u64, burst: u64) -> Quota {
    Quota::new(1, Duration::from_nanos(interval))
        .and_then(|quota| quota.try_burst(burst))
        .expect("valid")
}

struct Exact {
    level: i64,
    interval: u64,
    burst: u64,
    /// By how much the bucket may be below: a grain for each change.
    error: i64,
}

impl Exact {
    const fn full(interval: u64, burst: u64) -> Self {
        Self {
            level: burst as i64 * PARTS,
            interval,
            burst,
            error: 0,
        }
    }

    const fn parts_per_nano(&self) -> i64 {
        PARTS / self.interval as i64
    }

    fn cap(&mut self) {
        self.level = self.level.min(self.burst as i64 * PARTS);
    }

    fn advance(&mut self, nanos: u64) {
        self.level += nanos as i64 * self.parts_per_nano();
        self.cap();
    }

    fn change(&mut self, interval: u64, burst: u64) {
        (self.interval, self.burst) = (interval, burst);
        self.error += self.parts_per_nano();
        self.cap();
    }
}

#[derive(Clone, Debug)]
enum Step {
    Advance(u64),
    Acquire(u64),
    Debit(u64),
    Credit(u64),
    Change(usize, u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..20_000_u64).prop_map(Step::Advance),
        6 => (1..8_u64).prop_map(Step::Acquire),
        1 => (0..30_u64).prop_map(Step::Debit),
        1 => (0..10_u64).prop_map(Step::Credit),
        3 => (0..INTERVALS.len(), 1..12_u64).prop_map(|(interval, burst)| Step::Change(interval, burst)),
    ]
}

proptest! {
    #[test]
    fn bucket_admits_what_the_quotas_allow_in_their_parts(
        steps in proptest::collection::vec(step(), 1..80),
    ) {
        let clock = ManualClock::new();
        let bucket = TokenBucket::with_clock(quota(1_000, 5), clock.clone());
        let mut exact = Exact::full(1_000, 5);
        for step in steps {
            match step {
                Step::Advance(nanos) => {
                    clock.advance(Duration::from_nanos(nanos));
                    exact.advance(nanos);
                }
                Step::Acquire(n) => {
                    let needed = n as i64 * PARTS;
                    if bucket.try_acquire(n).is_ok() {
                        prop_assert!(needed <= exact.level, "{n} of {} parts", exact.level);
                        exact.level -= needed;
                    } else {
                        let may_be_short = exact.level - exact.error < needed;
                        prop_assert!(n > exact.burst || may_be_short, "refused {n} of {}", exact.level);
                    }
                }
                Step::Debit(n) => {
                    bucket.debit(n);
                    exact.level -= n as i64 * PARTS;
                }
                Step::Credit(n) => {
                    bucket.credit(n);
                    exact.level += n as i64 * PARTS;
                    exact.cap();
                }
                Step::Change(interval, burst) => {
                    bucket.set_quota(quota(INTERVALS[interval], burst));
                    exact.change(INTERVALS[interval], burst);
                }
            }
            let available = bucket.available() as i64 * PARTS;
            prop_assert!(available <= exact.level.max(0));
            prop_assert!(available > exact.level - exact.error - PARTS);
        }
    }
}
