//! The line of futures: whoever is at its head tries until it is admitted.
//!
//! A request and a request with tokens differ in what they try and in what they look at; all else is one implementation. The head
//! sleeps for as long as a limit tells, or, where a call in flight has to end and nobody knows when, until it is told
//! ([`in_flight`](super::in_flight)). What comes back meanwhile wakes it early (`returned`).
//!
//! # Orderings
//!
//! Whoever gives something back writes to a limit and then looks whether somebody is in line (`tell_the_first`); the head is in line,
//! listens, and then looks at the limits. A fence between the two, on both sides, lets one of them see the other.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;

use super::status::{LimitKind, Refusal, Until};
use super::waiting::left;
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
        let look = |now| self.refusal_at(&self.limits.requests(1), now);
        let outcome = self.in_line(timer, deadline, attempt, look, on_limited);
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
        let look = |now| {
            let refusal = self.refusal_at(&request, now);
            refusal.or_else(|| self.signals.in_flight.refusal())
        };
        let outcome = self.in_line(timer, deadline, attempt, look, &|_| ());
        outcome.await
    }

    /// Attempts it at the head of the line, until it succeeds or can no more. `look` says what is in its way and changes nothing.
    async fn in_line<T: Timer, A>(
        &self,
        timer: &T,
        deadline: Option<Timestamp>,
        attempt: impl Fn(Timestamp) -> Result<A, RateLimitStatus>,
        look: impl Fn(Timestamp) -> Option<Refusal>,
        on_limited: &(impl Fn(&RateLimitStatus) + ?Sized),
    ) -> Result<A, RateLimitStatus> {
        let limited = |refusal, now| self.limited_at(refusal, Duration::ZERO, now);
        let in_line = Refusal {
            kind: LimitKind::Line,
            most: 0,
            until: Until::Released,
        };
        let line = self.limits.combined.wait_queue();
        // Nobody is overtaken.
        let is_first = !line.is_busy();
        let now = self.clock().now();
        let refused = if is_first {
            match attempt(now) {
                Ok(admitted) => return Ok(admitted),
                Err(status) => Some(status),
            }
        } else {
            look(now).map(|refusal| limited(refusal, now))
        };
        if let Some(status) = refused {
            if is_final(&status, left(deadline, now)) {
                return Err(status);
            }
            on_limited(&status);
        }
        let Some(mut place) = line.join() else {
            // Any number may wait.
            return Err(limited(in_line, now));
        };
        let at_once = poll_fn(|context| Poll::Ready(place.poll_head(context).is_ready())).await;
        if !at_once {
            let turn = poll_fn(|context| place.poll_head(context));
            if !self.comes_in_time(turn, timer, deadline).await {
                let now = self.clock().now();
                return Err(limited(look(now).unwrap_or(in_line), now));
            }
        }
        // At the head at once, it has been told when to try again.
        let mut is_told = is_first && at_once;
        let mut waiter = self.signals.in_flight.waiter();
        loop {
            // Before the look, so that what it does not see wakes it up.
            let returned = self.signals.returned.listen();
            // Meets the fence in `tell_the_first`.
            fence(SeqCst);
            let now = self.clock().now();
            let refused = if is_told {
                look(now).map(|refusal| limited(refusal, now))
            } else {
                match attempt(now) {
                    Ok(admitted) => {
                        waiter.has_entered();
                        return Ok(admitted);
                    }
                    Err(status) => Some(status),
                }
            };
            let Some(status) = refused else {
                is_told = false;
                continue;
            };
            if is_final(&status, left(deadline, now)) {
                return Err(status);
            }
            if !is_told {
                on_limited(&status);
            }
            if status.limited_by == Some(LimitKind::InFlight) {
                is_told = !waiter.finds_full();
                if !is_told {
                    let told = poll_fn(|context| waiter.poll_told(context));
                    // Late, it tries a last time.
                    self.comes_in_time(told, timer, deadline).await;
                }
            } else {
                is_told = false;
                // Before it sleeps, so that it keeps no place from the others.
                waiter.gives_up();
                either(returned, timer.sleep(status.retry_after)).await;
            }
        }
    }

    /// Whether it completes before the deadline.
    async fn comes_in_time<T: Timer>(
        &self,
        turn: impl Future<Output = ()>,
        timer: &T,
        deadline: Option<Timestamp>,
    ) -> bool {
        let mut turn = pin!(turn);
        let Some(deadline) = deadline else {
            turn.await;
            return true;
        };
        loop {
            let left = deadline - self.clock().now();
            if left.is_zero() {
                return false;
            }
            // And then look at the clock: the sleep may have been too short.
            if either(turn.as_mut(), timer.sleep(left)).await {
                return true;
            }
        }
    }
}

/// Whether waiting is in vain, with so much time left.
fn is_final(status: &RateLimitStatus, left: Duration) -> bool {
    let has_no_time = status.limited_by == Some(LimitKind::InFlight) && left.is_zero();
    status.is_permanent || status.retry_after > left || has_no_time
}

/// Until one of the two completes: whether it is the first.
async fn either(first: impl Future<Output = ()>, second: impl Future<Output = ()>) -> bool {
    let (mut first, mut second) = (pin!(first), pin!(second));
    poll_fn(|context| match first.as_mut().poll(context) {
        Poll::Pending => second.as_mut().poll(context).map(|()| false),
        Poll::Ready(()) => Poll::Ready(true),
    })
    .await
}
