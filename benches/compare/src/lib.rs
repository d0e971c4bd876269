//! The limiters of the comparison, and baselines that a user would write first.
//!
//! [`suite`] measures every limiter in [`rivals`] with the same programs, and [`waits`] those that
//! let a call wait. [`growth`] measures how costs grow, and [`physical`] what cannot be avoided.
//! [`adaptive`] simulates clients that share a quota. The benches measure tidegate's own paths in
//! more detail.

pub mod adaptive;
mod baseline;
pub mod command;
pub mod figures;
pub mod gate;
pub mod growth;
pub mod histories;
pub mod keyed;
pub mod layers;
pub mod parts;
pub mod physical;
pub mod rivals;
mod slices;
pub mod suite;
mod threads;
pub mod turns;
pub mod waits;

use std::num::NonZeroU32;
use std::time::Duration;

pub use baseline::{Level, Lock, MutexApi, MutexBucket, MutexDeque};
pub use gate::{Gate, asked};
pub use threads::{on_threads, thread_counts};
use tidegate::{ApiRateLimiter, Combined, Quota, RateLimitConfig, SlidingWindow, TokenBucket};

/// A burst that no benchmark uses up. Its refill is too slow to fill the bucket again.
pub const PLENTY: u32 = u32::MAX;

/// Limits that no benchmark reaches.
pub const HIGH: u64 = 1 << 31;

pub const HOUR: Duration = Duration::from_secs(3_600);

/// 1 000 per second, [`PLENTY`] at once.
pub fn plenty() -> Quota {
    Quota::per_second(1_000).burst(PLENTY.into())
}

/// One permit, and the next after an hour.
pub fn hourly() -> TokenBucket {
    TokenBucket::new(Quota::per_hour(1))
}

/// Makes governor's limiter, on its default clock.
pub fn governor(quota: governor::Quota) -> governor::DefaultDirectRateLimiter {
    governor::RateLimiter::direct(quota)
}

/// The quota of [`plenty`], for governor.
pub fn governor_plenty() -> governor::Quota {
    let per_second = const { NonZeroU32::new(1_000).unwrap() };
    governor::Quota::per_second(per_second).allow_burst(NonZeroU32::MAX)
}

/// The quota of [`hourly`], for governor. It cannot express a slower refill.
pub fn governor_hourly() -> governor::Quota {
    governor::Quota::per_hour(NonZeroU32::MIN)
}

gate::gates! {
    governor::DefaultDirectRateLimiter =>
        Result<(), governor::NotUntil<governor::clock::QuantaInstant>>, |gate| gate.check();
}

/// Reads governor's hint, which it computes only when asked.
pub fn governor_hint_read(limiter: governor::DefaultDirectRateLimiter) -> impl Gate {
    asked(limiter, |limiter| {
        let now = || governor::clock::Clock::now(limiter.clock());
        limiter
            .check()
            .map_err(|not_until| not_until.wait_time_from(now()))
    })
}

/// A window of one hour, with a limit that no benchmark reaches.
pub fn window(slots: usize) -> SlidingWindow {
    SlidingWindow::new(HIGH, HOUR)
        .expect("in range")
        .slots(slots)
}

/// Uses up a quota that comes back after an hour.
pub fn exhausted<G: Gate>(gate: G) -> G {
    while gate.admit() {}
    gate
}

/// Limits per minute and hour, burst and tokens.
pub fn api(per_hour: u64) -> ApiRateLimiter {
    ApiRateLimiter::new(RateLimitConfig {
        // A limit per minute that is set must not be above that of an hour. The default may be.
        requests_per_minute: if per_hour == HIGH { HIGH } else { 50 },
        requests_per_hour: per_hour,
        tokens_per_minute: HIGH,
        burst_size: HIGH,
        ..RateLimitConfig::DEFAULT
    })
    .expect("in range")
}

/// The windows and the burst of [`api`], and nothing else.
pub fn combined() -> Combined {
    let window = |length| SlidingWindow::new(HIGH, length).expect("in range");
    Combined::builder()
        .limit("minute", window(HOUR / 60))
        .limit("hour", window(HOUR))
        .limit("burst", TokenBucket::new(Quota::per_minute(HIGH)))
        .build()
}
