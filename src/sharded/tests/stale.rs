//! Calls whose clock reading is older than later charges, and clocks that step back.

use core::time::Duration;

use crate::{Clock, ManualClock, Quota, ShardedTokenBucket};

const CAPACITY: u64 = 1_000;

fn bucket(clock: &ManualClock) -> ShardedTokenBucket<ManualClock> {
    let quota = Quota::per_second(1).burst(CAPACITY);
    ShardedTokenBucket::with_shards(quota, clock.clone(), 2)
}

/// At an instant long before the last charge there is no room, not even to settle used leases. The
/// call is refused and does not loop.
#[test]
fn clock_that_steps_back_is_refused() {
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

/// Tokens of a lease were used after a call had read the clock. The call charges for them as of the
/// latest instant at which they can have been used.
#[test]
fn reading_from_before_tokens_were_used() {
    let clock = ManualClock::new();
    let bucket = bucket(&clock);
    assert_eq!(bucket.try_acquire_on(0, 1, clock.now()), Ok(()));
    let before = clock.now();
    clock.advance(Duration::from_secs(100_000));
    // Within the lease.
    let used = 40;
    for _ in 0..used {
        assert_eq!(bucket.try_acquire_on(0, 1, clock.now()), Ok(()));
    }
    // More than the lease has left.
    assert_eq!(bucket.try_acquire_on(0, 100, before), Ok(()));
    let left = bucket.available();
    assert!(
        left <= CAPACITY - used,
        "{left} of {CAPACITY} and {used} used"
    );
}
