//! The timers of several runtimes, and properties of the futures.

use alloc::sync::Arc;
use core::future::Future;
use core::pin::pin;
use core::task::{Context, Waker};
use core::time::Duration;

use tidegate::{Acquire, ApiRateLimiter, Combined, Quota, SlidingWindow, Timer, TokenBucket};

#[cfg(any(feature = "async-io", feature = "futures-timer"))]
use crate::limits;
use crate::{SECOND, assert_spawnable};

/// Waits in real time, three times for a millisecond at each limiter.
#[cfg(any(feature = "async-io", feature = "futures-timer"))]
async fn wait_a_little<T: Timer + Copy>(timer: T) -> Result<(), Box<dyn core::error::Error>> {
    use tidegate::{Clock, DefaultClock};

    use crate::MILLISECOND;
    let bucket = || Ok::<_, tidegate::QuotaError>(TokenBucket::new(Quota::new(1, MILLISECOND)?));
    let window = || SlidingWindow::new(1, MILLISECOND);
    let both = limits(window()?, bucket()?);
    let (bucket, window) = (bucket()?, window()?);
    let start = DefaultClock.now();
    for _ in 0..4 {
        bucket.acquire(1).timer(timer).await?;
        window.acquire(1).timer(timer).await?;
        both.acquire(1).timer(timer).await?;
    }
    assert!(DefaultClock.now() - start >= 3 * MILLISECOND);
    Ok(())
}

#[test]
#[cfg(feature = "async-io")]
fn async_io() {
    async_io::block_on(wait_a_little(tidegate::AsyncIoTimer)).unwrap();
}

/// Works in runtimes that do not drive it.
#[test]
#[cfg(feature = "futures-timer")]
fn futures_timer() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime
        .block_on(wait_a_little(tidegate::FuturesTimer))
        .unwrap();
    #[cfg(feature = "async-io")]
    async_io::block_on(wait_a_little(tidegate::FuturesTimer)).unwrap();
}

/// Case W9: the timer is that of the runtime which polls, whatever else is compiled in. The
/// limiters are shared.
#[test]
#[cfg(all(
    feature = "tokio",
    any(feature = "async-io", feature = "futures-timer")
))]
fn default_timer_follows_the_runtime() {
    use tidegate::{Clock, DefaultClock, TokioClock};

    async fn waits(bucket: &TokenBucket) {
        let start = DefaultClock.now();
        for _ in 0..4 {
            bucket.acquire(1).await.expect("no timeout");
        }
        assert!(DefaultClock.now() - start >= 3 * crate::MILLISECOND);
    }
    let bucket = TokenBucket::new(Quota::new(1, crate::MILLISECOND).unwrap());
    // No runtime, a runtime without a timer, and one with a timer.
    #[cfg(feature = "async-io")]
    async_io::block_on(waits(&bucket));
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.build().unwrap().block_on(waits(&bucket));
    builder
        .enable_time()
        .build()
        .unwrap()
        .block_on(waits(&bucket));
    // Paused time shows that it is tokio's timer: an hour passes at once.
    let paused = builder.start_paused(true).build().unwrap();
    paused.block_on(async {
        let hourly = TokenBucket::with_clock(Quota::per_hour(1), TokioClock::new());
        hourly.acquire(1).await.unwrap();
        hourly.acquire(1).await.unwrap();
        assert_eq!(
            hourly.clock().now(),
            tidegate::Timestamp::ZERO + 3_600 * SECOND
        );
    });
}

#[cfg(feature = "tokio")]
mod on_tokio {
    use alloc::sync::Arc;

    use tidegate::{
        ApiRateLimiter, Clock, Quota, RateLimitConfig, SlidingWindow, Timestamp, TokenBucket,
        TokioClock,
    };
    use tokio::task::JoinSet;

    use crate::tokio_tasks::assert_served_in_order;
    use crate::{SECOND, limits};

    /// At 100 per second, in a hundred seconds of paused time.
    #[tokio::test(start_paused = true)]
    async fn ten_thousand_tasks_are_served_in_order() {
        let quota = Quota::per_second(100).burst(1);
        let bucket = Arc::new(TokenBucket::with_clock(quota, TokioClock::new()));
        assert_served_in_order(|number| {
            let bucket = Arc::clone(&bucket);
            async move {
                bucket.acquire(1).await.unwrap();
                let now = bucket.clock().now();
                assert_eq!(now, Timestamp::ZERO + number * SECOND / 100);
            }
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn windows_and_combinations_in_paused_time() {
        let clock = TokioClock::new();
        let window = || SlidingWindow::with_clock(5, 64 * SECOND, clock).unwrap();
        let bucket = TokenBucket::with_clock(Quota::per_second(1), clock);
        let both = limits(window(), bucket);
        let window = window();
        for _ in 0..5 {
            window.acquire(1).await.unwrap();
        }
        assert_eq!(clock.now(), Timestamp::ZERO);
        window.acquire(5).await.unwrap();
        assert_eq!(clock.now(), Timestamp::ZERO + 65 * SECOND);
        assert!(window.acquire(1).timeout(64 * SECOND).await.is_err());
        assert_eq!(clock.now(), Timestamp::ZERO + 65 * SECOND);
        for _ in 0..5 {
            both.acquire(1).await.unwrap();
        }
        assert_eq!(clock.now(), Timestamp::ZERO + 69 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn api_limiter_in_paused_time() {
        let clock = TokioClock::new();
        let api = Arc::new(ApiRateLimiter::with_clock(RateLimitConfig::DEFAULT, clock).unwrap());
        let mut tasks = JoinSet::new();
        for _ in 0..100 {
            let api = Arc::clone(&api);
            tasks.spawn(async move { assert!(!api.acquire().await.is_limited) });
        }
        tasks.join_all().await;
        assert_eq!(api.stats().total_requests, 100);
        // 50 in any minute, 10 of them at once, and then one per 1.2 s. The fiftieth comes after
        // 48 s, and the others in the windows after that.
        let seconds = clock.now().as_nanos() / 1_000_000_000;
        assert!((100..=110).contains(&seconds), "{seconds} s");
        // The next is due in 1.2 s or later.
        assert!(api.acquire().timeout(SECOND).await.is_limited);
        assert!(!api.acquire().timeout(60 * SECOND).await.is_limited);
    }

    /// Case W1: patience of a second, two callers per token.
    #[tokio::test(start_paused = true)]
    async fn timeouts_of_tokio_waste_nothing() {
        let quota = Quota::per_second(10).burst(1);
        let bucket = Arc::new(TokenBucket::with_clock(quota, TokioClock::new()));
        let mut tasks = JoinSet::new();
        for _ in 0..400 {
            let bucket = Arc::clone(&bucket);
            let wait = async move { bucket.acquire(1).await };
            tasks.spawn(tokio::time::timeout(SECOND, wait));
            tokio::time::sleep(SECOND / 20).await;
        }
        let outcomes = tasks.join_all().await;
        let served = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        // One at once, 200 in 20 s, and some of the last second's callers later.
        assert!((200..=213).contains(&served), "{served}");
        assert_eq!(bucket.waiting(), 0);
    }

    /// `timeout` and `select!` drop the futures.
    #[tokio::test(start_paused = true)]
    async fn dropped_waits_in_paused_time() {
        let bucket = TokenBucket::with_clock(Quota::per_second(1), TokioClock::new());
        bucket.acquire(1).await.unwrap();
        for _ in 0..100 {
            let wait = bucket.acquire(1);
            assert!(tokio::time::timeout(SECOND / 1_000, wait).await.is_err());
        }
        assert_eq!((bucket.debt(), bucket.waiting()), (0, 0));
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

/// An async block that borrows from an `Arc` of its own can be spawned.
#[test]
fn borrowing_futures_are_send() {
    let timer = |_: Duration| core::future::ready(());
    let bucket = Arc::new(TokenBucket::new(Quota::per_second(1)));
    let window = Arc::new(SlidingWindow::new(1, SECOND).unwrap());
    let api = Arc::new(ApiRateLimiter::default());
    let task = async move {
        bucket.acquire(1).timer(timer).await.unwrap();
        window.acquire(1).timer(timer).await.unwrap();
        assert!(!api.acquire().timer(timer).await.is_limited);
        let permit = api.acquire_tokens(1).timer(timer).await.unwrap();
        let in_time = api.acquire_tokens(1).timer(timer).timeout(SECOND).await;
        drop((permit, in_time));
        #[cfg(any(feature = "tokio", feature = "async-io", feature = "futures-timer"))]
        drop((
            api.acquire_tokens(1).await,
            api.acquire_tokens(1).timeout(SECOND).await,
        ));
    };
    assert_spawnable(&task);
    let mut context = Context::from_waker(Waker::noop());
    assert!(pin!(task).poll(&mut context).is_ready());
}

/// The futures have names, so a struct can hold them.
#[expect(dead_code, reason = "it is enough that it compiles")]
struct Named<'a, T: Timer> {
    bucket: Acquire<&'a TokenBucket, T>,
    window: Acquire<&'a SlidingWindow, T>,
    combined: Acquire<&'a Combined, T>,
}

/// Apart from the timer and its sleep.
#[test]
#[cfg(target_pointer_width = "64")]
fn futures_are_small() {
    type Plain = fn(Duration) -> core::future::Ready<()>;
    let sizes = (
        size_of::<Acquire<&TokenBucket, Plain>>(),
        size_of::<Acquire<&SlidingWindow, Plain>>(),
    );
    let owned = (
        size_of::<Acquire<Arc<TokenBucket>, Plain>>(),
        size_of::<Acquire<Arc<SlidingWindow>, Plain>>(),
    );
    assert_eq!(owned, sizes);
    assert!(sizes.0 <= 120 && sizes.1 <= 120, "{sizes:?}");
}
