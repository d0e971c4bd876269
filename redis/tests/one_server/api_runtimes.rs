//! Calls whose runtime ends while the limiter is used in another one.

use core::time::Duration;

use tidegate::RateLimitConfig;
use tidegate_redis::{CallEnding, RedisApiRateLimiter};
use tokio::runtime::{Builder, Runtime};

use super::each_server;
use crate::support::limiters::connect;
use crate::support::wait::until;

const CONFIG: RateLimitConfig = RateLimitConfig {
    tokens_per_day: Some(100_000),
    enable_backoff: false,
    ..RateLimitConfig::UNLIMITED
};

fn runtimes() -> [Runtime; 2] {
    [0, 1].map(|_| {
        let builder = &mut Builder::new_multi_thread();
        builder.worker_threads(1).enable_all().build().unwrap()
    })
}

#[test]
fn ends_of_calls_are_sent_by_another_runtime() {
    let server = each_server().next().unwrap();
    let [first, second] = runtimes();
    let limiter = first
        .block_on(async { RedisApiRateLimiter::new(&connect(&server), "model", CONFIG).unwrap() });
    let reserve = || first.block_on(limiter.reserve_tokens(10_000)).unwrap();
    let permits = [reserve(), reserve(), reserve()];
    first.shutdown_timeout(Duration::from_secs(60));
    let [dropped, settled, dropped_inside] = permits;
    drop(dropped);
    let settled = settled.settle(1_000);
    second.block_on(async {
        limiter.delivered().await;
        assert_eq!(settled.await.unwrap(), CallEnding::Done);
        drop(dropped_inside);
        limiter.delivered().await;
        let stats = limiter.stats().await.unwrap();
        assert_eq!((stats.in_flight, stats.total_requests), (0, 1));
        let left = stats.tokens_remaining_day.unwrap();
        assert!((99_000..=99_500).contains(&left), "{left}");
    });
}

#[test]
fn open_calls_are_renewed_by_another_runtime() {
    let server = each_server().next().unwrap();
    let [first, second] = runtimes();
    let limiter = first.block_on(async {
        let builder = RedisApiRateLimiter::builder(&connect(&server), "model", CONFIG);
        builder.call_ttl(Duration::from_secs(2)).build().unwrap()
    });
    // The task that renews both is in the first runtime.
    let one = first.block_on(limiter.reserve_tokens(10)).unwrap();
    let two = second.block_on(limiter.reserve_tokens(10)).unwrap();
    drop(first);
    let ends = || {
        let key = "tidegate:{model}:?ends";
        let ends: Vec<(Vec<u8>, f64)> = server.query(&["ZRANGE", key, "0", "-1", "WITHSCORES"]);
        ends.into_iter().map(|(_, end)| end).fold(0.0, f64::max)
    };
    let before = ends();
    until("two renewals", || ends() > before + 1e6);
    second.block_on(async {
        for permit in [one, two] {
            assert_eq!(permit.settle(1).await.unwrap(), CallEnding::Done);
        }
    });
}
