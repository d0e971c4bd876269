//! Futures in the wait queue: the head tries until it is admitted or its time is up.
//!
//! A request and a request with tokens differ in what they attempt and what they check. All else is
//! one implementation. The head sleeps for as long as a limit hints at. If a call in flight has to
//! end first, the wait is unknown, and the head sleeps until it is woken
//! ([`in_flight`](super::in_flight)). If permits or tokens come back early, `released` wakes it.
//!
//! # Orderings
//!
//! A caller that returns permits or tokens writes to a limit and then checks whether the queue is
//! busy (`wake_head`). The head has joined the queue, listens, and then checks the limits
//! (`wait_in_queue`). A `SeqCst` fence between the two steps on both sides lets one of them see the
//! other.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;

use super::status::{LimitHit, LimitKind};
use super::waiting::time_left;
use super::{ApiRateLimiter, RateLimitStatus, TokenEstimate, TokenPermit};
use crate::clock::Clock;
use crate::sync::{Ordering::SeqCst, fence};
use crate::time::Timestamp;
use crate::wait::Timer;

impl<C: Clock> ApiRateLimiter<C> {
    pub(crate) async fn until_admitted<T: Timer>(
        &self,
        timer: &T,
        deadline: Option<Timestamp>,
        on_limited: &(impl Fn(&RateLimitStatus) + ?Sized),
    ) -> RateLimitStatus {
        let attempt = |now| {
            let status = self.try_acquire_at(now);
            if status.is_limited {
                Err(status)
            } else {
                Ok(status)
            }
        };
        let check = |now| self.refusal_at(&self.limits.requests(1), now);
        let outcome = self.wait_in_queue(timer, deadline, attempt, check, on_limited);
        outcome.await.unwrap_or_else(|status| status)
    }

    pub(super) async fn until_permitted<T: Timer>(
        &self,
        timer: &T,
        deadline: Option<Timestamp>,
        estimate: TokenEstimate,
    ) -> Result<TokenPermit<'_, C>, RateLimitStatus> {
        let attempt = |now| self.reserve_tokens_at(estimate, now);
        let request = self.limits.request_with(estimate);
        let check = |now| {
            let hit = self.refusal_at(&request, now);
            hit.or_else(|| self.gate.in_flight.refusal())
        };
        let outcome = self.wait_in_queue(timer, deadline, attempt, check, &|_| ());
        outcome.await
    }

    /// Attempts it as the head of the queue, until it succeeds or the wait is in vain. `check`
    /// returns the refusal that an attempt would meet, and changes nothing.
    async fn wait_in_queue<T: Timer, A>(
        &self,
        timer: &T,
        deadline: Option<Timestamp>,
        attempt: impl Fn(Timestamp) -> Result<A, RateLimitStatus>,
        check: impl Fn(Timestamp) -> Option<LimitHit>,
        on_limited: &(impl Fn(&RateLimitStatus) + ?Sized),
    ) -> Result<A, RateLimitStatus> {
        let limited = |hit, now| self.limited_at(hit, Duration::ZERO, now);
        let queue = self.limits.combined.wait_queue();
        // A new caller does not overtake the queue.
        let is_first = !queue.is_busy();
        let now = self.clock().now();
        let refused = if is_first {
            match attempt(now) {
                Ok(admitted) => return Ok(admitted),
                Err(status) => Some(status),
            }
        } else {
            check(now).map(|hit| limited(hit, now))
        };
        if let Some(status) = refused {
            if is_in_vain(&status, time_left(deadline, now)) {
                return Err(status);
            }
            on_limited(&status);
        }
        let Some(mut ticket) = queue.join() else {
            // Not reached: this queue has no limit.
            return Err(limited(LimitHit::QUEUE, now));
        };
        let is_head = poll_fn(|context| Poll::Ready(ticket.poll_head(context).is_ready())).await;
        if !is_head {
            let head = poll_fn(|context| ticket.poll_head(context));
            if !self.resolves_in_time(head, timer, deadline).await {
                let now = self.clock().now();
                return Err(limited(check(now).unwrap_or(LimitHit::QUEUE), now));
            }
        }
        // A caller that is the head at once has just made an attempt, and knows its wait.
        let mut has_attempted = is_first && is_head;
        let mut waiter = self.gate.in_flight.waiter();
        loop {
            // Before the check, so that a change that the check misses wakes the head.
            let released = self.gate.released.listen();
            // Pairs with the fence in `wake_head`.
            fence(SeqCst);
            let now = self.clock().now();
            let refused = if has_attempted {
                check(now).map(|hit| limited(hit, now))
            } else {
                match attempt(now) {
                    Ok(admitted) => {
                        waiter.entered();
                        return Ok(admitted);
                    }
                    Err(status) => Some(status),
                }
            };
            let Some(status) = refused else {
                has_attempted = false;
                continue;
            };
            if is_in_vain(&status, time_left(deadline, now)) {
                return Err(status);
            }
            if !has_attempted {
                on_limited(&status);
            }
            if status.limited_by == Some(LimitKind::InFlight) {
                has_attempted = !waiter.may_sleep();
                if !has_attempted {
                    let woken = poll_fn(|context| waiter.poll_woken(context));
                    // At the deadline it makes a last attempt.
                    self.resolves_in_time(woken, timer, deadline).await;
                }
            } else {
                has_attempted = false;
                // Before the sleep, so that other waiters can use a wake-up.
                waiter.give_up();
                first_to_resolve(released, timer.sleep(status.retry_after)).await;
            }
        }
    }

    /// Whether a future resolves before the deadline.
    async fn resolves_in_time<T: Timer>(
        &self,
        future: impl Future<Output = ()>,
        timer: &T,
        deadline: Option<Timestamp>,
    ) -> bool {
        let mut future = pin!(future);
        let Some(deadline) = deadline else {
            future.await;
            return true;
        };
        loop {
            let left = deadline - self.clock().now();
            if left.is_zero() {
                return false;
            }
            // The loop reads the clock again, because the sleep may have been too short.
            if first_to_resolve(future.as_mut(), timer.sleep(left)).await {
                return true;
            }
        }
    }
}

/// Whether waiting is in vain with this time left.
fn is_in_vain(status: &RateLimitStatus, left: Duration) -> bool {
    let is_late = status.limited_by == Some(LimitKind::InFlight) && left.is_zero();
    status.is_permanent || status.retry_after > left || is_late
}

/// Waits for the first of two futures, and returns whether it is `first`.
async fn first_to_resolve(
    first: impl Future<Output = ()>,
    second: impl Future<Output = ()>,
) -> bool {
    let (mut first, mut second) = (pin!(first), pin!(second));
    poll_fn(|context| match first.as_mut().poll(context) {
        Poll::Pending => second.as_mut().poll(context).map(|()| false),
        Poll::Ready(()) => Poll::Ready(true),
    })
    .await
}
