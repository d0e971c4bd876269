use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::*;

/// `ThreadPoolExecutor(max_workers=10)` and `range(100)`. Time does not move while a worker is
/// awake, so it reads the instant of its admission.
#[test]
fn hundred_tasks_on_ten_threads() {
    const PER_MINUTE: usize = 50;
    const BURST: usize = 10;

    let (limiter, clock) = stepped(RateLimitConfig::default());
    let next_task = AtomicUsize::new(0);
    let admitted = clock.run(10, |_| {
        let mut admitted = Vec::new();
        while next_task.fetch_add(1, Relaxed) < 100 {
            assert!(!limiter.acquire().wait().is_limited);
            admitted.push(clock.now());
        }
        admitted
    });

    let mut admitted = admitted.concat();
    admitted.sort();
    assert_eq!(admitted.len(), 100);
    assert_eq!(limiter.stats().total_requests, 100);
    for (&first, &next) in admitted.iter().zip(&admitted[PER_MINUTE..]) {
        assert!(next - first > MINUTE, "51 in a minute");
    }
    for (index, &first) in admitted.iter().enumerate() {
        for (count, &last) in (1_u32..).zip(&admitted[index..]) {
            let beyond = count.saturating_sub(u32::try_from(BURST).unwrap());
            assert!(
                last - first >= TURN * beyond,
                "{count} in {:?}",
                last - first
            );
        }
    }
}

#[test]
fn all_components_can_be_shared() {
    const fn shared<T: Send + Sync>() {}
    shared::<TokenBucket>();
    shared::<SlidingWindow>();
    shared::<ApiRateLimiter>();
    shared::<tidegate::RateLimited<&ApiRateLimiter, fn(u64) -> u64>>();
    shared::<tidegate::RateLimitStatus>();
}
