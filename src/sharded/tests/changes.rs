//! Changes of the quota: the level is carried over in tokens, whatever leases hold of it.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "numbers of a test, which are small"
)]

use core::time::Duration;

use super::parallel::in_parallel;
use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;
use crate::{Clock, Denied, Limiter, ManualClock, Quota, ShardedTokenBucket, TokenBucket};
use proptest::prelude::*;

const SHARDS: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    Call { shard: usize, tokens: u64 },
    Crowd { shard: usize, calls: u64 },
    Pass { parts: u64 },
    Change(Quota),
}

/// All on a common grid, so that levels are whole tokens wherever a change comes.
fn quota() -> impl Strategy<Value = Quota> {
    let capacity = prop_oneof![1..=20_u64, 100..=1_000_u64, 10_000..=100_000_u64];
    let interval = prop::sample::select(std::vec![1_u64, 2, 4, 8, 500]);
    (interval, capacity).prop_map(|(micros, capacity)| {
        let quota = Quota::new(1, Duration::from_micros(micros)).expect("valid");
        quota.try_burst(capacity).expect("valid")
    })
}

fn step() -> impl Strategy<Value = Step> {
    let shard = 0..SHARDS;
    let call = |(shard, tokens)| Step::Call { shard, tokens };
    prop_oneof![
        4 => (shard.clone(), 1..=9_u64).prop_map(call),
        1 => (shard.clone(), 1..=100_000_u64).prop_map(call),
        3 => (shard, 1..400_u64).prop_map(|(shard, calls)| Step::Crowd { shard, calls }),
        3 => (1..2_000_u64).prop_map(|parts| Step::Pass { parts }),
        2 => quota().prop_map(Step::Change),
    ]
}

proptest! {
    /// A plain bucket whose quota changes at the same instants would have admitted all that is
    /// admitted here. A change leaves exactly what was available, up to the new capacity.
    #[test]
    fn shards_together_are_one_bucket(
        first in quota(),
        steps in prop::collection::vec(step(), 1..80),
        shards in prop::sample::select(std::vec![1, 2, SHARDS]),
    ) {
        let clock = ManualClock::new();
        let sharded = ShardedTokenBucket::with_shards(first, clock.clone(), shards);
        let plain = TokenBucket::with_clock(first, clock.clone());
        // Used tokens of leases count as used later than they were. A change keeps that difference.
        let mut stale = first.capacity() / 8;
        let call = |shard: usize, tokens: u64, stale: u64| {
            let expected = sharded.peek(tokens);
            let outcome = sharded.try_acquire_on(shard % shards, tokens, clock.now());
            prop_assert_eq!(expected.is_ok(), outcome.is_ok(), "{:?} {:?}", expected, outcome);
            match outcome {
                Ok(()) => prop_assert_eq!(plain.try_acquire(tokens), Ok(()), "plain refuses"),
                Err(Denied::NotYet { retry_after }) => {
                    let available = plain.available();
                    prop_assert!(available < tokens + stale, "{available} were available");
                    prop_assert!(sharded.peek_at(tokens, clock.now() + retry_after).is_ok());
                }
                Err(never) => prop_assert_eq!(plain.try_acquire(tokens), Err(never)),
            }
            Ok(())
        };
        for step in steps {
            match step {
                Step::Call { shard, tokens } => call(shard, tokens, stale)?,
                Step::Crowd { shard, calls } => {
                    for _ in 0..calls {
                        call(shard, 1, stale)?;
                    }
                }
                Step::Pass { parts } => {
                    let micros = sharded.quota().refill_time().as_micros() as u64 * parts / 1_000;
                    // A multiple of all intervals.
                    clock.advance(Duration::from_millis(micros.div_ceil(1_000)));
                }
                Step::Change(quota) => {
                    let available = sharded.available();
                    sharded.set_quota(quota);
                    plain.set_quota(quota);
                    prop_assert_eq!(sharded.quota(), quota);
                    prop_assert_eq!(sharded.available(), available.min(quota.capacity()));
                    stale += quota.capacity() / 8;
                }
            }
            prop_assert!(sharded.available() <= plain.available());
            prop_assert!(plain.available() <= sharded.available() + stale);
        }
    }
}

fn quota_of(rate: u64, burst: u64) -> Quota {
    Quota::per_second(rate).burst(burst)
}

/// Leases that are idle while the quota changes go on as a part of the level.
#[test]
fn tokens_of_idle_leases_are_carried_over() {
    let clock = ManualClock::new();
    let bucket = ShardedTokenBucket::with_shards(quota_of(1_000, 100_000), clock.clone(), SHARDS);
    for shard in 0..SHARDS {
        for _ in 0..3 {
            assert_eq!(bucket.try_acquire_on(shard, 1, clock.now()), Ok(()));
        }
    }
    assert_eq!(bucket.available(), 99_988);
    bucket.set_quota(quota_of(1_000, 200_000));
    assert_eq!(
        bucket.available(),
        99_988,
        "not a free burst, and nothing is lost"
    );
    assert_eq!(bucket.capacity(), 200_000);
    bucket.set_quota(quota_of(2_000, 50_000));
    assert_eq!(bucket.available(), 50_000);
    assert_eq!(bucket.try_acquire(50_000), Ok(()));
    let retry_after = Duration::from_micros(500);
    assert_eq!(
        bucket.try_acquire(1),
        Err(Denied::NotYet {
            retry_after: retry_after.into()
        })
    );
    assert_eq!(
        bucket.peek(1),
        Err(Denied::NotYet {
            retry_after: retry_after.into()
        })
    );
    assert_eq!(bucket.wait_time(1), Some(retry_after));
    let never = Denied::Never { capacity: 50_000 };
    assert_eq!(bucket.try_acquire(50_001), Err(never));
    assert_eq!(bucket.peek(50_001), Err(never));
    let snapshot = bucket.snapshot_at(clock.now());
    assert_eq!((snapshot.capacity, snapshot.available), (50_000, 0));
    assert_eq!(snapshot.next_permit_in, Some(retry_after));
    assert!(!bucket.is_unused_at(clock.now()));
    clock.advance(Duration::from_secs(25));
    assert!(bucket.is_unused_at(clock.now()));
}

/// The same quota again changes nothing, not even leases.
#[test]
fn same_quota() {
    let clock = ManualClock::new();
    let bucket = ShardedTokenBucket::with_shards(quota_of(1_000, 100_000), clock.clone(), SHARDS);
    assert_eq!(bucket.try_acquire(1), Ok(()));
    clock.advance(Duration::from_secs(1));
    let before = std::format!("{bucket:?}");
    bucket.set_quota(quota_of(1_000, 100_000));
    assert_eq!(std::format!("{bucket:?}"), before);
}

/// A bucket that always has too few tokens admits at least 98 % of what the quotas allow, though
/// the quota changes every few milliseconds and leases are made all the time.
#[test]
fn hardly_anything_is_lost() {
    let clock = ManualClock::new();
    let quotas = [
        quota_of(1_000_000, 20_000),
        quota_of(4_000_000, 100_000),
        quota_of(250_000, 50_000),
    ];
    let bucket = ShardedTokenBucket::with_shards(quotas[2], clock.clone(), SHARDS);
    let (mut allowed, mut admitted) = (50_000.0, 0_u64);
    for round in 0..600 {
        let quota = quotas[round % 3];
        bucket.set_quota(quota);
        for step in 0..5 {
            clock.advance(Duration::from_millis(1));
            allowed += quota.rate() as f64 / 1_000.0;
            for call in 0.. {
                let n = 1 + (call + step) % 3;
                let shard = (call as usize / 50 + round) % SHARDS;
                if bucket.try_acquire_on(shard, n, clock.now()).is_err() {
                    break;
                }
                admitted += n;
                // A tenth is left, so that shards hold leases when the quota changes.
                if step == 4 && call % 16 == 0 && bucket.available() < quota.capacity() / 10 {
                    break;
                }
            }
        }
    }
    let used = admitted as f64 / allowed;
    assert!(used <= 1.0, "{admitted} of {allowed}");
    assert!(used >= 0.98, "{admitted} of {allowed}");
}

/// Four threads call while a fifth changes the quota and the time passes: never more than the first
/// capacity and what flows in at each rate.
#[test]
fn changes_under_load() {
    let quotas = [
        quota_of(1_000_000, 5_000),
        quota_of(8_000_000, 60_000),
        quota_of(500_000, 1_000),
        quota_of(2_000_000, 20_000),
    ];
    let clock = ManualClock::new();
    let bucket = ShardedTokenBucket::with_shards(quotas[0], clock.clone(), 4);
    let total = AtomicU64::new(0);
    let running = AtomicU64::new(1);
    let flowed = in_parallel(5, |thread| {
        if thread == 4 {
            let mut flowed = 0;
            for round in 0..1_000 {
                let quota = quotas[round % 4];
                bucket.set_quota(quota);
                let micros = 1 + round as u64 % 40;
                clock.advance(Duration::from_micros(micros));
                // Whole tokens: in a microsecond, half a token comes at least.
                flowed += quota.rate() * micros;
                if round % 10 == 0 {
                    std::thread::yield_now();
                }
            }
            // Relaxed: it guards no memory.
            running.store(0, Relaxed);
            flowed / 1_000_000
        } else {
            let mut n = 0;
            // Relaxed: only tells to stop.
            while running.load(Relaxed) == 1 {
                n = n % 3 + 1;
                if bucket.try_acquire(n).is_ok() {
                    // Relaxed: joining the threads orders it.
                    total.fetch_add(n, Relaxed);
                }
            }
            0
        }
    });
    let most = 5_000 + flowed[4];
    let total = total.into_inner();
    let left = bucket.available();
    assert!(total + left <= most, "{total} and {left} of {most}");
    // Full only where the capacity was small, and leases in transit are small.
    assert!(total > 0, "nothing was admitted");
}
