//! The same limiters on the timers of several runtimes, and what the futures are.

use core::future::Future;
use core::time::Duration;

use tidegate::{Acquire, Combined, DefaultClock, Quota, SlidingWindow, Timer, TokenBucket};

/// Real time, but little: three waits of a millisecond, on buckets, windows and combinations.
#[cfg(any(feature = "async-io", feature = "futures-timer"))]
async fn waits_a_little<T: Timer + Copy>(timer: T) -> Result<(), Box<dyn core::error::Error>> {
    use tidegate::Clock;
    const LITTLE: Duration = Duration::from_millis(1);
    let start = DefaultClock.now();
    let bucket = TokenBucket::new(Quota::new(1, LITTLE)?);
    let window = SlidingWindow::new(1, LITTLE)?;
    let both = Combined::builder()
        .limit("bucket", TokenBucket::new(Quota::new(1, LITTLE)?))
        .limit("window", SlidingWindow::new(1, LITTLE)?)
        .build();
    for _ in 0..4 {
        bucket.acquire_with(timer, 1).await?;
        window.acquire_with(timer, 1).await?;
        both.acquire_with(timer, 1).await?;
    }
    assert!(DefaultClock.now() - start >= 3 * LITTLE);
    Ok(())
}

#[test]
#[cfg(feature = "async-io")]
fn async_io() {
    async_io::block_on(waits_a_little(tidegate::AsyncIoTimer)).unwrap();
}

/// In a runtime that knows nothing of it.
#[test]
#[cfg(feature = "futures-timer")]
fn futures_timer() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime
        .block_on(waits_a_little(tidegate::FuturesTimer))
        .unwrap();
    #[cfg(feature = "async-io")]
    async_io::block_on(waits_a_little(tidegate::FuturesTimer)).unwrap();
}

#[cfg(feature = "tokio")]
mod on_tokio {
    use alloc::sync::Arc;
    use core::time::Duration;
    use std::sync::Mutex;

    use tidegate::{
        ApiRateLimiter, Clock, Combined, Quota, RateLimitConfig, SlidingWindow, Timestamp,
        TokenBucket, TokioClock,
    };
    use tokio::task::JoinSet;

    const SECOND: Duration = Duration::from_secs(1);

    /// In order, at 100 per second, a hundred seconds in no time.
    #[tokio::test(start_paused = true)]
    async fn ten_thousand_on_one_bucket() {
        let clock = TokioClock::new();
        let bucket = Arc::new(TokenBucket::with_clock(
            Quota::per_second(100).burst(1),
            clock,
        ));
        let served = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        for number in 0..10_000_u32 {
            let (bucket, served) = (Arc::clone(&bucket), Arc::clone(&served));
            tasks.spawn(async move {
                bucket.acquire(1).await.unwrap();
                let now = bucket.clock().now();
                assert_eq!(now, Timestamp::ZERO + number * SECOND / 100);
                served.lock().unwrap().push(number);
            });
            // So that they come in this order.
            tokio::task::yield_now().await;
        }
        while let Some(task) = tasks.join_next().await {
            task.unwrap();
        }
        assert!(served.lock().unwrap().iter().copied().eq(0..10_000));
    }

    #[tokio::test(start_paused = true)]
    async fn windows_and_combinations_in_paused_time() {
        let clock = TokioClock::new();
        let window = || SlidingWindow::with_clock(5, 64 * SECOND, clock).unwrap();
        let both = Combined::builder()
            .limit("window", window())
            .limit(
                "bucket",
                TokenBucket::with_clock(Quota::per_second(1), clock),
            )
            .build();
        let window = window();
        for _ in 0..5 {
            window.acquire(1).await.unwrap();
        }
        assert_eq!(clock.now(), Timestamp::ZERO);
        window.acquire(5).await.unwrap();
        assert_eq!(clock.now(), Timestamp::ZERO + 65 * SECOND);
        assert!(window.acquire_timeout(1, 64 * SECOND).await.is_err());
        assert_eq!(clock.now(), Timestamp::ZERO + 65 * SECOND);
        for _ in 0..5 {
            both.acquire(1).await.unwrap();
        }
        assert_eq!(clock.now(), Timestamp::ZERO + 69 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn an_api_in_paused_time() {
        let clock = TokioClock::new();
        let api = Arc::new(ApiRateLimiter::with_clock(RateLimitConfig::DEFAULT, clock).unwrap());
        let mut tasks = JoinSet::new();
        for _ in 0..100 {
            let api = Arc::clone(&api);
            tasks.spawn(async move { assert!(!api.acquire().await.is_limited) });
        }
        while let Some(task) = tasks.join_next().await {
            task.unwrap();
        }
        assert_eq!(api.stats().total_requests, 100);
        // 50 in any minute, 10 at once and one each 1.2 s: the fiftieth after 48 s, then those of the next windows.
        let seconds = clock.now().as_nanos() / 1_000_000_000;
        assert!((100..=110).contains(&seconds), "{seconds} s");
        // The next is due in 1.2 s or later.
        assert!(api.acquire_timeout(SECOND).await.is_limited);
        assert!(!api.acquire_timeout(60 * SECOND).await.is_limited);
    }

    /// Given up by `timeout` and `select!`, nothing is left behind.
    #[tokio::test(start_paused = true)]
    async fn given_up() {
        let bucket = TokenBucket::with_clock(Quota::per_second(1), TokioClock::new());
        bucket.acquire(1).await.unwrap();
        for _ in 0..100 {
            let wait = bucket.acquire(1);
            assert!(tokio::time::timeout(SECOND / 1_000, wait).await.is_err());
        }
        assert_eq!(bucket.debt(), 0);
        let mut wait = core::pin::pin!(bucket.acquire(1));
        let mut ticks = 0;
        loop {
            tokio::select! {
                outcome = &mut wait => break outcome.unwrap(),
                () = tokio::time::sleep(SECOND / 10) => ticks += 1,
            }
        }
        // The ninth is due at the same instant.
        assert!((8..=9).contains(&ticks), "{ticks}");
        assert_eq!(bucket.clock().now(), Timestamp::ZERO + SECOND);
    }
}

const fn is_spawned<T: Future + Send + 'static>(_: &T) {}

/// So that they can be spawned in an async block that has the `Arc`; `owned` spawns them without one.
#[test]
fn futures_are_send() {
    let timer = |_: Duration| core::future::ready(());
    let bucket = alloc::sync::Arc::new(TokenBucket::new(Quota::per_second(1)));
    let window = alloc::sync::Arc::new(SlidingWindow::new(1, Duration::from_secs(1)).unwrap());
    let api = alloc::sync::Arc::new(tidegate::ApiRateLimiter::default());
    let spawned = async move {
        bucket.acquire_with(timer, 1).await.unwrap();
        window.acquire_with(timer, 1).await.unwrap();
        assert!(!api.acquire_with(timer).await.is_limited);
    };
    is_spawned(&spawned);
    let unpin = core::pin::pin!(spawned);
    let mut context = core::task::Context::from_waker(core::task::Waker::noop());
    assert!(unpin.poll(&mut context).is_ready());
}

/// They can be named, so a struct may hold one.
#[expect(dead_code, reason = "it is enough that it compiles")]
struct Named<'a, T: Timer> {
    tokens: Acquire<&'a TokenBucket, T>,
    permits: Acquire<&'a SlidingWindow, T>,
    each: Acquire<&'a Combined, T>,
}

/// Without what the timer needs.
#[test]
#[cfg(target_pointer_width = "64")]
fn futures_are_small() {
    type Plain = fn(Duration) -> core::future::Ready<()>;
    let sizes = (
        size_of::<Acquire<&TokenBucket, Plain>>(),
        size_of::<Acquire<&SlidingWindow, Plain>>(),
    );
    let owned = (
        size_of::<Acquire<alloc::sync::Arc<TokenBucket>, Plain>>(),
        size_of::<Acquire<alloc::sync::Arc<SlidingWindow>, Plain>>(),
    );
    assert_eq!(owned, sizes);
    assert!(sizes.0 <= 112 && sizes.1 <= 88, "{sizes:?}");
}
