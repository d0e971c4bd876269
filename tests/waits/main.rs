//! Waits of threads and futures: order, cancellation, deadlines, wake-ups, runtimes.

extern crate alloc;

mod api;
mod cancellation;
mod deadlines;
mod full_queues;
mod hand_over;
mod late_timers;
mod manual_timer;
mod misuse;
mod mixed;
mod order;
mod owned;
#[cfg(feature = "futures")]
mod paced;
mod random;
mod random_operations;
mod reentrant_wakers;
mod resets;
mod runtimes;
mod sharded_changes;
mod thread_waits;
#[cfg(feature = "tokio")]
mod tokio_tasks;
mod tuples;
mod waiters;

#[path = "../parallel/mod.rs"]
mod parallel;
#[path = "../stepped/mod.rs"]
mod stepped;

use alloc::sync::Arc;
use core::future::{Ready, ready};
use core::time::Duration;

use tidegate::{
    ApiRateLimiter, Clock, Combined, ManualClock, Quota, RateLimitConfig, ShardedTokenBucket,
    SlidingWindow, TokenBucket,
};

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);
const NANOSECOND: Duration = Duration::from_nanos(1);

/// Refills one token per second.
fn bucket(capacity: u64, clock: &ManualClock) -> TokenBucket<ManualClock> {
    TokenBucket::with_clock(Quota::per_second(1).burst(capacity), clock.clone())
}

/// As [`bucket`], in shards.
fn sharded(capacity: u64, clock: &ManualClock) -> ShardedTokenBucket<ManualClock> {
    ShardedTokenBucket::with_clock(Quota::per_second(1).burst(capacity), clock.clone())
}

/// Has room again one second and one slot of 1/64 s after a charge.
fn window(limit: u64, clock: &ManualClock) -> SlidingWindow<ManualClock> {
    SlidingWindow::with_clock(limit, SECOND, clock.clone()).expect("valid")
}

/// Combines a window and a bucket of the same size.
fn combined(limit: u64, clock: &ManualClock) -> Combined<ManualClock> {
    limits(window(limit, clock), bucket(limit, clock))
}

fn limits<C: Clock>(window: SlidingWindow<C>, bucket: TokenBucket<C>) -> Combined<C> {
    Combined::builder()
        .limit("window", window)
        .limit("bucket", bucket)
        .build()
}

/// Admits one request per second, and `burst` requests at once.
fn api(burst: u64, clock: &ManualClock) -> ApiRateLimiter<ManualClock> {
    let config = RateLimitConfig {
        requests_per_minute: 60,
        burst_size: burst,
        enable_backoff: false,
        ..RateLimitConfig::DEFAULT
    };
    ApiRateLimiter::with_clock(config, clock.clone()).expect("valid")
}

/// As [`bucket`]. The waits own a share.
fn shared(capacity: u64, clock: &ManualClock) -> Arc<TokenBucket<ManualClock>> {
    Arc::new(bucket(capacity, clock))
}

/// As [`window`]. The waits own a share.
fn shared_window(limit: u64, clock: &ManualClock) -> Arc<SlidingWindow<ManualClock>> {
    Arc::new(window(limit, clock))
}

/// Calls `check(&limiter, &clock)` with a new limiter of each kind and this capacity.
macro_rules! on_each_limiter {
    ($check:expr, $capacity:expr) => {
        on_each_limiter!($check, $capacity, bucket, sharded, window, combined, api, shared);
        on_each_limiter!($check, $capacity, shared_window);
    };
    ($check:expr, $capacity:expr, $($limiter:ident),*) => {$(
        let clock = tidegate::ManualClock::new();
        $check(&crate::$limiter($capacity, &clock), &clock);
    )*};
}
use on_each_limiter;

/// Compiles if the future can be spawned.
const fn assert_spawnable<T: Send + 'static>(_: &T) {}

/// A timer that may not be used.
fn no_sleep(wait: Duration) -> Ready<()> {
    unreachable!("sleeps for {wait:?}");
}

/// A timer that advances the clock too little, by two thirds, but by a millisecond or more.
fn early_timer(clock: &ManualClock) -> impl Fn(Duration) -> Ready<()> + Send + Sync + '_ {
    |wait| {
        let least = MILLISECOND.min(wait);
        clock.advance((wait * 2 / 3).max(least));
        ready(())
    }
}
