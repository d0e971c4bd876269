//! Callers whose reading is older than what others have done since, and clocks that step back.

use core::time::Duration;

use tidegate::{Clock, ManualClock, Quota, ShardedTokenBucket};

const CAPACITY: u64 = 1_000;

fn bucket(clock: &ManualClock) -> ShardedTokenBucket<ManualClock> {
    let quota = Quota::per_second(1).burst(CAPACITY);
    ShardedTokenBucket::with_shards(quota, clock.clone(), 2)
}

/// There is no room as of an instant long before the last charge, not even to settle what was used of leases: a refusal, not a loop.
#[test]
fn a_clock_that_steps_back_is_refused() {
    let clock = ManualClock::new();
    let bucket = bucket(&clock);
    let before = clock.now();
    for _ in 0..2 {
        assert_eq!(bucket.try_acquire_on(0, 1, before), Ok(()));
    }
    clock.advance(Duration::from_secs(100_000));
    assert_eq!(bucket.try_acquire_on(1, 800, clock.now()), Ok(()));
    let left = bucket.available();
    clock.set(before);
    assert!(bucket.try_acquire_on(1, CAPACITY, before).is_err());
    clock.advance(Duration::from_secs(100_000));
    assert_eq!(bucket.available(), left);
}
