use super::*;

/// `TokenBucket(rate=10, capacity=50)`.
const QUOTA: Quota = Quota::per_second(10).burst(50);
const TOKEN: Duration = Duration::from_millis(100);

fn bucket() -> (TokenBucket<ManualClock>, ManualClock) {
    let clock = ManualClock::new();
    (TokenBucket::with_clock(QUOTA, clock.clone()), clock)
}

fn drained() -> (TokenBucket<ManualClock>, ManualClock) {
    let (bucket, clock) = bucket();
    bucket.try_acquire(50).expect("it is full");
    (bucket, clock)
}

#[test]
fn bucket_allows_bursts_and_keeps_its_rate() {
    let (bucket, clock) = bucket();
    assert_eq!(bucket.try_acquire_up_to(u64::MAX), 50, "a burst");
    let mut admitted = 0;
    for _ in 0..1_000 {
        clock.advance(Duration::from_millis(60));
        while bucket.try_acquire(1).is_ok() {
            admitted += 1;
        }
    }
    assert_eq!(admitted, 600, "ten per second, for a minute");
}

#[test]
fn bucket_holds_at_most_its_capacity() {
    let (bucket, clock) = bucket();
    clock.advance(60 * MINUTE);
    assert_eq!((bucket.capacity(), bucket.available()), (50, 50));
}

#[test]
fn requests_consume_tokens() {
    let (bucket, _) = bucket();
    bucket.try_acquire(1).unwrap();
    assert_eq!(bucket.available(), 49);
}

#[test]
fn tokens_refill_at_a_steady_rate() {
    let (bucket, clock) = drained();
    for tokens in 1..=50 {
        clock.advance(TOKEN.saturating_sub(NANO));
        assert_eq!(bucket.available(), tokens - 1);
        clock.advance(NANO);
        assert_eq!(bucket.available(), tokens);
    }
    clock.advance(TOKEN);
    assert_eq!(bucket.available(), 50);
}

/// `bucket.acquire(blocking=True)`.
#[test]
fn blocking_acquire_waits_for_a_token() {
    let clock = SteppedClock::default();
    let bucket = TokenBucket::with_clock(QUOTA, clock.clone());
    for _ in 0..50 {
        assert_eq!(bucket.acquire(1).wait(), Ok(()));
    }
    assert_eq!(clock.now() - tidegate::Timestamp::ZERO, Duration::ZERO);
    assert_eq!(clock.sleep_in(|| bucket.acquire(1).wait()), (Ok(()), TOKEN));
}

/// `bucket.acquire(blocking=False)`.
#[test]
fn non_blocking_acquire_returns_the_wait() {
    let (bucket, _) = bucket();
    for _ in 0..50 {
        assert_eq!(bucket.try_acquire(1), Ok(()));
    }
    let denied = bucket.try_acquire(1).unwrap_err();
    assert_eq!(denied.retry_after(), Some(TOKEN), "with the wait");
}

#[test]
fn five_tokens_are_acquired_all_or_none() {
    let (bucket, _) = bucket();
    bucket.try_acquire(42).unwrap();
    assert!(bucket.try_acquire(5).is_ok());
    assert!(bucket.try_acquire(5).is_err());
    assert_eq!(bucket.available(), 3);
}

#[test]
fn available_checks_without_consuming() {
    let (bucket, _) = bucket();
    assert_eq!([(); 3].map(|()| bucket.available()), [50; 3]);
}

#[test]
fn wait_time_depends_on_the_number_of_tokens() {
    let (bucket, clock) = drained();
    assert_eq!(bucket.wait_time(10), Some(SECOND));
    clock.advance(SECOND.saturating_sub(NANO));
    assert!(bucket.try_acquire(10).is_err());
    clock.advance(NANO);
    assert_eq!(bucket.wait_time(10), Some(Duration::ZERO));
    assert!(bucket.try_acquire(10).is_ok());
}

/// The document returns a wait after which the call is still refused: a bucket never holds so many.
#[test]
fn wait_time_for_more_than_the_capacity_is_never() {
    let (bucket, _) = bucket();
    assert_eq!(bucket.wait_time(51), None);
}

#[test]
fn bucket_can_start_with_five_tokens() {
    let clock = ManualClock::new();
    let bucket = TokenBucket::with_clock(QUOTA, clock.clone()).with_initial(5);
    assert_eq!(bucket.available(), 5);
    clock.advance(SECOND);
    assert_eq!(bucket.available(), 15, "ten more after a second");
}
