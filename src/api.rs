//! The limiter for calls to an API with quotas, language models above all: requests, tokens, bursts, pauses and backoff.

mod backoff;
mod config;
#[cfg(feature = "http")]
mod headers;
mod in_flight;
#[cfg(feature = "std")]
mod in_line;
mod limits;
#[cfg(tidegate_loom)]
#[allow(missing_docs, reason = "for models")]
pub(crate) mod modelled;
mod permit;
mod stats;
mod status;
mod usage;
mod usual;
mod waiting;

pub use config::{ConfigError, ConfigErrorKind, RateLimitConfig};
pub use permit::TokenPermit;
pub use stats::RateLimitStats;
pub use status::{LimitKind, RateLimitStatus};
pub use usage::{TokenEstimate, TokenUsage};

use core::fmt;
use core::time::Duration;

use crossbeam_utils::CachePadded;
#[cfg(feature = "std")]
use event_listener::Event;

use crate::clock::{Clock, DefaultClock};
use crate::combined::{CombinedCharge, CombinedDenied};
use crate::denied::Denied;
use crate::limiter::{Limiter, sealed};
use crate::prepared_charge::Request;
use crate::sync::Ordering::Relaxed;
use crate::sync::{AtomicU64, add_saturating};
#[cfg(feature = "std")]
use crate::sync::{Ordering::SeqCst, fence};
use crate::time::Timestamp;
use backoff::Backoff;
use in_flight::InFlight;
use limits::{Left, Limits};
use status::{Refusal, Until};

/// Paces calls to an API: at most so many requests per minute and per hour, so many at once, and so many tokens per minute, all
/// behind one call, for any number of threads.
///
/// | limit | kept as | |
/// |---|---|---|
/// | requests per minute, hour, day | sliding windows | no minute, wherever it starts, holds more |
/// | burst | a token bucket of `burst_size`, refilled at the requests per minute | spreads requests out |
/// | tokens per minute, per day; input and output tokens | token buckets | recorded afterwards ([`record_tokens`](Self::record_tokens)), or reserved before ([`reserve_tokens`](Self::reserve_tokens), or `acquire_tokens`, which waits) |
/// | calls in flight | a count of [permits](TokenPermit) | |
/// | what the server says | [`pause_for`](Self::pause_for) | shared by all callers |
///
/// A request is charged to all limits or to none, and is limited while no token is left. Refusals do not count against any
/// limit.
///
/// # Backoff
///
/// While refusals continue, callers are told to wait longer than necessary: by a random time (full jitter) of up to a ceiling
/// that starts at `backoff_base`, follows the time for which refusals have lasted, and ends at `backoff_max`. An admission
/// ends it, and so does a time in which nobody comes. It only stretches [`wait_time`](RateLimitStatus::wait_time): nobody is refused for it.
///
/// # Progress and cost
///
/// Everything but waiting is lock-free and reads the clock once. An admission is one compare-and-swap for each limit on
/// requests and one addition for the statistics. A refusal writes nothing (but the backoff notes when a streak of refusals begins,
/// and roughly until when callers were told to wait), but allocates its message; code that does not need one takes the [`Limiter`] trait.
///
/// ```
/// use core::time::Duration;
/// use tidegate::{ApiRateLimiter, ManualClock, RateLimitConfig};
///
/// let clock = ManualClock::new(); // a real program: `ApiRateLimiter::new(config)`
/// let config = RateLimitConfig { requests_per_minute: 60, burst_size: 2, ..RateLimitConfig::default() };
/// let limiter = ApiRateLimiter::with_clock(config, clock.clone())?;
///
/// assert!(!limiter.try_acquire().is_limited);
/// limiter.record_tokens(1_200); // what the answer says that the call used
/// assert!(!limiter.try_acquire().is_limited);
///
/// let status = limiter.try_acquire();
/// assert!(status.is_limited, "two at once");
/// assert_eq!(status.retry_after, Duration::from_secs(1));
/// assert!(status.wait_time >= status.retry_after);
///
/// clock.advance(status.wait_time);
/// assert!(!limiter.try_acquire().is_limited);
/// let stats = limiter.stats();
/// assert_eq!((stats.total_requests, stats.total_tokens_used), (3, 1_200));
/// # Ok::<(), tidegate::ConfigError>(())
/// ```
pub struct ApiRateLimiter<C = DefaultClock> {
    limits: Limits<C>,
    config: RateLimitConfig,
    /// Read by every call, and seldom written.
    signals: CachePadded<Signals>,
    /// Written by every admission.
    counts: CachePadded<Counts>,
}

/// All Relaxed: each is a number on its own, and orders nothing else.
struct Signals {
    /// Nanoseconds on the limiter's clock: before that nobody is admitted. Raised by a pause, and 0 after `resume`.
    paused_until: AtomicU64,
    backoff: Backoff,
    /// Permits that are out.
    in_flight: InFlight,
    /// Tells the first in line that it may not have to sleep on.
    #[cfg(feature = "std")]
    returned: Event,
}

/// All Relaxed, as above.
#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    tokens: AtomicU64,
}

#[cfg(feature = "std")]
impl ApiRateLimiter {
    /// A limiter on the [`DefaultClock`], with everything still to be had.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with the first field that is wrong.
    pub fn new(config: RateLimitConfig) -> Result<Self, ConfigError> {
        Self::with_clock(config, DefaultClock)
    }
}

/// With [`RateLimitConfig::DEFAULT`].
#[cfg(feature = "std")]
impl Default for ApiRateLimiter {
    fn default() -> Self {
        Self::new(RateLimitConfig::DEFAULT).expect("the defaults are valid")
    }
}

impl<C: Clock + Clone> ApiRateLimiter<C> {
    /// A limiter on a clock of your choice, whose clones must share their time.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with the first field that is wrong.
    pub fn with_clock(config: RateLimitConfig, clock: C) -> Result<Self, ConfigError> {
        let limits = Limits::of(&config, &clock)?;
        config.validate_rest()?;
        let signals = Signals {
            paused_until: AtomicU64::new(0),
            backoff: Backoff::new(&config),
            in_flight: InFlight::new(config.max_in_flight),
            #[cfg(feature = "std")]
            returned: Event::new(),
        };
        Ok(Self {
            limits,
            config,
            signals: CachePadded::new(signals),
            counts: CachePadded::new(Counts::default()),
        })
    }
}

impl<C: Clock> ApiRateLimiter<C> {
    /// The configuration that the limiter was made with.
    pub const fn config(&self) -> &RateLimitConfig {
        &self.config
    }

    /// The clock that the limiter reads.
    pub fn clock(&self) -> &C {
        self.limits.combined.clock()
    }

    /// Whether a request would be admitted now, and what is left. Changes nothing, and tells the bare wait, without backoff.
    pub fn check(&self) -> RateLimitStatus {
        self.check_at(self.clock().now())
    }

    /// [`check`](Self::check) as of `now`.
    pub fn check_at(&self, now: Timestamp) -> RateLimitStatus {
        match self.refusal_at(&self.limits.requests(1), now) {
            None => self.free_at(now),
            Some(refusal) => self.limited_at(refusal, Duration::ZERO, now),
        }
    }

    /// Admits a request if every limit has room for it. Never waits.
    #[expect(
        clippy::inline_always,
        reason = "so that what nobody reads of the status is never put together"
    )]
    #[inline(always)]
    pub fn try_acquire(&self) -> RateLimitStatus {
        self.try_acquire_at(self.clock().now())
    }

    /// [`try_acquire`](Self::try_acquire) as of `now`.
    #[expect(clippy::inline_always, reason = "as `try_acquire`")]
    #[inline(always)]
    pub fn try_acquire_at(&self, now: Timestamp) -> RateLimitStatus {
        match self.admit_at(1, now) {
            Ok(left) => RateLimitStatus::free(left.requests, left.tokens),
            Err(refusal) => self.refused_at(refusal, now),
        }
    }

    /// Charges the tokens that a call used, whether or not they are there: the level may become negative, and then requests are
    /// limited until the debt has flowed in again. A debt ends where that of a bucket does
    /// ([`TokenBucket::debit`](crate::TokenBucket::debit)), and [`resume`](Self::resume) forgives it.
    pub fn record_tokens(&self, used: impl Into<TokenUsage>) {
        self.record_tokens_at(used, self.clock().now());
    }

    /// [`record_tokens`](Self::record_tokens) as of `now`.
    pub fn record_tokens_at(&self, used: impl Into<TokenUsage>, now: Timestamp) {
        let used = used.into();
        self.limits.debit(used, now);
        add_saturating(&self.counts.tokens, used.total());
    }

    /// Admits nobody for so long, whatever is left: for a `429` with `Retry-After`. A pause that lasts longer already is not
    /// shortened.
    pub fn pause_for(&self, pause: Duration) {
        self.pause_until(self.clock().now() + pause);
    }

    /// [`pause_for`](Self::pause_for) that ends at an instant on the limiter's clock.
    pub fn pause_until(&self, end: Timestamp) {
        // Relaxed: a number on its own.
        self.signals.paused_until.fetch_max(end.as_nanos(), Relaxed);
    }

    /// Ends a pause, and fills all limits on tokens up: for an operator who knows better, after a wrong header or count. Limits on
    /// requests stay as they are. Futures that wait find out at once, threads when they wake up.
    pub fn resume(&self) {
        self.resume_at(self.clock().now());
    }

    /// [`resume`](Self::resume) as of `now`.
    pub fn resume_at(&self, now: Timestamp) {
        // Relaxed: as in `pause_until`.
        self.signals.paused_until.store(0, Relaxed);
        for (_, _, bucket) in self.limits.on_tokens() {
            bucket.reset_at(now);
        }
        self.tell_the_first();
    }

    /// Something came back, or a pause is over: the first in line looks again.
    #[cfg(feature = "std")]
    fn tell_the_first(&self) {
        // Meets the fence in `in_line`: the first in line sees what changed, or is seen in line.
        fence(SeqCst);
        if self.limits.combined.wait_queue().is_busy() {
            self.signals.returned.notify(usize::MAX);
        }
    }

    #[cfg(not(feature = "std"))]
    #[expect(clippy::unused_self, reason = "there is no line")]
    const fn tell_the_first(&self) {}

    /// What was counted, and what is left.
    pub fn stats(&self) -> RateLimitStats {
        self.stats_at(self.clock().now())
    }

    /// [`stats`](Self::stats) as of `now`.
    pub fn stats_at(&self, now: Timestamp) -> RateLimitStats {
        let left = |kind| self.limits.remaining_at(kind, now);
        RateLimitStats {
            // Relaxed, twice: numbers on their own.
            total_requests: self.counts.requests.load(Relaxed),
            total_tokens_used: self.counts.tokens.load(Relaxed),
            requests_remaining_minute: left(LimitKind::Minute).unwrap_or(0),
            requests_remaining_hour: left(LimitKind::Hour).unwrap_or(0),
            requests_remaining_day: left(LimitKind::Day),
            burst_remaining: left(LimitKind::Burst).unwrap_or(0),
            tokens_remaining_minute: left(LimitKind::Tokens).unwrap_or(0),
            tokens_remaining_day: left(LimitKind::TokensPerDay),
            in_flight: self.signals.in_flight.count(),
            forfeited: self.limits.combined.forfeited(),
        }
    }

    /// Charges `n` requests, which is at least 1, and says what is left or what is in the way.
    #[inline]
    fn admit_at(&self, n: u64, now: Timestamp) -> Result<Left, Refusal> {
        if self.is_paused_at(now) {
            return Err(self.refusal_in_pause(&self.limits.requests(n), now));
        }
        match self.limits.admit(n, now) {
            Ok(left) => {
                self.count_admitted(n);
                Ok(left)
            }
            Err(denied) => Err(self.refusal_of(denied)),
        }
    }

    /// [`admit_at`](Self::admit_at) with any other ask for `n` requests, and with what takes it back.
    fn charge_at(
        &self,
        n: u64,
        request: &impl Fn(usize) -> Request,
        now: Timestamp,
    ) -> Result<CombinedCharge, Refusal> {
        if self.is_paused_at(now) {
            return Err(self.refusal_in_pause(request, now));
        }
        match self.limits.combined.charge_each_at(request, now) {
            Ok(charge) => {
                self.count_admitted(n);
                Ok(charge)
            }
            Err(denied) => Err(self.refusal_of(denied)),
        }
    }

    /// Counts `n` requests that were admitted.
    #[inline]
    fn count_admitted(&self, n: u64) {
        // Relaxed: a number on its own.
        self.counts.requests.fetch_add(n, Relaxed);
        self.signals.backoff.admitted();
    }

    /// Takes `n` requests off the count that were taken back.
    fn count_undone(&self, n: u64) {
        // Relaxed, as above. Saturating, for a charge of another limiter. The closure always gives a value, so the result carries
        // nothing.
        let _ = self
            .counts
            .requests
            .fetch_update(Relaxed, Relaxed, |sum| Some(sum.saturating_sub(n)));
    }

    #[inline]
    fn is_paused_at(&self, now: Timestamp) -> bool {
        // Relaxed: a number on its own.
        now.as_nanos() < self.signals.paused_until.load(Relaxed)
    }

    /// What keeps a call from being made.
    fn refusal_at(&self, request: &impl Fn(usize) -> Request, now: Timestamp) -> Option<Refusal> {
        if self.is_paused_at(now) {
            return Some(self.refusal_in_pause(request, now));
        }
        let denied = self.limits.combined.refusal(request, now, None)?;
        Some(self.refusal_of(denied))
    }

    /// The pause, or a limit that refuses for longer.
    #[cold]
    fn refusal_in_pause(&self, request: &impl Fn(usize) -> Request, now: Timestamp) -> Refusal {
        // Relaxed: as in `is_paused_at`.
        let end = Timestamp::from_nanos(self.signals.paused_until.load(Relaxed));
        let pause = end - now;
        match self.limits.combined.refusal(request, now, None) {
            Some(denied) if denied.retry_after().is_none_or(|wait| wait > pause) => {
                self.refusal_of(denied)
            }
            _ => Refusal {
                kind: LimitKind::Pause,
                most: 0,
                until: Until::After(pause),
            },
        }
    }

    #[cold]
    fn refusal_of(&self, denied: CombinedDenied) -> Refusal {
        let limit = self.limits.list[denied.index()];
        Refusal {
            kind: limit.kind,
            most: if denied.retry_after().is_some() {
                limit.stated
            } else {
                limit.most
            },
            until: denied.retry_after().map_or(Until::Never, Until::After),
        }
    }

    #[inline]
    fn free_at(&self, now: Timestamp) -> RateLimitStatus {
        RateLimitStatus::free(
            self.limits.requests_remaining_at(now),
            self.limits.tokens_remaining_at(now),
        )
    }

    #[cold]
    fn refused_at(&self, refusal: Refusal, now: Timestamp) -> RateLimitStatus {
        // What has no instant is no reason to try again later and later.
        let backoff = match refusal.until {
            Until::After(wait) => self.signals.backoff.refused(now, wait),
            Until::Released | Until::Never => Duration::ZERO,
        };
        self.limited_at(refusal, backoff, now)
    }

    #[cold]
    fn limited_at(&self, refusal: Refusal, backoff: Duration, now: Timestamp) -> RateLimitStatus {
        RateLimitStatus::limited(
            refusal,
            backoff,
            self.limits.requests_remaining_at(now),
            self.limits.tokens_remaining_at(now),
        )
    }
}

impl<C> sealed::Sealed for ApiRateLimiter<C> {}

impl<C: Clock> sealed::Internals for ApiRateLimiter<C> {}

/// A permit is a request.
impl<C: Clock> Limiter for ApiRateLimiter<C> {
    type Clock = C;
    type Charge = CombinedCharge;

    fn clock(&self) -> &C {
        self.clock()
    }

    fn capacity(&self) -> u64 {
        self.limits.most_requests()
    }

    fn peek_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        if n == 0 {
            return Ok(());
        }
        let refusal = self.refusal_at(&self.limits.requests(n), now);
        refusal.map_or(Ok(()), |refusal| Err(self.denied(refusal)))
    }

    #[inline]
    fn try_acquire_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        if n == 0 {
            return Ok(());
        }
        match self.admit_at(n, now) {
            Ok(_) => Ok(()),
            Err(refusal) => Err(self.denied(refusal)),
        }
    }

    /// Allocates, for as many charges as there are limits; `try_acquire_at` does not.
    fn charge_at(&self, n: u64, now: Timestamp) -> Result<CombinedCharge, Denied> {
        if n == 0 {
            return Ok(CombinedCharge::nothing());
        }
        match self.charge_at(n, &self.limits.requests(n), now) {
            Ok(charge) => Ok(charge.of(n)),
            Err(refusal) => Err(self.denied(refusal)),
        }
    }

    fn undo(&self, charge: CombinedCharge) -> u64 {
        self.count_undone(charge.permits());
        let undone = self.limits.combined.undo(charge);
        self.tell_the_first();
        undone
    }

    fn available_at(&self, now: Timestamp) -> u64 {
        if self.is_paused_at(now) {
            return 0;
        }
        self.limits.requests_available_at(now)
    }

    /// Of the limit that allows the fewest requests at once: mostly the burst.
    fn refill_time(&self) -> Duration {
        self.limits.requests_refill_time()
    }

    /// Whether every limit is as at first, nothing is paused and no permit is out. The statistics are not looked at.
    fn is_unused_at(&self, now: Timestamp) -> bool {
        !self.is_paused_at(now)
            && self.signals.in_flight.count() == 0
            && self.limits.combined.is_unused_at(now)
    }
}

impl<C: Clock> ApiRateLimiter<C> {
    /// A refusal without its message.
    #[cold]
    fn denied(&self, refusal: Refusal) -> Denied {
        match refusal.until {
            Until::After(retry_after) => Denied::NotYet { retry_after },
            Until::Released | Until::Never => Denied::Never {
                capacity: self.limits.most_requests(),
            },
        }
    }
}

impl<C: fmt::Debug> fmt::Debug for ApiRateLimiter<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiRateLimiter")
            .field("config", &self.config)
            .field("limits", &self.limits.combined)
            // Relaxed, twice: a picture for people.
            .field("total_requests", &self.counts.requests.load(Relaxed))
            .field("total_tokens_used", &self.counts.tokens.load(Relaxed))
            .finish_non_exhaustive()
    }
}
