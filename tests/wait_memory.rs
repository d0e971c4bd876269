//! Memory of the wait queues: what a waiter takes, and that it is gone afterwards.
//!
//! This test is a program of its own, because the allocator counts for the whole program.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Waker};
use core::time::Duration;
use std::alloc::System;

use cap::Cap;
use tidegate::{
    Acquire, ApiRateLimiter, Awaitable, Combined, ManualClock, Quota, RateLimitConfig,
    ShardedTokenBucket, SlidingWindow, TokenBucket,
};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

const WAITERS: usize = 10_000;
/// Bytes in a queue for each waiter: an entry of 56 bytes in a tree whose nodes are half full,
/// because entries come in order.
const ENTRY: usize = 128;
/// The same at an API limiter, whose demand is of requests and up to eight limits on tokens.
const API_ENTRY: usize = 384;
/// Bytes for the test harness, which may print meanwhile, and for a queue without waiters.
const REST: usize = 16 << 10;

fn poll<F: Future>(future: Pin<&mut F>) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    future.poll(&mut context).is_ready()
}

/// Ten thousand calls wait, and leave from the front, from the back, and by being served.
fn check<L: Awaitable>(limiter: &L, clock: &ManualClock, entry: usize) {
    let wait = |n| Acquire::new(limiter, n).timer(|_| core::future::pending::<()>());
    assert!(poll(Box::pin(wait(10)).as_mut()));
    for way in 0..3 {
        let before = ALLOCATOR.allocated();
        let mut waiters: Vec<_> = (0..WAITERS).map(|_| Box::pin(wait(1))).collect();
        let unpolled = ALLOCATOR.allocated();
        for waiter in &mut waiters {
            assert!(!poll(waiter.as_mut()));
        }
        let queued = ALLOCATOR.allocated() - unpolled;
        assert!(queued >= WAITERS * 16, "{queued} bytes: nothing is queued");
        assert!(queued <= WAITERS * entry + REST, "{queued} bytes");
        match way {
            0 => waiters.clear(),
            1 => while waiters.pop().is_some() {},
            _ => {
                for waiter in &mut waiters {
                    // Long enough for one.
                    clock.advance(Duration::from_secs(100));
                    assert!(poll(waiter.as_mut()));
                }
            }
        }
        drop(waiters);
        let left = ALLOCATOR.allocated().saturating_sub(before);
        assert!(left <= REST, "{left} bytes are left");
    }
}

#[test]
fn queues_are_gone_with_their_waiters() {
    let clock = ManualClock::new();
    let quota = Quota::per_minute(1).burst(10);
    let minute = Duration::from_secs(60);
    let bucket = || TokenBucket::with_clock(quota, clock.clone());
    let window = || SlidingWindow::with_clock(10, minute, clock.clone()).expect("valid");
    check(&bucket(), &clock, ENTRY);
    let sharded = ShardedTokenBucket::with_clock(quota, clock.clone());
    check(&sharded, &clock, ENTRY);
    check(&window(), &clock, ENTRY);
    let both = Combined::builder()
        .limit("bucket", bucket())
        .limit("window", window());
    check(&both.build(), &clock, ENTRY);
    let config = RateLimitConfig {
        requests_per_minute: 10,
        requests_per_hour: 1_000_000,
        burst_size: 10,
        ..RateLimitConfig::DEFAULT
    };
    let api = ApiRateLimiter::with_clock(config, clock.clone()).expect("valid");
    check(&api, &clock, API_ENTRY);
}
