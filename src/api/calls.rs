//! The calls that wait at an API limiter: requests, and requests with tokens.

use core::time::Duration;

use super::demand::ApiDemand;
use super::limits::MAX_TOKEN_LIMITS;
use super::refusal::{LimitHit, LimitKind, Retry};
use super::status::Remaining;
use super::{ApiRateLimiter, Ask, RateLimitStatus, TokenEstimate, TokenPermit};
use crate::clock::Clock;
use crate::denied::Denied;
use crate::prepared_charge::{AsOf, Request};
use crate::sync::WaitQueue;
use crate::time::{Timestamp, nanos};
use crate::wait::sealed::Waits;
use crate::wait::{Call, Hold, Instants};

/// A waiting request.
pub(crate) struct RequestCall<C, F> {
    pub(crate) limiter: ApiRateLimiter<C>,
    /// Called when the request has to wait, with the reason.
    pub(crate) on_limited: F,
}

/// A waiting request with tokens.
pub(crate) struct TokenCall<C: Clock> {
    pub(super) limiter: ApiRateLimiter<C>,
    pub(super) estimate: TokenEstimate,
}

/// A pause without an end lasts until [`ApiRateLimiter::resume`].
fn until_end_of_pause(end: Timestamp) -> Hold {
    if end == Timestamp::MAX {
        Hold::UntilWoken
    } else {
        Hold::Until(end)
    }
}

impl<C: Clock> ApiRateLimiter<C> {
    /// Until when a waiter is held back by a pause, or after one so that not all go at once.
    fn hold_in_pause(&self, at: Instants) -> Option<Hold> {
        let end = self.paused_until();
        if at.arrival >= end {
            return None;
        }
        let next = self.shared.gate.ramp.next_after(end, at.now);
        (at.due < next).then_some(until_end_of_pause(next))
    }

    /// Notes that a waiter was admitted.
    fn went(&self, at: Instants) {
        if at.arrival < self.paused_until() {
            self.shared.gate.ramp.gone(at.due);
        }
    }

    /// Admits `n` requests of a waiter.
    fn admit_waiter(&self, n: u64, at: Instants) -> Result<Remaining, Hold> {
        if let Some(hold) = self.hold_in_pause(at) {
            return Err(hold);
        }
        let (limits, provider) = (&self.shared.limits, &self.shared.provider);
        let ask = Ask::requests(n);
        // In the present: what a response told has ended, or not.
        let is_seen = provider.is_live(at.now);
        if is_seen {
            if let Some(denied) = limits
                .combined
                .refusal(&limits.requests(n), at.into(), None)
            {
                return Err(limits.combined.hold(&limits.requests(n), denied, at.into()));
            }
            provider.send(&ask, at.now).map_err(Hold::Until)?;
        }
        let fast = if n == 1 {
            limits.admit_fast(at.into()).ok()
        } else {
            None
        };
        let admitted = fast.map_or_else(|| limits.admit(n, at.into()), Ok);
        if is_seen {
            match admitted {
                Ok(_) => provider.end(ask.cost),
                Err(_) => provider.take_back(ask.cost),
            }
        }
        match admitted {
            Ok(remaining) => {
                self.went(at);
                self.count_admitted(n);
                Ok(remaining)
            }
            Err(denied) => Err(limits.combined.hold(&limits.requests(n), denied, at.into())),
        }
    }

    /// The refusal of a request after waiters that ask for `ahead`.
    fn refusal_behind(
        &self,
        request: &impl Fn(usize) -> Request,
        ask: Ask,
        ahead: ApiDemand,
        now: Timestamp,
    ) -> Option<LimitHit> {
        let limits = &self.shared.limits;
        let due = self.shared.wait_queue.earliest_behind(ahead, now);
        let denied = limits.combined.longest(None, |index, limit| {
            let ahead = match limits.token_index(index) {
                None => ahead.requests,
                Some(index) => ahead.tokens[index],
            };
            limit.refusal_behind_at(ahead, request(index).required, AsOf { due, now })
        });
        let hit = denied.map(|denied| self.limit_hit(denied));
        let ask = ask.behind(ahead.requests, ahead.tokens[0]);
        let view = self.shared.provider.refusal(&ask, now);
        let hit = LimitHit::longer(hit, view.map(|until| LimitHit::provider(until - now)));
        let pause = self.paused_until() - now;
        match hit {
            Some(hit) if !matches!(hit.retry, Retry::After(wait) if wait < nanos(pause)) => {
                Some(hit)
            }
            hit if pause.is_zero() => hit,
            _ => Some(LimitHit::pause(pause)),
        }
    }

    fn hold_of(hit: &LimitHit, now: Timestamp) -> Hold {
        match hit.retry {
            Retry::After(wait) if hit.kind == LimitKind::Pause => {
                until_end_of_pause(now + Duration::from_nanos(wait))
            }
            Retry::After(wait) => Hold::Until(now + Duration::from_nanos(wait)),
            Retry::OnRelease => Hold::UntilWoken,
            Retry::Never => Hold::Never,
        }
    }
}

impl<C: Clock, F: Fn(&RateLimitStatus)> Call for RequestCall<C, F> {
    type Clock = C;
    type Demand = ApiDemand;
    type Place = ();
    type Admitted = Remaining;
    type Refusal = LimitHit;
    type Output = RateLimitStatus;

    fn clock(&self) -> &C {
        self.limiter.clock()
    }

    fn demand(&self, (): &()) -> ApiDemand {
        Waits::demand(&self.limiter, 1)
    }

    fn free(&self) -> Option<Remaining> {
        None
    }

    fn is_busy(&self) -> bool {
        self.limiter.shared.wait_queue.is_busy()
    }

    fn queued(&self) -> ApiDemand {
        self.limiter.shared.wait_queue.demand()
    }

    fn enter(&self) -> Option<()> {
        Some(())
    }

    fn queue<'a>(&'a self, (): &'a ()) -> &'a WaitQueue<ApiDemand> {
        &self.limiter.shared.wait_queue
    }

    fn exit(&self, (): ()) {}

    fn attempt(&self, at: Instants) -> Result<Remaining, Hold> {
        self.limiter.admit_waiter(1, at)
    }

    fn refusal(&self, ahead: ApiDemand, now: Timestamp) -> Option<LimitHit> {
        let request = self.limiter.shared.limits.requests(1);
        let ask = Ask::requests(1);
        self.limiter.refusal_behind(&request, ask, ahead, now)
    }

    fn behind_others(&self) -> LimitHit {
        LimitHit::QUEUE
    }

    fn hold(&self, refusal: &LimitHit, now: Timestamp) -> Hold {
        ApiRateLimiter::<C>::hold_of(refusal, now)
    }

    fn is_observed(&self) -> bool {
        true
    }

    fn limited(&self, refusal: &LimitHit, now: Timestamp) {
        (self.on_limited)(&self.limiter.limited_at(*refusal, 0, now));
    }

    fn output(&self, outcome: Result<Remaining, LimitHit>, now: Timestamp) -> RateLimitStatus {
        match outcome {
            Ok(remaining) => RateLimitStatus::free(remaining),
            Err(hit) => self.limiter.refused_at(hit, now),
        }
    }
}

impl<C: Clock> Call for TokenCall<C> {
    type Clock = C;
    type Demand = ApiDemand;
    type Place = ();
    type Admitted = TokenPermit<C>;
    type Refusal = LimitHit;
    type Output = Result<TokenPermit<C>, RateLimitStatus>;

    fn clock(&self) -> &C {
        self.limiter.clock()
    }

    fn demand(&self, (): &()) -> ApiDemand {
        let tokens = self.limiter.shared.limits.tokens_of(self.estimate);
        ApiDemand {
            requests: 1,
            tokens: tokens.charged.map(u128::from),
        }
    }

    fn free(&self) -> Option<TokenPermit<C>> {
        None
    }

    fn is_busy(&self) -> bool {
        self.limiter.shared.wait_queue.is_busy()
    }

    fn queued(&self) -> ApiDemand {
        self.limiter.shared.wait_queue.demand()
    }

    fn enter(&self) -> Option<()> {
        Some(())
    }

    fn queue<'a>(&'a self, (): &'a ()) -> &'a WaitQueue<ApiDemand> {
        &self.limiter.shared.wait_queue
    }

    fn exit(&self, (): ()) {}

    fn attempt(&self, at: Instants) -> Result<TokenPermit<C>, Hold> {
        let limiter = &self.limiter;
        if let Some(hold) = limiter.hold_in_pause(at) {
            return Err(hold);
        }
        let permit = limiter.reserve_as_of(self.estimate, at)?;
        limiter.went(at);
        Ok(permit)
    }

    fn refusal(&self, ahead: ApiDemand, now: Timestamp) -> Option<LimitHit> {
        let limits = &self.limiter.shared.limits;
        let tokens = limits.tokens_of(self.estimate);
        let (request, ask) = (limits.request_with(&tokens), tokens.ask());
        let hit = self.limiter.refusal_behind(&request, ask, ahead, now);
        hit.or_else(|| self.limiter.shared.gate.in_flight.refusal())
    }

    fn behind_others(&self) -> LimitHit {
        LimitHit::QUEUE
    }

    fn hold(&self, refusal: &LimitHit, now: Timestamp) -> Hold {
        ApiRateLimiter::<C>::hold_of(refusal, now)
    }

    fn output(&self, outcome: Result<TokenPermit<C>, LimitHit>, now: Timestamp) -> Self::Output {
        outcome.map_err(|hit| self.limiter.refused_at(hit, now))
    }
}

impl<C: Clock> ApiRateLimiter<C> {
    fn reserve_as_of(&self, estimate: TokenEstimate, at: Instants) -> Result<TokenPermit<C>, Hold> {
        let (limits, provider) = (&self.shared.limits, &self.shared.provider);
        let tokens = limits.tokens_of(estimate);
        let (request, ask) = (limits.request_with(&tokens), tokens.ask());
        let (now, at) = (at.now, AsOf::from(at));
        // The limits first, so that a free slot is not taken while they refuse.
        if let Some(denied) = limits.combined.refusal(&request, at, None) {
            return Err(limits.combined.hold(&request, denied, at));
        }
        if let Some(until) = provider.refusal(&ask, now) {
            return Err(Hold::Until(until));
        }
        let in_flight = &self.shared.gate.in_flight;
        if in_flight.enter().is_err() {
            return Err(Hold::UntilWoken);
        }
        if let Err(until) = provider.send(&ask, now) {
            in_flight.leave();
            return Err(Hold::Until(until));
        }
        match limits.combined.charge_each_at(&request, at) {
            Ok(charge) => {
                self.count_admitted(1);
                Ok(TokenPermit::new(
                    self.clone(),
                    estimate,
                    tokens,
                    charge,
                    at.due,
                ))
            }
            Err(denied) => {
                provider.take_back(ask.cost);
                in_flight.leave();
                Err(limits.combined.hold(&request, denied, at))
            }
        }
    }
}

/// A permit is a request.
impl<C: Clock> Waits for ApiRateLimiter<C> {
    type Clock = C;
    type Demand = ApiDemand;
    type Place = ();

    fn wait_clock(&self) -> &C {
        self.clock()
    }

    fn max_permits(&self) -> u64 {
        self.shared.limits.max_requests()
    }

    fn demand(&self, n: u64) -> ApiDemand {
        ApiDemand {
            requests: n.into(),
            tokens: [0; MAX_TOKEN_LIMITS],
        }
    }

    fn is_busy(&self) -> bool {
        self.shared.wait_queue.is_busy()
    }

    fn queued(&self) -> ApiDemand {
        self.shared.wait_queue.demand()
    }

    fn enter(&self) -> Option<()> {
        Some(())
    }

    fn queue<'a>(&'a self, (): &'a ()) -> &'a WaitQueue<ApiDemand> {
        &self.shared.wait_queue
    }

    fn exit(&self, (): ()) {}

    fn attempt(&self, n: u64, at: Instants) -> Result<(), Hold> {
        self.admit_waiter(n, at).map(drop)
    }

    fn refusal(&self, ahead: ApiDemand, n: u64, now: Timestamp) -> Option<Denied> {
        let request = self.shared.limits.requests(n);
        let hit = self.refusal_behind(&request, Ask::requests(n), ahead, now)?;
        Some(self.denied(hit))
    }

    fn hold(&self, refusal: &Denied, now: Timestamp) -> Hold {
        match refusal.hold(now) {
            // Only a pause lasts that long.
            Hold::Until(end) => until_end_of_pause(end),
            hold => hold,
        }
    }
}
