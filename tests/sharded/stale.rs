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

/// Of a lease tokens were used after a caller had read the clock; it charges for them as of when they were used at the latest.
#[test]
fn a_reading_from_before_tokens_were_used() {
    let clock = ManualClock::new();
    let bucket = bucket(&clock);
    assert_eq!(bucket.try_acquire_on(0, 1, clock.now()), Ok(()));
    let before = clock.now();
    clock.advance(Duration::from_secs(100_000));
    // Out of the lease.
    let used = 40;
    for _ in 0..used {
        assert_eq!(bucket.try_acquire_on(0, 1, clock.now()), Ok(()));
    }
    // More than the rest of it.
    assert_eq!(bucket.try_acquire_on(0, 100, before), Ok(()));
    let left = bucket.available();
    assert!(
        left <= CAPACITY - used,
        "{left} of {CAPACITY} and {used} used"
    );
}
