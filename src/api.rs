//! The limiter for calls to an API with quotas, above all language models: requests, tokens,
//! bursts, pauses and backoff.

#[cfg(any(feature = "std", tidegate_loom))]
mod acquire;
#[cfg(feature = "http")]
mod adaptive;
mod admission;
mod backoff;
mod builder;
#[cfg(any(feature = "std", tidegate_loom))]
mod calls;
mod config;
#[cfg(any(feature = "std", tidegate_loom))]
mod demand;
mod fast_path;
pub mod fleet;
#[cfg(feature = "http")]
mod fleet_responses;
mod in_flight;
mod limits;
mod message;
mod numbers;
mod permit;
#[cfg(any(feature = "http", tidegate_loom))]
mod provider;
#[cfg(any(feature = "std", tidegate_loom))]
mod ramp;
#[cfg(any(feature = "std", tidegate_loom))]
mod reconfigure;
mod refusal;
#[cfg(feature = "http")]
mod responses;
mod save;
#[cfg(feature = "http")]
mod shared_backoff;
mod status;
mod totals;
#[cfg(not(any(feature = "http", tidegate_loom)))]
mod unobserved;
mod usage;

#[cfg(any(feature = "std", tidegate_loom))]
pub use acquire::{AcquireRequest, AcquireTokens};
pub use builder::ApiRateLimiterBuilder;
pub use config::{
    ConfigError, ConfigErrorKind, ParseConfigError, ParseConfigErrorKind, RateLimitConfig,
};
pub use message::LimitMessage;
pub use permit::TokenPermit;
pub use refusal::LimitKind;
#[cfg(all(feature = "http", feature = "tower"))]
pub(crate) use responses::is_refusal_status;
pub use status::RateLimitStatus;
pub use totals::RateLimitStats;
pub use usage::{TokenEstimate, TokenUsage};

/// What models need.
#[cfg(tidegate_loom)]
pub(crate) mod modelled {
    pub(crate) use super::provider::{Ask, Provider, Seen, Unit};
}

use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use crossbeam_utils::CachePadded;

use crate::clock::{Clock, DefaultClock};
use crate::sync::AtomicU64;
use crate::sync::Ordering::Relaxed;
#[cfg(any(feature = "std", tidegate_loom))]
use crate::sync::{Mutex, WaitQueue, lock};
use crate::time::Timestamp;
#[cfg(feature = "http")]
use adaptive::Adaptive;
use backoff::Backoff;
#[cfg(any(feature = "std", tidegate_loom))]
use demand::ApiDemand;
use in_flight::InFlight;
use limits::{Limits, MAX_SHARED_TOKEN_LIMITS, SharedLimits};
#[cfg(any(feature = "http", tidegate_loom))]
use provider::{Amounts, Ask, Provider, Unit};
#[cfg(any(feature = "std", tidegate_loom))]
use ramp::Ramp;
#[cfg(feature = "http")]
use shared_backoff::SharedBackoff;
use status::Remaining;
use totals::Totals;
#[cfg(not(any(feature = "http", tidegate_loom)))]
use unobserved::{Amounts, Ask, Provider, Unit};

/// Keeps calls to an API within all of its limits: requests per minute and per hour, bursts, calls
/// at once, and tokens per minute.
///
/// | limit | kept as | effect |
/// |---|---|---|
/// | requests per minute, hour, day | sliding windows | no minute, wherever it starts, holds more |
/// | burst | a token bucket of `burst_size`, refilled at the requests per minute | spreads requests out |
/// | tokens per minute, per day; input and output tokens | token buckets | recorded afterward ([`record_tokens`](Self::record_tokens)), or reserved before ([`reserve_tokens`](Self::reserve_tokens), or `acquire_tokens`, which waits) |
/// | calls in flight | a count of [permits](TokenPermit) | |
/// | the server's refusals | [`pause_for`](Self::pause_for) | pauses all callers |
///
/// A request is charged to all limits or to none, for any number of threads. It is limited while no
/// token is available. Refusals do not count against any limit.
///
/// # Backoff
///
/// While refusals continue, callers are asked to wait longer than necessary. The extra time is
/// random (full jitter), up to a ceiling. The ceiling starts at `backoff_base`, grows with the time
/// for which refusals have lasted, and ends at `backoff_max`. An admission ends the streak, and so
/// does a long time without calls. Backoff only extends [`wait_time`](RateLimitStatus::wait_time).
/// A caller that returns earlier is admitted if the limits have room.
///
/// If the *provider* refuses without saying for how long, all callers are paused: for a random time
/// between half of a ceiling and the whole, which doubles with each such pause in a row, from
/// `backoff_base` to `backoff_max`. A response that is no refusal ends the row. See
/// `observe_response`, with the feature `http`.
///
/// # Progress and cost
///
/// Everything but waiting is lock-free while no call waits, and reads the clock once. What may
/// admit the first waiter wakes it, under a lock: [`resume`](Self::resume), an undo, and the end of
/// a permit. An admission takes one compare-and-swap per request limit. To count it, each of the
/// first eight threads of the process has a word of its own. Later ones take an atomic addition.
///
/// A refusal writes nothing, except that the backoff notes when a streak of refusals begins and
/// roughly how long callers will wait. Its [message](LimitMessage) is written when it is read.
///
/// ```
/// use core::time::Duration;
/// use tidegate::{ApiRateLimiter, ManualClock, RateLimitConfig};
///
/// let clock = ManualClock::new(); // a real program: `ApiRateLimiter::new(config)`
/// let config = RateLimitConfig {
///     requests_per_minute: 60,
///     burst_size: 2,
///     ..RateLimitConfig::DEFAULT
/// };
/// let limiter = ApiRateLimiter::with_clock(config, clock.clone())?;
///
/// assert!(!limiter.try_acquire().is_limited);
/// limiter.record_tokens(1_200); // the usage that the response reports
/// assert!(!limiter.try_acquire().is_limited);
///
/// let status = limiter.try_acquire();
/// assert!(status.is_limited, "two at once");
/// assert_eq!(status.retry_after(), Duration::from_secs(1));
/// assert!(status.wait_time() >= status.retry_after());
///
/// clock.advance(status.wait_time());
/// assert!(!limiter.try_acquire().is_limited);
/// let stats = limiter.stats();
/// assert_eq!((stats.total_requests, stats.total_tokens_used), (3, 1_200));
/// # Ok::<(), tidegate::ConfigError>(())
/// ```
///
/// Clones share the limits: a clone is a pointer to the same limiter.
pub struct ApiRateLimiter<C = DefaultClock> {
    shared: Arc<Shared<C>>,
}

struct Shared<C> {
    limits: Limits<C>,
    #[cfg(any(feature = "std", tidegate_loom))]
    config: Mutex<Arc<RateLimitConfig>>,
    #[cfg(not(any(feature = "std", tidegate_loom)))]
    config: Arc<RateLimitConfig>,
    /// Read by every call, and seldom written.
    gate: CachePadded<AdmissionGate>,
    /// What responses have told.
    provider: Provider,
    /// `None` unless it is configured.
    #[cfg(feature = "http")]
    adaptive: Option<Mutex<Adaptive>>,
    /// Written by every admission.
    totals: CachePadded<Totals>,
    #[cfg(any(feature = "std", tidegate_loom))]
    wait_queue: WaitQueue<ApiDemand>,
}

#[cfg(any(feature = "std", tidegate_loom))]
impl<C> Shared<C> {
    fn config(&self) -> Arc<RateLimitConfig> {
        lock(&self.config).clone()
    }
}

#[cfg(not(any(feature = "std", tidegate_loom)))]
impl<C> Shared<C> {
    fn config(&self) -> Arc<RateLimitConfig> {
        self.config.clone()
    }
}

impl<C> Clone for ApiRateLimiter<C> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

/// The reasons to refuse a call or to wait that are not limits on a rate.
///
/// All are Relaxed: they guard no memory. The fences of the
/// [wait queue](crate::sync::WaitQueue) order them for a waiter.
struct AdmissionGate {
    /// Nanoseconds on the limiter's clock: no call is admitted before. Raised by a pause, and 0
    /// after `resume`.
    paused_until: AtomicU64,
    backoff: Backoff,
    #[cfg(feature = "http")]
    shared_backoff: SharedBackoff,
    /// The permits that are out.
    in_flight: InFlight,
    #[cfg(any(feature = "std", tidegate_loom))]
    ramp: Ramp,
}

#[cfg(feature = "std")]
impl ApiRateLimiter {
    /// Creates a limiter on the [`DefaultClock`], with every limit unused.
    ///
    /// # Errors
    ///
    /// The first invalid field of the configuration, and the reason.
    pub fn new(config: RateLimitConfig) -> Result<Self, ConfigError> {
        Self::with_clock(config, DefaultClock)
    }
}

/// Creates a limiter with [`RateLimitConfig::DEFAULT`].
#[cfg(feature = "std")]
impl Default for ApiRateLimiter {
    fn default() -> Self {
        Self::new(RateLimitConfig::DEFAULT).expect("the defaults are valid")
    }
}

impl<C: Clock + Clone> ApiRateLimiter<C> {
    /// Creates a limiter on another clock, whose clones must share their time.
    ///
    /// # Errors
    ///
    /// The first invalid field of the configuration, and the reason.
    pub fn with_clock(config: RateLimitConfig, clock: C) -> Result<Self, ConfigError> {
        Self::from_parts(config, &clock, SharedLimits::NONE)
    }

    fn from_parts(
        config: RateLimitConfig,
        clock: &C,
        shared: SharedLimits<C>,
    ) -> Result<Self, ConfigError> {
        let limits = Limits::new(&config, clock, shared)?;
        config.validate_rest()?;
        let gate = AdmissionGate {
            paused_until: AtomicU64::new(0),
            backoff: Backoff::new(&config),
            #[cfg(feature = "http")]
            shared_backoff: SharedBackoff::new(),
            in_flight: InFlight::new(config.max_in_flight),
            #[cfg(any(feature = "std", tidegate_loom))]
            ramp: Ramp::new(&config),
        };
        let shared = Shared {
            limits,
            #[cfg(any(feature = "std", tidegate_loom))]
            config: Mutex::new(Arc::new(config)),
            #[cfg(not(any(feature = "std", tidegate_loom)))]
            config: Arc::new(config),
            gate: CachePadded::new(gate),
            provider: Provider::new(),
            #[cfg(feature = "http")]
            adaptive: config.adaptive.then(|| Mutex::new(Adaptive::NEW)),
            totals: CachePadded::new(Totals::zero()),
            #[cfg(any(feature = "std", tidegate_loom))]
            wait_queue: WaitQueue::new(),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }
}

impl<C: Clock> ApiRateLimiter<C> {
    /// Returns the configuration, which another may follow if the limiter is reconfigured.
    pub fn config(&self) -> Arc<RateLimitConfig> {
        self.shared.config()
    }

    /// Returns the clock that the limiter reads.
    pub fn clock(&self) -> &C {
        self.shared.limits.combined.clock()
    }

    /// Returns whether a request would be admitted now, and what remains. Changes nothing.
    ///
    /// The wait does not include the backoff.
    pub fn check(&self) -> RateLimitStatus {
        self.check_at(self.clock().now())
    }

    /// [`check`](Self::check) as of `now`.
    pub fn check_at(&self, now: Timestamp) -> RateLimitStatus {
        let request = self.shared.limits.requests(1);
        match self.refusal_at(&request, &Ask::requests(1), now) {
            None => RateLimitStatus::free(self.remaining_at(now)),
            Some(hit) => self.limited_at(hit, 0, now),
        }
    }

    /// Admits a request if every limit has room for it. Never waits.
    #[expect(
        clippy::inline_always,
        reason = "so that unread fields of the status are never computed"
    )]
    #[inline(always)]
    pub fn try_acquire(&self) -> RateLimitStatus {
        self.try_acquire_at(self.clock().now())
    }

    /// [`try_acquire`](Self::try_acquire) as of `now`.
    #[expect(clippy::inline_always, reason = "as `try_acquire`")]
    #[inline(always)]
    pub fn try_acquire_at(&self, now: Timestamp) -> RateLimitStatus {
        match self.admit_fast_at(now) {
            Ok(remaining) => RateLimitStatus::free(remaining),
            Err(uncharged) => self.decide_at(uncharged, now),
        }
    }

    /// Charges the tokens that a call used, even if they are not available.
    ///
    /// The level may become negative. Then requests are limited until the debt is refilled. The
    /// size of a debt is limited as [that of a bucket](crate::TokenBucket::debit), and
    /// [`resume`](Self::resume) forgives it.
    pub fn record_tokens(&self, used: impl Into<TokenUsage>) {
        self.record_tokens_at(used, self.clock().now());
    }

    /// [`record_tokens`](Self::record_tokens) as of `now`.
    pub fn record_tokens_at(&self, used: impl Into<TokenUsage>, now: Timestamp) {
        let used = used.into();
        self.shared.limits.debit(used, now);
        let provider = &self.shared.provider;
        if provider.is_live(now) {
            provider.record(Amounts::new(0, used));
        }
        self.shared.totals.add_tokens(used.total());
    }

    /// Refuses all calls for a while, for a `429` with `Retry-After`. Does not shorten a pause that
    /// lasts longer. Waiters wait it out, and then go one after another.
    pub fn pause_for(&self, pause: Duration) {
        self.pause_until(self.clock().now() + pause);
    }

    /// [`pause_for`](Self::pause_for) that ends at an instant on the limiter's clock.
    pub fn pause_until(&self, end: Timestamp) {
        // Relaxed: guards no memory.
        self.shared
            .gate
            .paused_until
            .fetch_max(end.as_nanos(), Relaxed);
    }

    /// Ends a pause, forgets what responses have told, and fills all token limits: for an operator
    /// who corrects a wrong header or count.
    ///
    /// Request limits do not change. The first waiter wakes up at once.
    pub fn resume(&self) {
        self.resume_at(self.clock().now());
    }

    /// [`resume`](Self::resume) as of `now`.
    pub fn resume_at(&self, now: Timestamp) {
        // Relaxed: the fence in `wake_head` orders it for a waiter.
        self.shared.gate.paused_until.store(0, Relaxed);
        self.shared.provider.forget();
        for (_, _, bucket) in self.shared.limits.token_limits() {
            bucket.reset_at(now);
        }
        self.wake_head();
    }

    /// What remains of the limits, and of what responses have told.
    pub(super) fn remaining_at(&self, now: Timestamp) -> Remaining {
        let told = |unit| self.shared.provider.left(unit, now);
        let Remaining { requests, tokens } = self.shared.limits.remaining_at(now);
        let tokens = tokens.min(told(Unit::Tokens));
        Remaining {
            requests: requests.min(told(Unit::Requests)),
            tokens: tokens
                .min(told(Unit::InputTokens))
                .min(told(Unit::OutputTokens)),
        }
    }

    /// Returns the totals, and what remains of the limits.
    pub fn stats(&self) -> RateLimitStats {
        self.stats_at(self.clock().now())
    }

    /// [`stats`](Self::stats) as of `now`.
    pub fn stats_at(&self, now: Timestamp) -> RateLimitStats {
        let remaining = |kind| self.shared.limits.available_at(kind, now);
        let told = |unit| self.shared.provider.left(unit, now);
        RateLimitStats {
            total_requests: self.shared.totals.requests(),
            total_tokens_used: self.shared.totals.tokens(),
            requests_remaining_minute: remaining(LimitKind::Minute)
                .unwrap_or(u64::MAX)
                .min(told(Unit::Requests)),
            requests_remaining_hour: remaining(LimitKind::Hour).unwrap_or(u64::MAX),
            requests_remaining_day: remaining(LimitKind::Day),
            burst_remaining: remaining(LimitKind::Burst)
                .unwrap_or(u64::MAX)
                .min(told(Unit::Requests)),
            tokens_remaining_minute: remaining(LimitKind::Tokens)
                .unwrap_or(u64::MAX)
                .min(told(Unit::Tokens)),
            tokens_remaining_day: remaining(LimitKind::TokensPerDay),
            in_flight: self.shared.gate.in_flight.count(),
            forfeited: self.shared.limits.combined.forfeited(),
            unreadable: self.shared.totals.unreadable(),
        }
    }
}

impl<C: fmt::Debug> fmt::Debug for ApiRateLimiter<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiRateLimiter")
            .field("config", &self.shared.config())
            .field("limits", &self.shared.limits.combined)
            .field("total_requests", &self.shared.totals.requests())
            .field("total_tokens_used", &self.shared.totals.tokens())
            .finish_non_exhaustive()
    }
}
