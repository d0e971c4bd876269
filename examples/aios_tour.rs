//! The document "AIOS Rate Limiting System", section by section, in tidegate: read it from top to bottom beside the Python.
//!
//! ```sh
//! cargo run --example aios_tour
//! ```
//!
//! Each step says what it does and what happened, and asserts it. Time is a [`ManualClock`]: where the Python would sleep, the
//! example turns the clock. A program leaves the clock out: `TokenBucket::new(quota)`, `ApiRateLimiter::new(config)`, and
//! sleeps in `acquire_blocking` or with `std::thread::sleep(status.wait_time)`.

#![expect(
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "a program that has std writes std"
)]
#![expect(
    clippy::similar_names,
    reason = "`status` and `stats` are the document's names"
)]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use tidegate::{
    ApiRateLimiter, Clock, ManualClock, Quota, RateLimitConfig, SlidingWindow, TokenBucket,
    TokenUsage, configure_rate_limiter, get_rate_limiter, rate_limited,
};

type Outcome = Result<(), Box<dyn Error>>;

const MINUTE: Duration = Duration::from_secs(60);

fn main() -> Outcome {
    token_bucket()?;
    sliding_window_counter()?;
    api_rate_limiter()?;
    rate_limited_decorator()?;
    rate_limit_status()?;
    global_rate_limiter()?;
    integration_example()?;
    best_practices()?;
    thread_safety()?;
    troubleshooting()?;
    println!("\nAll as the document says.");
    Ok(())
}

fn section(name: &str) {
    println!("\n== {name}");
}

/// Token Bucket Algorithm.
fn token_bucket() -> Outcome {
    section("Token bucket");
    let clock = ManualClock::new();
    // bucket = TokenBucket(rate=10, capacity=50)
    let bucket = TokenBucket::with_clock(Quota::per_second(10).burst(50), clock.clone());

    // bucket.acquire(blocking=False)
    match bucket.try_acquire(1) {
        Ok(()) => println!("one token taken, the call can be made"),
        Err(denied) => println!("rate limited, try again later: {denied}"),
    }
    // bucket.acquire(tokens=5, blocking=False)
    if bucket.try_acquire(5).is_ok() {
        println!("five tokens taken for a batch");
    }
    // bucket.available, bucket.wait_time(tokens=10)
    println!("tokens available: {}", bucket.available());
    assert_eq!(bucket.available(), 44);
    assert_eq!(bucket.wait_time(10), Some(Duration::ZERO));

    bucket.try_acquire(44)?;
    let wait = bucket.wait_time(10).ok_or("ten fit the bucket")?;
    println!("empty: wait {:.2}s for 10 tokens", wait.as_secs_f64());
    assert_eq!(wait, Duration::from_secs(1));

    // bucket.acquire(blocking=True): it sleeps until the clock says that the token is there.
    thread::scope(|scope| {
        let waiter = scope.spawn(|| bucket.acquire_blocking(1));
        while bucket.debt() == 0 && !waiter.is_finished() {
            thread::yield_now(); // until it has taken its place
        }
        clock.advance(Duration::from_millis(100));
        waiter.join()
    })
    .map_err(|_| "the waiter panicked")??;
    println!("a blocking acquire waited for 100 ms");

    // TokenBucket(rate=10, capacity=50, initial_tokens=5)
    let restarted = TokenBucket::with_clock(Quota::per_second(10).burst(50), clock).with_initial(5);
    assert_eq!(restarted.available(), 5);
    println!("after a restart: {} tokens", restarted.available());
    Ok(())
}

/// Sliding Window Counter.
fn sliding_window_counter() -> Outcome {
    section("Sliding window counter");
    let clock = ManualClock::new();
    // counter = SlidingWindowCounter(limit=100, window_seconds=60)
    let counter = SlidingWindow::with_clock(100, MINUTE, clock.clone())?;

    // if counter.is_allowed(): counter.record()
    if counter.peek(1).is_ok() {
        counter.try_acquire(1)?;
        println!("allowed, and recorded");
    }
    // if counter.record(): ...
    if counter.try_acquire(1).is_ok() {
        println!("checked and recorded in one step, which no other thread can come between");
    }
    // counter.remaining, counter.current_count
    println!("requests remaining: {}", counter.available());
    println!("requests made: {}", counter.current_count());
    assert_eq!((counter.available(), counter.current_count()), (98, 2));

    counter.try_acquire(98)?;
    assert!(counter.peek(1).is_err(), "the limit is reached");
    // counter.wait_time()
    let wait = counter.wait_time(1).ok_or("one fits the window")?;
    println!("limit reached: wait {:.2}s", wait.as_secs_f64());
    clock.advance(wait); // time.sleep(wait)
    counter.try_acquire(1)?;
    Ok(())
}

/// API Rate Limiter: configuration, defaults, requests, tokens, statistics.
fn api_rate_limiter() -> Outcome {
    section("API rate limiter");
    let config = RateLimitConfig {
        requests_per_minute: 50,
        requests_per_hour: 500,
        tokens_per_minute: 100_000,
        burst_size: 10,
        enable_backoff: true,
        ..RateLimitConfig::DEFAULT
    };
    // limiter = APIRateLimiter(config)
    let clock = ManualClock::new();
    let limiter = ApiRateLimiter::with_clock(config, clock.clone())?;
    // APIRateLimiter(): "50 req/min, 500 req/hour, 100k tokens/min".
    assert_eq!(*ApiRateLimiter::default().config(), config);

    // status = limiter.check()
    let status = limiter.check();
    println!("limited: {}, {status}", status.is_limited);

    // limiter.acquire(blocking=True)
    let status = limiter.acquire_blocking();
    assert!(!status.is_limited);
    // limiter.record_tokens(response.usage.total_tokens)
    limiter.record_tokens(1_234);

    for _ in 0..9 {
        assert!(!limiter.try_acquire().is_limited);
    }
    // limiter.acquire(blocking=False)
    let status = limiter.try_acquire();
    assert!(status.is_limited, "ten were a burst");
    println!("wait {:.2}s: {status}", status.wait_time.as_secs_f64());
    clock.advance(status.wait_time);
    assert!(!limiter.try_acquire().is_limited);

    // limiter.stats
    let stats = limiter.stats();
    println!("total requests: {}", stats.total_requests);
    println!("total tokens used: {}", stats.total_tokens_used);
    println!(
        "requests remaining (minute): {}",
        stats.requests_remaining_minute
    );
    println!(
        "requests remaining (hour): {}",
        stats.requests_remaining_hour
    );
    assert_eq!((stats.total_requests, stats.total_tokens_used), (11, 1_234));
    assert_eq!(stats.requests_remaining_minute, 39);
    assert_eq!(stats.requests_remaining_hour, 489);

    // While no token is left, requests are limited; what was used beyond them has to flow in first.
    limiter.record_tokens(150_000);
    let status = limiter.try_acquire();
    assert!(status.is_limited);
    println!("in debt: {status}");
    Ok(())
}

/// Rate Limited Decorator.
fn rate_limited_decorator() -> Outcome {
    section("Decorator");
    let clock = ManualClock::new();
    let config = RateLimitConfig {
        burst_size: 1,
        ..RateLimitConfig::DEFAULT
    };
    let limiter = ApiRateLimiter::with_clock(config, clock.clone())?;

    // @rate_limited(limiter, on_limited=on_rate_limited)
    let call_claude = rate_limited(&limiter, |prompt: &str| format!("an answer to {prompt:?}"))
        .on_limited(|status| {
            println!("rate limited! wait {:.2}s", status.wait_time.as_secs_f64());
            clock.advance(status.wait_time); // only here: `call` then has nothing left to sleep for
        });
    println!("{}", call_claude.call("Hello!"));
    println!("{}", call_claude.call("Hello again!"));

    // my_function.stats()
    println!("requests made: {}", call_claude.stats().total_requests);
    assert_eq!(call_claude.stats().total_requests, 2);
    Ok(())
}

/// Rate Limit Status.
fn rate_limit_status() -> Outcome {
    section("Status");
    let config = RateLimitConfig {
        burst_size: 1,
        ..RateLimitConfig::DEFAULT
    };
    let limiter = ApiRateLimiter::with_clock(config, ManualClock::new())?;
    for _ in 0..2 {
        let status = limiter.check();
        if status.is_limited {
            println!("wait time: {:?}", status.wait_time);
            println!("reason: {}", status.message);
            assert_eq!(
                status.message,
                "burst limit of 1 request reached, next in 1.2 s"
            );
        } else {
            println!("requests remaining: {}", status.requests_remaining);
            println!("tokens remaining: {}", status.tokens_remaining);
            assert_eq!(
                (status.requests_remaining, status.tokens_remaining),
                (50, 100_000)
            );
        }
        let _ = limiter.try_acquire();
    }
    Ok(())
}

/// Global Rate Limiter. It is on the real clock, and nothing here waits.
fn global_rate_limiter() -> Outcome {
    section("Global limiter");
    let limiter = get_rate_limiter();
    println!(
        "made with defaults: {} requests per minute",
        limiter.config().requests_per_minute
    );

    let config = RateLimitConfig {
        requests_per_minute: 30,
        ..RateLimitConfig::DEFAULT
    };
    let limiter = configure_rate_limiter(config)?;
    assert_eq!(limiter.config().requests_per_minute, 30);

    // assert limiter1 is limiter2
    let (limiter1, limiter2) = (get_rate_limiter(), get_rate_limiter());
    assert!(Arc::ptr_eq(&limiter1, &limiter2) && Arc::ptr_eq(&limiter, &limiter1));
    println!("configured with 30, the same for everybody");
    Ok(())
}

/// A model that answers at once, and says what that took.
fn create(message: &str) -> (String, TokenUsage) {
    (message.to_uppercase(), TokenUsage::new(300, 700))
}

/// Integration Example.
fn integration_example() -> Outcome {
    section("Integration");
    let clock = ManualClock::new();
    let config = RateLimitConfig {
        requests_per_minute: 50,
        requests_per_hour: 500,
        tokens_per_minute: 100_000,
        burst_size: 5,
        enable_backoff: true,
        ..RateLimitConfig::DEFAULT
    };
    let limiter = ApiRateLimiter::with_clock(config, clock.clone())?;
    let chat_with_claude = rate_limited(&limiter, |message: &str| {
        let (answer, usage) = create(message);
        limiter.record_tokens(usage);
        answer
    })
    .on_limited(|status| {
        println!("waiting {:.1}s...", status.wait_time.as_secs_f64());
        clock.advance(status.wait_time);
    });

    for user_input in ["one", "two", "three", "four", "five", "six", "seven"] {
        let status = limiter.check();
        if status.requests_remaining < 5 {
            println!(
                "warning: only {} requests remaining",
                status.requests_remaining
            );
        }
        println!("> {user_input}\n{}", chat_with_claude.call(user_input));
    }
    let stats = chat_with_claude.stats();
    assert_eq!((stats.total_requests, stats.total_tokens_used), (7, 7_000));

    // A minute later. What the Python cannot do: reserve the tokens before the call, so that calls at the same time do not overdraw them.
    clock.advance(MINUTE);
    let mut permit = limiter.reserve_tokens(TokenUsage::new(300, 1_024))?;
    permit.commit(); // sent
    permit.settle(create("reserved").1);
    assert_eq!(limiter.stats().total_tokens_used, 8_000);
    println!("reserved 1324 tokens, and settled for 1000");
    Ok(())
}

/// Best Practices.
fn best_practices() -> Outcome {
    section("Best practices");
    let clock = ManualClock::new();

    println!("1. limits for the tier");
    let free = RateLimitConfig {
        requests_per_minute: 20,
        requests_per_hour: 200,
        ..RateLimitConfig::DEFAULT
    };
    let paid = RateLimitConfig {
        requests_per_minute: 100,
        requests_per_hour: 2_000,
        ..RateLimitConfig::DEFAULT
    };
    free.validate()?;
    paid.validate()?;

    println!("2. retries");
    let limiter = ApiRateLimiter::with_clock(free, clock.clone())?;
    for _ in 0..10 {
        assert_eq!(make_request_with_retry(&limiter, 3), Ok("response"));
    }
    assert_eq!(
        make_request_with_retry(&limiter, 3),
        Ok("response"),
        "after a wait"
    );

    println!("3. monitoring");
    limiter.record_tokens(95_000);
    let stats = limiter.stats();
    assert_eq!(stats.requests_remaining_minute, 9);
    if stats.requests_remaining_minute < 10 {
        println!(
            "low on requests: {} remaining",
            stats.requests_remaining_minute
        );
    }
    if stats.tokens_remaining_minute < 10_000 {
        println!("low on tokens: {} remaining", stats.tokens_remaining_minute);
    }

    println!("4. backoff");
    let bursts = RateLimitConfig {
        requests_per_minute: 50,
        burst_size: 10,
        enable_backoff: true,
        ..RateLimitConfig::DEFAULT
    };
    let limiter = ApiRateLimiter::with_clock(bursts, clock.clone())?;
    while !limiter.try_acquire().is_limited {}
    let status = limiter.try_acquire();
    println!(
        "needed {:?}, told {:?}",
        status.retry_after, status.wait_time
    );
    assert!(status.wait_time >= status.retry_after);

    println!("5. a limiter for each kind of operation");
    let per_minute = |requests_per_minute| RateLimitConfig {
        requests_per_minute,
        ..RateLimitConfig::DEFAULT
    };
    let chat_limiter = ApiRateLimiter::with_clock(per_minute(50), clock.clone())?;
    let embedding_limiter = ApiRateLimiter::with_clock(per_minute(100), clock)?;
    let chat = rate_limited(&chat_limiter, |message: &str| message.len());
    let embed = rate_limited(&embedding_limiter, |text: &str| text.len());
    assert_eq!(chat.call("hello") + embed.call("text"), 9);
    assert_eq!(chat.stats().requests_remaining_minute, 49);
    assert_eq!(embed.stats().requests_remaining_minute, 99);
    Ok(())
}

fn make_request_with_retry(
    limiter: &ApiRateLimiter<ManualClock>,
    max_retries: u32,
) -> Result<&'static str, &'static str> {
    for attempt in 1..=max_retries {
        let status = limiter.try_acquire();
        if !status.is_limited {
            return Ok("response");
        }
        if attempt < max_retries {
            println!(
                "rate limited, waiting {:.1}s...",
                status.wait_time.as_secs_f64()
            );
            limiter.clock().advance(status.wait_time); // thread::sleep
        }
    }
    Err("max retries exceeded")
}

/// Thread Safety: 100 tasks on 10 threads, for whom time passes quickly.
fn thread_safety() -> Outcome {
    section("Threads");
    let clock = ManualClock::new();
    let limiter = ApiRateLimiter::with_clock(RateLimitConfig::DEFAULT, clock.clone())?;
    let done = AtomicBool::new(false);
    let worker = || {
        (0..10)
            .filter(|_| !limiter.acquire_blocking().is_limited)
            .count()
    };
    let admitted = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Relaxed) {
                clock.advance(Duration::from_millis(100));
                thread::yield_now();
            }
        });
        let workers = [(); 10].map(|()| scope.spawn(worker));
        let admitted = workers.map(|worker| worker.join().unwrap_or(0));
        done.store(true, Relaxed);
        admitted.iter().sum::<usize>()
    });
    let minutes = (clock.now() - tidegate::Timestamp::ZERO).as_secs_f64() / 60.0;
    println!("{admitted} tasks admitted within {minutes:.1} minutes on the clock");
    assert_eq!((admitted, limiter.stats().total_requests), (100, 100));
    assert!(minutes > 1.0, "the second fifty had to wait");
    Ok(())
}

/// Troubleshooting.
fn troubleshooting() -> Outcome {
    section("Troubleshooting");
    let clock = ManualClock::new();
    // Without backoff, whose random part would make the countdown jump.
    let config = RateLimitConfig {
        enable_backoff: false,
        ..RateLimitConfig::DEFAULT
    };
    let limiter = ApiRateLimiter::with_clock(config, clock.clone())?;
    limiter.record_tokens(104_000);

    let status = limiter.check();
    println!("state: {status:?}");
    println!("stats: {:?}", limiter.stats());

    // A wait of one's own, with progress.
    loop {
        let status = limiter.try_acquire();
        if !status.is_limited {
            break;
        }
        println!(
            "waiting... {:.1}s remaining",
            status.wait_time.as_secs_f64()
        );
        clock.advance(status.wait_time.min(Duration::from_secs(1)));
    }
    assert_eq!(limiter.stats().total_requests, 1);
    Ok(())
}
