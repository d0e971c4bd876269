//! Another configuration for a limiter that is used.

use alloc::sync::Arc;

use super::ApiRateLimiter;
use super::config::{ConfigError, ConfigErrorKind, RateLimitConfig};
use super::limits::Limits;
use super::numbers::{self, KINDS, Numbers};
use super::refusal::LimitKind;
use crate::clock::Clock;
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
    let is_kept = |kind: &LimitKind| old.numbers(*kind).is_some() == new.numbers(*kind).is_some();
    let changed = KINDS.iter().find(|kind| !is_kept(kind));
    let changed = changed.map(|kind| numbers::field(*kind));
    let seed = (old.backoff_seed != new.backoff_seed).then_some("backoff_seed");
    match changed.or(seed) {
        Some(field) => Err(ConfigError::new(field, ConfigErrorKind::Fixed)),
        None => Ok(()),
    }
}

impl<C: Clock> Limits<C> {
    /// Changes every limit to the numbers of a valid configuration with the same limits.
    fn reconfigure(&self, config: &RateLimitConfig, now: Timestamp) -> Result<(), ConfigError> {
        for (index, info) in self.infos.iter().enumerate() {
            // The adaptive pace is found, and not configured.
            let numbers = config.numbers(info.kind);
            let Some(numbers) = numbers.filter(|_| info.kind != LimitKind::Adaptive) else {
                continue;
            };
            if let Numbers::Window { limit, length } = numbers {
                let window = self.combined.limit_at_index(index);
                if let Some(changed) = window.set_window_at(limit, length, now) {
                    changed.map_err(|error| numbers::window_error(info.kind, error))?;
                }
            } else if let Some(bucket) = self.combined.bucket(index) {
                bucket.set_quota_at(numbers.quota(info.kind)?, now);
            }
            info.set(numbers.stated(), numbers.capacity());
        }
        Ok(())
    }
}
