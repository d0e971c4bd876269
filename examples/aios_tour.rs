//! The document *AIOS Rate Limiting System*, section by section, in tidegate.
//!
//! ```sh
//! cargo run --example aios_tour
//! ```
//!
//! Read it beside the Python, which is quoted in comments. Time is a [`ManualClock`]: where the
//! Python sleeps, this program advances the clock. Other programs leave the clock out, as in
//! `ApiRateLimiter::new(config)`, and wait.

#![expect(
    clippy::similar_names,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "`status` and `stats` are the document's names, and this program needs std"
)]

use std::error::Error;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tidegate::{
    ApiRateLimiter, ManualClock, Quota, RateLimitConfig, SlidingWindow, TokenBucket, TokenUsage,
    configure_rate_limiter, get_rate_limiter, rate_limited,
};

type Outcome = Result<(), Box<dyn Error>>;

const MINUTE: Duration = Duration::from_secs(60);
const CONFIG: RateLimitConfig = RateLimitConfig {
    requests_per_minute: 50,
    requests_per_hour: 500,
    tokens_per_minute: 100_000,
    burst_size: 10,
    enable_backoff: true,
    ..RateLimitConfig::DEFAULT
};

fn main() -> Outcome {
    token_bucket()?;
    sliding_window_counter()?;
    api_rate_limiter()?;
    rate_limited_decorator()?;
    global_rate_limiter()?;
    integration_example()?;
    best_practices()?;
    thread_safety()?;
    troubleshooting()?;
    println!("\nEverything happened as the document says.");
    Ok(())
}

fn token_bucket() -> Outcome {
    println!("\n== Token bucket");
    let clock = ManualClock::new();
    // bucket = TokenBucket(rate=10, capacity=50)
    let quota = Quota::per_second(10).burst(50);
    let bucket = TokenBucket::with_clock(quota, clock.clone());

    // bucket.acquire(blocking=False)
    bucket.try_acquire(1)?;
    // bucket.acquire(tokens=5, blocking=False)
    bucket.try_acquire(5)?;
    // bucket.available, bucket.wait_time(tokens=10)
    println!("tokens available: {}", bucket.available());
    assert_eq!(bucket.available(), 44);
    assert_eq!(bucket.wait_time(10), Some(Duration::ZERO));
    bucket.try_acquire(44)?;
    let wait = bucket.wait_time(10).ok_or("10 exceed the capacity")?;
    println!("empty: wait {wait:?} for 10 tokens");
    assert_eq!(wait, Duration::from_secs(1));

    clock.advance(wait); // time.sleep(wait)
    // bucket.acquire(blocking=True)
    bucket.acquire(1).wait()?;

    // TokenBucket(rate=10, capacity=50, initial_tokens=5)
    let bucket = TokenBucket::with_clock(quota, clock).with_initial(5);
    println!("after a restart: {} tokens", bucket.available());
    Ok(())
}

fn sliding_window_counter() -> Outcome {
    println!("\n== Sliding window counter");
    let clock = ManualClock::new();
    // counter = SlidingWindowCounter(limit=100, window_seconds=60)
    let counter = SlidingWindow::with_clock(100, MINUTE, clock.clone())?;

    // if counter.is_allowed(): counter.record()
    if counter.peek(1).is_ok() {
        counter.try_acquire(1)?;
    }
    // counter.remaining, counter.current_count
    let (remaining, count) = (counter.available(), counter.current_count());
    println!("requests made: {count}, remaining: {remaining}");
    assert_eq!((remaining, count), (99, 1));

    counter.try_acquire(99)?;
    assert!(counter.peek(1).is_err(), "the limit is reached");
    // counter.wait_time()
    let wait = counter.wait_time(1).ok_or("1 exceeds the limit")?;
    println!("limit reached: wait {wait:?}");
    clock.advance(wait); // time.sleep(wait)
    counter.try_acquire(1)?;
    Ok(())
}

fn api_rate_limiter() -> Outcome {
    println!("\n== API rate limiter, status and statistics");
    let clock = ManualClock::new();
    // limiter = APIRateLimiter(config)
    let limiter = ApiRateLimiter::with_clock(CONFIG, clock.clone())?;
    // APIRateLimiter(): "50 req/min, 500 req/hour, 100k tokens/min"
    assert_eq!(*ApiRateLimiter::default().config(), CONFIG);

    // status = limiter.check()
    let status = limiter.check();
    let remaining = (status.requests_remaining, status.tokens_remaining);
    assert_eq!(remaining, (50, 100_000));
    // limiter.acquire(blocking=True)
    assert!(!limiter.acquire().wait().is_limited);
    // limiter.record_tokens(response.usage.total_tokens)
    limiter.record_tokens(1_234);
    for _ in 0..9 {
        assert!(!limiter.try_acquire().is_limited);
    }
    // limiter.acquire(blocking=False)
    let status = limiter.try_acquire();
    assert!(status.is_limited, "the burst has ten requests");
    println!("wait {:?}: {}", status.wait_time(), status.message());
    clock.advance(status.wait_time());
    assert!(!limiter.try_acquire().is_limited);

    // limiter.stats
    let stats = limiter.stats();
    println!("{stats:?}");
    assert_eq!((stats.total_requests, stats.total_tokens_used), (11, 1_234));
    assert_eq!(stats.requests_remaining_minute, 39);
    assert_eq!(stats.requests_remaining_hour, 489);

    // Tokens beyond the limit must flow in before the next request.
    limiter.record_tokens(150_000);
    assert!(limiter.try_acquire().is_limited);
    Ok(())
}

fn rate_limited_decorator() -> Outcome {
    println!("\n== Decorator");
    let clock = ManualClock::new();
    let limiter = ApiRateLimiter::with_clock(with_burst(1), clock.clone())?;
    // @rate_limited(limiter, on_limited=on_rate_limited)
    let call_claude = rate_limited(&limiter, |prompt: &str| format!("an answer to {prompt:?}"))
        .on_limited(|status| {
            println!(
                "rate limited! wait {:.2}s",
                status.wait_time().as_secs_f64()
            );
            clock.advance(status.wait_time()); // so that `call` has no time left to sleep
        });
    println!("{}", call_claude.call("Hello!"));
    println!("{}", call_claude.call("Hello again!"));
    // call_claude.stats()
    assert_eq!(call_claude.stats().total_requests, 2);
    Ok(())
}

const fn with_burst(burst_size: u64) -> RateLimitConfig {
    RateLimitConfig {
        burst_size,
        ..CONFIG
    }
}

/// The global limiter reads the real clock. Nothing here waits.
fn global_rate_limiter() -> Outcome {
    println!("\n== Global limiter");
    assert_eq!(get_rate_limiter().config().requests_per_minute, 50);
    let limiter = configure_rate_limiter(RateLimitConfig {
        requests_per_minute: 30,
        ..CONFIG
    })?;
    // assert limiter1 is limiter2
    let (limiter1, limiter2) = (get_rate_limiter(), get_rate_limiter());
    assert!(Arc::ptr_eq(&limiter1, &limiter2) && Arc::ptr_eq(&limiter, &limiter1));
    assert_eq!(limiter1.config().requests_per_minute, 30);
    println!("all callers share the limiter that was configured");
    Ok(())
}

/// A model that answers at once and reports its usage.
fn create(message: &str) -> (String, TokenUsage) {
    (message.to_uppercase(), TokenUsage::new(300, 700))
}

fn integration_example() -> Outcome {
    println!("\n== Integration");
    let clock = ManualClock::new();
    let limiter = ApiRateLimiter::with_clock(with_burst(5), clock.clone())?;
    let chat_with_claude = rate_limited(&limiter, |message: &str| {
        let (answer, usage) = create(message);
        limiter.record_tokens(usage);
        answer
    })
    .on_limited(|status| {
        println!("waiting {:.1}s...", status.wait_time().as_secs_f64());
        clock.advance(status.wait_time());
    });
    for user_input in ["one", "two", "three", "four", "five", "six", "seven"] {
        println!("{user_input} -> {}", chat_with_claude.call(user_input));
    }
    let stats = chat_with_claude.stats();
    assert_eq!((stats.total_requests, stats.total_tokens_used), (7, 7_000));

    // Not in the Python: tokens can be reserved before the call, so that concurrent calls do not
    // overdraw them.
    clock.advance(MINUTE);
    let mut permit = limiter.reserve_tokens(TokenUsage::new(300, 1_024))?;
    permit.commit(); // the request is sent
    permit.settle(create("reserved").1);
    assert_eq!(limiter.stats().total_tokens_used, 8_000);
    Ok(())
}

fn best_practices() -> Outcome {
    println!("\n== Best practices");
    // 1. Choose limits for your tier.
    let free_tier = RateLimitConfig {
        requests_per_minute: 20,
        requests_per_hour: 200,
        ..CONFIG
    };
    let clock = ManualClock::new();
    let limiter = ApiRateLimiter::with_clock(free_tier, clock.clone())?;

    // 2. Handle refusals gracefully: make_request_with_retry()
    for _ in 0..10 {
        assert!(!limiter.try_acquire().is_limited);
    }
    let status = limiter.try_acquire();
    println!("retrying in {:.1}s", status.wait_time().as_secs_f64());
    clock.advance(status.wait_time());
    assert!(!limiter.try_acquire().is_limited);

    // 3. Monitor usage.
    limiter.record_tokens(95_000);
    let stats = limiter.stats();
    let remaining = stats.requests_remaining_minute;
    println!("low on requests: {remaining} remaining");
    assert!(remaining < 10 && stats.tokens_remaining_minute < 10_000);

    // 4. Use backoff: refused callers are told to wait longer than necessary.
    let limiter = ApiRateLimiter::with_clock(CONFIG, clock.clone())?;
    while !limiter.try_acquire().is_limited {}
    let status = limiter.try_acquire();
    assert!(status.wait_time() >= status.retry_after());

    // 5. Use a limiter for each kind of operation.
    let embedding_limiter = ApiRateLimiter::with_clock(CONFIG, clock)?;
    assert!(limiter.check().is_limited && !embedding_limiter.check().is_limited);
    Ok(())
}

fn thread_safety() -> Outcome {
    println!("\n== Thread safety");
    let limiter = ApiRateLimiter::with_clock(CONFIG, ManualClock::new())?;
    // 100 tasks on 10 threads. Where these refuse, `acquire_blocking` would wait.
    let admit = || !limiter.try_acquire().is_limited;
    let admitted = thread::scope(|scope| {
        let workers = [(); 10].map(|()| scope.spawn(|| (0..10).filter(|_| admit()).count()));
        workers.map(|worker| worker.join().unwrap_or(0))
    });
    let admitted: usize = admitted.iter().sum();
    println!("{admitted} of 100 tasks admitted");
    assert_eq!((admitted, limiter.stats().total_requests), (10, 10));
    Ok(())
}

fn troubleshooting() -> Outcome {
    println!("\n== Troubleshooting");
    let clock = ManualClock::new();
    // Without backoff, whose random part makes a countdown jump.
    let config = RateLimitConfig {
        enable_backoff: false,
        ..CONFIG
    };
    let limiter = ApiRateLimiter::with_clock(config, clock.clone())?;
    limiter.record_tokens(104_000);
    println!("state: {:?}", limiter.check());
    println!("stats: {:?}", limiter.stats());
    // A custom wait loop that shows its progress.
    loop {
        let status = limiter.try_acquire();
        if !status.is_limited {
            break;
        }
        let wait = status.wait_time();
        println!("waiting... {:.1}s remaining", wait.as_secs_f64());
        clock.advance(wait.min(Duration::from_secs(1)));
    }
    assert_eq!(limiter.stats().total_requests, 1);
    Ok(())
}
