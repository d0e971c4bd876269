//! The limiters that are compared, each behind one method, and baselines that anybody would write first.
//!
//! All read time through `tidegate::DefaultClock`, except governor, whose own default clock is the same TSC through `quanta`. The suite
//! ([`suite`]) has more of them ([`rivals`]), and says of each what clock it reads.

mod baseline;
pub mod figures;
pub mod keyed;
pub mod layers;
pub mod rivals;
pub mod suite;
mod threads;

use std::num::NonZeroU32;
use std::time::Duration;

pub use baseline::{Level, Lock, MutexApi, MutexBucket, MutexDeque};
pub use threads::{on_threads, thread_counts};
use tidegate::{
    ApiRateLimiter, Combined, Limiter, Quota, RateLimitConfig, ShardedTokenBucket, SlidingWindow,
    TokenBucket,
};

/// One decision about one permit.
pub trait Gate: Sync {
    /// Whether it is admitted.
    fn admit(&self) -> bool;
}

impl Gate for TokenBucket {
    #[inline(always)]
    fn admit(&self) -> bool {
        self.try_acquire(1).is_ok()
    }
}

impl Gate for ShardedTokenBucket {
    #[inline(always)]
    fn admit(&self) -> bool {
        self.try_acquire(1).is_ok()
    }
}

impl Gate for SlidingWindow {
    #[inline(always)]
    fn admit(&self) -> bool {
        self.try_acquire(1).is_ok()
    }
}

impl Gate for governor::DefaultDirectRateLimiter {
    #[inline(always)]
    fn admit(&self) -> bool {
        self.check().is_ok()
    }
}

impl Gate for Combined {
    #[inline(always)]
    fn admit(&self) -> bool {
        self.try_acquire(1).is_ok()
    }
}

impl Gate for ApiRateLimiter {
    #[inline(always)]
    fn admit(&self) -> bool {
        !self.try_acquire().is_limited
    }
}

/// The decision alone, through the trait: without a status, and so without its message.
pub struct Bare<L>(pub L);

impl<L: Limiter + Sync> Gate for Bare<L> {
    #[inline(always)]
    fn admit(&self) -> bool {
        self.0.try_acquire_at(1, self.0.now()).is_ok()
    }
}

/// A burst that no benchmark uses up, and a refill slow enough that the bucket is never full again.
pub const PLENTY: u32 = u32::MAX;

/// 1 000 per second, `burst` at once.
pub fn bucket(burst: u32) -> TokenBucket {
    TokenBucket::new(Quota::per_second(1_000).burst(burst.into()))
}

/// The same quota.
pub fn sharded(burst: u32) -> ShardedTokenBucket {
    ShardedTokenBucket::new(Quota::per_second(1_000).burst(burst.into()))
}

/// The same quota.
pub fn governor(burst: u32) -> governor::DefaultDirectRateLimiter {
    let per_second = const { NonZeroU32::new(1_000).unwrap() };
    let burst = NonZeroU32::new(burst).expect("at least 1");
    governor::RateLimiter::direct(governor::Quota::per_second(per_second).allow_burst(burst))
}

/// The same quota.
pub fn mutex_bucket(burst: u32) -> MutexBucket {
    MutexBucket::new(1_000.0, burst.into())
}

/// One hour, and a limit that no benchmark reaches.
pub fn window(slots: usize) -> SlidingWindow {
    SlidingWindow::new(1 << 31, Duration::from_secs(3_600))
        .expect("fits")
        .slots(slots)
}

/// A quota that is used up and comes back after an hour.
pub fn exhausted<G: Gate>(gate: G) -> G {
    while gate.admit() {}
    gate
}

/// Limits that no benchmark reaches.
pub const HIGH: u64 = 1 << 31;

/// Minute, hour, burst and tokens.
pub fn api() -> ApiRateLimiter {
    ApiRateLimiter::new(RateLimitConfig {
        requests_per_minute: HIGH,
        requests_per_hour: HIGH,
        tokens_per_minute: HIGH,
        burst_size: HIGH,
        ..RateLimitConfig::DEFAULT
    })
    .expect("fits")
}

/// Minute and hour are used up for as long as a benchmark takes.
pub fn exhausted_api() -> ApiRateLimiter {
    exhausted(
        ApiRateLimiter::new(RateLimitConfig {
            requests_per_minute: HIGH,
            requests_per_hour: 1_000,
            burst_size: HIGH,
            ..RateLimitConfig::DEFAULT
        })
        .expect("fits"),
    )
}

/// The windows and the burst of [`api`], and nothing else.
pub fn combined() -> Combined {
    let window = |seconds| SlidingWindow::new(HIGH, Duration::from_secs(seconds)).expect("fits");
    Combined::builder()
        .limit("minute", window(60))
        .limit("hour", window(3_600))
        .limit("burst", TokenBucket::new(Quota::per_minute(HIGH)))
        .build()
}
