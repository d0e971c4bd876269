//! Calls that wait for their turn and for the limits.

use core::pin::pin;
use core::time::Duration;
use std::sync::Arc;

use tidegate::{LimitKind, RateLimitStatus};

use super::admission::Ask;
use super::api_error::ApiError;
use super::core::{Asker, Core};
use super::wait_order::{LONGEST_GAP, WaitOrder};
use crate::acquire::Acquire;
use crate::time;

/// A call that waits until the limits admit it: awaited, it does.
///
/// ```no_run
/// use core::time::Duration;
/// use tidegate_redis::{ApiError, RedisApiRateLimiter};
///
/// # async fn example(limiter: &RedisApiRateLimiter) -> Result<(), ApiError> {
/// limiter.acquire().await?;
/// let permit = limiter.acquire_tokens(2_000).timeout(Duration::from_secs(30)).await?;
/// # drop(permit);
/// # Ok(())
/// # }
/// ```
pub type ApiAcquire<'a, T> = Acquire<'a, T, ApiError>;

/// The longest that the first waiter sleeps: another node may end a pause, or give back what it did
/// not use.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// The first and the longest sleep while all calls that may be in flight are. Other nodes do not
/// tell when theirs end.
const IN_FLIGHT_SLEEPS: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(160)];

/// After so long, the first waiter claims what it needs: calls that wait on other nodes and came
/// later leave it.
const CLAIMS_AFTER: Duration = Duration::from_secs(1);

/// Waits for the turn of a call, and then asks until it is admitted.
pub(super) async fn wait<A: Ask>(
    core: &Arc<Core>,
    deadline: u64,
    call: A,
) -> Result<A::Admitted, ApiError> {
    let arrival = time::now();
    let order = &core.wait_order;
    let Some(_first) = order.first(deadline).await else {
        return Err(ApiError::Limited(core.unused().behind_others()));
    };
    let first_since = time::now();
    let mut in_flight_sleep = IN_FLIGHT_SLEEPS[0];
    let after_pause = order.after_pause(arrival);
    if !after_pause.is_zero() {
        tokio::time::sleep(after_pause.min(time::until(deadline))).await;
    }
    loop {
        // Registered before the server is asked, so that no change is missed.
        let mut changed = pin!(core.changed.notified());
        changed.as_mut().enable();
        let waited = Duration::from_nanos(time::now().saturating_sub(first_since));
        let claims = waited >= CLAIMS_AFTER;
        let error = match call.ask(core, Asker::FirstInLine { claims }).await {
            Ok(admitted) => {
                order.gone(arrival);
                return Ok(admitted);
            }
            Err(error) => error,
        };
        let ApiError::Limited(status) = &error else {
            return Err(error);
        };
        if status.is_permanent || !can_still_be(status, deadline) {
            return Err(error);
        }
        let wait = match status.limited_by {
            Some(LimitKind::InFlight) => {
                let wait = in_flight_sleep.mul_f64(0.5 + fastrand::f64() / 2.0);
                in_flight_sleep = (in_flight_sleep * 2).min(IN_FLIGHT_SLEEPS[1]);
                wait
            }
            Some(LimitKind::Pause) => pause_sleep(order, status.retry_after()),
            _ => status.retry_after().min(LONGEST_SLEEP),
        };
        let wait = wait
            .min(time::until(deadline))
            .max(Duration::from_micros(1));
        // A change on this node ends the sleep early.
        let _ = tokio::time::timeout(wait, changed).await;
    }
}

/// So long before the end of a pause, the first waiter sleeps for the last time.
const LAST_SLEEP: Duration = LONGEST_SLEEP.saturating_sub(LONGEST_GAP);

/// How long the first waiter sleeps while a pause lasts: another node may end it early. The end of
/// the pause and what is waited beyond it are within one sleep.
fn pause_sleep(order: &WaitOrder, pause: Duration) -> Duration {
    if pause <= LAST_SLEEP {
        return order.paused_for(pause);
    }
    pause.saturating_sub(LAST_SLEEP).min(LONGEST_SLEEP)
}

/// Whether a call that is refused like this can be admitted before its deadline.
fn can_still_be(status: &RateLimitStatus, deadline: u64) -> bool {
    let earliest = time::now().saturating_add(time::nanos(status.retry_after()));
    // Where no wait is known it is 0.
    earliest <= deadline && time::now() < deadline
}

#[cfg(test)]
mod tests {
    use tidegate::RateLimitConfig;

    use super::*;

    #[test]
    fn no_sleep_is_longer_than_a_second_and_the_last_one_ends_after_the_pause() {
        let config = RateLimitConfig {
            requests_per_day: Some(1),
            ..RateLimitConfig::UNLIMITED
        };
        let order = WaitOrder::new(&config);
        for millis in 0..3_000 {
            let pause = Duration::from_millis(millis);
            let sleep = pause_sleep(&order, pause);
            assert!(sleep <= LONGEST_SLEEP, "{pause:?}: {sleep:?}");
            let left = pause.saturating_sub(sleep);
            assert!(left.is_zero() || left >= LAST_SLEEP);
        }
    }
}
