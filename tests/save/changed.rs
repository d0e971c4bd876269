//! Limits that change while they are used: a save keeps the current state, and what was restored
//! can be changed.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use tidegate::{
    ApiRateLimiter, Combined, Keyed, ManualClock, Quota, RateLimitConfig, ShardedTokenBucket,
    SlidingWindow, TableRecord, TokenBucket,
};

use crate::{SECOND, at, wall};

type Window = SlidingWindow<ManualClock>;
type Sharded = ShardedTokenBucket<ManualClock>;

fn bucket(quota: Quota) -> TokenBucket<ManualClock> {
    TokenBucket::with_clock(quota, ManualClock::new())
}

fn window(limit: u64, length: u64, slots: usize) -> Window {
    let length = Duration::from_nanos(length);
    let window = SlidingWindow::with_clock(limit, length, ManualClock::new()).unwrap();
    window.slots(slots)
}

#[test]
fn buckets_keep_the_current_level() {
    let (small, large) = (
        Quota::per_hour(60).burst(10),
        Quota::per_hour(60).burst(100),
    );
    let before = bucket(small);
    before.try_acquire_at(4, at(0)).unwrap();
    before.set_quota_at(large, at(0));
    before.debit_at(1, at(0));
    let saved = before.save_at(at(0), wall(0));
    assert_eq!(saved.state().capacity(), 100);
    assert_eq!(saved.state().available(), 5);

    let after = TokenBucket::restore_at(&saved, bucket(small), at(0), wall(0)).unwrap();
    assert_eq!(after.available_at(at(0)), 5);
    after.set_quota_at(large, at(0));
    assert_eq!(after.available_at(at(0)), 5);
    assert_eq!(after.available_at(at(120 * SECOND)), 7);

    // Into a bucket whose quota was changed.
    let fresh = bucket(small);
    fresh.set_quota_at(large, at(0));
    fresh.reset_at(at(0));
    let after = TokenBucket::restore_at(&saved, fresh, at(0), wall(0)).unwrap();
    assert_eq!(after.available_at(at(0)), 5);
}

#[test]
fn sharded_buckets_keep_the_current_level() {
    let (small, large) = (
        Quota::per_hour(1).burst(50_000),
        Quota::per_hour(1).burst(90_000),
    );
    let new = || Sharded::with_clock(small, ManualClock::new());
    let before = new();
    (0..1_003).for_each(|_| before.try_acquire_at(1, at(0)).unwrap());
    before.set_quota_at(large, at(0));
    (0..1_003).for_each(|_| before.try_acquire_at(1, at(0)).unwrap());
    let saved = before.save_at(at(0), wall(0));
    assert_eq!(saved.state().capacity(), 90_000);
    assert_eq!(saved.state().available(), 50_000 - 2 * 1_003);

    let fresh = new();
    fresh.set_quota_at(large, at(0));
    let fresh = Sharded::restore_at(&saved, fresh, at(0), wall(0)).unwrap();
    // The fresh one has 50 000 of 90 000 itself.
    assert_eq!(fresh.available_at(at(0)), 10_000 - 2 * 1_003);
    let after = Sharded::restore_at(&saved, new(), at(0), wall(0)).unwrap();
    after.set_quota_at(large, at(0));
    assert_eq!(after.available_at(at(0)), 50_000 - 2 * 1_003);
}

/// Of what was admitted before a save, nothing is missing in it, while the quota changes.
#[test]
fn saves_beside_changes_miss_nothing() {
    let capacity = 400_000;
    let quotas = [1, 2].map(|rate| Quota::per_hour(rate).burst(capacity));
    let sharded = Sharded::with_clock(quotas[0], ManualClock::new());
    let minute = Duration::from_secs(60);
    let window = window(capacity, 60 * SECOND, 60);
    let (admitted, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(SeqCst) {
                    let both = sharded.try_acquire_at(1, at(0)).is_ok()
                        && window.try_acquire_at(1, at(0)).is_ok();
                    if both {
                        admitted.fetch_add(1, SeqCst);
                    }
                }
            });
        }
        scope.spawn(|| {
            for turn in 0..200 {
                sharded.set_quota_at(quotas[turn % 2], at(0));
                let limit = capacity - (turn % 2) as u64;
                window.set_limit_at(limit, minute, at(0)).unwrap();
            }
        });
        for _ in 0..200 {
            let least = admitted.load(SeqCst);
            let saved = sharded.save_at(at(0), wall(0));
            let spent = capacity - saved.state().available();
            assert!(spent >= least, "{spent} of {least}");
            let count = window.save_at(at(0), wall(0)).state().count();
            assert!(count >= least, "{count} of {least}");
        }
        is_over.store(true, SeqCst);
    });
}

#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Admit(u64),
    /// Another limit and length.
    Change(u64, u64),
    /// Down for so long, and then a clock that begins there.
    Restart(u64, u64),
}

const LENGTHS: [u64; 3] = [300, 1_000, 2_000];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let length = prop::sample::select(&LENGTHS[..]);
    let step = prop_oneof![
        3 => (0_u64..700).prop_map(Step::Pass),
        4 => (1_u64..6).prop_map(Step::Admit),
        2 => (1_u64..12, length).prop_map(|(limit, length)| Step::Change(limit, length)),
        1 => (0_u64..900, prop_oneof![Just(0), 0_u64..5_000]).prop_map(|(down, clock)| {
            Step::Restart(down, clock)
        }),
    ];
    prop::collection::vec(step, 1..60)
}

/// Permits of admissions after `since`.
fn sum_after(log: &[(i64, u64)], since: i64) -> u64 {
    let recent = log.iter().filter(|(then, _)| *then > since);
    recent.map(|(_, n)| n).sum()
}

proptest! {
    /// What counted before a change or a restart counts after it, and not for much longer. Hints
    /// are exact.
    #[test]
    fn windows_change_across_restarts(
        slots in 1_u64..12,
        steps in steps(),
    ) {
        let new = |limit, length| window(limit, length, usize::try_from(slots).unwrap());
        let (mut limit, mut length) = (8, 1_000);
        let mut live = new(limit, length);
        // By the wall clock: what has to count, and what may count.
        let (mut log, mut all) = (Vec::new(), Vec::new());
        // The limiter's clock, and the wall clock.
        let (mut now, mut time) = (0_u64, 0_i64);
        for step in steps {
            match step {
                Step::Pass(nanos) => {
                    now += nanos;
                    time += i64::try_from(nanos).unwrap();
                }
                Step::Change(other_limit, other_length) => {
                    // A window forgets what is older than its length.
                    log.retain(|&(then, _)| then > time - i64::try_from(length).unwrap());
                    (limit, length) = (other_limit, other_length);
                    live.set_limit_at(limit, Duration::from_nanos(length), at(now)).unwrap();
                }
                Step::Restart(down, clock) => {
                    log.retain(|&(then, _)| then > time - i64::try_from(length).unwrap());
                    let saved = live.save_at(at(now), wall(u64::try_from(time).unwrap()));
                    time += i64::try_from(down).unwrap();
                    now = clock;
                    let wall = wall(u64::try_from(time).unwrap());
                    live = Window::restore_at(&saved, new(limit, length), at(now), wall).unwrap();
                }
                Step::Admit(n) => {
                    let available = live.available_at(at(now));
                    let wait = live.wait_time_at(n, at(now));
                    let admitted = live.try_acquire_at(n, at(now)).is_ok();
                    prop_assert_eq!(admitted, n <= available);
                    if admitted {
                        log.push((time, n));
                        all.push((time, n));
                    } else if let Some(wait) = wait {
                        let wait = u64::try_from(wait.as_nanos()).unwrap();
                        prop_assert!(wait > 0);
                        prop_assert!(live.peek_at(n, at(now + wait)).is_ok());
                        prop_assert!(live.peek_at(n, at(now + wait - 1)).is_err());
                    } else {
                        prop_assert!(n > limit);
                    }
                }
            }
            let since = time - i64::try_from(length).unwrap();
            let most = limit.saturating_sub(sum_after(&log, since));
            let available = live.available_at(at(now));
            prop_assert!(available <= most, "{available} of {most}");
            // A slot of the window that admitted, and a slot of this one.
            let late = LENGTHS[2].div_ceil(slots) + length.div_ceil(slots);
            let counted = sum_after(&all, since - i64::try_from(late).unwrap());
            let least = limit.saturating_sub(counted);
            prop_assert!(available >= least, "{available}, at least {least}");
        }
    }
}

/// Admissions from before the clock's origin are carried to another limit, and no longer than they
/// must.
#[test]
fn restored_windows_are_changed_at_once() {
    let minute = 60 * SECOND;
    let before = window(100, minute, 60);
    before.try_acquire_at(60, at(3_600 * SECOND)).unwrap();
    before.try_acquire_at(40, at(3_630 * SECOND)).unwrap();
    let saved = before.save_at(at(3_640 * SECOND), wall(0));
    let restored = || {
        let fresh = window(100, minute, 60);
        Window::restore_at(&saved, fresh, at(0), wall(10 * SECOND)).unwrap()
    };
    // 60 are 50 s old, 40 are 20 s old, or a slot less.
    let live = restored();
    live.set_limit_at(150, Duration::from_secs(60), at(0))
        .unwrap();
    assert_eq!(live.available_at(at(10 * SECOND)), 50);
    assert_eq!(live.wait_time_at(51, at(0)), Some(Duration::from_secs(11)));
    assert_eq!(live.available_at(at(12 * SECOND)), 110);
    assert_eq!(live.available_at(at(42 * SECOND)), 150);
    // All that counts is in the next save, too.
    let saved_again = live.save_at(at(5 * SECOND), wall(15 * SECOND));
    assert_eq!(saved_again.state().count(), 100);
    let fresh = window(150, minute, 60);
    let live = Window::restore_at(&saved_again, fresh, at(0), wall(15 * SECOND)).unwrap();
    assert_eq!(live.available_at(at(5 * SECOND)), 50);
    assert_eq!(live.available_at(at(7 * SECOND)), 110);

    // Lower than what counts, and shorter.
    let live = restored();
    live.set_limit_at(50, Duration::from_secs(30), at(0))
        .unwrap();
    assert_eq!(live.available_at(at(0)), 10);
    assert_eq!(live.wait_time_at(11, at(0)), Some(Duration::from_secs(11)));
    assert_eq!(live.available_at(at(12 * SECOND)), 50);

    // Into a window whose limit was changed.
    let fresh = window(10, minute, 60);
    fresh
        .set_limit_at(150, Duration::from_secs(60), at(0))
        .unwrap();
    let live = Window::restore_at(&saved, fresh, at(0), wall(10 * SECOND)).unwrap();
    assert_eq!((live.limit(), live.available_at(at(0))), (150, 50));
    live.set_limit_at(10, Duration::from_secs(60), at(0))
        .unwrap();
    assert_eq!(live.available_at(at(40 * SECOND)), 0);
    assert_eq!(live.available_at(at(42 * SECOND)), 10);
}

#[test]
fn combinations_and_api_limiters_keep_the_current_levels() {
    let new = || {
        Combined::builder()
            .limit("bucket", bucket(Quota::per_hour(1).burst(10)))
            .limit("window", window(20, 60 * SECOND, 60))
            .build()
    };
    let change = |combined: &Combined<ManualClock>| {
        let large = Quota::per_hour(1).burst(100);
        combined.set_quota_at("bucket", large, at(0)).unwrap();
        let minute = Duration::from_secs(60);
        combined.set_limit_at("window", 200, minute, at(0)).unwrap();
    };
    let before = new();
    before.try_acquire_at(3, at(0)).unwrap();
    change(&before);
    before.try_acquire_at(3, at(0)).unwrap();
    let saved = before.save_at(at(0), wall(0));
    let after = Combined::restore_at(&saved, new(), at(0), wall(0)).unwrap();
    assert_eq!(after.available_in("bucket"), Some(4));
    assert_eq!(after.available_in("window"), Some(14));
    change(&after);
    assert_eq!(after.available_in("bucket"), Some(4));
    assert_eq!(after.available_in("window"), Some(194));

    let config = RateLimitConfig {
        tokens_per_minute: 10_000,
        requests_per_minute: 10,
        ..RateLimitConfig::DEFAULT
    };
    let larger = RateLimitConfig {
        tokens_per_minute: 40_000,
        requests_per_minute: 30,
        ..config
    };
    let new = || ApiRateLimiter::with_clock(config, ManualClock::new()).unwrap();
    let before = new();
    before.record_tokens(4_000);
    assert!(!before.try_acquire().is_limited);
    before.reconfigure_at(larger, at(0)).unwrap();
    assert!(!before.try_acquire().is_limited);
    let saved = before.save_at(at(0), wall(0));
    let after = ApiRateLimiter::restore_at(&saved, new(), at(0), wall(0)).unwrap();
    assert_eq!(after.stats().tokens_remaining_minute, 6_000);
    assert_eq!(after.stats().requests_remaining_minute, 8);
    after.reconfigure_at(larger, at(0)).unwrap();
    assert_eq!(after.stats().tokens_remaining_minute, 6_000);
    assert_eq!(after.stats().requests_remaining_minute, 28);
}

/// A key whose quota was set has the factory's after a restore, and no more tokens than before.
#[test]
fn keys_keep_their_levels_and_not_their_quotas() {
    let table = |burst| Keyed::new(move |_: &u64| bucket(Quota::per_hour(1).burst(burst)));
    let before = table(10);
    for key in 0..4 {
        before.try_acquire_at(&key, 4, at(0)).unwrap();
    }
    let set = |key: u64, burst| {
        let quota = Quota::per_hour(1).burst(burst);
        before.at(&key).set_quota_at(quota, at(0)).unwrap();
    };
    set(1, 100);
    set(2, 5); // full
    set(3, 5);
    before.try_acquire_at(&3, 2, at(0)).unwrap();
    set(4, 3); // a new key, full
    let mut records = Vec::new();
    let write = |record: TableRecord<_, _>| {
        records.push(Ok::<_, std::convert::Infallible>(record));
        Ok::<_, std::convert::Infallible>(())
    };
    assert_eq!(before.save_at(at(0), wall(0), write).unwrap(), 5);

    let after = Keyed::restore_at(records.clone(), table(10), at(0), wall(0)).unwrap();
    let available = [0, 1, 2, 3, 4, 5].map(|key| after.available_at(&key, at(0)));
    assert_eq!(available, [6, 6, 5, 3, 3, 10]);
    assert_eq!(after.at(&1).snapshot().capacity, 10);
    after
        .at(&1)
        .set_quota_at(Quota::per_hour(1).burst(100), at(0))
        .unwrap();
    assert_eq!(after.available_at(&1, at(0)), 6);

    // Into a table whose factory was replaced, and replaced again after that.
    let fresh = table(10);
    fresh.at(&9).available();
    fresh.set_factory_at(|_| bucket(Quota::per_hour(1).burst(4)), at(0));
    let after = Keyed::restore_at(records, fresh, at(0), wall(0)).unwrap();
    let available = [0, 1, 2, 3, 4, 5].map(|key| after.available_at(&key, at(0)));
    assert_eq!(available, [4, 4, 4, 3, 3, 4]);
    after.set_factory_at(|_| bucket(Quota::per_hour(1).burst(40)), at(0));
    assert_eq!(after.available_at(&3, at(0)), 3);
}
