//! Sharded buckets: leases are not lost, and nothing is admitted twice.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;

use tidegate::{ManualClock, Quota, ShardedTokenBucket};

use crate::{at, wall};

type Sharded = ShardedTokenBucket<ManualClock>;

fn sharded(quota: Quota) -> Sharded {
    ShardedTokenBucket::with_clock(quota, ManualClock::new())
}

#[test]
fn tokens_in_leases_are_saved() {
    let quota = Quota::per_hour(1).burst(1_000_000);
    let before = sharded(quota);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..1_003).for_each(|_| before.try_acquire(1).unwrap()));
        }
    });
    let saved = before.save_at(at(0), wall(0));
    assert_eq!(saved.state().available(), 1_000_000 - 4 * 1_003);
    assert_eq!(before.available(), 1_000_000 - 4 * 1_003, "leases are back");
    let restored = Sharded::restore_at(&saved, sharded(quota), at(0), wall(0)).unwrap();
    assert_eq!(restored.available(), 1_000_000 - 4 * 1_003);
    restored.try_acquire(1_000_000 - 4 * 1_003).unwrap();
    assert!(restored.try_acquire(1).is_err());
}

/// Of what was admitted before a save, nothing is missing in it, while four threads go on.
#[test]
fn save_beside_other_threads_misses_nothing() {
    let capacity = 400_000;
    let before = sharded(Quota::per_hour(1).burst(capacity));
    let (admitted, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !is_over.load(SeqCst) && before.available() > 0 {
                    if before.try_acquire(1).is_ok() {
                        admitted.fetch_add(1, SeqCst);
                    }
                }
            });
        }
        for _ in 0..300 {
            let least = admitted.load(SeqCst);
            let saved = before.save_at(at(0), wall(0));
            let spent = capacity - saved.state().available();
            assert!(spent >= least, "{spent} of {least}");
        }
        is_over.store(true, SeqCst);
    });
    let saved = before.save_at(at(0), wall(0));
    assert_eq!(saved.state().available(), before.available());
}
