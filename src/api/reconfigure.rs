//! Another configuration for a limiter that is used.

use alloc::sync::Arc;

use super::ApiRateLimiter;
use super::config::{ConfigError, ConfigErrorKind, RateLimitConfig};
use super::limits::{DAY, HOUR, Limits, MINUTE};
use super::status::LimitKind;
use crate::clock::Clock;
use crate::quota::Quota;
use crate::sync::lock;
use crate::time::Timestamp;

impl<C: Clock> ApiRateLimiter<C> {
    /// Changes the configuration while calls go on: no call waits for it, and none is lost.
    ///
    /// Token limits and the burst keep their levels, as in
    /// [`TokenBucket::set_quota`](crate::TokenBucket::set_quota): at most the new capacity, debts
    /// stay debts, and a larger limit is not a free burst. Windows remember what they admitted, as
    /// in [`SlidingWindow::set_limit`](crate::SlidingWindow::set_limit). Calls in flight stay in
    /// flight above a lower `max_in_flight`, and no call is added until enough have ended. Pauses
    /// and statistics stay. The first waiter is woken, and all see the new limits.
    ///
    /// # Bound
    ///
    /// Each limit keeps its own bound over the change. The limits change one after the other, so a
    /// call at that moment may be decided by new numbers of some limits and old numbers of others.
    /// Numbers of one limit are never mixed.
    ///
    /// # Errors
    ///
    /// The first invalid field and the reason. Then nothing has changed. An optional limit on
    /// requests or tokens can be neither added nor removed, and `backoff_seed` cannot be changed:
    /// [`ConfigErrorKind::Fixed`]. Configure at creation what may be needed later, with a number as
    /// large as the provider's largest tier.
    ///
    /// ```
    /// use tidegate::{ApiRateLimiter, ManualClock, RateLimitConfig};
    ///
    /// let config = RateLimitConfig { tokens_per_minute: 10_000, ..RateLimitConfig::DEFAULT };
    /// let limiter = ApiRateLimiter::with_clock(config, ManualClock::new())?;
    /// limiter.record_tokens(4_000);
    ///
    /// // The provider has moved the account to a higher tier.
    /// limiter.reconfigure(RateLimitConfig { tokens_per_minute: 40_000, ..config })?;
    /// assert_eq!(limiter.stats().tokens_remaining_minute, 6_000); // and 40 000 per minute flow in
    /// assert_eq!(limiter.config().tokens_per_minute, 40_000);
    ///
    /// assert!(limiter.reconfigure(RateLimitConfig { burst_size: 0, ..config }).is_err());
    /// assert_eq!(limiter.config().tokens_per_minute, 40_000);
    /// # Ok::<(), tidegate::ConfigError>(())
    /// ```
    pub fn reconfigure(&self, config: RateLimitConfig) -> Result<(), ConfigError> {
        self.reconfigure_at(config, self.clock().now())
    }

    /// [`reconfigure`](Self::reconfigure) as of `now`.
    ///
    /// # Errors
    ///
    /// As [`reconfigure`](Self::reconfigure).
    pub fn reconfigure_at(
        &self,
        config: RateLimitConfig,
        now: Timestamp,
    ) -> Result<(), ConfigError> {
        config.validate()?;
        let shared = &*self.shared;
        // Held until all limits have changed, so that of two changes one is last everywhere.
        let mut current = lock(&shared.config);
        check_fixed(&current, &config)?;
        shared.limits.reconfigure(&config, now)?;
        shared.gate.backoff.reconfigure(&config);
        shared.gate.in_flight.set_limit(config.max_in_flight);
        shared.gate.ramp.reconfigure(&config);
        *current = Arc::new(config);
        drop(current);
        self.wake_head();
        Ok(())
    }
}

fn check_fixed(old: &RateLimitConfig, new: &RateLimitConfig) -> Result<(), ConfigError> {
    let optional = |config: &RateLimitConfig| {
        [
            config.requests_per_day.is_some(),
            config.tokens_per_day.is_some(),
            config.input_tokens_per_minute.is_some(),
            config.output_tokens_per_minute.is_some(),
        ]
    };
    let fields = [
        "requests_per_day",
        "tokens_per_day",
        "input_tokens_per_minute",
        "output_tokens_per_minute",
    ];
    let kept = optional(old).into_iter().zip(optional(new));
    let same = kept.map(|(old, new)| old == new);
    let seed = ("backoff_seed", old.backoff_seed == new.backoff_seed);
    let mut checks = fields.into_iter().zip(same).chain([seed]);
    match checks.find(|&(_, same)| !same) {
        Some((field, _)) => Err(ConfigError::new(field, ConfigErrorKind::Fixed)),
        None => Ok(()),
    }
}

/// What a configuration says of a limit.
enum Numbers {
    /// The limit and the length.
    Window(u64, core::time::Duration),
    /// The rate, its period and the capacity.
    Bucket(u64, core::time::Duration, u64),
}

fn numbers(kind: LimitKind, config: &RateLimitConfig) -> Option<Numbers> {
    let tokens = config.tokens_per_minute;
    Some(match kind {
        LimitKind::Minute => Numbers::Window(config.requests_per_minute, MINUTE),
        LimitKind::Hour => Numbers::Window(config.requests_per_hour, HOUR),
        LimitKind::Day => Numbers::Window(config.requests_per_day?, DAY),
        LimitKind::Burst => Numbers::Bucket(config.requests_per_minute, MINUTE, config.burst_size),
        LimitKind::Tokens => {
            Numbers::Bucket(tokens, MINUTE, config.token_burst_size.unwrap_or(tokens))
        }
        LimitKind::TokensPerDay => {
            Numbers::Bucket(config.tokens_per_day?, DAY, config.tokens_per_day?)
        }
        LimitKind::InputTokens => {
            let limit = config.input_tokens_per_minute?;
            Numbers::Bucket(limit, MINUTE, limit)
        }
        LimitKind::OutputTokens => {
            let limit = config.output_tokens_per_minute?;
            Numbers::Bucket(limit, MINUTE, limit)
        }
        _ => return None,
    })
}

impl<C: Clock> Limits<C> {
    /// Changes every limit to the numbers of a valid configuration with the same limits.
    fn reconfigure(&self, config: &RateLimitConfig, now: Timestamp) -> Result<(), ConfigError> {
        for (index, info) in self.infos.iter().enumerate() {
            match numbers(info.kind, config) {
                Some(Numbers::Window(limit, length)) => {
                    if let Some(window) = self.combined.window(index) {
                        window.set_limit_at(limit, length, now).map_err(|error| {
                            ConfigError::new(info.kind.name(), ConfigErrorKind::Window(error))
                        })?;
                    }
                    info.set(limit, limit);
                }
                Some(Numbers::Bucket(rate, period, capacity)) => {
                    let quota =
                        Quota::new(rate, period).and_then(|quota| quota.try_burst(capacity));
                    let quota = quota.map_err(|error| {
                        ConfigError::new(info.kind.name(), ConfigErrorKind::Quota(error))
                    })?;
                    if let Some(bucket) = self.combined.bucket(index) {
                        bucket.set_quota_at(quota, now);
                    }
                    let stated = if info.kind == LimitKind::Burst {
                        capacity
                    } else {
                        rate
                    };
                    info.set(stated, capacity);
                }
                None => {}
            }
        }
        Ok(())
    }
}
