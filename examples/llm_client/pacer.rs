//! What all workers share: the limiter, and a line of those who wait for it.

use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};
use tidegate::{
    ApiRateLimiter, Clock, ConfigError, MonotonicClock, RateLimitStatus, TokenPermit, TokenUsage,
};
use tokio::sync::Mutex;
use tokio::time;

use crate::connection::BoxError;
use crate::limits::CONFIG;
use crate::message::Prompt;
use crate::tally::{Pause, Permitted};

pub(crate) struct Pacer {
    /// On the clock that the provider reads. Between machines, clocks that drift apart would need some head-room more.
    limiter: ApiRateLimiter<MonotonicClock>,
    /// First come, first served, so that small calls do not pass a large one again and again. Only the first in line tries, so it
    /// needs no backoff.
    line: Mutex<()>,
}

impl Pacer {
    pub(crate) fn new() -> Result<Self, ConfigError> {
        Ok(Self {
            limiter: ApiRateLimiter::with_clock(CONFIG, MonotonicClock)?,
            line: Mutex::new(()),
        })
    }

    pub(crate) const fn limiter(&self) -> &ApiRateLimiter<MonotonicClock> {
        &self.limiter
    }

    /// Waits until the prompt may be sent. Fails only if it never may, as it is too large.
    pub(crate) async fn permit(
        &self,
        prompt: &Prompt,
    ) -> Result<(TokenPermit<'_, MonotonicClock>, Permitted), RateLimitStatus> {
        let estimate = TokenUsage::new(prompt.input_tokens, prompt.max_tokens);
        let _turn = self.line.lock().await;
        loop {
            let now = MonotonicClock.now();
            match self.limiter.reserve_tokens_at(estimate, now) {
                Ok(permit) => return Ok((permit, Permitted(now))),
                Err(status) if status.is_permanent => return Err(status),
                Err(status) => time::sleep(status.retry_after).await,
            }
        }
    }

    /// The provider refused: pauses all workers, for as long as it said.
    pub(crate) fn pause(&self, headers: &HeaderMap) -> Result<Pause, BoxError> {
        let retry_after = headers.get(header::RETRY_AFTER);
        let seconds: u64 = retry_after
            .ok_or("a 429 without Retry-After")?
            .to_str()?
            .parse()?;
        let read_at = MonotonicClock.now();
        self.limiter
            .observe_response(StatusCode::TOO_MANY_REQUESTS, headers);
        // The pause is there for all before the clock is read.
        fence(Ordering::SeqCst);
        Ok(Pause {
            read_at,
            in_force_at: MonotonicClock.now(),
            end: read_at + Duration::from_secs(seconds),
        })
    }
}
