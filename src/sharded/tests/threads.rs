//! Real threads: exact totals, however leases are made, collected and refused.

use core::time::Duration;

use super::parallel::in_parallel;
use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;
use crate::{Clock, ManualClock, Quota, ShardedTokenBucket};

/// On a frozen clock exactly the capacity is admitted, and all of it, however it is spread.
#[test]
fn frozen_clock_admits_exactly_the_capacity() {
    for (capacity, shards) in [(1, 2), (10, 4), (1_000, 2), (100_000, 8), (1_000_003, 4)] {
        let quota = Quota::per_second(1).burst(capacity);
        let bucket = ShardedTokenBucket::with_shards(quota, ManualClock::new(), shards);
        // With this much used, concurrent calls that are about to lease lose nothing to a race.
        let first = capacity.div_ceil(2);
        assert_eq!(bucket.try_acquire(first), Ok(()));
        let admitted = in_parallel(4, |_| {
            let mut admitted = 0;
            // One refusal does not mean empty: another call may hold leases in transit.
            let mut refused = 0;
            while refused < 1_000 {
                match bucket.try_acquire(1) {
                    Ok(()) => admitted += 1,
                    Err(_) => refused += 1,
                }
            }
            admitted
        });
        let total = first + admitted.iter().sum::<u64>();
        assert_eq!(total, capacity, "{admitted:?}");
    }
}

/// While time passes, never more is admitted than has flowed in.
#[test]
fn moving_clock_admits_no_more_than_flows_in() {
    let clock = ManualClock::new();
    let quota = Quota::per_second(1_000_000).burst(5_000);
    let bucket = ShardedTokenBucket::with_shards(quota, clock.clone(), 4);
    let total = AtomicU64::new(0);
    in_parallel(4, |thread| {
        for round in 0..50_000_u64 {
            if thread == 0 && round % 16 == 0 {
                clock.advance(Duration::from_micros(7));
            }
            let n = 1 + round % 3;
            if bucket.try_acquire(n).is_ok() {
                // Relaxed: joining the threads orders it.
                total.fetch_add(n, Relaxed);
            }
        }
    });
    let now = clock.now().as_nanos();
    let most = 5_000 + now / 1_000;
    let total = total.into_inner();
    assert!(total <= most, "{total} of {most}");
    // The tokens that were not admitted are available.
    let left = bucket.available();
    assert!(total + left <= most && left <= 5_000);
}
