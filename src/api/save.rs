//! Save and restore of the limiter for an API.

use alloc::sync::Arc;

use super::ApiRateLimiter;
use crate::clock::Clock;
use crate::save::{
    ApiState, Elapsed, RestoreError, Savable, combined_state_at, restore_combined_at, save_methods,
};
use crate::sync::Ordering::Relaxed;
use crate::time::Timestamp;

impl<C: Clock> Savable for ApiRateLimiter<C> {
    type State = ApiState;

    fn state_at(&self, now: Timestamp) -> ApiState {
        let gate = &self.shared.gate;
        // Relaxed: guards no memory.
        let paused_until = gate.paused_until.load(Relaxed);
        let (refusing_for, expected_in) = gate.backoff.streak_at(now);
        ApiState {
            limits: combined_state_at(&self.shared.limits.combined, now),
            pause: match paused_until {
                u64::MAX => u64::MAX,
                end => end.saturating_sub(now.as_nanos()),
            },
            refusing_for,
            expected_in,
            requests: self.shared.totals.requests(),
            tokens: self.shared.totals.tokens(),
        }
    }

    fn restored_at(
        mut self,
        state: &ApiState,
        elapsed: Elapsed,
        now: Timestamp,
    ) -> Result<Self, RestoreError> {
        let shared = Arc::get_mut(&mut self.shared).ok_or(RestoreError::Shared)?;
        shared
            .limits
            .change(|combined| restore_combined_at(combined, &state.limits, elapsed, now))?;
        let Elapsed(elapsed) = elapsed;
        let end = match state.pause {
            u64::MAX => u64::MAX,
            pause => match pause.saturating_sub(elapsed) {
                0 => 0,
                left => now.as_nanos().saturating_add(left),
            },
        };
        // Relaxed: guards no memory.
        shared.gate.paused_until.fetch_max(end, Relaxed);
        let backoff = &shared.gate.backoff;
        backoff.restore_streak_at(state.refusing_for, state.expected_in, elapsed, now);
        shared.totals.add_requests(state.requests);
        shared.totals.add_tokens(state.tokens);
        Ok(self)
    }
}

save_methods! { ApiRateLimiter, ApiState,
    /// Saves every limit, the rest of a pause, the streak of refusals on which the backoff builds,
    /// and the totals. Calls in flight end with the process: their requests and estimated tokens
    /// stay charged.
    ///
    /// A limiter whose clones exist cannot be restored into
    /// ([`RestoreError::Shared`](crate::RestoreError::Shared)).
    ///
    /// ```
    /// use core::time::Duration;
    /// use tidegate::{ApiRateLimiter, ManualClock, RateLimitConfig, Timestamp, UnixTime};
    ///
    /// let config = RateLimitConfig { requests_per_day: Some(200), ..RateLimitConfig::DEFAULT };
    /// let before = ApiRateLimiter::with_clock(config, ManualClock::new())?;
    /// assert!(!before.try_acquire().is_limited);
    /// before.pause_for(Duration::from_secs(30));
    /// let saved = before.save_at(Timestamp::ZERO, UnixTime::from_nanos(1));
    ///
    /// let fresh = ApiRateLimiter::with_clock(config, ManualClock::new())?;
    /// let later = UnixTime::from_nanos(10_000_000_001); // ten seconds
    /// let after = ApiRateLimiter::restore_at(&saved, fresh, Timestamp::ZERO, later)?;
    /// assert_eq!(after.stats().requests_remaining_day, Some(199));
    /// assert_eq!(after.check().retry_after(), Duration::from_secs(20));
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
}
