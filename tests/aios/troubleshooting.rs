use alloc::sync::Arc;

use super::*;

#[test]
fn configuration_can_be_read_back() {
    let (limiter, _) = limiter(CONFIG);
    assert_eq!(*limiter.config(), CONFIG);
}

#[test]
fn larger_burst_size_admits_more_at_once() {
    let (limiter, _) = limiter(RateLimitConfig {
        burst_size: 20,
        ..CONFIG
    });
    spend(&limiter, 20);
    assert!(limiter.try_acquire().is_limited);
}

/// `print(f"State: {status}")` and `print(f"Stats: {limiter.stats}")`.
#[test]
fn current_state_can_be_printed() {
    let (limiter, _) = limiter(CONFIG);
    spend(&limiter, 10);
    let status = limiter.check();
    assert_eq!(
        status.to_string(),
        "burst limit of 10 requests reached, retry in 1.2 s"
    );
    let debug = format!("State: {status:?} Stats: {:?} {limiter:?}", limiter.stats());
    for part in [
        "is_limited: true",
        "wait_time: 1.2s",
        "requests_remaining: 40",
        "tokens_remaining: 100000",
        "limited_by: Some(Burst)",
        "total_requests: 10",
        "requests_remaining_hour: 490",
        "burst_remaining: 0",
        "requests_per_minute: 50",
    ] {
        assert!(debug.contains(part), "{part} is not in {debug}");
    }
}

#[test]
fn shared_instance_counts_all_calls() {
    let (limiter, clock) = limiter(CONFIG);
    let limiter = Arc::new(limiter);
    let other = ApiRateLimiter::with_clock(CONFIG, clock).unwrap();
    let shared = Arc::clone(&limiter);
    spend(&shared, 4);
    assert_eq!(limiter.stats().total_requests, 4);
    assert_eq!(other.stats().total_requests, 0);
}

#[test]
fn custom_wait_loop_shows_progress() {
    let (limiter, clock) = limiter(STEADY);
    limiter.record_tokens(104_999);
    let mut progress = Vec::new();
    loop {
        let status = limiter.try_acquire();
        if !status.is_limited {
            break;
        }
        progress.push(format!("{:.1}", status.wait_time().as_secs_f64()));
        clock.advance(SECOND.min(status.wait_time()));
    }
    assert_eq!(progress, ["3.0", "2.0", "1.0"]);
}

/// "Implement request queuing for smoother throughput": a reservation at a token bucket knows its
/// delay.
#[test]
fn bucket_queues_requests() {
    let bucket = TokenBucket::with_clock(Quota::per_minute(50).burst(1), ManualClock::new());
    let turns = [(); 3].map(|()| {
        let reservation = bucket.reserve(1, Duration::MAX).unwrap();
        let delay = reservation.delay();
        reservation.commit();
        delay
    });
    assert_eq!(turns, [Duration::ZERO, TURN, 2 * TURN]);
}
