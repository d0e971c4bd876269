//! A bucket keeps its tokens over a change, and never gets a burst for free.

use core::time::Duration;

use tidegate::{
    Clock, Denied, FixedKeyed, Limiter, ManualClock, Quota, ShardedTokenBucket, Timestamp,
    TokenBucket,
};

fn bucket(quota: Quota) -> (TokenBucket<ManualClock>, ManualClock) {
    let clock = ManualClock::new();
    (TokenBucket::with_clock(quota, clock.clone()), clock)
}

#[test]
fn larger_capacity_is_no_free_burst() {
    let (bucket, clock) = bucket(Quota::per_second(10));
    bucket.set_quota(Quota::per_second(100).burst(1_000));
    assert_eq!((bucket.capacity(), bucket.available()), (1_000, 10));
    clock.advance(Duration::from_secs(1));
    assert_eq!(bucket.available(), 110);
}

#[test]
fn smaller_capacity_cuts_the_level() {
    let (bucket, clock) = bucket(Quota::per_second(100));
    bucket.set_quota(Quota::per_second(100).burst(7));
    assert_eq!(bucket.available(), 7);
    bucket.set_quota(Quota::per_second(100));
    assert_eq!(bucket.available(), 7, "what was cut does not come back");
    clock.advance(Duration::from_millis(10));
    assert_eq!(bucket.available(), 8);
}

#[test]
fn debts_stay_debts_in_tokens() {
    let (bucket, clock) = bucket(Quota::per_second(10));
    bucket.debit(110);
    bucket.set_quota(Quota::per_second(50));
    assert_eq!((bucket.available(), bucket.debt()), (0, 100));
    clock.advance(Duration::from_secs(2));
    assert_eq!((bucket.available(), bucket.debt()), (0, 0));
    assert_eq!(bucket.wait_time(1), Some(Duration::from_millis(20)));
}

#[test]
fn hints_follow_the_new_quota() {
    let (bucket, clock) = bucket(Quota::per_second(1).burst(1));
    bucket.try_acquire(1).expect("valid");
    bucket.set_quota(Quota::per_second(4).burst(2));
    let retry_after = Duration::from_millis(500);
    assert_eq!(
        bucket.try_acquire(2),
        Err(Denied::NotYet {
            retry_after: retry_after.into()
        })
    );
    assert_eq!(bucket.try_acquire(3), Err(Denied::Never { capacity: 2 }));
    clock.advance(retry_after.saturating_sub(Duration::from_nanos(1)));
    assert!(bucket.try_acquire(2).is_err());
    clock.advance(Duration::from_nanos(1));
    assert_eq!(bucket.try_acquire(2), Ok(()));
    assert_eq!(bucket.quota(), Quota::per_second(4).burst(2));
    assert_eq!(bucket.refill_time(), Duration::from_millis(500));
}

#[test]
fn change_long_after_the_last_call_finds_a_full_bucket() {
    const YEAR: Duration = Duration::from_secs(365 * 86_400);
    // The word of this bucket goes around its circle in seven months.
    let (bucket, clock) = bucket(Quota::per_second(1_000_000_000_000));
    bucket.try_acquire(1_000_000_000_000).expect("valid");
    clock.advance(YEAR);
    bucket.set_quota(Quota::per_second(5));
    assert_eq!(bucket.available(), 5);
    bucket.try_acquire(5).expect("valid");
    clock.advance(YEAR * 100);
    bucket.set_quota(Quota::per_second(7));
    assert_eq!(bucket.available(), 5);
}

#[test]
fn change_by_a_clock_that_stepped_back_gives_nothing() {
    let (bucket, clock) = bucket(Quota::per_second(10));
    clock.advance(Duration::from_secs(100));
    bucket.try_acquire(10).expect("valid");
    // As of then, what was admitted since is a debt.
    let back = Timestamp::ZERO;
    assert_eq!(bucket.debt_at(back), 1_000);
    bucket.set_quota_at(Quota::per_second(20), back);
    assert_eq!(bucket.debt_at(back), 1_000);
    assert_eq!(bucket.available_at(back + Duration::from_secs(50)), 0);
    assert_eq!(bucket.available_at(back + Duration::from_secs(51)), 20);
}

#[test]
fn same_quota_changes_nothing() {
    let (bucket, _) = bucket(Quota::per_second(10));
    let charge = bucket.charge_at(4, bucket.now()).expect("valid");
    bucket.set_quota(Quota::per_second(10));
    assert_eq!(bucket.undo(charge), 4, "nothing was replaced");
    assert_eq!(bucket.available(), 10);
}

#[test]
fn charges_are_undone_only_by_their_own_quota() {
    let (bucket, _) = bucket(Quota::per_second(10));
    let old = bucket.charge_at(4, bucket.now()).expect("valid");
    bucket.set_quota(Quota::per_second(20));
    assert_eq!(bucket.undo(old), 0);
    let new = bucket.charge_at(3, bucket.now()).expect("valid");
    assert_eq!(bucket.undo(new), 3);
    assert_eq!(bucket.available(), 6);

    // Back and forth, so that the numbers of the words are the same.
    let charge = bucket.charge_at(3, bucket.now()).expect("valid");
    bucket.set_quota(Quota::per_second(40));
    bucket.set_quota(Quota::per_second(20));
    assert_eq!(bucket.undo(charge), 0);
    assert_eq!(bucket.available(), 3);
}

#[test]
fn reservations_keep_their_times() {
    let (bucket, clock) = bucket(Quota::per_second(1).burst(1));
    bucket.try_acquire(1).expect("valid");
    let reservation = bucket.reserve(1, Duration::from_secs(2)).expect("valid");
    let ready_at = reservation.ready_at();
    bucket.set_quota(Quota::per_second(10).burst(1));
    assert_eq!(bucket.debt(), 1);
    assert_eq!(reservation.ready_at(), ready_at);
    assert_eq!(reservation.cancel(), 0, "its tokens count as used");
    clock.advance(Duration::from_millis(200));
    assert_eq!(bucket.available(), 1);
}

#[test]
fn thousands_of_changes_cost_no_tokens() {
    let (bucket, _) = bucket(Quota::per_second(10));
    bucket.try_acquire(4).expect("valid");
    for change in 1..5_000 {
        bucket.set_quota(Quota::per_second(10 + change % 7));
        assert_eq!(bucket.available(), 6);
    }
}

#[test]
fn changes_in_the_past_count_from_the_change_before() {
    let clock = ManualClock::new();
    let quota = Quota::per_second(10).burst(100);
    let slow = Quota::per_hour(1).burst(100);
    let bucket = TokenBucket::with_clock(quota, clock.clone());
    let sharded = ShardedTokenBucket::with_clock(quota, clock.clone());
    let table = FixedKeyed::with_clock(quota, 64, clock.clone());
    clock.advance(Duration::from_secs(100));
    let late = clock.now();
    let early = Timestamp::from_nanos(90_000_000_000);
    bucket.try_acquire(100).expect("valid");
    sharded.try_acquire(100).expect("valid");
    table.try_acquire(&1, 100).expect("valid");
    for _ in 0..3 {
        bucket.set_quota_at(slow, late);
        bucket.set_quota_at(quota, early);
        sharded.set_quota_at(slow, late);
        sharded.set_quota_at(quota, early);
        table.set_quota_at(slow, late);
        table.set_quota_at(quota, early);
        let available = [bucket.available(), sharded.available(), table.available(&1)];
        assert_eq!(available, [0; 3]);
    }
    clock.advance(Duration::from_secs(1));
    let available = [bucket.available(), sharded.available(), table.available(&1)];
    assert_eq!(available, [10; 3]);
}
