//! Admits and refuses calls, and makes the API limiter a [`Limiter`].

#![cfg_attr(
    not(feature = "http"),
    allow(clippy::trivially_copy_pass_by_ref, reason = "`Ask` is empty there")
)]

#[cfg(any(feature = "std", tidegate_loom))]
use alloc::sync::Arc;
use core::time::Duration;

use super::fast_path::{Look, Uncharged};
use super::refusal::{LimitHit, LimitKind, Retry};
use super::status::Remaining;
use super::{ApiRateLimiter, Ask, RateLimitStatus, Unit};
use crate::clock::Clock;
use crate::combined::{CombinedCharge, CombinedDenied};
use crate::denied::Denied;
#[cfg(any(feature = "std", tidegate_loom))]
use crate::limiter::are_sole;
use crate::limiter::{Limiter, sealed};
use crate::prepared_charge::Request;
use crate::sync::Ordering::Relaxed;
use crate::time::{Timestamp, nanos};

impl<C: Clock> ApiRateLimiter<C> {
    /// Charges one request on the way of nearly all calls. What is uncharged goes on with
    /// [`decide_at`](Self::decide_at).
    #[expect(clippy::inline_always, reason = "see `FastPath::admit`")]
    #[inline(always)]
    pub(super) fn admit_fast_at(&self, now: Timestamp) -> Result<Remaining, Uncharged> {
        if self.is_paused_at(now) || self.shared.provider.is_live(now) {
            return Err(Uncharged::Undecided);
        }
        let remaining = self.shared.limits.admit_fast(now.into())?;
        self.count_admitted(1);
        Ok(remaining)
    }

    /// Decides one request that is [uncharged](Self::admit_fast_at).
    #[cold]
    #[inline(never)]
    pub(super) fn decide_at(&self, uncharged: Uncharged, now: Timestamp) -> RateLimitStatus {
        let look = self.look_at(uncharged, now);
        if let Some(Look {
            index,
            wait,
            remaining,
        }) = look.filter(|look| look.wait > 0)
        {
            let info = &self.shared.limits.infos[index];
            let hit = LimitHit {
                kind: info.kind,
                name: None,
                limit: info.stated(),
                retry: Retry::After(wait),
            };
            let backoff = self.backoff_of(hit, now);
            return RateLimitStatus::limited(hit, backoff, remaining);
        }
        match self.admit_after_look(look, now) {
            Ok(remaining) => RateLimitStatus::free(remaining),
            Err(hit) => self.refused_at(hit, now),
        }
    }

    /// [`decide_at`](Self::decide_at) without a status.
    #[cold]
    #[inline(never)]
    fn decide_briefly_at(&self, uncharged: Uncharged, now: Timestamp) -> Result<(), Denied> {
        let look = self.look_at(uncharged, now);
        if let Some(Look { wait, .. }) = look.filter(|look| look.wait > 0) {
            return Err(Denied::not_yet(wait));
        }
        let admitted = self.admit_after_look(look, now);
        admitted.map(drop).map_err(|hit| self.denied(hit))
    }

    #[expect(clippy::inline_always, reason = "see `Look`")]
    #[inline(always)]
    fn look_at(&self, uncharged: Uncharged, now: Timestamp) -> Option<Look> {
        match uncharged {
            Uncharged::Unprepared => self.shared.limits.look(now.into()),
            Uncharged::Undecided => None,
        }
    }

    /// Charges one request where no look has shown a refusal.
    // Apart, so that a refusal is short.
    #[cold]
    #[inline(never)]
    fn admit_after_look(&self, look: Option<Look>, now: Timestamp) -> Result<Remaining, LimitHit> {
        let limits = &self.shared.limits;
        let charged = look.map(|look| limits.charge_after_look(look.remaining, now.into()));
        if let Some(Ok(remaining)) = charged {
            self.count_admitted(1);
            return Ok(remaining);
        }
        self.admit_at(1, now)
    }

    /// Charges `n` requests, at least 1, and returns what remains.
    pub(super) fn admit_at(&self, n: u64, now: Timestamp) -> Result<Remaining, LimitHit> {
        if self.is_paused_at(now) {
            return Err(self.refusal_in_pause(&self.shared.limits.requests(n), now));
        }
        if self.shared.provider.is_live(now) {
            return self.admit_beside_views(n, now);
        }
        match self.shared.limits.admit(n, now.into()) {
            Ok(remaining) => {
                self.count_admitted(n);
                Ok(remaining)
            }
            Err(denied) => Err(self.limit_hit(denied)),
        }
    }

    /// [`admit_at`](Self::admit_at) while the provider's views count. They have no known end of the
    /// call, so it has ended at once.
    #[cold]
    fn admit_beside_views(&self, n: u64, now: Timestamp) -> Result<Remaining, LimitHit> {
        let (limits, ask) = (&self.shared.limits, Ask::requests(n));
        let admitted = self.send_with(&limits.requests(n), &ask, now, || {
            limits
                .admit(n, now.into())
                .map_err(|denied| self.limit_hit(denied))
        });
        admitted?;
        self.shared.provider.end(ask.cost);
        self.count_admitted(n);
        Ok(self.remaining_at(now))
    }

    /// Counts a call as sent, and lets `charge` charge it to the limits.
    pub(super) fn send_with<R>(
        &self,
        request: &impl Fn(usize) -> Request,
        ask: &Ask,
        now: Timestamp,
        charge: impl FnOnce() -> Result<R, LimitHit>,
    ) -> Result<R, LimitHit> {
        let provider = &self.shared.provider;
        // The limits first, so that their refusal counts nothing as sent.
        if provider.is_live(now) {
            if let Some(hit) = self.refusal_at(request, ask, now) {
                return Err(hit);
            }
        }
        if let Err(until) = provider.send(ask, now) {
            self.wake_head();
            return Err(LimitHit::provider(until - now));
        }
        let charged = charge();
        if charged.is_err() {
            self.take_back(ask);
        }
        charged
    }

    /// Takes back what was not sent after all. The first waiter may have been refused because of
    /// it.
    pub(super) fn take_back(&self, ask: &Ask) {
        self.shared.provider.take_back(ask.cost);
        self.wake_head();
    }

    /// Makes any request that counts as `n` calls, and returns the charge, which can be undone.
    pub(super) fn charge_request_at(
        &self,
        n: u64,
        request: &impl Fn(usize) -> Request,
        now: Timestamp,
    ) -> Result<CombinedCharge, LimitHit> {
        if self.is_paused_at(now) {
            return Err(self.refusal_in_pause(request, now));
        }
        match self
            .shared
            .limits
            .combined
            .charge_each_at(request, now.into())
        {
            Ok(charge) => {
                self.count_admitted(n);
                Ok(charge)
            }
            Err(denied) => Err(self.limit_hit(denied)),
        }
    }

    #[inline]
    pub(super) fn count_admitted(&self, n: u64) {
        self.shared.totals.add_requests(n);
        self.shared.gate.backoff.end_streak();
    }

    #[inline]
    pub(super) fn is_paused_at(&self, now: Timestamp) -> bool {
        // Relaxed: guards no memory.
        now.as_nanos() < self.shared.gate.paused_until.load(Relaxed)
    }

    /// The refusal that a request would meet. Changes nothing.
    pub(super) fn refusal_at(
        &self,
        request: &impl Fn(usize) -> Request,
        ask: &Ask,
        now: Timestamp,
    ) -> Option<LimitHit> {
        let limits = &self.shared.limits;
        let hit = if self.is_paused_at(now) {
            Some(self.refusal_in_pause(request, now))
        } else {
            let denied = limits.combined.refusal(request, now.into(), None);
            denied.map(|denied| self.limit_hit(denied))
        };
        let view = self.shared.provider.refusal(ask, now);
        LimitHit::longer(hit, view.map(|until| LimitHit::provider(until - now)))
    }

    /// The pause, or a limit that refuses for longer.
    #[cold]
    fn refusal_in_pause(&self, request: &impl Fn(usize) -> Request, now: Timestamp) -> LimitHit {
        // Relaxed: guards no memory.
        let end = Timestamp::from_nanos(self.shared.gate.paused_until.load(Relaxed));
        let pause = end - now;
        match self
            .shared
            .limits
            .combined
            .refusal(request, now.into(), None)
        {
            Some(denied) if denied.retry_after().is_none_or(|wait| wait > pause) => {
                self.limit_hit(denied)
            }
            _ => LimitHit::pause(pause),
        }
    }

    /// The end of the latest pause, which may have passed.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(super) fn paused_until(&self) -> Timestamp {
        // Relaxed: guards no memory.
        Timestamp::from_nanos(self.shared.gate.paused_until.load(Relaxed))
    }

    #[cold]
    pub(super) fn limit_hit(&self, denied: CombinedDenied) -> LimitHit {
        let info = &self.shared.limits.infos[denied.index()];
        let (limit, retry) = match denied.retry_after() {
            Some(wait) if info.kind == LimitKind::Shared => {
                let capacity = self.shared.limits.capacity(denied.index());
                (capacity, Retry::After(nanos(wait)))
            }
            Some(wait) => (info.stated(), Retry::After(nanos(wait))),
            None => (self.shared.limits.capacity(denied.index()), Retry::Never),
        };
        LimitHit {
            kind: info.kind,
            name: info.shared_name,
            limit,
            retry,
        }
    }

    /// The status of a call that was refused, which counts for the backoff.
    #[cold]
    pub(super) fn refused_at(&self, hit: LimitHit, now: Timestamp) -> RateLimitStatus {
        self.limited_at(hit, self.backoff_of(hit, now), now)
    }

    #[inline]
    fn backoff_of(&self, hit: LimitHit, now: Timestamp) -> u64 {
        match hit.retry {
            Retry::After(wait) => self.shared.gate.backoff.extra_wait(now, wait),
            // Without a known wait there is nothing to extend.
            Retry::OnRelease | Retry::Never => 0,
        }
    }

    #[cold]
    pub(super) fn limited_at(
        &self,
        hit: LimitHit,
        backoff: u64,
        now: Timestamp,
    ) -> RateLimitStatus {
        RateLimitStatus::limited(hit, backoff, self.remaining_at(now))
    }

    /// Lets the first waiter ask again, after a limit or a pause has changed.
    #[cfg(any(feature = "std", tidegate_loom))]
    pub(super) fn wake_head(&self) {
        self.shared.wait_queue.wake_head();
    }

    #[cfg(not(any(feature = "std", tidegate_loom)))]
    #[expect(clippy::unused_self, reason = "there is no queue")]
    pub(super) const fn wake_head(&self) {}

    /// A refusal without its message.
    #[cold]
    pub(super) fn denied(&self, hit: LimitHit) -> Denied {
        match hit.retry {
            Retry::After(wait) => Denied::not_yet(wait),
            Retry::OnRelease | Retry::Never => Denied::Never {
                capacity: self.shared.limits.max_requests(),
            },
        }
    }
}

impl<C> sealed::Sealed for ApiRateLimiter<C> {}

impl<C: Clock> sealed::Internals for ApiRateLimiter<C> {
    #[cfg(any(feature = "std", tidegate_loom))]
    fn change_to_at(&self, new: &Self, now: Timestamp) -> bool {
        let (old, new) = (&self.shared, &new.shared);
        Arc::ptr_eq(old, new)
            || (are_sole(old, new)
                && old.limits.has_shared_of(&new.limits)
                && self.reconfigure_at(*new.config(), now).is_ok())
    }
}

/// A permit is a request.
impl<C: Clock> Limiter for ApiRateLimiter<C> {
    type Clock = C;
    type Charge = CombinedCharge;

    fn clock(&self) -> &C {
        self.clock()
    }

    fn capacity(&self) -> u64 {
        self.shared.limits.max_requests()
    }

    fn peek_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        if n == 0 {
            return Ok(());
        }
        let hit = self.refusal_at(&self.shared.limits.requests(n), &Ask::requests(n), now);
        hit.map_or(Ok(()), |hit| Err(self.denied(hit)))
    }

    #[inline]
    fn try_acquire_at(&self, n: u64, now: Timestamp) -> Result<(), Denied> {
        if n == 0 {
            return Ok(());
        }
        if n > 1 {
            let admitted = self.admit_at(n, now);
            return admitted.map(drop).map_err(|hit| self.denied(hit));
        }
        match self.admit_fast_at(now) {
            Ok(_) => Ok(()),
            Err(uncharged) => self.decide_briefly_at(uncharged, now),
        }
    }

    /// Allocates the list of charges; `try_acquire_at` does not.
    fn charge_at(&self, n: u64, now: Timestamp) -> Result<CombinedCharge, Denied> {
        if n == 0 {
            return Ok(CombinedCharge::nothing());
        }
        let (request, ask) = (self.shared.limits.requests(n), Ask::requests(n));
        let charge = || self.charge_request_at(n, &request, now);
        // Not taken back by an undo: what the provider has seen of the call is not known.
        let charged = if self.shared.provider.is_live(now) {
            let charged = self.send_with(&request, &ask, now, charge);
            charged.inspect(|_| self.shared.provider.end(ask.cost))
        } else {
            charge()
        };
        match charged {
            Ok(charge) => Ok(charge.with_permits(n)),
            Err(hit) => Err(self.denied(hit)),
        }
    }

    fn undo(&self, charge: CombinedCharge) -> u64 {
        self.shared.totals.subtract_requests(charge.permits());
        let undone = self.shared.limits.combined.undo(charge);
        self.wake_head();
        undone
    }

    fn available_at(&self, now: Timestamp) -> u64 {
        if self.is_paused_at(now) {
            return 0;
        }
        let provider = &self.shared.provider;
        if provider.refusal(&Ask::requests(1), now).is_some() {
            return 0;
        }
        let told = provider.left(Unit::Requests, now);
        self.shared.limits.requests_available_at(now).min(told)
    }

    /// Returns the refill time of the limit that allows the fewest requests at once, mostly the
    /// burst.
    fn refill_time(&self) -> Duration {
        self.shared.limits.requests_refill_time()
    }

    /// Whether every limit is unused, no pause lasts, nothing that a response has told counts, and
    /// no permit is out. Ignores the statistics.
    fn is_unused_at(&self, now: Timestamp) -> bool {
        !self.is_paused_at(now)
            && self.shared.gate.in_flight.count() == 0
            && !self.shared.provider.is_live(now)
            && self.shared.limits.combined.is_unused_at(now)
    }
}
