//! Combinations of limits under random loads.

use alloc::sync::Arc;

use proptest::prelude::*;
use tidegate::{Combined, ManualClock, Quota, TokenBucket};

use crate::buckets::{CALLS, any_burst, any_lateness, any_rate, config};
use crate::load::{Load, any_load};
use crate::meter;
use crate::oracle::{self, Stated};
use crate::scenario::Scenario;
use crate::timer::Lateness;
use crate::windows::{any_length, check_head, cycle, window};
use crate::{NANOS, SLACK};

pub(crate) fn bucket(rate: u64, burst: u64, clock: &ManualClock) -> Arc<TokenBucket<ManualClock>> {
    let quota = Quota::per_second(rate).burst(burst);
    Arc::new(TokenBucket::with_clock(quota, clock.clone()))
}

pub(crate) fn scenario(load: Load, (rate, capacity): (u64, u64), lateness: Lateness) -> Scenario {
    Scenario {
        calls: load.calls(rate, capacity, CALLS),
        lateness,
        slack: SLACK,
        seed: load.seed,
    }
}

proptest! {
    #![proptest_config(config())]

    /// The slower one gives all it has. Both keep their bounds.
    #[test]
    fn two_buckets_give_what_the_slower_has(
        slow in any_rate(),
        faster_by in 0_u64..1_000,
        bursts in (any_burst(), any_burst()),
        load in any_load(),
        lateness in any_lateness(),
    ) {
        let clock = ManualClock::new();
        let fast = slow + faster_by;
        let (slow_bucket, fast_bucket) =
            (bucket(slow, bursts.0, &clock), bucket(fast, bursts.1, &clock));
        let both = Combined::builder()
            .limit("fast", fast_bucket)
            .limit("slow", Arc::clone(&slow_bucket))
            .build();
        let capacity = bursts.0.min(bursts.1);
        let full_at = |now| meter::full_at(&slow_bucket, now);
        let record = scenario(load, (slow, capacity), lateness)
            .run_measured(&both, &clock, &full_at, |n| both.peek(n).is_ok());
        let services = record.services.borrow();
        meter::check(&services, Stated::per_second(slow, bursts.0));
        oracle::check_bucket(&services, Stated::per_second(slow, bursts.0), SLACK);
        oracle::check_bucket(&services, Stated::per_second(fast, bursts.1), SLACK);
        prop_assert_eq!((both.waiting(), both.forfeited()), (0, 0));
    }

    /// A window with room for all that a bucket admits costs nothing of it.
    #[test]
    fn bucket_beside_wide_window_gives_all_it_has(
        rate in any_rate(),
        burst in any_burst(),
        length in NANOS / 2..10 * NANOS,
        load in any_load(),
        lateness in any_lateness(),
    ) {
        let clock = ManualClock::new();
        let slow = bucket(rate, burst, &clock);
        let limit = burst + rate * (cycle(length) + SLACK).div_ceil(NANOS) + 1;
        let both = Combined::builder()
            .limit("bucket", Arc::clone(&slow))
            .limit("window", window(limit, length, &clock))
            .build();
        let full_at = |now| meter::full_at(&slow, now);
        let record = scenario(load, (rate, burst), lateness)
            .run_measured(&both, &clock, &full_at, |n| both.peek(n).is_ok());
        let services = record.services.borrow();
        meter::check(&services, Stated::per_second(rate, burst));
        oracle::check_bucket(&services, Stated::per_second(rate, burst), SLACK);
        oracle::check_window(&services, limit, length);
    }

    /// A bucket with more than a window admits costs the window nothing.
    #[test]
    fn window_beside_wide_bucket_gives_all_it_has(
        limit in 1_u64..200,
        length in any_length(),
        load in any_load(),
        lateness in any_lateness(),
    ) {
        let clock = ManualClock::new();
        let rate = (2 * limit * NANOS).div_ceil(length);
        let both = Combined::builder()
            .limit("bucket", bucket(rate, 2 * limit, &clock))
            .limit("window", window(limit, length, &clock))
            .build();
        let quota = (limit * NANOS / length).max(1);
        let record = scenario(load, (quota, limit), lateness).run(&both, &clock, |record, now| {
            check_head(record, now, (limit, length), lateness.most());
        });
        let services = record.services.borrow();
        oracle::check_bucket(&services, Stated::per_second(rate, 2 * limit), SLACK);
        oracle::check_window(&services, limit, length);
    }

    /// Whichever of the two refuses: order, both bounds, and no call that waits on when both have
    /// room.
    #[test]
    fn bucket_and_window_keep_both_bounds(
        rate in any_rate(),
        burst in any_burst(),
        share in 20_u64..200,
        length in NANOS / 2..3 * NANOS,
        load in any_load(),
        lateness in prop_oneof![any_lateness(), Just(Lateness::Stalls)],
    ) {
        let clock = ManualClock::new();
        // A share of what the bucket admits in a window.
        let limit = (rate * length / NANOS * share / 100).clamp(1, 5_000);
        let both = Combined::builder()
            .limit("bucket", bucket(rate, burst, &clock))
            .limit("window", window(limit, length, &clock))
            .build();
        let capacity = burst.min(limit);
        let record = scenario(load, (rate, capacity), lateness)
            .run_measured(&both, &clock, &|_| 0, |n| both.peek(n).is_ok());
        let services = record.services.borrow();
        oracle::check_bucket(&services, Stated::per_second(rate, burst), SLACK);
        oracle::check_window(&services, limit, length);
    }
}
