//! Reserves the tokens that a call is expected to use, and settles the tokens that it did use.

use core::fmt;

use super::limits::CallTokens;
use super::refusal::LimitHit;
use super::usage::{TokenEstimate, TokenUsage};
use super::{Amounts, ApiRateLimiter, RateLimitStatus, Shared};
use crate::clock::{Clock, DefaultClock};
use crate::combined::CombinedCharge;
use crate::time::Timestamp;

/// One admitted request with its estimated tokens, from
/// [`reserve_tokens`](ApiRateLimiter::reserve_tokens) or `acquire_tokens`.
///
/// | end of the permit | charge |
/// |---|---|
/// | [`settle`](Self::settle) with the tokens that were used | the tokens used: the rest of the estimate comes back, and tokens beyond it become debt |
/// | [`commit`](Self::commit), then drop | the estimate |
/// | [`report`](Self::report) while it streams, then drop | what was reported |
/// | `settle(0)`, for a call that the provider refused | the request; all tokens come back |
/// | drop | nothing, because the call was not made |
///
/// Dropping a permit [forfeits](super::RateLimitStats::forfeited) its request if later requests
/// were decided on top of it: at the burst, and at the minute once the request's slot there, a
/// second by default, is over. To the hour the request comes back for up to a minute. Tokens always
/// come back: exactly if no call was charged since, and as a
/// [credit](crate::TokenBucket::credit) otherwise.
///
/// Commit right before the request is sent. Then, if anything fails, the tokens that the provider
/// may have counted stay charged.
///
/// # Order of settling and `observe_response`
///
/// Call the permit's `observe_response` first, whatever the response, and settle when the usage is
/// known: with 0 after a refusal.
///
/// # Estimates and leaks
///
/// A large estimate waits longer than small ones, because more tokens must be available at once. It
/// can wait forever if small ones take them all, except in the queue of `acquire_tokens`. So
/// estimate what a call is likely to use, and settle the rest as debt.
///
/// A permit owns a share of its limiter, so it can be kept with a response that is still streamed.
/// A leaked permit ([`core::mem::forget`]) stays in flight forever.
///
/// ```
/// use tidegate::{ApiRateLimiter, ManualClock, RateLimitConfig, TokenUsage};
///
/// let limiter = ApiRateLimiter::with_clock(RateLimitConfig::DEFAULT, ManualClock::new())?;
/// let mut permit = limiter.reserve_tokens(TokenUsage::new(1_500, 4_096)).unwrap();
/// assert_eq!(limiter.stats().tokens_remaining_minute, 94_404);
///
/// permit.commit();
/// // ... the request is sent, and the response reports its usage ...
/// permit.settle(TokenUsage::new(1_500, 350));
/// assert_eq!(limiter.stats().tokens_remaining_minute, 98_150);
/// assert_eq!(limiter.stats().total_tokens_used, 1_850);
///
/// drop(limiter.reserve_tokens(50_000).unwrap()); // never sent
/// assert_eq!(limiter.stats().total_requests, 1);
/// # Ok::<(), tidegate::ConfigError>(())
/// ```
#[must_use = "a permit that is dropped is canceled"]
pub struct TokenPermit<C: Clock = DefaultClock> {
    limiter: ApiRateLimiter<C>,
    estimate: TokenEstimate,
    /// What is charged: the estimate, and what was reported beyond it.
    tokens: CallTokens,
    /// What was reported so far.
    reported: Option<TokenUsage>,
    /// Undoes the charge; `None` once the request may have been sent.
    charge: Option<CombinedCharge>,
    admitted_at: Timestamp,
    /// The drop has nothing left to charge or undo.
    is_settled: bool,
    /// A response has told what remains after this call.
    is_seen: bool,
}

impl<C: Clock> ApiRateLimiter<C> {
    /// Admits a request together with the tokens that it is expected to use, if every limit has
    /// room for both.
    ///
    /// Also requires that fewer than `max_in_flight` permits are out, which is checked last. Never
    /// waits, and so may overtake waiters.
    ///
    /// An estimate above a limit is refused [permanently](RateLimitStatus::is_permanent), unless it
    /// is a [guess](TokenEstimate::guess).
    ///
    /// # Errors
    ///
    /// The [`RateLimitStatus`] with the limit that refused. Nothing was charged.
    pub fn reserve_tokens(
        &self,
        estimate: impl Into<TokenEstimate>,
    ) -> Result<TokenPermit<C>, RateLimitStatus> {
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
    ) -> Result<TokenPermit<C>, RateLimitStatus> {
        let estimate = estimate.into();
        let tokens = self.shared.limits.tokens_of(estimate);
        match self.reserve(&tokens, now) {
            Ok(charge) => {
                let limiter = self.clone();
                Ok(TokenPermit::new(limiter, estimate, tokens, charge, now))
            }
            Err(hit) => Err(self.refused_at(hit, now)),
        }
    }

    fn reserve(&self, tokens: &CallTokens, now: Timestamp) -> Result<CombinedCharge, LimitHit> {
        let request = self.shared.limits.request_with(tokens);
        let ask = tokens.ask();
        let in_flight = &self.shared.gate.in_flight;
        if in_flight.is_limited() {
            // The limits first, so that their refusal writes nothing.
            if let Some(hit) = self.refusal_at(&request, &ask, now) {
                return Err(hit);
            }
        }
        in_flight.enter()?;
        let charge = self.send_with(&request, &ask, now, || {
            self.charge_request_at(1, &request, now)
        });
        if charge.is_err() {
            self.leave_in_flight();
        }
        charge
    }

    fn leave_in_flight(&self) {
        let in_flight = &self.shared.gate.in_flight;
        in_flight.leave();
        if in_flight.is_limited() {
            self.wake_head();
        }
    }
}

impl<C: Clock> TokenPermit<C> {
    pub(super) const fn new(
        limiter: ApiRateLimiter<C>,
        estimate: TokenEstimate,
        tokens: CallTokens,
        charge: CombinedCharge,
        admitted_at: Timestamp,
    ) -> Self {
        Self {
            limiter,
            estimate,
            tokens,
            reported: None,
            charge: Some(charge),
            admitted_at,
            is_settled: false,
            is_seen: false,
        }
    }

    /// Returns the estimate.
    pub const fn estimate(&self) -> TokenEstimate {
        self.estimate
    }

    /// Returns the instant of admission on the limiter's clock.
    pub const fn admitted_at(&self) -> Timestamp {
        self.admitted_at
    }

    /// Marks the request as sent. Its estimate counts as used, unless [`settle`](Self::settle)
    /// gives the number.
    pub fn commit(&mut self) {
        self.charge = None;
    }

    /// Takes what the response to this call tells, as [`ApiRateLimiter::observe_response`], before
    /// the permit is settled. The call then does not count as one in flight against what remains
    /// after it. Nor does the unused part of its estimate come back to what remains: the provider
    /// may have excluded it already. Marks the request as sent.
    ///
    /// ```
    /// use http::{HeaderMap, HeaderValue, StatusCode};
    /// use tidegate::{ApiRateLimiter, ManualClock, RateLimitConfig};
    ///
    /// let limiter = ApiRateLimiter::with_clock(RateLimitConfig::DEFAULT, ManualClock::new())?;
    /// let mut permit = limiter.reserve_tokens(20_000).unwrap();
    /// let mut headers = HeaderMap::new();
    /// headers.insert("x-ratelimit-remaining-tokens", HeaderValue::from_static("30000"));
    /// permit.observe_response(StatusCode::OK, &headers);
    /// assert_eq!(limiter.stats().tokens_remaining_minute, 30_000);
    /// # Ok::<(), tidegate::ConfigError>(())
    /// ```
    #[cfg(feature = "http")]
    pub fn observe_response(&mut self, status: http::StatusCode, headers: &http::HeaderMap) {
        let now = self.limiter.clock().now();
        self.observe_response_at(status, headers, now, std::time::SystemTime::now());
    }

    /// [`observe_response`](Self::observe_response) as of `now` on the limiter's clock, and
    /// `wall_clock` for the dates in headers.
    #[cfg(feature = "http")]
    pub fn observe_response_at(
        &mut self,
        status: http::StatusCode,
        headers: &http::HeaderMap,
        now: Timestamp,
        wall_clock: std::time::SystemTime,
    ) {
        self.commit();
        // A refused call is not in what remains, and ends with `settle`.
        let ends =
            (status.is_success() && !self.is_seen).then(|| Amounts::new(1, self.tokens.usage));
        self.is_seen |= ends.is_some();
        let limiter = &self.limiter;
        limiter.observe_end_at(ends, status, headers, now, wall_clock);
    }

    /// Charges tokens while an answer is streamed: those that the call has used since the last
    /// report. As long as all reports are within the estimate, they are charged already. What is
    /// beyond it becomes a debt at once, and not only at the end. Marks the request as sent.
    ///
    /// A permit that is dropped after a report is settled with the sum of the reports, for an
    /// answer that was not read to its end. If they contain no input tokens, or no output tokens,
    /// those of the estimate count.
    ///
    /// ```
    /// use tidegate::{ApiRateLimiter, ManualClock, RateLimitConfig, TokenUsage};
    ///
    /// let limiter = ApiRateLimiter::with_clock(RateLimitConfig::DEFAULT, ManualClock::new())?;
    /// let mut permit = limiter.reserve_tokens(TokenUsage::new(1_500, 300)).unwrap();
    /// permit.report(TokenUsage::new(0, 200)); // a piece of the answer
    /// assert_eq!(limiter.stats().tokens_remaining_minute, 98_200);
    /// permit.report(TokenUsage::new(0, 150)); // 50 more than estimated
    /// assert_eq!(limiter.stats().tokens_remaining_minute, 98_150);
    /// drop(permit); // the client has hung up
    /// assert_eq!(limiter.stats().total_tokens_used, 1_850);
    /// # Ok::<(), tidegate::ConfigError>(())
    /// ```
    pub fn report(&mut self, more: impl Into<TokenUsage>) {
        let now = self.limiter.clock().now();
        self.report_at(more, now);
    }

    /// [`report`](Self::report) as of `now`.
    pub fn report_at(&mut self, more: impl Into<TokenUsage>, now: Timestamp) {
        self.commit();
        let reported = self.reported.unwrap_or_default().plus(more.into());
        self.reported = Some(reported);
        let used = self.estimate.used_so_far(reported, self.tokens.usage);
        let limits = self.limiter.shared.limits.token_limits();
        for ((_, kind, bucket), charged) in limits.zip(&mut self.tokens.charged) {
            let used = kind.share_of(used);
            bucket.debit_at(used.saturating_sub(*charged), now);
            *charged = used.max(*charged);
        }
        let charged = self.tokens.usage.at_least(used);
        let beyond = Amounts::beyond(charged, self.tokens.usage);
        let provider = &self.limiter.shared.provider;
        if self.is_seen {
            provider.record(beyond);
        } else {
            provider.add(beyond);
        }
        self.tokens.usage = charged;
    }

    /// Ends the permit with the tokens that were used.
    ///
    /// Unused tokens of the estimate come back as a [credit](crate::TokenBucket::credit). Tokens
    /// beyond the estimate become a debt, as with
    /// [`record_tokens`](ApiRateLimiter::record_tokens).
    pub fn settle(self, used: impl Into<TokenUsage>) {
        let now = self.limiter.clock().now();
        self.settle_at(used, now);
    }

    /// [`settle`](Self::settle) as of `now`.
    pub fn settle_at(mut self, used: impl Into<TokenUsage>, now: Timestamp) {
        self.end_with(used.into(), now);
    }

    /// Settles the call.
    fn end_with(&mut self, used: TokenUsage, now: Timestamp) {
        self.is_settled = true;
        let shared = &self.limiter.shared;
        for ((_, kind, bucket), charged) in shared.limits.token_limits().zip(self.tokens.charged) {
            let used = kind.share_of(used);
            bucket.debit_at(used.saturating_sub(charged), now);
            bucket.credit_at(charged.saturating_sub(used), now);
        }
        self.end_at_provider(used);
        self.limiter.wake_head();
        shared.totals.add_tokens(used.total());
    }

    /// Keeps all that is charged.
    fn end_as_estimated(&self) {
        let used = self.tokens.usage;
        self.end_at_provider(used);
        self.limiter.shared.totals.add_tokens(used.total());
    }

    /// Counts the call as ended for the provider's views.
    fn end_at_provider(&self, used: TokenUsage) {
        let (provider, charged) = (&self.limiter.shared.provider, self.tokens.usage);
        if self.is_seen {
            // What the call uses beyond what is charged. The rest does not come back: the response
            // may have told what remained without it.
            provider.record(Amounts::beyond(used, charged));
        } else {
            provider.settle(Amounts::new(1, charged), Amounts::new(1, used));
        }
    }

    /// Undoes the request and its tokens, as dropping the permit before [`commit`](Self::commit)
    /// does. Returns whether all of it came back.
    ///
    /// The tokens always come back. The request does not if later ones were decided on top of it.
    /// If the permit was committed, this keeps the charge and returns `false`.
    pub fn cancel(mut self) -> bool {
        self.undo_or_keep()
    }

    /// Undoes the charge, or keeps it if it was committed.
    fn undo_or_keep(&mut self) -> bool {
        self.is_settled = true;
        let now = self.limiter.clock().now();
        let Some(charge) = self.charge.take() else {
            match self.reported {
                Some(reported) => {
                    let used = self.estimate.used_so_far(reported, self.tokens.usage);
                    self.end_with(used, now);
                }
                None => self.end_as_estimated(),
            }
            return false;
        };
        let Shared {
            limits,
            provider,
            totals,
            ..
        } = &*self.limiter.shared;
        totals.subtract_requests(1);
        provider.take_back(Amounts::new(1, self.tokens.usage));
        // If an exact undo is no longer possible, the tokens are credited, as for a call that was
        // made and used none.
        let is_complete = limits
            .combined
            .undo_all(charge, |index, tokens| limits.credit(index, tokens, now));
        self.limiter.wake_head();
        is_complete
    }
}

impl<C: Clock> Drop for TokenPermit<C> {
    fn drop(&mut self) {
        if !self.is_settled {
            self.undo_or_keep();
        }
        self.limiter.leave_in_flight();
    }
}

impl<C: Clock> fmt::Debug for TokenPermit<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenPermit")
            .field("estimate", &self.estimate)
            .field("is_committed", &self.charge.is_none())
            .finish_non_exhaustive()
    }
}
