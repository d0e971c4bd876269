//! Whichever shards the calls come from: a plain bucket would have admitted all that is admitted
//! here, and a refusal means that few tokens were available.

use core::time::Duration;

use crate::{Denied, ManualClock, Quota, ShardedTokenBucket, TokenBucket};
use proptest::prelude::*;

/// A call from a shard for some tokens, many calls for one, or time that passes.
#[derive(Clone, Debug)]
enum Step {
    Call { shard: usize, tokens: u64 },
    Crowd { shard: usize, calls: u64 },
    Pass { parts: u64 },
}

const SHARDS: usize = 4;

fn step(capacity: u64) -> impl Strategy<Value = Step> {
    let shard = 0..SHARDS;
    let call = |(shard, tokens)| Step::Call { shard, tokens };
    prop_oneof![
        4 => (shard.clone(), 1..=capacity.min(9)).prop_map(call),
        1 => (shard.clone(), 1..=capacity).prop_map(call),
        3 => (shard, 1..400_u64).prop_map(|(shard, calls)| Step::Crowd { shard, calls }),
        3 => (1..2_000_u64).prop_map(|parts| Step::Pass { parts }),
    ]
}

fn quota() -> impl Strategy<Value = Quota> {
    let capacity = prop_oneof![1..=20_u64, 100..=1_000_u64, 10_000..=100_000_u64];
    (1..=1_000_u64, 1..=1_000_000_u64, capacity).prop_map(|(rate, micros, capacity)| {
        let quota = Quota::new(rate, Duration::from_micros(micros)).expect("valid");
        quota.try_burst(capacity).expect("valid")
    })
}

proptest! {
    #[test]
    fn shards_together_are_one_bucket(
        (quota, steps) in quota().prop_flat_map(|quota| {
            (Just(quota), prop::collection::vec(step(quota.capacity()), 1..60))
        }),
        shards in prop::sample::select(std::vec![1, 2, SHARDS]),
    ) {
        let clock = ManualClock::new();
        let sharded = ShardedTokenBucket::with_shards(quota, clock.clone(), shards);
        let plain = TokenBucket::with_clock(quota, clock.clone());
        // Used tokens of leases are charged as of a later time, because the time of use is unknown.
        let stale = quota.capacity() / 8;
        let call = |shard: usize, tokens| {
            let now = crate::Clock::now(&clock);
            let expected = sharded.peek_at(tokens, now);
            let outcome = sharded.try_acquire_on(shard % shards, tokens, now);
            prop_assert_eq!(expected.is_ok(), outcome.is_ok(), "{:?} {:?}", expected, outcome);
            match outcome {
                Ok(()) => prop_assert_eq!(plain.try_acquire(tokens), Ok(()), "plain refuses"),
                Err(Denied::NotYet { retry_after }) => {
                    let available = plain.available();
                    prop_assert!(available < tokens + stale, "{available} were available");
                    prop_assert!(sharded.peek_at(tokens, now + retry_after).is_ok());
                    let early = retry_after.as_duration().saturating_sub(Duration::from_nanos(1));
                    prop_assert!(sharded.peek_at(tokens, now + early).is_err());
                }
                Err(never) => prop_assert!(false, "{never}"),
            }
            Ok(())
        };
        for step in steps {
            match step {
                Step::Call { shard, tokens } => call(shard, tokens)?,
                Step::Crowd { shard, calls } => {
                    for _ in 0..calls {
                        call(shard, 1)?;
                    }
                }
                Step::Pass { parts } => {
                    let parts = u32::try_from(parts).expect("small");
                    clock.advance(quota.refill_time() * parts / 1_000);
                }
            }
            prop_assert!(sharded.available() <= plain.available());
            prop_assert!(plain.available() <= sharded.available() + stale);
        }
    }
}

/// The rest of a lease counts for all calls, and its used part does not block them.
#[test]
fn one_call_takes_the_whole_capacity() {
    let clock = ManualClock::new();
    let quota = Quota::per_second(1_000).burst(100_000);
    let bucket = ShardedTokenBucket::with_shards(quota, clock.clone(), SHARDS);
    let now = || crate::Clock::now(&clock);
    for shard in 0..SHARDS {
        assert_eq!(bucket.try_acquire_on(shard, 1, now()), Ok(()));
        assert_eq!(bucket.try_acquire_on(shard, 1, now()), Ok(()));
    }
    assert_eq!(bucket.available(), 100_000 - 2 * SHARDS as u64);
    clock.advance(Duration::from_secs(3_600));
    // One token of each lease was used at an unknown time.
    let retry_after = Duration::from_millis(SHARDS as u64).into();
    let not_yet = Err(Denied::NotYet { retry_after });
    assert_eq!(bucket.try_acquire_on(0, 100_000, now()), not_yet);
    clock.advance(retry_after);
    assert_eq!(bucket.available(), 100_000);
    assert_eq!(bucket.try_acquire_on(1, 100_000, now()), Ok(()));
    assert_eq!(bucket.available(), 0);
    let retry_after = Duration::from_millis(1).into();
    assert_eq!(bucket.try_acquire(1), Err(Denied::NotYet { retry_after }));
    let never = Denied::Never { capacity: 100_000 };
    assert_eq!(bucket.try_acquire(100_001), Err(never));
    assert_eq!(bucket.try_acquire(0), Ok(()));
}

/// A refusal does not move everything to one shard while the others lease again.
#[test]
fn leases_do_not_pile_up() {
    let clock = ManualClock::new();
    let quota = Quota::per_second(1_000).burst(10_000);
    let bucket = ShardedTokenBucket::with_shards(quota, clock.clone(), 2);
    let now = || crate::Clock::now(&clock);
    for _ in 0..200 {
        assert_eq!(bucket.try_acquire_on(1, 1, now()), Ok(()));
        assert!(bucket.try_acquire_on(0, 10_000, now()).is_err());
    }
    assert_eq!(bucket.available(), 9_800);
    for _ in 0..8_000 {
        assert_eq!(bucket.try_acquire_on(0, 1, now()), Ok(()));
    }
    clock.advance(Duration::from_secs(86_400));
    let available = bucket.available();
    assert!(available >= 10_000 - 10_000 / 8 - 700, "{available}");
}
