//! Builds a limiter with limits that other limiters share.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::config::{ConfigError, RateLimitConfig};
use super::limits::SharedLimits;
use super::{ApiRateLimiter, MAX_SHARED_TOKEN_LIMITS};
use crate::api::config::ConfigErrorKind;
use crate::clock::Clock;
#[cfg(feature = "std")]
use crate::clock::DefaultClock;
use crate::combined::{Combined, Limit};
use crate::token_bucket::TokenBucket;

#[cfg(feature = "std")]
impl ApiRateLimiter {
    /// Builds a limiter with limits that other limiters share, such as the quota of an organization
    /// whose models have limits of their own.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tidegate::{ApiRateLimiter, LimitKind, Quota, RateLimitConfig, TokenBucket};
    ///
    /// let org = Arc::new(TokenBucket::new(Quota::per_minute(100)));
    /// let org_tokens = Arc::new(TokenBucket::new(Quota::per_minute(50_000)));
    /// let model = |config| {
    ///     ApiRateLimiter::builder(config)
    ///         .shared("org", org.clone())
    ///         .shared_tokens("org tokens", org_tokens.clone())
    ///         .build()
    /// };
    /// let small = model("60/min, 30k tokens/min".parse()?)?;
    /// let large = model("60/min, 40k tokens/min".parse()?)?;
    ///
    /// let permit = small.reserve_tokens(30_000)?; // charged to all limits, or to none
    /// let refused = large.reserve_tokens(30_000).unwrap_err();
    /// assert_eq!(refused.limited_by, Some(LimitKind::Shared));
    /// assert_eq!(refused.limit_name(), Some("org tokens"));
    /// permit.settle(20_000);
    /// assert!(org_tokens.available() >= 30_000 && org.available() >= 99);
    /// assert!(large.reserve_tokens(30_000).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub const fn builder(config: RateLimitConfig) -> ApiRateLimiterBuilder<DefaultClock> {
        Self::builder_with_clock(config, DefaultClock)
    }
}

impl<C: Clock> ApiRateLimiter<C> {
    /// Builds a limiter with limits that other limiters share, on another clock than the default,
    /// whose clones must share their time. The shared limits must be on this clock as well.
    pub const fn builder_with_clock(config: RateLimitConfig, clock: C) -> ApiRateLimiterBuilder<C> {
        ApiRateLimiterBuilder {
            config,
            clock,
            shared: SharedLimits::NONE,
        }
    }
}

/// Builds an [`ApiRateLimiter`]: see [`ApiRateLimiter::builder_with_clock`].
#[must_use = "a builder does nothing before `build`"]
pub struct ApiRateLimiterBuilder<C> {
    config: RateLimitConfig,
    clock: C,
    shared: SharedLimits<C>,
}

impl<C: Clock + Clone> ApiRateLimiterBuilder<C> {
    /// Adds a limit on requests: a [`TokenBucket`] or a [`SlidingWindow`](crate::SlidingWindow), or
    /// an `Arc` of one that other limiters use as well. Each call takes one permit, together with
    /// those of all other limits or not at all. A refusal names it in
    /// [`limit_name`](crate::RateLimitStatus::limit_name).
    ///
    /// A sharded bucket does not fit: its charges cannot be undone, so each call that another limit
    /// refuses would cost a permit.
    ///
    /// A waiting caller asks again after the time that the limit tells it. A permit that comes back
    /// at another limiter does not wake it.
    ///
    /// Its numbers are changed where it is: `reconfigure` leaves it. A limiter with a limit that
    /// others share cannot be restored into, because that would restore the limit once for each.
    pub fn shared(mut self, name: &'static str, limit: impl Into<Limit<C>>) -> Self {
        self.shared.requests.push((name, limit.into()));
        self
    }

    /// Adds every limit of a combination, each by its name. They are shared with it from now on, as
    /// by [`shared`](Self::shared).
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{ApiRateLimiter, Combined, ManualClock, Quota, RateLimitConfig};
    /// use tidegate::{SlidingWindow, TokenBucket};
    ///
    /// let clock = ManualClock::new();
    /// let minute = SlidingWindow::with_clock(100, Duration::from_secs(60), clock.clone())?;
    /// let burst = TokenBucket::with_clock(Quota::per_second(10).burst(2), clock.clone());
    /// let org = Combined::builder().limit("org minute", minute).limit("org burst", burst).build();
    /// let config: RateLimitConfig = "60/min".parse()?;
    /// let model = || {
    ///     let builder = ApiRateLimiter::builder_with_clock(config, clock.clone());
    ///     builder.shared_all(&org).build()
    /// };
    /// let (small, large) = (model()?, model()?);
    ///
    /// assert!(!small.try_acquire().is_limited && !large.try_acquire().is_limited);
    /// assert_eq!(small.try_acquire().limit_name(), Some("org burst"));
    /// assert_eq!(org.available_in("org minute"), Some(98));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shared_all(mut self, limits: &Combined<C>) -> Self {
        self.shared.requests.extend(limits.shares());
        self
    }

    /// Adds a limit on tokens: a bucket, or an `Arc` of one. Each call takes the tokens of its
    /// estimate, and settles them, as with the limits of the configuration.
    pub fn shared_tokens(
        mut self,
        name: &'static str,
        bucket: impl Into<Arc<TokenBucket<C>>>,
    ) -> Self {
        let bucket: Arc<_> = bucket.into();
        self.shared.tokens.push((name, Limit::from(bucket)));
        self
    }

    /// Builds the limiter.
    ///
    /// # Errors
    ///
    /// The first invalid field of the configuration, and the reason. `shared_tokens` with
    /// [`ConfigErrorKind::TooMany`] if there are more than four of those.
    pub fn build(self) -> Result<ApiRateLimiter<C>, ConfigError> {
        let Self {
            config,
            clock,
            shared,
        } = self;
        if shared.tokens.len() > MAX_SHARED_TOKEN_LIMITS {
            return Err(ConfigError::new("shared_tokens", ConfigErrorKind::TooMany));
        }
        ApiRateLimiter::from_parts(config, &clock, shared)
    }
}

impl<C> fmt::Debug for ApiRateLimiterBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SharedLimits { requests, tokens } = &self.shared;
        let names: Vec<_> = requests
            .iter()
            .chain(tokens)
            .map(|(name, _)| name)
            .collect();
        f.debug_struct("ApiRateLimiterBuilder")
            .field("config", &self.config)
            .field("shared", &names)
            .finish_non_exhaustive()
    }
}
