use super::*;

/// The requests and tokens of one thread.
#[derive(Default)]
struct Tally {
    requests: u64,
    tokens: u64,
}

/// Limited by the calls in flight, and near the end by the burst, with cancellations on top. Each
/// permit that left a limit was used or is counted as forfeited.
#[test]
fn statistics_of_eight_threads_are_exact() {
    let config = RateLimitConfig {
        requests_per_minute: 40_000,
        requests_per_hour: 1_000_000,
        tokens_per_minute: 6_000_000,
        burst_size: 20_000,
        max_in_flight: Some(6),
        ..RateLimitConfig::DEFAULT
    };
    let (limiter, _) = limiter(config);
    let tallies = parallel::in_parallel(8, |thread| {
        let mut random = u64::try_from(thread).unwrap();
        let mut tally = Tally::default();
        for _ in 0..5_000 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let (choice, estimate) = (random >> 61, (random >> 32) % 200);
            if choice == 0 {
                tally.requests += u64::from(!limiter.try_acquire().is_limited);
                continue;
            }
            let Ok(mut permit) = limiter.reserve_tokens(estimate) else {
                continue;
            };
            tally.requests += 1;
            match choice {
                // Above and below the estimate.
                1..=3 => {
                    let used = estimate / 2 * (choice - 1);
                    permit.settle(used);
                    tally.tokens += used;
                }
                4 => {
                    permit.commit();
                    drop(permit);
                    tally.tokens += estimate;
                }
                5 => {
                    limiter.record_tokens(7);
                    permit.settle(estimate);
                    tally.tokens += estimate + 7;
                }
                6 => {
                    permit.cancel();
                    tally.requests -= 1;
                }
                _ => {
                    drop(permit);
                    tally.requests -= 1;
                }
            }
        }
        tally
    });
    let stats = limiter.stats();
    let requests: u64 = tallies.iter().map(|tally| tally.requests).sum();
    let tokens: u64 = tallies.iter().map(|tally| tally.tokens).sum();
    assert_eq!(
        (stats.total_requests, stats.total_tokens_used),
        (requests, tokens)
    );
    assert_eq!(stats.in_flight, 0);

    let gone_from_windows = [
        40_000 - stats.requests_remaining_minute,
        1_000_000 - stats.requests_remaining_hour,
    ];
    assert_eq!(
        gone_from_windows, [requests; 2],
        "in the same slot all comes back"
    );
    assert!(
        stats.tokens_remaining_minute > 0,
        "no debt, or the sum below would not see it"
    );
    let gone = (20_000 - stats.burst_remaining) + (6_000_000 - stats.tokens_remaining_minute);
    assert_eq!(gone, requests + tokens + stats.forfeited, "{stats:?}");
}
