//! Bytes wait at every limiter that calls can wait at.

use alloc::sync::Arc;
use core::time::Duration;

use tidegate::{
    ApiRateLimiter, Awaitable, Combined, FixedKeyed, KeyView, Keyed, ManualClock, Quota,
    RateLimitConfig, ShardedTokenBucket, SlidingWindow, Throttled,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{SECOND, block_on, bucket, bytes, elapsed, timer};

/// How long it takes to write and to read 50 bytes each.
fn time_of<L: Awaitable + Clone>(limiter: L, clock: &ManualClock) -> Duration {
    let sent = bytes(50);
    let mut upload = Throttled::new(Vec::new(), limiter.clone()).timer(timer(clock));
    block_on(upload.write_all(&sent)).expect("a `Vec` takes all");
    assert_eq!(upload.into_inner(), sent);
    let mut got = Vec::new();
    let mut download = Throttled::new(&sent[..], limiter).timer(timer(clock));
    block_on(download.read_to_end(&mut got)).expect("a slice has no errors");
    assert_eq!(got, sent);
    elapsed(clock)
}

#[test]
fn bytes_wait_at_every_limiter() {
    let clock = ManualClock::new();
    assert_eq!(time_of(&bucket(10, 10, &clock), &clock), 9 * SECOND);
    let clock = ManualClock::new();
    assert_eq!(
        time_of(Arc::new(bucket(10, 10, &clock)), &clock),
        9 * SECOND
    );
    let clock = ManualClock::new();
    let sharded = ShardedTokenBucket::with_clock(Quota::per_second(10).burst(10), clock.clone());
    assert_eq!(time_of(&sharded, &clock), 9 * SECOND);
    // 10 per second and slot of 1/64.
    let clock = ManualClock::new();
    let window = SlidingWindow::with_clock(10, SECOND, clock.clone()).unwrap();
    let took = time_of(&window, &clock);
    assert!(
        took >= 9 * SECOND && took <= 9 * (SECOND + SECOND / 64),
        "{took:?}"
    );
    let clock = ManualClock::new();
    let window = SlidingWindow::with_clock(1_000, SECOND, clock.clone()).unwrap();
    let both = Combined::builder()
        .limit("rate", bucket(10, 10, &clock))
        .limit("window", window)
        .build();
    assert_eq!(time_of(&both, &clock), 9 * SECOND);
    let clock = ManualClock::new();
    let table = FixedKeyed::with_clock(Quota::per_second(10).burst(10), 100, clock.clone());
    assert_eq!(time_of(table.at("tide"), &clock), 9 * SECOND);
    let clock = ManualClock::new();
    let time = clock.clone();
    let table = Keyed::new(move |_: &u64| bucket(10, 10, &time));
    let owned = KeyView::owned(Arc::new(table), 7);
    assert_eq!(time_of(owned, &clock), 9 * SECOND);
    // A byte is a request. The limiter is cloned, not shared by reference.
    let clock = ManualClock::new();
    let config = RateLimitConfig {
        requests_per_minute: 60,
        requests_per_hour: 1_000,
        burst_size: 10,
        ..RateLimitConfig::DEFAULT
    };
    let api = ApiRateLimiter::with_clock(config, clock.clone()).unwrap();
    let took = time_of(api.clone(), &clock);
    assert_eq!(api.stats().total_requests, 100);
    assert!(took >= 90 * SECOND && took <= 120 * SECOND, "{took:?}");
}

/// A limiter by value, which nothing else uses.
#[test]
fn limiters_can_be_owned() {
    let clock = ManualClock::new();
    let mut upload = Throttled::new(Vec::new(), bucket(10, 10, &clock)).timer(timer(&clock));
    block_on(upload.write_all(&[1; 20])).unwrap();
    assert_eq!((elapsed(&clock), upload.limiter().available()), (SECOND, 0));
}
