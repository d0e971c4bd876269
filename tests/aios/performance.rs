use super::*;

/// A `static` allocates nothing.
#[test]
fn token_bucket_takes_constant_memory() {
    static BUCKET: TokenBucket = TokenBucket::new(Quota::per_second(1_000_000));
    assert!(BUCKET.try_acquire(1_000_000).is_ok());
    assert!(size_of_val(&BUCKET) <= 256);
}

/// The document says O(n) for n requests in the window. Ours keeps a count for each of 64 slots.
#[test]
fn window_memory_depends_on_slots_only() {
    let window = SlidingWindow::with_clock(1_000_000_000, MINUTE, ManualClock::new()).unwrap();
    assert!(window.try_acquire(1_000_000_000).is_ok());
    assert_eq!(
        (window.slot_count(), window.current_count()),
        (64, 1_000_000_000)
    );
}

/// "Token Bucket: smooth rate limiting, burst handling; Sliding Window: strict per-minute limits."
#[test]
fn bucket_is_smooth_and_window_is_strict() {
    let clock = ManualClock::new();
    let bucket = TokenBucket::with_clock(Quota::per_minute(60), clock.clone());
    let window = SlidingWindow::with_clock(60, MINUTE, clock.clone()).unwrap();
    let admitted = |limiter: &dyn Fn() -> bool| (0..100).filter(|_| limiter()).count();
    let in_bucket = || bucket.try_acquire(1).is_ok();
    let in_window = || window.try_acquire(1).is_ok();

    assert_eq!((admitted(&in_bucket), admitted(&in_window)), (60, 60));
    clock.advance(MINUTE / 2);
    let second_half = (admitted(&in_bucket), admitted(&in_window));
    assert_eq!(second_half, (30, 0), "smooth, and strict");
}
