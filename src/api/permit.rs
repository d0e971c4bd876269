//! Reserve what a call is expected to use, and settle what it did.

use core::fmt;

#[cfg(feature = "std")]
use super::status::LimitKind;
use super::status::Refusal;
use super::usage::{TokenEstimate, TokenUsage};
use super::{ApiRateLimiter, RateLimitStatus};
use crate::clock::{Clock, DefaultClock};
use crate::combined::CombinedCharge;
use crate::sync::add_saturating;
use crate::time::Timestamp;

/// One request that was admitted with its expected tokens: by [`reserve_tokens`](ApiRateLimiter::reserve_tokens), or in line by
/// `acquire_tokens`.
///
/// | what you do | what it costs |
/// |---|---|
/// | [`settle`](Self::settle) with the tokens that were used | those: the rest of the estimate comes back, and more than it becomes debt |
/// | [`commit`](Self::commit), and drop it | what was estimated |
/// | `settle(0)`, as for a call that the provider refused | the request; all tokens come back |
/// | drop it | nothing: the call was not made (a place among the requests that others have been decided on top of is [forfeited](super::RateLimitStats::forfeited)) |
///
/// What comes back, comes back as a [credit](crate::TokenBucket::credit), unless nobody was charged since.
///
/// With a provider's response, mind the order. After a success, settle and *then* `observe_response`: the headers already tell what is
/// left without the rest of the estimate. After a refusal, `observe_response` and *then* `settle(0)`: the pause must be there before
/// the tokens that come back let others through.
///
/// A permit that is leaked ([`core::mem::forget`]) stays in flight for good.
///
/// Large estimates need much to be there at once, and so wait longer than small ones, without end if these take everything (but not in
/// the line of `acquire_tokens`): estimate what a call is likely to use, and settle the rest as debt.
///
/// Commit right before the request is sent: should anything fail then, the tokens that the provider may have counted stay
/// charged.
///
/// ```
/// use tidegate::{ApiRateLimiter, ManualClock, RateLimitConfig, TokenUsage};
///
/// let limiter = ApiRateLimiter::with_clock(RateLimitConfig::DEFAULT, ManualClock::new())?;
/// let mut permit = limiter.reserve_tokens(TokenUsage::new(1_500, 4_096)).unwrap();
/// assert_eq!(limiter.stats().tokens_remaining_minute, 94_404);
///
/// permit.commit();
/// // ... the request is sent, and the answer says what it used ...
/// permit.settle(TokenUsage::new(1_500, 350));
/// assert_eq!(limiter.stats().tokens_remaining_minute, 98_150);
/// assert_eq!(limiter.stats().total_tokens_used, 1_850);
///
/// drop(limiter.reserve_tokens(50_000).unwrap()); // never sent
/// assert_eq!(limiter.stats().total_requests, 1);
/// # Ok::<(), tidegate::ConfigError>(())
/// ```
#[must_use = "a permit that is dropped is cancelled"]
pub struct TokenPermit<'a, C: Clock = DefaultClock> {
    limiter: &'a ApiRateLimiter<C>,
    estimate: TokenEstimate,
    /// What cancels it; `None` once the request may have been sent.
    charge: Option<CombinedCharge>,
    admitted_at: Timestamp,
    /// Nothing is left to be decided when this is dropped.
    is_settled: bool,
}

impl<C: Clock> ApiRateLimiter<C> {
    /// Admits a request together with the tokens that it is expected to use, if every limit has room for both, and if fewer
    /// than `max_in_flight` permits are out, which is asked last. Never waits, and so may overtake those who do.
    ///
    /// An estimate above a limit is refused for good ([`is_permanent`](RateLimitStatus::is_permanent)), unless it is a
    /// [guess](TokenEstimate::guess).
    ///
    /// # Errors
    ///
    /// The [`RateLimitStatus`] that says which limit refused. Nothing was charged.
    pub fn reserve_tokens(
        &self,
        estimate: impl Into<TokenEstimate>,
    ) -> Result<TokenPermit<'_, C>, RateLimitStatus> {
        self.reserve_tokens_at(estimate, self.clock().now())
    }

    /// [`reserve_tokens`](Self::reserve_tokens) as of `now`.
    ///
    /// # Errors
    ///
    /// As [`reserve_tokens`](Self::reserve_tokens).
    pub fn reserve_tokens_at(
        &self,
        estimate: impl Into<TokenEstimate>,
        now: Timestamp,
    ) -> Result<TokenPermit<'_, C>, RateLimitStatus> {
        let estimate = estimate.into();
        match self.reserve(estimate, now) {
            Ok(charge) => Ok(TokenPermit {
                limiter: self,
                estimate,
                charge: Some(charge),
                admitted_at: now,
                is_settled: false,
            }),
            Err(refusal) => Err(self.refused_at(refusal, now)),
        }
    }

    /// [`reserve_tokens`](Self::reserve_tokens), sleeping for as long as it is limited, and until a permit comes back where all
    /// that may be out are. Threads that wait do not stand in the line of futures ([`acquire_tokens`](Self::acquire_tokens_with)), and
    /// may overtake it.
    ///
    /// # Errors
    ///
    /// Only a status that is [permanent](RateLimitStatus::is_permanent), before sleeping.
    #[cfg(feature = "std")]
    pub fn reserve_tokens_blocking(
        &self,
        estimate: impl Into<TokenEstimate>,
    ) -> Result<TokenPermit<'_, C>, RateLimitStatus> {
        let estimate = estimate.into();
        let mut waiter = self.signals.in_flight.waiter();
        loop {
            let now = self.clock().now();
            let status = match self.reserve_tokens_at(estimate, now) {
                Ok(permit) => {
                    waiter.has_entered();
                    return Ok(permit);
                }
                Err(status) => status,
            };
            if status.limited_by == Some(LimitKind::InFlight) {
                if waiter.finds_full() {
                    waiter.wait();
                }
                continue;
            }
            waiter.gives_up();
            if status.is_permanent {
                return Err(status);
            }
            self.clock().sleep_until(now + status.wait_time);
        }
    }

    fn reserve(&self, estimate: TokenEstimate, now: Timestamp) -> Result<CombinedCharge, Refusal> {
        let request = self.limits.request_with(estimate);
        let in_flight = &self.signals.in_flight;
        if in_flight.is_limited() {
            // Looked at first, so that a refusal by the limits does not write.
            if let Some(refusal) = self.refusal_at(&request, now) {
                return Err(refusal);
            }
        }
        in_flight.enter()?;
        let charge = self.charge_at(1, &request, now);
        if charge.is_err() {
            in_flight.leave();
        }
        charge
    }
}

impl<C: Clock> TokenPermit<'_, C> {
    /// What was expected.
    pub const fn estimate(&self) -> TokenEstimate {
        self.estimate
    }

    /// When it was admitted, on the limiter's clock.
    pub const fn admitted_at(&self) -> Timestamp {
        self.admitted_at
    }

    /// Says that the request is being sent: from now on the tokens count as used, until [`settle`](Self::settle) says
    /// how many were.
    pub fn commit(&mut self) {
        self.charge = None;
    }

    /// Ends the permit with the tokens that were used. What was estimated beyond them comes back
    /// ([`TokenBucket::credit`](crate::TokenBucket::credit)); what was used beyond the estimate becomes a debt, as with
    /// [`record_tokens`](ApiRateLimiter::record_tokens).
    pub fn settle(self, used: impl Into<TokenUsage>) {
        let now = self.limiter.clock().now();
        self.settle_at(used, now);
    }

    /// [`settle`](Self::settle) as of `now`.
    pub fn settle_at(mut self, used: impl Into<TokenUsage>, now: Timestamp) {
        self.is_settled = true;
        let used = used.into();
        for (index, kind, bucket) in self.limiter.limits.on_tokens() {
            let reserved = self.limiter.limits.reserved(index, self.estimate);
            let used = kind.share_of(used);
            bucket.debit_at(used.saturating_sub(reserved), now);
            bucket.credit_at(reserved.saturating_sub(used), now);
        }
        self.limiter.tell_the_first();
        self.count(used.total());
    }

    /// Takes the request and its tokens back, as dropping the permit before [`commit`](Self::commit) does. Whether all of it
    /// came back: the tokens always do, a place among the requests not if others have been decided on top of it.
    ///
    /// Returns `false` and keeps the charge if the permit was committed.
    pub fn cancel(mut self) -> bool {
        self.is_settled = true;
        self.give_back()
    }

    fn count(&self, tokens: u64) {
        add_saturating(&self.limiter.counts.tokens, tokens);
    }

    /// Cancels, or keeps what was committed.
    fn give_back(&mut self) -> bool {
        if let Some(charge) = self.charge.take() {
            self.limiter.count_undone(1);
            let now = self.limiter.clock().now();
            let limits = &self.limiter.limits;
            // Tokens that cannot be taken back exactly are credited, as if the call had been made and used none.
            let is_whole = limits
                .combined
                .undo_all(charge, |index, tokens| limits.credit(index, tokens, now));
            self.limiter.tell_the_first();
            return is_whole;
        }
        self.count(self.limiter.limits.reserved_in_total(self.estimate));
        false
    }
}

impl<C: Clock> Drop for TokenPermit<'_, C> {
    fn drop(&mut self) {
        if !self.is_settled {
            self.give_back();
        }
        self.limiter.signals.in_flight.leave();
    }
}

impl<C: Clock> fmt::Debug for TokenPermit<'_, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenPermit")
            .field("estimate", &self.estimate)
            .field("is_committed", &self.charge.is_none())
            .finish_non_exhaustive()
    }
}
